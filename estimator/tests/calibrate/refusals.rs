//! What cannot be is refused with a typed error and changes nothing; what is answered is in order.

use crate::stream::{Stream, placed, predicted};
use ecomap_estimator::EstimatorError;
use ecomap_estimator::calibrate::{Calibration, Event, Latencies, Observation, Predicted, Settings};
use ecomap_instances::instance::Quantiles;
use ecomap_instances::units::{Millis, Watts};
use proptest::prelude::*;

type Spoil = fn(&mut Observation);

#[test]
fn refused_observations_change_nothing() {
    let mut calibration = Calibration::new(Settings::default()).unwrap();
    let mut stream = Stream::new("d", "f", 1);
    for _ in 0..50 {
        calibration.observe(&stream.next()).unwrap();
    }
    let before = calibration.to_json().unwrap();
    let ms = Millis::new;
    let spoils: &[(&str, Spoil)] = &[
        ("latencies", |o| o.latencies.sample[3] = Millis::new(f64::NAN)),
        ("latencies", |o| o.latencies.sample[0] = Millis::new(-1.0)),
        ("latencies", |o| o.latencies.sample[0] = Millis::ZERO),
        ("latencies", |o| o.latencies.sample[0] = Millis::new(1e8)),
        ("latencies", |o| o.latencies.sample[0] = Millis::new(f64::INFINITY)),
        ("latencies", |o| o.latencies.sample.clear()),
        ("latencies", |o| {
            o.latencies = Latencies { count: 5000, sample: vec![Millis::new(1.0); 1025] };
        }),
        ("count", |o| o.latencies.count = 2),
        ("predicted", |o| o.predicted.latency.p95 = Millis::new(0.1)),
        ("predicted", |o| o.predicted.latency.p99 = Millis::new(f64::NAN)),
        ("isolated", |o| o.predicted.isolated = Some(Quantiles::default())),
        ("predicted_power", |o| o.predicted.power = Some(Watts::new(-3.0))),
        ("power", |o| o.power = Some(Watts::new(f64::NAN))),
        ("power", |o| o.power = Some(Watts::new(1e9))),
        ("device", |o| o.placed.device = "../x".into()),
        ("units", |o| o.placed.units.clear()),
        ("at_ms", |o| o.at_ms = u64::MAX),
        ("at_ms", |o| o.at_ms -= 10_000),
    ];
    for (n, (expected, spoil)) in spoils.iter().enumerate() {
        let mut new = stream.next();
        new.at_ms = 51 * 10_000;
        spoil(&mut new);
        match calibration.observe(&new) {
            Err(EstimatorError::Observation { field, .. }) => assert_eq!(field, *expected, "spoil {n}"),
            other => panic!("spoil {n}: {other:?}"),
        }
        assert_eq!(calibration.to_json().unwrap(), before, "spoil {n}");
    }
    let asked = Predicted {
        latency: Quantiles { p50: ms(f64::NAN), p95: ms(1.0), p99: ms(1.0) },
        isolated: None,
        power: None,
    };
    assert!(calibration.predict(&placed("d", "f"), &asked).is_err());
}

#[test]
fn a_batch_says_what_it_refused() {
    let mut calibration = Calibration::new(Settings::default()).unwrap();
    let mut stream = Stream::new("d", "f", 1);
    let mut batch = vec![stream.next(), stream.next(), stream.next()];
    batch[1].latencies.count = 0;
    let events = calibration.observe_all(&batch);
    assert!(matches!(events.as_slice(), [Event::Refused { position: 1, .. }]), "{events:?}");
    assert_eq!(calibration.observations(), 2);
}

#[test]
fn the_same_telemetry_twice_counts_once() {
    let mut calibration = Calibration::new(Settings::default()).unwrap();
    let mut stream = Stream::new("d", "f", 1);
    let new = stream.next();
    calibration.observe(&new).unwrap();
    assert!(matches!(calibration.observe(&new), Err(EstimatorError::Observation { field: "at_ms", .. })));
    // Another tenant of the board at the same time counts; the board's power does so once only.
    calibration.observe(&Observation { placed: placed("d", "g"), ..new.clone() }).unwrap();
    let power = calibration.predict(&new.placed, &new.predicted).unwrap().power.unwrap();
    assert_eq!((calibration.observations(), power.observations), (2, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn answers_are_in_order_and_above_the_floor(
        seed in any::<u64>(),
        bias in -6.0f64..6.0,
        steps in 0usize..400,
        p50 in 1e-3f64..1e5,
        wide in 1.0f64..3.0,
        floor in prop::option::of(0.1f64..5.0),
        rate in 0.0f64..1.0,
    ) {
        let settings = Settings { adaptive_rate: rate, window: 128, ..Settings::default() };
        let mut calibration = Calibration::new(settings).unwrap();
        let mut stream = Stream::new("d", "f", seed);
        stream.bias = bias;
        for _ in 0..steps {
            calibration.observe(&stream.next()).unwrap();
        }
        let ms = Millis::new;
        let latency = Quantiles { p50: ms(p50), p95: ms(p50 * wide), p99: ms(p50 * wide * wide) };
        let isolated = floor.map(|f| latency.scaled(f));
        let asked = Predicted { latency, isolated, power: Some(Watts::new(10.0)) };
        let said = calibration.predict(&stream.placed, &asked).unwrap();
        prop_assert!(said.p50.get() > 0.0 && said.p50 <= said.p95 && said.p95 <= said.p99);
        prop_assert!(said.p99.get().is_finite());
        let floor = isolated.unwrap_or_default();
        prop_assert!(said.p50 >= floor.p50 && said.p95 >= floor.p95 && said.p99 >= floor.p99);
        let power = said.power.unwrap();
        prop_assert!(power.mean.get() > 0.0 && power.upper >= power.mean);
    }

    #[test]
    fn corrections_scale_with_the_prediction(seed in any::<u64>(), p50 in 0.1f64..100.0, factor in 0.1f64..10.0) {
        let mut calibration = Calibration::new(Settings::default()).unwrap();
        let mut stream = Stream::new("d", "f", seed);
        for _ in 0..100 {
            calibration.observe(&stream.next()).unwrap();
        }
        let one = calibration.predict(&stream.placed, &predicted(p50)).unwrap();
        let other = calibration.predict(&stream.placed, &predicted(p50 * factor)).unwrap();
        prop_assert!((other.p95 / one.p95 / factor - 1.0).abs() < 1e-9);
    }
}
