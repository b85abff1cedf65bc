//! `ecomap keys`.

use super::{Exit, out};
use crate::ServiceError;
use crate::access::Role;
use crate::access::keyfile::{Key, KeyFile, KeyLimits};
use crate::wall::{SystemWall, WallClock, WireTime};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a key and print it, once; the file keeps only its salted hash
    Add {
        /// Name: letters, digits, `-`, `_`, `.`
        name: String,
        /// What it may do
        #[arg(long, value_enum)]
        role: Role,
        /// Days after which it ends; never when absent
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
        expires_in: Option<u32>,
        /// Requests a second over time, instead of the service's own rate
        #[arg(long, value_name = "PER_SECOND")]
        rate: Option<f64>,
        /// Requests at once, instead of the service's own
        #[arg(long)]
        burst: Option<u32>,
        /// Most bytes of a body, where less than the service's own
        #[arg(long, value_name = "BYTES")]
        max_body: Option<u64>,
        #[command(flatten)]
        file: FileArg,
    },
    /// List the keys, without their secrets
    List {
        /// Write JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        file: FileArg,
    },
    /// End a key; a running service knows within a second
    Revoke {
        /// Name or id
        key: String,
        #[command(flatten)]
        file: FileArg,
    },
}

#[derive(Debug, clap::Args)]
struct FileArg {
    /// Key file
    #[arg(long = "keys", env = "ECOMAP_KEYS", value_name = "FILE")]
    path: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let now = SystemWall.now();
    match &args.what {
        What::Add { name, role, expires_in, rate, burst, max_body, file } => {
            let expires = expires_in.map(|days| after(now, days)).transpose()?;
            let limits = KeyLimits { requests_per_s: *rate, burst: *burst, max_body: *max_body };
            let mut keys = KeyFile::read_or_empty(&file.path)?;
            let token = keys.add(name, *role, limits, expires, now)?;
            keys.write(&file.path)?;
            out::note(&format!("key {} `{name}`, role {role}; it is shown only now:", token.id()));
            out::print(&format!("{}\n", token.reveal()))?;
        }
        What::List { json, file } => {
            let keys = KeyFile::read(&file.path)?;
            if *json {
                out::print_json(&keys.keys().iter().map(|k| entry(k, now)).collect::<Vec<_>>())?;
            } else {
                out::print(&table(&keys, now))?;
            }
        }
        What::Revoke { key, file } => {
            let mut keys = KeyFile::read(&file.path)?;
            let id = keys.revoke(key, now)?;
            keys.write(&file.path)?;
            out::note(&format!("key {id} is revoked"));
        }
    }
    Ok(Exit::Ok)
}

fn after(now: Timestamp, days: u32) -> Result<Timestamp, ServiceError> {
    now.checked_add(SignedDuration::from_hours(24 * i64::from(days)))
        .map_err(|error| ServiceError::Usage(format!("--expires-in: {error}")))
}

fn state(key: &Key, now: Timestamp) -> &'static str {
    match key {
        _ if key.active(now) => "active",
        Key { revoked: Some(_), .. } => "revoked",
        _ => "expired",
    }
}

fn entry(key: &Key, now: Timestamp) -> serde_json::Value {
    json!({
        "id": key.id.as_str(), "name": key.name, "role": key.role, "state": state(key, now),
        "created": WireTime(key.created), "expires": key.expires.map(WireTime),
        "revoked": key.revoked.map(WireTime),
        "requests_per_s": key.limits.requests_per_s, "burst": key.limits.burst,
        "max_body_bytes": key.limits.max_body,
    })
}

fn table(keys: &KeyFile, now: Timestamp) -> String {
    let mut text = format!("{:<12}  {:<24}  {:<7}  {:<7}  {}\n", "id", "name", "role", "state", "created");
    for key in keys.keys() {
        text.push_str(&format!(
            "{:<12}  {:<24}  {:<7}  {:<7}  {}\n",
            key.id.as_str(),
            key.name,
            key.role.as_str(),
            state(key, now),
            key.created
        ));
    }
    text
}
