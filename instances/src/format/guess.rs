//! Which format a document has, and one door for everything that can be solved.

use super::{accelerators_v1, gap, instance_v1, mmkp, result_v1, scenario_v1, text};
use crate::accelerators::Workload;
use crate::catalog::Catalog;
use crate::instance::{Instance, Limits};
use crate::issue::{Code, Issue, Issues};
use crate::scenario::Scenario;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;

/// A document format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// `ecomap.scenario/v1`.
    Scenario,
    /// `ecomap.instance/v1`.
    Instance,
    /// MMKP library text.
    Mmkp,
    /// MMKP text in Khan's and Moser's layout.
    MmkpKhan,
    /// OR-Library generalized assignment text.
    Gap,
    /// `ecomap.accelerator-jobs/v1`.
    AcceleratorJobs,
    /// `ecomap.result/v1`, an answer.
    Result,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] = [
        Self::Scenario,
        Self::Instance,
        Self::Mmkp,
        Self::MmkpKhan,
        Self::Gap,
        Self::AcceleratorJobs,
        Self::Result,
    ];

    /// Name as on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scenario => "scenario",
            Self::Instance => "instance",
            Self::Mmkp => "mmkp",
            Self::MmkpKhan => "mmkp-khan",
            Self::Gap => "gap",
            Self::AcceleratorJobs => "accelerator-jobs",
            Self::Result => "result",
        }
    }

    /// The format named `name`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.as_str() == name)
    }

    /// The value of the `format` field, for JSON formats.
    #[must_use]
    pub const fn tag(self) -> Option<&'static str> {
        match self {
            Self::Scenario => Some(scenario_v1::FORMAT),
            Self::Instance => Some(instance_v1::FORMAT),
            Self::AcceleratorJobs => Some(accelerators_v1::FORMAT),
            Self::Result => Some(result_v1::FORMAT),
            Self::Mmkp | Self::MmkpKhan | Self::Gap => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something to solve.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// To be priced first.
    Scenario(Scenario),
    /// Pure numbers.
    Instance(Instance),
    /// Jobs for accelerators, whose plans are enumerated first.
    Accelerators(Workload),
}

/// Reads something to solve. `name` becomes the name of instances whose file has none.
///
/// # Errors
/// Every issue found; [`Code::Format`] for [`Format::Result`], which is an answer.
pub fn read_any(format: Format, bytes: &[u8], name: &str, catalog: &Catalog) -> Result<Input, Issues> {
    match format {
        Format::Scenario => scenario_v1::read(bytes, catalog).map(Input::Scenario),
        Format::Instance => instance_v1::read(bytes).map(Input::Instance),
        Format::Mmkp => mmkp::read(bytes, name).map(Input::Instance),
        Format::MmkpKhan => mmkp::read_khan(bytes, name).map(Input::Instance),
        Format::Gap => gap::read(bytes, name).map(Input::Instance),
        Format::AcceleratorJobs => accelerators_v1::read(bytes).map(Input::Accelerators),
        Format::Result => {
            let message = "a result is an answer, not something to solve";
            Err(Issues::one(Issue::new(Code::Format, "/format", message)))
        }
    }
}

/// The format of a document: JSON by its `format` field (even when something after it is broken,
/// so that the reader can say what), text by its structure. `None` when it is neither, or when
/// more than one structure fits.
#[must_use]
pub fn guess(bytes: &[u8]) -> Option<Format> {
    match bytes.iter().find(|b| !b.is_ascii_whitespace())? {
        b'{' => {
            let tag = format_field(bytes)?;
            Format::ALL.into_iter().find(|f| f.tag() == Some(&tag))
        }
        _ => guess_text(bytes),
    }
}

fn guess_text(bytes: &[u8]) -> Option<Format> {
    let mut tokens = text::Tokens::new(bytes);
    let line = tokens.clone().next()?.line;
    match tokens.clone().take_while(|t| t.line == line).take(4).count() {
        3 => mmkp::read_khan(bytes, "").is_ok().then_some(Format::MmkpKhan),
        2 => {
            let limits = Limits::default();
            let first = tokens.read_count("", limits.tenants).ok()?;
            let second = tokens.read_count("", limits.tenants).ok()?;
            let gap = gap::numbers(first, second)
                .is_some_and(|n| tokens.take(n.saturating_add(1)).count() == n)
                && gap::read(bytes, "").is_ok();
            match (gap, mmkp::read(bytes, "").is_ok()) {
                (true, false) => Some(Format::Gap),
                (false, true) => Some(Format::Mmkp),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The top-level `format` field, as far as the document can be read.
fn format_field(bytes: &[u8]) -> Option<String> {
    struct Finder<'a>(&'a mut Option<String>);

    impl<'de> DeserializeSeed<'de> for Finder<'_> {
        type Value = ();
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            deserializer.deserialize_map(self)
        }
    }

    impl<'de> Visitor<'de> for Finder<'_> {
        type Value = ();
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            while let Some(key) = map.next_key::<String>()? {
                if key == "format" {
                    *self.0 = Some(map.next_value()?);
                    return Ok(());
                }
                map.next_value::<IgnoredAny>()?;
            }
            Ok(())
        }
    }

    let mut found = None;
    // Leaving the map early is an error to serde; what was found by then is the answer.
    let _ = Finder(&mut found).deserialize(&mut serde_json::Deserializer::from_slice(bytes));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_their_own_inverse() {
        for format in Format::ALL {
            assert_eq!(Format::parse(format.as_str()), Some(format));
        }
        assert_eq!(Format::parse("GAP"), None);
    }

    #[test]
    fn json_by_its_field_even_when_broken_later() {
        assert_eq!(guess(br#" {"name": [[1]], "format": "ecomap.scenario/v1"}"#), Some(Format::Scenario));
        assert_eq!(guess(br#"{"format": "ecomap.instance/v1", "name": NaN"#), Some(Format::Instance));
        assert_eq!(guess(br#"{"format": "ecomap.result/v1""#), Some(Format::Result));
        for none in [r#"{"format": "ecomap.scenario/v9"}"#, r#"{"format": 1}"#, "{}", "[]", "", "{\"a"] {
            assert_eq!(guess(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn text_by_its_structure() {
        assert_eq!(guess(b"2 1\n5\n1\n3 1\n2\n4 0\n1 5\n"), Some(Format::Mmkp));
        assert_eq!(guess(b"\n 2 1 1\n 9\n 1\n 7.50 3\n 2\n 8.00 4\n Upper bound"), Some(Format::MmkpKhan));
        assert_eq!(guess(b"2 3\n1 2 3 4 5 6\n7 8 9 10 11 12\n20 30\n"), Some(Format::Gap));
        // One class, one row, capacity 1, one option 1 1; or one agent, one job.
        assert_eq!(guess(b"1 1\n1\n1\n1"), Some(Format::Gap));
        assert_eq!(guess(b"2 2\n1 1\n1"), None, "truncated as both");
        assert_eq!(guess(b"hello world"), None);
    }

    #[test]
    fn ambiguous_text_is_not_guessed() {
        // GAP: 2 agents, 2 jobs, 10 numbers. MMKP: 2 classes, 2 rows, capacities 1 1,
        // class of 1 option (1 1 1), class of 1 option (1 1 1): also 10 numbers.
        let text = b"2 2\n1 1\n1\n1 1 1\n1\n1 1 1\n";
        assert!(gap::read(text, "").is_ok() && mmkp::read(text, "").is_ok());
        assert_eq!(guess(text), None);
    }
}
