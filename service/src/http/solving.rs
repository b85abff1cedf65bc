//! A solve on a thread of the pool: from the document's bytes to a checked result.

use crate::ServiceError;
use crate::http::params::SolveParams;
use crate::http::problem::Problem;
use crate::http::state::App;
use crate::input;
use crate::jobs::live::Witness;
use crate::pipeline::{self, Request};
use crate::worker::Isolated;
use ecomap_instances::format::result_v1::ResultDto;
use ecomap_instances::format::{self, Format};
use ecomap_instances::issue::{Code, Issue, Issues};
use ecomap_solver::CancelToken;
use std::sync::Arc;
use std::time::Duration;

/// Formats that can be solved over HTTP.
pub const PROBLEMS: [Format; 3] = [Format::Scenario, Format::Instance, Format::AcceleratorJobs];

/// What to do with a document.
#[derive(Debug)]
pub struct Solve<'a> {
    /// What the client asks.
    pub params: SolveParams,
    /// When to stop, on the app's clock.
    pub deadline: Duration,
    /// Cancellation.
    pub cancel: CancelToken,
    /// Solver processes.
    pub isolated: Option<Isolated>,
    /// Id of the request, for the log.
    pub id: &'a str,
    /// Its trace, for the log.
    pub trace: &'a str,
}

/// Solves a document. `body` is dropped as soon as it is read.
///
/// # Errors
/// What to tell the client.
pub fn solve<B: AsRef<[u8]>>(
    app: &App,
    body: B,
    solve: Solve<'_>,
    witness: Option<&mut Witness>,
) -> Result<ResultDto, Problem> {
    let Solve { params, deadline, cancel, isolated, id, trace } = solve;
    let begun = app.clock.now();
    if begun >= deadline {
        return Err(Problem::of(&ServiceError::NoTimeLeft, ""));
    }
    let sizes = app.config.sizes();
    let format = expect_format(body.as_ref(), &PROBLEMS, "")?;
    let run = || {
        let loaded = pipeline::load("request", body.as_ref(), Some(format), sizes, &*app.clock)?;
        drop(body);
        let priced = Arc::new(pipeline::price_for(loaded, params.contention, sizes, &*app.clock)?);
        let request = Request {
            objective: params.objective,
            solver: params.solver,
            deadline: Some(deadline),
            work_limit: params.work_limit,
            gap: params.gap,
            seed: params.seed,
            threads: params.threads,
            warm_start: None,
            cancel,
            clock: Arc::clone(&app.clock),
            notes: params.notes,
            steady: params.steady,
            isolated,
        };
        match witness {
            Some(witness) => {
                witness.priced(&priced);
                pipeline::solve(&priced, &request, witness)
            }
            None => pipeline::solve(&priced, &request, &mut ()),
        }
    };
    let result = run().map_err(|error| Problem::of(&error, ""))?.result;
    let took = app.clock.now().saturating_sub(begun);
    app.metrics.solved(&result, took);
    tracing::info!(
        id,
        trace_id = trace,
        solver = result.solver,
        status = result.status.as_str(),
        gap = result.certificate.gap,
        ms = took.as_millis(),
        "solved"
    );
    Ok(result)
}

/// The format of a JSON document, when it is one of `accepted`.
///
/// # Errors
/// 422.
pub fn expect_format(bytes: &[u8], accepted: &[Format], prefix: &str) -> Result<Format, Problem> {
    let names = || accepted.iter().filter_map(|f| f.tag()).collect::<Vec<_>>().join(" or ");
    match format::guess(bytes) {
        Some(format) if accepted.contains(&format) => Ok(format),
        Some(format) => {
            let message = format!("this route takes {}, not a {format} document", names());
            Err(Problem::invalid(&Issues::one(Issue::new(Code::Format, "/format", message)), prefix))
        }
        None => Err(Problem::invalid(&input::unknown_json(bytes), prefix)),
    }
}
