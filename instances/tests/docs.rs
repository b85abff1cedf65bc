//! The pages for users agree with the code.
#![allow(clippy::panic)] // helpers of tests

mod common;

use common::{catalog, check_or_bless, here, read};
use ecomap_instances::format::{Format, guess, read_any, result_v1, schema};
use ecomap_instances::{Code, scenarios};
use std::fmt::Write as _;

/// The page of all codes, in the words of the code.
fn errors_page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
        Every mistake in an input is reported with a code that never changes its meaning, a JSON pointer \
        ([RFC 6901](https://www.rfc-editor.org/rfc/rfc6901)) to the place, what is wrong there, and what to do. Text \
        formats point to `/line/N`; an empty pointer means the whole document. Validation does not stop at the first \
        mistake: all are listed, the first 100 in full. Only when the document is not JSON, or has the wrong shape, or \
        is a benchmark text file, there is a single one, for what follows it cannot be read.\n\n\
        This page is generated from the code (`ECOMAP_BLESS=1 cargo test -p ecomap-instances`); examples are \
        under `instances/data/scenarios/invalid`.\n",
    );
    let groups = [
        ("E10", "The document"),
        ("E11", "Scenarios, and rules that instances share with them"),
        ("E12", "Instances"),
        ("E13", "Benchmark text files"),
        ("E14", "Plans"),
        ("E15", "ONNX models and descriptions of model families"),
        ("E16", "Measurements"),
        ("E17", "The executor"),
    ];
    let mut listed = 0;
    for (prefix, title) in groups {
        let _ = write!(page, "\n## {title}\n\n| code | what is wrong | what to do |\n|---|---|---|\n");
        for code in Code::ALL.iter().filter(|c| c.as_str().starts_with(prefix)) {
            let _ = writeln!(page, "| {code} | {} | {} |", code.title(), code.remedy().replace('|', "\\|"));
            listed += 1;
        }
    }
    assert_eq!(listed, Code::ALL.len(), "a group of codes has no heading");
    page
}

#[test]
fn errors_page_lists_every_code() {
    check_or_bless(&here("../docs/src/errors.md"), &errors_page());
}

/// Fenced blocks of `language` in a page.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    page.split(&fence).skip(1).filter_map(|rest| rest.split("\n```").next()).map(str::to_owned).collect()
}

#[test]
fn examples_of_the_formats_page_read() {
    let page = String::from_utf8(read(&here("../docs/src/formats.md"))).unwrap_or_else(|e| panic!("{e}"));
    let mut seen = Vec::new();
    for text in blocks(&page, "json") {
        let format = guess(text.as_bytes()).unwrap_or_else(|| panic!("not a document: {text}"));
        let read = match format {
            Format::Result => result_v1::read(text.as_bytes()).err(),
            _ => read_any(format, text.as_bytes(), "x", catalog()).err(),
        };
        assert_eq!(read, None, "{text}");
        let schema = schema::schema(format.as_str()).unwrap_or_else(|| panic!("no schema of {format}"));
        let document: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}"));
        assert!(jsonschema::draft202012::is_valid(&schema, &document), "{text}");
        seen.push(format);
    }
    // Text examples carry their format: ```text,mmkp
    for format in [Format::Mmkp, Format::MmkpKhan, Format::Gap] {
        for text in blocks(&page, &format!("text,{format}")) {
            assert_eq!(guess(text.as_bytes()), Some(format), "{text}");
            seen.push(format);
        }
    }
    for format in Format::ALL {
        assert!(seen.contains(&format), "no example of {format}");
    }
    for (name, _) in scenarios::ALL {
        assert!(page.contains(&format!("`{name}`")), "{name} is not described");
    }
}
