//! `nvpmodel`, the power modes of a Jetson.
//!
//! The modes are in `/etc/nvpmodel.conf`:
//!
//! ```text
//! < PARAM TYPE=FILE NAME=CPU_ONLINE >
//! CORE_0 /sys/devices/system/cpu/cpu0/online
//! < POWER_MODEL ID=2 NAME=MODE_15W >
//! CPU_ONLINE CORE_0 1
//! < PM_CONFIG DEFAULT=2 >
//! ```
//!
//! `nvpmodel -q` prints `NV Power Mode: MODE_15W` and, on a line of its own, the number; `nvpmodel -m 2` sets it. Some
//! modes (those that gate other parts of the GPU) need a reboot: the command then asks whether to reboot now. Its input
//! is closed, so the answer is never yes; the question is recognised and the mode refused.
//!
//! Hardware profiles name modes without the prefix `MODE_` of some releases; both names are understood.

use crate::power::command::Program;
use crate::power::error::shown;
use crate::power::{PowerError, PowerModes};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Most bytes of the configuration; real ones have about 20 kB.
const MAX_CONFIG: u64 = 1 << 20;
/// Most modes.
const MAX_MODES: usize = 64;
/// How long the command may take. Taking cores off line takes a second or two.
const LIMIT: Duration = Duration::from_secs(30);

/// A mode of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Number for `nvpmodel -m`.
    pub id: u32,
    /// Name.
    pub name: String,
    /// `PARAM ARG` and value, in the order of the file.
    pub settings: Vec<(String, String)>,
}

/// The configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// Modes, in the order of the file; numbers and names are unique.
    pub modes: Vec<Entry>,
    /// Number of the mode that is set at boot.
    pub default: Option<u32>,
}

/// Reads the text of a configuration.
///
/// # Errors
/// Line, from 1, and what is wrong there: a tag that does not end, a mode without number or name, one listed twice.
pub fn parse(text: &str) -> Result<Config, (usize, String)> {
    let mut config = Config::default();
    let mut within_mode = false;
    for (n, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        let bad = |what: &str| Err((n + 1, what.to_owned()));
        if let Some(tag) = line.strip_prefix('<') {
            let Some(tag) = tag.strip_suffix('>') else { return bad("a tag without its `>`") };
            let mut words = tag.split_whitespace();
            let kind = words.next().unwrap_or_default();
            let field = |name: &str| {
                let mut words = words.clone();
                words.find_map(|w| w.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
            };
            within_mode = kind == "POWER_MODEL";
            match kind {
                "POWER_MODEL" => {
                    let id = field("ID").and_then(|id| id.parse().ok());
                    let (Some(id), Some(name)) = (id, field("NAME").filter(|name| is_name(name))) else {
                        return bad("a power mode needs ID=number and NAME=name");
                    };
                    if config.modes.iter().any(|m| m.id == id || m.name == name) {
                        return bad("a power mode that was listed already");
                    }
                    if config.modes.len() >= MAX_MODES {
                        return bad("too many power modes");
                    }
                    config.modes.push(Entry { id, name, settings: Vec::new() });
                }
                "PM_CONFIG" => {
                    let Some(default) = field("DEFAULT").and_then(|id| id.parse().ok()) else {
                        return bad("PM_CONFIG needs DEFAULT=number");
                    };
                    config.default = Some(default);
                }
                // Parameters, fans and whatever comes later: not needed to name and set modes.
                _ => {}
            }
        } else if within_mode && !line.is_empty() {
            let mut words = line.split_whitespace();
            let (Some(param), Some(argument), Some(value)) = (words.next(), words.next(), words.next())
            else {
                return bad("a setting is a parameter, an argument and a value");
            };
            if let Some(mode) = config.modes.last_mut() {
                mode.settings.push((format!("{param} {argument}"), value.to_owned()));
            }
        }
    }
    Ok(config)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.chars().all(|c| c.is_ascii_graphic())
}

/// The name that hardware profiles use.
fn plain(name: &str) -> &str {
    name.strip_prefix("MODE_").unwrap_or(name)
}

/// The mode that `nvpmodel -q` prints: its name and, where printed, its number.
#[must_use]
pub fn parse_query(text: &str) -> Option<(String, Option<u32>)> {
    let mut lines = text.lines().map(str::trim);
    let name = lines.find_map(|line| line.split_once("NV Power Mode:").map(|(_, name)| name.trim()))?;
    let number = lines.next().and_then(|line| line.parse().ok());
    is_name(name).then(|| (name.to_owned(), number))
}

/// Whether the command asks to reboot, or says that the mode cannot be had without.
#[must_use]
pub fn asks_for_reboot(text: &str) -> bool {
    text.lines().any(|line| line.to_ascii_lowercase().contains("reboot"))
}

/// The command and its configuration.
#[derive(Debug, Clone)]
pub struct Nvpmodel {
    program: Program,
    config: PathBuf,
    limit: Duration,
}

impl Nvpmodel {
    /// `program` is usually `nvpmodel` or `sudo -n nvpmodel`, `config` `/etc/nvpmodel.conf`.
    #[must_use]
    pub fn new(program: Program, config: PathBuf) -> Self {
        Self { program, config, limit: LIMIT }
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// [`PowerError::Read`] or [`PowerError::Config`].
    pub fn config(&self) -> Result<Config, PowerError> {
        let text = read(&self.config)?;
        let config = parse(&text).map_err(|(line, what)| PowerError::Config {
            path: self.config.clone(),
            line,
            what,
        })?;
        if config.modes.is_empty() {
            let what = "no power mode is described".to_owned();
            return Err(PowerError::Config { path: self.config.clone(), line: 1, what });
        }
        Ok(config)
    }

    fn find(&self, mode: &str) -> Result<Entry, PowerError> {
        let config = self.config()?;
        let known = config.modes.iter().map(|m| plain(&m.name).to_owned()).collect::<Vec<_>>().join(", ");
        let unknown = || PowerError::UnknownMode { mode: mode.to_owned(), known };
        let mut modes = config.modes.into_iter();
        modes.find(|m| m.name == mode || plain(&m.name) == mode).ok_or_else(unknown)
    }
}

fn read(path: &Path) -> Result<String, PowerError> {
    let failed = |source| PowerError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).map_err(failed)?.take(MAX_CONFIG).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

impl PowerModes for Nvpmodel {
    fn known(&self) -> Result<Vec<String>, PowerError> {
        Ok(self.config()?.modes.iter().map(|m| plain(&m.name).to_owned()).collect())
    }

    fn current(&self) -> Result<String, PowerError> {
        let text = self.program.run(&["-q"], self.limit)?.ok(&self.program)?;
        let (name, _) = parse_query(&text).ok_or_else(|| PowerError::Answer {
            program: self.program.name().to_owned(),
            said: shown(&text),
        })?;
        Ok(plain(&name).to_owned())
    }

    fn set(&mut self, mode: &str) -> Result<(), PowerError> {
        let entry = self.find(mode)?;
        if self.current()? == plain(&entry.name) {
            return Ok(());
        }
        let said = self.program.run(&["-m", &entry.id.to_string()], self.limit)?;
        if asks_for_reboot(&said.text) {
            return Err(PowerError::NeedsReboot { mode: mode.to_owned() });
        }
        said.ok(&self.program)?;
        let found = self.current()?;
        if found == plain(&entry.name) {
            return Ok(());
        }
        Err(PowerError::NotInForce { asked: mode.to_owned(), found })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read_and_comments_passed_over() {
        let text = "# head\n< PARAM TYPE=FILE NAME=CPU_ONLINE >\nCORE_0 /sys/x\n\n\
            < POWER_MODEL ID=0 NAME=MAXN >\nCPU_ONLINE CORE_0 1 # on\nGPU MAX_FREQ -1\n\
            < POWER_MODEL ID=2 NAME=MODE_15W >\n< PM_CONFIG DEFAULT=2 >\n< FAN_CONFIG DEFAULT=quiet >\n";
        let config = parse(text).unwrap();
        assert_eq!(config.default, Some(2));
        let names: Vec<_> = config.modes.iter().map(|m| (m.id, m.name.as_str(), m.settings.len())).collect();
        assert_eq!(names, [(0, "MAXN", 2), (2, "MODE_15W", 0)]);
        assert_eq!(config.modes[0].settings[1], ("GPU MAX_FREQ".to_owned(), "-1".to_owned()));
    }

    #[test]
    fn mistakes_are_located() {
        for (text, line) in [
            ("< POWER_MODEL ID=0 NAME=A >\n< POWER_MODEL ID=1", 2),
            ("\n< POWER_MODEL ID=x NAME=A >", 2),
            ("< POWER_MODEL ID=1 NAME=A >\n< POWER_MODEL ID=1 NAME=B >", 2),
            ("< POWER_MODEL ID=1 NAME=A >\nCPU_ONLINE", 2),
            ("< PM_CONFIG DEFAULT=MAXN >", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().0, line, "{text}");
        }
    }

    #[test]
    fn queries_of_all_releases() {
        assert_eq!(parse_query("NV Power Mode: MODE_15W\n2\n"), Some(("MODE_15W".to_owned(), Some(2))));
        // JetPack 4 prints the state of the fan first.
        let four = "NV Fan Mode:quiet\nNV Power Mode: MAXN\n0\n";
        assert_eq!(parse_query(four), Some(("MAXN".to_owned(), Some(0))));
        let verbose = "NVPM VERB: Current mode: NV Power Mode: 25W\n1\nNVPM VERB: PARAM CPU_ONLINE\n";
        assert_eq!(parse_query(verbose), Some(("25W".to_owned(), Some(1))));
        assert_eq!(parse_query("NV Power Mode:\n"), None);
        assert_eq!(parse_query("error"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "[\\s\\S]{0,400}") {
            let _ = parse(&text);
            let _ = parse_query(&text);
        }

        #[test]
        fn tags_in_any_order_are_survived(parts in proptest::collection::vec(
            proptest::sample::select(vec!["<", ">", " ", "\n", "POWER_MODEL", "ID=", "1", "NAME=", "A", "PM_CONFIG", "DEFAULT=", "#"]), 0..60)) {
            if let Ok(config) = parse(&parts.concat()) {
                proptest::prop_assert!(config.modes.len() <= MAX_MODES);
                proptest::prop_assert!(config.modes.iter().all(|m| !m.name.is_empty()));
            }
        }
    }
}
