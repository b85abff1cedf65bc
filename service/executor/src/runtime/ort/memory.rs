//! Whether new sessions fit beside the running ones.
//!
//! The kernel would not refuse them: it would end some process later. So their memory is reckoned
//! before they are loaded: twice the constants of a segment at fp32 (the session's own, and the copy
//! that its kernels pack anew), and twice the largest layer's activations. That is an estimate, from
//! above for models on a CPU.

use ecomap_graph::LayerGraph;
use std::ops::Range;
use std::path::Path;

/// Bytes that a session of these layers is reckoned to take.
pub(super) fn reckon(layers: &LayerGraph, range: Range<usize>) -> u64 {
    let part = || layers.layers().skip(range.start).take(range.len());
    let constants: u64 = part().map(|l| l.weight_bytes).fold(0, u64::saturating_add);
    let largest = part().map(|l| l.input_bytes.saturating_add(l.output_bytes)).max().unwrap_or(0);
    constants.saturating_add(largest).saturating_mul(2)
}

/// Memory that new programs could have, bytes, by `MemAvailable` of the kernel; `None` where it does
/// not tell.
pub(super) fn available(proc: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(proc.join("meminfo")).ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_available() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(available(root.path()), None);
        let text = "MemTotal:       2048 kB\nMemFree: 1 kB\nMemAvailable:    1024 kB\n";
        std::fs::write(root.path().join("meminfo"), text).unwrap();
        assert_eq!(available(root.path()), Some(1 << 20));
        std::fs::write(root.path().join("meminfo"), "MemAvailable: many\n").unwrap();
        assert_eq!(available(root.path()), None);
    }
}
