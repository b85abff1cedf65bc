//! `ecomap frontier` through the binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ecomap_instances::format::frontier_v1::FrontierDto;
use ecomap_service::frontier::svg;
use serde_json::Value;
use std::process::{Command, Output};

fn ecomap(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecomap")).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Whether every element of a markup is closed, in order, and its texts hold no bare `<` or `&`.
fn well_formed(text: &str) -> Result<usize, String> {
    let (mut open, mut count, mut rest) = (Vec::new(), 0, text);
    while let Some(at) = rest.find('<') {
        let (before, after) = rest.split_at(at);
        for piece in before.split('&').skip(1) {
            let known = ["amp;", "lt;", "gt;", "quot;"].iter().any(|e| piece.starts_with(e));
            if !known {
                return Err(format!("bare & before `{piece}`"));
            }
        }
        let end = after.find('>').ok_or("an element without an end")?;
        let element = &after[1..end];
        if element.contains('<') || element.matches('"').count() % 2 != 0 {
            return Err(format!("`{element}`"));
        }
        let name = element.trim_start_matches('/').split([' ', '\n', '/']).next().unwrap_or("").to_owned();
        if element.starts_with('/') {
            if open.pop().as_ref() != Some(&name) {
                return Err(format!("`</{name}>` closes another element"));
            }
        } else {
            count += 1;
            if !element.ends_with('/') {
                open.push(name);
            }
        }
        rest = &after[end + 1..];
    }
    if open.is_empty() && rest.trim().is_empty() { Ok(count) } else { Err(format!("left open: {open:?}")) }
}

#[test]
fn the_check_of_markup_tells_good_from_bad() {
    assert_eq!(well_formed("<a><b c=\"d\"/>x &amp; y</a>"), Ok(2));
    for bad in ["<a>", "<a></b>", "<a>x & y</a>", "<a b=\"></a>", "<a></a>x"] {
        assert!(well_formed(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_frontier_is_written_in_every_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for axes in ["accuracy-carbon", "carbon-delay"] {
        let (csv, svg) = (path("f.csv"), path("f.svg"));
        let output = ecomap(&[
            "frontier", "xavier-3", "--axes", axes, "--points", "8", "--csv", &csv, "--svg", &svg, "--json",
        ]);
        let found = json(&output);
        assert_eq!((&found["format"], &found["axes"]), (&"ecomap.frontier/v1".into(), &axes.into()));
        assert_eq!(
            (&found["status"], &found["supported_complete"]),
            (&"optimal".into(), &true.into()),
            "{found:#}"
        );
        let points = found["points"].as_array().unwrap();
        assert!(points.len() >= 3, "{axes}: {} points", points.len());
        for pair in points.windows(2) {
            let of = |n: usize, axis: &str| pair[n][axis].as_f64().unwrap();
            assert!(of(0, "x") < of(1, "x") && of(0, "y") > of(1, "y"), "{pair:?}");
        }
        for point in points {
            assert_eq!(point["plan"]["tenants"].as_array().unwrap().len(), 3);
            for plane in found["half_planes"].as_array().unwrap() {
                let worth = plane["x"].as_f64().unwrap() * point["x"].as_f64().unwrap()
                    + plane["y"].as_f64().unwrap() * point["y"].as_f64().unwrap();
                let bound = plane["at_least"].as_f64().unwrap();
                assert!(worth >= bound - 1e-6 * bound.abs().max(1.0), "{plane} {worth}");
            }
        }
        let drawn = std::fs::read_to_string(&svg).unwrap();
        assert!(well_formed(&drawn).unwrap() > 20, "{drawn}");
        assert!(drawn.contains("xavier-3") && drawn.contains("computed by the model"), "{drawn}");
        assert_eq!(drawn.matches("class=\"point\"").count(), points.len());
        assert!(drawn.contains("class=\"outer\"") && drawn.contains("(gCO2e/h)"), "{drawn}");
        let table = std::fs::read_to_string(&csv).unwrap();
        let mut lines = table.lines();
        let head = lines.next().unwrap();
        let columns = if axes == "carbon-delay" {
            "kind,carbon_gCO2e_per_h,latency_ms,"
        } else {
            "kind,accuracy_lost_points,carbon_gCO2e_per_h,"
        };
        assert!(head.starts_with(columns), "{head}");
        let width = head.split(',').count();
        let rows: Vec<&str> = lines.collect();
        assert!(rows.iter().all(|row| row.split(',').count() == width), "{table}");
        let outer = rows.iter().filter(|row| row.starts_with("outer,")).count();
        assert_eq!((rows.len() - outer, outer), (points.len(), found["outer"].as_array().unwrap().len()));
    }
}

/// Names from documents that did not pass through validation are not taken for markup.
#[test]
fn names_are_escaped() {
    let output = ecomap(&["frontier", "tiny", "--axes", "carbon-delay", "--json"]);
    let mut found: FrontierDto = serde_json::from_slice(&output.stdout).unwrap();
    found.name = "x & <y> \"z\" \u{7}".to_owned();
    found.x.unit = "<svg>".to_owned();
    let drawn = svg::render(&found);
    assert!(well_formed(&drawn).is_ok(), "{drawn}");
    assert!(drawn.contains("x &amp; &lt;y&gt; &quot;z&quot; ·") && drawn.contains("&lt;svg&gt;"), "{drawn}");
    // Nothing found is still a drawing.
    found.points.clear();
    found.outer.clear();
    assert!(well_formed(&svg::render(&found)).unwrap() > 5);
}

#[test]
fn people_are_told_whether_it_is_whole() {
    let output = ecomap(&["frontier", "tiny", "--axes", "carbon-delay", "--points", "1000"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("complete: no point is missing"), "{text}");
    assert!(text.contains("computed by the model"), "{text}");
    let part =
        ecomap(&["frontier", "xavier-3", "--axes", "carbon-delay", "--points", "9", "--work-limit", "1"]);
    let text = String::from_utf8(part.stdout).unwrap();
    assert!(text.contains("a part: a limit ended the search"), "{text}");
}

#[test]
fn wrong_questions_are_refused() {
    for arguments in [
        &["frontier", "tiny"][..],
        &["frontier", "tiny", "--axes", "up-down"],
        &["frontier", "tiny", "--axes", "carbon-delay", "--points", "1001"],
    ] {
        assert_eq!(ecomap(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

/// The committed schema accepts what is printed.
#[test]
fn the_schema_is_listed() {
    let schema = json(&ecomap(&["schema", "frontier"]));
    assert_eq!(schema["properties"]["format"]["const"], "ecomap.frontier/v1");
}
