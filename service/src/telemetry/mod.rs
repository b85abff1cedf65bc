//! What the service says about itself to others: W3C trace context and spans over OTLP.
//!
//! [`context`] reads and makes `traceparent`; a [`span`] is one finished piece of work;
//! [`export`] sends spans in batches to a collector ([`otlp`] is their wire form).

pub mod context;
pub mod export;
pub mod otlp;
pub mod span;

pub use context::TraceContext;
pub use export::{OtlpConfig, Spans};
