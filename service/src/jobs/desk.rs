//! Takes jobs, finds them, ends them, and takes up those of an earlier run.

use crate::http::fair::{Priority, Turn};
use crate::http::problem::{Kind, Problem};
use crate::http::state::App;
use crate::jobs::live::Live;
use crate::jobs::metrics::{JobMetrics, PriorityLabel, StateLabel};
use crate::jobs::question::{JobId, Query, Question, State, fingerprint};
use crate::jobs::run;
use ecomap_solver::clock::Clock;
use ecomap_store::{Job, JobHead, Pending, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Jobs that have ended whose events are kept in memory, for those who come back.
const REMEMBERED: usize = 256;
/// Most time for the store to answer.
const STORE_TIME: Duration = Duration::from_secs(30);
/// How often expired jobs are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// Bounds of jobs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobsConfig {
    /// How long an ended job is kept, and with it the answer under its idempotency key.
    pub ttl: Duration,
    /// Most jobs of one owner that have not ended.
    pub most_own: u64,
    /// Most jobs that have not ended.
    pub most_open: u64,
    /// Most bytes of questions and answers in the store.
    pub most_bytes: u64,
    /// Most open event streams.
    pub streams: usize,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(24 * 3600),
            most_own: 200,
            most_open: 5_000,
            most_bytes: 2 << 30,
            streams: 600,
        }
    }
}

/// A solve to take.
#[derive(Debug)]
pub struct Order {
    /// Whose, and how urgent.
    pub turn: Turn,
    /// Parameters of the solve.
    pub query: Query,
    /// The document; JSON.
    pub document: String,
    /// The owner's key for the question.
    pub dedup: Option<String>,
    /// Id of the request.
    pub request: String,
    /// `traceparent` of the request.
    pub trace: String,
}

/// A job taken, now or before.
#[derive(Debug)]
pub struct Taken {
    /// Its name.
    pub id: JobId,
    /// Whether it was taken for an earlier request with the same key.
    pub replayed: bool,
}

/// What became of an order in the store.
enum Placed {
    New,
    Known { id: String, fingerprint: String },
    OwnFull,
    AllFull,
}

#[derive(Debug, Default)]
struct Registry {
    open: HashMap<JobId, Arc<Live>>,
    ended: VecDeque<Arc<Live>>,
}

/// Keeps jobs.
#[derive(Debug)]
pub struct Desk {
    store: Store,
    registry: Mutex<Registry>,
    /// Bounds.
    pub config: JobsConfig,
    /// Tells events of this run of the service from those of another.
    pub boot: u64,
    /// Places for event streams.
    pub streams: Arc<Semaphore>,
    /// Counters.
    pub metrics: JobMetrics,
    clock: Arc<dyn Clock>,
}

impl Desk {
    /// A desk on a store.
    #[must_use]
    pub fn new(store: Store, config: JobsConfig, boot: u64, clock: Arc<dyn Clock>) -> Self {
        let streams = Arc::new(Semaphore::new(config.streams));
        let metrics = JobMetrics::default();
        Self { store, registry: Mutex::default(), config, boot, streams, metrics, clock }
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        // Nothing panics while it is held.
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The part of a job that is in memory, if it is.
    #[must_use]
    pub fn live(&self, id: &JobId) -> Option<Arc<Live>> {
        let registry = self.registry();
        let ended = || registry.ended.iter().find(|l| l.id == *id);
        registry.open.get(id).or_else(ended).cloned()
    }

    /// When a job that ends now is forgotten.
    #[must_use]
    pub fn expiry(&self, now: Timestamp) -> Timestamp {
        SignedDuration::try_from(self.config.ttl)
            .ok()
            .and_then(|ttl| now.checked_add(ttl).ok())
            .unwrap_or(Timestamp::MAX)
    }

    /// The job of an earlier order under the same key, if there is one.
    ///
    /// # Errors
    /// [`Kind::KeyReused`] if it was another question; trouble with the store.
    pub async fn earlier(&self, owner: &str, dedup: &str, print: &str) -> Result<Option<JobId>, Problem> {
        let (owner, dedup) = (owner.to_owned(), dedup.to_owned());
        let found = answer(self.store.read(move |view| view.job_of(&owner, &dedup))).await?;
        found.map(|job| same(&job.id, &job.fingerprint, print)).transpose()
    }

    /// Takes an order: when this returns, it is on the disk.
    ///
    /// # Errors
    /// [`Kind::KeyReused`], [`Kind::TooManyJobs`], [`Kind::JobsFull`]; trouble with the store.
    pub async fn take(&self, app: &Arc<App>, order: &Order) -> Result<Taken, Problem> {
        let print = fingerprint(&order.query, order.document.as_bytes()).map_err(|e| Problem::of(&e, ""))?;
        let id = JobId::generate().map_err(|e| Problem::of(&e, ""))?;
        let now = app.wall.now();
        let job = job_of(&id, order, print.clone(), now, self.expiry(now))?;
        let (most_own, most_open, most_bytes) =
            (self.config.most_own, self.config.most_open, self.config.most_bytes);
        // Known before it is stored: who finds it there by its key must be able to wait for it.
        let live = Live::new(id.clone(), order.turn.clone(), State::Queued, Arc::clone(&self.clock));
        self.registry().open.insert(id.clone(), Arc::clone(&live));
        let placed = answer(self.store.write(move |tx| {
            tx.expire_jobs(now)?;
            if let Some(dedup) = &job.dedup
                && let Some(known) = tx.job_of(&job.owner, dedup)?
            {
                return Ok(Placed::Known { id: known.id, fingerprint: known.fingerprint });
            }
            let used = tx.job_use(&job.owner)?;
            if used.own >= most_own {
                return Ok(Placed::OwnFull);
            }
            if used.open >= most_open || used.bytes.saturating_add(job.request.len() as u64) > most_bytes {
                return Ok(Placed::AllFull);
            }
            match tx.add_job(&job, now) {
                Err(StoreError::Full(_)) => Ok(Placed::AllFull),
                other => other.map(|()| Placed::New),
            }
        }))
        .await;
        if !matches!(placed, Ok(Placed::New)) {
            self.registry().open.remove(&id);
        }
        match placed? {
            Placed::New => {}
            Placed::Known { id, fingerprint } => {
                return Ok(Taken { id: same(&id, &fingerprint, &print)?, replayed: true });
            }
            Placed::OwnFull => {
                let mut problem =
                    Problem::new(Kind::TooManyJobs, format!("{most_own} of your jobs have not ended yet"));
                problem.retry_after_s = Some(5);
                return Err(problem);
            }
            Placed::AllFull => {
                let mut problem = Problem::new(Kind::JobsFull, "the service keeps as many jobs as it may");
                problem.retry_after_s = Some(30);
                return Err(problem);
            }
        }
        self.metrics.accepted.get_or_create(&PriorityLabel { priority: order.turn.priority.as_str() }).inc();
        self.line_up(app, &live);
        Ok(Taken { id, replayed: false })
    }

    /// Puts a job into its owner's queue on the pool.
    fn line_up(&self, app: &Arc<App>, live: &Arc<Live>) {
        self.registry().open.insert(live.id.clone(), Arc::clone(live));
        let (turn, cancel) = (live.turn.clone(), live.cancel.clone());
        // Pool and app hold each other only until the job has run.
        let (app_of_job, live_of_job) = (Arc::clone(app), Arc::clone(live));
        let queued = app.solves.enqueue(&turn, cancel, move || run::run(&app_of_job, &live_of_job));
        if queued.is_err() {
            // The service ends; its next run takes the job up.
            self.registry().open.remove(&live.id);
        }
    }

    /// Takes up the jobs of an earlier run that have not ended.
    ///
    /// # Errors
    /// Trouble with the store.
    pub async fn recover(&self, app: &Arc<App>) -> Result<usize, Problem> {
        let heads = answer(self.store.read(|view| view.open_job_heads(u64::MAX))).await?;
        let count = heads.len();
        for head in heads {
            let Some(id) = JobId::parse(&head.id) else { continue };
            let turn = Turn { owner: Arc::from(head.owner.as_str()), priority: priority(head.priority) };
            let state = State::parse(&head.state).unwrap_or(State::Queued);
            let state = if state == State::Running { State::Queued } else { state };
            self.metrics.recovered.inc();
            self.line_up(app, &Live::new(id, turn, state, Arc::clone(&self.clock)));
        }
        Ok(count)
    }

    /// Asks a job to end early: one that waits ends at once, one that runs keeps what it has.
    ///
    /// # Errors
    /// Trouble with the store.
    pub async fn stop(&self, app: &App, id: &JobId) -> Result<State, Problem> {
        let (name, now) = (id.as_str().to_owned(), app.wall.now());
        let expires = self.expiry(now);
        let cancelled = State::Cancelled.as_str();
        let after = answer(self.store.write(move |tx| tx.stop_job(&name, cancelled, expires, now))).await?;
        let state = State::parse(&after).unwrap_or(State::Ending);
        let live = self.registry().open.get(id).cloned();
        if let Some(live) = live {
            live.stop();
            if state == State::Cancelled {
                self.ended(&live, State::Cancelled, None);
            } else if state == State::Ending {
                live.enter(State::Ending);
            }
        }
        Ok(state)
    }

    /// Says that a job has ended.
    pub fn ended(&self, live: &Arc<Live>, state: State, best: Option<crate::jobs::wire::BestDto>) {
        self.metrics.ended.get_or_create(&StateLabel { state: state.as_str() }).inc();
        {
            let mut registry = self.registry();
            registry.open.remove(&live.id);
            if registry.ended.len() >= REMEMBERED {
                registry.ended.pop_front();
            }
            registry.ended.push_back(Arc::clone(live));
        }
        live.finish(state, best);
    }

    /// Leaves a job for the next run of the service.
    pub fn left(&self, live: &Live) {
        self.registry().open.remove(&live.id);
        live.enter(State::Queued);
    }

    /// The head of a job that `owner` may see.
    ///
    /// # Errors
    /// 404; trouble with the store.
    pub async fn head(&self, id: &JobId, owner: Option<&str>) -> Result<JobHead, Problem> {
        let name = id.as_str().to_owned();
        let head = answer(self.store.read(move |view| view.job_head(&name))).await?;
        head.filter(|head| owner.is_none_or(|o| o == head.owner)).ok_or_else(no_job)
    }

    /// A job that `owner` may see, with its documents.
    ///
    /// # Errors
    /// 404; trouble with the store.
    pub async fn job(&self, id: &JobId, owner: Option<&str>) -> Result<(JobHead, Option<String>), Problem> {
        let name = id.as_str().to_owned();
        let found = answer(self.store.read(move |view| {
            let head = view.job_head(&name)?;
            let best = view.job(&name)?.and_then(|job| job.best);
            Ok(head.map(|head| (head, best)))
        }))
        .await?;
        found.filter(|(head, _)| owner.is_none_or(|o| o == head.owner)).ok_or_else(no_job)
    }

    /// Forgets expired jobs and counts the others, as long as the app lives.
    pub async fn sweep(app: std::sync::Weak<App>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let Some(app) = app.upgrade() else { return };
            let now = app.wall.now();
            match answer(app.jobs.store.write(move |tx| tx.expire_jobs(now))).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "expired jobs are forgotten"),
                Err(problem) => tracing::warn!(problem.detail, "expired jobs could not be forgotten"),
            }
        }
    }

    /// Sets the gauges.
    pub fn count(&self) {
        let (mut waiting, mut running) = (0, 0);
        for live in self.registry().open.values() {
            match live.state() {
                State::Queued => waiting += 1,
                State::Running | State::Ending => running += 1,
                State::Done | State::Failed | State::Cancelled => {}
            }
        }
        self.metrics.waiting.set(waiting);
        self.metrics.running.set(running);
    }
}

/// The store's answer, as a problem where it is an error.
///
/// # Errors
/// 503 when the store is busy or slow, else 500.
pub async fn answer<T>(pending: Pending<T>) -> Result<T, Problem> {
    match tokio::time::timeout(STORE_TIME, pending).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(StoreError::Busy)) => Err(Problem::busy("the store is busy", Duration::from_secs(1))),
        Ok(Err(StoreError::NotFound)) => Err(no_job()),
        Ok(Err(StoreError::Closed)) => Err(Problem::shutting_down()),
        Ok(Err(error)) => {
            tracing::error!(%error, "the store failed");
            Err(Problem::new(Kind::Internal, "the service failed; its log says why"))
        }
        Err(_) => Err(Problem::busy("the store is slow", Duration::from_secs(5))),
    }
}

/// There is no such job, or it is somebody else's: which of the two is not told.
#[must_use]
pub fn no_job() -> Problem {
    Problem::new(Kind::NotFound, "there is no such job; it may have expired")
}

/// The priority of a stored number.
#[must_use]
pub fn priority(stored: i64) -> Priority {
    usize::try_from(stored).ok().and_then(|n| Priority::ALL.get(n).copied()).unwrap_or_default()
}

fn same(id: &str, known: &str, asked: &str) -> Result<JobId, Problem> {
    if known != asked {
        let detail = "this Idempotency-Key stands for another document or other parameters";
        return Err(Problem::new(Kind::KeyReused, detail));
    }
    JobId::parse(id).ok_or_else(|| Problem::new(Kind::Internal, "a stored job has no proper name"))
}

fn job_of(
    id: &JobId,
    order: &Order,
    fingerprint: String,
    now: Timestamp,
    expires: Timestamp,
) -> Result<Job, Problem> {
    let fault = |error: serde_json::Error| Problem::of(&crate::ServiceError::Json(error), "");
    let question = Question {
        query: order.query.clone(),
        request: order.request.clone(),
        trace: order.trace.clone(),
        document: RawValue::from_string(order.document.clone()).map_err(fault)?,
    };
    Ok(Job {
        id: id.as_str().to_owned(),
        owner: order.turn.owner.to_string(),
        dedup: order.dedup.clone(),
        fingerprint,
        priority: order.turn.priority as i64,
        request: serde_json::to_string(&question).map_err(fault)?,
        state: State::Queued.as_str().to_owned(),
        best: None,
        created: now,
        changed: now,
        expires,
    })
}
