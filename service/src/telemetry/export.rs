//! Sends spans to a collector in batches, from a bounded queue. What the collector does not take in
//! time is dropped and counted: telling must never hold up the work.

use crate::ServiceError;
use crate::telemetry::otlp;
use crate::telemetry::span::Span;
use prometheus_client::metrics::counter::Counter;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Spans that may wait.
const QUEUE: usize = 4096;
/// Spans in a batch.
const BATCH: usize = 512;
/// Longest that a span waits for its batch to fill.
const GATHER: Duration = Duration::from_secs(2);
/// Most time for one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Requests for one batch.
const TRIES: u32 = 4;
/// Longest pause that a collector can ask for.
const MOST_PAUSE: Duration = Duration::from_secs(30);
/// How long the last batches may take when the service ends.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Where spans go. Printed without the headers' values, which may be secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct OtlpConfig {
    traces: Url,
    headers: HeaderMap,
    service: String,
}

impl std::fmt::Debug for OtlpConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("OtlpConfig").field("traces", &self.traces.as_str()).field("headers", &names).finish()
    }
}

impl OtlpConfig {
    /// From the base address of a collector (`http://127.0.0.1:4318`), headers as
    /// `name=value,name=value` (the form of `OTEL_EXPORTER_OTLP_HEADERS`), and a service name.
    ///
    /// # Errors
    /// [`ServiceError::Usage`], which does not repeat the headers.
    pub fn new(endpoint: &str, headers: &str, service: &str) -> Result<Self, ServiceError> {
        let bad = |what: &str| ServiceError::Usage(format!("OTLP: {what}"));
        let base: Url = endpoint.parse().map_err(|_| bad("the endpoint is no address"))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(bad("the endpoint is not an http:// or https:// address"));
        }
        let mut traces = base;
        traces
            .path_segments_mut()
            .map_err(|()| bad("the endpoint is no address"))?
            .pop_if_empty()
            .extend(["v1", "traces"]);
        let mut map = HeaderMap::new();
        for pair in headers.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| bad("headers are not name=value"))?;
            let name: HeaderName = name.trim().parse().map_err(|_| bad("a header's name is not one"))?;
            let mut value: HeaderValue =
                value.trim().parse().map_err(|_| bad("a header's value is not one"))?;
            value.set_sensitive(true);
            map.insert(name, value);
        }
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self { traces, headers: map, service: service.to_owned() })
    }
}

/// What became of spans.
#[derive(Debug, Clone, Default)]
pub struct SpanCounters {
    /// Spans that a collector took.
    pub sent: Counter,
    /// Spans that were dropped.
    pub lost: Counter,
}

/// Takes spans. Without a collector it takes none.
#[derive(Debug, Default)]
pub struct Spans {
    queue: Option<mpsc::Sender<Span>>,
    ending: Mutex<Option<Ending>>,
    /// What became of them.
    pub counters: SpanCounters,
}

#[derive(Debug)]
struct Ending {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Spans {
    /// Starts sending, on the current Tokio runtime.
    ///
    /// # Errors
    /// [`ServiceError::Usage`] when the client cannot be made.
    pub fn start(config: Option<OtlpConfig>) -> Result<Self, ServiceError> {
        let Some(config) = config else { return Ok(Self::default()) };
        let client = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .default_headers(config.headers.clone())
            .build()
            .map_err(|error| ServiceError::Usage(format!("OTLP: {error}")))?;
        let (queue, spans) = mpsc::channel(QUEUE);
        let (stop, stopped) = oneshot::channel();
        let counters = SpanCounters::default();
        let sender = Sender { client, config, counters: counters.clone() };
        let task = tokio::spawn(sender.run(spans, stopped));
        Ok(Self { queue: Some(queue), ending: Mutex::new(Some(Ending { stop, task })), counters })
    }

    /// Whether spans go anywhere.
    #[must_use]
    pub fn on(&self) -> bool {
        self.queue.is_some()
    }

    /// Hands over a span.
    pub fn send(&self, span: Span) {
        if self.queue.as_ref().is_some_and(|queue| queue.try_send(span).is_err()) {
            self.counters.lost.inc();
        }
    }

    /// Sends what waits, within a few seconds, and ends.
    pub async fn end(&self) {
        let ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Ending { stop, task }) = ending {
            let _ = stop.send(());
            let _ = tokio::time::timeout(LAST_WORDS, task).await;
        }
    }
}

struct Sender {
    client: Client,
    config: OtlpConfig,
    counters: SpanCounters,
}

impl Sender {
    async fn run(self, mut spans: mpsc::Receiver<Span>, mut stopped: oneshot::Receiver<()>) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let gather = async {
                if spans.recv_many(&mut batch, BATCH).await == 0 {
                    return;
                }
                let fill =
                    async { while batch.len() < BATCH && spans.recv_many(&mut batch, BATCH).await > 0 {} };
                let _ = tokio::time::timeout(GATHER, fill).await;
            };
            let ends = tokio::select! {
                () = gather => spans.is_closed(),
                _ = &mut stopped => true,
            };
            if ends {
                while let Ok(span) = spans.try_recv() {
                    batch.push(span);
                }
            }
            for part in batch.chunks(BATCH) {
                self.post(part).await;
            }
            batch.clear();
            if ends {
                return;
            }
        }
    }

    async fn post(&self, spans: &[Span]) {
        let count = spans.len() as u64;
        let Ok(body) = serde_json::to_vec(&otlp::export(&self.config.service, spans)) else { return };
        let mut pause = Duration::from_millis(500);
        for left in (0..TRIES).rev() {
            let sent = self.client.post(self.config.traces.clone()).body(body.clone()).send().await;
            let asked = match sent {
                Ok(response) if response.status().is_success() => {
                    self.counters.sent.inc_by(count);
                    return;
                }
                Ok(response) if !worth_repeating(response.status()) => {
                    tracing::warn!(status = response.status().as_u16(), "the collector refuses spans");
                    break;
                }
                Ok(response) => {
                    let seconds =
                        response.headers().get(RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
                    seconds.map(Duration::from_secs)
                }
                Err(error) => {
                    tracing::debug!(%error, "the collector cannot be reached");
                    None
                }
            };
            if left > 0 {
                tokio::time::sleep(asked.unwrap_or(pause).min(MOST_PAUSE)).await;
                pause *= 2;
            }
        }
        self.counters.lost.inc_by(count);
        tracing::warn!(count, "spans were dropped");
    }
}

/// Those that the OTLP specification lists.
fn worth_repeating(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_and_not_printed() {
        let config = OtlpConfig::new("http://127.0.0.1:4318/base/", "x-token=hush, a=b", "s").expect("fine");
        assert_eq!(config.traces.as_str(), "http://127.0.0.1:4318/base/v1/traces");
        assert_eq!(config.headers.get("x-token").map(HeaderValue::as_bytes), Some(&b"hush"[..]));
        assert!(!format!("{config:?}").contains("hush"));
        for (endpoint, headers) in
            [("nowhere", ""), ("ftp://x", ""), ("http://x", "hush"), ("http://x", "é=hush")]
        {
            let error = OtlpConfig::new(endpoint, headers, "s").expect_err("refused").to_string();
            assert!(!error.contains("hush"), "{error}");
        }
    }
}
