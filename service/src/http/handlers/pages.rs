//! Pages for people: `/`, `/docs`, and the OpenAPI document.

use super::{Head, bytes, problem};
use crate::http::docs::{self, Page};
use crate::http::openapi;
use crate::http::problem::{Kind, Problem};
use crate::http::state::App;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use warp::reply::Response;

/// `GET /`: what to try.
#[must_use]
#[allow(clippy::needless_pass_by_value)] // what warp hands over
pub fn index(app: Arc<App>, _: Head) -> Response {
    let scenario = app.config.scenario.as_ref().map_or("campus", |d| d.name.as_str());
    let page = docs::index(scenario);
    bytes(StatusCode::OK, "text/html; charset=utf-8", page.into_bytes())
}

/// `GET /openapi.json`.
#[must_use]
#[allow(clippy::needless_pass_by_value)]
pub fn openapi(_: Arc<App>, _: Head) -> Response {
    bytes(StatusCode::OK, "application/json", openapi::text().as_bytes().to_vec())
}

/// `GET /docs/…`: the vendored documentation page.
#[must_use]
#[allow(clippy::needless_pass_by_value)]
pub fn docs(tail: &str, full: &str, _: Arc<App>, head: Head) -> Response {
    if tail.is_empty() && !full.ends_with('/') {
        // The page names its files relative to itself.
        let mut response = bytes(StatusCode::PERMANENT_REDIRECT, "text/plain; charset=utf-8", Vec::new());
        response.headers_mut().insert(LOCATION, HeaderValue::from_static("/docs/"));
        return response;
    }
    match docs::file(tail) {
        Page::Found { bytes: body, content_type } => {
            let mut response = bytes(StatusCode::OK, "text/plain", body);
            if let Ok(value) = HeaderValue::from_str(&content_type) {
                response.headers_mut().insert(http::header::CONTENT_TYPE, value);
            }
            response
        }
        Page::Missing => {
            problem(Problem::new(Kind::NotFound, "the documentation has no such file"), &head.id)
        }
        Page::Broken(reason) => {
            tracing::error!(%reason, "cannot serve the documentation page");
            problem(Problem::new(Kind::Internal, "the service failed; its log says why"), &head.id)
        }
    }
}
