//! The executor's configuration: one TOML file.

use crate::agent::AgentSettings;
use crate::http::body;
use crate::http::server;
use crate::load::{Load, Pattern, trace};
use crate::runtime::ort::settings::{DEFAULT_UNDER_WAY, Fallback, Provider};
use crate::runtime::ort::{Settings, UnitSettings};
use ecomap_instances::generate::Seed;
use ecomap_instances::ids::{TenantId, UnitId, is_legal_id};
use ecomap_instances::{Code, Issue, Issues};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest file, bytes.
const MAX_BYTES: u64 = 1 << 20;
/// Longest trace, bytes.
const MAX_TRACE: u64 = 256 << 20;
/// Most units of a board.
const MAX_UNITS: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigDto {
    #[serde(default = "listen")]
    listen: SocketAddr,
    device: String,
    profile: Option<String>,
    repository: PathBuf,
    plan: Option<PathBuf>,
    #[serde(default)]
    limits: LimitsDto,
    agent: Option<AgentSettings>,
    unit: Vec<UnitDto>,
    #[serde(default)]
    load: Vec<LoadDto>,
}

fn listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8600))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsDto {
    under_way: usize,
    memory_bytes: Option<u64>,
    body_bytes: u64,
    bodies_bytes: u64,
    body_ms: u64,
    answer_ms: u64,
    connections: usize,
    grace_ms: u64,
}

impl Default for LimitsDto {
    fn default() -> Self {
        Self {
            under_way: DEFAULT_UNDER_WAY,
            memory_bytes: None,
            body_bytes: 32 << 20,
            bodies_bytes: 256 << 20,
            body_ms: 30_000,
            answer_ms: 60_000,
            connections: 256,
            grace_ms: 10_000,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnitDto {
    id: String,
    provider: ProviderDto,
    #[serde(default)]
    cores: Vec<u32>,
    threads: Option<usize>,
    #[serde(default)]
    device: i32,
    dla: Option<u32>,
    #[serde(default)]
    fp16: bool,
    memory_bytes: Option<usize>,
    cache: Option<PathBuf>,
    #[serde(default)]
    fallback: FallbackDto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ProviderDto {
    Cpu,
    Cuda,
    Tensorrt,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FallbackDto {
    #[default]
    Refuse,
    Report,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LoadDto {
    tenant: String,
    kind: LoadKind,
    rate_per_s: Option<f64>,
    file: Option<PathBuf>,
    #[serde(default)]
    seed: u64,
    within_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LoadKind {
    Poisson,
    Periodic,
    Trace,
}

/// A configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Name of this board in plans.
    pub device: String,
    /// A result to run from the start.
    pub plan: Option<PathBuf>,
    /// The agent that takes plans from the service; `None`: only `plan` runs.
    pub agent: Option<AgentSettings>,
    /// What the runtime is told.
    pub runtime: Settings,
    /// Load for tenants without clients.
    pub load: Vec<Load>,
    /// Bounds on connections.
    pub server: server::Limits,
    /// Bounds on bodies.
    pub bodies: body::Bounds,
    /// How long an answer is waited for.
    pub patience: Duration,
}

fn issue(pointer: impl Into<String>, message: impl Into<String>) -> Issue {
    Issue::new(Code::RunConfig, pointer, message)
}

/// Reads a configuration file. Paths in it are relative to its folder.
///
/// # Errors
/// `E1713` at each place that is wrong, `E1714` for a broken trace.
pub fn read(path: &Path) -> Result<Config, Issues> {
    let text = file(path, MAX_BYTES).map_err(|message| Issues::one(issue("", message)))?;
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    parse(&text, folder)
}

/// Reads a configuration whose paths are relative to `folder`.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str, folder: &Path) -> Result<Config, Issues> {
    let dto: ConfigDto =
        toml::from_str(text).map_err(|e| Issues::one(issue("", e.to_string().trim_end().to_owned())))?;
    let mut issues = Vec::new();
    let units = units(&dto.unit, folder, &mut issues);
    let load: Vec<Load> =
        dto.load.iter().enumerate().filter_map(|(n, l)| load(l, n, folder, &mut issues)).collect();
    if !is_legal_id(&dto.device) {
        issues.push(issue("/device", format!("`{}` is no legal identifier", dto.device)));
    }
    for (name, zero) in [
        ("under_way", dto.limits.under_way == 0),
        ("body_bytes", dto.limits.body_bytes == 0),
        ("connections", dto.limits.connections == 0),
    ] {
        if zero {
            issues.push(issue(format!("/limits/{name}"), "must not be 0"));
        }
    }
    if dto.agent.is_some() && dto.plan.is_some() {
        issues.push(issue("/agent", "a board runs the plan of a file or those of the service, not both"));
    }
    if dto.agent.is_some() && dto.profile.is_none() {
        issues.push(issue("/profile", "an agent needs to know the board's profile"));
    }
    Issues::check(issues)?;
    let profile = dto.profile.as_deref().unwrap_or_default();
    let agent = dto.agent.map(|agent| agent.of(&dto.device, profile, folder));
    let l = dto.limits;
    Ok(Config {
        listen: dto.listen,
        agent,
        device: dto.device,
        plan: dto.plan.map(|p| folder.join(p)),
        runtime: Settings {
            profile: dto.profile,
            repository: folder.join(dto.repository),
            units,
            under_way: l.under_way,
            memory_bytes: l.memory_bytes,
            proc: PathBuf::from("/proc"),
        },
        load,
        server: server::Limits {
            connections: l.connections,
            header: Duration::from_secs(10),
            grace: Duration::from_millis(l.grace_ms),
        },
        bodies: body::Bounds::new(l.body_bytes, Duration::from_millis(l.body_ms), l.bodies_bytes),
        patience: Duration::from_millis(l.answer_ms),
    })
}

fn units(list: &[UnitDto], folder: &Path, issues: &mut Vec<Issue>) -> Vec<UnitSettings> {
    if list.is_empty() || list.len() > MAX_UNITS {
        issues.push(issue("/unit", format!("1 to {MAX_UNITS} units")));
    }
    let mut seen = BTreeSet::new();
    let mut units = Vec::with_capacity(list.len());
    for (n, unit) in list.iter().enumerate() {
        let mut say =
            |field: &str, message: String| issues.push(issue(format!("/unit/{n}/{field}"), message));
        if !is_legal_id(&unit.id) {
            say("id", format!("`{}` is no legal identifier", unit.id));
        }
        if !seen.insert(&unit.id) {
            say("id", format!("`{}` again", unit.id));
        }
        let threads = unit.threads.unwrap_or(unit.cores.len().max(1));
        if threads == 0 || threads > 1024 {
            say("threads", "1 to 1024 threads".to_owned());
        }
        let only = |what: &str, kind: &str| format!("`{what}` is for provider `{kind}`");
        let trt = unit.provider == ProviderDto::Tensorrt;
        if unit.provider == ProviderDto::Cpu && unit.device != 0 {
            say("device", only("device", "cuda` and `tensorrt"));
        }
        if !trt {
            for (field, given) in
                [("dla", unit.dla.is_some()), ("fp16", unit.fp16), ("cache", unit.cache.is_some())]
            {
                if given {
                    say(field, only(field, "tensorrt"));
                }
            }
        }
        if unit.provider != ProviderDto::Cuda && unit.memory_bytes.is_some() {
            say("memory_bytes", only("memory_bytes", "cuda"));
        }
        if trt && unit.dla.is_some() && !unit.fp16 {
            say("dla", "a deep-learning accelerator computes in FP16: say `fp16 = true`".to_owned());
        }
        let provider = match unit.provider {
            ProviderDto::Cpu => Provider::Cpu,
            ProviderDto::Cuda => Provider::Cuda { device: unit.device, memory_bytes: unit.memory_bytes },
            ProviderDto::Tensorrt => Provider::TensorRt {
                device: unit.device,
                fp16: unit.fp16,
                dla: unit.dla,
                cache: unit.cache.as_ref().map(|c| folder.join(c)),
            },
        };
        units.push(UnitSettings {
            id: UnitId::new(unit.id.clone()),
            provider,
            cores: unit.cores.clone(),
            threads,
            fallback: match unit.fallback {
                FallbackDto::Refuse => Fallback::Refuse,
                FallbackDto::Report => Fallback::Report,
            },
        });
    }
    units
}

fn load(dto: &LoadDto, n: usize, folder: &Path, issues: &mut Vec<Issue>) -> Option<Load> {
    let at = |field: &str| format!("/load/{n}/{field}");
    let rate = dto.rate_per_s.filter(|r| *r > 0.0 && *r <= 1e6);
    let pattern = match (dto.kind, rate, &dto.file) {
        (LoadKind::Poisson, Some(rate_per_s), None) => Pattern::Poisson { rate_per_s },
        (LoadKind::Periodic, Some(rate_per_s), None) => Pattern::Periodic { rate_per_s },
        (LoadKind::Trace, _, Some(path)) if dto.rate_per_s.is_none() => {
            let text = file(&folder.join(path), MAX_TRACE);
            match text.map_err(|message| issue(at("file"), message)).map(|text| trace::read(&text)) {
                Ok(Ok(moments)) => Pattern::Trace(moments),
                Ok(Err(found)) => {
                    issues.extend(found.list().iter().cloned());
                    return None;
                }
                Err(found) => {
                    issues.push(found);
                    return None;
                }
            }
        }
        (LoadKind::Trace, ..) => {
            issues.push(issue(at("file"), "a trace needs `file`, and has its own rate"));
            return None;
        }
        _ => {
            issues.push(issue(
                at("rate_per_s"),
                "needs a `rate_per_s` above 0 and up to 1000000, and no `file`",
            ));
            return None;
        }
    };
    Some(Load {
        tenant: TenantId::new(dto.tenant.clone()),
        pattern,
        seed: Seed(dto.seed),
        within: dto.within_ms.map(Duration::from_millis),
        requests: None,
    })
}

fn file(path: &Path, most: u64) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("{}: {e}", path.display());
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(format!("{} is longer than {most} bytes", path.display()));
    }
    String::from_utf8(bytes).map_err(|_| format!("{} is not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = r#"
        device = "here"
        repository = "models"
        plan = "result.json"
        [limits]
        under_way = 8
        [[unit]]
        id = "cpu0"
        provider = "cpu"
        cores = [0, 1]
        [[unit]]
        id = "dla0"
        provider = "tensorrt"
        dla = 0
        fp16 = true
        cache = "engines"
        [[load]]
        tenant = "cam"
        kind = "poisson"
        rate_per_s = 20
    "#;

    #[test]
    fn paths_are_relative_to_the_file_and_threads_follow_cores() {
        let config = parse(FINE, Path::new("/etc/ecomap")).unwrap();
        assert_eq!(config.listen, listen());
        assert_eq!(config.runtime.repository, Path::new("/etc/ecomap/models"));
        assert_eq!(config.plan.as_deref(), Some(Path::new("/etc/ecomap/result.json")));
        let [cpu, dla] = &config.runtime.units[..] else { panic!("two units") };
        assert_eq!((cpu.threads, cpu.fallback), (2, Fallback::Refuse));
        assert!(dla.provider.is_dla());
        assert_eq!((config.runtime.under_way, config.load.len()), (8, 1));
    }

    #[test]
    fn what_is_wrong_is_said_where_it_is() {
        let cases = [
            ("device = \"here\"", "device = \"not legal\"", "/device"),
            ("under_way = 8", "under_way = 0", "/limits/under_way"),
            ("id = \"dla0\"", "id = \"cpu0\"", "/unit/1/id"),
            ("cores = [0, 1]", "cores = []\n threads = 0", "/unit/0/threads"),
            ("cores = [0, 1]", "dla = 1", "/unit/0/dla"),
            ("cores = [0, 1]", "device = 1", "/unit/0/device"),
            ("fp16 = true", "fp16 = false", "/unit/1/dla"),
            ("fp16 = true", "fp16 = true\n memory_bytes = 5", "/unit/1/memory_bytes"),
            ("rate_per_s = 20", "rate_per_s = 0", "/load/0/rate_per_s"),
            ("kind = \"poisson\"", "kind = \"trace\"", "/load/0/file"),
            ("device = \"here\"", "device = \"here\"\n unknown = 1", ""),
        ];
        for (from, to, pointer) in cases {
            assert!(FINE.contains(from));
            let issues = parse(&FINE.replace(from, to), Path::new(".")).unwrap_err();
            let found: Vec<_> = issues.list().iter().map(|i| (i.code, i.pointer.as_str())).collect();
            assert_eq!(found, [(Code::RunConfig, pointer)], "{to}");
        }
    }
}
