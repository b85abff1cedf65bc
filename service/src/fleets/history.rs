//! Turns as tables: one row each, for spreadsheets and data frames. Powers and emissions are *predicted*.

use super::records::TurnDto;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// Format tag in the metadata of Parquet files.
pub const FORMAT: &str = "ecomap.fleet-history/v1";

/// A column after the first, which is the time.
enum Column {
    Text(fn(&TurnDto) -> String),
    Count(fn(&TurnDto) -> u64),
    Number(Box<dyn Fn(&TurnDto) -> Option<f64>>),
}

/// The columns that the rows need: zones and sites of any of them.
fn columns(rows: &[TurnDto]) -> Vec<(String, Column)> {
    let zones: BTreeSet<&str> =
        rows.iter().flat_map(|r| r.intensity_g_per_kwh.keys()).map(String::as_str).collect();
    let sites: BTreeSet<&str> = rows.iter().flat_map(|r| r.cap_w.keys()).map(String::as_str).collect();
    let mut all: Vec<(String, Column)> = Vec::new();
    for zone in zones {
        let key = zone.to_owned();
        let number = move |r: &TurnDto| r.intensity_g_per_kwh.get(&key).copied();
        all.push((format!("{zone}_g_per_kwh"), Column::Number(Box::new(number))));
    }
    for site in sites {
        let (cap, draw) = (site.to_owned(), site.to_owned());
        let number = move |r: &TurnDto| r.cap_w.get(&cap).copied().flatten();
        all.push((format!("{site}_cap_w"), Column::Number(Box::new(number))));
        let number = move |r: &TurnDto| r.predicted_w.get(&draw).copied();
        all.push((format!("{site}_predicted_w"), Column::Number(Box::new(number))));
    }
    let number = |of: fn(&TurnDto) -> Option<f64>| Column::Number(Box::new(of));
    all.extend([
        ("fleet_version".to_owned(), Column::Count(|r| r.fleet_version)),
        ("plan".to_owned(), Column::Count(|r| r.plan)),
        ("cause".to_owned(), Column::Text(|r| r.cause.clone())),
        ("moves".to_owned(), Column::Count(|r| r.moves)),
        ("shed".to_owned(), Column::Count(|r| r.shed)),
        ("value".to_owned(), number(|r| r.value)),
        ("bound".to_owned(), number(|r| r.bound)),
        ("loss".to_owned(), number(|r| r.loss)),
        ("accuracy_lost".to_owned(), number(|r| r.accuracy_lost)),
        ("predicted_carbon_g".to_owned(), number(|r| Some(r.predicted_carbon_g))),
        ("solves".to_owned(), Column::Count(|r| r.solves)),
    ]);
    all
}

/// The rows as CSV (RFC 4180; names of zones and sites need no quotes).
#[must_use]
pub fn csv(rows: &[TurnDto]) -> String {
    let columns = columns(rows);
    let mut out = "at".to_owned();
    for (name, _) in &columns {
        let _ = write!(out, ",{name}");
    }
    out.push('\n');
    for row in rows {
        out.push_str(&row.at);
        for (_, column) in &columns {
            let _ = match column {
                Column::Text(of) => write!(out, ",{}", of(row)),
                Column::Count(of) => write!(out, ",{}", of(row)),
                Column::Number(of) => match of(row) {
                    Some(value) => write!(out, ",{value}"),
                    None => write!(out, ","),
                },
            };
        }
        out.push('\n');
    }
    out
}

/// The rows as a Parquet file: `at` in microseconds since 1970, UTC.
///
/// # Errors
/// [`ParquetError`]; a bug.
pub fn parquet(rows: &[TurnDto], fleet: &str) -> Result<Vec<u8>, ParquetError> {
    let columns = columns(rows);
    let mut schema = "message turn { required int64 at (TIMESTAMP(MICROS,true)); ".to_owned();
    for (name, column) in &columns {
        // Names of zones and sites may hold characters that a schema's text does not: the index keeps columns apart.
        let name: String =
            name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
        let kind = match column {
            Column::Text(_) => format!("required binary {name} (UTF8); "),
            Column::Count(_) => format!("required int64 {name}; "),
            Column::Number(_) => format!("optional double {name}; "),
        };
        schema.push_str(&kind);
    }
    schema.push('}');
    let notes = [("format", FORMAT), ("fleet", fleet), ("powers", "predicted")];
    let notes = notes.iter().map(|(k, v)| KeyValue::new((*k).to_owned(), (*v).to_owned())).collect();
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_key_value_metadata(Some(notes))
        .build();
    let schema = Arc::new(parse_message_type(&schema)?);
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    if let Some(mut writer) = group.next_column()? {
        let times: Vec<i64> = rows
            .iter()
            .map(|r| r.at.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_microsecond))
            .collect();
        writer.typed::<Int64Type>().write_batch(&times, None, None)?;
        writer.close()?;
    }
    for (_, column) in &columns {
        let Some(mut writer) = group.next_column()? else { break };
        match column {
            Column::Text(of) => {
                let values: Vec<ByteArray> = rows.iter().map(|r| of(r).as_str().into()).collect();
                writer.typed::<ByteArrayType>().write_batch(&values, None, None)?;
            }
            Column::Count(of) => {
                let values: Vec<i64> =
                    rows.iter().map(|r| i64::try_from(of(r)).unwrap_or(i64::MAX)).collect();
                writer.typed::<Int64Type>().write_batch(&values, None, None)?;
            }
            Column::Number(of) => {
                let all: Vec<Option<f64>> = rows.iter().map(of).collect();
                let there: Vec<i16> = all.iter().map(|v| i16::from(v.is_some())).collect();
                let values: Vec<f64> = all.into_iter().flatten().collect();
                writer.typed::<DoubleType>().write_batch(&values, Some(&there), None)?;
            }
        }
        writer.close()?;
    }
    group.close()?;
    file.into_inner()
}
