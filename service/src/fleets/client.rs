//! The connection to services that know carbon intensities.
//!
//! Only addresses of the configuration are asked; redirects are not followed, since a redirect is an address from
//! elsewhere and the credentials would go along. Proxies come from the environment (`HTTPS_PROXY`, `HTTP_PROXY`,
//! `NO_PROXY`). Answers are bounded in time and length, and remembered by their `ETag`.

use crate::ServiceError;
use ecomap_carbon::source::{LARGEST, Request, Response};
use ecomap_carbon::{Secret, SourceError};
use http::header::{ETAG, IF_NONE_MATCH, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Answers remembered by one [`Memory`].
const REMEMBERED: usize = 8;
/// Longest answer that is remembered, bytes.
const SHORT: usize = 512 << 10;

/// A client for all services.
#[derive(Debug, Clone)]
pub struct Client(reqwest::Client);

/// Answers of one conversation partner, by path.
#[derive(Debug, Default)]
pub struct Memory {
    answers: BTreeMap<String, (HeaderValue, Vec<u8>)>,
    order: VecDeque<String>,
}

impl Memory {
    fn keep(&mut self, path: &str, tag: HeaderValue, body: &[u8]) {
        if body.len() > SHORT {
            return;
        }
        if self.answers.insert(path.to_owned(), (tag, body.to_vec())).is_none() {
            self.order.push_back(path.to_owned());
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.answers.remove(&oldest);
            }
        }
    }
}

impl Client {
    /// A client.
    ///
    /// # Errors
    /// [`ServiceError::Client`] when the system has no root certificates, or the proxy settings are broken.
    pub fn new() -> Result<Self, ServiceError> {
        reqwest::Client::builder()
            .user_agent(concat!("ecomap/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .pool_max_idle_per_host(2)
            .build()
            .map(Self)
            .map_err(|why| ServiceError::Client(why.to_string()))
    }

    /// Asks; an answer that has not changed comes from memory.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] without an answer in time, [`SourceError::Malformed`] for one that is too long.
    pub async fn ask(
        &self,
        base: &str,
        request: &Request,
        timeout: Duration,
        memory: &mut Memory,
    ) -> Result<Response, SourceError> {
        let mut headers = HeaderMap::new();
        for (name, secret) in &request.headers {
            headers.insert(*name, hidden(secret)?);
        }
        let known = memory.answers.get(&request.path);
        if let Some((tag, _)) = known {
            headers.insert(IF_NONE_MATCH, tag.clone());
        }
        let url = format!("{base}{}", request.path);
        let exchange = async {
            let mut answer = self.0.get(url).headers(headers).send().await.map_err(unavailable)?;
            let status = answer.status().as_u16();
            let header = |name| answer.headers().get(name).cloned();
            let (tag, after) = (header(ETAG), header(RETRY_AFTER));
            let mut body = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(unavailable)? {
                if body.len() + chunk.len() > LARGEST {
                    return Err(SourceError::Malformed(format!("more than {LARGEST} bytes")));
                }
                body.extend_from_slice(&chunk);
            }
            Ok((status, tag, after, body))
        };
        let late = |_| SourceError::Unavailable(format!("no answer within {} s", timeout.as_secs_f64()));
        let (status, tag, after, body) = tokio::time::timeout(timeout, exchange).await.map_err(late)??;
        if status == 304
            && let Some((_, body)) = known
        {
            return Ok(Response { status: 200, body: body.clone(), retry_after: None });
        }
        if status == 200
            && let Some(tag) = tag
        {
            memory.keep(&request.path, tag, &body);
        }
        let retry_after = after.and_then(|v| v.to_str().ok()?.trim().parse().ok());
        Ok(Response { status, body, retry_after })
    }
}

fn hidden(secret: &Secret) -> Result<HeaderValue, SourceError> {
    let wrong = |_| SourceError::Malformed("a credential that no header can carry".to_owned());
    let mut value = HeaderValue::from_str(secret.expose()).map_err(wrong)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Without the address, which may carry what an operator does not want in states and events.
fn unavailable(why: reqwest::Error) -> SourceError {
    let why = why.without_url();
    let kind = if why.is_timeout() {
        "timed out"
    } else if why.is_connect() {
        "no connection"
    } else if why.is_body() || why.is_decode() {
        "the answer was cut off"
    } else {
        "the exchange failed"
    };
    SourceError::Unavailable(kind.to_owned())
}
