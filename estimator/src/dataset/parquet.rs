//! Rows in Parquet files.
//!
//! One row is one device plan. Variable-length parts are lists of numbers, flattened in the order
//! of tenants, then segments, then blocks; the counts that are needed to cut them apart are columns
//! of their own. Key-value metadata name the format, the features' version and their widths.

use super::row::{Row, TenantTruth};
use crate::error::EstimatorError;
use crate::features::{BLOCK_FEATURES, DEVICE_FEATURES, Encoded, SEGMENT_FEATURES, TENANT_FEATURES, VERSION};
use crate::sim::outcome::GRID;
use parquet::basic::Compression;
use parquet::column::reader::ColumnReader;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// Format tag in the metadata.
pub const FORMAT: &str = "ecomap.dataset/v1";

/// Rows of a row group.
const GROUP: usize = 4096;

/// Columns in the order of the file: name, type, whether a list.
const COLUMNS: [(&str, &str, bool); 24] = [
    ("split", "binary", false),
    ("index", "int64", false),
    ("source", "binary", false),
    ("profile", "binary", false),
    ("mode", "binary", false),
    ("jittered", "int32", false),
    ("models", "binary", true),
    ("blocks", "float", true),
    ("block_counts", "int32", true),
    ("segments", "float", true),
    ("owners", "int32", true),
    ("units", "int32", true),
    ("tenants", "float", true),
    ("device", "float", true),
    ("base_ms", "double", true),
    ("idle_w", "double", false),
    ("bottleneck", "double", false),
    ("latency_ms", "float", true),
    ("mean_ms", "double", true),
    ("completed", "int64", true),
    ("dropped", "double", true),
    ("rate_per_ms", "double", true),
    ("power_w", "double", false),
    ("busy", "double", true),
];

/// Values of one column over a group of rows, with the length of each row's list.
enum Values {
    Text(Vec<ByteArray>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

fn schema() -> String {
    let mut text = "message plan {".to_owned();
    for (name, kind, list) in COLUMNS {
        let utf8 = if kind == "binary" { " (UTF8)" } else { "" };
        if list {
            text.push_str(&format!(
                "required group {name} (LIST) {{ repeated group list {{ required {kind} element{utf8}; }} }} "
            ));
        } else {
            text.push_str(&format!("required {kind} {name}{utf8}; "));
        }
    }
    text.push('}');
    text
}

fn bad(path: &Path) -> impl Fn(ParquetError) -> EstimatorError + '_ {
    |e| EstimatorError::Data { path: path.display().to_string(), message: e.to_string() }
}

/// Writes rows in order, group by group.
pub struct Writer {
    file: SerializedFileWriter<File>,
    waiting: Vec<Row>,
    path: std::path::PathBuf,
}

impl Writer {
    /// A new file at `path`, over any that is there; `notes` go to its metadata.
    ///
    /// # Errors
    /// [`EstimatorError`] when the file cannot be written.
    pub fn create(path: &Path, notes: &[(&str, String)]) -> Result<Self, EstimatorError> {
        let file = File::create(path)
            .map_err(|source| EstimatorError::Io { path: path.display().to_string(), source })?;
        let grid: Vec<String> = GRID.iter().map(ToString::to_string).collect();
        let mut notes: Vec<KeyValue> =
            notes.iter().map(|(k, v)| KeyValue::new((*k).to_owned(), v.clone())).collect();
        for (key, value) in [
            ("format", FORMAT.to_owned()),
            ("features", VERSION.to_string()),
            ("widths", format!("{BLOCK_FEATURES},{SEGMENT_FEATURES},{TENANT_FEATURES},{DEVICE_FEATURES}")),
            ("quantiles", grid.join(",")),
        ] {
            notes.push(KeyValue::new(key.to_owned(), value));
        }
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_key_value_metadata(Some(notes))
            .build();
        let schema = parse_message_type(&schema()).map_err(bad(path))?;
        let file =
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties)).map_err(bad(path))?;
        Ok(Self { file, waiting: Vec::new(), path: path.to_owned() })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`EstimatorError`] when the file cannot be written.
    pub fn push(&mut self, row: Row) -> Result<(), EstimatorError> {
        self.waiting.push(row);
        if self.waiting.len() >= GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), EstimatorError> {
        let rows = std::mem::take(&mut self.waiting);
        if rows.is_empty() {
            return Ok(());
        }
        write_group(&mut self.file, &rows).map_err(bad(&self.path))
    }

    /// Writes what waits, and the footer.
    ///
    /// # Errors
    /// [`EstimatorError`] when the file cannot be written.
    pub fn close(mut self) -> Result<(), EstimatorError> {
        self.flush()?;
        self.file.close().map_err(bad(&self.path))?;
        Ok(())
    }
}

fn write_group(file: &mut SerializedFileWriter<File>, rows: &[Row]) -> Result<(), ParquetError> {
    let mut group = file.next_row_group()?;
    for (name, _, list) in COLUMNS {
        let (values, lengths) = gather(name, rows);
        let levels = list.then(|| levels(&lengths));
        let (def, rep) = levels.as_ref().map_or((None, None), |(d, r)| (Some(&d[..]), Some(&r[..])));
        let Some(mut column) = group.next_column()? else { break };
        match (column.untyped(), &values) {
            (ColumnWriter::ByteArrayColumnWriter(w), Values::Text(v)) => w.write_batch(v, def, rep)?,
            (ColumnWriter::Int32ColumnWriter(w), Values::I32(v)) => w.write_batch(v, def, rep)?,
            (ColumnWriter::Int64ColumnWriter(w), Values::I64(v)) => w.write_batch(v, def, rep)?,
            (ColumnWriter::FloatColumnWriter(w), Values::F32(v)) => w.write_batch(v, def, rep)?,
            (ColumnWriter::DoubleColumnWriter(w), Values::F64(v)) => w.write_batch(v, def, rep)?,
            _ => return Err(ParquetError::General(format!("column {name} has another type"))),
        };
        column.close()?;
    }
    group.close()?;
    Ok(())
}

/// Definition and repetition levels of required lists of required elements.
fn levels(lengths: &[usize]) -> (Vec<i16>, Vec<i16>) {
    let (mut def, mut rep) = (Vec::new(), Vec::new());
    for &n in lengths {
        def.extend(std::iter::repeat_n(1, n.max(1)));
        if n == 0 {
            *def.last_mut().unwrap_or(&mut 0) = 0;
        }
        rep.push(0);
        rep.extend(std::iter::repeat_n(1, n.saturating_sub(1)));
    }
    (def, rep)
}

fn small(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn big(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_possible_truncation)]
fn gather(name: &str, rows: &[Row]) -> (Values, Vec<usize>) {
    let mut lengths = Vec::with_capacity(rows.len());
    macro_rules! each {
        ($kind:ident, $list:expr) => {{
            let mut all = Vec::new();
            for row in rows {
                let before = all.len();
                all.extend($list(row));
                lengths.push(all.len() - before);
            }
            Values::$kind(all)
        }};
    }
    let text = |s: &str| ByteArray::from(s);
    let values = match name {
        "split" => each!(Text, |r: &Row| [text(&r.split)]),
        "index" => each!(I64, |r: &Row| [big(r.index)]),
        "source" => each!(Text, |r: &Row| [text(&r.source)]),
        "profile" => each!(Text, |r: &Row| [text(&r.profile)]),
        "mode" => each!(Text, |r: &Row| [text(&r.mode)]),
        "jittered" => each!(I32, |r: &Row| [i32::from(r.jittered)]),
        "models" => each!(Text, |r: &Row| r.models.iter().map(|m| text(m)).collect::<Vec<_>>()),
        "blocks" => each!(F32, |r: &Row| r.features.blocks.concat()),
        "block_counts" => {
            each!(I32, |r: &Row| r.features.block_counts.iter().map(|n| small(*n)).collect::<Vec<_>>())
        }
        "segments" => each!(F32, |r: &Row| r.features.segments.concat()),
        "owners" => each!(I32, |r: &Row| r.features.owners.iter().map(|n| small(*n)).collect::<Vec<_>>()),
        "units" => each!(I32, |r: &Row| r.features.units.iter().map(|n| small(*n)).collect::<Vec<_>>()),
        "tenants" => each!(F32, |r: &Row| r.features.tenants.concat()),
        "device" => each!(F32, |r: &Row| r.features.device.to_vec()),
        "base_ms" => each!(F64, |r: &Row| r.features.base_ms.clone()),
        "idle_w" => each!(F64, |r: &Row| [r.features.idle_w]),
        "bottleneck" => each!(F64, |r: &Row| [r.features.bottleneck]),
        "latency_ms" => each!(F32, |r: &Row| {
            r.truth.iter().flat_map(|t| t.quantiles.map(|q| q as f32)).collect::<Vec<_>>()
        }),
        "mean_ms" => each!(F64, |r: &Row| r.truth.iter().map(|t| t.mean_ms).collect::<Vec<_>>()),
        "completed" => each!(I64, |r: &Row| r.truth.iter().map(|t| big(t.completed)).collect::<Vec<_>>()),
        "dropped" => each!(F64, |r: &Row| r.truth.iter().map(|t| t.dropped).collect::<Vec<_>>()),
        "rate_per_ms" => each!(F64, |r: &Row| r.truth.iter().map(|t| t.rate).collect::<Vec<_>>()),
        "power_w" => each!(F64, |r: &Row| [r.power_w]),
        _ => each!(F64, |r: &Row| r.busy.clone()),
    };
    (values, lengths)
}

/// Reads all rows of a file.
///
/// # Errors
/// [`EstimatorError::Data`] when the file is of another format or features' version, or torn.
pub fn read(path: &Path) -> Result<Vec<Row>, EstimatorError> {
    let file =
        File::open(path).map_err(|source| EstimatorError::Io { path: path.display().to_string(), source })?;
    let fail = |message: String| EstimatorError::Data { path: path.display().to_string(), message };
    let reader = SerializedFileReader::new(file).map_err(bad(path))?;
    let notes = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    let note = |key: &str| notes.iter().find(|n| n.key == key).and_then(|n| n.value.clone());
    if note("format").as_deref() != Some(FORMAT) {
        return Err(fail(format!("not a {FORMAT} file")));
    }
    if note("features") != Some(VERSION.to_string()) {
        return Err(fail(format!("features are not of version {VERSION}")));
    }
    let mut rows = Vec::new();
    for g in 0..reader.num_row_groups() {
        let group = reader.get_row_group(g).map_err(bad(path))?;
        let count = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        let mut lists = Vec::with_capacity(COLUMNS.len());
        for (n, (_, _, list)) in COLUMNS.iter().enumerate() {
            let column = group.get_column_reader(n).map_err(bad(path))?;
            lists.push(column_of(column, *list).map_err(bad(path))?);
        }
        let mut lists = Columns { lists };
        for _ in 0..count {
            rows.push(lists.row().ok_or_else(|| fail("a list is shorter than its counts say".to_owned()))?);
        }
    }
    Ok(rows)
}

/// One column's values, row by row from the back of each list.
enum Rest {
    Text(std::vec::IntoIter<Vec<ByteArray>>),
    Number(std::vec::IntoIter<Vec<f64>>),
}

#[allow(clippy::cast_precision_loss)]
fn column_of(column: ColumnReader, list: bool) -> Result<Rest, ParquetError> {
    fn split<T>(values: Vec<T>, def: &[i16], rep: &[i16], list: bool) -> Vec<Vec<T>> {
        let mut values = values.into_iter();
        if !list {
            return values.map(|v| vec![v]).collect();
        }
        let mut rows: Vec<Vec<T>> = Vec::new();
        for (d, r) in def.iter().zip(rep) {
            if *r == 0 {
                rows.push(Vec::new());
            }
            if *d == 1
                && let (Some(row), Some(v)) = (rows.last_mut(), values.next())
            {
                row.push(v);
            }
        }
        rows
    }
    macro_rules! take {
        ($reader:expr) => {{
            let mut r = $reader;
            let (mut values, mut def, mut rep) = (Vec::new(), Vec::new(), Vec::new());
            if list {
                r.read_records(usize::MAX, Some(&mut def), Some(&mut rep), &mut values)?;
            } else {
                r.read_records(usize::MAX, None, None, &mut values)?;
            }
            (values, def, rep)
        }};
    }
    macro_rules! numbers {
        ($reader:expr, $as:expr) => {{
            let (values, def, rep) = take!($reader);
            let values: Vec<f64> = values.into_iter().map($as).collect();
            Rest::Number(split(values, &def, &rep, list).into_iter())
        }};
    }
    Ok(match column {
        ColumnReader::ByteArrayColumnReader(r) => {
            let (values, def, rep) = take!(r);
            Rest::Text(split(values, &def, &rep, list).into_iter())
        }
        ColumnReader::Int32ColumnReader(r) => numbers!(r, f64::from),
        ColumnReader::Int64ColumnReader(r) => numbers!(r, |x: i64| x as f64),
        ColumnReader::FloatColumnReader(r) => numbers!(r, f64::from),
        ColumnReader::DoubleColumnReader(r) => numbers!(r, |x: f64| x),
        _ => return Err(ParquetError::General("a column has an unknown type".to_owned())),
    })
}

struct Columns {
    lists: Vec<Rest>,
}

impl Columns {
    fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let at = COLUMNS.iter().position(|c| c.0 == name)?;
        let Rest::Text(rows) = self.lists.get_mut(at)? else { return None };
        rows.next()?.into_iter().map(|b| b.as_utf8().ok().map(str::to_owned)).collect()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        self.texts(name)?.pop()
    }

    fn numbers(&mut self, name: &str) -> Option<Vec<f64>> {
        let at = COLUMNS.iter().position(|c| c.0 == name)?;
        let Rest::Number(rows) = self.lists.get_mut(at)? else { return None };
        rows.next()
    }

    fn number(&mut self, name: &str) -> Option<f64> {
        self.numbers(name)?.pop()
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn counts(&mut self, name: &str) -> Option<Vec<usize>> {
        Some(self.numbers(name)?.into_iter().map(|x| x as usize).collect())
    }

    #[allow(clippy::cast_possible_truncation)]
    fn vectors<const N: usize>(&mut self, name: &str) -> Option<Vec<[f32; N]>> {
        let flat: Vec<f32> = self.numbers(name)?.into_iter().map(|x| x as f32).collect();
        flat.chunks(N).map(|c| c.try_into().ok()).collect()
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn row(&mut self) -> Option<Row> {
        let split = self.text("split")?;
        let index = self.number("index")? as u64;
        let source = self.text("source")?;
        let profile = self.text("profile")?;
        let mode = self.text("mode")?;
        let jittered = self.number("jittered")? != 0.0;
        let models = self.texts("models")?;
        let features = Encoded {
            blocks: self.vectors("blocks")?,
            block_counts: self.counts("block_counts")?,
            segments: self.vectors("segments")?,
            owners: self.counts("owners")?,
            units: self.counts("units")?,
            tenants: self.vectors("tenants")?,
            device: *self.vectors::<DEVICE_FEATURES>("device")?.first()?,
            base_ms: self.numbers("base_ms")?,
            idle_w: self.number("idle_w")?,
            bottleneck: self.number("bottleneck")?,
        };
        let latency: Vec<[f32; GRID.len()]> = self.vectors("latency_ms")?;
        let mean = self.numbers("mean_ms")?;
        let completed = self.numbers("completed")?;
        let dropped = self.numbers("dropped")?;
        let rate = self.numbers("rate_per_ms")?;
        let mut truth = Vec::with_capacity(models.len());
        for n in 0..features.tenants.len() {
            truth.push(TenantTruth {
                quantiles: latency.get(n)?.map(f64::from),
                mean_ms: *mean.get(n)?,
                completed: *completed.get(n)? as u64,
                dropped: *dropped.get(n)?,
                rate: *rate.get(n)?,
            });
        }
        Some(Row {
            split,
            index,
            source,
            profile,
            mode,
            jittered,
            models,
            features,
            truth,
            power_w: self.number("power_w")?,
            busy: self.numbers("busy")?,
        })
    }
}
