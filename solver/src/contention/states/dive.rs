//! Plans by diving: states are fixed one after another where the linear relaxation is nearly whole,
//! and states that would then help are generated.

use super::branch::Branch;
use super::generate::Relaxed;
use super::program::{Optimum, Program, plan};
use super::state::State;
use super::tree::{Tree, WHOLE};
use crate::error::SolverError;
use std::collections::BTreeMap;

/// Most states that a dive begins with.
const BEGIN: usize = 3_000;
/// Most steps of a dive.
const STEPS: usize = 60;
/// Rounds of pricing after each.
const ROUNDS: usize = 4;

impl Tree<'_, '_, '_> {
    /// A node's decisions with each site in the configuration that the optimum has most of.
    pub(super) fn settled(&self, branch: &Branch, optimum: &Optimum) -> Branch {
        let mut most: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
        for (n, config) in self.layout.configs.iter().enumerate().filter(|(n, _)| !branch.shut.contains(n)) {
            let value = optimum.values[config.column];
            let best = most.entry(config.site).or_insert((value, n));
            if value > best.0 {
                *best = (value, n);
            }
        }
        let taken = |n: &usize| most.get(&self.layout.configs[*n].site).is_some_and(|best| best.1 == *n);
        let mut settled = branch.clone();
        settled.shut.extend((0..self.layout.configs.len()).filter(|n| !taken(n)));
        settled
    }

    /// Dives from a node.
    pub(super) fn dive(&mut self, branch: &Branch, relaxed: &Relaxed) -> Result<(), SolverError> {
        let (Some(proof), Some(optimum)) = (&relaxed.proof, &relaxed.optimum) else { return Ok(()) };
        let branch = &self.settled(branch, optimum);
        let mut order: Vec<(f64, usize)> = (0..self.pool.len())
            .filter(|n| self.pool[*n].alive && branch.keeps(&self.layout, &self.pool[*n]))
            .map(|n| (self.pool[n].reduced(&proof.duals), n))
            .collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        order.truncate(BEGIN);
        let list = order.into_iter().map(|(_, n)| n).collect();
        let mut program = Program::new(&self.layout, branch, &self.pool, list)?;
        let fixed = self.layout.fixed.len();
        let mut least: Vec<f64> = vec![0.0; program.inside.len()];
        for _ in 0..STEPS {
            let mut optimum = program.solve(&self.layout, &self.settings(1.0))?;
            for _ in 0..ROUNDS {
                let Some(found) = &optimum else { return Ok(()) };
                let fresh = self.wanted(branch, &found.duals, &program)?;
                if fresh.is_empty() || self.stopped().is_some() {
                    break;
                }
                for at in fresh {
                    program.add(at, &self.pool[at])?;
                    least.push(0.0);
                }
                optimum = program.solve(&self.layout, &self.settings(1.0))?;
            }
            let Some(optimum) = optimum else { return Ok(()) };
            if self.stopped().is_some() || self.value(&optimum, &program.inside) >= self.cut() {
                return Ok(());
            }
            let support = self.support(&program.inside, &optimum);
            let nearly = optimum.values.iter().skip(fixed).zip(&program.inside);
            let doubtful = nearly.filter(|(x, n)| **x > 0.5 && support.contains(n)).map(|(_, n)| *n);
            let doubtful: Vec<usize> = doubtful.collect();
            if self.drop_refused(&mut program, &doubtful)? {
                continue;
            }
            let states: Vec<&State> = program.inside.iter().map(|n| &self.pool[*n]).collect();
            if let Some(found) = plan(&self.layout, &states, &optimum.values) {
                return self.offer(&found);
            }
            // Whole ones stay; the one that is nearest to the next whole number goes there.
            let mut next: Option<(f64, usize)> = None;
            for (n, x) in optimum.values.iter().skip(fixed).enumerate() {
                let whole = (x + WHOLE).floor();
                if whole > least[n] && !self.pool[program.inside[n]].items.is_empty() {
                    least[n] = whole;
                    program.limit(fixed + n, whole, f64::INFINITY)?;
                }
                let part = x - whole;
                if part > WHOLE && next.is_none_or(|(most, _)| part > most) {
                    next = Some((part, n));
                }
            }
            let Some((_, n)) = next else { return Ok(()) };
            let at = program.inside[n];
            if !self.pool[at].verified && self.drop_refused(&mut program, &[at])? {
                continue;
            }
            least[n] += 1.0;
            program.limit(fixed + n, least[n], f64::INFINITY)?;
        }
        Ok(())
    }

    /// Predicts states of the program and takes out what must go: whether anything went, or the time is up.
    fn drop_refused(&mut self, program: &mut Program, states: &[usize]) -> Result<bool, SolverError> {
        if states.is_empty() {
            return Ok(false);
        }
        let changed = self.verify(states)?.unwrap_or(true);
        if changed {
            self.leave(program)?;
        }
        Ok(changed)
    }

    /// States outside the program that its multipliers ask for, found with little effort.
    fn wanted(
        &mut self,
        branch: &Branch,
        duals: &[f64],
        program: &Program,
    ) -> Result<Vec<usize>, SolverError> {
        let states = self.little(branch, duals)?;
        let mut fresh = Vec::new();
        for state in states {
            let at = match self.find(&state) {
                Some(at) => at,
                None => self.insert(state).unwrap_or(usize::MAX),
            };
            if at < self.pool.len() && !program.inside.contains(&at) && !fresh.contains(&at) {
                fresh.push(at);
            }
        }
        Ok(fresh)
    }
}
