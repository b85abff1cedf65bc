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
///
/// Rows are kept where they matter only. Once all of the first `k` groups fit, more capacity adds
/// nothing; and so little capacity that all later groups fit in what remains is never asked for. What
/// is left of each row is hardly wider than what all groups together weigh too much.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    width: usize,
    cells: Vec<i32>,
    /// Weight of the heaviest options of the groups before each, and of all.
    ahead: Vec<usize>,
}

impl Table {
    /// Row `k` is the best profit of the first `k` groups by capacity. Capacities down to
    /// `room` − `reach` are asked for at the end.
    pub(crate) fn forward(&mut self, room: usize, reach: usize, ends: &[usize], items: &[Item]) {
        self.reset(room, ends, items);
        let width = self.width;
        let all = self.ahead[ends.len()];
        let (cells, ahead) = (&mut self.cells, &self.ahead);
        let low = |k: usize| room.saturating_sub(all - ahead[k] + reach).min(ahead[k]);
        Arch::new().dispatch(|| {
            cells[0] = 0;
            let mut from = 0;
            for (k, end) in ends.iter().enumerate() {
                let (before, after) = cells[k * width..].split_at_mut(width);
                let (full, high) = (ahead[k].min(room), ahead[k + 1].min(room));
                let value = before[full];
                before[full..=high].fill(value);
                for (n, item) in items[from..*end].iter().enumerate() {
                    let split = item.weight.max(low(k + 1)).min(high + 1);
                    if n == 0 {
                        let plain = low(k + 1).min(split);
                        after[plain..split].copy_from_slice(&before[plain..split]);
                        merge(
                            &mut after[split..=high],
                            &before[split..=high],
                            &before[split.saturating_sub(item.weight)..],
                            item.profit,
                        );
                    } else {
                        raise(
                            &mut after[split..=high],
                            &before[split.saturating_sub(item.weight)..],
                            item.profit,
                        );
                    }
                }
                from = *end;
            }
            let last = ends.len();
            let full = ahead[last].min(room);
            let row = &mut cells[last * width..(last + 1) * width];
            let value = row[full];
            row[full..].fill(value);
        });
    }

    /// Row `k` is the best profit of the groups from `k` on, by capacity already used.
    pub(crate) fn backward(&mut self, room: usize, ends: &[usize], items: &[Item]) {
        self.reset(room, ends, items);
        let (width, groups) = (self.width, ends.len());
        let all = self.ahead[groups];
        let (cells, ahead) = (&mut self.cells, &self.ahead);
        let low = |k: usize| room.saturating_sub(all - ahead[k]).min(ahead[k]);
        Arch::new().dispatch(|| {
            cells[groups * width + low(groups)] = 0;
            for k in (0..groups).rev() {
                let from = k.checked_sub(1).map_or(0, |before| ends[before]);
                let (to, source) = cells[k * width..].split_at_mut(width);
                let source = &mut source[..width];
                let (least, full, high) = (low(k), low(k + 1), ahead[k].min(room));
                let value = source[full];
                source[least..full].fill(value);
                for (n, item) in items[from..ends[k]].iter().enumerate() {
                    // Used up to here the item still fits.
                    let split = (room + 1 - item.weight).min(high + 1).max(least);
                    if n == 0 {
                        merge(
                            &mut to[least..split],
                            &source[least..split],
                            &source[(least + item.weight).min(width)..],
                            item.profit,
                        );
                        let end = split.max(high + 1);
                        to[split..end].copy_from_slice(&source[split..end]);
                    } else {
                        raise(
                            &mut to[least..split],
                            &source[(least + item.weight).min(width)..],
                            item.profit,
                        );
                    }
                }
            }
        });
    }

    fn reset(&mut self, room: usize, ends: &[usize], items: &[Item]) {
        self.width = room + 1;
        let cells = self.width * (ends.len() + 1);
        if self.cells.len() < cells {
            self.cells.resize(cells, 0);
        }
        self.ahead.clear();
        self.ahead.push(0);
        let (mut from, mut sum) = (0, 0);
        for end in ends {
            sum += items[from..*end].iter().map(|i| i.weight).max().unwrap_or(0);
            self.ahead.push(sum);
            from = *end;
        }
    }

    /// Row `k`.
    fn row(&self, k: usize) -> &[i32] {
        &self.cells[k * self.width..(k + 1) * self.width]
    }

    /// Best profit of all groups of a forward table with `less` capacity.
    pub(crate) fn best(&self, less: usize) -> i32 {
        self.row(self.ahead.len() - 1)[self.width - 1 - less]
    }

    /// The items of a best choice of a forward table, last first.
    pub(crate) fn chosen(&self, ends: &[usize], items: &[Item], mut take: impl FnMut(usize)) {
        let mut room = self.width - 1;
        for k in (0..ends.len()).rev() {
            room = room.min(self.ahead[k + 1]);
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

    /// The best of all groups but `k` where `weight` is taken in its place: this the forward table,
    /// `after` the backward one. `weight` is at most the heaviest of the group.
    pub(crate) fn without(&self, k: usize, after: &Self, weight: usize) -> i32 {
        let room = self.width - 1;
        let high = self.ahead[k].min(room - weight);
        let low =
            room.saturating_sub(self.ahead[self.ahead.len() - 1] - self.ahead[k + 1] + weight).min(high);
        let mut best = i32::MIN;
        let (a, b) = (&self.row(k)[low..=high], &after.row(k + 1)[low + weight..=high + weight]);
        Arch::new().dispatch(|| best = peak(a, b));
        best
    }
}

/// `to[c] = max(plain[c], shifted[c] + profit)`.
#[inline(always)]
fn merge(to: &mut [i32], plain: &[i32], shifted: &[i32], profit: i32) {
    let n = to.len();
    let (plain, shifted) = (&plain[..n], &shifted[..n]);
    for c in 0..n {
        to[c] = plain[c].max(shifted[c] + profit);
    }
}

/// `to[c] = max(to[c], shifted[c] + profit)`.
#[inline(always)]
fn raise(to: &mut [i32], shifted: &[i32], profit: i32) {
    let n = to.len();
    let shifted = &shifted[..n];
    for c in 0..n {
        to[c] = to[c].max(shifted[c] + profit);
    }
}

/// The largest sum of two neighbours.
#[inline(always)]
fn peak(a: &[i32], b: &[i32]) -> i32 {
    let n = a.len();
    let b = &b[..n];
    let mut lanes = [i32::MIN; 32];
    let whole = n / 32 * 32;
    let mut from = 0;
    while from < whole {
        for k in 0..32 {
            lanes[k] = lanes[k].max(a[from + k] + b[from + k]);
        }
        from += 32;
    }
    let mut best = i32::MIN;
    for lane in lanes {
        best = best.max(lane);
    }
    for k in whole..n {
        best = best.max(a[k] + b[k]);
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
    fn tried(
        room: usize,
        ends: &[usize],
        items: &[Item],
        k: usize,
        force: Option<(usize, usize)>,
    ) -> Option<i32> {
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
        for _ in 0..3000 {
            let room = rng.random_range(0..40);
            let (mut ends, mut items) = (Vec::new(), Vec::new());
            for _ in 0..rng.random_range(0..6) {
                for _ in 0..rng.random_range(1..4) {
                    items.push(Item { weight: rng.random_range(0..=room), profit: rng.random_range(1..50) });
                }
                ends.push(items.len());
            }
            let reach = rng.random_range(0..=room);
            forward.forward(room, reach, &ends, &items);
            backward.backward(room, &ends, &items);
            let best = tried(room, &ends, &items, 0, None).unwrap_or(-1);
            assert_eq!(forward.best(0), best);
            for less in 0..=reach {
                assert_eq!(forward.best(less), tried(room - less, &ends, &items, 0, None).unwrap_or(-1));
            }
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
                assert_eq!(forward.without(k, &backward, 0), without);
                for n in from..ends[k] {
                    let with = tried(room, &ends, &items, 0, Some((k, n))).unwrap_or(-1);
                    let item = items[n];
                    assert_eq!(forward.without(k, &backward, item.weight) + item.profit, with);
                }
                from = ends[k];
            }
        }
    }
}
