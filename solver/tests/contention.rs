//! Contention cuts against enumeration with the predictor in the loop.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod common;

use common::oracle::best_accepted;
use common::{close, hosted, options, slack};
use ecomap_instances::Objective;
use ecomap_instances::instance::{Host, Instance, Quantiles};
use ecomap_instances::objective::Term;
use ecomap_instances::plan::Status;
use ecomap_instances::units::{Millis, Watts};
use ecomap_solver::contention::{
    Answer, Board, BoardPrediction, CutPool, Envelope, JointPredictor, Method, Settings, accepts, solve,
};
use ecomap_solver::{SolveOptions, SolverError};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Seeds of the differential tests: instances for each predictor.
const SEEDS: u64 = 500;

fn quick() -> Settings {
    Settings { method: Method::Cuts, rounds: 400, search: 12, polish: 4, ..Settings::default() }
}

/// No neighbourhoods, so that columns have work left.
fn by_columns() -> Settings {
    Settings { method: Method::Auto, search: 0, ..quick() }
}

/// The instance of a seed with isolated latencies, as the master wants them, and with objectives
/// and caps that most options keep alone and few together.
fn relaxed(instance: &Instance) -> Instance {
    let mut parts = isolated(instance).to_parts();
    for tenant in &mut parts.tenants {
        tenant.devices = None;
    }
    parts.affinities.clear();
    Instance::try_new(parts).unwrap()
}

/// As [`relaxed`], with pinning and affinities.
fn isolated(instance: &Instance) -> Instance {
    let mut parts = instance.to_parts();
    for tenant in &mut parts.tenants {
        let mut slowest = 0.0_f64;
        for host in tenant.options.iter_mut().filter_map(|o| o.host.as_mut()) {
            host.latency = host.isolated;
            slowest = slowest.max(tenant.slo.map_or(0.0, |s| host.isolated.at(s.quantile).get()));
        }
        if let Some(slo) = tenant.slo.as_mut().filter(|_| slowest > 0.0) {
            slo.latency = Millis::new(1.2 * slowest);
            slo.soft_price = None;
        }
    }
    for site in &mut parts.sites {
        site.cap = site.cap.map(|cap| cap.max(Watts::new(9.0)));
    }
    for mode in parts.classes.iter_mut().flat_map(|c| &mut c.modes) {
        for cap in mode.load_cap.iter_mut().filter(|c| **c > 0.0) {
            *cap = 1.0;
        }
    }
    Instance::try_new(parts).unwrap()
}

fn hosts<'a>(instance: &'a Instance, board: &Board) -> Vec<&'a Host> {
    board.picks.iter().map(|(t, o)| instance.option(*t, *o).host.as_ref().unwrap()).collect()
}

fn idle(instance: &Instance, board: &Board) -> Watts {
    instance.classes[board.class.at()].modes[board.mode.at()].idle
}

fn slowed(host: &Host, factor: f64) -> Quantiles {
    host.isolated.delayed(host.network * -1.0).scaled(factor).delayed(host.network)
}

/// Latency grows with what others load, power by a quarter: monotone in added tenants.
struct Linear<'a>(&'a Instance);

impl JointPredictor for Linear<'_> {
    fn source(&self) -> String {
        "linear".to_owned()
    }
    fn version(&self) -> String {
        "1".to_owned()
    }
    fn monotone(&self) -> bool {
        true
    }
    fn predict(&self, boards: &[Board]) -> Result<Vec<BoardPrediction>, String> {
        Ok(boards
            .iter()
            .map(|board| {
                let hosts = hosts(self.0, board);
                let load = |h: &Host| h.load.iter().map(|(_, l)| l).sum::<f64>();
                let total: f64 = hosts.iter().map(|h| load(h)).sum();
                let dynamic: f64 = hosts.iter().map(|h| h.dynamic.get()).sum();
                BoardPrediction {
                    latency: hosts
                        .iter()
                        .map(|h| slowed(h, 1.0 + 1.5 * (total - load(h)).max(0.0)))
                        .collect(),
                    power: idle(self.0, board) + Watts::new(1.25 * dynamic),
                }
            })
            .collect())
    }
}

/// What the instance's own slopes and loads say.
struct Own<'a>(&'a Instance);

impl JointPredictor for Own<'_> {
    fn source(&self) -> String {
        "own".to_owned()
    }
    fn version(&self) -> String {
        "1".to_owned()
    }
    fn monotone(&self) -> bool {
        true
    }
    fn at_least_linear(&self) -> bool {
        true
    }
    fn predict(&self, boards: &[Board]) -> Result<Vec<BoardPrediction>, String> {
        let board = |board: &Board| {
            let hosts = hosts(self.0, board);
            let delay = |n: usize| {
                let others = hosts.iter().enumerate().filter(|(k, _)| *k != n).flat_map(|(_, h)| &h.load);
                let slope =
                    |unit| hosts[n].slopes.iter().filter(|(u, _)| *u == unit).map(|(_, s)| s).sum::<f64>();
                others.map(|(unit, load)| slope(*unit) * load).sum::<f64>()
            };
            BoardPrediction {
                latency: hosts.iter().enumerate().map(|(n, h)| slowed(h, 1.0 + delay(n))).collect(),
                power: idle(self.0, board) + hosts.iter().map(|h| h.dynamic).fold(Watts::ZERO, |a, b| a + b),
            }
        };
        Ok(boards.iter().map(board).collect())
    }
}

/// Any factor for any board: more tenants may well help.
struct Odd<'a>(&'a Instance);

fn draw(board: &Board, salt: usize) -> f64 {
    let mut hasher = DefaultHasher::new();
    (board, salt).hash(&mut hasher);
    [1.0, 1.0, 1.3, 1.8, 4.0][usize::try_from(hasher.finish() % 5).unwrap()]
}

impl JointPredictor for Odd<'_> {
    fn source(&self) -> String {
        "odd".to_owned()
    }
    fn version(&self) -> String {
        "1".to_owned()
    }
    fn predict(&self, boards: &[Board]) -> Result<Vec<BoardPrediction>, String> {
        Ok(boards
            .iter()
            .map(|board| {
                let hosts = hosts(self.0, board);
                let dynamic: f64 = hosts.iter().map(|h| h.dynamic.get()).sum();
                BoardPrediction {
                    latency: hosts.iter().enumerate().map(|(n, h)| slowed(h, draw(board, n))).collect(),
                    power: idle(self.0, board) + Watts::new(draw(board, 99) * dynamic),
                }
            })
            .collect())
    }
}

/// How often each kind of case came up, so that a generator gone vacuous is noticed.
#[derive(Default)]
struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    fn add(&mut self, kind: &'static str, count: u64) {
        *self.0.entry(kind).or_default() += u64::from(count > 0);
    }

    fn require(&self, kinds: &[&str], least: u64) {
        println!("{:?}", self.0);
        for kind in kinds {
            let count = self.0.get(kind).copied().unwrap_or(0);
            assert!(count >= least, "only {count} cases of `{kind}`");
        }
    }
}

fn objective(seed: u64) -> Objective {
    match seed % 4 {
        0 => Objective::Single(Term::Energy),
        1 => Objective::Single(Term::Latency),
        _ => Objective::default(),
    }
}

fn run(
    instance: &Instance,
    predictor: &dyn JointPredictor,
    objective: &Objective,
    pool: &mut CutPool,
) -> Answer {
    solve(instance, predictor, &options(objective), quick(), pool, &mut ())
        .unwrap_or_else(|error| panic!("{}: {error}", instance.name))
}

/// The loop must reach the enumerated optimum, with a plan that the predictor accepts.
fn agree(instance: &Instance, predictor: &dyn JointPredictor, objective: &Objective, counts: &mut Counts) {
    let takes = |plan: &_| accepts(instance, predictor, plan).unwrap().accepted();
    let best = best_accepted(instance, objective, &mut |plan| takes(plan));
    let without = best_accepted(instance, objective, &mut |_| true);
    let mut pool = CutPool::default();
    let answer = run(instance, predictor, objective, &mut pool);
    let context = format!("{} under {}: {:?}", instance.name, predictor.source(), answer.report);
    let solution = &answer.solution;
    let Some(best) = best else {
        assert_eq!(solution.status, Status::Infeasible, "{context}");
        return;
    };
    assert_eq!(solution.status, Status::Optimal, "{context}");
    let value = solution.certificate.primal.unwrap();
    assert!(close(value, best), "{context}: {value} and not {best}");
    assert!(
        solution.certificate.dual.unwrap() <= best + slack(best),
        "{context}: the bound beats the optimum"
    );
    assert!(takes(solution.assignment.as_ref().unwrap()), "{context}: the plan is refused");
    let report = &answer.report;
    counts.add("served", u64::from(solution.assignment.iter().flat_map(|a| &a.picks).any(Option::is_some)));
    counts.add("contention costs", u64::from(without.is_some_and(|w| best > w + slack(w))));
    counts.add("first plan broke an SLO", report.first_slos_broken);
    counts.add("first plan broke a budget", report.first_budgets_broken);
    counts.add("first plan broke a cap", report.first_caps_broken);
    counts.add("guaranteed cuts", report.cuts_guaranteed);
    counts.add("exhaustive cuts", report.cuts_exhaustive);
    counts.add("no-goods", report.no_goods);
    counts.add("cuts of caps", report.cuts_of_caps);
    counts.add("several rounds", u64::from(report.rounds > 2));
    // Cuts reused in a re-solve do not change the optimum.
    let again = run(instance, predictor, objective, &mut pool);
    assert!(close(again.solution.certificate.primal.unwrap(), best), "{context}: re-solved");
    assert!(again.report.rounds <= report.rounds.max(2), "{context}: {:?}", again.report);
    counts.add("cuts reused", again.report.cuts_reused);
}

#[test]
fn a_monotone_predictor_agrees_with_enumeration() {
    let mut counts = Counts::default();
    for seed in 0..SEEDS {
        let instance = relaxed(&hosted::instance(seed));
        agree(&instance, &Linear(&instance), &objective(seed), &mut counts);
    }
    counts.require(
        &["served", "contention costs", "guaranteed cuts", "cuts of caps", "first plan broke an SLO"],
        20,
    );
    counts.require(&["cuts reused", "several rounds", "first plan broke a budget"], 5);
}

#[test]
fn a_predictor_that_is_not_monotone_agrees_with_enumeration() {
    let mut counts = Counts::default();
    for seed in 0..SEEDS {
        let instance = relaxed(&hosted::instance(seed));
        agree(&instance, &Odd(&instance), &objective(seed), &mut counts);
    }
    counts.require(&["contention costs", "no-goods", "exhaustive cuts", "cuts of caps", "cuts reused"], 20);
}

#[test]
fn the_envelope_agrees_with_enumeration_and_is_never_below_its_predictor() {
    let mut counts = Counts::default();
    for seed in 0..SEEDS / 5 {
        let instance = relaxed(&hosted::instance(seed));
        let envelope = Envelope::new(Odd(&instance));
        agree(&instance, &envelope, &objective(seed), &mut counts);
        let answer = run(&instance, &envelope, &objective(seed), &mut CutPool::default());
        assert_eq!(answer.report.no_goods + answer.report.cuts_exhaustive, 0);
        if let Some(plan) = &answer.solution.assignment {
            assert!(accepts(&instance, envelope.inner(), plan).unwrap().accepted());
        }
    }
    counts.require(&["contention costs", "guaranteed cuts"], 10);
}

/// Columns per board must reach the enumerated optimum, with a plan that the predictor accepts.
fn columns_agree(
    instance: &Instance,
    predictor: &dyn JointPredictor,
    objective: &Objective,
    settings: Settings,
    counts: &mut Counts,
) {
    let takes = |plan: &_| accepts(instance, predictor, plan).unwrap().accepted();
    let best = best_accepted(instance, objective, &mut |plan| takes(plan));
    let without = best_accepted(instance, objective, &mut |_| true);
    let answer = solve(instance, predictor, &options(objective), settings, &mut CutPool::default(), &mut ())
        .unwrap_or_else(|error| panic!("{}: {error}", instance.name));
    let context = format!("{} under {}: {:?}", instance.name, predictor.source(), answer.report);
    let solution = &answer.solution;
    let Some(best) = best else {
        assert_eq!(solution.status, Status::Infeasible, "{context}");
        counts.add("infeasible", 1);
        return;
    };
    assert_eq!(solution.status, Status::Optimal, "{context}: {:?}", solution.certificate);
    let (value, dual) = (solution.certificate.primal.unwrap(), solution.certificate.dual.unwrap());
    assert!(close(value, best), "{context}: {value} and not {best}");
    assert!(dual <= best + slack(best), "{context}: the bound {dual} beats the optimum {best}");
    assert!(takes(solution.assignment.as_ref().unwrap()), "{context}: the plan is refused");
    assert_eq!(answer.report.no_goods + answer.report.cuts_exhaustive, 0, "{context}");
    counts.add("by columns", u64::from(solution.certificate.method == "columns per board"));
    counts.add("cuts on states", answer.report.state_cuts);
    counts.add("contention costs", u64::from(without.is_some_and(|w| best > w + slack(w))));
    counts.add("rules", u64::from(!instance.affinities.is_empty()));
    counts.add("boards apart", u64::from(instance.tenants.iter().any(|t| t.devices.is_some())));
    let plan = solution.assignment.as_ref().unwrap();
    counts.add("shed", u64::from(plan.picks.iter().any(Option::is_none)));
    let alike = instance.classes.iter().any(|c| c.devices.len() > 1);
    counts.add("boards alike", u64::from(alike));
}

#[test]
fn columns_agree_with_enumeration_under_a_monotone_predictor() {
    let mut counts = Counts::default();
    for seed in 0..SEEDS {
        let instance = isolated(&hosted::instance(seed));
        // By configuration of the sites, and by kinds of boards alone.
        let configurations = if seed % 2 == 0 { 0 } else { by_columns().configurations };
        let settings = Settings { configurations, ..by_columns() };
        columns_agree(&instance, &Linear(&instance), &objective(seed), settings, &mut counts);
    }
    counts.require(&["by columns", "contention costs", "rules", "boards apart", "shed", "boards alike"], 20);
}

#[test]
fn columns_agree_with_enumeration_under_an_envelope() {
    let mut counts = Counts::default();
    for seed in 0..SEEDS {
        let instance = relaxed(&hosted::instance(seed));
        let envelope = Envelope::new(Odd(&instance));
        columns_agree(&instance, &envelope, &objective(seed), by_columns(), &mut counts);
    }
    counts.require(&["by columns", "contention costs", "boards alike"], 20);
    counts.require(&["cuts on states"], 1);
}

#[test]
fn columns_agree_with_enumeration_under_linear_interference() {
    let mut counts = Counts::default();
    for seed in 0..SEEDS {
        let mut parts = isolated(&hosted::instance(seed)).to_parts();
        let hosts = parts.tenants.iter_mut().flat_map(|t| &mut t.options).filter_map(|o| o.host.as_mut());
        for (_, slope) in hosts.flat_map(|h| &mut h.slopes) {
            *slope = 2.0 + 8.0 * *slope;
        }
        let instance = Instance::try_new(parts).unwrap();
        columns_agree(&instance, &Own(&instance), &objective(seed), by_columns(), &mut counts);
    }
    counts.require(&["by columns", "contention costs", "rules", "boards apart", "shed", "boards alike"], 20);
}

/// A search that ends by a wide gap must not certify more than it proved.
#[test]
fn the_bound_of_a_wide_gap_is_below_the_optimum() {
    let mut counts = Counts::default();
    for seed in 0..SEEDS / 2 {
        let instance = isolated(&hosted::instance(seed));
        let objective = objective(seed);
        let takes = |plan: &_| accepts(&instance, &Linear(&instance), plan).unwrap().accepted();
        let Some(best) = best_accepted(&instance, &objective, &mut |plan| takes(plan)) else { continue };
        let options = SolveOptions { gap: 0.2, ..options(&objective) };
        let mut pool = CutPool::default();
        let answer =
            solve(&instance, &Linear(&instance), &options, by_columns(), &mut pool, &mut ()).unwrap();
        let certificate = &answer.solution.certificate;
        let dual = certificate.dual.unwrap();
        assert!(dual <= best + slack(best), "{}: the bound {dual} beats the optimum {best}", instance.name);
        let open = dual < certificate.primal.unwrap() - slack(best);
        counts.add("open", u64::from(open));
        counts.add("open by columns", u64::from(open && certificate.method == "columns per board"));
    }
    counts.require(&["open"], 10);
}

#[test]
fn a_prediction_below_the_promised_interference_is_a_coded_error() {
    let instance = relaxed(&hosted::instance(1));
    let promised = Promised(Linear(&instance));
    let mut parts = instance.to_parts();
    for host in parts.tenants.iter_mut().flat_map(|t| &mut t.options).filter_map(|o| o.host.as_mut()) {
        host.slopes.iter_mut().for_each(|(_, slope)| *slope = 50.0);
    }
    let steep = Instance::try_new(parts).unwrap();
    let run = |instance: &Instance| {
        let mut pool = CutPool::default();
        solve(instance, &promised, &options(&Objective::default()), quick(), &mut pool, &mut ())
    };
    assert!(run(&instance).is_ok());
    let error = run(&steep).expect_err("below");
    assert!(matches!(error, SolverError::NotARelaxation { .. }), "{error}");
}

#[test]
fn columns_are_repeatable_and_keep_a_limit_on_nodes() {
    for seed in 0..40 {
        let instance = relaxed(&hosted::instance(seed));
        let options = SolveOptions { work_limit: Some(1), ..options(&objective(seed)) };
        let run = || {
            let mut pool = CutPool::default();
            solve(&instance, &Linear(&instance), &options, by_columns(), &mut pool, &mut ()).unwrap()
        };
        let (once, twice) = (run(), run());
        assert_eq!(once.solution.assignment, twice.solution.assignment);
        assert_eq!(once.solution.certificate, twice.solution.certificate);
        let certificate = &once.solution.certificate;
        if let (Some(primal), Some(dual)) = (certificate.primal, certificate.dual) {
            assert!(dual <= primal + slack(primal), "{}: {certificate:?}", instance.name);
        }
    }
}

#[test]
fn a_cut_of_a_cap_is_not_used_for_a_higher_one() {
    let mut seen = 0;
    for seed in 0..SEEDS {
        let low = relaxed(&hosted::instance(seed));
        let mut pool = CutPool::default();
        let objective = objective(seed);
        let first = run(&low, &Linear(&low), &objective, &mut pool);
        if first.report.cuts_of_caps == 0 {
            continue;
        }
        let high = low.with_caps_scaled(1.4);
        let takes = |plan: &_| accepts(&high, &Linear(&high), plan).unwrap().accepted();
        let Some(best) = best_accepted(&high, &objective, &mut |plan| takes(plan)) else { continue };
        let answer = run(&high, &Linear(&high), &objective, &mut pool);
        assert!(close(answer.solution.certificate.primal.unwrap(), best), "{}", high.name);
        // Under the old cap and below it, the cuts are back.
        let lower = low.with_caps_scaled(0.99);
        let again = run(&lower, &Linear(&lower), &objective, &mut pool);
        assert!(again.report.cuts_reused > 0 || again.report.rounds == 1, "{}", lower.name);
        let before = first.solution.certificate.primal;
        seen += u64::from(before.is_none_or(|before| best < before - slack(before)));
    }
    assert!(seen >= 10, "only {seen} instances where a higher cap helps");
}

#[test]
fn a_pool_outlives_serialisation_and_another_predictor_empties_it() {
    let mut kept = 0;
    for seed in 0..60 {
        let instance = relaxed(&hosted::instance(seed));
        let mut pool = CutPool::default();
        let first = run(&instance, &Linear(&instance), &objective(seed), &mut pool);
        let text = serde_json::to_string(&pool).unwrap();
        let mut read: CutPool = serde_json::from_str(&text).unwrap();
        assert_eq!(read, pool);
        if pool.is_empty() {
            continue;
        }
        kept += 1;
        let again = run(&instance, &Linear(&instance), &objective(seed), &mut read);
        assert!(close(
            again.solution.certificate.primal.unwrap_or(0.0),
            first.solution.certificate.primal.unwrap_or(0.0)
        ));
        let other = run(&instance, &Odd(&instance), &objective(seed), &mut read);
        assert_eq!(other.report.cuts_reused, 0);
    }
    assert!(kept >= 5, "only {kept} pools with cuts");
}

/// Promises linear interference.
struct Promised<'a>(Linear<'a>);

impl JointPredictor for Promised<'_> {
    fn source(&self) -> String {
        self.0.source()
    }
    fn version(&self) -> String {
        self.0.version()
    }
    fn monotone(&self) -> bool {
        true
    }
    fn at_least_linear(&self) -> bool {
        true
    }
    fn predict(&self, boards: &[Board]) -> Result<Vec<BoardPrediction>, String> {
        self.0.predict(boards)
    }
}

/// Predicts less than the isolated latency.
struct Faster<'a>(Linear<'a>);

impl JointPredictor for Faster<'_> {
    fn source(&self) -> String {
        "faster".to_owned()
    }
    fn version(&self) -> String {
        "1".to_owned()
    }
    fn predict(&self, boards: &[Board]) -> Result<Vec<BoardPrediction>, String> {
        let mut answers = self.0.predict(boards)?;
        for q in answers.iter_mut().flat_map(|a| &mut a.latency) {
            q.p95 = Millis::new(0.5 * q.p95.get());
        }
        Ok(answers)
    }
}

#[test]
fn a_prediction_below_the_isolated_latency_is_a_coded_error() {
    let instance = relaxed(&hosted::instance(1));
    let faster = Faster(Linear(&instance));
    let error =
        solve(&instance, &faster, &options(&Objective::default()), quick(), &mut CutPool::default(), &mut ())
            .expect_err("no relaxation");
    assert!(matches!(error, SolverError::NotARelaxation { .. }), "{error}");
    assert!(error.to_string().starts_with("E1402"), "{error}");
}

#[test]
fn objectives_without_a_linear_bound_are_refused() {
    let instance = relaxed(&hosted::instance(1));
    let lexicographic = Objective::Lexicographic(vec![Term::Accuracy, Term::Energy]);
    for objective in [Objective::Cdp, lexicographic] {
        let (mut cuts, linear) = (CutPool::default(), Linear(&instance));
        let answer = solve(&instance, &linear, &options(&objective), quick(), &mut cuts, &mut ());
        assert!(matches!(answer, Err(SolverError::Unsupported { .. })), "{answer:?}");
    }
}

#[test]
fn an_instance_on_another_basis_is_refused() {
    let mut parts = relaxed(&hosted::instance(1)).to_parts();
    for host in parts.tenants.iter_mut().flat_map(|t| &mut t.options).filter_map(|o| o.host.as_mut()) {
        host.latency = host.isolated.scaled(1.2);
    }
    let instance = Instance::try_new(parts).unwrap();
    let error = solve(
        &instance,
        &Linear(&instance),
        &options(&Objective::Single(Term::Energy)),
        quick(),
        &mut CutPool::default(),
        &mut (),
    )
    .expect_err("no relaxation");
    assert!(matches!(error, SolverError::NotARelaxation { .. }), "{error}");
}
