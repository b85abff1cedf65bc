//! The part of the document on boards.

use super::{BODY_PROBLEMS, Schemas, json_body, operation, with_problems};
use crate::http::handlers::agents::{AgentList, Taken};
use crate::http::problem::{Kind, ProblemDto};
use ecomap_instances::format::agent_v1::RegistrationDto;
use ecomap_instances::format::telemetry_v1::TelemetryDto;
use serde_json::{Value, json};

/// The operation of a route of boards; `None` for any other.
pub(super) fn describe(method: &str, path: &str, schemas: &mut Schemas) -> Option<Value> {
    let problem = schemas.of::<ProblemDto>();
    let ok = |description: &str, schema: &Value| json!({ "200": { "description": description, "content": json_body(schema) } });
    let (body, mut described) = match (method, path) {
        ("GET", "/v1/agents") => {
            let answers = with_problems(
                ok("The boards.", &schemas.of::<AgentList>()),
                &[Kind::Query, Kind::Internal],
                &problem,
            );
            return Some(operation("boards", "agents", "Boards that announced themselves.", &answers));
        }
        ("PUT", "/v1/agents/{device}") => (
            schemas.of::<RegistrationDto>(),
            operation(
                "boards",
                "putAgent",
                "A board announces itself, or says that it is still there.",
                &ok("It is known.", &schemas.of::<Taken>()),
            ),
        ),
        ("POST", "/v1/agents/{device}/telemetry") => (
            schemas.of::<TelemetryDto>(),
            operation(
                "boards",
                "postTelemetry",
                "A board reports what it measured in an interval.",
                &ok("It is stored, or was before.", &schemas.of::<Taken>()),
            ),
        ),
        _ => return None,
    };
    let mut kinds = vec![Kind::Query, Kind::NotFound, Kind::Busy, Kind::NotReady, Kind::Internal];
    kinds.extend(BODY_PROBLEMS.iter().filter(|k| !kinds.contains(k)).copied().collect::<Vec<_>>());
    let answers = described["responses"].take();
    described["responses"] = with_problems(answers, &kinds, &problem);
    described["requestBody"] = json!({ "required": true, "content": json_body(&body) });
    described["parameters"] = json!([{ "name": "device", "in": "path", "required": true,
        "description": "Name of the board; `/` is written `%2F`.", "schema": { "type": "string", "maxLength": 64 } }]);
    Some(described)
}
