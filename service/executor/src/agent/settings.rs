//! The agent's part of the executor's configuration.

use crate::power::command::Program;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Table `[agent]`.
///
/// ```toml
/// [agent]
/// public_key = "/etc/ecomap/service.pub"
/// state = "/var/lib/ecomap"
/// service = "http://10.0.0.1:8080"
/// address = "http://10.0.0.7:8090"
/// safe_mode = "10W"
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSettings {
    /// Name of the board in scenarios; stands outside the table.
    #[serde(skip)]
    pub device: String,
    /// Its hardware profile; stands outside the table.
    #[serde(skip)]
    pub profile: String,
    /// File with the service's public key, 64 hexadecimal digits.
    pub public_key: PathBuf,
    /// Folder for what must outlive a restart.
    pub state: PathBuf,
    /// Base address of the service; absent: the board announces itself to nobody and sends no telemetry.
    #[serde(default)]
    pub service: Option<String>,
    /// Where the service reaches this agent.
    #[serde(default)]
    pub address: Option<String>,
    /// File with the bearer token for the service.
    #[serde(default)]
    pub token: Option<PathBuf>,
    /// Power mode in which the board stays when its budget has expired; absent: the one of least budget.
    #[serde(default)]
    pub safe_mode: Option<String>,
    /// Seconds that a prepared plan is kept without a commit.
    #[serde(default = "two_minutes")]
    pub prepared_for_s: u64,
    /// Seconds between reports.
    #[serde(default = "ten")]
    pub report_every_s: u64,
    /// Reports that are kept while the service is away.
    #[serde(default = "a_day")]
    pub reports_kept: usize,
    /// Power modes and rails.
    #[serde(default)]
    pub power: PowerSettings,
}

impl AgentSettings {
    /// With the board's name and profile, and relative paths taken from `folder`.
    #[must_use]
    pub fn of(mut self, device: &str, profile: &str, folder: &Path) -> Self {
        (self.device, self.profile) = (device.to_owned(), profile.to_owned());
        for path in [&mut self.public_key, &mut self.state].into_iter().chain(&mut self.token) {
            *path = folder.join(&*path);
        }
        self
    }

    /// What must be given, and defaults for the rest.
    #[must_use]
    pub fn new(device: String, profile: String, public_key: PathBuf, state: PathBuf) -> Self {
        Self {
            device,
            profile,
            public_key,
            state,
            service: None,
            address: None,
            token: None,
            safe_mode: None,
            prepared_for_s: two_minutes(),
            report_every_s: ten(),
            reports_kept: a_day(),
            power: PowerSettings::default(),
        }
    }
}

/// Table `[agent.power]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PowerSettings {
    /// Where sysfs is mounted.
    pub sysfs: PathBuf,
    /// Command that sets power modes, with its first arguments.
    pub nvpmodel: Vec<String>,
    /// Its configuration.
    pub nvpmodel_conf: PathBuf,
    /// Command that prints rails where sysfs has none; empty: do not use it.
    pub tegrastats: Vec<String>,
    /// Milliseconds between readings.
    pub interval_ms: u64,
}

impl Default for PowerSettings {
    fn default() -> Self {
        Self {
            sysfs: PathBuf::from("/sys"),
            nvpmodel: vec!["nvpmodel".to_owned()],
            nvpmodel_conf: PathBuf::from("/etc/nvpmodel.conf"),
            tegrastats: vec!["tegrastats".to_owned()],
            interval_ms: 1000,
        }
    }
}

impl PowerSettings {
    /// Where power is read.
    #[must_use]
    pub fn source(&self) -> crate::power::Settings {
        crate::power::Settings {
            sysfs: self.sysfs.clone(),
            tegrastats: (!self.tegrastats.is_empty()).then(|| Program::new(self.tegrastats.clone())),
            interval: Duration::from_millis(self.interval_ms.clamp(50, 10_000)),
        }
    }
}

const fn two_minutes() -> u64 {
    120
}

const fn ten() -> u64 {
    10
}

const fn a_day() -> usize {
    8640
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        agent: AgentSettings,
    }

    #[test]
    fn the_documented_example_is_read() {
        let page = include_str!("../../../../docs/src/board.md");
        let mut blocks = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
        let example = blocks.find(|block| block.contains("[agent]")).unwrap();
        let settings = toml::from_str::<File>(example).unwrap().agent;
        let defaults = AgentSettings::new(String::new(), String::new(), PathBuf::new(), PathBuf::new());
        assert_eq!(settings.power.nvpmodel, ["sudo", "-n", "nvpmodel"]);
        // What the page shows for optional settings are the defaults.
        assert_eq!(settings.prepared_for_s, defaults.prepared_for_s);
        assert_eq!(settings.report_every_s, defaults.report_every_s);
        assert_eq!(settings.reports_kept, defaults.reports_kept);
        assert_eq!(settings.power.sysfs, defaults.power.sysfs);
        assert_eq!(settings.power.interval_ms, defaults.power.interval_ms);
    }

    #[test]
    fn unknown_settings_are_refused() {
        let text = "[agent]\npublic_key='c'\nstate='d'\nsurprise=1";
        assert!(toml::from_str::<File>(text).is_err());
        assert!(toml::from_str::<File>(text.trim_end_matches("surprise=1")).is_ok());
    }
}
