//! Boards that announce themselves and report; what they reported.

use super::fleet_plans::each;
use super::fleets::stored;
use super::{Head, answer, json, no_parameters, read_body};
use crate::fleets::taken::ReportError;
use crate::http::body::BodyStream;
use crate::http::fleet_routes::no_fleet;
use crate::http::params::integer;
use crate::http::problem::{Kind, Problem};
use crate::http::state::App;
use ecomap_dispatch::http::unescape;
use ecomap_dispatch::registry::NotTaken;
use ecomap_instances::format::agent_v1::{AgentStatusDto, RegistrationDto};
use ecomap_instances::format::telemetry_v1::TelemetryDto;
use ecomap_instances::format::{read_document, telemetry_v1};
use ecomap_instances::issue::{Code, Issue, Issues};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use warp::reply::Response;

/// Reports of one list at most.
const LISTED: u64 = 500;

/// Boards that announced themselves.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AgentList {
    /// By name.
    pub agents: Vec<AgentInfo>,
}

/// A board that announced itself.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AgentInfo {
    /// How far it said that it was.
    pub status: AgentStatusDto,
    /// How long ago, s.
    pub age_s: f64,
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Taken {
    /// Whether it was new.
    pub new: bool,
}

/// What boards of a fleet reported.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Reports {
    /// Oldest first.
    pub reports: Vec<ReportRow>,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ReportRow {
    /// Rises with every report of the service.
    pub id: u64,
    /// When it arrived, by the wall's clock.
    pub at: String,
    /// What it says.
    pub report: TelemetryDto,
}

fn not_taken(why: NotTaken) -> Problem {
    match why {
        NotTaken::Unknown => Problem::new(Kind::NotFound, "no board of that name is configured (--boards)"),
        NotTaken::Full => Problem::busy("too many boards", Duration::from_secs(60)),
        NotTaken::Address => invalid(Code::OutOfRange, "/address", &why),
        _ => invalid(Code::Contradiction, "/device", &why),
    }
}

fn invalid(code: Code, pointer: &str, why: &NotTaken) -> Problem {
    Problem::invalid(&Issues::one(Issue::new(code, pointer, why.to_string())), "")
}

/// `GET /v1/agents`.
#[allow(clippy::needless_pass_by_value)] // shape that warp asks for
pub fn list(app: Arc<App>, head: Head) -> Response {
    answer(listed(&app, &head), &head.id)
}

fn listed(app: &App, head: &Head) -> Result<Response, Problem> {
    no_parameters(head)?;
    let now = app.clock.now();
    let agents = app.fleets.boards().announced().into_values().map(|seen| AgentInfo {
        status: seen.registration.status,
        age_s: now.saturating_sub(seen.at).as_secs_f64(),
    });
    Ok(json(&AgentList { agents: agents.collect() }))
}

/// `PUT /v1/agents/{device}`.
pub async fn put(device: String, app: Arc<App>, head: Head, stream: BodyStream) -> Response {
    answer(announced(&device, &app, &head, stream).await, &head.id)
}

async fn announced(device: &str, app: &App, head: &Head, stream: BodyStream) -> Result<Response, Problem> {
    no_parameters(head)?;
    let body = read_body(app, head, stream).await?;
    let news: RegistrationDto = read_document(body.bytes()).map_err(|e| Problem::invalid(&e, ""))?;
    app.fleets.boards().register(&unescape(device), news, app.clock.now()).map_err(not_taken)?;
    Ok(json(&Taken { new: true }))
}

/// `POST /v1/agents/{device}/telemetry`.
pub async fn report(device: String, app: Arc<App>, head: Head, stream: BodyStream) -> Response {
    answer(reported(&device, &app, &head, stream).await, &head.id)
}

async fn reported(device: &str, app: &App, head: &Head, stream: BodyStream) -> Result<Response, Problem> {
    no_parameters(head)?;
    let body = read_body(app, head, stream).await?;
    let report = telemetry_v1::read(body.bytes()).map_err(|e| Problem::invalid(&e, ""))?;
    drop(body);
    match app.fleets.report(&unescape(device), report).await {
        Ok(new) => Ok(json(&Taken { new })),
        Err(ReportError::NotTaken(why)) => Err(not_taken(why)),
        Err(ReportError::Store(why)) => Err(stored(&why)),
    }
}

/// `GET /v1/fleets/{id}/telemetry`.
pub async fn of_fleet(app: &App, head: &Head, id: &str) -> Result<Response, Problem> {
    let (mut device, mut after, mut most) = (None, 0, 100);
    each(head, |name, value| {
        match name {
            "device" => device = Some(value.to_owned()),
            "after" => after = integer(name, value, 0, u64::MAX)?,
            "limit" => most = integer(name, value, 1, LISTED)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if app.fleets.snapshot(id).is_none() {
        return Err(no_fleet());
    }
    let fleet = id.to_owned();
    let rows = app.store.read(move |v| v.telemetry(&fleet, device.as_deref(), after, most)).await;
    let rows = rows.map_err(|why| stored(&why))?.into_iter().filter_map(|row| {
        let report = serde_json::from_str(&row.body).ok()?;
        Some(ReportRow { id: row.id, at: row.at.to_string(), report })
    });
    Ok(json(&Reports { reports: rows.collect() }))
}
