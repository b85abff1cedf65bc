//! A process that is killed while it writes: what it was told is stored is there afterwards.

#![allow(clippy::unwrap_used)]

use ecomap_store::{Event, Expect, Plan, Settings, Store};
use jiff::Timestamp;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

const CHILD: &str = "ECOMAP_STORE_CRASH_CHILD";

/// Kills of one run; more by `ECOMAP_KILLS`.
fn kills() -> u32 {
    std::env::var("ECOMAP_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(15)
}

#[test]
fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let mut told = 0_u64;
    for round in 0..kills() {
        // Another number of acknowledgements each time, with others under way.
        let wanted = told + 1 + u64::from(round * 7 % 23);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process_that_is_killed", "--ignored", "--nocapture"])
            .env(CHILD, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("ack ") {
                told = number.parse().unwrap();
                if told >= wanted {
                    break;
                }
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(told >= wanted, "the child ended by itself at {told} of {wanted}");
        verify(&path, told);
    }
}

fn verify(path: &Path, told: u64) {
    let direct = rusqlite::Connection::open(path).unwrap();
    let sound: String = direct.query_row("PRAGMA integrity_check", [], |r| r.get(0)).unwrap();
    assert_eq!(sound, "ok");
    drop(direct);
    let store = Store::open(path, &Settings::default()).unwrap();
    let fleet = store.read(|v| v.fleet("a")).wait().unwrap().unwrap();
    let uid = fleet.uid;
    let last = store.read(move |v| v.last_plan_number(uid)).wait().unwrap();
    assert!(last >= told, "plan {told} was acknowledged, {last} is the last one");
    let events = store.read(|v| v.events(Some("a"), 0, 1_000_000)).wait().unwrap();
    assert_eq!(events.len() as u64, last, "a plan and its event are one change");
    for (event, number) in events.iter().zip(1..) {
        assert_eq!((event.id, event.body.clone()), (number, format!("{number}")));
    }
    assert_eq!(fleet.state, Some(format!("{last}")));
}

#[test]
#[ignore = "runs until killed; `nothing_acknowledged_is_lost` starts it"]
fn the_process_that_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let store = Store::open(Path::new(&path), &Settings::default()).unwrap();
    let now = Timestamp::UNIX_EPOCH;
    let fleet = store.write(move |tx| tx.put_fleet("a", "{}", Expect::Any, now)).wait().unwrap().uid;
    let mut under_way = std::collections::VecDeque::new();
    let first = store.read(move |v| v.last_plan_number(fleet)).wait().unwrap() + 1;
    for number in first.. {
        let change = store.write(move |tx| {
            let plan = Plan {
                number,
                at: now,
                cause: "cap".to_owned(),
                version: 1,
                summary: "{}".to_owned(),
                result: "x".repeat(3_000),
            };
            tx.add_plan(fleet, &plan)?;
            tx.add_event(&Event::new(Some("a"), "plan", "", &number.to_string(), now))?;
            tx.set_state(fleet, &number.to_string())?;
            Ok(number)
        });
        under_way.push_back(change);
        if under_way.len() > 4 {
            let number = under_way.pop_front().unwrap().wait().unwrap();
            let mut out = std::io::stdout().lock();
            writeln!(out, "\nack {number}").unwrap();
            out.flush().unwrap();
        }
    }
}
