//! Errors as `application/problem+json` (RFC 9457), each with a stable code.
//!
//! The codes E40xx and E45xx are the service's own and say what happened to the request; what is
//! wrong inside a document keeps its own code in `errors`. `docs/src/service.md` lists them; a
//! test keeps the two equal.

use crate::ServiceError;
use crate::http::pool::{Lost, Refused};
use ecomap_estimator::EstimatorError;
use ecomap_instances::{Code, Issue, Issues};
use ecomap_solver::SolverError;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

macro_rules! kinds {
    ($($variant:ident = $code:literal, $status:literal, $title:literal, $remedy:literal;)*) => {
        /// What happened to a request.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $title] $variant,)*
        }

        impl Kind {
            /// Every kind, in ascending order of code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Short title, the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

kinds! {
    Query = "E4000", 400, "bad query parameter", "See /docs for the parameters of this route.";
    Cut = "E4001", 400, "body cut short", "Send the whole body.";
    NotFound = "E4004", 404, "not found", "See /openapi.json for what is here.";
    Method = "E4005", 405, "method not allowed", "Use a method that the header Allow names.";
    Slow = "E4008", 408, "body too slow", "Send the body faster, or raise --body-timeout where the service is run.";
    TooLarge = "E4013", 413, "body too large", "Send a smaller document, or raise --max-body where the service is run.";
    MediaType = "E4015", 415, "unsupported media type", "Send plain, uncompressed JSON (application/json).";
    Invalid = "E4022", 422, "invalid document", "Mend what `errors` lists; POST /v1/validate checks without solving.";
    Oversize = "E4023", 422, "problem too large for this service", "Split the problem, solve it with `ecomap solve`, or raise --max-options where the service is run.";
    Unsupported = "E4024", 422, "not handled by this solver", "Choose another solver (GET /v1/solvers) or objective.";
    NoFleet = "E4104", 404, "no such fleet", "GET /v1/fleets lists them; PUT makes one.";
    NoPlan = "E4105", 404, "no such plan", "GET /v1/fleets/{id}/plans lists those that are kept.";
    FleetsFull = "E4109", 409, "too many fleets", "Delete one, or raise --max-fleets where the service is run.";
    Precondition = "E4112", 412, "precondition failed", "GET the fleet, look at what changed, and try again with its ETag.";
    Streams = "E4129", 503, "too many streams", "Try again after the seconds that the header Retry-After names, or raise --max-streams where the service is run.";
    Unauthorized = "E4150", 401, "key missing or not valid", "Send `Authorization: Bearer` with a key that `ecomap keys add` made.";
    Forbidden = "E4151", 403, "not allowed for this key", "Use a key of the role that `detail` names.";
    Foreign = "E4152", 403, "foreign site or host", "Reach the service by a local name, or let its operator allow the host or origin that `detail` speaks of.";
    TooMany = "E4153", 429, "too many requests", "Try again after the seconds that the header Retry-After names.";
    Priority = "E4154", 403, "priority above the role", "Ask for a lower priority, or use a key of a higher role.";
    KeyReused = "E4155", 422, "idempotency key stands for another request", "Use a new key for a new request.";
    TooManyJobs = "E4156", 429, "too many open jobs", "Wait until some of your jobs have ended, or end them.";
    JobsFull = "E4157", 503, "no room for jobs", "Try again later, or raise --jobs where the service is run.";
    Header = "E4158", 400, "bad header", "Mend the header that `detail` names.";
    Ended = "E4159", 409, "job ended before its turn", "Send the request again under a new key.";
    Internal = "E4500", 500, "internal error", "Report it with the request id; it is a bug.";
    Busy = "E4503", 503, "busy", "Try again after the seconds that the header Retry-After names.";
    NotReady = "E4504", 503, "not ready", "Wait until GET /ready answers 200.";
    Late = "E4505", 503, "waited too long for a worker", "Allow more time, or try again when the service is less busy.";
    NoPredictor = "E4506", 503, "predictor not available", "Ask with contention=auto, which falls back to the forest, or install ONNX Runtime where the service is run (`make setup`).";
}

/// An error answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// What happened.
    pub kind: Kind,
    /// What is wrong here.
    pub detail: String,
    /// Every mistake found.
    pub errors: Vec<ProblemItem>,
    /// How many mistakes there were beyond those listed.
    pub omitted: usize,
    /// Seconds for the header `Retry-After`.
    pub retry_after_s: Option<u64>,
    /// Methods for the header `Allow`.
    pub allow: Option<String>,
}

/// An error answer on the wire.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub struct ProblemDto {
    /// `urn:ecomap:problem:` and the code.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// Short title, the same for every occurrence of the code.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code.
    pub code: String,
    /// What is wrong here.
    pub detail: String,
    /// This occurrence: `urn:ecomap:request:` and the request id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Every mistake found.
    pub errors: Vec<ProblemItem>,
    /// How many mistakes there were beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(default)]
    pub omitted: usize,
    /// Seconds after which to try again; also in the header `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // signature that serde asks for
fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProblemItem {
    /// Stable code.
    pub code: String,
    /// JSON pointer into the body, or `?name` for a query parameter.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl ProblemItem {
    /// The issue, with `prefix` before its pointer.
    #[must_use]
    pub fn from_issue(issue: &Issue, prefix: &str) -> Self {
        Self {
            code: issue.code.as_str().to_owned(),
            pointer: format!("{prefix}{}", issue.pointer),
            message: issue.message.clone(),
            remedy: issue.remedy.to_owned(),
        }
    }
}

impl Problem {
    /// A problem without a list of mistakes.
    #[must_use]
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), errors: Vec::new(), omitted: 0, retry_after_s: None, allow: None }
    }

    /// The wire form, for the request `id`; an empty id is left out.
    #[must_use]
    pub fn into_dto(self, id: &str) -> ProblemDto {
        ProblemDto {
            type_uri: format!("urn:ecomap:problem:{}", self.kind.code()),
            title: self.kind.title().to_owned(),
            status: self.kind.status(),
            code: self.kind.code().to_owned(),
            detail: self.detail,
            instance: (!id.is_empty()).then(|| format!("urn:ecomap:request:{id}")),
            errors: self.errors,
            omitted: self.omitted,
            retry_after_s: self.retry_after_s,
        }
    }

    /// A bad query parameter.
    #[must_use]
    pub fn query(name: &str, code: Code, message: impl Into<String>) -> Self {
        let message = message.into();
        let mut problem = Self::new(Kind::Query, format!("{name}: {message}"));
        problem.errors.push(ProblemItem {
            code: code.as_str().to_owned(),
            pointer: format!("?{name}"),
            message,
            remedy: code.remedy().to_owned(),
        });
        problem
    }

    /// An invalid document; `prefix` is where in the body it stands.
    #[must_use]
    pub fn invalid(issues: &Issues, prefix: &str) -> Self {
        let count = issues.list().len() + issues.omitted();
        let plural = if count == 1 { "mistake" } else { "mistakes" };
        let mut problem = Self::new(Kind::Invalid, format!("{count} {plural} in the document"));
        problem.errors = issues.list().iter().map(|i| ProblemItem::from_issue(i, prefix)).collect();
        problem.omitted = issues.omitted();
        problem
    }

    /// No room now.
    #[must_use]
    pub fn busy(detail: &str, retry_after: Duration) -> Self {
        let mut problem = Self::new(Kind::Busy, detail);
        problem.retry_after_s = Some(retry_after.as_secs().max(1));
        problem
    }

    /// The pool did not take a job.
    #[must_use]
    pub fn refused(refused: Refused) -> Self {
        match refused {
            Refused::Full { retry_after } => {
                Self::busy("every solver thread is busy and the queue is full", retry_after)
            }
            Refused::Closed => Self::shutting_down(),
        }
    }

    /// A job was dropped before it could answer; `what` it was.
    #[must_use]
    pub fn lost(lost: Lost, what: &str) -> Self {
        match lost {
            Lost::Gone => Self::new(Kind::Internal, format!("{what} was lost")),
            Lost::Displaced { retry_after } => {
                Self::busy("every place in the queue is taken, and others hold fewer of them", retry_after)
            }
        }
    }

    /// The service is about to end.
    #[must_use]
    pub fn shutting_down() -> Self {
        let mut problem = Self::new(Kind::NotReady, "the service is shutting down");
        problem.retry_after_s = Some(5);
        problem
    }

    /// What an error of the pipeline means to a client; `prefix` is where in the body the document
    /// stands. Internal errors are logged, not shown.
    #[must_use]
    pub fn of(error: &ServiceError, prefix: &str) -> Self {
        match error {
            ServiceError::Invalid(issues) if too_many(issues) => {
                Self { kind: Kind::Oversize, ..Self::invalid(issues, prefix) }
            }
            ServiceError::Invalid(issues) | ServiceError::Solver(SolverError::Plan(issues)) => {
                Self::invalid(issues, prefix)
            }
            ServiceError::Objective { code, message } => Self::query("objective", *code, message.clone()),
            ServiceError::Usage(message) => Self::new(Kind::Query, message.clone()),
            ServiceError::NoTimeLeft => Self::new(Kind::Late, error.to_string()),
            ServiceError::Solver(SolverError::Unsupported { .. }) => {
                Self::new(Kind::Unsupported, error.to_string())
            }
            ServiceError::Solver(SolverError::UnknownSolver { .. }) => {
                Self::query("solver", Code::UnknownName, error.to_string())
            }
            ServiceError::Estimator(EstimatorError::Runtime(why)) => {
                Self::new(Kind::NoPredictor, format!("ONNX Runtime: {why}"))
            }
            other => {
                tracing::error!(error = %other, "internal error");
                Self::new(Kind::Internal, "the service failed; its log says why")
            }
        }
    }
}

fn too_many(issues: &Issues) -> bool {
    issues.list().iter().all(|issue| issue.code == Code::TooMany)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_every_code() {
        let page = include_str!("../../../docs/src/service.md");
        let listed: Vec<&str> = page
            .lines()
            .filter_map(|l| l.strip_prefix("| E4"))
            .map(|l| l.split('|').next().unwrap_or(""))
            .collect();
        let ours: Vec<String> = Kind::ALL.iter().map(|k| format!("{} ", &k.code()[2..])).collect();
        assert_eq!(listed, ours, "docs/src/service.md lists other codes than Kind::ALL");
        for kind in Kind::ALL {
            let row = format!("| {} | {} | {} |", kind.code(), kind.status(), kind.title());
            assert!(page.contains(&row), "docs/src/service.md lacks: {row}");
        }
    }
}
