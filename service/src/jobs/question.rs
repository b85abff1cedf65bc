//! What was asked, as the store keeps it.

use crate::ServiceError;
use crate::access::token::{hex, random, unhex};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fmt;

/// A job's name: 128 random bits, so that nobody finds another's by trying.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(String);

impl JobId {
    /// A new name.
    ///
    /// # Errors
    /// [`ServiceError::Random`].
    pub fn generate() -> Result<Self, ServiceError> {
        Ok(Self(hex(&random::<16>()?)))
    }

    /// The name in a path; `None` for what is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        unhex::<16>(text).map(|_| Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// It is solved.
    Running,
    /// It is solved, and was asked to end early.
    Ending,
    /// It has ended with a result.
    Done,
    /// It has ended with a problem.
    Failed,
    /// It was ended before its turn came.
    Cancelled,
}

impl State {
    /// All.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Running, Self::Ending, Self::Done, Self::Failed, Self::Cancelled];

    /// Name, as in the store and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Ending => "ending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }

    /// Whether nothing more comes.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// Query parameters, in the order given.
pub type Query = Vec<(String, String)>;

/// What was asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Parameters of the solve.
    pub query: Query,
    /// Id of the request.
    pub request: String,
    /// `traceparent` of the request.
    pub trace: String,
    /// The document, as it came.
    pub document: Box<RawValue>,
}

/// Tells a question from another one under the same key: SHA-256 of route, parameters and document.
///
/// # Errors
/// [`ServiceError::Json`]; cannot happen for texts.
pub fn fingerprint(query: &Query, document: &[u8]) -> Result<String, ServiceError> {
    let parameters = serde_json::to_vec(query)?;
    let hash = Sha256::new()
        .chain_update(b"POST /v1/solve\n")
        .chain_update(parameters)
        .chain_update(b"\n")
        .chain_update(document)
        .finalize();
    Ok(hex(&hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_read_back_with_their_document_as_it_came() {
        let text = r#"{ "format": "x",  "a": 1.0 }"#;
        let question = Question {
            query: vec![("gap".to_owned(), "0".to_owned())],
            request: "r-1".to_owned(),
            trace: String::new(),
            document: RawValue::from_string(text.to_owned()).expect("JSON"),
        };
        let stored = serde_json::to_string(&question).expect("JSON");
        let back: Question = serde_json::from_str(&stored).expect("its own text");
        assert_eq!((back.document.get(), back.query), (text, question.query));
    }

    #[test]
    fn fingerprints_tell_questions_apart() {
        let query = |pairs: &[(&str, &str)]| -> Query {
            pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
        };
        let of =
            |pairs: &[(&str, &str)], body: &str| fingerprint(&query(pairs), body.as_bytes()).expect("texts");
        assert_eq!(of(&[("a", "b")], "{}"), of(&[("a", "b")], "{}"));
        assert_ne!(of(&[("a", "b")], "{}"), of(&[("a", "b")], "{} "));
        assert_ne!(of(&[("a", "b")], "{}"), of(&[("ab", "")], "{}"));
        assert_ne!(of(&[], "{}"), of(&[("a", "b")], "{}"));
    }

    #[test]
    fn states_that_have_not_ended_are_those_that_the_store_takes_up() {
        let open: Vec<_> = State::ALL.into_iter().filter(|s| !s.ended()).map(State::as_str).collect();
        assert_eq!(open, ecomap_store::Job::OPEN);
        assert!(State::ALL.into_iter().all(|s| State::parse(s.as_str()) == Some(s)));
    }
}
