//! RAPL energy counters of a host, `class/powercap` in sysfs.
//!
//! Each zone counts microjoules up to `max_energy_range_uj` and begins again at 0. Top-level zones (`intel-rapl:0`,
//! `intel-rapl:1`, …) are whole packages; zones below them (`intel-rapl:0:1`) are parts of these, and `psys`, where it
//! is, is the whole machine. The total is `psys` if there is one, else the sum of the packages. Since Linux 5.10 only
//! root reads the counters.

use crate::power::files::{attribute, entries, number};
use crate::power::reading::{Activity, Quantity, Rail, Reading};
use crate::power::{Fault, Origin, PowerError, PowerSource, Scope};
use ecomap_instances::units::Joules;
use std::io;
use std::path::{Path, PathBuf};

/// Most zones of one machine.
const MAX_ZONES: usize = 32;

#[derive(Debug)]
struct Zone {
    name: String,
    folder: PathBuf,
    /// Microjoules at which the counter begins again.
    range: i64,
    last: i64,
    /// Since the source was opened.
    microjoules: u64,
    /// Whether it belongs to the total.
    counts: bool,
}

/// All top-level zones.
#[derive(Debug)]
pub struct Rapl {
    zones: Vec<Zone>,
}

impl Rapl {
    /// Looks for zones under the folder of sysfs, and reads each once.
    ///
    /// # Errors
    /// [`PowerError::Absent`] when there are none that can be read; [`PowerError::Read`] when they are there but
    /// permission is missing.
    pub fn open(sysfs: &Path) -> Result<Self, PowerError> {
        let folder = sysfs.join("class/powercap");
        let absent = PowerError::Absent { what: "RAPL energy counter" };
        let found = match entries(&folder, is_zone) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(absent),
            Err(source) => return Err(PowerError::Read { path: folder, source }),
        };
        let mut zones: Vec<Zone> = Vec::new();
        let mut denied = None;
        for folder in found.into_iter().take(MAX_ZONES) {
            let Ok(name) = attribute(&folder.join("name")) else { continue };
            let path = folder.join("energy_uj");
            let range = number(&folder.join("max_energy_range_uj"), &name).unwrap_or(0);
            match number(&path, &name) {
                Ok(last) if last >= 0 && !zones.iter().any(|z| z.name == name) => {
                    zones.push(Zone { name, folder, range, last, microjoules: 0, counts: false });
                }
                Err(Fault::Denied { .. }) => denied = Some(path),
                _ => {}
            }
        }
        let whole = zones.iter().any(|z| z.name == "psys");
        for zone in &mut zones {
            zone.counts = if whole { zone.name == "psys" } else { zone.name.starts_with("package") };
        }
        // Part of the machine would be taken for all of it.
        if let Some(path) = denied {
            return Err(PowerError::Read { path, source: io::ErrorKind::PermissionDenied.into() });
        }
        if zones.is_empty() { Err(absent) } else { Ok(Self { zones }) }
    }
}

/// A top-level zone: `intel-rapl:0`, also on AMD.
fn is_zone(name: &str) -> bool {
    name.strip_prefix("intel-rapl:").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

impl Zone {
    fn advance(&mut self) -> Result<Joules, Fault> {
        let now = number(&self.folder.join("energy_uj"), &self.name)?;
        // The counter has its range and one more value: 0.
        let step =
            if now >= self.last { now - self.last } else { now - self.last + self.range.saturating_add(1) };
        let step = u64::try_from(step).map_err(|_| Fault::Garbage {
            rail: self.name.clone(),
            text: format!("{now} after {}", self.last),
        })?;
        self.last = now;
        self.microjoules = self.microjoules.saturating_add(step);
        // Exact up to 2^53 µJ, which are 285 years at 1 W.
        Ok(Joules::new(self.microjoules as f64 / 1e6))
    }
}

impl PowerSource for Rapl {
    fn name(&self) -> &'static str {
        "rapl"
    }

    fn origin(&self) -> Origin {
        Origin::Measured
    }

    fn scope(&self) -> Scope {
        Scope::Packages
    }

    fn read(&mut self, _: &Activity<'_>) -> Result<Reading, PowerError> {
        let mut reading = Reading::default();
        let mut total = Some(Joules::ZERO);
        for zone in &mut self.zones {
            match zone.advance() {
                Ok(energy) => {
                    if zone.counts {
                        total = total.map(|sum| sum + energy);
                    }
                    reading.rails.push(Rail { name: zone.name.clone(), quantity: Quantity::Energy(energy) });
                }
                Err(fault) => {
                    if zone.counts {
                        total = None;
                    }
                    reading.faults.push(fault);
                }
            }
        }
        let any = self.zones.iter().any(|z| z.counts);
        reading.total = total.filter(|_| any).map(Quantity::Energy);
        Ok(reading)
    }
}
