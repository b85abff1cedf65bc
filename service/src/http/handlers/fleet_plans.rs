//! Plans of fleets: the present one, older ones, two compared; turns as a table.

use super::fleets::{internal, stored, tags};
use super::{Head, bytes, json, no_parameters};
use crate::fleets::records::{PlanListDto, PlanRecordDto, PlanSummaryDto, TurnDto};
use crate::fleets::{diff, history as table};
use crate::http::fleet_routes::no_fleet;
use crate::http::params::{integer, prefer_wait};
use crate::http::problem::{Kind, Problem};
use crate::http::state::App;
use ecomap_instances::Code;
use ecomap_instances::format::result_v1::ResultDto;
use ecomap_store::{Plan, StoreError};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderValue, StatusCode};
use std::time::Duration;
use warp::reply::Response;

/// Longest that a long poll waits.
const PATIENCE: Duration = Duration::from_secs(60);
/// Plans of one list at most.
const LISTED: u64 = 500;
/// Turns of one table at most.
const TURNS: u64 = 50_000;
/// Plans between two that are compared, whose causes are looked up.
const BETWEEN: u64 = 2_000;

fn corrupt(why: &serde_json::Error) -> StoreError {
    StoreError::Corrupt(why.to_string())
}

fn record(plan: &Plan) -> Result<PlanRecordDto, StoreError> {
    let summary: PlanSummaryDto = serde_json::from_str(&plan.summary).map_err(|e| corrupt(&e))?;
    let result: ResultDto = serde_json::from_str(&plan.result).map_err(|e| corrupt(&e))?;
    Ok(PlanRecordDto { summary, result })
}

fn no_plan(detail: &str) -> Problem {
    Problem::new(Kind::NoPlan, detail)
}

fn number(text: &str) -> Result<u64, Problem> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| no_plan("plans are numbered from 1"))
}

/// `GET /v1/fleets/{id}/plan`: with `If-None-Match` and `Prefer: wait=N` it waits for another plan.
pub async fn present(app: &App, head: &Head, id: &str) -> Result<Response, Problem> {
    no_parameters(head)?;
    let mut snapshot = app.fleets.snapshot(id).ok_or_else(no_fleet)?;
    let known = tags(&head.headers, IF_NONE_MATCH).unwrap_or_default();
    let wait = prefer_wait(&head.headers).map(|s| Duration::from_secs(s).min(PATIENCE));
    let is_news = |uid: i64, number: u64| {
        number > 0 && !known.contains(&None) && !known.contains(&Some(tag(uid, number)))
    };
    let applied = |mut response: Response| {
        let value = wait.and_then(|w| HeaderValue::from_str(&format!("wait={}", w.as_secs())).ok());
        if let Some(value) = value {
            response.headers_mut().insert("preference-applied", value);
        }
        response
    };
    if let Some(wait) = wait {
        let mut stop = app.fleets.watch_stop();
        let news = async {
            let _ = snapshot.wait_for(|s| is_news(s.uid, s.number())).await;
        };
        let ended = async {
            let _ = stop.wait_for(|stop| *stop).await;
        };
        tokio::select! {
            // Late, or the fleet is gone: what there is, is answered below.
            _ = tokio::time::timeout(wait, news) => {}
            () = ended => return Err(Problem::shutting_down()),
        }
    }
    let (uid, last) = {
        let now = snapshot.borrow();
        (now.uid, now.number())
    };
    if last == 0 {
        let mut problem = no_plan("the fleet has no plan yet");
        problem.retry_after_s = Some(1);
        return Err(problem);
    }
    let tag = tag(uid, last);
    if !is_news(uid, last) {
        let response = bytes(StatusCode::NOT_MODIFIED, "application/json", Vec::new());
        return Ok(applied(tagged(response, &tag)));
    }
    let plan = read(app, uid, last).await?;
    Ok(applied(tagged(json(&plan), &tag)))
}

fn tag(uid: i64, number: u64) -> String {
    format!("\"{uid}-{number}\"")
}

fn tagged(mut response: Response, tag: &str) -> Response {
    if let Ok(tag) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}

async fn read(app: &App, uid: i64, number: u64) -> Result<PlanRecordDto, Problem> {
    let read = app.fleets.store().read(move |v| v.plan(uid, number)?.as_ref().map(record).transpose());
    read.await.map_err(|why| stored(&why))?.ok_or_else(|| no_plan("no plan of that number is kept"))
}

async fn uid(app: &App, id: &str) -> Result<i64, Problem> {
    let fleet = app.fleets.fleet(id).await.map_err(|why| stored(&why))?;
    fleet.map(|f| f.uid).ok_or_else(no_fleet)
}

/// `GET /v1/fleets/{id}/plans/{n}`.
pub async fn one(app: &App, head: &Head, id: &str, n: &str) -> Result<Response, Problem> {
    no_parameters(head)?;
    let uid = uid(app, id).await?;
    let number = number(n)?;
    Ok(tagged(json(&read(app, uid, number).await?), &tag(uid, number)))
}

/// `GET /v1/fleets/{id}/plans`.
pub async fn list(app: &App, head: &Head, id: &str) -> Result<Response, Problem> {
    let (mut before, mut most) = (None, 50);
    each(head, |name, value| {
        match name {
            "before" => before = Some(integer(name, value, 1, u64::MAX)?),
            "limit" => most = integer(name, value, 1, LISTED)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let uid = uid(app, id).await?;
    let read = app.fleets.store().read(move |v| {
        let plans = v.plans(uid, before, most)?;
        let parse = |p: &Plan| serde_json::from_str::<PlanSummaryDto>(&p.summary).map_err(|e| corrupt(&e));
        plans.iter().map(parse).collect::<Result<Vec<_>, _>>()
    });
    let plans = read.await.map_err(|why| stored(&why))?;
    let before = plans.last().map(|p| p.number).filter(|n| *n > 1 && plans.len() as u64 == most);
    Ok(json(&PlanListDto { plans, before }))
}

/// `GET /v1/fleets/{id}/plans/{n}/diff/{m}`.
pub async fn compare(app: &App, head: &Head, id: &str, pair: (&str, &str)) -> Result<Response, Problem> {
    no_parameters(head)?;
    let uid = uid(app, id).await?;
    let (n, m) = (number(pair.0)?, number(pair.1)?);
    if n > m {
        return Err(no_plan("the first plan must be the earlier one"));
    }
    let read = app.fleets.store().read(move |v| {
        let parse = |p: &Plan| serde_json::from_str::<ResultDto>(&p.result).map_err(|e| corrupt(&e));
        let (Some(a), Some(b)) = (v.plan(uid, n)?, v.plan(uid, m)?) else { return Ok(None) };
        let mut causes: Vec<String> =
            v.plans(uid, Some(m + 1), (m - n).min(BETWEEN))?.into_iter().map(|p| p.cause).collect();
        causes.reverse();
        Ok(diff::diff((n, &parse(&a)?), (m, &parse(&b)?), causes))
    });
    let outcome = read.await.map_err(|why| stored(&why))?;
    Ok(json(&outcome.ok_or_else(|| no_plan("one of the two plans is not kept"))?))
}

/// `GET /v1/fleets/{id}/history`.
pub async fn history(app: &App, head: &Head, id: &str) -> Result<Response, Problem> {
    let (mut most, mut parquet) = (10_000, false);
    each(head, |name, value| {
        match name {
            "limit" => most = integer(name, value, 1, TURNS)?,
            "format" => match value {
                "csv" => parquet = false,
                "parquet" => parquet = true,
                _ => return Err(Problem::query(name, Code::UnknownName, "neither csv nor parquet")),
            },
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    let uid = uid(app, id).await?;
    let name = id.to_owned();
    let read = app.fleets.store().read(move |v| {
        let rows = v.last_turns(uid, most)?;
        let parse =
            |t: &ecomap_store::Turn| serde_json::from_str::<TurnDto>(&t.body).map_err(|e| corrupt(&e));
        let rows = rows.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        if parquet {
            table::parquet(&rows, &name).map_err(|why| StoreError::Corrupt(why.to_string()))
        } else {
            Ok(table::csv(&rows).into_bytes())
        }
    });
    let body = read.await.map_err(|why| match why {
        StoreError::Corrupt(_) => internal(&why),
        other => stored(&other),
    })?;
    let kind = if parquet { "application/vnd.apache.parquet" } else { "text/csv; charset=utf-8" };
    Ok(bytes(StatusCode::OK, kind, body))
}

/// Hands every parameter to `set`, which says whether there is such a one.
pub(super) fn each(
    head: &Head,
    mut set: impl FnMut(&str, &str) -> Result<bool, Problem>,
) -> Result<(), Problem> {
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in &head.query {
        let shown: String = name.chars().take(64).collect();
        if seen.contains(&name.as_str()) {
            return Err(Problem::query(&shown, Code::DuplicateId, "given twice"));
        }
        if !set(name, value)? {
            return Err(Problem::query(&shown, Code::UnknownName, "there is no such parameter"));
        }
        seen.push(name);
    }
    Ok(())
}
