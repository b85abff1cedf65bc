//! The table as Parquet: the columns of the CSV under the same names, typed.

use crate::StudyError;
use crate::table::{Record as _, Row, text};
use csv::{Reader, StringRecord};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Whole,
    Number,
    /// A number that may be absent.
    Maybe,
}

fn kind(column: &str) -> Kind {
    match column {
        "method" | "scenario" | "trace" | "status" | "conditions" | "instance" => Kind::Text,
        "seed" | "hour" | "work" | "solved" | "moves" | "shed" | "sim_slo_broken" | "sim_above_cap" => {
            Kind::Whole
        }
        "cap_w" | "objective" | "bound" | "gap" => Kind::Maybe,
        _ => Kind::Number,
    }
}

fn schema() -> String {
    let field = |name: &&str| match kind(name) {
        Kind::Text => format!("required binary {name} (UTF8);"),
        Kind::Whole => format!("required int64 {name};"),
        Kind::Number => format!("required double {name};"),
        Kind::Maybe => format!("optional double {name};"),
    };
    format!("message study {{ {} }}", Row::COLUMNS.iter().map(field).collect::<Vec<_>>().join(" "))
}

/// Writes rows as one row group, to a file that appears whole or not at all.
///
/// # Errors
/// [`StudyError::File`] and [`StudyError::Parquet`].
pub fn write(path: &Path, rows: &[Row]) -> Result<(), StudyError> {
    let part = path.with_extension("part");
    let failed = |source| StudyError::File { path: path.to_owned(), source };
    let file = File::create(&part).map_err(failed)?;
    fill(file, rows).map_err(|source| StudyError::Parquet { path: path.to_owned(), source })?;
    std::fs::rename(&part, path).map_err(failed)
}

/// Fields are taken from the lines of the CSV, so that the two files cannot differ.
fn fill(file: File, rows: &[Row]) -> Result<(), ParquetError> {
    let told = |error: &dyn std::fmt::Display| ParquetError::General(error.to_string());
    let text = text(rows).map_err(|e| told(&e))?;
    let fields: Vec<StringRecord> =
        Reader::from_reader(text.as_bytes()).records().collect::<Result<_, _>>().map_err(|e| told(&e))?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let schema = Arc::new(parse_message_type(&schema())?);
    let mut file = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for (at, name) in Row::COLUMNS.iter().enumerate() {
        let Some(mut column) = group.next_column()? else {
            return Err(ParquetError::General(format!("no column {name}")));
        };
        let cells = fields.iter().map(|f| f.get(at).unwrap_or_default());
        match kind(name) {
            Kind::Text => {
                let values: Vec<ByteArray> = cells.map(ByteArray::from).collect();
                column.typed::<ByteArrayType>().write_batch(&values, None, None)?;
            }
            Kind::Whole => {
                let values: Result<Vec<i64>, _> = cells.map(str::parse).collect();
                column.typed::<Int64Type>().write_batch(&values.map_err(|e| told(&e))?, None, None)?;
            }
            Kind::Number => {
                let values: Result<Vec<f64>, _> = cells.map(str::parse).collect();
                column.typed::<DoubleType>().write_batch(&values.map_err(|e| told(&e))?, None, None)?;
            }
            Kind::Maybe => {
                let levels: Vec<i16> = cells.clone().map(|c| i16::from(!c.is_empty())).collect();
                let values: Result<Vec<f64>, _> = cells.filter(|c| !c.is_empty()).map(str::parse).collect();
                column.typed::<DoubleType>().write_batch(
                    &values.map_err(|e| told(&e))?,
                    Some(&levels),
                    None,
                )?;
            }
        }
        column.close()?;
    }
    group.close()?;
    file.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::row;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("study.parquet");
        let rows = vec![row(); 3];
        write(&path, &rows).unwrap();
        let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
        let read: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
        assert_eq!(read.len(), 3);
        assert_eq!(read[1].get_string(0).unwrap(), "exact");
        assert_eq!(read[1].get_long(4).unwrap(), 17);
        assert!((read[1].get_double(5).unwrap() - 123.4).abs() < 1e-12);
        assert!(read[1].get_double(6).is_err(), "a cap that is absent is null");
        assert!((read[1].get_double(9).unwrap() - 0.3).abs() < 1e-12);
    }
}
