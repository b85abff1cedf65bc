//! `ecomap-executor repository`, and that generated models are what the catalogue says of them.
#![allow(clippy::unwrap_used, clippy::panic)] // tests

mod common;

use ecomap_executor::repository::synthetic::tiers;
use ecomap_executor::repository::{Bounds, Repository, RepositoryError};
use ecomap_graph::onnx::limits::Limits;
use ecomap_graph::{LayerGraph, Model, Options};
use ecomap_instances::Catalog;
use ecomap_instances::generate::Seed;
use std::process::{Command, Output};

fn executor(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ecomap-executor")).arg("repository").args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn generated_tiers_cost_what_the_catalogue_says() {
    let catalog = Catalog::embedded().unwrap();
    let chosen = ["resnet-18", "resnet-50", "mobilenet-v2-100", "mobilenet-v2-035"];
    for tier in tiers::all().into_iter().filter(|t| chosen.contains(&t.tier)) {
        let item = tier.make(None, Seed(1)).unwrap().unwrap();
        let model = Model::read(item.bytes, &Limits::default()).unwrap();
        let layers = LayerGraph::of(&model, &Options::default()).unwrap();
        let known =
            catalog.family(tier.family).unwrap().tiers.iter().find(|t| t.id.as_str() == tier.tier).unwrap();
        let flops: f64 = known.blocks.iter().map(|b| b.flops.get()).sum();
        let weights: f64 = known.blocks.iter().map(|b| b.weights.get()).sum();
        for (what, ours, theirs) in
            [("operations", layers.flops() as f64, flops), ("weights", layers.weight_bytes() as f64, weights)]
        {
            assert!((ours / theirs - 1.0).abs() < 0.01, "{}: {what} {ours} against {theirs}", tier.tier);
        }
        assert_eq!(layers.blocks(known.blocks.len()).len(), known.blocks.len(), "{}", tier.tier);
    }
}

#[test]
fn a_repository_is_made_extended_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("models");
    let at = root.to_str().unwrap();
    let made = executor(&["make", at, "--tier", "mobilenet-v2-035", "--seed", "5"]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(text(&made.stdout).contains("mobilenet-v2/mobilenet-v2-035: 8 blocks"), "{}", text(&made.stdout));
    let again = executor(&["make", at, "--tier", "mobilenet-v2-035"]);
    assert_eq!(again.status.code(), Some(2), "{}", text(&again.stderr));
    assert_eq!(executor(&["make", at, "--tier", "none"]).status.code(), Some(3));

    let model = folder.path().join("small.onnx");
    std::fs::write(&model, common::small(false, 1).encode()).unwrap();
    let model = model.to_str().unwrap();
    let added = executor(&["add", at, model, "--family", "small", "--tier", "one"]);
    assert!(added.status.success(), "{}", text(&added.stderr));
    assert_eq!(executor(&["add", at, model, "--family", "..", "--tier", "one"]).status.code(), Some(3));
    let checked = executor(&["check", at]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    let lines = text(&checked.stdout);
    assert!(lines.contains("mobilenet-v2/mobilenet-v2-035: fine, 8 blocks"), "{lines}");
    assert!(lines.contains("small/one: fine") && lines.contains("synthetic weights"), "{lines}");

    // The same seed gives the same bytes, and replacing a tier changes what it is.
    let repository = Repository::open(&root, Bounds::default()).unwrap();
    let before = repository.entry("small", "one").unwrap().sha256().to_owned();
    assert_eq!(before, ecomap_executor::repository::manifest::sha256(&common::small(false, 1).encode()));
    std::fs::write(model, common::small(false, 2).encode()).unwrap();
    assert!(executor(&["add", at, model, "--family", "small", "--tier", "one"]).status.success());
    let repository = Repository::open(&root, Bounds::default()).unwrap();
    assert_ne!(repository.entry("small", "one").unwrap().sha256(), before);
    assert!(repository.load("small", "one").is_ok());
    assert!(matches!(repository.load("small", "two"), Err(RepositoryError::Missing { .. })));

    let file = root.join("small/one/1/model.onnx");
    std::fs::write(file, b"changed").unwrap();
    let broken = executor(&["check", at]);
    assert_eq!(broken.status.code(), Some(3));
    assert!(text(&broken.stderr).contains("the manifest says"), "{}", text(&broken.stderr));
}
