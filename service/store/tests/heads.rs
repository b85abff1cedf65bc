//! Jobs without their documents, and the steps of their lives.

#![allow(clippy::unwrap_used)]

use ecomap_store::{Job, JobUse, Settings, Store, StoreError};
use jiff::Timestamp;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + seconds).unwrap()
}

fn job(id: &str, owner: &str) -> Job {
    Job {
        id: id.to_owned(),
        owner: owner.to_owned(),
        dedup: None,
        fingerprint: "f".to_owned(),
        priority: 1,
        request: "{\"é\":1}".to_owned(),
        state: "queued".to_owned(),
        best: None,
        created: at(0),
        changed: at(0),
        expires: at(10),
    }
}

fn store() -> Store {
    let store = Store::memory(&Settings::default()).unwrap();
    for (id, owner) in [("a-1", "a"), ("b-1", "b"), ("a-2", "a")] {
        store.write(move |tx| tx.add_job(&job(id, owner), at(0))).wait().unwrap();
    }
    store
}

fn used(store: &Store, owner: &'static str) -> JobUse {
    store.read(move |v| v.job_use(owner)).wait().unwrap()
}

#[test]
fn an_owner_sees_its_own_page_by_page() {
    let store = store();
    let page = |before| store.read(move |v| v.job_heads_of("a", before, 1)).wait().unwrap();
    let first = page(None);
    assert_eq!(first[0].id, "a-2");
    let second = page(Some(first[0].seq));
    assert_eq!((second.len(), second[0].id.as_str()), (1, "a-1"));
    assert_eq!(page(Some(second[0].seq)), []);
    assert_eq!(page(Some(u64::MAX)), first);
}

#[test]
fn bounds_count_bytes_and_what_has_not_ended() {
    let store = store();
    // The document has one letter of two bytes.
    assert_eq!(used(&store, "a"), JobUse { own: 2, open: 3, bytes: 24 });
    store.write(|tx| tx.end_job("a-1", "done", "{\"x\":2}", at(20), at(1))).wait().unwrap();
    assert_eq!(used(&store, "a"), JobUse { own: 1, open: 2, bytes: 8 + 8 + 9 });
    let ended = store.read(|v| v.job("a-1")).wait().unwrap().unwrap();
    assert_eq!((ended.request.as_str(), ended.best.as_deref()), ("{}", Some("{\"x\":2}")));
    assert_eq!(used(&store, "nobody").own, 0);
    let gone = store.write(|tx| tx.end_job("x", "done", "{}", at(20), at(1))).wait();
    assert!(matches!(gone, Err(StoreError::NotFound)));
}

#[test]
fn a_life_goes_one_way() {
    let store = store();
    let begin = |id: &'static str| store.write(move |tx| tx.begin_job(id, at(1))).wait().unwrap();
    let stop =
        |id: &'static str| store.write(move |tx| tx.stop_job(id, "cancelled", at(30), at(2))).wait().unwrap();
    let begun = begin("a-1").unwrap();
    assert_eq!((begun.state.as_str(), begun.attempts), ("running", 1));
    assert_eq!(begin("a-1").unwrap().attempts, 2, "taken up again");
    // Asked to end while it runs: it is still open, and stays so for whoever takes it up.
    assert_eq!(stop("a-1"), "ending");
    assert_eq!(begin("a-1").unwrap().state, "ending");
    let open: Vec<_> =
        store.read(|v| v.open_job_heads(10)).wait().unwrap().into_iter().map(|h| h.id).collect();
    assert_eq!(open, ["a-1", "b-1", "a-2"]);
    // Asked to end while it waits: it has ended, and nobody begins it.
    assert_eq!(stop("b-1"), "cancelled");
    assert_eq!(begin("b-1"), None);
    store.write(|tx| tx.end_job("a-1", "done", "{}", at(20), at(3))).wait().unwrap();
    assert_eq!(stop("a-1"), "done", "too late changes nothing");
    assert_eq!(begin("a-1"), None);
    assert_eq!(begin("x"), None);
    let expired = store.write(|tx| tx.expire_jobs(at(25))).wait().unwrap();
    assert_eq!(expired, 1, "the one that was cancelled is kept for longer");
}
