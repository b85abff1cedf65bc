//! `ecomap-executor serve`: a plan from a file, or those that the service sends, made to run and served.

use crate::clock::{Clock, SystemClock, WallClock};
use crate::config::Config;
use crate::http::v2::{self, Api};
use crate::load::{LoadReport, Running};
use crate::orders::{self, Orders};
use crate::runtime::ort::OrtRuntime;
use crate::runtime::{PlanVersion, Runtime};
use crate::{ExecutorError, agent, input};
use ecomap_instances::format::result_v1;
use ecomap_instances::ids::TenantId;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Serves until `stop` ends. `listening` is told the address before the first request is answered.
///
/// # Errors
/// When the plan may not or cannot be run, or the address cannot be had.
pub fn run(
    config: &Config,
    listening: impl FnOnce(std::net::SocketAddr),
    stop: impl Future<Output = ()>,
) -> Result<(), ExecutorError> {
    let wall: Arc<dyn WallClock> = Arc::new(SystemClock::new());
    let clock: Arc<dyn Clock> = Arc::clone(&wall) as Arc<dyn Clock>;
    let runtime: Arc<dyn Runtime> = Arc::new(OrtRuntime::new(config.runtime.clone(), Arc::clone(&clock))?);
    if let Some(plan) = &config.plan {
        start(&*runtime, PlanVersion(1), &orders_of(plan, &config.device)?)?;
    }
    let agent = match &config.agent {
        Some(settings) => Some(
            agent::start::on_board(settings, Arc::clone(&runtime), wall)
                .map_err(|e| ExecutorError::Agent(Box::new(e)))?,
        ),
        None => None,
    };
    let mut loads = Vec::with_capacity(config.load.len());
    for load in &config.load {
        let running = Running::start(load.clone(), Arc::clone(&runtime), Arc::clone(&clock))?;
        loads.push((load.tenant.clone(), running));
    }
    let api = Api { runtime: Arc::clone(&runtime), bounds: config.bodies.clone(), patience: config.patience };
    let workers = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let outcome = workers.map_err(ExecutorError::Start)?.block_on(async {
        let bind = |source| ExecutorError::Bind { addr: config.listen, source };
        let listener = TcpListener::bind(config.listen).await.map_err(bind)?;
        listening(listener.local_addr().map_err(bind)?);
        agent::http::serve(listener, v2::routes(api), config.server.clone(), agent.as_ref(), stop).await;
        Ok(())
    });
    for (tenant, load) in loads {
        report(&tenant, &load.stop());
    }
    outcome
}

/// The orders of board `device` in the result at `path`.
///
/// # Errors
/// When the result cannot be read or must not be run.
pub fn orders_of(path: &Path, device: &str) -> Result<Orders, ExecutorError> {
    let result = result_v1::read(&input::read(path)?)?;
    orders::for_device(orders::from_result(&result)?, device)
}

/// Makes a plan run.
fn start(runtime: &dyn Runtime, version: PlanVersion, orders: &Orders) -> Result<(), ExecutorError> {
    let prepared = runtime.prepare(version, orders)?;
    let report = prepared.report().clone();
    let switched = prepared.commit();
    tracing::info!(
        version = %switched.version,
        tenants = orders.tasks.len(),
        sessions = report.loaded,
        read_ms = report.read.as_millis(),
        load_ms = report.load.as_millis(),
        warm_ms = report.warm.as_millis(),
        reckoned_bytes = report.bytes,
        "the plan runs"
    );
    for node in &report.fell_back {
        tracing::warn!(node, "runs elsewhere than on its unit");
    }
    Ok(())
}

fn report(tenant: &TenantId, load: &LoadReport) {
    let quantile = |q| load.latency_us.as_ref().map_or(0, |h| h.value_at_quantile(q));
    tracing::info!(
        %tenant,
        sent = load.sent,
        answered = load.answered.values().sum::<u64>(),
        busy = load.busy,
        expired = load.expired,
        failed = load.failed.0,
        p50_us = quantile(0.5),
        p95_us = quantile(0.95),
        "load ended"
    );
}
