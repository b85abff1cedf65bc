//! One plan, all boards or none.

use crate::node::{Log, Node, Trick, Tricky, draw, orders, task};
use ecomap_dispatch::dispatcher::DispatchError;
use ecomap_dispatch::{Board, Dispatcher, Exclusion, Outcome, Pace};
use ecomap_instances::format::agent_v1::RenewDto;
use std::sync::Arc;
use std::time::Duration;

/// Limits that a loaded machine keeps, and that a test of what is never answered can wait for.
pub(crate) const PACE: Pace = Pace {
    prepare: Duration::from_secs(20),
    commit: Duration::from_secs(2),
    ask: Duration::from_secs(20),
    retry: Duration::from_millis(5),
};

pub(crate) async fn fleet(log: &Log) -> Vec<Arc<Node>> {
    let mut nodes = Vec::new();
    for name in ["a", "b", "c"] {
        nodes.push(Node::new(name, log).await);
    }
    nodes
}

pub(crate) fn boards(nodes: &[Arc<Node>], modes: [Option<&str>; 3]) -> Vec<Board> {
    nodes.iter().zip(modes).map(|(node, mode)| node.board(mode.map(draw))).collect()
}

fn plan(version: u64, modes: [&str; 3]) -> Vec<ecomap_instances::format::orders_v1::OrdersDto> {
    ["a", "b", "c"].iter().zip(modes).map(|(device, mode)| orders(version, device, mode)).collect()
}

async fn begin(log: &Log, modes: [&str; 3]) -> Vec<Arc<Node>> {
    let nodes = fleet(log).await;
    let outcome = Dispatcher::new(PACE).dispatch(&plan(1, modes), &boards(&nodes, [None; 3])).await.unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    log.lock().unwrap().clear();
    nodes
}

async fn all_run(nodes: &[Arc<Node>], version: u64) {
    for node in nodes {
        let status = node.until(|s| s.running == Some(version) && s.prepared.is_none()).await;
        assert_eq!(node.runtime().running().map(|v| v.0), Some(version), "{status:?}");
    }
}

#[tokio::test]
async fn all_boards_run_the_plan() {
    let log = Log::default();
    let nodes = fleet(&log).await;
    let boards = boards(&nodes, [None; 3]);
    let dispatcher = Dispatcher::new(PACE);
    let Outcome::Committed { boards: done, .. } =
        dispatcher.dispatch(&plan(7, ["15W", "MAXN", "10W"]), &boards).await.unwrap()
    else {
        panic!("not committed")
    };
    let modes: Vec<_> =
        done.iter().map(|d| (d.device.as_str(), d.committed.mode.as_deref().unwrap())).collect();
    assert_eq!(modes, [("a", "15W"), ("b", "MAXN"), ("c", "10W")]);
    all_run(&nodes, 7).await;
    assert_eq!(dispatcher.highest(&boards).await, 7);
}

#[tokio::test]
async fn boards_that_fall_switch_before_boards_that_rise() {
    let log = Log::default();
    let (old, new) = (["MAXN", "15W", "10W"], ["10W", "15W", "MAXN"]);
    let nodes = begin(&log, old).await;
    let dispatcher = Dispatcher::new(PACE);
    dispatcher.dispatch(&plan(2, new), &boards(&nodes, old.map(Some))).await.unwrap();
    all_run(&nodes, 2).await;
    let changes = std::mem::take(&mut *log.lock().unwrap());
    let most = old.map(draw).iter().sum::<f64>().max(new.map(draw).iter().sum());
    let mut now = old.map(draw);
    for (device, mode) in &changes {
        now["abc".find(device.as_str()).unwrap()] = draw(mode);
        assert!(now.iter().sum::<f64>() <= most + 1e-9, "{changes:?}");
    }
    let place = |device: &str, mode: &str| changes.iter().position(|c| c.0 == device && c.1 == mode).unwrap();
    assert!(place("a", "10W") < place("c", "MAXN"));
}

#[tokio::test]
async fn one_refusal_rolls_all_back_and_names_the_option() {
    let log = Log::default();
    let nodes = begin(&log, ["15W"; 3]).await;
    let dispatcher = Dispatcher::new(PACE);
    let boards = boards(&nodes, [Some("15W"); 3]);
    let mut bad = plan(2, ["MAXN"; 3]);
    bad[1].tasks.push(task("extra", 1));
    bad[1].tasks[1].segments[0].unit = "npu".to_owned();
    let outcome = dispatcher.dispatch(&bad, &boards).await.unwrap();
    let Outcome::RolledBack { refused, lost } = outcome else { panic!("{outcome:?}") };
    assert!(lost.is_empty());
    let [refusal] = &refused[..] else { panic!("{refused:?}") };
    assert_eq!((refusal.device.as_str(), refusal.problem.code.as_str()), ("b", "E1761"));
    let task = &bad[1].tasks[1];
    let expected = Exclusion::Option {
        device: "b".to_owned(),
        mode: Some("MAXN".to_owned()),
        tenant: "extra".to_owned(),
        family: "resnet".to_owned(),
        tier: task.tier.clone(),
        segments: task.segments.clone(),
    };
    assert_eq!(refusal.exclude, [expected]);
    all_run(&nodes, 1).await;
    assert!(log.lock().unwrap().is_empty(), "no power mode was touched");
    // Solved anew without it.
    let outcome = dispatcher.dispatch(&plan(3, ["MAXN"; 3]), &boards).await.unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    all_run(&nodes, 3).await;
}

#[tokio::test]
async fn a_slow_board_is_lost_and_the_others_go_on_as_before() {
    let log = Log::default();
    let nodes = begin(&log, ["15W"; 3]).await;
    nodes[2].set_open(false);
    let hasty = Dispatcher::new(Pace { prepare: Duration::from_millis(300), ..PACE });
    let outcome = hasty.dispatch(&plan(2, ["MAXN"; 3]), &boards(&nodes, [Some("15W"); 3])).await.unwrap();
    let Outcome::RolledBack { refused, lost } = outcome else { panic!("{outcome:?}") };
    // On a busy machine the others may have been too slow as well.
    assert!(refused.is_empty());
    assert!(lost.iter().any(|l| l.device == "c" && l.may_draw_w == Some(draw("15W"))), "{lost:?}");
    nodes[2].set_open(true);
    all_run(&nodes, 1).await;
    let patient = Dispatcher::new(PACE);
    let outcome = patient.dispatch(&plan(3, ["MAXN"; 3]), &boards(&nodes, [Some("15W"); 3])).await.unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}

#[tokio::test]
async fn an_answer_that_is_lost_is_asked_for_again() {
    let log = Log::default();
    let nodes = begin(&log, ["15W"; 3]).await;
    let mut boards = boards(&nodes, [Some("15W"); 3]);
    boards[0].link = Tricky::link(nodes[0].link(), Trick::LoseCommits(2));
    let outcome = Dispatcher::new(PACE).dispatch(&plan(2, ["10W"; 3]), &boards).await.unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    all_run(&nodes, 2).await;
}

#[tokio::test]
async fn a_board_cut_off_between_the_phases_keeps_all_others_from_rising() {
    let log = Log::default();
    let nodes = begin(&log, ["MAXN", "MAXN", "10W"]).await;
    let mut boards = boards(&nodes, [Some("MAXN"), Some("MAXN"), Some("10W")]);
    boards[0].link = Tricky::link(nodes[0].link(), Trick::CutAfterPrepare);
    let outcome = Dispatcher::new(PACE).dispatch(&plan(2, ["10W", "10W", "MAXN"]), &boards).await.unwrap();
    let Outcome::Partial { committed, kept, failed } = outcome else { panic!("{outcome:?}") };
    assert_eq!(committed.iter().map(|d| d.device.as_str()).collect::<Vec<_>>(), ["b"]);
    assert_eq!(kept, ["c"]);
    let [failed] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!((failed.device.as_str(), failed.switched, failed.may_draw_w), ("a", None, Some(draw("MAXN"))));
    assert_eq!(failed.exclude, [Exclusion::Board { device: "a".to_owned() }]);
    let status = nodes[2].until(|s| s.prepared.is_none()).await;
    assert_eq!((status.running, status.mode.as_deref()), (Some(1), Some("10W")));
    // The board itself is well; the next plan reaches it and puts an end to the mixture.
    let links = crate::dispatch::boards(&nodes, [None, Some("10W"), Some("10W")]);
    let outcome = Dispatcher::new(PACE).dispatch(&plan(3, ["10W", "10W", "MAXN"]), &links).await.unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    all_run(&nodes, 3).await;
}

#[tokio::test]
async fn a_power_mode_that_a_board_lacks_is_left_out_next_time() {
    let log = Log::default();
    let nodes = begin(&log, ["15W"; 3]).await;
    let mut bad = plan(2, ["15W"; 3]);
    bad[0].mode = Some("TURBO".to_owned());
    let outcome = Dispatcher::new(PACE).dispatch(&bad, &boards(&nodes, [None; 3])).await.unwrap();
    let Outcome::RolledBack { refused, .. } = outcome else { panic!("{outcome:?}") };
    let expected = Exclusion::Mode { device: "a".to_owned(), mode: "TURBO".to_owned() };
    assert_eq!(refused[0].exclude, [expected]);
}

#[tokio::test]
async fn budgets_are_renewed_where_boards_answer() {
    let log = Log::default();
    let nodes = begin(&log, ["15W"; 3]).await;
    nodes[1].kill();
    let boards = boards(&nodes, [Some("15W"); 3]);
    let dispatcher = Dispatcher::new(PACE);
    let lost = dispatcher.renew(&boards, &RenewDto { renewal: 5, lease_s: 60 }).await;
    assert_eq!(lost.iter().map(|l| l.device.as_str()).collect::<Vec<_>>(), ["b"]);
    nodes[0].until(|s| s.renewal == 5 && s.lease_left_s.is_some()).await;
    let stale = dispatcher.renew(&boards[..1], &RenewDto { renewal: 5, lease_s: 60 }).await;
    assert!(stale[0].reason.starts_with("E1762"), "{stale:?}");
}

#[tokio::test]
async fn plans_that_do_not_match_the_boards_are_not_sent() {
    let log = Log::default();
    let nodes = fleet(&log).await;
    let boards = boards(&nodes, [None; 3]);
    let dispatcher = Dispatcher::new(PACE);
    let full = plan(1, ["15W"; 3]);
    let missing = dispatcher.dispatch(&full[..2], &boards).await;
    assert_eq!(missing, Err(DispatchError::NoOrders("c".to_owned())));
    let stray = dispatcher.dispatch(&full, &boards[..2]).await;
    assert_eq!(stray, Err(DispatchError::NoBoard("c".to_owned())));
    let mut mixed = full.clone();
    mixed[0].version = 2;
    assert_eq!(dispatcher.dispatch(&mixed, &boards).await, Err(DispatchError::Versions));
    assert_eq!(dispatcher.highest(&boards).await, 0);
}
