//! Depth-first search for a plan within a target, bounded and fixed by the relaxation.

use crate::problem::Problem;
use crate::relax::{NONE, Node, Outcome, Relaxation};

/// Ascent steps at the root, and at nodes below.
const NODE_STEPS: usize = 30;
/// How sharply losses count when a job is chosen to branch on.
const SHARPNESS: f64 = 3.0;
/// Nodes between two looks at the clock.
const PULSE: u64 = 16;

/// How a search ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum End {
    /// A plan within the target.
    Found(Vec<usize>, f64),
    /// There is none.
    None,
    /// Stopped before either was known.
    Stopped,
}

/// Looks for a plan that costs at most `target`.
pub(crate) fn search(
    relaxation: &mut Relaxation<'_>,
    problem: &Problem,
    root: &Node,
    target: f64,
    nodes: &mut u64,
    stop: &dyn Fn(u64) -> bool,
) -> End {
    let limit = problem.scaled_up(target);
    let mut stack = vec![root.clone()];
    while let Some(mut node) = stack.pop() {
        *nodes += 1;
        if *nodes % PULSE == 0 && stop(*nodes) {
            return End::Stopped;
        }
        let mut outcome = relaxation.fix(&mut node, limit);
        let mut rounds = 0;
        while outcome == Outcome::Open {
            let count = node.options.len();
            outcome = relaxation.ascend(&mut node, limit, NODE_STEPS, 0.8);
            match outcome {
                Outcome::Pruned => break,
                Outcome::Plan => {
                    let plan = relaxation.plan(&node);
                    if let Some(cost) = accepted(problem, &plan, target) {
                        return End::Found(plan, cost);
                    }
                }
                Outcome::Open => {}
            }
            outcome = relaxation.fix(&mut node, limit);
            rounds += 1;
            // Once more while fixing takes a good part of what was left.
            if rounds >= 4 || node.options.len() * 10 > count * 9 {
                break;
            }
        }
        match outcome {
            Outcome::Pruned => continue,
            Outcome::Plan => {
                let plan = relaxation.plan(&node);
                if let Some(cost) = accepted(problem, &plan, target) {
                    return End::Found(plan, cost);
                }
                continue;
            }
            Outcome::Open => {}
        }
        let Some(option) = branch(relaxation, problem, &node, limit) else { continue };
        let mut taken = node.clone();
        node.keep(|o, _| o != option);
        stack.push(node);
        if taken.assign(problem, option) {
            stack.push(taken);
        }
    }
    End::None
}

fn accepted(problem: &Problem, plan: &[usize], target: f64) -> Option<f64> {
    if plan.iter().any(|o| *o == NONE as usize) {
        return None;
    }
    problem.keeps(plan).filter(|cost| *cost <= target + 1e-9 * target.abs().max(1.0))
}

/// The option to decide on: of the job that promises the smallest trees, the one of least loss.
fn branch(relaxation: &Relaxation<'_>, problem: &Problem, node: &Node, limit: i64) -> Option<usize> {
    let spare = (limit.saturating_sub(node.bound)).max(1) as f64;
    let mut weight = vec![0.0; problem.jobs()];
    let mut least: Vec<(i64, u32)> = vec![(i64::MAX, NONE); problem.jobs()];
    for o in &node.options {
        let job = problem.job[*o as usize] as usize;
        let loss = relaxation.loss[*o as usize];
        weight[job] += (-SHARPNESS * loss as f64 / spare).exp();
        least[job] = least[job].min((loss, *o));
    }
    (0..problem.jobs())
        .filter(|j| least[*j].1 != NONE)
        .min_by(|a, b| weight[*a].total_cmp(&weight[*b]))
        .map(|j| least[j].1 as usize)
}
