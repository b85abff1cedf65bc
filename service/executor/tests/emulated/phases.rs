//! Plans come in two phases, and messages in any order.

use crate::rig::{Rig, orders, task};
use ecomap_executor::agent::Limits;
use ecomap_instances::Code;
use std::time::Duration;

#[tokio::test]
async fn prepared_then_committed() {
    let rig = Rig::new();
    let answer = rig.prepare(&orders(1, "15W")).await.unwrap();
    assert_eq!((answer.version, answer.digest.len()), (1, 64));
    let status = rig.until(|s| s.prepared == Some(1)).await;
    assert_eq!((status.running, status.highest), (None, 1));
    assert_eq!(rig.emulated.runtime().running(), None, "nothing is switched yet");
    let done = rig.handle().commit(1).await.unwrap();
    assert_eq!((done.version, done.replaced, done.mode.as_deref()), (1, None, Some("15W")));
    let status = rig.until(|s| s.running == Some(1)).await;
    assert_eq!((status.prepared, status.safe), (None, false));
    assert_eq!(rig.emulated.runtime().tenants(), ["cam".into()]);
    let done = rig.run(&orders(4, "MAXN")).await.unwrap();
    assert_eq!(done.replaced, Some(1));
}

#[tokio::test]
async fn an_abort_leaves_the_running_plan() {
    let rig = Rig::new();
    rig.run(&orders(1, "15W")).await.unwrap();
    rig.prepare(&orders(2, "MAXN")).await.unwrap();
    rig.handle().abort(2).await.unwrap();
    rig.handle().abort(2).await.unwrap();
    assert_eq!(rig.handle().commit(2).await.unwrap_err().code, Code::AgentNotPrepared);
    let status = rig.until(|s| s.highest == 2).await;
    assert_eq!((status.running, status.mode.as_deref()), (Some(1), Some("15W")));
    assert_eq!(rig.handle().abort(1).await.unwrap_err().code, Code::AgentRunning);
    // An abort that overtakes its prepare.
    rig.handle().abort(7).await.unwrap();
    assert_eq!(rig.prepare(&orders(7, "15W")).await.unwrap_err().code, Code::AgentStale);
}

#[tokio::test]
async fn repeated_stale_and_conflicting_messages() {
    let rig = Rig::new();
    let first = orders(3, "15W");
    let answer = rig.prepare(&first).await.unwrap();
    assert_eq!(rig.prepare(&first).await.unwrap(), answer, "the same again");
    let mut other = first.clone();
    other.tasks[0].rate_per_s = 21.0;
    assert_eq!(rig.prepare(&other).await.unwrap_err().code, Code::AgentConflict);
    rig.handle().commit(3).await.unwrap();
    assert_eq!(rig.handle().commit(3).await.unwrap().version, 3, "the same again");
    assert_eq!(rig.prepare(&first).await.unwrap().digest, answer.digest);
    assert_eq!(rig.prepare(&orders(2, "15W")).await.unwrap_err().code, Code::AgentStale);
    assert_eq!(rig.handle().commit(2).await.unwrap_err().code, Code::AgentStale);
    assert_eq!(rig.handle().commit(9).await.unwrap_err().code, Code::AgentNotPrepared);
    assert_eq!(rig.status().running, Some(3));
}

#[tokio::test]
async fn a_newer_plan_supersedes_a_prepared_one() {
    let rig = Rig::new();
    rig.prepare(&orders(1, "15W")).await.unwrap();
    rig.prepare(&orders(2, "MAXN")).await.unwrap();
    assert_eq!(rig.handle().commit(1).await.unwrap_err().code, Code::AgentNotPrepared);
    assert_eq!(rig.handle().commit(2).await.unwrap().version, 2);
}

#[tokio::test]
async fn what_the_runtime_refuses_names_the_option_and_changes_nothing() {
    let rig = Rig::new();
    rig.run(&orders(1, "15W")).await.unwrap();
    let mut bad = orders(2, "15W");
    bad.tasks.push(task("face", "vit", 0, "dla0"));
    bad.tasks.push(task("misc", "resnet", 1, "gpu"));
    bad.tasks[2].tier = "resnet-9000".to_owned();
    let problem = rig.prepare(&bad).await.unwrap_err();
    assert_eq!(problem.code, Code::AgentRefused);
    let refusals: Vec<_> = problem.refusals.iter().map(|r| (r.code.as_str(), r.tenant.as_deref())).collect();
    assert_eq!(refusals, [("E1707", Some("face")), ("E1702", Some("misc"))]);
    assert_eq!(rig.status().running, Some(1));
    assert_eq!(rig.prepare(&orders(2, "15W")).await.unwrap_err().code, Code::AgentStale, "a dead version");
    rig.run(&orders(3, "15W")).await.unwrap();
}

#[tokio::test]
async fn orders_that_contradict_themselves_or_are_for_others() {
    let rig = Rig::new();
    let code = async |change: fn(&mut ecomap_instances::format::orders_v1::OrdersDto)| {
        let mut bad = orders(1, "15W");
        change(&mut bad);
        rig.prepare(&bad).await.unwrap_err().code
    };
    assert_eq!(code(|o| o.device = "other".to_owned()).await, Code::AgentBoard);
    assert_eq!(code(|o| o.profile = "jetson-xavier-nx".to_owned()).await, Code::AgentBoard);
    assert_eq!(code(|o| o.mode = Some("TURBO".to_owned())).await, Code::AgentMode);
    assert_eq!(code(|o| o.mode = None).await, Code::AgentOrders, "off, and yet to run");
    assert_eq!(code(|o| o.tasks[0].segments[0].from_block = 1).await, Code::AgentOrders);
    assert_eq!(code(|o| o.tasks.push(o.tasks[0].clone())).await, Code::AgentOrders, "a tenant twice");
    assert_eq!(code(|o| o.power_w = 99.0).await, Code::AgentOrders, "above the budget of its mode");
    assert_eq!(code(|o| o.format = "ecomap.orders/v2".to_owned()).await, Code::AgentOrders);
    assert_eq!(code(|o| o.version = 0).await, Code::AgentOrders);
    assert_eq!(rig.status().highest, 0, "none of them counted");
}

#[tokio::test]
async fn a_prepared_plan_that_nobody_commits_is_dropped() {
    let limits = Limits { safe_mode: None, prepared_for: Duration::from_secs(30) };
    let rig = Rig::with(limits);
    rig.prepare(&orders(1, "15W")).await.unwrap();
    rig.until(|s| s.prepared == Some(1)).await;
    rig.clock.forward(31);
    rig.until(|s| s.prepared.is_none()).await;
    assert_eq!(rig.handle().commit(1).await.unwrap_err().code, Code::AgentNotPrepared);
}

#[tokio::test]
async fn while_one_plan_is_prepared_others_wait_and_it_can_be_aborted() {
    let rig = Rig::new();
    rig.set_open(false);
    let (first, handle) = (orders(1, "15W"), rig.handle());
    let preparing = rig.prepare(&first);
    tokio::pin!(preparing);
    tokio::select! {
        biased;
        early = &mut preparing => panic!("{early:?}"),
        status = rig.until(|s| s.highest == 1) => assert_eq!(status.prepared, None),
    }
    assert_eq!(rig.prepare(&orders(2, "15W")).await.unwrap_err().code, Code::AgentBusy);
    assert_eq!(handle.commit(1).await.unwrap_err().code, Code::AgentNotPrepared);
    handle.abort(1).await.unwrap();
    rig.set_open(true);
    assert_eq!(preparing.await.unwrap_err().code, Code::AgentNotPrepared);
    rig.run(&orders(3, "15W")).await.unwrap();
}

#[tokio::test]
async fn a_board_with_nothing_to_run_rests_in_its_lowest_mode() {
    let rig = Rig::new();
    rig.run(&orders(1, "MAXN")).await.unwrap();
    let mut off = orders(2, "MAXN");
    (off.mode, off.budget_w, off.power_w, off.tasks) = (None, None, 0.0, Vec::new());
    let done = rig.run(&off).await.unwrap();
    assert_eq!(done.mode.as_deref(), Some("10W"));
    assert!(rig.emulated.runtime().tenants().is_empty());
}
