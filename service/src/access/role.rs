//! What a key may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a key may do; each includes those before it.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look: lists, metrics, fleets and their plans
    Read,
    /// Ask for plans, and look after jobs of one's own
    Solve,
    /// Change what the service keeps solved
    Operate,
    /// Everything
    Admin,
}

impl Role {
    /// Name, as in key files and on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Solve => "solve",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
