//! Where boards announce themselves and send telemetry: `PUT /v1/agents/{device}`, `POST /v1/agents/{device}/telemetry`,
//! and `GET /v1/agents` for people. Who may is for whoever mounts these routes to decide.

use crate::registry::{NotTaken, Registry};
use bytes::Bytes;
use ecomap_instances::Issues;
use ecomap_instances::format::agent_v1::RegistrationDto;
use ecomap_instances::format::{read_document, telemetry_v1};
use http::{Response, StatusCode};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use warp::{Filter, Rejection};

/// Most bytes of a registration or report.
const MAX_BODY: u64 = 4 << 20;

/// The time that registrations are marked with.
pub type Now = Arc<dyn Fn() -> Duration + Send + Sync>;

/// The routes. `Error = Rejection` only for other paths and methods, and bodies that are too long.
pub fn routes(
    registry: Registry,
    now: Now,
) -> impl Filter<Extract = (Response<Bytes>,), Error = Rejection> + Clone {
    let with = warp::any().map(move || registry.clone());
    let body = warp::body::content_length_limit(MAX_BODY).and(warp::body::bytes());
    let announce = warp::path!("v1" / "agents" / String).and(warp::put()).and(with.clone()).and(body).map(
        move |device: String, registry: Registry, body: Bytes| {
            let device = unescape(&device);
            match read_document::<RegistrationDto>(&body) {
                Ok(registration) => taken(registry.register(&device, registration, now()).map(|()| true)),
                Err(issues) => invalid(&issues),
            }
        },
    );
    let report = warp::path!("v1" / "agents" / String / "telemetry")
        .and(warp::post())
        .and(with.clone())
        .and(body)
        .map(|device: String, registry: Registry, body: Bytes| match telemetry_v1::read(&body) {
            Ok(report) => taken(registry.report(&unescape(&device), report)),
            Err(issues) => invalid(&issues),
        });
    let list = warp::path!("v1" / "agents").and(warp::get()).and(with).map(|registry: Registry| {
        let boards = registry.boards();
        let list: Vec<_> = boards
            .values()
            .map(|seen| json!({"registration": seen.registration, "seen_at_ms": u64::try_from(seen.at.as_millis()).unwrap_or(u64::MAX)}))
            .collect();
        answer(StatusCode::OK, &json!({ "agents": list }))
    });
    announce.or(report).unify().or(list).unify()
}

fn taken(done: Result<bool, NotTaken>) -> Response<Bytes> {
    match done {
        Ok(_) => answer(StatusCode::OK, &json!({})),
        Err(error) => {
            let status = match error {
                NotTaken::Unknown => StatusCode::NOT_FOUND,
                NotTaken::Full => StatusCode::SERVICE_UNAVAILABLE,
                NotTaken::Other | NotTaken::Address => StatusCode::UNPROCESSABLE_ENTITY,
            };
            answer(
                status,
                &json!({"title": "not taken", "status": status.as_u16(), "detail": error.to_string()}),
            )
        }
    }
}

fn invalid(issues: &Issues) -> Response<Bytes> {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    let body = json!({"title": "invalid document", "status": status.as_u16(), "errors": issues.list()});
    answer(status, &body)
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let json = if status.is_success() { "application/json" } else { "application/problem+json" };
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(json));
    response
}

/// Undoes `%XX`: names of boards may hold `/` and `:`. What is not such an escape stays as it is.
#[must_use]
pub fn unescape(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, others)) = rest.split_first() {
        let code = others.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|c| u8::from_str_radix(std::str::from_utf8(c).ok()?, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { others.get(2..).unwrap_or_default() } else { others };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_undone_once() {
        for (text, name) in
            [("site-a%2Forin%3A1", "site-a/orin:1"), ("a%2", "a%2"), ("%zz", "%zz"), ("%2541", "%41")]
        {
            assert_eq!(unescape(text), name);
        }
    }
}
