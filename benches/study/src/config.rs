//! `study.toml`.

use crate::StudyError;
use crate::recorded::{Recorded, choose};
use ecomap_instances::Objective;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Format tag.
pub const FORMAT: &str = "ecomap.study/v1";
/// Most hours of a cell: a year.
const MOST_HOURS: u32 = 8_784;
/// Most cells of a study.
const MOST_CELLS: usize = 100_000;

/// The file as written.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct StudyDto {
    format: String,
    methods: Vec<String>,
    scenarios: Vec<String>,
    #[serde(default)]
    traces: Vec<TraceDto>,
    /// Traces chosen from the data folder, besides `traces`.
    recorded: Option<Recorded>,
    #[serde(default = "one_seed")]
    seeds: Vec<u64>,
    hours: u32,
    objective: Option<String>,
    /// Hours, from the first on, in which solves are followed moment by moment.
    #[serde(default = "first_hour")]
    followed: u32,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    simulation: Simulation,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct TraceDto {
    name: String,
    /// CSV file, relative to the study's; a seeded synthetic trace where absent.
    file: Option<PathBuf>,
    /// Hours to skip at the beginning.
    #[serde(default)]
    skip: u32,
    /// Seed of a synthetic trace.
    #[serde(default)]
    seed: u64,
}

fn one_seed() -> Vec<u64> {
    vec![0]
}

fn first_hour() -> u32 {
    1
}

/// What a solve may take, the same for every method.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Seconds; none where 0, and then a study repeats exactly, but for its solve times.
    pub time_s: f64,
    /// Nodes or iterations of the heuristics; their own budgets where 0.
    pub work: u64,
    /// Nodes of the exact method, the bound of every hour included.
    pub nodes: u64,
    /// Relative gap at which the exact method may stop.
    pub gap: f64,
    /// Rounds of the loop with the joint predictor.
    pub rounds: u64,
    /// Neighbourhoods in which that loop searches for accepted plans at first.
    pub search: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time_s: 0.0, work: 0, nodes: 20_000, gap: 1e-4, rounds: 1_000, search: 4_000 }
    }
}

/// How plans are executed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Simulation {
    /// Simulated seconds that stand for an hour.
    pub measure_s: f64,
    /// Simulated seconds before, which are not measured.
    pub warmup_s: f64,
    /// Most events of a board's run.
    pub max_events: u64,
}

impl Default for Simulation {
    fn default() -> Self {
        Self { measure_s: 20.0, warmup_s: 2.0, max_events: 4_000_000 }
    }
}

/// A trace of carbon intensity, for all zones.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSpec {
    /// Name in the results.
    pub name: String,
    /// CSV file; `None`: synthetic.
    pub file: Option<PathBuf>,
    /// Hours to skip at the beginning.
    pub skip: u32,
    /// Seed of a synthetic trace.
    pub seed: u64,
}

/// What a method is asked to solve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The hour's, latencies held against the worst co-runners that load caps admit.
    Planned,
    /// That without caps: a method whose paper knows no power runs as its paper has it, and its cap
    /// violations are counted.
    Uncapped,
    /// The hour's with the joint predictor in the loop: every board's plan is predicted as a whole.
    Contention,
}

impl Problem {
    /// Endings of methods' names.
    const ENDINGS: [(&'static str, Self); 2] =
        [(":uncapped", Self::Uncapped), (":contention", Self::Contention)];
}

/// A solver as the study runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// Name in the results: the solver's, with the ending of its problem.
    pub name: String,
    /// Name of the solver.
    pub solver: String,
    /// What it is asked to solve.
    pub problem: Problem,
}

impl Method {
    fn of(name: String) -> Self {
        for (ending, problem) in Problem::ENDINGS {
            if let Some(solver) = name.strip_suffix(ending) {
                return Self { solver: solver.to_owned(), problem, name };
            }
        }
        Self { solver: name.clone(), problem: Problem::Planned, name }
    }
}

/// A validated study.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Solvers, and how they are run.
    pub methods: Vec<Method>,
    /// Names of embedded scenarios, or files.
    pub scenarios: Vec<String>,
    /// Traces.
    pub traces: Vec<TraceSpec>,
    /// Seeds.
    pub seeds: Vec<u64>,
    /// Hours played of every trace.
    pub hours: u32,
    /// Hours from the first on in which solves are followed moment by moment.
    pub followed: u32,
    /// Objective of all problems; each scenario's own when `None`.
    pub objective: Option<Objective>,
    /// Limits of a solve.
    pub limits: Limits,
    /// How plans are executed.
    pub simulation: Simulation,
}

impl Study {
    /// Reads a study. Files in it are relative to `folder`; `[recorded]` traces are chosen under `data`.
    ///
    /// # Errors
    /// [`StudyError::Parse`] and [`StudyError::Value`]; [`StudyError::NoData`] when recorded traces are
    /// asked for and not there.
    pub fn read(text: &str, folder: &Path, data: &Path) -> Result<Self, StudyError> {
        let dto: StudyDto = toml::from_str(text).map_err(StudyError::Parse)?;
        if dto.format != FORMAT {
            return Err(StudyError::Value(format!("format is `{}`, not `{FORMAT}`", dto.format)));
        }
        let methods: Vec<Method> = dto.methods.into_iter().map(Method::of).collect();
        for method in &methods {
            let solver = ecomap_solver::by_name(&method.solver)?;
            if method.problem == Problem::Contention && solver.name() != "exact" {
                return Err(StudyError::Value("only `exact` asks the joint predictor".to_owned()));
            }
        }
        let objective = dto.objective.as_deref().map(Objective::parse).transpose();
        let objective = objective.map_err(|(code, what)| StudyError::Value(format!("{code}: {what}")))?;
        let recorded = match dto.recorded {
            Some(wanted) => {
                choose(wanted, data, dto.hours)?.ok_or_else(|| StudyError::NoData(data.to_owned()))?
            }
            None => Vec::new(),
        };
        let study = Self {
            methods,
            objective,
            scenarios: dto.scenarios,
            traces: dto
                .traces
                .into_iter()
                .map(|t| TraceSpec {
                    name: t.name,
                    file: t.file.map(|f| folder.join(f)),
                    skip: t.skip,
                    seed: t.seed,
                })
                .chain(recorded)
                .collect(),
            seeds: dto.seeds,
            hours: dto.hours,
            followed: dto.followed,
            limits: dto.limits,
            simulation: dto.simulation,
        };
        study.check()?;
        Ok(study)
    }

    fn check(&self) -> Result<(), StudyError> {
        let wrong = |what: &str| Err(StudyError::Value(what.to_owned()));
        let unique = |list: Vec<&str>| list.iter().collect::<BTreeSet<_>>().len() == list.len();
        if self.methods.is_empty()
            || self.scenarios.is_empty()
            || self.traces.is_empty()
            || self.seeds.is_empty()
        {
            return wrong("methods, scenarios, traces and seeds must not be empty");
        }
        if !unique(self.methods.iter().map(|m| m.name.as_str()).collect())
            || !unique(self.scenarios.iter().map(String::as_str).collect())
            || !unique(self.traces.iter().map(|t| t.name.as_str()).collect())
            || self.seeds.iter().collect::<BTreeSet<_>>().len() != self.seeds.len()
        {
            return wrong("a method, scenario, trace or seed is named twice");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if self.traces.iter().any(|t| t.name.is_empty() || !t.name.chars().all(plain)) {
            return wrong("a trace's name is letters, digits, `-`, `_` and `.`");
        }
        if self.hours == 0 || self.hours > MOST_HOURS {
            return wrong("hours must be from 1 to 8784");
        }
        if self.cells() > MOST_CELLS {
            return wrong("more than 100000 cells");
        }
        let (l, s) = (&self.limits, &self.simulation);
        let sound = |x: f64| x.is_finite() && x >= 0.0;
        if !sound(l.time_s)
            || l.time_s > 1e6
            || !sound(l.gap)
            || l.gap >= 1.0
            || l.nodes == 0
            || l.rounds == 0
        {
            return wrong("limits: time_s from 0 to 1e6, gap from 0 to below 1, nodes and rounds at least 1");
        }
        if !sound(s.measure_s)
            || s.measure_s == 0.0
            || s.measure_s > 3_600.0
            || !sound(s.warmup_s)
            || s.warmup_s > 3_600.0
        {
            return wrong("simulation: measure_s above 0, warmup_s at least 0, both at most 3600");
        }
        Ok(())
    }

    /// Cells: one for each method, scenario, trace and seed.
    #[must_use]
    pub fn cells(&self) -> usize {
        [self.scenarios.len(), self.traces.len(), self.seeds.len()]
            .iter()
            .fold(self.methods.len(), |product, n| product.saturating_mul(*n))
    }

    /// What must be the same for an hour's row of an earlier run to stand: the limits, the simulation
    /// and the version, as a short text.
    #[must_use]
    pub fn conditions(&self) -> String {
        let Limits { time_s, work, nodes, gap, rounds, search } = self.limits;
        let Simulation { measure_s, warmup_s, max_events } = self.simulation;
        let objective = match &self.objective {
            None => "scenario".to_owned(),
            Some(Objective::Lexicographic(terms)) => {
                terms.iter().map(|t| t.as_str()).collect::<Vec<_>>().join("+")
            }
            Some(objective) => objective.name().to_owned(),
        };
        format!(
            "v{};objective={objective};time_s={time_s};work={work};nodes={nodes};gap={gap};rounds={rounds};search={search};measure_s={measure_s};warmup_s={warmup_s};\
             max_events={max_events};followed={}",
            env!("CARGO_PKG_VERSION"),
            self.followed
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"
        format = "ecomap.study/v1"
        methods = ["exact", "gpu-only"]
        scenarios = ["tiny"]
        hours = 3
        [[traces]]
        name = "made-up"
    "#;

    #[test]
    fn a_study_reads_and_counts_its_cells() {
        let study = Study::read(SMALL, Path::new("."), Path::new(".")).unwrap();
        assert_eq!((study.cells(), study.seeds.as_slice()), (2, [0].as_slice()));
        assert_eq!(study.limits, Limits::default());
        let method = Method::of("omniboost:uncapped".to_owned());
        assert_eq!((method.solver.as_str(), method.problem), ("omniboost", Problem::Uncapped));
        let method = Method::of("exact:contention".to_owned());
        assert_eq!((method.solver.as_str(), method.problem), ("exact", Problem::Contention));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |from: &str, to: &str| {
            Study::read(&SMALL.replace(from, to), Path::new("."), Path::new(".")).unwrap_err()
        };
        assert!(matches!(refused("gpu-only", "oracle"), StudyError::Solver(_)));
        assert!(matches!(refused("hours = 3", "hours = 3\ncolour = 1"), StudyError::Parse(_)));
        for (from, to) in [
            ("hours = 3", "hours = 0"),
            ("\"gpu-only\"", "\"exact\""),
            ("\"gpu-only\"", "\"gpu-only:contention\""),
            ("made-up", "made/up"),
            ("study/v1", "study/v2"),
            ("hours = 3", "hours = 3\nobjective = \"cheapest\""),
            ("\"tiny\"", ""),
            ("hours = 3", "hours = 3\nlimits.gap = 1.0"),
            ("hours = 3", "hours = 3\nsimulation.measure_s = 0.0"),
        ] {
            assert!(matches!(refused(from, to), StudyError::Value(_)), "{to}");
        }
    }

    #[test]
    fn conditions_tell_limits_apart() {
        let one = Study::read(SMALL, Path::new("."), Path::new(".")).unwrap();
        let other = Study::read(
            &SMALL.replace("hours = 3", "hours = 3\nlimits.work = 7"),
            Path::new("."),
            Path::new("."),
        )
        .unwrap();
        assert_ne!(one.conditions(), other.conditions());
    }
}
