//! The relaxation of a core by a dual simplex whose basis is as small as the number of rows.
//!
//! A class is one equation Σ_j x_ij = 1. One option of each class, its key, is written as
//! 1 − Σ of the others, so that the equation disappears: the basis holds as many columns as there
//! are rows, each the slack of a row or an option of a class beside its key (generalised upper
//! bounds). Prices λ at which no option is better than its key are a bound (22); a pivot moves them
//! along one row of the inverse until the next option is as good as its key.
//!
//! Nothing here is a proof: whoever prunes by the bound evaluates (22) anew at the prices.

mod columns;
mod pivot;

pub(crate) use columns::Columns;

/// Smallest pivot of an inversion, relative to the largest entry of its column.
const SINGULAR: f64 = 1e-11;

/// Regret below 0, relative to the score of the key, that is still rounding.
const TOLERATED: f64 = 1e-7;

/// No option, no position.
pub(crate) const NONE: u32 = u32::MAX;

/// How a relaxation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Solved.
    Optimal,
    /// The bound fell below what was asked for.
    Cut,
    /// The bound falls for ever: there is no plan.
    Empty,
    /// Rounding got in the way; the bound holds all the same.
    Lost,
}

/// A basis and everything that follows from it.
#[derive(Debug, Clone)]
pub(crate) struct State<const W: usize> {
    /// Key of each class.
    key: Vec<u32>,
    /// Basic column of each position: an option, or `options + row` for a slack.
    basis: Vec<u32>,
    /// Position of each option and slack in the basis.
    position: Vec<u32>,
    inverse: Vec<[f64; W]>,
    /// Values of the basic columns.
    x: Vec<f64>,
    prices: [f64; W],
    /// Of each option; +∞ for options excluded and for the padding.
    regret: Vec<f64>,
    /// Weights less those of the key, by row, `stride` apart.
    over: Vec<f64>,
    rate: Vec<f64>,
    /// Capacity less what the keys use, and the value of the keys.
    room: [f64; W],
    worth: f64,
    bound: f64,
    since: u32,
    /// Direction of the last pivot.
    ray: [f64; W],
}

impl<const W: usize> State<W> {
    pub(crate) fn new(columns: &Columns<W>) -> Self {
        let rows = columns.rows;
        Self {
            key: vec![0; columns.classes()],
            basis: vec![0; rows],
            position: vec![NONE; columns.options() + rows],
            inverse: vec![[0.0; W]; rows],
            x: vec![0.0; rows],
            prices: [0.0; W],
            regret: vec![f64::INFINITY; columns.stride],
            over: vec![0.0; columns.stride * rows],
            rate: vec![0.0; columns.stride],
            room: [0.0; W],
            worth: 0.0,
            bound: f64::INFINITY,
            since: 0,
            ray: [0.0; W],
        }
    }

    pub(crate) const fn prices(&self) -> &[f64; W] {
        &self.prices
    }

    pub(crate) fn excluded(&self, option: usize) -> bool {
        self.regret[option] == f64::INFINITY
    }

    /// Direction along which the bound fell for ever.
    pub(crate) const fn ray(&self) -> &[f64; W] {
        &self.ray
    }

    /// Basic options with their values.
    pub(crate) fn basic(&self, columns: &Columns<W>) -> impl Iterator<Item = (usize, f64)> {
        let options = columns.options();
        self.basis.iter().zip(&self.x).map(|(c, x)| (*c as usize, *x)).filter(move |(o, _)| *o < options)
    }

    pub(crate) fn key(&self, class: usize) -> usize {
        self.key[class] as usize
    }

    /// Goes to a basis (columns, each with the key of its class) near `prices`, over the options that are
    /// `alive`. `false` where a class has none left or the basis is singular.
    #[inline(always)]
    pub(crate) fn set(
        &mut self,
        columns: &Columns<W>,
        capacity: &[f64],
        (prices, basis): (&[f64; W], &[(u32, u32)]),
        alive: impl Fn(usize) -> bool,
    ) -> bool {
        self.position.fill(NONE);
        self.key.fill(NONE);
        self.basis.clear();
        for (p, (column, key)) in basis.iter().enumerate() {
            self.position[*column as usize] = index(p);
            self.basis.push(*column);
            if *key != NONE {
                self.key[columns.owner(*column as usize)] = *key;
            }
        }
        self.room = [0.0; W];
        self.room[..columns.rows].copy_from_slice(capacity);
        self.worth = 0.0;
        for class in 0..columns.classes() {
            let (mut top, mut best) = (f64::NEG_INFINITY, None);
            for o in columns.of(class) {
                let live = alive(o);
                self.regret[o] = if live { 0.0 } else { f64::INFINITY };
                if live {
                    let score = columns.score(o, prices);
                    if score > top {
                        (top, best) = (score, Some(o));
                    }
                }
            }
            let Some(best) = best else { return false };
            // A key with basic columns beside it stays even when excluded: it leaves by a pivot.
            let key = if self.key[class] == NONE { best } else { self.key[class] as usize };
            self.key[class] = index(key);
            self.relate(columns, class);
            self.worth += columns.value[key];
            for k in 0..W {
                self.room[k] -= columns.weight[key][k];
            }
        }
        self.refresh(columns)
    }

    /// The basis, each column with the key of its class: what [`set`](Self::set) takes.
    pub(crate) fn keyed(&self, columns: &Columns<W>) -> Vec<(u32, u32)> {
        let key = |c: u32| columns.owner.get(c as usize).map_or(NONE, |class| self.key[*class as usize]);
        self.basis.iter().map(|c| (*c, key(*c))).collect()
    }

    /// Weights of a class relative to its key.
    #[inline(always)]
    fn relate(&mut self, columns: &Columns<W>, class: usize) {
        let key = columns.weight[self.key[class] as usize];
        for o in columns.of(class) {
            for k in 0..columns.rows {
                self.over[k * columns.stride + o] = columns.weight[o][k] - key[k];
            }
        }
    }

    fn column(&self, columns: &Columns<W>, of: u32) -> [f64; W] {
        let of = of as usize;
        let mut a = [0.0; W];
        if of >= columns.options() {
            a[of - columns.options()] = 1.0;
        } else {
            for k in 0..columns.rows {
                a[k] = self.over[k * columns.stride + of];
            }
        }
        a
    }

    /// Inverts the basis by Gauss and Jordan, and sets prices, regrets, values and bound from it.
    #[inline(always)]
    fn refresh(&mut self, columns: &Columns<W>) -> bool {
        let rows = columns.rows;
        let mut left = vec![[0.0; W]; rows];
        let mut right = vec![[0.0; W]; rows];
        for (p, column) in self.basis.iter().enumerate() {
            for (row, a) in left.iter_mut().zip(self.column(columns, *column)) {
                row[p] = a;
            }
            right[p][p] = 1.0;
        }
        for p in 0..rows {
            let largest = left.iter().map(|row| row[p].abs()).fold(0.0, f64::max);
            let mut pivot = p;
            for k in p + 1..rows {
                if left[k][p].abs() > left[pivot][p].abs() {
                    pivot = k;
                }
            }
            if left[pivot][p].abs() <= SINGULAR * largest {
                return false;
            }
            left.swap(p, pivot);
            right.swap(p, pivot);
            let scale = 1.0 / left[p][p];
            for k in 0..W {
                left[p][k] *= scale;
                right[p][k] *= scale;
            }
            let (l, r) = (left[p], right[p]);
            for other in (0..rows).filter(|other| *other != p) {
                let f = left[other][p];
                if f != 0.0 {
                    for k in 0..W {
                        left[other][k] -= f * l[k];
                        right[other][k] -= f * r[k];
                    }
                }
            }
        }
        self.inverse = right;
        let mut feasible = true;
        self.prices = [0.0; W];
        for (p, column) in self.basis.iter().enumerate() {
            let o = *column as usize;
            if o < columns.options() {
                let gain = columns.value[o] - columns.value[self.key[columns.owner(o)] as usize];
                for k in 0..W {
                    self.prices[k] += gain * self.inverse[p][k];
                }
            }
        }
        for class in 0..columns.classes() {
            let (mut top, mut best, mut beside) = (f64::NEG_INFINITY, NONE, false);
            for o in columns.of(class) {
                beside |= self.position[o] != NONE;
                if self.regret[o] < f64::INFINITY {
                    let score = columns.score(o, &self.prices);
                    self.regret[o] = -score;
                    if score > top {
                        (top, best) = (score, index(o));
                    }
                }
            }
            // A key with basic columns beside it is as good as they are; another one is the best.
            if beside {
                top = columns.score(self.key[class] as usize, &self.prices);
            } else if best != self.key[class] {
                self.rekey(columns, class, best as usize);
            }
            for o in columns.of(class) {
                let settled = self.position[o] != NONE || index(o) == self.key[class];
                if self.regret[o] < f64::INFINITY {
                    self.regret[o] = if settled { 0.0 } else { self.regret[o] + top };
                    feasible &= self.regret[o] >= -TOLERATED * top.abs().max(1.0);
                    self.regret[o] = self.regret[o].max(0.0);
                }
            }
        }
        self.values();
        self.since = 0;
        feasible
    }

    /// Values of the basic columns and the bound, from inverse, room and prices.
    #[inline(always)]
    fn values(&mut self) {
        for (x, row) in self.x.iter_mut().zip(&self.inverse) {
            *x = dot(row, &self.room);
        }
        self.bound = self.worth + dot(&self.prices, &self.room);
    }

    /// Takes an option out; `false` where its class has no other.
    #[inline(always)]
    pub(crate) fn exclude(&mut self, columns: &Columns<W>, option: usize) -> bool {
        self.regret[option] = f64::INFINITY;
        let class = columns.owner(option);
        if self.key[class] as usize != option {
            return true; // where it is basic it leaves by a pivot
        }
        let beside = (0..self.basis.len()).find(|p| {
            let o = self.basis[*p] as usize;
            o < columns.options() && columns.owner(o) == class
        });
        if let Some(p) = beside {
            self.swap_key(columns, p);
            return true;
        }
        let (mut least, mut next) = (f64::INFINITY, None);
        for o in columns.of(class) {
            if self.regret[o] < least {
                (least, next) = (self.regret[o], Some(o));
            }
        }
        let Some(next) = next else { return false };
        for o in columns.of(class) {
            self.regret[o] -= least;
        }
        self.rekey(columns, class, next);
        self.values();
        true
    }

    #[inline(always)]
    fn rekey(&mut self, columns: &Columns<W>, class: usize, to: usize) {
        let old = self.key[class] as usize;
        self.key[class] = index(to);
        for k in 0..W {
            self.room[k] += columns.weight[old][k] - columns.weight[to][k];
        }
        self.worth += columns.value[to] - columns.value[old];
        self.relate(columns, class);
    }

    /// Makes the basic option at position `p` the key of its class, and the key basic in its place.
    #[inline(always)]
    fn swap_key(&mut self, columns: &Columns<W>, p: usize) {
        let entering = self.basis[p] as usize;
        let class = columns.owner(entering);
        let old = self.key[class] as usize;
        let mut row = self.inverse[p];
        let mut x = self.x[p];
        for q in (0..self.basis.len()).filter(|q| *q != p) {
            let o = self.basis[q] as usize;
            if o < columns.options() && columns.owner(o) == class {
                for k in 0..W {
                    row[k] += self.inverse[q][k];
                }
                x += self.x[q];
            }
        }
        self.inverse[p] = row.map(|r| -r);
        self.x[p] = 1.0 - x;
        self.basis[p] = index(old);
        self.position[entering] = NONE;
        self.position[old] = index(p);
        self.rekey(columns, class, entering);
    }
}

#[inline(always)]
fn dot<const W: usize>(a: &[f64; W], b: &[f64; W]) -> f64 {
    let mut sum = 0.0;
    for k in 0..W {
        sum += a[k] * b[k];
    }
    sum
}

fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(NONE)
}
