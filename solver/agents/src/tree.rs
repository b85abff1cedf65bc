//! Depth-first search for a plan within a target, bounded and fixed by the relaxation.

use crate::problem::Problem;
use crate::relax::{NONE, Node, Outcome, Relaxation};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

/// Ascent steps between two rounds of fixing, and the first step relative to Polyak's.
const STEPS: usize = 20;
const LENGTH: f64 = 0.6;
/// Rounds of ascent and fixing at a node, as long as each drops this share of the options.
const ROUNDS: usize = 4;
const DROPPED: f64 = 0.3;
/// How sharply losses count when a job is chosen to branch on.
const SHARPNESS: f64 = 4.0;
/// The share of its job that the option branched on should have in the averaged relaxed choices,
/// and how much is added to the distance from it.
const SHARE: f64 = 0.6;
const APART: f64 = 0.2;
/// Nodes between two looks at the clock.
const PULSE: u64 = 8;

/// How a search ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    /// A plan within the target, options numbered throughout, and its cost.
    Found(Vec<usize>, f64),
    /// There is none.
    None,
    /// Stopped before either was known.
    Stopped,
}

/// What a search may spend, and how it branches.
pub(crate) struct Effort<'a> {
    /// Most nodes.
    pub(crate) most: u64,
    /// How much chance has a say in the choice of jobs.
    pub(crate) noise: f64,
    pub(crate) stop: &'a dyn Fn() -> bool,
}

/// Looks for a plan that costs at most `target`.
///
/// The branch that takes the option goes first, so the search is a dive at the beginning.
pub(crate) fn search(
    relaxation: &mut Relaxation<'_>,
    root: &Node,
    target: f64,
    effort: &Effort<'_>,
    (nodes, rng): (&mut u64, &mut ChaCha8Rng),
) -> End {
    let problem = relaxation.problem;
    let limit = problem.scaled_up(target);
    let last = nodes.saturating_add(effort.most);
    let mut stack = vec![root.clone()];
    while let Some(mut node) = stack.pop() {
        if *nodes >= last || (*nodes % PULSE == 0 && (effort.stop)()) {
            return End::Stopped;
        }
        *nodes += 1;
        match bounded(relaxation, &mut node, (limit, target)) {
            Bounded::Closed => {}
            Bounded::Found(plan, cost) => return End::Found(plan, cost),
            Bounded::Open => {
                let Some(option) = branch(relaxation, &node, limit, effort.noise, rng) else { continue };
                let mut taken = node.clone();
                node.keep(|o, _| o != option);
                stack.push(node);
                if taken.assign(problem, option) {
                    stack.push(taken);
                }
            }
        }
    }
    End::None
}

enum Bounded {
    Closed,
    Found(Vec<usize>, f64),
    Open,
}

/// Rounds of fixing and ascent, fixing first and last.
fn bounded(relaxation: &mut Relaxation<'_>, node: &mut Node, (limit, target): (i64, f64)) -> Bounded {
    let problem = relaxation.problem;
    let mut outcome = relaxation.fix(node, limit);
    for _ in 0..ROUNDS {
        if outcome != Outcome::Open {
            break;
        }
        let before = node.options.len() as f64;
        match relaxation.ascend(node, limit, STEPS, LENGTH) {
            Outcome::Pruned => return Bounded::Closed,
            Outcome::Plan => {
                let plan = relaxation.plan(node);
                if let Some(cost) = accepted(problem, &plan, target) {
                    return Bounded::Found(plan, cost);
                }
            }
            Outcome::Open => {}
        }
        outcome = relaxation.fix(node, limit);
        if node.options.len() as f64 > before * (1.0 - DROPPED) {
            break;
        }
    }
    match outcome {
        Outcome::Pruned => Bounded::Closed,
        Outcome::Open => Bounded::Open,
        Outcome::Plan => {
            let plan = relaxation.plan(node);
            accepted(problem, &plan, target).map_or(Bounded::Closed, |cost| Bounded::Found(plan, cost))
        }
    }
}

/// The cost of a plan that keeps every row and the target.
fn accepted(problem: &Problem, plan: &[usize], target: f64) -> Option<f64> {
    if plan.contains(&(NONE as usize)) {
        return None;
    }
    // Costs of a lattice are sums with errors of rounding; others are taken as they are.
    let slack = if problem.lattice > 0.0 { 0.01 * problem.lattice } else { 0.0 };
    problem.keeps(plan).filter(|cost| *cost <= target + slack)
}

/// The option to decide on: of a job whose options lose much, so that trees below are small, and
/// that the averaged relaxed choices neither take nor leave.
fn branch(
    relaxation: &Relaxation<'_>,
    node: &Node,
    limit: i64,
    noise: f64,
    rng: &mut ChaCha8Rng,
) -> Option<usize> {
    struct Job {
        trees: f64,
        taken: f32,
        most: f32,
        option: u32,
    }
    let problem = relaxation.problem;
    let spare = limit.saturating_sub(node.bound).max(1) as f64;
    let mut jobs: Vec<Job> =
        (0..problem.jobs()).map(|_| Job { trees: 0.0, taken: 0.0, most: -1.0, option: NONE }).collect();
    for o in &node.options {
        let job = &mut jobs[problem.job[*o as usize] as usize];
        job.trees += (-SHARPNESS * relaxation.loss[*o as usize] as f64 / spare).exp();
        let share = relaxation.share[*o as usize];
        job.taken += share;
        if share > job.most {
            (job.most, job.option) = (share, *o);
        }
    }
    let mut score = |job: &Job| {
        let share = f64::from(job.most / job.taken.max(1e-6));
        let chance = if noise > 0.0 { 1.0 + noise * rng.random_range(0.0..1.0) } else { 1.0 };
        job.trees * (APART + (share - SHARE).abs()) * chance
    };
    jobs.iter()
        .filter(|job| job.option != NONE)
        .map(|job| (score(job), job.option))
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
        .map(|(_, option)| option as usize)
}
