//! A device plan as the board and streams that the simulator would run.

use crate::analytic::Roofline;
use crate::coexecution::Coexecution;
use crate::predictor::{DevicePlan, Task};
use crate::sim::soc::Soc;
use crate::sim::stream::{Arrivals, Jitter, Stream};
use crate::table::CostTable;
use ecomap_instances::family::Family;
use ecomap_instances::ids::ModeIx;
use ecomap_instances::profile::Profile;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Tables kept; when there are more, all are dropped.
const MAX_TABLES: usize = 20_000;

type Key = (usize, usize, usize, usize);

/// Cost tables by board, mode, family and tier.
#[derive(Debug)]
pub struct Workshop {
    roofline: Roofline,
    rules: Coexecution,
    /// A table holds the profile and family whose addresses are its key, so that no address is
    /// reused while it is kept.
    tables: RwLock<HashMap<Key, Arc<CostTable>>>,
}

/// One plan, ready to be encoded.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The board.
    pub soc: Soc,
    /// Those tenants that can run as placed.
    pub streams: Vec<Stream>,
    /// Position in the plan of each stream.
    pub tasks: Vec<usize>,
}

impl Workshop {
    /// With given parameters.
    #[must_use]
    pub fn new(roofline: Roofline, rules: Coexecution) -> Self {
        Self { roofline, rules, tables: RwLock::new(HashMap::new()) }
    }

    /// The analytic predictor.
    #[must_use]
    pub const fn roofline(&self) -> &Roofline {
        &self.roofline
    }

    /// The table of a tier on a profile in a mode, made once.
    #[must_use]
    pub fn table(
        &self,
        profile: &Arc<Profile>,
        mode: ModeIx,
        family: &Arc<Family>,
        tier: usize,
    ) -> Arc<CostTable> {
        let address = |p: *const u8| p.addr();
        let key =
            (address(Arc::as_ptr(profile).cast()), mode.at(), address(Arc::as_ptr(family).cast()), tier);
        if let Some(table) = self.tables.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return table.clone();
        }
        let table = Arc::new(CostTable::new(self.roofline.parameters(), profile, mode, family, tier));
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if tables.len() >= MAX_TABLES {
            tables.clear();
        }
        tables.entry(key).or_insert(table).clone()
    }

    /// The board and streams of a plan; `None` for a mode that the board lacks. Requests are taken
    /// as Poisson streams, since a scenario states rates only.
    #[must_use]
    pub fn prepare(&self, plan: &DevicePlan) -> Option<Prepared> {
        let soc = Soc::new(
            &self.rules,
            self.roofline.parameters().generation(&plan.profile),
            &plan.profile,
            plan.mode,
        )?;
        let mut streams = Vec::with_capacity(plan.tasks.len());
        let mut tasks = Vec::with_capacity(plan.tasks.len());
        for (n, task) in plan.tasks.iter().enumerate() {
            if let Some(stream) = self.stream(plan, task) {
                streams.push(stream);
                tasks.push(n);
            }
        }
        Some(Prepared { soc, streams, tasks })
    }

    fn stream(&self, plan: &DevicePlan, task: &Task) -> Option<Stream> {
        let gap_ms = 1000.0 / task.rate.get();
        if !(gap_ms.is_finite() && gap_ms > 0.0) {
            return None;
        }
        let table = self.table(&plan.profile, plan.mode, &task.family, task.tier);
        let jitter = |unit: usize| {
            table.unit_kind(unit).map_or(Jitter::NONE, |kind| {
                let d = self.roofline.parameters().dispersion(&plan.profile, kind);
                Jitter { p95: d.p95, p99: d.p99 }
            })
        };
        Stream::new(&table, &task.segments, jitter, Arrivals::Poisson { gap_ms })
    }
}
