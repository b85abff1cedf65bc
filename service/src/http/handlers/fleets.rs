//! Fleets themselves: list, get, put, patch, delete; their state; pushed intensities.

use super::{Head, bytes, json, no_parameters, read_body};
use crate::ServiceError;
use crate::fleets::document;
use crate::fleets::patch::PatchDto;
use crate::fleets::state::Status;
use crate::fleets::wire::{FleetDto, SignalDto};
use crate::fleets::{EditError, Precondition};
use crate::http::body::BodyStream;
use crate::http::fleet_routes::no_fleet;
use crate::http::problem::{Kind, Problem};
use crate::http::state::App;
use ecomap_carbon::sample::Parts;
use ecomap_carbon::{Kind as SampleKind, Sample, Signal};
use ecomap_instances::format::read_document;
use ecomap_instances::issue::{Code, Issue, Issues};
use ecomap_solver::CancelToken;
use ecomap_store::{Fleet, StoreError};
use http::header::{ETAG, IF_MATCH, IF_NONE_MATCH, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use warp::reply::Response;

/// Longest name of a fleet.
const NAME: usize = 64;
/// Most samples of one push.
const SAMPLES: usize = 1_000;

/// All fleets.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FleetList {
    /// By name.
    pub fleets: Vec<FleetInfo>,
}

/// A fleet in short.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FleetInfo {
    /// Name.
    pub id: String,
    /// Version of its document that the controller works with.
    pub version: u64,
    /// Whether it is kept solved.
    pub status: Status,
    /// Number of its last plan; 0 before the first.
    pub plan: u64,
    /// Whether its clock is faster than the wall's.
    pub accelerated: bool,
    /// Whether some zone's intensity is made up.
    pub synthetic: bool,
}

/// A fleet.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FleetView {
    /// Name.
    pub id: String,
    /// Version of the document, from 1.
    pub version: u64,
    /// When it was put first.
    pub created: String,
    /// When the document changed last.
    pub changed: String,
    /// The document.
    pub document: FleetDto,
}

/// Intensities that an operator or another program pushes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FleetCarbonPush")]
pub struct PushDto {
    /// At least one, at most 1000.
    pub samples: Vec<PushedDto>,
}

/// A pushed intensity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "FleetCarbonSample")]
pub struct PushedDto {
    /// Zone of the fleet.
    pub zone: String,
    /// Start of the interval (RFC 3339); now when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Length of the interval, s.
    #[serde(default = "hour")]
    pub duration_s: u32,
    /// Grams of CO2 equivalent for each kilowatt-hour.
    pub g_per_kwh: f64,
    /// Average or marginal; must be the zone's signal.
    #[serde(default)]
    pub signal: SignalDto,
    /// Whether it is foretold; a sample that begins in the future must be.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forecast: bool,
    /// Whether it is an estimate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub estimated: bool,
}

fn hour() -> u32 {
    3_600
}

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Pushed {
    /// Samples taken.
    pub samples: usize,
    /// Id of the event that says so.
    pub event: u64,
}

/// The tag of a fleet's version.
pub(super) fn tag(uid: i64, version: u64) -> String {
    format!("\"{uid}.{version}\"")
}

fn view(fleet: &Fleet) -> Result<FleetView, Problem> {
    let document = serde_json::from_str(&fleet.document).map_err(|why| internal(&why))?;
    Ok(FleetView {
        id: fleet.id.clone(),
        version: fleet.version,
        created: fleet.created.to_string(),
        changed: fleet.changed.to_string(),
        document,
    })
}

pub(super) fn internal(why: &dyn std::error::Error) -> Problem {
    tracing::error!(%why, "internal error");
    Problem::new(Kind::Internal, "the service failed; its log says why")
}

/// What a failing store means to a client.
pub(super) fn stored(why: &StoreError) -> Problem {
    match why {
        StoreError::Busy => Problem::busy("the store has too much to do", Duration::from_secs(1)),
        StoreError::Closed => Problem::shutting_down(),
        StoreError::NotFound => no_fleet(),
        other => internal(other),
    }
}

fn refused(why: EditError, prefix: &str) -> Problem {
    match why {
        EditError::NotFound => no_fleet(),
        EditError::Precondition => Problem::new(Kind::Precondition, why.to_string()),
        EditError::Invalid(issues) => Problem::invalid(&issues, prefix),
        EditError::Full(_) => Problem::new(Kind::FleetsFull, why.to_string()),
        EditError::Busy => Problem::busy("too much to do", Duration::from_secs(1)),
        EditError::Stopping => Problem::shutting_down(),
        EditError::Internal(why) => internal(&why),
    }
}

/// The versions that a header names: `*` is `None`.
pub(super) fn tags(headers: &HeaderMap, name: http::header::HeaderName) -> Option<Vec<Option<String>>> {
    let values: Vec<_> = headers.get_all(name).iter().filter_map(|v| v.to_str().ok()).collect();
    if values.is_empty() {
        return None;
    }
    let all = values.iter().flat_map(|v| v.split(','));
    Some(all.map(|t| t.trim()).map(|t| (t != "*").then(|| t.trim_start_matches("W/").to_owned())).collect())
}

fn precondition(headers: &HeaderMap) -> Precondition {
    if let Some(list) = tags(headers, IF_MATCH) {
        if list.contains(&None) {
            return Precondition::Present;
        }
        let version = |tag: &Option<String>| {
            let (uid, version) = tag.as_deref()?.strip_prefix('"')?.strip_suffix('"')?.split_once('.')?;
            Some(Precondition::Version(uid.parse().ok()?, version.parse().ok()?))
        };
        return list.iter().find_map(version).unwrap_or(Precondition::Never);
    }
    match tags(headers, IF_NONE_MATCH) {
        Some(list) if list.contains(&None) => Precondition::Absent,
        _ => Precondition::None,
    }
}

fn tagged(mut response: Response, tag: &str) -> Response {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

/// `GET /v1/fleets`.
pub fn list(app: &App, head: &Head) -> Result<Response, Problem> {
    no_parameters(head)?;
    let fleets = app.fleets.snapshots().into_iter().map(|s| {
        let synthetic = s.zones.iter().any(|z| z.synthetic);
        #[allow(clippy::float_cmp)] // exactly the default
        let accelerated = s.speed != 1.0;
        FleetInfo {
            id: s.id.clone(),
            version: s.version,
            status: s.status,
            plan: s.number(),
            accelerated,
            synthetic,
        }
    });
    Ok(json(&FleetList { fleets: fleets.collect() }))
}

/// `GET /v1/fleets/{id}`.
pub async fn get(app: &App, head: &Head, id: &str) -> Result<Response, Problem> {
    no_parameters(head)?;
    let fleet = app.fleets.fleet(id).await.map_err(|why| stored(&why))?.ok_or_else(no_fleet)?;
    let tag = tag(fleet.uid, fleet.version);
    if tags(&head.headers, IF_NONE_MATCH)
        .is_some_and(|list| list.contains(&None) || list.contains(&Some(tag.clone())))
    {
        return Ok(tagged(bytes(StatusCode::NOT_MODIFIED, "application/json", Vec::new()), &tag));
    }
    Ok(tagged(json(&view(&fleet)?), &tag))
}

/// `PUT /v1/fleets/{id}`.
pub async fn put(app: &Arc<App>, head: &Head, id: &str, stream: BodyStream) -> Result<Response, Problem> {
    no_parameters(head)?;
    legal(id)?;
    let precondition = precondition(&head.headers);
    let body = read_body(app, head, stream).await?;
    let job = {
        let app = Arc::clone(app);
        move || {
            let dto = document::read(body.bytes(), app.fleets.services(), app.config.sizes())?;
            document::executors(&dto, app.fleets.boards())?;
            Ok::<_, Issues>(dto)
        }
    };
    let ticket = app.short.submit_as(&head.turn(), CancelToken::default(), job).map_err(Problem::refused)?;
    let dto = ticket
        .await
        .map_err(|lost| Problem::lost(lost, "the validation"))?
        .map_err(|why| Problem::of(&ServiceError::from(why), ""))?;
    let (fleet, created) = app.fleets.put(id, &dto, precondition).await.map_err(|why| refused(why, ""))?;
    let mut response = tagged(json(&view(&fleet)?), &tag(fleet.uid, fleet.version));
    if created {
        *response.status_mut() = StatusCode::CREATED;
        if let Ok(location) = HeaderValue::from_str(&format!("/v1/fleets/{id}")) {
            response.headers_mut().insert(LOCATION, location);
        }
    }
    Ok(response)
}

/// `PATCH /v1/fleets/{id}`.
pub async fn patch(app: &Arc<App>, head: &Head, id: &str, stream: BodyStream) -> Result<Response, Problem> {
    no_parameters(head)?;
    let precondition = precondition(&head.headers);
    let body = read_body(app, head, stream).await?;
    let patch: PatchDto = read_document(body.bytes()).map_err(|issues| Problem::invalid(&issues, ""))?;
    drop(body);
    let fleet = app.fleets.patch(id, &Arc::new(patch), precondition).await.map_err(|why| refused(why, ""))?;
    Ok(tagged(json(&view(&fleet)?), &tag(fleet.uid, fleet.version)))
}

/// `DELETE /v1/fleets/{id}`.
pub async fn delete(app: &App, head: &Head, id: &str) -> Result<Response, Problem> {
    no_parameters(head)?;
    app.fleets.delete(id, precondition(&head.headers)).await.map_err(|why| refused(why, ""))?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// `GET /v1/fleets/{id}/state`.
pub fn state(app: &App, head: &Head, id: &str) -> Result<Response, Problem> {
    no_parameters(head)?;
    let snapshot = app.fleets.snapshot(id).ok_or_else(no_fleet)?;
    let snapshot = Arc::clone(&snapshot.borrow());
    Ok(json(&snapshot.state()))
}

/// `POST /v1/fleets/{id}/carbon`.
pub async fn carbon(app: &Arc<App>, head: &Head, id: &str, stream: BodyStream) -> Result<Response, Problem> {
    no_parameters(head)?;
    let body = read_body(app, head, stream).await?;
    let push: PushDto = read_document(body.bytes()).map_err(|issues| Problem::invalid(&issues, ""))?;
    drop(body);
    let fleet = app.fleets.fleet(id).await.map_err(|why| stored(&why))?.ok_or_else(no_fleet)?;
    let document: FleetDto = serde_json::from_str(&fleet.document).map_err(|why| internal(&why))?;
    let now = app.fleets.now(id).ok_or_else(no_fleet)?;
    let samples = samples(&push, &document, app, now).map_err(|issues| Problem::invalid(&issues, ""))?;
    let count = samples.len();
    let event = app.fleets.push(id, samples).await.map_err(|why| refused(why, ""))?;
    Ok(json(&Pushed { samples: count, event }))
}

fn samples(push: &PushDto, document: &FleetDto, app: &App, now: Timestamp) -> Result<Vec<Sample>, Issues> {
    let count = push.samples.len();
    if count == 0 || count > SAMPLES {
        let code = if count == 0 { Code::Empty } else { Code::TooMany };
        return Err(Issues::one(Issue::new(code, "/samples", format!("{count}, not 1 to {SAMPLES}"))));
    }
    let zones: BTreeSet<&str> = document.scenario.zones.iter().map(|z| z.id.as_str()).collect();
    let signals = crate::fleets::build::signals(document, app.fleets.services());
    let source: Arc<str> = crate::fleets::build::MANUAL.into();
    let (mut bad, mut all) = (Vec::new(), Vec::new());
    for (n, pushed) in push.samples.iter().enumerate() {
        let at = |field: &str| format!("/samples/{n}/{field}");
        if !zones.contains(pushed.zone.as_str()) {
            let shown: String = pushed.zone.chars().take(NAME).collect();
            bad.push(Issue::new(Code::UnknownZone, at("zone"), format!("`{}`", shown.escape_debug())));
            continue;
        }
        let signal = match pushed.signal {
            SignalDto::Average => Signal::Average,
            SignalDto::Marginal => Signal::Marginal,
        };
        if signals.get(&pushed.zone).is_some_and(|own| *own != signal) {
            let why = "the zone takes the other signal: they are not mixed";
            bad.push(Issue::new(Code::Contradiction, at("signal"), why));
            continue;
        }
        let from = match pushed.from.as_deref().map(str::parse::<Timestamp>) {
            None => now,
            Some(Ok(from)) => from,
            Some(Err(_)) => {
                bad.push(Issue::new(Code::OutOfRange, at("from"), "not a time like 2026-01-01T00:00:00Z"));
                continue;
            }
        };
        let ahead = from.duration_since(now);
        if ahead > SignedDuration::from_mins(10) && !pushed.forecast {
            let why = "it begins in the future of the fleet's clock: mark it as `forecast`";
            bad.push(Issue::new(Code::Contradiction, at("from"), why));
            continue;
        }
        if ahead.abs() > SignedDuration::from_hours(24 * 30) {
            bad.push(Issue::new(Code::OutOfRange, at("from"), "more than 30 days from the fleet's clock"));
            continue;
        }
        let zone: Arc<str> = pushed.zone.as_str().into();
        let to = from.checked_add(SignedDuration::from_secs(i64::from(pushed.duration_s))).unwrap_or(from);
        let sample = Sample::try_new(&Parts {
            zone: &zone,
            from,
            to,
            grams_per_kwh: pushed.g_per_kwh,
            signal,
            kind: if pushed.forecast { SampleKind::Forecast } else { SampleKind::Observed },
            estimated: pushed.estimated,
            source: &source,
            issued: now,
        });
        match sample {
            Ok(sample) => all.push(sample),
            Err(why) => bad.push(Issue::new(Code::OutOfRange, format!("/samples/{n}"), why.to_string())),
        }
    }
    Issues::check(bad)?;
    Ok(all)
}

/// Whether a name can be a fleet's: it stands in addresses as it is.
fn legal(id: &str) -> Result<(), Problem> {
    let fine = id.len() <= NAME
        && id.starts_with(|c: char| c.is_ascii_alphanumeric())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    if fine {
        return Ok(());
    }
    let why = format!("the name in the path is not 1 to {NAME} letters, digits, `.`, `_` or `-`");
    Err(Problem::invalid(&Issues::one(Issue::new(Code::IllegalId, "", why)), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(http::header::HeaderName, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (k.clone(), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn preconditions_are_read() {
        assert_eq!(precondition(&HeaderMap::new()), Precondition::None);
        assert_eq!(precondition(&headers(&[(IF_NONE_MATCH, "*")])), Precondition::Absent);
        assert_eq!(precondition(&headers(&[(IF_MATCH, "*")])), Precondition::Present);
        assert_eq!(precondition(&headers(&[(IF_MATCH, "\"3.14\"")])), Precondition::Version(3, 14));
        assert_eq!(precondition(&headers(&[(IF_MATCH, "\"x\", W/\"3.14\"")])), Precondition::Version(3, 14));
        assert_eq!(precondition(&headers(&[(IF_MATCH, "nonsense")])), Precondition::Never);
    }

    #[test]
    fn names_are_plain() {
        assert!(["a", "A-1_b.c", &"x".repeat(64)].iter().all(|n| legal(n).is_ok()));
        assert!(["", "-a", "a b", "a%20b", "ä", &"x".repeat(65)].iter().all(|n| legal(n).is_err()));
    }
}
