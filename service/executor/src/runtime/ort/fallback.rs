//! Which nodes ran where, from the profile that ONNX Runtime writes.
//!
//! ONNX Runtime gives nodes that a provider does not take to the next one, in the end the CPU. Its
//! profile names the provider of each node that ran; the first run of a session on another unit than
//! a CPU is profiled for that. Inside TensorRT, layers that a deep-learning accelerator refuses move
//! to the GPU without any sign: those are looked for in the layer graph before anything is loaded.

use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Longest profile that is read.
const MAX_BYTES: u64 = 256 << 20;
/// What ONNX Runtime appends to a node's name.
const SUFFIX: &str = "_kernel_time";

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    cat: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    args: Option<Args>,
}

#[derive(Deserialize)]
struct Args {
    #[serde(default)]
    provider: String,
    #[serde(default)]
    op_name: String,
}

/// Nodes of a profile that ran on another provider than those named: `name (operator) on provider`.
///
/// # Errors
/// When the file cannot be read or is no profile.
pub fn elsewhere(profile: &Path, providers: &[&str]) -> io::Result<Vec<String>> {
    let mut bytes = Vec::new();
    let length = File::open(profile)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if length as u64 > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the profile is too long"));
    }
    let events: Vec<Event> = serde_json::from_slice(&bytes)?;
    let mut nodes = BTreeSet::new();
    let mut seen = false;
    for event in events.iter().filter(|e| e.cat == "Node") {
        let Some(args) = event.args.as_ref().filter(|a| !a.provider.is_empty()) else { continue };
        seen = true;
        if !providers.contains(&args.provider.as_str()) {
            let name = event.name.strip_suffix(SUFFIX).unwrap_or(&event.name);
            nodes.insert(format!("{name} ({}) on {}", args.op_name, args.provider));
        }
    }
    if !seen {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the profile names no provider"));
    }
    Ok(nodes.into_iter().collect())
}
