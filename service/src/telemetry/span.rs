//! A finished piece of work.

use crate::telemetry::context::TraceContext;
use jiff::Timestamp;
use std::time::Duration;

/// What a span is to the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Work within this process.
    Internal,
    /// A request that was answered.
    Server,
    /// Work taken from a queue.
    Consumer,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number; finite.
    Number(f64),
}

/// A named value. Names follow OpenTelemetry's semantic conventions where there is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Attribute {
    /// Name.
    pub name: &'static str,
    /// Value.
    pub value: Value,
}

impl Attribute {
    /// A text.
    #[must_use]
    pub fn text(name: &'static str, value: &str) -> Self {
        Self { name, value: Value::Text(value.to_owned()) }
    }

    /// A whole number.
    #[must_use]
    pub fn integer(name: &'static str, value: i64) -> Self {
        Self { name, value: Value::Integer(value) }
    }

    /// A number; `None` unless it is finite.
    #[must_use]
    pub fn number(name: &'static str, value: f64) -> Option<Self> {
        value.is_finite().then_some(Self { name, value: Value::Number(value) })
    }
}

/// A finished piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Name: one of few, without ids.
    pub name: String,
    /// What it is to the trace.
    pub role: Role,
    /// Its place.
    pub context: TraceContext,
    /// When it began.
    pub begun: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// What is known about it.
    pub attributes: Vec<Attribute>,
    /// Whether it failed by the service's own fault.
    pub failed: bool,
}
