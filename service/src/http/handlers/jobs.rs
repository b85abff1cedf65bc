//! `/v1/jobs`, `/v1/jobs/{id}`, `/v1/jobs/{id}/events`.

use super::solve::not_yet;
use super::{Head, answer, bytes, json, no_parameters, problem};
use crate::ServiceError;
use crate::access::Role;
use crate::http::params::{integer, prefer_wait};
use crate::http::problem::{Kind, Problem};
use crate::http::state::{App, Readiness};
use crate::jobs::desk::{self, no_job};
use crate::jobs::live::Live;
use crate::jobs::question::{JobId, State};
use crate::jobs::wire::{EventDto, JobDto, JobListDto, JobSummaryDto, Outcome};
use crate::wall::WireTime;
use ecomap_instances::Code;
use ecomap_instances::format::result_v1::PlanDto;
use ecomap_solver::report::plan_of;
use ecomap_solver::{CancelToken, checker};
use ecomap_store::JobHead;
use futures_util::Stream;
use futures_util::stream;
use http::header::{HeaderName, LOCATION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use prometheus_client::metrics::gauge::Gauge;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use warp::Reply;
use warp::reply::Response;
use warp::sse::Event;

/// Most jobs on a page of the list.
pub const MOST_LISTED: u64 = 100;
/// Longest that `DELETE` waits for a running solve to end.
const LAST_WORDS: Duration = Duration::from_secs(5);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// `GET /v1/jobs`: those of the caller's own key, the newest first.
pub async fn list(app: Arc<App>, head: Head) -> Response {
    answer(listed(&app, &head).await, &head.id)
}

async fn listed(app: &App, head: &Head) -> Result<Response, Problem> {
    let (mut limit, mut before) = (MOST_LISTED, None);
    for (name, value) in &head.query {
        match name.as_str() {
            "limit" => limit = integer(name, value, 1, MOST_LISTED)?,
            "cursor" => before = Some(integer(name, value, 1, u64::MAX)?),
            _ => {
                let shown: String = name.chars().take(64).collect();
                return Err(Problem::query(&shown, Code::UnknownName, "there is no such parameter"));
            }
        }
    }
    let owner = head.caller.owner().to_owned();
    let read = app.jobs.store().read(move |view| view.job_heads_of(&owner, before, limit + 1));
    let mut heads = desk::answer(read).await?;
    let more = heads.len() as u64 > limit;
    heads.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = heads.last().filter(|_| more).map(|last| last.seq.to_string());
    let jobs = heads.iter().map(|head| summary(head, None)).collect();
    Ok(json(&JobListDto { jobs, next }))
}

/// Whose jobs the caller may see: `None` for all.
fn scope(head: &Head) -> Option<&str> {
    (head.caller.role != Some(Role::Admin)).then(|| head.caller.owner())
}

/// `GET /v1/jobs/{id}`.
pub async fn get(id: String, app: Arc<App>, head: Head) -> Response {
    let told = async {
        no_parameters(&head)?;
        let id = JobId::parse(&id).ok_or_else(no_job)?;
        app.jobs.head(&id, scope(&head)).await?;
        if let (Some(wait), Some(live)) = (prefer_wait(&head.headers), app.jobs.live(&id)) {
            let patience = Duration::from_secs(wait).min(app.config.max_time_limit);
            wait_for(&app, &live, patience).await;
        }
        shown(&app, &id, scope(&head), StatusCode::OK).await
    };
    answer(told.await, &head.id)
}

/// `DELETE /v1/jobs/{id}`: ends it early; the best that it has stays.
pub async fn delete(id: String, app: Arc<App>, head: Head) -> Response {
    let told = async {
        no_parameters(&head)?;
        let id = JobId::parse(&id).ok_or_else(no_job)?;
        app.jobs.head(&id, scope(&head)).await?;
        let mut state = app.jobs.stop(&app, &id).await?;
        if let (State::Ending, Some(live)) = (state, app.jobs.live(&id)) {
            wait_for(&app, &live, LAST_WORDS).await;
            state = live.state();
        }
        let status = if state.ended() { StatusCode::OK } else { StatusCode::ACCEPTED };
        shown(&app, &id, scope(&head), status).await
    };
    answer(told.await, &head.id)
}

/// Waits until a job has ended, at most for a while, and not longer than the service lives.
async fn wait_for(app: &App, live: &Live, patience: Duration) {
    let mut readiness = app.watch_readiness();
    tokio::select! {
        _ = tokio::time::timeout(patience, live.ended()) => {}
        _ = readiness.wait_for(|r| *r == Readiness::Stopping) => {}
    }
}

/// What `POST /v1/solve` answers for a job: its outcome when it ends in time; else the job itself
/// to who asked for one, and a 503 to who did not.
///
/// # Errors
/// The job's own problem; trouble with the store.
pub(super) async fn await_answer(
    app: &Arc<App>,
    id: &JobId,
    patience: Duration,
    later: bool,
) -> Result<Response, Problem> {
    if let Some(live) = app.jobs.live(id)
        && !patience.is_zero()
    {
        wait_for(app, &live, patience).await;
    }
    let (head, best) = app.jobs.job(id, None).await?;
    let ended = State::parse(&head.state).is_some_and(State::ended);
    let in_time = ended && (!later || !patience.is_zero());
    let mut response = if in_time {
        outcome(best.as_deref())?
    } else if later {
        shown(app, id, None, StatusCode::ACCEPTED).await?
    } else {
        problem(not_yet(), "")
    };
    if let Ok(value) = HeaderValue::from_str(&format!("/v1/jobs/{id}")) {
        response.headers_mut().insert(LOCATION, value);
    }
    Ok(response)
}

/// A stored outcome as the answer to its solve.
fn outcome(best: Option<&str>) -> Result<Response, Problem> {
    let Some(text) = best else {
        return Err(Problem::new(Kind::Ended, "the job was ended before its turn came"));
    };
    let outcome = read(text)?;
    if let Some(result) = outcome.result {
        return Ok(bytes(StatusCode::OK, "application/json", result.get().as_bytes().to_vec()));
    }
    let stored = outcome.problem.ok_or_else(|| broken(&"neither result nor problem"))?;
    let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = bytes(status, "application/problem+json", stored.body.get().as_bytes().to_vec());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(response)
}

fn read(text: &str) -> Result<Outcome, Problem> {
    serde_json::from_str(text).map_err(|error| broken(&error))
}

fn broken(what: &dyn std::fmt::Display) -> Problem {
    tracing::error!(error = %what, "a stored answer cannot be read");
    Problem::new(Kind::Internal, "the service failed; its log says why")
}

fn summary(head: &JobHead, live: Option<&Live>) -> JobSummaryDto {
    let stored = State::parse(&head.state).unwrap_or(State::Queued);
    // Memory is ahead of the store for a moment, never behind it at an end.
    let state = live.map_or(stored, |l| if stored.ended() { stored } else { l.state() });
    JobSummaryDto {
        id: head.id.clone(),
        state,
        priority: desk::priority(head.priority),
        created: WireTime(head.created),
        changed: WireTime(head.changed),
        expires: state.ended().then_some(WireTime(head.expires)),
        attempts: head.attempts,
    }
}

/// The job as it is now.
async fn shown(
    app: &Arc<App>,
    id: &JobId,
    owner: Option<&str>,
    status: StatusCode,
) -> Result<Response, Problem> {
    let (head, best) = app.jobs.job(id, owner).await?;
    let live = app.jobs.live(id);
    let summary = summary(&head, live.as_deref());
    let mut job = JobDto { best: None, plan: None, result: None, problem: None, summary };
    if let Some(text) = best.filter(|_| job.summary.state.ended()) {
        let outcome = read(&text)?;
        job.best = outcome.best;
        job.result = outcome.result;
        job.problem = outcome.problem.map(|p| p.body);
    } else if let Some(live) = live {
        job.best = live.best();
        job.plan = plan(app, &live).await?;
    }
    let body = serde_json::to_vec(&job).map_err(|error| Problem::of(&ServiceError::Json(error), ""))?;
    Ok(bytes(status, "application/json", body))
}

/// The best plan so far, written out on the pool for short work.
async fn plan(app: &App, live: &Live) -> Result<Option<PlanDto>, Problem> {
    let Some((priced, assignment)) = live.plan() else { return Ok(None) };
    let job = move || {
        let instance = &priced.instance;
        let verdict = checker::check(instance, &assignment, &instance.objective);
        plan_of(instance, &assignment, &verdict)
    };
    match app.short.submit_as(&live.turn, CancelToken::default(), job) {
        Ok(ticket) => ticket.await.map(Some).map_err(|lost| Problem::lost(lost, "the plan")),
        // The bounds are worth telling without the plan.
        Err(_) => Ok(None),
    }
}

/// `GET /v1/jobs/{id}/events`.
pub async fn events(id: String, app: Arc<App>, head: Head) -> Response {
    let told = async {
        no_parameters(&head)?;
        let id = JobId::parse(&id).ok_or_else(no_job)?;
        let (stored, best) = app.jobs.job(&id, scope(&head)).await?;
        let place = Arc::clone(&app.jobs.streams)
            .try_acquire_owned()
            .map_err(|_| Problem::busy("too many event streams are open", Duration::from_secs(5)))?;
        let live = app.jobs.live(&id);
        let after = resume_after(&head, app.jobs.boot);
        let follower = match live {
            Some(live) => Follower::Live(follow(&app, live, after, place)),
            None => Follower::Ended(last(&stored, best.as_deref())?),
        };
        Ok(match follower {
            Follower::Live(state) => reply(stream::unfold(state, step)),
            Follower::Ended(event) => reply(stream::iter([Ok(event)])),
        })
    };
    answer(told.await, &head.id)
}

enum Follower {
    Live(Following),
    Ended(Event),
}

fn reply(events: impl Stream<Item = Result<Event, Infallible>> + Send + Sync + 'static) -> Response {
    warp::sse::reply(warp::sse::keep_alive().stream(events)).into_response()
}

/// The event that the client saw last, if it was of this run of the service.
fn resume_after(head: &Head, boot: u64) -> u64 {
    let seen = head.headers.get(LAST_EVENT_ID).and_then(|v| v.to_str().ok());
    let seen = seen.and_then(|text| text.split_once('-'));
    let seen = seen.and_then(|(run, seq)| Some((u64::from_str_radix(run, 16).ok()?, seq.parse().ok()?)));
    seen.filter(|(run, _)| *run == boot).map_or(0, |(_, seq)| seq)
}

/// Somebody who follows a job.
struct Following {
    live: Arc<Live>,
    boot: u64,
    seen: u64,
    over: bool,
    tick: watch::Receiver<u64>,
    readiness: watch::Receiver<Readiness>,
    _place: OwnedSemaphorePermit,
    _counted: Counted,
}

struct Counted(Gauge);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn follow(app: &App, live: Arc<Live>, seen: u64, place: OwnedSemaphorePermit) -> Following {
    let gauge = app.jobs.metrics.streams.clone();
    gauge.inc();
    Following {
        tick: live.follow(),
        live,
        boot: app.jobs.boot,
        seen,
        over: false,
        readiness: app.watch_readiness(),
        _place: place,
        _counted: Counted(gauge),
    }
}

async fn step(mut state: Following) -> Option<(Result<Event, Infallible>, Following)> {
    loop {
        if state.over {
            return None;
        }
        let _ = state.tick.borrow_and_update();
        if let Some(event) = state.live.after(state.seen) {
            state.seen = event.seq;
            state.over = event.data.state.ended();
            let id = format!("{:x}-{}", state.boot, event.seq);
            return Some((Ok(written(event.kind, Some(id), &event.data)), state));
        }
        let stopping = state.readiness.wait_for(|r| *r == Readiness::Stopping);
        tokio::select! {
            changed = state.tick.changed() => state.over = changed.is_err(),
            _ = stopping => state.over = true,
        }
    }
}

/// The one event of a job that is only in the store.
fn last(head: &JobHead, best: Option<&str>) -> Result<Event, Problem> {
    let state = State::parse(&head.state).unwrap_or(State::Queued);
    let best = best.map(read).transpose()?.and_then(|o| o.best);
    Ok(written("state", None, &EventDto { state, best }))
}

fn written(kind: &'static str, id: Option<String>, data: &EventDto) -> Event {
    let event = Event::default().event(kind).data(serde_json::to_string(data).unwrap_or_default());
    match id {
        Some(id) => event.id(id),
        None => event,
    }
}
