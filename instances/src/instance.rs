//! An instance: the priced problem, pure numbers, solvable without an estimator.
//!
//! Classes (tenants) of options; each option has a cost and uses capacities. An option may sit on
//! a *device class* (identical boards at one site) in one power mode, and then uses that device's
//! rows; and it may use global capacity rows (links, or the knapsack rows of a published
//! benchmark).

use crate::ids::{
    CapacityIx, ClassIx, DeviceId, DeviceIx, ModeId, ModeIx, OptionIx, SiteId, SiteIx, TenantId, TenantIx,
    TierId, UnitId, UnitIx, WeightIx,
};
use crate::issue::{Code, Collector, Issues};
use crate::objective::Objective;
use crate::scenario::{Affinity, Quantile, Segment, Shedding, Slo, Stability};
use crate::units::{Bytes, BytesPerSecond, GramsPerKwh, Hertz, Millis, Watts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Whether the file's own value is minimised or maximised. All other terms are minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Sense {
    Minimize,
    Maximize,
}

/// A site of an instance.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceSite {
    /// Name.
    pub id: SiteId,
    /// Carbon intensity now.
    pub carbon: GramsPerKwh,
    /// Power cap, right-hand side of row 6b; `None`: none.
    pub cap: Option<Watts>,
}

/// A power mode of a device class.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassMode {
    /// Name.
    pub id: ModeId,
    /// Draw with nothing running.
    pub idle: Watts,
    /// Right-hand side of row 6a.
    pub budget: Watts,
    /// ρ̄ of row 3 per unit; 0 where the mode switches the unit off.
    pub load_cap: Vec<f64>,
    /// Right-hand side of row 5.
    pub bandwidth: BytesPerSecond,
}

/// Identical boards at one site.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceClass {
    /// Name.
    pub id: String,
    /// Where they stand.
    pub site: SiteIx,
    /// Hardware profile.
    pub profile: String,
    /// Compute units.
    pub units: Vec<UnitId>,
    /// Right-hand side of row 4.
    pub memory: Bytes,
    /// Draw when switched off.
    pub off: Watts,
    /// Whether its boards must stay on.
    pub always_on: bool,
    /// The boards.
    pub devices: Vec<DeviceIx>,
    /// Power modes.
    pub modes: Vec<ClassMode>,
}

/// A board.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceDevice {
    /// Name.
    pub id: DeviceId,
    /// Its class.
    pub class: ClassIx,
}

/// Weights that tenants on the same device share (row 4).
#[derive(Debug, Clone, PartialEq)]
pub struct WeightSet {
    /// Name, `family/tier@precision`.
    pub id: String,
    /// Size.
    pub bytes: Bytes,
}

/// A global capacity row: a link, or a knapsack row.
#[derive(Debug, Clone, PartialEq)]
pub struct Capacity {
    /// Name.
    pub id: String,
    /// Right-hand side.
    pub capacity: f64,
    /// Unit of the row, for people.
    pub unit: String,
}

/// Latency at three quantiles.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Quantiles {
    /// Median.
    pub p50: Millis,
    /// 95th percentile.
    pub p95: Millis,
    /// 99th percentile.
    pub p99: Millis,
}

impl Quantiles {
    /// The value at `quantile`.
    #[must_use]
    pub const fn at(&self, quantile: Quantile) -> Millis {
        match quantile {
            Quantile::P50 => self.p50,
            Quantile::P95 => self.p95,
            Quantile::P99 => self.p99,
        }
    }

    /// Each quantile multiplied by `factor`.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self { p50: self.p50 * factor, p95: self.p95 * factor, p99: self.p99 * factor }
    }

    /// Each quantile plus `delay`.
    #[must_use]
    pub fn delayed(&self, delay: Millis) -> Self {
        Self { p50: self.p50 + delay, p95: self.p95 + delay, p99: self.p99 + delay }
    }
}

/// Where an option runs and what it uses there.
#[derive(Debug, Clone, PartialEq)]
pub struct Host {
    /// Device class.
    pub class: ClassIx,
    /// Power mode.
    pub mode: ModeIx,
    /// Tier, position in the tenant's list.
    pub tier: usize,
    /// Placement.
    pub segments: Vec<Segment>,
    /// End-to-end latency that row 7 compares and the objective counts.
    pub latency: Quantiles,
    /// Network part of the latency.
    pub network: Millis,
    /// End-to-end latency without co-runners.
    pub isolated: Quantiles,
    /// Relative slowdown per unit of co-runners' load, by unit: on-device latency × (1 + Σ slope × load).
    pub slopes: Vec<(UnitIx, f64)>,
    /// Extra draw, rate × energy per request.
    pub dynamic: Watts,
    /// Utilisation of each unit used.
    pub load: Vec<(UnitIx, f64)>,
    /// Memory of its own (activations, buffers).
    pub memory: Bytes,
    /// Shared weight sets it needs.
    pub weights: Vec<WeightIx>,
    /// Memory traffic.
    pub bandwidth: BytesPerSecond,
}

/// One way to serve a tenant.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The file's own value (profit or cost); 0 for priced scenarios.
    pub value: f64,
    /// Where it runs; `None` for options of published benchmarks.
    pub host: Option<Host>,
    /// Use of global capacities, ascending by index.
    pub uses: Vec<(CapacityIx, f64)>,
}

/// A tier as the instance needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceTier {
    /// Name.
    pub id: TierId,
    /// Accuracy in the family's metric, percent.
    pub accuracy: f64,
}

/// A running choice, for row 11.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningChoice {
    /// Device.
    pub device: DeviceIx,
    /// Tier, position in the tenant's list.
    pub tier: usize,
    /// Placement; `None`: any placement of this tier on this device counts as unchanged.
    pub segments: Option<Vec<Segment>>,
}

/// A tenant with its options.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceTenant {
    /// Name.
    pub id: TenantId,
    /// Weight in the objective.
    pub priority: f64,
    /// Mean request rate.
    pub rate: Hertz,
    /// Latency objective; `None` for published benchmarks.
    pub slo: Option<Slo>,
    /// Model family, for people.
    pub family: String,
    /// Tiers.
    pub tiers: Vec<InstanceTier>,
    /// Least accuracy accepted.
    pub accuracy_floor: Option<f64>,
    /// Devices it may run on; `None`: any.
    pub devices: Option<Vec<DeviceIx>>,
    /// Price of leaving the running choice.
    pub switch_price: f64,
    /// What it runs now.
    pub running: Option<RunningChoice>,
    /// Whether it may be left out.
    pub shedding: Shedding,
    /// Ways to serve it.
    pub options: Vec<Choice>,
}

impl InstanceTenant {
    /// Accuracy of the best tier, 0 without tiers.
    #[must_use]
    pub fn best_accuracy(&self) -> f64 {
        self.tiers.iter().map(|t| t.accuracy).fold(0.0, f64::max)
    }

    /// Accuracy points that an option gives up against the best tier.
    #[must_use]
    pub fn points_lost(&self, option: &Choice) -> f64 {
        option.host.as_ref().map_or(0.0, |h| self.best_accuracy() - self.tiers[h.tier].accuracy)
    }

    /// Whether the tenant may run on `device`.
    #[must_use]
    pub fn admits(&self, device: DeviceIx) -> bool {
        self.devices.as_ref().is_none_or(|list| list.contains(&device))
    }
}

/// The content of an instance. Read it through [`Instance`].
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceParts {
    /// Name.
    pub name: String,
    /// Sense of [`Choice::value`].
    pub sense: Sense,
    /// What to minimise unless the caller says otherwise.
    pub objective: Objective,
    /// Sites.
    pub sites: Vec<InstanceSite>,
    /// Device classes.
    pub classes: Vec<DeviceClass>,
    /// Devices.
    pub devices: Vec<InstanceDevice>,
    /// Shared weights.
    pub weights: Vec<WeightSet>,
    /// Global capacity rows.
    pub capacities: Vec<Capacity>,
    /// Tenants.
    pub tenants: Vec<InstanceTenant>,
    /// Affinity rules.
    pub affinities: Vec<Affinity>,
    /// Least priority-weighted mean accuracy over the served tenants.
    pub fleet_accuracy_floor: Option<f64>,
    /// How much of what runs may change (rows 11a and 11b).
    pub stability: Stability,
}

/// Size limits of an instance; beyond them reading stops with [`Code::TooMany`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most tenants.
    pub tenants: usize,
    /// Most devices.
    pub devices: usize,
    /// Most options over all tenants.
    pub options: usize,
    /// Most global capacity rows, sites, links and zones each.
    pub rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tenants: 100_000, devices: 10_000, options: 20_000_000, rows: 10_000 }
    }
}

/// Largest magnitude accepted for a number that enters the model.
pub const MAX_MAGNITUDE: f64 = 1e15;

/// A validated instance: every index resolves, every number is finite and in range.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance(InstanceParts);

impl std::ops::Deref for Instance {
    type Target = InstanceParts;
    fn deref(&self) -> &InstanceParts {
        &self.0
    }
}

impl Instance {
    /// Checks every rule that solvers rely on.
    ///
    /// # Errors
    /// All issues found, with pointers into the `ecomap.instance/v1` document.
    pub fn try_new(parts: InstanceParts) -> Result<Self, Issues> {
        let mut bad = Collector::default();
        check::all(&parts, &mut bad);
        bad.finish()?;
        Ok(Self(parts))
    }

    /// The same instance with every power cap multiplied by `factor`, clamped to 0.
    #[must_use]
    pub fn with_caps_scaled(&self, factor: f64) -> Self {
        let mut parts = self.0.clone();
        for site in &mut parts.sites {
            site.cap = site.cap.map(|cap| (cap * factor).max(Watts::ZERO));
        }
        Self(parts)
    }

    /// Changes caps of sites and capacities of rows; nothing when one of them is wrong.
    ///
    /// # Errors
    /// A site or row that does not exist, a budget that is negative or beyond [`MAX_MAGNITUDE`].
    pub fn set_budgets(
        &mut self,
        caps: &[(SiteIx, Option<Watts>)],
        capacities: &[(CapacityIx, f64)],
    ) -> Result<(), Issues> {
        let mut bad = Collector::default();
        let fine = |value: f64| (0.0..=MAX_MAGNITUDE).contains(&value);
        for (site, cap) in caps {
            let at = format!("/sites/{}/cap_w", site.at());
            if site.at() >= self.0.sites.len() {
                bad.push(Code::OutOfRange, at, format!("there are {} sites", self.0.sites.len()));
            } else if !cap.is_none_or(|cap| fine(cap.get())) {
                bad.push(Code::OutOfRange, at, "a cap is a number of watts, at least 0".to_owned());
            }
        }
        for (row, capacity) in capacities {
            let at = format!("/capacities/{}/capacity", row.at());
            if row.at() >= self.0.capacities.len() {
                bad.push(Code::OutOfRange, at, format!("there are {} capacities", self.0.capacities.len()));
            } else if !fine(*capacity) {
                bad.push(Code::OutOfRange, at, "a capacity is a number, at least 0".to_owned());
            }
        }
        bad.finish()?;
        for (site, cap) in caps {
            self.0.sites[site.at()].cap = *cap;
        }
        for (row, capacity) in capacities {
            self.0.capacities[row.at()].capacity = *capacity;
        }
        Ok(())
    }

    /// Moves carbon intensities of sites.
    ///
    /// # Errors
    /// A site that does not exist, an intensity that is negative or beyond [`MAX_MAGNITUDE`]; nothing is moved then.
    pub fn set_carbon(&mut self, intensities: &[(SiteIx, GramsPerKwh)]) -> Result<(), Issues> {
        let mut bad = Collector::default();
        for (site, grams) in intensities {
            let at = format!("/sites/{}/carbon_g_per_kwh", site.at());
            if site.at() >= self.0.sites.len() {
                bad.push(Code::OutOfRange, at, format!("there are {} sites", self.0.sites.len()));
            } else if !(0.0..=MAX_MAGNITUDE).contains(&grams.get()) {
                bad.push(Code::OutOfRange, at, "an intensity is a number, at least 0".to_owned());
            }
        }
        bad.finish()?;
        for (site, grams) in intensities {
            self.0.sites[site.at()].carbon = *grams;
        }
        Ok(())
    }

    /// The same instance with another objective.
    #[must_use]
    pub fn with_objective(&self, objective: Objective) -> Self {
        let mut parts = self.0.clone();
        parts.objective = objective;
        Self(parts)
    }

    /// The content, for building a variant that is validated anew.
    #[must_use]
    pub fn to_parts(&self) -> InstanceParts {
        self.0.clone()
    }

    /// Options over all tenants.
    #[must_use]
    pub fn option_count(&self) -> usize {
        self.0.tenants.iter().map(|t| t.options.len()).sum()
    }

    /// The option `option` of `tenant`.
    #[must_use]
    pub fn option(&self, tenant: TenantIx, option: OptionIx) -> &Choice {
        &self.0.tenants[tenant.at()].options[option.at()]
    }

    /// Class of a device.
    #[must_use]
    pub fn class_of(&self, device: DeviceIx) -> &DeviceClass {
        &self.0.classes[self.0.devices[device.at()].class.at()]
    }

    /// Devices on which `tenant` may run `option`, ascending; empty for options without a host.
    pub fn devices_for<'a>(
        &'a self,
        tenant: &'a InstanceTenant,
        option: &Choice,
    ) -> impl Iterator<Item = DeviceIx> + 'a {
        let list: &'a [DeviceIx] = match &option.host {
            Some(host) => &self.0.classes[host.class.at()].devices,
            None => &[],
        };
        list.iter().copied().filter(|d| tenant.admits(*d))
    }

    /// Whether `option` on `device` is the tenant's running choice (row 11).
    #[must_use]
    pub fn is_running(&self, tenant: &InstanceTenant, option: &Choice, device: DeviceIx) -> bool {
        let (Some(running), Some(host)) = (&tenant.running, &option.host) else {
            return false;
        };
        running.device == device
            && running.tier == host.tier
            && running.segments.as_ref().is_none_or(|s| *s == host.segments)
    }
}

/// Validation of instances.
mod check {
    use super::{
        BTreeSet, Choice, Code, Collector, Host, InstanceParts, InstanceTenant, Limits, MAX_MAGNITUDE,
    };
    use crate::ids::is_legal_id;
    use crate::objective::{Objective, Term};
    use std::fmt;

    pub(super) fn all(p: &InstanceParts, bad: &mut Collector) {
        let limits = Limits::default();
        let sizes = [
            ("/sites", p.sites.len(), limits.rows),
            ("/affinities", p.affinities.len(), limits.rows),
            ("/device_classes", p.classes.len(), limits.devices),
            ("/devices", p.devices.len(), limits.devices),
            ("/capacities", p.capacities.len(), limits.rows),
            ("/tenants", p.tenants.len(), limits.tenants),
            ("/tenants", p.tenants.iter().map(|t| t.options.len()).sum(), limits.options),
        ];
        for (at, count, most) in sizes {
            if count > most {
                bad.push(Code::TooMany, at, format!("{count} items, at most {most}"));
            }
        }
        if p.tenants.is_empty() {
            bad.push(Code::Empty, "/tenants", "an instance needs a tenant");
        }
        ids(p, bad);
        sites_and_classes(p, bad);
        for (w, set) in p.weights.iter().enumerate() {
            bad.range(&format!("/weight_sets/{w}/bytes"), set.bytes.get(), 0.0, MAX_MAGNITUDE);
        }
        for (c, row) in p.capacities.iter().enumerate() {
            bad.range(&format!("/capacities/{c}/capacity"), row.capacity, -MAX_MAGNITUDE, MAX_MAGNITUDE);
        }
        for (t, x) in p.tenants.iter().enumerate() {
            tenant(p, t, x, bad);
        }
        for (a, rule) in p.affinities.iter().enumerate() {
            for (k, ix) in rule.tenants.iter().enumerate() {
                if ix.at() >= p.tenants.len() {
                    bad.push(Code::BadReference, format!("/affinities/{a}/tenants/{k}"), "no such tenant");
                }
            }
        }
        for (n, tenant) in p.stability.frozen.iter().enumerate() {
            let at = format!("/stability/frozen/{n}");
            match p.tenants.get(tenant.at()) {
                None => bad.push(Code::BadReference, at, "no such tenant"),
                Some(tenant) if tenant.running.is_none() => {
                    bad.push(Code::Contradiction, at, format!("{} is frozen but runs nothing", tenant.id));
                }
                Some(_) => {}
            }
        }
        if let Some(floor) = p.fleet_accuracy_floor {
            bad.range("/fleet_accuracy_floor", floor, 0.0, 100.0);
        }
        let uses_value = match &p.objective {
            Objective::Single(term) => *term == Term::Value,
            Objective::Weighted(list) => list.iter().any(|(t, _)| *t == Term::Value),
            Objective::Lexicographic(list) => list.contains(&Term::Value),
            Objective::Ecomap(_) | Objective::Cdp => false,
        };
        if p.sense == super::Sense::Maximize && !(uses_value && matches!(p.objective, Objective::Single(_))) {
            bad.push(Code::Contradiction, "/sense", "only the objective `value` can be maximised");
        }
    }

    fn ids(p: &InstanceParts, bad: &mut Collector) {
        let lists: [(&str, Vec<&str>); 5] = [
            ("sites", p.sites.iter().map(|x| x.id.as_str()).collect()),
            ("device_classes", p.classes.iter().map(|x| x.id.as_str()).collect()),
            ("devices", p.devices.iter().map(|x| x.id.as_str()).collect()),
            ("capacities", p.capacities.iter().map(|x| x.id.as_str()).collect()),
            ("tenants", p.tenants.iter().map(|x| x.id.as_str()).collect()),
        ];
        for (name, list) in lists {
            let mut seen = BTreeSet::new();
            // Devices are plain strings in the document.
            let field = if name == "devices" { "" } else { "/id" };
            for (n, id) in list.into_iter().enumerate() {
                if !is_legal_id(id) {
                    let message = format!("`{}`", id.escape_debug());
                    bad.push(Code::IllegalId, format!("/{name}/{n}{field}"), message);
                }
                if !seen.insert(id) {
                    let message = format!("`{}` again", id.escape_debug());
                    bad.push(Code::DuplicateId, format!("/{name}/{n}{field}"), message);
                }
            }
        }
    }

    fn sites_and_classes(p: &InstanceParts, bad: &mut Collector) {
        for (s, site) in p.sites.iter().enumerate() {
            bad.range(&format!("/sites/{s}/carbon_g_per_kwh"), site.carbon.get(), 0.0, 1e5);
            if let Some(cap) = site.cap {
                bad.range(&format!("/sites/{s}/cap_w"), cap.get(), 0.0, 1e9);
            }
        }
        let mut listed = BTreeSet::new();
        for (c, class) in p.classes.iter().enumerate() {
            let at = format!("/device_classes/{c}");
            if class.site.at() >= p.sites.len() {
                bad.push(Code::UnknownSite, format!("{at}/site"), "no such site");
            }
            if class.devices.is_empty() {
                bad.push(Code::Empty, format!("{at}/devices"), "a class needs a device");
            }
            if class.modes.is_empty() {
                bad.push(Code::Empty, format!("{at}/modes"), "a class needs a mode");
            }
            bad.range(&format!("{at}/memory_bytes"), class.memory.get(), 0.0, MAX_MAGNITUDE);
            bad.range(&format!("{at}/off_w"), class.off.get(), 0.0, 1e6);
            for (n, d) in class.devices.iter().enumerate() {
                let agrees = p.devices.get(d.at()).is_some_and(|x| x.class.at() == c);
                if !(agrees && listed.insert(d.at())) {
                    bad.push(Code::BadReference, format!("{at}/devices/{n}"), "device and class disagree");
                }
            }
            for (m, mode) in class.modes.iter().enumerate() {
                let at = format!("{at}/modes/{m}");
                bad.range(&format!("{at}/idle_w"), mode.idle.get(), 0.0, 1e6);
                bad.range(&format!("{at}/budget_w"), mode.budget.get(), 0.0, 1e6);
                bad.range(&format!("{at}/bandwidth_bytes_per_s"), mode.bandwidth.get(), 0.0, MAX_MAGNITUDE);
                if mode.load_cap.len() != class.units.len() {
                    bad.push(Code::Inconsistent, format!("{at}/load_cap"), "one number for each unit");
                }
                for (u, cap) in mode.load_cap.iter().enumerate() {
                    bad.range(&format!("{at}/load_cap/{u}"), *cap, 0.0, 1.0);
                }
            }
        }
        if listed.len() < p.devices.len() {
            bad.push(Code::Inconsistent, "/device_classes", "every device belongs to exactly one class");
        }
    }

    fn tenant(p: &InstanceParts, t: usize, x: &InstanceTenant, bad: &mut Collector) {
        let at = format!("/tenants/{t}");
        bad.range(&format!("{at}/priority"), x.priority, 1e-6, 1e6);
        bad.range(&format!("{at}/rate_per_s"), x.rate.get(), 0.0, 1e9);
        bad.range(&format!("{at}/switch_price"), x.switch_price, 0.0, 1e9);
        if let Some(price) = x.shedding.price {
            bad.range(&format!("{at}/shed/price"), price, 0.0, 1e12);
        }
        if let Some(slo) = x.slo {
            bad.range(&format!("{at}/slo/latency_ms"), slo.latency.get(), 1e-6, 1e9);
            if let Some(price) = slo.soft_price {
                bad.range(&format!("{at}/slo/soft_price_per_ms"), price, 0.0, 1e9);
            }
        }
        if let Some(floor) = x.accuracy_floor {
            bad.range(&format!("{at}/accuracy_floor"), floor, 0.0, 100.0);
        }
        for (k, tier) in x.tiers.iter().enumerate() {
            bad.range(&format!("{at}/tiers/{k}/accuracy"), tier.accuracy, 0.0, 100.0);
        }
        if x.options.is_empty() && !x.shedding.allowed {
            bad.push(
                Code::NoOption,
                format!("{at}/options"),
                format!("`{}` must be served, but no option is left for it", x.id),
            );
        }
        for d in x.devices.iter().flatten() {
            if d.at() >= p.devices.len() {
                bad.push(Code::UnknownDevice, format!("{at}/devices"), "no such device");
            }
        }
        if let Some(running) = &x.running
            && (running.device.at() >= p.devices.len() || running.tier >= x.tiers.len())
        {
            bad.push(Code::BadReference, format!("{at}/running"), "no such device or tier");
        }
        for (o, choice) in x.options.iter().enumerate() {
            option(p, x, OptionAt(t, o), choice, bad);
        }
    }

    /// Pointer to an option, written only when there is something to say: formatting one for each of
    /// millions of options would dominate.
    #[derive(Clone, Copy)]
    struct OptionAt(usize, usize);

    impl fmt::Display for OptionAt {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "/tenants/{}/options/{}", self.0, self.1)
        }
    }

    fn option(p: &InstanceParts, x: &InstanceTenant, at: OptionAt, choice: &Choice, bad: &mut Collector) {
        if !(choice.value.is_finite() && choice.value.abs() <= MAX_MAGNITUDE) {
            bad.range(&format!("{at}/value"), choice.value, -MAX_MAGNITUDE, MAX_MAGNITUDE);
        }
        let mut last = None;
        for (row, amount) in &choice.uses {
            if row.at() >= p.capacities.len() || last.is_some_and(|l| l >= row.at()) {
                bad.push(Code::BadReference, format!("{at}/uses"), "unknown or repeated capacity");
            }
            last = Some(row.at());
            if !(amount.is_finite() && *amount >= 0.0 && *amount <= MAX_MAGNITUDE) {
                bad.range(&format!("{at}/uses"), *amount, 0.0, MAX_MAGNITUDE);
            }
        }
        if let Some(host) = &choice.host {
            hosted(p, x, at, host, bad);
        }
    }

    fn hosted(p: &InstanceParts, x: &InstanceTenant, at: OptionAt, host: &Host, bad: &mut Collector) {
        let Some(class) = p.classes.get(host.class.at()) else {
            bad.push(Code::BadReference, format!("{at}/host/class"), "no such device class");
            return;
        };
        let Some(mode) = class.modes.get(host.mode.at()) else {
            bad.push(Code::UnknownMode, format!("{at}/host/mode"), "no such mode");
            return;
        };
        if host.tier >= x.tiers.len() {
            bad.push(Code::UnknownTier, format!("{at}/host/tier"), "no such tier");
        }
        if host.load.is_empty() {
            bad.push(Code::Empty, format!("{at}/host/load"), "an option on a device loads a unit");
        }
        let mut last = None;
        for (unit, load) in &host.load {
            if last.is_some_and(|l| l >= unit.at()) {
                bad.push(Code::BadReference, format!("{at}/host/load"), "units are listed once, ascending");
            }
            last = Some(unit.at());
            match mode.load_cap.get(unit.at()) {
                None => bad.push(Code::UnknownUnit, format!("{at}/host/load"), "no such unit"),
                Some(cap) if *cap <= 0.0 && *load > 0.0 => {
                    bad.push(Code::UnitOff, format!("{at}/host/load"), "the mode switches this unit off");
                }
                Some(_) => {}
            }
            if !(load.is_finite() && *load >= 0.0 && *load <= 1e6) {
                bad.range(&format!("{at}/host/load"), *load, 0.0, 1e6);
            }
        }
        for (unit, slope) in &host.slopes {
            if unit.at() >= class.units.len() {
                bad.push(Code::UnknownUnit, format!("{at}/host/slopes"), "no such unit");
            }
            if !(slope.is_finite() && *slope >= 0.0) {
                bad.range(&format!("{at}/host/slopes"), *slope, 0.0, 1e6);
            }
        }
        for w in &host.weights {
            if w.at() >= p.weights.len() {
                bad.push(Code::BadReference, format!("{at}/host/weights"), "no such weight set");
            }
        }
        for segment in &host.segments {
            if segment.unit >= class.units.len() || segment.from >= segment.to {
                bad.push(Code::UnknownUnit, format!("{at}/host/segments"), "unknown unit or empty segment");
            }
        }
        let numbers = [
            ("latency_ms", host.latency.p50.get()),
            ("latency_ms", host.latency.p95.get()),
            ("latency_ms", host.latency.p99.get()),
            ("isolated_ms", host.isolated.p50.get()),
            ("isolated_ms", host.isolated.p95.get()),
            ("isolated_ms", host.isolated.p99.get()),
            ("network_ms", host.network.get()),
            ("dynamic_w", host.dynamic.get()),
            ("memory_bytes", host.memory.get()),
            ("bandwidth_bytes_per_s", host.bandwidth.get()),
        ];
        for (name, value) in numbers {
            if !(value.is_finite() && (0.0..=MAX_MAGNITUDE).contains(&value)) {
                bad.range(&format!("{at}/host/{name}"), value, 0.0, MAX_MAGNITUDE);
            }
        }
    }
}
