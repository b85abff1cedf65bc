//! Models on this machine, by ONNX Runtime.
//!
//! Each unit has one worker thread, bound to the unit's cores, and one queue, earliest deadline
//! first. A tenant's segments are stages: a request goes through them from unit to unit, so that
//! several requests of a tenant are under way at once, each on another unit. A plan is a table of
//! routes; a request keeps the plan that took it in until it is answered, so an old plan's sessions
//! end with its last request.
//!
//! 1. [`settings`] describes the board's units.
//! 2. `prepare` turns orders into stages: reads models ([`crate::repository`]), cuts them
//!    ([`ecomap_graph::Surgery`]), reckons memory, makes and warms sessions (`provider`, `stage`).
//!    Stages that the running plan has are shared.
//! 3. `route` and `shared` are what requests go through; `queue` orders them.
//! 4. [`fallback`] tells where nodes ran; `convert` copies tensors in and out.

mod convert;
pub mod fallback;
mod memory;
mod prepare;
mod provider;
mod queue;
mod route;
pub mod settings;
mod shared;
mod stage;

pub use settings::{Fallback, Provider, Settings, UnitSettings};

use super::counters::{Counters, TenantCounters, UnitCounters};
use super::port::{
    Basis, InferError, InferRequest, ModelInfo, Pending, PlanVersion, Prepared, Runtime, Staged, Switched,
    pending,
};
use super::refusal::Refused;
use crate::ExecutorError;
use crate::clock::Clock;
use crate::orders::Orders;
use ecomap_instances::ids::{TenantId, UnitId};
use ecomap_onnxruntime::cores;
use route::{Flight, Route, Routes};
use shared::{Shared, Waste};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Replaced plans that may wait for the janitor.
const WASTE: usize = 64;

/// ONNX Runtime on this machine's units. Dropping it answers what is under way with
/// [`InferError::Closed`] and ends its threads.
#[derive(Debug)]
pub struct OrtRuntime {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    janitor: Option<JoinHandle<()>>,
}

impl OrtRuntime {
    /// Starts the units' workers, with no plan yet.
    ///
    /// # Errors
    /// [`ExecutorError::Unit`] when a worker cannot have its cores, [`ExecutorError::Start`] when a
    /// thread cannot be started.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, ExecutorError> {
        let (waste, bin) = mpsc::sync_channel(WASTE);
        let shared = Arc::new(Shared::new(settings, clock, waste));
        let janitor = std::thread::Builder::new().name("janitor".to_owned());
        let janitor = janitor.spawn(move || {
            while let Ok(Waste::Plan(plan)) = bin.recv() {
                drop(plan);
            }
        });
        let janitor = Some(janitor.map_err(ExecutorError::Start)?);
        let mut runtime = Self { shared, threads: Vec::new(), janitor };
        for unit in 0..runtime.shared.units.len() {
            runtime.start(unit)?;
        }
        Ok(runtime)
    }

    fn start(&mut self, unit: usize) -> Result<(), ExecutorError> {
        let shared = Arc::clone(&self.shared);
        let Some(settings) = shared.units.get(unit).map(|u| u.settings.clone()) else { return Ok(()) };
        let (bound, outcome) = mpsc::sync_channel(1);
        let builder = std::thread::Builder::new().name(format!("unit-{}", settings.id));
        let thread = builder.spawn(move || {
            let result = if settings.cores.is_empty() { Ok(()) } else { cores::bind(&settings.cores) };
            let fine = result.is_ok();
            let _ = bound.send(result);
            if let (true, Some(unit)) = (fine, shared.units.get(unit)) {
                while let Some(flight) = unit.queue.pop() {
                    shared.step(unit, flight);
                }
            }
        });
        self.threads.push(thread.map_err(ExecutorError::Start)?);
        match outcome.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(message)) => Err(ExecutorError::Unit { unit: self.id(unit), message }),
            Err(e) => Err(ExecutorError::Unit { unit: self.id(unit), message: e.to_string() }),
        }
    }

    fn id(&self, unit: usize) -> UnitId {
        self.shared.units.get(unit).map_or_else(|| UnitId::from(""), |u| u.settings.id.clone())
    }

    fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        for unit in &self.shared.units {
            unit.queue.close();
        }
    }
}

impl Drop for OrtRuntime {
    fn drop(&mut self) {
        self.close();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let _ = self.shared.waste.send(Waste::End);
        if let Some(janitor) = self.janitor.take() {
            let _ = janitor.join();
        }
    }
}

/// A prepared plan; until it is committed, only this holds its new sessions.
struct StagedRoutes {
    shared: Arc<Shared>,
    version: PlanVersion,
    routes: Arc<Routes>,
}

impl Staged for StagedRoutes {
    fn commit(self: Box<Self>) -> Switched {
        self.shared.switch(self.version, self.routes)
    }
}

impl Runtime for OrtRuntime {
    fn basis(&self) -> Basis {
        Basis::Measured
    }

    fn prepare(&self, version: PlanVersion, orders: &Orders) -> Result<Prepared, Refused> {
        let (routes, report) = prepare::prepare(&self.shared, version, orders)?;
        let staged = StagedRoutes { shared: Arc::clone(&self.shared), version, routes };
        Ok(Prepared::new(version, report, Box::new(staged)))
    }

    fn running(&self) -> Option<PlanVersion> {
        self.shared.routes().version
    }

    fn draining(&self) -> usize {
        self.shared.draining().len()
    }

    fn tenants(&self) -> Vec<TenantId> {
        self.shared.routes().tenants.keys().cloned().collect()
    }

    fn model(&self, tenant: &TenantId) -> Option<ModelInfo> {
        self.shared.routes().tenants.get(tenant).map(|r| r.info.clone())
    }

    fn infer(
        &self,
        tenant: &TenantId,
        request: InferRequest,
        within: Option<Duration>,
    ) -> Result<Pending, InferError> {
        let arrived = self.shared.clock.now();
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(InferError::Closed);
        }
        let plan = self.shared.routes();
        let Some(route) = plan.tenants.get(tenant).cloned() else {
            let named = self.shared.known(tenant).is_some_and(|s| s.named.load(Ordering::Acquire));
            return Err(if named { InferError::NotServed } else { InferError::UnknownTenant });
        };
        route.state.counts().arrivals += 1;
        let most = self.shared.settings.under_way;
        let admit = |n: usize| (n < most).then_some(n + 1);
        if route.state.under_way.fetch_update(Ordering::AcqRel, Ordering::Acquire, admit).is_err() {
            route.state.counts().busy += 1;
            return Err(InferError::Busy(most));
        }
        let (answer, pending) = pending();
        // From here on dropping the flight gives its place back.
        let mut flight = Flight {
            deadline: arrived + within.unwrap_or(Shared::patience(route.slo)),
            route,
            plan,
            stage: 0,
            values: Vec::new(),
            wanted: request.outputs.clone(),
            arrived,
            expires: within.map(|w| arrived + w),
            busy: Duration::ZERO,
            answer: Some(answer),
        };
        flight.values = match values(&flight.route, &request) {
            Ok(values) => values,
            Err(message) => {
                flight.route.state.counts().invalid += 1;
                return Err(InferError::Invalid(message));
            }
        };
        self.shared.enqueue(flight);
        Ok(pending)
    }

    fn counters(&self) -> Counters {
        let routes = self.shared.routes();
        let mut tenants: BTreeMap<TenantId, TenantCounters> = BTreeMap::new();
        for (id, state) in self.shared.tenants() {
            if state.named.load(Ordering::Acquire) {
                let mut counts = state.counts().clone();
                counts.tier = routes.tenants.get(&id).map(|r| r.info.tier.clone());
                counts.under_way = state.under_way.load(Ordering::Acquire) as u64;
                tenants.insert(id, counts);
            }
        }
        let units = self.shared.units.iter().map(|unit| {
            let counts = unit.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
            (unit.settings.id.clone(), UnitCounters { waiting: unit.queue.len() as u64, ..counts })
        });
        Counters { at: self.shared.clock.now(), version: routes.version, tenants, units: units.collect() }
    }
}

/// The request's inputs as the first stage takes them.
fn values(route: &Route, request: &InferRequest) -> Result<stage::Values, String> {
    let info = &route.info;
    for tensor in &request.inputs {
        if !info.inputs.iter().any(|i| i.name == tensor.name()) {
            return Err(format!("the model has no input `{}`", tensor.name()));
        }
    }
    for (n, name) in request.outputs.iter().enumerate() {
        if !info.outputs.iter().any(|o| o.name == *name) {
            return Err(format!("the model has no output `{name}`"));
        }
        if request.outputs.iter().take(n).any(|o| o == name) {
            return Err(format!("output `{name}` is asked for twice"));
        }
    }
    let mut values = stage::Values::with_capacity(info.inputs.len());
    for input in &info.inputs {
        let mut given = request.inputs.iter().filter(|t| t.name() == input.name);
        let (Some(tensor), None) = (given.next(), given.next()) else {
            return Err(format!("input `{}` must be given once", input.name));
        };
        if tensor.datatype() != input.datatype || tensor.shape() != input.shape {
            return Err(format!(
                "input `{}` is {} {:?}, the model takes {} {:?}",
                input.name,
                tensor.datatype(),
                tensor.shape(),
                input.datatype,
                input.shape
            ));
        }
        values.push((input.name.clone(), convert::to_value(tensor)?));
    }
    Ok(values)
}
