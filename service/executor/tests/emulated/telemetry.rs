//! Reports of an emulated board.

use crate::rig::{DEVICE, Rig, orders, profile, task};
use ecomap_executor::agent::report::{Pace, Recording};
use ecomap_executor::agent::transport::{Transport, TransportError};
use ecomap_executor::clock::WallClock;
use ecomap_executor::runtime::Basis;
use ecomap_executor::telemetry::{Identity, Moment, Recorder, Spool};
use ecomap_instances::format::agent_v1::RegistrationDto;
use ecomap_instances::format::telemetry_v1::{self, OriginDto, TelemetryDto};
use futures_util::future::BoxFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

fn recorder(rig: &Rig) -> Recorder {
    let identity =
        Identity { device: DEVICE.to_owned(), profile: profile(), basis: Basis::Emulated, started_ms: 1000 };
    Recorder::new(identity, rig.emulated.power(), &rig.emulated.runtime().counters())
}

fn moment(mode: &str) -> Moment {
    Moment { mode: Some(mode.to_owned()), safe: false, lost: 0 }
}

#[tokio::test]
async fn what_the_simulator_counted_adds_up() {
    let rig = Rig::new();
    let mut plan = orders(1, "30W_ALL");
    plan.tasks.push(task("face", "mobilenet-v2", 0, "dla0"));
    rig.run(&plan).await.unwrap();
    let mut recorder = recorder(&rig);
    for _ in 0..20 {
        rig.emulated.step(Duration::from_secs(1));
    }
    let report = recorder.close(rig.emulated.runtime().counters(), &moment("30W_ALL"));
    let read = telemetry_v1::read(&serde_json::to_vec(&report).unwrap()).unwrap();
    assert_eq!(read.tenants.len(), report.tenants.len(), "its own reader takes it");
    assert_eq!((report.basis, report.from_ms, report.to_ms), (OriginDto::Emulated, 1000, 21_000));
    assert_eq!((report.version, report.sequence), (Some(1), 1));
    for tenant in &report.tenants {
        // 20 requests a second, Poisson: within five standard deviations.
        assert!((300..=500).contains(&tenant.arrivals), "{tenant:?}");
        assert!(tenant.completions > 250 && tenant.completions <= tenant.arrivals + 5);
        let [tier] = &tenant.tiers[..] else { panic!("{tenant:?}") };
        assert!(tier.latency_ms.p50 > 0.0 && tier.latency_ms.p50 <= tier.latency_ms.p95);
    }
    let busy = |unit: &str| report.units.iter().find(|u| u.unit == unit).unwrap().busy_ms;
    assert!(busy("gpu") > 0.0 && busy("dla0") > 0.0 && busy("gpu") <= 20_000.0);
    assert_eq!((busy("dla1"), busy("cpu0")), (0.0, 0.0));
    let power = report.power.as_ref().unwrap();
    assert_eq!(
        (power.origin, power.source.as_str(), power.scope.as_str()),
        (OriginDto::Emulated, "simulator", "board")
    );
    assert!((power.covered_ms - 20_000.0).abs() < 1e-6);
    assert!(power.mean_w.unwrap() > 6.9, "above idle");
    let shares: f64 = report.tenants.iter().map(|t| t.energy_j.unwrap()).sum();
    assert!((shares + power.board_j - power.energy_j).abs() < 1e-6 * power.energy_j);
    assert!(report.tenants.iter().all(|t| t.energy_j.unwrap() > 0.0));
}

#[tokio::test]
async fn one_seed_one_report() {
    let once = async || {
        let rig = Rig::new();
        rig.run(&orders(1, "15W")).await.unwrap();
        let mut recorder = recorder(&rig);
        rig.emulated.step(Duration::from_secs(5));
        recorder.close(rig.emulated.runtime().counters(), &moment("15W"))
    };
    assert_eq!(once().await, once().await);
}

#[tokio::test]
async fn a_tenant_whose_unit_the_mode_switches_off_gets_nothing() {
    let rig = Rig::new();
    let mut plan = orders(1, "30W_ALL");
    plan.tasks = vec![task("cam", "resnet", 4, "cpu1")];
    rig.run(&plan).await.unwrap();
    rig.emulated.modes().set("10W").unwrap();
    let mut recorder = recorder(&rig);
    rig.emulated.step(Duration::from_secs(10));
    let report = recorder.close(rig.emulated.runtime().counters(), &moment("10W"));
    let cam = &report.tenants[0];
    assert_eq!((cam.arrivals, cam.completions, cam.unanswered), (200, 0, 200));
}

/// A service that is away at first, then refuses one report, then takes them.
#[derive(Debug, Default)]
struct Moody {
    asked: Mutex<u32>,
    taken: Mutex<Vec<TelemetryDto>>,
    news: Notify,
}

impl Transport for Moody {
    fn register<'a>(&'a self, _: &'a RegistrationDto) -> BoxFuture<'a, Result<(), TransportError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn report(&self, body: Vec<u8>) -> BoxFuture<'_, Result<(), TransportError>> {
        let mut asked = self.asked.lock().unwrap();
        *asked += 1;
        let answer = match *asked {
            1 => Err(TransportError::Away("unplugged".to_owned())),
            2 => Err(TransportError::Refused(422)),
            _ => {
                self.taken.lock().unwrap().push(telemetry_v1::read(&body).unwrap());
                self.news.notify_one();
                Ok(())
            }
        };
        Box::pin(std::future::ready(answer))
    }
}

#[tokio::test]
async fn reports_wait_for_a_service_that_is_away() {
    let rig = Rig::new();
    rig.run(&orders(1, "15W")).await.unwrap();
    let spool = Spool::open(&rig.folder.path().join("reports"), 100).unwrap();
    let pace = Pace { sample: Duration::from_millis(5), report: Duration::ZERO };
    let recording = Recording::start(
        recorder(&rig),
        (rig.emulated.runtime(), rig.handle()),
        spool,
        pace,
        Arc::clone(&rig.clock) as Arc<dyn WallClock>,
    )
    .unwrap();
    let service = Moody::default();
    let lost = || service.taken.lock().unwrap().iter().map(|r| r.lost).sum::<u64>();
    let enough = async {
        while service.taken.lock().unwrap().len() < 5 || lost() == 0 {
            service.news.notified().await;
        }
    };
    tokio::select! {
        () = recording.deliver(&service) => {}
        () = enough => {}
        () = tokio::time::sleep(Duration::from_secs(60)) => panic!("no report came"),
    }
    assert_eq!(lost(), 1, "the refused one is told as lost");
    let taken = service.taken.lock().unwrap();
    let numbers: Vec<u64> = taken.iter().map(|r| r.sequence).collect();
    assert_eq!(numbers[..5], [2, 3, 4, 5, 6], "in order; the first was refused");
}
