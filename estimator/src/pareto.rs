//! Which placements are worth offering to a solver.
//!
//! Measures are rate-free: base time, busy time per unit, energy, own memory, memory traffic, and
//! the set of weight precisions. A tenant's latency quantiles and unit loads are non-decreasing
//! functions of base time and busy times at every rate, so a placement that is dominated here is
//! dominated for every tenant in (p50, p95, p99, energy, load of each unit, memory, weights,
//! bandwidth). The filter therefore runs once for each (tier, profile, mode).

use crate::placement::{Placed, enumerate, groups, relabellings};
use crate::table::{CostTable, Precisions};
use ecomap_instances::scenario::PricingPolicy;
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// The placements kept for one (tier, profile, mode).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Menu {
    /// Kept, fastest first.
    pub kept: Vec<Placed>,
    /// Placements evaluated, all labellings of interchangeable units counted.
    pub evaluated: u64,
    /// Left out because another kept one is at least as good in every measure (within epsilon).
    pub dominated: u64,
    /// Left out because more than `max_placements` remained.
    pub trimmed: u64,
}

/// Enumerates, filters and trims the placements of a table.
#[must_use]
pub fn menu(table: &CostTable, allowed: &[bool], policy: &PricingPolicy) -> Menu {
    let groups = groups(table, allowed);
    let all = enumerate(table, &groups, policy.max_segments);
    let labels: Vec<u64> = all.iter().map(|p| labellings(&groups, p)).collect();
    let evaluated: u64 = labels.iter().sum();
    let front = filter(&all, &groups, policy.epsilon);
    let survivors: u64 = front.iter().map(|k| labels[*k]).sum();
    let mut expanded: Vec<Placed> =
        front.iter().flat_map(|k| relabellings(table, &groups, &all[*k])).collect();
    expanded.sort_by(order);
    let kept = spread(expanded, table, policy.max_placements);
    let trimmed = survivors - u64::try_from(kept.len()).unwrap_or(survivors).min(survivors);
    Menu { kept, evaluated, dominated: evaluated - survivors, trimmed }
}

fn order(a: &Placed, b: &Placed) -> Ordering {
    a.cost.base.total_cmp(&b.cost.base).then_with(|| a.segments.cmp(&b.segments))
}

/// Labellings of a canonical placement: members of each group that it uses, in order.
fn labellings(groups: &[Vec<usize>], placed: &Placed) -> u64 {
    groups
        .iter()
        .map(|group| {
            let used = group.iter().filter(|u| placed.segments.iter().any(|s| s.unit == **u)).count();
            (0..used).map(|k| u64::try_from(group.len() - k).unwrap_or(1)).product::<u64>()
        })
        .product()
}

/// Measures of a placement, all to be small. Busy times are sorted within each group of
/// interchangeable units, largest first: some labelling of `a` is at most `b` on every unit if and
/// only if the sorted lists compare so.
struct Measures {
    values: Vec<f64>,
    precisions: Precisions,
}

impl Measures {
    fn new(placed: &Placed, groups: &[Vec<usize>]) -> Self {
        let c = &placed.cost;
        let mut values = vec![c.base.get(), c.energy.get()];
        for group in groups {
            let start = values.len();
            values.extend(
                group.iter().map(|u| {
                    c.services().find(|(used, _)| used == u).map_or(0.0, |(_, service)| service.get())
                }),
            );
            values[start..].sort_by(|a, b| b.total_cmp(a));
        }
        values.push(c.memory.get());
        values.push(c.traffic.get());
        Self { values, precisions: c.precisions }
    }

    fn covers(&self, other: &Self, slack: f64) -> bool {
        self.precisions.is_subset(other.precisions)
            && self.values.iter().zip(&other.values).all(|(a, b)| *a <= *b * slack)
    }
}

/// Positions of the placements that no kept one covers. Candidates are visited fastest first;
/// with `epsilon` 0 the result is the Pareto set (one of each group of equals), because only a
/// placement that is at least as fast can dominate.
fn filter(all: &[Placed], groups: &[Vec<usize>], epsilon: f64) -> Vec<usize> {
    let measures: Vec<Measures> = all.iter().map(|p| Measures::new(p, groups)).collect();
    let mut by_merit: Vec<usize> = (0..all.len()).collect();
    by_merit.sort_by(|a, b| {
        let (x, y) = (&measures[*a].values, &measures[*b].values);
        x.iter()
            .zip(y)
            .map(|(p, q)| p.total_cmp(q))
            .find(|o| o.is_ne())
            .unwrap_or(Ordering::Equal)
            .then_with(|| measures[*a].precisions.iter().count().cmp(&measures[*b].precisions.iter().count()))
            .then(a.cmp(b))
    });
    let slack = 1.0 + epsilon.max(0.0);
    let mut kept: Vec<usize> = Vec::new();
    for candidate in by_merit {
        if !kept.iter().any(|k| measures[*k].covers(&measures[candidate], slack)) {
            kept.push(candidate);
        }
    }
    kept
}

/// At most `most` placements of a list sorted by [`order`]. Kept first, in this order: the
/// fastest; the one of least energy; for each unit the one that loads it least (fastest of those);
/// for each unit the fastest that uses nothing else. The rest are added one by one, always the one
/// farthest from those kept, in log-scaled base time, energy and busy time per unit.
fn spread(all: Vec<Placed>, table: &CostTable, most: usize) -> Vec<Placed> {
    if all.len() <= most {
        return all;
    }
    let busy =
        |p: &Placed, unit: usize| p.cost.services().find(|(u, _)| *u == unit).map_or(0.0, |(_, s)| s.get());
    let units: Vec<usize> = table.units_on().map(|(u, _)| u).collect();
    let least = |key: &dyn Fn(&Placed) -> f64| {
        (0..all.len()).min_by(|a, b| key(&all[*a]).total_cmp(&key(&all[*b])).then(a.cmp(b)))
    };
    let mut wanted: Vec<usize> = Vec::new();
    wanted.extend(least(&|p| p.cost.base.get()));
    wanted.extend(least(&|p| p.cost.energy.get()));
    for unit in &units {
        wanted.extend(least(&|p| busy(p, *unit)));
    }
    for unit in &units {
        wanted.extend((0..all.len()).find(|k| all[*k].segments.iter().all(|s| s.unit == *unit)));
    }
    let mut chosen: BTreeSet<usize> = BTreeSet::new();
    for k in wanted {
        if chosen.len() < most {
            chosen.insert(k);
        }
    }
    let fastest = all.first().map_or(1.0, |p| p.cost.base.get()).max(1e-9);
    let features: Vec<Vec<f64>> = all
        .iter()
        .map(|p| {
            let mut f = vec![(p.cost.base.get() / fastest).ln(), p.cost.energy.get().max(1e-12).ln()];
            f.extend(units.iter().map(|u| (1.0 + busy(p, *u) / fastest).ln()));
            f
        })
        .collect();
    let distance = |a: usize, b: usize| -> f64 {
        features[a].iter().zip(&features[b]).map(|(x, y)| (x - y) * (x - y)).sum()
    };
    let mut nearest: Vec<f64> = (0..all.len())
        .map(|k| chosen.iter().map(|c| distance(k, *c)).fold(f64::INFINITY, f64::min))
        .collect();
    while chosen.len() < most {
        let Some(next) = (0..all.len())
            .filter(|k| !chosen.contains(k))
            .max_by(|a, b| nearest[*a].total_cmp(&nearest[*b]).then(b.cmp(a)))
        else {
            break;
        };
        chosen.insert(next);
        for (k, least) in nearest.iter_mut().enumerate() {
            *least = least.min(distance(k, next));
        }
    }
    all.into_iter().enumerate().filter(|(k, _)| chosen.contains(k)).map(|(_, p)| p).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::{block, family, flat_parameters, toy_profile};
    use ecomap_instances::ids::ModeIx;
    use ecomap_instances::scenario::Segment;

    fn toy_table() -> CostTable {
        let blocks = vec![block(1e9, 4e6), block(0.3e9, 20e6), block(2e9, 2e6), block(0.1e9, 30e6)];
        let parameters = flat_parameters(0.5, 0.5, 0.0);
        CostTable::new(&parameters, &toy_profile(), ModeIx::new(0), &family(blocks), 0)
    }

    fn policy(epsilon: f64, max_placements: usize) -> PricingPolicy {
        PricingPolicy { epsilon, max_placements, ..PricingPolicy::default() }
    }

    /// All placements over the named units, straight from the definition.
    fn brute_force(table: &CostTable) -> Vec<Placed> {
        let n = table.blocks();
        let units = 0..table.unit_count();
        let mut all = Vec::new();
        let mut push = |segments: Vec<Segment>| {
            if let Some(cost) = table.placement(&segments) {
                all.push(Placed { segments, cost });
            }
        };
        let s = |from, to, unit| Segment { from, to, unit };
        for a in units.clone() {
            push(vec![s(0, n, a)]);
            for b in units.clone() {
                for i in 1..n {
                    push(vec![s(0, i, a), s(i, n, b)]);
                    for c in units.clone() {
                        for j in i + 1..n {
                            push(vec![s(0, i, a), s(i, j, b), s(j, n, c)]);
                        }
                    }
                }
            }
        }
        all
    }

    fn vector(p: &Placed, units: usize) -> Vec<f64> {
        let mut v = vec![p.cost.base.get(), p.cost.energy.get(), p.cost.memory.get(), p.cost.traffic.get()];
        v.extend((0..units).map(|u| p.cost.services().find(|(x, _)| *x == u).map_or(0.0, |(_, s)| s.get())));
        v
    }

    #[test]
    fn epsilon_zero_keeps_the_complete_pareto_set() {
        let table = toy_table();
        let all = brute_force(&table);
        let menu = menu(&table, &[true; 4], &policy(0.0, 1000));
        assert_eq!(menu.evaluated, u64::try_from(all.len()).unwrap());
        assert_eq!(menu.trimmed, 0);
        let vectors: Vec<Vec<f64>> = all.iter().map(|p| vector(p, 4)).collect();
        // Sums of the same numbers in another order may differ in the last bits.
        let below = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(x, y)| *x <= *y + 1e-9 * y.abs());
        let kept: BTreeSet<&Vec<Segment>> = menu.kept.iter().map(|p| &p.segments).collect();
        for (k, p) in all.iter().enumerate() {
            let dominated = all.iter().enumerate().any(|(j, q)| {
                q.cost.precisions.is_subset(p.cost.precisions)
                    && below(&vectors[j], &vectors[k])
                    && !(below(&vectors[k], &vectors[j]) && p.cost.precisions.is_subset(q.cost.precisions))
            });
            let equal = menu
                .kept
                .iter()
                .any(|q| q.cost.precisions == p.cost.precisions && below(&vector(q, 4), &vectors[k]));
            assert!(!dominated || !kept.contains(&p.segments), "kept a dominated one: {:?}", p.segments);
            assert!(dominated || equal, "lost {:?}", p.segments);
        }
    }

    #[test]
    fn epsilon_keeps_something_close_to_everything() {
        let table = toy_table();
        let exact = menu(&table, &[true; 4], &policy(0.0, 1000));
        let coarse = menu(&table, &[true; 4], &policy(0.2, 1000));
        assert!(coarse.kept.len() < exact.kept.len());
        for p in &exact.kept {
            let v = vector(p, 4);
            let near = coarse.kept.iter().any(|q| {
                q.cost.precisions.is_subset(p.cost.precisions)
                    && vector(q, 4).iter().zip(&v).all(|(x, y)| *x <= *y * 1.2 + 1e-12)
            });
            assert!(near, "{:?}", p.segments);
        }
    }

    #[test]
    fn trimming_keeps_the_extremes_and_counts() {
        let table = toy_table();
        let exact = menu(&table, &[true; 4], &policy(0.0, 1000));
        let few = menu(&table, &[true; 4], &policy(0.0, 9));
        assert_eq!(few.kept.len(), 9);
        assert_eq!(few.trimmed + 9, u64::try_from(exact.kept.len()).unwrap());
        assert_eq!(few.evaluated, few.dominated + few.trimmed + 9);
        let least = |menu: &Menu, key: &dyn Fn(&Placed) -> f64| {
            menu.kept.iter().map(key).fold(f64::INFINITY, f64::min)
        };
        assert_eq!(least(&few, &|p| p.cost.base.get()), least(&exact, &|p| p.cost.base.get()));
        assert_eq!(least(&few, &|p| p.cost.energy.get()), least(&exact, &|p| p.cost.energy.get()));
        for unit in 0..4 {
            let alone = |p: &Placed| p.segments.iter().all(|s| s.unit == unit);
            assert_eq!(few.kept.iter().any(alone), exact.kept.iter().any(alone), "unit {unit}");
        }
        assert_eq!(few, menu(&table, &[true; 4], &policy(0.0, 9)));
    }

    #[test]
    fn forbidden_units_are_not_used() {
        let menu = menu(&toy_table(), &[false, true, true, false], &policy(0.0, 1000));
        assert!(!menu.kept.is_empty());
        assert!(menu.kept.iter().all(|p| p.segments.iter().all(|s| s.unit == 1 || s.unit == 2)));
    }
}
