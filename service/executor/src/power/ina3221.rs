//! The INA3221 power monitors of a Jetson, read from sysfs.
//!
//! | JetPack | folder | name | value |
//! |---|---|---|---|
//! | 4 | `bus/i2c/drivers/ina3221x/<chip>/iio:device<n>` (or `iio_device`) | `rail_name_<c>` | `in_power<c>_input`, mW |
//! | 5, 6 | `bus/i2c/drivers/ina3221/<chip>/hwmon/hwmon<n>` | `in<c>_label` | `in<c>_input`, mV × `curr<c>_input`, mA |
//!
//! Channels are numbered from 0 in the first layout and from 1 in the second; each chip has three. Channels called `NC`
//! are not connected.

use crate::power::files::{attribute, entries, fault, number};
use crate::power::guard::{Repeats, in_range};
use crate::power::reading::{Activity, Quantity, Rail, Reading};
use crate::power::{Fault, Origin, PowerError, PowerSource, Scope, rails};
use ecomap_instances::units::Watts;
use std::io;
use std::path::{Path, PathBuf};

/// Layouts of the two kernel drivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// NVIDIA's own driver, JetPack 4.
    Iio,
    /// The driver of the Linux kernel, JetPack 5 and 6.
    Hwmon,
}

/// Most channels of one board: the largest has four chips.
const MAX_CHANNELS: usize = 24;

#[derive(Debug, Clone)]
struct Channel {
    rail: String,
    layout: Layout,
    folder: PathBuf,
    index: u8,
}

/// All channels of all monitors.
#[derive(Debug)]
pub struct Ina3221 {
    channels: Vec<Channel>,
    parts: &'static [&'static str],
    /// Faults that were seen when the channels were looked for; they stand in every reading.
    lost: Vec<Fault>,
    repeats: Repeats,
}

impl Ina3221 {
    /// Looks for monitors under the folder of sysfs.
    ///
    /// # Errors
    /// [`PowerError::Absent`] when there is none, [`PowerError::Read`] when they cannot be listed.
    pub fn open(sysfs: &Path) -> Result<Self, PowerError> {
        let mut found =
            Self { channels: Vec::new(), parts: &[], lost: Vec::new(), repeats: Repeats::default() };
        for (layout, driver) in [(Layout::Hwmon, "ina3221"), (Layout::Iio, "ina3221x")] {
            let folder = sysfs.join("bus/i2c/drivers").join(driver);
            let chips = match entries(&folder, is_chip) {
                Ok(chips) => chips,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(PowerError::Read { path: folder, source }),
            };
            for chip in chips {
                found.chip(layout, &chip);
            }
        }
        if found.channels.is_empty() && found.lost.is_empty() {
            return Err(PowerError::Absent { what: "INA3221 power monitor" });
        }
        found.parts = rails::parts(&found.channels.iter().map(|c| c.rail.as_str()));
        for part in found.parts {
            if !found.channels.iter().any(|c| c.rail == *part) {
                found.lost.push(Fault::Missing { rail: (*part).to_owned() });
            }
        }
        Ok(found)
    }

    /// Names of the rails found.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|c| c.rail.as_str())
    }

    fn chip(&mut self, layout: Layout, chip: &Path) {
        let (parent, keep, indices): (_, fn(&str) -> bool, _) = match layout {
            Layout::Iio => (chip.to_owned(), |n| n == "iio_device" || n.starts_with("iio:device"), 0..=2_u8),
            Layout::Hwmon => (chip.join("hwmon"), |n| n.starts_with("hwmon"), 1..=3),
        };
        // Both names of one device may be there, one a link to the other.
        let folder = entries(&parent, keep).ok().and_then(|found| found.into_iter().next());
        let name = chip.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        let Some(folder) = folder else {
            self.lost.push(Fault::Missing { rail: name });
            return;
        };
        for index in indices {
            let label = match layout {
                Layout::Iio => format!("rail_name_{index}"),
                Layout::Hwmon => format!("in{index}_label"),
            };
            match attribute(&folder.join(label)) {
                Ok(rail) if is_rail(&rail) => {
                    if self.channels.len() < MAX_CHANNELS && !self.channels.iter().any(|c| c.rail == rail) {
                        self.channels.push(Channel { rail, layout, folder: folder.clone(), index });
                    }
                }
                // Not connected, or a channel that the board does not name.
                Ok(text) if text.is_empty() || text.eq_ignore_ascii_case("NC") => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Ok(text) => self.lost.push(Fault::Garbage {
                    rail: format!("{name} channel {index}"),
                    text: text.chars().take(40).collect(),
                }),
                Err(error) => self.lost.push(fault(&error, &format!("{name} channel {index}"))),
            }
        }
    }
}

/// Bus and address of a chip, such as `1-0040`.
fn is_chip(name: &str) -> bool {
    name.split_once('-').is_some_and(|(bus, address)| {
        let digits = |t: &str, radix| !t.is_empty() && t.len() <= 4 && t.chars().all(|c| c.is_digit(radix));
        digits(bus, 10) && digits(address, 16)
    })
}

fn is_rail(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || "_-.+".contains(c);
    !name.is_empty() && name.len() <= 40 && name.chars().all(legal) && !name.eq_ignore_ascii_case("NC")
}

impl Channel {
    fn milliwatts(&self) -> Result<i64, Fault> {
        let file = |name: String| number(&self.folder.join(name), &self.rail);
        let n = self.index;
        match self.layout {
            Layout::Iio => file(format!("in_power{n}_input")),
            Layout::Hwmon => {
                let (millivolts, milliamperes) =
                    (file(format!("in{n}_input"))?, file(format!("curr{n}_input"))?);
                // Either may be garbage of any size; what cannot be is refused by the range check.
                Ok(millivolts.checked_mul(milliamperes).map_or(i64::MAX, |microwatts| microwatts / 1000))
            }
        }
    }
}

impl PowerSource for Ina3221 {
    fn name(&self) -> &'static str {
        "ina3221"
    }

    fn origin(&self) -> Origin {
        Origin::Measured
    }

    fn scope(&self) -> Scope {
        Scope::Module
    }

    fn read(&mut self, activity: &Activity<'_>) -> Result<Reading, PowerError> {
        let mut reading = Reading { faults: self.lost.clone(), ..Reading::default() };
        let mut raw = Vec::with_capacity(self.channels.len());
        for channel in &self.channels {
            match channel.milliwatts().and_then(|mw| Ok((mw, in_range(&channel.rail, mw)?))) {
                Ok((milliwatts, watts)) => {
                    raw.push(milliwatts);
                    reading.rails.push(Rail {
                        name: channel.rail.clone(),
                        quantity: Quantity::Power(Watts::new(watts)),
                    });
                }
                Err(fault) => reading.faults.push(fault),
            }
        }
        if let Some(stuck) = self.repeats.see(&raw, activity.at) {
            reading.faults.push(stuck);
            reading.rails.clear();
        }
        reading.total = rails::total(&reading.rails, self.parts);
        Ok(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chips_and_rails_are_told_from_other_entries() {
        assert!(is_chip("1-0040") && is_chip("7-0041"));
        assert!(!is_chip("bind") && !is_chip("uevent") && !is_chip("1-") && !is_chip("1-00zz"));
        assert!(is_rail("VDD_GPU_SOC") && is_rail("5V_IN"));
        assert!(!is_rail("NC") && !is_rail("") && !is_rail("a b"));
    }
}
