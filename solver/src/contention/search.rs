//! Plans that the joint predictor accepts: repair of refused ones, and a neighbourhood search that
//! takes tenants off a few boards and puts them back where the predictor agrees.
//!
//! Rows (1)–(6), (9) and (10) are kept by `State`, SLOs, budgets and caps under contention by the
//! predictor; the checker has the last word.

use super::oracle::{Judged, Oracle, PlanVerdict, SLACK, boards};
use super::port::Board;
use crate::checker;
use crate::columns::Column;
use crate::error::SolverError;
use crate::exact::plan_value;
use crate::pricing::Costs;
use crate::solve::SolveOptions;
use crate::state::State;
use ecomap_instances::Objective;
use ecomap_instances::ids::{DeviceIx, OptionIx, TenantIx};
use ecomap_instances::instance::Instance;
use ecomap_instances::plan::Assignment;
use ecomap_instances::units::Watts;
use rand::seq::SliceRandom;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use std::time::Duration;

/// Columns predicted at once for one tenant.
const CHUNK: usize = 12;
/// Neighbourhoods without a better plan after which a search ends: some, and more for each tenant.
const STALE: (usize, usize) = (60, 25);
/// Most columns tried for one tenant.
const TRIES: usize = 120;

/// A plan under construction with what the predictor says of its boards.
#[derive(Clone)]
struct Draft<'a> {
    state: State<'a>,
    boards: Vec<Vec<(TenantIx, OptionIx)>>,
    /// Predicted draw of each device, W.
    draw: Vec<f64>,
    /// Predicted draw of each site, W.
    site: Vec<f64>,
}

/// The search over one objective.
pub(super) struct Search<'s, 'a> {
    pub(super) instance: &'a Instance,
    pub(super) objective: &'s Objective,
    pub(super) costs: &'s Costs,
    /// Columns by tenant.
    pub(super) columns: &'s [Vec<Column>],
    pub(super) options: &'s SolveOptions,
    rng: ChaCha8Rng,
}

impl<'s, 'a> Search<'s, 'a> {
    pub(super) fn new(
        instance: &'a Instance,
        objective: &'s Objective,
        costs: &'s Costs,
        columns: &'s [Vec<Column>],
        options: &'s SolveOptions,
    ) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(options.seed ^ 0x636f_6e74);
        Self { instance, objective, costs, columns, options, rng }
    }

    /// The value of a plan that the checker and the predictor accept.
    pub(super) fn accept(
        &self,
        oracle: &mut Oracle<'a>,
        plan: &Assignment,
    ) -> Result<Option<f64>, SolverError> {
        let Some(value) = plan_value(self.instance, self.costs, plan) else { return Ok(None) };
        if !checker::check(self.instance, plan, self.objective).passes() {
            return Ok(None);
        }
        Ok(oracle.plan(plan)?.accepted().then_some(value))
    }

    /// An accepted plan near a refused one: tenants of boards and sites that break something are
    /// taken off and put back.
    pub(super) fn repair(
        &mut self,
        oracle: &mut Oracle<'a>,
        plan: &Assignment,
        verdict: &PlanVerdict,
    ) -> Result<Option<(Assignment, f64)>, SolverError> {
        let bad_site = |d: DeviceIx| {
            let site = self.instance.class_of(d).site;
            verdict.sites.iter().any(|(s, _, _)| *s == site)
        };
        let bad: Vec<DeviceIx> = verdict
            .boards
            .iter()
            .filter(|(d, _, judged)| !judged.accepted() || bad_site(*d))
            .map(|(d, _, _)| *d)
            .collect();
        let mut draft = self.blank();
        let mut open = Vec::new();
        for (t, pick) in plan.picks.iter().enumerate() {
            let column = pick.and_then(|p| self.columns[t].iter().find(|c| c.pick == p));
            match column {
                Some(column) if column.pick.device.is_none_or(|d| !bad.contains(&d)) => {
                    draft.state.place(*column);
                    if let Some(d) = column.pick.device {
                        draft.boards[d.at()].push((TenantIx::new(t), column.pick.option));
                    }
                }
                _ => open.push(TenantIx::new(t)),
            }
        }
        for d in 0..self.instance.devices.len() {
            self.predict(oracle, &mut draft, DeviceIx::new(d))?;
        }
        self.fill(oracle, &mut draft, &open, 0.0)?;
        let plan = draft.state.assignment();
        Ok(self.accept(oracle, &plan)?.map(|value| (plan, value)))
    }

    /// A plan from nothing, tenants with the dearest absence first.
    pub(super) fn construct(
        &mut self,
        oracle: &mut Oracle<'a>,
    ) -> Result<Option<(Assignment, f64)>, SolverError> {
        let mut draft = self.blank();
        let mut order: Vec<TenantIx> = (0..self.columns.len()).map(TenantIx::new).collect();
        order.sort_by(|a, b| self.absence(*b).total_cmp(&self.absence(*a)).then(a.cmp(b)));
        self.fill(oracle, &mut draft, &order, 0.0)?;
        let plan = draft.state.assignment();
        Ok(self.accept(oracle, &plan)?.map(|value| (plan, value)))
    }

    /// Improves an accepted plan for `rounds` neighbourhoods or until `until`.
    pub(super) fn improve(
        &mut self,
        oracle: &mut Oracle<'a>,
        start: (Assignment, f64),
        rounds: usize,
        until: Option<Duration>,
    ) -> Result<(Assignment, f64), SolverError> {
        let mut best = start;
        let mut current = best.clone();
        let patience = STALE.0 + STALE.1 * self.columns.len();
        let mut last = 0;
        for round in 0..rounds {
            if round - last > patience {
                break;
            }
            let over = until.is_some_and(|u| self.options.clock.now() >= u);
            if over || self.options.cancel.is_cancelled() {
                break;
            }
            let mut draft = self.blank();
            self.load(oracle, &mut draft, &current.0)?;
            let mut open = self.destroy(oracle, &mut draft)?;
            open.shuffle(&mut self.rng);
            let noise = if self.rng.random_ratio(1, 2) { 0.0 } else { 0.3 };
            self.fill(oracle, &mut draft, &open, noise)?;
            let plan = draft.state.assignment();
            let Some(value) = plan_value(self.instance, self.costs, &plan) else { continue };
            // Now and then a plan that is a little worse, to leave a valley; never for long.
            let leeway = if self.rng.random_ratio(1, 10) { 0.01 * best.1.abs() } else { 0.0 };
            if value <= current.1 + leeway && plan != current.0 && self.accept(oracle, &plan)?.is_some() {
                current = (plan, value);
                if value < best.1 - 1e-9 * best.1.abs().max(1.0) {
                    best = current.clone();
                    last = round;
                }
            }
            if round % 40 == 39 {
                current = best.clone();
            }
        }
        Ok(best)
    }

    /// Price of leaving a tenant out; more than anything for one that must be served.
    fn absence(&self, tenant: TenantIx) -> f64 {
        let may = self.instance.tenants[tenant.at()].shedding.allowed;
        if may { self.costs.shed(tenant.at()) } else { f64::MAX }
    }

    fn blank(&self) -> Draft<'a> {
        let state = State::new(self.instance);
        let plan = state.assignment();
        let count = self.instance.devices.len();
        let mut draft = Draft {
            state,
            boards: vec![Vec::new(); count],
            draw: vec![0.0; count],
            site: vec![0.0; self.instance.sites.len()],
        };
        for d in 0..count {
            let class = self.instance.class_of(DeviceIx::new(d));
            let watts = plan.modes[d].map_or(class.off, |m| class.modes[m.at()].idle).get();
            draft.draw[d] = watts;
            draft.site[class.site.at()] += watts;
        }
        draft
    }

    fn load(
        &self,
        oracle: &mut Oracle<'a>,
        draft: &mut Draft<'a>,
        plan: &Assignment,
    ) -> Result<(), SolverError> {
        for (t, pick) in plan.picks.iter().enumerate() {
            if let Some(column) = pick.and_then(|p| self.columns[t].iter().find(|c| c.pick == p)) {
                draft.state.place(*column);
            }
        }
        for (device, board) in boards(self.instance, plan) {
            draft.boards[device.at()] = board.picks;
            self.predict(oracle, draft, device)?;
        }
        Ok(())
    }

    /// What device `d` runs, as the predictor sees it; `None` when it runs nothing.
    fn board(&self, draft: &Draft<'a>, device: DeviceIx) -> Option<Board> {
        let picks = &draft.boards[device.at()];
        let mode = draft.state.mode(device)?;
        let class = self.instance.devices[device.at()].class;
        (!picks.is_empty()).then(|| {
            let mut picks = picks.clone();
            picks.sort_unstable();
            Board { class, mode, picks }
        })
    }

    fn predict(
        &self,
        oracle: &mut Oracle<'a>,
        draft: &mut Draft<'a>,
        device: DeviceIx,
    ) -> Result<(), SolverError> {
        let class = self.instance.class_of(device);
        let watts = match self.board(draft, device) {
            Some(board) => oracle.judge_one(&board)?.power_w,
            None => draft.state.mode(device).map_or(class.off, |m| class.modes[m.at()].idle).get(),
        };
        draft.site[class.site.at()] += watts - draft.draw[device.at()];
        draft.draw[device.at()] = watts;
        Ok(())
    }

    /// Takes off the tenants of one or two boards, or a few tenants; gives all that are off.
    fn destroy(
        &mut self,
        oracle: &mut Oracle<'a>,
        draft: &mut Draft<'a>,
    ) -> Result<Vec<TenantIx>, SolverError> {
        let count = self.columns.len();
        let mut off: Vec<usize> =
            (0..count).filter(|t| draft.state.pick(TenantIx::new(*t)).is_none()).collect();
        let on: Vec<usize> = (0..count).filter(|t| !off.contains(t)).collect();
        let mut leaving: Vec<usize> = Vec::new();
        if self.rng.random_ratio(1, 2) && !on.is_empty() {
            let mut some = on;
            some.shuffle(&mut self.rng);
            let many = self.rng.random_range(1..=4).min(some.len());
            leaving.extend_from_slice(&some[..many]);
        } else {
            let mut used: Vec<usize> =
                (0..draft.boards.len()).filter(|d| !draft.boards[*d].is_empty()).collect();
            used.shuffle(&mut self.rng);
            let many = self.rng.random_range(1..=2).min(used.len());
            for d in &used[..many] {
                leaving.extend(draft.boards[*d].iter().map(|(t, _)| t.at()));
            }
        }
        leaving.sort_unstable();
        for t in leaving {
            let tenant = TenantIx::new(t);
            if let Some(device) = draft.state.remove(tenant).and_then(|c| c.pick.device) {
                draft.boards[device.at()].retain(|(x, _)| *x != tenant);
                self.predict(oracle, draft, device)?;
            }
            off.push(t);
        }
        Ok(off.into_iter().map(TenantIx::new).collect())
    }

    /// Puts tenants back in order, each at the least added cost that everything admits.
    fn fill(
        &mut self,
        oracle: &mut Oracle<'a>,
        draft: &mut Draft<'a>,
        order: &[TenantIx],
        noise: f64,
    ) -> Result<(), SolverError> {
        for tenant in order {
            self.insert(oracle, draft, *tenant, noise)?;
        }
        Ok(())
    }

    fn insert(
        &mut self,
        oracle: &mut Oracle<'a>,
        draft: &mut Draft<'a>,
        tenant: TenantIx,
        noise: f64,
    ) -> Result<(), SolverError> {
        let absence = self.absence(tenant);
        let mut ways: Vec<(f64, Column)> = Vec::new();
        for column in &self.columns[tenant.at()] {
            let Some(idle) = draft.state.idle_change(column) else { continue };
            let site = column.pick.device.map(|d| self.instance.class_of(d).site);
            let power = site.map_or(0.0, |s| self.costs.power(self.instance, s, Watts::new(idle)));
            let cost = column.cost + power;
            if cost < absence && draft.state.admits(column) {
                ways.push((cost, *column));
            }
        }
        if noise > 0.0 {
            for (cost, _) in &mut ways {
                *cost += noise * cost.abs() * self.rng.random::<f64>();
            }
        }
        ways.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.pick.cmp(&b.1.pick)));
        ways.truncate(TRIES);
        for chunk in ways.chunks(CHUNK) {
            let states: Vec<Option<Board>> = chunk.iter().map(|(_, c)| self.beside(draft, c)).collect();
            let asked: Vec<Board> = states.iter().flatten().cloned().collect();
            let mut judged = oracle.judge(&asked)?.into_iter();
            for ((_, column), state) in chunk.iter().zip(&states) {
                let verdict = if state.is_some() { judged.next() } else { None };
                if state.is_some() && !verdict.as_deref().is_some_and(|v| self.room(draft, column, v)) {
                    continue;
                }
                draft.state.place(*column);
                if let Some(device) = column.pick.device {
                    draft.boards[device.at()].push((tenant, column.pick.option));
                    self.predict(oracle, draft, device)?;
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// The board of a column with the column's tenant on it.
    fn beside(&self, draft: &Draft<'a>, column: &Column) -> Option<Board> {
        let (host, device) = column.host(self.instance)?;
        let empty = Board { class: host.class, mode: host.mode, picks: Vec::new() };
        let board = self.board(draft, device).unwrap_or(empty);
        Some(board.with(column.tenant, column.pick.option))
    }

    /// Whether the board is accepted, and its site has room for its draw.
    fn room(&self, draft: &Draft<'a>, column: &Column, judged: &Judged) -> bool {
        let Some(device) = column.pick.device else { return true };
        let site = self.instance.class_of(device).site;
        let total = draft.site[site.at()] - draft.draw[device.at()] + judged.power_w;
        let cap = self.instance.sites[site.at()].cap.map_or(f64::INFINITY, |c| c.get());
        judged.accepted() && total <= cap + SLACK * cap.abs().max(1.0)
    }
}
