//! What clients see of jobs, and what the store keeps of their answers.

use crate::http::fair::Priority;
use crate::http::problem::ProblemDto;
use crate::jobs::question::State;
use crate::wall::WireTime;
use ecomap_instances::format::result_v1::{PlanDto, ResultDto};
use ecomap_instances::plan::relative_gap;
use ecomap_solver::Incumbent;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The best that is known so far.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobBest")]
pub struct BestDto {
    /// Value of the best plan, in the unit of the objective.
    pub primal_bound: Option<f64>,
    /// Best bound.
    pub dual_bound: Option<f64>,
    /// Relative gap between the two.
    pub gap: Option<f64>,
    /// Branch-and-bound nodes.
    pub nodes: u64,
    /// Seconds since the solver began.
    pub elapsed_s: f64,
}

impl From<&Incumbent> for BestDto {
    fn from(at: &Incumbent) -> Self {
        let finite = |x: Option<f64>| x.filter(|x| x.is_finite());
        let (primal, dual) = (finite(at.primal), finite(at.dual));
        let gap = primal.zip(dual).map(|(p, d)| relative_gap(p, d));
        Self {
            primal_bound: primal,
            dual_bound: dual,
            gap: finite(gap),
            nodes: at.nodes,
            elapsed_s: at.elapsed.as_secs_f64(),
        }
    }
}

/// A job without its documents.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "JobSummary")]
pub struct JobSummaryDto {
    /// Its name.
    pub id: String,
    /// How far it is.
    pub state: State,
    /// How urgent.
    pub priority: Priority,
    /// When it was asked.
    pub created: WireTime,
    /// When it changed last.
    pub changed: WireTime,
    /// When it is forgotten; absent while it has not ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<WireTime>,
    /// How often it was begun: more than once where the service ended meanwhile.
    pub attempts: u64,
}

/// A job.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Job")]
pub struct JobDto {
    /// What is known of every job.
    #[serde(flatten)]
    pub summary: JobSummaryDto,
    /// The best so far; absent before there is anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<BestDto>,
    /// While it runs: the best plan so far, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanDto>,
    /// When it is done: the result.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ResultDto>")]
    pub result: Option<Box<RawValue>>,
    /// When it has failed: what `POST /v1/solve` would have answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<ProblemDto>")]
    pub problem: Option<Box<RawValue>>,
}

/// Jobs of a key, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "JobList")]
pub struct JobListDto {
    /// The jobs.
    pub jobs: Vec<JobSummaryDto>,
    /// Where the next page begins, if there is one: the parameter `cursor`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The data of an event.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "JobEvent")]
pub struct EventDto {
    /// How far the job is.
    pub state: State,
    /// The best so far; absent before there is anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub best: Option<BestDto>,
}

/// What the store keeps of a job that has ended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The best that was known at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<BestDto>,
    /// The result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Box<RawValue>>,
    /// The problem, and its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<StoredProblem>,
}

/// A problem as it is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredProblem {
    /// HTTP status.
    pub status: u16,
    /// The document.
    pub body: Box<RawValue>,
}
