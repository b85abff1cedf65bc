//! The simulator against queueing theory and figures worked out by hand.

#![allow(clippy::unwrap_used, clippy::cast_precision_loss, clippy::indexing_slicing)]

use ecomap_estimator::queueing::wait_quantile;
use ecomap_estimator::sim::contention::Curve;
use ecomap_estimator::sim::{
    Arrivals, Discipline, Jitter, Outcome, Run, SimError, Soc, SocUnit, Stage, Stream, Work, simulate,
};
use ecomap_instances::Seed;
use ecomap_instances::profile::UnitKind;
use ecomap_instances::units::Millis;
use proptest::prelude::*;

const CURVE: Curve = Curve { minor: 0.0, knee: 0.4, steep: 1.0, shoulder: 2.0, flat: 0.0 };

fn unit(discipline: Discipline) -> SocUnit {
    let kind = if discipline == Discipline::Fifo { UnitKind::Dla } else { UnitKind::Gpu };
    SocUnit { kind, discipline, curve: CURVE, stall_power: 0.5 }
}

fn shared(quantum_ms: f64) -> Discipline {
    Discipline::RoundRobin { quantum_ms, switch_ms: 0.0 }
}

/// 1000 bytes per ms, 5 W idle, no limit in reach.
fn soc(units: &[Discipline]) -> Soc {
    Soc { units: units.iter().map(|d| unit(*d)).collect(), bandwidth: 1000.0, idle_w: 5.0, limit_w: 100.0 }
}

fn work(time_ms: f64) -> Work {
    Work { time_ms, memory_share: 0.0, traffic: 0.0, watts: 10.0 }
}

fn stage(unit: usize, blocks: Vec<Work>) -> Stage {
    Stage { unit, blocks, jitter: Jitter::NONE, transfer_ms: 0.0, transfer_w: 0.0 }
}

fn stream(stages: Vec<Stage>, arrivals: Arrivals) -> Stream {
    Stream { stages, arrivals, queue_limit: 1000 }
}

fn poisson(gap_ms: f64) -> Arrivals {
    Arrivals::Poisson { gap_ms }
}

fn run(measure_ms: f64) -> Run {
    Run { seed: Seed(3), warmup_ms: 1000.0, measure_ms, max_events: 100_000_000 }
}

fn go(soc: &Soc, streams: &[Stream], measure_ms: f64) -> Outcome {
    simulate(soc, streams, &run(measure_ms)).unwrap()
}

fn close(got: f64, wanted: f64, relative: f64) {
    assert!((got - wanted).abs() <= relative * wanted, "{got} is not {wanted} within {relative}");
}

#[test]
fn a_clock_alone_meets_nobody() {
    let mut first = stage(0, vec![work(2.0), work(3.0)]);
    first.transfer_ms = 0.5;
    first.transfer_w = 4.0;
    let chain = vec![first, stage(1, vec![work(1.0)])];
    let alone = stream(chain, Arrivals::Periodic { gap_ms: 20.0, jitter: 0.0 });
    let out = go(&soc(&[shared(1.0), Discipline::Fifo]), &[alone], 20_000.0);
    for q in [0.5, 0.95, 0.99, 1.0] {
        close(out.streams[0].at(q).unwrap(), 6.5, 1e-9);
    }
    close(out.busy[0], 0.25, 1e-3);
    close(out.busy[1], 0.05, 1e-3);
    // 5 W idle, 10 W for 6 of 20 ms, 4 W for 0.5 of 20 ms.
    close(out.power_w, 5.0 + 3.0 + 0.1, 2e-3);
    assert_eq!(out.streams[0].dropped, 0);
}

#[test]
fn one_queue_waits_as_erlang_says() {
    for rho in [0.3, 0.6, 0.8] {
        let alone = stream(vec![stage(0, vec![work(1.0)])], poisson(1.0 / rho));
        let out = go(&soc(&[Discipline::Fifo]), &[alone], 400_000.0);
        for q in [0.5, 0.95, 0.99] {
            let wanted = 1.0 + wait_quantile(Millis::new(1.0), rho, q).get();
            close(out.streams[0].at(q).unwrap(), wanted, 0.05);
        }
    }
}

#[test]
fn a_chain_waits_before_its_slowest_unit_only() {
    // Friedman (1965): 1 ms, 2 ms, 1 ms wait like 2 ms alone.
    let units = [Discipline::Fifo, Discipline::Fifo, Discipline::Fifo];
    let chain = vec![stage(0, vec![work(1.0)]), stage(1, vec![work(2.0)]), stage(2, vec![work(1.0)])];
    let out = go(&soc(&units), &[stream(chain, poisson(3.0))], 600_000.0);
    for q in [0.5, 0.95] {
        let wanted = 4.0 + wait_quantile(Millis::new(2.0), 2.0 / 3.0, q).get();
        close(out.streams[0].at(q).unwrap(), wanted, 0.05);
    }
}

#[test]
fn first_come_first_served_waits_as_pollaczek_and_khinchine_say() {
    // Loads 0.3 and 0.4 with services 1 and 4 ms: W = (0.3·1 + 0.4·4) / 2 / (1 − 0.7).
    let a = stream(vec![stage(0, vec![work(1.0)])], poisson(1.0 / 0.3));
    let b = stream(vec![stage(0, vec![work(4.0)])], poisson(10.0));
    let out = go(&soc(&[Discipline::Fifo]), &[a, b], 1_000_000.0);
    let wait = 1.9 / 2.0 / 0.3;
    close(out.streams[0].mean_ms, 1.0 + wait, 0.03);
    close(out.streams[1].mean_ms, 4.0 + wait, 0.03);
    close(out.busy[0], 0.7, 0.01);
}

#[test]
fn many_light_tenants_share_a_gpu_like_processor_sharing() {
    // 40 tenants, load 0.015 each: in processor sharing the mean is s / (1 − ρ) for each of them.
    let streams: Vec<Stream> = (0..40)
        .map(|n| {
            let s = 2.0 + f64::from(n % 10);
            stream(vec![stage(0, vec![work(s)])], poisson(s / 0.015))
        })
        .collect();
    let out = go(&soc(&[shared(0.05)]), &streams, 500_000.0);
    let stretch: f64 =
        out.streams.iter().zip(&streams).map(|(o, s)| o.mean_ms / s.base_ms()).sum::<f64>() / 40.0;
    close(stretch, 1.0 / (1.0 - 0.6), 0.05);
}

/// A stream that keeps its unit busy for ever.
fn hog(unit: usize, demand: f64, watts: f64) -> Stream {
    let block = Work { time_ms: 1.0, memory_share: 0.0, traffic: demand, watts };
    Stream {
        stages: vec![stage(unit, vec![block])],
        arrivals: Arrivals::Periodic { gap_ms: 0.5, jitter: 0.0 },
        queue_limit: 4,
    }
}

#[test]
fn memory_contention_by_hand() {
    // Own request 0.3 of the bandwidth, the other's 0.5: loss 0.4 against 0; 80 % of the time
    // waits for memory: 10 ms · (1 + 0.8 · (1 / 0.6 − 1)).
    let block = Work { time_ms: 10.0, memory_share: 0.8, traffic: 3000.0, watts: 10.0 };
    let victim = stream(vec![stage(0, vec![block])], Arrivals::Periodic { gap_ms: 50.0, jitter: 0.0 });
    let out = go(&soc(&[shared(1.0), Discipline::Fifo]), &[victim, hog(1, 500.0, 0.0)], 10_000.0);
    let slow = 1.0 + 0.8 * (1.0 / 0.6 - 1.0);
    close(out.streams[0].at(0.5).unwrap(), 10.0 * slow, 1e-6);
    // Stalled, the unit draws half: 10 W · (0.5 + 0.5 / slow) for 10 · slow of 50 ms.
    close(out.power_w, 5.0 + 10.0 * (0.5 + 0.5 / slow) * 10.0 * slow / 50.0, 2e-3);
}

#[test]
fn the_limit_lowers_clocks() {
    // 40 W over 5 W idle against a limit of 25 W: half speed, and the limit is what is drawn.
    let mut board = soc(&[shared(1.0), Discipline::Fifo]);
    board.limit_w = 25.0;
    let out = go(&board, &[hog(0, 0.0, 30.0), hog(1, 0.0, 10.0)], 5_000.0);
    close(out.power_w, 25.0, 1e-6);
    close(out.throttled, 1.0, 1e-6);
    // Arrivals come at four times what half speed serves.
    close(out.streams[0].dropped as f64 / out.streams[0].arrived as f64, 0.75, 0.01);
}

#[test]
fn queues_are_bounded() {
    let out = go(&soc(&[Discipline::Fifo]), &[hog(0, 0.0, 1.0)], 5_000.0);
    close(out.streams[0].dropped as f64 / out.streams[0].arrived as f64, 0.5, 0.01);
    assert!(out.streams[0].at(1.0).unwrap() <= 4.0 + 1e-6);
}

#[test]
fn recorded_gaps_are_repeated() {
    let gaps = Arrivals::Trace { gaps_ms: vec![1.0, 1.0, 18.0].into() };
    let out = go(&soc(&[Discipline::Fifo]), &[stream(vec![stage(0, vec![work(2.0)])], gaps)], 60_000.0);
    assert_eq!(out.streams[0].arrived, 9_000);
    // Three in a row: 2, 3 and 4 ms.
    close(out.streams[0].at(0.5).unwrap(), 3.0, 1e-6);
    close(out.streams[0].mean_ms, 3.0, 1e-3);
}

#[test]
fn the_work_limit_ends_a_run_and_says_so() {
    let alone = stream(vec![stage(0, vec![work(1.0)])], poisson(2.0));
    let few = Run { max_events: 100, ..run(1e9) };
    let out = simulate(&soc(&[Discipline::Fifo]), &[alone], &few).unwrap();
    assert!(out.cut_short && out.events == 100);
}

#[test]
fn malformed_plans_are_refused() {
    let board = soc(&[Discipline::Fifo]);
    let good = stream(vec![stage(0, vec![work(1.0)])], poisson(2.0));
    let with = |change: &dyn Fn(&mut Stream)| {
        let mut s = good.clone();
        change(&mut s);
        simulate(&board, &[good.clone(), s], &run(10.0)).map(|_| ())
    };
    let bad: [&dyn Fn(&mut Stream); 7] = [
        &|s| s.stages.clear(),
        &|s| s.stages[0].blocks.clear(),
        &|s| s.stages[0].unit = 1,
        &|s| s.stages[0].blocks[0].time_ms = f64::NAN,
        &|s| s.stages[0].blocks[0].memory_share = 1.5,
        &|s| s.arrivals = poisson(0.0),
        &|s| s.queue_limit = 0,
    ];
    for (n, change) in bad.iter().enumerate() {
        assert!(matches!(with(change), Err(SimError::Stream { stream: 1, .. })), "case {n}");
    }
    let forever = Run { measure_ms: f64::INFINITY, ..run(1.0) };
    assert_eq!(simulate(&board, &[good], &forever), Err(SimError::Number { what: "measure_ms" }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Same input, same outcome; requests are neither made nor lost; nobody is faster than alone.
    #[test]
    fn runs_repeat_and_conserve_requests(
        seed in any::<u64>(),
        shapes in prop::collection::vec((0.1..8.0f64, 0..3usize, 0.02..0.3f64, 0..2usize, 0.0..0.9f64), 1..6),
    ) {
        let board = soc(&[shared(0.5), Discipline::Fifo, shared(3.0)]);
        let streams: Vec<Stream> = shapes
            .iter()
            .map(|&(time, unit, load, kind, memory)| {
                let block = Work { time_ms: time, memory_share: memory, traffic: 600.0 * time, watts: 8.0 };
                let gap_ms = time / load;
                let arrivals =
                    if kind == 0 { poisson(gap_ms) } else { Arrivals::Periodic { gap_ms, jitter: 0.2 } };
                let mut s = stage(unit, vec![block, block]);
                s.jitter = Jitter { p95: 1.1, p99: 1.3 };
                Stream { stages: vec![s], arrivals, queue_limit: 16 }
            })
            .collect();
        let run = Run { seed: Seed(seed), warmup_ms: 200.0, measure_ms: 3000.0, max_events: 1_000_000 };
        let out = simulate(&board, &streams, &run).unwrap();
        prop_assert_eq!(&out, &simulate(&board, &streams, &run).unwrap());
        for (o, s) in out.streams.iter().zip(&streams) {
            prop_assert!(o.completed + o.dropped <= o.arrived);
            prop_assert!(o.arrived - o.completed - o.dropped <= 16);
            if o.completed > 0 {
                prop_assert!(o.quantiles.windows(2).all(|w| w[0] <= w[1]));
                prop_assert!(o.quantiles[0] >= s.base_ms() * (1.0 - 1e-9));
            }
        }
        prop_assert!(out.power_w >= board.idle_w - 1e-9);
        prop_assert!(out.busy.iter().all(|b| (0.0..=1.0 + 1e-9).contains(b)));
    }
}

#[test]
fn a_closed_loop_sends_the_next_request_after_the_answer() {
    // 4 ms of work and 6 ms of thinking: busy for 0.4 of the time, never a wait.
    let mut alone = stream(vec![stage(0, vec![work(4.0)])], Arrivals::Closed { think_ms: 6.0 });
    close(alone.gap_ms(), 10.0, 1e-12);
    let out = go(&soc(&[shared(1.0)]), &[alone.clone()], 20_000.0);
    close(out.busy[0], 0.4, 1e-3);
    close(out.streams[0].at(1.0).unwrap(), 4.0, 1e-9);
    close(out.streams[0].completed as f64, 2000.0, 1e-3);
    // Two loops without thinking share a FIFO unit: each waits for the whole of the other.
    alone.arrivals = Arrivals::Closed { think_ms: 0.0 };
    let long = stream(vec![stage(0, vec![work(8.0)])], Arrivals::Closed { think_ms: 0.0 });
    let out = go(&soc(&[Discipline::Fifo]), &[alone.clone(), long], 20_000.0);
    close(out.busy[0], 1.0, 1e-6);
    close(out.streams[0].mean_ms, 12.0, 1e-6);
    close(out.streams[1].mean_ms, 12.0, 1e-6);
    assert_eq!(out.streams[0].dropped, 0);
    alone.arrivals = Arrivals::Closed { think_ms: -1.0 };
    assert!(matches!(simulate(&soc(&[shared(1.0)]), &[alone], &run(10.0)), Err(SimError::Stream { .. })));
}
