//! Stages
use crate::problem::Problem;
use crate::relax::{Node, Outcome, Relaxation};
use crate::tree::{End, search};
/// Limits.
#[allow(missing_debug_implementations)]
pub struct Limits<'a> { 
/// stop
pub stop: &'a dyn Fn() -> bool, 
/// verbose
pub verbose: bool }
/// Answer.
#[derive(Debug)]
pub struct Answer { 
/// choice
pub choice: Option<Vec<u32>>, 
/// value
pub value: f64, 
/// bound
pub bound: f64, 
/// nodes
pub nodes: u64 }
/// Solve.
#[allow(clippy::print_stderr)]
pub fn solve(problem: &Problem, limits: &Limits<'_>) -> Answer {
    let mut relaxation = Relaxation::new(problem);
    let mut root = Node::root(problem);
    let mut theta = 1.0;
    let mut span = problem.highest as i64 * 2;
    for round in 0..60 {
        let before = root.bound;
        let goal = if before == i64::MIN { i64::MAX / 4 } else { before + span };
        let goal = if goal > i64::MAX/8 { relaxation.evaluate(&root, &root.u.clone(), &root.mu.clone()) + span } else { goal };
        let outcome = relaxation.ascend(&mut root, goal, 100, theta);
        if outcome == Outcome::Plan { break; }
        if outcome == Outcome::Pruned { span *= 2; continue; }
        if limits.verbose { eprintln!("round {round} bound {} work {}", problem.offset + root.bound as f64 / problem.scale, relaxation.work); }
        if root.bound - before < span / 4 { span = (span / 2).max(1); }
        theta = 1.0;
    }
    let mut nodes = 0;
    let mut bound = problem.unscaled(root.bound);
    if limits.verbose { eprintln!("root {} -> {bound}", problem.offset + root.bound as f64 / problem.scale); }
    let stop = |_| (limits.stop)();
    loop {
        let n0 = nodes;
        match search(&mut relaxation, problem, &root, bound, &mut nodes, &stop) {
            End::Found(plan, cost) => { return Answer { choice: Some(plan.iter().zip(&problem.first).map(|(o, f)| (o - f) as u32).collect()), value: cost, bound, nodes }; }
            End::None => { 
        if limits.verbose { eprintln!("z {bound}: none, {} nodes, work {}", nodes - n0, relaxation.work); }
                bound += problem.lattice; }
            End::Stopped => return Answer { choice: None, value: f64::INFINITY, bound, nodes },
        }
    }
}
