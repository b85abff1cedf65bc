//! What the predictor says of board states, by slot and items.

use super::layout::Layout;
use crate::contention::oracle::Oracle;
use crate::contention::port::Board;
use crate::error::SolverError;
use ecomap_instances::ids::TenantIx;
use std::collections::HashMap;

/// Verdicts kept; when there are more, all are dropped.
const MOST: usize = 4_000_000;

/// Verdicts by slot: the board's draw over one that is off, W; `None` when it is refused. Looked up
/// only, never listed, so the order of a hash map reaches nothing.
pub(super) struct Judge<'o, 'a> {
    pub(super) oracle: &'o mut Oracle<'a>,
    known: Vec<HashMap<Box<[u32]>, Option<f64>>>,
    count: usize,
}

impl<'o, 'a> Judge<'o, 'a> {
    pub(super) fn new(oracle: &'o mut Oracle<'a>, slots: usize) -> Self {
        Self { oracle, known: vec![HashMap::new(); slots], count: 0 }
    }

    /// The verdict on a set of items, ascending, if it is known.
    pub(super) fn known(&self, slot: usize, items: &[u32]) -> Option<Option<f64>> {
        self.known[slot].get(items).copied()
    }

    /// The board of a set of items.
    pub(super) fn board(layout: &Layout<'_>, slot: usize, items: &[u32]) -> Board {
        let slot = &layout.slots[slot];
        let pick = |n: &u32| {
            let item = &slot.items[*n as usize];
            (TenantIx::new(item.tenant), item.option)
        };
        Board { class: slot.class, mode: slot.mode, picks: items.iter().map(pick).collect() }
    }

    /// Verdicts on sets of items, each ascending. What is refused with an item away is refused, so a
    /// set is predicted only once its parts are accepted; the parts of a size make one batch.
    pub(super) fn verdicts(
        &mut self,
        layout: &Layout<'_>,
        slot: usize,
        sets: &[Vec<u32>],
    ) -> Result<Vec<Option<f64>>, SolverError> {
        if self.count > MOST {
            self.known.iter_mut().for_each(HashMap::clear);
            self.count = 0;
        }
        let mut answers: Vec<Option<Option<f64>>> = sets.iter().map(|set| self.known(slot, set)).collect();
        let largest = sets.iter().map(Vec::len).max().unwrap_or(0);
        for size in 2..largest {
            let mut parts: Vec<Vec<u32>> = Vec::new();
            let mut of_set: Vec<Vec<usize>> = vec![Vec::new(); sets.len()];
            for (n, set) in sets.iter().enumerate().filter(|(_, set)| set.len() > size) {
                if answers[n].is_some() {
                    continue;
                }
                for part in parts_of(set, size) {
                    match self.known(slot, &part) {
                        Some(None) => answers[n] = Some(None),
                        Some(Some(_)) => {}
                        None => {
                            of_set[n].push(parts.len());
                            parts.push(part);
                        }
                    }
                    if answers[n].is_some() {
                        break;
                    }
                }
            }
            let judged = self.ask(layout, slot, &parts)?;
            for (n, list) in of_set.iter().enumerate() {
                if list.iter().any(|k| judged[*k].is_none()) {
                    answers[n] = Some(None);
                }
            }
        }
        let open: Vec<usize> = (0..sets.len()).filter(|n| answers[*n].is_none()).collect();
        let asked: Vec<Vec<u32>> = open.iter().map(|n| sets[*n].clone()).collect();
        for (n, verdict) in open.into_iter().zip(self.ask(layout, slot, &asked)?) {
            answers[n] = Some(verdict);
        }
        for (set, answer) in sets.iter().zip(&answers) {
            if *answer == Some(None) {
                self.known[slot].entry(set.clone().into_boxed_slice()).or_insert(None);
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// The verdict on one set.
    pub(super) fn verdict(
        &mut self,
        layout: &Layout<'_>,
        slot: usize,
        items: &[u32],
    ) -> Result<Option<f64>, SolverError> {
        Ok(self.verdicts(layout, slot, &[items.to_vec()])?.into_iter().next().flatten())
    }

    /// Predicts sets, all of whose parts are accepted.
    fn ask(
        &mut self,
        layout: &Layout<'_>,
        slot: usize,
        sets: &[Vec<u32>],
    ) -> Result<Vec<Option<f64>>, SolverError> {
        let boards: Vec<Board> = sets.iter().map(|set| Self::board(layout, slot, set)).collect();
        let judged = self.oracle.judge(&boards)?;
        let off = layout.slots[slot].off;
        let verdicts: Vec<Option<f64>> =
            judged.iter().map(|j| j.accepted().then_some(j.power_w - off)).collect();
        for (set, verdict) in sets.iter().zip(&verdicts) {
            self.known[slot].insert(set.clone().into_boxed_slice(), *verdict);
            self.count += 1;
        }
        Ok(verdicts)
    }
}

/// The subsets of a size, in order.
fn parts_of(set: &[u32], size: usize) -> Vec<Vec<u32>> {
    let mut parts: Vec<Vec<u32>> = vec![Vec::new()];
    for (n, item) in set.iter().enumerate() {
        let left = set.len() - n;
        let mut next = Vec::new();
        for part in parts {
            if part.len() + left > size {
                next.push(part.clone());
            }
            if part.len() < size {
                let mut more = part;
                more.push(*item);
                next.push(more);
            } else {
                next.push(part);
            }
        }
        next.sort_unstable();
        next.dedup();
        parts = next;
    }
    parts.retain(|part| part.len() == size);
    parts
}
