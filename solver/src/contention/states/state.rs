//! A board state: a column of the master.

use super::layout::{Layout, Sparse};
use super::steps::enter;
use std::collections::BTreeMap;

/// A set of items on one board of a slot, accepted by the predictor as far as it was asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) slot: usize,
    /// Positions in the slot, ascending.
    pub(super) items: Vec<u32>,
    /// W over a board that is off.
    pub(super) draw: f64,
    pub(super) cost: f64,
    pub(super) rows: Sparse,
    /// Whether the predictor accepts it, where that was asked; else it is taken as accepted, at the
    /// priced draw.
    pub(super) verified: bool,
    /// Not refused since.
    pub(super) alive: bool,
}

impl State {
    /// The state of a set of items that draws `draw` W over a board that is off.
    pub(super) fn new(layout: &Layout<'_>, slot: usize, items: Vec<u32>, draw: f64) -> Self {
        let place = &layout.slots[slot];
        let mut cost = place.cost;
        let mut rows: BTreeMap<usize, f64> = BTreeMap::new();
        rows.insert(place.link, 1.0);
        if let Some(cap) = place.cap {
            rows.insert(cap, draw);
        }
        for n in &items {
            let item = &place.items[*n as usize];
            cost += item.cost;
            for (row, amount) in &item.rows {
                *rows.entry(*row).or_default() += amount;
            }
        }
        let runs = |tenant: &usize| items.iter().any(|n| place.items[*n as usize].tenant == *tenant);
        for (row, members) in &layout.bundles {
            if members.iter().any(runs) {
                rows.insert(*row, 1.0);
            }
        }
        for triple in &layout.triples {
            rows.insert(triple.row, triple.of(items.iter().map(|n| place.items[*n as usize].tenant)));
        }
        let mut rows: Sparse = rows.into_iter().filter(|(_, a)| *a != 0.0).collect();
        enter(&layout.steps[slot], draw, &mut rows);
        Self { slot, items, draw, cost, rows, verified: true, alive: true }
    }

    /// The same on a board of another slot of the same kind and mode.
    pub(super) fn moved(&self, layout: &Layout<'_>, slot: usize) -> Self {
        let (verified, alive) = (self.verified, self.alive);
        Self { verified, alive, ..Self::new(layout, slot, self.items.clone(), self.draw) }
    }

    /// The same, yet to be predicted.
    pub(super) fn assumed(self) -> Self {
        Self { verified: false, ..self }
    }

    /// Cost less what the rows pay.
    pub(super) fn reduced(&self, duals: &[f64]) -> f64 {
        reduced(self.cost, &self.rows, duals)
    }
}

/// Cost less what the rows pay; cuts that came later than the multipliers pay nothing.
pub(super) fn reduced(cost: f64, rows: &Sparse, duals: &[f64]) -> f64 {
    rows.iter().fold(cost, |sum, (row, amount)| sum - duals.get(*row).unwrap_or(&0.0) * amount)
}
