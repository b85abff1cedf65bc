//! Depth-first search for a plan within a target, bounded and fixed by the relaxation.

use crate::problem::Problem;
use crate::relax::{NONE, Node, Outcome, Relaxation};

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

/// Looks for a plan that costs at most `target`, through at most `most` nodes.
///
/// The branch that takes the option goes first, so the search is a dive at the beginning.
pub(crate) fn search(
    relaxation: &mut Relaxation<'_>,
    problem: &Problem,
    root: &Node,
    target: f64,
    (nodes, most): (&mut u64, u64),
    stop: &dyn Fn() -> bool,
) -> End {
    let limit = problem.scaled_up(target);
    let last = nodes.saturating_add(most);
    let mut stack = vec![root.clone()];
    while let Some(mut node) = stack.pop() {
        if *nodes >= last || (*nodes % PULSE == 0 && stop()) {
            return End::Stopped;
        }
        *nodes += 1;
        match bounded(relaxation, problem, &mut node, (limit, target)) {
            Bounded::Closed => {}
            Bounded::Found(plan, cost) => return End::Found(plan, cost),
            Bounded::Open => {
                let Some(option) = branch(relaxation, problem, &node, limit) else { continue };
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
fn bounded(
    relaxation: &mut Relaxation<'_>,
    problem: &Problem,
    node: &mut Node,
    (limit, target): (i64, f64),
) -> Bounded {
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
    problem.keeps(plan).filter(|cost| *cost <= target + 1e-9 * target.abs().max(1.0))
}

/// The option to decide on: of a job whose options lose much, so that trees below are small, and
/// that the averaged relaxed choices neither take nor leave.
fn branch(relaxation: &Relaxation<'_>, problem: &Problem, node: &Node, limit: i64) -> Option<usize> {
    struct Job {
        trees: f64,
        taken: f32,
        most: f32,
        option: u32,
    }
    let spare = limit.saturating_sub(node.bound).max(1) as f64;
    let mut jobs: Vec<Job> = (0..problem.jobs())
        .map(|_| Job { trees: 0.0, taken: 0.0, most: -1.0, option: NONE })
        .collect();
    for o in &node.options {
        let job = &mut jobs[problem.job[*o as usize] as usize];
        job.trees += (-SHARPNESS * relaxation.loss[*o as usize] as f64 / spare).exp();
        let share = relaxation.share[*o as usize];
        job.taken += share;
        if share > job.most {
            (job.most, job.option) = (share, *o);
        }
    }
    let score = |job: &Job| {
        let share = f64::from(job.most / job.taken.max(1e-6));
        job.trees * (APART + (share - SHARE).abs())
    };
    jobs.iter()
        .filter(|job| job.option != NONE)
        .min_by(|a, b| score(a).total_cmp(&score(b)))
        .map(|job| job.option as usize)
}
