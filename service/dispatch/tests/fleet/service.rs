//! A board announces itself to a service, reports, and its reports teach the calibration.

use crate::node::{PROFILE, key, orders, profile};
use ecomap_dispatch::observe::observations;
use ecomap_dispatch::{Dispatcher, Outcome, Registry, http};
use ecomap_estimator::calibrate::{Calibration, Settings};
use ecomap_executor::agent::AgentSettings;
use ecomap_executor::agent::start::{Parts, start};
use ecomap_executor::clock::{SystemClock, WallClock};
use ecomap_executor::emulate::{EmulatedBoard, Setup};
use ecomap_instances::Seed;
use ecomap_instances::format::telemetry_v1::{OriginDto, TelemetryDto};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Waits for something that comes by itself.
async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), found).await.expect("it never came")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_announcement_to_calibration() {
    let registry = Registry::new(Some(["site/a".to_owned()].into()), 1000);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = format!("http://{}", listener.local_addr().unwrap());
    let routes = http::routes(registry.clone(), Arc::new(|| Duration::ZERO));
    let server = tokio::spawn(warp::serve(routes).incoming(listener).run());

    let folder = tempfile::tempdir().unwrap();
    let public_key = folder.path().join("service.pub");
    std::fs::write(&public_key, key().public() + "\n").unwrap();
    let clock: Arc<dyn WallClock> = Arc::new(SystemClock::new());
    let setup = Setup { speed: 1.0, seed: Seed(5) };
    let emulated = EmulatedBoard::new(profile(), setup, Arc::clone(&clock)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = AgentSettings {
        service: Some(service),
        address: Some(format!("http://{}", listener.local_addr().unwrap())),
        report_every_s: 1,
        ..AgentSettings::new("site/a".to_owned(), PROFILE.to_owned(), public_key, folder.path().join("state"))
    };
    let parts = Parts {
        profile: profile(),
        runtime: emulated.runtime(),
        modes: emulated.modes(),
        source: emulated.power(),
    };
    let running = start(&settings, parts, clock).unwrap();
    let agent = warp::serve(ecomap_executor::agent::http::routes(running.handle())).incoming(listener).run();
    let agent = tokio::spawn(agent);

    let work = async {
        until(|| registry.boards().contains_key("site/a").then_some(())).await;
        let mut plan = orders(1, "site/a", "30W_ALL");
        plan.power_w = 9.0;
        let board = registry.board("site/a", &key(), None).unwrap();
        let outcome = Dispatcher::default().dispatch(std::slice::from_ref(&plan), &[board]).await.unwrap();
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
        until(|| {
            let boards = registry.boards();
            (boards["site/a"].registration.status.running == Some(1)).then_some(())
        })
        .await;
        emulated.step(Duration::from_secs(30));
        let report = until(|| {
            let (reports, _) = registry.drain();
            reports.into_iter().find(|r| r.tenants.iter().any(|t| t.completions > 0))
        })
        .await;
        assert_eq!((report.basis, report.version), (OriginDto::Emulated, Some(1)));

        let found = observations(&report, &plan, &profile());
        let [observation] = &found[..] else { panic!("{report:?}") };
        let tier = &report.tenants[0].tiers[0];
        assert_eq!(observation.latencies.count, tier.completions);
        // Predictions are those of the plan less the network's 2 ms.
        assert_eq!(observation.predicted.latency.p50.get(), 23.0);
        assert_eq!(observation.power.map(|p| p.get()), report.power.as_ref().unwrap().mean_w);
        let mut calibration = Calibration::new(Settings::default()).unwrap();
        calibration.observe(observation).unwrap();
        assert_eq!(calibration.observations(), 1);
        nothing_from_others(&report, &plan);
    };
    tokio::select! {
        () = work => {}
        () = running.speak() => {}
    }
    agent.abort();
    server.abort();
}

/// What does not fit the plan teaches nothing.
fn nothing_from_others(report: &TelemetryDto, plan: &ecomap_instances::format::orders_v1::OrdersDto) {
    let taught = |change: fn(&mut TelemetryDto)| {
        let mut other = report.clone();
        change(&mut other);
        observations(&other, plan, &profile())
    };
    assert!(taught(|r| r.version = Some(2)).is_empty());
    assert!(taught(|r| r.safe = true).is_empty());
    assert!(taught(|r| r.mode = Some("10W".to_owned())).is_empty());
    assert!(taught(|r| r.tenants[0].tiers[0].tier = "resnet-18".to_owned()).is_empty());
    let modelled = taught(|r| r.power.as_mut().unwrap().origin = OriginDto::Modelled);
    assert_eq!((modelled.len(), modelled[0].power), (1, None), "a model is no measurement of power");
    let module = taught(|r| r.power.as_mut().unwrap().scope = "module".to_owned());
    let mean = report.power.as_ref().unwrap().mean_w.unwrap();
    // The profile's carrier of the AGX Xavier.
    assert!((module[0].power.unwrap().get() - mean - 2.5).abs() < 1e-9);
}
