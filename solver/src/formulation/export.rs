//! Model files with readable names, for other solvers.

use super::{Formulation, Shape};
use crate::columns;
use crate::error::SolverError;
use crate::highs::write_named;
use crate::pricing::Costs;
use crate::reduce;
use ecomap_instances::{Instance, Objective};
use std::path::Path;

/// A model file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelFormat {
    /// MPS, free format.
    Mps,
    /// CPLEX LP.
    Lp,
}

impl ModelFormat {
    /// Ending of the file's name; HiGHS goes by it.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Mps => "mps",
            Self::Lp => "lp",
        }
    }
}

/// What an exported file leaves out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exported {
    /// Columns.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
    /// Constant to add to the file's optimum to get the objective's value: neither format carries
    /// it reliably. The file always minimises; for a maximised objective the value is its negative.
    pub offset: f64,
}

/// Writes the program for `objective` (its first level, when lexicographic) to `path`.
///
/// # Errors
/// [`SolverError::Write`] when the file cannot be written, [`SolverError::Highs`] when HiGHS
/// refuses the model.
pub fn export(
    instance: &Instance,
    objective: &Objective,
    format: ModelFormat,
    path: &Path,
) -> Result<Exported, SolverError> {
    if *objective == Objective::Cdp {
        let what = "cdp is a product of two linear functions, and the file formats are linear".to_owned();
        return Err(SolverError::Unsupported { solver: "export", what });
    }
    let costs = Costs::new(instance, objective);
    let reduced = reduce::reduce(instance, std::slice::from_ref(&costs), None);
    columns::check_count(instance, &reduced.kept, "export")?;
    let list: Vec<_> = columns::expand(instance, &costs, &reduced.kept).into_iter().flatten().collect();
    let program = Formulation::build(instance, &costs, &list, &[], Shape { disaggregated_modes: true });
    let offset = program.offset;
    let (columns, rows) = program.size();
    let (mut model, column_names, row_names) = program.into_highs()?;
    // HiGHS goes by the ending, so write beside the target and rename.
    let write = |source| SolverError::Write { path: path.display().to_string(), source };
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".part.{}", format.extension()));
    let beside = Path::new(&beside);
    std::fs::File::create(beside).map_err(write)?;
    let text = beside.to_str().ok_or_else(|| write(std::io::Error::other("the path is not UTF-8")))?;
    let written = write_named(&mut model, &column_names, &row_names, text);
    if written.is_err() {
        let _ = std::fs::remove_file(beside);
    }
    written?;
    std::fs::rename(beside, path).map_err(write)?;
    Ok(Exported { columns, rows, offset })
}
