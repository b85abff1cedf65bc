//! Knapsacks of one agent by dynamic programming over whole capacities, with groups of options of
//! which at most one is taken.
//!
//! Profits are whole numbers, so tables are exact. A row of a table is a run of neighbouring
//! numbers, and one option turns one row into the next by a shifted sum and a maximum.

use pulp::Arch;

/// An option of a knapsack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) weight: usize,
    pub(crate) profit: i32,
}

/// A row for each number of groups: the best profit by capacity.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    width: usize,
    groups: usize,
    cells: Vec<i32>,
}

impl Table {
    /// Row `k` is the best profit of the first `k` groups in capacity 0 … `room`.
    pub(crate) fn forward(&mut self, room: usize, ends: &[usize], items: &[Item]) {
        self.reset(room, ends.len());
        let width = self.width;
        Arch::new().dispatch(|| {
            self.cells[..width].fill(0);
            let mut from = 0;
            for (k, end) in ends.iter().enumerate() {
                let (before, after) = self.cells[k * width..].split_at_mut(width);
                let after = &mut after[..width];
                after.copy_from_slice(before);
                for item in &items[from..*end] {
                    raise(&mut after[item.weight..], &before[..width - item.weight], item.profit);
                }
                from = *end;
            }
        });
    }

    /// Row `k` is the best profit of the groups from `k` on, by capacity already used.
    pub(crate) fn backward(&mut self, room: usize, ends: &[usize], items: &[Item]) {
        self.reset(room, ends.len());
        let (width, groups) = (self.width, ends.len());
        Arch::new().dispatch(|| {
            self.cells[groups * width..].fill(0);
            for k in (0..groups).rev() {
                let from = k.checked_sub(1).map_or(0, |before| ends[before]);
                let (to, source) = self.cells[k * width..].split_at_mut(width);
                let source = &source[..width];
                to.copy_from_slice(source);
                for item in &items[from..ends[k]] {
                    raise(&mut to[..width - item.weight], &source[item.weight..], item.profit);
                }
            }
        });
    }

    fn reset(&mut self, room: usize, groups: usize) {
        self.width = room + 1;
        self.groups = groups;
        let cells = self.width * (groups + 1);
        if self.cells.len() < cells {
            self.cells.resize(cells, 0);
        }
    }

    /// Row `k`.
    pub(crate) fn row(&self, k: usize) -> &[i32] {
        &self.cells[k * self.width..(k + 1) * self.width]
    }

    /// Best profit of a forward table.
    pub(crate) fn best(&self) -> i32 {
        self.row(self.groups).last().copied().unwrap_or(0)
    }

    /// The items of a best choice of a forward table, last first.
    pub(crate) fn chosen(&self, ends: &[usize], items: &[Item], mut take: impl FnMut(usize)) {
        let mut room = self.width - 1;
        for k in (0..self.groups).rev() {
            let (here, before) = (self.row(k + 1)[room], self.row(k));
            if here == before[room] {
                continue;
            }
            let from = k.checked_sub(1).map_or(0, |b| ends[b]);
            for (n, item) in items.iter().enumerate().take(ends[k]).skip(from) {
                if item.weight <= room && before[room - item.weight] + item.profit == here {
                    take(n);
                    room -= item.weight;
                    break;
                }
            }
        }
    }
}

/// The best of groups before `k` (row of a forward table) and after it (row of a backward table)
/// when `weight` is taken in between.
pub(crate) fn joined(before: &[i32], after: &[i32], weight: usize) -> i32 {
    let mut best = i32::MIN;
    Arch::new().dispatch(|| best = peak(&before[..before.len() - weight], &after[weight..]));
    best
}

/// `to[c] = max(to[c], from[c] + profit)`.
#[inline(always)]
fn raise(to: &mut [i32], from: &[i32], profit: i32) {
    for (t, f) in to.iter_mut().zip(from) {
        *t = (*t).max(f + profit);
    }
}

#[inline(always)]
fn peak(a: &[i32], b: &[i32]) -> i32 {
    let mut lanes = [i32::MIN; 32];
    let (mut x, mut y) = (a.chunks_exact(32), b.chunks_exact(32));
    for (p, q) in (&mut x).zip(&mut y) {
        for k in 0..32 {
            lanes[k] = lanes[k].max(p[k] + q[k]);
        }
    }
    let mut best = lanes.into_iter().max().unwrap_or(i32::MIN);
    for (p, q) in x.remainder().iter().zip(y.remainder()) {
        best = best.max(p + q);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    /// Best profit by trying everything; `force` fixes what a group takes (`usize::MAX`: nothing).
    fn tried(room: usize, ends: &[usize], items: &[Item], k: usize, force: Option<(usize, usize)>) -> Option<i32> {
        let Some(end) = ends.get(k) else { return Some(0) };
        let from = k.checked_sub(1).map_or(0, |b| ends[b]);
        let forced = force.filter(|(group, _)| *group == k).map(|(_, item)| item);
        let mut best = None;
        if forced.is_none_or(|item| item == usize::MAX) {
            best = tried(room, ends, items, k + 1, force);
        }
        for (n, item) in items.iter().enumerate().take(*end).skip(from) {
            if item.weight <= room && forced.is_none_or(|f| f == n) {
                let rest = tried(room - item.weight, ends, items, k + 1, force);
                best = best.max(rest.map(|r| r + item.profit));
            }
        }
        best
    }

    #[test]
    fn tables_agree_with_trying_everything() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let (mut forward, mut backward) = (Table::default(), Table::default());
        for _ in 0..300 {
            let room = rng.random_range(0..40);
            let (mut ends, mut items) = (Vec::new(), Vec::new());
            for _ in 0..rng.random_range(0..6) {
                for _ in 0..rng.random_range(1..4) {
                    items.push(Item { weight: rng.random_range(0..=room), profit: rng.random_range(1..50) });
                }
                ends.push(items.len());
            }
            forward.forward(room, &ends, &items);
            backward.backward(room, &ends, &items);
            let best = tried(room, &ends, &items, 0, None).unwrap_or(-1);
            assert_eq!(forward.best(), best);
            assert_eq!(backward.row(0)[0], best);
            let (mut profit, mut weight) = (0, 0);
            forward.chosen(&ends, &items, |n| {
                profit += items[n].profit;
                weight += items[n].weight;
            });
            assert_eq!(profit, best);
            assert!(weight <= room);
            let mut from = 0;
            for k in 0..ends.len() {
                let without = tried(room, &ends, &items, 0, Some((k, usize::MAX))).unwrap_or(-1);
                assert_eq!(joined(forward.row(k), backward.row(k + 1), 0), without);
                for n in from..ends[k] {
                    let with = tried(room, &ends, &items, 0, Some((k, n))).unwrap_or(-1);
                    let item = items[n];
                    assert_eq!(joined(forward.row(k), backward.row(k + 1), item.weight) + item.profit, with);
                }
                from = ends[k];
            }
        }
    }
}
