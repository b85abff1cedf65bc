//! The shipped model: its guarantees, its accuracy on fresh plans, and the fallback.

#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::indexing_slicing)]

use ecomap_estimator::dataset::{Draw, Effort, Row, Sampler, Split, make};
use ecomap_estimator::evaluation::judge;
use ecomap_estimator::features::{Encoded, encode};
use ecomap_estimator::learned::artifact::{Artifact, Conformal};
use ecomap_estimator::learned::forest::Forests;
use ecomap_estimator::learned::network::Network;
use ecomap_estimator::learned::{Learned, Options, Serve, library};
use ecomap_estimator::predictor::{DevicePlan, Predictor, Source, Task};
use ecomap_instances::ids::ModeIx;
use ecomap_instances::scenario::Segment;
use ecomap_instances::units::Hertz;
use ecomap_instances::{Catalog, Seed};

/// Whether ONNX Runtime is here; says so if not.
fn runtime() -> bool {
    let there = library::find().is_some();
    if !there {
        eprintln!("skipped: ONNX Runtime is not installed; {}", library::REMEDY);
    }
    there
}

fn learned(cache: usize) -> Learned {
    Learned::load(&Options { cache, serve: Serve::Transformer, ..Options::default() }).unwrap()
}

fn draws(split: Split, count: u64) -> Vec<Draw> {
    let sampler = Sampler::embedded().unwrap();
    (0..count).map(|n| sampler.draw(Seed(99), split, n)).collect()
}

fn plan(rates: &[f64]) -> DevicePlan {
    let catalog = Catalog::embedded().unwrap();
    let profile = catalog.profile("jetson-agx-xavier").unwrap();
    let unit = |id: &str| profile.unit_position(id).unwrap();
    let tasks = rates
        .iter()
        .zip(["resnet", "mobilenet-v2", "vgg", "resnet"])
        .enumerate()
        .map(|(n, (rate, family))| {
            let family = catalog.family(family).unwrap().clone();
            let tier = n % family.tiers.len();
            let to = family.tiers[tier].blocks.len();
            let on = unit(["gpu", "gpu", "dla0", "cpu0"][n]);
            let segments = if n == 0 {
                vec![Segment { from: 0, to: 2, unit: on }, Segment { from: 2, to, unit: unit("cpu1") }]
            } else {
                vec![Segment { from: 0, to, unit: on }]
            };
            Task { family, tier, segments, rate: Hertz::new(*rate) }
        })
        .collect();
    DevicePlan { profile: profile.clone(), mode: ModeIx::new(0), tasks }
}

#[test]
fn fresh_plans_are_predicted_within_the_targets() {
    if !runtime() {
        return;
    }
    let artifact = Artifact::embedded().unwrap();
    let network = Network::load(&artifact, 1, 64).unwrap();
    for (split, factor) in [(Split::Test, 1.0), (Split::TestDevice, 2.0), (Split::TestFamily, 2.0)] {
        let rows: Vec<Row> = draws(split, 150).iter().map(|d| make(d, Effort::TRAIN).unwrap().0).collect();
        let encoded: Vec<Encoded> = rows.iter().map(|r| r.features.clone()).collect();
        let answers = network.run(&encoded).unwrap();
        let v = judge::judge(&rows.iter().collect::<Vec<_>>(), &answers, artifact.record.conformal);
        assert!(
            v.latency[0] <= 4.0 * factor && v.latency[1] <= 8.0 * factor && v.power <= 3.0 * factor,
            "{split:?} {v:?}"
        );
        assert!((92.0..98.0).contains(&v.covered95), "{split:?} {v:?}");
    }
}

#[test]
fn padding_and_neighbours_are_without_effect() {
    if !runtime() {
        return;
    }
    let network = Network::load(&Artifact::embedded().unwrap(), 1, 64).unwrap();
    let plans: Vec<Encoded> = draws(Split::Test, 40).iter().map(|d| encode(&d.soc, &d.streams)).collect();
    let together = network.run(&plans).unwrap();
    for (plan, wanted) in plans.iter().zip(&together) {
        let alone = network.run(std::slice::from_ref(plan)).unwrap();
        for (a, b) in alone[0].slowdown.iter().flatten().zip(wanted.slowdown.iter().flatten()) {
            assert!((a / b - 1.0).abs() < 1e-4, "{a} {b}");
        }
        assert!((alone[0].power_w / wanted.power_w - 1.0).abs() < 1e-4);
    }
}

#[test]
fn the_order_of_tenants_is_without_effect() {
    if !runtime() {
        return;
    }
    let learned = learned(0);
    let forward = plan(&[3.0, 20.0, 5.0, 1.0]);
    let mut backward = forward.clone();
    backward.tasks.reverse();
    let answers = learned.joint(&[forward, backward]).unwrap();
    assert!((answers[0].power.get() / answers[1].power.get() - 1.0).abs() < 1e-5);
    for (a, b) in answers[0].tasks.iter().zip(answers[1].tasks.iter().rev()) {
        let (a, b) = (a.as_ref().unwrap(), b.as_ref().unwrap());
        assert!((a.latency.p95.get() / b.latency.p95.get() - 1.0).abs() < 1e-4);
    }
}

#[test]
fn answers_keep_their_guarantees_and_add_up() {
    if !runtime() {
        return;
    }
    let learned = learned(0);
    let plans: Vec<DevicePlan> = (1..40_u32)
        .map(|n| plan(&[0.2 * f64::from(n), 2.0 * f64::from(n), 0.3, 0.01 * f64::from(n)]))
        .collect();
    for (answer, asked) in learned.joint(&plans).unwrap().iter().zip(&plans) {
        assert_eq!(answer.source, Source::Transformer);
        let idle = asked.profile.modes[0].idle;
        assert!(answer.power >= idle);
        for task in answer.tasks.iter().flatten() {
            let (l, i, s) = (task.latency, task.isolated, task.slowdown);
            assert!(l.p50 >= i.p50 && l.p95 >= i.p95 && l.p99 >= i.p99);
            assert!(l.p50 <= l.p95 && l.p95 <= l.p99);
            assert!(s.p50 >= 1.0 && s.p95 >= 1.0 && s.p99 >= 1.0);
            let parts =
                task.parts.service + task.parts.transfer + task.parts.contention + task.parts.queueing;
            assert!((parts.get() / l.p50.get() - 1.0).abs() < 1e-9);
        }
        assert_eq!(answer.tasks.iter().flatten().count(), 4);
    }
    // Far beyond what a board can serve, the answer says that it is a guess.
    assert!(learned.joint(&[plan(&[500.0])]).unwrap()[0].extrapolated);
}

#[test]
fn the_cache_changes_nothing() {
    if !runtime() {
        return;
    }
    let (kept, fresh) = (learned(16), learned(0));
    let plans: Vec<DevicePlan> = (1..9_u32).map(|n| plan(&[f64::from(n), 4.0])).collect();
    let first = kept.joint(&plans).unwrap();
    assert_eq!(kept.joint(&plans).unwrap(), first);
    assert_eq!(fresh.joint(&plans).unwrap(), first);
}

#[test]
fn a_task_that_cannot_run_has_no_prediction() {
    if !runtime() {
        return;
    }
    let mut broken = plan(&[3.0, 20.0]);
    broken.tasks[1].segments[0].to -= 1;
    let answer = &learned(0).joint(&[broken]).unwrap()[0];
    assert!(answer.tasks[0].is_some() && answer.tasks[1].is_none());
    let mut nowhere = plan(&[3.0]);
    nowhere.mode = ModeIx::new(99);
    assert!(learned(0).joint(&[nowhere]).is_err());
}

#[test]
fn the_forest_serves_where_the_network_cannot() {
    let forests = Forests::embedded().unwrap();
    let rows: Vec<Row> = draws(Split::Test, 120).iter().map(|d| make(d, Effort::TRAIN).unwrap().0).collect();
    let encoded: Vec<Encoded> = rows.iter().map(|r| r.features.clone()).collect();
    let answers = forests.run(&encoded).unwrap();
    let none = Conformal { p95: 1.0, p99: 1.0 };
    let v = judge::judge(&rows.iter().collect::<Vec<_>>(), &answers, none);
    assert!(v.latency[0] < 8.0 && v.latency[1] < 20.0 && v.power < 5.0, "{v:?}");
}
