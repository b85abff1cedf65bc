//! Published multiple-choice multidimensional knapsack files (MMKP).
//!
//! Two layouts, both blank-separated, both maximised with exactly one option a class:
//!
//! - MMKP library ([`read`]): `classes rows`, the capacities, then for each class its number of
//!   options and one line `value weight…` for each.
//! - Khan and Moser ([`read_khan`]): `classes options rows`, the capacities, then for each class
//!   its number and `options` lines `value weight…`. What follows, solutions in free text, is
//!   ignored. Values may carry a decimal.

use super::text::{self, Tokens};
use crate::instance::{Choice, Instance, Limits, MAX_MAGNITUDE, Sense};
use crate::issue::{Code, Issues};

/// Reads an MMKP library file; classes become tenants `class-1` …, rows capacities `row-1` ….
///
/// # Errors
/// The first mistake, at `/line/N`.
pub fn read(bytes: &[u8], name: &str) -> Result<Instance, Issues> {
    let limits = Limits::default();
    let mut tokens = Tokens::new(bytes);
    let classes = tokens.read_count("the number of classes", limits.tenants)?;
    let rows = tokens.read_count("the number of rows", limits.rows)?;
    tokens.expect_room(least(classes, 1, rows), "the classes announced")?;
    let capacities = text::capacities(&mut tokens, rows, "row")?;
    let mut tenants = Vec::with_capacity(classes);
    let mut left = limits.options;
    for class in 1..=classes {
        let options = tokens.read_count("the number of options", left)?;
        left = left.saturating_sub(options);
        tenants.push(text::class(format!("class-{class}"), self::options(&mut tokens, options, rows)?));
    }
    tokens.expect_end()?;
    text::instance(name, Sense::Maximize, capacities, tenants)
}

/// Reads a file of Khan's and Moser's layout.
///
/// # Errors
/// The first mistake, at `/line/N`.
pub fn read_khan(bytes: &[u8], name: &str) -> Result<Instance, Issues> {
    let limits = Limits::default();
    let mut tokens = Tokens::new(bytes);
    let classes = tokens.read_count("the number of classes", limits.tenants)?;
    let options = tokens.read_count("the number of options", limits.options / classes)?;
    let rows = tokens.read_count("the number of rows", limits.rows)?;
    tokens.expect_room(least(classes, options, rows), "the classes announced")?;
    let capacities = text::capacities(&mut tokens, rows, "row")?;
    let mut tenants = Vec::with_capacity(classes);
    for class in 1..=classes {
        let number = tokens.read_count("the class number", limits.tenants)?;
        if number != class {
            let message = format!("class {number} where class {class} is due");
            return Err(tokens.issue_here(Code::Inconsistent, message));
        }
        tenants.push(text::class(format!("class-{class}"), self::options(&mut tokens, options, rows)?));
    }
    text::instance(name, Sense::Maximize, capacities, tenants)
}

/// Fewest numbers after the head: capacities, and for each class a count or number and its options.
fn least(classes: usize, options: usize, rows: usize) -> Option<usize> {
    rows.checked_add(1)?.checked_mul(options)?.checked_add(1)?.checked_mul(classes)?.checked_add(rows)
}

fn options(tokens: &mut Tokens<'_>, options: usize, rows: usize) -> Result<Vec<Choice>, Issues> {
    tokens.expect_room(options.checked_mul(rows.saturating_add(1)), "the options announced")?;
    (0..options)
        .map(|_| {
            let value = tokens.read_number("a value", -MAX_MAGNITUDE, MAX_MAGNITUDE)?;
            let mut uses = Vec::new();
            for row in 0..rows {
                uses.extend(text::use_of(tokens, row)?);
            }
            Ok(Choice { value, host: None, uses })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CapacityIx;

    #[test]
    fn reads_the_library_layout() {
        let text = b"2 2\n5 6\n1\n3 1 2\n2\n4 0 6\n-1.5 5 0\n";
        let instance = read(text, "x").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(instance.sense, Sense::Maximize);
        assert_eq!(instance.capacities.iter().map(|c| c.capacity).collect::<Vec<_>>(), [5.0, 6.0]);
        assert_eq!(instance.capacities[1].id, "row-2");
        assert_eq!(instance.tenants[1].id.as_str(), "class-2");
        let options = &instance.tenants[1].options;
        assert_eq!(options[0].uses, [(CapacityIx::new(1), 6.0)], "zeros are not stored");
        assert_eq!((options[1].value, options.len()), (-1.5, 2));
        assert!(!instance.tenants[0].shedding.allowed);
    }

    #[test]
    fn reads_khans_layout_and_ignores_the_free_text() {
        let text = b"\n 2 1 1\n 9\n 1\n 7.50 3\n 2\n 8.00 4\n Solutions by  HEU\n 0 0 15.50";
        let instance = read_khan(text, "x").unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(instance.tenants.len(), 2);
        assert_eq!(instance.tenants[0].options[0].value, 7.5);
    }

    #[test]
    fn mistakes_are_coded_with_their_line() {
        type Reader = fn(&[u8], &str) -> Result<Instance, Issues>;
        let library: Reader = read;
        let khan: Reader = read_khan;
        let cases: [(Reader, &str, Code, &str); 14] = [
            (library, "", Code::Truncated, "/line/1"),
            (library, "1 1\n500\n1\n3", Code::Truncated, "/line/3"),
            (library, "50000 10\n1", Code::Truncated, "/line/1"),
            (library, "1000000000 10\n1", Code::TooMany, "/line/1"),
            (library, "99999999999999999999999 1", Code::TooMany, "/line/1"),
            (library, "1 1\n5\n1\n3 x", Code::BadNumber, "/line/4"),
            (library, "1 1\nnan\n1\n3 1", Code::BadNumber, "/line/2"),
            (library, "1 1\n1e999\n1\n3 1", Code::OutOfRange, "/line/2"),
            (library, "1 1\n5\n1\n3 -1", Code::OutOfRange, "/line/4"),
            (library, "0 1\n5", Code::OutOfRange, "/line/1"),
            (library, "1 1\n5\n1\n3 1\n7", Code::Inconsistent, "/line/5"),
            (khan, "2 1 1\n9\n1\n7 3\n3\n8 4", Code::Inconsistent, "/line/5"),
            (khan, "100000 1000000000 1\n9", Code::TooMany, "/line/1"),
            (khan, "-2 1 1", Code::BadNumber, "/line/1"),
        ];
        for (reader, text, code, pointer) in cases {
            let issues = reader(text.as_bytes(), "x").err().unwrap_or_else(|| panic!("`{text}` was read"));
            let found: Vec<_> = issues.list().iter().map(|i| (i.code, i.pointer.as_str())).collect();
            assert_eq!(found, [(code, pointer)], "{text}");
        }
    }
}
