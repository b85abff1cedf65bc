//! The agent over HTTP.
//!
//! | request | does | answers |
//! |---|---|---|
//! | `PUT /agent/v1/plans/{version}` | prepares the orders in the body | 200 when prepared |
//! | `POST /agent/v1/plans/{version}/commit` | switches to them | 200 when they run |
//! | `DELETE /agent/v1/plans/{version}` | drops them | 204 |
//! | `POST /agent/v1/renew` | prolongs the budget | 204 |
//! | `GET /agent/v1/status` | nothing | 200 |
//!
//! All but the last are signed: header `ecomap-signature`. Refusals are `application/problem+json`.

use crate::agent::start::Running;
use crate::agent::{Handle, Problem};
use crate::http::server;
use bytes::Bytes;
use ecomap_instances::Code;
use ecomap_instances::format::agent_v1::{RenewDto, SIGNATURE_HEADER, plan_path};
use ecomap_instances::format::read_document;
use http::{Response, StatusCode};
use serde::Serialize;
use tokio::net::TcpListener;
use warp::filters::BoxedFilter;
use warp::{Filter, Rejection};

/// Most bytes of a body.
const MAX_BODY: u64 = 4 << 20;

/// The routes.
pub fn routes(agent: Handle) -> impl Filter<Extract = (warp::reply::Response,), Error = Rejection> + Clone {
    let with = warp::any().map(move || agent.clone());
    let signature = warp::header::optional::<String>(SIGNATURE_HEADER);
    let body = warp::body::content_length_limit(MAX_BODY).and(warp::body::bytes());
    let plans = warp::path!("agent" / "v1" / "plans" / u64);
    let prepare = plans.and(warp::put()).and(with.clone()).and(signature).and(body).then(
        |version: u64, agent: Handle, signature: Option<String>, body: Bytes| async move {
            let done = prepare(&agent, version, signature, &body).await;
            answer(&agent, done.map(|dto| json(StatusCode::OK, &dto)))
        },
    );
    let commit = warp::path!("agent" / "v1" / "plans" / u64 / "commit")
        .and(warp::post())
        .and(with.clone())
        .and(signature)
        .then(|version: u64, agent: Handle, signature: Option<String>| async move {
            let path = format!("{}/commit", plan_path(version));
            let done = match agent.gate().check("POST", &path, b"", signature.as_deref()) {
                Ok(()) => agent.commit(version).await,
                Err(problem) => Err(problem),
            };
            answer(&agent, done.map(|dto| json(StatusCode::OK, &dto)))
        });
    let abort = plans.and(warp::delete()).and(with.clone()).and(signature).then(
        |version: u64, agent: Handle, signature: Option<String>| async move {
            let done = match agent.gate().check("DELETE", &plan_path(version), b"", signature.as_deref()) {
                Ok(()) => agent.abort(version).await,
                Err(problem) => Err(problem),
            };
            answer(&agent, done.map(|()| empty()))
        },
    );
    let renew = warp::path!("agent" / "v1" / "renew")
        .and(warp::post())
        .and(with.clone())
        .and(signature)
        .and(body)
        .then(|agent: Handle, signature: Option<String>, body: Bytes| async move {
            let done = renew(&agent, signature, &body).await;
            answer(&agent, done.map(|()| empty()))
        });
    let status = warp::path!("agent" / "v1" / "status").and(warp::get()).and(with).map(|agent: Handle| {
        let status = agent.status().borrow().clone();
        json(StatusCode::OK, &status)
    });
    let all = prepare.or(commit).unify().or(abort).unify().or(renew).unify().or(status).unify();
    all.map(warp::Reply::into_response)
}

/// Answers an agent's routes, where there is one, and `other` routes beside them, until `stop` ends. Meanwhile the agent
/// speaks to the service.
pub async fn serve(
    listener: TcpListener,
    other: BoxedFilter<(warp::reply::Response,)>,
    limits: server::Limits,
    agent: Option<&Running>,
    stop: impl Future<Output = ()>,
) {
    let Some(agent) = agent else { return server::serve(listener, other, limits, stop).await };
    let routes = routes(agent.handle()).or(other).unify().boxed();
    tokio::select! {
        () = server::serve(listener, routes, limits, stop) => {}
        () = agent.speak() => {}
    }
}

async fn prepare(
    agent: &Handle,
    version: u64,
    signature: Option<String>,
    body: &[u8],
) -> Result<ecomap_instances::format::agent_v1::PreparedDto, Problem> {
    agent.gate().check("PUT", &plan_path(version), body, signature.as_deref())?;
    let head: ecomap_instances::format::orders_v1::OrdersDto = read_document(body)?;
    if head.version != version {
        let what = format!("the path says version {version}, the orders say {}", head.version);
        return Err(Problem::new(Code::AgentOrders, what));
    }
    agent.prepare(body.to_vec(), signature.unwrap_or_default()).await
}

async fn renew(agent: &Handle, signature: Option<String>, body: &[u8]) -> Result<(), Problem> {
    agent.gate().check("POST", "/agent/v1/renew", body, signature.as_deref())?;
    let renewal: RenewDto = read_document(body)?;
    agent.renew(renewal).await
}

fn answer(agent: &Handle, done: Result<Response<Bytes>, Problem>) -> Response<Bytes> {
    done.unwrap_or_else(|problem| {
        let dto = problem.dto(agent.status().borrow().highest);
        let status = StatusCode::from_u16(dto.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, &dto);
        let headers = response.headers_mut();
        headers.insert("content-type", http::HeaderValue::from_static("application/problem+json"));
        if dto.status == 503 {
            headers.insert("retry-after", http::HeaderValue::from_static("1"));
        }
        response
    })
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    // The wire types have string keys and finite numbers only, so this does not fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}

fn empty() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}
