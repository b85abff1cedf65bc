//! Outside bytes never panic a reader, and never take memory out of proportion.
//!
//! Deterministic: ChaCha chooses every mutation.
#![allow(clippy::panic)] // helpers of tests

mod common;
#[path = "common/random.rs"]
mod random;

use common::{catalog, here, read};
use ecomap_instances::format::catalog_v1::{FamilyDto, ProfileDto};
use ecomap_instances::format::instance_v1::InstanceDto;
use ecomap_instances::format::{Format, guess, read_any, read_document, result_v1, sniff_format};
use ecomap_instances::{Code, Issues, Seed, scenarios};
use rand::Rng;
use rand::seq::IndexedRandom;

/// Mutations of each seed document. Raise it for a long run.
fn rounds() -> u32 {
    std::env::var("ECOMAP_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(1500)
}

/// Peak resident memory of this process, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Every reader on the same bytes.
fn read_all(bytes: &[u8]) {
    for format in Format::ALL {
        if let Err(issues) = read_any(format, bytes, "x", catalog()) {
            assert!(!issues.list().is_empty() && issues.list().len() <= 100);
            assert!(!issues.to_string().chars().any(|c| c.is_control() && c != '\n'));
        }
    }
    let _ = guess(bytes);
    let _ = sniff_format(bytes);
    let _ = result_v1::read(bytes);
    let _ = read_document::<FamilyDto>(bytes).and_then(|dto| dto.lower());
    let _ = read_document::<ProfileDto>(bytes).and_then(|dto| dto.lower());
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    const TOKENS: [&[u8]; 18] = [
        b"1000000000",
        b"-1",
        b"1e999",
        b"NaN",
        b"null",
        b"18446744073709551616",
        b"0",
        b"{",
        b"[",
        b"]}",
        b"\"",
        b"\\u0000",
        b"\xff\xfe",
        b"\n",
        b" ",
        b",",
        b"1e-300",
        b"true",
    ];
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(0..12)).min(bytes.len());
        match rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
            2 => drop(bytes.drain(at..end)),
            3 => {
                let copy = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, copy));
            }
            4 => {
                // A whole number or word at once.
                let stop = bytes[at..]
                    .iter()
                    .position(|b| !b.is_ascii_alphanumeric())
                    .map_or(bytes.len(), |n| at + n);
                let token = TOKENS.choose(rng).copied().unwrap_or(b"0");
                drop(bytes.splice(at..stop, token.iter().copied()));
            }
            _ => {
                let token = TOKENS.choose(rng).copied().unwrap_or(b"0");
                drop(bytes.splice(at..at, token.iter().copied()));
            }
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let instance =
        serde_json::to_vec(&InstanceDto::raise(&random::instance(5))).unwrap_or_else(|e| panic!("{e}"));
    let mut profile = read(&here("data/profiles/host-cpu.json"));
    profile.retain(|b| *b != b'\n');
    let result = br#"{"format":"ecomap.result/v1","name":"x","solver":"s","status":"optimal","plan":{"tenants":[
        {"tenant":"t","served":true,"option":1}],"devices":[],"sites":[]},"certificate":{"primal_bound":1.5,
        "dual_bound":1,"gap":0.3,"termination":"gap_reached","nodes":3,"cuts":0,"seed":1,"versions":{"ecomap":"0"},
        "instance_hash":"00","method":"direct","checker":{"verdict":"pass","rows":[]}},"timings_ms":{"solve":3}}"#;
    vec![
        scenarios::embedded("tiny").unwrap_or_default().to_vec(),
        scenarios::embedded("campus").unwrap_or_default().to_vec(),
        instance,
        profile,
        result.to_vec(),
        b"2 2\n5 6\n1\n3 1 2\n2\n4 0 6\n-1.5 5 0\n".to_vec(),
        b"\n 2 1 1\n 9\n 1\n 7.50 3\n 2\n 8.00 4\n Solutions by  HEU\n 0 0 15.50".to_vec(),
        b" 2 3\n 1 2 3 4\n 5 6\n 7 8 9\n 10 11 0\n 20\n 30\n".to_vec(),
    ]
}

#[test]
fn mutated_documents_never_panic_a_reader() {
    for (stream, seed) in (0..).zip(seeds()) {
        let mut rng = Seed(0xEC0).rng(stream);
        for _ in 0..rounds() {
            let mut bytes = seed.clone();
            mutate(&mut bytes, &mut rng);
            read_all(&bytes);
        }
    }
    if let Some(peak) = peak_kib() {
        assert!(peak < 512 * 1024, "readers took {peak} KiB");
    }
}

#[test]
fn noise_never_panics_a_reader() {
    let mut rng = Seed(0xEC0).rng(100);
    for _ in 0..rounds() {
        let mut bytes = vec![0_u8; rng.random_range(0..200)];
        rng.fill(bytes.as_mut_slice());
        read_all(&bytes);
        for byte in &mut bytes {
            *byte = b"0123456789 \n.-eE{}[]\",:"[usize::from(*byte) % 23];
        }
        read_all(&bytes);
    }
}

fn codes(result: Result<impl Sized, Issues>) -> Vec<Code> {
    result.err().map(|issues| issues.list().iter().map(|i| i.code).collect()).unwrap_or_default()
}

#[test]
fn a_short_document_cannot_ask_for_much_memory() {
    let before = peak_kib();
    let text = |s: &str| s.as_bytes().to_vec();
    for (format, head, code) in [
        (Format::Mmkp, "1000000000 1\n1", Code::TooMany),
        (Format::Mmkp, "100000 10000\n1", Code::Truncated),
        (Format::Mmkp, "1 1\n1\n1000000000\n1 1", Code::TooMany),
        (Format::Mmkp, "1 1\n1\n19999999\n1 1", Code::Truncated),
        (Format::MmkpKhan, "1000000000 1 1\n1", Code::TooMany),
        (Format::MmkpKhan, "1 1000000000 1\n1", Code::TooMany),
        (Format::MmkpKhan, "100000 200 10000\n1", Code::Truncated),
        (Format::Gap, "1000000000 1000000000\n1", Code::TooMany),
        (Format::Gap, "200 100000\n1", Code::Truncated),
        (Format::Gap, "18446744073709551615 18446744073709551615\n1", Code::TooMany),
    ] {
        assert_eq!(codes(read_any(format, &text(head), "x", catalog())), [code], "{format} {head}");
    }
    let tiny = String::from_utf8_lossy(scenarios::embedded("tiny").unwrap_or_default()).into_owned();
    for (number, code) in [
        ("1000000000", Code::TooMany),
        ("18446744073709551615", Code::TooMany),
        ("18446744073709551616", Code::Shape),
        ("-1", Code::Shape),
        ("1.5", Code::Shape),
        ("1e9", Code::Shape),
        ("0", Code::OutOfRange),
    ] {
        let with = tiny.replacen(r#""id": "nano","#, &format!(r#""id": "nano", "count": {number},"#), 1);
        assert_ne!(with, tiny);
        assert_eq!(codes(read_any(Format::Scenario, with.as_bytes(), "x", catalog())), [code], "{number}");
    }
    let nested = "[".repeat(1_000_000);
    for format in [Format::Scenario, Format::Instance] {
        assert_eq!(codes(read_any(format, nested.as_bytes(), "x", catalog())), [Code::TooDeep]);
    }
    assert_eq!(codes(result_v1::read(nested.as_bytes())), [Code::TooDeep]);
    assert_eq!(codes(sniff_format(nested.as_bytes())), [Code::TooDeep]);
    if let (Some(before), Some(after)) = (before, peak_kib()) {
        assert!(after < before + 256 * 1024, "{before} KiB before, {after} KiB after");
    }
}

#[test]
fn many_boards_times_many_forbids_are_bounded() {
    let tenant = |n: usize| {
        format!(
            r#"{{"id":"t{n}","family":"resnet","origin":"s","rate_per_s":1,"slo":{{"quantile":"p50","latency_ms":9}},"forbid":{{"devices":["d-1"]}}}}"#
        )
    };
    let tenants: Vec<String> = (0..2500).map(tenant).collect();
    let text = format!(
        r#"{{"format":"ecomap.scenario/v1","name":"x","zones":[{{"id":"z","carbon_g_per_kwh":1}}],"sites":[{{"id":"s","zone":"z"}}],
        "devices":[{{"id":"d","site":"s","profile":"host-cpu","count":10000}}],"tenants":[{}]}}"#,
        tenants.join(",")
    );
    assert_eq!(codes(read_any(Format::Scenario, text.as_bytes(), "x", catalog())), [Code::TooMany]);
}
