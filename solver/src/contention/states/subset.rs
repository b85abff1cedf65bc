//! Subset-row cuts: of the boards that run at least two of three tenants, a plan has at most one.
//!
//! Σ_S ⌊|S ∩ T| / 2⌋ x_S ≤ 1 for tenants T = {a, b, c}: the Chvátal–Gomory cut of their three rows with
//! multipliers ½ (Jepsen, Petersen, Spoorendonk, Pisinger: "Subset-row inequalities applied to the
//! vehicle-routing problem with time windows", Operations Research 56 (2), 2008). It cuts off thirds and
//! halves of boards that share tenants in pairs, which is what relaxations of set partitions are made of.
//! Pricing pays the cut's multiplier once for a board that runs two of the three.

use super::generate::Relaxed;
use super::layout::Row;
use super::program::{Optimum, Program};
use super::tree::Tree;
use crate::error::SolverError;
use std::collections::BTreeMap;

/// Least violation of a cut that is added.
const VIOLATION: f64 = 0.03;
/// Most cuts added at once, most of these with one tenant, and most of all.
const ADDED: (usize, usize, usize) = (24, 5, 400);

/// A cut on three tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Triple {
    pub(super) members: [usize; 3],
    pub(super) row: usize,
}

impl Triple {
    /// The cut's coefficient of a board with these tenants.
    pub(super) fn of(&self, tenants: impl Iterator<Item = usize>) -> f64 {
        if tenants.filter(|t| self.members.contains(t)).count() >= 2 { 1.0 } else { 0.0 }
    }
}

impl Tree<'_, '_, '_> {
    /// Adds cuts that an optimum violates: on caps, else on tenants; how many there were.
    pub(super) fn cut_off(
        &mut self,
        relaxed: &mut Relaxed,
        optimum: &Optimum,
        program: &mut Program,
    ) -> Result<usize, SolverError> {
        let mut found = self.cap_cuts(optimum, program)?;
        if found == 0 {
            found = self.separate(optimum, program)?;
        }
        if let Some(proof) = &mut relaxed.proof {
            // A multiplier of 0 proves the same.
            proof.duals.resize(self.layout.rows.len(), 0.0);
        }
        Ok(found)
    }

    /// Adds the cuts on tenants that an optimum violates most; how many there were.
    fn separate(&mut self, optimum: &Optimum, program: &mut Program) -> Result<usize, SolverError> {
        let found = self.violated(optimum, program);
        for members in &found {
            let row = self.layout.rows.len();
            self.layout.rows.push(Row { equal: false, rhs: 1.0 });
            self.layout.most.push(self.layout.lack());
            let triple = Triple { members: *members, row };
            self.layout.triples.push(triple);
            for state in &mut self.pool {
                let items = &self.layout.slots[state.slot].items;
                let amount = triple.of(state.items.iter().map(|n| items[*n as usize].tenant));
                if amount > 0.0 {
                    state.rows.push((row, amount));
                }
            }
            program.cut(&self.layout, row, 1.0, &self.pool)?;
        }
        Ok(found.len())
    }

    fn violated(&self, optimum: &Optimum, program: &Program) -> Vec<[usize; 3]> {
        if self.layout.triples.len() >= ADDED.2 {
            return Vec::new();
        }
        // Boards in use by their tenants.
        let mut boards: BTreeMap<Vec<usize>, f64> = BTreeMap::new();
        for (n, x) in program.inside.iter().zip(optimum.values.iter().skip(self.layout.fixed.len())) {
            let state = &self.pool[*n];
            if *x > 1e-6 && state.items.len() > 1 {
                let items = &self.layout.slots[state.slot].items;
                let tenants = state.items.iter().map(|i| items[*i as usize].tenant).collect();
                *boards.entry(tenants).or_default() += x;
            }
        }
        let mut pairs: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        let mut triples: BTreeMap<[usize; 3], f64> = BTreeMap::new();
        for (tenants, x) in &boards {
            for (k, a) in tenants.iter().enumerate() {
                for (l, b) in tenants.iter().enumerate().skip(k + 1) {
                    *pairs.entry((*a, *b)).or_default() += x;
                    for c in &tenants[l + 1..] {
                        *triples.entry([*a, *b, *c]).or_default() += x;
                    }
                }
            }
        }
        let pair = |a: usize, b: usize| pairs.get(&(a, b)).copied().unwrap_or(0.0);
        let mut found: Vec<(f64, [usize; 3])> = Vec::new();
        let tenants = self.layout.tenants();
        for a in 0..tenants {
            for b in a + 1..tenants {
                for c in b + 1..tenants {
                    // A board with all three is among the boards of all three pairs.
                    let thrice = triples.get(&[a, b, c]).copied().unwrap_or(0.0);
                    let sum = pair(a, b) + pair(a, c) + pair(b, c) - 2.0 * thrice;
                    if sum > 1.0 + VIOLATION && !self.layout.triples.iter().any(|t| t.members == [a, b, c]) {
                        found.push((sum, [a, b, c]));
                    }
                }
            }
        }
        found.sort_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(&y.1)));
        let mut with = vec![0_usize; tenants];
        let mut chosen = Vec::new();
        for (_, members) in found {
            if members.iter().all(|t| with[*t] < ADDED.1) && chosen.len() < ADDED.0 {
                members.iter().for_each(|t| with[*t] += 1);
                chosen.push(members);
            }
        }
        chosen
    }
}
