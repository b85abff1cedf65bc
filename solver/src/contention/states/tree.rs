//! The search: column generation at every node, integer programs over the states found, branching on
//! the number of tenants shed, on modes, and on who runs where.

use super::branch::Branch;
use super::judge::Judge;
use super::layout::Layout;
use super::program::states_of;
use super::state::State;
use crate::columns::Column;
use crate::contention::oracle::Oracle;
use crate::error::SolverError;
use crate::highs::Settings;
use crate::pricing::Costs;
use ecomap_instances::Instance;
use ecomap_instances::plan::{Assignment, Termination};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// Relative tolerance of linear programs; bounds nearer than that to a value are the value.
pub(super) const ROUNDING: f64 = 2e-7;
/// Fractions below this are none.
pub(super) const WHOLE: f64 = 1e-6;
/// Most states of earlier searches to begin with.
const SEEDS: usize = 6_000;

/// Limits of the search.
pub(in crate::contention) struct Goal {
    /// Relative gap.
    pub(in crate::contention) gap: f64,
    /// Most nodes.
    pub(in crate::contention) nodes: Option<u64>,
    /// For HiGHS; its time limit is that of the whole search.
    pub(in crate::contention) settings: Settings,
}

/// What is known at a moment: best value, bound, nodes.
pub(in crate::contention) type Progress<'p> = &'p mut dyn FnMut(Option<f64>, f64, u64);

/// What came of it. Values are minimised.
pub(in crate::contention) struct Outcome {
    pub(in crate::contention) best: Option<(Assignment, f64)>,
    pub(in crate::contention) bound: f64,
    pub(in crate::contention) termination: Termination,
    pub(in crate::contention) nodes: u64,
    /// States in the master.
    pub(in crate::contention) states: u64,
    /// Cuts on caps and on tenants.
    pub(in crate::contention) cuts: u64,
}

/// The value of a plan that the checker and the predictor accept.
pub(in crate::contention) type Accept<'f, 'a> =
    &'f mut dyn FnMut(&mut Oracle<'a>, &Assignment) -> Result<Option<f64>, SolverError>;

/// A node of the tree.
pub(super) struct Node {
    pub(super) bound: f64,
    pub(super) branch: Branch,
    /// What the bound may become.
    pub(super) estimate: f64,
    /// Whether little effort was not enough.
    pub(super) hard: bool,
    /// Multipliers of the parent.
    pub(super) duals: Option<Rc<Vec<f64>>>,
}

/// The search at work.
pub(super) struct Tree<'t, 'o, 'a> {
    pub(super) layout: Layout<'a>,
    pub(super) judge: Judge<'o, 'a>,
    pub(super) goal: Goal,
    pub(super) deadline: Option<Duration>,
    pub(super) accept: Accept<'t, 'a>,
    pub(super) tell: Progress<'t>,
    pub(super) pool: Vec<State>,
    pub(super) index: BTreeMap<(usize, Vec<u32>), usize>,
    pub(super) best: Option<(Assignment, f64)>,
    pub(super) open: Vec<Node>,
    /// Bound of the node at work.
    pub(super) current: f64,
    /// Least bound of nodes that were given up.
    pub(super) left_open: f64,
    /// Least bound of nodes that were closed within the gap asked for.
    pub(super) closed_at: f64,
    pub(super) nodes: u64,
    pub(super) since_rounded: u64,
}

/// Searches for the best plan that the predictor accepts.
#[allow(clippy::too_many_arguments)] // one caller
pub(in crate::contention) fn search<'t, 'a>(
    instance: &'a Instance,
    costs: &Costs,
    columns: &[Vec<Column>],
    oracle: &mut Oracle<'a>,
    goal: Goal,
    best: Option<(Assignment, f64)>,
    known: f64,
    configs: usize,
    accept: Accept<'t, 'a>,
    tell: Progress<'t>,
) -> Result<Outcome, SolverError> {
    let linear = oracle.predictor.at_least_linear();
    let layout = Layout::new(instance, costs, columns, linear, configs);
    let deadline = goal.settings.time_limit.map(|limit| goal.settings.clock.now() + limit);
    let judge = Judge::new(oracle, &layout);
    let mut tree = Tree {
        layout,
        judge,
        goal,
        deadline,
        accept,
        tell,
        pool: Vec::new(),
        index: BTreeMap::new(),
        best,
        open: vec![Node {
            bound: known,
            estimate: known,
            hard: false,
            branch: Branch::default(),
            duals: None,
        }],
        current: f64::INFINITY,
        left_open: f64::INFINITY,
        closed_at: f64::INFINITY,
        nodes: 0,
        since_rounded: 0,
    };
    tree.seed()?;
    let termination = tree.run()?;
    let bound = tree.bound();
    let states = tree.pool.len() as u64;
    let cuts = (tree.layout.steps_count + tree.layout.triples.len()) as u64;
    Ok(Outcome { best: tree.best, bound, termination, nodes: tree.nodes, states, cuts })
}

impl<'a> Tree<'_, '_, 'a> {
    pub(super) fn left(&self) -> Option<Duration> {
        self.deadline.map(|d| d.saturating_sub(self.goal.settings.clock.now()))
    }

    pub(super) fn settings(&self, share: f64) -> Settings {
        Settings {
            gap: self.goal.gap * 0.5,
            time_limit: self.left().map(|left| left.mul_f64(share)),
            ..self.goal.settings.clone()
        }
    }

    /// Why the search must end now, if it must.
    pub(super) fn stopped(&self) -> Option<Termination> {
        if self.goal.settings.cancel.is_cancelled() {
            return Some(Termination::Cancelled);
        }
        if self.left().is_some_and(|left| left.is_zero()) {
            return Some(Termination::TimeLimit);
        }
        self.goal.nodes.filter(|most| self.nodes >= *most).map(|_| Termination::NodeLimit)
    }

    /// Plans of this value are of no use.
    pub(super) fn cut(&self) -> f64 {
        self.best.as_ref().map_or(self.layout.worst, |(_, value)| {
            value - (self.goal.gap * value.abs()).max(ROUNDING * value.abs().max(1.0))
        })
    }

    /// No plan is better.
    pub(super) fn bound(&self) -> f64 {
        let least = self.left_open.min(self.current).min(self.closed_at);
        let open = self.open.iter().map(|n| n.bound).fold(least, f64::min);
        match &self.best {
            // Nearer to the value than linear programs can tell.
            Some((_, value)) if open >= value - 2.0 * ROUNDING * value.abs().max(1.0) => *value,
            _ => open,
        }
    }

    /// Begins with the states of the incumbent, empty boards, and what earlier searches had judged.
    pub(super) fn seed(&mut self) -> Result<(), SolverError> {
        for slot in 0..self.layout.slots.len() {
            let idle = self.layout.slots[slot].idle;
            self.insert(State::new(&self.layout, slot, Vec::new(), idle));
        }
        if let Some((plan, _)) = self.best.clone() {
            self.learn(&plan)?;
        }
        let mut by_place: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        // One slot of each kind and mode, in the configuration of the incumbent where there is one.
        let own: BTreeSet<Option<usize>> = self
            .pool
            .iter()
            .filter(|s| !s.items.is_empty())
            .map(|s| self.layout.slots[s.slot].config)
            .collect();
        for alike in self.layout.alike.values() {
            let in_use = alike.iter().find(|n| own.contains(&self.layout.slots[**n].config));
            if let Some(n) = in_use.or(alike.first()) {
                let slot = &self.layout.slots[*n];
                by_place.entry((slot.class.at(), slot.mode.at())).or_default().push(*n);
            }
        }
        let judged = self.judge.oracle.judged();
        let stride = judged.iter().filter(|(_, draw)| draw.is_some()).count().div_ceil(SEEDS).max(1);
        let mut count = 0;
        for (board, power) in judged {
            for slot in by_place.get(&(board.class.at(), board.mode.at())).into_iter().flatten() {
                let find =
                    |(t, o): &(ecomap_instances::ids::TenantIx, _)| self.layout.find(*slot, t.at(), *o);
                let Some(mut items) = board.picks.iter().map(find).collect::<Option<Vec<u32>>>() else {
                    continue;
                };
                items.sort_unstable();
                let draw = power.map(|power| power - self.layout.slots[*slot].off);
                self.judge.learn(*slot, &items, draw);
                let Some(draw) = draw else { continue };
                count += 1;
                if count % stride == 0 && self.fits(*slot, &items) {
                    self.insert(State::new(&self.layout, *slot, items, draw));
                }
            }
        }
        Ok(())
    }

    /// Rows (3)–(6a) and (10c) of a set that came from elsewhere.
    pub(super) fn fits(&self, slot: usize, items: &[u32]) -> bool {
        let place = &self.layout.slots[slot];
        let list: Vec<_> = items.iter().map(|n| &place.items[*n as usize]).collect();
        let within = place
            .room
            .iter()
            .enumerate()
            .all(|(u, room)| list.iter().map(|i| i.uses[u]).sum::<f64>() <= *room);
        let mut sets: Vec<usize> = list.iter().flat_map(|i| i.weights.iter().copied()).collect();
        sets.sort_unstable();
        sets.dedup();
        let weights: f64 = sets.iter().map(|w| self.layout.instance.weights[*w].bytes.get()).sum();
        let memory: f64 = list.iter().map(|i| i.memory).sum();
        let apart = list.iter().any(|a| list.iter().any(|b| self.layout.apart(a.tenant, b.tenant)));
        within && memory + weights <= place.memory && !apart
    }

    pub(super) fn insert(&mut self, state: State) -> Option<usize> {
        let key = (state.slot, state.items.clone());
        if self.index.contains_key(&key) {
            return None;
        }
        self.index.insert(key, self.pool.len());
        self.pool.push(state);
        Some(self.pool.len() - 1)
    }

    /// Position of a state in the pool.
    pub(super) fn find(&self, state: &State) -> Option<usize> {
        self.index.get(&(state.slot, state.items.clone())).copied()
    }

    /// Takes the states of a plan's boards into the pool.
    pub(super) fn learn(&mut self, plan: &Assignment) -> Result<(), SolverError> {
        for (slot, items) in states_of(&self.layout, plan).unwrap_or_default() {
            if items.is_empty() || self.index.contains_key(&(slot, items.clone())) {
                continue;
            }
            if let Some(draw) = self.judge.verdict(&self.layout, slot, &items)? {
                self.insert(State::new(&self.layout, slot, items, draw));
            }
        }
        Ok(())
    }

    /// A plan found, if it is accepted and better.
    pub(super) fn offer(&mut self, plan: &Assignment) -> Result<(), SolverError> {
        if let Some(value) = (self.accept)(self.judge.oracle, plan)?
            && self.best.as_ref().is_none_or(|best| value < best.1)
        {
            self.best = Some((plan.clone(), value));
            self.learn(plan)?;
            self.report();
        }
        Ok(())
    }

    pub(super) fn report(&mut self) {
        let (value, bound) = (self.best.as_ref().map(|b| b.1), self.bound());
        tracing::debug!(
            nodes = self.nodes,
            open = self.open.len(),
            states = self.pool.len(),
            predicted = self.judge.oracle.predicted,
            primal = value,
            dual = bound,
            "columns per board"
        );
        (self.tell)(value, bound, self.nodes);
    }

    pub(super) fn run(&mut self) -> Result<Termination, SolverError> {
        loop {
            let cut = self.cut();
            let closed = self.open.iter().map(|node| node.bound).filter(|bound| *bound >= cut);
            self.closed_at = closed.fold(self.closed_at, f64::min);
            self.open.retain(|node| node.bound < cut);
            let Some(at) = self.next() else {
                return Ok(self.ended());
            };
            if let Some(end) = self.stopped() {
                return Ok(end);
            }
            let mut node = self.open.swap_remove(at);
            self.nodes += 1;
            self.current = node.bound;
            let relaxed = self.generate(&mut node)?;
            self.current = node.bound;
            if let Some(end) = self.stopped().filter(|_| !relaxed.converged) {
                self.current = f64::INFINITY;
                self.open.push(node);
                return Ok(end);
            }
            if !relaxed.converged && !node.hard {
                node.hard = true;
                self.current = f64::INFINITY;
                self.open.push(node);
                continue;
            }
            self.settle(node, &relaxed)?;
            self.current = f64::INFINITY;
            self.report();
        }
    }

    /// The node to look at: the one with the least bound, nodes that are hard to price last.
    fn next(&self) -> Option<usize> {
        let order = |a: &(usize, &Node), b: &(usize, &Node)| {
            let first = a.1.hard.cmp(&b.1.hard).then(a.1.bound.total_cmp(&b.1.bound));
            first.then(a.1.estimate.total_cmp(&b.1.estimate)).then(a.0.cmp(&b.0))
        };
        self.open.iter().enumerate().min_by(order).map(|(at, _)| at)
    }

    /// Why the search is over once no node is open.
    pub(super) fn ended(&self) -> Termination {
        match &self.best {
            Some(_) if self.left_open < self.cut() => Termination::NodeLimit,
            Some(_) => Termination::GapReached,
            None if self.left_open < self.layout.worst => Termination::NodeLimit,
            None => Termination::Infeasible,
        }
    }
}
