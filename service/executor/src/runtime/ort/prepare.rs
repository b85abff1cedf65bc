//! From orders to sessions: everything that can be wrong with a plan is found out here.

use super::convert::interface;
use super::memory;
use super::provider;
use super::route::{Route, Routes};
use super::settings::Fallback;
use super::shared::Shared;
use super::stage::{Blueprint, Interface, Stage, StageKey, Took};
use crate::orders::{Orders, Segment, Task};
use crate::repository::{Bounds, Loaded, Repository, RepositoryError};
use crate::runtime::port::{ModelInfo, PlanVersion, PrepareReport};
use crate::runtime::refusal::{Reason, Refusal, Refused};
use ecomap_graph::Surgery;
use ecomap_graph::cuts::Cut;
use ecomap_graph::support::UnitClass;
use ecomap_instances::ids::{TenantId, TierId, UnitId};
use ecomap_instances::{Code, Issues};
use ecomap_onnxruntime::cores;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A plan's routes, ready to be switched to, and what making them took.
pub(super) type Made = (Arc<Routes>, PrepareReport);

/// Loads and warms what the orders need and the running plan does not have.
pub(super) fn prepare(shared: &Shared, version: PlanVersion, orders: &Orders) -> Result<Made, Refused> {
    let mut work = Work {
        shared,
        repository: None,
        models: BTreeMap::new(),
        stages: BTreeMap::new(),
        refusals: Vec::new(),
        report: PrepareReport::default(),
    };
    work.board(orders);
    let begun = shared.clock.now();
    let keys = work.keys(orders);
    work.check()?;
    work.reuse(&keys);
    let blueprints = work.draw(orders, &keys);
    work.report.read = shared.clock.now().saturating_sub(begun);
    work.check()?;
    work.fits(&blueprints);
    work.check()?;
    work.load(blueprints);
    work.check()?;
    work.routes(version, orders, &keys)
}

/// Stages of each task, in the order of the orders.
type Keys = Vec<Vec<StageKey>>;

struct Work<'s> {
    shared: &'s Shared,
    repository: Option<Repository>,
    models: BTreeMap<(String, String), Arc<Loaded>>,
    stages: BTreeMap<StageKey, Arc<Stage>>,
    refusals: Vec<Refusal>,
    report: PrepareReport,
}

impl Work<'_> {
    fn refuse(&mut self, reason: Reason, of: Option<&Task>, unit: Option<&str>, message: String) {
        let refusal = Refusal {
            reason,
            tenant: of.map(|t| TenantId::new(t.tenant.clone())),
            unit: unit.map(UnitId::from),
            message,
        };
        if !self.refusals.contains(&refusal) {
            self.refusals.push(refusal);
        }
    }

    fn check(&mut self) -> Result<(), Refused> {
        if self.refusals.is_empty() { Ok(()) } else { Err(Refused(std::mem::take(&mut self.refusals))) }
    }

    fn board(&mut self, orders: &Orders) {
        if let Some(profile) = self.shared.settings.profile.as_ref().filter(|p| **p != orders.profile) {
            let message = format!("the plan is for `{}`, this board is `{profile}`", orders.profile);
            self.refuse(Reason::WrongBoard, None, None, message);
        }
    }

    /// Names the stages, and looks whether their units and models exist.
    fn keys(&mut self, orders: &Orders) -> Keys {
        match Repository::open(&self.shared.settings.repository, Bounds::default()) {
            Ok(repository) => self.repository = Some(repository),
            // A plan that runs nothing needs none.
            Err(_) if orders.tasks.is_empty() => {}
            Err(e) => self.refuse(Reason::BadRepository, None, None, e.to_string()),
        }
        orders.tasks.iter().map(|task| self.keys_of(task)).collect()
    }

    fn keys_of(&mut self, task: &Task) -> Vec<StageKey> {
        let entry = match self.repository.as_ref().map(|r| r.entry(&task.family, &task.tier)) {
            Some(Ok(entry)) => Some((entry.sha256().to_owned(), entry.blocks())),
            Some(Err(e)) => {
                self.refuse(Reason::MissingModel, Some(task), None, e.to_string());
                None
            }
            None => None,
        };
        if let (Some((_, blocks)), Some(last)) = (&entry, task.segments.last())
            && last.to_block != *blocks
        {
            let message = format!("the plan has {} blocks, the model {blocks}", last.to_block);
            self.refuse(Reason::BlockMismatch, Some(task), None, message);
        }
        let mut keys = Vec::with_capacity(task.segments.len());
        for segment in &task.segments {
            let unit = self.shared.units.iter().position(|u| u.settings.id.as_str() == segment.unit);
            match (unit, &entry) {
                (Some(unit), Some((sha256, _))) => keys.push(StageKey {
                    sha256: sha256.clone(),
                    from: segment.from_block,
                    to: segment.to_block,
                    unit,
                }),
                (None, _) => {
                    let message = "the configuration does not describe it".to_owned();
                    self.refuse(Reason::UnknownUnit, Some(task), Some(&segment.unit), message);
                }
                (_, None) => {}
            }
        }
        keys
    }

    /// Takes the running plan's stages where they are the same.
    fn reuse(&mut self, keys: &Keys) {
        let running = self.shared.routes();
        for stage in running.stages() {
            if keys.iter().flatten().any(|k| *k == stage.key) {
                self.stages.insert(stage.key.clone(), Arc::clone(stage));
                self.report.reused += 1;
            }
        }
    }

    /// Reads and cuts the models of all stages that are still missing.
    fn draw(&mut self, orders: &Orders, keys: &Keys) -> Vec<(TenantId, Blueprint)> {
        let mut blueprints: Vec<(TenantId, Blueprint)> = Vec::new();
        for (task, keys) in orders.tasks.iter().zip(keys) {
            for (segment, key) in task.segments.iter().zip(keys) {
                if self.stages.contains_key(key) || blueprints.iter().any(|(_, b)| b.key == *key) {
                    continue;
                }
                let Some(loaded) = self.model(task) else { break };
                if let Some(blueprint) = self.blueprint(task, segment, key, &loaded) {
                    blueprints.push((TenantId::new(task.tenant.clone()), blueprint));
                }
            }
        }
        blueprints
    }

    fn model(&mut self, task: &Task) -> Option<Arc<Loaded>> {
        let name = (task.family.clone(), task.tier.clone());
        if let Some(loaded) = self.models.get(&name) {
            return Some(Arc::clone(loaded));
        }
        match self.repository.as_ref()?.load(&task.family, &task.tier) {
            Ok(loaded) => {
                let loaded = Arc::new(loaded);
                self.models.insert(name, Arc::clone(&loaded));
                Some(loaded)
            }
            Err(e) => {
                let reason = match &e {
                    RepositoryError::Missing { .. } => Reason::MissingModel,
                    RepositoryError::Differs { .. } => Reason::HashMismatch,
                    RepositoryError::Invalid(issues) => of_issues(issues),
                    _ => Reason::BadRepository,
                };
                self.refuse(reason, Some(task), None, e.to_string());
                None
            }
        }
    }

    fn blueprint(
        &mut self,
        task: &Task,
        segment: &Segment,
        key: &StageKey,
        loaded: &Loaded,
    ) -> Option<Blueprint> {
        let unit = &self.shared.units.get(key.unit)?.settings;
        let (from, to) = (cut(loaded, key.from), cut(loaded, key.to));
        let layers = from.map_or(0, |c| c.after)..to.map_or(loaded.layers.len(), |c| c.after);
        if unit.provider.is_dla() && unit.fallback == Fallback::Refuse {
            // TensorRT would move these to the GPU without a word.
            let part = loaded.layers.layers().skip(layers.start).take(layers.len());
            let refused: Vec<String> = part
                .filter_map(|l| Some(format!("{}: {}", l.name, l.support.refusals(UnitClass::Dla).first()?)))
                .collect();
            if let Some(first) = refused.first() {
                let message = format!("{} layers, the first {first}", refused.len());
                self.refuse(Reason::UnsupportedOperator, Some(task), Some(&segment.unit), message);
                return None;
            }
        }
        let part = Surgery::new(&loaded.model, &loaded.layers).and_then(|s| s.segment(from, to));
        let part = match part {
            Ok(part) => part,
            Err(issues) => {
                self.refuse(of_issues(&issues), Some(task), Some(&segment.unit), issues.to_string());
                return None;
            }
        };
        let entering = match from {
            None => loaded.layers.inputs().to_vec(),
            Some(cut) => loaded.layers.port(&cut.tensor).cloned().into_iter().collect(),
        };
        let whole = interface(loaded.layers.inputs()).and_then(|inputs| {
            let outputs = interface(loaded.layers.outputs())?;
            let synthetic = loaded.entry.weights() == crate::repository::manifest::Weights::Synthetic;
            Ok(Interface { inputs, outputs, synthetic })
        });
        match whole.and_then(|whole| Ok((whole, interface(&entering)?))) {
            Ok((whole, inputs)) => Some(Blueprint {
                key: key.clone(),
                interface: Arc::new(whole),
                bytes: memory::reckon(&loaded.layers, layers),
                model: part.encode(),
                inputs,
            }),
            Err(message) => {
                self.refuse(Reason::RuntimeFailed, Some(task), Some(&segment.unit), message);
                None
            }
        }
    }

    /// Whether the new stages fit beside everything that still runs.
    fn fits(&mut self, blueprints: &[(TenantId, Blueprint)]) {
        let wanted: u64 = blueprints.iter().map(|(_, b)| b.bytes).fold(0, u64::saturating_add);
        self.report.bytes = wanted;
        if wanted == 0 {
            return;
        }
        let mut held = BTreeMap::new();
        for plan in self.shared.draining().iter().chain([&self.shared.routes()]) {
            held.extend(plan.stages().map(|s| (s.key.clone(), s.bytes)));
        }
        let held: u64 = held.values().fold(0, |a, b| a.saturating_add(*b));
        let by_setting = self.shared.settings.memory_bytes.map(|most| most.saturating_sub(held));
        let free = memory::available(&self.shared.settings.proc);
        if let Some(room) = by_setting.into_iter().chain(free).min().filter(|room| wanted > *room) {
            let message =
                format!("{wanted} bytes wanted by reckoning beside {held} in use, {room} to be had");
            self.refuse(Reason::OutOfMemory, None, None, message);
        }
    }

    /// Makes the stages, the units beside each other, each on its own cores.
    fn load(&mut self, blueprints: Vec<(TenantId, Blueprint)>) {
        let mut by_unit: BTreeMap<usize, Vec<(TenantId, Blueprint)>> = BTreeMap::new();
        for (tenant, blueprint) in blueprints {
            by_unit.entry(blueprint.key.unit).or_default().push((tenant, blueprint));
        }
        let shared = self.shared;
        let outcomes: Vec<UnitOutcome> = std::thread::scope(|scope| {
            let threads: Vec<_> = by_unit
                .into_iter()
                .map(|(unit, list)| scope.spawn(move || load_unit(shared, unit, list)))
                .collect();
            threads.into_iter().filter_map(|t| t.join().ok()).collect()
        });
        for outcome in outcomes {
            // Units load beside each other: the slowest counts.
            self.report.load = self.report.load.max(outcome.took.load);
            self.report.warm = self.report.warm.max(outcome.took.warm);
            self.report.loaded += outcome.stages.len();
            for stage in outcome.stages {
                self.report.fell_back.extend(stage.fell_back.iter().cloned());
                self.stages.insert(stage.key.clone(), Arc::new(stage));
            }
            for refusal in outcome.refusals {
                if !self.refusals.contains(&refusal) {
                    self.refusals.push(refusal);
                }
            }
        }
    }

    fn routes(mut self, version: PlanVersion, orders: &Orders, keys: &Keys) -> Result<Made, Refused> {
        let mut routes = Routes { version: Some(version), tenants: BTreeMap::new() };
        for (task, keys) in orders.tasks.iter().zip(keys) {
            let stages: Vec<Arc<Stage>> = keys.iter().filter_map(|k| self.stages.get(k).cloned()).collect();
            let Some(interface) = stages.first().map(|s| Arc::clone(&s.interface)) else { continue };
            if stages.len() != task.segments.len() {
                // A loading thread that died leaves no other trace.
                self.refuse(Reason::RuntimeFailed, Some(task), None, "a segment was not loaded".to_owned());
                continue;
            }
            let tenant = TenantId::new(task.tenant.clone());
            let info = ModelInfo {
                tenant: tenant.clone(),
                family: task.family.clone(),
                tier: TierId::new(task.tier.clone()),
                version,
                units: task.segments.iter().map(|s| UnitId::from(s.unit.as_str())).collect(),
                inputs: interface.inputs.clone(),
                outputs: interface.outputs.clone(),
                synthetic: interface.synthetic,
            };
            let slo = task.slo.as_ref().map(|s| Duration::try_from_secs_f64(s.latency_ms / 1000.0));
            let route =
                Route { state: self.shared.tenant(&tenant), info, stages, slo: slo.and_then(Result::ok) };
            if routes.tenants.insert(tenant, Arc::new(route)).is_some() {
                self.refuse(Reason::WrongBoard, Some(task), None, "the tenant is listed twice".to_owned());
            }
        }
        self.check()?;
        Ok((Arc::new(routes), self.report))
    }
}

/// The cut before `block`; `None` at both ends of the model.
fn cut(loaded: &Loaded, block: u64) -> Option<&Cut> {
    usize::try_from(block).ok()?.checked_sub(1).and_then(|n| loaded.cuts.get(n))
}

fn of_issues(issues: &Issues) -> Reason {
    let has = |codes: &[Code]| issues.list().iter().any(|i| codes.contains(&i.code));
    if has(&[Code::RunCut]) {
        Reason::IllegalCut
    } else if has(&[Code::ModelUnknownOperator, Code::ModelSubgraph]) {
        Reason::UnsupportedOperator
    } else if has(&[Code::ModelTooLarge]) {
        Reason::BadRepository
    } else {
        Reason::RuntimeFailed
    }
}

struct UnitOutcome {
    stages: Vec<Stage>,
    took: Took,
    refusals: Vec<Refusal>,
}

/// Makes a unit's stages, one after the other.
fn load_unit(shared: &Shared, unit: usize, list: Vec<(TenantId, Blueprint)>) -> UnitOutcome {
    let mut outcome = UnitOutcome { stages: Vec::new(), took: Took::default(), refusals: Vec::new() };
    let Some(unit) = shared.units.get(unit).map(|u| &u.settings) else { return outcome };
    let refusal = |tenant: Option<TenantId>, (reason, message)| Refusal {
        reason,
        tenant,
        unit: Some(unit.id.clone()),
        message,
    };
    let bound = if unit.cores.is_empty() { Ok(()) } else { cores::bind(&unit.cores) };
    let ready = bound
        .map_err(|message| (Reason::UnknownUnit, message))
        .and_then(|()| provider::check(&unit.provider));
    if let Err(failure) = ready {
        outcome.refusals.push(refusal(None, failure));
        return outcome;
    }
    for (tenant, blueprint) in list {
        match Stage::make(blueprint, unit, &*shared.clock) {
            Ok((stage, took)) => {
                outcome.took.load += took.load;
                outcome.took.warm += took.warm;
                outcome.stages.push(stage);
            }
            Err(failure) => outcome.refusals.push(refusal(Some(tenant), failure)),
        }
    }
    outcome
}
