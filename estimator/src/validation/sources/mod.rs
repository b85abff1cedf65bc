//! One file a source of measurements.

pub(super) mod arttrt;
pub(super) mod branes;
pub(super) mod corun;
pub(super) mod haxconn;
pub(super) mod mlperf;
pub(super) mod nvidia_dla;
pub(super) mod rails;
pub(super) mod trtutils;

use super::sample::Group;
use ecomap_instances::profile::UnitKind;

pub(super) const fn group(generation: &'static str, kind: UnitKind, runtime: &'static str) -> Group {
    Group { generation, kind, runtime }
}
