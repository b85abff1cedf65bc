//! The wire form of spans: OTLP 1.x over HTTP in JSON
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>): ids in hexadecimal, 64-bit
//! integers as text, enumerations as numbers.

use crate::telemetry::span::{Attribute, Role, Span, Value};
use serde::Serialize;

/// An export request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Export {
    resource_spans: [ResourceSpans; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans {
    resource: Resource,
    scope_spans: [ScopeSpans; 1],
}

#[derive(Debug, Serialize)]
struct Resource {
    attributes: Vec<AttributeDto>,
}

#[derive(Debug, Serialize)]
struct ScopeSpans {
    scope: Scope,
    spans: Vec<SpanDto>,
}

#[derive(Debug, Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SpanDto {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_state: Option<String>,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<AttributeDto>,
    status: Status,
}

#[derive(Debug, Serialize)]
struct Status {
    code: u8,
}

#[derive(Debug, Serialize)]
struct AttributeDto {
    key: &'static str,
    value: ValueDto,
}

#[derive(Debug, Serialize)]
enum ValueDto {
    #[serde(rename = "stringValue")]
    Text(String),
    #[serde(rename = "intValue")]
    Integer(String),
    #[serde(rename = "doubleValue")]
    Number(f64),
}

impl From<&Attribute> for AttributeDto {
    fn from(attribute: &Attribute) -> Self {
        let value = match &attribute.value {
            Value::Text(text) => ValueDto::Text(text.clone()),
            Value::Integer(n) => ValueDto::Integer(n.to_string()),
            Value::Number(x) => ValueDto::Number(*x),
        };
        Self { key: attribute.name, value }
    }
}

impl From<&Span> for SpanDto {
    fn from(span: &Span) -> Self {
        let begun = span.begun.as_nanosecond();
        let took = i128::try_from(span.took.as_nanos()).unwrap_or(i128::MAX);
        let context = &span.context;
        Self {
            trace_id: context.trace.text(),
            span_id: context.span.text(),
            parent_span_id: context.parent.map(|p| p.text()),
            trace_state: context.state.clone(),
            name: span.name.clone(),
            kind: match span.role {
                Role::Internal => 1,
                Role::Server => 2,
                Role::Consumer => 5,
            },
            start_time_unix_nano: begun.to_string(),
            end_time_unix_nano: begun.saturating_add(took).to_string(),
            attributes: span.attributes.iter().map(Into::into).collect(),
            status: Status { code: if span.failed { 2 } else { 0 } },
        }
    }
}

/// A batch of spans, from a service called `service`.
#[must_use]
pub fn export(service: &str, spans: &[Span]) -> Export {
    let resource = [
        Attribute::text("service.name", service),
        Attribute::text("service.version", env!("CARGO_PKG_VERSION")),
    ];
    Export {
        resource_spans: [ResourceSpans {
            resource: Resource { attributes: resource.iter().map(Into::into).collect() },
            scope_spans: [ScopeSpans {
                scope: Scope { name: "ecomap-service", version: env!("CARGO_PKG_VERSION") },
                spans: spans.iter().map(Into::into).collect(),
            }],
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::context::{Ids, TraceContext};
    use jiff::Timestamp;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn the_wire_form_is_that_of_the_specification() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = TraceContext::resume(parent, &Ids::default()).expect("valid");
        let span = Span {
            name: "solve".to_owned(),
            role: Role::Consumer,
            begun: Timestamp::from_second(1_700_000_000).expect("in range"),
            took: Duration::from_millis(1500),
            attributes: vec![
                Attribute::integer("n", 7),
                Attribute::text("s", "x"),
                Attribute::number("g", 0.5).expect("finite"),
            ],
            failed: true,
            context: context.clone(),
        };
        let told = serde_json::to_value(export("ecomap", &[span])).expect("JSON");
        assert_eq!(
            told["resourceSpans"][0]["resource"]["attributes"][0]["value"],
            json!({ "stringValue": "ecomap" })
        );
        assert_eq!(
            told["resourceSpans"][0]["scopeSpans"][0]["spans"][0],
            json!({
                "traceId": "0af7651916cd43dd8448eb211c80319c",
                "spanId": context.span.text(),
                "parentSpanId": "b7ad6b7169203331",
                "name": "solve",
                "kind": 5,
                "startTimeUnixNano": "1700000000000000000",
                "endTimeUnixNano": "1700000001500000000",
                "attributes": [
                    { "key": "n", "value": { "intValue": "7" } },
                    { "key": "s", "value": { "stringValue": "x" } },
                    { "key": "g", "value": { "doubleValue": 0.5 } },
                ],
                "status": { "code": 2 },
            })
        );
        assert!(Attribute::number("g", f64::NAN).is_none());
    }
}
