//! A checked feature matrix.

use super::narrow;
use crate::EstimatorError;

/// Most rows of a matrix.
pub const MAX_ROWS: usize = 200_000;
/// Most columns of a matrix; a column number fits a byte in model files, 255 marking a leaf.
pub const MAX_FEATURES: usize = 254;
/// Most rows × columns.
pub const MAX_CELLS: usize = 8_000_000;

/// Features, row-major, single precision, all finite.
///
/// Single precision is what the ONNX models take too, and it makes thresholds of trees exact in
/// four bytes. Quantities that span decades (operations, bytes) belong in as logarithms.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    cells: Vec<f32>,
}

impl Matrix {
    /// A matrix from `rows * columns` cells, row after row.
    ///
    /// # Errors
    /// [`EstimatorError::Features`] for no column, a count of cells that does not fit, a size above
    /// the limits, or a cell that is not finite.
    pub fn new(rows: usize, columns: usize, cells: Vec<f32>) -> Result<Self, EstimatorError> {
        let bad = |message: String| Err(EstimatorError::Features(message));
        if columns == 0 || columns > MAX_FEATURES {
            return bad(format!("{columns} columns; 1 to {MAX_FEATURES} are allowed"));
        }
        if rows > MAX_ROWS || rows.saturating_mul(columns) > MAX_CELLS {
            return bad(format!(
                "{rows} rows of {columns} columns; at most {MAX_ROWS} rows and {MAX_CELLS} cells are allowed"
            ));
        }
        if rows * columns != cells.len() {
            return bad(format!("{} cells for {rows} rows of {columns} columns", cells.len()));
        }
        if let Some(at) = cells.iter().position(|v| !v.is_finite()) {
            return bad(format!("row {}, column {} is not a finite number", at / columns, at % columns));
        }
        Ok(Self { rows, columns, cells })
    }

    /// The same from double precision, rounded to single.
    ///
    /// # Errors
    /// As [`Matrix::new`]; a number beyond single precision counts as not finite.
    pub fn from_f64(rows: usize, columns: usize, cells: &[f64]) -> Result<Self, EstimatorError> {
        if cells.len() > MAX_CELLS {
            return Err(EstimatorError::Features(format!("{} cells, at most {MAX_CELLS}", cells.len())));
        }
        Self::new(rows, columns, cells.iter().map(|&v| narrow(v)).collect())
    }

    /// Rows.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// All cells, row-major.
    #[must_use]
    pub fn cells(&self) -> &[f32] {
        &self.cells
    }

    /// The rows, in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, f32> {
        self.cells.chunks_exact(self.columns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_does_not_fit() {
        for (rows, columns, cells) in [
            (2, 2, vec![0.0; 3]),
            (0, 0, vec![]),
            (1, MAX_FEATURES + 1, vec![0.0; MAX_FEATURES + 1]),
            (usize::MAX, 2, vec![]),
            (MAX_ROWS + 1, 1, vec![]),
            (1, 2, vec![0.0, f32::NAN]),
            (1, 2, vec![f32::INFINITY, 0.0]),
        ] {
            assert!(
                matches!(Matrix::new(rows, columns, cells), Err(EstimatorError::Features(_))),
                "{rows} x {columns}"
            );
        }
        assert!(Matrix::from_f64(1, 1, &[1e300]).is_err(), "beyond single precision");
    }

    #[test]
    fn rows_come_in_order() {
        let matrix = Matrix::from_f64(2, 2, &[1.0, 2.0, 3.0, 4.0]).unwrap();
        let rows: Vec<&[f32]> = matrix.iter().collect();
        assert_eq!(rows, [[1.0, 2.0], [3.0, 4.0]]);
    }
}
