//! A family from ONNX files and accuracies.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

mod common;

use common::residual;
use ecomap_graph::family::{FamilyError, describe};
use ecomap_graph::print::family_json;
use ecomap_instances::Code;
use ecomap_instances::format::catalog_v1::FamilyDto;
use std::path::Path;

fn write(folder: &Path, tiers: &str) -> std::path::PathBuf {
    let path = folder.join("family.toml");
    let head = r#"
id = "toy"
name = "Toy"
task = "image-classification"
metric = { name = "top-1", dataset = "none" }
blocks = 3
[sources]
paper = "a paper"
"#;
    std::fs::write(&path, format!("{head}{tiers}")).unwrap();
    path
}

const TIER: &str = "[[tier]]\nid = \"toy-1\"\nonnx = \"toy.onnx\"\naccuracy = 71.5\nsource = \"paper\"\n";

#[test]
fn files_and_accuracies_become_a_family() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("toy.onnx"), residual().bytes()).unwrap();
    let dto = describe(&write(folder.path(), TIER)).unwrap_or_else(|e| panic!("{e}"));
    let family = dto.lower().unwrap();
    assert_eq!((family.tiers.len(), family.tiers[0].blocks.len()), (1, 3));
    assert_eq!(dto.tiers[0].params, residual().layers().params());
    assert_eq!(dto.tiers[0].input.request_bytes, 192);
    assert_eq!(dto.tiers[0].input.response_bytes, 40);
    let text = family_json(&dto).unwrap();
    let again: FamilyDto = serde_json::from_str(&text).unwrap();
    assert_eq!(family_json(&again).unwrap(), text);
    assert_eq!(again.lower().unwrap(), family);
    // A published figure is used where it agrees with the graph, and refused where it does not.
    let near = family.tiers[0].params + 10;
    let dto = describe(&write(folder.path(), &format!("{TIER}params = {near}\n"))).unwrap();
    assert_eq!((dto.tiers[0].params, dto.tiers[0].source["params"].as_str()), (near, "paper"));
    refused(&write(folder.path(), &format!("{TIER}params = 1\n")), Code::FamilyCount);
}

#[track_caller]
fn refused(path: &Path, code: Code) {
    match describe(path) {
        Err(FamilyError::Invalid(issues)) => assert_eq!(issues.list()[0].code, code, "{issues}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn paths_stay_in_the_folder_and_mistakes_are_coded() {
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("inner");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(outer.path().join("toy.onnx"), residual().bytes()).unwrap();
    for path in ["../toy.onnx", "/toy.onnx", "a/../../toy.onnx", ""] {
        refused(&write(&folder, &TIER.replace("toy.onnx", path)), Code::FamilyPath);
    }
    assert!(matches!(describe(&write(&folder, TIER)), Err(FamilyError::Read { .. })));
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(outer.path().join("toy.onnx"), folder.join("toy.onnx")).unwrap();
        refused(&write(&folder, TIER), Code::FamilyPath);
        std::fs::remove_file(folder.join("toy.onnx")).unwrap();
    }
    std::fs::write(folder.join("toy.onnx"), b"no model").unwrap();
    refused(&write(&folder, TIER), Code::ModelUnreadable);
    refused(&write(&folder, ""), Code::FamilyText);
    refused(&write(&folder, "nonsense = 1"), Code::FamilyText);
    std::fs::write(folder.join("toy.onnx"), residual().bytes()).unwrap();
    refused(&write(&folder, &TIER.replace("71.5", "171.5")), Code::OutOfRange);
    refused(&write(&folder, &TIER.replace("\"paper\"", "\"rumour\"")), Code::BadReference);
}

#[test]
fn the_layout_is_that_of_the_catalogue() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../instances/data/families");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let dto: FamilyDto = serde_json::from_str(&text).unwrap();
        let printed = family_json(&dto).unwrap();
        // The wire type keeps maps sorted: compare lines without their order of keys.
        let shape = |s: &str| {
            let mut lines: Vec<String> = s.lines().map(|l| l.trim_end_matches(',').to_owned()).collect();
            lines.sort_unstable();
            lines
        };
        let (printed, text) = (shape(&printed), shape(&text));
        let differs = printed.iter().zip(&text).find(|(a, b)| a != b);
        assert_eq!((differs, printed.len()), (None, text.len()));
        seen += 1;
    }
    assert!(seen >= 12);
}
