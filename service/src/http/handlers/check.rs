//! `POST /v1/check`.

use super::solve::{PROBLEMS, expect_format};
use super::{Head, answer, json, no_parameters, read_body};
use crate::contention::Contention;
use crate::http::body::BodyStream;
use crate::http::problem::Problem;
use crate::http::state::App;
use crate::pipeline::{self, Recheck};
use ecomap_instances::Objective;
use ecomap_instances::format::{read_document, result_v1, result_v1::CheckerDto};
use ecomap_solver::CancelToken;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::sync::Arc;
use warp::reply::Response;

/// Body of the request. The two documents are read on their own, so that pointers and limits are
/// theirs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckRequest {
    input: Box<RawValue>,
    result: Box<RawValue>,
    #[serde(default)]
    objective: Option<String>,
}

/// What is known about a result after looking again.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Checked {
    /// `pass` or `fail`.
    pub verdict: String,
    /// Value of the plan, recomputed; null without a plan.
    pub value: Option<f64>,
    /// What does not hold, for people.
    pub findings: Vec<String>,
    /// The plan row by row; absent without a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checker: Option<CheckerDto>,
}

impl From<Recheck> for Checked {
    fn from(recheck: Recheck) -> Self {
        Self {
            verdict: if recheck.pass { "pass" } else { "fail" }.to_owned(),
            value: recheck.value,
            findings: recheck.findings,
            checker: recheck.checker,
        }
    }
}

/// Re-verifies a result against the problem it answers.
pub async fn post(app: Arc<App>, head: Head, stream: BodyStream) -> Response {
    answer(check(&app, &head, stream).await, &head.id)
}

async fn check(app: &Arc<App>, head: &Head, stream: BodyStream) -> Result<Response, Problem> {
    no_parameters(head)?;
    let body = read_body(app, head, stream).await?;
    let job = {
        let app = Arc::clone(app);
        move || look(&app, body.bytes())
    };
    let ticket = app.short.submit_as(&head.turn(), CancelToken::default(), job).map_err(Problem::refused)?;
    let checked = ticket.await.map_err(|lost| Problem::lost(lost, "the check"))??;
    Ok(json(&checked))
}

fn look(app: &App, bytes: &[u8]) -> Result<Checked, Problem> {
    let request: CheckRequest = read_document(bytes).map_err(|issues| Problem::invalid(&issues, ""))?;
    let objective = match request.objective.as_deref().map(Objective::parse).transpose() {
        Ok(objective) => objective,
        Err((code, message)) => {
            let issue = ecomap_instances::Issue::new(code, "/objective", message);
            return Err(Problem::invalid(&ecomap_instances::Issues::one(issue), ""));
        }
    };
    let (input, result) = (request.input.get().as_bytes(), request.result.get().as_bytes());
    let format = expect_format(input, &PROBLEMS, "/input")?;
    let result = result_v1::read(result).map_err(|issues| Problem::invalid(&issues, "/result"))?;
    let sizes = app.config.sizes();
    let priced = pipeline::load("request", input, Some(format), sizes, &*app.clock)
        .and_then(|loaded| pipeline::price_for(loaded, Contention::of(&result)?, sizes, &*app.clock))
        .map_err(|error| Problem::of(&error, "/input"))?;
    let recheck = pipeline::recheck(&priced, &result, objective, None)
        .map_err(|error| Problem::of(&error, "/result"))?;
    Ok(recheck.into())
}
