//! One module a group of routes.

pub mod admin;
pub mod agents;
pub mod check;
pub mod explain;
pub mod fleet_events;
pub mod fleet_plans;
pub mod fleets;
pub mod frontier;
pub mod jobs;
pub mod lists;
pub mod pages;
pub mod solve;
pub mod validate;

use crate::access::Caller;
use crate::http::body::{self, Body, BodyError, BodyStream};
use crate::http::fair::Turn;
use crate::http::params::check_media_type;
use crate::http::problem::{Kind, Problem};
use crate::http::state::{App, Readiness};
use crate::telemetry::TraceContext;
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use std::time::Duration;
use warp::reply::Response;

/// A request without its body.
#[derive(Debug, Clone)]
pub struct Head {
    /// Headers.
    pub headers: HeaderMap,
    /// Query parameters.
    pub query: Vec<(String, String)>,
    /// Request id.
    pub id: String,
    /// Who asks.
    pub caller: Caller,
    /// Which trace it belongs to.
    pub trace: TraceContext,
}

impl Head {
    /// The caller's turn on a pool.
    #[must_use]
    pub fn turn(&self) -> Turn {
        Turn::of(self.caller.owner())
    }
}

/// Reads a JSON body within the service's bounds.
///
/// # Errors
/// 400, 408, 413, 415 or 503.
pub async fn read_body(app: &App, head: &Head, stream: BodyStream) -> Result<Body, Problem> {
    if app.readiness() == Readiness::Stopping {
        return Err(Problem::shutting_down());
    }
    check_media_type(&head.headers)?;
    let announced = head.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let expects = head.headers.contains_key(EXPECT);
    let mut bounds = app.bounds();
    bounds.bytes = head.caller.max_body.unwrap_or(u64::MAX).min(bounds.bytes);
    body::read(stream, announced, expects, bounds, &app.budget).await.map_err(|error| match error {
        BodyError::TooLarge => {
            Problem::new(Kind::TooLarge, format!("the body is larger than {} bytes", bounds.bytes))
        }
        BodyError::TooSlow => Problem::new(
            Kind::Slow,
            format!("the body was not complete after {} s", app.config.body_timeout.as_secs_f64()),
        ),
        BodyError::Cut => Problem::new(Kind::Cut, "the connection ended before the body did"),
        BodyError::NoRoom => {
            Problem::busy("too many bytes of request bodies are in memory", Duration::from_secs(1))
        }
    })
}

/// Refuses parameters on routes that take none.
///
/// # Errors
/// 400.
pub fn no_parameters(head: &Head) -> Result<(), Problem> {
    match head.query.first() {
        None => Ok(()),
        Some((name, _)) => {
            let shown: String = name.chars().take(64).collect();
            Err(Problem::query(&shown, ecomap_instances::Code::OutOfRange, "this route takes no parameter"))
        }
    }
}

/// An answer of ready bytes.
#[must_use]
pub fn bytes(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A JSON answer.
#[must_use]
pub fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => bytes(StatusCode::OK, "application/json", body),
        Err(error) => {
            tracing::error!(%error, "cannot write JSON");
            problem(Problem::new(Kind::Internal, "the service failed; its log says why"), "")
        }
    }
}

/// An error answer.
#[must_use]
pub fn problem(problem: Problem, id: &str) -> Response {
    let Problem { kind, retry_after_s, .. } = problem;
    let allow = problem.allow.as_deref().and_then(|a| HeaderValue::from_str(a).ok());
    let status = StatusCode::from_u16(kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_vec(&problem.into_dto(id)).unwrap_or_default();
    let mut response = bytes(status, "application/problem+json", body);
    let headers = response.headers_mut();
    if let Some(seconds) = retry_after_s {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Some(allow) = allow {
        headers.insert(ALLOW, allow);
    }
    // The rest of such a body is not worth reading.
    if matches!(kind, Kind::TooLarge | Kind::Slow | Kind::Cut) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What a handler answers.
#[must_use]
pub fn answer(outcome: Result<Response, Problem>, id: &str) -> Response {
    outcome.unwrap_or_else(|p| problem(p, id))
}
