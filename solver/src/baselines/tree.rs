//! Monte-Carlo tree search over the unit of every block of every DNN on a board: the core of
//! `omniboost` and `rankmap`.
//!
//! A node is a prefix of decisions: DNN after DNN, block after block, one unit each. Selection goes
//! by UCB1, mean reward + temperature·√(ln N / n); one node is added an iteration; from there a seat
//! on offer that begins as decided is drawn at random for every DNN. Where none does, the nearest is
//! taken. A DNN cut into more than [`STAGES`] stages makes a losing state. Its reward stays with the
//! state: passed up to where it came from it would bury the good states beside it, since no visit
//! count makes up for it.

use super::blind::Desk;
use super::board::Board;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

/// Most stages of a DNN: contiguous runs of blocks on one unit.
pub(crate) const STAGES: usize = 3;
/// Reward of a losing state.
pub(crate) const LOSING: f64 = -5000.0;
/// Iterations.
pub(crate) const BUDGET: u64 = 500;
/// Exploration factor of UCB1.
pub(crate) const TEMPERATURE: f64 = 2.0;

struct Node {
    /// By unit.
    children: Vec<Option<usize>>,
    visits: f64,
    reward: f64,
}

/// What the search found: seats, and their reward.
pub(crate) struct Found {
    pub seats: Vec<usize>,
    pub reward: f64,
}

/// Searches within [`BUDGET`] iterations; `None` when no state met was qualified. `reward` rates a
/// complete placement; `None` disqualifies it, and counts 0.
pub(crate) fn search(
    board: &Board,
    desk: &mut Desk<'_, '_, '_>,
    rng: &mut ChaCha8Rng,
    reward: impl Fn(&[usize]) -> Option<f64>,
) -> Option<Found> {
    let blocks: Vec<usize> = board.jobs.iter().map(super::board::Job::blocks).collect();
    let depth: usize = blocks.iter().sum();
    let mut nodes = vec![Node::new(board.units)];
    let mut best: Option<Found> = None;
    for _ in 0..BUDGET {
        if !desk.step() {
            break;
        }
        let (mut path, mut prefix) = (vec![0], Vec::with_capacity(depth));
        let mut at = 0;
        // Down to a node with an untried unit, or a leaf.
        while prefix.len() < depth && !losing(&blocks, &prefix) {
            let untried: Vec<usize> = (0..board.units).filter(|u| nodes[at].children[*u].is_none()).collect();
            let unit = match untried.choose(rng) {
                Some(unit) => *unit,
                None => nodes[at].most_promising(&nodes),
            };
            prefix.push(unit);
            let known = nodes[at].children[unit];
            let child = known.unwrap_or(nodes.len());
            if known.is_none() {
                nodes[at].children[unit] = Some(child);
                nodes.push(Node::new(board.units));
            }
            path.push(child);
            at = child;
            if known.is_none() {
                break;
            }
        }
        if losing(&blocks, &prefix) {
            nodes[at].visits += 1.0;
            nodes[at].reward += LOSING;
            continue;
        }
        let seats = complete(board, &blocks, &prefix, rng);
        let rated = reward(&seats).map(|reward| Found { seats, reward });
        let gain = rated.as_ref().map_or(0.0, |f| f.reward);
        for node in path {
            nodes[node].visits += 1.0;
            nodes[node].reward += gain;
        }
        if let Some(found) = rated.filter(|f| best.as_ref().is_none_or(|b| f.reward > b.reward)) {
            desk.better(board, &found.seats);
            best = Some(found);
        }
    }
    best
}

impl Node {
    fn new(units: usize) -> Self {
        Self { children: vec![None; units], visits: 0.0, reward: 0.0 }
    }

    /// The unit of the child with the largest upper bound.
    fn most_promising(&self, nodes: &[Self]) -> usize {
        let bound = |child: &Self| {
            child.reward / child.visits + TEMPERATURE * (self.visits.ln() / child.visits).sqrt()
        };
        (0..self.children.len())
            .filter_map(|unit| self.children[unit].map(|child| (unit, bound(&nodes[child]))))
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
            .map_or(0, |(unit, _)| unit)
    }
}

/// The decisions of a prefix, by DNN; the last may be incomplete.
fn by_job<'p>(blocks: &[usize], prefix: &'p [usize]) -> Vec<&'p [usize]> {
    let mut rest = prefix;
    blocks
        .iter()
        .map(|count| {
            let (own, others) = rest.split_at((*count).min(rest.len()));
            rest = others;
            own
        })
        .collect()
}

/// Stages of a run of units.
pub(crate) fn stages(units: &[usize]) -> usize {
    units.chunk_by(|a, b| a == b).count()
}

fn losing(blocks: &[usize], prefix: &[usize]) -> bool {
    by_job(blocks, prefix).into_iter().any(|own| stages(own) > STAGES)
}

/// A seat for every DNN that begins as the prefix says, at random; the nearest where none does.
fn complete(board: &Board, blocks: &[usize], prefix: &[usize], rng: &mut ChaCha8Rng) -> Vec<usize> {
    board
        .jobs
        .iter()
        .zip(by_job(blocks, prefix))
        .map(|(job, own)| {
            let fitting: Vec<usize> =
                (0..job.seats.len()).filter(|s| job.patterns[*s].starts_with(own)).collect();
            fitting.choose(rng).copied().unwrap_or_else(|| {
                let mut pattern = own.to_vec();
                pattern.resize(job.blocks(), own.last().copied().unwrap_or(0));
                job.nearest(&pattern)
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_those_of_the_paper() {
        assert_eq!((STAGES, BUDGET), (3, 500));
        assert!((LOSING, TEMPERATURE) == (-5000.0, 2.0));
    }

    #[test]
    fn a_fourth_stage_loses() {
        assert!(!losing(&[4, 4], &[0, 1, 0, 0, 1]));
        assert!(losing(&[4, 4], &[0, 1, 0, 1]));
        assert!(!losing(&[4, 4], &[0, 1, 0, 0, 1, 0, 1]), "stages are counted by DNN");
        assert!(losing(&[4, 4], &[0, 0, 0, 0, 1, 0, 1, 0]));
    }

    #[test]
    fn the_most_promising_child_balances_mean_and_visits() {
        let leaf = |visits: f64, reward: f64| Node { children: vec![None; 2], visits, reward };
        let root = Node { children: vec![Some(1), Some(2)], visits: 12.0, reward: 0.0 };
        let nodes = [leaf(0.0, 0.0), leaf(10.0, 30.0), leaf(2.0, 5.0)];
        // 3 + 2·√(ln 12 / 10) = 3.997; 2.5 + 2·√(ln 12 / 2) = 4.729.
        assert_eq!(root.most_promising(&nodes), 1);
        let nodes = [leaf(0.0, 0.0), leaf(10.0, 60.0), leaf(2.0, 5.0)];
        assert_eq!(root.most_promising(&nodes), 0);
    }
}
