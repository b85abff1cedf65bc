//! The emulated board as a runtime.

use crate::clock::WallClock;
use crate::emulate::answers::Answers;
use crate::emulate::placed::{Placed, Rules, place};
use crate::emulate::world::{Plan, World, at};
use crate::orders::Orders;
use crate::runtime::{
    Basis, Counters, InferError, InferRequest, InferResponse, ModelInfo, Pending, PlanVersion, PrepareReport,
    Prepared, Refused, Runtime, Staged, Switched, pending,
};
use ecomap_instances::ids::TenantId;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Runs nothing, and says how long it would have taken.
#[derive(Debug)]
pub struct EmulatedRuntime {
    pub(super) world: Arc<Mutex<World>>,
    pub(super) rules: Rules,
    pub(super) clock: Arc<dyn WallClock>,
    pub(super) answers: Answers,
    pub(super) speed: f64,
    pub(super) draws: Mutex<ChaCha8Rng>,
}

impl EmulatedRuntime {
    pub(super) fn new(
        world: Arc<Mutex<World>>,
        rules: Rules,
        clock: Arc<dyn WallClock>,
        speed: f64,
        seed: u64,
    ) -> std::io::Result<Self> {
        let answers = Answers::start(Arc::clone(&clock))?;
        let draws = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        Ok(Self { world, rules, clock, answers, speed, draws })
    }

    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn draw(&self) -> f64 {
        self.draws.lock().unwrap_or_else(PoisonError::into_inner).random()
    }
}

/// The board behind its lock. A thread that panicked has left whole counters behind: they are changed in one go.
pub(super) fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Placement {
    plan: Arc<Plan>,
    world: Arc<Mutex<World>>,
    clock: Arc<dyn WallClock>,
}

impl Staged for Placement {
    fn commit(self: Box<Self>) -> Switched {
        let version = self.plan.version;
        let begun = self.clock.now();
        let replaced = lock(&self.world).switch(self.plan);
        Switched { version, replaced, took: self.clock.now().saturating_sub(begun) }
    }
}

impl Runtime for EmulatedRuntime {
    fn basis(&self) -> Basis {
        Basis::Emulated
    }

    fn prepare(&self, version: PlanVersion, orders: &Orders) -> Result<Prepared, Refused> {
        let profile = Arc::clone(&self.world().profile);
        let tenants = place(self.rules, &profile, orders)?;
        let plan = Arc::new(Plan { version, tenants });
        let staged = Placement { plan, world: Arc::clone(&self.world), clock: Arc::clone(&self.clock) };
        // No session is made, so none is counted and no time is claimed for it.
        Ok(Prepared::new(version, PrepareReport::default(), Box::new(staged)))
    }

    fn running(&self) -> Option<PlanVersion> {
        self.world().counters.version
    }

    fn draining(&self) -> usize {
        0
    }

    fn tenants(&self) -> Vec<TenantId> {
        let world = self.world();
        let mut tenants: Vec<_> =
            world.plan.iter().flat_map(|p| &p.tenants).map(|t| t.tenant.clone()).collect();
        tenants.sort();
        tenants
    }

    fn model(&self, tenant: &TenantId) -> Option<ModelInfo> {
        let world = self.world();
        let plan = world.plan.as_ref()?;
        let placed = plan.tenants.iter().find(|t| t.tenant == *tenant)?;
        Some(ModelInfo {
            tenant: tenant.clone(),
            family: placed.family.id.to_string(),
            tier: placed.tier_id()?.clone(),
            version: plan.version,
            units: placed.units(&world.profile),
            // No model is there, so it takes and gives no tensors.
            inputs: Vec::new(),
            outputs: Vec::new(),
            synthetic: true,
        })
    }

    fn infer(
        &self,
        tenant: &TenantId,
        _: InferRequest,
        within: Option<Duration>,
    ) -> Result<Pending, InferError> {
        let (response, real) = {
            let world = self.world();
            let placed = find(&world, tenant)?;
            let (plan, tier) = (world.counters.version, placed.tier_id());
            let (Some(version), Some(tier)) = (plan, tier) else { return Err(InferError::NotServed) };
            let Some(curve) = world.curves.get(tenant.as_str()) else {
                let what = "emulated: nothing has been simulated for this tenant yet".to_owned();
                return Err(InferError::Failed(what));
            };
            let latency = Duration::from_secs_f64(at(self.draw(), curve).clamp(0.0, 1e9) / 1e3);
            if within.is_some_and(|within| latency > within) {
                return Err(InferError::Expired);
            }
            let response = InferResponse {
                outputs: Vec::new(),
                tier: tier.clone(),
                version,
                latency,
                // Not told apart by the simulator for single requests.
                busy: Duration::ZERO,
            };
            (response, latency.div_f64(self.speed))
        };
        let (answer, pending) = pending();
        self.answers.later(self.clock.now() + real, answer, response)?;
        Ok(pending)
    }

    fn counters(&self) -> Counters {
        self.world().counters.clone()
    }
}

fn find<'a>(world: &'a World, tenant: &TenantId) -> Result<&'a Placed, InferError> {
    let served = world.plan.as_ref().and_then(|p| p.tenants.iter().find(|t| t.tenant == *tenant));
    let known = world.counters.tenants.contains_key(tenant);
    served.ok_or(if known { InferError::NotServed } else { InferError::UnknownTenant })
}
