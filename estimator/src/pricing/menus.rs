//! Menus of placements, one for each (tier, profile, mode, allowed units), shared by all tenants
//! and device classes.

use crate::pareto::{Menu, menu};
use crate::predictor::Predictor;
use crate::table::CostTable;
use ecomap_instances::family::Family;
use ecomap_instances::ids::ModeIx;
use ecomap_instances::profile::Profile;
use ecomap_instances::scenario::{PricingPolicy, Tenant};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What identifies a menu.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    family: String,
    tier: usize,
    profile: String,
    mode: ModeIx,
    allowed: Vec<bool>,
}

impl Key {
    pub(crate) fn new(tenant: &Tenant, tier: usize, profile: &Profile, mode: ModeIx) -> Self {
        Self {
            family: tenant.family.id.to_string(),
            tier,
            profile: profile.id.to_string(),
            mode,
            allowed: profile.units.iter().map(|u| !tenant.forbidden_units.contains(&u.id)).collect(),
        }
    }

    /// Whether the tenant may use a unit.
    pub(crate) fn allows(&self, unit: usize) -> bool {
        self.allowed.get(unit).copied().unwrap_or(false)
    }
}

/// A menu with the table that it was made from.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) table: CostTable,
    pub(crate) menu: Menu,
}

/// A menu to be made.
type Job = (Key, (Arc<Family>, Arc<Profile>));

/// Menus asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Menus {
    wanted: BTreeMap<Key, (Arc<Family>, Arc<Profile>)>,
    ready: BTreeMap<Key, Entry>,
}

impl Menus {
    /// Notes that a menu will be needed.
    pub(crate) fn want(&mut self, key: Key, family: &Arc<Family>, profile: &Arc<Profile>) {
        self.wanted.entry(key).or_insert_with(|| (family.clone(), profile.clone()));
    }

    /// Makes all wanted menus, on as many threads as the machine has. Each menu depends on its key
    /// alone, so the result does not depend on the number of threads.
    pub(crate) fn fill(&mut self, predictor: &dyn Predictor, policy: &PricingPolicy) {
        let jobs: Vec<Job> = std::mem::take(&mut self.wanted).into_iter().collect();
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let make = |(key, (family, profile)): &Job| {
            let table = predictor.table(profile, key.mode, family, key.tier);
            let menu = menu(&table, &key.allowed, policy);
            (key.clone(), Entry { table, menu })
        };
        if jobs.len() <= 1 {
            self.ready.extend(jobs.iter().map(make));
            return;
        }
        let make = &make;
        std::thread::scope(|scope| {
            // Neighbouring keys have similar sizes: deal them out in turn.
            let workers: Vec<_> = (0..threads.min(jobs.len()))
                .map(|w| {
                    let jobs = &jobs;
                    scope.spawn(move || jobs.iter().skip(w).step_by(threads).map(make).collect::<Vec<_>>())
                })
                .collect();
            for worker in workers {
                match worker.join() {
                    Ok(made) => self.ready.extend(made),
                    // A predictor that panics does so here as it would without threads.
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
    }

    /// A menu made by [`Menus::fill`].
    pub(crate) fn get(&self, key: &Key) -> Option<&Entry> {
        self.ready.get(key)
    }

    /// All menus, in key order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.ready.values()
    }
}
