//! Boards of a fleet that can be killed, cut off, slowed and restarted.

use ecomap_dispatch::{Board, HttpLink, Key, Link, LinkError};
use ecomap_executor::agent::store::Store;
use ecomap_executor::agent::{Agent, Board as AgentBoard, Gate, Handle, Limits, http};
use ecomap_executor::clock::{SystemClock, WallClock};
use ecomap_executor::emulate::{EmulatedBoard, Setup};
use ecomap_executor::orders::Orders;
use ecomap_executor::power::{PowerError, PowerModes};
use ecomap_executor::runtime::{
    Basis, Counters, InferError, InferRequest, ModelInfo, Pending, PlanVersion, Prepared, Refused, Runtime,
};
use ecomap_instances::Catalog;
use ecomap_instances::format::agent_v1::{AgentStatusDto, CommittedDto, PreparedDto, RenewDto};
use ecomap_instances::format::orders_v1::{FORMAT, OrdersDto, TaskDto};
use ecomap_instances::format::result_v1::LatencyDto;
use ecomap_instances::format::scenario_v1::SegmentDto;
use ecomap_instances::ids::TenantId;
use ecomap_instances::profile::Profile;
use futures_util::future::BoxFuture;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const PROFILE: &str = "jetson-agx-xavier";
/// Changes of power modes of all boards, in the order in which they happened.
pub(crate) type Log = Arc<Mutex<Vec<(String, String)>>>;

pub(crate) fn profile() -> Arc<Profile> {
    Arc::clone(Catalog::embedded().unwrap().profile(PROFILE).unwrap())
}

pub(crate) fn key() -> Arc<Key> {
    Arc::new(Key::new(&"0f".repeat(32)).unwrap())
}

/// A task of a model in the catalogue.
pub(crate) fn task(tenant: &str, tier: usize) -> TaskDto {
    let family = Catalog::embedded().unwrap().family("resnet").unwrap();
    let latency = |ms: f64| LatencyDto { p50: ms, p95: 1.2 * ms, p99: 1.3 * ms };
    let blocks = family.tiers[tier].blocks.len() as u64;
    TaskDto {
        tenant: tenant.to_owned(),
        family: "resnet".to_owned(),
        tier: family.tiers[tier].id.to_string(),
        segments: vec![SegmentDto { from_block: 0, to_block: blocks, unit: "gpu".to_owned() }],
        rate_per_s: 10.0,
        slo: None,
        network_ms: 2.0,
        predicted_ms: latency(25.0),
        isolated_ms: latency(20.0),
        power_w: 0.5,
    }
}

/// Orders for one board in a mode.
pub(crate) fn orders(version: u64, device: &str, mode: &str) -> OrdersDto {
    let profile = profile();
    let described = &profile.modes[profile.mode_position(mode).unwrap()];
    let budget = described.board_budget().get();
    OrdersDto {
        format: FORMAT.to_owned(),
        version,
        device: device.to_owned(),
        site: "campus".to_owned(),
        profile: PROFILE.to_owned(),
        mode: Some(mode.to_owned()),
        power_w: budget,
        budget_w: Some(budget),
        lease_s: None,
        tasks: vec![task(&format!("t-{device}"), 0)],
    }
}

/// What a board in a mode may draw.
pub(crate) fn draw(mode: &str) -> f64 {
    let profile = profile();
    profile.modes[profile.mode_position(mode).unwrap()].board_budget().get()
}

/// Modes that tell when they change.
#[derive(Debug)]
struct Modes(Box<dyn PowerModes>, String, Log);

impl PowerModes for Modes {
    fn known(&self) -> Result<Vec<String>, PowerError> {
        self.0.known()
    }

    fn current(&self) -> Result<String, PowerError> {
        self.0.current()
    }

    fn set(&mut self, mode: &str) -> Result<(), PowerError> {
        self.0.set(mode)?;
        self.2.lock().unwrap().push((self.1.clone(), mode.to_owned()));
        Ok(())
    }
}

/// A runtime that prepares only while its gate is open.
#[derive(Debug)]
struct Slow(Arc<dyn Runtime>, Arc<(Mutex<bool>, Condvar)>);

impl Runtime for Slow {
    fn basis(&self) -> Basis {
        self.0.basis()
    }

    fn prepare(&self, version: PlanVersion, orders: &Orders) -> Result<Prepared, Refused> {
        drop(self.1.1.wait_while(self.1.0.lock().unwrap(), |open| !*open).unwrap());
        self.0.prepare(version, orders)
    }

    fn running(&self) -> Option<PlanVersion> {
        self.0.running()
    }

    fn draining(&self) -> usize {
        self.0.draining()
    }

    fn tenants(&self) -> Vec<TenantId> {
        self.0.tenants()
    }

    fn model(&self, tenant: &TenantId) -> Option<ModelInfo> {
        self.0.model(tenant)
    }

    fn infer(&self, t: &TenantId, r: InferRequest, w: Option<Duration>) -> Result<Pending, InferError> {
        self.0.infer(t, r, w)
    }

    fn counters(&self) -> Counters {
        self.0.counters()
    }
}

struct Alive {
    agent: Agent,
    server: JoinHandle<()>,
    runtime: Arc<dyn Runtime>,
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// One board. Its address stays, also when it is restarted.
pub(crate) struct Node {
    pub(crate) device: String,
    address: SocketAddr,
    folder: TempDir,
    log: Log,
    open: Arc<(Mutex<bool>, Condvar)>,
    alive: Mutex<Option<Alive>>,
}

impl Node {
    pub(crate) async fn new(device: &str, log: &Log) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let node = Arc::new(Self {
            device: device.to_owned(),
            address: listener.local_addr().unwrap(),
            folder: tempfile::tempdir().unwrap(),
            log: Arc::clone(log),
            open: Arc::new((Mutex::new(true), Condvar::new())),
            alive: Mutex::new(None),
        });
        node.start(listener);
        node
    }

    fn start(&self, listener: TcpListener) {
        let clock: Arc<dyn WallClock> = Arc::new(SystemClock::new());
        let emulated = EmulatedBoard::new(profile(), Setup::default(), Arc::clone(&clock)).unwrap();
        let runtime: Arc<dyn Runtime> = Arc::new(Slow(emulated.runtime(), Arc::clone(&self.open)));
        let modes = Box::new(Modes(emulated.modes(), self.device.clone(), Arc::clone(&self.log)));
        let gate = Gate::new(&self.device, &key().public()).unwrap();
        let store = Store::open(self.folder.path()).unwrap();
        let whose = (self.device.as_str(), profile());
        let board =
            AgentBoard::new(whose, (Arc::clone(&runtime), modes), (gate, store), Limits::default(), clock);
        let agent = Agent::start(board.unwrap()).unwrap();
        let server = tokio::spawn(warp::serve(http::routes(agent.handle())).incoming(listener).run());
        *self.alive.lock().unwrap() = Some(Alive { agent, server, runtime });
    }

    /// Ends the agent and all its connections, as if its process had been killed.
    pub(crate) fn kill(&self) {
        self.set_open(true);
        *self.alive.lock().unwrap() = None;
    }

    /// Starts it again, on the same address and state.
    pub(crate) async fn restart(&self) {
        self.kill();
        // The old listener goes with its task, which ends a moment after it was told to.
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        self.start(listener);
        let _ = self.handle().abort(0).await;
    }

    /// From now on nothing can be written where the board keeps its state, as on a disk that is full.
    pub(crate) fn fill_disk(&self) {
        std::fs::rename(self.folder.path(), self.aside()).unwrap();
        std::fs::write(self.folder.path(), "").unwrap();
    }

    /// There is room again.
    pub(crate) fn free_disk(&self) {
        std::fs::remove_file(self.folder.path()).unwrap();
        std::fs::rename(self.aside(), self.folder.path()).unwrap();
    }

    fn aside(&self) -> std::path::PathBuf {
        self.folder.path().with_extension("aside")
    }

    pub(crate) fn set_open(&self, open: bool) {
        *self.open.0.lock().unwrap() = open;
        self.open.1.notify_all();
    }

    pub(crate) fn handle(&self) -> Handle {
        self.alive.lock().unwrap().as_ref().expect("killed").agent.handle()
    }

    pub(crate) fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.alive.lock().unwrap().as_ref().expect("killed").runtime)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn link(&self) -> Arc<dyn Link> {
        Arc::new(HttpLink::new(&self.device, &format!("http://{}", self.address), key()).unwrap())
    }

    pub(crate) fn board(&self, draws_w: Option<f64>) -> Board {
        Board { device: self.device.clone(), link: self.link(), draws_w }
    }

    pub(crate) async fn until(&self, what: impl Fn(&AgentStatusDto) -> bool) -> AgentStatusDto {
        let mut status = self.handle().status();
        let found = status.wait_for(|s| what(s));
        tokio::time::timeout(Duration::from_secs(60), found).await.expect("it never came").unwrap().clone()
    }
}

/// What a link does besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trick {
    /// The answer to so many commits is lost on the way back.
    LoseCommits(u32),
    /// No request arrives any more after the plan was prepared.
    CutAfterPrepare,
}

/// A link that plays tricks.
#[derive(Debug)]
pub(crate) struct Tricky {
    inner: Arc<dyn Link>,
    trick: Trick,
    commits: AtomicU32,
}

impl Tricky {
    pub(crate) fn link(inner: Arc<dyn Link>, trick: Trick) -> Arc<dyn Link> {
        Arc::new(Self { inner, trick, commits: AtomicU32::new(0) })
    }

    fn cut<T>(&self) -> Result<T, LinkError> {
        Err(LinkError::Lost(format!("{:?}", self.trick)))
    }
}

impl Link for Tricky {
    fn prepare<'a>(&'a self, orders: &'a OrdersDto) -> BoxFuture<'a, Result<PreparedDto, LinkError>> {
        self.inner.prepare(orders)
    }

    fn commit(&self, version: u64) -> BoxFuture<'_, Result<CommittedDto, LinkError>> {
        Box::pin(async move {
            match self.trick {
                Trick::CutAfterPrepare => self.cut(),
                Trick::LoseCommits(most) => {
                    let answer = self.inner.commit(version).await?;
                    if self.commits.fetch_add(1, Ordering::SeqCst) < most { self.cut() } else { Ok(answer) }
                }
            }
        })
    }

    fn abort(&self, version: u64) -> BoxFuture<'_, Result<(), LinkError>> {
        match self.trick {
            Trick::CutAfterPrepare => Box::pin(std::future::ready(self.cut())),
            Trick::LoseCommits(_) => self.inner.abort(version),
        }
    }

    fn renew<'a>(&'a self, renewal: &'a RenewDto) -> BoxFuture<'a, Result<(), LinkError>> {
        self.inner.renew(renewal)
    }

    fn status(&self) -> BoxFuture<'_, Result<AgentStatusDto, LinkError>> {
        match self.trick {
            Trick::CutAfterPrepare => Box::pin(std::future::ready(self.cut())),
            Trick::LoseCommits(_) => self.inner.status(),
        }
    }
}
