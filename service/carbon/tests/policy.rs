//! What the rules give, and that an allowance is spent where it buys most.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use ecomap_carbon::policy::{Allowance, Clip, EmissionRate, Linear, Point, Range, Steps};
use ecomap_carbon::{Outlook, Policy};
use ecomap_instances::units::{GramsPerKwh, Watts};
use jiff::SignedDuration;
use proptest::prelude::*;

fn range() -> Range {
    Range::new(Watts::new(20.0), Watts::new(60.0)).unwrap()
}

fn outlook(intensity: f64) -> Outlook<'static> {
    Outlook {
        intensity: GramsPerKwh::new(intensity),
        ahead: &[],
        left: SignedDuration::from_hours(24),
        spent_g: 0.0,
        frontier: &[],
    }
}

#[test]
fn linear_is_the_line_and_flat_beyond() {
    let policy = Linear::new(range(), GramsPerKwh::new(100.0), GramsPerKwh::new(500.0)).unwrap();
    for (intensity, watts) in [(0.0, 60.0), (100.0, 60.0), (300.0, 40.0), (500.0, 20.0), (900.0, 20.0)] {
        assert_eq!(policy.cap(&outlook(intensity)).watts.get(), watts);
    }
    assert!(Linear::new(range(), GramsPerKwh::new(500.0), GramsPerKwh::new(500.0)).is_err());
    assert!(Range::new(Watts::new(5.0), Watts::new(4.0)).is_err());
    assert!(Range::new(Watts::new(f64::NAN), Watts::new(4.0)).is_err());
}

#[test]
fn steps_hold_from_their_intensity_on() {
    let rows = vec![
        (GramsPerKwh::new(0.0), Watts::new(60.0)),
        (GramsPerKwh::new(200.0), Watts::new(40.0)),
        (GramsPerKwh::new(400.0), Watts::new(25.0)),
    ];
    let policy = Steps::new(rows.clone()).unwrap();
    for (intensity, watts) in [(0.0, 60.0), (199.9, 60.0), (200.0, 40.0), (399.0, 40.0), (2_000.0, 25.0)] {
        assert_eq!(policy.cap(&outlook(intensity)).watts.get(), watts);
    }
    let mut backwards = rows;
    backwards.reverse();
    assert!(Steps::new(backwards).is_err());
    assert!(Steps::new(Vec::new()).is_err());
}

#[test]
fn an_emission_rate_divides_by_the_intensity() {
    let policy = EmissionRate::new(range(), 12.0).unwrap();
    let cap = |i: f64| policy.cap(&outlook(i));
    assert!((cap(300.0).watts.get() - 40.0).abs() < 1e-12);
    assert_eq!((cap(0.0).watts.get(), cap(0.0).clip), (60.0, Some(Clip::Most)));
    assert_eq!((cap(900.0).watts.get(), cap(900.0).clip), (20.0, Some(Clip::Least)));
}

/// Caps 20 to 60, draw a little under the cap, loss falling and convex.
fn frontier() -> Vec<Point> {
    (0..=8)
        .map(|n| {
            let cap = 20.0 + 5.0 * f64::from(n);
            Point { cap: Watts::new(cap), draw: Watts::new(cap * 0.97), loss: (60.0 - cap).powi(2) / 100.0 }
        })
        .collect()
}

fn grams(plan: &[usize], points: &[Point], ahead: &[GramsPerKwh]) -> f64 {
    plan.iter().zip(ahead).map(|(k, i)| points[*k].draw.get() * i.get() / 1_000.0).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// Against trying every plan of a day of four hours: within what the buckets lose, never over the allowance.
    #[test]
    fn an_allowance_is_spent_best(
        intensities in proptest::collection::vec(20.0_f64..700.0, 4),
        share in 0.05_f64..1.2,
    ) {
        let points = frontier();
        let ahead: Vec<GramsPerKwh> = intensities.iter().map(|i| GramsPerKwh::new(*i)).collect();
        let most = grams(&[8; 4], &points, &ahead);
        let policy = Allowance::new(range(), most * share).unwrap();
        let day = Outlook {
            intensity: ahead[0],
            ahead: &ahead,
            left: SignedDuration::from_hours(4),
            spent_g: 0.0,
            frontier: &points,
        };
        let mut best: Option<f64> = None;
        for code in 0..9_usize.pow(4) {
            let plan: Vec<usize> = (0..4_u32).map(|h| code / 9_usize.pow(h) % 9).collect();
            if grams(&plan, &points, &ahead) <= most * share {
                let loss: f64 = plan.iter().map(|k| points[*k].loss).sum();
                best = Some(best.map_or(loss, |b: f64| b.min(loss)));
            }
        }
        let cap = policy.cap(&day);
        match (policy.plan(&day), best) {
            (Some(plan), Some(best)) => {
                prop_assert!(grams(&plan, &points, &ahead) <= most * share * (1.0 + 1e-9));
                let loss: f64 = plan.iter().map(|k| points[*k].loss).sum();
                prop_assert!(loss <= best * (1.0 + 1e-2) + 1e-9, "loss {loss}, best {best}");
                prop_assert_eq!(cap.watts, points[plan[0]].cap);
            }
            (None, None) => prop_assert_eq!((cap.watts.get(), cap.clip), (20.0, Some(Clip::Overdrawn))),
            (plan, best) => prop_assert!(false, "{plan:?} against {best:?}"),
        }
    }
}

/// A day with a clean noon: the allowance buys watts at noon, the linear rule of equal carbon loses more.
#[test]
fn clean_hours_get_the_watts() {
    let ahead: Vec<GramsPerKwh> =
        (0..24).map(|h| GramsPerKwh::new(if (10..16).contains(&h) { 80.0 } else { 420.0 })).collect();
    let points = frontier();
    let even = 0.5 * grams(&[8; 24], &points, &ahead);
    let policy = Allowance::new(range(), even).unwrap();
    let day = Outlook {
        intensity: ahead[0],
        ahead: &ahead,
        left: SignedDuration::from_hours(24),
        spent_g: 0.0,
        frontier: &points,
    };
    let plan = policy.plan(&day).unwrap();
    // Where loss is quadratic, what is missing to the most is in proportion to the intensity.
    assert!(plan[10..16].iter().all(|k| *k >= 7), "{plan:?}");
    assert!(plan[..10].iter().all(|k| *k <= 3), "{plan:?}");
}

/// Without a frontier the rest is spread evenly; the day that clocks make longer has less for each hour.
#[test]
fn without_a_frontier_the_rest_is_spread_evenly() {
    let policy = Allowance::new(range(), 240.0).unwrap();
    let at = |hours: i64, spent_g: f64| {
        policy.cap(&Outlook { left: SignedDuration::from_hours(hours), spent_g, ..outlook(250.0) })
    };
    assert!((at(24, 0.0).watts.get() - 40.0).abs() < 1e-9);
    assert!((at(25, 0.0).watts.get() - 38.4).abs() < 1e-9);
    assert!((at(12, 120.0).watts.get() - 40.0).abs() < 1e-9);
    assert_eq!(at(12, 500.0).watts.get(), 20.0);
    assert_eq!(at(24, 0.0).clip, Some(Clip::Blind));
}
