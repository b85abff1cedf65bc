//! What the predictor says of board states, by slot and items.

use super::layout::Layout;
use crate::contention::oracle::Oracle;
use crate::contention::port::Board;
use crate::error::SolverError;
use ecomap_instances::ids::TenantIx;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::HashMap;

/// Sets predicted before the time is looked at again.
const CHUNK: usize = 1_024;
/// Verdicts kept; when there are more, all are dropped.
const MOST: usize = 4_000_000;

/// Most items of a refused set that is looked for in others.
const LARGEST: usize = 12;

/// Verdicts by slot: the board's draw over one that is off, W; `None` when it is refused. Looked up
/// only, never listed, so the order of a hash map reaches nothing.
pub(super) struct Judge<'o, 'a> {
    pub(super) oracle: &'o mut Oracle<'a>,
    known: Vec<FxHashMap<Box<[u32]>, Option<f64>>>,
    count: usize,
    /// By slot, pairs of items that are refused: a bit for each.
    refused: Vec<Vec<u64>>,
    /// By slot, pairs of items that are part of a larger refused set.
    linked: Vec<Vec<u64>>,
    items: Vec<usize>,
    /// Ground of each slot, under which all of this is kept.
    ground: Vec<usize>,
    /// By slot, refused sets of three and more with parts that are all accepted, and a bit for each size of
    /// one.
    larger: Vec<(FxHashSet<Box<[u32]>>, u32)>,
}

impl<'o, 'a> Judge<'o, 'a> {
    pub(super) fn new(oracle: &'o mut Oracle<'a>, layout: &Layout<'_>) -> Self {
        let items: Vec<usize> = layout.slots.iter().map(|slot| slot.items.len()).collect();
        let own = |(n, count): (usize, &usize)| {
            let size = if layout.slots[n].ground == n { (count * count).div_ceil(64) } else { 0 };
            vec![0; size]
        };
        let refused: Vec<Vec<u64>> = items.iter().enumerate().map(own).collect();
        Self {
            oracle,
            known: vec![FxHashMap::default(); items.len()],
            count: 0,
            linked: refused.clone(),
            refused,
            larger: vec![(FxHashSet::default(), 0); items.len()],
            ground: layout.slots.iter().map(|slot| slot.ground).collect(),
            items,
        }
    }

    /// Whether two items are known to be refused together.
    pub(super) fn apart(&self, slot: usize, a: u32, b: u32) -> bool {
        self.bit(&self.refused, self.ground[slot], a, b)
    }

    /// Whether two items are known to be refused together, or with others.
    pub(super) fn doubted(&self, slot: usize, a: u32, b: u32) -> bool {
        let ground = self.ground[slot];
        self.bit(&self.refused, ground, a, b) || self.bit(&self.linked, ground, a, b)
    }

    fn bit(&self, table: &[Vec<u64>], ground: usize, a: u32, b: u32) -> bool {
        let at = a as usize * self.items[ground] + b as usize;
        table[ground][at / 64] >> (at % 64) & 1 == 1
    }

    fn set_bit(table: &mut [u64], items: usize, a: u32, b: u32) {
        for (a, b) in [(a as usize, b as usize), (b as usize, a as usize)] {
            let at = a * items + b;
            table[at / 64] |= 1 << (at % 64);
        }
    }

    /// Whether predictions are so dear that sets are taken as accepted until they matter.
    pub(super) fn dear(&self) -> bool {
        self.oracle.predictor.by_parts()
    }

    /// Whether a set has a part that is known to be refused; only parts with all of `within`.
    pub(super) fn refuted(&self, slot: usize, items: &[u32], within: &[u32]) -> bool {
        let slot = self.ground[slot];
        let pair = |a: &u32, b: &u32| a != b && self.apart(slot, *a, *b);
        let refused = match within {
            [] => items.iter().any(|a| items.iter().any(|b| pair(a, b))),
            [a] => items.iter().any(|b| pair(a, b)),
            [a, b, ..] => pair(a, b),
        };
        if refused {
            return true;
        }
        let (refused, sizes) = &self.larger[slot];
        // Fuller boards are refused by their size.
        if refused.is_empty() || items.len() > LARGEST {
            return false;
        }
        // Only what is part of a refused set with each of `within` matters.
        let linked = |a: u32, b: u32| self.bit(&self.linked, slot, a, b);
        if let [a, b, ..] = within
            && !linked(*a, *b)
        {
            return false;
        }
        let (mut fixed, mut free) = (0_u32, 0_u32);
        for (n, item) in items.iter().enumerate() {
            if within.contains(item) {
                fixed |= 1 << n;
            } else if within.iter().all(|other| linked(*other, *item)) {
                free |= 1 << n;
            }
        }
        let mut part = [0_u32; LARGEST];
        // Every subset of the free ones, from all of them down to none.
        let mut some = free;
        loop {
            let mask = some | fixed;
            if sizes >> mask.count_ones() & 1 == 1 {
                let mut size = 0;
                for (_, item) in items.iter().enumerate().filter(|(n, _)| mask >> n & 1 == 1) {
                    part[size] = *item;
                    size += 1;
                }
                if refused.contains(&part[..size]) {
                    return true;
                }
            }
            if some == 0 {
                return false;
            }
            some = (some - 1) & free;
        }
    }

    fn remember(&mut self, slot: usize, items: &[u32], draw: Option<f64>) {
        let slot = self.ground[slot];
        if let ([a, b], None) = (items, draw) {
            Self::set_bit(&mut self.refused[slot], self.items[slot], *a, *b);
        }
        if draw.is_none() && (3..=LARGEST).contains(&items.len()) {
            let (refused, sizes) = &mut self.larger[slot];
            refused.insert(items.into());
            *sizes |= 1 << items.len();
            for (n, a) in items.iter().enumerate() {
                for b in &items[..n] {
                    Self::set_bit(&mut self.linked[slot], self.items[slot], *a, *b);
                }
            }
        }
        self.count += usize::from(self.known[slot].insert(items.into(), draw).is_none());
    }

    /// The verdict on a set of items, ascending, if it is known.
    pub(super) fn known(&self, slot: usize, items: &[u32]) -> Option<Option<f64>> {
        self.known[self.ground[slot]].get(items).copied()
    }

    /// Takes in a verdict that came from elsewhere.
    pub(super) fn learn(&mut self, slot: usize, items: &[u32], draw: Option<f64>) {
        self.remember(slot, items, draw);
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
    /// set is predicted only once its parts are accepted, where parts are predicted anyway; the parts of
    /// a size make one batch. `None` when the time is up before all are known.
    pub(super) fn verdicts(
        &mut self,
        layout: &Layout<'_>,
        slot: usize,
        sets: &[Vec<u32>],
        over: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Option<f64>>>, SolverError> {
        if self.count > MOST {
            self.known.iter_mut().for_each(FxHashMap::clear);
            self.count = 0;
        }
        let mut answers: Vec<Option<Option<f64>>> = sets.iter().map(|set| self.known(slot, set)).collect();
        let by_parts = self.oracle.predictor.by_parts();
        let largest = if by_parts { sets.iter().map(Vec::len).max().unwrap_or(0) } else { 0 };
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
            once(&mut parts, &mut of_set);
            let Some(judged) = self.ask(layout, slot, &parts, over)? else { return Ok(None) };
            for (n, list) in of_set.iter().enumerate() {
                if list.iter().any(|k| judged[*k].is_none()) {
                    answers[n] = Some(None);
                }
            }
        }
        let open: Vec<usize> = (0..sets.len()).filter(|n| answers[*n].is_none()).collect();
        let asked: Vec<Vec<u32>> = open.iter().map(|n| sets[*n].clone()).collect();
        let Some(told) = self.ask(layout, slot, &asked, over)? else { return Ok(None) };
        for (n, verdict) in open.into_iter().zip(told) {
            answers[n] = Some(verdict);
        }
        for (set, answer) in sets.iter().zip(&answers) {
            if *answer == Some(None) && self.known(slot, set).is_none() {
                self.remember(slot, set, None);
            }
        }
        Ok(Some(answers.into_iter().flatten().collect()))
    }

    /// The verdict on one set.
    pub(super) fn verdict(
        &mut self,
        layout: &Layout<'_>,
        slot: usize,
        items: &[u32],
    ) -> Result<Option<f64>, SolverError> {
        let told = self.verdicts(layout, slot, &[items.to_vec()], &|| false)?;
        Ok(told.and_then(|told| told.into_iter().next()).flatten())
    }

    /// Predicts sets; `None` when the time is up before the end.
    fn ask(
        &mut self,
        layout: &Layout<'_>,
        slot: usize,
        sets: &[Vec<u32>],
        over: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Option<f64>>>, SolverError> {
        let off = layout.slots[slot].off;
        let mut verdicts = Vec::with_capacity(sets.len());
        for chunk in sets.chunks(CHUNK) {
            if over() {
                return Ok(None);
            }
            let boards: Vec<Board> = chunk.iter().map(|set| Self::board(layout, slot, set)).collect();
            let draws = self.oracle.draws(&boards)?;
            for (set, draw) in chunk.iter().zip(draws) {
                let draw = draw.map(|w| w - off);
                self.remember(slot, set, draw);
                verdicts.push(draw);
            }
        }
        Ok(Some(verdicts))
    }
}

/// Keeps each part once; `of_set` follows.
fn once(parts: &mut Vec<Vec<u32>>, of_set: &mut [Vec<usize>]) {
    let mut place: HashMap<Vec<u32>, usize> = HashMap::new();
    let mut kept: Vec<Vec<u32>> = Vec::new();
    let mut at = Vec::with_capacity(parts.len());
    for part in parts.drain(..) {
        let next = kept.len();
        let n = *place.entry(part.clone()).or_insert(next);
        if n == next {
            kept.push(part);
        }
        at.push(n);
    }
    of_set.iter_mut().flatten().for_each(|n| *n = at[*n]);
    *parts = kept;
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
