//! Jobs, agents and the rows that they share, and the whole numbers that bounds are computed in.

use thiserror::Error;

/// Largest magnitude of an input number.
const LARGEST: f64 = 1e12;
/// Most options, jobs and agents.
const MAX_OPTIONS: usize = 1 << 24;
/// Widest knapsack that loads are written for exactly; others are rounded down to [`COARSE`].
const WIDEST: f64 = 30_000.0;
/// Width of a knapsack whose loads are not small whole numbers.
const COARSE: f64 = 4_000.0;
/// Range of the sums of scaled profits.
const REACH: f64 = 5e8;
/// Slack of a row relative to its capacity, as the checker grants.
const SLACK: f64 = 1e-9;

/// Why a problem cannot be built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProblemError {
    /// Too many of something.
    #[error("{what}: {got}, at most {most}")]
    Size {
        /// What is too many.
        what: &'static str,
        /// How many there are.
        got: usize,
        /// How many there may be.
        most: usize,
    },
    /// A number is not finite, too large, or a negative load.
    #[error("job {job}, option {option}: a number is not finite, beyond 1e12 or a negative use")]
    Number {
        /// Job.
        job: usize,
        /// Option in all.
        option: usize,
    },
    /// A capacity is not finite or too large.
    #[error("row {row}: the capacity is not finite or beyond 1e12")]
    Capacity {
        /// Row, agents first.
        row: usize,
    },
    /// An agent or row does not exist.
    #[error("option {option}: there is no agent or row {row}")]
    Row {
        /// Option in all.
        option: usize,
        /// Row named.
        row: usize,
    },
}

/// Collects jobs and options.
#[derive(Debug, Clone)]
pub struct Builder {
    pub(crate) capacity: Vec<f64>,
    shared: Vec<f64>,
    first: Vec<usize>,
    agent: Vec<Option<usize>>,
    cost: Vec<f64>,
    pub(crate) load: Vec<f64>,
    uses: Vec<(usize, f64)>,
    uses_end: Vec<usize>,
}

impl Builder {
    /// A problem with these capacities of agents, and of rows that options of all agents share.
    #[must_use]
    pub fn new(capacity: Vec<f64>, shared: Vec<f64>) -> Self {
        Self {
            capacity,
            shared,
            first: Vec::new(),
            agent: Vec::new(),
            cost: Vec::new(),
            load: Vec::new(),
            uses: Vec::new(),
            uses_end: Vec::new(),
        }
    }

    /// Begins the next job; options that follow are its.
    pub fn job(&mut self) {
        self.first.push(self.cost.len());
    }

    /// An option of the present job: what it costs, which agent it loads and by how much (none, if
    /// it takes no agent), and what it uses of shared rows.
    pub fn option(&mut self, cost: f64, on: Option<(usize, f64)>, shared: &[(usize, f64)]) {
        self.cost.push(cost);
        self.agent.push(on.map(|(agent, _)| agent));
        self.load.push(on.map_or(0.0, |(_, load)| load));
        self.uses.extend_from_slice(shared);
        self.uses_end.push(self.uses.len());
    }

    /// Checks the numbers and scales them.
    ///
    /// # Errors
    /// [`ProblemError`] where a size or number is out of range.
    pub fn build(mut self) -> Result<Problem, ProblemError> {
        let options = self.cost.len();
        let counts = [("options", options), ("jobs", self.first.len()), ("agents", self.capacity.len())];
        for (what, got) in counts {
            if got > MAX_OPTIONS {
                return Err(ProblemError::Size { what, got, most: MAX_OPTIONS });
            }
        }
        for (row, c) in self.capacity.iter().chain(&self.shared).enumerate() {
            if c.is_nan() || c.abs() > LARGEST {
                return Err(ProblemError::Capacity { row });
            }
        }
        self.first.push(options);
        let job_of = |option: usize| self.first.partition_point(|f| *f <= option).saturating_sub(1);
        for option in 0..options {
            let uses = self.uses_of(option);
            if let Some(row) = self.agent[option].filter(|a| *a >= self.capacity.len()) {
                return Err(ProblemError::Row { option, row });
            }
            if let Some((row, _)) = uses.iter().find(|(row, _)| *row >= self.shared.len()) {
                return Err(ProblemError::Row { option, row: *row });
            }
            let load = self.load[option];
            let wrong = self.cost[option].is_nan()
                || self.cost[option].abs() > LARGEST
                || !(0.0..=LARGEST).contains(&load)
                || uses.iter().any(|(_, a)| !(0.0..=LARGEST).contains(a));
            if wrong {
                return Err(ProblemError::Number { job: job_of(option), option });
            }
        }
        Ok(Problem::scaled(self))
    }

    fn uses_of(&self, option: usize) -> &[(usize, f64)] {
        let from = option.checked_sub(1).map_or(0, |before| self.uses_end[before]);
        &self.uses[from..self.uses_end[option]]
    }
}

/// A problem: one option for each job, at least cost, within the capacities.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Options before each job, and in all.
    pub(crate) first: Vec<usize>,
    pub(crate) job: Vec<u32>,
    /// Agent of each option; the number of agents where it takes none.
    pub(crate) agent: Vec<u32>,
    pub(crate) cost: Vec<f64>,
    pub(crate) load: Vec<f64>,
    pub(crate) capacity: Vec<f64>,
    /// Uses of shared rows, in units of the row's mean use.
    pub(crate) shared_uses: Vec<(u32, f64)>,
    pub(crate) shared_first: Vec<usize>,
    pub(crate) shared: Vec<f64>,
    /// Loads and capacities in whole units, rounded down, so that no plan is lost.
    pub(crate) weight: Vec<i32>,
    pub(crate) room: Vec<i32>,
    /// Costs are `scale` units each …
    pub(crate) scale: f64,
    /// … above the least cost of the job, whose sum this is.
    pub(crate) offset: f64,
    /// Scaled costs, rounded down.
    pub(crate) price: Vec<i32>,
    /// Costs of two plans differ by a multiple of this; 0 where that is not known.
    pub(crate) lattice: f64,
    /// No plan costs more.
    pub(crate) dearest: f64,
    /// Largest scaled price, and with it multipliers.
    pub(crate) highest: i32,
}

impl Problem {
    fn scaled(raw: Builder) -> Self {
        let jobs = raw.first.len() - 1;
        let options = raw.cost.len();
        let agents = raw.capacity.len();
        let mut job = vec![0; options];
        let mut above = vec![0.0; options];
        let (mut offset, mut dearest, mut range) = (0.0, 0.0, 0.0);
        for j in 0..jobs {
            let span = raw.first[j]..raw.first[j + 1];
            let least = raw.cost[span.clone()].iter().copied().fold(f64::INFINITY, f64::min);
            let most = raw.cost[span.clone()].iter().copied().fold(f64::NEG_INFINITY, f64::max);
            if span.is_empty() {
                continue;
            }
            offset += least;
            dearest += most;
            range += most - least;
            for o in span {
                job[o] = index(j);
                above[o] = raw.cost[o] - least;
            }
        }
        let scale = 2f64.powi(whole((REACH / (3.0 * range).max(1.0)).log2().floor().clamp(-30.0, 14.0)));
        let price: Vec<i32> = above.iter().map(|a| whole((a * scale).floor())).collect();
        let (weight, room) = units(&raw);
        let mut total = vec![(0.0, 0.0); raw.shared.len()];
        for (row, amount) in &raw.uses {
            total[*row].0 += *amount;
            total[*row].1 += 1.0;
        }
        let unit: Vec<f64> =
            total.iter().map(|(sum, n)| if *sum > 0.0 { sum / f64::max(*n, 1.0) } else { 1.0 }).collect();
        let mut shared_first = vec![0];
        shared_first.extend_from_slice(&raw.uses_end);
        Self {
            job,
            agent: raw.agent.iter().map(|a| index(a.unwrap_or(agents))).collect(),
            shared_uses: raw.uses.iter().map(|(row, a)| (index(*row), a / unit[*row])).collect(),
            shared_first,
            shared: raw.shared.iter().zip(&unit).map(|(c, u)| (c + SLACK * c.abs().max(1.0)) / u).collect(),
            lattice: lattice(&raw.cost),
            highest: price.iter().copied().max().unwrap_or(0).max(1),
            first: raw.first,
            cost: raw.cost,
            load: raw.load,
            capacity: raw.capacity,
            weight,
            room,
            scale,
            offset,
            dearest,
            price,
        }
    }

    /// Jobs.
    #[must_use]
    pub fn jobs(&self) -> usize {
        self.first.len() - 1
    }

    /// Agents.
    #[must_use]
    pub fn agents(&self) -> usize {
        self.capacity.len()
    }

    /// Options of a job.
    #[must_use]
    pub fn options(&self, job: usize) -> usize {
        self.first[job + 1] - self.first[job]
    }

    /// Cost of a plan that names an option of every job, and whether it keeps every capacity.
    #[must_use]
    pub fn judge(&self, choice: &[u32]) -> Option<f64> {
        if choice.len() != self.jobs() {
            return None;
        }
        let all: Option<Vec<usize>> = choice
            .iter()
            .enumerate()
            .map(|(j, o)| Some(self.first[j] + *o as usize).filter(|o| *o < self.first[j + 1]))
            .collect();
        self.keeps(&all?)
    }

    /// The same for options numbered throughout.
    pub(crate) fn keeps(&self, options: &[usize]) -> Option<f64> {
        let mut used = vec![0.0; self.agents() + 1];
        let mut shared = vec![0.0; self.shared.len()];
        let mut cost = 0.0;
        for o in options {
            used[self.agent[*o] as usize] += self.load[*o];
            cost += self.cost[*o];
            for (row, amount) in self.uses(*o) {
                shared[*row as usize] += amount;
            }
        }
        let fits = used.iter().zip(&self.capacity).all(|(u, c)| *u <= c + SLACK * c.abs().max(1.0))
            && shared.iter().zip(&self.shared).all(|(u, c)| u <= c);
        fits.then_some(cost)
    }

    /// Capacity of an agent with the slack that plans are granted.
    pub(crate) fn limit(&self, agent: usize) -> f64 {
        let c = self.capacity[agent];
        c + SLACK * c.abs().max(1.0)
    }

    /// The greatest cost of the lattice that is not above `target`.
    pub(crate) fn reached(&self, target: f64) -> f64 {
        if self.lattice > 0.0 { (target / self.lattice + 1e-6).floor() * self.lattice } else { target }
    }

    /// Whether no job is without options and no capacity below nothing.
    pub(crate) fn may_be_feasible(&self) -> bool {
        self.first.windows(2).all(|w| w[0] < w[1])
            && self.capacity.iter().all(|c| *c >= -SLACK * c.abs().max(1.0))
            && self.shared.iter().all(|c| *c >= 0.0)
    }

    pub(crate) fn uses(&self, option: usize) -> &[(u32, f64)] {
        &self.shared_uses[self.shared_first[option]..self.shared_first[option + 1]]
    }

    /// A cost, constant included, in scaled units from 0, rounded up.
    pub(crate) fn scaled_up(&self, cost: f64) -> i64 {
        let slack = 1e-9 * cost.abs().max(1.0);
        let scaled = ((cost - self.offset + slack) * self.scale).ceil();
        if scaled >= 9e18 { i64::MAX } else { long(scaled) }
    }

    /// A bound in scaled units as a cost; rounded up to the next possible cost.
    pub(crate) fn unscaled(&self, bound: i64) -> f64 {
        let plain = self.offset + bound as f64 / self.scale;
        self.possible(plain)
    }

    /// The least cost of the lattice that is not below `bound`.
    pub(crate) fn possible(&self, bound: f64) -> f64 {
        if self.lattice > 0.0 {
            (bound / self.lattice - 1e-6).ceil() * self.lattice
        } else {
            bound - 1e-9 * bound.abs().max(1.0)
        }
    }
}

/// Loads and capacities of agents in whole units.
fn units(raw: &Builder) -> (Vec<i32>, Vec<i32>) {
    let agents = raw.capacity.len();
    let mut step = vec![0.0_f64; agents];
    for (agent, load) in raw.agent.iter().zip(&raw.load) {
        if let Some(agent) = agent
            && *load <= raw.capacity[*agent]
        {
            step[*agent] = divisor(step[*agent], *load);
        }
    }
    let unit: Vec<f64> = step
        .iter()
        .zip(&raw.capacity)
        .map(
            |(step, c)| {
                if *step > 0.0 && c / step <= WIDEST { *step } else { (c.abs() / COARSE).max(1e-12) }
            },
        )
        .collect();
    let exact: Vec<bool> = unit.iter().zip(&step).map(|(u, s)| u == s).collect();
    let weight = raw
        .agent
        .iter()
        .zip(&raw.load)
        .map(|(agent, load)| {
            let Some(agent) = agent else { return 0 };
            let units = load / unit[*agent];
            let units = if exact[*agent] { units.round() } else { (units - 1e-6).floor() };
            whole(units.clamp(0.0, 1e9))
        })
        .collect();
    let room = raw
        .capacity
        .iter()
        .zip(&unit)
        .map(|(c, unit)| whole((c / unit + 1e-6).floor().clamp(-1.0, 1e9)))
        .collect();
    (weight, room)
}

/// Greatest common divisor of numbers with at most three decimals; −1 once there is none.
fn divisor(a: f64, b: f64) -> f64 {
    let thousands = |x: f64| (x * 1000.0).round();
    if a < 0.0 || (b * 1000.0 - thousands(b)).abs() > 1e-6 || b > 1e9 {
        return -1.0;
    }
    let (mut x, mut y) = (thousands(a), thousands(b));
    while y > 0.0 {
        (x, y) = (y, x % y);
    }
    x / 1000.0
}

/// The largest of 1, 1/10, 1/100 that all costs are multiples of; 0 when none is.
fn lattice(costs: &[f64]) -> f64 {
    let whole = |scale: f64| {
        costs.iter().all(|c| {
            let scaled = c * scale;
            (scaled - scaled.round()).abs() <= 1e-7 && scaled.abs() < 1e12
        })
    };
    [1.0, 10.0, 100.0].into_iter().find(|s| whole(*s)).map_or(0.0, |s| 1.0 / s)
}

/// A count below [`MAX_OPTIONS`].
#[allow(clippy::cast_possible_truncation)] // sizes are checked when the problem is built
pub(crate) fn index(n: usize) -> u32 {
    n as u32
}

/// A whole number within `i32`; saturates.
#[allow(clippy::cast_possible_truncation)] // `as` saturates, which is what is wanted
pub(crate) fn whole(x: f64) -> i32 {
    x as i32
}

/// A whole number within `i64`; saturates.
#[allow(clippy::cast_possible_truncation)] // `as` saturates, which is what is wanted
pub(crate) fn long(x: f64) -> i64 {
    x as i64
}
