//! The solver in a process of its own: same answers, and an answer when it is killed.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)] // helpers of tests
#![cfg(target_os = "linux")]

mod common;

use common::{assert_checked, config, hard_problem, scenario, start};
use ecomap_instances::plan::{Assignment, Status, Termination};
use ecomap_service::pipeline::{self, Request, Sizes};
use ecomap_service::worker::{Isolated, Isolation, SILENCE};
use ecomap_solver::clock::SystemClock;
use ecomap_solver::{CancelToken, Incumbent, Observer};
use reqwest::StatusCode;
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tokio::sync::Mutex;

fn isolated() -> Isolated {
    Isolated {
        isolation: Isolation::Always,
        program: PathBuf::from(env!("CARGO_BIN_EXE_ecomap")),
        silence: SILENCE,
    }
}

/// Tests that kill workers look for all that this process has started: one test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Workers whose parent is this process.
fn workers() -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else { continue };
        let Ok(status) = std::fs::read_to_string(entry.path().join("status")) else { continue };
        let Ok(line) = std::fs::read(entry.path().join("cmdline")) else { continue };
        let mine = format!("PPid:\t{}\n", std::process::id());
        if status.contains(&mine) && line.ends_with(b"\0worker\0") {
            found.push(pid);
        }
    }
    found
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

fn priced(bytes: &[u8]) -> pipeline::Priced {
    let clock = SystemClock::new();
    let loaded = pipeline::load("test", bytes, None, Sizes::UNBOUNDED, &clock).unwrap();
    pipeline::price(loaded, Sizes::UNBOUNDED, &clock).unwrap()
}

fn request(seconds: u64) -> Request {
    let request = Request { isolated: Some(isolated()), ..Request::default() };
    let deadline = Some(request.clock.now() + Duration::from_secs(seconds));
    Request { deadline, ..request }
}

#[test]
fn a_worker_answers_as_the_solver_does() {
    let _alone = ALONE.blocking_lock();
    for name in ["tiny", "xavier-3"] {
        let priced = priced(&scenario(name));
        let there = pipeline::solve(&priced, &request(60), &mut ()).unwrap().solution;
        let here =
            pipeline::solve(&priced, &Request { isolated: None, ..request(60) }, &mut ()).unwrap().solution;
        assert_eq!(there.assignment, here.assignment, "{name}");
        assert_eq!(there.certificate, here.certificate, "{name}");
        assert_eq!(there.status, here.status);
        assert_eq!(there.reduction, here.reduction);
        assert_eq!(there.timings.keys().collect::<Vec<_>>(), here.timings.keys().collect::<Vec<_>>());
    }
}

/// Kills the worker when it has reported a plan and a bound.
#[derive(Default)]
struct Killer {
    plan: Option<Assignment>,
    dual: Option<f64>,
    killed: usize,
}

impl Observer for Killer {
    fn progress(&mut self, at: &Incumbent) {
        self.dual = at.dual.or(self.dual);
        if self.plan.is_some() && self.dual.is_some() && self.killed == 0 {
            self.killed = workers().into_iter().map(kill).count();
        }
    }

    fn plan(&mut self, plan: &Assignment) {
        self.plan = Some(plan.clone());
    }
}

#[test]
fn killed_mid_solve_it_leaves_the_best_plan_and_its_gap() {
    let _alone = ALONE.blocking_lock();
    let priced = priced(&hard_problem());
    let mut killer = Killer::default();
    let request = Request { gap: Some(0.0), ..request(100) };
    let solution = pipeline::solve(&priced, &request, &mut killer).unwrap().solution;
    assert_eq!(killer.killed, 1);
    assert_eq!(solution.status, Status::Feasible);
    assert!(solution.verdict.as_ref().unwrap().passes());
    assert!(solution.certificate.gap().is_some());
    assert!(solution.notes.iter().any(|n| n.contains("ended early (signal: 9")), "{:?}", solution.notes);
}

#[test]
fn a_program_that_is_no_worker_still_gets_a_plan() {
    let _alone = ALONE.blocking_lock();
    let priced = priced(&scenario("tiny"));
    let isolated = Isolated { program: PathBuf::from("/bin/true"), ..isolated() };
    let answer =
        pipeline::solve(&priced, &Request { isolated: Some(isolated), ..request(60) }, &mut ()).unwrap();
    assert!(answer.solution.verdict.unwrap().passes());
    let isolated = Isolated { program: PathBuf::from("/nonexistent"), ..self::isolated() };
    assert!(pipeline::solve(&priced, &Request { isolated: Some(isolated), ..request(60) }, &mut ()).is_err());
}

#[test]
fn a_cancelled_worker_stops() {
    let _alone = ALONE.blocking_lock();
    let priced = priced(&hard_problem());
    let cancel = CancelToken::default();
    let request = Request { gap: Some(0.0), cancel: cancel.clone(), ..request(100) };
    let answer = pipeline::solve(&priced, &request, &mut |_: &Incumbent| cancel.cancel()).unwrap();
    // Else it had gone on to its time limit, and would say so.
    assert_eq!(answer.solution.certificate.termination, Termination::Cancelled);
    assert!(answer.solution.verdict.unwrap().passes());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_answers_when_its_solver_is_killed() {
    let _alone = ALONE.lock().await;
    let server = start(ecomap_service::http::Config { isolated: Some(isolated()), ..config() }).await;
    let post = server.post("/v1/solve?gap=0&time_limit_s=60", hard_problem());
    let killer = async {
        // The self-solve is over; the one worker is that of the request.
        for _ in 0..3000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if let [pid] = workers()[..] {
                tokio::time::sleep(Duration::from_millis(500)).await;
                kill(pid);
                return true;
            }
        }
        false
    };
    let (response, killed) = tokio::join!(post, killer);
    assert!(killed);
    assert_eq!(response.status(), StatusCode::OK);
    let result: Value = response.json().await.unwrap();
    assert_checked(&result);
    assert_eq!(result["status"], "feasible");
    assert!(result["notes"].to_string().contains("the solver process ended early"), "{}", result["notes"]);
    assert_eq!(server.get("/ready").await.status(), StatusCode::OK);
}
