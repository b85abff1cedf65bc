//! `POST /v1/frontier`.

use super::solve::{PROBLEMS, expect_format};
use super::{Head, answer, bytes, read_body};
use crate::ServiceError;
use crate::frontier::{self, Question};
use crate::http::body::{Body, BodyStream};
use crate::http::problem::Problem;
use crate::http::questions::FrontierParams;
use crate::http::state::App;
use crate::pipeline;
use ecomap_solver::{CancelToken, SolveOptions};
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use warp::reply::Response;

/// Answers with the Pareto frontier of two terms, or the part of it that the time allowed.
pub async fn post(app: Arc<App>, head: Head, stream: BodyStream) -> Response {
    let outcome = find(&app, &head, stream).await;
    if let Err(problem) = &outcome {
        app.metrics.rejected(problem.kind.code());
    }
    answer(outcome, &head.id)
}

async fn find(app: &Arc<App>, head: &Head, stream: BodyStream) -> Result<Response, Problem> {
    let params = FrontierParams::read(&head.query, &head.headers, &app.config)?;
    let arrived = app.clock.now();
    let body = read_body(app, head, stream).await?;
    let cancel = CancelToken::default();
    let job = {
        let (app, cancel, id) = (Arc::clone(app), cancel.clone(), head.id.clone());
        move || work(&app, body, &params, arrived, cancel, &id)
    };
    let ticket = app.solves.submit_as(&head.turn(), cancel, job).map_err(Problem::refused)?;
    let found = ticket.await.map_err(|lost| Problem::lost(lost, "the frontier"))??;
    Ok(bytes(StatusCode::OK, "application/json", found))
}

/// Runs on the pool.
fn work(
    app: &App,
    body: Body,
    params: &FrontierParams,
    arrived: Duration,
    cancel: CancelToken,
    id: &str,
) -> Result<Vec<u8>, Problem> {
    let begun = app.clock.now();
    let deadline = arrived + params.solve.time;
    let sizes = app.config.sizes();
    let format = expect_format(body.bytes(), &PROBLEMS, "")?;
    let run = || {
        let loaded = pipeline::load("request", body.bytes(), Some(format), sizes, &*app.clock)?;
        drop(body);
        let priced = pipeline::price(loaded, sizes, &*app.clock)?;
        let left = deadline.saturating_sub(app.clock.now());
        if left.is_zero() {
            return Err(ServiceError::NoTimeLeft);
        }
        let options = SolveOptions {
            time_limit: Some(left),
            work_limit: params.solve.work_limit,
            seed: params.solve.seed,
            threads: params.solve.threads,
            cancel,
            clock: Arc::clone(&app.clock),
            ..SolveOptions::default()
        };
        let question = Question { axes: params.axes, points: params.points, gap: params.solve.gap, options };
        let mut found = frontier::find_in(&priced, &question)?;
        found.notes.extend(params.solve.notes.iter().cloned());
        Ok(found)
    };
    let found = run().map_err(|error| Problem::of(&error, ""))?;
    let took = app.clock.now().saturating_sub(begun);
    tracing::info!(id, axes = found.axes, points = found.points.len(), ms = took.as_millis(), "frontier");
    serde_json::to_vec(&found).map_err(|error| Problem::of(&ServiceError::Json(error), ""))
}
