//! The search: intervals of carbon, each with the planes that bound it.

use super::{Parts, Plane, Point};
use crate::error::SolverError;
use crate::exact::{Reached, Run};
use crate::formulation::LevelRow;
use crate::pricing::Costs;
use crate::scalar::{Answer, Scalar};
use crate::solve::SolveOptions;
use ecomap_instances::Instance;
use ecomap_instances::format::result_v1::ReductionDto;
use ecomap_instances::objective::Term;
use ecomap_instances::plan::{Assignment, Termination};

/// Relative distance below which an interval counts as closed, whatever gap is asked for: HiGHS'
/// own tolerances reach that far.
const FLOOR: f64 = 2e-7;
/// Relative width below which an interval is not cut again.
const NARROW: f64 = 1e-8;
/// Most intervals looked at.
const MOST: u64 = 20_000;

/// An interval of carbon that may hold a better plan.
#[derive(Debug, Clone)]
struct Interval {
    low: f64,
    high: f64,
    /// Plans at (or near) the two ends, for the slope of the next plane.
    left: Point,
    right: Point,
    bound: f64,
    /// No better plan here pays less in prices.
    least: f64,
    /// Whether planes over all plans no longer help.
    local: bool,
}

pub(super) struct Search<'s, 'a, 'o> {
    instance: &'a Instance,
    parts: Parts,
    scalar: Scalar<'a>,
    outer: &'s mut Run<'a, 'o>,
    tight: &'s SolveOptions,
    planes: Vec<Plane>,
    best: Option<(Assignment, Point)>,
    termination: Termination,
}

impl<'s, 'a, 'o> Search<'s, 'a, 'o> {
    pub(super) fn new(
        instance: &'a Instance,
        parts: Parts,
        scalar: Scalar<'a>,
        outer: &'s mut Run<'a, 'o>,
        tight: &'s SolveOptions,
    ) -> Self {
        Self {
            instance,
            parts,
            scalar,
            outer,
            tight,
            planes: Vec::new(),
            best: None,
            termination: Termination::GapReached,
        }
    }

    /// Searches to the end, or to a limit; gives the number of solves and the reduction as well.
    pub(super) fn finish(mut self) -> Result<(Reached, u64, ReductionDto), SolverError> {
        let dual = self.search()?;
        let plan = self.best.clone().map(|(plan, point)| (plan, point.value()));
        let termination = if plan.is_none() { self.termination } else { self.ended(dual, plan.as_ref()) };
        let reached =
            Reached { plan, dual, nodes: self.scalar.nodes, termination, method: "supported frontier" };
        Ok((reached, self.scalar.solves, self.scalar.reduced.report))
    }

    fn ended(&self, dual: Option<f64>, plan: Option<&(Assignment, f64)>) -> Termination {
        match (dual, plan) {
            (Some(d), Some((_, v))) if v - d <= self.room(*v) => Termination::GapReached,
            _ if self.termination == Termination::GapReached => Termination::TimeLimit,
            _ => self.termination,
        }
    }

    /// The bound on all plans; `None` when nothing is known.
    fn search(&mut self) -> Result<Option<f64>, SolverError> {
        // A plane that descends on both, then the plane that touches the product there.
        let first = Costs::new(self.instance, &ecomap_instances::Objective::Cdp);
        let answer = self.solve(&first, &[])?;
        if answer.plan.is_none() {
            self.termination = answer.termination;
            return Ok(None);
        }
        if let Some(point) = self.best.as_ref().map(|b| b.1) {
            self.sum(point.delay, point.carbon, &[])?;
        }
        let Some(mut open) = self.intervals()? else { return Ok(None) };
        let mut settled = f64::INFINITY;
        let mut looked = 0;
        loop {
            let Some(incumbent) = self.value() else { return Ok(None) };
            let room = self.room(incumbent);
            let next = (0..open.len()).min_by(|a, b| open[*a].bound.total_cmp(&open[*b].bound));
            let least = next.map_or(f64::INFINITY, |n| open[n].bound).min(settled);
            self.outer.report(Some(incumbent), Some(least.min(incumbent)), self.scalar.nodes);
            let Some(n) = next.filter(|n| open[*n].bound < incumbent - room) else {
                return Ok(Some(least.min(incumbent)));
            };
            if self.stopped() || looked >= MOST {
                return Ok(Some(least.min(incumbent)));
            }
            looked += 1;
            let interval = open.swap_remove(n);
            if interval.high - interval.low <= NARROW * interval.high.abs().max(1e-3) {
                let last = self.within(&interval, interval.low, interval.high)?;
                settled = settled.min(last.map_or(f64::INFINITY, |i| i.bound));
                continue;
            }
            open.extend(if interval.local { self.halves(&interval)? } else { self.cut(interval)? });
        }
    }

    /// The two intervals left and right of the plan of least delay. `None` without a bound.
    fn intervals(&mut self) -> Result<Option<Vec<Interval>>, SolverError> {
        let Some(incumbent) = self.value() else { return Ok(None) };
        // A better plan pays no more than the incumbent's whole value.
        let within = |s: &Self| {
            vec![LevelRow {
                costs: s.parts.prices.clone(),
                at_most: incumbent + 1e-6 * incumbent.abs().max(1.0),
            }]
        };
        let prices = self.parts.prices.clone();
        let Some(least) = self.solve(&prices, &[])?.dual else { return Ok(None) };
        let rows = within(self);
        let (carbon, delay) = (self.parts.carbon.clone(), self.parts.delay.clone());
        let cleanest = self.solve(&carbon, &rows)?;
        let low = cleanest.dual.unwrap_or(0.0).max(0.0);
        let quickest = self.solve(&delay, &rows)?;
        let floor = quickest.dual.unwrap_or(0.0).max(0.0);
        self.planes.push(Plane { carbon: 0.0, delay: 1.0, prices: 0.0, beta: floor });
        let point = |s: &Self, answer: &Answer| {
            answer.plan.as_ref().and_then(|p| s.parts.point(s.instance, p)).or(s.best.as_ref().map(|b| b.1))
        };
        let (Some(left), Some(right)) = (point(self, &cleanest), point(self, &quickest)) else {
            return Ok(None);
        };
        let incumbent = self.value().unwrap_or(incumbent);
        let most = Costs::term(self.instance, Term::Carbon);
        let all: f64 = crate::pricing::most(self.instance, &most);
        let high = if floor > 0.0 { ((incumbent - least) / floor).min(all) } else { all }.max(low);
        let middle = right.carbon.clamp(low, high);
        let list = [(low, middle, left, right), (middle, high, right, right)];
        Ok(Some(
            list.map(|(low, high, left, right)| self.interval(low, high, left, right, least, least)).to_vec(),
        ))
    }

    fn interval(&self, low: f64, high: f64, left: Point, right: Point, least: f64, known: f64) -> Interval {
        let planes = self.planes.iter().filter_map(|p| p.bound(low, high, least));
        let bound = planes.fold(known.max(least), f64::max);
        Interval { low, high, left, right, bound, least, local: false }
    }

    /// Solves over all plans with the slope between the interval's ends, and cuts it at the plan
    /// found, where that lies inside.
    fn cut(&mut self, mut interval: Interval) -> Result<Vec<Interval>, SolverError> {
        let slope = slope(&interval);
        let answer = self.sum(slope, interval.high, &[])?;
        let Interval { low, high, left, right, least, bound, .. } = interval;
        interval.bound = self.interval(low, high, left, right, least, bound).bound;
        let found = answer.plan.as_ref().and_then(|p| self.parts.point(self.instance, p));
        let margin = 1e-7 * interval.high.abs();
        let inside = found.filter(|p| p.carbon > interval.low + margin && p.carbon < interval.high - margin);
        Ok(match inside {
            Some(point) => vec![
                self.interval(low, point.carbon, left, point, least, interval.bound),
                self.interval(point.carbon, high, point, right, least, interval.bound),
            ],
            None => vec![Interval { local: true, ..interval }],
        })
    }

    /// Cuts the interval in two and solves over the plans of each half.
    fn halves(&mut self, interval: &Interval) -> Result<Vec<Interval>, SolverError> {
        let middle = f64::midpoint(interval.low, interval.high);
        let mut list = Vec::new();
        for (low, high) in [(interval.low, middle), (middle, interval.high)] {
            list.extend(self.within(interval, low, high)?);
        }
        Ok(list)
    }

    /// Solves over the plans with `low` ≤ C ≤ `high`; `None` when there are none.
    fn within(&mut self, whole: &Interval, low: f64, high: f64) -> Result<Option<Interval>, SolverError> {
        // The rows reach a little further than the interval, so that their tolerance hides nothing;
        // what is found beyond is another interval's, and no harm.
        let give = 1e-7 * high.abs().max(1e-6);
        let rows = [
            LevelRow { costs: self.parts.carbon.clone(), at_most: high + give },
            LevelRow { costs: Costs::scaled_term(self.instance, Term::Carbon, -1.0), at_most: -(low - give) },
        ];
        let mut least = whole.least;
        if low <= high / 2.0 || low <= 2.0 * give {
            // The factor 1 − C/w_L is far from 0 here, so P_min decides: that of this part.
            let prices = self.parts.prices.clone();
            let answer = self.solve(&prices, &rows)?;
            if answer.is_empty() {
                return Ok(None);
            }
            least = least.max(answer.dual.unwrap_or(least));
        }
        let weights = (slope(whole), high + give);
        let costs = Costs::plane(self.instance, weights.0, weights.1);
        let answer = self.solve(&costs, &rows)?;
        if answer.is_empty() {
            return Ok(None);
        }
        let plane = answer.dual.map(|beta| Plane { carbon: weights.0, delay: weights.1, prices: 1.0, beta });
        let proven = plane.and_then(|p| p.bound((low - give).max(0.0), high + give, least));
        let known = proven.unwrap_or(f64::NEG_INFINITY).max(whole.bound);
        let found = answer.plan.as_ref().and_then(|p| self.parts.point(self.instance, p));
        // A plan at an end that is worth more than the one known there would tilt the next plane.
        let margin = 1e-6 * high.abs();
        let (left, right) = match found {
            Some(point) => (
                if low > whole.low || point.carbon <= whole.left.carbon + margin {
                    point
                } else {
                    whole.left
                },
                if low <= whole.low || point.carbon >= whole.right.carbon - margin {
                    point
                } else {
                    whole.right
                },
            ),
            None => (whole.left, whole.right),
        };
        Ok(Some(Interval { local: true, ..self.interval(low, high, left, right, least, known) }))
    }

    /// Minimises w_C·C + w_L·L + P over all plans and keeps the plane.
    fn sum(&mut self, carbon: f64, delay: f64, rows: &[LevelRow]) -> Result<Answer, SolverError> {
        let costs = Costs::plane(self.instance, carbon, delay);
        let answer = self.solve(&costs, rows)?;
        if let Some(beta) = answer.dual {
            self.planes.push(Plane { carbon, delay, prices: 1.0, beta });
        }
        Ok(answer)
    }

    /// One linear solve; what it finds may be a better product.
    fn solve(&mut self, costs: &Costs, rows: &[LevelRow]) -> Result<Answer, SolverError> {
        let mut quiet = ();
        let mut run = self.outer.inner(self.tight, &mut quiet);
        let start = self.best.as_ref().map(|b| b.0.clone());
        let answer = self.scalar.minimise(&mut run, costs, rows, start.as_ref());
        let spent = run.spent();
        self.outer.absorb(spent);
        let answer = answer?;
        if let Some(plan) = &answer.plan
            && let Some(point) = self.parts.point(self.instance, plan)
            && self.value().is_none_or(|best| point.value() < best)
        {
            self.best = Some((plan.clone(), point));
        }
        match answer.termination {
            Termination::GapReached | Termination::Infeasible => {}
            other => self.termination = other,
        }
        Ok(answer)
    }

    fn value(&self) -> Option<f64> {
        self.best.as_ref().map(|b| b.1.value())
    }

    /// How far a bound may stay below `value`.
    fn room(&self, value: f64) -> f64 {
        (self.outer.options.gap * value.abs()).max(FLOOR * value.abs().max(1e-3))
    }

    fn stopped(&mut self) -> bool {
        if self.outer.options.cancel.is_cancelled() {
            self.termination = Termination::Cancelled;
            return true;
        }
        if self.outer.left().is_some_and(|left| left.is_zero()) {
            self.termination = Termination::TimeLimit;
            return true;
        }
        if self.outer.options.work_limit.is_some_and(|most| self.scalar.nodes.max(self.scalar.solves) >= most)
        {
            self.termination = Termination::NodeLimit;
            return true;
        }
        false
    }
}

/// The weight of carbon under which the plans at both ends are worth the same, with `high` as the
/// weight of delay.
fn slope(interval: &Interval) -> f64 {
    let worth = |p: &Point| interval.high * p.delay + p.prices;
    let width = (interval.right.carbon - interval.left.carbon).max(interval.high - interval.low);
    if width <= 0.0 {
        return 0.0;
    }
    ((worth(&interval.left) - worth(&interval.right)) / width).max(0.0)
}
