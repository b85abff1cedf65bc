//! The routes: one table for matching, metrics and the OpenAPI document, and the warp filters.

use crate::access::Caller;
use crate::http::body::{self, BodyStream};
use crate::http::fleet_routes;
use crate::http::handlers::{self, Head};
use crate::http::problem::{Kind, Problem};
use crate::http::state::App;
use crate::telemetry::TraceContext;
use futures_util::TryStreamExt;
use http::{HeaderMap, Method};
use std::convert::Infallible;
use std::sync::Arc;
use warp::filters::BoxedFilter;
use warp::reply::Response;
use warp::{Filter, Rejection, Reply};

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// `GET` (which includes `HEAD`), `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Path template.
    pub path: &'static str,
}

/// Every route.
pub fn all() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().chain(fleet_routes::ROUTES)
}

/// The routes of this table; [`all`] has those of fleets too.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/" },
    Route { method: "GET", path: "/dashboard/{file}" },
    Route { method: "POST", path: "/v1/solve" },
    Route { method: "POST", path: "/v1/validate" },
    Route { method: "POST", path: "/v1/check" },
    Route { method: "POST", path: "/v1/explain" },
    Route { method: "POST", path: "/v1/frontier" },
    Route { method: "GET", path: "/v1/jobs" },
    Route { method: "GET", path: "/v1/jobs/{id}" },
    Route { method: "DELETE", path: "/v1/jobs/{id}" },
    Route { method: "GET", path: "/v1/jobs/{id}/events" },
    Route { method: "GET", path: "/v1/agents" },
    Route { method: "PUT", path: "/v1/agents/{device}" },
    Route { method: "POST", path: "/v1/agents/{device}/telemetry" },
    Route { method: "GET", path: "/v1/solvers" },
    Route { method: "GET", path: "/v1/scenarios" },
    Route { method: "GET", path: "/v1/scenarios/{name}" },
    Route { method: "GET", path: "/v1/schemas" },
    Route { method: "GET", path: "/v1/schemas/{name}" },
    Route { method: "GET", path: "/live" },
    Route { method: "GET", path: "/ready" },
    Route { method: "GET", path: "/metrics" },
    Route { method: "GET", path: "/openapi.json" },
    Route { method: "GET", path: "/docs" },
    Route { method: "GET", path: "/docs/{file}" },
];

impl Route {
    fn fits(&self, path: &str) -> bool {
        let mut template = self.path.trim_matches('/').split('/');
        let mut given = path.trim_start_matches('/').split('/').peekable();
        loop {
            match (template.next(), given.next()) {
                (None, None) => return true,
                // One slash at the end is forgiven.
                (None, Some("")) => return given.peek().is_none(),
                (Some(t), Some(g)) if t == g || (t.starts_with('{') && !g.is_empty()) => {}
                _ => return false,
            }
        }
    }
}

/// The template that a path fits, or `other`.
#[must_use]
pub fn template(path: &str) -> &'static str {
    all().find(|r| r.fits(path)).map_or("other", |r| r.path)
}

/// What to say when no route took the request: 405 where another method would do, else 404.
fn nowhere(path: &str, method: &Method) -> Problem {
    let mut allowed: Vec<&str> = all().filter(|r| r.fits(path)).map(|r| r.method).collect();
    if allowed.is_empty() {
        return Problem::new(Kind::NotFound, "there is nothing at this path");
    }
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    let allowed = allowed.join(", ");
    let shown: String = method.as_str().chars().take(16).collect();
    let mut problem = Problem::new(Kind::Method, format!("{shown} is not allowed here; {allowed} is"));
    problem.allow = Some(allowed);
    problem
}

/// The id that the front gave the request.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

fn get() -> impl Filter<Extract = (), Error = Rejection> + Copy {
    warp::get().or(warp::head()).unify()
}

fn head() -> impl Filter<Extract = (Head,), Error = Rejection> + Clone {
    warp::header::headers_cloned()
        .and(warp::query::<Vec<(String, String)>>())
        .and(warp::ext::optional::<RequestId>())
        // The front puts both into every request.
        .and(warp::ext::get::<Caller>())
        .and(warp::ext::get::<TraceContext>())
        .map(|headers: HeaderMap, query, id: Option<RequestId>, caller, trace| Head {
            headers,
            query,
            id: id.map(|i| i.0).unwrap_or_default(),
            caller,
            trace,
        })
}

fn stream() -> impl Filter<Extract = (BodyStream,), Error = Rejection> + Copy {
    warp::body::stream().map(|s| -> BodyStream { Box::pin(TryStreamExt::map_ok(s, body::chunk)) })
}

/// All routes as one filter that never rejects.
pub fn routes(
    app: &Arc<App>,
) -> impl Filter<Extract = (impl Reply,), Error = Infallible> + Clone + Send + Sync + 'static {
    let with = {
        let app = Arc::clone(app);
        warp::any().map(move || Arc::clone(&app))
    };
    let posts = warp::post().and(with.clone()).and(head()).and(stream());
    let solve = warp::path!("v1" / "solve").and(posts.clone()).then(handlers::solve::post);
    let validate = warp::path!("v1" / "validate").and(posts.clone()).then(handlers::validate::post);
    let check = warp::path!("v1" / "check").and(posts.clone()).then(handlers::check::post);
    let explain = warp::path!("v1" / "explain").and(posts.clone()).then(handlers::explain::post);
    let frontier = warp::path!("v1" / "frontier").and(posts).then(handlers::frontier::post);

    let fleets = warp::path!("v1" / "fleets" / ..)
        .and(warp::path::tail())
        .and(warp::method())
        .and(with.clone())
        .and(head())
        .and(stream())
        .and_then(|tail: warp::path::Tail, method: Method, app, head, stream| async move {
            match fleet_routes::target(&method, tail.as_str()) {
                Some(target) => {
                    Ok::<Response, Rejection>(fleet_routes::dispatch(target, app, head, stream).await)
                }
                None => Err(warp::reject()),
            }
        })
        .boxed();

    let reports = warp::path!("v1" / "agents" / String / "telemetry")
        .and(warp::post())
        .and(with.clone())
        .and(head())
        .and(stream())
        .then(handlers::agents::report);
    let agents = warp::path!("v1" / "agents" / String)
        .and(warp::put())
        .and(with.clone())
        .and(head())
        .and(stream())
        .then(handlers::agents::put)
        .or(reports)
        .unify()
        .or(warp::path!("v1" / "agents").and(get()).and(with.clone()).and(head()).map(handlers::agents::list))
        .unify()
        .boxed();

    let gets = get().and(with.clone()).and(head());
    let deletes = warp::delete().and(with).and(head());
    let jobs = warp::path!("v1" / "jobs")
        .and(gets.clone())
        .then(handlers::jobs::list)
        .or(warp::path!("v1" / "jobs" / String).and(gets.clone()).then(handlers::jobs::get))
        .unify()
        .or(warp::path!("v1" / "jobs" / String).and(deletes).then(handlers::jobs::delete))
        .unify()
        .or(warp::path!("v1" / "jobs" / String / "events").and(gets.clone()).then(handlers::jobs::events))
        .unify()
        .boxed();
    let lists = warp::path!("v1" / "solvers")
        .and(gets.clone())
        .map(handlers::lists::solvers)
        .or(warp::path!("v1" / "scenarios").and(gets.clone()).map(handlers::lists::scenarios))
        .unify()
        .or(warp::path!("v1" / "scenarios" / String).and(gets.clone()).map(handlers::lists::scenario))
        .unify()
        .or(warp::path!("v1" / "schemas").and(gets.clone()).map(handlers::lists::schemas))
        .unify()
        .or(warp::path!("v1" / "schemas" / String).and(gets.clone()).map(handlers::lists::schema))
        .unify();
    let admin = warp::path!("live")
        .and(gets.clone())
        .map(handlers::admin::live)
        .or(warp::path!("ready").and(gets.clone()).map(handlers::admin::ready))
        .unify()
        .or(warp::path!("metrics").and(gets.clone()).map(handlers::admin::metrics))
        .unify();
    let pages = warp::path::end()
        .and(gets.clone())
        .map(handlers::pages::index)
        .or(warp::path!("dashboard" / String).and(gets.clone()).map(handlers::pages::dashboard))
        .unify()
        .or(warp::path!("openapi.json").and(gets.clone()).map(handlers::pages::openapi))
        .unify()
        .or(warp::path("docs").and(warp::path::tail()).and(gets).and(warp::path::full()).map(
            |tail: warp::path::Tail, app, head, full: warp::path::FullPath| {
                handlers::pages::docs(tail.as_str(), full.as_str(), app, head)
            },
        ))
        .unify();
    let otherwise = warp::path::full().and(warp::method()).and(warp::ext::optional::<RequestId>()).map(
        |path: warp::path::FullPath, method: Method, id: Option<RequestId>| {
            handlers::problem(nowhere(path.as_str(), &method), &id.map(|i| i.0).unwrap_or_default())
        },
    );
    let all: BoxedFilter<(Response,)> = solve
        .or(validate)
        .unify()
        .or(check)
        .unify()
        .or(explain)
        .unify()
        .or(frontier)
        .unify()
        .or(jobs)
        .unify()
        .or(fleets)
        .unify()
        .or(agents)
        .unify()
        .or(lists)
        .unify()
        .or(admin)
        .unify()
        .or(pages)
        .unify()
        .or(otherwise)
        .unify()
        .boxed();
    // Every request fits `otherwise`, so nothing is left to reject.
    all.recover(|_| async {
        Ok::<_, Infallible>(handlers::problem(
            Problem::new(Kind::NotFound, "there is nothing at this path"),
            "",
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates() {
        for (path, expected) in [
            ("/", "/"),
            ("/v1/solve", "/v1/solve"),
            ("/v1/solve/", "/v1/solve"),
            ("/v1/solve//", "other"),
            ("/v1/scenarios/campus", "/v1/scenarios/{name}"),
            ("/v1/scenarios/", "/v1/scenarios"),
            ("/v1/scenarios/a/b", "other"),
            ("/docs/index.html", "/docs/{file}"),
            ("/v2", "other"),
            ("", "/"),
            ("*", "other"),
        ] {
            assert_eq!(template(path), expected, "{path}");
        }
    }

    #[test]
    fn wrong_methods_are_told_the_right_one() {
        let problem = nowhere("/v1/solve", &Method::GET);
        assert_eq!((problem.kind.status(), problem.allow.as_deref()), (405, Some("POST")));
        let problem = nowhere("/live", &Method::POST);
        assert_eq!((problem.kind.status(), problem.allow.as_deref()), (405, Some("GET, HEAD")));
        assert_eq!(nowhere("/x", &Method::GET).kind.status(), 404);
    }
}
