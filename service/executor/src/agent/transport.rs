//! How a board speaks to the service: a port, and HTTP behind it.

use ecomap_instances::format::agent_v1::RegistrationDto;
use futures_util::future::BoxFuture;
use std::fmt::{self, Debug};
use std::time::Duration;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Sends a board's news to the service. Every call ends within a bounded time.
pub trait Transport: Send + Sync + Debug {
    /// Announces the board, or says that it is still there.
    fn register<'a>(&'a self, registration: &'a RegistrationDto)
    -> BoxFuture<'a, Result<(), TransportError>>;

    /// Sends a report, as JSON.
    fn report(&self, body: Vec<u8>) -> BoxFuture<'_, Result<(), TransportError>>;
}

/// Why news did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The service is away, or busy: try again.
    #[error("the service is away: {0}")]
    Away(String),
    /// The service will not have it: trying again is of no use.
    #[error("the service refuses with status {0}")]
    Refused(u16),
}

/// A token that is never printed.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// From the text of a file; white space around it goes.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// HTTP: `PUT /v1/agents/{device}` and `POST /v1/agents/{device}/telemetry` on the service.
#[derive(Debug, Clone)]
pub struct Http {
    client: reqwest::Client,
    base: String,
    token: Option<Token>,
}

impl Http {
    /// For the board `device` and a service at `service`, such as `http://10.0.0.1:8080`.
    ///
    /// # Errors
    /// When the system cannot make a client.
    pub fn new(service: &str, device: &str, token: Option<Token>) -> Result<Self, reqwest::Error> {
        // Plans and reports travel between two known machines: a proxy of the environment has no part in it.
        let client = reqwest::Client::builder().timeout(LIMIT).connect_timeout(LIMIT).no_proxy().build()?;
        let base = format!("{}/v1/agents/{}", service.trim_end_matches('/'), escape(device));
        Ok(Self { client, base, token })
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<(), TransportError> {
        let request = match &self.token {
            Some(token) => request.bearer_auth(&token.0),
            None => request,
        };
        let status = match request.send().await {
            Ok(response) => response.status(),
            Err(error) => return Err(TransportError::Away(error.without_url().to_string())),
        };
        match status.as_u16() {
            200..=299 => Ok(()),
            // 401 and 404 pass too, when the service is set up or learns of the board.
            401 | 404 | 408 | 429 | 500..=599 => Err(TransportError::Away(format!("status {status}"))),
            other => Err(TransportError::Refused(other)),
        }
    }
}

impl Transport for Http {
    fn register<'a>(
        &'a self,
        registration: &'a RegistrationDto,
    ) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(self.send(self.client.put(&self.base).json(registration)))
    }

    fn report(&self, body: Vec<u8>) -> BoxFuture<'_, Result<(), TransportError>> {
        let request = self.client.post(format!("{}/telemetry", self.base));
        Box::pin(self.send(request.header("content-type", "application/json").body(body)))
    }
}

/// A name as one segment of a path: names of boards may hold `/` and `:`.
#[must_use]
pub fn escape(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment() {
        assert_eq!(escape("site-a/orin:1"), "site-a%2Forin%3A1");
        assert!(!format!("{:?}", Token::new("hunter2\n")).contains("hunter2"));
    }
}
