//! The tidy table: one row for each method, scenario, trace, seed and hour.

use crate::StudyError;
use std::fmt::Write as _;
use std::path::Path;

/// Columns, in order. Units are in the names; the page on studies explains each.
pub const COLUMNS: [&str; 27] = [
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
    "provenance",
];

/// One hour of one cell. What begins with `sim` is simulated.
#[derive(Debug, Clone, PartialEq)]
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
    pub solved: bool,
    /// Tenants whose choice or board changed against the hour before.
    pub moves: usize,
    /// Tenants without a place.
    pub shed: usize,
    /// Draw, W.
    pub power_w: f64,
    /// Carbon of the hour, g.
    pub carbon_g: f64,
    /// Mean latency, ms.
    pub mean_ms: f64,
    /// 95th percentile of all requests, ms.
    pub p95_ms: f64,
    /// Carbon of the hour × mean latency, g·ms.
    pub cdp: f64,
    /// Share of requests late, dropped or shed.
    pub late: f64,
    /// Tenants whose objective is broken.
    pub slo_broken: usize,
    /// Mean accuracy over all requests, percent.
    pub accuracy: f64,
    /// Sites above their cap.
    pub above_cap: usize,
    /// Watts above caps.
    pub over_w: f64,
    /// Limits, version and hash of the hour's instance.
    pub provenance: String,
}

/// A number or nothing.
fn cell(value: Option<f64>) -> String {
    value.map_or_else(String::new, |v| format!("{v}"))
}

/// The header line.
#[must_use]
pub fn header() -> String {
    COLUMNS.join(",")
}

impl Row {
    /// As a line. No field holds a comma or a quote: names are identifiers.
    #[must_use]
    pub fn line(&self) -> String {
        let mut line = format!(
            "{},{},{},{},{},{},{},{},{},{},{},",
            self.method,
            self.scenario,
            self.trace,
            self.seed,
            self.hour,
            self.carbon,
            cell(self.cap_w),
            self.status,
            cell(self.objective),
            cell(self.bound),
            cell(self.gap)
        );
        let _ = write!(
            line,
            "{:.3},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}",
            self.solve_ms,
            self.work,
            u8::from(self.solved),
            self.moves,
            self.shed,
            self.power_w,
            self.carbon_g,
            self.mean_ms,
            self.p95_ms,
            self.cdp,
            self.late,
            self.slo_broken,
            self.accuracy,
            self.above_cap,
            self.over_w,
            self.provenance
        );
        line
    }

    /// Reads a line back.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(line: &str) -> Result<Self, String> {
        let fields: Vec<&str> = line.split(',').collect();
        if fields.len() != COLUMNS.len() {
            return Err(format!("{} fields, not {}", fields.len(), COLUMNS.len()));
        }
        let wrong = |at: usize| format!("`{}` is no value of {}", fields[at], COLUMNS[at]);
        let number =
            |at: usize| fields[at].parse::<f64>().ok().filter(|x| x.is_finite()).ok_or_else(|| wrong(at));
        let maybe = |at: usize| if fields[at].is_empty() { Ok(None) } else { number(at).map(Some) };
        let whole = |at: usize| fields[at].parse::<u64>().map_err(|_| wrong(at));
        let count = |at: usize| fields[at].parse::<usize>().map_err(|_| wrong(at));
        let text = |at: usize| fields[at].to_owned();
        Ok(Self {
            method: text(0),
            scenario: text(1),
            trace: text(2),
            seed: whole(3)?,
            hour: fields[4].parse().map_err(|_| wrong(4))?,
            carbon: number(5)?,
            cap_w: maybe(6)?,
            status: text(7),
            objective: maybe(8)?,
            bound: maybe(9)?,
            gap: maybe(10)?,
            solve_ms: number(11)?,
            work: whole(12)?,
            solved: whole(13)? == 1,
            moves: count(14)?,
            shed: count(15)?,
            power_w: number(16)?,
            carbon_g: number(17)?,
            mean_ms: number(18)?,
            p95_ms: number(19)?,
            cdp: number(20)?,
            late: number(21)?,
            slo_broken: count(22)?,
            accuracy: number(23)?,
            above_cap: count(24)?,
            over_w: number(25)?,
            provenance: text(26),
        })
    }
}

/// The rows of a file; `None` where there is none.
///
/// # Errors
/// [`StudyError::File`] and [`StudyError::Row`].
pub fn read(path: &Path) -> Result<Option<Vec<Row>>, StudyError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StudyError::File { path: path.to_owned(), source }),
    };
    let wrong = |what: String| StudyError::Row { path: path.to_owned(), what };
    let mut lines = text.lines();
    if lines.next() != Some(header().as_str()) {
        return Err(wrong("another header: written by another version?".to_owned()));
    }
    lines.map(|l| Row::parse(l).map_err(wrong)).collect::<Result<_, _>>().map(Some)
}

/// Writes rows to a file that appears whole or not at all.
///
/// # Errors
/// [`StudyError::File`].
pub fn write(path: &Path, rows: &[Row]) -> Result<(), StudyError> {
    let mut text = header();
    text.push('\n');
    for row in rows {
        text.push_str(&row.line());
        text.push('\n');
    }
    let part = path.with_extension("part");
    let failed = |source| StudyError::File { path: path.to_owned(), source };
    std::fs::write(&part, text).map_err(failed)?;
    std::fs::rename(&part, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
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
            provenance: "v0;x=1".into(),
        }
    }

    #[test]
    fn a_row_is_read_back_as_it_was_written() {
        assert_eq!(Row::parse(&row().line()).unwrap(), row());
        assert_eq!(row().line().split(',').count(), COLUMNS.len());
        assert!(Row::parse("exact,tiny").is_err());
        assert!(Row::parse(&row().line().replace("123.4", "NaN")).unwrap_err().contains("carbon_g_per_kwh"));
    }

    #[test]
    fn files_are_whole_or_absent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.csv");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, &[row(), row()]).unwrap();
        assert_eq!(read(&path).unwrap().unwrap().len(), 2);
        assert!(!path.with_extension("part").exists());
        std::fs::write(&path, "another,header\n").unwrap();
        assert!(matches!(read(&path), Err(StudyError::Row { .. })));
    }
}
