//! One turn of the loop.
//!
//! A lower cap is a promise: where the running plan draws more than a new cap, the cheapest stored plan that fits
//! replaces it before anything else happens ([`Controller::begin`]), with the gap that the stored proofs give; where
//! none fits or taking from the running plan is better, that is done. Only then a better plan is sought
//! ([`Controller::finish`]), and replaces the present one if it gains more than it costs. In between no plan is ever
//! above a cap. [`Controller::step`] is both.

use crate::budget::{Budgets, Caps};
use crate::cells::{Cells, Effort};
use crate::error::FleetError;
use crate::meter::Meter;
use ecomap_carbon::policy::{Clip, Point};
use ecomap_instances::Instance;
use ecomap_instances::ids::{DeviceIx, SiteIx};
use ecomap_instances::plan::Assignment;
use ecomap_instances::units::{GramsPerKwh, Watts};
use ecomap_solver::checker::{self, Verdict};
use ecomap_solver::resolve::{BudgetChange, Resolver, Standing};
use ecomap_solver::{CancelToken, Solution, SolveOptions, Solver};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Points of a traced frontier.
const POINTS: usize = 45;
/// Watts within which a draw counts as under its cap, relative.
const TOLERANCE: f64 = 1e-9;

/// How a controller works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Gap, limits and seed of every solve.
    pub options: SolveOptions,
    /// What a new plan must gain to replace one that still fits, in the objective's unit, per hour.
    pub gain: f64,
    /// When exact solves are worth their time.
    pub effort: Effort,
}

/// Why a plan was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The fleet's first.
    First,
    /// The one before drew more than a new cap.
    Cap,
    /// It gains.
    Gain,
    /// The fleet is another one: tenants or boards came or went, or what tenants ask for changed.
    Change,
    /// Boards refused a part of the plan before, were lost, or came back.
    Boards,
    /// Boards no longer behave as predicted, and options were priced anew.
    Drift,
}

impl Cause {
    /// As written in histories.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Cap => "cap",
            Self::Gain => "gain",
            Self::Change => "change",
            Self::Boards => "boards",
            Self::Drift => "drift",
        }
    }
}

/// A plan and what is known of it at the budgets and intensities that it was published for.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// Counts from 1.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// The plan.
    pub plan: Assignment,
    /// Its worth in the objective's unit.
    pub value: f64,
    /// No plan is better than this; `None` where nothing is proven yet.
    pub bound: Option<f64>,
    /// What it draws, by site.
    pub power: Vec<Watts>,
    /// What the objective loses beside carbon and energy, in its unit.
    pub loss: f64,
    /// Tenants whose place or tier changed against the plan before.
    pub moves: usize,
    /// The solver's answer that it came from, with its certificate; `None` for a plan that was carried over.
    pub solution: Option<Arc<Solution>>,
}

/// A plan that was published before this controller began.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Its number; the next plan has the next one.
    pub number: u64,
    /// When it was published.
    pub at: Timestamp,
    /// Why.
    pub cause: Cause,
    /// The plan, as far as it is one of the present problem; `None` where nothing is left of it.
    pub plan: Option<Assignment>,
    /// What changed since, if anything did: the cause of the next plan.
    pub changed: Option<Cause>,
}

impl Published {
    /// |value − bound| / |value|.
    #[must_use]
    pub fn gap(&self) -> Option<f64> {
        Some(ecomap_instances::plan::relative_gap(self.value, self.bound?))
    }
}

/// What one turn did.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// When.
    pub at: Timestamp,
    /// Intensity of every zone.
    pub intensity: Vec<GramsPerKwh>,
    /// Cap of every site.
    pub caps: Vec<Option<Watts>>,
    /// Why a policy's cap is not what its rule alone gives, by group.
    pub clips: Vec<Option<Clip>>,
    /// Plans published, in order; none when the present one stays.
    pub published: Vec<Published>,
    /// Solves that were more than a lookup.
    pub solves: u64,
    /// Boards that are off although every board idling would draw more than the caps allow: the caps turned them
    /// off. Empty while all boards could idle.
    pub forced_off: Vec<DeviceIx>,
}

impl Turn {
    fn at(at: Timestamp, intensity: Vec<GramsPerKwh>, caps: Vec<Option<Watts>>) -> Self {
        Self {
            at,
            intensity,
            caps,
            clips: Vec::new(),
            published: Vec::new(),
            solves: 0,
            forced_off: Vec::new(),
        }
    }
}

/// Keeps one fleet solved.
#[derive(Debug)]
pub struct Controller {
    resolver: Resolver,
    budgets: Budgets,
    /// Zone of every site.
    zones: Vec<usize>,
    settings: Settings,
    running: Option<Published>,
    number: u64,
    meter: Meter,
    last: Option<(Timestamp, Vec<GramsPerKwh>)>,
    /// Cells that were solved.
    solved: BTreeSet<Vec<i64>>,
    /// What changed since the running plan was made.
    changed: Option<Cause>,
    /// Watts of each site that are not to be given out.
    reserved: Vec<Watts>,
}

/// Most cells remembered; past it they are opened anew.
const CELLS: usize = 100_000;

impl Controller {
    /// A controller of a priced fleet; `zones` is the zone of every site. Nothing is solved yet.
    #[must_use]
    pub fn new(instance: Instance, zones: Vec<usize>, budgets: Budgets, settings: Settings) -> Self {
        let meter = Meter::new(instance.sites.len());
        let resolver = Resolver::new(instance, settings.options.clone());
        Self {
            resolver,
            budgets,
            zones,
            settings,
            running: None,
            number: 0,
            meter,
            last: None,
            changed: None,
            reserved: Vec::new(),
            solved: BTreeSet::new(),
        }
    }

    /// Lets `solver` do the exact solves, see [`Resolver::with_prover`].
    #[must_use]
    pub fn with_prover(mut self, solver: Arc<dyn Solver>) -> Self {
        self.resolver = self.resolver.with_prover(solver);
        self
    }

    /// Looks for better plans another way from the next turn on.
    pub fn set_effort(&mut self, effort: Effort) {
        self.settings.effort = effort;
    }

    /// Goes on from a plan that was published before: numbers continue, and the next turn replaces it if a cap, the
    /// checker or a gain says so. A plan of another size than the problem's is passed over.
    pub fn resume(&mut self, past: Past) {
        self.number = past.number;
        self.changed = past.changed;
        let instance = self.resolver.instance();
        let size = (instance.tenants.len(), instance.devices.len());
        let Some(plan) = past.plan.filter(|p| (p.picks.len(), p.modes.len()) == size) else { return };
        let verdict = self.judge(&plan);
        self.running = Some(Published {
            number: past.number,
            at: past.at,
            cause: past.cause,
            value: verdict.evaluation.value,
            bound: None,
            loss: loss(&verdict),
            power: drawn(&verdict),
            moves: 0,
            plan,
            solution: None,
        });
    }

    /// Takes so many watts off the cap of each site from the next turn on: boards that do not answer may draw them.
    pub fn reserve(&mut self, by_site: Vec<Watts>) {
        self.reserved = by_site;
    }

    /// Goes on from what a meter counted before.
    pub fn restore_meter(&mut self, meter: Meter) {
        self.meter = meter;
    }

    /// The policies, to restore what they hold.
    pub fn budgets_mut(&mut self) -> &mut Budgets {
        &mut self.budgets
    }

    /// Asks a solve under way to end with what it has, and every later one.
    #[must_use]
    pub fn cancel_token(&self) -> CancelToken {
        self.settings.options.cancel.clone()
    }

    /// The plan that runs.
    #[must_use]
    pub fn running(&self) -> Option<&Published> {
        self.running.as_ref()
    }

    /// What was drawn and emitted so far, by the model.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The problem at the present budgets and intensities.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        self.resolver.instance()
    }

    /// The policies.
    #[must_use]
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// A day begins at `now`: what was emitted until then belongs to the day before, and allowances start anew.
    pub fn new_day(&mut self, now: Timestamp) {
        self.count(now);
        self.meter.new_day();
    }

    /// Traces the frontiers that policies plan along: for each group that needs one the best plans that the settings'
    /// effort finds under caps from its least to its most, the other groups at their most, at the intensities given by
    /// zone. What is found stays stored, so the turns to come answer from it.
    ///
    /// # Errors
    /// [`FleetError`] of the solver; caps under which there is no plan are left out.
    pub fn trace(&mut self, intensity: &[GramsPerKwh]) -> Result<(), FleetError> {
        let sites = self.zones.len();
        let mut all: Vec<Option<Watts>> = vec![None; sites];
        for group in self.budgets.groups() {
            let most = group.traced.map(|range| range.most());
            for (site, cap) in most.iter().flat_map(|most| Budgets::split(group, *most)) {
                if let Some(slot) = all.get_mut(site.at()) {
                    *slot = cap;
                }
            }
        }
        for g in 0..self.budgets.groups().len() {
            let Some(range) = self.budgets.groups()[g].traced else { continue };
            let (least, most) = (range.least().get(), range.most().get());
            let mut points: Vec<Point> = Vec::new();
            for n in (0..POINTS).rev() {
                #[allow(clippy::cast_precision_loss)] // at most 45
                let share = n as f64 / (POINTS - 1) as f64;
                let cap = Watts::new(least + share * (most - least));
                let mut caps = all.clone();
                for (site, cap) in Budgets::split(&self.budgets.groups()[g], cap) {
                    if let Some(slot) = caps.get_mut(site.at()) {
                        *slot = cap;
                    }
                }
                self.environment(intensity, &caps)?;
                let mut probe = Turn::at(Timestamp::UNIX_EPOCH, intensity.to_vec(), caps);
                let Found::Plan(found) = self.sought(&mut probe)? else { continue };
                let draw: f64 = self.budgets.groups()[g]
                    .sites
                    .iter()
                    .filter_map(|(s, _)| found.verdict.evaluation.sites.get(s.at()))
                    .map(|s| s.power.get())
                    .sum();
                points.push(Point { cap, draw: Watts::new(draw), loss: loss(&found.verdict) });
            }
            points.reverse();
            let best = points.iter().map(|p| p.loss).fold(f64::INFINITY, f64::min);
            for point in &mut points {
                point.loss -= best;
            }
            if let Some(group) = self.budgets.group_mut(g) {
                group.frontier = points;
            }
        }
        Ok(())
    }

    /// A copy under other policies: it knows every plan and proof that this one has found, runs the same plan, and has
    /// counted the same.
    #[must_use]
    pub fn fork(&self, budgets: Budgets) -> Self {
        Self {
            resolver: self.resolver.clone(),
            budgets,
            zones: self.zones.clone(),
            settings: self.settings.clone(),
            running: self.running.clone(),
            number: self.number,
            meter: self.meter.clone(),
            last: self.last.clone(),
            solved: self.solved.clone(),
            changed: self.changed,
            reserved: self.reserved.clone(),
        }
    }

    /// One turn: [`begin`](Self::begin), then [`finish`](Self::finish). `ahead` are the intensities of every zone: what
    /// holds now, then what is expected for the hours after this one; `left` is what is left of the local day.
    ///
    /// # Errors
    /// [`FleetError`]; the running plan stays as it was, and the turn can be tried again, unless `begin` had already
    /// published one that keeps the new caps.
    pub fn step(
        &mut self,
        now: Timestamp,
        ahead: &[Vec<GramsPerKwh>],
        left: SignedDuration,
    ) -> Result<Turn, FleetError> {
        let mut turn = self.begin(now, ahead, left)?;
        self.finish(&mut turn)?;
        Ok(turn)
    }

    /// The first half of a turn: takes the caps of now over and, where the running plan draws more, publishes one that
    /// keeps them, from the store or by taking from what runs. No solve, no search: it answers in the time of a few
    /// readings of the stored plans. Where neither gives a plan nothing is published, and `finish` must.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn begin(
        &mut self,
        now: Timestamp,
        ahead: &[Vec<GramsPerKwh>],
        left: SignedDuration,
    ) -> Result<Turn, FleetError> {
        let zones = self.zones.iter().max().map_or(0, |z| z + 1);
        if ahead.len() < zones || ahead.iter().any(Vec::is_empty) {
            return Err(FleetError::Zones { got: ahead.iter().filter(|a| !a.is_empty()).count(), zones });
        }
        if self.last.as_ref().is_some_and(|(before, _)| now <= *before) {
            return Err(FleetError::Time);
        }
        let intensity: Vec<GramsPerKwh> = ahead.iter().map(|a| a[0]).collect();
        self.count(now);
        let spent: Vec<f64> = self
            .budgets
            .groups()
            .iter()
            .map(|g| g.sites.iter().map(|(s, _)| self.meter.today_g(s.at())).sum())
            .collect();
        let sites = self.zones.len();
        let Caps { sites: mut caps, clips } = self.budgets.caps(now, ahead, (&spent, left), sites);
        for (cap, reserved) in caps.iter_mut().zip(&self.reserved) {
            *cap = cap.map(|cap| Watts::new((cap.get() - reserved.get()).max(0.0)));
        }
        let mut turn = Turn { clips, ..Turn::at(now, intensity.clone(), caps.clone()) };
        self.environment(&intensity, &caps)?;
        if let Some(running) = &self.running
            && !under(&running.power, &caps)
        {
            let mut found = self.resolver.at_once(&change(&caps), &running.plan)?;
            if found.as_ref().is_some_and(|s| !under(&drawn(&s.verdict), &caps)) {
                found = self.resolver.at_once(&change(&lower(&caps)), &running.plan)?;
                self.resolver.set_budgets(&change(&caps))?;
            }
            if let Some(standing) = found {
                turn.published.push(self.publish(&standing, now, Cause::Cap)?);
            }
        }
        turn.forced_off = self.forced_off(&caps);
        Ok(turn)
    }

    /// The second half: looks for a better plan as hard as the settings say, and publishes it where the running one
    /// breaks a cap or where it gains enough.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn finish(&mut self, turn: &mut Turn) -> Result<(), FleetError> {
        self.last = Some((turn.at, turn.intensity.clone()));
        let mut found = self.sought(turn)?;
        if let Found::Plan(standing) = &found
            && !under(&drawn(&standing.verdict), &turn.caps)
        {
            self.resolver.set_budgets(&change(&lower(&turn.caps)))?;
            let again = self.sought(turn);
            self.resolver.set_budgets(&change(&turn.caps))?;
            found = again?;
        }
        self.replace(&found, turn)?;
        self.changed = None;
        turn.forced_off = self.forced_off(&turn.caps);
        self.resolver.make_ready();
        Ok(())
    }

    /// What the settings' effort finds for a turn.
    fn sought(&mut self, turn: &mut Turn) -> Result<Found, FleetError> {
        match self.settings.effort {
            Effort::Every => self.by_solve(turn),
            Effort::Cells(cells) => self.by_cells(cells, turn),
            Effort::Stored { kicks } => self.by_store(kicks, turn),
        }
    }

    /// The answer of a solve at the present budgets.
    fn by_solve(&mut self, turn: &mut Turn) -> Result<Found, FleetError> {
        let solution = self.resolver.resolve(&BudgetChange::default())?;
        turn.solves += u64::from(!matches!(solution.certificate.method, "pool" | "pool search"));
        let infeasible = solution.status == ecomap_instances::plan::Status::Infeasible;
        Ok(match (solution.assignment, solution.verdict) {
            (Some(plan), Some(verdict)) => {
                let bound = solution.certificate.dual;
                Found::Plan(Box::new(Standing { plan, verdict, bound, repaired: false }))
            }
            _ if infeasible => Found::Infeasible,
            _ => Found::Nothing,
        })
    }

    /// The answer of the stored plans, after the cell of the turn was opened if nobody had.
    fn by_cells(&mut self, cells: Cells, turn: &mut Turn) -> Result<Found, FleetError> {
        let within = |standing: &Standing, gap: f64| {
            let value = standing.verdict.evaluation.value;
            standing.bound.is_some_and(|b| ecomap_instances::plan::relative_gap(value, b) <= gap)
        };
        let key = cells.key(&turn.caps, &turn.intensity, &self.zones);
        if !self.solved.contains(&key) {
            let known = self.resolver.refine(0);
            if !known.is_some_and(|k| within(&k, self.settings.options.gap)) {
                self.open(cells, turn)?;
            }
            if self.solved.len() >= CELLS {
                self.solved.clear();
            }
            self.solved.insert(key);
        }
        self.by_store(cells.kicks, turn)
    }

    /// The answer of the stored plans; where none fits only a solve can tell.
    fn by_store(&mut self, kicks: usize, turn: &mut Turn) -> Result<Found, FleetError> {
        match self.resolver.refine(kicks) {
            Some(standing) => Ok(Found::Plan(Box::new(standing))),
            None => self.by_solve(turn),
        }
    }

    /// Solves the cell that holds the turn's caps and intensities, at its far corner; then goes back to the turn.
    fn open(&mut self, cells: Cells, turn: &mut Turn) -> Result<(), FleetError> {
        let caps: Vec<Option<Watts>> = turn.caps.iter().map(|cap| cap.map(|c| cells.above(c))).collect();
        let intensity: Vec<GramsPerKwh> = turn.intensity.iter().map(|g| cells.below(*g)).collect();
        self.environment(&intensity, &caps)?;
        let solution = self.resolver.resolve(&BudgetChange::default());
        self.environment(&turn.intensity, &turn.caps)?;
        let solution = solution?;
        turn.solves += u64::from(!matches!(solution.certificate.method, "pool" | "pool search"));
        Ok(())
    }

    fn count(&mut self, now: Timestamp) {
        let (power, intensity) = match (&self.running, &self.last) {
            (Some(running), Some((_, last))) => {
                let by_site = self.zones.iter().map(|z| last.get(*z).copied().unwrap_or(GramsPerKwh::ZERO));
                (running.power.clone(), by_site.collect())
            }
            _ => (Vec::new(), Vec::new()),
        };
        self.meter.advance(now, &power, &intensity);
    }

    /// Brings intensities and caps into the problem; stored plans are priced anew.
    fn environment(&mut self, intensity: &[GramsPerKwh], caps: &[Option<Watts>]) -> Result<(), FleetError> {
        let by_site: Vec<(SiteIx, GramsPerKwh)> = self
            .zones
            .iter()
            .enumerate()
            .filter_map(|(s, z)| Some((SiteIx::new(s), *intensity.get(*z)?)))
            .collect();
        self.resolver.set_intensities(&by_site)?;
        Ok(self.resolver.set_budgets(&change(caps))?)
    }

    /// Publishes what was found where the present plan breaks a cap, or where it gains enough.
    fn replace(&mut self, found: &Found, turn: &mut Turn) -> Result<(), FleetError> {
        let now = turn.at;
        let Some(running) = &self.running else {
            turn.published.push(self.publish(found.plan(&turn.caps)?, now, Cause::First)?);
            return Ok(());
        };
        let verdict = self.judge(&running.plan);
        if !verdict.passes() || !under(&running.power, &turn.caps) {
            let cause = self.changed.unwrap_or(Cause::Cap);
            turn.published.push(self.publish(found.plan(&turn.caps)?, now, cause)?);
            return Ok(());
        }
        let Found::Plan(standing) = found else { return Ok(()) };
        let (value, loss) = (verdict.evaluation.value, loss(&verdict));
        let by = value - standing.verdict.evaluation.value;
        let gain = if self.minimises() { by } else { -by };
        let pays = gain > self.settings.gain;
        if let (Some(cause), false) = (self.changed, pays) {
            // Another fleet has another plan, if only because it lists other tenants or boards.
            let kept = Standing { plan: running.plan.clone(), verdict, ..(**standing).clone() };
            turn.published.push(self.publish(&kept, now, cause)?);
        } else if pays {
            let cause = self.changed.unwrap_or(Cause::Gain);
            turn.published.push(self.publish(standing, now, cause)?);
        } else if let Some(running) = &mut self.running {
            (running.bound, running.value, running.loss) = (standing.bound, value, loss);
        }
        Ok(())
    }

    fn minimises(&self) -> bool {
        use ecomap_instances::instance::Sense;
        self.resolver.instance().sense == Sense::Minimize
    }

    fn judge(&self, plan: &Assignment) -> Verdict {
        let instance = self.resolver.instance();
        let objective = self.settings.options.objective.as_ref().unwrap_or(&instance.objective);
        checker::check(instance, plan, objective)
    }

    /// Makes a plan the running one, if the checker agrees at the present budgets.
    fn publish(
        &mut self,
        standing: &Standing,
        now: Timestamp,
        cause: Cause,
    ) -> Result<Published, FleetError> {
        let caps: Vec<Option<Watts>> = self.resolver.instance().sites.iter().map(|s| s.cap).collect();
        let plan = standing.plan.clone();
        let verdict = self.judge(&plan);
        let power = drawn(&verdict);
        if !verdict.passes() || !under(&power, &caps) {
            return Err(FleetError::Refused(refused(&verdict, &power, &caps)));
        }
        let moves = self
            .running
            .as_ref()
            .map_or(0, |before| before.plan.picks.iter().zip(&plan.picks).filter(|(a, b)| a != b).count());
        self.number += 1;
        let solution = self.resolver.solution(standing);
        let published = Published {
            number: self.number,
            at: now,
            cause,
            value: verdict.evaluation.value,
            bound: standing.bound,
            loss: loss(&verdict),
            power,
            moves,
            plan,
            solution: Some(Arc::new(solution)),
        };
        self.running = Some(published.clone());
        Ok(published)
    }

    /// Boards that are off where all boards idling at their least would exceed a cap.
    fn forced_off(&self, caps: &[Option<Watts>]) -> Vec<DeviceIx> {
        let instance = self.resolver.instance();
        let Some(running) = &self.running else { return Vec::new() };
        let idle = |d: usize| -> (usize, f64) {
            let class = instance.class_of(DeviceIx::new(d));
            let least = class.modes.iter().map(|m| m.idle.get()).fold(f64::INFINITY, f64::min);
            (class.site.at(), if least.is_finite() { least } else { 0.0 })
        };
        let mut needed = vec![0.0; instance.sites.len()];
        for d in 0..instance.devices.len() {
            let (site, watts) = idle(d);
            needed[site] += watts;
        }
        (0..instance.devices.len())
            .filter(|d| {
                let site = idle(*d).0;
                let short = caps.get(site).copied().flatten().is_some_and(|cap| needed[site] > cap.get());
                short && running.plan.modes.get(*d).copied().flatten().is_none()
            })
            .map(DeviceIx::new)
            .collect()
    }
}

/// What looking for a plan came to.
enum Found {
    Plan(Box<Standing>),
    /// There is proof that the caps admit none.
    Infeasible,
    /// The limits ended the search.
    Nothing,
}

impl Found {
    fn plan(&self, caps: &[Option<Watts>]) -> Result<&Standing, FleetError> {
        match self {
            Self::Plan(standing) => Ok(standing),
            Self::Infeasible => Err(FleetError::Infeasible { caps: told(caps) }),
            Self::Nothing => Err(FleetError::NoPlan),
        }
    }
}

/// What the objective adds up beside carbon and energy.
fn loss(verdict: &Verdict) -> f64 {
    let spent: f64 = verdict
        .evaluation
        .terms
        .iter()
        .filter(|t| matches!(t.name, "carbon" | "energy"))
        .map(|t| t.contribution)
        .sum();
    verdict.evaluation.value - spent
}

fn change(caps: &[Option<Watts>]) -> BudgetChange {
    let caps = caps.iter().enumerate().map(|(s, cap)| (SiteIx::new(s), *cap)).collect();
    BudgetChange { caps, capacities: Vec::new() }
}

fn under(power: &[Watts], caps: &[Option<Watts>]) -> bool {
    power
        .iter()
        .zip(caps)
        .all(|(p, cap)| cap.is_none_or(|c| p.get() <= c.get() + TOLERANCE * c.get().max(1.0)))
}

/// Caps so much lower that a plan which keeps them within the checker's tolerance keeps these without one.
fn lower(caps: &[Option<Watts>]) -> Vec<Option<Watts>> {
    let one = |cap: Watts| Watts::new((cap.get() - 2.0 * checker::TOLERANCE * cap.get().max(1.0)).max(0.0));
    caps.iter().map(|cap| cap.map(one)).collect()
}

/// What a plan draws, by site.
fn drawn(verdict: &Verdict) -> Vec<Watts> {
    verdict.evaluation.sites.iter().map(|s| s.power).collect()
}

/// Why a plan is not published.
fn refused(verdict: &Verdict, power: &[Watts], caps: &[Option<Watts>]) -> String {
    if let Some(violation) = verdict.violations.first() {
        return violation.subject.clone();
    }
    let over =
        power.iter().zip(caps).enumerate().find(|(_, (p, cap))| cap.is_some_and(|c| p.get() > c.get()));
    over.map_or_else(
        || "no row is named".to_owned(),
        |(site, (p, cap))| format!("site {site} draws {} W of {} W", p.get(), cap.map_or(0.0, Watts::get)),
    )
}

fn told(caps: &[Option<Watts>]) -> String {
    let one = |cap: &Option<Watts>| cap.map_or_else(|| "none".to_owned(), |c| format!("{c:.1}"));
    caps.iter().map(one).collect::<Vec<_>>().join(", ")
}
