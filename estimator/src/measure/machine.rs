//! What the machine is, and what else it does: read from `/proc` and `/sys`, below a root that tests
//! may replace.

use serde::{Deserialize, Serialize};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Ticks of `/proc/stat` in a second: `USER_HZ`, 100 on every Linux that this runs on.
const TICKS_PER_S: f64 = 100.0;

/// The machine, as far as a reader of its figures needs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Name for rows of a data set: a legal identifier.
    pub name: String,
    /// Processor, as it calls itself.
    pub cpu: String,
    /// Cores online.
    pub cores: u32,
    /// Memory, bytes.
    pub memory_bytes: u64,
    /// Operating system's release.
    pub kernel: String,
    /// Whether a hypervisor is announced: then cores may be shared with machines unseen.
    pub virtual_machine: bool,
    /// `rapl`, or why energy was not measured.
    pub energy: String,
    /// ONNX Runtime's library.
    pub runtime: String,
}

/// Reads machine files.
#[derive(Debug, Clone)]
pub struct System {
    root: PathBuf,
}

/// Busy and stolen time of all cores since the machine started.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ticks {
    /// Seconds that each core was busy, steal included; by core.
    pub busy_s: Vec<f64>,
    /// Seconds that a hypervisor took, all cores together.
    pub steal_s: f64,
}

impl System {
    /// The running machine.
    #[must_use]
    pub fn this() -> Self {
        Self::at(Path::new("/"))
    }

    /// Files below another root.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    fn text(&self, path: &str) -> String {
        read_to_string(self.root.join(path)).unwrap_or_default()
    }

    /// Everything but the runtime, which the caller knows.
    #[must_use]
    pub fn machine(&self, name: &str, runtime: &str) -> Machine {
        let info = self.text("proc/cpuinfo");
        let field = |key: &str| {
            info.lines()
                .find_map(|l| l.split_once(':').filter(|(k, _)| k.trim() == key))
                .map(|(_, v)| v.trim().to_owned())
        };
        let memory = self.text("proc/meminfo");
        let kib = memory.lines().find_map(|l| {
            l.strip_prefix("MemTotal:")?.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
        });
        let energy = match self.joules() {
            Ok(_) => "rapl".to_owned(),
            Err(why) => why,
        };
        Machine {
            name: name.to_owned(),
            cpu: field("model name").or_else(|| field("Hardware")).unwrap_or_else(|| "unknown".to_owned()),
            cores: u32::try_from(self.ticks().busy_s.len()).unwrap_or(0),
            memory_bytes: kib.unwrap_or(0) * 1024,
            kernel: self.text("proc/sys/kernel/osrelease").trim().to_owned(),
            virtual_machine: field("flags").is_some_and(|f| f.split(' ').any(|w| w == "hypervisor")),
            energy,
            runtime: runtime.to_owned(),
        }
    }

    /// Busy time by core, from `/proc/stat`.
    #[must_use]
    pub fn ticks(&self) -> Ticks {
        let mut ticks = Ticks::default();
        for line in self.text("proc/stat").lines() {
            let Some(rest) = line.strip_prefix("cpu").filter(|r| r.starts_with(|c: char| c.is_ascii_digit()))
            else {
                continue;
            };
            // user nice system idle iowait irq softirq steal (proc_stat(5)).
            let numbers: Vec<f64> =
                rest.split_ascii_whitespace().skip(1).filter_map(|n| n.parse().ok()).collect();
            let at = |n: usize| numbers.get(n).copied().unwrap_or(0.0);
            ticks.busy_s.push((at(0) + at(1) + at(2) + at(5) + at(6) + at(7)) / TICKS_PER_S);
            ticks.steal_s += at(7) / TICKS_PER_S;
        }
        ticks
    }

    /// Energy counters of all processor packages, J; they wrap, see [`spent`].
    ///
    /// # Errors
    /// Why there is none, for people.
    pub fn joules(&self) -> Result<Vec<(f64, f64)>, String> {
        let folder = self.root.join("sys/class/powercap");
        let entries = std::fs::read_dir(&folder)
            .map_err(|_| "not measured: the kernel shows no powercap counters".to_owned())?;
        let mut paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        paths.sort();
        let mut all = Vec::new();
        for path in paths {
            // `intel-rapl:0` is a package, `intel-rapl:0:1` a part of one.
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if name.matches(':').count() != 1 {
                continue;
            }
            let number = |file: &str| -> Result<f64, String> {
                let text = read_to_string(path.join(file))
                    .map_err(|e| format!("not measured: {name}/{file}: {e}"))?;
                text.trim().parse().map_err(|_| format!("not measured: {name}/{file} is not a number"))
            };
            all.push((number("energy_uj")? / 1e6, number("max_energy_range_uj")? / 1e6));
        }
        if all.is_empty() { Err("not measured: no RAPL package counter".to_owned()) } else { Ok(all) }
    }
}

/// Joules between two readings of [`System::joules`], each counter wrapping at most once.
#[must_use]
pub fn spent(before: &[(f64, f64)], after: &[(f64, f64)]) -> f64 {
    let each = before.iter().zip(after).map(|(b, a)| if a.0 >= b.0 { a.0 - b.0 } else { a.0 + b.1 - b.0 });
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("proc/cpuinfo", "model name\t: A Processor\nflags\t\t: fpu hypervisor sse\n");
        write("proc/meminfo", "MemTotal:       2048 kB\nMemFree: 1 kB\n");
        write("proc/sys/kernel/osrelease", "6.1.0\n");
        write(
            "proc/stat",
            "cpu  9 9 9 9\ncpu0 100 0 50 800 7 0 0 25 0 0\ncpu1 200 0 0 800 0 0 0 0 0 0\nintr 5\n",
        );
        write("sys/class/powercap/intel-rapl:0/energy_uj", "5000000\n");
        write("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "60000000\n");
        write("sys/class/powercap/intel-rapl:0:0/energy_uj", "1\n");
        root
    }

    #[test]
    fn reads_a_recorded_machine() {
        let root = tree();
        let system = System::at(root.path());
        let m = system.machine("here", "ort");
        assert_eq!(
            (m.cpu.as_str(), m.cores, m.memory_bytes, m.virtual_machine),
            ("A Processor", 2, 2_097_152, true)
        );
        assert_eq!((m.energy.as_str(), m.kernel.as_str()), ("rapl", "6.1.0"));
        assert_eq!(system.ticks(), Ticks { busy_s: vec![1.75, 2.0], steal_s: 0.25 });
        assert_eq!(system.joules().unwrap(), vec![(5.0, 60.0)]);
        // The counter wraps.
        assert!((spent(&[(50.0, 60.0)], &[(5.0, 60.0)]) - 15.0).abs() < 1e-12);
    }

    #[test]
    fn says_why_there_is_no_energy() {
        let root = tempfile::tempdir().unwrap();
        let m = System::at(root.path()).machine("here", "ort");
        assert!(m.energy.starts_with("not measured"), "{}", m.energy);
        assert_eq!(m.cores, 0);
    }
}
