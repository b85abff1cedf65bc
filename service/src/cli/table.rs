//! Plain tables in aligned columns.

use std::fmt::Write as _;

/// How a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// A table. Rows have as many cells as there are columns.
#[derive(Debug)]
pub(super) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table. A column whose heading starts with `>` is aligned right.
    pub(super) fn new(headings: &[&'static str]) -> Self {
        let columns = headings
            .iter()
            .map(|h| h.strip_prefix('>').map_or((*h, Align::Left), |h| (h, Align::Right)))
            .collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// Rows.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The table as text, indented by two.
    pub(super) fn render(&self) -> String {
        let width = |n: usize, heading: &str| {
            self.rows
                .iter()
                .filter_map(|r| r.get(n))
                .map(|c| c.chars().count())
                .chain([heading.chars().count()])
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = self.columns.iter().enumerate().map(|(n, (h, _))| width(n, h)).collect();
        let mut text = String::new();
        let mut line = |cells: &mut dyn Iterator<Item = &str>| {
            let mut row = String::from(" ");
            for ((cell, width), (_, align)) in cells.zip(&widths).zip(&self.columns) {
                let _ = match align {
                    Align::Left => write!(row, " {cell:<width$} "),
                    Align::Right => write!(row, " {cell:>width$} "),
                };
            }
            let _ = writeln!(text, "{}", row.trim_end());
        };
        line(&mut self.columns.iter().map(|(h, _)| *h));
        for row in &self.rows {
            line(&mut row.iter().map(String::as_str));
        }
        text
    }
}

/// A number with about four significant digits.
pub(super) fn number(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e9).contains(&size) {
        format!("{x:.3e}")
    } else {
        let digits = [(1000.0, 0), (100.0, 1), (10.0, 2), (1.0, 3)];
        let digits = digits.iter().find(|(from, _)| size >= *from).map_or(4, |(_, d)| *d);
        format!("{x:.digits$}")
    }
}

/// A number as exactly as needed to repeat it, without noise in the last digits.
pub(super) fn exact(x: f64) -> String {
    let text = format!("{x:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// A share as percent.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 {
        "0 %".to_owned()
    } else if percent < 0.01 {
        format!("{percent:.1e} %")
    } else {
        format!("{percent:.2} %")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(&["name", ">watts"]);
        table.row(vec!["a".to_owned(), "1.5".to_owned()]);
        table.row(vec!["longer".to_owned(), "10".to_owned()]);
        assert_eq!(table.render(), "  name    watts\n  a         1.5\n  longer     10\n");
    }

    #[test]
    fn numbers_are_short() {
        let cases =
            [(0.0, "0"), (12345.6, "12346"), (1.23456, "1.235"), (0.01234, "0.0123"), (1e-7, "1.000e-7")];
        for (x, text) in cases {
            assert_eq!(number(x), text);
        }
        assert_eq!((exact(173.0), exact(-0.0), exact(0.1 + 0.2)), ("173".into(), "0".into(), "0.3".into()));
        assert_eq!(percent(0.0001), "0.01 %");
    }
}
