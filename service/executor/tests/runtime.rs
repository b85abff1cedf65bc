//! Plans made to run by ONNX Runtime: right answers, switches without loss, refusals, order, counts.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

mod common;

use common::*;
use ecomap_executor::clock::SystemClock;
use ecomap_executor::load::{Load, Pattern, Running};
use ecomap_executor::orders::Task;
use ecomap_executor::runtime::ort::settings::Provider;
use ecomap_executor::runtime::{InferError, InferRequest, PlanVersion, Reason, Refused, Runtime};
use ecomap_instances::generate::Seed;
use ecomap_instances::ids::{TenantId, TierId, UnitId};
use std::sync::Arc;
use std::time::Duration;

fn cam() -> TenantId {
    TenantId::from("cam")
}

fn go(runtime: &dyn Runtime, version: u64, tasks: Vec<Task>) {
    let prepared = runtime.prepare(PlanVersion(version), &orders(tasks)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(prepared.commit().version, PlanVersion(version));
}

#[test]
fn every_placement_of_a_model_answers_like_the_whole() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let runtime = runtime(settings(root.path()));
    assert!(matches!(runtime.infer(&cam(), request(&picture(1)), None), Err(InferError::UnknownTenant)));
    let mut version = 0;
    for (tier, model) in [("deep", small(true, 1)), ("shallow", small(false, 2))] {
        let blocks = blocks(root.path(), tier);
        let wanted = reference(&model.encode(), &picture(5));
        let mut placements = vec![vec![("a", 0, blocks)], vec![("b", 0, blocks)]];
        placements.extend((1..blocks).map(|n| vec![("a", 0, n), ("b", n, blocks)]));
        placements.push(vec![("a", 0, 1), ("b", 1, 2), ("a", 2, blocks)]);
        for segments in placements {
            version += 1;
            go(&runtime, version, vec![task("cam", tier, &segments)]);
            let answer = runtime.infer(&cam(), request(&picture(5)), None).unwrap().wait().unwrap();
            assert_eq!((answer.tier.as_str(), answer.version), (tier, PlanVersion(version)));
            assert_eq!(answer.outputs[0].name(), "logits");
            let d = difference(&wanted, &floats(&answer.outputs[0]));
            assert!(d <= 1e-5, "{tier} {segments:?}: {d}");
            assert!(answer.busy <= answer.latency);
        }
    }
    let info = runtime.model(&cam()).unwrap();
    assert_eq!((info.inputs[0].name.as_str(), &info.inputs[0].shape[..]), ("input", &[1, 3, SIZE, SIZE][..]));
    assert!(info.synthetic);
}

#[test]
fn a_hundred_plan_changes_under_load_lose_no_request() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let runtime: Arc<dyn Runtime> = Arc::new(runtime(settings(root.path())));
    let [deep, shallow] = ["deep", "shallow"].map(|tier| blocks(root.path(), tier));
    let plans: [Vec<Task>; 4] = [
        vec![task("cam", "deep", &[("a", 0, deep)]), task("mic", "shallow", &[("b", 0, shallow)])],
        vec![task("cam", "shallow", &[("b", 0, shallow)]), task("mic", "shallow", &[("b", 0, shallow)])],
        vec![task("cam", "deep", &[("a", 0, 2), ("b", 2, deep)]), task("mic", "deep", &[("a", 0, deep)])],
        vec![
            task("cam", "shallow", &[("a", 0, 1), ("b", 1, shallow)]),
            task("mic", "shallow", &[("a", 0, shallow)]),
        ],
    ];
    go(&*runtime, 1, plans[0].clone());
    let clock = Arc::new(SystemClock::new());
    let loads: Vec<Running> = ["cam", "mic"]
        .into_iter()
        .zip(1..)
        .map(|(tenant, seed)| {
            let load = Load {
                tenant: TenantId::from(tenant),
                pattern: Pattern::Poisson { rate_per_s: 40.0 },
                seed: Seed(seed),
                within: None,
                requests: None,
            };
            Running::start(load, Arc::clone(&runtime), clock.clone()).unwrap()
        })
        .collect();
    for n in 2..=101_u64 {
        let plan = plans[usize::try_from(n).unwrap() % plans.len()].clone();
        let prepared = runtime.prepare(PlanVersion(n), &orders(plan)).unwrap_or_else(|e| panic!("{e}"));
        if n % 10 == 0 {
            // A plan that another board refused: this one goes on with the old.
            prepared.abort();
            assert_eq!(runtime.running(), Some(PlanVersion(n - 1)));
        } else {
            let switched = prepared.commit();
            assert_eq!(switched.version, PlanVersion(n));
        }
    }
    for load in loads {
        let report = load.stop();
        let answered: u64 = report.answered.values().sum();
        assert_eq!(report.failed, (0, None));
        assert_eq!((report.busy, report.expired, report.not_served), (0, 0, 0));
        assert_eq!(answered, report.sent);
        assert!(answered > 0 && report.answered.len() == 2, "{:?}", report.answered);
    }
    // Nothing is under way any more, so nothing of the old plans is left.
    assert_eq!(wait_for(|| (runtime.draining() == 0).then_some(())), Some(()));
    let counters = runtime.counters();
    for tenant in counters.tenants.values() {
        assert_eq!(tenant.arrivals, tenant.completions());
        assert_eq!((tenant.under_way, tenant.failed, tenant.busy, tenant.abandoned), (0, 0, 0, 0));
    }
    for unit in counters.units.values() {
        let sum: Duration = unit.by_tenant.values().sum();
        assert_eq!(sum, unit.busy);
        assert!(unit.busy > Duration::ZERO && unit.busy < counters.at);
    }
}

/// Looks again and again, for half a minute at most.
fn wait_for<T>(look: impl Fn() -> Option<T>) -> Option<T> {
    (0..30_000).find_map(|_| {
        let found = look();
        if found.is_none() {
            std::thread::park_timeout(Duration::from_millis(1));
        }
        found
    })
}

fn reasons(refused: &Refused) -> Vec<Reason> {
    refused.0.iter().map(|r| r.reason).collect()
}

#[test]
fn what_cannot_run_is_refused_and_the_old_plan_goes_on() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let mut with_gpu = settings(root.path());
    let mut unit = with_gpu.units[0].clone();
    unit.id = UnitId::from("gpu");
    unit.provider = Provider::Cuda { device: 0, memory_bytes: None };
    with_gpu.units.push(unit.clone());
    unit.id = UnitId::from("dla0");
    unit.provider = Provider::TensorRt { device: 0, fp16: true, dla: Some(0), cache: None };
    with_gpu.units.push(unit);
    let runtime = runtime(with_gpu);
    let n = blocks(root.path(), "shallow");
    go(&runtime, 1, vec![task("cam", "shallow", &[("a", 0, n)])]);
    let refusal = |tasks: Vec<Task>| {
        let refused = runtime.prepare(PlanVersion(2), &orders(tasks)).expect_err("refused");
        assert_eq!(runtime.running(), Some(PlanVersion(1)));
        refused
    };
    let unknown = refusal(vec![
        task("cam", "none", &[("a", 0, 1)]),
        task("mic", "shallow", &[("z", 0, n)]),
        task("fly", "shallow", &[("a", 0, n + 1)]),
    ]);
    // All at once, each with its tenant.
    assert_eq!(
        reasons(&unknown),
        [Reason::MissingModel, Reason::UnknownUnit, Reason::BlockMismatch],
        "{unknown}"
    );
    assert_eq!(unknown.0[1].unit.as_ref().map(UnitId::as_str), Some("z"));
    assert!(unknown.to_string().contains("E1702"), "{unknown}");
    if !gpu() {
        let missing = refusal(vec![task("cam", "shallow", &[("gpu", 0, n)])]);
        assert_eq!(reasons(&missing), [Reason::MissingProvider], "{missing}");
        let missing = refusal(vec![task("cam", "shallow", &[("dla0", 0, n)])]);
        // What TensorRT would silently move to the GPU is found before TensorRT is looked for.
        let found = reasons(&missing);
        assert!(found == [Reason::MissingProvider] || found == [Reason::UnsupportedOperator], "{missing}");
    }
    let mut other = orders(Vec::new());
    other.profile = "jetson-agx-xavier".to_owned();
    assert_eq!(reasons(&runtime.prepare(PlanVersion(2), &other).unwrap_err()), [Reason::WrongBoard]);
    let answer = runtime.infer(&cam(), request(&picture(1)), None).unwrap().wait().unwrap();
    assert_eq!(answer.version, PlanVersion(1));
}

/// Whether this ONNX Runtime has CUDA.
fn gpu() -> bool {
    use ort::ep::ExecutionProvider;
    ort::ep::CUDA::is_available().unwrap_or(false)
}

#[test]
fn changed_files_are_not_loaded() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let runtime = runtime(settings(root.path()));
    let n = blocks(root.path(), "deep");
    let plan = || orders(vec![task("cam", "deep", &[("a", 0, n)])]);
    let file = root.path().join("small/deep/1/model.onnx");
    let fine = std::fs::read(&file).unwrap();
    let refused = |what: &str, reason: Reason| {
        let refused = runtime.prepare(PlanVersion(1), &plan()).expect_err(what);
        assert_eq!(reasons(&refused), [reason], "{what}: {refused}");
    };
    let mut changed = fine.clone();
    *changed.last_mut().unwrap() ^= 1;
    std::fs::write(&file, &changed).unwrap();
    refused("one bit", Reason::HashMismatch);
    std::fs::write(&file, &fine[..fine.len() / 2]).unwrap();
    refused("half a file", Reason::HashMismatch);
    std::fs::remove_file(&file).unwrap();
    refused("no file", Reason::MissingModel);
    let elsewhere = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(elsewhere.path(), &fine).unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), &file).unwrap();
    refused("a link, though to the right bytes", Reason::BadRepository);
    std::fs::remove_file(&file).unwrap();
    std::fs::write(&file, &fine).unwrap();
    drop(runtime.prepare(PlanVersion(1), &plan()).unwrap());
    std::fs::write(root.path().join("manifest.json"), b"{}").unwrap();
    refused("no manifest", Reason::BadRepository);
}

/// Fifty times a model file goes bad somewhere: the plan that needs it is refused, and the old one answers.
#[test]
fn a_model_that_goes_bad_is_refused_and_the_old_plan_answers() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let runtime = runtime(settings(root.path()));
    let n = blocks(root.path(), "deep");
    let whole = || vec![task("cam", "deep", &[("a", 0, n)])];
    go(&runtime, 1, whole());
    let file = root.path().join("small/deep/1/model.onnx");
    let fine = std::fs::read(&file).unwrap();
    for round in 0..50 {
        let mut bad = fine.clone();
        let at = (round * 7919) % bad.len();
        bad[at] ^= 1 << (round % 8);
        std::fs::write(&file, &bad).unwrap();
        // Another cut, so that the running sessions cannot serve it.
        let cut = vec![task("cam", "deep", &[("a", 0, 1), ("b", 1, n)])];
        let refused = runtime.prepare(PlanVersion(2), &orders(cut)).expect_err("a bad model");
        assert_eq!(reasons(&refused), [Reason::HashMismatch], "{refused}");
        assert_eq!(runtime.running(), Some(PlanVersion(1)));
        assert_eq!(runtime.model(&cam()).unwrap().version, PlanVersion(1));
        std::fs::write(&file, &fine).unwrap();
    }
    go(&runtime, 2, vec![task("cam", "deep", &[("a", 0, 1), ("b", 1, n)])]);
}

#[test]
fn sessions_that_do_not_fit_are_not_loaded() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let n = blocks(root.path(), "deep");
    let deep = || task("cam", "deep", &[("a", 0, n)]);
    let free = runtime(settings(root.path()));
    let bytes = free.prepare(PlanVersion(1), &orders(vec![deep()])).unwrap().report().bytes;
    assert!(bytes > 1 << 16);
    let mut tight = settings(root.path());
    tight.memory_bytes = Some(bytes);
    let tight = runtime(tight);
    go(&tight, 1, vec![deep()]);
    // The same model for another tenant shares the session; another one must stand beside it.
    let shared =
        tight.prepare(PlanVersion(2), &orders(vec![deep(), task("mic", "deep", &[("a", 0, n)])])).unwrap();
    assert_eq!((shared.report().reused, shared.report().loaded, shared.report().bytes), (1, 0, 0));
    shared.abort();
    let refused =
        tight.prepare(PlanVersion(2), &orders(vec![task("cam", "deep", &[("b", 0, n)])])).unwrap_err();
    assert_eq!(reasons(&refused), [Reason::OutOfMemory], "{refused}");
    // And by what the kernel says is free.
    let proc = tempfile::tempdir().unwrap();
    std::fs::write(proc.path().join("meminfo"), "MemAvailable: 16 kB\n").unwrap();
    let mut poor = settings(root.path());
    poor.proc = proc.path().to_owned();
    let refused = runtime(poor).prepare(PlanVersion(1), &orders(vec![deep()])).unwrap_err();
    assert_eq!(reasons(&refused), [Reason::OutOfMemory], "{refused}");
}

#[test]
fn requests_that_do_not_fit_the_model_are_invalid() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let runtime = runtime(settings(root.path()));
    let n = blocks(root.path(), "shallow");
    go(&runtime, 1, vec![task("cam", "shallow", &[("a", 0, n)])]);
    let fine = request(&picture(1));
    let invalid = |request: InferRequest| match runtime.infer(&cam(), request, None) {
        Err(InferError::Invalid(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(invalid(InferRequest::default()).contains("must be given once"));
    assert!(
        invalid(InferRequest { inputs: [&fine.inputs[..], &fine.inputs].concat(), outputs: vec![] })
            .contains("once")
    );
    assert!(invalid(InferRequest { outputs: vec!["y".into()], ..fine.clone() }).contains("no output"));
    assert!(invalid(InferRequest { outputs: vec!["logits".into(); 2], ..fine.clone() }).contains("twice"));
    let flat = ecomap_executor::runtime::Tensor::new(
        "input",
        fine.inputs[0].datatype(),
        vec![1, 3 * SIZE * SIZE],
        fine.inputs[0].data().clone(),
    );
    assert!(
        invalid(InferRequest { inputs: vec![flat.unwrap()], outputs: vec![] }).contains("the model takes")
    );
    let counts = runtime.counters().tenants[&cam()].clone();
    assert_eq!((counts.arrivals, counts.invalid, counts.under_way), (5, 5, 0));
    assert!(runtime.infer(&cam(), fine, None).unwrap().wait().is_ok());
}

#[test]
fn a_full_tenant_is_turned_away_and_late_requests_do_not_run() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let mut settings = settings(root.path());
    settings.under_way = 4;
    let runtime = runtime(settings);
    let n = blocks(root.path(), "deep");
    go(&runtime, 1, vec![task("cam", "deep", &[("a", 0, n)]), task("mic", "deep", &[("a", 0, n)])]);
    // More at once than may be under way, however fast the unit is beside this thread: each is answered or turned away,
    // none is lost.
    let (mut taken, mut busy) = (Vec::new(), 0);
    while busy == 0 && taken.len() < 10_000 {
        match runtime.infer(&cam(), request(&picture(1)), None) {
            Ok(pending) => taken.push(pending),
            Err(InferError::Busy(4)) => busy += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(taken.len() >= 4 && busy == 1, "{} {busy}", taken.len());
    taken.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
    // No time at all: it never begins.
    let late = runtime.infer(&cam(), request(&picture(1)), Some(Duration::ZERO)).unwrap().wait();
    assert_eq!(late, Err(InferError::Expired));
    let counts = runtime.counters().tenants[&cam()].clone();
    assert_eq!((counts.busy, counts.expired, counts.deadline_misses() >= 1), (busy, 1, true));
    // A client that gave up is not worked for. Its requests wait behind another tenant's; where the unit was faster than
    // the client, once more.
    let counts = wait_for(|| {
        let mic = TenantId::from("mic");
        let ahead: Vec<_> =
            (0..4).map(|_| runtime.infer(&mic, request(&picture(1)), None).unwrap()).collect();
        let given_up: Vec<_> =
            (0..4).map(|_| runtime.infer(&cam(), request(&picture(1)), None).unwrap()).collect();
        drop(given_up);
        ahead.into_iter().for_each(|pending| drop(pending.wait().unwrap()));
        let counts = wait_for(|| {
            let counts = runtime.counters().tenants[&cam()].clone();
            (counts.under_way == 0).then_some(counts)
        })?;
        (counts.abandoned >= 1).then_some(counts)
    })
    .unwrap();
    assert_eq!(counts.arrivals, counts.completions() + counts.busy + counts.expired + counts.abandoned);
}

#[test]
fn a_tenant_that_the_plan_drops_is_not_served_and_comes_back() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let runtime = runtime(settings(root.path()));
    let n = blocks(root.path(), "shallow");
    let plan = || vec![task("cam", "shallow", &[("a", 0, n)])];
    go(&runtime, 1, plan());
    go(&runtime, 2, Vec::new());
    assert!(matches!(runtime.infer(&cam(), request(&picture(1)), None), Err(InferError::NotServed)));
    assert_eq!((runtime.model(&cam()), runtime.tenants()), (None, vec![]));
    assert_eq!(runtime.counters().tenants[&cam()].tier, None);
    go(&runtime, 3, plan());
    let answer = runtime.infer(&cam(), request(&picture(1)), None).unwrap().wait().unwrap();
    assert_eq!(answer.version, PlanVersion(3));
    let counts = &runtime.counters().tenants[&cam()];
    assert_eq!(counts.tier, Some(TierId::from("shallow")));
    drop(runtime);
}

#[test]
fn stopping_answers_what_is_under_way() {
    if !onnxruntime() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    let runtime = runtime(settings(root.path()));
    let n = blocks(root.path(), "deep");
    go(&runtime, 1, vec![task("cam", "deep", &[("a", 0, n)])]);
    let waiting: Vec<_> =
        (0..32).map(|_| runtime.infer(&cam(), request(&picture(1)), None).unwrap()).collect();
    drop(runtime);
    for pending in waiting {
        match pending.wait() {
            Ok(_) | Err(InferError::Closed) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_unit_whose_cores_do_not_exist_is_an_error_at_the_start() {
    let root = tempfile::tempdir().unwrap();
    let mut settings = settings(root.path());
    settings.units[1].cores = vec![1_000_000];
    let error =
        ecomap_executor::runtime::ort::OrtRuntime::new(settings, Arc::new(SystemClock::new())).unwrap_err();
    assert!(error.to_string().contains("E1710 unit `b`"), "{error}");
}

#[test]
fn the_profile_tells_which_nodes_ran_elsewhere() {
    if !onnxruntime() {
        return;
    }
    use ecomap_executor::runtime::ort::fallback::elsewhere;
    let folder = tempfile::tempdir().unwrap();
    let environment = ecomap_onnxruntime::environment().unwrap();
    let mut session = ort::session::Session::builder(environment)
        .unwrap()
        .with_profiling(folder.path().join("p"))
        .unwrap()
        .commit_from_memory(&small(false, 1).encode())
        .unwrap();
    let shape = vec![1_i64, 3, SIZE as i64, SIZE as i64];
    let picture = picture(1);
    let input = ort::value::TensorRef::from_array_view((shape, &picture[..])).unwrap();
    drop(session.run(ort::inputs![input]).unwrap());
    let file = session.end_profiling().unwrap();
    // On a CPU unit nothing is elsewhere; on any other everything would be.
    assert_eq!(elsewhere(file.as_ref(), &["CPUExecutionProvider"]).unwrap(), Vec::<String>::new());
    let nodes = elsewhere(file.as_ref(), &["CUDAExecutionProvider"]).unwrap();
    assert!(nodes.len() > 10, "{nodes:?}");
    assert!(nodes.iter().any(|n| n.contains("Conv") && n.ends_with("on CPUExecutionProvider")), "{nodes:?}");
    std::fs::write(folder.path().join("none"), b"[]").unwrap();
    assert!(elsewhere(&folder.path().join("none"), &["CPUExecutionProvider"]).is_err());
}
