//! The routes of fleets in the OpenAPI document.

use crate::fleets::patch::PatchDto;
use crate::fleets::records::{DiffDto, PlanListDto, PlanRecordDto};
use crate::fleets::state::StateDto;
use crate::fleets::wire::FleetDto;
use crate::http::handlers::agents::Reports;
use crate::http::handlers::fleet_events::FleetEvents;
use crate::http::handlers::fleets::{FleetList, FleetView, PushDto, Pushed};
use crate::http::openapi::{BODY_PROBLEMS, Schemas, json_body, operation, query, with_problems};
use crate::http::problem::{Kind, ProblemDto};
use crate::http::routes::Route;
use serde_json::{Value, json};

fn ok(description: &str, schema: &Value) -> Value {
    json!({ "200": { "description": description, "content": json_body(schema) } })
}

fn in_path(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "path", "required": true, "description": description, "schema": schema })
}

fn header(name: &str, description: &str, example: &str) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": description,
            "schema": { "type": "string", "examples": [example] } })
}

/// The operation of a route; `None` for one that is not a fleet's.
pub(super) fn describe(route: &Route, schemas: &mut Schemas) -> Option<Value> {
    let rest = route.path.strip_prefix("/v1/fleets")?;
    let problem = schemas.of::<ProblemDto>();
    let number = json!({ "type": "integer", "minimum": 1 });
    let mut parameters = Vec::new();
    if rest.contains("{id}") {
        let name = json!({ "type": "string", "maxLength": 64, "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$" });
        parameters.push(in_path("id", "Name of the fleet.", &name));
    }
    if rest.contains("{n}") {
        parameters.push(in_path("n", "Number of a plan.", &number));
    }
    if rest.contains("{m}") {
        parameters.push(in_path("m", "Number of the same or a later plan.", &number));
    }
    let if_match = || header("If-Match", "ETag of the version that is to be changed.", "\"1.3\"");
    let if_none = |what: &str| header("If-None-Match", what, "\"1.3\"");
    let (mut kinds, mut body) =
        (vec![Kind::Query, Kind::NoFleet, Kind::Busy, Kind::NotReady, Kind::Internal], None);
    let mut operation = match (route.method, rest) {
        ("GET", "") => {
            kinds = vec![Kind::Query];
            operation("fleets", "fleets", "All fleets.", &ok("The fleets.", &schemas.of::<FleetList>()))
        }
        ("GET", "/{id}") => {
            parameters.push(if_none("304 while this is the version."));
            operation(
                "fleets",
                "fleet",
                "A fleet.",
                &ok("The fleet; its version is in the ETag.", &schemas.of::<FleetView>()),
            )
        }
        ("PUT", "/{id}") => {
            parameters.push(if_match());
            parameters.push(if_none("`*`: only if there is no such fleet."));
            body = Some(schemas.of::<FleetDto>());
            kinds.retain(|k| *k != Kind::NoFleet);
            kinds.extend([Kind::Precondition, Kind::FleetsFull]);
            let view = schemas.of::<FleetView>();
            let mut answers = ok("The next version of a fleet that was there.", &view);
            answers["201"] = json!({ "description": "A new fleet.", "content": json_body(&view),
                "headers": { "Location": { "description": "The fleet.", "schema": { "type": "string" } } } });
            operation(
                "fleets",
                "putFleet",
                "Put a fleet: a new one, or the next version of one that is there.",
                &answers,
            )
        }
        ("PATCH", "/{id}") => {
            parameters.push(if_match());
            body = Some(schemas.of::<PatchDto>());
            kinds.push(Kind::Precondition);
            let answers = ok("The next version.", &schemas.of::<FleetView>());
            let summary =
                "Tenants arrive, leave or ask for something else; devices are lost or back. All or none.";
            operation("fleets", "patchFleet", summary, &answers)
        }
        ("DELETE", "/{id}") => {
            parameters.push(if_match());
            kinds.push(Kind::Precondition);
            let answers =
                json!({ "204": { "description": "The fleet, its plans and its history are gone." } });
            operation("fleets", "deleteFleet", "Delete a fleet.", &answers)
        }
        ("GET", "/{id}/state") => {
            let answers = ok("The state. Powers and latencies are predictions.", &schemas.of::<StateDto>());
            operation("fleets", "fleetState", "A fleet at a glance, with its last turns.", &answers)
        }
        ("GET", "/{id}/plan") => {
            parameters.push(if_none("304 while this is the plan."));
            parameters.push(header(
                "Prefer",
                "`wait=N`: with If-None-Match, wait up to N seconds (at most 60) for another plan.",
                "wait=30",
            ));
            kinds.push(Kind::NoPlan);
            let answers =
                ok("The plan that runs; its number is in the ETag.", &schemas.of::<PlanRecordDto>());
            operation("fleets", "fleetPlan", "The present plan.", &answers)
        }
        ("GET", "/{id}/plans") => {
            parameters.push(query("before", "Plans of lower numbers only.", &number));
            parameters.push(query(
                "limit",
                "Plans at most.",
                &json!({ "type": "integer", "minimum": 1, "maximum": 500, "default": 50 }),
            ));
            operation(
                "fleets",
                "fleetPlans",
                "The last plans, newest first.",
                &ok("The plans, without results.", &schemas.of::<PlanListDto>()),
            )
        }
        ("GET", "/{id}/plans/{n}") => {
            kinds.push(Kind::NoPlan);
            operation(
                "fleets",
                "fleetPlanOf",
                "A plan by its number.",
                &ok("The plan.", &schemas.of::<PlanRecordDto>()),
            )
        }
        ("GET", "/{id}/plans/{n}/diff/{m}") => {
            kinds.push(Kind::NoPlan);
            operation(
                "fleets",
                "fleetDiff",
                "Two plans compared: who moved, and why.",
                &ok("The changes.", &schemas.of::<DiffDto>()),
            )
        }
        ("GET", "/{id}/events") => {
            parameters.push(header("Last-Event-ID", "Go on after this event.", "17"));
            parameters.push(query(
                "after",
                "The same for clients without that header.",
                &json!({ "type": "integer", "minimum": 0 }),
            ));
            parameters.push(query(
                "stream",
                "`false`: a list instead of a stream.",
                &json!({ "type": "boolean", "default": true }),
            ));
            parameters.push(query(
                "limit",
                "Events of a list at most.",
                &json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
            ));
            kinds.push(Kind::Streams);
            let answers = json!({ "200": { "description": "Server-sent events with ids, or a list.", "content": {
                "text/event-stream": { "schema": { "type": "string" } },
                "application/json": { "schema": schemas.of::<FleetEvents>() },
            } } });
            operation("fleets", "fleetEvents", "What happens, and why.", &answers)
        }
        ("GET", "/{id}/history") => {
            parameters.push(query(
                "format",
                "Of the table.",
                &json!({ "enum": ["csv", "parquet"], "default": "csv" }),
            ));
            parameters.push(query(
                "limit",
                "Last turns at most.",
                &json!({ "type": "integer", "minimum": 1, "maximum": 50_000, "default": 10_000 }),
            ));
            let answers = json!({ "200": { "description": "One row a turn.", "content": {
                "text/csv": { "schema": { "type": "string" } },
                "application/vnd.apache.parquet": { "schema": { "type": "string", "format": "binary" } },
            } } });
            operation("fleets", "fleetHistory", "The last turns as a table.", &answers)
        }
        ("GET", "/{id}/telemetry") => {
            parameters.push(query("device", "Of this board only.", &json!({ "type": "string" })));
            let id = json!({ "type": "integer", "minimum": 0, "default": 0 });
            parameters.push(query("after", "Reports after this one.", &id));
            parameters.push(query(
                "limit",
                "Reports at most.",
                &json!({ "type": "integer", "minimum": 1, "maximum": 500, "default": 100 }),
            ));
            let answers = ok("The reports, oldest first.", &schemas.of::<Reports>());
            operation("fleets", "fleetTelemetry", "What the fleet's boards reported.", &answers)
        }
        ("POST", "/{id}/carbon") => {
            body = Some(schemas.of::<PushDto>());
            operation(
                "fleets",
                "pushCarbon",
                "Push carbon intensities.",
                &ok("What was taken.", &schemas.of::<Pushed>()),
            )
        }
        _ => return None,
    };
    if parameters.iter().any(|p| p["name"] == "If-None-Match") && route.method == "GET" {
        operation["responses"]["304"] = json!({ "description": "As it was." });
    }
    if let Some(body) = body {
        operation["requestBody"] = json!({ "required": true, "content": json_body(&body) });
        kinds.extend(BODY_PROBLEMS.iter().filter(|k| !kinds.contains(k)).copied().collect::<Vec<_>>());
    }
    operation["parameters"] = json!(parameters);
    let answers = operation["responses"].take();
    operation["responses"] = with_problems(answers, &kinds, &problem);
    Some(operation)
}
