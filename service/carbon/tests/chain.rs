//! The stated order of fallbacks, and traces on the fleet's clock.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ecomap_carbon::chain::ChainError;
use ecomap_carbon::sample::{Kind, Parts};
use ecomap_carbon::source::trace::{Foresight, Trace, TraceError};
use ecomap_carbon::{Chain, Exchange, Provenance, Reading, Sample, Signal, Source};
use ecomap_instances::units::GramsPerKwh;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

fn hours(n: i64) -> SignedDuration {
    SignedDuration::from_hours(n)
}

fn start() -> Timestamp {
    "2026-03-06T00:00:00Z".parse().unwrap()
}

fn sample(source: &Arc<str>, hour: i64, grams: f64, kind: Kind) -> Sample {
    let from = start() + hours(hour);
    Sample::try_new(&Parts {
        zone: &"DE".into(),
        from,
        to: from + hours(1),
        grams_per_kwh: grams,
        signal: Signal::Average,
        kind,
        estimated: false,
        source,
        issued: from,
    })
    .unwrap()
}

fn reading(samples: Vec<Sample>) -> Reading {
    Reading { samples, dropped: 0 }
}

/// Everything fails, one after the other, and the chain goes down the stated order.
#[test]
fn the_chain_goes_down_the_stated_order_and_up_again() {
    let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
    let sources = [(Arc::clone(&a), Signal::Average), (Arc::clone(&b), Signal::Average)];
    let mut chain = Chain::new(&sources, hours(1), GramsPerKwh::new(900.0), false).unwrap();
    let at = |hour: i64| start() + hours(hour) + SignedDuration::from_mins(5);
    let held = |chain: &Chain, hour: i64| {
        let now = chain.now(at(hour));
        (now.intensity.get(), now.provenance.level(), now.estimated)
    };
    assert_eq!(held(&chain, 0), (900.0, 4, true), "nothing is known");

    chain.take(
        0,
        reading(vec![sample(&a, 0, 100.0, Kind::Observed), sample(&a, 3, 130.0, Kind::Forecast)]),
        at(0),
    );
    chain.take(1, reading(vec![sample(&b, 2, 220.0, Kind::Observed)]), at(2));
    assert_eq!(held(&chain, 0), (100.0, 0, false));
    assert_eq!(held(&chain, 1), (100.0, 0, false), "an hour old at most is fresh");
    assert_eq!(held(&chain, 2), (220.0, 1, false), "the next source");
    assert_eq!(held(&chain, 3), (220.0, 1, false), "fresh still");
    chain.take(0, reading(vec![sample(&a, 5, 150.0, Kind::Forecast)]), at(3));
    assert_eq!(held(&chain, 5), (150.0, 2, true), "a forecast");
    assert_eq!(held(&chain, 12), (900.0, 4, true), "nothing again");
    assert_eq!(held(&chain, 24), (100.0, 3, true), "the same hour yesterday");
    chain.take(0, reading(vec![sample(&a, 24, 111.0, Kind::Observed)]), at(24));
    assert_eq!(held(&chain, 24), (111.0, 0, false), "the preferred source is back");
    match chain.now(at(5)).provenance {
        Provenance::Forecast { source, issued } => assert_eq!((&*source, issued), ("a", start() + hours(5))),
        other => panic!("{other:?}"),
    }
}

#[test]
fn signals_are_not_mixed_unless_asked_for() {
    let sources = [("maps".into(), Signal::Average), ("watttime".into(), Signal::Marginal)];
    let make = |mix| Chain::new(&sources, hours(1), GramsPerKwh::new(900.0), mix);
    assert_eq!(make(false).unwrap_err(), ChainError::Mixed("watttime".into(), Signal::Marginal));
    assert!(make(true).is_ok());
    let bad = Chain::new(&sources[..1], hours(1), GramsPerKwh::new(f64::NAN), false);
    assert_eq!(bad.unwrap_err(), ChainError::Pessimistic);
}

fn text(rows: &[(i64, f64)]) -> String {
    let mut text = "timestamp,gco2_per_kwh,estimated\n".to_owned();
    let first: Timestamp = "2023-01-01T00:00:00Z".parse().unwrap();
    for (hour, grams) in rows {
        text.push_str(&format!("{},{grams},false\n", first + hours(*hour)));
    }
    text
}

fn read(source: &mut Trace, now: Timestamp) -> Vec<Sample> {
    match source.begin(now) {
        Exchange::Done(reading) => reading.samples,
        Exchange::Ask(_) => panic!("a trace asks nobody"),
    }
}

/// A trace of 48 hours, hour h worth 100 + h, laid on another year; behind its end it starts over.
#[test]
fn a_trace_plays_on_the_fleets_clock_and_starts_over() {
    let rows: Vec<(i64, f64)> = (0..48).map(|h| (h, 100.0 + h as f64)).collect();
    let mut trace = Trace::read(&text(&rows), "DE", Signal::Average, start(), Foresight::None).unwrap();
    assert_eq!(trace.length(), hours(48));
    for (hour, wanted) in [(0, 100.0), (1, 101.0), (47, 147.0), (48, 100.0), (100, 104.0), (-1, 147.0)] {
        let now = start() + hours(hour) + SignedDuration::from_mins(20);
        let samples = read(&mut trace, now);
        assert_eq!((samples.len(), samples[0].intensity().get()), (1, wanted), "hour {hour}");
        assert_eq!(samples[0].from(), start() + hours(hour));
    }
}

#[test]
fn a_trace_foretells_the_truth_or_yesterday_as_it_is_told() {
    let rows: Vec<(i64, f64)> = (0..72).map(|h| (h, 100.0 + h as f64)).collect();
    let now = start() + hours(30) + SignedDuration::from_mins(59);
    for (foresight, wanted) in [
        (Foresight::Perfect(3), vec![131.0, 132.0, 133.0]),
        (Foresight::Yesterday(3), vec![107.0, 108.0, 109.0]),
        (Foresight::None, vec![]),
    ] {
        let mut trace = Trace::read(&text(&rows), "DE", Signal::Average, start(), foresight).unwrap();
        let samples = read(&mut trace, now);
        assert_eq!(samples[0].kind(), Kind::Observed);
        let ahead: Vec<f64> = samples[1..].iter().map(|s| s.intensity().get()).collect();
        assert_eq!(ahead, wanted, "{foresight:?}");
        let seamless = samples.windows(2).all(|p| p[0].to() == p[1].from() && p[1].kind() == Kind::Forecast);
        assert!(seamless && samples[0].covers(now));
    }
}

#[test]
fn what_is_no_trace_is_refused_with_its_line() {
    let read = |text: &str| Trace::read(text, "DE", Signal::Average, start(), Foresight::None).map(|_| ());
    assert_eq!(read("time,x\n"), Err(TraceError::Column("timestamp")));
    assert_eq!(read(&text(&[(0, 1.0)])), Err(TraceError::Rows(1)));
    for (rows, line) in [
        (vec![(0, 1.0), (0, 1.0)], 3),
        (vec![(0, 1.0), (-1, 1.0)], 3),
        (vec![(0, 1.0), (30, 1.0)], 3),
        (vec![(0, 1.0), (1, -1.0)], 3),
        (vec![(0, f64::NAN)], 2),
    ] {
        assert!(matches!(read(&text(&rows)), Err(TraceError::Line { line: l, .. }) if l == line), "{rows:?}");
    }
    let naive = "timestamp,gco2_per_kwh\n2023-01-01T00:00:00,1\n";
    assert!(matches!(read(naive), Err(TraceError::Line { line: 2, .. })));
}

/// Hours ahead: forecast where there is one, else the last days, else what holds.
#[test]
fn what_lies_ahead_comes_from_forecasts_then_from_days_past() {
    let a: Arc<str> = "a".into();
    let mut chain =
        Chain::new(&[(Arc::clone(&a), Signal::Average)], hours(1), GramsPerKwh::new(900.0), false).unwrap();
    let now = start() + hours(30);
    let observed = (0..=30).map(|h| sample(&a, h, h as f64, Kind::Observed));
    let foretold = [sample(&a, 31, 500.0, Kind::Forecast)];
    chain.take(0, reading(observed.chain(foretold).collect()), now);
    let ahead: Vec<f64> = chain.ahead(now, 4).iter().map(|g| g.get()).collect();
    // A day ago it was 6: the 24 more fade.
    let expected = [30.0, 500.0, 8.0 + 24.0 * 0.81, 9.0 + 24.0 * 0.729];
    assert!(ahead.iter().zip(expected).all(|(a, e)| (a - e).abs() < 1e-9), "{ahead:?}");
}
