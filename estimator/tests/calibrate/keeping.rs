//! Versions, files, bounded memory, determinism.

use crate::stream::{Stream, predicted};
use ecomap_estimator::EstimatorError;
use ecomap_estimator::calibrate::{Archive, Calibration, Event, Settings};
use ecomap_instances::units::Millis;
use rand::seq::SliceRandom;
use sha2::{Digest, Sha256};

fn learned(steps: usize) -> (Calibration, Vec<Stream>) {
    let mut calibration = Calibration::new(Settings::default()).unwrap();
    let mut streams = vec![Stream::new("a", "f", 1), Stream::new("a", "g", 2), Stream::new("b", "f", 3)];
    run(&mut calibration, &mut streams, steps);
    (calibration, streams)
}

fn run(calibration: &mut Calibration, streams: &mut [Stream], steps: usize) {
    for _ in 0..steps {
        for stream in streams.iter_mut() {
            calibration.observe(&stream.next()).unwrap();
        }
    }
}

fn bits(calibration: &Calibration, streams: &[Stream]) -> Vec<u64> {
    let ask = |s: &Stream| {
        let said = calibration.predict(&s.placed, &predicted(7.3)).unwrap();
        [said.p50, said.p95, said.p99].map(|q: Millis| q.get().to_bits())
    };
    streams.iter().flat_map(ask).collect()
}

#[test]
fn a_reloaded_calibration_goes_on_alike() {
    let (mut one, mut streams) = learned(700);
    let bytes = one.to_json().unwrap();
    let mut other = Calibration::from_json(&bytes).unwrap();
    assert_eq!(bits(&one, &streams), bits(&other, &streams));
    assert_eq!(bytes, other.to_json().unwrap());
    for _ in 0..200 {
        for stream in &mut streams {
            let new = stream.next();
            assert_eq!(one.observe(&new).unwrap(), other.observe(&new).unwrap());
        }
    }
    assert_eq!(one.to_json().unwrap(), other.to_json().unwrap());
}

#[test]
fn the_order_of_samples_has_no_part() {
    let (mut one, mut other) =
        (Calibration::new(Settings::default()).unwrap(), Calibration::new(Settings::default()).unwrap());
    let mut stream = Stream::new("d", "f", 1);
    for _ in 0..200 {
        let mut new = stream.next();
        one.observe(&new).unwrap();
        new.latencies.sample.shuffle(&mut stream.rng);
        other.observe(&new).unwrap();
    }
    assert_eq!(one.to_json().unwrap(), other.to_json().unwrap());
    let settings = Settings { seed: 2, ..Settings::default() };
    assert_ne!(Calibration::new(settings).unwrap().to_json().unwrap(), one.to_json().unwrap());
}

#[test]
fn rollback_restores_exactly() {
    let (mut calibration, mut streams) = learned(100);
    let first = calibration.checkpoint();
    let (text, answers) = (calibration.to_json().unwrap(), bits(&calibration, &streams));
    run(&mut calibration, &mut streams, 100);
    let second = calibration.checkpoint();
    run(&mut calibration, &mut streams, 50);
    assert_ne!(bits(&calibration, &streams), answers);
    calibration.rollback(first).unwrap();
    assert_eq!(bits(&calibration, &streams), answers);
    // All but the highest number given, which a rollback does not take back.
    let strip = |text: &[u8]| {
        let mut value: serde_json::Value = serde_json::from_slice(text).unwrap();
        value["body"]["newest"] = 0.into();
        value["sha256"] = 0.into();
        value
    };
    assert_eq!(strip(&calibration.to_json().unwrap()), strip(&text));
    assert_eq!(calibration.checkpoint(), second + 1);
    calibration.rollback(0).unwrap();
    assert_eq!((calibration.observations(), calibration.version()), (0, 0));
    assert!(matches!(calibration.rollback(99), Err(EstimatorError::NoVersion(99))));
}

#[test]
fn versions_kept_are_bounded() {
    let mut calibration = Calibration::new(Settings { keep: 3, ..Settings::default() }).unwrap();
    (0..10).for_each(|_| {
        calibration.checkpoint();
    });
    assert_eq!(calibration.versions().collect::<Vec<_>>(), [8, 9, 10]);
    assert!(calibration.rollback(7).is_err());
}

#[test]
fn keys_are_bounded_and_the_oldest_go_first() {
    let settings = Settings { max_keys: 16, ..Settings::default() };
    let mut calibration = Calibration::new(settings).unwrap();
    let mut forgotten = Vec::new();
    for k in 0..200 {
        let mut stream = Stream::new(&format!("d{k}"), "f", k);
        for event in calibration.observe(&stream.next()).unwrap() {
            if let Event::Forgotten(_, path) = event {
                forgotten.push(path.join("/"));
            }
        }
    }
    assert_eq!(forgotten.first().map(String::as_str), Some("jetson-agx-orin/d0/gpu/f"));
    let text = calibration.to_json().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(value["body"]["latency"].as_array().unwrap().len(), 16);
    assert!(Calibration::from_json(&text).is_ok());
}

#[test]
fn damaged_files_are_typed_errors() {
    let (calibration, _) = learned(12);
    let bytes = calibration.to_json().unwrap();
    let read = Calibration::from_json;
    for at in (0..bytes.len()).step_by(7) {
        assert!(matches!(read(&bytes[..at]), Err(EstimatorError::CalibrationFile(_))), "cut at {at}");
        let mut broken = bytes.clone();
        broken[at] = if broken[at] == b'1' { b'2' } else { b'1' };
        match read(&broken) {
            // The last digit of a number may not matter: then nothing was damaged.
            Ok(same) => assert_eq!(same.to_json().unwrap(), bytes, "byte {at}"),
            Err(EstimatorError::CalibrationFile(_) | EstimatorError::Settings { .. }) => {}
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn sealed_nonsense_is_refused_too() {
    let (calibration, _) = learned(60);
    let text = String::from_utf8(calibration.to_json().unwrap()).unwrap();
    let reseal = |text: &str| {
        let body = text.split_once("\"body\":").unwrap().1.strip_suffix('}').unwrap();
        let hash: String = Sha256::digest(body).iter().map(|b| format!("{b:02x}")).collect();
        format!("{{\"format\":\"ecomap.calibration/v1\",\"sha256\":\"{hash}\",\"body\":{body}}}")
    };
    assert!(Calibration::from_json(reseal(&text).as_bytes()).is_ok(), "the seal is made right");
    for (from, to) in [
        ("\"n\":", "\"n\":-"),
        ("\"seen\":", "\"seen\":9"),
        ("\"windows\":[[", "\"windows\":[[1e30,"),
        ("\"windows\":[[", "\"windows\":[[],["),
        ("\"rates\":[", "\"rates\":[7,"),
        ("\"rates\":[0", "\"rates\":[-900"),
        ("\"reference\":[", "\"reference\":[null,"),
        ("\"left\":", "\"left\":9"),
        ("\"recent\":[", "\"recent\":[1,2,3,4,5,6,7,8,"),
        ("\"path\":[]", "\"path\":[\"x y\"]"),
        ("\"path\":[]", "\"path\":[\"jetson-agx-orin\"]"),
        ("\"sequence\":", "\"sequence\":-"),
        ("\"newest\":0,\"version\":0", "\"newest\":0,\"version\":5"),
        ("\"window\":512", "\"window\":5"),
        ("\"up\":[", "\"up\":[-"),
    ] {
        assert!(text.contains(from), "{from}");
        let broken = reseal(&text.replacen(from, to, 1));
        assert!(
            matches!(
                Calibration::from_json(broken.as_bytes()),
                Err(EstimatorError::CalibrationFile(_) | EstimatorError::Settings { .. })
            ),
            "{from} -> {to}"
        );
    }
}

#[test]
fn an_archive_keeps_the_latest_versions() {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::new(folder.path(), 2);
    assert!(archive.load_latest().unwrap().is_none());
    let (mut calibration, mut streams) = learned(30);
    let mut answers = Vec::new();
    for _ in 0..3 {
        archive.save(&mut calibration).unwrap();
        answers.push(bits(&calibration, &streams));
        run(&mut calibration, &mut streams, 10);
    }
    assert_eq!(archive.versions().unwrap(), [2, 3]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "no temporary file stays");
    assert_eq!(bits(&archive.load_latest().unwrap().unwrap(), &streams), answers[2]);
    assert!(matches!(archive.load(1), Err(EstimatorError::NoVersion(1))));
    // Going back on disk: an old version saved again is the latest, under a number of its own.
    let mut old = archive.load(2).unwrap();
    assert_eq!(bits(&old, &streams), answers[1]);
    assert_eq!(archive.save(&mut old).unwrap(), 4);
    assert_eq!(bits(&archive.load_latest().unwrap().unwrap(), &streams), answers[1]);
    std::fs::write(folder.path().join(format!("calibration-{:020}.json", 4)), b"{").unwrap();
    assert!(matches!(archive.load_latest(), Err(EstimatorError::CalibrationFile(_))));
    assert!(archive.load(3).is_ok());
}
