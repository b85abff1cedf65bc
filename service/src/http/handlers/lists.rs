//! What there is: solvers, scenarios, schemas.

use super::{Head, bytes, json, problem};
use crate::http::problem::{Kind, Problem};
use crate::http::state::App;
use crate::input::{self, Document};
use crate::pipeline::default_solver;
use ecomap_instances::format::schema;
use http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use warp::reply::Response;

/// The solvers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SolverList {
    /// Solver used when none is named.
    pub default: String,
    /// Every solver.
    pub solvers: Vec<SolverInfo>,
}

/// A solver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SolverInfo {
    /// Name for the parameter `solver`.
    pub name: String,
    /// One line about it.
    pub summary: String,
    /// Whether it can prove optimality.
    pub exact: bool,
}

/// Every registered solver.
#[must_use]
pub fn solver_list() -> SolverList {
    SolverList {
        default: default_solver().to_owned(),
        solvers: ecomap_solver::solvers()
            .iter()
            .map(|s| SolverInfo {
                name: s.name().to_owned(),
                summary: s.summary().to_owned(),
                exact: s.is_exact(),
            })
            .chain(ecomap_accelerators::methods().iter().map(|(name, summary, _)| SolverInfo {
                name: (*name).to_owned(),
                summary: (*summary).to_owned(),
                exact: false,
            }))
            .collect(),
    }
}

/// The scenarios.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ScenarioList {
    /// The loaded one first.
    pub scenarios: Vec<ScenarioInfo>,
}

/// A scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ScenarioInfo {
    /// Name for `GET /v1/scenarios/{name}`.
    pub name: String,
    /// `loaded` (named by `--scenario`) or `embedded`.
    pub source: &'static str,
    /// Size of the document.
    pub bytes: usize,
}

/// A name in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SchemaList {
    /// Names for `GET /v1/schemas/{name}`.
    pub schemas: Vec<&'static str>,
}

/// `GET /v1/solvers`.
#[must_use]
#[allow(clippy::needless_pass_by_value)] // what warp hands over
pub fn solvers(_: Arc<App>, _: Head) -> Response {
    json(&solver_list())
}

/// `GET /v1/scenarios`.
#[must_use]
#[allow(clippy::needless_pass_by_value)]
pub fn scenarios(app: Arc<App>, _: Head) -> Response {
    let info = |document: &Document, source| ScenarioInfo {
        name: document.name.clone(),
        source,
        bytes: document.bytes.len(),
    };
    let loaded = app.config.scenario.iter();
    let others = input::embedded_names()
        .filter(|name| app.config.scenario.as_ref().is_none_or(|loaded| loaded.name != *name))
        .filter_map(input::embedded);
    let scenarios = loaded.map(|d| info(d, "loaded")).chain(others.map(|d| info(&d, "embedded"))).collect();
    json(&ScenarioList { scenarios })
}

/// `GET /v1/scenarios/{name}`.
#[must_use]
#[allow(clippy::needless_pass_by_value)]
pub fn scenario(name: String, app: Arc<App>, head: Head) -> Response {
    let loaded = app.config.scenario.iter().find(|d| d.name == name).cloned();
    match loaded.or_else(|| input::embedded(&name)) {
        Some(document) => bytes(StatusCode::OK, "application/json", document.bytes),
        None => {
            problem(Problem::new(Kind::NotFound, "no scenario of that name; see /v1/scenarios"), &head.id)
        }
    }
}

/// `GET /v1/schemas`.
#[must_use]
#[allow(clippy::needless_pass_by_value)]
pub fn schemas(_: Arc<App>, _: Head) -> Response {
    json(&SchemaList { schemas: schema::NAMES.to_vec() })
}

/// `GET /v1/schemas/{name}`.
#[must_use]
#[allow(clippy::needless_pass_by_value)]
pub fn schema(name: String, _: Arc<App>, head: Head) -> Response {
    match schema::schema(&name) {
        Some(document) => bytes(StatusCode::OK, "application/schema+json", document.to_string().into_bytes()),
        None => problem(Problem::new(Kind::NotFound, "no schema of that name; see /v1/schemas"), &head.id),
    }
}
