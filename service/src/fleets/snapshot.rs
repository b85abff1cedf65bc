//! What everybody may see of a fleet without asking its task: an immutable picture behind a watch channel.

use super::boards::wire::BoardStateDto;
use super::clock::FleetClock;
use super::records::{PlanSummaryDto, TurnDto};
use super::state::{FORMAT, StateDto, Status, ZoneDto};
use super::work::Figures;
use ecomap_store::Fleet;
use std::collections::VecDeque;
use std::sync::Arc;

/// Turns that a state shows.
pub const SERIES: usize = 288;

/// A picture of a fleet. Everything in it is on the disk already.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Which fleet; never used twice.
    pub uid: i64,
    /// Its name.
    pub id: String,
    /// Version of the document that its controller works with.
    pub version: u64,
    /// Whether it is kept solved.
    pub status: Status,
    /// What keeps it from that.
    pub problem: Option<String>,
    /// The last plan.
    pub plan: Option<Arc<PlanSummaryDto>>,
    /// The last turn on the fleet's clock.
    pub at: Option<String>,
    /// Speed of that clock.
    pub speed: f64,
    /// The clock itself, once the fleet is built.
    pub clock: Option<FleetClock>,
    /// Zones.
    pub zones: Arc<Vec<ZoneDto>>,
    /// The running plan in figures.
    pub figures: Arc<Figures>,
    /// Boards that run its plans.
    pub boards: Arc<Vec<BoardStateDto>>,
    /// The last turns.
    pub series: Arc<VecDeque<TurnDto>>,
    /// Id of the last event stored with it.
    pub last_event: u64,
}

impl Snapshot {
    /// Before the first turn of this process.
    #[must_use]
    pub fn starting(fleet: &Fleet, plan: Option<PlanSummaryDto>) -> Self {
        Self {
            uid: fleet.uid,
            id: fleet.id.clone(),
            version: fleet.version,
            status: Status::Starting,
            problem: None,
            plan: plan.map(Arc::new),
            at: None,
            speed: 1.0,
            clock: None,
            zones: Arc::default(),
            figures: Arc::default(),
            boards: Arc::default(),
            series: Arc::default(),
            last_event: 0,
        }
    }

    /// Number of the last plan; 0 before the first.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.plan.as_ref().map_or(0, |p| p.number)
    }

    /// The wire form.
    #[must_use]
    #[allow(clippy::float_cmp)] // exactly the default
    pub fn state(&self) -> StateDto {
        StateDto {
            format: FORMAT.to_owned(),
            fleet: self.id.clone(),
            version: self.version,
            status: self.status,
            problem: self.problem.clone(),
            at: self.at.clone(),
            speed: self.speed,
            accelerated: self.speed != 1.0,
            synthetic: self.zones.iter().any(|z| z.synthetic),
            last_event: self.last_event,
            zones: self.zones.to_vec(),
            sites: self.figures.sites.clone(),
            devices: self.figures.devices.clone(),
            tenants: self.figures.tenants.clone(),
            boards: self.boards.to_vec(),
            plan: self.plan.as_deref().cloned(),
            worth: self.figures.worth.clone(),
            series: self.series.iter().cloned().collect(),
        }
    }
}
