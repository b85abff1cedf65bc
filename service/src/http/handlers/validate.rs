//! `POST /v1/validate`.

use super::solve::{PROBLEMS, expect_format};
use super::{Head, answer, json, no_parameters, read_body};
use crate::http::body::BodyStream;
use crate::http::problem::Problem;
use crate::http::state::App;
use crate::pipeline;
use ecomap_instances::format::{Format, Input, result_v1};
use ecomap_solver::CancelToken;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use warp::reply::Response;

/// A valid document, in short.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Valid {
    /// `true`; an invalid document is answered with a problem.
    pub valid: bool,
    /// Format of the document.
    pub format: String,
    /// Name of the scenario, instance or result.
    pub name: String,
    /// Tenants.
    pub tenants: usize,
    /// Boards, `count` expanded.
    pub devices: usize,
    /// Sites.
    pub sites: usize,
}

/// Checks a scenario, instance or result document without solving it.
pub async fn post(app: Arc<App>, head: Head, stream: BodyStream) -> Response {
    answer(validate(&app, &head, stream).await, &head.id)
}

async fn validate(app: &Arc<App>, head: &Head, stream: BodyStream) -> Result<Response, Problem> {
    no_parameters(head)?;
    let body = read_body(app, head, stream).await?;
    let job = {
        let app = Arc::clone(app);
        move || look(&app, body.bytes())
    };
    let ticket = app.short.submit_as(&head.turn(), CancelToken::default(), job).map_err(Problem::refused)?;
    let valid = ticket.await.map_err(|lost| Problem::lost(lost, "the validation"))??;
    Ok(json(&valid))
}

fn look(app: &App, bytes: &[u8]) -> Result<Valid, Problem> {
    let [scenario, instance, jobs] = PROBLEMS;
    let format = expect_format(bytes, &[scenario, instance, jobs, Format::Result], "")?;
    let valid = |name: &str, tenants: usize, devices: usize, sites: usize| Valid {
        valid: true,
        format: format.tag().unwrap_or_default().to_owned(),
        name: name.to_owned(),
        tenants,
        devices,
        sites,
    };
    if format == Format::Result {
        let result = result_v1::read(bytes).map_err(|issues| Problem::invalid(&issues, ""))?;
        let (tenants, devices, sites) =
            result.plan.as_ref().map_or((0, 0, 0), |p| (p.tenants.len(), p.devices.len(), p.sites.len()));
        return Ok(valid(&result.name, tenants, devices, sites));
    }
    let loaded = pipeline::load("request", bytes, Some(format), app.config.sizes(), &*app.clock)
        .map_err(|error| Problem::of(&error, ""))?;
    Ok(match &loaded.input {
        Input::Scenario(s) => valid(&s.name, s.tenants.len(), s.devices.len(), s.sites.len()),
        Input::Accelerators(w) => valid(w.name(), w.jobs().len(), w.servers().len(), 0),
        Input::Instance(i) => valid(&i.name, i.tenants.len(), i.devices.len(), i.sites.len()),
    })
}
