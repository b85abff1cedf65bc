//! The whole way: root bound, dives for plans, then targets from the bound upwards.

use crate::problem::{Problem, index, long};
use crate::refill::Refill;
use crate::relax::{Node, Outcome, Relaxation};
use crate::tree::{Effort, End, search};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Ascent steps of one round at the root, and most rounds.
const ROOT_STEPS: usize = 100;
const ROOT_ROUNDS: usize = 80;
/// The root is done when a round is to gain less than this share of the lattice …
const FINE: f64 = 0.03;
/// … or, where there is none, of the range of costs.
const FINE_RANGE: f64 = 1e-6;
/// Jobs from which on agents are filled one by one, evaluations of the prices then, and sweeps
/// without a better plan after which that ends.
const LARGE: usize = 400;
const PRICE_STEPS: usize = 200;
const QUIET: usize = 100;
/// Nodes of a dive for each job.
const DIVE: u64 = 3;
/// Dives that fail before a target is given up.
const FAILURES: usize = 5;
/// How much chance has a say in branching after a dive has failed.
const NOISE: f64 = 0.5;
/// First targets above the bound, as parts of the range of costs.
const WIDTHS: [f64; 3] = [0.01, 0.1, 1.0];
/// The part of the distance between bound and plan that the next target covers.
const STRIDE: f64 = 0.125;
/// Targets tried where costs have no lattice before the last one.
const STAGES: usize = 4;

/// When a solve may stop, and whom it tells.
pub struct Limits<'a> {
    /// Relative gap, (value − bound) / |value|.
    pub gap: f64,
    /// Most nodes of all searches; makes a run repeatable.
    pub nodes: u64,
    /// Seed of what is random.
    pub seed: u64,
    /// A plan to beat: an option of every job.
    pub start: Option<&'a [u32]>,
    /// Asked now and then; true ends the search with what is known.
    pub stop: &'a dyn Fn() -> bool,
    /// Told of better plans and bounds.
    pub report: &'a mut dyn FnMut(&Answer),
}

impl std::fmt::Debug for Limits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits").field("gap", &self.gap).field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

/// A plan and how good it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Option of every job; `None` where no plan was found.
    pub choice: Option<Vec<u32>>,
    /// What the plan costs; ∞ without one.
    pub value: f64,
    /// No plan costs less; ∞ when there is none.
    pub bound: f64,
    /// Nodes searched.
    pub nodes: u64,
}

impl Answer {
    /// Whether it is proven that no plan exists.
    #[must_use]
    pub fn infeasible(&self) -> bool {
        self.choice.is_none() && self.bound == f64::INFINITY
    }

    /// (value − bound) / |value|.
    #[must_use]
    pub fn gap(&self) -> f64 {
        if self.choice.is_none() {
            f64::INFINITY
        } else {
            (self.value - self.bound).max(0.0) / self.value.abs().max(1e-12)
        }
    }
}

/// Finds a plan within `limits.gap` of a bound on all plans, or the best until a limit strikes.
pub fn solve(problem: &Problem, limits: &mut Limits<'_>) -> Answer {
    Run::new(problem, limits).solve()
}

struct Run<'a, 'l, 'p> {
    problem: &'p Problem,
    limits: &'l mut Limits<'a>,
    relaxation: Relaxation<'p>,
    answer: Answer,
    rng: ChaCha8Rng,
}

impl<'a, 'l, 'p> Run<'a, 'l, 'p> {
    fn new(problem: &'p Problem, limits: &'l mut Limits<'a>) -> Self {
        let answer = Answer { choice: None, value: f64::INFINITY, bound: f64::NEG_INFINITY, nodes: 0 };
        let rng = ChaCha8Rng::seed_from_u64(limits.seed);
        Self { problem, limits, relaxation: Relaxation::new(problem), answer, rng }
    }

    fn solve(mut self) -> Answer {
        if let Some(start) = self.limits.start
            && let Some(value) = self.problem.judge(start)
        {
            (self.answer.choice, self.answer.value) = (Some(start.to_vec()), value);
        }
        if !self.problem.may_be_feasible() {
            self.answer.bound = f64::INFINITY;
            return self.answer;
        }
        if self.problem.jobs() > LARGE {
            self.large();
            if self.close() || self.stopped() {
                return self.answer;
            }
        }
        let mut root = Node::root(self.problem);
        self.root(&mut root);
        self.dives(&root);
        self.prove(&root);
        self.answer
    }

    /// Pushes the multipliers to nearly the best bound that knapsacks give.
    fn root(&mut self, root: &mut Node) {
        let lattice = self.problem.lattice * FINE;
        let range = self.problem.dearest - self.problem.offset;
        let fine = long((lattice.max(range * FINE_RANGE) * self.problem.scale).ceil()).max(1);
        let mut span = i64::from(self.problem.highest).max(fine);
        let (u, mu) = (root.u.clone(), root.mu.clone());
        root.bound = self.relaxation.evaluate(root, &u, &mu);
        for _ in 0..ROOT_ROUNDS {
            if (self.limits.stop)() {
                break;
            }
            let before = root.bound;
            match self.relaxation.ascend(root, before + span, ROOT_STEPS, 1.0) {
                Outcome::Plan => {
                    let plan = self.relaxation.plan(root);
                    if let Some(cost) = self.problem.keeps(&plan) {
                        self.adopt(&plan, cost);
                        break;
                    }
                }
                Outcome::Pruned => span *= 2,
                Outcome::Open => {}
            }
            if root.bound - before < span / 4 {
                if span <= fine {
                    break;
                }
                span = (span / 2).max(fine);
            }
        }
        self.raise(self.problem.unscaled(root.bound));
        self.relaxation.reach = fine.saturating_mul(64);
    }

    /// Bound and plans of a large problem, until nothing better was found for long.
    fn large(&mut self) {
        let mut fill = Refill::new(self.problem);
        let priced = fill.price(PRICE_STEPS, self.limits.stop);
        self.raise(self.problem.possible(priced.bound));
        let wish = fill.wish();
        if !fill.construct(&wish, &mut self.rng, self.limits.stop) {
            return;
        }
        self.adopt(&fill.plan(), fill.cost());
        fill.settle(&mut self.rng, self.limits.stop);
        self.adopt(&fill.plan(), fill.cost());
        let mut since = 0;
        while since < QUIET && !self.stopped() && !self.close() {
            fill.shake(&mut self.rng, self.limits.stop);
            self.answer.nodes += 1;
            since += 1;
            if fill.cost() < self.answer.value {
                self.adopt(&fill.plan(), fill.cost());
                since = 0;
            }
        }
    }

    /// Searches that give up early, for plans: each target lies between the bound and the best plan,
    /// and where one finds nothing, others branch a little differently, at random.
    fn dives(&mut self, root: &Node) {
        let most = DIVE * self.problem.jobs() as u64 + 50;
        let mut low = self.answer.bound;
        let (mut failures, mut width) = (0, 0);
        let spread = (self.problem.dearest - low).max(0.0);
        while !self.close() && !self.stopped() {
            let known = self.answer.choice.is_some();
            let target = if known {
                0.5 * (low + self.answer.value)
            } else {
                // Ever wider until something is found, at last everything.
                low + spread * WIDTHS.get(width).copied().unwrap_or(1.0)
            };
            if known
                && target > self.answer.value - self.problem.lattice.max(self.tolerance(self.answer.value))
                || !known && width >= WIDTHS.len()
            {
                break;
            }
            let noise = if failures == 0 { 0.0 } else { NOISE };
            match self.search(root, target, most, noise) {
                End::Found(plan, cost) => {
                    self.adopt(&plan, cost);
                    failures = 0;
                }
                End::None => {
                    self.refuted(target);
                    low = low.max(self.answer.bound);
                    failures = 0;
                }
                End::Stopped if known => {
                    failures += 1;
                    if failures >= FAILURES {
                        low = target;
                        failures = 0;
                    }
                }
                End::Stopped => width += 1,
            }
        }
    }

    /// Complete searches, from targets near the bound upwards: a plan found is optimal within the
    /// stride, and none found is a better bound.
    fn prove(&mut self, root: &Node) {
        let mut stage = 0;
        while !self.close() && !self.stopped() {
            let (bound, value) = (self.answer.bound, self.answer.value);
            let target = if self.answer.choice.is_none() {
                self.problem.dearest
            } else if self.problem.lattice > 0.0 {
                let steps = ((value - bound) * STRIDE / self.problem.lattice).floor();
                (bound + steps * self.problem.lattice).min(value - self.problem.lattice)
            } else if stage < STAGES {
                bound + (value - bound) * 2.0 * STRIDE
            } else {
                // A plan found here must be better, so the search ends.
                value - 0.999 * self.tolerance(value)
            };
            stage += 1;
            match self.search(root, target, u64::MAX, 0.0) {
                End::Found(plan, cost) => self.adopt(&plan, cost),
                End::None => self.refuted(target),
                End::Stopped => return,
            }
        }
    }

    fn search(&mut self, root: &Node, target: f64, most: u64, noise: f64) -> End {
        let most = most.min(self.limits.nodes.saturating_sub(self.answer.nodes));
        let target = self.problem.reached(target);
        let effort = Effort { most, noise, stop: self.limits.stop };
        search(&mut self.relaxation, root, target, &effort, (&mut self.answer.nodes, &mut self.rng))
    }

    /// No plan costs `target` or less.
    fn refuted(&mut self, target: f64) {
        if self.answer.choice.is_none() && target >= self.problem.dearest {
            self.answer.bound = f64::INFINITY;
            return;
        }
        let next = if self.problem.lattice > 0.0 {
            self.problem.possible(self.problem.reached(target) + 0.5 * self.problem.lattice)
        } else {
            target
        };
        self.raise(next);
    }

    fn raise(&mut self, bound: f64) {
        let bound = if self.answer.choice.is_some() { bound.min(self.answer.value) } else { bound };
        if bound > self.answer.bound {
            self.answer.bound = bound;
            (self.limits.report)(&self.answer);
        }
    }

    fn adopt(&mut self, plan: &[usize], cost: f64) {
        if cost < self.answer.value
            && let Some(cost) = self.problem.keeps(plan)
        {
            let choice = plan.iter().zip(&self.problem.first).map(|(o, first)| index(o - first)).collect();
            (self.answer.choice, self.answer.value) = (Some(choice), cost);
            self.answer.bound = self.answer.bound.min(cost);
            (self.limits.report)(&self.answer);
        }
    }

    fn tolerance(&self, value: f64) -> f64 {
        (self.limits.gap * value.abs()).max(5e-13 * value.abs().max(1e-3))
    }

    /// Whether nothing is left to do.
    fn close(&self) -> bool {
        let Answer { value, bound, .. } = self.answer;
        bound == f64::INFINITY || self.answer.choice.is_some() && value - bound <= self.tolerance(value)
    }

    fn stopped(&self) -> bool {
        self.answer.nodes >= self.limits.nodes || (self.limits.stop)()
    }
}
