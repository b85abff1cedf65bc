//! `POST /v1/solve`.

use super::{Head, answer, bytes, read_body};
use crate::ServiceError;
use crate::http::body::{Body, BodyStream};
use crate::http::params::SolveParams;
use crate::http::pool::Lost;
use crate::http::problem::{Kind, Problem};
use crate::http::state::App;
use crate::input;
use crate::pipeline::{self, Request};
use ecomap_instances::format::{self, Format};
use ecomap_instances::issue::{Code, Issue, Issues};
use ecomap_solver::CancelToken;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use warp::reply::Response;

/// Formats that can be solved over HTTP.
pub(super) const PROBLEMS: [Format; 2] = [Format::Scenario, Format::Instance];

/// Answers with a result, for every status that a solve can end in.
pub async fn post(app: Arc<App>, head: Head, stream: BodyStream) -> Response {
    let outcome = solve(&app, &head, stream).await;
    if let Err(problem) = &outcome {
        app.metrics.rejected(problem.kind.code());
    }
    answer(outcome, &head.id)
}

async fn solve(app: &Arc<App>, head: &Head, stream: BodyStream) -> Result<Response, Problem> {
    let params = SolveParams::read(&head.query, &head.headers, &app.config)?;
    let arrived = app.clock.now();
    let body = read_body(app, head, stream).await?;
    let waited = params.waited;
    let cancel = CancelToken::default();
    let job = {
        let (app, cancel, id) = (Arc::clone(app), cancel.clone(), head.id.clone());
        move || work(&app, body, params, arrived, cancel, &id)
    };
    let ticket = app.solves.submit(cancel, job).map_err(Problem::refused)?;
    let result = ticket.await.map_err(|Lost| Problem::new(Kind::Internal, "the solve was lost"))??;
    let mut response = bytes(StatusCode::OK, "application/json", result);
    if let Some(wait) = waited.and_then(|w| HeaderValue::from_str(&format!("wait={w}")).ok()) {
        response.headers_mut().insert("preference-applied", wait);
    }
    Ok(response)
}

/// Runs on the pool.
fn work(
    app: &App,
    body: Body,
    params: SolveParams,
    arrived: Duration,
    cancel: CancelToken,
    id: &str,
) -> Result<Vec<u8>, Problem> {
    let begun = app.clock.now();
    let deadline = arrived + params.time;
    if begun >= deadline {
        return Err(Problem::of(&ServiceError::NoTimeLeft, ""));
    }
    let sizes = app.config.sizes();
    let format = expect_format(body.bytes(), &PROBLEMS, "")?;
    let run = || {
        let loaded = pipeline::load("request", body.bytes(), Some(format), sizes, &*app.clock)?;
        drop(body);
        let priced = pipeline::price_for(loaded, params.contention, sizes, &*app.clock)?;
        let request = Request {
            objective: params.objective,
            solver: params.solver,
            deadline: Some(deadline),
            work_limit: params.work_limit,
            gap: params.gap,
            seed: params.seed,
            threads: params.threads,
            warm_start: None,
            cancel,
            clock: Arc::clone(&app.clock),
            notes: params.notes,
            steady: params.steady,
            isolated: app.config.isolated.clone(),
        };
        pipeline::solve(&priced, &request, &mut ())
    };
    let answer = run().map_err(|error| Problem::of(&error, ""))?;
    let result = answer.result;
    let took = app.clock.now().saturating_sub(begun);
    app.metrics.solved(&result, took);
    tracing::info!(
        id,
        solver = result.solver,
        status = result.status.as_str(),
        gap = result.certificate.gap,
        ms = took.as_millis(),
        "solved"
    );
    serde_json::to_vec(&result).map_err(|error| Problem::of(&ServiceError::Json(error), ""))
}

/// The format of a JSON document, when it is one of `accepted`.
pub(super) fn expect_format(bytes: &[u8], accepted: &[Format], prefix: &str) -> Result<Format, Problem> {
    let names = || accepted.iter().filter_map(|f| f.tag()).collect::<Vec<_>>().join(" or ");
    match format::guess(bytes) {
        Some(format) if accepted.contains(&format) => Ok(format),
        Some(format) => {
            let message = format!("this route takes {}, not a {format} document", names());
            Err(Problem::invalid(&Issues::one(Issue::new(Code::Format, "/format", message)), prefix))
        }
        None => Err(Problem::invalid(&input::unknown_json(bytes), prefix)),
    }
}
