//! Speaks to one board's agent: a port, and HTTP behind it.

use crate::key::Key;
use ecomap_instances::format::agent_v1::{
    AgentProblemDto, AgentStatusDto, CommittedDto, PreparedDto, RenewDto, SIGNATURE_HEADER, plan_path,
};
use ecomap_instances::format::orders_v1::OrdersDto;
use ecomap_instances::format::read_document;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;

/// Why a board did not do what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No answer, or none that can be understood. Whether it was done is not known.
    #[error("no answer: {0}")]
    Lost(String),
    /// The agent refuses, and nothing was done.
    #[error("{} {}: {}", .0.code, .0.title, .0.detail)]
    Refused(Box<AgentProblemDto>),
}

/// A way to one board. Whoever calls sets the time limits.
pub trait Link: Send + Sync + Debug {
    /// Prepares a plan.
    fn prepare<'a>(&'a self, orders: &'a OrdersDto) -> BoxFuture<'a, Result<PreparedDto, LinkError>>;
    /// Switches to a prepared plan.
    fn commit(&self, version: u64) -> BoxFuture<'_, Result<CommittedDto, LinkError>>;
    /// Drops a prepared plan.
    fn abort(&self, version: u64) -> BoxFuture<'_, Result<(), LinkError>>;
    /// Prolongs the budget.
    fn renew<'a>(&'a self, renewal: &'a RenewDto) -> BoxFuture<'a, Result<(), LinkError>>;
    /// Asks how far it is.
    fn status(&self) -> BoxFuture<'_, Result<AgentStatusDto, LinkError>>;
}

/// HTTP to an agent's `/agent/v1`.
#[derive(Debug, Clone)]
pub struct HttpLink {
    client: reqwest::Client,
    key: Arc<Key>,
    device: String,
    base: String,
}

impl HttpLink {
    /// To the board `device`, whose agent listens at `address`, such as `http://10.0.0.7:8090`. Only plain HTTP is
    /// spoken: requests are signed, and need no secrecy.
    ///
    /// # Errors
    /// [`LinkError::Lost`] for an address of another kind, or when the system cannot make a client.
    pub fn new(device: &str, address: &str, key: Arc<Key>) -> Result<Self, LinkError> {
        if !address.starts_with("http://") {
            return Err(LinkError::Lost("the agent's address must begin with http://".to_owned()));
        }
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(5))
            .build()
            .map_err(lost)?;
        let base = address.trim_end_matches('/').to_owned();
        Ok(Self { client, key, device: device.to_owned(), base })
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: Vec<u8>) -> Result<Vec<u8>, LinkError> {
        let signature = self.key.sign(&self.device, method.as_str(), path, &body);
        let mut request =
            self.client.request(method, format!("{}{path}", self.base)).header(SIGNATURE_HEADER, signature);
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body);
        }
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(LinkError::Lost("the answer is too long".to_owned()));
            }
        }
        if status.is_success() {
            return Ok(bytes);
        }
        match read_document::<AgentProblemDto>(&bytes) {
            Ok(problem) => Err(LinkError::Refused(Box::new(problem))),
            Err(_) => Err(LinkError::Lost(format!("status {status}"))),
        }
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, LinkError> {
        let bytes = self.send(method, path, body).await?;
        read_document(&bytes).map_err(|e| LinkError::Lost(format!("not the answer of an agent: {e}")))
    }
}

#[allow(clippy::needless_pass_by_value)] // shape that map_err wants
fn lost(error: reqwest::Error) -> LinkError {
    let mut text = error.without_url().to_string();
    text.truncate(text.char_indices().nth(200).map_or(text.len(), |(n, _)| n));
    LinkError::Lost(text)
}

fn encode(body: &impl serde::Serialize) -> Result<Vec<u8>, LinkError> {
    serde_json::to_vec(body).map_err(|e| LinkError::Lost(e.to_string()))
}

impl Link for HttpLink {
    fn prepare<'a>(&'a self, orders: &'a OrdersDto) -> BoxFuture<'a, Result<PreparedDto, LinkError>> {
        Box::pin(
            async move { self.ask(reqwest::Method::PUT, &plan_path(orders.version), encode(orders)?).await },
        )
    }

    fn commit(&self, version: u64) -> BoxFuture<'_, Result<CommittedDto, LinkError>> {
        Box::pin(async move {
            let path = format!("{}/commit", plan_path(version));
            self.ask(reqwest::Method::POST, &path, Vec::new()).await
        })
    }

    fn abort(&self, version: u64) -> BoxFuture<'_, Result<(), LinkError>> {
        Box::pin(async move {
            self.send(reqwest::Method::DELETE, &plan_path(version), Vec::new()).await.map(drop)
        })
    }

    fn renew<'a>(&'a self, renewal: &'a RenewDto) -> BoxFuture<'a, Result<(), LinkError>> {
        Box::pin(async move {
            self.send(reqwest::Method::POST, "/agent/v1/renew", encode(renewal)?).await.map(drop)
        })
    }

    fn status(&self) -> BoxFuture<'_, Result<AgentStatusDto, LinkError>> {
        Box::pin(self.ask(reqwest::Method::GET, "/agent/v1/status", Vec::new()))
    }
}
