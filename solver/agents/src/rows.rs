//! Prices on all rows: the bound of the linear relaxation, for problems too large for knapsacks.

use crate::problem::Problem;

/// Halvings in the search for the price that all agents have at first.
const HALVINGS: usize = 30;
/// Steps of a round without a better bound after which steps are shortened.
const PATIENCE: usize = 6;
/// How much of the last direction goes into the next.
const MEMORY: f64 = 0.5;

/// Bound and prices.
pub(crate) struct Rows {
    /// No plan costs less.
    pub(crate) bound: f64,
    /// Agents first, then shared rows; per unit of load or scaled use.
    pub(crate) prices: Vec<f64>,
}

struct Flat<'a> {
    problem: &'a Problem,
    /// Rows in units of their capacity.
    rows: Vec<(u32, f64)>,
    ends: Vec<usize>,
}

impl Flat<'_> {
    /// L(λ) and the use of each row less its capacity, capacities being 1.
    fn evaluate(&self, prices: &[f64], over: &mut [f64]) -> f64 {
        over.fill(-1.0);
        let mut bound = -prices.iter().sum::<f64>();
        for j in 0..self.problem.jobs() {
            let mut best = (f64::INFINITY, 0);
            for o in self.problem.first[j]..self.problem.first[j + 1] {
                let mut cost = self.problem.cost[o];
                for (row, a) in self.rows_of(o) {
                    cost += prices[*row as usize] * a;
                }
                if cost < best.0 {
                    best = (cost, o);
                }
            }
            bound += best.0;
            for (row, a) in self.rows_of(best.1) {
                over[*row as usize] += a;
            }
        }
        bound
    }

    fn rows_of(&self, o: usize) -> &[(u32, f64)] {
        &self.rows[o.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[o]]
    }
}

/// Nearly the best prices, after at most `steps` evaluations.
pub(crate) fn solve(
    problem: &Problem,
    rows: &[(u32, f64)],
    ends: &[usize],
    limits: &[f64],
    (steps, stop): (usize, &dyn Fn() -> bool),
) -> Rows {
    let scaled = rows.iter().map(|(row, a)| (*row, a / limits[*row as usize].max(1e-12))).collect();
    let flat = Flat { problem, rows: scaled, ends: ends.to_vec() };
    let agents = problem.agents();
    let mut over = vec![0.0; limits.len()];
    let uniform = |price: f64| -> Vec<f64> {
        (0..limits.len()).map(|row| if row < agents { price } else { 0.0 }).collect()
    };
    let (mut low, mut high) = (0.0, 4.0 * (problem.dearest - problem.offset).max(1e-9));
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        flat.evaluate(&uniform(middle), &mut over);
        if over[..agents].iter().sum::<f64>() > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let mut best = uniform(high);
    let mut bound = flat.evaluate(&best, &mut over);
    let mut now = best.clone();
    let mut direction = vec![0.0; limits.len()];
    let mut span = 2e-3 * bound.abs();
    let mut since = 0;
    for step in 0..steps {
        if stop() {
            break;
        }
        let value = if step == 0 { bound } else { flat.evaluate(&now, &mut over) };
        if value > bound {
            bound = value;
            best.copy_from_slice(&now);
            since = 0;
        } else {
            since += 1;
            if since > PATIENCE {
                since = 0;
                span *= 0.6;
                now.copy_from_slice(&best);
                direction.fill(0.0);
                flat.evaluate(&now, &mut over);
            }
        }
        let mut norm = 0.0;
        for ((d, o), price) in direction.iter_mut().zip(&over).zip(&now) {
            *d = MEMORY * *d + o;
            if *price > 0.0 || *d > 0.0 {
                norm += *d * *d;
            }
        }
        if norm < 1e-18 {
            break;
        }
        let length = (bound + span - value) / norm;
        for (price, d) in now.iter_mut().zip(&direction) {
            *price = (*price + length * d).max(0.0);
        }
    }
    let prices = best.iter().zip(limits).map(|(price, limit)| price / limit.max(1e-12)).collect();
    Rows { bound: bound - 1e-9 * bound.abs(), prices }
}
