//! Wire form of jobs for accelerators (`ecomap.accelerator-jobs/v1`), and its rules.

use super::read_document;
use crate::accelerators::{
    Job, Link, LinkKind, MOST_ACCELERATORS, Named, Pattern, Question, Sensitivity, Server, Topology, Workload,
};
use crate::ids::{JobId, ServerId, is_legal_id};
use crate::issue::{Code, Collector, Issues};
use crate::units::{Gigabytes, GigabytesPerSecond, Seconds};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Format tag.
pub const FORMAT: &str = "ecomap.accelerator-jobs/v1";
/// Most servers, after expansion of `count`.
pub const MAX_SERVERS: usize = 1000;
/// Most jobs.
pub const MAX_JOBS: usize = 20_000;
/// Most rows and most columns of a sensitivity matrix.
pub const MAX_AXIS: usize = 64;
/// Most accelerators of a job whose links count: its patterns are enumerated.
pub const MAX_PATTERN: usize = 8;
/// Latest arrival and longest service, s.
const MAX_SECONDS: f64 = 1e9;

/// Jobs and the cluster that they come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WorkloadDto {
    /// `ecomap.accelerator-jobs/v1`.
    pub format: String,
    /// Name.
    pub name: String,
    /// What it is, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What counts: links between accelerators, or CPUs and memory beside them.
    pub question: QuestionDto,
    /// Servers.
    pub servers: Vec<ServerDto>,
    /// Jobs, in any order.
    pub jobs: Vec<JobDto>,
}

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum QuestionDto {
    /// Links between accelerators (MAPA).
    Topology,
    /// CPUs and memory beside them (Synergy).
    Resources,
}

/// A server, or several that are alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerDto {
    /// Name; with `count` a prefix of `id-1`, `id-2` and so on.
    pub id: String,
    /// How many of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
    /// Accelerators and their links.
    pub topology: TopologyDto,
    /// CPU cores.
    pub cpus: u32,
    /// Memory, 10^9 bytes.
    pub memory_gb: f64,
}

/// Accelerators and their links.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TopologyDto {
    /// One that is known by name.
    Named(NamedDto),
    /// Edge by edge.
    Links(LinksDto),
}

/// A topology that is known by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum NamedDto {
    /// DGX-1 with P100.
    #[serde(rename = "dgx-1-p100")]
    Dgx1P100,
    /// DGX-1 with V100.
    #[serde(rename = "dgx-1-v100")]
    Dgx1V100,
    /// Node of Summit.
    #[serde(rename = "summit")]
    Summit,
    /// 4 × 4 torus.
    #[serde(rename = "torus-2d")]
    Torus2d,
    /// Four quads in a ring.
    #[serde(rename = "cube-mesh-16")]
    CubeMesh16,
}

impl NamedDto {
    const fn lower(self) -> Named {
        match self {
            Self::Dgx1P100 => Named::Dgx1P100,
            Self::Dgx1V100 => Named::Dgx1V100,
            Self::Summit => Named::Summit,
            Self::Torus2d => Named::Torus2d,
            Self::CubeMesh16 => Named::CubeMesh16,
        }
    }

    /// The wire form of a name.
    #[must_use]
    pub const fn raise(named: Named) -> Self {
        match named {
            Named::Dgx1P100 => Self::Dgx1P100,
            Named::Dgx1V100 => Self::Dgx1V100,
            Named::Summit => Self::Summit,
            Named::Torus2d => Self::Torus2d,
            Named::CubeMesh16 => Self::CubeMesh16,
        }
    }
}

/// Links one by one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinksDto {
    /// Accelerators, numbered from 0; 1 to 16.
    pub accelerators: u64,
    /// Accelerators of a block, which a topology-aware policy keeps together; 4 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<u64>,
    /// Bandwidth of every pair that is not listed, 10^9 bytes per second.
    pub pcie_gb_per_s: f64,
    /// Pairs that are joined better.
    pub links: Vec<LinkDto>,
}

/// A link.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkDto {
    /// The two accelerators.
    pub between: [u64; 2],
    /// What it is.
    pub kind: LinkKindDto,
    /// Bandwidth in one direction, 10^9 bytes per second.
    pub gb_per_s: f64,
}

/// What a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LinkKindDto {
    /// Two NVLinks.
    DoubleNvlink,
    /// One NVLink.
    SingleNvlink,
    /// PCIe.
    Pcie,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobDto {
    /// Name.
    pub id: String,
    /// Accelerators that it needs at the same time.
    pub accelerators: u64,
    /// Who talks to whom; a ring when absent.
    #[serde(default)]
    pub pattern: PatternDto,
    /// Whether it is held to need bandwidth.
    #[serde(default)]
    pub bandwidth_sensitive: bool,
    /// Share of its time that it communicates, at the best bandwidth of an empty cluster; 0 to 0.95.
    #[serde(default)]
    pub communication: f64,
    /// How it answers to CPUs and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensitivity: Option<SensitivityDto>,
    /// When it comes, s.
    pub arrival_s: f64,
    /// How long it runs at speed 1, s.
    pub service_s: f64,
}

/// Who talks to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PatternDto {
    /// Each to the next.
    #[default]
    Ring,
    /// Each to each.
    AllToAll,
}

/// Speed by what each accelerator of a job gets, 1 at the GPU-proportional share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SensitivityDto {
    /// CPU cores of the rows, ascending.
    pub cpus: Vec<f64>,
    /// Memory of the columns, 10^9 bytes, ascending.
    pub memory_gb: Vec<f64>,
    /// Speeds, a row for each number of cores; they never fall with more of either.
    pub speed: Vec<Vec<f64>>,
}

/// Reads a document.
///
/// # Errors
/// Every issue found.
pub fn read(bytes: &[u8]) -> Result<Workload, Issues> {
    read_document::<WorkloadDto>(bytes)?.lower()
}

impl WorkloadDto {
    /// Checks all rules.
    ///
    /// # Errors
    /// Every issue found.
    pub fn lower(&self) -> Result<Workload, Issues> {
        let mut bad = Collector::default();
        if self.format != FORMAT {
            bad.push(Code::Format, "/format", format!("`{}` is not {FORMAT}", self.format.escape_debug()));
        }
        identifier(&mut bad, "/name", &self.name);
        let question = match self.question {
            QuestionDto::Topology => Question::Topology,
            QuestionDto::Resources => Question::Resources,
        };
        count(&mut bad, "/servers", self.servers.len(), MAX_SERVERS);
        count(&mut bad, "/jobs", self.jobs.len(), MAX_JOBS);
        bad.finish()?;
        let mut bad = Collector::default();
        let servers = self.servers(question, &mut bad);
        bad.finish()?;
        let mut bad = Collector::default();
        let cluster = Workload::new(self.name.clone(), question, servers, Vec::new());
        let mut names = BTreeSet::new();
        let mut jobs: Vec<Job> = Vec::with_capacity(self.jobs.len());
        for (n, job) in self.jobs.iter().enumerate() {
            let at = format!("/jobs/{n}");
            identifier(&mut bad, &format!("{at}/id"), &job.id);
            if !names.insert(job.id.as_str()) {
                bad.push(Code::DuplicateId, format!("{at}/id"), format!("`{}`", job.id.escape_debug()));
            }
            jobs.extend(job.lower(&at, &cluster, &mut bad));
        }
        bad.finish()?;
        jobs.sort_by(|a, b| a.arrival.total_cmp(&b.arrival));
        Ok(Workload::new(self.name.clone(), question, cluster.servers().to_vec(), jobs))
    }

    fn servers(&self, question: Question, bad: &mut Collector) -> Vec<Server> {
        let mut servers: Vec<Server> = Vec::new();
        let mut names = BTreeSet::new();
        for (n, dto) in self.servers.iter().enumerate() {
            let at = format!("/servers/{n}");
            identifier(bad, &format!("{at}/id"), &dto.id);
            let topology = dto.topology.lower(&format!("{at}/topology"), bad);
            bad.range(&format!("{at}/cpus"), f64::from(dto.cpus), 1.0, 4096.0);
            bad.range(&format!("{at}/memory_gb"), dto.memory_gb, 1.0, 1e6);
            let copies = dto.count.map_or(Some(1), |c| usize::try_from(c).ok()).unwrap_or(usize::MAX);
            if copies == 0 {
                bad.push(Code::OutOfRange, format!("{at}/count"), "at least 1");
            } else if copies > MAX_SERVERS - servers.len() {
                bad.push(Code::TooMany, format!("{at}/count"), format!("more than {MAX_SERVERS} servers"));
                return servers;
            }
            let Some(topology) = topology else { continue };
            for copy in 1..=copies {
                let id = if dto.count.is_some() { format!("{}-{copy}", dto.id) } else { dto.id.clone() };
                if !names.insert(id.clone()) {
                    bad.push(Code::DuplicateId, format!("{at}/id"), format!("`{}`", id.escape_debug()));
                }
                servers.push(Server {
                    id: ServerId::new(id),
                    topology: topology.clone(),
                    cpus: dto.cpus,
                    memory: Gigabytes::new(dto.memory_gb),
                });
            }
            let unlike = |s: &Server| {
                s.topology.len() != topology.len() || s.cpus != dto.cpus || s.memory.get() != dto.memory_gb
            };
            if question == Question::Resources && servers.first().is_some_and(unlike) {
                let message = "shares of CPUs and memory need servers that are alike";
                bad.push(Code::Contradiction, at, message);
            }
        }
        servers
    }
}

impl TopologyDto {
    fn lower(&self, at: &str, bad: &mut Collector) -> Option<Topology> {
        let links = match self {
            Self::Named(named) => return Some(named.lower().topology()),
            Self::Links(links) => links,
        };
        let whole = |value: Option<u64>| value.and_then(|v| usize::try_from(v).ok());
        let at = format!("{at}/links");
        let fits = |n: &usize| (1..=MOST_ACCELERATORS).contains(n);
        let Some(accelerators) = whole(Some(links.accelerators)).filter(fits) else {
            let message = format!("{} is not from 1 to {MOST_ACCELERATORS}", links.accelerators);
            bad.push(Code::OutOfRange, format!("{at}/accelerators"), message);
            return None;
        };
        let Some(block) = whole(links.block.or(Some(4))).filter(fits) else {
            bad.push(Code::OutOfRange, format!("{at}/block"), format!("from 1 to {MOST_ACCELERATORS}"));
            return None;
        };
        bad.range(&format!("{at}/pcie_gb_per_s"), links.pcie_gb_per_s, 0.001, 1e5);
        let mut seen = BTreeSet::new();
        let mut list = Vec::new();
        for (n, link) in links.links.iter().enumerate() {
            let at = format!("{at}/links/{n}");
            bad.range(&format!("{at}/gb_per_s"), link.gb_per_s, 0.001, 1e5);
            let ends = link.between.map(|end| usize::try_from(end).ok().filter(|e| *e < accelerators));
            let [Some(a), Some(b)] = ends else {
                let message = format!("an end is not from 0 to {}", accelerators - 1);
                bad.push(Code::BadReference, format!("{at}/between"), message);
                continue;
            };
            if a == b {
                bad.push(Code::BadReference, format!("{at}/between"), "a link from an accelerator to itself");
            } else if !seen.insert((a.min(b), a.max(b))) {
                bad.push(Code::DuplicateId, format!("{at}/between"), "this pair is listed before");
            }
            let kind = match link.kind {
                LinkKindDto::DoubleNvlink => LinkKind::DoubleNvlink,
                LinkKindDto::SingleNvlink => LinkKind::SingleNvlink,
                LinkKindDto::Pcie => LinkKind::Pcie,
            };
            list.push((a, b, Link { kind, bandwidth: GigabytesPerSecond::new(link.gb_per_s) }));
        }
        Some(Topology::new(accelerators, block, GigabytesPerSecond::new(links.pcie_gb_per_s), list))
    }
}

impl JobDto {
    fn lower(&self, at: &str, cluster: &Workload, bad: &mut Collector) -> Option<Job> {
        bad.range(&format!("{at}/communication"), self.communication, 0.0, 0.95);
        bad.range(&format!("{at}/arrival_s"), self.arrival_s, 0.0, MAX_SECONDS);
        bad.range(&format!("{at}/service_s"), self.service_s, 0.001, MAX_SECONDS);
        let largest = cluster.servers().iter().map(|s| s.topology.len()).max().unwrap_or(0);
        let wanted = usize::try_from(self.accelerators).unwrap_or(usize::MAX);
        let (fits, most) = match cluster.question() {
            Question::Topology => {
                let most = largest.min(MAX_PATTERN);
                ((1..=most).contains(&wanted), format!("from 1 to {most}"))
            }
            Question::Resources => {
                let whole =
                    wanted > largest && wanted % largest.max(1) == 0 && wanted <= cluster.accelerators();
                ((1..=largest).contains(&wanted) || whole, format!("from 1 to {largest}, or whole servers"))
            }
        };
        if !fits {
            let message = format!("{} is not {most}", self.accelerators);
            bad.push(Code::OutOfRange, format!("{at}/accelerators"), message);
        }
        if !self.bandwidth_sensitive && self.communication > 0.0 {
            let message = "it communicates, but is not `bandwidth_sensitive`";
            bad.push(Code::Contradiction, format!("{at}/communication"), message);
        }
        let sensitivity = match &self.sensitivity {
            Some(dto) => Some(dto.lower(&format!("{at}/sensitivity"), cluster.share(), bad)?),
            None => None,
        };
        Some(Job {
            id: JobId::new(self.id.clone()),
            accelerators: wanted,
            pattern: match self.pattern {
                PatternDto::Ring => Pattern::Ring,
                PatternDto::AllToAll => Pattern::AllToAll,
            },
            bandwidth_sensitive: self.bandwidth_sensitive,
            communication: self.communication,
            sensitivity,
            arrival: Seconds::new(self.arrival_s),
            service: Seconds::new(self.service_s),
        })
    }
}

impl SensitivityDto {
    fn lower(&self, at: &str, share: (f64, f64), bad: &mut Collector) -> Option<Sensitivity> {
        let mut fine = true;
        for (name, axis) in [("cpus", &self.cpus), ("memory_gb", &self.memory_gb)] {
            let at = format!("{at}/{name}");
            fine &= count(bad, &at, axis.len(), MAX_AXIS);
            for (n, value) in axis.iter().enumerate().take(MAX_AXIS) {
                fine &= bad.range(&format!("{at}/{n}"), *value, 1e-6, 1e6);
            }
            if axis.windows(2).any(|pair| pair[0] >= pair[1]) {
                bad.push(Code::Contradiction, at, "does not ascend");
                fine = false;
            }
        }
        let shape = self.speed.len() == self.cpus.len()
            && self.speed.iter().all(|row| row.len() == self.memory_gb.len());
        if !shape {
            let message = format!("not {} rows of {} speeds", self.cpus.len(), self.memory_gb.len());
            bad.push(Code::Contradiction, format!("{at}/speed"), message);
            return None;
        }
        for (i, row) in self.speed.iter().enumerate().take(MAX_AXIS) {
            for (j, speed) in row.iter().enumerate().take(MAX_AXIS) {
                fine &= bad.range(&format!("{at}/speed/{i}/{j}"), *speed, 0.0, 1e3);
            }
        }
        let falls = |a: &[f64], b: &[f64]| a.iter().zip(b).any(|(a, b)| a > b);
        let along = self.speed.iter().any(|row| row.windows(2).any(|pair| pair[0] > pair[1]));
        if along || self.speed.windows(2).any(|pair| falls(&pair[0], &pair[1])) {
            bad.push(Code::Contradiction, format!("{at}/speed"), "falls with more of a resource");
            fine = false;
        }
        if !fine {
            return None;
        }
        let matrix = Sensitivity::new(self.cpus.clone(), self.memory_gb.clone(), self.speed.clone());
        match matrix.speed(share.0, share.1) {
            Some(speed) if (speed - 1.0).abs() <= 1e-6 => Some(matrix),
            other => {
                let message = format!(
                    "speed is {} at the GPU-proportional share ({} CPUs, {} GB), not 1",
                    other.map_or_else(|| "not given".to_owned(), |s| s.to_string()),
                    share.0,
                    share.1
                );
                bad.push(Code::Contradiction, format!("{at}/speed"), message);
                None
            }
        }
    }
}

fn identifier(bad: &mut Collector, at: &str, text: &str) {
    if !is_legal_id(text) {
        bad.push(Code::IllegalId, at, format!("`{}`", text.escape_debug()));
    }
}

fn count(bad: &mut Collector, at: &str, count: usize, most: usize) -> bool {
    if count == 0 {
        bad.push(Code::Empty, at, "at least one");
    } else if count > most {
        bad.push(Code::TooMany, at, format!("{count}, at most {most}"));
    }
    (1..=most).contains(&count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(servers: &str, jobs: &str, question: &str) -> String {
        format!(
            r#"{{"format": "{FORMAT}", "name": "x", "question": "{question}", "servers": [{servers}], "jobs": [{jobs}]}}"#
        )
    }

    fn found(text: &str) -> Vec<(&'static str, String)> {
        let issues = read(text.as_bytes()).err().unwrap_or_else(|| panic!("read: {text}"));
        issues.list().iter().map(|i| (i.code.as_str(), i.pointer.clone())).collect()
    }

    const DGX: &str = r#"{"id": "d", "topology": {"named": "dgx-1-v100"}, "cpus": 24, "memory_gb": 500}"#;
    const JOB: &str = r#"{"id": "j", "accelerators": 2, "arrival_s": 0, "service_s": 60}"#;

    #[test]
    fn reads_and_sorts_by_arrival() {
        let late =
            r#"{"id": "k", "accelerators": 3, "pattern": "all-to-all", "arrival_s": 9, "service_s": 1}"#;
        let text = document(DGX, &format!("{late}, {JOB}"), "topology");
        let workload = read(text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(workload.jobs().iter().map(|j| j.id.as_str()).collect::<Vec<_>>(), ["j", "k"]);
        assert_eq!(workload.jobs()[1].pattern, Pattern::AllToAll);
        assert_eq!((workload.accelerators(), workload.share()), (8, (3.0, 62.5)));
    }

    #[test]
    fn mistakes_are_coded_at_their_place() {
        let named = DGX.replace("dgx-1-v100", "dgx-9");
        assert_eq!(found(&document(&named, JOB, "topology"))[0].0, "E1002");
        let many = DGX.replace(r#""id": "d","#, r#""id": "d", "count": 1000000000000,"#);
        assert_eq!(found(&document(&many, JOB, "topology")), [("E1113", "/servers/0/count".to_owned())]);
        let nine = JOB.replace("2,", "9,");
        assert_eq!(found(&document(DGX, &nine, "topology")), [("E1112", "/jobs/0/accelerators".to_owned())]);
        assert_eq!(found(&document(DGX, &nine, "resources")), [("E1112", "/jobs/0/accelerators".to_owned())]);
        let twice = format!("{JOB}, {JOB}");
        assert_eq!(found(&document(DGX, &twice, "topology")), [("E1102", "/jobs/1/id".to_owned())]);
        let link = r#"{"id": "d", "cpus": 4, "memory_gb": 9, "topology": {"links": {"accelerators": 2,
            "pcie_gb_per_s": 10, "links": [{"between": [0, 2], "kind": "single-nvlink", "gb_per_s": 25}]}}}"#;
        let place = "/servers/0/topology/links/links/0/between".to_owned();
        assert_eq!(found(&document(link, JOB, "topology")), [("E1201", place)]);
    }

    #[test]
    fn speeds_are_relative_to_the_fair_share() {
        let with = |speed: &str| {
            let matrix = format!(
                r#""service_s": 60, "sensitivity": {{"cpus": [1, 3, 6], "memory_gb": [62.5], "speed": {speed}}}"#
            );
            document(DGX, &JOB.replace(r#""service_s": 60"#, &matrix), "resources")
        };
        let fine = read(with("[[0.4], [1], [1.8]]").as_bytes()).unwrap_or_else(|e| panic!("{e}"));
        let matrix = fine.jobs()[0].sensitivity.as_ref().unwrap_or_else(|| panic!("no matrix"));
        assert_eq!((matrix.speed(5.0, 62.5), matrix.speed(6.0, 99.0)), (Some(1.0), Some(1.8)));
        assert_eq!(matrix.speed(0.5, 62.5), None);
        let place = "/jobs/0/sensitivity/speed".to_owned();
        for speed in ["[[0.4], [0.9], [1.8]]", "[[1.4], [1], [1.8]]", "[[0.4], [1]]"] {
            assert_eq!(found(&with(speed)), [("E1115", place.clone())], "{speed}");
        }
    }
}
