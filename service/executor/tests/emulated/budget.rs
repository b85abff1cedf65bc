//! A budget expires, and the board lowers itself.

use crate::rig::{Rig, orders};
use ecomap_instances::Code;
use ecomap_instances::format::agent_v1::RenewDto;

const fn renewal(renewal: u64, lease_s: u64) -> RenewDto {
    RenewDto { renewal, lease_s }
}

#[tokio::test]
async fn without_renewal_the_board_lowers_itself_and_goes_on_serving() {
    let rig = Rig::new();
    let mut plan = orders(1, "MAXN");
    plan.lease_s = Some(60);
    rig.run(&plan).await.unwrap();
    rig.clock.forward(59);
    rig.handle().renew(renewal(1, 60)).await.unwrap();
    rig.clock.forward(59);
    assert_eq!(rig.until(|s| s.renewal == 1).await.mode.as_deref(), Some("MAXN"));
    rig.clock.forward(2);
    let status = rig.until(|s| s.safe && s.mode.as_deref() == Some("15W")).await;
    assert_eq!((status.running, status.lease_left_s), (Some(1), Some(0)));
    assert_eq!(rig.emulated.runtime().tenants().len(), 1);
    // Renewed too late is renewed all the same, but only by news.
    assert_eq!(rig.handle().renew(renewal(1, 60)).await.unwrap_err().code, Code::AgentRenewal);
    rig.handle().renew(renewal(2, 60)).await.unwrap();
    rig.until(|s| !s.safe && s.mode.as_deref() == Some("MAXN")).await;
}

#[tokio::test]
async fn a_new_plan_ends_the_safe_mode() {
    let rig = Rig::new();
    let mut plan = orders(1, "MAXN");
    plan.lease_s = Some(5);
    rig.run(&plan).await.unwrap();
    rig.clock.forward(6);
    rig.until(|s| s.safe).await;
    let done = rig.run(&orders(2, "30W_ALL")).await.unwrap();
    assert_eq!(done.mode.as_deref(), Some("30W_ALL"));
    let status = rig.until(|s| s.running == Some(2)).await;
    assert_eq!((status.safe, status.lease_left_s), (false, None));
}

#[tokio::test]
async fn the_safe_mode_never_raises() {
    let rig = Rig::new();
    let mut plan = orders(1, "10W");
    plan.lease_s = Some(5);
    rig.run(&plan).await.unwrap();
    rig.clock.forward(6);
    assert_eq!(rig.until(|s| s.safe).await.mode.as_deref(), Some("10W"));
}

#[tokio::test]
async fn a_budget_expires_while_a_plan_is_prepared() {
    let rig = Rig::new();
    let mut plan = orders(1, "MAXN");
    plan.lease_s = Some(60);
    rig.run(&plan).await.unwrap();
    rig.set_open(false);
    let next = orders(2, "MAXN");
    let preparing = rig.prepare(&next);
    tokio::pin!(preparing);
    tokio::select! {
        biased;
        early = &mut preparing => panic!("{early:?}"),
        _ = rig.until(|s| s.highest == 2) => {}
    }
    rig.clock.forward(61);
    tokio::select! {
        biased;
        early = &mut preparing => panic!("{early:?}"),
        _ = rig.until(|s| s.safe && s.mode.as_deref() == Some("15W")) => {}
    }
    rig.set_open(true);
    preparing.await.unwrap();
}

#[tokio::test]
async fn a_budget_expires_while_the_board_is_off() {
    let mut rig = Rig::new();
    let mut plan = orders(1, "MAXN");
    plan.lease_s = Some(60);
    rig.run(&plan).await.unwrap();
    rig.clock.forward(20);
    rig.restart(|rig| rig.clock.forward(30)).await;
    let status = rig.until(|s| s.running == Some(1)).await;
    assert_eq!((status.safe, status.lease_left_s, status.mode.as_deref()), (false, Some(10), Some("MAXN")));
    rig.restart(|rig| rig.clock.forward(30)).await;
    let status = rig.until(|s| s.running == Some(1)).await;
    assert_eq!((status.safe, status.mode.as_deref()), (true, Some("15W")));
    assert!(!rig.told().contains(&"mode MAXN".to_owned()), "not even for a moment");
}
