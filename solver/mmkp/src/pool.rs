//! Prices and plans kept for other capacities.
//!
//! For fixed prices the bound (22) is linear in the capacities, so every price vector ever found
//! bounds the best plan for *any* capacities:
//!
//! ```text
//! bound(c) = min over stored λ of K(λ) + λ·c, with K(λ) = Σ_i max_j (v[i,j] − λ·w[i,j]).      (23)
//! ```
//!
//! Every plan ever found serves all capacities that its use fits. A changed cap therefore has an
//! answer with a certified gap by lookup, without a solve; [`Pool::resolve`] goes on from there.

use crate::problem::{Problem, ProblemError, tolerance};
use crate::solve::{Answer, Limits, between, solve, solve_from};

/// Largest size of a pool in stored numbers (8 bytes each).
const DEFAULT_NUMBERS: usize = 64 << 20;
/// Most plans and price vectors: lookup reads them all.
const MOST: usize = 768;

/// How far before a plan begins to fit, as a share of the segment, a lookup is judged.
const BEFORE: f64 = 1e-6;

/// From which share of the segment on such a use fits; `None` if nowhere on it.
fn begins(used: &[f64], low: &[f64], high: &[f64]) -> Option<f64> {
    let mut from = 0.0_f64;
    for ((u, l), h) in used.iter().zip(low).zip(high) {
        if *u > l + tolerance(*l) {
            if *u > h + tolerance(*h) || h <= l {
                return None;
            }
            from = from.max((u - l) / (h - l));
        }
    }
    Some(from.min(1.0))
}

/// Prices and what they prove.
#[derive(Debug, Clone, PartialEq)]
struct Priced {
    prices: Vec<f64>,
    /// K(λ) of equation (23).
    constant: f64,
    /// Capacities that they were found for.
    at: Vec<f64>,
}

/// A plan, what it is worth and what it uses.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Option of every class.
    pub choice: Vec<u32>,
    /// Value.
    pub value: f64,
    /// Use of every row.
    pub used: Vec<f64>,
}

/// What a lookup found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lookup {
    /// Position of the plan in [`Pool::plan`]; `None` when no stored plan fits.
    pub plan: Option<usize>,
    /// What it is worth; −∞ without one.
    pub value: f64,
    /// No plan for these capacities is worth more.
    pub bound: f64,
}

impl Lookup {
    /// |bound − value| / |value|.
    #[must_use]
    pub fn gap(&self) -> f64 {
        if self.plan.is_none() {
            return f64::INFINITY;
        }
        (self.bound - self.value).max(0.0) / self.value.abs().max(1e-12)
    }
}

/// Stored prices and plans of one problem under changing capacities.
#[derive(Debug, Clone)]
pub struct Pool {
    problem: Problem,
    priced: Vec<Priced>,
    /// By falling value.
    plans: Vec<Plan>,
    most: usize,
}

impl Pool {
    /// An empty pool. It keeps at most 768 plans, fewer of large problems: 512 MiB in all.
    #[must_use]
    pub fn new(problem: Problem) -> Self {
        let most = (DEFAULT_NUMBERS / (problem.classes() / 2 + problem.rows() + 1)).clamp(2, MOST);
        Self { problem, priced: Vec::new(), plans: Vec::new(), most }
    }

    /// The problem at the capacities of the last solve.
    #[must_use]
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Plans stored.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plans.len()
    }

    /// Whether no plan is stored.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// A stored plan.
    #[must_use]
    pub fn plan(&self, at: usize) -> Option<&Plan> {
        self.plans.get(at)
    }

    /// Equation (23): no plan for `capacity` is worth more. +∞ while nothing is stored.
    #[must_use]
    pub fn bound(&self, capacity: &[f64]) -> f64 {
        self.tightest(capacity).map_or(f64::INFINITY, |(_, bound)| bound)
    }

    fn tightest(&self, capacity: &[f64]) -> Option<(&Priced, f64)> {
        let mut best: Option<(&Priced, f64)> = None;
        for priced in &self.priced {
            let bound = priced.constant + priced.prices.iter().zip(capacity).map(|(p, c)| p * c).sum::<f64>();
            if best.is_none_or(|(_, b)| bound < b) {
                best = Some((priced, bound));
            }
        }
        best
    }

    /// Prices to begin at: between the tightest and the tightest of those found on the other side of `capacity`.
    fn start(&self, capacity: &[f64]) -> Option<Vec<f64>> {
        let (near, _) = self.tightest(capacity)?;
        let towards = |p: &Priced| {
            let steps = near.at.iter().zip(&p.at).zip(capacity);
            steps
                .map(|((a, b), c)| (a - c) / c.abs().max(1e-300) * ((b - c) / c.abs().max(1e-300)))
                .sum::<f64>()
        };
        let across = self.priced.iter().filter(|p| towards(p) < 0.0);
        let across = across
            .map(|p| (p, p.constant + p.prices.iter().zip(capacity).map(|(p, c)| p * c).sum::<f64>()))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        Some(match across {
            Some((far, _)) => between((&near.at, &near.prices), (&far.at, &far.prices), capacity),
            None => near.prices.clone(),
        })
    }

    /// The best stored plan that fits `capacity`, with the best stored bound. No solve.
    #[must_use]
    pub fn lookup(&self, capacity: &[f64]) -> Lookup {
        let bound = self.bound(capacity);
        let fits = |plan: &Plan| plan.used.iter().zip(capacity).all(|(u, c)| *u <= c + tolerance(*c));
        let found = self.plans.iter().position(fits);
        let value = found.map_or(f64::NEG_INFINITY, |at| self.plans[at].value);
        Lookup { plan: found, value, bound }
    }

    /// A plan for `capacity` within `limits.gap`: by lookup if the pool has one, else by a search
    /// from the nearest stored prices, which is then stored.
    ///
    /// # Errors
    /// [`ProblemError`] for another number of rows or a capacity that is not finite.
    pub fn resolve(&mut self, capacity: &[f64], limits: &Limits<'_>) -> Result<Answer, ProblemError> {
        if capacity.len() != self.problem.rows() || capacity.iter().any(|c| !c.is_finite()) {
            return Err(ProblemError::Size { what: "rows", got: capacity.len(), most: self.problem.rows() });
        }
        let known = self.lookup(capacity);
        if known.gap() <= limits.gap {
            return Ok(self.stored(&known, capacity));
        }
        self.problem.set_capacity(capacity)?;
        let start = self.start(capacity);
        let mut answer = match start {
            Some(prices) => solve_from(&self.problem, &prices, limits),
            None => solve(&self.problem, limits),
        };
        self.keep(&answer);
        answer.bound = answer.bound.min(known.bound);
        if known.value > answer.value {
            let stored = self.stored(&known, capacity);
            (answer.choice, answer.value) = (stored.choice, stored.value);
        }
        Ok(answer)
    }

    fn stored(&self, known: &Lookup, capacity: &[f64]) -> Answer {
        Answer {
            choice: known.plan.and_then(|at| self.plans.get(at)).map(|p| p.choice.clone()),
            value: known.value,
            bound: known.bound,
            prices: self.tightest(capacity).map_or_else(Vec::new, |(p, _)| p.prices.clone()),
            work: 0,
        }
    }

    /// Stores what a solve at the problem's present capacities gave.
    fn keep(&mut self, answer: &Answer) {
        if answer.bound.is_finite() && answer.prices.iter().all(|p| p.is_finite()) {
            let priced: f64 = answer.prices.iter().zip(self.problem.capacity()).map(|(p, c)| p * c).sum();
            self.priced.push(Priced {
                prices: answer.prices.clone(),
                constant: answer.bound - priced,
                at: self.problem.capacity().to_vec(),
            });
            if self.priced.len() > self.most {
                self.priced.remove(0);
            }
        }
        if let Some(choice) = &answer.choice {
            let (value, used) = self.problem.judge(choice);
            self.insert(Plan { choice: choice.clone(), value, used });
        }
    }

    /// Keeps the plans by falling value; a plan that another one beats on value and every row goes.
    fn insert(&mut self, plan: Plan) {
        let covers =
            |a: &Plan, b: &Plan| a.value >= b.value && a.used.iter().zip(&b.used).all(|(a, b)| a <= b);
        if self.plans.iter().any(|p| covers(p, &plan)) {
            return;
        }
        self.plans.retain(|p| !covers(&plan, p));
        if self.plans.len() >= self.most {
            self.plans.remove(self.plans.len() / 2);
        }
        let at = self.plans.partition_point(|p| p.value >= plan.value);
        self.plans.insert(at, plan);
    }

    /// Fills the pool along the segment from `low` to `high` until every capacities on it have an
    /// answer within `gap` by lookup, the pool is full, or `limits` end it. Returns the largest gap
    /// left on the segment.
    ///
    /// Between the capacities from which on two neighbouring plans fit the answer stays and the bound
    /// rises, so the gap is largest just before the next plan fits: the interval where that is worst
    /// is halved.
    ///
    /// # Errors
    /// As [`resolve`](Self::resolve).
    pub fn prepare(
        &mut self,
        low: &[f64],
        high: &[f64],
        gap: f64,
        limits: &Limits<'_>,
    ) -> Result<f64, ProblemError> {
        let at = |t: f64| -> Vec<f64> { low.iter().zip(high).map(|(l, h)| l + t * (h - l)).collect() };
        let inner = Limits { gap: gap * 0.25, ..*limits };
        self.resolve(&at(0.0), &inner)?;
        self.resolve(&at(1.0), &inner)?;
        let mut solved = 2;
        loop {
            let mut from: Vec<f64> = self.plans.iter().filter_map(|p| begins(&p.used, low, high)).collect();
            from.push(1.0);
            from.sort_by(f64::total_cmp);
            let worst = from
                .iter()
                .map(|t| (t - BEFORE).max(0.0))
                .chain([1.0])
                .map(|t| (self.lookup(&at(t)).gap(), t))
                .max_by(|a, b| a.0.total_cmp(&b.0));
            let Some((left, to)) = worst else { return Ok(f64::INFINITY) };
            if left <= gap || solved >= 2 * self.most || (limits.stop)() {
                return Ok(left);
            }
            let since = from.iter().copied().filter(|t| *t <= to).fold(0.0, f64::max);
            let middle = f64::midpoint(since, to);
            // Where a plan fits from just below on, another one at the point itself is what helps.
            let next = if to - since > 16.0 * BEFORE { middle } else { to };
            self.resolve(&at(next), &inner)?;
            if next == to && self.lookup(&at(to)).gap() > gap {
                return Ok(left);
            }
            solved += 1;
        }
    }

    /// Takes the pool over to a problem whose classes changed: `kept[i]` is the old class of the
    /// new class i, `None` for one that arrived. Prices are re-priced over the new classes (their
    /// bounds stay valid), plans lose who left and give who arrived the option of the largest
    /// score at the pool's last prices.
    ///
    /// # Errors
    /// [`ProblemError::Size`] when the rows differ or `kept` does not fit.
    pub fn rebase(&mut self, problem: Problem, kept: &[Option<usize>]) -> Result<(), ProblemError> {
        if problem.rows() != self.problem.rows() {
            return Err(ProblemError::Size { what: "rows", got: problem.rows(), most: self.problem.rows() });
        }
        let old = self.problem.classes();
        if kept.len() != problem.classes() || kept.iter().flatten().any(|i| *i >= old) {
            return Err(ProblemError::Size { what: "classes", got: kept.len(), most: problem.classes() });
        }
        let mut best = Vec::new();
        for priced in &mut self.priced {
            let certificate = problem.certify(&priced.prices);
            priced.constant = certificate.bound - certificate.priced_capacity;
            best = certificate.best;
        }
        let plans = std::mem::take(&mut self.plans);
        self.problem = problem;
        for plan in plans {
            let same = |i: usize, at: usize| self.problem.options(i) > plan.choice[at] as usize;
            let choice: Vec<u32> = kept
                .iter()
                .enumerate()
                .map(|(i, from)| match from {
                    Some(at) if same(i, *at) => plan.choice[*at],
                    _ => best.get(i).copied().unwrap_or(0),
                })
                .collect();
            let (value, used) = self.problem.judge(&choice);
            self.insert(Plan { choice, value, used });
        }
        Ok(())
    }
}
