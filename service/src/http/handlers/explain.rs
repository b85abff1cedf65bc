//! `POST /v1/explain`.

use super::solve::{PROBLEMS, expect_format};
use super::{Head, answer, bytes, read_body};
use crate::ServiceError;
use crate::explain::plan::PlanQuestion;
use crate::explain::{self, Question};
use crate::http::body::{Body, BodyStream};
use crate::http::problem::Problem;
use crate::http::questions::ExplainParams;
use crate::http::state::App;
use crate::pipeline;
use ecomap_instances::Code;
use ecomap_instances::format::{guess, read_document, result_v1};
use ecomap_solver::{CancelToken, SolveOptions};
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;
use warp::reply::Response;

/// Body of the request, where it is not a problem by itself. The two documents are read on their own,
/// so that pointers and limits are theirs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Both {
    input: Box<RawValue>,
    result: Box<RawValue>,
}

/// Explains a problem, or one tenant of a result.
pub async fn post(app: Arc<App>, head: Head, stream: BodyStream) -> Response {
    let outcome = explain(&app, &head, stream).await;
    if let Err(problem) = &outcome {
        app.metrics.rejected(problem.kind.code());
    }
    answer(outcome, &head.id)
}

async fn explain(app: &Arc<App>, head: &Head, stream: BodyStream) -> Result<Response, Problem> {
    let params = ExplainParams::read(&head.query, &head.headers, &app.config)?;
    let arrived = app.clock.now();
    let body = read_body(app, head, stream).await?;
    let cancel = CancelToken::default();
    let job = {
        let (app, cancel, id) = (Arc::clone(app), cancel.clone(), head.id.clone());
        move || work(&app, &body, params, arrived, cancel, &id)
    };
    let ticket = app.solves.submit_as(&head.turn(), cancel, job).map_err(Problem::refused)?;
    let told = ticket.await.map_err(|lost| Problem::lost(lost, "the explanation"))??;
    Ok(bytes(StatusCode::OK, "application/json", told))
}

/// Runs on the pool.
fn work(
    app: &App,
    body: &Body,
    params: ExplainParams,
    arrived: Duration,
    cancel: CancelToken,
    id: &str,
) -> Result<Vec<u8>, Problem> {
    let begun = app.clock.now();
    let deadline = arrived + params.solve.time;
    if begun >= deadline {
        return Err(Problem::of(&ServiceError::NoTimeLeft, ""));
    }
    let options = SolveOptions {
        time_limit: Some(params.solve.time),
        gap: params.solve.gap.unwrap_or(0.0),
        seed: params.solve.seed,
        threads: params.solve.threads,
        cancel,
        clock: Arc::clone(&app.clock),
        ..SolveOptions::default()
    };
    let told = match guess(body.bytes()) {
        Some(_) => problem(app, body.bytes(), params, options, deadline)?,
        None => plan(app, body.bytes(), params, options, deadline)?,
    };
    let took = app.clock.now().saturating_sub(begun);
    tracing::info!(id, ms = took.as_millis(), "explained");
    Ok(told)
}

fn problem(
    app: &App,
    bytes: &[u8],
    params: ExplainParams,
    options: SolveOptions,
    deadline: Duration,
) -> Result<Vec<u8>, Problem> {
    let format = expect_format(bytes, &PROBLEMS, "")?;
    let run = || {
        let sizes = app.config.sizes();
        let loaded = pipeline::load("request", bytes, Some(format), sizes, &*app.clock)?;
        let priced = pipeline::price_open(loaded, sizes, &*app.clock)?;
        let question = Question {
            objective: params.solve.objective,
            prices: params.prices,
            what_if: params.what_if,
            tenants: params.tenants,
            options,
            deadline: Some(deadline),
        };
        let explanation = explain::explain(&priced, &question)?;
        Ok(serde_json::to_vec(&explanation)?)
    };
    run().map_err(|error: ServiceError| Problem::of(&error, ""))
}

fn plan(
    app: &App,
    bytes: &[u8],
    params: ExplainParams,
    options: SolveOptions,
    deadline: Duration,
) -> Result<Vec<u8>, Problem> {
    let both: Both = read_document(bytes).map_err(|issues| Problem::invalid(&issues, ""))?;
    let [tenant] = &params.tenants[..] else {
        let message = "a result is explained one tenant at a time: name it";
        return Err(Problem::query("tenant", Code::OutOfRange, message));
    };
    let (input, result) = (both.input.get().as_bytes(), both.result.get().as_bytes());
    let format = expect_format(input, &PROBLEMS, "/input")?;
    let result = result_v1::read(result).map_err(|issues| Problem::invalid(&issues, "/result"))?;
    let sizes = app.config.sizes();
    let priced = pipeline::load("request", input, Some(format), sizes, &*app.clock)
        .and_then(|loaded| pipeline::price(loaded, sizes, &*app.clock))
        .map_err(|error| Problem::of(&error, "/input"))?;
    let question = PlanQuestion {
        result,
        current: None,
        tenant: tenant.clone(),
        objective: params.solve.objective,
        options,
        deadline: Some(deadline),
    };
    let run = || Ok(serde_json::to_vec(&explain::plan::explain(&priced, &question)?)?);
    run().map_err(|error: ServiceError| Problem::of(&error, "/result"))
}
