//! The tables of a study, tidy CSV: what each hour came to, how each solve went on, how long requests
//! took, and under which conditions.

use crate::StudyError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::path::Path;

/// Characters of a hash that stand for the whole.
const SHORT: usize = 12;

/// A row of a table that is written and read as CSV.
pub trait Record: Serialize + DeserializeOwned {
    /// File name of the table in a study's folder.
    const FILE: &'static str;
    /// Columns, in order. Units are in the names; the page on studies explains each.
    const COLUMNS: &'static [&'static str];

    /// A number of the row that is not finite.
    fn unsound(&self) -> bool;
}

/// One hour of one cell. What begins with `sim` is simulated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Solver.
    pub method: String,
    /// Scenario.
    pub scenario: String,
    /// Trace.
    pub trace: String,
    /// Seed.
    pub seed: u64,
    /// Hour of the trace.
    pub hour: u32,
    /// Carbon intensity of the hour.
    #[serde(rename = "carbon_g_per_kwh")]
    pub carbon: f64,
    /// Sum of the sites' caps, W; empty when a site has none.
    pub cap_w: Option<f64>,
    /// Status of the solve: `optimal`, `feasible`, `kept` for a plan that was not solved anew, or
    /// what a solver without a plan says.
    pub status: String,
    /// Value of the plan in the scenario's objective.
    pub objective: Option<f64>,
    /// Bound of the exact method in the same hour.
    pub bound: Option<f64>,
    /// Relative distance of the two.
    pub gap: Option<f64>,
    /// Wall-clock time of the solve.
    pub solve_ms: f64,
    /// Nodes or iterations.
    pub work: u64,
    /// Whether the hour was solved.
    #[serde(with = "flag")]
    pub solved: bool,
    /// Tenants whose choice or board changed against the hour before.
    pub moves: usize,
    /// Tenants without a place.
    pub shed: usize,
    /// Draw, W.
    #[serde(rename = "sim_power_w")]
    pub power_w: f64,
    /// Carbon of the hour, g.
    #[serde(rename = "sim_carbon_g")]
    pub carbon_g: f64,
    /// Mean latency, ms.
    #[serde(rename = "sim_mean_ms")]
    pub mean_ms: f64,
    /// 95th percentile of all requests, ms.
    #[serde(rename = "sim_p95_ms")]
    pub p95_ms: f64,
    /// Carbon of the hour × mean latency, g·ms.
    #[serde(rename = "sim_cdp_g_ms")]
    pub cdp: f64,
    /// Share of requests late, dropped or shed.
    #[serde(rename = "sim_late")]
    pub late: f64,
    /// Tenants whose objective is broken.
    #[serde(rename = "sim_slo_broken")]
    pub slo_broken: usize,
    /// Mean accuracy over all requests, percent.
    #[serde(rename = "sim_accuracy")]
    pub accuracy: f64,
    /// Sites above their cap.
    #[serde(rename = "sim_above_cap")]
    pub above_cap: usize,
    /// Watts above caps.
    #[serde(rename = "sim_over_w")]
    pub over_w: f64,
    /// Id of the [`Conditions`].
    pub conditions: String,
    /// First digits of the hash of the hour's instance.
    pub instance: String,
}

impl Record for Row {
    const FILE: &'static str = "study.csv";
    const COLUMNS: &'static [&'static str] = &[
        "method",
        "scenario",
        "trace",
        "seed",
        "hour",
        "carbon_g_per_kwh",
        "cap_w",
        "status",
        "objective",
        "bound",
        "gap",
        "solve_ms",
        "work",
        "solved",
        "moves",
        "shed",
        "sim_power_w",
        "sim_carbon_g",
        "sim_mean_ms",
        "sim_p95_ms",
        "sim_cdp_g_ms",
        "sim_late",
        "sim_slo_broken",
        "sim_accuracy",
        "sim_above_cap",
        "sim_over_w",
        "conditions",
        "instance",
    ];

    fn unsound(&self) -> bool {
        let maybe = [self.cap_w, self.objective, self.bound, self.gap];
        let always = [
            self.carbon,
            self.solve_ms,
            self.power_w,
            self.carbon_g,
            self.mean_ms,
            self.p95_ms,
            self.cdp,
            self.late,
            self.accuracy,
            self.over_w,
        ];
        always.into_iter().chain(maybe.into_iter().flatten()).any(|x| !x.is_finite())
    }
}

/// A better plan or a better bound of one solve, measured by the clock of the machine that ran it. A
/// solve's last moment is its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moment {
    /// Method.
    pub method: String,
    /// Scenario.
    pub scenario: String,
    /// Trace.
    pub trace: String,
    /// Seed.
    pub seed: u64,
    /// Hour of the trace.
    pub hour: u32,
    /// Since the solve began.
    pub elapsed_ms: f64,
    /// Nodes or iterations so far.
    pub work: u64,
    /// Value of the plan.
    pub objective: Option<f64>,
    /// Bound that the method itself has proved so far.
    pub dual: Option<f64>,
    /// Bound of the exact method for the hour, from a solve of its own; with the joint predictor in the loop, what
    /// the solve itself had proved when it ended, for its problem is another.
    pub bound: Option<f64>,
}

impl Record for Moment {
    const FILE: &'static str = "anytime.csv";
    const COLUMNS: &'static [&'static str] =
        &["method", "scenario", "trace", "seed", "hour", "elapsed_ms", "work", "objective", "dual", "bound"];

    fn unsound(&self) -> bool {
        let maybe = [self.objective, self.dual, self.bound];
        !self.elapsed_ms.is_finite() || maybe.into_iter().flatten().any(|x| !x.is_finite())
    }
}

/// A point of the distribution of single requests' latency, over all hours of a cell. Simulated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Method.
    pub method: String,
    /// Scenario.
    pub scenario: String,
    /// Trace.
    pub trace: String,
    /// Seed.
    pub seed: u64,
    /// Latency end to end.
    pub latency_ms: f64,
    /// Share of all requests, those without an answer included, that were answered within it.
    #[serde(rename = "sim_share")]
    pub share: f64,
}

impl Record for Share {
    const FILE: &'static str = "latency.csv";
    const COLUMNS: &'static [&'static str] =
        &["method", "scenario", "trace", "seed", "latency_ms", "sim_share"];

    fn unsound(&self) -> bool {
        !self.latency_ms.is_finite() || !self.share.is_finite()
    }
}

/// What rows were made under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Conditions {
    /// Id: the first digits of the text's SHA-256.
    pub conditions: String,
    /// Version, objective, limits and simulation, as `name=value` with `;` between.
    pub text: String,
}

impl Conditions {
    /// With its id.
    #[must_use]
    pub fn new(text: String) -> Self {
        let digest: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        Self { conditions: short(&digest), text }
    }
}

impl Record for Conditions {
    const FILE: &'static str = "conditions.csv";
    const COLUMNS: &'static [&'static str] = &["conditions", "text"];

    fn unsound(&self) -> bool {
        false
    }
}

/// The first digits of a hash.
#[must_use]
pub fn short(hash: &str) -> String {
    hash.chars().take(SHORT).collect()
}

/// 1 and 0, as tables have it.
mod flag {
    use serde::de::{Error as _, Unexpected};
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(super) fn serialize<S: Serializer>(value: &bool, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(u8::from(*value))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
        match u8::deserialize(from)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(D::Error::invalid_value(Unexpected::Unsigned(other.into()), &"0 or 1")),
        }
    }
}

/// A table as text, its header first.
///
/// # Errors
/// A row that CSV cannot hold; none of these tables has one.
pub fn text<T: Record>(rows: &[T]) -> Result<String, csv::Error> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record(T::COLUMNS)?;
    for row in rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a table's text.
///
/// # Errors
/// What is wrong with it: another header, or a row that is none.
pub fn parse<T: Record>(text: &str) -> Result<Vec<T>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    if !reader.headers().map_err(|e| e.to_string())?.iter().eq(T::COLUMNS.iter().copied()) {
        return Err("another header: written by another version?".to_owned());
    }
    let rows: Vec<T> = reader.deserialize().collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    match rows.iter().position(Record::unsound) {
        Some(at) => Err(format!("row {}: a number that is not finite", at + 1)),
        None => Ok(rows),
    }
}

/// The rows of a file; `None` where there is none.
///
/// # Errors
/// [`StudyError::File`] and [`StudyError::Row`].
pub fn read<T: Record>(path: &Path) -> Result<Option<Vec<T>>, StudyError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StudyError::File { path: path.to_owned(), source }),
    };
    parse(&text).map(Some).map_err(|what| StudyError::Row { path: path.to_owned(), what })
}

/// Writes rows to a file that appears whole or not at all.
///
/// # Errors
/// [`StudyError::File`] and [`StudyError::Row`].
pub fn write<T: Record>(path: &Path, rows: &[T]) -> Result<(), StudyError> {
    let text =
        text(rows).map_err(|error| StudyError::Row { path: path.to_owned(), what: error.to_string() })?;
    let part = path.with_extension("part");
    let failed = |source| StudyError::File { path: path.to_owned(), source };
    std::fs::write(&part, text).map_err(failed)?;
    std::fs::rename(&part, path).map_err(failed)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A row of `tiny`.
    pub(crate) fn row() -> Row {
        Row {
            method: "exact".into(),
            scenario: "tiny".into(),
            trace: "made-up".into(),
            seed: 3,
            hour: 17,
            carbon: 123.4,
            cap_w: None,
            status: "optimal".into(),
            objective: Some(0.1 + 0.2),
            bound: Some(0.3),
            gap: None,
            solve_ms: 1.25,
            work: 9,
            solved: true,
            moves: 1,
            shed: 0,
            power_w: 5.5,
            carbon_g: 0.67,
            mean_ms: 12.0,
            p95_ms: 31.0,
            cdp: 8.04,
            late: 0.01,
            slo_broken: 0,
            accuracy: 71.5,
            above_cap: 0,
            over_w: 0.0,
            conditions: Conditions::new("v0;x=1".into()).conditions,
            instance: "701436eb81d7".into(),
        }
    }

    fn moment() -> Moment {
        Moment {
            method: "exact".into(),
            scenario: "tiny".into(),
            trace: "made-up".into(),
            seed: 3,
            hour: 0,
            elapsed_ms: 0.25,
            work: 1,
            objective: None,
            dual: Some(1e-7),
            bound: Some(0.3),
        }
    }

    fn returns<T: Record + Clone + PartialEq + std::fmt::Debug>(row: T) {
        let rows = [row.clone(), row];
        let text = text(&rows).unwrap();
        assert_eq!(parse::<T>(&text).unwrap(), rows);
        // Serde's own header, from the names of the fields, is the list of columns.
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.serialize(&rows[0]).unwrap();
        let by_names = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        assert_eq!(by_names.lines().next(), text.lines().next());
    }

    #[test]
    fn tables_are_read_back_as_they_were_written() {
        returns(row());
        returns(moment());
        returns(Share {
            method: "exact".into(),
            scenario: "tiny".into(),
            trace: "made-up".into(),
            seed: 0,
            latency_ms: 12.5,
            share: 0.75,
        });
        returns(Conditions::new("v0;objective=carbon;a,b=\"1\"".into()));
    }

    #[test]
    fn what_is_no_row_is_refused_by_its_column() {
        let text = text(&[row()]).unwrap();
        let refused = |from: &str, to: &str| parse::<Row>(&text.replace(from, to)).unwrap_err();
        assert!(refused("123.4", "NaN").contains("not finite"));
        assert!(refused("123.4", "much").contains("field 5"), "{}", refused("123.4", "much"));
        assert!(refused("9,1,1,0", "9,2,1,0").contains("0 or 1"), "{}", refused("9,1,1,0", "9,2,1,0"));
        assert!(refused("\nexact,tiny", "\nexact").contains("record"));
        assert!(refused("cap_w", "cap").contains("header"));
    }

    #[test]
    fn files_are_whole_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.csv");
        assert_eq!(read::<Row>(&path).unwrap(), None);
        write(&path, &[row(), row()]).unwrap();
        assert_eq!(read::<Row>(&path).unwrap().unwrap().len(), 2);
        assert!(!path.with_extension("part").exists());
        std::fs::write(&path, "another,header\n").unwrap();
        assert!(matches!(read::<Row>(&path), Err(StudyError::Row { .. })));
    }
}
