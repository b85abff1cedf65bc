use super::*;
use crate::mapa::Policy;
use crate::synergy::Mechanism;
use ecomap_instances::format::accelerators_v1;

fn workload(question: &str, jobs: &str) -> Workload {
    let text = format!(
        r#"{{"format": "ecomap.accelerator-jobs/v1", "name": "x", "question": "{question}",
        "servers": [{{"id": "d", "topology": {{"named": "dgx-1-v100"}}, "cpus": 24, "memory_gb": 500}}],
        "jobs": [{jobs}]}}"#
    );
    accelerators_v1::read(text.as_bytes()).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_first_that_waits_holds_up_all_others() {
    let workload = workload(
        "topology",
        r#"{"id": "a", "accelerators": 5, "arrival_s": 0, "service_s": 100},
        {"id": "b", "accelerators": 5, "arrival_s": 1, "service_s": 10},
        {"id": "c", "accelerators": 1, "arrival_s": 2, "service_s": 10}"#,
    );
    let report =
        run(&workload, Method::Mapa(Policy::Baseline), Order::Fifo).unwrap_or_else(|e| panic!("{e}"));
    let times: Vec<_> = report.finished.iter().map(|f| (f.start, f.end)).collect();
    assert_eq!(times, [(0.0, 100.0), (100.0, 110.0), (100.0, 110.0)]);
    assert_eq!((report.makespan, report.completion(0.5), report.completion(1.0)), (110.0, 108.0, 109.0));
    assert!((report.utilisation - (500.0 + 50.0 + 10.0) / 880.0).abs() < 1e-12);
}

#[test]
fn worse_links_take_longer() {
    let workload = workload(
        "topology",
        r#"{"id": "a", "accelerators": 2, "bandwidth_sensitive": true, "communication": 0.5,
        "arrival_s": 0, "service_s": 100}"#,
    );
    let end = |policy| {
        let report = run(&workload, Method::Mapa(policy), Order::Fifo).unwrap_or_else(|e| panic!("{e}"));
        report.finished[0].end
    };
    assert!((end(Policy::Preserve) - 100.0).abs() < 1e-9);
    // Accelerators 0 and 1 have a single link: 27.720 GB/s and not 58.925.
    assert!((end(Policy::Baseline) - (50.0 + 50.0 * 58.925 / 27.720)).abs() < 0.01);
}

#[test]
fn rounds_run_at_the_speed_of_the_share() {
    let workload = workload(
        "resources",
        r#"{"id": "a", "accelerators": 1, "arrival_s": 10, "service_s": 900, "sensitivity":
            {"cpus": [3, 9], "memory_gb": [62.5], "speed": [[1], [2.4]]}}"#,
    );
    let end = |mechanism| {
        let report =
            run(&workload, Method::Synergy(mechanism), Order::Fifo).unwrap_or_else(|e| panic!("{e}"));
        report.finished[0].end
    };
    assert_eq!(end(Mechanism::Proportional), 1200.0);
    for mechanism in [Mechanism::Tune, Mechanism::Opt, Mechanism::Drf, Mechanism::Tetris] {
        assert!((end(mechanism) - 675.0).abs() < 1e-9, "{mechanism:?}");
    }
}

/// When each of two jobs that want the whole server ends, by the order of rounds.
fn ends(order: Order, first: f64, second: f64) -> (f64, f64) {
    let workload = workload(
        "resources",
        &format!(
            r#"{{"id": "a", "accelerators": 8, "arrival_s": 0, "service_s": {first}}},
            {{"id": "b", "accelerators": 8, "arrival_s": 0, "service_s": {second}}}"#
        ),
    );
    let report = run(&workload, Method::Synergy(Mechanism::Proportional), order);
    let report = report.unwrap_or_else(|e| panic!("{e}"));
    let end = |job: usize| {
        report.finished.iter().find(|f| f.job.at() == job).map_or(f64::NAN, |finished| finished.end)
    };
    (end(0), end(1))
}

#[test]
fn orders_share_rounds_out_as_they_say() {
    // First come: one after the other.
    assert_eq!(ends(Order::Fifo, 3000.0, 300.0), (3000.0, 3300.0));
    // Least remaining: the short one first.
    assert_eq!(ends(Order::Srtf, 3000.0, 300.0), (3300.0, 300.0));
    // Least attained service: a round each, in turn; where both have had as much, the first goes on.
    assert_eq!(ends(Order::Las, 600.0, 600.0), (900.0, 1200.0));
    assert_eq!(ends(Order::Las, 3000.0, 600.0), (3600.0, 1200.0));
    // Finish-time fairness: after a round of waiting the short job's finish is put off twofold, the
    // long one's not at all.
    assert_eq!(ends(Order::Ftf, 3000.0, 300.0), (3300.0, 600.0));
}
