//! Which role each route asks for: the one table. What is not in it asks for [`Role::Admin`].

use crate::access::role::Role;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing: health, and pages that hold no data.
    Nothing,
    /// A key with at least this role.
    Role(Role),
}

use Need::Nothing;
const READ: Need = Need::Role(Role::Read);
const SOLVE: Need = Need::Role(Role::Solve);
const OPERATE: Need = Need::Role(Role::Operate);

/// Method (`GET` includes `HEAD`), path template, need.
const TABLE: &[(&str, &str, Need)] = &[
    // A browser cannot send a key when it opens a page; these are the same for everybody.
    ("GET", "/", Nothing),
    ("GET", "/dashboard/{file}", Nothing),
    ("GET", "/docs", Nothing),
    ("GET", "/docs/{file}", Nothing),
    ("GET", "/openapi.json", Nothing),
    ("GET", "/live", Nothing),
    ("GET", "/ready", Nothing),
    ("GET", "/metrics", READ),
    ("GET", "/v1/solvers", READ),
    ("GET", "/v1/scenarios", READ),
    ("GET", "/v1/scenarios/{name}", READ),
    ("GET", "/v1/schemas", READ),
    ("GET", "/v1/schemas/{name}", READ),
    ("POST", "/v1/validate", SOLVE),
    ("POST", "/v1/check", SOLVE),
    ("POST", "/v1/solve", SOLVE),
    ("POST", "/v1/explain", SOLVE),
    ("POST", "/v1/frontier", SOLVE),
    ("GET", "/v1/jobs", SOLVE),
    ("GET", "/v1/jobs/{id}", SOLVE),
    ("DELETE", "/v1/jobs/{id}", SOLVE),
    ("GET", "/v1/jobs/{id}/events", SOLVE),
    ("GET", "/v1/fleets", READ),
    ("GET", "/v1/fleets/{id}", READ),
    ("PUT", "/v1/fleets/{id}", OPERATE),
    ("PATCH", "/v1/fleets/{id}", OPERATE),
    ("DELETE", "/v1/fleets/{id}", OPERATE),
    ("GET", "/v1/fleets/{id}/state", READ),
    ("GET", "/v1/fleets/{id}/plan", READ),
    ("GET", "/v1/fleets/{id}/plans", READ),
    ("GET", "/v1/fleets/{id}/plans/{n}", READ),
    ("GET", "/v1/fleets/{id}/plans/{n}/diff/{m}", READ),
    ("GET", "/v1/fleets/{id}/events", READ),
    ("GET", "/v1/fleets/{id}/history", READ),
    ("POST", "/v1/fleets/{id}/carbon", OPERATE),
    ("GET", "/v1/fleets/{id}/telemetry", READ),
    // What a board says moves plans, and where it says that it is will be called.
    ("GET", "/v1/agents", READ),
    ("PUT", "/v1/agents/{device}", OPERATE),
    ("POST", "/v1/agents/{device}/telemetry", OPERATE),
];

/// What a request needs, by method and path template. A path that leads nowhere, and a method that
/// a path does not take, need [`Role::Read`]: what there is not can be told to everyone with a key.
#[must_use]
pub fn need(method: &str, template: &str) -> Need {
    let method = if method == "HEAD" { "GET" } else { method };
    let mut at_path = TABLE.iter().filter(|(_, path, _)| *path == template).peekable();
    if at_path.peek().is_none() {
        return if template == "other" { READ } else { Need::Role(Role::Admin) };
    }
    at_path.find(|(m, ..)| *m == method).map_or(READ, |(.., need)| *need)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes;

    #[test]
    fn the_table_is_that_of_the_routes() {
        let listed = |method: &str, path: &str| TABLE.iter().any(|(m, p, _)| *m == method && *p == path);
        for route in routes::all() {
            assert!(listed(route.method, route.path), "{} {} is not in the table", route.method, route.path);
        }
        for (method, path, _) in TABLE {
            assert!(
                routes::all().any(|r| r.method == *method && r.path == *path),
                "{method} {path} is no route"
            );
        }
    }

    #[test]
    fn only_what_holds_no_data_is_open() {
        for (method, path, need) in TABLE {
            if *need == Nothing {
                assert_eq!(*method, "GET");
                assert!(!path.starts_with("/v1"), "{path}");
            }
        }
        assert_eq!(need("HEAD", "/live"), Nothing);
        assert_eq!(need("GET", "/v1/forgotten"), Need::Role(Role::Admin));
        assert_eq!(need("GET", "other"), READ);
        assert_eq!(need("DELETE", "/v1/solve"), READ);
    }
}
