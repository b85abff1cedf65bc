//! The time of day, injected like the monotonic [`Clock`](ecomap_solver::clock::Clock).

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// A time on the wire: RFC 3339 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireTime(pub Timestamp);

impl Serialize for WireTime {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for WireTime {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text: Cow<'de, str> = Deserialize::deserialize(from)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for WireTime {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Time")
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A clock that knows the date.
pub trait WallClock: Send + Sync + fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The operating system's.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemWall;

impl SystemWall {
    /// A shared clock.
    #[must_use]
    pub fn shared() -> Arc<dyn WallClock> {
        Arc::new(Self)
    }
}

impl WallClock for SystemWall {
    fn now(&self) -> Timestamp {
        // The one place that asks.
        Timestamp::now()
    }
}
