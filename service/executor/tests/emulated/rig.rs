//! An agent with its hands tied: a clock that stands, power modes and a runtime that tell what they were asked.

use ecomap_executor::agent::store::Store;
use ecomap_executor::agent::{Agent, Board, Gate, Handle, Limits, Problem};
use ecomap_executor::clock::{Clock, WallClock};
use ecomap_executor::emulate::{EmulatedBoard, Setup};
use ecomap_executor::orders::Orders;
use ecomap_executor::power::{PowerError, PowerModes};
use ecomap_executor::runtime::{
    Basis, Counters, InferError, InferRequest, ModelInfo, Pending, PlanVersion, Prepared, Refused, Runtime,
    Staged, Switched,
};
use ecomap_instances::Catalog;
use ecomap_instances::format::agent_v1::{
    AgentStatusDto, CommittedDto, PreparedDto, plan_path, signed_bytes,
};
use ecomap_instances::format::orders_v1::{FORMAT, ObjectiveDto, OrdersDto, TaskDto};
use ecomap_instances::format::result_v1::LatencyDto;
use ecomap_instances::format::scenario_v1::SegmentDto;
use ecomap_instances::ids::TenantId;
use ecomap_instances::profile::Profile;
use ecomap_instances::scenario::Quantile;
use ed25519_dalek::{Signer, SigningKey};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const DEVICE: &str = "xavier-1";
pub(crate) const PROFILE: &str = "jetson-agx-xavier";
const EPOCH_MS: u64 = 1_800_000_000_000;

/// A clock that is moved by hand.
#[derive(Debug, Default)]
pub(crate) struct Hand(AtomicU64);

impl Hand {
    pub(crate) fn forward(&self, seconds: u64) {
        self.0.fetch_add(1000 * seconds, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, moment: Duration) {
        while self.now() < moment {
            std::thread::yield_now();
        }
    }
}

impl WallClock for Hand {
    fn unix_ms(&self) -> u64 {
        EPOCH_MS + self.0.load(Ordering::SeqCst)
    }
}

/// What happened, in order.
pub(crate) type Log = Arc<Mutex<Vec<String>>>;

/// Modes that tell what they were asked, and may refuse.
#[derive(Debug)]
pub(crate) struct Modes {
    inner: Box<dyn PowerModes>,
    log: Log,
    stuck: Arc<AtomicBool>,
}

impl PowerModes for Modes {
    fn known(&self) -> Result<Vec<String>, PowerError> {
        self.inner.known()
    }

    fn current(&self) -> Result<String, PowerError> {
        self.inner.current()
    }

    fn set(&mut self, mode: &str) -> Result<(), PowerError> {
        if self.stuck.load(Ordering::SeqCst) && self.current()? != mode {
            return Err(PowerError::NeedsReboot { mode: mode.to_owned() });
        }
        self.log.lock().unwrap().push(format!("mode {mode}"));
        self.inner.set(mode)
    }
}

/// A runtime that tells when it switches, and prepares only while the gate is open.
#[derive(Debug)]
pub(crate) struct Watched {
    inner: Arc<dyn Runtime>,
    log: Log,
    open: Arc<(Mutex<bool>, Condvar)>,
}

struct Told(Prepared, Log);

impl Staged for Told {
    fn commit(self: Box<Self>) -> Switched {
        let switched = self.0.commit();
        self.1.lock().unwrap().push(format!("switch {}", switched.version));
        switched
    }
}

impl Runtime for Watched {
    fn basis(&self) -> Basis {
        self.inner.basis()
    }

    fn prepare(&self, version: PlanVersion, orders: &Orders) -> Result<Prepared, Refused> {
        let (open, changed) = &*self.open;
        drop(changed.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
        let prepared = self.inner.prepare(version, orders)?;
        let report = prepared.report().clone();
        Ok(Prepared::new(version, report, Box::new(Told(prepared, Arc::clone(&self.log)))))
    }

    fn running(&self) -> Option<PlanVersion> {
        self.inner.running()
    }

    fn draining(&self) -> usize {
        self.inner.draining()
    }

    fn tenants(&self) -> Vec<TenantId> {
        self.inner.tenants()
    }

    fn model(&self, tenant: &TenantId) -> Option<ModelInfo> {
        self.inner.model(tenant)
    }

    fn infer(&self, t: &TenantId, r: InferRequest, w: Option<Duration>) -> Result<Pending, InferError> {
        self.inner.infer(t, r, w)
    }

    fn counters(&self) -> Counters {
        self.inner.counters()
    }
}

pub(crate) fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

pub(crate) fn public() -> String {
    hex(key().verifying_key().as_bytes())
}

pub(crate) fn sign(method: &str, path: &str, body: &[u8]) -> String {
    format!("ed25519 {}", hex(&key().sign(&signed_bytes(DEVICE, method, path, body)).to_bytes()))
}

pub(crate) fn profile() -> Arc<Profile> {
    Arc::clone(Catalog::embedded().unwrap().profile(PROFILE).unwrap())
}

/// A tenant's model, whole, on one unit.
pub(crate) fn task(tenant: &str, family: &str, tier: usize, unit: &str) -> TaskDto {
    let family = Catalog::embedded().unwrap().family(family).unwrap();
    let tier = &family.tiers[tier];
    let latency = |ms: f64| LatencyDto { p50: ms, p95: 1.2 * ms, p99: 1.3 * ms };
    TaskDto {
        tenant: tenant.to_owned(),
        family: family.id.to_string(),
        tier: tier.id.to_string(),
        segments: vec![SegmentDto {
            from_block: 0,
            to_block: tier.blocks.len() as u64,
            unit: unit.to_owned(),
        }],
        rate_per_s: 20.0,
        slo: Some(ObjectiveDto { quantile: Quantile::P95, limit_ms: 60.0 }),
        network_ms: 5.0,
        predicted_ms: latency(25.0),
        isolated_ms: latency(20.0),
        power_w: 1.0,
    }
}

/// Orders with one tenant on the GPU.
pub(crate) fn orders(version: u64, mode: &str) -> OrdersDto {
    let profile = profile();
    let described = &profile.modes[profile.mode_position(mode).unwrap()];
    OrdersDto {
        format: FORMAT.to_owned(),
        version,
        device: DEVICE.to_owned(),
        site: "campus".to_owned(),
        profile: PROFILE.to_owned(),
        mode: Some(mode.to_owned()),
        power_w: described.idle.get() + 1.0,
        budget_w: Some(described.board_budget().get()),
        lease_s: None,
        tasks: vec![task("cam", "resnet", 0, "gpu")],
    }
}

/// One agent on one emulated board.
pub(crate) struct Rig {
    pub(crate) folder: TempDir,
    pub(crate) clock: Arc<Hand>,
    pub(crate) emulated: EmulatedBoard,
    pub(crate) log: Log,
    pub(crate) stuck: Arc<AtomicBool>,
    pub(crate) open: Arc<(Mutex<bool>, Condvar)>,
    pub(crate) limits: Limits,
    agent: Option<Agent>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Limits { safe_mode: Some("15W".to_owned()), prepared_for: Duration::from_secs(120) })
    }

    pub(crate) fn with(limits: Limits) -> Self {
        let clock = Arc::new(Hand::default());
        let emulated = emulated(&clock);
        let mut rig = Self {
            folder: tempfile::tempdir().unwrap(),
            clock,
            emulated,
            log: Log::default(),
            stuck: Arc::default(),
            open: Arc::new((Mutex::new(true), Condvar::new())),
            limits,
            agent: None,
        };
        rig.start();
        rig
    }

    fn start(&mut self) {
        let runtime = Watched {
            inner: self.emulated.runtime(),
            log: Arc::clone(&self.log),
            open: Arc::clone(&self.open),
        };
        let modes = Modes {
            inner: self.emulated.modes(),
            log: Arc::clone(&self.log),
            stuck: Arc::clone(&self.stuck),
        };
        let gate = Gate::new(DEVICE, &public()).unwrap();
        let store = Store::open(&self.state()).unwrap();
        let board = Board::new(
            (DEVICE, profile()),
            (Arc::new(runtime), Box::new(modes)),
            (gate, store),
            self.limits.clone(),
            Arc::clone(&self.clock) as Arc<dyn WallClock>,
        );
        self.agent = Some(Agent::start(board.unwrap()).unwrap());
    }

    pub(crate) fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn state_file(&self) -> std::path::PathBuf {
        Path::new(&self.state()).join("state")
    }

    pub(crate) fn handle(&self) -> Handle {
        self.agent.as_ref().unwrap().handle()
    }

    /// Ends the agent and its board, changes something, and starts both again.
    pub(crate) async fn restart(&mut self, between: impl FnOnce(&Self)) {
        self.agent = None;
        self.emulated = emulated(&self.clock);
        self.log.lock().unwrap().clear();
        between(self);
        self.start();
        // The first message is answered when the last plan has been brought back.
        let _ = self.handle().abort(0).await;
    }

    pub(crate) async fn prepare(&self, orders: &OrdersDto) -> Result<PreparedDto, Problem> {
        let body = serde_json::to_vec(orders).unwrap();
        let signature = sign("PUT", &plan_path(orders.version), &body);
        self.handle().prepare(body, signature).await
    }

    pub(crate) async fn run(&self, orders: &OrdersDto) -> Result<CommittedDto, Problem> {
        self.prepare(orders).await?;
        self.handle().commit(orders.version).await
    }

    pub(crate) fn status(&self) -> AgentStatusDto {
        self.handle().status().borrow().clone()
    }

    /// Waits until the agent is in a state.
    pub(crate) async fn until(&self, what: impl Fn(&AgentStatusDto) -> bool) -> AgentStatusDto {
        let mut status = self.handle().status();
        let found = status.wait_for(|s| what(s));
        tokio::time::timeout(Duration::from_secs(60), found).await.expect("it never came").unwrap().clone()
    }

    pub(crate) fn told(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    pub(crate) fn set_open(&self, open: bool) {
        *self.open.0.lock().unwrap() = open;
        self.open.1.notify_all();
    }
}

fn emulated(clock: &Arc<Hand>) -> EmulatedBoard {
    EmulatedBoard::new(profile(), Setup::default(), Arc::clone(clock) as Arc<dyn WallClock>).unwrap()
}
