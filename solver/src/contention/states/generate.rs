//! Column generation at a node of the tree.

use super::branch::Branch;
use super::pricing::{Query, price};
use super::program::{Optimum, Program, Proof, lagrangian};
use super::state::State;
use super::tree::{Node, ROUNDING, Tree};
use crate::error::SolverError;
use std::collections::BTreeSet;

/// States kept of a slot and round: while little effort is made, and later.
const KEEP: (usize, usize) = (12, 4);
/// Sets extended in a slot at first, growth, and at most: at a first look and at a second one.
const EFFORT: (u64, u64, u64, u64) = (24, 8, 50_000, 4_000_000);
/// Sets extended in a slot at first where that needs no predictions.
const CLOSED: u64 = 2_000;
/// Share of the multipliers with the best bound in those that are priced.
const SMOOTH: f64 = 0.5;
/// Known states added in a round.
const KNOWN: usize = 200;

/// Rounds of a search's first node in which only sets are looked at that linear interference would allow, and so few
/// new states that all are.
const FIRST: u64 = 12;
/// See [`FIRST`].
const FEW: usize = 200;

/// Most rounds of cuts at the first node, and at others.
const CUTS: (u32, u32) = (30, 4);
/// Least gain of a round of cuts after which another is tried, as a share of the distance left.
const GAIN: f64 = 0.005;

/// Share of the distance to the cut that multipliers may leave unproved at a node that is branched on.
const TAIL: f64 = 0.05;
/// The same where little effort does not price a node to the end.
const GIVEN_UP: f64 = 0.3;
/// Rounds of cuts that gain less before no more are tried, at the first node and at others.
const STALLS: (u32, u32) = (6, 2);

/// How slots are priced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask {
    /// Whether sets that are taken as accepted are predicted.
    pub(super) ask: bool,
    /// Whether sets that linear interference allows will do.
    pub(super) first: bool,
}

/// What column generation gave at a node.
pub(super) struct Relaxed {
    pub(super) optimum: Option<Optimum>,
    pub(super) inside: Vec<usize>,
    pub(super) proof: Option<Proof>,
    /// Whether no state is missing, or few of the distance to the cut.
    pub(super) converged: bool,
    /// Whether some may be missing all the same.
    pub(super) tail: bool,
}

impl Tree<'_, '_, '_> {
    /// Column generation: the master over the states known, and states that would improve it.
    pub(super) fn generate(&mut self, node: &mut Node) -> Result<Relaxed, SolverError> {
        let distance = self.cut() - node.bound;
        let near = |state: &State| {
            node.duals
                .as_ref()
                .is_none_or(|duals| state.items.is_empty() || state.reduced(duals) <= 0.3 * distance)
        };
        let keeps = |n: &usize| {
            self.pool[*n].alive && near(&self.pool[*n]) && node.branch.keeps(&self.layout, &self.pool[*n])
        };
        let begin: Vec<usize> = (0..self.pool.len()).filter(keeps).collect();
        let mut inside: BTreeSet<usize> = begin.iter().copied().collect();
        let mut program = Program::new(&self.layout, &node.branch, &self.pool, begin)?;
        let mut effort = self.effort();
        let most = if node.hard { EFFORT.3 } else { EFFORT.2 };
        let mut relaxed =
            Relaxed { optimum: None, inside: Vec::new(), proof: None, converged: false, tail: false };
        let mut smooth = true;
        let mut rounds = 0_u64;
        let (mut cuts, mut stalls, mut before) = (0, 0, f64::NEG_INFINITY);
        let most_stalls = if node.duals.is_none() { STALLS.0 } else { STALLS.1 };
        let most_cuts = if node.duals.is_none() { CUTS.0 } else { CUTS.1 };
        // Multipliers that are far off ask for much that is refused: at first, what a simpler model allows.
        let mut first = if node.duals.is_none() && self.judge.dear() { FIRST } else { 0 };
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
                .filter(|n| self.pool[*n].alive && !inside.contains(n))
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
            let ask = Ask { ask: true, first: rounds <= first };
            let (proof, states, complete) = self.price(&node.branch, duals, -scale, effort, ask)?;
            if ask.first {
                tracing::trace!(
                    rounds,
                    value,
                    new = states.len(),
                    predicted = self.judge.oracle.predicted,
                    "first"
                );
                if states.len() < FEW {
                    first = 0;
                }
            }
            if let Some(proof) = proof
                && relaxed.proof.as_ref().is_none_or(|best| proof.bound > best.bound)
            {
                relaxed.proof = Some(proof);
            }
            if let Some(best) = &relaxed.proof {
                node.bound = node.bound.max(best.bound);
            }
            self.shut(node, relaxed.proof.as_ref(), &mut program)?;
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
            for state in self.shared(&node.branch, states) {
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
            let support = self.support(&program.inside, &optimum);
            relaxed.optimum = Some(optimum);
            // What is only taken as accepted is predicted once the optimum rests on it.
            let met = value - node.bound <= ROUNDING * 0.1 * value.abs().max(1.0);
            let rests = fresh == 0 && exact || met;
            if rests && node.bound < self.cut() && !support.is_empty() {
                let Some(changed) = self.verify(&support)? else { break };
                if changed {
                    for (at, n) in program.inside.clone().into_iter().enumerate() {
                        if !self.pool[n].alive {
                            program.limit(self.layout.fixed.len() + at, 0.0, 0.0)?;
                        }
                    }
                    continue;
                }
            }
            if node.bound >= self.cut() {
                relaxed.converged = true;
                break;
            }
            // Far from the cut the rest of the way is not worth its search: multipliers prove all but little of it.
            let tail = !node.hard && value - node.bound <= TAIL * (self.cut() - node.bound);
            let all = met || fresh == 0 && exact && complete;
            if all || tail {
                if cuts == 0 && self.nodes == 1 {
                    // With a plan, configurations are shut before cuts are paid for.
                    self.dive(&node.branch, &relaxed)?;
                    self.round(&node.branch, &relaxed, true)?;
                    self.shut(node, relaxed.proof.as_ref(), &mut program)?;
                    if self.judge.dear() {
                        self.round(&node.branch, &relaxed, false)?;
                        self.shut(node, relaxed.proof.as_ref(), &mut program)?;
                    }
                    tracing::debug!(
                        primal = self.best.as_ref().map(|b| b.1),
                        shut = node.branch.shut.len(),
                        all = self.layout.configs.len(),
                        "first plan"
                    );
                    if node.bound >= self.cut() {
                        relaxed.converged = true;
                        break;
                    }
                }
                let gained = node.bound - before >= GAIN * (self.cut() - node.bound);
                stalls = if gained { 0 } else { stalls + 1 };
                let optimum = relaxed.optimum.take();
                if cuts < most_cuts
                    && stalls < most_stalls
                    && let Some(optimum) = &optimum
                    && self.cut_off(&mut relaxed, optimum, &mut program)? > 0
                {
                    tracing::debug!(
                        cuts,
                        bound = node.bound,
                        steps = self.layout.steps_count,
                        triples = self.layout.triples.len(),
                        "cut"
                    );
                    (cuts, before, smooth) = (cuts + 1, node.bound, true);
                    effort = effort.min(self.effort() * EFFORT.1);
                    continue;
                }
                relaxed.optimum = optimum;
                (relaxed.converged, relaxed.tail) = (true, !all);
                break;
            }
            if fresh > 0 {
                smooth = true;
            } else if ask.first {
                first = 0;
            } else if !exact {
                smooth = false;
            } else if effort < most {
                effort = (effort * EFFORT.1).min(most);
            } else {
                // Dear to price to the end: branching is cheaper, where the multipliers are near.
                let near = !node.hard && value - node.bound <= GIVEN_UP * (self.cut() - node.bound);
                (relaxed.converged, relaxed.tail) = (near, near);
                break;
            }
        }
        tracing::debug!(
            rounds,
            bound = node.bound,
            converged = relaxed.converged,
            cuts = self.layout.triples.len(),
            states = self.pool.len(),
            predicted = self.judge.oracle.predicted,
            "node"
        );
        Ok(relaxed)
    }

    /// Shuts the configurations that no plan worth finding takes.
    fn shut(
        &mut self,
        node: &mut Node,
        proof: Option<&Proof>,
        program: &mut Program,
    ) -> Result<(), SolverError> {
        let (Some(proof), cut) = (proof, self.cut()) else { return Ok(()) };
        if proof.bound >= cut {
            return Ok(());
        }
        for (n, config) in self.layout.configs.iter().enumerate() {
            let least = proof.bound + proof.beyond[n];
            if least >= cut && node.branch.shut.insert(n) {
                self.closed_at = self.closed_at.min(least);
                program.limit(config.column, 0.0, 0.0)?;
            }
        }
        Ok(())
    }

    /// States with those of the same boards in other configurations.
    fn shared(&self, branch: &Branch, states: Vec<State>) -> Vec<State> {
        let mut all = Vec::with_capacity(states.len());
        for state in states {
            let place = &self.layout.slots[state.slot];
            for slot in self.layout.alike.get(&place.ground).into_iter().flatten() {
                if *slot != state.slot && branch.open(&self.layout, *slot) {
                    all.push(state.moved(&self.layout, *slot));
                }
            }
            all.push(state);
        }
        all
    }

    /// Value of a linear program's optimum.
    pub(super) fn value(&self, optimum: &Optimum, inside: &[usize]) -> f64 {
        let fixed = self.layout.fixed.iter().map(|f| f.cost);
        let costs = fixed.chain(inside.iter().map(|n| self.pool[*n].cost));
        self.layout.constant + costs.zip(&optimum.values).map(|(c, x)| c * x).sum::<f64>()
    }

    /// Little effort: sets extended in a slot.
    fn effort(&self) -> u64 {
        if self.layout.linear || self.judge.dear() { CLOSED } else { EFFORT.0 }
    }

    /// Prices every slot with little effort.
    pub(super) fn little(&mut self, branch: &Branch, duals: &[f64]) -> Result<Vec<State>, SolverError> {
        let ask = Ask { ask: false, first: false };
        Ok(self.price(branch, duals, -ROUNDING, self.effort(), ask)?.1)
    }

    /// Prices every slot; without a proof where only sets that linear interference would allow are looked at.
    pub(super) fn price(
        &mut self,
        branch: &Branch,
        duals: &[f64],
        below: f64,
        effort: u64,
        Ask { ask, first }: Ask,
    ) -> Result<(Option<Proof>, Vec<State>, bool), SolverError> {
        let (cancel, clock) = (self.goal.settings.cancel.clone(), self.goal.settings.clock.clone());
        let deadline = self.deadline;
        let over = move || cancel.is_cancelled() || deadline.is_some_and(|d| clock.now() >= d);
        let little = self.effort();
        let keep = if effort <= little { KEEP.0 } else { KEEP.1 };
        let mut bounds = Vec::with_capacity(self.layout.slots.len());
        let mut states = Vec::new();
        let mut hard = Vec::new();
        for slot in 0..self.layout.slots.len() {
            if !branch.open(&self.layout, slot) {
                bounds.push(0.0);
                continue;
            }
            let nodes = effort.min(little * EFFORT.1);
            let query = Query { slot, duals, branch, below, keep, nodes, ask, first, over: &over };
            let priced = price(&self.layout, &mut self.judge, &query)?;
            bounds.push(priced.bound);
            if !priced.complete {
                hard.push(slot);
            }
            states.extend(priced.states.into_iter().map(|s| s.1));
        }
        if effort > little * EFFORT.1 && !hard.is_empty() && states.is_empty() {
            // Where the bound would be beyond the cut with these at 0, only reduced costs that make up
            // the difference matter.
            let mut rest = bounds.clone();
            hard.iter().for_each(|slot| rest[*slot] = 0.0);
            let free = lagrangian(&self.layout, branch, duals, &rest).bound;
            let boards: f64 = hard.iter().map(|slot| self.layout.slots[*slot].boards).sum();
            let below = below.min((self.cut() - free) / boards.max(1.0));
            for slot in std::mem::take(&mut hard) {
                let query =
                    Query { slot, duals, branch, below, keep, nodes: effort, ask, first, over: &over };
                let priced = price(&self.layout, &mut self.judge, &query)?;
                bounds[slot] = bounds[slot].max(priced.bound);
                if !priced.complete {
                    hard.push(slot);
                }
                states.extend(priced.states.into_iter().map(|s| s.1));
            }
        }
        let proof = (!first).then(|| lagrangian(&self.layout, branch, duals, &bounds));
        Ok((proof, states, hard.is_empty() && !first))
    }
}
