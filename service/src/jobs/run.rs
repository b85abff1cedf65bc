//! A job's turn: from the store, through the pipeline, to the store.

use crate::ServiceError;
use crate::http::params::SolveParams;
use crate::http::problem::{Kind, Problem};
use crate::http::solving::{self, Solve};
use crate::http::state::{App, Readiness};
use crate::jobs::live::{Live, Witness};
use crate::jobs::question::{Question, State};
use crate::jobs::wire::{BestDto, Outcome, StoredProblem};
use crate::telemetry::TraceContext;
use crate::telemetry::span::{Attribute, Role, Span};
use crate::worker::Isolation;
use ecomap_instances::format::result_v1::ResultDto;
use ecomap_instances::plan::Termination;
use ecomap_store::{JobHead, StoreError, Tx};
use http::HeaderMap;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// Time for a job that was asked to end before the service did: enough for a first plan.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A job begun more often than this is solved in a process of its own, whatever its size: it may be
/// what ended the service.
const TRUSTED_ATTEMPTS: u64 = 2;
/// Tries to write to a busy store, and the pause between them.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Runs a job on the thread that calls; blocks on the store.
pub fn run(app: &Arc<App>, live: &Arc<Live>) {
    let (id, now) = (live.id.as_str().to_owned(), app.wall.now());
    let head = match write(app, move |tx| tx.begin_job(&id, now)) {
        Ok(Some(head)) => head,
        // Ended since it was queued; whoever ended it has said so.
        Ok(None) => return,
        Err(error) => {
            tracing::error!(%error, job = %live.id, "a job could not be begun; the next start of the service will");
            app.jobs.left(live);
            return;
        }
    };
    if !live.asked_to_end() {
        live.enter(State::Running);
    }
    let waited = now.duration_since(head.created);
    app.jobs.metrics.wait.observe(waited.as_secs_f64().max(0.0));
    let begun = app.clock.now();
    let (context, outcome) = solve(app, live, &head);
    let took = app.clock.now().saturating_sub(begun);
    app.jobs.metrics.run.observe(took.as_secs_f64());
    if stopped_by_service(app, live, &outcome) {
        leave(app, live);
        return;
    }
    let (state, outcome) = match outcome {
        Ok(result) => (State::Done, done(&result)),
        Err(problem) => (State::Failed, failed(problem, &head.id)),
    };
    let best = outcome.best.or(live.best());
    if let Some(context) = context {
        tell(app, context, state, best, (now, took), &head);
    }
    tracing::info!(job = %live.id, state = state.as_str(), ms = took.as_millis(), "job ended");
    let text = match serde_json::to_string(&Outcome { best, ..outcome }) {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            return leave(app, live);
        }
    };
    let (id, now) = (live.id.as_str().to_owned(), app.wall.now());
    let expires = app.jobs.expiry(now);
    match write(app, move |tx| tx.end_job(&id, state.as_str(), &text, expires, now)) {
        Ok(()) => app.jobs.ended(live, state, best),
        Err(error) => {
            tracing::error!(%error, job = %live.id, "an answer could not be stored; the job will be solved again");
            app.jobs.left(live);
        }
    }
}

fn solve(
    app: &Arc<App>,
    live: &Arc<Live>,
    head: &JobHead,
) -> (Option<TraceContext>, Result<ResultDto, Problem>) {
    let question = match question(app, live) {
        Ok(question) => question,
        Err(problem) => return (None, Err(problem)),
    };
    let context = TraceContext::resume(&question.trace, &app.ids);
    // They were fine when the job was taken; the service's bounds may be others now.
    let mut params = match SolveParams::read(&question.query, &HeaderMap::new(), &app.config) {
        Ok(params) => params,
        Err(problem) => return (context, Err(problem)),
    };
    if live.asked_to_end() {
        params.time = params.time.min(LAST_WORDS);
    }
    let mut isolated = app.config.isolated.clone();
    if head.attempts > TRUSTED_ATTEMPTS
        && let Some(isolated) = &mut isolated
    {
        isolated.isolation = Isolation::Always;
    }
    let mut witness = Witness::new(live);
    let document = question.document.get().as_bytes().to_vec();
    let trace = context.as_ref().map(|c| c.trace.text()).unwrap_or_default();
    let solve = Solve {
        deadline: app.clock.now() + params.time,
        params,
        // A job that was asked to end before this run of the service still gets a first plan.
        cancel: live.cancel.clone(),
        isolated,
        id: &question.request,
        trace: &trace,
    };
    (context, solving::solve(app, document, solve, Some(&mut witness)))
}

fn question(app: &App, live: &Live) -> Result<Question, Problem> {
    let id = live.id.as_str().to_owned();
    let job = retry(|| {
        let id = id.clone();
        app.jobs.store().read(move |view| view.job(&id)).wait()
    });
    let broken = |what: &dyn std::fmt::Display| {
        tracing::error!(job = %live.id, error = %what, "a stored job cannot be read");
        Problem::new(Kind::Internal, "the service failed; its log says why")
    };
    let job = job.map_err(|e| broken(&e))?.ok_or_else(|| broken(&"it is gone"))?;
    serde_json::from_str(&job.request).map_err(|e| broken(&e))
}

/// Whether it was the end of the service that cut the solve short, and not its owner.
fn stopped_by_service(app: &App, live: &Live, outcome: &Result<ResultDto, Problem>) -> bool {
    let cut = match outcome {
        Ok(result) => result.certificate.termination == Termination::Cancelled,
        Err(_) => live.cancel.is_cancelled(),
    };
    cut && !live.asked_to_end() && app.readiness() == Readiness::Stopping
}

/// Leaves a job for the next run of the service.
fn leave(app: &App, live: &Live) {
    let (id, now) = (live.id.as_str().to_owned(), app.wall.now());
    let expires = app.jobs.expiry(now);
    let left = write(app, move |tx| tx.update_job(&id, State::Queued.as_str(), None, expires, now));
    if let Err(error) = left {
        // It stays `running` in the store, and is taken up all the same.
        tracing::warn!(%error, job = %live.id, "a job that is left could not be marked");
    }
    app.jobs.left(live);
}

fn done(result: &ResultDto) -> Outcome {
    let certificate = &result.certificate;
    let best = BestDto {
        primal_bound: certificate.primal_bound,
        dual_bound: certificate.dual_bound,
        gap: certificate.gap,
        nodes: certificate.nodes,
        elapsed_s: result.timings_ms.get("solve").map_or(0.0, |ms| ms / 1e3),
    };
    let text = serde_json::to_string(result).and_then(RawValue::from_string);
    match text {
        Ok(text) => Outcome { best: Some(best), result: Some(text), problem: None },
        Err(error) => failed(Problem::of(&ServiceError::Json(error), ""), ""),
    }
}

fn failed(problem: Problem, id: &str) -> Outcome {
    let status = problem.kind.status();
    let body = serde_json::to_string(&problem.into_dto(id)).and_then(RawValue::from_string);
    Outcome { best: None, result: None, problem: body.ok().map(|body| StoredProblem { status, body }) }
}

fn tell(
    app: &App,
    context: TraceContext,
    state: State,
    best: Option<BestDto>,
    (begun, took): (jiff::Timestamp, Duration),
    head: &JobHead,
) {
    if !context.sampled || !app.spans.on() {
        return;
    }
    let mut attributes = vec![
        Attribute::text("ecomap.job.id", &head.id),
        Attribute::text("ecomap.job.state", state.as_str()),
        Attribute::integer("ecomap.job.attempts", i64::try_from(head.attempts).unwrap_or(i64::MAX)),
    ];
    attributes.extend(best.and_then(|b| b.gap).and_then(|g| Attribute::number("ecomap.solve.gap", g)));
    let failed = state == State::Failed;
    app.spans.send(Span {
        name: "job".to_owned(),
        role: Role::Consumer,
        context,
        begun,
        took,
        attributes,
        failed,
    });
}

fn write<T: Send + 'static>(
    app: &App,
    change: impl Fn(&Tx<'_>) -> Result<T, StoreError> + Send + Sync + 'static,
) -> Result<T, StoreError> {
    let change = Arc::new(change);
    retry(|| {
        let change = Arc::clone(&change);
        app.jobs.store().write(move |tx| change(tx)).wait()
    })
}

/// Again while the store is busy; for some seconds.
fn retry<T>(mut attempt: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for _ in 0..TRIES {
        match attempt() {
            Err(StoreError::Busy) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    attempt()
}
