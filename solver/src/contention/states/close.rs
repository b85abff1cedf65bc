//! Plans from integer programs over the states found, and nodes that are closed by listing states.

use super::branch::Branch;
use super::generate::Relaxed;
use super::pricing::{Query, price};
use super::program::{Proof, integer, plan, states_of, vector};
use super::state::State;
use super::tree::{Node, Tree};
use crate::error::SolverError;
use ecomap_instances::plan::Termination;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Nodes from dive to dive, and from one integer program to the next.
const DIVE: u64 = 4;
/// See [`DIVE`].
const ROUND: u64 = 16;
/// Most states that the integer program of a round gets.
const ROUNDED: usize = 4_000;
/// Most states listed to close a node, and most sets extended for them in a slot.
const LISTED: (usize, u64) = (3_000, 30_000);
/// Share of the time left that the integer program over them gets.
const CLOSING: f64 = 0.05;
/// Distance of a node's bound from the best value, as a share of it, from which its states are listed.
const NEAR: f64 = 0.02;

impl Tree<'_, '_, '_> {
    /// Closes a node, or branches.
    pub(super) fn settle(&mut self, mut node: Node, relaxed: &Relaxed) -> Result<(), SolverError> {
        let Some(optimum) = &relaxed.optimum else {
            self.left_open = self.left_open.min(node.bound);
            return Ok(());
        };
        if self.closes(node.bound) {
            return Ok(());
        }
        let inside: Vec<&State> = relaxed.inside.iter().map(|n| &self.pool[*n]).collect();
        let whole = plan(&self.layout, &inside, &optimum.values);
        if let Some(found) = whole {
            self.offer(&found)?;
            if self.closes(node.bound) {
                return Ok(());
            }
        }
        self.since_rounded += 1;
        if self.nodes % DIVE == 1 {
            self.dive(&node.branch, relaxed)?;
        }
        if self.nodes == 1 || self.since_rounded >= ROUND {
            self.since_rounded = 0;
            self.round(&node.branch, relaxed, true)?;
        }
        if self.closes(node.bound) {
            return Ok(());
        }
        let choice = self.choose(&node, relaxed, optimum)?;
        if let Some(proof) = &relaxed.proof {
            let listed = self.close(&node.branch, proof, choice.is_none())?;
            node.bound = node.bound.max(listed.unwrap_or(node.bound));
            if self.closes(node.bound) {
                return Ok(());
            }
        }
        let Some(children) = choice else {
            if relaxed.tail {
                // Whole as far as it was priced: once more, to the end.
                node.hard = true;
                self.open.push(node);
                return Ok(());
            }
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

    /// Whether a node of this bound is closed; if so, the bound stays part of the certificate.
    fn closes(&mut self, bound: f64) -> bool {
        let closed = bound >= self.cut();
        if closed {
            self.closed_at = self.closed_at.min(bound);
        }
        closed
    }

    /// An integer program over the states of least reduced cost: a good plan. `settled`: with each site in the
    /// configuration that the optimum has most of.
    pub(super) fn round(
        &mut self,
        branch: &Branch,
        relaxed: &Relaxed,
        settled: bool,
    ) -> Result<(), SolverError> {
        let (Some(proof), Some(optimum)) = (&relaxed.proof, &relaxed.optimum) else { return Ok(()) };
        let branch = &if settled { self.settled(branch, optimum) } else { branch.clone() };
        let all: Vec<usize> = (0..self.pool.len()).collect();
        let mut order: Vec<(f64, usize)> = self
            .verified(&all)
            .filter(|n| branch.keeps(&self.layout, &self.pool[*n]))
            .map(|n| (self.pool[n].reduced(&proof.duals), n))
            .collect();
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
        let outcome = integer(&self.layout, branch, &states, start.as_deref(), &self.settings(0.06))?;
        if let Some(found) = outcome.columns.as_ref().and_then(|values| plan(&self.layout, &states, values)) {
            self.offer(&found)?;
        }
        Ok(())
    }

    /// Lists every state that a better plan can use and solves the integer program over them: a bound for
    /// the node, beyond the cut when that came to its end. `None` when there are too many.
    pub(super) fn close(
        &mut self,
        branch: &Branch,
        proof: &Proof,
        last: bool,
    ) -> Result<Option<f64>, SolverError> {
        let Some((_, value)) = &self.best else { return Ok(None) };
        let cut = self.cut();
        let distance = cut - proof.bound;
        if !last && distance > NEAR * value.abs() {
            return Ok(None);
        }
        let clock = self.goal.settings.clock.clone();
        let until = self.left().map(|left| clock.now() + left.mul_f64(0.1));
        let cancel = self.goal.settings.cancel.clone();
        let over = move || cancel.is_cancelled() || until.is_some_and(|d| clock.now() >= d);
        let mut listed: Vec<State> = Vec::new();
        for slot in 0..self.layout.slots.len() {
            let least = proof.least[slot];
            if !branch.open(&self.layout, slot)
                || least + distance <= f64::NEG_INFINITY
                || least.is_infinite()
            {
                continue;
            }
            let query = Query {
                slot,
                duals: &proof.duals,
                branch,
                below: least + distance,
                keep: LISTED.0,
                nodes: LISTED.1,
                ask: false,
                first: false,
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
        let Some(listed) = self.accepted(listed, &over)? else { return Ok(None) };
        let states: Vec<&State> = listed.iter().collect();
        let share = if last { 0.5 } else { CLOSING };
        let outcome = integer(&self.layout, branch, &states, None, &self.settings(share))?;
        tracing::debug!(listed = states.len(), distance, dual = outcome.dual, "closing");
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

    /// Those of some states that the predictor accepts, at the draw that it tells; `None` when the time is up.
    fn accepted(
        &mut self,
        states: Vec<State>,
        over: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<State>>, SolverError> {
        let mut accepted = Vec::with_capacity(states.len());
        let mut doubted: BTreeMap<usize, Vec<Vec<u32>>> = BTreeMap::new();
        for state in states {
            if state.verified {
                accepted.push(state);
            } else {
                doubted.entry(state.slot).or_default().push(state.items);
            }
        }
        for (slot, sets) in doubted {
            let Some(told) = self.judge.verdicts(&self.layout, slot, &sets, over)? else { return Ok(None) };
            for (items, draw) in sets.into_iter().zip(told) {
                accepted.extend(draw.map(|draw| State::new(&self.layout, slot, items, draw)));
            }
        }
        Ok(Some(accepted))
    }
}
