//! The Lagrangian relaxation of a node, its ascent and its variable fixing.
//!
//! With a multiplier u_j on "job j takes exactly one option" and μ_r ≥ 0 on the shared rows the
//! problem falls apart into one knapsack an agent:
//!
//! ```text
//! L(u, μ) = Σ_j u_j − Σ_r μ_r·b_r − Σ_i max Σ_o (u_j(o) − c_o − Σ_r μ_r·a_or)·x_o        (24)
//! ```
//!
//! Everything is in whole units, costs rounded down, so a bound has no rounding of its own.
//! Fixing follows M. Posta, J. A. Ferland, P. Michelon, "An exact method with variable fixing for
//! solving the generalized assignment problem", Computational Optimization and Applications 52
//! (2012) 629–644: tables from both ends give the loss of each option forced in or left out.

use crate::knapsack::{Item, Table};
use crate::problem::{Problem, long, whole};

/// No option.
pub(crate) const NONE: u32 = u32::MAX;
/// A loss that no plan can afford.
const NEVER: i64 = i64::MAX / 8;
/// Steps without a better bound after which the step is shortened.
const PATIENCE: usize = 8;
/// Halvings in the search for the first price.
const HALVINGS: usize = 24;
/// How much of the last direction goes into the next.
const MEMORY: f64 = 0.6;

/// What is left to decide.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// Options left of unassigned jobs, by agent, in ascending order.
    pub(crate) options: Vec<u32>,
    /// Where each agent's options begin; the last agent is "none".
    pub(crate) starts: Vec<usize>,
    /// Capacity left.
    pub(crate) room: Vec<i32>,
    pub(crate) shared: Vec<f64>,
    /// Scaled cost of what is assigned.
    pub(crate) base: i64,
    /// Option of each assigned job.
    pub(crate) assigned: Vec<u32>,
    pub(crate) left: usize,
    pub(crate) u: Vec<i32>,
    pub(crate) mu: Vec<f64>,
    /// Scaled bound.
    pub(crate) bound: i64,
}

impl Node {
    pub(crate) fn root(problem: &Problem) -> Self {
        let agents = problem.agents();
        let mut by_agent: Vec<Vec<u32>> = vec![Vec::new(); agents + 1];
        for (o, agent) in problem.agent.iter().enumerate() {
            let fits = problem.room.get(*agent as usize).is_none_or(|room| problem.weight[o] <= *room);
            if fits && problem.uses(o).iter().all(|(r, a)| *a <= problem.shared[*r as usize]) {
                by_agent[*agent as usize].push(crate::problem::index(o));
            }
        }
        let mut starts = vec![0];
        for list in &by_agent {
            starts.push(starts[starts.len() - 1] + list.len());
        }
        Self {
            options: by_agent.concat(),
            starts,
            room: problem.room.clone(),
            shared: problem.shared.clone(),
            base: 0,
            assigned: vec![NONE; problem.jobs()],
            left: problem.jobs(),
            u: first_multipliers(problem),
            mu: vec![0.0; problem.shared.len()],
            bound: i64::MIN,
        }
    }

    /// Assigns its job to an option; other options of the job go. False where capacity is missing.
    pub(crate) fn assign(&mut self, problem: &Problem, option: usize) -> bool {
        let job = problem.job[option];
        let agent = problem.agent[option] as usize;
        let mut fits = true;
        if let Some(room) = self.room.get_mut(agent) {
            *room -= problem.weight[option];
            fits = *room >= 0;
        }
        for (row, amount) in problem.uses(option) {
            self.shared[*row as usize] -= amount;
            fits &= self.shared[*row as usize] >= 0.0;
        }
        self.base += i64::from(problem.price[option]);
        self.assigned[job as usize] = crate::problem::index(option);
        self.left -= 1;
        let (room, shared) = (std::mem::take(&mut self.room), std::mem::take(&mut self.shared));
        self.keep(|o, agent| {
            problem.job[o] != job
                && room.get(agent).is_none_or(|room| problem.weight[o] <= *room)
                && problem.uses(o).iter().all(|(r, a)| *a <= shared[*r as usize])
        });
        (self.room, self.shared) = (room, shared);
        fits
    }

    /// Drops options.
    pub(crate) fn keep(&mut self, mut wanted: impl FnMut(usize, usize) -> bool) {
        let mut to = 0;
        for agent in 0..self.starts.len() - 1 {
            let (from, end) = (self.starts[agent], self.starts[agent + 1]);
            self.starts[agent] = to;
            for at in from..end {
                let option = self.options[at];
                if wanted(option as usize, agent) {
                    self.options[to] = option;
                    to += 1;
                }
            }
        }
        let last = self.starts.len() - 1;
        self.starts[last] = to;
        self.options.truncate(to);
    }
}

/// What jobs cost where a full agent has the same price for all of them, at the best such price.
fn first_multipliers(problem: &Problem) -> Vec<i32> {
    let part = |o: usize| match problem.room.get(problem.agent[o] as usize) {
        Some(room) => f64::from(problem.weight[o]) / f64::from((*room).max(1)),
        None => 0.0,
    };
    let parts: Vec<f64> = (0..problem.cost.len()).map(part).collect();
    let cheapest = |job: usize, price: f64| {
        (problem.first[job]..problem.first[job + 1])
            .filter(|o| parts[*o] <= 1.0)
            .map(|o| (f64::from(problem.price[o]) + price * parts[o], parts[o]))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .unwrap_or((0.0, 0.0))
    };
    let used = |price: f64| (0..problem.jobs()).map(|j| cheapest(j, price).1).sum::<f64>();
    let full = problem.agents() as f64;
    let (mut low, mut high) = (0.0, f64::from(problem.highest) * 8.0);
    if used(0.0) > full {
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if used(middle) > full {
                low = middle;
            } else {
                high = middle;
            }
        }
    } else {
        high = 0.0;
    }
    (0..problem.jobs()).map(|j| whole(cheapest(j, high).0)).collect()
}

/// The positive options of one agent.
#[derive(Debug, Clone, Default)]
struct Agent {
    table: Table,
    items: Vec<Item>,
    ends: Vec<usize>,
    /// Option of each item.
    option: Vec<u32>,
}

/// What came of pushing a node's multipliers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// No plan of the node is within the target.
    Pruned,
    /// The relaxed choice is a plan.
    Plan,
    /// Neither.
    Open,
}

/// Buffers for the relaxation of one problem.
#[derive(Debug)]
pub(crate) struct Relaxation<'a> {
    pub(crate) problem: &'a Problem,
    agents: Vec<Agent>,
    backward: Table,
    profit: Vec<i32>,
    /// How often each job is taken.
    pub(crate) taken: Vec<i32>,
    /// The option taken last for each job.
    pub(crate) choice: Vec<u32>,
    usage: Vec<f64>,
    direction: Vec<f64>,
    along: Vec<f64>,
    /// Per option: loss when it is taken; NEVER where it does not fit.
    pub(crate) loss: Vec<i64>,
    apart: Vec<i64>,
    apart_agent: Vec<(u32, i64)>,
    /// Knapsack tables computed.
    pub(crate) work: u64,
    /// Relaxed choices averaged over the steps, by option.
    pub(crate) share: Vec<f32>,
    /// How far above the bound an ascent aims at most.
    pub(crate) reach: i64,
}

impl<'a> Relaxation<'a> {
    pub(crate) fn new(problem: &'a Problem) -> Self {
        let (jobs, options) = (problem.jobs(), problem.cost.len());
        Self {
            problem,
            agents: vec![Agent::default(); problem.agents() + 1],
            backward: Table::default(),
            profit: vec![0; options],
            taken: vec![0; jobs],
            choice: vec![NONE; jobs],
            usage: vec![0.0; problem.shared.len()],
            direction: vec![0.0; jobs],
            along: vec![0.0; problem.shared.len()],
            loss: vec![0; options],
            apart: vec![0; jobs],
            apart_agent: Vec::new(),
            work: 0,
            share: vec![0.0; options],
            reach: i64::MAX / 8,
        }
    }

    /// (24) at the given multipliers; fills `taken`, `choice` and `usage`.
    pub(crate) fn evaluate(&mut self, node: &Node, u: &[i32], mu: &[f64]) -> i64 {
        let problem = self.problem;
        self.taken.fill(0);
        self.usage.fill(0.0);
        let mut bound = node.base;
        for (j, assigned) in node.assigned.iter().enumerate() {
            if *assigned == NONE {
                bound += i64::from(u[j]);
            }
        }
        let priced: f64 = mu.iter().zip(&node.shared).map(|(m, b)| m * b).sum();
        if priced != 0.0 {
            bound += long((-priced * problem.scale).floor()) - 1;
        }
        let free = problem.agents();
        for (a, agent) in self.agents.iter_mut().enumerate() {
            agent.items.clear();
            agent.ends.clear();
            agent.option.clear();
            let mut last = NONE;
            let mut total = 0;
            let mut gain = 0;
            for o in &node.options[node.starts[a]..node.starts[a + 1]] {
                let option = *o as usize;
                let job = problem.job[option];
                let mut profit = u[job as usize] - problem.price[option];
                if priced != 0.0 {
                    let paid: f64 = problem.uses(option).iter().map(|(r, x)| mu[*r as usize] * x).sum();
                    profit -= whole((paid * problem.scale).floor());
                }
                self.profit[option] = profit;
                if profit <= 0 {
                    continue;
                }
                let weight = usize::try_from(problem.weight[option]).unwrap_or(0);
                if job == last {
                    if let Some(end) = agent.ends.last_mut() {
                        *end += 1;
                    }
                    total = usize::MAX; // at most one of a job: a table is needed
                } else {
                    agent.ends.push(agent.items.len() + 1);
                    total = usize::saturating_add(total, weight);
                }
                last = job;
                gain += i64::from(profit);
                agent.items.push(Item { weight, profit });
                agent.option.push(*o);
            }
            if agent.items.is_empty() {
                continue;
            }
            let mut take = |n: usize| {
                let option = agent.option[n] as usize;
                let job = problem.job[option] as usize;
                self.taken[job] += 1;
                self.choice[job] = agent.option[n];
                self.share[option] += 1.0;
                for (r, x) in problem.uses(option) {
                    self.usage[*r as usize] += x;
                }
            };
            let room = node.room.get(a).map(|r| usize::try_from(*r).unwrap_or(0));
            if a == free || room.is_some_and(|room| total <= room) {
                if total != usize::MAX {
                    bound -= gain;
                    (0..agent.items.len()).for_each(take);
                } else {
                    let mut from = 0;
                    for end in &agent.ends {
                        let best = (from..*end).max_by_key(|n| agent.items[*n].profit);
                        if let Some(n) = best {
                            bound -= i64::from(agent.items[n].profit);
                            take(n);
                        }
                        from = *end;
                    }
                }
                continue;
            }
            self.work += 1;
            agent.table.forward(room.unwrap_or(0), 0, &agent.ends, &agent.items);
            bound -= i64::from(agent.table.best(0));
            agent.table.chosen(&agent.ends, &agent.items, &mut take);
        }
        bound
    }

    /// Whether the relaxed choice of the last evaluation takes every job once.
    fn is_plan(&self, node: &Node) -> bool {
        node.assigned.iter().zip(&self.taken).all(|(a, t)| *a != NONE || *t == 1)
    }

    /// The plan of the last evaluation, or of an assigned node.
    pub(crate) fn plan(&self, node: &Node) -> Vec<usize> {
        node.assigned
            .iter()
            .zip(&self.choice)
            .map(|(a, c)| if *a == NONE { *c as usize } else { *a as usize })
            .collect()
    }

    /// Pushes the multipliers towards a bound above `target`; the best ones stay in the node.
    pub(crate) fn ascend(&mut self, node: &mut Node, target: i64, steps: usize, theta: f64) -> Outcome {
        let problem = self.problem;
        let (mut u, mut mu) = (node.u.clone(), node.mu.clone());
        let mut theta = theta;
        let mut since = 0;
        let mut first = true;
        self.direction.fill(0.0);
        self.along.fill(0.0);
        let mut best = i64::MIN;
        let aim = target.min(node.bound.saturating_add(self.reach));
        let goal = aim as f64 + 0.3 * problem.scale * problem.lattice.max(1e-3);
        let top = f64::from(problem.highest) * 4.0;
        self.share.fill(0.0);
        for _ in 0..steps {
            let bound = self.evaluate(node, &u, &mu);
            if bound > best {
                best = bound;
                node.u.copy_from_slice(&u);
                node.mu.copy_from_slice(&mu);
                since = 0;
            } else {
                since += 1;
                if since >= PATIENCE {
                    since = 0;
                    theta *= 0.7;
                    u.copy_from_slice(&node.u);
                    mu.copy_from_slice(&node.mu);
                    self.direction.fill(0.0);
                    self.along.fill(0.0);
                    first = true;
                }
            }
            node.bound = node.bound.max(best);
            if best > target {
                return Outcome::Pruned;
            }
            if self.is_plan(node) && self.fits(node) {
                return Outcome::Plan;
            }
            let memory = if first { 0.0 } else { MEMORY };
            first = false;
            let mut norm = 0.0;
            for (j, d) in self.direction.iter_mut().enumerate() {
                if node.assigned[j] == NONE {
                    *d = memory * *d + f64::from(1 - self.taken[j]);
                    norm += *d * *d;
                }
            }
            for (r, d) in self.along.iter_mut().enumerate() {
                *d = memory * *d + self.usage[r] - node.shared[r];
                if *d > 0.0 || mu[r] > 0.0 {
                    norm += *d * *d;
                }
            }
            if norm < 1e-12 {
                break;
            }
            let length = theta * (goal - bound as f64).max(1.0) / norm;
            for (j, d) in self.direction.iter().enumerate() {
                if node.assigned[j] == NONE {
                    u[j] = whole((f64::from(u[j]) + length * d).round().clamp(-top, top));
                }
            }
            for (m, d) in mu.iter_mut().zip(&self.along) {
                *m = (*m + length / problem.scale * d).max(0.0);
            }
        }
        Outcome::Open
    }

    fn fits(&self, node: &Node) -> bool {
        self.usage.iter().zip(&node.shared).all(|(u, c)| u <= c)
    }

    /// Drops options that no plan within `target` takes, assigns jobs with one left.
    /// `loss` holds, for what remains, how far the bound rises when the option is taken.
    pub(crate) fn fix(&mut self, node: &mut Node, target: i64) -> Outcome {
        let problem = self.problem;
        loop {
            let (u, mu) = (std::mem::take(&mut node.u), std::mem::take(&mut node.mu));
            let bound = self.evaluate(node, &u, &mu);
            (node.u, node.mu) = (u, mu);
            node.bound = node.bound.max(bound);
            if bound > target {
                return Outcome::Pruned;
            }
            self.losses(node);
            let spare = target - bound;
            let loss = &self.loss;
            node.keep(|o, _| loss[o] <= spare);
            // Jobs with one option left, or none.
            self.taken.fill(0);
            for o in &node.options {
                let job = problem.job[*o as usize] as usize;
                self.taken[job] += 1;
                self.choice[job] = *o;
            }
            let mut assigned = false;
            for j in 0..problem.jobs() {
                if node.assigned[j] != NONE {
                    continue;
                }
                match self.taken[j] {
                    0 => return Outcome::Pruned,
                    1 => {
                        let option = self.choice[j] as usize;
                        if !node.options.contains(&self.choice[j]) || !node.assign(problem, option) {
                            return Outcome::Pruned;
                        }
                        assigned = true;
                    }
                    _ => {}
                }
            }
            if node.left == 0 {
                return Outcome::Plan;
            }
            if !assigned {
                return Outcome::Open;
            }
            // Less room: the knapsacks are worth less, so the bound may have risen.
        }
    }

    /// Fills `loss` from the last evaluation.
    fn losses(&mut self, node: &Node) {
        let problem = self.problem;
        self.apart.fill(0);
        self.apart_agent.clear();
        let free = problem.agents();
        for a in 0..=free {
            let agent = &mut self.agents[a];
            let room = node.room.get(a).map_or(usize::MAX, |r| usize::try_from(*r).unwrap_or(0));
            let total: usize = agent.items.iter().map(|i| i.weight).fold(0, usize::saturating_add);
            let listed = &node.options[node.starts[a]..node.starts[a + 1]];
            let heaviest = listed.iter().map(|o| problem.weight[*o as usize]).max().unwrap_or(0);
            let heaviest = usize::try_from(heaviest).unwrap_or(0);
            // Nothing to weigh: all that pays fits, whatever else is taken.
            let whole_fits =
                a == free || total.saturating_add(heaviest) <= room && agent.ends.len() == agent.items.len();
            if !whole_fits && !agent.items.is_empty() {
                agent.table.forward(room, heaviest.min(room), &agent.ends, &agent.items);
            }
            let agent = &self.agents[a];
            let best = if whole_fits || agent.items.is_empty() { 0 } else { i64::from(agent.table.best(0)) };
            if !whole_fits && !agent.items.is_empty() {
                self.backward.backward(room, &agent.ends, &agent.items);
                self.work += 3;
            }
            // Groups with a positive option.
            let mut from = 0;
            for (k, end) in agent.ends.iter().enumerate() {
                let job = problem.job[agent.option[from] as usize];
                let top = agent.items[from..*end].iter().map(|i| i.profit).max().unwrap_or(0);
                let out = if whole_fits {
                    i64::from(top)
                } else {
                    best - i64::from(agent.table.without(k, &self.backward, 0))
                };
                self.apart[job as usize] += out;
                self.apart_agent.push((job, out));
                from = *end;
            }
            let mut group = 0;
            for o in listed {
                let option = *o as usize;
                let job = problem.job[option];
                while group < agent.ends.len()
                    && problem.job[agent.option[agent.ends[group] - 1] as usize] < job
                {
                    group += 1;
                }
                let weight = usize::try_from(problem.weight[option]).unwrap_or(usize::MAX);
                let profit = i64::from(self.profit[option]);
                let grouped = group < agent.ends.len()
                    && problem.job[agent.option[agent.ends[group] - 1] as usize] == job;
                let within = if weight > room {
                    NEVER
                } else if whole_fits {
                    let from = if grouped { group.checked_sub(1).map_or(0, |g| agent.ends[g]) } else { 0 };
                    let top = if grouped {
                        agent.items[from..agent.ends[group]].iter().map(|i| i.profit).max().unwrap_or(0)
                    } else {
                        0
                    };
                    i64::from(top) - profit
                } else if grouped {
                    let joint = agent.table.without(group, &self.backward, weight);
                    best - i64::from(joint) - profit
                } else {
                    best - if agent.items.is_empty() { 0 } else { i64::from(agent.table.best(weight)) }
                        - profit
                };
                // What leaving the job to others costs this agent is not paid when it takes the job.
                let own = if grouped {
                    let at = self.apart_agent.len() - agent.ends.len() + group;
                    self.apart_agent[at].1
                } else {
                    0
                };
                self.loss[option] = within.saturating_sub(own);
            }
        }
        for o in &node.options {
            let option = *o as usize;
            self.loss[option] += self.apart[problem.job[option] as usize];
        }
    }
}
