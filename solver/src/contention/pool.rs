//! Cuts kept between solves.
//!
//! Cuts are stored by names, not by positions, with what they depend on: predictor version, board
//! type, tenants' rates and SLOs, placements. So a pool outlives re-pricing, and a cut returns only
//! where everything it was proven for is the same. A cut of a site's cap returns only under that
//! cap or a lower one.

use super::cut::{Cut, Evidence, Group};
use super::port::Board;
use ecomap_instances::Instance;
use ecomap_instances::ids::{ClassIx, DeviceIx, ModeIx, OptionIx, SiteIx, TenantIx};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Most cuts kept; the oldest leave first.
pub const MOST_CUTS: usize = 20_000;

/// Choices on a board, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredGroup {
    class: String,
    mode: String,
    members: Vec<(String, Vec<String>)>,
}

/// A cut by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Stored {
    Lifted {
        group: StoredGroup,
        guaranteed: bool,
    },
    NoGood {
        group: StoredGroup,
    },
    Site {
        site: String,
        cap_w: f64,
        groups: Vec<StoredGroup>,
        devices: Vec<String>,
        exact: bool,
        guaranteed: bool,
    },
}

/// Cuts of earlier solves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CutPool {
    /// Version of the predictor that the cuts are about.
    predictor: String,
    cuts: Vec<Stored>,
}

impl CutPool {
    /// Number of cuts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cuts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cuts.is_empty()
    }

    /// The cuts that hold for an instance. A pool of another predictor is emptied.
    pub(super) fn cuts(&mut self, instance: &Instance, predictor: &str, monotone: bool) -> Vec<Cut> {
        if self.predictor != predictor {
            self.cuts.clear();
            predictor.clone_into(&mut self.predictor);
        }
        let names = Names::new(instance);
        let read = |stored: &Stored| names.read(stored).filter(|cut| cut.applies(instance));
        // An exhaustive proof counted the tenants of its day; only a guarantee covers newcomers.
        let lasting = |cut: &Cut| match cut {
            Cut::NoGood(_) => true,
            Cut::Lifted { evidence, .. } => monotone && *evidence == Evidence::Guaranteed,
            Cut::Site { evidence, exact, .. } => *exact || (monotone && *evidence == Evidence::Guaranteed),
        };
        self.cuts.iter().filter_map(read).filter(lasting).collect()
    }

    /// Keeps cuts that are not there yet.
    pub(super) fn keep(&mut self, instance: &Instance, cuts: &[Cut]) {
        let names = Names::new(instance);
        for cut in cuts {
            let stored = names.write(cut);
            if !self.cuts.contains(&stored) {
                self.cuts.push(stored);
            }
        }
        let excess = self.cuts.len().saturating_sub(MOST_CUTS);
        self.cuts.drain(..excess);
    }
}

/// Names of an instance's parts, and back.
struct Names<'a> {
    instance: &'a Instance,
    classes: BTreeMap<String, ClassIx>,
    tenants: BTreeMap<String, TenantIx>,
    options: Vec<BTreeMap<String, OptionIx>>,
}

fn class_name(instance: &Instance, class: ClassIx) -> String {
    let class = &instance.classes[class.at()];
    format!("{}|{}", class.id, class.profile)
}

fn tenant_name(instance: &Instance, tenant: TenantIx) -> String {
    let tenant = &instance.tenants[tenant.at()];
    let slo = tenant.slo.map_or_else(String::new, |s| {
        format!("{} {} {}", s.quantile.as_str(), s.latency.get(), s.soft_price.is_some())
    });
    format!("{}|{}|{}|{slo}", tenant.id, tenant.family, tenant.rate.get())
}

/// Class, mode, tier, placement, and what is predicted of the option alone.
fn option_name(instance: &Instance, tenant: TenantIx, option: OptionIx) -> String {
    let choice = instance.option(tenant, option);
    let mut name = String::new();
    if let Some(host) = &choice.host {
        let tier = instance.tenants[tenant.at()].tiers.get(host.tier).map_or("", |t| t.id.as_str());
        let _ = write!(name, "{}|{}|{tier}", class_name(instance, host.class), host.mode.at());
        for s in &host.segments {
            let _ = write!(name, "|{}-{}@{}", s.from, s.to, s.unit);
        }
        let alone = host.isolated;
        let _ = write!(name, "|{} {} {}", alone.p50.get(), alone.p95.get(), alone.p99.get());
        let _ = write!(name, "|{}", host.dynamic.get());
        for (unit, share) in &host.load {
            let _ = write!(name, "|{}:{share}", unit.at());
        }
    }
    name
}

fn mode_name(instance: &Instance, class: ClassIx, mode: ModeIx) -> String {
    let mode = &instance.classes[class.at()].modes[mode.at()];
    format!("{}|{}|{}", mode.id, mode.budget.get(), mode.idle.get())
}

impl<'a> Names<'a> {
    fn new(instance: &'a Instance) -> Self {
        let classes =
            (0..instance.classes.len()).map(ClassIx::new).map(|c| (class_name(instance, c), c)).collect();
        let tenants =
            (0..instance.tenants.len()).map(TenantIx::new).map(|t| (tenant_name(instance, t), t)).collect();
        let options = instance
            .tenants
            .iter()
            .enumerate()
            .map(|(t, tenant)| {
                let t = TenantIx::new(t);
                (0..tenant.options.len())
                    .map(OptionIx::new)
                    .map(|o| (option_name(instance, t, o), o))
                    .collect()
            })
            .collect();
        Self { instance, classes, tenants, options }
    }

    fn write_group(&self, group: &Group) -> StoredGroup {
        let i = self.instance;
        let members = group
            .members
            .iter()
            .map(|(t, list)| (tenant_name(i, *t), list.iter().map(|o| option_name(i, *t, *o)).collect()));
        StoredGroup {
            class: class_name(i, group.class),
            mode: mode_name(i, group.class, group.mode),
            members: members.collect(),
        }
    }

    fn write(&self, cut: &Cut) -> Stored {
        match cut {
            Cut::Lifted { group, evidence } => Stored::Lifted {
                group: self.write_group(group),
                guaranteed: *evidence == Evidence::Guaranteed,
            },
            Cut::NoGood(board) => Stored::NoGood { group: self.write_group(&Group::of(board)) },
            Cut::Site { site, cap, groups, devices, exact, evidence } => Stored::Site {
                site: self.instance.sites[site.at()].id.to_string(),
                cap_w: *cap,
                groups: groups.iter().map(|g| self.write_group(g)).collect(),
                devices: devices.iter().map(|d| self.instance.devices[d.at()].id.to_string()).collect(),
                exact: *exact,
                guaranteed: *evidence == Evidence::Guaranteed,
            },
        }
    }

    fn read_group(&self, stored: &StoredGroup) -> Option<Group> {
        let class = *self.classes.get(&stored.class)?;
        let modes = 0..self.instance.classes[class.at()].modes.len();
        let mode = modes.map(ModeIx::new).find(|m| mode_name(self.instance, class, *m) == stored.mode)?;
        let mut members = Vec::new();
        for (tenant, options) in &stored.members {
            let tenant = *self.tenants.get(tenant)?;
            // Options that are gone need no cut.
            let mut list: Vec<OptionIx> =
                options.iter().filter_map(|o| self.options[tenant.at()].get(o)).copied().collect();
            if list.is_empty() {
                return None;
            }
            list.sort_unstable();
            members.push((tenant, list));
        }
        members.sort_unstable();
        Some(Group { class, mode, members })
    }

    fn read(&self, stored: &Stored) -> Option<Cut> {
        let evidence =
            |guaranteed: bool| if guaranteed { Evidence::Guaranteed } else { Evidence::Exhaustive };
        Some(match stored {
            Stored::Lifted { group, guaranteed } => {
                Cut::Lifted { group: self.read_group(group)?, evidence: evidence(*guaranteed) }
            }
            Stored::NoGood { group } => {
                let group = self.read_group(group)?;
                let pick = |(t, list): (TenantIx, Vec<OptionIx>)| list.first().map(|o| (t, *o));
                let picks = group.members.into_iter().map(pick).collect::<Option<_>>()?;
                Cut::NoGood(Board { class: group.class, mode: group.mode, picks })
            }
            Stored::Site { site, cap_w, groups, devices, exact, guaranteed } => {
                let site = self.instance.sites.iter().position(|s| s.id.as_str() == site)?;
                let device = |id: &String| {
                    self.instance.devices.iter().position(|d| d.id.as_str() == id).map(DeviceIx::new)
                };
                Cut::Site {
                    site: SiteIx::new(site),
                    cap: *cap_w,
                    groups: groups.iter().map(|g| self.read_group(g)).collect::<Option<_>>()?,
                    devices: devices.iter().map(device).collect::<Option<_>>()?,
                    exact: *exact,
                    evidence: evidence(*guaranteed),
                }
            }
        })
    }
}
