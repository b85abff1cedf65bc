//! The OpenAPI 3.1 document, assembled from the route table and the wire types' JSON Schemas.

mod agents;
mod jobs;

use crate::access::rights::{self, Need};
use crate::explain::Explanation;
use crate::explain::plan::PlanExplanation;
use crate::http::handlers::check::Checked;
use crate::http::handlers::lists::{ScenarioList, SchemaList, SolverList};
use crate::http::handlers::validate::Valid;
use crate::http::openapi_fleets;
use crate::http::problem::{Kind, ProblemDto};
use crate::http::routes;
use crate::input;
use ecomap_instances::format::accelerators_v1::WorkloadDto;
use ecomap_instances::format::frontier_v1::FrontierDto;
use ecomap_instances::format::instance_v1::InstanceDto;
use ecomap_instances::format::result_v1::ResultDto;
use ecomap_instances::format::scenario_v1::ScenarioDto;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};
use std::sync::OnceLock;

/// The document, as served at `/openapi.json`.
#[must_use]
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| format!("{:#}\n", document()))
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let paths = paths(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Ecomap",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Carbon-aware mapping of DNN services on edge boards, with a proof.",
            "description": "Send a scenario, get a plan and a certificate. Errors are \
                `application/problem+json` (RFC 9457) with a stable `code`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "solve", "description": "Plans and proofs." },
            { "name": "jobs", "description": "Solves that outlive their requests." },
            { "name": "fleets", "description": "Fleets kept solved while carbon intensity moves their caps." },
            { "name": "lists", "description": "What there is." },
            { "name": "admin", "description": "For those who run the service." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "examples": { EXAMPLE: { "summary": "The embedded scenario of that name.", "value": example() } },
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer",
                "description": "A key that `ecomap keys add` made. On the loopback address a service may run \
                    without keys." } },
        },
    })
}

/// Scenario that stands as an example for every route that takes one.
const EXAMPLE: &str = "tiny";

fn example() -> Value {
    let document = input::embedded(EXAMPLE);
    document.and_then(|d| serde_json::from_slice(&d.bytes).ok()).unwrap_or_default()
}

/// Collects the schemas that operations refer to.
pub(super) struct Schemas(SchemaGenerator);

impl Schemas {
    fn new() -> Self {
        let settings =
            SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
        Self(settings.into_generator())
    }

    pub(super) fn of<T: schemars::JsonSchema>(&mut self) -> Value {
        self.0.subschema_for::<T>().to_value()
    }

    fn finish(mut self) -> Map<String, Value> {
        self.0.take_definitions(true)
    }
}

pub(super) fn json_body(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

pub(super) fn operation(tag: &str, id: &str, summary: &str, answers: &Value) -> Value {
    json!({ "tags": [tag], "operationId": id, "summary": summary, "responses": answers })
}

/// Answers with the problems of `kinds` added, merged by status.
pub(super) fn with_problems(mut answers: Value, kinds: &[Kind], problem: &Value) -> Value {
    let Some(map) = answers.as_object_mut() else { return answers };
    for kind in kinds {
        let line = format!("`{}` {}. {}", kind.code(), kind.title(), kind.remedy());
        let entry = map.entry(kind.status().to_string()).or_insert_with(|| {
            let mut answer = json!({
                "description": "",
                "content": { "application/problem+json": { "schema": problem } },
            });
            if matches!(kind.status(), 429 | 503) {
                answer["headers"] = json!({ "Retry-After": {
                    "description": "Seconds after which to try again.", "schema": { "type": "integer" }
                } });
            }
            answer
        });
        let so_far = entry["description"].as_str().unwrap_or_default();
        let text = if so_far.is_empty() { line } else { format!("{so_far}\n\n{line}") };
        entry["description"] = json!(text);
    }
    answers
}

pub(super) fn query(name: &str, description: &str, schema: &Value) -> Value {
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

pub(super) fn path_name(description: &str, example: &str) -> Value {
    json!({ "name": "name", "in": "path", "required": true, "description": description,
            "example": example, "schema": { "type": "string" } })
}

fn solve_parameters() -> Value {
    json!([
        query(
            "objective",
            "What to minimise, instead of what the document says: `ecomap`, `carbon`, `energy`, `latency`, \
             `accuracy`, `cdp`, `weighted:carbon=1,latency=0.5`, `lexicographic:accuracy,carbon`, or `value`.",
            &json!({ "type": "string", "examples": ["carbon"] }),
        ),
        query("solver", "Name of a solver (GET /v1/solvers).", &json!({ "type": "string" })),
        query(
            "contention",
            "Joint predictor that must accept the plan: every SLO, mode budget and site cap beside the plan's own \
             co-runners. `auto`: the transformer, or the forest where ONNX Runtime is missing. Scenarios only.",
            &json!({ "enum": ["off", "auto", "transformer", "forest", "roofline"], "default": "off" }),
        ),
        query(
            "time_limit_s",
            "Seconds, waiting for a thread included; lowered to the service's maximum.",
            &json!({ "type": "number", "exclusiveMinimum": 0 }),
        ),
        query(
            "gap",
            "Relative gap at which the search may stop.",
            &json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        ),
        query("seed", "Seed of every random choice.", &json!({ "type": "integer", "minimum": 0, "default": 0 })),
        query("threads", "Threads of the solver.", &json!({ "type": "integer", "minimum": 1, "default": 1 })),
        query(
            "work_limit",
            "Most branch-and-bound nodes or iterations; unlike a time limit, it makes a run repeatable.",
            &json!({ "type": "integer", "minimum": 1 }),
        ),
        query(
            "max_moves",
            "Most tenants that may leave what they run now.",
            &json!({ "type": "integer", "minimum": 0 }),
        ),
        query("freeze", "Tenants that keep what they run now, comma-separated.", &json!({ "type": "string" })),
        query(
            "weigh_stability",
            "Whether to solve again without rules on stability and say what they cost.",
            &json!({ "type": "boolean", "default": false }),
        ),
        { "name": "Prefer", "in": "header", "required": false,
          "description": "`wait=N`: answer within N seconds; `respond-async`: answer with a job (RFC 7240).",
          "schema": { "type": "string", "examples": ["wait=10"] } },
    ])
}

/// Those parameters of a solve that another route takes as well, in their order.
fn shared_parameters(names: &[&str]) -> Vec<Value> {
    let all = solve_parameters();
    let list = all.as_array().map(Vec::as_slice).unwrap_or_default();
    list.iter().filter(|p| p["name"].as_str().is_some_and(|n| names.contains(&n))).cloned().collect()
}

fn explain_parameters() -> Value {
    let price = |what: &str, default: f64| {
        let schema = json!({ "type": "number", "exclusiveMinimum": 0, "default": default });
        (format!("Price of a {what} in the relaxation."), schema)
    };
    let mut list = shared_parameters(&["objective", "time_limit_s", "gap", "seed", "threads", "Prefer"]);
    list.push(query(
        "what_if",
        "Of a problem: whether to solve again for one watt more at each site and one board more of each class.",
        &json!({ "type": "boolean", "default": false }),
    ));
    list.push(query(
        "tenant",
        "Of a result: the tenant to explain. Of a problem, with `what_if`: tenants whose latency objective gets \
         one millisecond more, comma-separated.",
        &json!({ "type": "string" }),
    ));
    for (name, (text, schema)) in [
        ("watt_price", price("watt above a cap", 1.0)),
        ("ms_price", price("millisecond above a latency objective", 0.1)),
        ("point_price", price("point below an accuracy floor", 1.0)),
    ] {
        list.push(query(name, &text, &schema));
    }
    json!(list)
}

fn frontier_parameters() -> Value {
    let mut list = vec![
        query(
            "axes",
            "The two terms: accuracy points lost and gCO2e/h, or gCO2e/h and rate-weighted ms.",
            &json!({ "enum": ["accuracy-carbon", "carbon-delay"], "default": "accuracy-carbon" }),
        ),
        query(
            "points",
            "Points wanted; beyond the supported ones, those between them.",
            &json!({ "type": "integer", "minimum": 0, "maximum": 1000, "default": 0 }),
        ),
    ];
    list.extend(shared_parameters(&["time_limit_s", "gap", "seed", "threads", "work_limit", "Prefer"]));
    json!(list)
}

pub(super) const BODY_PROBLEMS: [Kind; 8] = [
    Kind::Query,
    Kind::Cut,
    Kind::Slow,
    Kind::TooLarge,
    Kind::MediaType,
    Kind::Invalid,
    Kind::Oversize,
    Kind::Internal,
];

fn paths(schemas: &mut Schemas) -> Map<String, Value> {
    let mut paths: Map<String, Value> = Map::new();
    let problem = schemas.of::<ProblemDto>();
    for route in routes::all() {
        let described = openapi_fleets::describe(route, schemas)
            .or_else(|| jobs::describe(route.method, route.path, schemas))
            .or_else(|| agents::describe(route.method, route.path, schemas))
            .or_else(|| describe(route.path, schemas));
        if let Some(mut operation) = described {
            guard(&mut operation, rights::need(route.method, route.path), &problem);
            let entry = paths.entry(route.path).or_insert_with(|| json!({}));
            entry[route.method.to_ascii_lowercase()] = operation;
        }
    }
    paths
}

/// Says what an operation asks of its caller, and how it refuses.
fn guard(operation: &mut Value, need: Need, problem: &Value) {
    let mut kinds = vec![Kind::Foreign];
    match need {
        Need::Nothing => operation["security"] = json!([]),
        Need::Role(role) => {
            operation["security"] = json!([{ "key": [] }, {}]);
            operation["x-ecomap-role"] = json!(role.as_str());
            kinds.extend([Kind::Unauthorized, Kind::Forbidden, Kind::TooMany]);
        }
    }
    let answers = operation["responses"].take();
    operation["responses"] = with_problems(answers, &kinds, problem);
}

fn describe(path: &str, schemas: &mut Schemas) -> Option<Value> {
    let problem = schemas.of::<ProblemDto>();
    let ok = |description: &str, schema: &Value| json!({ "200": { "description": description, "content": json_body(schema) } });
    let plain = |description: &str, kind: &str| json!({ "200": { "description": description, "content": { kind: { "schema": { "type": "string" } } } } });
    let any = json!({ "type": "object" });
    let posted = |operation: Value, body: Value, extra: &[Kind]| {
        let mut operation = operation;
        let mut content = json_body(&body);
        // `/v1/check` takes a pair, of which there is no ready example.
        if path != "/v1/check" {
            let example = format!("#/components/examples/{EXAMPLE}");
            content["application/json"]["examples"] = json!({ EXAMPLE: { "$ref": example } });
        }
        operation["requestBody"] = json!({ "required": true, "content": content });
        let kinds: Vec<Kind> = BODY_PROBLEMS.iter().chain(extra).copied().collect();
        let answers = operation["responses"].take();
        operation["responses"] = with_problems(answers, &kinds, &problem);
        operation
    };
    Some(match path {
        "/v1/solve" => {
            let problem_body = json!({ "oneOf": [schemas.of::<ScenarioDto>(), schemas.of::<InstanceDto>(), schemas.of::<WorkloadDto>()] });
            let answers = ok(
                "The result; its `status` is `optimal`, `feasible`, `infeasible` or `timeout_no_solution`.",
                &schemas.of::<ResultDto>(),
            );
            let mut solve = operation("solve", "solve", "Solve a scenario or a priced instance.", &answers);
            solve["parameters"] = solve_parameters();
            jobs::of_solve(&mut solve, schemas);
            let kinds = [
                Kind::Header,
                Kind::Priority,
                Kind::Ended,
                Kind::Unsupported,
                Kind::KeyReused,
                Kind::TooManyJobs,
                Kind::Busy,
                Kind::NotReady,
                Kind::Late,
                Kind::NoPredictor,
                Kind::JobsFull,
            ];
            posted(solve, problem_body, &kinds)
        }
        "/v1/validate" => {
            let body = json!({ "oneOf":
                [schemas.of::<ScenarioDto>(), schemas.of::<InstanceDto>(), schemas.of::<WorkloadDto>(), schemas.of::<ResultDto>()] });
            let answers = ok("The document is valid.", &schemas.of::<Valid>());
            let validate =
                operation("solve", "validate", "Validate a document without solving it.", &answers);
            posted(validate, body, &[Kind::Busy, Kind::NotReady])
        }
        "/v1/check" => {
            let body = json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["input", "result"],
                "properties": {
                    "input": { "oneOf": [schemas.of::<ScenarioDto>(), schemas.of::<InstanceDto>(), schemas.of::<WorkloadDto>()] },
                    "result": schemas.of::<ResultDto>(),
                    "objective": { "type": "string",
                        "description": "Short form of the objective; needed where the result's differs from \
                                        the input's and has weights." },
                },
            });
            let answers = ok("What was found; look at `verdict`.", &schemas.of::<Checked>());
            let check = operation("solve", "check", "Re-verify a result against its problem.", &answers);
            posted(check, body, &[Kind::Busy, Kind::NotReady])
        }
        "/v1/explain" => {
            let input = json!({ "oneOf": [schemas.of::<ScenarioDto>(), schemas.of::<InstanceDto>(), schemas.of::<WorkloadDto>()] });
            let both = json!({
                "type": "object",
                "additionalProperties": false,
                "required": ["input", "result"],
                "properties": { "input": input, "result": schemas.of::<ResultDto>() },
            });
            let body = json!({ "oneOf": [schemas.of::<ScenarioDto>(), schemas.of::<InstanceDto>(), schemas.of::<WorkloadDto>(), both] });
            let either = json!({ "oneOf":
                [schemas.of::<Explanation>(), schemas.of::<PlanExplanation>()] });
            let answers = ok("Of a problem the first, of a problem with its result the second.", &either);
            let summary = "Explain who is not served, or why a tenant of a plan runs what it runs.";
            let mut explain = operation("solve", "explain", summary, &answers);
            explain["parameters"] = explain_parameters();
            posted(explain, body, &[Kind::Unsupported, Kind::Busy, Kind::NotReady, Kind::Late])
        }
        "/v1/frontier" => {
            let body = json!({ "oneOf": [schemas.of::<ScenarioDto>(), schemas.of::<InstanceDto>(), schemas.of::<WorkloadDto>()] });
            let answers = ok(
                "The points with their plans, and the line below all plans.",
                &schemas.of::<FrontierDto>(),
            );
            let mut frontier =
                operation("solve", "frontier", "Find the Pareto frontier of two terms.", &answers);
            frontier["parameters"] = frontier_parameters();
            posted(frontier, body, &[Kind::Unsupported, Kind::Busy, Kind::NotReady, Kind::Late])
        }
        "/v1/solvers" => {
            operation("lists", "solvers", "Solvers.", &ok("The solvers.", &schemas.of::<SolverList>()))
        }
        "/v1/scenarios" => operation(
            "lists",
            "scenarios",
            "Scenarios that the service holds.",
            &ok("The scenarios.", &schemas.of::<ScenarioList>()),
        ),
        "/v1/scenarios/{name}" => {
            let answers = ok("The document.", &schemas.of::<ScenarioDto>());
            let answers = with_problems(answers, &[Kind::NotFound], &problem);
            let mut get = operation("lists", "scenario", "A scenario's document.", &answers);
            get["parameters"] = json!([path_name("Name, as listed.", EXAMPLE)]);
            get
        }
        "/v1/schemas" => {
            operation("lists", "schemas", "JSON Schemas.", &ok("Their names.", &schemas.of::<SchemaList>()))
        }
        "/v1/schemas/{name}" => {
            let answers = json!({ "200": { "description": "The schema (draft 2020-12).",
                "content": { "application/schema+json": { "schema": any } } } });
            let answers = with_problems(answers, &[Kind::NotFound], &problem);
            let mut get = operation("lists", "schema", "The JSON Schema of a format.", &answers);
            get["parameters"] = json!([path_name("Name, as listed.", "scenario")]);
            get
        }
        "/live" => operation("admin", "live", "Whether the process answers.", &ok("It does.", &any)),
        "/ready" => {
            let answers = with_problems(ok("The self-solve passed.", &any), &[Kind::NotReady], &problem);
            operation("admin", "ready", "Whether the service solves.", &answers)
        }
        "/metrics" => operation(
            "admin",
            "metrics",
            "Metrics.",
            &plain("OpenMetrics text, base units.", "application/openmetrics-text"),
        ),
        "/openapi.json" => operation("admin", "openapi", "This document.", &ok("OpenAPI 3.1.", &any)),
        "/" => operation("admin", "dashboard", "The dashboard.", &plain("A page.", "text/html")),
        "/dashboard/{file}" => {
            let mut file = operation(
                "admin",
                "dashboardFile",
                "A part of the dashboard.",
                &with_problems(plain("Its text.", "text/plain"), &[Kind::NotFound], &problem),
            );
            file["parameters"] = json!([{ "name": "file", "in": "path", "required": true,
                "description": "Name of the part.", "schema": { "type": "string" } }]);
            file
        }
        "/docs" => operation(
            "admin",
            "docs",
            "This document, for people.",
            &json!({ "308": { "description": "The page is at `/docs/`." } }),
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    found.push(reference);
                }
                map.values().for_each(|v| references(v, found));
            }
            Value::Array(list) => list.iter().for_each(|v| references(v, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_resolves() {
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{} references", found.len());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn every_route_is_described() {
        let document = document();
        for route in routes::all().filter(|r| r.path != "/docs/{file}") {
            let operation = &document["paths"][route.path][route.method.to_ascii_lowercase()];
            assert!(operation["responses"].is_object(), "{} {}", route.method, route.path);
            assert!(operation["operationId"].is_string());
        }
    }

    #[test]
    fn every_problem_code_is_described() {
        let text = text();
        for kind in Kind::ALL.iter().filter(|k| **k != Kind::Method) {
            assert!(text.contains(kind.code()), "{}", kind.code());
        }
    }
}
