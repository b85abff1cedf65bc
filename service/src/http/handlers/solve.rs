//! `POST /v1/solve`: at once, or as a job.

use super::{Head, answer, bytes, jobs, read_body};
use crate::ServiceError;
use crate::http::asking::{idempotency_key, prefers_async, take_priority};
use crate::http::body::{Body, BodyStream};
use crate::http::fair::Turn;
use crate::http::params::SolveParams;
use crate::http::problem::{Kind, Problem};
use crate::http::solving::{self, Solve};
use crate::http::state::App;
use crate::jobs::desk::{Order, Taken};
use crate::jobs::question::fingerprint;
use crate::pipeline;
use ecomap_instances::issue::{Code, Issue, Issues};
use ecomap_solver::CancelToken;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use warp::reply::Response;

pub(super) use crate::http::solving::{PROBLEMS, expect_format};

/// How much longer than its solve a client with an `Idempotency-Key` waits for a thread.
const QUEUEING: Duration = Duration::from_secs(30);

/// Answers with a result, for every status that a solve can end in; or with a job.
pub async fn post(app: Arc<App>, head: Head, stream: BodyStream) -> Response {
    let outcome = solve(&app, &head, stream).await;
    if let Err(problem) = &outcome {
        app.metrics.rejected(problem.kind.code());
    }
    answer(outcome, &head.id)
}

async fn solve(app: &Arc<App>, head: &Head, stream: BodyStream) -> Result<Response, Problem> {
    let mut query = head.query.clone();
    let priority = take_priority(&mut query, &head.caller)?;
    let params = SolveParams::read(&query, &head.headers, &app.config)?;
    let dedup = idempotency_key(&head.headers)?;
    let turn = Turn { priority, ..head.turn() };
    let arrived = app.clock.now();
    if prefers_async(&head.headers) || dedup.is_some() {
        let body = read_body(app, head, stream).await?;
        return as_job(app, head, turn, query, &params, dedup, body).await;
    }
    let body = read_body(app, head, stream).await?;
    at_once(app, head, &turn, params, body, arrived).await
}

async fn at_once(
    app: &Arc<App>,
    head: &Head,
    turn: &Turn,
    params: SolveParams,
    body: Body,
    arrived: Duration,
) -> Result<Response, Problem> {
    let waited = params.waited;
    let cancel = CancelToken::default();
    let job = {
        let (app, cancel, id, trace) =
            (Arc::clone(app), cancel.clone(), head.id.clone(), head.trace.trace.text());
        move || {
            let deadline = arrived + params.time;
            let isolated = app.config.isolated.clone();
            let solve = Solve { params, deadline, cancel, isolated, id: &id, trace: &trace };
            let result = solving::solve(&app, body, solve, None)?;
            serde_json::to_vec(&result).map_err(|error| Problem::of(&ServiceError::Json(error), ""))
        }
    };
    let ticket = app.solves.submit_as(turn, cancel, job).map_err(Problem::refused)?;
    let result = ticket.await.map_err(|lost| Problem::lost(lost, "the solve"))??;
    let mut response = bytes(StatusCode::OK, "application/json", result);
    applied(&mut response, waited.map(|w| format!("wait={w}")));
    Ok(response)
}

/// Makes a job, or finds the one of an earlier request; then waits for it as the client prefers.
async fn as_job(
    app: &Arc<App>,
    head: &Head,
    turn: Turn,
    query: Vec<(String, String)>,
    params: &SolveParams,
    dedup: Option<String>,
    body: Body,
) -> Result<Response, Problem> {
    let later = prefers_async(&head.headers);
    // A client that does not wait for long says nothing about how long the solve may take.
    let print = fingerprint(&query, body.bytes()).map_err(|e| Problem::of(&e, ""))?;
    let earlier = match &dedup {
        Some(key) => app.jobs.earlier(&turn.owner, key, &print).await?,
        None => None,
    };
    let taken = match earlier {
        Some(id) => Taken { id, replayed: true },
        None => {
            let document = validated(app, head, body).await?;
            let (request, trace) = (head.id.clone(), head.trace.header());
            app.jobs.take(app, &Order { turn, query, document, dedup, request, trace }).await?
        }
    };
    let patience = match (later, params.waited) {
        (true, wait) => Duration::from_secs(wait.unwrap_or(0)).min(app.config.max_time_limit),
        (false, Some(wait)) => Duration::from_secs(wait).min(app.config.max_time_limit),
        (false, None) => params.time + QUEUEING,
    };
    let mut response = jobs::await_answer(app, &taken.id, patience, later).await?;
    if taken.replayed {
        app.jobs.metrics.replayed.inc();
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    let wait = params.waited.map(|w| format!("wait={w}"));
    let asked: Vec<String> = later.then(|| "respond-async".to_owned()).into_iter().chain(wait).collect();
    applied(&mut response, (!asked.is_empty()).then(|| asked.join(", ")));
    Ok(response)
}

fn applied(response: &mut Response, preference: Option<String>) {
    if let Some(value) = preference.and_then(|p| HeaderValue::from_str(&p).ok()) {
        response.headers_mut().insert("preference-applied", value);
    }
}

/// Checks a document on the pool for short work, so that a job that is taken can be solved.
async fn validated(app: &Arc<App>, head: &Head, body: Body) -> Result<String, Problem> {
    let (app_of_job, cancel) = (Arc::clone(app), CancelToken::default());
    let job = move || -> Result<String, Problem> {
        let app = app_of_job;
        let format = expect_format(body.bytes(), &PROBLEMS, "")?;
        pipeline::load("request", body.bytes(), Some(format), app.config.sizes(), &*app.clock)
            .map_err(|error| Problem::of(&error, ""))?;
        String::from_utf8(body.bytes().to_vec()).map_err(|_| {
            let issue = Issue::new(Code::Format, "", "not UTF-8".to_owned());
            Problem::invalid(&Issues::one(issue), "")
        })
    };
    let ticket = app.short.submit_as(&head.turn(), cancel, job).map_err(Problem::refused)?;
    ticket.await.map_err(|lost| Problem::lost(lost, "the validation"))?
}

/// A client that waits for a job that does not end in time.
#[must_use]
pub(super) fn not_yet() -> Problem {
    let detail =
        "the job has not ended yet; ask again with the same Idempotency-Key, or follow it at Location";
    let mut problem = Problem::new(Kind::Late, detail);
    problem.retry_after_s = Some(1);
    problem
}
