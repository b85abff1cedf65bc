//! `clover`: Li, Samsi, Gadepally, Tiwari, "Clover: Toward Sustainable AI with Carbon-Aware Machine
//! Learning Inference Service", SC 2023.
//!
//! Followed: simulated annealing over model tiers and resource partitions, maximising
//! λ·ΔCarbon/C − (1−λ)·ΔAccuracy/A in percent with λ = 0.1, where ΔCarbon is what is saved and
//! ΔAccuracy what is lost against the *base*, everything at its best tier; temperature from 100 to 10
//! in steps of 5; the end after 5 evaluations without gain; a configuration that breaks a latency
//! objective is refused; a neighbour differs by at most two tenants (the paper: four edits of the
//! configuration graph); the annealing runs again when carbon intensity has moved by more than 5 %,
//! from the configuration that runs ([`should_run_again`]).
//!
//! Adapted: partitions of a GPU (MIG) are placements and power modes here; all rows hold for every
//! configuration, so the cap is kept as well, which the paper has not; a tenant that is shed counts
//! with accuracy 0. The caller's warm start is the running configuration; without one, the base is
//! brought within the rows by the common repair. Optimises Clover's objective, not the one asked for.

use super::board::{Deal, boards};
use super::common::{Offer, Problem, finish, needs_devices};
use super::repair::repair;
use super::watch::Watch;
use crate::columns::Column;
use crate::error::SolverError;
use crate::pricing::Costs;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use crate::state::State;
use ecomap_instances::ids::{DeviceIx, TenantIx};
use ecomap_instances::plan::Assignment;
use ecomap_instances::{Instance, Term};
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Weight of carbon against accuracy.
const LAMBDA: f64 = 0.1;
/// First and last temperature, and the step between.
const TEMPERATURES: (f64, f64, f64) = (100.0, 10.0, 5.0);
/// Evaluations without gain after which it ends.
const PATIENCE: u32 = 5;
/// Tenants that a neighbour changes, at most.
const CHANGES: usize = 2;
/// Relative change of carbon intensity beyond which it runs again.
const MOVED: f64 = 0.05;

/// Whether carbon intensity has moved so far from `before` that Clover optimises again.
#[must_use]
pub fn should_run_again(before: f64, now: f64) -> bool {
    (now - before).abs() > MOVED * before.abs()
}

/// The Clover baseline.
#[derive(Debug, Clone, Copy)]
pub struct Clover;

impl Solver for Clover {
    fn name(&self) -> &'static str {
        "clover"
    }

    fn summary(&self) -> &'static str {
        "simulated annealing of carbon against accuracy over tiers and partitions (Clover, SC 2023); no bound"
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn solve(
        &self,
        instance: &Instance,
        options: &SolveOptions,
        observer: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        needs_devices(self.name(), instance)?;
        finish(
            self,
            instance,
            options,
            observer,
            Offer::Admissible,
            |_| true,
            |problem, watch| Ok(anneal(problem, watch)),
        )
    }
}

/// Clover's measure.
struct Measure<'a> {
    instance: &'a Instance,
    carbon: Costs,
    base_carbon: f64,
    base_accuracy: f64,
}

impl<'a> Measure<'a> {
    /// Against the base: every tenant at its best tier in `base`, boards in their standing modes.
    fn new(instance: &'a Instance, base: &[Option<Column>]) -> Self {
        let carbon = Costs::term(instance, Term::Carbon);
        let mut measure = Self { instance, carbon, base_carbon: 0.0, base_accuracy: 0.0 };
        let mut modes = vec![None; instance.devices.len()];
        for (host, device) in base.iter().flatten().filter_map(|c| c.host(instance)) {
            modes[device.at()] = Some(host.mode);
        }
        let idle = measure.idle(|d| modes[d.at()]);
        measure.base_carbon = idle + base.iter().flatten().map(|c| measure.dynamic(c)).sum::<f64>();
        measure.base_accuracy = instance.tenants.iter().map(|t| t.priority * t.best_accuracy()).sum();
        measure
    }

    fn dynamic(&self, column: &Column) -> f64 {
        let tenant = &self.instance.tenants[column.tenant.at()];
        self.carbon.option(self.instance, tenant, column.choice(self.instance))
    }

    fn idle(&self, mode: impl Fn(DeviceIx) -> Option<ecomap_instances::ids::ModeIx>) -> f64 {
        (0..self.instance.devices.len())
            .map(DeviceIx::new)
            .map(|d| {
                let class = self.instance.class_of(d);
                let draw = mode(d).map_or(class.off, |m| class.modes[m.at()].idle);
                self.carbon.power(self.instance, class.site, draw)
            })
            .sum()
    }

    /// The objective, percent; more is better.
    fn of(&self, state: &State<'_>) -> f64 {
        let picks = (0..self.instance.tenants.len()).filter_map(|i| state.pick(TenantIx::new(i)));
        let (mut carbon, mut accuracy) = (self.idle(|d| state.mode(d)), 0.0);
        for column in picks {
            carbon += self.dynamic(column);
            let tenant = &self.instance.tenants[column.tenant.at()];
            let lost = tenant.points_lost(column.choice(self.instance));
            accuracy += tenant.priority * (tenant.best_accuracy() - lost);
        }
        objective(carbon, self.base_carbon, accuracy, self.base_accuracy)
    }
}

/// λ·ΔCarbon/C − (1−λ)·ΔAccuracy/A, percent.
fn objective(carbon: f64, base_carbon: f64, accuracy: f64, base_accuracy: f64) -> f64 {
    let share = |part: f64, whole: f64| if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    LAMBDA * share(base_carbon - carbon, base_carbon)
        - (1.0 - LAMBDA) * share(base_accuracy - accuracy, base_accuracy)
}

fn anneal(problem: &Problem<'_>, watch: &mut Watch<'_, '_>) -> Assignment {
    let mut rng = ChaCha8Rng::seed_from_u64(watch.options().seed);
    let mut base = vec![None; problem.columns.len()];
    for job in boards(problem, Deal::LeastWork).iter().flat_map(|b| &b.jobs) {
        base[job.tenant.at()] = job.seats.first().map(|s| s.column);
    }
    let measure = Measure::new(problem.instance, &base);
    let running = watch.options().warm_start.as_ref().and_then(|plan| running(problem, plan));
    let mut state = running.unwrap_or_else(|| {
        let (state, change) = repair(problem, &base, watch);
        watch.notes.push(format!("start: the base, {}", change.note()));
        state
    });
    let mut value = measure.of(&state);
    let (mut best, mut best_value) = (state.clone(), value);
    watch.offer(&best.assignment());
    let (mut temperature, last, step) = TEMPERATURES;
    let mut without_gain = 0;
    while without_gain < PATIENCE && watch.step() {
        let trial = neighbour(problem, &state, &mut rng);
        let now = measure.of(&trial);
        if now >= value || rng.random::<f64>() < ((now - value) / temperature).exp() {
            (state, value) = (trial, now);
        }
        if value > best_value + 1e-9 {
            (best, best_value) = (state.clone(), value);
            without_gain = 0;
            watch.offer(&best.assignment());
        } else {
            without_gain += 1;
        }
        temperature = (temperature - step).max(last);
    }
    best.assignment()
}

/// The running configuration, if all of it still fits.
fn running<'a>(problem: &Problem<'a>, plan: &Assignment) -> Option<State<'a>> {
    let mut state = State::new(problem.instance);
    for (list, pick) in problem.columns.iter().zip(&plan.picks) {
        let Some(pick) = pick else { continue };
        let column = list.iter().find(|c| c.pick == *pick).filter(|c| state.admits(c))?;
        state.place(*column);
    }
    Some(state)
}

/// A configuration that differs in at most [`CHANGES`] tenants and keeps every row.
fn neighbour<'a>(problem: &Problem<'a>, state: &State<'a>, rng: &mut ChaCha8Rng) -> State<'a> {
    let mut trial = state.clone();
    let mut changed = Vec::new();
    for _ in 0..rng.random_range(1..=CHANGES) {
        changed.push(TenantIx::new(rng.random_range(0..problem.columns.len())));
    }
    changed.dedup();
    let before: Vec<Option<Column>> = changed.iter().map(|t| trial.remove(*t)).collect();
    for (tenant, old) in changed.into_iter().zip(before) {
        let fitting: Vec<Column> =
            problem.columns[tenant.at()].iter().filter(|c| trial.admits(c)).copied().collect();
        let Some(column) = fitting.choose(rng).copied().or(old) else { continue };
        if !trial.admits(&column) {
            // Somebody served would be left without a place: not a configuration.
            return state.clone();
        }
        trial.place(column);
    }
    trial
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objective_weighs_carbon_against_accuracy() {
        // 40 % less carbon for 2 % of the accuracy: 0.1·40 − 0.9·2.
        assert!((objective(60.0, 100.0, 98.0, 100.0) - 2.2).abs() < 1e-12);
        assert!((objective(100.0, 100.0, 100.0, 100.0)).abs() < 1e-12);
        assert!((objective(0.0, 0.0, 50.0, 100.0) + 45.0).abs() < 1e-12, "no carbon to save");
    }

    #[test]
    fn it_runs_again_when_carbon_moves_by_more_than_a_twentieth() {
        assert!(!should_run_again(200.0, 210.0));
        assert!(should_run_again(200.0, 210.1));
        assert!(should_run_again(200.0, 189.0));
        assert!(!should_run_again(0.0, 0.0));
    }

    #[test]
    fn the_schedule_is_that_of_the_paper() {
        assert!(TEMPERATURES == (100.0, 10.0, 5.0) && LAMBDA == 0.1);
        assert_eq!(PATIENCE, 5);
    }
}
