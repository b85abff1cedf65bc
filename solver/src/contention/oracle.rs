//! Judges boards by the joint predictor: which hard SLOs and mode budgets they break. Answers are
//! kept, since rounds ask about the same boards again.

use super::port::{Board, BoardPrediction, JointPredictor};
use crate::error::SolverError;
use ecomap_instances::Instance;
use ecomap_instances::ids::{DeviceIx, ModeIx, SiteIx, TenantIx};
use ecomap_instances::instance::{Host, Quantiles};
use ecomap_instances::plan::Assignment;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Relative amount by which a prediction may be below the isolated latency: single precision.
const ROUNDING: f64 = 1e-5;
/// Relative slack of a site's cap, far below the checker's.
pub(super) const SLACK: f64 = 1e-9;
/// Verdicts kept; when there are more, all are dropped.
const MOST: usize = 400_000;

/// What a board breaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fault {
    /// A tenant's hard SLO, and by which factor.
    Slo(TenantIx, f64),
    /// The mode's power budget, and by which factor.
    Budget(f64),
}

impl Fault {
    /// Predicted value over its limit, above 1.
    pub(super) fn factor(self) -> f64 {
        match self {
            Self::Slo(_, factor) | Self::Budget(factor) => factor,
        }
    }
}

/// A board judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What it breaks; empty when it is accepted.
    pub faults: Vec<Fault>,
    /// Predicted draw, W; at least the priced one, idle and dynamic.
    pub power_w: f64,
    /// Predicted end-to-end latency of each pick.
    pub latency: Vec<Quantiles>,
}

impl Judged {
    /// Whether nothing is broken.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.faults.is_empty()
    }
}

/// A whole plan judged.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanVerdict {
    /// Boards in use with their verdicts.
    pub boards: Vec<(DeviceIx, Board, Rc<Judged>)>,
    /// Boards that are on and run nothing, with their mode.
    pub empty: Vec<(DeviceIx, ModeIx)>,
    /// Sites whose predicted draw is above their cap: site, draw in W, cap in W.
    pub sites: Vec<(SiteIx, f64, f64)>,
}

impl PlanVerdict {
    /// Whether no SLO, budget or cap is broken.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.sites.is_empty() && self.boards.iter().all(|(_, _, judged)| judged.accepted())
    }

    /// Hard SLOs broken.
    #[must_use]
    pub fn slos_broken(&self) -> u64 {
        let slo = |fault: &&Fault| matches!(fault, Fault::Slo(..));
        self.boards.iter().map(|(_, _, judged)| judged.faults.iter().filter(slo).count() as u64).sum()
    }

    /// Mode budgets broken.
    #[must_use]
    pub fn budgets_broken(&self) -> u64 {
        let budget = |fault: &&Fault| matches!(fault, Fault::Budget(_));
        self.boards.iter().map(|(_, _, judged)| judged.faults.iter().filter(budget).count() as u64).sum()
    }
}

/// The predictor with a memory.
pub(super) struct Oracle<'a> {
    pub(super) instance: &'a Instance,
    pub(super) predictor: &'a dyn JointPredictor,
    known: BTreeMap<Board, Rc<Judged>>,
    /// Boards predicted, without repetitions.
    pub(super) predicted: u64,
    /// Batches asked for.
    pub(super) batches: u64,
}

impl<'a> Oracle<'a> {
    pub(super) fn new(instance: &'a Instance, predictor: &'a dyn JointPredictor) -> Self {
        Self { instance, predictor, known: BTreeMap::new(), predicted: 0, batches: 0 }
    }

    /// Each board's verdict, in one batch.
    pub(super) fn judge(&mut self, boards: &[Board]) -> Result<Vec<Rc<Judged>>, SolverError> {
        if self.known.len() > MOST {
            self.known.clear();
        }
        let mut open: Vec<Board> = boards.iter().filter(|b| !self.known.contains_key(b)).cloned().collect();
        open.sort_unstable();
        open.dedup();
        if !open.is_empty() {
            let answers = self.predictor.predict(&open).map_err(SolverError::Prediction)?;
            if answers.len() != open.len() {
                let what = format!("{} boards answered, {} asked", answers.len(), open.len());
                return Err(SolverError::Prediction(what));
            }
            self.predicted += open.len() as u64;
            self.batches += 1;
            for (board, answer) in open.into_iter().zip(answers) {
                let judged = self.one(&board, answer)?;
                self.known.insert(board, Rc::new(judged));
            }
        }
        boards
            .iter()
            .map(|b| self.known.get(b).cloned())
            .collect::<Option<_>>()
            .ok_or_else(|| SolverError::Prediction("a board was lost".to_owned()))
    }

    /// Verdicts on boards, all different, that the caller remembers: only their draw, W, where they are
    /// accepted.
    pub(super) fn draws(&mut self, boards: &[Board]) -> Result<Vec<Option<f64>>, SolverError> {
        if boards.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.predictor.predict(boards).map_err(SolverError::Prediction)?;
        if answers.len() != boards.len() {
            let what = format!("{} boards answered, {} asked", answers.len(), boards.len());
            return Err(SolverError::Prediction(what));
        }
        self.predicted += boards.len() as u64;
        self.batches += 1;
        let verdict = |(board, answer): (&Board, BoardPrediction)| {
            let judged = self.one(board, answer)?;
            Ok(judged.accepted().then_some(judged.power_w))
        };
        boards.iter().zip(answers).map(verdict).collect()
    }

    /// One board's verdict.
    pub(super) fn judge_one(&mut self, board: &Board) -> Result<Rc<Judged>, SolverError> {
        let mut judged = self.judge(std::slice::from_ref(board))?;
        judged.pop().ok_or_else(|| SolverError::Prediction("a board was lost".to_owned()))
    }

    fn one(&self, board: &Board, answer: BoardPrediction) -> Result<Judged, SolverError> {
        if answer.latency.len() != board.picks.len() {
            let what = format!("{} tenants answered, {} asked", answer.latency.len(), board.picks.len());
            return Err(SolverError::Prediction(what));
        }
        let mode = &self.instance.classes[board.class.at()].modes[board.mode.at()];
        // A number that is none fails this, too.
        if !(answer.power.get() >= mode.idle.get() * (1.0 - ROUNDING) && answer.power.get().is_finite()) {
            let what = format!("{} W for a board that draws {} W idle", answer.power.get(), mode.idle.get());
            return Err(SolverError::Prediction(what));
        }
        let mut faults = Vec::new();
        let mut priced = mode.idle.get();
        for ((tenant, option), latency) in board.picks.iter().zip(&answer.latency) {
            let owner = &self.instance.tenants[tenant.at()];
            let Some(host) = &self.instance.option(*tenant, *option).host else { continue };
            priced += host.dynamic.get();
            let promised = if self.predictor.at_least_linear() {
                let delay = delay(self.instance, board, *tenant, host);
                host.isolated.delayed(host.network * -1.0).scaled(1.0 + delay).delayed(host.network)
            } else {
                host.isolated
            };
            for (q, alone, told) in [
                ("p50", promised.p50, latency.p50),
                ("p95", promised.p95, latency.p95),
                ("p99", promised.p99, latency.p99),
            ] {
                // A number that is none fails this, too.
                if !(told.get() >= alone.get() * (1.0 - ROUNDING) && told.get().is_finite()) {
                    return Err(SolverError::NotARelaxation {
                        tenant: owner.id.to_string(),
                        quantile: q,
                        predicted_ms: told.get(),
                        isolated_ms: alone.get(),
                    });
                }
            }
            let Some(slo) = owner.slo.filter(|slo| slo.soft_price.is_none()) else { continue };
            let told = latency.at(slo.quantile);
            if told > slo.latency {
                faults.push(Fault::Slo(*tenant, told.get() / slo.latency.get()));
            }
        }
        // A board draws at least what its options are priced at.
        let (power, budget) = (answer.power.get().max(priced), mode.budget.get());
        if power > budget * (1.0 + SLACK) {
            faults.push(Fault::Budget(power / budget.max(1e-9)));
        }
        Ok(Judged { faults, power_w: power, latency: answer.latency })
    }

    /// Boards judged so far, with their draw, W, where they are accepted.
    pub(super) fn judged(&self) -> Vec<(Board, Option<f64>)> {
        let verdict = |judged: &Judged| judged.accepted().then_some(judged.power_w);
        self.known.iter().map(|(board, judged)| (board.clone(), verdict(judged))).collect()
    }

    /// Draw of a device that runs nothing, W.
    pub(super) fn empty_w(&self, plan: &Assignment, device: usize) -> f64 {
        let class = self.instance.class_of(DeviceIx::new(device));
        let mode = plan.modes.get(device).copied().flatten();
        mode.map_or(class.off, |m| class.modes[m.at()].idle).get()
    }

    /// Judges a plan: every board in one batch, then the sites.
    pub(super) fn plan(&mut self, plan: &Assignment) -> Result<PlanVerdict, SolverError> {
        let boards = boards(self.instance, plan);
        let states: Vec<Board> = boards.iter().map(|(_, b)| b.clone()).collect();
        let judged = self.judge(&states)?;
        let boards: Vec<_> = boards.into_iter().zip(judged).map(|((d, b), j)| (d, b, j)).collect();
        let mut draw: Vec<f64> = (0..self.instance.devices.len()).map(|d| self.empty_w(plan, d)).collect();
        for (device, _, judged) in &boards {
            draw[device.at()] = judged.power_w;
        }
        let sites = self.sites(&draw);
        let runs = |d: usize| boards.iter().any(|(device, _, _)| device.at() == d);
        let on = plan.modes.iter().enumerate().filter(|(d, _)| !runs(*d));
        let empty = on.filter_map(|(d, mode)| Some((DeviceIx::new(d), (*mode)?))).collect();
        Ok(PlanVerdict { boards, empty, sites })
    }

    /// Sites above their cap, from the draw of each device.
    fn sites(&self, draw: &[f64]) -> Vec<(SiteIx, f64, f64)> {
        let mut total = vec![0.0; self.instance.sites.len()];
        for (d, watts) in draw.iter().enumerate() {
            total[self.instance.class_of(DeviceIx::new(d)).site.at()] += watts;
        }
        let over = |(s, total): (usize, f64)| {
            let cap = self.instance.sites[s].cap?.get();
            (total > cap + SLACK * cap.max(1.0)).then(|| (SiteIx::new(s), total, cap))
        };
        total.into_iter().enumerate().filter_map(over).collect()
    }
}

/// Slowdown less 1 of a tenant by linear interference: Σ slope · load of the others.
fn delay(instance: &Instance, board: &Board, tenant: TenantIx, host: &Host) -> f64 {
    let others = board.picks.iter().filter(|(other, _)| *other != tenant);
    let loads = others.filter_map(|(t, o)| instance.option(*t, *o).host.as_ref()).flat_map(|h| &h.load);
    let slope = |unit| host.slopes.iter().filter(|(u, _)| *u == unit).map(|(_, slope)| slope).sum::<f64>();
    loads.map(|(unit, load)| slope(*unit) * load).sum()
}

/// The boards of a plan that run something.
pub(super) fn boards(instance: &Instance, plan: &Assignment) -> Vec<(DeviceIx, Board)> {
    let mut picks = vec![Vec::new(); instance.devices.len()];
    for (t, pick) in plan.picks.iter().enumerate() {
        let Some(pick) = pick else { continue };
        if let Some(device) = pick.device {
            picks[device.at()].push((TenantIx::new(t), pick.option));
        }
    }
    picks
        .into_iter()
        .enumerate()
        .filter(|(_, picks)| !picks.is_empty())
        .filter_map(|(d, picks)| {
            let mode = plan.modes.get(d).copied().flatten()?;
            let class = instance.devices[d].class;
            Some((DeviceIx::new(d), Board { class, mode, picks }))
        })
        .collect()
}
