//! What happens to every request, whatever its route: an id, a log line, counters.

use crate::http::metrics::RequestLabels;
use crate::http::routes::{self, RequestId};
use crate::http::state::App;
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::service::Service;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use warp::reply::Response;

/// Header with the request's id, taken from the client where it is harmless.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps the routes.
#[derive(Debug, Clone)]
pub struct Front<S> {
    inner: S,
    app: Arc<App>,
}

impl<S> Front<S> {
    /// Wraps `inner`.
    pub fn new(inner: S, app: Arc<App>) -> Self {
        Self { inner, app }
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
        let id = given_id(&request).unwrap_or_else(|| self.app.next_request_id());
        let mut seen = Seen {
            route: routes::template(request.uri().path()),
            method: method_label(request.method()),
            begun: self.app.clock.now(),
            id: id.clone(),
            app: Arc::clone(&self.app),
            answered: false,
        };
        request.extensions_mut().insert(RequestId(id));
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            seen.answer(&response);
            let headers = response.headers_mut();
            if let Ok(value) = HeaderValue::from_str(&seen.id) {
                headers.insert(REQUEST_ID, value);
            }
            headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
            Ok(response)
        })
    }
}

/// An id from the client, when it is short and plain.
fn given_id<B>(request: &Request<B>) -> Option<String> {
    let text = request.headers().get(REQUEST_ID)?.to_str().ok()?;
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

/// Writes the log line when the request is answered, or dropped because its client went away.
struct Seen {
    route: &'static str,
    method: &'static str,
    begun: Duration,
    id: String,
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
        tracing::info!(id = %self.id, method = self.method, route = self.route, status, ms = took.as_millis(), "answered");
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        if !self.answered {
            self.app.metrics.cancelled();
            tracing::info!(id = %self.id, method = self.method, route = self.route, ms = self.took().as_millis(), "client went away");
        }
    }
}
