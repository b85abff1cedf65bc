//! The carbon-delay product (17a) to proven optimality.
//!
//! A plan has carbon C, delay L and prices P, all linear in the variables; wanted is the least
//! C·L + P. Every solve of a weighted sum gives a *plane*: w_C·C + w_L·L + w_P·P ≥ β for all plans
//! that can still be better, β being the solve's dual bound, so that an unfinished solve counts for
//! what it proved. Over an interval c0 ≤ C ≤ c1 with w_P·c1 ≤ w_L a plane bounds the value:
//!
//! C·L + P ≥ C·(β − w_C·C)/w_L + P·(1 − w_P·C/w_L) =: f(C, P),
//!
//! and f is concave in C and not decreasing in P, so that its minimum is at (c0, P_min) or
//! (c1, P_min). Where prices do not vary this is the classical dichotomy on the supported frontier:
//! the plane through two neighbours of the frontier has f = the lesser product of the two at its
//! ends, and no plan between them, supported or not, is better. Where prices vary (a tenant may be
//! shed, moved, or late at a price) the bound leaves a gap, which closes as the interval shrinks;
//! such intervals are cut, and solved with c0 ≤ C ≤ c1 as rows.

mod search;

use crate::error::SolverError;
use crate::exact::{Run, plan_value};
use crate::pricing::Costs;
use crate::scalar::Scalar;
use crate::solution::Solution;
use ecomap_instances::Instance;
use ecomap_instances::objective::Term;
use ecomap_instances::plan::Assignment;
use search::Search;

/// The three linear functions.
pub(crate) struct Parts {
    /// C, gCO2e/h.
    pub(crate) carbon: Costs,
    /// L, ms.
    pub(crate) delay: Costs,
    /// P, gCO2e/h·ms.
    pub(crate) prices: Costs,
}

impl Parts {
    fn new(instance: &Instance) -> Self {
        Self {
            carbon: Costs::term(instance, Term::Carbon),
            delay: Costs::term(instance, Term::Latency),
            prices: Costs::plane(instance, 0.0, 0.0),
        }
    }

    fn point(&self, instance: &Instance, plan: &Assignment) -> Option<Point> {
        Some(Point {
            carbon: plan_value(instance, &self.carbon, plan)?,
            delay: plan_value(instance, &self.delay, plan)?,
            prices: plan_value(instance, &self.prices, plan)?,
        })
    }
}

/// Where a plan lies.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    carbon: f64,
    delay: f64,
    prices: f64,
}

impl Point {
    fn value(self) -> f64 {
        self.carbon * self.delay + self.prices
    }
}

/// w_C·C + w_L·L + w_P·P ≥ β for every plan that is better than the incumbent.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Plane {
    carbon: f64,
    delay: f64,
    prices: f64,
    beta: f64,
}

impl Plane {
    /// Least C·L + P over `low` ≤ C ≤ `high` and P ≥ `least`; nothing where the plane does not
    /// bound it (w_P·high > w_L).
    fn bound(&self, low: f64, high: f64, least: f64) -> Option<f64> {
        if self.delay <= 0.0 || self.prices * high > self.delay * (1.0 + 1e-12) {
            return None;
        }
        let at = |c: f64| {
            c * (self.beta - self.carbon * c) / self.delay + least * (1.0 - self.prices * c / self.delay)
        };
        Some(at(low).min(at(high)))
    }
}

/// Solves `run` for the product.
pub(crate) fn solve(mut run: Run<'_, '_>, solver: &'static str) -> Result<Solution, SolverError> {
    let instance = run.instance;
    let parts = Parts::new(instance);
    let levels = [parts.carbon.clone(), parts.delay.clone(), parts.prices.clone()];
    let at = run.options.clock.now();
    let scalar = Scalar::new(instance, &levels, run.options.warm_start.as_ref(), solver)?;
    run.clocked("reduce", at);
    let tight = run.tightened();
    let (reached, solves, report) = Search::new(instance, parts, scalar, &mut run, &tight).finish()?;
    run.notes.push(format!("carbon-delay product: {solves} weighted sums solved"));
    let nodes = reached.nodes;
    run.wrap(solver, reached, nodes, Vec::new(), true, report)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound of a plane is never above the value of a point that the plane admits.
    #[test]
    fn a_plane_bounds_every_point_above_it() {
        let plane = Plane { carbon: 2.0, delay: 10.0, prices: 1.0, beta: 60.0 };
        let (low, high, least) = (4.0, 9.0, 3.0);
        let bound = plane.bound(low, high, least).unwrap_or(f64::NAN);
        let (mut checked, mut nearest) = (0, f64::INFINITY);
        for c in 0..=50 {
            for l in 0..=60 {
                for p in 0..=20 {
                    let point = Point {
                        carbon: low + (high - low) * f64::from(c) / 50.0,
                        delay: f64::from(l) / 6.0,
                        prices: least + f64::from(p),
                    };
                    let sum = plane.carbon * point.carbon + plane.delay * point.delay + point.prices;
                    if sum >= plane.beta {
                        checked += 1;
                        nearest = nearest.min(point.value());
                        assert!(point.value() >= bound - 1e-9, "{point:?} below {bound}");
                    }
                }
            }
        }
        assert!(checked > 1000 && nearest < 1.1 * bound, "{checked} points, {nearest} against {bound}");
        assert_eq!(plane.bound(4.0, 11.0, 0.0), None, "w_P·c1 > w_L");
    }
}
