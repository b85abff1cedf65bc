//! Enumeration of placements: all cuts of a block chain into at most three contiguous segments,
//! neighbours on different units.
//!
//! Units that cost the same for every segment (`dla0` and `dla1`, equal CPU clusters) are
//! enumerated in one canonical order: the k-th of a group appears only after the (k−1)-th. The
//! other labellings have the same costs and are added after filtering by [`relabellings`], because
//! they load different rows of an instance.

use crate::table::{CostTable, MAX_SEGMENTS, PlacementCost};
use ecomap_instances::scenario::Segment;

/// A placement with its cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// Segments, in chain order.
    pub segments: Vec<Segment>,
    /// Rate-free cost.
    pub cost: PlacementCost,
}

/// Groups of interchangeable units among the allowed ones, each ascending.
#[must_use]
pub fn groups(table: &CostTable, allowed: &[bool]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (unit, _) in table.units_on() {
        if !allowed.get(unit).copied().unwrap_or(true) {
            continue;
        }
        match groups.iter_mut().find(|g| g.first().is_some_and(|u| table.interchangeable(*u, unit))) {
            Some(group) => group.push(unit),
            None => groups.push(vec![unit]),
        }
    }
    groups
}

/// All canonical placements of at most `max_segments` segments, in a fixed order.
#[must_use]
pub fn enumerate(table: &CostTable, groups: &[Vec<usize>], max_segments: usize) -> Vec<Placed> {
    let mut walk = Walk {
        table,
        groups,
        most: max_segments.clamp(1, MAX_SEGMENTS),
        segments: Vec::with_capacity(MAX_SEGMENTS),
        used: vec![0; groups.len()],
        found: Vec::new(),
    };
    walk.extend(0, None);
    walk.found
}

struct Walk<'a> {
    table: &'a CostTable,
    groups: &'a [Vec<usize>],
    most: usize,
    segments: Vec<Segment>,
    /// Members of each group that appear so far.
    used: Vec<usize>,
    found: Vec<Placed>,
}

impl Walk<'_> {
    fn extend(&mut self, from: usize, last: Option<usize>) {
        let end = self.table.blocks();
        let closing = self.segments.len() + 1 == self.most;
        for g in 0..self.groups.len() {
            // One more than those in use: the next fresh member.
            let reach = (self.used[g] + 1).min(self.groups[g].len());
            for k in 0..reach {
                let unit = self.groups[g][k];
                if last == Some(unit) {
                    continue;
                }
                let fresh = k == self.used[g];
                self.used[g] += usize::from(fresh);
                let first = if closing { end } else { from + 1 };
                for to in first..=end {
                    if !self.table.runs(from, to, unit) {
                        break;
                    }
                    self.segments.push(Segment { from, to, unit });
                    if to == end {
                        if let Some(cost) = self.table.placement(&self.segments) {
                            self.found.push(Placed { segments: self.segments.clone(), cost });
                        }
                    } else {
                        self.extend(to, Some(unit));
                    }
                    self.segments.pop();
                }
                self.used[g] -= usize::from(fresh);
            }
        }
    }
}

/// A canonical placement under every labelling of interchangeable units, itself first.
#[must_use]
pub fn relabellings(table: &CostTable, groups: &[Vec<usize>], placed: &Placed) -> Vec<Placed> {
    let mut all: Vec<Vec<Segment>> = vec![placed.segments.clone()];
    for group in groups.iter().filter(|g| g.len() > 1) {
        let members: Vec<usize> =
            group.iter().copied().filter(|u| placed.segments.iter().any(|s| s.unit == *u)).collect();
        if members.is_empty() {
            continue;
        }
        let mut next = Vec::new();
        for segments in &all {
            for labels in arrangements(group, members.len()) {
                let relabelled = segments
                    .iter()
                    .map(|s| {
                        let label = members.iter().position(|m| *m == s.unit).map(|k| labels[k]);
                        Segment { unit: label.unwrap_or(s.unit), ..s.clone() }
                    })
                    .collect();
                next.push(relabelled);
            }
        }
        all = next;
    }
    all.into_iter()
        .filter_map(|segments| table.placement(&segments).map(|cost| Placed { segments, cost }))
        .collect()
}

/// Ordered choices of `count` members of `group`, lexicographic.
fn arrangements(group: &[usize], count: usize) -> Vec<Vec<usize>> {
    let mut lists: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..count {
        lists = lists
            .iter()
            .flat_map(|list| {
                group.iter().filter(|u| !list.contains(u)).map(|u| {
                    let mut longer = list.clone();
                    longer.push(*u);
                    longer
                })
            })
            .collect();
    }
    lists
}
