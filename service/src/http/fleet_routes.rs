//! The routes of fleets: one table, and which handler takes which.

use crate::http::body::BodyStream;
use crate::http::handlers::{self, Head, agents, fleet_events, fleet_plans, fleets};
use crate::http::problem::{Kind, Problem};
use crate::http::routes::Route;
use crate::http::state::App;
use http::Method;
use std::sync::Arc;
use warp::reply::Response;

/// The routes, as in [`crate::http::routes::ROUTES`].
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/v1/fleets" },
    Route { method: "GET", path: "/v1/fleets/{id}" },
    Route { method: "PUT", path: "/v1/fleets/{id}" },
    Route { method: "PATCH", path: "/v1/fleets/{id}" },
    Route { method: "DELETE", path: "/v1/fleets/{id}" },
    Route { method: "GET", path: "/v1/fleets/{id}/state" },
    Route { method: "GET", path: "/v1/fleets/{id}/plan" },
    Route { method: "GET", path: "/v1/fleets/{id}/plans" },
    Route { method: "GET", path: "/v1/fleets/{id}/plans/{n}" },
    Route { method: "GET", path: "/v1/fleets/{id}/plans/{n}/diff/{m}" },
    Route { method: "GET", path: "/v1/fleets/{id}/events" },
    Route { method: "GET", path: "/v1/fleets/{id}/history" },
    Route { method: "POST", path: "/v1/fleets/{id}/carbon" },
    Route { method: "GET", path: "/v1/fleets/{id}/telemetry" },
];

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// All fleets.
    List,
    /// A fleet's document.
    Get(String),
    /// The same, put.
    Put(String),
    /// The same, changed.
    Patch(String),
    /// The same, deleted.
    Delete(String),
    /// Its state.
    State(String),
    /// Its present plan.
    Plan(String),
    /// Its last plans.
    Plans(String),
    /// One of them.
    PlanOf(String, String),
    /// Two of them compared.
    Diff(String, String, String),
    /// What happened.
    Events(String),
    /// Its turns as a table.
    History(String),
    /// Pushed intensities.
    Carbon(String),
    /// What its boards reported.
    Telemetry(String),
}

/// What a method at a path below `/v1/fleets` is for; `None` where no route takes it.
#[must_use]
pub fn target(method: &Method, tail: &str) -> Option<Target> {
    let tail = tail.strip_suffix('/').unwrap_or(tail);
    let parts: Vec<&str> = if tail.is_empty() { Vec::new() } else { tail.split('/').collect() };
    if parts.iter().any(|p| p.is_empty()) {
        return None;
    }
    let own = |text: &&str| (*text).to_owned();
    let read = *method == Method::GET || *method == Method::HEAD;
    Some(match parts.as_slice() {
        [] if read => Target::List,
        [id] if read => Target::Get(own(id)),
        [id] if *method == Method::PUT => Target::Put(own(id)),
        [id] if *method == Method::PATCH => Target::Patch(own(id)),
        [id] if *method == Method::DELETE => Target::Delete(own(id)),
        [id, "state"] if read => Target::State(own(id)),
        [id, "plan"] if read => Target::Plan(own(id)),
        [id, "plans"] if read => Target::Plans(own(id)),
        [id, "plans", n] if read => Target::PlanOf(own(id), own(n)),
        [id, "plans", n, "diff", m] if read => Target::Diff(own(id), own(n), own(m)),
        [id, "events"] if read => Target::Events(own(id)),
        [id, "history"] if read => Target::History(own(id)),
        [id, "carbon"] if *method == Method::POST => Target::Carbon(own(id)),
        [id, "telemetry"] if read => Target::Telemetry(own(id)),
        _ => return None,
    })
}

/// Answers.
pub async fn dispatch(target: Target, app: Arc<App>, head: Head, stream: BodyStream) -> Response {
    let outcome = match target {
        Target::List => fleets::list(&app, &head),
        Target::Get(id) => fleets::get(&app, &head, &id).await,
        Target::Put(id) => fleets::put(&app, &head, &id, stream).await,
        Target::Patch(id) => fleets::patch(&app, &head, &id, stream).await,
        Target::Delete(id) => fleets::delete(&app, &head, &id).await,
        Target::State(id) => fleets::state(&app, &head, &id),
        Target::Carbon(id) => fleets::carbon(&app, &head, &id, stream).await,
        Target::Plan(id) => fleet_plans::present(&app, &head, &id).await,
        Target::Plans(id) => fleet_plans::list(&app, &head, &id).await,
        Target::PlanOf(id, n) => fleet_plans::one(&app, &head, &id, &n).await,
        Target::Diff(id, n, m) => fleet_plans::compare(&app, &head, &id, (&n, &m)).await,
        Target::History(id) => fleet_plans::history(&app, &head, &id).await,
        Target::Telemetry(id) => agents::of_fleet(&app, &head, &id).await,
        Target::Events(id) => fleet_events::get(&app, &head, &id).await,
    };
    if let Err(problem) = &outcome
        && problem.kind == Kind::Internal
    {
        tracing::error!(id = %head.id, detail = %problem.detail, "a request about a fleet failed");
    }
    handlers::answer(outcome, &head.id)
}

/// Nobody asks for a fleet of such a name.
#[must_use]
pub fn no_fleet() -> Problem {
    Problem::new(Kind::NoFleet, "no fleet of that name; see /v1/fleets")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table that documents and metrics know is what is answered.
    #[test]
    fn every_route_has_a_target() {
        for route in ROUTES {
            let path = route.path.replace("{id}", "a").replace("{n}", "1").replace("{m}", "2");
            let tail = path.strip_prefix("/v1/fleets").unwrap().trim_start_matches('/').to_owned();
            let method: Method = route.method.parse().unwrap();
            assert!(target(&method, &tail).is_some(), "{} {}", route.method, route.path);
            assert_eq!(target(&Method::OPTIONS, &tail), None);
        }
        for tail in ["a/b", "a//plan", "a/plans/1/diff", "a/plans/1/2/3"] {
            assert_eq!(target(&Method::GET, tail), None, "{tail}");
        }
        assert_eq!(target(&Method::GET, "a/plan/"), Some(Target::Plan("a".to_owned())));
    }
}
