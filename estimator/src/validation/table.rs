//! A small CSV reader: header line, quoted fields, no escapes other than doubled quotes.

use crate::error::EstimatorError;
use std::collections::BTreeMap;
use std::path::Path;

/// One row by column name.
pub(super) struct Row(BTreeMap<String, String>);

impl Row {
    /// Text of a column, empty when it is missing.
    pub(super) fn text(&self, column: &str) -> &str {
        self.0.get(column).map_or("", String::as_str)
    }

    /// Number of a column.
    pub(super) fn number(&self, column: &str) -> Option<f64> {
        self.text(column).parse().ok().filter(|x: &f64| x.is_finite())
    }
}

/// Rows of a file; none when it does not exist.
pub(super) fn rows(path: &Path) -> Result<Vec<Row>, EstimatorError> {
    let shown = path.display().to_string();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(EstimatorError::Io { path: shown, source }),
    };
    parse(&text).ok_or(EstimatorError::Data { path: shown, message: "no header".to_owned() })
}

/// Rows of a text; `None` without a header.
pub(super) fn parse(text: &str) -> Option<Vec<Row>> {
    let mut records = records(text).into_iter();
    let header = records.next()?;
    Some(records.map(|r| Row(header.iter().cloned().zip(r).collect())).collect())
}

fn records(text: &str) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut record = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                field.push('"');
                chars.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                all.push(std::mem::take(&mut record));
            }
            '\r' if !quoted => {}
            c => field.push(c),
        }
    }
    if !field.is_empty() || !record.is_empty() {
        record.push(field);
        all.push(record);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_fields_keep_commas() {
        let read = records("a,b\n\"Conv2d(3,64)\",\"say \"\"x\"\"\"\n1,2");
        assert_eq!(read, vec![vec!["a", "b"], vec!["Conv2d(3,64)", "say \"x\""], vec!["1", "2"]]);
    }
}
