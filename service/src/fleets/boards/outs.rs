//! What a solve must leave out because boards said no, or say nothing.

use super::corrected::Corrections;
use crate::ServiceError;
use ecomap_dispatch::Exclusion;
use ecomap_instances::Instance;
use ecomap_instances::format::orders_v1::OrdersDto;
use ecomap_instances::instance::{Choice, DeviceClass, InstanceParts, InstanceTenant};
use ecomap_instances::units::Watts;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Refused options at most; beyond, the oldest is tried again.
const MOST: usize = 256;

/// What boards taught that a solve must know.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What is to be left out.
    pub outs: Arc<Outs>,
    /// How boards differ from predictions, once they were seen to.
    pub calibration: Option<Arc<Corrections>>,
}

/// A board that gets no plan for the time being.
#[derive(Debug, Clone, PartialEq)]
pub struct Out {
    /// Its site.
    pub site: String,
    /// What it may be drawing, and its site may therefore not give out.
    pub reserve_w: f64,
}

/// A refused way to run a tenant, or a refused power mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Barred {
    /// What.
    pub what: Exclusion,
    /// When, on the service's monotonic clock, it may be tried again.
    pub until: Duration,
}

/// What a solve must leave out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outs {
    /// Boards.
    pub boards: BTreeMap<String, Out>,
    /// Options and modes.
    pub barred: Vec<Barred>,
}

impl Outs {
    /// Leaves something out until `until`; says whether that is new.
    pub fn bar(&mut self, what: Exclusion, until: Duration) -> bool {
        if let Some(known) = self.barred.iter_mut().find(|b| b.what == what) {
            known.until = until;
            return false;
        }
        if self.barred.len() >= MOST {
            self.barred.remove(0);
        }
        self.barred.push(Barred { what, until });
        true
    }

    /// Forgets what may be tried again; says whether there was something.
    pub fn forgive(&mut self, now: Duration) -> bool {
        let before = self.barred.len();
        self.barred.retain(|b| b.until > now);
        before != self.barred.len()
    }

    /// Whether a board's orders hold what is to be left out.
    #[must_use]
    pub fn hit(&self, orders: &OrdersDto) -> bool {
        let board = |device: &String| *device == orders.device && orders.mode.is_some();
        self.boards.keys().any(board)
            || self.barred.iter().any(|b| match &b.what {
                Exclusion::Board { device } => board(device),
                Exclusion::Mode { device, mode } => board(device) && orders.mode.as_ref() == Some(mode),
                Exclusion::Option { device, tenant, family, tier, segments, .. } => {
                    *device == orders.device
                        && orders.tasks.iter().any(|t| {
                            (&t.tenant, &t.family, &t.tier) == (tenant, family, tier)
                                && t.segments == *segments
                        })
                }
            })
    }

    /// Watts that sites may not give out, in the order of `sites`.
    #[must_use]
    pub fn reserved<'a>(&self, sites: impl Iterator<Item = &'a str>) -> Vec<Watts> {
        let of = |site: &str| self.boards.values().filter(|o| o.site == site).map(|o| o.reserve_w).sum();
        sites.map(|site| Watts::new(of(site))).collect()
    }

    /// The problem without refused options; `None` where it has none of them. Boards of a profile at a site share
    /// their options, so what one of them refused none of them is given.
    ///
    /// # Errors
    /// When what is left is no problem.
    pub fn without(&self, instance: &Instance) -> Result<Option<Instance>, ServiceError> {
        if self.barred.is_empty() {
            return Ok(None);
        }
        let mut parts = instance.to_parts();
        let before = instance.option_count();
        let classes = parts.classes.clone();
        let named = device_classes(&parts);
        for tenant in &mut parts.tenants {
            let mut options = std::mem::take(&mut tenant.options);
            options.retain(|option| {
                !self.barred.iter().any(|b| barred(&b.what, (tenant, option), &classes, &named))
            });
            tenant.options = options;
        }
        let left = Instance::try_new(parts)?;
        Ok((left.option_count() != before).then_some(left))
    }
}

fn device_classes(parts: &InstanceParts) -> BTreeMap<String, usize> {
    parts.devices.iter().map(|d| (d.id.to_string(), d.class.at())).collect()
}

fn barred(
    what: &Exclusion,
    (tenant, option): (&InstanceTenant, &Choice),
    classes: &[DeviceClass],
    named: &BTreeMap<String, usize>,
) -> bool {
    let Some(host) = &option.host else { return false };
    let on = |device: &String| named.get(device) == Some(&host.class.at());
    let Some(class) = classes.get(host.class.at()) else { return false };
    let mode = class.modes.get(host.mode.at()).map(|m| m.id.as_str());
    match what {
        Exclusion::Board { .. } => false,
        Exclusion::Mode { device, mode: refused } => on(device) && mode == Some(refused.as_str()),
        // A board that cannot run a model in one power mode cannot run it in another.
        Exclusion::Option { device, tenant: whose, family, tier, segments, .. } => {
            let same = segments.iter().map(|s| (s.from_block, s.to_block, Some(s.unit.as_str())));
            let own = host
                .segments
                .iter()
                .map(|s| (s.from as u64, s.to as u64, class.units.get(s.unit).map(|u| u.as_str())));
            on(device)
                && tenant.id.as_str() == whose
                && tenant.family == *family
                && tenant.tiers.get(host.tier).is_some_and(|t| t.id.as_str() == tier)
                && own.eq(same)
        }
    }
}
