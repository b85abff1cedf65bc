//! Plans of large problems: one agent at a time is filled anew, exactly.
//!
//! For an agent every job that has an option on it is a group of a knapsack: it comes (or stays) at
//! one of those options, or it is elsewhere, where it is now or, if it must leave, at the best option
//! that still fits. What it uses elsewhere is priced, since room that it leaves there will be filled
//! in turn. So one table decides about all moves into, out of and within the agent at once: a
//! neighbourhood of exponential size. How much prices count varies from sweep to sweep, down to
//! nothing; the best plan is kept.

use crate::knapsack::{Item, Table};
use crate::problem::{Problem, index, whole};
use crate::rows::{self, Rows};
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// How much prices count in the first sweeps. High at first, so that the best mix of jobs and agents
/// forms before room is filled for its own sake; not at all at last.
const FIRST: [f64; 8] = [1.04, 0.94, 0.98, 0.85, 0.92, 0.48, 0.0, 0.0];
/// How much they count in later rounds, and by how much that varies.
const AGAIN: [f64; 5] = [0.85, 0.9, 0.5, 0.0, 0.0];
const NOISE: f64 = 0.05;
/// Range of a table's sums.
const REACH: f64 = 5e8;
/// Tables for one agent, shared rows that break being priced up in between.
const TRIES: usize = 3;
/// Marks a job that is out.
const OUT: u32 = u32::MAX;

pub(crate) struct Refill<'a> {
    problem: &'a Problem,
    /// Rows of each option, agents first, with the amounts.
    rows: Vec<(u32, f64)>,
    ends: Vec<usize>,
    /// What each option pays for its agent, and for shared rows.
    own: Vec<f64>,
    common: Vec<f64>,
    /// What each option uses of rows, relative to their capacities.
    bulk: Vec<f64>,
    slack: Vec<f64>,
    now: Vec<u32>,
    /// Jobs of each agent.
    on: Vec<Vec<u32>>,
    cost: f64,
    /// Jobs with options on each agent, and for each the options.
    menu: Vec<Vec<(u32, Vec<u32>)>>,
    limits: Vec<f64>,
    table: Table,
    range: f64,
}

impl<'a> Refill<'a> {
    pub(crate) fn new(problem: &'a Problem) -> Self {
        let agents = problem.agents();
        let (mut rows, mut ends) = (Vec::new(), Vec::new());
        let mut menu: Vec<Vec<(u32, Vec<u32>)>> = vec![Vec::new(); agents];
        for o in 0..problem.cost.len() {
            let agent = problem.agent[o] as usize;
            if let Some(list) = menu.get_mut(agent) {
                rows.push((problem.agent[o], problem.load[o]));
                match list.last_mut().filter(|(job, _)| *job == problem.job[o]) {
                    Some((_, options)) => options.push(index(o)),
                    None => list.push((problem.job[o], vec![index(o)])),
                }
            }
            rows.extend(problem.uses(o).iter().map(|(row, a)| (index(agents) + row, *a)));
            ends.push(rows.len());
        }
        let limits: Vec<f64> =
            (0..agents).map(|a| problem.limit(a)).chain(problem.shared.iter().copied()).collect();
        let mut from = 0;
        let mut bulk = Vec::with_capacity(ends.len());
        for end in &ends {
            let part = |(row, a): &(u32, f64)| a / limits[*row as usize].max(1e-12);
            bulk.push(rows[from..*end].iter().map(part).sum());
            from = *end;
        }
        Self {
            problem,
            rows,
            ends,
            own: vec![0.0; bulk.len()],
            common: vec![0.0; bulk.len()],
            bulk,
            slack: limits.clone(),
            now: vec![OUT; problem.jobs()],
            on: vec![Vec::new(); agents + 1],
            cost: 0.0,
            menu,
            limits,
            table: Table::default(),
            range: (problem.dearest - problem.offset) / problem.jobs().max(1) as f64,
        }
    }

    /// Prices of rows and the bound that they prove.
    pub(crate) fn price(&mut self, steps: usize, stop: &dyn Fn() -> bool) -> Rows {
        let found = rows::solve(self.problem, &self.rows, &self.ends, &self.limits, (steps, stop));
        let agents = self.problem.agents();
        for o in 0..self.own.len() {
            (self.own[o], self.common[o]) = (0.0, 0.0);
            let from = o.checked_sub(1).map_or(0, |before| self.ends[before]);
            for (row, a) in &self.rows[from..self.ends[o]] {
                let paid = found.prices[*row as usize] * a;
                if (*row as usize) < agents {
                    self.own[o] += paid;
                } else {
                    self.common[o] += paid;
                }
            }
        }
        found
    }

    /// The priced choice of each job.
    pub(crate) fn wish(&self) -> Vec<u32> {
        let cost = |o: &usize| self.problem.cost[*o] + self.own[*o] + self.common[*o];
        (0..self.problem.jobs())
            .map(|j| {
                let options = self.problem.first[j]..self.problem.first[j + 1];
                options.min_by(|a, b| cost(a).total_cmp(&cost(b))).map_or(OUT, index)
            })
            .collect()
    }

    fn rows(&self, option: u32) -> &[(u32, f64)] {
        let o = option as usize;
        let from = o.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.rows[from..self.ends[o]]
    }

    fn fits(&self, option: u32) -> bool {
        self.rows(option).iter().all(|(row, a)| *a <= self.slack[*row as usize])
    }

    fn put(&mut self, job: u32, option: u32) {
        let from = (option as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        for (row, a) in &self.rows[from..self.ends[option as usize]] {
            self.slack[*row as usize] -= a;
        }
        self.cost += self.problem.cost[option as usize];
        self.now[job as usize] = option;
        self.on[self.problem.agent[option as usize] as usize].push(job);
    }

    fn out(&mut self, job: u32) -> u32 {
        let option = std::mem::replace(&mut self.now[job as usize], OUT);
        if option == OUT {
            return OUT;
        }
        let from = (option as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        for (row, a) in &self.rows[from..self.ends[option as usize]] {
            self.slack[*row as usize] += a;
        }
        self.cost -= self.problem.cost[option as usize];
        self.on[self.problem.agent[option as usize] as usize].retain(|j| *j != job);
        option
    }

    /// The option of a job that fits at least cost, not on `except`, rows priced at `count`.
    fn cheapest(&self, job: u32, except: u32, count: f64) -> Option<(f64, u32)> {
        let j = job as usize;
        let mut best: Option<(f64, u32)> = None;
        for o in self.problem.first[j]..self.problem.first[j + 1] {
            let cost = self.problem.cost[o] + count * (self.own[o] + self.common[o]);
            if self.problem.agent[o] != except
                && best.is_none_or(|(least, _)| cost < least)
                && self.fits(index(o))
            {
                best = Some((cost, index(o)));
            }
        }
        best
    }

    /// The option of a job that fits and uses least.
    fn lightest(&self, job: u32) -> Option<u32> {
        let j = job as usize;
        (self.problem.first[j]..self.problem.first[j + 1])
            .map(index)
            .filter(|o| self.fits(*o))
            .min_by(|a, b| self.bulk[*a as usize].total_cmp(&self.bulk[*b as usize]))
    }

    /// Places all jobs, `wish` where it fits; those that fit nowhere push others out for a while.
    pub(crate) fn construct(&mut self, wish: &[u32], rng: &mut ChaCha8Rng, stop: &dyn Fn() -> bool) -> bool {
        let jobs = index(self.problem.jobs());
        let mut left: Vec<u32> = Vec::new();
        for job in 0..jobs {
            match wish.get(job as usize) {
                Some(option) if *option != OUT && self.fits(*option) => self.put(job, *option),
                _ => left.push(job),
            }
        }
        let mut patience = 50 * self.problem.jobs();
        while let Some(job) = left.pop() {
            if let Some(option) = self.lightest(job) {
                self.put(job, option);
                continue;
            }
            patience = patience.saturating_sub(1);
            if patience == 0 || stop() {
                return false;
            }
            // Make room on an agent of the job: its jobs go, and this one comes first.
            let j = job as usize;
            let options = self.problem.first[j]..self.problem.first[j + 1];
            let agent = self.problem.agent[rng.random_range(options)] as usize;
            let mut gone = self.on[agent].clone();
            gone.shuffle(rng);
            for other in &gone {
                self.out(*other);
                left.push(*other);
            }
            match self.lightest(job) {
                Some(option) => self.put(job, option),
                None => left.insert(0, job),
            }
        }
        true
    }

    /// The first plan made better: every agent filled anew, several times.
    pub(crate) fn settle(&mut self, rng: &mut ChaCha8Rng, stop: &dyn Fn() -> bool) {
        for count in FIRST {
            self.sweep(count, rng, stop);
        }
    }

    /// All agents filled anew, rows priced high at first and at last not at all.
    pub(crate) fn shake(&mut self, rng: &mut ChaCha8Rng, stop: &dyn Fn() -> bool) {
        for count in AGAIN {
            let count = if count > 0.0 { count + rng.random_range(-NOISE..NOISE) } else { 0.0 };
            self.sweep(count, rng, stop);
        }
    }

    /// Fills every agent anew, in random order.
    fn sweep(&mut self, count: f64, rng: &mut ChaCha8Rng, stop: &dyn Fn() -> bool) {
        let mut order: Vec<u32> = (0..index(self.menu.len())).collect();
        order.shuffle(rng);
        for agent in order {
            if stop() {
                return;
            }
            self.refill(agent, count);
        }
    }

    /// Fills an agent at least priced cost; nothing changes where rows break.
    fn refill(&mut self, agent: u32, count: f64) {
        let problem = self.problem;
        let a = agent as usize;
        let menu = std::mem::take(&mut self.menu[a]);
        let here = self.on[a].clone();
        let room = usize::try_from(problem.room[a]).unwrap_or(0);
        // Where each job is if it is not here, and what that costs.
        let away: Vec<Option<(f64, u32)>> = menu
            .iter()
            .map(|(job, _)| {
                let now = self.now[*job as usize];
                if problem.agent[now as usize] == agent {
                    return self.cheapest(*job, agent, count);
                }
                let o = now as usize;
                Some((problem.cost[o] + count * (self.own[o] + self.common[o]), now))
            })
            .collect();
        let mut penalty: Vec<(u32, f64)> = Vec::new();
        for _ in 0..TRIES {
            let (mut items, mut ends, mut gains, mut picks) =
                (Vec::new(), Vec::new(), Vec::new(), Vec::new());
            for ((_, options), away) in menu.iter().zip(&away) {
                let before = picks.len();
                // A job that must stay is worth more than any other.
                let base = away.map_or(f64::INFINITY, |(cost, _)| cost);
                for o in options {
                    let mut cost = problem.cost[*o as usize] + count * self.common[*o as usize];
                    for (row, a) in self.rows(*o) {
                        for (bad, price) in &penalty {
                            if bad == row {
                                cost += price * a;
                            }
                        }
                    }
                    let gain = if base == f64::INFINITY {
                        8.0 * self.range - cost + self.floor(options)
                    } else {
                        base - cost
                    };
                    let weight = usize::try_from(problem.weight[*o as usize]).unwrap_or(usize::MAX);
                    if gain > 0.0 && weight <= room {
                        gains.push(gain);
                        items.push(Item { weight, profit: 0 });
                        picks.push(*o);
                    }
                }
                if picks.len() > before {
                    ends.push(picks.len());
                }
            }
            let sum: f64 = gains.iter().sum();
            let scale = REACH / sum.max(1e-9);
            for (item, gain) in items.iter_mut().zip(&gains) {
                item.profit = whole((gain * scale).round()).max(1);
            }
            self.table.forward(room, 0, &ends, &items);
            let mut taken: Vec<u32> = Vec::new();
            self.table.chosen(&ends, &items, |n| taken.push(picks[n]));
            match self.change(agent, &here, &taken, count) {
                Ok(()) => break,
                Err(None) => break,
                Err(Some(row)) => {
                    let price = 0.5 * self.range / self.limits[row as usize].max(1e-12);
                    match penalty.iter_mut().find(|(bad, _)| *bad == row) {
                        Some((_, p)) => *p *= 4.0,
                        None => penalty.push((row, price)),
                    }
                }
            }
        }
        self.menu[a] = menu;
    }

    fn floor(&self, options: &[u32]) -> f64 {
        options.iter().map(|o| self.problem.cost[*o as usize]).fold(f64::INFINITY, f64::min)
    }

    /// Makes `taken` what is on the agent. Where a row breaks all is as before, and the row is named;
    /// none is where a job that leaves finds no place.
    fn change(&mut self, agent: u32, here: &[u32], taken: &[u32], count: f64) -> Result<(), Option<u32>> {
        let mut old: Vec<(u32, u32)> = Vec::new();
        for job in here {
            old.push((*job, self.out(*job)));
        }
        for o in taken {
            let job = self.problem.job[*o as usize];
            if self.now[job as usize] != OUT {
                old.push((job, self.out(job)));
            }
        }
        let mut failed = None;
        for o in taken {
            let broken =
                self.rows(*o).iter().find(|(row, a)| *a > self.slack[*row as usize]).map(|(row, _)| *row);
            if let Some(row) = broken {
                failed = Some(Some(row));
                break;
            }
            self.put(self.problem.job[*o as usize], *o);
        }
        if failed.is_none() {
            for job in here {
                if self.now[*job as usize] == OUT {
                    match self.cheapest(*job, agent, count) {
                        Some((_, option)) => self.put(*job, option),
                        None => {
                            failed = Some(None);
                            break;
                        }
                    }
                }
            }
        }
        let Some(row) = failed else { return Ok(()) };
        for (job, _) in &old {
            self.out(*job);
        }
        for (job, option) in &old {
            self.put(*job, *option);
        }
        Err(row)
    }

    pub(crate) fn cost(&self) -> f64 {
        self.cost
    }

    pub(crate) fn plan(&self) -> Vec<usize> {
        self.now.iter().map(|o| *o as usize).collect()
    }
}
