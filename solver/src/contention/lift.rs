//! From a refused board to a cut: shrink the offending set, then lift it.
//!
//! 1. Batches of leave-one-out predictions shrink the board to a set of choices that is refused,
//!    while no choice can be left out.
//! 2. Every option of each member that is refused in the place of the member's own is a candidate.
//!    All combinations of candidates are predicted, and candidates that take part in an accepted one
//!    are dropped: what is left is refused in every combination.
//! 3. With more tenants beside them these boards stay refused if the predictor guarantees so, or if
//!    every such board is predicted and refused. Failing both, the whole state becomes a no-good.

use super::cut::{Cut, Evidence, Group};
use super::menu::Menu;
use super::oracle::{Fault, Judged, Oracle, SLACK};
use super::port::Board;
use crate::error::SolverError;
use ecomap_instances::Instance;
use ecomap_instances::ids::{DeviceIx, OptionIx, SiteIx, TenantIx};
use std::rc::Rc;

/// Most combinations of candidates predicted for a cut, times the subsets of its members, which a
/// predictor may have to look at for each.
const COMBINATIONS: usize = 4_096;
/// At least so many combinations.
const FEW: usize = 32;
/// Most boards predicted to prove that more tenants do not help.
const SUPERSETS: usize = 4_096;

/// A member, its own option, and the options refused in its place with how much they offend.
type Candidates = (TenantIx, OptionIx, Vec<(f64, OptionIx)>);

/// What makes a board offend.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// The SLO of one tenant.
    Slo(TenantIx),
    /// The mode's budget.
    Budget,
    /// Any SLO or the budget.
    Any,
    /// At least so many W.
    Power(f64),
}

impl Target {
    /// By how much the board offends; `None` when it does not.
    fn offence(self, judged: &Judged) -> Option<f64> {
        let faults = judged.faults.iter();
        match self {
            Self::Slo(tenant) => {
                faults.filter(|f| matches!(f, Fault::Slo(t, _) if *t == tenant)).map(|f| f.factor()).next()
            }
            Self::Budget => faults.filter(|f| matches!(f, Fault::Budget(_))).map(|f| f.factor()).next(),
            Self::Any => faults.map(|f| f.factor()).reduce(f64::max),
            Self::Power(least) => (judged.power_w >= least).then_some(judged.power_w),
        }
    }
}

/// Makes cuts.
pub(super) struct Lifter<'m, 'o, 'a> {
    pub(super) menu: &'m Menu,
    pub(super) oracle: &'o mut Oracle<'a>,
    /// Whether the time is up: cuts are no longer lifted over options.
    pub(super) over: &'m dyn Fn() -> bool,
}

impl Lifter<'_, '_, '_> {
    /// One cut for each fault of a board.
    pub(super) fn board(&mut self, board: &Board, judged: &Judged) -> Result<Vec<Cut>, SolverError> {
        let mut cuts: Vec<Cut> = Vec::new();
        for fault in &judged.faults {
            let target = match fault {
                Fault::Slo(tenant, _) => Target::Slo(*tenant),
                Fault::Budget(_) => Target::Budget,
            };
            let core = self.minimal(board, target)?;
            let cut = match self.lift(&core, Target::Any)? {
                Some((group, evidence)) => Cut::Lifted { group, evidence },
                None => Cut::NoGood(board.clone()),
            };
            if !cuts.contains(&cut) {
                cuts.push(cut);
            }
        }
        Ok(cuts)
    }

    /// A least set of the board's choices that still offends.
    fn minimal(&mut self, board: &Board, target: Target) -> Result<Board, SolverError> {
        let mut core = board.clone();
        while core.picks.len() > 1 {
            let parts: Vec<Board> = (0..core.picks.len()).map(|k| core.without(k)).collect();
            let judged = self.oracle.judge(&parts)?;
            let offences = parts.into_iter().zip(&judged).filter_map(|(b, j)| Some((target.offence(j)?, b)));
            // What offends most without a choice needs that choice least.
            let Some((_, part)) = offences.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))) else {
                break;
            };
            core = part;
        }
        Ok(core)
    }

    /// Options in the place of the members', and why the cut holds with more tenants.
    fn lift(&mut self, core: &Board, target: Target) -> Result<Option<(Group, Evidence)>, SolverError> {
        let full = self.refused(core, target)?;
        if self.oracle.predictor.monotone() {
            return Ok(Some((full, Evidence::Guaranteed)));
        }
        for group in [full, Group::of(core)] {
            if self.stays_refused(&group, target)? {
                return Ok(Some((group, Evidence::Exhaustive)));
            }
        }
        Ok(None)
    }

    /// Lists of options all of whose combinations offend.
    fn refused(&mut self, core: &Board, target: Target) -> Result<Group, SolverError> {
        if (self.over)() {
            return Ok(Group::of(core));
        }
        let most = (COMBINATIONS >> core.picks.len().min(16)).max(FEW);
        let mut lists: Vec<Candidates> = Vec::new();
        let mut asked: Vec<Board> = Vec::new();
        for (tenant, own) in &core.picks {
            let options = self.menu.of(core.class, core.mode, *tenant);
            asked.extend(options.iter().filter(|o| *o != own).map(|o| core.with(*tenant, *o)));
        }
        let mut answers = self.oracle.judge(&asked)?.into_iter();
        for (tenant, own) in &core.picks {
            let options = self.menu.of(core.class, core.mode, *tenant);
            let mut list = Vec::new();
            for option in options.iter().filter(|o| *o != own) {
                let offence = answers.next().and_then(|judged| target.offence(&judged));
                list.extend(offence.map(|offence| (offence, *option)));
            }
            list.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            lists.push((*tenant, *own, list));
        }
        // Those that offend least go first: they are the likeliest to be accepted in company.
        while lists.iter().map(|(_, _, l)| l.len() + 1).fold(1_usize, usize::saturating_mul) > most {
            let Some((_, _, list)) = lists.iter_mut().max_by_key(|(_, _, l)| l.len()) else { break };
            list.pop();
        }
        loop {
            let members: Vec<(TenantIx, Vec<OptionIx>)> = lists
                .iter()
                .map(|(t, own, list)| (*t, std::iter::once(*own).chain(list.iter().map(|x| x.1)).collect()))
                .collect();
            let mut group = Group { class: core.class, mode: core.mode, members };
            let boards = combinations(&group);
            let judged = self.oracle.judge(&boards)?;
            let accepted: Vec<&Board> = boards
                .iter()
                .zip(&judged)
                .filter(|(_, j)| target.offence(j).is_none())
                .map(|x| x.0)
                .collect();
            if accepted.is_empty() {
                for (_, options) in &mut group.members {
                    options.sort_unstable();
                }
                return Ok(group);
            }
            let mut worst: Option<(usize, usize, usize)> = None;
            for (k, (_, _, list)) in lists.iter().enumerate() {
                for (n, (_, option)) in list.iter().enumerate() {
                    let part = accepted.iter().filter(|b| b.picks[k].1 == *option).count();
                    if part > worst.map_or(0, |w| w.0) {
                        worst = Some((part, k, n));
                    }
                }
            }
            let Some((_, k, n)) = worst else { return Ok(Group::of(core)) };
            lists[k].2.remove(n);
        }
    }

    /// Whether all boards that the cut would exclude, and that rows (3) admit, are refused.
    fn stays_refused(&mut self, group: &Group, target: Target) -> Result<bool, SolverError> {
        let others: Vec<(TenantIx, Vec<OptionIx>)> = self
            .menu
            .offers(group.class, group.mode)
            .iter()
            .filter(|(t, _)| !group.members.iter().any(|(m, _)| m == t))
            .cloned()
            .collect();
        let count = group
            .members
            .iter()
            .map(|(_, o)| o.len())
            .chain(others.iter().map(|(_, o)| o.len() + 1))
            .fold(1_usize, usize::saturating_mul);
        if count > SUPERSETS {
            return Ok(false);
        }
        let mut boards = combinations(group);
        for (tenant, options) in &others {
            let more: Vec<Board> =
                boards.iter().flat_map(|b| options.iter().map(|o| b.with(*tenant, *o))).collect();
            boards.extend(more);
        }
        boards.retain(|b| fits(self.oracle.instance, b));
        let judged = self.oracle.judge(&boards)?;
        Ok(judged.iter().all(|j| target.offence(j).is_some()))
    }

    /// The cut of a site whose boards together draw more than its cap. `boards`: those that are on,
    /// with their state and draw; empty ones without picks.
    pub(super) fn site(
        &mut self,
        site: SiteIx,
        cap: f64,
        boards: &[(DeviceIx, Board, Option<Rc<Judged>>)],
    ) -> Result<Cut, SolverError> {
        let exact = |groups: Vec<Group>| Cut::Site {
            site,
            cap,
            groups,
            devices: boards.iter().map(|b| b.0).collect(),
            exact: true,
            evidence: Evidence::Exhaustive,
        };
        let whole: Vec<Group> = boards.iter().map(|(_, b, _)| Group::of(b)).collect();
        let instance = self.oracle.instance;
        let off: f64 = instance
            .classes
            .iter()
            .filter(|c| c.site == site)
            .map(|c| count(c.devices.len()) * c.off.get())
            .sum();
        // Draw over that of the board switched off.
        let over_off = |lifter: &mut Self, board: &Board| -> Result<f64, SolverError> {
            let class = &instance.classes[board.class.at()];
            let watts = if board.picks.is_empty() {
                class.modes[board.mode.at()].idle.get()
            } else {
                lifter.oracle.judge_one(board)?.power_w
            };
            Ok(watts - class.off.get())
        };
        let limit = cap + SLACK * cap.max(1.0);
        let mut left: Vec<(DeviceIx, Board)> = boards.iter().map(|(d, b, _)| (*d, b.clone())).collect();
        let mut draw = Vec::new();
        for (_, board) in &left {
            draw.push(over_off(self, board)?);
        }
        // Leave out what changes least, while the rest is still above the cap.
        loop {
            let total: f64 = off + draw.iter().sum::<f64>();
            let parts: Vec<Board> =
                left.iter().flat_map(|(_, b)| (0..b.picks.len()).map(|k| b.without(k))).collect();
            self.oracle.judge(&parts.iter().filter(|b| !b.picks.is_empty()).cloned().collect::<Vec<_>>())?;
            let mut best: Option<(f64, usize, Option<Board>)> = None;
            for (n, (_, board)) in left.iter().enumerate() {
                let mut ways: Vec<Option<Board>> =
                    (0..board.picks.len()).map(|k| Some(board.without(k))).collect();
                if board.picks.is_empty() {
                    ways.push(None);
                }
                for way in ways {
                    let now = way.as_ref().map_or(Ok(0.0), |b| over_off(self, b))?;
                    let saved = draw[n] - now;
                    if total - saved > limit && best.as_ref().is_none_or(|b| saved < b.0) {
                        best = Some((saved, n, way));
                    }
                }
            }
            let Some((saved, n, way)) = best else { break };
            match way {
                Some(board) => {
                    left[n].1 = board;
                    draw[n] -= saved;
                }
                None => {
                    left.remove(n);
                    draw.remove(n);
                }
            }
        }
        // What is above the cap may be given away in lifting.
        let spare = (off + draw.iter().sum::<f64>() - limit) * 0.9 / count(left.len().max(1));
        let mut groups = Vec::new();
        let mut worst = Evidence::Guaranteed;
        for ((_, board), watts) in left.iter().zip(&draw) {
            if board.picks.is_empty() {
                groups.push(Group::of(board));
                continue;
            }
            let least = watts + instance.classes[board.class.at()].off.get() - spare.max(0.0);
            let Some((group, evidence)) = self.lift(board, Target::Power(least))? else {
                return Ok(exact(whole));
            };
            worst = worst.max(evidence);
            groups.push(group);
        }
        let devices = left.iter().map(|(d, _)| *d).collect();
        Ok(Cut::Site { site, cap, groups, devices, exact: false, evidence: worst })
    }

    /// Options that are refused even alone, in one batch.
    pub(super) fn singles(&mut self) -> Result<Vec<Cut>, SolverError> {
        let mut alone = Vec::new();
        for ((class, mode), offers) in self.menu.iter() {
            for (tenant, options) in offers {
                alone.extend(options.iter().map(|o| Board {
                    class: *class,
                    mode: *mode,
                    picks: vec![(*tenant, *o)],
                }));
            }
        }
        let judged = self.oracle.judge(&alone)?;
        let mut cuts: Vec<Cut> = Vec::new();
        let monotone = self.oracle.predictor.monotone();
        for (board, judged) in alone.iter().zip(&judged) {
            if judged.accepted() {
                continue;
            }
            let group = Group::of(board);
            if monotone {
                // One row for all refused options of a tenant there.
                if let Some(Cut::Lifted { group: last, .. }) = cuts.last_mut() {
                    let same = (last.class, last.mode) == (group.class, group.mode);
                    match (last.members.first_mut(), group.members.first()) {
                        (Some(a), Some(b)) if same && a.0 == b.0 => {
                            a.1.extend_from_slice(&b.1);
                            continue;
                        }
                        _ => {}
                    }
                }
                cuts.push(Cut::Lifted { group, evidence: Evidence::Guaranteed });
            } else if self.stays_refused(&group, Target::Any)? {
                cuts.push(Cut::Lifted { group, evidence: Evidence::Exhaustive });
            }
        }
        Ok(cuts)
    }
}

#[allow(clippy::cast_precision_loss)] // boards of a site
fn count(n: usize) -> f64 {
    n as f64
}

/// Whether rows (3) admit a board.
fn fits(instance: &Instance, board: &Board) -> bool {
    let mode = &instance.classes[board.class.at()].modes[board.mode.at()];
    let mut load = vec![0.0; mode.load_cap.len()];
    for (tenant, option) in &board.picks {
        for (unit, share) in instance.option(*tenant, *option).host.iter().flat_map(|h| &h.load) {
            load[unit.at()] += share;
        }
    }
    load.iter().zip(&mode.load_cap).all(|(load, cap)| *load <= cap + 1e-6 * cap.max(1.0))
}

/// Every board that takes one option of each member.
fn combinations(group: &Group) -> Vec<Board> {
    let mut boards = vec![Board { class: group.class, mode: group.mode, picks: Vec::new() }];
    for (tenant, options) in &group.members {
        boards = boards.iter().flat_map(|b| options.iter().map(|o| b.with(*tenant, *o))).collect();
    }
    boards
}
