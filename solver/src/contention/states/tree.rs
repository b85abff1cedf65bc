//! The search: column generation at every node, integer programs over the states found, branching on
//! the number of tenants shed, on modes, and on who runs where.

use super::branch::{Branch, Rule};
use super::judge::Judge;
use super::layout::{Layout, Means};
use super::pricing::{Query, price};
use super::program::{Optimum, Program, Proof, integer, lagrangian, plan, states_of, vector};
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

/// States kept of a slot and round: while little effort is made, and later.
const KEEP: (usize, usize) = (12, 4);
/// Sets extended in a slot at first, growth, and at most: at a first look and at a second one.
const EFFORT: (u64, u64, u64, u64) = (24, 8, 1_000, 4_000_000);
/// Share of the multipliers with the best bound in those that are priced.
const SMOOTH: f64 = 0.5;
/// Most states that the integer program of a round gets.
const ROUNDED: usize = 4_000;
/// Most states listed to close a node, and most sets extended for them in a slot.
const LISTED: (usize, u64) = (3_000, 1_500);
/// Distance of a node's bound from the best value, as a share of it, from which its states are listed.
const NEAR: f64 = 0.015;
/// States of a trial program, and decisions tried at a node.
const TRIED: (usize, usize) = (500, 10);
/// Nodes at which plans come first.
const DIVE: u64 = 10;
/// Known states added in a round.
const KNOWN: usize = 200;
/// Relative tolerance of linear programs; bounds nearer than that to a value are the value.
const ROUNDING: f64 = 2e-7;
/// Fractions below this are none.
const WHOLE: f64 = 1e-6;
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
}

/// The value of a plan that the checker and the predictor accept.
pub(in crate::contention) type Accept<'f, 'a> =
    &'f mut dyn FnMut(&mut Oracle<'a>, &Assignment) -> Result<Option<f64>, SolverError>;

struct Node {
    bound: f64,
    branch: Branch,
    /// What the bound may become.
    estimate: f64,
    /// Whether little effort was not enough.
    hard: bool,
    /// Multipliers of the parent.
    duals: Option<Rc<Vec<f64>>>,
}

/// What column generation gave at a node.
struct Relaxed {
    optimum: Option<Optimum>,
    inside: Vec<usize>,
    proof: Option<Proof>,
    /// Whether no state is missing.
    converged: bool,
}

struct Tree<'t, 'o, 'a> {
    layout: Layout<'a>,
    judge: Judge<'o, 'a>,
    goal: Goal,
    deadline: Option<Duration>,
    accept: Accept<'t, 'a>,
    tell: Progress<'t>,
    pool: Vec<State>,
    index: BTreeMap<(usize, Vec<u32>), usize>,
    best: Option<(Assignment, f64)>,
    open: Vec<Node>,
    /// Bound of the node at work.
    current: f64,
    /// Least bound of nodes that were given up.
    left_open: f64,
    nodes: u64,
    since_rounded: u64,
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
    accept: Accept<'t, 'a>,
    tell: Progress<'t>,
) -> Result<Outcome, SolverError> {
    let layout = Layout::new(instance, costs, columns);
    let deadline = goal.settings.time_limit.map(|limit| goal.settings.clock.now() + limit);
    let slots = layout.slots.len();
    let mut tree = Tree {
        layout,
        judge: Judge::new(oracle, slots),
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
        nodes: 0,
        since_rounded: 0,
    };
    tree.seed()?;
    let termination = tree.run()?;
    let bound = tree.bound();
    let states = tree.pool.len() as u64;
    Ok(Outcome { best: tree.best, bound, termination, nodes: tree.nodes, states })
}

impl<'a> Tree<'_, '_, 'a> {
    fn left(&self) -> Option<Duration> {
        self.deadline.map(|d| d.saturating_sub(self.goal.settings.clock.now()))
    }

    fn settings(&self, share: f64) -> Settings {
        Settings {
            gap: self.goal.gap * 0.5,
            time_limit: self.left().map(|left| left.mul_f64(share)),
            ..self.goal.settings.clone()
        }
    }

    /// Why the search must end now, if it must.
    fn stopped(&self) -> Option<Termination> {
        if self.goal.settings.cancel.is_cancelled() {
            return Some(Termination::Cancelled);
        }
        if self.left().is_some_and(|left| left.is_zero()) {
            return Some(Termination::TimeLimit);
        }
        self.goal.nodes.filter(|most| self.nodes >= *most).map(|_| Termination::NodeLimit)
    }

    /// Plans of this value are of no use.
    fn cut(&self) -> f64 {
        self.best.as_ref().map_or(self.layout.worst, |(_, value)| {
            value - (self.goal.gap * value.abs()).max(ROUNDING * value.abs().max(1.0))
        })
    }

    /// No plan is better.
    fn bound(&self) -> f64 {
        let open = self.open.iter().map(|n| n.bound).fold(self.left_open.min(self.current), f64::min);
        match &self.best {
            // What is left between cut and value is within the gap, or the tolerances.
            Some((_, value)) if open >= self.cut() => {
                let tolerated = value - self.goal.gap * value.abs();
                open.min(*value).max(tolerated.min(*value))
            }
            _ => open,
        }
    }

    /// Begins with the states of the incumbent, empty boards, and what earlier searches had judged.
    fn seed(&mut self) -> Result<(), SolverError> {
        for slot in 0..self.layout.slots.len() {
            let idle = self.layout.slots[slot].idle;
            self.insert(State::new(&self.layout, slot, Vec::new(), idle));
        }
        if let Some((plan, _)) = self.best.clone() {
            self.learn(&plan)?;
        }
        let mut by_place: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for (n, slot) in self.layout.slots.iter().enumerate() {
            by_place.entry((slot.class.at(), slot.mode.at())).or_default().push(n);
        }
        let accepted = self.judge.oracle.accepted();
        let stride = accepted.len().div_ceil(SEEDS).max(1);
        for (board, power) in accepted.into_iter().step_by(stride) {
            for slot in by_place.get(&(board.class.at(), board.mode.at())).into_iter().flatten() {
                let find =
                    |(t, o): &(ecomap_instances::ids::TenantIx, _)| self.layout.find(*slot, t.at(), *o);
                let Some(mut items) = board.picks.iter().map(find).collect::<Option<Vec<u32>>>() else {
                    continue;
                };
                items.sort_unstable();
                if self.fits(*slot, &items) {
                    let draw = power - self.layout.slots[*slot].off;
                    self.insert(State::new(&self.layout, *slot, items, draw));
                }
            }
        }
        Ok(())
    }

    /// Rows (3)–(6a) and (10c) of a set that came from elsewhere.
    fn fits(&self, slot: usize, items: &[u32]) -> bool {
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

    fn insert(&mut self, state: State) -> Option<usize> {
        let key = (state.slot, state.items.clone());
        if self.index.contains_key(&key) {
            return None;
        }
        self.index.insert(key, self.pool.len());
        self.pool.push(state);
        Some(self.pool.len() - 1)
    }

    /// Takes the states of a plan's boards into the pool.
    fn learn(&mut self, plan: &Assignment) -> Result<(), SolverError> {
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
    fn offer(&mut self, plan: &Assignment) -> Result<(), SolverError> {
        if let Some(value) = (self.accept)(self.judge.oracle, plan)?
            && self.best.as_ref().is_none_or(|best| value < best.1)
        {
            self.best = Some((plan.clone(), value));
            self.learn(plan)?;
            self.report();
        }
        Ok(())
    }

    fn report(&mut self) {
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

    fn run(&mut self) -> Result<Termination, SolverError> {
        loop {
            let cut = self.cut();
            // What is cut off keeps its bound only where that may still matter.
            self.open.retain(|node| node.bound < cut);
            // Plans first, by what bounds may become; then proof, nodes that are hard to price last.
            let dive = self.nodes < DIVE;
            let key = |n: &Node| if dive { (n.estimate, n.bound) } else { (n.bound, n.estimate) };
            let least = |a: &(usize, &Node), b: &(usize, &Node)| {
                let (x, y) = (key(a.1), key(b.1));
                let first = a.1.hard.cmp(&b.1.hard).then(x.0.total_cmp(&y.0));
                first.then(x.1.total_cmp(&y.1)).then(a.0.cmp(&b.0))
            };
            let Some((at, _)) = self.open.iter().enumerate().min_by(least) else {
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

    /// Why the search is over once no node is open.
    fn ended(&self) -> Termination {
        match &self.best {
            Some(_) if self.left_open < self.cut() => Termination::NodeLimit,
            Some(_) => Termination::GapReached,
            None if self.left_open < self.layout.worst => Termination::NodeLimit,
            None => Termination::Infeasible,
        }
    }

    /// Column generation: the master over the states known, and states that would improve it.
    fn generate(&mut self, node: &mut Node) -> Result<Relaxed, SolverError> {
        let distance = self.cut() - node.bound;
        let near = |state: &State| {
            node.duals
                .as_ref()
                .is_none_or(|duals| state.items.is_empty() || state.reduced(duals) <= 0.3 * distance)
        };
        let keeps = |n: &usize| near(&self.pool[*n]) && node.branch.keeps(&self.layout, &self.pool[*n]);
        let begin: Vec<usize> = (0..self.pool.len()).filter(keeps).collect();
        let mut inside: BTreeSet<usize> = begin.iter().copied().collect();
        let mut program = Program::new(&self.layout, &node.branch, &self.pool, begin)?;
        let mut effort = EFFORT.0;
        let most = if node.hard { EFFORT.3 } else { EFFORT.2 };
        let mut relaxed = Relaxed { optimum: None, inside: Vec::new(), proof: None, converged: false };
        let mut smooth = true;
        let mut rounds = 0_u64;
        while self.stopped().is_none() {
            let settings = self.settings(1.0);
            let Some(optimum) = program.solve(&self.layout, &settings)? else { break };
            rounds += 1;
            let value = self.value(&optimum, &program.inside);
            let scale = 1e-9 * value.abs().max(1.0);
            let blended = relaxed.proof.as_ref().filter(|_| smooth).map(|proof| {
                let pairs = proof.duals.iter().zip(&optimum.duals);
                pairs.map(|(a, b)| SMOOTH * a + (1.0 - SMOOTH) * b).collect::<Vec<f64>>()
            });
            // What is known already costs no search.
            let mut known: Vec<(f64, usize)> = (0..self.pool.len())
                .filter(|n| !inside.contains(n))
                .map(|n| (self.pool[n].reduced(&optimum.duals), n))
                .filter(|(r, n)| *r < -scale && node.branch.keeps(&self.layout, &self.pool[*n]))
                .collect();
            if !known.is_empty() {
                known.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                for (_, at) in known.into_iter().take(KNOWN) {
                    inside.insert(at);
                    program.add(at, &self.pool[at])?;
                }
                continue;
            }
            let duals = blended.as_ref().unwrap_or(&optimum.duals);
            let (proof, states, complete) = self.price(&node.branch, duals, -scale, effort)?;
            if relaxed.proof.as_ref().is_none_or(|best| proof.bound > best.bound) {
                relaxed.proof = Some(proof);
            }
            if let Some(best) = &relaxed.proof {
                node.bound = node.bound.max(best.bound);
            }
            tracing::trace!(
                rounds,
                value,
                bound = node.bound,
                effort,
                complete,
                smooth,
                new = states.len(),
                "round"
            );
            let mut fresh = 0;
            for state in states {
                if state.reduced(&optimum.duals) < -scale
                    && let Some(at) = self.insert(state)
                {
                    inside.insert(at);
                    program.add(at, &self.pool[at])?;
                    fresh += 1;
                }
            }
            let exact = blended.is_none();
            relaxed.inside.clone_from(&program.inside);
            relaxed.optimum = Some(optimum);
            if node.bound >= self.cut() || value - node.bound <= ROUNDING * 0.1 * value.abs().max(1.0) {
                relaxed.converged = true;
                break;
            }
            if fresh == 0 {
                match (exact, complete) {
                    (false, _) => smooth = false,
                    (true, true) => {
                        relaxed.converged = true;
                        break;
                    }
                    (true, false) if effort < most => effort *= EFFORT.1,
                    (true, false) => break,
                }
            } else {
                smooth = true;
            }
        }
        tracing::debug!(
            rounds,
            bound = node.bound,
            converged = relaxed.converged,
            states = self.pool.len(),
            predicted = self.judge.oracle.predicted,
            "node"
        );
        Ok(relaxed)
    }

    /// Value of a linear program's optimum.
    fn value(&self, optimum: &Optimum, inside: &[usize]) -> f64 {
        let fixed = self.layout.fixed.iter().map(|f| f.cost);
        let costs = fixed.chain(inside.iter().map(|n| self.pool[*n].cost));
        self.layout.constant + costs.zip(&optimum.values).map(|(c, x)| c * x).sum::<f64>()
    }

    /// Prices every slot.
    fn price(
        &mut self,
        branch: &Branch,
        duals: &[f64],
        below: f64,
        effort: u64,
    ) -> Result<(Proof, Vec<State>, bool), SolverError> {
        let (cancel, clock) = (self.goal.settings.cancel.clone(), self.goal.settings.clock.clone());
        let deadline = self.deadline;
        let over = move || cancel.is_cancelled() || deadline.is_some_and(|d| clock.now() >= d);
        let keep = if effort <= EFFORT.0 { KEEP.0 } else { KEEP.1 };
        let mut bounds = Vec::with_capacity(self.layout.slots.len());
        let mut states = Vec::new();
        let mut hard = Vec::new();
        for slot in 0..self.layout.slots.len() {
            let nodes = effort.min(EFFORT.0 * EFFORT.1);
            let query = Query { slot, duals, branch, below, keep, nodes, over: &over };
            let priced = price(&self.layout, &mut self.judge, &query)?;
            bounds.push(priced.bound);
            if !priced.complete {
                hard.push(slot);
            }
            states.extend(priced.states.into_iter().map(|s| s.1));
        }
        if effort > EFFORT.0 * EFFORT.1 && !hard.is_empty() && states.is_empty() {
            // Where the bound would be beyond the cut with these at 0, only reduced costs that make up
            // the difference matter.
            let mut rest = bounds.clone();
            hard.iter().for_each(|slot| rest[*slot] = 0.0);
            let free = lagrangian(&self.layout, branch, duals, &rest).bound;
            let kinds: BTreeSet<usize> = hard.iter().map(|slot| self.layout.slots[*slot].kind).collect();
            let boards: f64 = kinds.iter().map(|kind| self.layout.kinds[*kind].boards()).sum();
            let below = below.min((self.cut() - free) / boards.max(1.0));
            for slot in std::mem::take(&mut hard) {
                let query = Query { slot, duals, branch, below, keep, nodes: effort, over: &over };
                let priced = price(&self.layout, &mut self.judge, &query)?;
                bounds[slot] = bounds[slot].max(priced.bound);
                if !priced.complete {
                    hard.push(slot);
                }
                states.extend(priced.states.into_iter().map(|s| s.1));
            }
        }
        Ok((lagrangian(&self.layout, branch, duals, &bounds), states, hard.is_empty()))
    }

    /// Closes a node, or branches.
    fn settle(&mut self, mut node: Node, relaxed: &Relaxed) -> Result<(), SolverError> {
        let Some(optimum) = &relaxed.optimum else {
            self.left_open = self.left_open.min(node.bound);
            return Ok(());
        };
        if node.bound >= self.cut() {
            return Ok(());
        }
        let inside: Vec<&State> = relaxed.inside.iter().map(|n| &self.pool[*n]).collect();
        let whole = plan(&self.layout, &inside, &optimum.values);
        if let Some(found) = whole {
            self.offer(&found)?;
            if node.bound >= self.cut() {
                return Ok(());
            }
        }
        self.since_rounded += 1;
        if self.nodes == 1 || self.since_rounded >= 12 {
            self.since_rounded = 0;
            self.round(&node.branch, relaxed)?;
        }
        if node.bound >= self.cut() {
            return Ok(());
        }
        let choice = self.choose(&node, relaxed, optimum)?;
        if let Some(proof) = &relaxed.proof
            && let Some(bound) = self.close(&node.branch, proof, choice.is_none())?
        {
            node.bound = node.bound.max(bound);
            if node.bound < self.cut() {
                self.left_open = self.left_open.min(node.bound);
            }
            return Ok(());
        }
        let Some(children) = choice else {
            self.left_open = self.left_open.min(node.bound);
            return Ok(());
        };
        for (change, estimate) in children {
            let mut branch = node.branch.clone();
            change.apply(&mut branch);
            let duals = relaxed.proof.as_ref().map(|proof| Rc::new(proof.duals.clone()));
            self.open.push(Node { bound: node.bound, estimate, hard: false, branch, duals });
        }
        Ok(())
    }

    /// An integer program over the states of least reduced cost: a good plan.
    fn round(&mut self, branch: &Branch, relaxed: &Relaxed) -> Result<(), SolverError> {
        let Some(proof) = &relaxed.proof else { return Ok(()) };
        let mut order: Vec<(f64, usize)> =
            relaxed.inside.iter().map(|n| (self.pool[*n].reduced(&proof.duals), *n)).collect();
        let own: Vec<(usize, Vec<u32>)> =
            self.best.as_ref().and_then(|(plan, _)| states_of(&self.layout, plan)).unwrap_or_default();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let rest = order.split_off(order.len().min(ROUNDED));
        order.extend(rest.into_iter().filter(|(_, n)| {
            let state = &self.pool[*n];
            own.iter().any(|(slot, items)| *slot == state.slot && *items == state.items)
        }));
        let states: Vec<&State> = order.iter().map(|(_, n)| &self.pool[*n]).collect();
        let start = self.best.as_ref().and_then(|(plan, _)| vector(&self.layout, &states, plan));
        let outcome = integer(&self.layout, branch, &states, start.as_deref(), &self.settings(0.15))?;
        if let Some(found) = outcome.columns.as_ref().and_then(|values| plan(&self.layout, &states, values)) {
            self.offer(&found)?;
        }
        Ok(())
    }

    /// Lists every state that a better plan can use and solves the integer program over them. `None`
    /// when there are too many.
    fn close(&mut self, branch: &Branch, proof: &Proof, last: bool) -> Result<Option<f64>, SolverError> {
        let Some((_, value)) = &self.best else { return Ok(None) };
        let distance = self.cut() - proof.bound;
        if !last && distance > NEAR * value.abs() {
            return Ok(None);
        }
        let clock = self.goal.settings.clock.clone();
        let until = self.left().map(|left| clock.now() + left.mul_f64(0.1));
        let cancel = self.goal.settings.cancel.clone();
        let over = move || cancel.is_cancelled() || until.is_some_and(|d| clock.now() >= d);
        let mut listed: Vec<State> = Vec::new();
        for slot in 0..self.layout.slots.len() {
            let least = proof.least[self.layout.slots[slot].kind];
            let query = Query {
                slot,
                duals: &proof.duals,
                branch,
                below: least + distance,
                keep: LISTED.0,
                nodes: LISTED.1,
                over: &over,
            };
            let priced = price(&self.layout, &mut self.judge, &query)?;
            tracing::trace!(
                slot,
                listed = priced.states.len(),
                nodes = priced.nodes,
                complete = priced.complete,
                "list"
            );
            if !priced.complete || listed.len() + priced.states.len() >= LISTED.0 {
                return Ok(None);
            }
            listed.extend(priced.states.into_iter().map(|s| s.1));
            let idle = self.layout.slots[slot].idle;
            listed.push(State::new(&self.layout, slot, Vec::new(), idle));
        }
        let states: Vec<&State> = listed.iter().collect();
        let outcome = integer(&self.layout, branch, &states, None, &self.settings(0.5))?;
        tracing::debug!(listed = states.len(), distance, dual = outcome.dual, "closing");
        let cut = self.cut();
        if let Some(found) = outcome.columns.as_ref().and_then(|values| plan(&self.layout, &states, values)) {
            self.offer(&found)?;
        }
        // A plan better than `cut` uses listed states only.
        let dual = match outcome.termination {
            Termination::Infeasible => f64::INFINITY,
            _ => outcome.dual.unwrap_or(f64::NEG_INFINITY),
        };
        Ok(Some(dual.min(cut).max(proof.bound)))
    }

    /// What to branch on; `None` when everything is whole.
    fn choose(
        &mut self,
        node: &Node,
        relaxed: &Relaxed,
        optimum: &Optimum,
    ) -> Result<Option<[(Change, f64); 2]>, SolverError> {
        let fraction = |x: f64| (x - x.round()).abs();
        let open = |means: &dyn Fn(Means) -> bool| {
            let list = self.layout.fixed.iter().zip(&optimum.values).enumerate();
            let mut open: Vec<(f64, usize, f64)> = list
                .filter(|(_, (f, x))| means(f.means) && fraction(**x) > WHOLE)
                .map(|(n, (_, x))| (fraction(*x), n, *x))
                .collect();
            open.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            open.truncate(TRIED.1);
            let changes = open.into_iter().map(|(_, n, x)| {
                let high = self.layout.fixed[n].high;
                [Change::Bounds(n, x.ceil(), high), Change::Bounds(n, 0.0, x.floor())]
            });
            changes.collect::<Vec<_>>()
        };
        let mut ways = open(&|m| m == Means::Sheds);
        if ways.is_empty() {
            ways = open(&|m| matches!(m, Means::Shed(_) | Means::Boards(_) | Means::On | Means::Group));
        }
        if ways.is_empty() {
            ways = open(&|m| matches!(m, Means::Alone(..)));
        }
        if ways.is_empty() {
            ways = self.by_rule(relaxed, optimum);
        }
        // A decision that is made already cannot close the node: something is lacking.
        ways.retain(|way| !way.iter().any(|change| change.made(&node.branch)));
        self.tried(node, relaxed, ways)
    }

    /// The decision whose two sides raise the bound most, over the states of least reduced cost.
    fn tried(
        &mut self,
        node: &Node,
        relaxed: &Relaxed,
        mut ways: Vec<[Change; 2]>,
    ) -> Result<Option<[(Change, f64); 2]>, SolverError> {
        let Some(proof) = relaxed.proof.as_ref().filter(|_| ways.len() > 1) else {
            let same = |change| (change, node.bound);
            return Ok(ways.into_iter().next().map(|way| way.map(same)));
        };
        let mut order: Vec<(f64, usize)> =
            relaxed.inside.iter().map(|n| (self.pool[*n].reduced(&proof.duals), *n)).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        order.truncate(TRIED.0);
        let mut best: Option<(f64, usize, [f64; 2])> = None;
        let most = self.cut() - node.bound;
        for (n, way) in ways.iter().enumerate() {
            let mut gains = [0.0; 2];
            for (gain, change) in gains.iter_mut().zip(way) {
                if self.stopped().is_some() {
                    break;
                }
                let mut branch = node.branch.clone();
                change.apply(&mut branch);
                let list =
                    order.iter().map(|(_, n)| *n).filter(|n| branch.keeps(&self.layout, &self.pool[*n]));
                let mut program = Program::new(&self.layout, &branch, &self.pool, list.collect())?;
                let settings = self.settings(1.0);
                if let Some(optimum) = program.solve(&self.layout, &settings)? {
                    *gain = (self.value(&optimum, &program.inside) - node.bound).clamp(0.0, most);
                }
            }
            let score = (gains[0] + 1e-3 * most) * (gains[1] + 1e-3 * most);
            if best.is_none_or(|b| score > b.0) {
                best = Some((score, n, gains));
            }
        }
        Ok(best.map(|(_, n, gains)| {
            let [a, b] = ways.swap_remove(n);
            [(a, node.bound + gains[0]), (b, node.bound + gains[1])]
        }))
    }

    fn by_rule(&self, relaxed: &Relaxed, optimum: &Optimum) -> Vec<[Change; 2]> {
        let mut kinds: BTreeMap<(usize, usize), f64> = BTreeMap::new();
        let mut options: BTreeMap<(usize, ecomap_instances::ids::OptionIx), f64> = BTreeMap::new();
        let mut pairs: BTreeMap<(usize, usize, usize), f64> = BTreeMap::new();
        for (n, x) in relaxed.inside.iter().zip(optimum.values.iter().skip(self.layout.fixed.len())) {
            if *x <= WHOLE {
                continue;
            }
            let state = &self.pool[*n];
            let slot = &self.layout.slots[state.slot];
            let items: Vec<_> = state.items.iter().map(|i| &slot.items[*i as usize]).collect();
            for (k, item) in items.iter().enumerate() {
                *kinds.entry((item.tenant, slot.kind)).or_default() += x;
                *options.entry((item.tenant, item.option)).or_default() += x;
                for other in &items[..k] {
                    *pairs.entry((slot.kind, other.tenant, item.tenant)).or_default() += x;
                }
            }
        }
        let both = |rule: &dyn Fn(bool) -> Rule| [Change::Rule(rule(false)), Change::Rule(rule(true))];
        let mut ways: Vec<[Change; 2]> = most_open(&kinds)
            .into_iter()
            .map(|(tenant, kind)| both(&|inside| Rule::Kind { tenant, kind, inside }))
            .collect();
        if ways.is_empty() {
            let pairs = most_open(&pairs).into_iter();
            ways = pairs
                .map(|(kind, a, b)| both(&|together| Rule::Pair { kind, tenants: (a, b), together }))
                .collect();
        }
        if ways.is_empty() {
            let options = most_open(&options).into_iter();
            ways = options
                .map(|(tenant, option)| both(&|inside| Rule::Item { tenant, option, inside }))
                .collect();
        }
        ways
    }
}

/// The keys whose values are farthest from whole, the first of equals first.
fn most_open<K: Copy>(sums: &BTreeMap<K, f64>) -> Vec<K> {
    let mut open: Vec<(f64, K)> = sums.iter().map(|(k, x)| ((x - x.round()).abs(), *k)).collect();
    open.retain(|(fraction, _)| *fraction > WHOLE);
    open.sort_by(|a, b| b.0.total_cmp(&a.0));
    open.truncate(TRIED.1);
    open.into_iter().map(|(_, k)| k).collect()
}

/// A decision.
enum Change {
    Bounds(usize, f64, f64),
    Rule(Rule),
}

impl Change {
    fn made(&self, branch: &Branch) -> bool {
        match self {
            Self::Bounds(column, low, high) => branch.bounds.contains(&(*column, *low, *high)),
            Self::Rule(rule) => branch.rules.contains(rule),
        }
    }

    fn apply(&self, branch: &mut Branch) {
        match self {
            Self::Bounds(column, low, high) => branch.bounds.push((*column, *low, *high)),
            Self::Rule(rule) => branch.rules.push(*rule),
        }
    }
}
