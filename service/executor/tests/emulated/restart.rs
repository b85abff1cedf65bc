//! The last plan comes back after a restart, or none.

use crate::rig::{Rig, orders, sign};
use ecomap_executor::agent::store::Store;
use ecomap_instances::Code;
use ecomap_instances::format::agent_v1::plan_path;

#[tokio::test]
async fn the_last_plan_runs_again() {
    let mut rig = Rig::new();
    rig.run(&orders(3, "30W_ALL")).await.unwrap();
    rig.prepare(&orders(5, "MAXN")).await.unwrap();
    rig.restart(|_| ()).await;
    let status = rig.until(|s| s.running == Some(3)).await;
    assert_eq!((status.prepared, status.highest, status.mode.as_deref()), (None, 5, Some("30W_ALL")));
    assert_eq!(rig.emulated.runtime().tenants(), ["cam".into()]);
    // Replays of before the restart.
    assert_eq!(rig.handle().commit(5).await.unwrap_err().code, Code::AgentNotPrepared);
    assert_eq!(rig.prepare(&orders(5, "MAXN")).await.unwrap_err().code, Code::AgentStale);
    assert_eq!(rig.prepare(&orders(2, "MAXN")).await.unwrap_err().code, Code::AgentStale);
    rig.run(&orders(6, "MAXN")).await.unwrap();
}

#[tokio::test]
async fn a_damaged_state_is_no_plan() {
    let mut rig = Rig::new();
    rig.run(&orders(3, "15W")).await.unwrap();
    rig.restart(|rig| {
        let mut bytes = std::fs::read(rig.state_file()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(rig.state_file(), bytes).unwrap();
    })
    .await;
    assert_eq!(rig.status().running, None);
    assert!(rig.emulated.runtime().tenants().is_empty());
    rig.run(&orders(4, "15W")).await.unwrap();
}

#[tokio::test]
async fn orders_that_were_swapped_on_the_disk_are_not_run() {
    let mut rig = Rig::new();
    rig.run(&orders(3, "15W")).await.unwrap();
    let store = |rig: &Rig| Store::open(&rig.state()).unwrap();
    let mut kept = store(&rig).read().unwrap().unwrap();
    let forged = serde_json::to_string(&orders(3, "MAXN")).unwrap();
    kept.running.as_mut().unwrap().orders = forged.clone();
    // The file is whole, but the service never signed this.
    rig.restart(|rig| store(rig).write(&kept).unwrap()).await;
    assert_eq!(rig.status().running, None);
    // Signed, but not for this version.
    let plan = kept.running.as_mut().unwrap();
    (plan.version, plan.signature) = (9, sign("PUT", &plan_path(9), forged.as_bytes()));
    rig.restart(|rig| store(rig).write(&kept).unwrap()).await;
    assert_eq!(rig.status().running, None);
}
