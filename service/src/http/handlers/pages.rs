//! Pages for people: the dashboard at `/`, `/docs`, and the OpenAPI document.

use super::{Head, bytes, problem};
use crate::http::dashboard;
use crate::http::docs::{self, Page};
use crate::http::openapi;
use crate::http::problem::{Kind, Problem};
use crate::http::state::App;
use http::header::{CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use std::sync::Arc;
use warp::reply::Response;

/// `GET /`: the dashboard.
#[must_use]
pub fn index(app: Arc<App>, head: Head) -> Response {
    dashboard("index.html".to_owned(), app, head)
}

/// `GET /dashboard/{file}`: a file of the dashboard.
#[must_use]
#[allow(clippy::needless_pass_by_value)] // what warp hands over
pub fn dashboard(name: String, _: Arc<App>, head: Head) -> Response {
    let Some(file) = dashboard::file(&name) else {
        return problem(Problem::new(Kind::NotFound, "the dashboard has no such file"), &head.id);
    };
    let mut response = bytes(StatusCode::OK, file.content_type, file.text.as_bytes().to_vec());
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(dashboard::POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
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
