//! Drift is noticed soon, and rarely where there is none.

use crate::stream::{Stream, is_latency_drift};
use ecomap_estimator::calibrate::{Calibration, Direction, Event, Quantity, Settings};

#[test]
fn a_jump_is_noticed_and_covered_again() {
    for (jump, direction) in [(0.4, Direction::Slower), (-0.4, Direction::Faster)] {
        let mut delays = Vec::new();
        for seed in 0..20 {
            let mut calibration = Calibration::new(Settings::default()).unwrap();
            let mut stream = Stream::new("d", "f", seed);
            let (mut noticed, mut covered, mut total) = (None, 0.0, 0.0);
            for step in 0..1200 {
                if step == 700 {
                    stream.bias += jump;
                }
                let new = stream.next();
                if step >= 800 {
                    let said = calibration.predict(&new.placed, &new.predicted).unwrap();
                    covered += new.latencies.sample.iter().filter(|&&l| l <= said.p95).count() as f64;
                    total += stream.samples as f64;
                }
                for event in calibration.observe(&new).unwrap() {
                    if let Event::Drift(drift) = event
                        && drift.quantity == Quantity::Latency
                        && noticed.is_none()
                    {
                        assert!(step >= 700, "a false alarm at {step}");
                        assert_eq!((drift.direction, drift.at_ms), (direction, new.at_ms));
                        assert!(drift.statistic >= drift.threshold);
                        noticed = Some(step - 700);
                    }
                }
            }
            delays.push(noticed.unwrap_or(u32::MAX));
            let share = covered / total;
            assert!((0.90..=0.99).contains(&share), "seed {seed}: {share} afterwards");
        }
        delays.sort_unstable();
        println!("jump {jump}: median delay {}, worst {}", delays[10], delays[19]);
        assert!(delays[10] <= 25 && delays[19] <= 60, "{delays:?}");
    }
}

#[test]
fn stationary_streams_raise_few_alarms() {
    // Latency and power are tested: two tests a stream, each at the stated rate.
    let (mut latency, mut power) = (0, 0);
    for seed in 0..200 {
        let settings = Settings { seed, drift_alpha: 0.05, window: 64, ..Settings::default() };
        let mut calibration = Calibration::new(settings).unwrap();
        let mut stream = Stream::new("d", "f", 1000 + seed);
        stream.samples = 1;
        let (mut latency_here, mut power_here) = (false, false);
        for _ in 0..1000 {
            for event in calibration.observe(&stream.next()).unwrap() {
                latency_here |= is_latency_drift(&event);
                power_here |= matches!(&event, Event::Drift(d) if d.quantity == Quantity::Power);
            }
        }
        latency += u32::from(latency_here);
        power += u32::from(power_here);
    }
    println!("false alarms at alpha 0.05 in 200 streams of 1000: latency {latency}, power {power}");
    assert!(latency <= 10 && power <= 10, "{latency} {power}");
}

#[test]
fn learning_a_large_bias_is_no_drift() {
    // The test watches measured over predicted, not over corrected: what the residual learns in
    // its first observations cannot look like a change of the board.
    for seed in 0..20 {
        let mut calibration = Calibration::new(Settings::default()).unwrap();
        let mut stream = Stream::new("d", "f", seed);
        stream.bias = 1.5;
        for _ in 0..400 {
            assert!(!calibration.observe(&stream.next()).unwrap().iter().any(is_latency_drift));
        }
    }
}
