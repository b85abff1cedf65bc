//! States that were taken as accepted until the master's optimum rests on them.

use super::program::{Optimum, Program};
use super::state::State;
use super::tree::{Tree, WHOLE};
use crate::error::SolverError;

impl Tree<'_, '_, '_> {
    /// Those of some states that no refused set has part in.
    pub(super) fn alive<'p>(&'p self, states: &'p [usize]) -> impl Iterator<Item = usize> + 'p {
        states.iter().copied().filter(|n| self.pool[*n].alive)
    }

    /// Those of some states that the predictor accepts.
    pub(super) fn verified<'p>(&'p self, states: &'p [usize]) -> impl Iterator<Item = usize> + 'p {
        self.alive(states).filter(|n| self.pool[*n].verified)
    }

    /// States that an optimum rests on and that were not predicted yet.
    pub(super) fn support(&self, inside: &[usize], optimum: &Optimum) -> Vec<usize> {
        let values = optimum.values.iter().skip(self.layout.fixed.len());
        let used = inside.iter().zip(values).filter(|(n, x)| **x > WHOLE && !self.pool[**n].verified);
        used.map(|(n, _)| *n).collect()
    }

    /// Predicts states: whether any was refused or draws more than it was priced at, and is to leave
    /// programs. `None` when the time is up.
    pub(super) fn verify(&mut self, states: &[usize]) -> Result<Option<bool>, SolverError> {
        let (cancel, clock, deadline) =
            (self.goal.settings.cancel.clone(), self.goal.settings.clock.clone(), self.deadline);
        let over = move || cancel.is_cancelled() || deadline.is_some_and(|d| clock.now() >= d);
        let (mut changed, mut refused) = (false, false);
        for slot in 0..self.layout.slots.len() {
            let here: Vec<usize> = states.iter().copied().filter(|n| self.pool[*n].slot == slot).collect();
            let sets: Vec<Vec<u32>> = here.iter().map(|n| self.pool[*n].items.clone()).collect();
            let told = self.judge.verdicts(&self.layout, slot, &sets, &over)?;
            let Some(told) = told else { return Ok(None) };
            for ((n, items), draw) in here.into_iter().zip(sets).zip(told) {
                let Some(draw) = draw else {
                    self.pool[n].alive = false;
                    (changed, refused) = (true, true);
                    continue;
                };
                let place = &self.layout.slots[slot];
                let priced: f64 = items.iter().map(|i| place.items[*i as usize].dynamic).sum();
                let same = draw - place.idle - priced <= 1e-9 * draw.abs().max(1.0);
                if same || place.cap.is_none() {
                    self.pool[n].verified = true;
                    continue;
                }
                // Its coefficients change, so it is another column.
                self.pool[n].alive = false;
                changed = true;
                self.index.insert((slot, items.clone()), self.pool.len());
                self.pool.push(State::new(&self.layout, slot, items, draw));
            }
        }
        if refused {
            for n in 0..self.pool.len() {
                let state = &self.pool[n];
                if state.alive && !state.verified && self.judge.refuted(state.slot, &state.items, &[]) {
                    self.pool[n].alive = false;
                }
            }
        }
        Ok(Some(changed))
    }

    /// Takes out of a program what is no longer alive.
    pub(super) fn leave(&self, program: &mut Program) -> Result<(), SolverError> {
        for at in 0..program.inside.len() {
            if !self.pool[program.inside[at]].alive {
                program.limit(self.layout.fixed.len() + at, 0.0, 0.0)?;
            }
        }
        Ok(())
    }
}
