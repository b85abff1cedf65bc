//! What a solve must leave out because boards said no, or say nothing.

use super::corrected::Corrections;
use crate::ServiceError;
use ecomap_dispatch::Exclusion;
use ecomap_instances::Instance;
use ecomap_instances::format::orders_v1::OrdersDto;
use ecomap_instances::ids::{ClassIx, DeviceIx, ModeIx};
use ecomap_instances::instance::{Choice, DeviceClass, InstanceParts, InstanceTenant};
use ecomap_instances::units::Watts;
use std::collections::{BTreeMap, BTreeSet};
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

    /// Watts that sites may not give out, in the order of `sites`, for those of the boards that are `absent`. One that
    /// is planned for although it does not answer draws what its plan says.
    #[must_use]
    pub fn reserved<'a>(&self, absent: &[String], sites: impl Iterator<Item = &'a str>) -> Vec<Watts> {
        let out = || self.boards.iter().filter(|(device, _)| absent.contains(device)).map(|(_, out)| out);
        let of = |site: &str| out().filter(|o| o.site == site).map(|o| o.reserve_w).sum();
        sites.map(|site| Watts::new(of(site))).collect()
    }

    /// The problem without refused options; `None` where it has none of them. Boards of a profile at a site share
    /// their options; one that refused some of them gets a class of its own, so that the others keep them.
    ///
    /// # Errors
    /// When what is left is no problem.
    pub fn without(&self, instance: &Instance) -> Result<Option<Instance>, ServiceError> {
        let mut parts = instance.to_parts();
        let named = device_classes(&parts);
        let hits = |what: &Exclusion| {
            let mut options = parts.tenants.iter().flat_map(|t| t.options.iter().map(move |o| (t, o)));
            options.any(|option| barred(what, option, &parts.classes, &named))
        };
        let refused: Vec<&Exclusion> =
            self.barred.iter().map(|b| &b.what).filter(|what| hits(what)).collect();
        if refused.is_empty() {
            return Ok(None);
        }
        for device in refused.iter().filter_map(|what| names(what)).collect::<BTreeSet<&str>>() {
            set_apart(&mut parts, device);
        }
        let (classes, named) = (parts.classes.clone(), device_classes(&parts));
        for tenant in &mut parts.tenants {
            let mut options = std::mem::take(&mut tenant.options);
            options.retain(|option| {
                !refused.iter().any(|what| barred(what, (tenant, option), &classes, &named))
            });
            tenant.options = options;
            if tenant.options.is_empty() && !tenant.shedding.allowed {
                tracing::warn!(tenant = %tenant.id, "boards refuse all that would serve it: it is shed meanwhile");
                tenant.shedding.allowed = true;
            }
        }
        for what in &refused {
            if let Exclusion::Mode { device, mode } = what {
                take_mode(&mut parts, device, mode);
            }
        }
        Ok(Some(Instance::try_new(parts)?))
    }
}

/// The board whose options an exclusion takes away.
fn names(what: &Exclusion) -> Option<&str> {
    match what {
        Exclusion::Board { .. } => None,
        Exclusion::Mode { device, .. } | Exclusion::Option { device, .. } => Some(device),
    }
}

/// Takes a power mode from a board that is alone in its class and has another one; its options are gone already.
fn take_mode(parts: &mut InstanceParts, device: &str, mode: &str) {
    let Some(class) = parts.devices.iter().find(|d| d.id.as_str() == device).map(|d| d.class) else { return };
    let Some(own) = parts.classes.get_mut(class.at()).filter(|c| c.modes.len() > 1) else { return };
    let Some(at) = own.modes.iter().position(|m| m.id.as_str() == mode) else { return };
    own.modes.remove(at);
    for host in parts.tenants.iter_mut().flat_map(|t| &mut t.options).filter_map(|o| o.host.as_mut()) {
        if host.class == class && host.mode.at() > at {
            host.mode = ModeIx::new(host.mode.at() - 1);
        }
    }
}

/// Gives a board that has others beside it in its class a class of its own, with the same options.
fn set_apart(parts: &mut InstanceParts, device: &str) {
    let Some(at) = parts.devices.iter().position(|d| d.id.as_str() == device) else { return };
    let (at, own) = (DeviceIx::new(at), ClassIx::new(parts.classes.len()));
    // Priced classes are named `site:profile`.
    let id = format!("apart-{}", own.at());
    let old = parts.devices[at.at()].class;
    let class = &mut parts.classes[old.at()];
    if class.devices.len() < 2 {
        return;
    }
    class.devices.retain(|d| *d != at);
    let apart = DeviceClass { id, devices: vec![at], ..class.clone() };
    parts.classes.push(apart);
    parts.devices[at.at()].class = own;
    for tenant in &mut parts.tenants {
        if !tenant.admits(at) {
            continue;
        }
        let of_old = |option: &&Choice| option.host.as_ref().is_some_and(|h| h.class == old);
        let mut copies: Vec<Choice> = tenant.options.iter().filter(of_old).cloned().collect();
        copies.iter_mut().filter_map(|c| c.host.as_mut()).for_each(|host| host.class = own);
        tenant.options.extend(copies);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::{self, Sizes};
    use ecomap_instances::format::Format;
    use ecomap_instances::format::scenario_v1::SegmentDto;
    use ecomap_solver::clock::SystemClock;
    use serde_json::{Value, json};

    /// Two boards of one profile, which share their options.
    fn pair() -> Instance {
        let text = ecomap_instances::scenarios::embedded("xavier-3").unwrap();
        let mut scenario: Value = serde_json::from_slice(text).unwrap();
        let device = scenario["devices"][0].clone();
        scenario["devices"] = json!([device, device]);
        for (at, id) in ["a", "b"].iter().enumerate() {
            scenario["devices"][at]["id"] = json!(id);
        }
        let (bytes, clock) = (scenario.to_string().into_bytes(), SystemClock::new());
        let loaded =
            pipeline::load("pair", &bytes, Some(Format::Scenario), Sizes::UNBOUNDED, &clock).unwrap();
        pipeline::price(loaded, Sizes::UNBOUNDED, &clock).unwrap().instance
    }

    /// What `a` refuses: the first option of the first tenant.
    fn first(instance: &Instance) -> Exclusion {
        let tenant = &instance.tenants[0];
        let host = tenant.options[0].host.as_ref().unwrap();
        let units = &instance.classes[host.class.at()].units;
        Exclusion::Option {
            device: "a".to_owned(),
            tenant: tenant.id.to_string(),
            family: tenant.family.clone(),
            tier: tenant.tiers[host.tier].id.to_string(),
            mode: None,
            segments: host
                .segments
                .iter()
                .map(|s| SegmentDto {
                    from_block: s.from as u64,
                    to_block: s.to as u64,
                    unit: units[s.unit].to_string(),
                })
                .collect(),
        }
    }

    fn outs(what: Exclusion) -> Outs {
        let mut outs = Outs::default();
        assert!(outs.bar(what, Duration::from_secs(1)));
        outs
    }

    #[test]
    fn what_one_board_refuses_the_other_one_keeps() {
        let instance = pair();
        assert_eq!(instance.classes.len(), 1);
        // The same placement of the same tier, in whatever power mode.
        let same = |option: &&Choice| {
            let (host, first) = (option.host.as_ref(), instance.tenants[0].options[0].host.as_ref());
            host.map(|h| (h.tier, &h.segments)) == first.map(|h| (h.tier, &h.segments))
        };
        let hit = instance.tenants[0].options.iter().filter(same).count();
        assert!(hit > 0);
        let left = outs(first(&instance)).without(&instance).unwrap().unwrap();
        assert_eq!(left.classes.len(), 2);
        let on = |instance: &Instance, device: &str, tenant: usize| {
            let class = instance.devices.iter().find(|d| d.id.as_str() == device).unwrap().class;
            let of = instance.tenants[tenant].options.iter();
            of.filter(|o| o.host.as_ref().is_some_and(|h| h.class == class)).count()
        };
        for tenant in 0..instance.tenants.len() {
            let all = on(&instance, "a", tenant);
            let refused = if tenant == 0 { hit } else { 0 };
            assert_eq!((on(&left, "a", tenant), on(&left, "b", tenant)), (all - refused, all), "{tenant}");
        }
    }

    #[test]
    fn what_nobody_offers_changes_nothing() {
        let instance = pair();
        let Exclusion::Option { device, tenant, family, segments, mode, .. } = first(&instance) else {
            panic!()
        };
        let other = Exclusion::Option { device, tenant, family, segments, mode, tier: "none".to_owned() };
        assert_eq!(outs(other).without(&instance).unwrap(), None);
        assert_eq!(Outs::default().without(&instance).unwrap(), None);
    }

    #[test]
    fn a_refused_mode_is_left_to_the_others() {
        let instance = pair();
        let ids = |instance: &Instance, device: &str| -> Vec<String> {
            let board = instance.devices.iter().find(|d| d.id.as_str() == device).unwrap();
            instance.classes[board.class.at()].modes.iter().map(|m| m.id.to_string()).collect()
        };
        let all = ids(&instance, "b");
        assert!(all.len() > 1);
        let refused = Exclusion::Mode { device: "b".to_owned(), mode: all[0].clone() };
        let left = outs(refused).without(&instance).unwrap().unwrap();
        assert_eq!((ids(&left, "a"), ids(&left, "b")), (all.clone(), all[1..].to_vec()));
        // By the names of modes, the other board's options are what they were, and this one's less one mode's.
        let count = |instance: &Instance, device: &str, mode: &str| {
            let board = instance.devices.iter().find(|d| d.id.as_str() == device).unwrap();
            let modes = &instance.classes[board.class.at()].modes;
            let hosts = instance.tenants.iter().flat_map(|t| &t.options).filter_map(|o| o.host.as_ref());
            hosts.filter(|h| h.class == board.class && modes[h.mode.at()].id.as_str() == mode).count()
        };
        for mode in &all {
            let before = count(&instance, "b", mode);
            assert_eq!(count(&left, "a", mode), before);
            assert_eq!(count(&left, "b", mode), if *mode == all[0] { 0 } else { before });
        }
    }

    #[test]
    fn a_tenant_that_every_board_refuses_is_shed_and_the_others_are_served() {
        let mut parts = pair().to_parts();
        parts.tenants[0].shedding.allowed = false;
        let keep = parts.tenants[0].options[0].clone();
        parts.tenants[0].options = vec![keep];
        let instance = Instance::try_new(parts).unwrap();
        let mut all = outs(first(&instance));
        let Exclusion::Option { tenant, family, tier, segments, mode, .. } = first(&instance) else {
            panic!()
        };
        let other = Exclusion::Option { device: "b".to_owned(), tenant, family, tier, segments, mode };
        all.bar(other, Duration::from_secs(1));
        let left = all.without(&instance).unwrap().unwrap();
        assert!(left.tenants[0].options.is_empty() && left.tenants[0].shedding.allowed);
        assert!(left.tenants[1..].iter().all(|t| !t.options.is_empty()));
    }
}
