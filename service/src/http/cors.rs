//! Cross-origin sharing: closed, but for the origins that the operator names.

use crate::access::guard::Trusted;
use crate::http::front::REQUEST_ID;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use warp::reply::Response;

/// Methods that pages of trusted origins may use.
const METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE";
/// Headers that they may send.
const HEADERS: &str = "authorization, content-type, idempotency-key, if-match, if-none-match, last-event-id, \
                       prefer, traceparent, tracestate, x-request-id";
/// Headers that they may read.
const EXPOSED: &str =
    "etag, location, preference-applied, ratelimit, ratelimit-policy, retry-after, traceparent";

/// The request's origin, if it is a trusted one.
#[must_use]
pub fn trusted_origin(trusted: &Trusted, headers: &HeaderMap) -> Option<HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    origin.to_str().is_ok_and(|o| trusted.origin(o)).then(|| origin.clone())
}

/// The answer to a browser that asks first; `None` for any other request.
#[must_use]
pub fn preflight(origin: Option<&HeaderValue>, method: &Method, headers: &HeaderMap) -> Option<Response> {
    if *method != Method::OPTIONS || !headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return None;
    }
    origin?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    let answer = response.headers_mut();
    answer.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
    answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    Some(response)
}

/// Lets a trusted origin read an answer.
pub fn allow(response: &mut Response, origin: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(VARY, HeaderValue::from_static("origin"));
    let exposed = format!("{EXPOSED}, {REQUEST_ID}");
    if let Ok(value) = HeaderValue::from_str(&exposed) {
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, value);
    }
}
