//! Helpers of the tests that run models.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used, clippy::panic)] // each file uses some

use bytes::Bytes;
use ecomap_executor::clock::SystemClock;
use ecomap_executor::orders::{Orders, Segment, Slo, Task};
use ecomap_executor::repository::index::{self, Item};
use ecomap_executor::repository::synthetic::resnet::Resnet;
use ecomap_executor::runtime::ort::settings::{DEFAULT_UNDER_WAY, Fallback, Provider};
use ecomap_executor::runtime::ort::{OrtRuntime, Settings, UnitSettings};
use ecomap_executor::runtime::{DataType, InferRequest, Tensor};
use ecomap_graph::Options;
use ecomap_instances::Catalog;
use ecomap_instances::generate::Seed;
use ecomap_instances::ids::UnitId;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Side of the small models' pictures.
pub const SIZE: u64 = 32;
/// Their classes.
pub const CLASSES: u64 = 10;

/// Whether ONNX Runtime is there; says *skipped* where it is not.
pub fn onnxruntime() -> bool {
    let there = ecomap_onnxruntime::library::find().is_some();
    if !there {
        eprintln!("skipped: ONNX Runtime is not installed; {}", ecomap_onnxruntime::library::REMEDY);
    }
    there
}

/// A small residual network: `deep` or not, other weights for another seed.
pub fn small(deep: bool, seed: u64) -> ecomap_graph::Model {
    let stages = if deep { [2, 2, 2, 2] } else { [1, 1, 1, 1] };
    let net = Resnet { stages, bottleneck: false, width: 8, size: SIZE as i64, classes: CLASSES as i64 };
    net.build("small", Seed(seed)).unwrap()
}

pub fn item(tier: &str, model: &ecomap_graph::Model) -> Item {
    Item {
        family: "small".to_owned(),
        tier: tier.to_owned(),
        bytes: model.encode(),
        options: Options::default(),
        source: None,
    }
}

/// A repository of family `small`: `deep` and `shallow`, of eight blocks each or as many as they have.
pub fn repository(root: &Path) {
    let catalog = Catalog::embedded().unwrap();
    let items: Vec<_> = [("deep", small(true, 1)), ("shallow", small(false, 2))]
        .into_iter()
        .map(|(tier, model)| {
            let item = item(tier, &model);
            (index::describe(&item, catalog).unwrap(), item.bytes)
        })
        .collect();
    index::write(root, None, &items).unwrap();
}

/// How many blocks a tier of [`repository`] has.
pub fn blocks(root: &Path, tier: &str) -> u64 {
    let repository = ecomap_executor::repository::Repository::open(root, Default::default()).unwrap();
    repository.entry("small", tier).unwrap().blocks()
}

/// Units `a` and `b`: two cores where there are two, else the same core twice; with `ECOMAP_TEST_GPU`
/// in the environment `b` is the first NVIDIA GPU.
pub fn settings(root: &Path) -> Settings {
    let cores = ecomap_onnxruntime::cores::allowed().unwrap();
    let core = |n: usize| cores.get(n).copied().unwrap_or(cores[0]);
    let unit = |id: &str, core: u32| UnitSettings {
        id: UnitId::from(id),
        provider: Provider::Cpu,
        cores: vec![core],
        threads: 1,
        fallback: Fallback::Refuse,
    };
    let mut units = vec![unit("a", core(0)), unit("b", core(1))];
    if std::env::var_os("ECOMAP_TEST_GPU").is_some() {
        units[1].provider = Provider::Cuda { device: 0, memory_bytes: None };
    }
    Settings {
        profile: Some("host-cpu".to_owned()),
        repository: root.to_owned(),
        units,
        under_way: DEFAULT_UNDER_WAY,
        memory_bytes: None,
        proc: PathBuf::from("/proc"),
    }
}

pub fn runtime(settings: Settings) -> OrtRuntime {
    OrtRuntime::new(settings, Arc::new(SystemClock::new())).unwrap()
}

/// Orders with the given tasks.
pub fn orders(tasks: Vec<Task>) -> Orders {
    Orders {
        device: "here".to_owned(),
        site: "lab".to_owned(),
        profile: "host-cpu".to_owned(),
        mode: Some("default".to_owned()),
        power_w: 10.0,
        budget_w: Some(35.0),
        tasks,
    }
}

/// A task over units, cut at the given blocks: `[("a", 0, 3), ("b", 3, 8)]`.
pub fn task(tenant: &str, tier: &str, segments: &[(&str, u64, u64)]) -> Task {
    Task {
        tenant: tenant.to_owned(),
        family: "small".to_owned(),
        tier: tier.to_owned(),
        segments: segments
            .iter()
            .map(|(unit, from, to)| Segment { unit: (*unit).to_owned(), from_block: *from, to_block: *to })
            .collect(),
        rate_per_s: 10.0,
        slo: Some(Slo { quantile: "p95".to_owned(), latency_ms: 500.0 }),
        predicted_ms: [1.0, 2.0],
        power_w: 1.0,
    }
}

/// A picture drawn from a seed.
pub fn picture(seed: u64) -> Vec<f32> {
    use rand::Rng;
    let mut rng = Seed(seed).rng(0);
    (0..3 * SIZE * SIZE).map(|_| rng.random_range(-1.0..1.0)).collect()
}

pub fn request(picture: &[f32]) -> InferRequest {
    let data: Vec<u8> = picture.iter().flat_map(|x| x.to_le_bytes()).collect();
    let tensor = Tensor::new("input", DataType::Fp32, vec![1, 3, SIZE, SIZE], Bytes::from(data)).unwrap();
    InferRequest { inputs: vec![tensor], outputs: Vec::new() }
}

pub fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.data().chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()
}

/// Largest difference over the largest magnitude.
pub fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|x| x.is_finite()), "not all numbers");
    let most = a.iter().fold(1e-6_f32, |m, x| m.max(x.abs()));
    a.iter().zip(b).fold(0.0_f32, |d, (x, y)| d.max((x - y).abs())) / most
}

/// The whole model run by ONNX Runtime, not by the executor.
pub fn reference(model: &[u8], picture: &[f32]) -> Vec<f32> {
    let environment = ecomap_onnxruntime::environment().unwrap();
    let mut session = ort::session::Session::builder(environment).unwrap().commit_from_memory(model).unwrap();
    let shape = vec![1_i64, 3, SIZE as i64, SIZE as i64];
    let input = ort::value::TensorRef::from_array_view((shape, picture)).unwrap();
    let outputs = session.run(ort::inputs![input]).unwrap();
    outputs["logits"].try_extract_tensor::<f32>().unwrap().1.to_vec()
}
