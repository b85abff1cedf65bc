//! What the runtime's threads share, and what they do to a request.

use super::convert::to_tensor;
use super::queue::Queue;
use super::route::{Flight, Routes, TenantState};
use super::settings::{Settings, UnitSettings};
use crate::clock::Clock;
use crate::runtime::counters::{self, Served, UnitCounters};
use crate::runtime::port::{InferError, InferResponse, PlanVersion, Switched};
use ecomap_instances::ids::TenantId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::Duration;

/// A unit: what waits for it and what it did.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) settings: UnitSettings,
    pub(super) queue: Queue<Flight>,
    pub(super) counts: Mutex<UnitCounters>,
}

/// What the janitor is told.
#[derive(Debug)]
pub(super) enum Waste {
    /// Let go of a plan; if nobody else holds it, its sessions end here and not on a unit's worker.
    Plan(Arc<Routes>),
    /// Nothing more comes.
    End,
}

/// State of the runtime.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) units: Vec<Unit>,
    pub(super) closed: AtomicBool,
    pub(super) waste: SyncSender<Waste>,
    routes: RwLock<Arc<Routes>>,
    replaced: Mutex<Vec<Weak<Routes>>>,
    tenants: RwLock<BTreeMap<TenantId, Arc<TenantState>>>,
}

impl Shared {
    pub(super) fn new(settings: Settings, clock: Arc<dyn Clock>, waste: SyncSender<Waste>) -> Self {
        let units = settings.units.iter().map(|settings| Unit {
            settings: settings.clone(),
            queue: Queue::new(),
            counts: Mutex::default(),
        });
        Self {
            units: units.collect(),
            settings,
            clock,
            closed: AtomicBool::new(false),
            waste,
            routes: RwLock::default(),
            replaced: Mutex::default(),
            tenants: RwLock::default(),
        }
    }

    /// The plan that new requests are routed by.
    pub(super) fn routes(&self) -> Arc<Routes> {
        Arc::clone(&self.routes.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Switches to another plan, in one step.
    pub(super) fn switch(&self, version: PlanVersion, next: Arc<Routes>) -> Switched {
        for route in next.tenants.values() {
            route.state.named.store(true, Ordering::Release);
        }
        let begun = self.clock.now();
        let old = {
            let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *routes, next)
        };
        let took = self.clock.now().saturating_sub(begun);
        let replaced = old.version;
        let mut list = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|plan| plan.strong_count() > 0);
        list.push(Arc::downgrade(&old));
        drop(list);
        self.discard(old);
        Switched { version, replaced, took }
    }

    /// Replaced plans that are still held by requests.
    pub(super) fn draining(&self) -> Vec<Arc<Routes>> {
        let list = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        // The empty plan at the beginning is none.
        list.iter().filter_map(Weak::upgrade).filter(|p| p.version.is_some()).collect()
    }

    /// Lets go of a plan where nobody waits.
    pub(super) fn discard(&self, plan: Arc<Routes>) {
        // A janitor that is that far behind, or gone: then it ends here.
        let _ = self.waste.try_send(Waste::Plan(plan));
    }

    /// What is kept of a tenant, made when it is new.
    pub(super) fn tenant(&self, id: &TenantId) -> Arc<TenantState> {
        if let Some(state) = self.known(id) {
            return state;
        }
        let mut tenants = self.tenants.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tenants.entry(id.clone()).or_default())
    }

    /// What is kept of a tenant, if anything is.
    pub(super) fn known(&self, id: &TenantId) -> Option<Arc<TenantState>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    /// Everything that is kept of tenants.
    pub(super) fn tenants(&self) -> BTreeMap<TenantId, Arc<TenantState>> {
        self.tenants.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a request into the queue of its next stage.
    pub(super) fn enqueue(&self, flight: Flight) {
        let unit = flight.route.stages.get(flight.stage).and_then(|s| self.units.get(s.key.unit));
        let refused = match unit {
            Some(unit) => unit.queue.push(flight.deadline, flight).err(),
            None => Some(flight),
        };
        if let Some(flight) = refused {
            self.finish(flight, Err(InferError::Closed));
        }
    }

    /// Runs a request's next stage on `unit`, and hands it on.
    pub(super) fn step(&self, unit: &Unit, mut flight: Flight) {
        if self.closed.load(Ordering::Acquire) {
            return self.finish(flight, Err(InferError::Closed));
        }
        if flight.answer.as_ref().is_none_or(tokio::sync::oneshot::Sender::is_closed) {
            flight.route.state.counts().abandoned += 1;
            return self.end(flight);
        }
        let begun = self.clock.now();
        if flight.expires.is_some_and(|e| begun >= e) {
            flight.route.state.counts().expired += 1;
            return self.finish(flight, Err(InferError::Expired));
        }
        let Some(stage) = flight.route.stages.get(flight.stage).cloned() else {
            return self.finish(flight, Err(InferError::Failed("no such stage".to_owned())));
        };
        let result = stage.run(std::mem::take(&mut flight.values));
        let spent = self.clock.now().saturating_sub(begun);
        flight.busy += spent;
        {
            let mut counts = unit.counts.lock().unwrap_or_else(PoisonError::into_inner);
            counts.busy += spent;
            *counts.by_tenant.entry(flight.route.info.tenant.clone()).or_default() += spent;
        }
        match result {
            Ok(values) => flight.values = values,
            Err(message) => {
                flight.route.state.counts().failed += 1;
                return self.finish(flight, Err(InferError::Failed(message)));
            }
        }
        flight.stage += 1;
        if flight.stage < flight.route.stages.len() {
            self.enqueue(flight);
        } else {
            self.complete(flight);
        }
    }

    /// Answers a request whose last stage has run.
    fn complete(&self, flight: Flight) {
        let names = flight.route.info.outputs.iter().map(|o| o.name.as_str());
        let wanted: Vec<&str> = if flight.wanted.is_empty() {
            names.collect()
        } else {
            flight.wanted.iter().map(String::as_str).collect()
        };
        let outputs: Result<Vec<_>, String> = wanted
            .into_iter()
            .map(|name| match flight.values.iter().find(|(n, _)| n == name) {
                Some((_, value)) => to_tensor(name, value),
                None => Err(format!("the model gave no `{name}`")),
            })
            .collect();
        let latency = self.clock.now().saturating_sub(flight.arrived);
        let outputs = match outputs {
            Ok(outputs) => outputs,
            Err(message) => {
                flight.route.state.counts().failed += 1;
                return self.finish(flight, Err(InferError::Failed(message)));
            }
        };
        let info = &flight.route.info;
        let limit = flight.expires.map(|e| e.saturating_sub(flight.arrived)).or(flight.route.slo);
        {
            let mut counts = flight.route.state.counts();
            if let Some(served) = served(&mut counts.served, &info.tier) {
                counters::record(&mut served.latency_us, latency);
                served.late += u64::from(limit.is_some_and(|limit| latency > limit));
            }
        }
        let response = InferResponse {
            outputs,
            tier: info.tier.clone(),
            version: info.version,
            latency,
            busy: flight.busy,
        };
        self.finish(flight, Ok(response));
    }

    fn finish(&self, mut flight: Flight, answer: Result<InferResponse, InferError>) {
        let sender = flight.answer.take();
        self.end(flight);
        if let Some(sender) = sender {
            // A client that went away is no error.
            let _ = sender.send(answer);
        }
    }

    /// Ends a request: it is no longer under way, and its plan may end.
    fn end(&self, flight: Flight) {
        let plan = Arc::clone(&flight.plan);
        drop(flight);
        if !Arc::ptr_eq(&plan, &self.routes()) {
            self.discard(plan);
        }
    }

    /// Time by which a request without a deadline of its own is to be answered.
    pub(super) const fn patience(slo: Option<Duration>) -> Duration {
        match slo {
            Some(slo) => slo,
            None => Duration::from_secs(1),
        }
    }
}

fn served<'a>(
    all: &'a mut BTreeMap<ecomap_instances::ids::TierId, Served>,
    tier: &ecomap_instances::ids::TierId,
) -> Option<&'a mut Served> {
    if !all.contains_key(tier) {
        let latency_us = counters::latencies()?;
        all.insert(tier.clone(), Served { latency_us, late: 0 });
    }
    all.get_mut(tier)
}
