//! Who answers whom: the routes of a plan, and the requests on their way.

use super::stage::{Stage, Values};
use crate::runtime::counters::TenantCounters;
use crate::runtime::port::{Answer, ModelInfo, PlanVersion};
use ecomap_instances::ids::TenantId;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is kept of a tenant over all plans.
#[derive(Debug, Default)]
pub(super) struct TenantState {
    /// Requests under way.
    pub(super) under_way: AtomicUsize,
    /// Whether a plan that was committed names it.
    pub(super) named: AtomicBool,
    counts: Mutex<TenantCounters>,
}

impl TenantState {
    pub(super) fn counts(&self) -> MutexGuard<'_, TenantCounters> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a tenant's requests are answered under one plan.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) state: Arc<TenantState>,
    pub(super) info: ModelInfo,
    pub(super) stages: Vec<Arc<Stage>>,
    /// Latency objective.
    pub(super) slo: Option<Duration>,
}

/// The routes of one plan.
#[derive(Debug, Default)]
pub(super) struct Routes {
    pub(super) version: Option<PlanVersion>,
    pub(super) tenants: BTreeMap<TenantId, Arc<Route>>,
}

impl Routes {
    /// Every stage once.
    pub(super) fn stages(&self) -> impl Iterator<Item = &Arc<Stage>> {
        let mut seen = std::collections::BTreeSet::new();
        self.tenants.values().flat_map(|r| &r.stages).filter(move |s| seen.insert(&s.key))
    }
}

/// A request on its way. Counts as under way until it is dropped.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) route: Arc<Route>,
    /// Keeps the plan's sessions until the request is answered.
    pub(super) plan: Arc<Routes>,
    /// Next stage.
    pub(super) stage: usize,
    pub(super) values: Values,
    /// Wanted outputs; empty for all.
    pub(super) wanted: Vec<String>,
    pub(super) arrived: Duration,
    /// When it is worth nothing any more to the client.
    pub(super) expires: Option<Duration>,
    /// By which it is ordered.
    pub(super) deadline: Duration,
    /// Time on units so far.
    pub(super) busy: Duration,
    pub(super) answer: Option<Answer>,
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.route.state.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}
