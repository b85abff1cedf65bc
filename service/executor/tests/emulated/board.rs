//! The emulated board as a runtime and as a machine.

use crate::rig::{Rig, orders, task};
use ecomap_executor::power::PowerError;
use ecomap_executor::runtime::{Basis, InferError, InferRequest};
use std::time::Duration;

#[tokio::test]
async fn answers_carry_timing_and_nothing_made_up() {
    let rig = Rig::new();
    let runtime = rig.emulated.runtime();
    assert_eq!(runtime.basis(), Basis::Emulated);
    let ask = |within| runtime.infer(&"cam".into(), InferRequest::default(), within);
    assert_eq!(ask(None).unwrap_err(), InferError::UnknownTenant);
    rig.run(&orders(1, "30W_ALL")).await.unwrap();
    assert!(matches!(ask(None), Err(InferError::Failed(_))), "nothing was simulated yet");
    rig.emulated.step(Duration::from_secs(5));
    let model = runtime.model(&"cam".into()).unwrap();
    assert!(model.synthetic && model.inputs.is_empty() && model.outputs.is_empty());
    let pending = ask(None).unwrap();
    rig.clock.forward(10);
    // Another request wakes the thread that answers, for its clock has been moved by hand.
    let other = ask(None).unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(60), pending).await.unwrap().unwrap();
    assert!(answer.outputs.is_empty() && answer.latency > Duration::ZERO);
    assert_eq!((answer.tier.as_str(), answer.version.0), (model.tier.as_str(), 1));
    drop(other);
    assert_eq!(ask(Some(Duration::ZERO)).unwrap_err(), InferError::Expired);
    let mut off = orders(2, "30W_ALL");
    (off.mode, off.budget_w, off.power_w, off.tasks) = (None, None, 0.0, Vec::new());
    rig.run(&off).await.unwrap();
    assert_eq!(ask(None).unwrap_err(), InferError::NotServed);
}

#[tokio::test]
async fn a_lower_mode_is_slower_and_draws_less() {
    let measure = async |mode: &str| {
        let rig = Rig::new();
        rig.run(&orders(1, mode)).await.unwrap();
        rig.emulated.step(Duration::from_secs(30));
        let counters = rig.emulated.runtime().counters();
        let cam = &counters.tenants[&"cam".into()];
        let served = cam.served.values().next().unwrap();
        let energy = rig.emulated.power().read(&ecomap_executor::power::Activity {
            at: counters.at,
            busy: &[],
            mode: None,
        });
        let Some(ecomap_executor::power::Quantity::Energy(joules)) = energy.unwrap().total else { panic!() };
        (served.latency_us.value_at_quantile(0.5), joules.get())
    };
    let (fast, much) = measure("MAXN").await;
    let (slow, little) = measure("10W").await;
    assert!(slow > fast && little < much, "{fast} {slow} us, {much} {little} J");
}

#[tokio::test]
async fn a_plan_beyond_its_memory_is_refused() {
    let rig = Rig::new();
    let mut plan = orders(1, "MAXN");
    plan.tasks = (0..900).map(|n| task(&format!("t{n}"), "resnet", 0, "gpu")).collect();
    for task in &mut plan.tasks {
        task.power_w = 0.0;
    }
    let problem = rig.prepare(&plan).await.unwrap_err();
    assert_eq!(problem.refusals.iter().map(|r| r.code.as_str()).collect::<Vec<_>>(), ["E1706"]);
}

#[test]
fn modes_are_those_of_the_profile() {
    let rig = Rig::new();
    let mut modes = rig.emulated.modes();
    assert_eq!(modes.known().unwrap().len(), 6);
    assert!(matches!(modes.set("TURBO"), Err(PowerError::UnknownMode { .. })));
}
