//! The part of the document on jobs.

use super::{Schemas, json_body, operation, query, with_problems};
use crate::http::handlers::jobs::MOST_LISTED;
use crate::http::problem::{Kind, ProblemDto};
use crate::jobs::wire::{EventDto, JobDto, JobListDto};
use serde_json::{Value, json};

/// The operation of a route of jobs; `None` for any other.
pub(super) fn describe(method: &str, path: &str, schemas: &mut Schemas) -> Option<Value> {
    let problem = schemas.of::<ProblemDto>();
    let job = schemas.of::<JobDto>();
    let answers = |status: &str, description: &str, schema: &Value| json!({ status: { "description": description, "content": json_body(schema) } });
    let found = [Kind::Query, Kind::NotFound, Kind::Internal, Kind::Busy];
    let described = match (method, path) {
        ("GET", "/v1/jobs") => {
            let list = schemas.of::<JobListDto>();
            let answers = answers("200", "The jobs, without their results.", &list);
            let kinds = [Kind::Query, Kind::Internal, Kind::Busy];
            let mut get = operation(
                "jobs",
                "jobs",
                "Jobs of the caller's key, the newest first.",
                &with_problems(answers, &kinds, &problem),
            );
            get["parameters"] = json!([
                query(
                    "limit",
                    "Most jobs on the page.",
                    &json!({ "type": "integer", "minimum": 1, "maximum": MOST_LISTED, "default": MOST_LISTED }),
                ),
                query(
                    "cursor",
                    "`next` of the page before.",
                    &json!({ "type": "string", "pattern": "^[1-9][0-9]{0,18}$" })
                ),
            ]);
            get
        }
        ("GET", "/v1/jobs/{id}") => {
            let answers =
                answers("200", "The job, with the best so far and, when it is done, its result.", &job);
            let mut get =
                operation("jobs", "job", "How far a job is.", &with_problems(answers, &found, &problem));
            let wait = json!({ "name": "Prefer", "in": "header", "required": false,
                "description": "`wait=N`: answer when the job has ended, or after N seconds (RFC 7240).",
                "schema": { "type": "string", "examples": ["wait=10"] } });
            get["parameters"] = json!([job_id(), wait]);
            get
        }
        ("DELETE", "/v1/jobs/{id}") => {
            let mut all =
                answers("200", "The job, which has ended; the best that it had is its result.", &job);
            all["202"] = answers("202", "The job, which is about to end.", &job)["202"].take();
            let summary = "End a job early, and keep the best that it has.";
            let mut delete = operation("jobs", "stop_job", summary, &with_problems(all, &found, &problem));
            delete["parameters"] = json!([job_id()]);
            delete
        }
        ("GET", "/v1/jobs/{id}/events") => {
            let event = schemas.of::<EventDto>();
            let stream = json!({ "200": {
                "description": "Server-sent events: `state` when the job's state changes, `incumbent` when a better \
                    plan or bound is found. The data is JSON (`JobEvent`). The stream ends when the job has ended.",
                "content": { "text/event-stream": { "schema": { "type": "string", "contentSchema": event } } },
            } });
            let mut get =
                operation("jobs", "job_events", "Follow a job.", &with_problems(stream, &found, &problem));
            let last = json!({ "name": "Last-Event-ID", "in": "header", "required": false,
                "description": "Events after this one only.", "schema": { "type": "string" } });
            get["parameters"] = json!([job_id(), last]);
            get
        }
        _ => return None,
    };
    Some(described)
}

fn job_id() -> Value {
    json!({ "name": "id", "in": "path", "required": true, "description": "Name of the job.",
            "schema": { "type": "string", "pattern": "^[0-9a-f]{32}$" } })
}

/// What `POST /v1/solve` takes and answers beside the solve itself.
pub(super) fn of_solve(solve: &mut Value, schemas: &mut Schemas) {
    let job = schemas.of::<JobDto>();
    if let Some(parameters) = solve["parameters"].as_array_mut() {
        parameters.push(query(
            "priority",
            "How urgent among the key's own solves, and what share of the threads they get; bounded by its role.",
            &json!({ "enum": ["low", "normal", "high", "urgent"], "default": "normal" }),
        ));
        parameters.push(json!({ "name": "Idempotency-Key", "in": "header", "required": false,
            "description": "The client's own key for this request: sent again with the same document and \
                parameters, it gets the same job or answer, as long as the job is kept.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]+$" } }));
    }
    let location = json!({ "Location": { "description": "The job.", "schema": { "type": "string" } } });
    solve["responses"]["202"] = json!({
        "description": "With `Prefer: respond-async`: the job, which goes on. With `wait=N` as well, only if it has \
            not ended after N seconds.",
        "content": json_body(&job), "headers": location,
        "links": {
            "job": { "operationId": "job", "parameters": { "id": "$response.body#/id" } },
            "stop": { "operationId": "stop_job", "parameters": { "id": "$response.body#/id" } },
            "events": { "operationId": "job_events", "parameters": { "id": "$response.body#/id" } },
        },
    });
}
