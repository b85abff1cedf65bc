//! Where a job's pattern fits into a topology: subgraph matching by enumeration.
//!
//! A server's accelerators form a complete graph, so that a pattern fits on every set of its size;
//! what differs is what it costs. Sets are enumerated, and on each the orders of a ring up to
//! rotation and reflection: (k − 1)!/2 of them. All of that depends on the topology alone and is made
//! once, at most C(16, 8) sets of at most 2520 orders.

use crate::bandwidth::{Links, aggregated};
use ecomap_instances::accelerators::{Pattern, Topology};
use ecomap_instances::units::GigabytesPerSecond;

/// A set of accelerators, and the best that a pattern can make of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The set, by bits.
    pub mask: u16,
    /// Accelerators in the order of the ring with the highest effective bandwidth; ascending where
    /// all talk to each other.
    pub order: Vec<usize>,
    /// Links of that order.
    pub links: Links,
    /// Its effective bandwidth; 0 for a single accelerator.
    pub effective: GigabytesPerSecond,
    /// Highest aggregated bandwidth of any order.
    pub aggregated: GigabytesPerSecond,
}

/// Pairs that a pattern uses, for accelerators in its order. A ring of two lists its pair twice.
#[must_use]
pub fn pairs(pattern: Pattern, order: &[usize]) -> Vec<(usize, usize)> {
    let count = order.len();
    match pattern {
        _ if count < 2 => Vec::new(),
        Pattern::Ring => (0..count).map(|n| (order[n], order[(n + 1) % count])).collect(),
        Pattern::AllToAll => {
            (0..count).flat_map(|a| (a + 1..count).map(move |b| (order[a], order[b]))).collect()
        }
    }
}

/// Every set of `size` accelerators that a pattern can take, in lexicographic order.
#[must_use]
pub fn matches(topology: &Topology, pattern: Pattern, size: usize) -> Vec<Match> {
    let mut found = Vec::new();
    let mut set = Vec::with_capacity(size);
    subsets(topology.len(), size, 0, &mut set, &mut |set| found.push(best(topology, pattern, set)));
    found
}

fn subsets(count: usize, size: usize, from: usize, set: &mut Vec<usize>, visit: &mut impl FnMut(&[usize])) {
    if set.len() == size {
        return visit(set);
    }
    for next in from..count {
        set.push(next);
        subsets(count, size, next + 1, set, visit);
        set.pop();
    }
}

/// The best order of a set.
fn best(topology: &Topology, pattern: Pattern, set: &[usize]) -> Match {
    let mask = set.iter().fold(0_u16, |mask, a| mask | 1 << a);
    let mut best: Option<Match> = None;
    let mut most = GigabytesPerSecond::ZERO;
    let mut judge = |order: &[usize]| {
        let pairs = pairs(pattern, order);
        let links = Links::of(topology, pairs.iter().copied());
        let sum = aggregated(topology, pairs);
        most = most.max(sum);
        let effective = match links.total() {
            0 => GigabytesPerSecond::ZERO,
            _ => links.effective_at(order.len()),
        };
        if best.as_ref().is_none_or(|b| effective.get() > b.effective.get()) {
            best = Some(Match { mask, order: order.to_vec(), links, effective, aggregated: sum });
        }
    };
    match pattern {
        Pattern::Ring if set.len() > 3 => {
            let mut order = set.to_vec();
            rings(&mut order, 1, &mut judge);
        }
        _ => judge(set),
    }
    let mut best = best.unwrap_or_else(|| Match {
        mask,
        order: set.to_vec(),
        links: Links::default(),
        effective: GigabytesPerSecond::ZERO,
        aggregated: GigabytesPerSecond::ZERO,
    });
    best.aggregated = most;
    best
}

/// Orders of a ring: the first stays first, and of two that are each other's reflection the one
/// whose second is below its last is visited.
fn rings(order: &mut Vec<usize>, at: usize, visit: &mut impl FnMut(&[usize])) {
    if at == order.len() {
        if order[1] < order[at - 1] {
            visit(order);
        }
        return;
    }
    for other in at..order.len() {
        order.swap(at, other);
        rings(order, at + 1, visit);
        order.swap(at, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecomap_instances::accelerators::Named;

    #[test]
    fn rings_are_visited_once_up_to_symmetry() {
        for (size, orders) in [(4, 3), (5, 12), (6, 60), (7, 360)] {
            let mut count = 0;
            rings(&mut (0..size).collect(), 1, &mut |_| count += 1);
            assert_eq!(count, orders, "{size}");
        }
    }

    #[test]
    fn sets_are_all_there() {
        let topology = Named::Torus2d.topology();
        let found = matches(&topology, Pattern::AllToAll, 3);
        assert_eq!(found.len(), 560);
        assert!(found.iter().all(|m| m.mask.count_ones() == 3 && m.links.total() == 3));
        assert!(found.windows(2).all(|pair| pair[0].order < pair[1].order));
    }

    #[test]
    fn the_best_order_is_that_of_all_permutations() {
        // Every permutation of four, against the pruned enumeration.
        let topology = Named::Dgx1V100.topology();
        for found in matches(&topology, Pattern::Ring, 4) {
            let set: Vec<usize> = (0..8).filter(|a| found.mask >> a & 1 == 1).collect();
            let mut top = (f64::NEG_INFINITY, f64::NEG_INFINITY);
            for n in 0..256 {
                let order: Vec<usize> = [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6].map(|i| set[i]).to_vec();
                if (1..4).any(|i| order[..i].contains(&order[i])) {
                    continue;
                }
                let pairs = pairs(Pattern::Ring, &order);
                let effective = Links::of(&topology, pairs.iter().copied()).effective().get();
                top = (top.0.max(effective), top.1.max(aggregated(&topology, pairs).get()));
            }
            assert_eq!((found.effective.get(), found.aggregated.get()), top, "{set:?}");
        }
    }
}
