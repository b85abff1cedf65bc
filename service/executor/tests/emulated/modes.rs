//! The power mode is lowered before a switch and raised after it.

use crate::rig::{Rig, orders};
use ecomap_instances::Code;
use std::sync::atomic::Ordering;

#[tokio::test]
async fn lower_first_raise_last() {
    let rig = Rig::new();
    rig.run(&orders(1, "MAXN")).await.unwrap();
    assert_eq!(rig.told(), ["switch 1", "mode MAXN"], "from 10 W, in which the board began");
    rig.run(&orders(2, "15W")).await.unwrap();
    assert_eq!(rig.told(), ["mode 15W", "switch 2"]);
    rig.run(&orders(3, "30W_ALL")).await.unwrap();
    assert_eq!(rig.told(), ["switch 3", "mode 30W_ALL"]);
}

#[tokio::test]
async fn a_mode_that_cannot_be_lowered_keeps_the_old_plan() {
    let mut rig = Rig::new();
    rig.run(&orders(1, "MAXN")).await.unwrap();
    rig.told();
    rig.stuck.store(true, Ordering::SeqCst);
    let problem = rig.run(&orders(2, "15W")).await.unwrap_err();
    assert_eq!(problem.code, Code::AgentReboot);
    assert!(rig.told().is_empty(), "neither mode nor routing has changed");
    let status = rig.until(|s| s.highest == 2 && s.prepared.is_none()).await;
    assert_eq!((status.running, status.mode.as_deref()), (Some(1), Some("MAXN")));
    rig.stuck.store(false, Ordering::SeqCst);
    rig.restart(|_| ()).await;
    assert_eq!(rig.until(|s| s.running.is_some()).await.running, Some(1), "also after a restart");
}

#[tokio::test]
async fn a_mode_that_cannot_be_raised_lets_the_plan_run_and_says_so() {
    let rig = Rig::new();
    rig.run(&orders(1, "15W")).await.unwrap();
    rig.stuck.store(true, Ordering::SeqCst);
    let done = rig.run(&orders(2, "MAXN")).await.unwrap();
    assert_eq!(done.mode.as_deref(), Some("15W"));
    assert_eq!(done.mode_fault.as_deref(), Some("power mode `MAXN` needs a reboot, which was not confirmed"));
    assert_eq!(rig.until(|s| s.running == Some(2)).await.mode.as_deref(), Some("15W"));
}

#[tokio::test]
async fn a_full_disk_keeps_the_old_plan_and_a_commit_may_come_again() {
    let rig = Rig::new();
    rig.run(&orders(1, "MAXN")).await.unwrap();
    rig.prepare(&orders(2, "15W")).await.unwrap();
    rig.told();
    // A folder that has gone refuses writes as a full disk does.
    let aside = rig.folder.path().join("aside");
    std::fs::rename(rig.state(), &aside).unwrap();
    assert_eq!(rig.handle().commit(2).await.unwrap_err().code, Code::AgentStore);
    assert!(rig.told().is_empty(), "neither mode nor routing has changed");
    assert_eq!(rig.prepare(&orders(3, "15W")).await.unwrap_err().code, Code::AgentStore);
    assert_eq!(rig.status().running, Some(1));
    std::fs::rename(&aside, rig.state()).unwrap();
    rig.run(&orders(4, "15W")).await.unwrap();
}
