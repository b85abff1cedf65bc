//! One thread that does one thing at a time, so that no two messages ever meet on the board.
//!
//! Preparing may take minutes (an engine is compiled) and happens on a thread of its own: meanwhile the budget may
//! expire, and the board must lower itself all the same. A second plan that comes while one is being prepared is
//! answered *busy*. The queue is bounded; when it is full, the answer is *busy* as well.

use crate::agent::Problem;
use crate::agent::board::{Board, Plan};
use crate::agent::ledger::{Act, Ledger, Wrong};
use crate::agent::store::Kept;
use crate::runtime::{Basis, PlanVersion, Prepared, Refused};
use ecomap_instances::Code;
use ecomap_instances::format::agent_v1::{AgentStatusDto, CommittedDto, PreparedDto, RenewDto};
use ecomap_instances::format::orders_v1::MAX_LEASE_S;
use ecomap_instances::format::telemetry_v1::OriginDto;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// Messages that may wait.
const QUEUE: usize = 32;
/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(100);

type Reply<T> = oneshot::Sender<Result<T, Problem>>;

enum Message {
    Prepare { body: Vec<u8>, signature: String, reply: Reply<PreparedDto> },
    Prepared(Result<Prepared, Refused>),
    Commit(u64, Reply<CommittedDto>),
    Abort(u64, Reply<()>),
    Renew(RenewDto, Reply<()>),
    End,
}

/// Speaks to an agent.
#[derive(Debug, Clone)]
pub struct Handle {
    send: SyncSender<Message>,
    status: watch::Receiver<AgentStatusDto>,
    board: Arc<Card>,
}

/// What does not change.
#[derive(Debug)]
pub struct Card {
    /// Lets in only what is signed.
    pub gate: crate::agent::Gate,
}

/// An agent at work. It ends when this is dropped.
#[derive(Debug)]
pub struct Agent {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Prepare { .. } => "Prepare",
            Self::Prepared(_) => "Prepared",
            Self::Commit(..) => "Commit",
            Self::Abort(..) => "Abort",
            Self::Renew(..) => "Renew",
            Self::End => "End",
        })
    }
}

impl Agent {
    /// Starts an agent: first it brings back the plan that ran before, then it listens to its [`Handle`].
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(board: Board) -> std::io::Result<Self> {
        let (send, receive) = sync_channel(QUEUE);
        let card = Arc::new(Card { gate: board.gate.clone() });
        let mut actor = Actor::new(board, send.clone());
        let (publish, status) = watch::channel(actor.status());
        actor.publish = Some(publish);
        let thread = thread::Builder::new().name("agent".to_owned()).spawn(move || actor.run(&receive))?;
        Ok(Self { handle: Handle { send, status, board: card }, thread: Some(thread) })
    }

    /// Speaks to it.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // A full queue is emptied by the thread, so this waits for room, not for ever.
        let _ = self.handle.send.send(Message::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Handle {
    /// How far the agent is, and news of it.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<AgentStatusDto> {
        self.status.clone()
    }

    /// What lets requests in.
    #[must_use]
    pub fn gate(&self) -> &crate::agent::Gate {
        &self.board.gate
    }

    async fn ask<T>(&self, message: impl FnOnce(Reply<T>) -> Message) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        self.send.try_send(message(reply)).map_err(|error| match error {
            TrySendError::Full(_) => Problem::new(Code::AgentBusy, "too many messages wait"),
            TrySendError::Disconnected(_) => Problem::new(Code::AgentBusy, "the agent is ending"),
        })?;
        answer.await.unwrap_or_else(|_| Err(Problem::new(Code::AgentBusy, "the agent is ending")))
    }

    /// Prepares a plan. Answers when it is ready, which may take minutes.
    ///
    /// # Errors
    /// [`Problem`]; the running plan is untouched.
    pub async fn prepare(&self, body: Vec<u8>, signature: String) -> Result<PreparedDto, Problem> {
        self.ask(|reply| Message::Prepare { body, signature, reply }).await
    }

    /// Switches to a prepared plan.
    ///
    /// # Errors
    /// [`Problem`]; the running plan is untouched.
    pub async fn commit(&self, version: u64) -> Result<CommittedDto, Problem> {
        self.ask(|reply| Message::Commit(version, reply)).await
    }

    /// Drops a prepared plan.
    ///
    /// # Errors
    /// [`Problem`] when it runs already.
    pub async fn abort(&self, version: u64) -> Result<(), Problem> {
        self.ask(|reply| Message::Abort(version, reply)).await
    }

    /// Prolongs the budget.
    ///
    /// # Errors
    /// [`Problem`] for a renewal that is not new.
    pub async fn renew(&self, renewal: RenewDto) -> Result<(), Problem> {
        self.ask(|reply| Message::Renew(renewal, reply)).await
    }
}

/// A plan that is being prepared.
struct Preparing {
    plan: Plan,
    reply: Option<Reply<PreparedDto>>,
    begun: Duration,
}

/// A plan that is prepared.
struct Ready {
    plan: Plan,
    prepared: Prepared,
    answer: PreparedDto,
    until: Duration,
}

struct Actor {
    board: Board,
    ledger: Ledger,
    kept: Kept,
    /// Power mode of the running plan.
    planned: Option<String>,
    /// When the budget expires, on the agent's clock.
    lease: Option<Duration>,
    safe: bool,
    /// Whether the power mode is still to be set, because the last try failed.
    owed: bool,
    /// Power mode in force and those that there are: asking the board costs a command, so it is asked after changes.
    mode: Option<String>,
    modes: Vec<String>,
    preparing: Option<Preparing>,
    ready: Option<Ready>,
    send: SyncSender<Message>,
    publish: Option<watch::Sender<AgentStatusDto>>,
}

impl Actor {
    fn new(board: Board, send: SyncSender<Message>) -> Self {
        Self {
            board,
            ledger: Ledger::default(),
            kept: Kept::default(),
            planned: None,
            lease: None,
            safe: false,
            owed: false,
            mode: None,
            modes: Vec::new(),
            preparing: None,
            ready: None,
            send,
            publish: None,
        }
    }

    fn run(mut self, receive: &Receiver<Message>) {
        self.restore();
        self.modes = self.board.modes();
        self.mode = self.board.mode();
        self.tell();
        loop {
            match receive.recv_timeout(TICK) {
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.tick();
            self.tell();
        }
    }

    fn take(&mut self, message: Message) {
        // The asker may have gone; then nobody hears the answer, and what was done stands.
        match message {
            Message::Prepare { body, signature, reply } => {
                if let Err((reply, problem)) = self.prepare(&body, &signature, reply) {
                    let _ = reply.send(problem);
                }
            }
            Message::Prepared(result) => self.prepared(result),
            Message::Commit(version, reply) => drop(reply.send(self.commit(PlanVersion(version)))),
            Message::Abort(version, reply) => drop(reply.send(self.abort(PlanVersion(version)))),
            Message::Renew(renewal, reply) => drop(reply.send(self.renew(&renewal))),
            Message::End => {}
        }
    }

    /// Brings back the plan that ran before the restart.
    fn restore(&mut self) {
        let (kept, plan) = match self.board.restore() {
            Ok(found) => found,
            Err(problem) => {
                tracing::error!(%problem, "the kept plan cannot be used; waiting for a new one");
                return;
            }
        };
        self.ledger = Ledger::restored(None, kept.highest);
        let now = self.board.clock.now();
        let left = |until: u64| Duration::from_millis(until.saturating_sub(self.board.clock.unix_ms()));
        self.lease = kept.lease_until_ms.map(|until| now + left(until));
        self.kept = kept;
        self.safe = self.lease.is_some_and(|until| until <= now);
        let Some(plan) = plan else { return };
        match self.board.runtime.prepare(plan.known.version, &plan.orders) {
            Ok(prepared) => {
                let mode = plan.orders.mode.clone();
                match self.board.switch(mode.as_deref(), prepared, || Ok(()), self.safe) {
                    Ok(done) => {
                        self.owed = done.mode_fault.is_some();
                        self.planned = mode;
                        self.ledger = Ledger::restored(Some(plan.known), self.kept.highest);
                        tracing::info!(
                            version = plan.known.version.0,
                            "the plan of before the restart runs again"
                        );
                    }
                    Err(problem) => tracing::error!(%problem, "the plan of before the restart cannot run"),
                }
            }
            Err(refused) => tracing::error!(%refused, "the plan of before the restart cannot run"),
        }
    }

    #[allow(clippy::type_complexity)] // the reply goes back where nothing has taken it
    fn prepare(
        &mut self,
        body: &[u8],
        signature: &str,
        reply: Reply<PreparedDto>,
    ) -> Result<(), (Reply<PreparedDto>, Result<PreparedDto, Problem>)> {
        let plan = match self.board.plan(body, signature) {
            Ok(plan) => plan,
            Err(problem) => return Err((reply, Err(problem))),
        };
        if let Some(preparing) = &self.preparing {
            let what = format!("plan {} is being prepared", preparing.plan.known.version);
            return Err((reply, Err(Problem::new(Code::AgentBusy, what))));
        }
        match self.ledger.prepare(plan.known) {
            Err(wrong) => return Err((reply, Err(self.wrong(wrong, plan.known.version)))),
            Ok(Act::Done) => return Err((reply, Ok(self.again(&plan)))),
            Ok(Act::Do(superseded)) => {
                if let Some(version) = superseded {
                    tracing::info!(version = version.0, "a prepared plan is superseded");
                }
                self.ready = None;
            }
        }
        if let Err(problem) = self.remember() {
            return Err((reply, Err(problem)));
        }
        let (runtime, send) = (Arc::clone(&self.board.runtime), self.send.clone());
        let (version, orders) = (plan.known.version, plan.orders.clone());
        let work = move || {
            // The agent may have ended; what was prepared is dropped with the message then.
            let _ = send.send(Message::Prepared(runtime.prepare(version, &orders)));
        };
        if let Err(error) = thread::Builder::new().name("prepare".to_owned()).spawn(work) {
            return Err((reply, Err(Problem::new(Code::AgentBusy, error.to_string()))));
        }
        let begun = self.board.clock.now();
        self.preparing = Some(Preparing { plan, reply: Some(reply), begun });
        Ok(())
    }

    /// The answer to a prepare that was answered before.
    fn again(&self, plan: &Plan) -> PreparedDto {
        match &self.ready {
            Some(ready) if ready.plan.known == plan.known => ready.answer.clone(),
            _ => PreparedDto {
                version: plan.known.version.0,
                digest: plan.known.digest.to_string(),
                took_ms: 0.0,
                loaded: 0,
                reused: 0,
                fell_back: Vec::new(),
            },
        }
    }

    fn prepared(&mut self, result: Result<Prepared, Refused>) {
        let Some(Preparing { plan, reply, begun }) = self.preparing.take() else { return };
        let now = self.board.clock.now();
        let answer = match result {
            Err(refused) => {
                self.ledger.dropped();
                Err(refused.into())
            }
            Ok(_) if !self.ledger.prepared(plan.known) => {
                Err(Problem::new(Code::AgentNotPrepared, "aborted while it was being prepared"))
            }
            Ok(prepared) => {
                let report = prepared.report();
                let answer = PreparedDto {
                    version: plan.known.version.0,
                    digest: plan.known.digest.to_string(),
                    took_ms: now.saturating_sub(begun).as_secs_f64() * 1e3,
                    loaded: report.loaded as u64,
                    reused: report.reused as u64,
                    fell_back: report.fell_back.clone(),
                };
                let until = now + self.board.limits.prepared_for;
                self.ready = Some(Ready { plan, prepared, answer: answer.clone(), until });
                Ok(answer)
            }
        };
        if let Some(reply) = reply {
            let _ = reply.send(answer);
        }
    }

    fn commit(&mut self, version: PlanVersion) -> Result<CommittedDto, Problem> {
        match self.ledger.commit(version) {
            Err(wrong) => return Err(self.wrong(wrong, version)),
            Ok(Act::Done) => {
                return Ok(CommittedDto {
                    version: version.0,
                    replaced: None,
                    mode: self.mode.clone(),
                    mode_fault: None,
                    mode_ms: 0.0,
                    switch_ms: 0.0,
                });
            }
            Ok(Act::Do(_)) => {}
        }
        let Some(Ready { plan, prepared, answer, until }) = self.ready.take() else {
            self.ledger.dropped();
            return Err(self.wrong(Wrong::NotPrepared, version));
        };
        let kept = Kept {
            highest: self.ledger.highest(),
            renewal: self.kept.renewal,
            running: Some(plan.kept.clone()),
            lease_until_ms: plan.lease_s.map(|s| self.until(s)),
        };
        let staged = match self.board.stage(&kept) {
            Ok(staged) => staged,
            Err(problem) => {
                // Still prepared: the commit may come again when there is space.
                self.ready = Some(Ready { plan, prepared, answer, until });
                return Err(problem);
            }
        };
        let mode = plan.orders.mode.clone();
        let done = self.board.switch(mode.as_deref(), prepared, || staged.publish(), false);
        self.mode = self.board.mode();
        let done = match done {
            Ok(done) => done,
            Err(problem) => {
                self.ledger.dropped();
                return Err(problem);
            }
        };
        let replaced = self.ledger.committed();
        self.lease = plan.lease_s.map(|s| self.board.clock.now() + Duration::from_secs(s));
        (self.kept, self.planned, self.safe, self.owed) = (kept, mode, false, done.mode_fault.is_some());
        tracing::info!(version = version.0, mode_fault = done.mode_fault, "a plan runs");
        Ok(CommittedDto {
            version: version.0,
            replaced: replaced.map(|k| k.version.0),
            mode: self.mode.clone(),
            mode_fault: done.mode_fault,
            mode_ms: done.mode_took.as_secs_f64() * 1e3,
            switch_ms: done.switched.took.as_secs_f64() * 1e3,
        })
    }

    fn abort(&mut self, version: PlanVersion) -> Result<(), Problem> {
        match self.ledger.abort(version) {
            Err(wrong) => return Err(self.wrong(wrong, version)),
            Ok(Act::Do(_)) => self.ready = None,
            // If it is being prepared, it is dropped when it is ready: the ledger no longer wants it.
            Ok(Act::Done) => {}
        }
        self.remember()
    }

    fn renew(&mut self, renewal: &RenewDto) -> Result<(), Problem> {
        if renewal.renewal <= self.kept.renewal || renewal.lease_s > MAX_LEASE_S {
            let what = format!("renewal {} is not above {}", renewal.renewal, self.kept.renewal);
            return Err(Problem::new(Code::AgentRenewal, what));
        }
        self.kept.renewal = renewal.renewal;
        self.kept.lease_until_ms = Some(self.until(renewal.lease_s));
        self.remember()?;
        self.lease = Some(self.board.clock.now() + Duration::from_secs(renewal.lease_s));
        if std::mem::replace(&mut self.safe, false) {
            self.owed = true;
            tracing::info!("the budget was renewed; the board leaves its safe mode");
        }
        Ok(())
    }

    /// What time does by itself.
    fn tick(&mut self) {
        let now = self.board.clock.now();
        if self.ready.as_ref().is_some_and(|r| r.until <= now) {
            let version = self.ledger.dropped().map(|v| v.0);
            tracing::warn!(version, "nobody committed a prepared plan; it is dropped");
            self.ready = None;
        }
        if !self.safe && self.lease.is_some_and(|until| until <= now) {
            tracing::warn!("the budget has expired; the board lowers itself to its safe mode");
            (self.safe, self.owed) = (true, true);
        }
        if self.owed {
            let adjusted = self.board.adjust(self.planned.as_deref(), self.safe);
            self.mode = self.board.mode();
            match adjusted {
                Ok(()) => self.owed = false,
                // A mode that only a reboot reaches will not come by trying again.
                Err(problem) if problem.code == Code::AgentReboot => {
                    self.owed = false;
                    tracing::error!(%problem, "the power mode cannot be set");
                }
                Err(problem) => tracing::warn!(%problem, "the power mode cannot be set; trying again"),
            }
        }
    }

    /// A time on the system's clock, so many seconds from now.
    fn until(&self, seconds: u64) -> u64 {
        self.board.clock.unix_ms().saturating_add(seconds.saturating_mul(1000))
    }

    /// Keeps the highest version, so that no replay is taken for new after a restart.
    fn remember(&mut self) -> Result<(), Problem> {
        self.kept.highest = self.ledger.highest();
        self.board.keep(&self.kept)
    }

    fn wrong(&self, wrong: Wrong, version: PlanVersion) -> Problem {
        let running = self.ledger.running().map_or(0, |k| k.version.0);
        let (code, what) = match wrong {
            Wrong::Stale => (Code::AgentStale, format!("{version} is not above {}", self.ledger.highest())),
            Wrong::Conflict => (Code::AgentConflict, format!("another plan has the version {version}")),
            Wrong::NotPrepared => {
                (Code::AgentNotPrepared, format!("plan {version} is not prepared; {running} runs"))
            }
            Wrong::Runs => (Code::AgentRunning, format!("plan {version} runs")),
        };
        Problem::new(code, what)
    }

    fn status(&self) -> AgentStatusDto {
        let now = self.board.clock.now();
        AgentStatusDto {
            device: self.board.device.clone(),
            profile: self.board.profile.id.to_string(),
            basis: match self.board.runtime.basis() {
                Basis::Measured => OriginDto::Measured,
                Basis::Emulated => OriginDto::Emulated,
            },
            running: self.ledger.running().map(|k| k.version.0),
            prepared: self.ledger.ready().map(|k| k.version.0),
            highest: self.ledger.highest(),
            mode: self.mode.clone(),
            modes: self.modes.clone(),
            safe: self.safe,
            lease_left_s: self.lease.map(|until| until.saturating_sub(now).as_secs()),
            renewal: self.kept.renewal,
            draining: self.board.runtime.draining() as u64,
        }
    }

    fn tell(&self) {
        if let Some(publish) = &self.publish {
            let status = self.status();
            publish.send_if_modified(|old| {
                // A lease that runs is no news by itself.
                let news = *old != AgentStatusDto { lease_left_s: old.lease_left_s, ..status.clone() };
                *old = status;
                news
            });
        }
    }
}
