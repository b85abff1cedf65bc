//! What can go wrong with power.

use std::path::PathBuf;
use std::time::Duration;

/// Why a power mode or a source of power readings cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PowerError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Path.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// Nothing of the kind on this machine.
    #[error("no {what} on this machine")]
    Absent {
        /// What was looked for.
        what: &'static str,
    },
    /// A file of another shape than expected.
    #[error("{path} line {line}: {what}")]
    Config {
        /// File.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A command cannot be started.
    #[error("cannot run {program}: {source}")]
    Start {
        /// Program.
        program: String,
        /// Reason.
        source: std::io::Error,
    },
    /// A command ran too long and was killed.
    #[error("{program} gave no answer within {} s and was ended", limit.as_secs_f64())]
    Slow {
        /// Program.
        program: String,
        /// Limit.
        limit: Duration,
    },
    /// A command failed.
    #[error("{program} failed: {said}")]
    Failed {
        /// Program.
        program: String,
        /// What it said, cut short.
        said: String,
    },
    /// The answer of a command makes no sense.
    #[error("{program} answered `{said}`")]
    Answer {
        /// Program.
        program: String,
        /// What it said, cut short.
        said: String,
    },
    /// The board has no such power mode.
    #[error("no power mode `{mode}`; the board has: {known}")]
    UnknownMode {
        /// Mode asked for.
        mode: String,
        /// Modes known.
        known: String,
    },
    /// The mode can only be reached by a reboot, which is for a person to decide.
    #[error("power mode `{mode}` needs a reboot, which was not confirmed")]
    NeedsReboot {
        /// Mode asked for.
        mode: String,
    },
    /// The mode was set and yet another one is in force.
    #[error("power mode `{asked}` was set, but `{found}` is in force")]
    NotInForce {
        /// Mode asked for.
        asked: String,
        /// Mode that the board reports.
        found: String,
    },
}

/// What is wrong with a reading. The rest of it may still be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A rail that the board has was not found.
    Missing {
        /// Rail.
        rail: String,
    },
    /// Its file may not be read.
    Denied {
        /// Rail.
        rail: String,
    },
    /// Its file cannot be read for another reason.
    Unreadable {
        /// Rail.
        rail: String,
        /// Reason.
        reason: String,
    },
    /// No number stands in its file.
    Garbage {
        /// Rail.
        rail: String,
        /// What stands there, cut short.
        text: String,
    },
    /// No board draws so much, or a negative power.
    OutOfRange {
        /// Rail.
        rail: String,
        /// Value in mW.
        milliwatts: i64,
    },
    /// All rails have said exactly the same for so long that they cannot be measuring.
    Stuck {
        /// Readings in a row without any change.
        readings: u32,
    },
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing { rail } => write!(f, "rail {rail} is missing"),
            Self::Denied { rail } => write!(f, "rail {rail}: permission denied"),
            Self::Unreadable { rail, reason } => write!(f, "rail {rail} cannot be read: {reason}"),
            Self::Garbage { rail, text } => write!(f, "rail {rail} says `{}`", text.escape_debug()),
            Self::OutOfRange { rail, milliwatts } => {
                write!(f, "rail {rail} says {milliwatts} mW, which cannot be")
            }
            Self::Stuck { readings } => write!(f, "no rail has changed in {readings} readings"),
        }
    }
}

/// At most this much of foreign text goes into messages.
const SHOWN: usize = 120;

/// The beginning of foreign text, on one line and printable.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut out: String = text.trim().chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.trim().chars().nth(SHOWN).is_some() {
        out.push('…');
    }
    out
}
