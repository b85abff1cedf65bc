//! Builds folders in the shape of sysfs.

use ecomap_executor::power::{Activity, Fault, PowerSource, Quantity, Reading};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A tree of attributes; gone when dropped.
pub(crate) struct Tree(TempDir);

impl Tree {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes an attribute with the newline that sysfs ends it with.
    pub(crate) fn put(&self, path: &str, text: impl std::fmt::Display) -> &Self {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
        self
    }

    pub(crate) fn remove(&self, path: &str) -> &Self {
        fs::remove_file(self.path().join(path)).unwrap();
        self
    }

    /// A chip as JetPack 4 shows it: rail names and mW.
    pub(crate) fn iio(&self, chip: &str, device: &str, rails: [(&str, i64); 3]) -> &Self {
        let folder = format!("bus/i2c/drivers/ina3221x/{chip}/{device}");
        for (n, (rail, milliwatts)) in rails.into_iter().enumerate() {
            self.put(&format!("{folder}/rail_name_{n}"), rail);
            self.put(&format!("{folder}/in_voltage{n}_input"), 5000);
            self.put(&format!("{folder}/in_current{n}_input"), milliwatts / 5);
            self.put(&format!("{folder}/in_power{n}_input"), milliwatts);
        }
        self.put(&format!("{folder}/name"), "ina3221x")
    }

    /// A chip as JetPack 5 and 6 show it: labels, mV and mA; channels 4 to 7 are shunts without a rail.
    pub(crate) fn hwmon(&self, chip: &str, monitor: &str, rails: [(&str, i64, i64); 3]) -> &Self {
        let folder = format!("bus/i2c/drivers/ina3221/{chip}/hwmon/{monitor}");
        for (n, (rail, millivolts, milliamperes)) in rails.into_iter().enumerate() {
            let n = n + 1;
            self.put(&format!("{folder}/in{n}_label"), rail);
            self.put(&format!("{folder}/in{n}_input"), millivolts);
            self.put(&format!("{folder}/curr{n}_input"), milliamperes);
            self.put(&format!("{folder}/in{}_input", n + 3), 8);
        }
        self.put(&format!("{folder}/in7_label"), "sum of shunt voltages");
        self.put(&format!("{folder}/name"), "ina3221")
    }

    /// AGX Xavier with JetPack 4.
    pub(crate) fn xavier_4(&self) -> &Self {
        self.iio("1-0040", "iio:device0", [("GPU", 4601), ("CPU", 922), ("SOC", 2305)]);
        self.iio("1-0041", "iio:device1", [("CV", 0), ("VDDRQ", 768), ("SYS5V", 2200)]);
        self.put("bus/i2c/drivers/ina3221x/bind", "")
    }

    /// AGX Xavier with JetPack 5.
    pub(crate) fn xavier_5(&self) -> &Self {
        self.hwmon("1-0040", "hwmon3", [("GPU", 19_000, 242), ("CPU", 19_000, 48), ("SOC", 19_000, 121)]);
        self.hwmon("1-0041", "hwmon4", [("CV", 19_000, 0), ("VDDRQ", 19_000, 40), ("SYS5V", 5_000, 440)])
    }

    /// AGX Orin with JetPack 5 and 6.
    pub(crate) fn orin(&self, monitors: [&str; 2]) -> &Self {
        let gpu = ("VDD_GPU_SOC", 19_880, 220);
        self.hwmon("1-0040", monitors[0], [gpu, ("VDD_CPU_CV", 19_880, 40), ("VIN_SYS_5V0", 5_016, 824)]);
        self.hwmon("1-0041", monitors[1], [("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 5_016, 280), ("NC", 0, 0)]);
        self.put("bus/i2c/drivers/ina3221/uevent", "")
    }
}

/// Reads a source at a time, with nothing running.
pub(crate) fn read(source: &mut impl PowerSource, seconds: u64) -> Reading {
    source.read(&Activity { at: Duration::from_secs(seconds), busy: &[], mode: None }).unwrap()
}

/// Rails and their mW.
pub(crate) fn milliwatts(reading: &Reading) -> Vec<(&str, i64)> {
    reading.rails.iter().map(|r| (r.name.as_str(), rounded(r.quantity))).collect()
}

#[allow(clippy::cast_possible_truncation)] // figures of fixtures
pub(crate) fn rounded(quantity: Quantity) -> i64 {
    match quantity {
        Quantity::Power(watts) => (1000.0 * watts.get()).round() as i64,
        Quantity::Energy(joules) => (1000.0 * joules.get()).round() as i64,
    }
}

pub(crate) fn faults(reading: &Reading) -> Vec<String> {
    reading.faults.iter().map(Fault::to_string).collect()
}
