//! `/live`, `/ready`, `/metrics`.

use super::{Head, bytes, json, problem};
use crate::http::metrics::CONTENT_TYPE;
use crate::http::problem::{Kind, Problem};
use crate::http::state::{App, Readiness};
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use warp::reply::Response;

/// State of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Health {
    /// `live` or `ready`.
    pub status: &'static str,
}

/// The process answers.
#[must_use]
#[allow(clippy::needless_pass_by_value)] // what warp hands over
pub fn live(_: Arc<App>, _: Head) -> Response {
    json(&Health { status: "live" })
}

/// The process solves: 200 once its self-solve passed the checker.
#[must_use]
#[allow(clippy::needless_pass_by_value)]
pub fn ready(app: Arc<App>, head: Head) -> Response {
    let detail = match app.readiness() {
        Readiness::Ready => return json(&Health { status: "ready" }),
        Readiness::Starting => "the self-solve has not finished".to_owned(),
        Readiness::Failed(reason) => format!("the self-solve failed: {reason}"),
        Readiness::Stopping => "the service is shutting down".to_owned(),
    };
    let mut not_ready = Problem::new(Kind::NotReady, detail);
    not_ready.retry_after_s = Some(1);
    problem(not_ready, &head.id)
}

/// Prometheus (OpenMetrics) exposition.
#[must_use]
#[allow(clippy::needless_pass_by_value)]
pub fn metrics(app: Arc<App>, _: Head) -> Response {
    app.jobs.count();
    app.metrics.keys(app.gate.active(app.wall.now()));
    app.metrics.fleets.refresh(&app.fleets.snapshots());
    bytes(StatusCode::OK, CONTENT_TYPE, app.metrics.expose().into_bytes())
}
