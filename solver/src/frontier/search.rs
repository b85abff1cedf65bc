//! The search: segments between neighbours, closed one by one.

use super::outer::{HalfPlane, corners};
use super::{Axes, Frontier, FrontierPoint};
use crate::error::SolverError;
use crate::exact::{Run, Strategy, plan_value};
use crate::formulation::LevelRow;
use crate::pricing::Costs;
use crate::scalar::{Answer, Scalar};
use crate::solution::instance_hash;
use crate::solve::SolveOptions;
use ecomap_instances::Instance;
use ecomap_instances::plan::{Assignment, Status, Termination};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Share of an axis' span below which two plans count as one.
const RESOLUTION: f64 = 1e-5;
/// Least gap, as a share of the spans: HiGHS' tolerances reach that far.
const FLOOR: f64 = 1e-7;
/// How often an edge that a limit left open is asked again, with twice the time each.
const RETRIES: u32 = 3;

/// Two points by position.
type Edge = (usize, usize);

/// Two neighbours, x ascending.
#[derive(Debug, Clone, Copy)]
struct Segment {
    left: [f64; 2],
    right: [f64; 2],
}

pub(super) struct Search<'a, 'o> {
    instance: &'a Instance,
    axes: Axes,
    options: &'o SolveOptions,
    deadline: Option<Duration>,
    scalar: Scalar<'a>,
    terms: [Costs; 2],
    /// Rows of every solve.
    rows: Vec<LevelRow>,
    /// Length of the frontier on both axes; 1 where it has none.
    span: [f64; 2],
    /// A plan to begin with where there are no rows.
    warm: Option<Assignment>,
    points: Vec<FrontierPoint>,
    planes: Vec<HalfPlane>,
    supported_complete: bool,
    complete: bool,
    /// The limit that last ended a solve early.
    limit: Option<Termination>,
    /// Whether a limit left something open.
    cut: bool,
    notes: Vec<String>,
}

impl<'a, 'o> Search<'a, 'o> {
    pub(super) fn new(
        instance: &'a Instance,
        axes: Axes,
        rows: Vec<LevelRow>,
        options: &'o SolveOptions,
        deadline: Option<Duration>,
    ) -> Result<Self, SolverError> {
        let terms = [Costs::term(instance, axes.x()), Costs::term(instance, axes.y())];
        let mut levels = terms.to_vec();
        levels.extend(rows.iter().map(|row| row.costs.clone()));
        let scalar = Scalar::new(instance, &levels, None, "frontier")?;
        Ok(Self {
            instance,
            axes,
            options,
            deadline,
            scalar,
            terms,
            rows,
            span: [1.0, 1.0],
            warm: None,
            points: Vec::new(),
            planes: Vec::new(),
            supported_complete: true,
            complete: true,
            limit: None,
            cut: false,
            notes: Vec::new(),
        })
    }

    /// Finds the supported points, then others until there are `most`.
    pub(super) fn run(&mut self, start: &Assignment, most: usize) -> Result<(), SolverError> {
        if !self.ends(start)? {
            (self.supported_complete, self.complete, self.cut) = (false, false, true);
            return Ok(());
        }
        self.supported()?;
        self.sort();
        let at: Vec<[f64; 2]> = self.points.iter().map(|p| [p.x, p.y]).collect();
        let segments = at.windows(2).map(|pair| Segment { left: pair[0], right: pair[1] }).collect();
        self.between(segments, most)
    }

    /// The plans at both ends: least x then least y, and the other way round. False without a plan.
    fn ends(&mut self, start: &Assignment) -> Result<bool, SolverError> {
        // How far apart they are about, since the gap is a share of that.
        let Some(here) = self.at(start) else { return Ok(false) };
        let scale = here.map(|v| v.abs().max(1e-3));
        self.warm = Some(start.clone());
        let mut rough = [here; 2];
        for (n, weights) in [[1.0, 1e-2], [1e-2, 1.0]].into_iter().enumerate() {
            let weights = [weights[0] / scale[0], weights[1] / scale[1]];
            let answer = self.solve(weights, 1e-2, &[], None, 1)?;
            if let Some(at) = answer.plan.as_ref().and_then(|plan| self.at(plan)) {
                rough[n] = at;
            }
        }
        let about = [0, 1].map(|n| (rough[0][n] - rough[1][n]).abs());
        // A hair's breadth of a frontier is not proven more closely than a thousandth of the value.
        let room = |n: usize, value: f64| self.options.gap * about[n].max(1e-3 * value.abs());
        let gap = |n: usize, value: f64| (room(n, value) / 2.0 / value.abs().max(1e-9)).min(1e-2);
        let gaps = [0, 1].map(|end| [gap(0, rough[end][0]), gap(1, rough[end][1])]);
        let rooms = [0, 1].map(|end| {
            let value = rough[end][end].abs();
            room(end, value).max(FLOOR * about[end].max(value).max(1e-3))
        });
        for first in [0, 1] {
            let weights = if first == 0 { [1.0, 0.0] } else { [0.0, 1.0] };
            let answer = self.solve(weights, gaps[first][first], &[], None, 2)?;
            let Some(plan) = answer.plan else { return Ok(false) };
            let Some(at) = self.at(&plan) else { return Ok(false) };
            let best = at[first];
            let proven = answer.dual.is_some_and(|d| best - d <= rooms[first]);
            self.supported_complete &= proven;
            self.cut |= !proven;
            // Among those, the best in the other term.
            let (term, scale) = ([self.axes.x(), self.axes.y()][first], best.abs().max(1e-3));
            let row = LevelRow {
                costs: Costs::scaled_term(self.instance, term, 1.0 / scale),
                at_most: best / scale + 1e-6,
            };
            let second =
                self.solve([weights[1], weights[0]], gaps[first][1 - first], &[row], Some(&plan), 1)?;
            self.add(second.plan.unwrap_or(plan), weights, answer.dual);
        }
        let [left, right] = &self.points[..] else { return Ok(false) };
        let spans = [right.x - left.x, left.y - right.y];
        let single = |n: usize, scale: f64| spans[n] <= RESOLUTION * scale.abs().max(1e-3);
        if single(0, right.x) || single(1, left.y) {
            // One plan is best in both.
            let keep_right = single(0, right.x) && right.y < left.y;
            self.points.remove(usize::from(!keep_right));
        } else {
            self.span = spans;
        }
        Ok(true)
    }

    /// Dichotomy over the edges of the lower hull of the points found, the longest first. An edge below
    /// which no plan is proven to lie is closed; one that a limit left open is asked again with more
    /// time, once the others are closed.
    fn supported(&mut self) -> Result<(), SolverError> {
        let near = self.near();
        let mut closed: BTreeSet<Edge> = BTreeSet::new();
        let mut tries: BTreeMap<Edge, u32> = BTreeMap::new();
        loop {
            let open = self.edges().into_iter().filter(|edge| !closed.contains(edge));
            let tried = |edge: &Edge| tries.get(edge).copied().unwrap_or(0);
            let next = open.min_by(|a, b| {
                let size = |edge: &Edge| self.size(&self.segment(*edge));
                tried(a).cmp(&tried(b)).then(size(b).total_cmp(&size(a))).then(a.cmp(b))
            });
            let Some(edge) = next else { break };
            if tried(&edge) > RETRIES || self.stopped() {
                (self.supported_complete, self.cut) = (false, true);
                break;
            }
            let segment = self.segment(edge);
            let weights = self.weights(&segment);
            let worth = |at: [f64; 2]| weights[0] * at[0] + weights[1] * at[1];
            let reference = worth(segment.left).min(worth(segment.right));
            self.warm = Some(self.points[edge.0].plan.clone());
            let answer = self.solve(weights, self.relative(reference), &[], None, 1 << tried(&edge))?;
            let found = answer.plan.and_then(|plan| Some((self.at(&plan)?, plan)));
            match found {
                Some((at, plan)) if worth(at) < reference - near => self.add(plan, weights, answer.dual),
                _ if answer.dual.is_some_and(|dual| reference - dual <= 2.0 * near) => {
                    closed.insert(edge);
                }
                _ => {
                    tries.entry(edge).and_modify(|n| *n += 1).or_insert(1);
                }
            }
        }
        self.warm = None;
        Ok(())
    }

    /// Neighbours on the lower hull of the points.
    fn edges(&self) -> Vec<Edge> {
        let mut order: Vec<usize> = (0..self.points.len()).collect();
        let at = |n: usize| [self.points[n].x, self.points[n].y];
        order.sort_by(|a, b| at(*a)[0].total_cmp(&at(*b)[0]).then(at(*a)[1].total_cmp(&at(*b)[1])));
        let mut hull: Vec<usize> = Vec::new();
        for n in order {
            let p = at(n);
            while let [.., a, b] = hull[..] {
                let (a, b) = (at(a), at(b));
                let turn = (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0]);
                if turn > 0.0 {
                    break;
                }
                hull.pop();
            }
            // Beyond the least y the hull rises again.
            if hull.last().is_none_or(|last| p[1] < at(*last)[1]) {
                hull.push(n);
            }
        }
        hull.windows(2).map(|pair| (pair[0], pair[1])).collect()
    }

    fn segment(&self, (a, b): Edge) -> Segment {
        let at = |n: usize| [self.points[n].x, self.points[n].y];
        Segment { left: at(a), right: at(b) }
    }

    fn add(&mut self, plan: Assignment, weights: [f64; 2], bound: Option<f64>) {
        let Some([x, y]) = self.at(&plan) else { return };
        let value = weights[0] * x + weights[1] * y;
        self.points.push(FrontierPoint { plan, x, y, supported: false, weights, value, bound });
    }

    /// Points inside the boxes that the segments span, the longest first.
    fn between(&mut self, mut open: Vec<Segment>, most: usize) -> Result<(), SolverError> {
        while self.points.len() < most {
            let Some(segment) = self.longest(&mut open) else { break };
            if self.stopped() {
                self.cut = true;
                open.push(segment);
                break;
            }
            if self.narrow(&segment) {
                continue;
            }
            let weights = self.weights(&segment);
            let worth = |at: [f64; 2]| weights[0] * at[0] + weights[1] * at[1];
            let limits = [segment.right[0], segment.left[1]];
            let terms = [self.axes.x(), self.axes.y()];
            let rows: Vec<LevelRow> = (0..2)
                .map(|n| LevelRow {
                    costs: Costs::scaled_term(self.instance, terms[n], 1.0 / self.span[n]),
                    at_most: limits[n] / self.span[n] - RESOLUTION,
                })
                .collect();
            let answer = self.solve(weights, self.relative(worth(segment.right)), &rows, None, 1)?;
            if answer.is_empty() {
                continue;
            }
            let Some((at, plan)) = answer.plan.and_then(|plan| Some((self.at(&plan)?, plan))) else {
                (self.complete, self.cut) = (false, true);
                continue;
            };
            let proven = answer.dual.is_some_and(|d| worth(at) - d <= 2.0 * self.near());
            self.complete &= proven;
            self.cut |= !proven;
            self.add(plan, weights, answer.dual);
            open.push(Segment { left: segment.left, right: at });
            open.push(Segment { left: at, right: segment.right });
        }
        self.complete &= open.iter().all(|segment| self.narrow(segment));
        Ok(())
    }

    /// Area of the box that a segment spans, as a share of the whole.
    fn size(&self, segment: &Segment) -> f64 {
        let width = (segment.right[0] - segment.left[0]) / self.span[0];
        width * (segment.left[1] - segment.right[1]) / self.span[1]
    }

    /// Takes the segment whose box is the largest; the leftmost of equals.
    fn longest(&self, open: &mut Vec<Segment>) -> Option<Segment> {
        let largest = (0..open.len()).max_by(|a, b| {
            let (a, b) = (&open[*a], &open[*b]);
            self.size(a).total_cmp(&self.size(b)).then(b.left[0].total_cmp(&a.left[0]))
        })?;
        Some(open.swap_remove(largest))
    }

    /// Whether nothing within the resolution fits between the two.
    fn narrow(&self, segment: &Segment) -> bool {
        segment.right[0] - segment.left[0] <= 2.0 * RESOLUTION * self.span[0]
            || segment.left[1] - segment.right[1] <= 2.0 * RESOLUTION * self.span[1]
    }

    /// Weights under which both ends are worth the same, for terms as shares of the spans with a sum
    /// of 1, so that a value's distance is a share of the spans.
    fn weights(&self, segment: &Segment) -> [f64; 2] {
        let width = (segment.right[0] - segment.left[0]) / self.span[0];
        let height = (segment.left[1] - segment.right[1]) / self.span[1];
        // A segment is never quite level or upright, or its bound would say nothing of one end.
        let (width, height) = (width.max(1e-9), height.max(1e-9));
        let sum = width + height;
        [height / sum / self.span[0], width / sum / self.span[1]]
    }

    /// The relative gap of a solve whose optimum is about `value`, for the absolute one asked.
    fn relative(&self, value: f64) -> f64 {
        (self.options.gap / 4.0 / value.abs().max(1e-9)).min(1e-2)
    }

    /// Half the gap: what a better plan must gain to count; the other half is the solves' own.
    fn near(&self) -> f64 {
        (self.options.gap / 2.0).max(FLOOR)
    }

    /// Solves for least `weights`·terms within `rows`, in at most `parts` sixteenths of the time allowed
    /// for the whole. Over all plans in question it gives a half-plane as well.
    fn solve(
        &mut self,
        weights: [f64; 2],
        gap: f64,
        rows: &[LevelRow],
        start: Option<&Assignment>,
        parts: u32,
    ) -> Result<Answer, SolverError> {
        let left = self.deadline.map(|d| d.saturating_sub(self.options.clock.now()));
        let share = self.options.time_limit.map(|whole| whole.saturating_mul(parts) / 16);
        let time_limit = left.map(|left| share.map_or(left, |share| left.min(share)));
        let warm_start = self.warm.clone();
        let options = SolveOptions { gap, time_limit, warm_start, ..self.options.clone() };
        let terms = [(self.axes.x(), weights[0]), (self.axes.y(), weights[1])];
        let costs = Costs::sum(self.instance, &terms);
        let all: Vec<LevelRow> = self.rows.iter().chain(rows).cloned().collect();
        let mut quiet = ();
        let mut run = Run::new(self.instance, &options, Strategy::DEFAULT, &mut quiet);
        let answer = self.scalar.minimise(&mut run, &costs, &all, start)?;
        for note in run.spent().1 {
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        if let (true, Some(at_least)) = (rows.is_empty(), answer.dual) {
            self.planes.push(HalfPlane { x: weights[0], y: weights[1], at_least });
        }
        match answer.termination {
            Termination::GapReached | Termination::Infeasible => {}
            other => self.limit = Some(other),
        }
        Ok(answer)
    }

    /// Marks the points on the border of a half-plane, within the gap, and says of which.
    fn support(&mut self) {
        let near = 2.0 * self.near();
        for point in &mut self.points {
            let beyond = |plane: &HalfPlane| {
                let length = plane.x * self.span[0] + plane.y * self.span[1];
                (plane.x * point.x + plane.y * point.y - plane.at_least) / length
            };
            let nearest = self.planes.iter().min_by(|a, b| beyond(a).total_cmp(&beyond(b)));
            if let Some(plane) = nearest.filter(|plane| beyond(plane) <= near) {
                point.supported = true;
                point.weights = [plane.x, plane.y];
                point.value = plane.x * point.x + plane.y * point.y;
                point.bound = Some(plane.at_least);
            }
        }
    }

    /// How far the outer line lies below the hull of the points, as a share of the spans: the most in
    /// the directions of both axes and of every edge.
    fn distance(&self, outer: &[[f64; 2]]) -> Option<f64> {
        let mut directions = vec![[1.0 / self.span[0], 0.0], [0.0, 1.0 / self.span[1]]];
        directions.extend(self.edges().into_iter().map(|edge| self.weights(&self.segment(edge))));
        let beyond = |w: &[f64; 2]| {
            let least = |list: &mut dyn Iterator<Item = [f64; 2]>| {
                list.map(|at| w[0] * at[0] + w[1] * at[1]).reduce(f64::min)
            };
            let points = least(&mut self.points.iter().map(|p| [p.x, p.y]))?;
            Some((points - least(&mut outer.iter().copied())?).max(0.0))
        };
        directions.iter().filter_map(beyond).reduce(f64::max)
    }

    fn at(&self, plan: &Assignment) -> Option<[f64; 2]> {
        let [x, y] = &self.terms;
        Some([plan_value(self.instance, x, plan)?, plan_value(self.instance, y, plan)?])
    }

    /// Orders the points and drops those that another one dominates, which unfinished solves leave.
    fn sort(&mut self) {
        self.points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
        let mut least = f64::INFINITY;
        self.points.retain(|p| {
            let better = p.y < least;
            least = least.min(p.y);
            better
        });
    }

    fn stopped(&mut self) -> bool {
        if self.options.cancel.is_cancelled() {
            self.limit = Some(Termination::Cancelled);
            return true;
        }
        if self.deadline.is_some_and(|d| self.options.clock.now() >= d) {
            self.limit = Some(Termination::TimeLimit);
            return true;
        }
        if self.options.work_limit.is_some_and(|most| self.scalar.nodes.max(self.scalar.solves) >= most) {
            self.limit = Some(Termination::NodeLimit);
            return true;
        }
        false
    }

    /// The frontier of `instance`, which this search's own may differ from in who can be shed.
    pub(super) fn finish(mut self, instance: &Instance) -> Frontier {
        self.sort();
        self.support();
        let right = self.points.last().map_or(f64::NEG_INFINITY, |p| p.x);
        let complete = self.complete && self.supported_complete;
        let status = match (self.points.is_empty(), self.supported_complete) {
            (true, _) => Status::TimeoutNoSolution,
            (false, true) => Status::Optimal,
            (false, false) => Status::Feasible,
        };
        let outer = corners(&self.planes, right);
        Frontier {
            axes: self.axes,
            status,
            termination: match (self.cut, self.limit) {
                (false, _) => Termination::GapReached,
                (true, limit) => limit.unwrap_or(Termination::TimeLimit),
            },
            gap: self.distance(&outer),
            outer,
            points: self.points,
            half_planes: self.planes,
            supported_complete: self.supported_complete,
            complete,
            shed_proven: false,
            solves: self.scalar.solves,
            nodes: self.scalar.nodes,
            instance_hash: instance_hash(instance),
            notes: self.notes,
        }
    }
}
