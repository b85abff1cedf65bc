//! The store through its public face, on a file and in memory.

#![allow(clippy::unwrap_used, clippy::panic)]

use ecomap_store::{Calibration, Event, Expect, Job, Plan, Sample, Settings, Store, StoreError, Telemetry};
use jiff::Timestamp;
use std::sync::mpsc;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn both(settings: &Settings, check: impl Fn(&Store)) {
    let folder = tempfile::tempdir().unwrap();
    check(&Store::open(&folder.path().join("deep/store.db"), settings).unwrap());
    check(&Store::memory(settings).unwrap());
}

fn plan(number: u64) -> Plan {
    Plan {
        number,
        at: at(i64::try_from(number).unwrap()),
        cause: "cap".to_owned(),
        version: 1,
        summary: format!("{{\"number\":{number}}}"),
        result: "{}".to_owned(),
    }
}

fn job(id: &str, dedup: Option<&str>) -> Job {
    Job {
        id: id.to_owned(),
        owner: "somebody".to_owned(),
        dedup: dedup.map(str::to_owned),
        fingerprint: "f".to_owned(),
        priority: 0,
        request: "{}".to_owned(),
        state: "queued".to_owned(),
        best: None,
        created: at(0),
        changed: at(0),
        expires: at(60),
    }
}

#[test]
fn what_boards_taught_is_kept_with_its_fleet() {
    both(&Settings::default(), |store| {
        let fleet = store.write(|tx| tx.put_fleet("a", "{}", Expect::Absent, at(0))).wait().unwrap();
        let uid = fleet.uid;
        let read = || store.read(move |v| v.calibration(uid)).wait().unwrap();
        assert_eq!(read(), None);
        let first = Calibration { at: at(1), learnt: vec![0, 255, 7], used: None };
        let second = Calibration { at: at(2), learnt: vec![1], used: Some(vec![2, 0]) };
        for row in [first, second] {
            let written = row.clone();
            store.write(move |tx| tx.set_calibration(uid, &written)).wait().unwrap();
            assert_eq!(read(), Some(row));
        }
        let orphan = Calibration { at: at(3), learnt: Vec::new(), used: None };
        assert!(store.write(move |tx| tx.set_calibration(uid + 1, &orphan)).wait().is_err());
        store.write(|tx| tx.delete_fleet("a", Expect::Any)).wait().unwrap();
        assert_eq!(read(), None);
    });
}

#[test]
fn fleets_change_only_as_expected_and_are_never_mistaken_for_another() {
    both(&Settings { fleets: 2, ..Settings::default() }, |store| {
        let put = |id: &'static str, document: &'static str, expect| {
            store.write(move |tx| tx.put_fleet(id, document, expect, at(0))).wait()
        };
        let first = put("a", "{}", Expect::Absent).unwrap();
        assert_eq!((first.version, first.document.as_str()), (1, "{}"));
        assert!(matches!(put("a", "{}", Expect::Absent), Err(StoreError::Conflict)));
        assert!(matches!(put("b", "{}", Expect::Present), Err(StoreError::Conflict)));
        let second = put("a", "{\"b\":1}", Expect::Version(first.uid, 1)).unwrap();
        assert_eq!((second.uid, second.version), (first.uid, 2));
        assert!(matches!(put("a", "{}", Expect::Version(first.uid, 1)), Err(StoreError::Conflict)));
        put("b", "{}", Expect::Any).unwrap();
        assert!(matches!(put("c", "{}", Expect::Any), Err(StoreError::Full(2))));
        store.write(move |tx| tx.set_state(first.uid, "{\"at\":1}")).wait().unwrap();
        let read = store.read(|v| v.fleet("a")).wait().unwrap().unwrap();
        assert_eq!(read.state.as_deref(), Some("{\"at\":1}"));
        let fleets = store.read(|v| v.fleets()).wait().unwrap();
        assert_eq!(fleets.iter().map(|f| f.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);

        store.write(move |tx| tx.add_plan(first.uid, &plan(1))).wait().unwrap();
        store.write(|tx| tx.delete_fleet("a", Expect::Any)).wait().unwrap();
        assert!(matches!(
            store.write(|tx| tx.delete_fleet("a", Expect::Any)).wait(),
            Err(StoreError::NotFound)
        ));
        assert!(matches!(
            store.write(move |tx| tx.set_state(first.uid, "{}")).wait(),
            Err(StoreError::NotFound)
        ));
        let again = put("a", "{}", Expect::Absent).unwrap();
        assert!(again.uid > first.uid, "a uid is never used twice");
        assert_eq!(store.read(move |v| v.last_plan_number(again.uid)).wait().unwrap(), 0);
        assert_eq!(store.read(move |v| v.last_plan_number(first.uid)).wait().unwrap(), 0);
    });
}

#[test]
fn plans_are_numbered_without_a_hole_and_the_oldest_go() {
    both(&Settings { plans: 5, ..Settings::default() }, |store| {
        let fleet = store.write(|tx| tx.put_fleet("a", "{}", Expect::Any, at(0))).wait().unwrap().uid;
        for number in 1..=12 {
            store.write(move |tx| tx.add_plan(fleet, &plan(number))).wait().unwrap();
        }
        for number in [12, 14] {
            let refused = store.write(move |tx| tx.add_plan(fleet, &plan(number))).wait();
            assert!(matches!(refused, Err(StoreError::Conflict)), "{number}");
        }
        let lost = store.write(move |tx| tx.add_plan(fleet + 1, &plan(1))).wait();
        assert!(matches!(lost, Err(StoreError::NotFound)), "{lost:?}");
        let numbers = |before, most| {
            let plans = store.read(move |v| v.plans(fleet, before, most)).wait().unwrap();
            plans.iter().map(|p| p.number).collect::<Vec<_>>()
        };
        assert_eq!(numbers(None, 100), [12, 11, 10, 9, 8]);
        assert_eq!(numbers(Some(11), 2), [10, 9]);
        assert_eq!(store.read(move |v| v.plan(fleet, 9)).wait().unwrap(), Some(plan(9)));
        assert_eq!(store.read(move |v| v.plan(fleet, 7)).wait().unwrap(), None);
        assert_eq!(store.read(move |v| v.last_plan(fleet)).wait().unwrap(), Some(plan(12)));
    });
}

#[test]
fn events_turns_and_telemetry_come_back_in_order_within_their_bounds() {
    both(&Settings { events: 10, turns: 10, telemetry: 10, ..Settings::default() }, |store| {
        let fleet = store.write(|tx| tx.put_fleet("a", "{}", Expect::Any, at(0))).wait().unwrap().uid;
        let mut last = 0;
        for n in 0..25_i64 {
            let event = Event::new((n % 2 == 0).then_some("a"), "cap", "why", &format!("{n}"), at(n));
            let id = store.write(move |tx| tx.add_event(&event)).wait().unwrap();
            assert!(id > last);
            last = id;
            store.write(move |tx| tx.add_turn(fleet, at(n), &format!("{n}"))).wait().unwrap();
            let report = Telemetry {
                id: 0,
                fleet: Some("a".to_owned()),
                device: Some(format!("d{}", n % 2)),
                at: at(n),
                body: format!("{n}"),
            };
            store.write(move |tx| tx.add_telemetry(&report)).wait().unwrap();
        }
        let bodies = |events: Vec<Event>| events.into_iter().map(|e| e.body).collect::<Vec<_>>();
        let all = store.read(|v| v.events(None, 0, 100)).wait().unwrap();
        assert_eq!(all.len(), 10);
        assert_eq!(store.read(|v| v.event_range()).wait().unwrap(), (last - 9, last));
        let after = all[6].id;
        assert_eq!(
            bodies(store.read(move |v| v.events(Some("a"), after, 100)).wait().unwrap()),
            ["22", "24"]
        );
        assert_eq!(bodies(store.read(|v| v.last_events("a", 2)).wait().unwrap()), ["22", "24"]);
        let turns = store.read(move |v| v.turns(fleet, 0, 3)).wait().unwrap();
        assert_eq!(
            turns.iter().map(|t| (t.number, t.at)).collect::<Vec<_>>(),
            [(16, at(15)), (17, at(16)), (18, at(17))]
        );
        let turns = store.read(move |v| v.last_turns(fleet, 2)).wait().unwrap();
        assert_eq!(turns.iter().map(|t| t.body.as_str()).collect::<Vec<_>>(), ["23", "24"]);
        let rows = store.read(|v| v.telemetry("a", Some("d1"), 0, 2)).wait().unwrap();
        assert_eq!(rows.iter().map(|t| t.body.as_str()).collect::<Vec<_>>(), ["15", "17"]);
        assert_eq!(store.read(|v| v.telemetry("a", None, 0, 100)).wait().unwrap().len(), 10);
    });
}

#[test]
fn a_sample_replaces_the_one_it_revises() {
    both(&Settings { samples: 3, ..Settings::default() }, |store| {
        let fleet = store.write(|tx| tx.put_fleet("a", "{}", Expect::Any, at(0))).wait().unwrap().uid;
        let sample = |hour: i64, grams: f64| Sample {
            zone: "DE".to_owned(),
            source: "manual".to_owned(),
            kind: "observed".to_owned(),
            signal: "average".to_owned(),
            from: at(3_600 * hour),
            to: at(3_600 * (hour + 1)),
            grams_per_kwh: grams,
            estimated: grams > 300.0,
            issued: at(0),
            received: at(1),
        };
        let add =
            |samples: Vec<Sample>| store.write(move |tx| tx.add_samples(fleet, &samples)).wait().unwrap();
        add(vec![sample(0, 100.0), sample(1, 200.0)]);
        add(vec![sample(1, 350.5)]);
        let all = || store.read(move |v| v.samples(fleet, at(0), 100)).wait().unwrap();
        assert_eq!(all(), [sample(0, 100.0), sample(1, 350.5)]);
        assert_eq!(store.read(move |v| v.samples(fleet, at(3_600), 100)).wait().unwrap(), [sample(1, 350.5)]);
        add((2..6).map(|h| sample(h, 1.0)).collect());
        assert_eq!(all(), [sample(3, 1.0), sample(4, 1.0), sample(5, 1.0)]);
    });
}

#[test]
fn jobs_are_asked_once_and_ended_ones_expire() {
    both(&Settings { jobs: 2, ..Settings::default() }, |store| {
        let add = |job: Job, now: i64| store.write(move |tx| tx.add_job(&job, at(now))).wait();
        add(job("j1", Some("k")), 0).unwrap();
        assert!(matches!(add(job("j2", Some("k")), 0), Err(StoreError::Conflict)), "same owner and key");
        assert!(matches!(add(job("j1", None), 0), Err(StoreError::Conflict)), "same id");
        add(Job { priority: 5, ..job("j3", None) }, 0).unwrap();
        assert!(matches!(add(job("j4", None), 1_000), Err(StoreError::Full(2))), "open jobs do not expire");
        assert_eq!(store.read(|v| v.job_of("somebody", "k")).wait().unwrap(), Some(job("j1", Some("k"))));
        assert_eq!(store.read(|v| v.job_of("nobody", "k")).wait().unwrap(), None);
        let open =
            || store.read(|v| v.open_jobs(10)).wait().unwrap().into_iter().map(|j| j.id).collect::<Vec<_>>();
        assert_eq!(open(), ["j3", "j1"]);
        let update = |state: &'static str, best: Option<&'static str>| {
            store.write(move |tx| tx.update_job("j1", state, best, at(90), at(5))).wait().unwrap();
        };
        update("running", Some("{\"v\":1}"));
        update("done", None);
        let done = store.read(|v| v.job("j1")).wait().unwrap().unwrap();
        assert_eq!(
            (done.state.as_str(), done.best.as_deref(), done.changed),
            ("done", Some("{\"v\":1}"), at(5))
        );
        assert_eq!(open(), ["j3"]);
        add(job("j4", Some("k")), 91).unwrap();
        assert_eq!(store.read(|v| v.job("j1")).wait().unwrap(), None, "expired");
        store.write(|tx| tx.delete_job("j4")).wait().unwrap();
        assert!(matches!(store.write(|tx| tx.delete_job("j4")).wait(), Err(StoreError::NotFound)));
    });
}

#[test]
fn a_change_that_fails_leaves_nothing_and_harms_no_neighbour() {
    both(&Settings::default(), |store| {
        // The writing thread is held until all three wait, so that they share a transaction.
        let (go, wait) = mpsc::channel::<()>();
        let held = store.write(move |_| wait.recv().map_err(|_| StoreError::Closed));
        let add = |kind: &str| Event::new(None, kind, "", "{}", at(0));
        let (one, two, three) = (add("one"), add("two"), add("three"));
        let first = store.write(move |tx| tx.add_event(&one));
        let failed = store.write(move |tx| {
            tx.add_event(&two)?;
            Err::<u64, _>(StoreError::NotFound)
        });
        let panicked = store.write(|tx| -> Result<(), StoreError> {
            tx.add_event(&Event::new(None, "four", "", "{}", at(0)))?;
            panic!("a bug")
        });
        let last = store.write(move |tx| tx.add_event(&three));
        go.send(()).unwrap();
        held.wait().unwrap();
        first.wait().unwrap();
        assert!(matches!(failed.wait(), Err(StoreError::NotFound)));
        assert!(matches!(panicked.wait(), Err(StoreError::Closed)));
        last.wait().unwrap();
        let kinds = store.read(|v| v.events(None, 0, 10)).wait().unwrap();
        assert_eq!(kinds.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>(), ["one", "three"]);
    });
}

#[test]
fn a_full_queue_is_said_at_once() {
    let store = Store::memory(&Settings { write_queue: 1, ..Settings::default() }).unwrap();
    let (go, wait) = mpsc::channel::<()>();
    let (begun, begins) = mpsc::channel();
    let held = store.write(move |_| {
        begun.send(()).map_err(|_| StoreError::Closed)?;
        wait.recv().map_err(|_| StoreError::Closed)
    });
    begins.recv().unwrap();
    let queued = store.write(|_| Ok(()));
    assert!(matches!(store.write(|_| Ok(())).wait(), Err(StoreError::Busy)));
    go.send(()).unwrap();
    held.wait().unwrap();
    queued.wait().unwrap();
    store.write(|_| Ok(())).wait().unwrap();
}

#[test]
fn what_is_no_store_of_ours_or_a_later_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    {
        let store = Store::open(&path, &Settings::default()).unwrap();
        let twice = Store::open(&path, &Settings::default());
        assert!(matches!(twice, Err(StoreError::Locked(_))), "{twice:?}");
        assert_eq!(store.path(), Some(path.as_path()));
    }
    let direct = rusqlite::Connection::open(&path).unwrap();
    direct.pragma_update(None, "user_version", 9_999).unwrap();
    drop(direct);
    let newer = Store::open(&path, &Settings::default()).unwrap_err();
    assert!(matches!(newer, StoreError::Newer { found: 9_999, .. }), "{newer}");

    let other = folder.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(matches!(Store::open(&other, &Settings::default()), Err(StoreError::Foreign(_))));
    let text = folder.path().join("text.db");
    std::fs::write(&text, "not a database, but long enough to be looked at as one".repeat(10)).unwrap();
    assert!(matches!(Store::open(&text, &Settings::default()), Err(StoreError::Sqlite(_))));
}

#[test]
fn a_store_opened_again_has_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    for n in 0..3_u64 {
        let store = Store::open(&path, &Settings::default()).unwrap();
        assert_eq!(store.read(|v| v.event_range()).wait().unwrap().1, n);
        let event = Event::new(None, "again", "", "{}", at(0));
        assert_eq!(store.write(move |tx| tx.add_event(&event)).wait().unwrap(), n + 1);
    }
    assert!(!folder.path().join("store.db-wal").exists(), "closed tidily");
}
