//! What happens to every request, whatever its route: an id and a place in a trace, the question
//! whether it may pass, a log line, an audit line, a span, counters.

use crate::access::audit::{Entry, MOST_PATH};
use crate::access::bucket::Level;
use crate::access::gate::{Caller, ceil};
use crate::access::rights;
use crate::http::cors;
use crate::http::handlers;
use crate::http::metrics::RequestLabels;
use crate::http::problem::{Kind, Problem};
use crate::http::routes::{self, RequestId};
use crate::http::state::App;
use crate::telemetry::context::{TRACEPARENT, TRACESTATE, TraceContext};
use crate::telemetry::span::{Attribute, Role as SpanRole, Span};
use crate::wall::WireTime;
use http::header::{EXPECT, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request};
use hyper::body::{Body, Incoming};
use hyper::service::Service;
use jiff::Timestamp;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;
use warp::reply::Response;

/// Header with the request's id, taken from the client where it is harmless.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// How long the body of a refused request is still read and thrown away, so that a client that
/// sends first and reads later sees the refusal.
const LINGER: Duration = Duration::from_secs(5);

/// Wraps the routes.
#[derive(Debug, Clone)]
pub struct Front<S> {
    inner: S,
    app: Arc<App>,
    peer: IpAddr,
}

impl<S> Front<S> {
    /// Wraps `inner` for a connection from `peer`.
    pub fn new(inner: S, app: Arc<App>, peer: IpAddr) -> Self {
        Self { inner, app, peer }
    }
}

impl<S> Service<Request<Incoming>> for Front<S>
where
    S: Service<Request<Incoming>, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let app = &self.app;
        let id = given_id(request.headers()).unwrap_or_else(|| app.next_request_id());
        let trace = TraceContext::of(request.headers(), &app.ids, app.spans.on());
        let route = routes::template(request.uri().path());
        let method = request.method().clone();
        let (now, wall) = (app.clock.now(), app.wall.now());
        let origin = cors::trusted_origin(app.gate.trusted(), request.headers());
        let preflight = cors::preflight(origin.as_ref(), &method, request.headers());
        let decision = app.gate.decide(request.headers(), rights::need(method.as_str(), route), wall, now);
        let mut seen = Seen {
            route,
            method: method_label(&method),
            begun: now,
            wall,
            path: request.uri().path().chars().take(MOST_PATH).collect(),
            peer: self.peer,
            id: id.clone(),
            trace: trace.clone(),
            caller: decision.caller.clone(),
            app: Arc::clone(app),
            answered: false,
        };
        let level = decision.level;
        let finish = move |mut response: Response| {
            if let Some(origin) = origin {
                cors::allow(&mut response, origin);
            }
            seen.answer(&response);
            decorate(response.headers_mut(), &seen.id, &seen.trace, level);
            response
        };
        if let Some(response) = preflight {
            return Box::pin(async move { Ok(finish(response)) });
        }
        if let Some(problem) = decision.refusal {
            let response = refuse(*problem, request, &id, app.config.max_body);
            return Box::pin(async move { Ok(finish(response)) });
        }
        let span = tracing::info_span!("request", id, trace_id = %trace.trace.text());
        let extensions = request.extensions_mut();
        extensions.insert(RequestId(id));
        extensions.insert(decision.caller);
        extensions.insert(trace);
        let answer = self.inner.call(request).instrument(span);
        Box::pin(async move { Ok(finish(answer.await?)) })
    }
}

/// An id from the client, when it is short and plain.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    plain.then(|| text.to_owned())
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn refuse(problem: Problem, request: Request<Incoming>, id: &str, most: u64) -> Response {
    // A client that waits for `100 Continue` sends nothing after a refusal.
    let waits = request.headers().contains_key(EXPECT);
    let body = request.into_body();
    if !waits && !body.is_end_stream() {
        tokio::spawn(async move {
            let _ = tokio::time::timeout(LINGER, drain(body, most)).await;
        });
    }
    let kind = problem.kind;
    let mut response = handlers::problem(problem, id);
    if kind == Kind::Unauthorized {
        let challenge = HeaderValue::from_static("Bearer realm=\"ecomap\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
    }
    response
}

async fn drain(mut body: Incoming, most: u64) {
    let mut left = most;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let length = frame.data_ref().map_or(0, |data| data.len() as u64);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

fn decorate(headers: &mut HeaderMap, id: &str, trace: &TraceContext, level: Option<Level>) {
    let mut set = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    set(REQUEST_ID, id);
    set(TRACEPARENT, &trace.header());
    if let Some(state) = &trace.state {
        set(TRACESTATE, state);
    }
    if let Some(level) = level {
        let window = ceil(Duration::from_secs_f64((level.rate.burst / level.rate.per_s).clamp(1.0, 1e9)));
        set(RATE_LIMIT_POLICY, &format!("\"key\";q={};w={window}", level.rate.burst.floor()));
        set(RATE_LIMIT, &format!("\"key\";r={};t={}", level.left, ceil(level.full_in)));
    }
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
}

/// Writes the lines when the request is answered, or dropped because its client went away.
struct Seen {
    route: &'static str,
    method: &'static str,
    begun: Duration,
    wall: Timestamp,
    path: String,
    peer: IpAddr,
    id: String,
    trace: TraceContext,
    caller: Caller,
    app: Arc<App>,
    answered: bool,
}

impl Seen {
    fn took(&self) -> Duration {
        self.app.clock.now().saturating_sub(self.begun)
    }

    fn answer(&mut self, response: &Response) {
        self.answered = true;
        let status = response.status().as_u16();
        let took = self.took();
        let labels = RequestLabels { route: self.route, method: self.method, status };
        self.app.metrics.request(&labels, took);
        if self.caller.key.is_some() {
            self.app.metrics.keyed(&self.caller.name, status == 429);
        }
        let (key, trace) = (&*self.caller.name, self.trace.trace.text());
        tracing::info!(
            id = %self.id, trace_id = trace, key, method = self.method, route = self.route, status,
            ms = took.as_millis(), "answered"
        );
        self.audit(Some(status));
        self.span(Some(status), took);
    }

    /// What changes something, or was refused for want of a right, is written down.
    fn audit(&self, status: Option<u16>) {
        let refused = matches!(status, Some(401 | 403 | 429));
        let looks = matches!(self.method, "GET" | "HEAD");
        if looks && !refused {
            return;
        }
        if refused && self.caller.role.is_none() && !self.app.audits_refusal(self.begun) {
            return;
        }
        let outcome = match status {
            Some(_) if refused => "refused",
            Some(status) if status < 400 => "ok",
            Some(_) => "failed",
            None => "gone",
        };
        let known = self.caller.role.is_some();
        self.app.audit.write(&Entry {
            time: WireTime(self.app.wall.now()),
            request: self.id.clone(),
            trace: self.trace.trace.text(),
            key: self.caller.key.as_ref().map(|k| k.as_str().to_owned()),
            name: known.then(|| self.caller.name.to_string()),
            role: self.caller.role,
            peer: self.peer.to_string(),
            method: self.method.to_owned(),
            path: self.path.clone(),
            status,
            outcome,
        });
    }

    fn span(&self, status: Option<u16>, took: Duration) {
        if !self.trace.sampled || !self.app.spans.on() {
            return;
        }
        let mut attributes = vec![
            Attribute::text("http.request.method", self.method),
            Attribute::text("http.route", self.route),
            Attribute::text("ecomap.request.id", &self.id),
        ];
        attributes.extend(status.map(|s| Attribute::integer("http.response.status_code", i64::from(s))));
        self.app.spans.send(Span {
            name: format!("{} {}", self.method, self.route),
            role: SpanRole::Server,
            context: self.trace.clone(),
            begun: self.wall,
            took,
            attributes,
            failed: status.is_none_or(|s| s >= 500),
        });
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        if !self.answered {
            let took = self.took();
            self.app.metrics.cancelled();
            tracing::info!(
                id = %self.id, trace_id = self.trace.trace.text(), method = self.method, route = self.route,
                ms = took.as_millis(), "client went away"
            );
            self.audit(None);
            self.span(None, took);
        }
    }
}
