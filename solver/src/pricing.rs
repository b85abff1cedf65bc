//! Objective coefficients (equations 12–18): what each option, mode and shed tenant costs.
//!
//! [`Objective::Cdp`] is a product and has no coefficients; [`Costs::new`] gives it a plane that
//! heuristics can descend on, and `crate::cdp` the planes that its proof needs.

use ecomap_instances::ids::SiteIx;
use ecomap_instances::instance::{Choice, Instance, InstanceTenant, Sense};
use ecomap_instances::objective::{Objective, Term};
use ecomap_instances::units::Watts;

/// A linear objective over one instance, as weights of its terms, always to be minimised.
#[derive(Debug, Clone, PartialEq)]
pub struct Costs {
    accuracy: f64,
    latency_per_slo: f64,
    latency_mean: f64,
    energy: f64,
    carbon: f64,
    value: f64,
    total_rate: f64,
    with_prices: bool,
    shed: Vec<f64>,
}

impl Costs {
    /// Coefficients of `objective`; of its first level when lexicographic.
    #[must_use]
    pub fn new(instance: &Instance, objective: &Objective) -> Self {
        match objective {
            Objective::Ecomap(w) => {
                let mut costs = Self::blank(instance, true);
                costs.accuracy = 1.0;
                costs.latency_per_slo = w.latency;
                costs.carbon = w.carbon;
                costs.priced(instance)
            }
            Objective::Single(term) => Self::of_terms(instance, &[(*term, 1.0)], true),
            Objective::Weighted(terms) => Self::of_terms(instance, terms, true),
            Objective::Lexicographic(terms) => {
                let first: Vec<_> = terms.first().map(|t| (*t, 1.0)).into_iter().collect();
                Self::of_terms(instance, &first, true)
            }
            Objective::Cdp => {
                let reach = Reach::of(instance);
                Self::plane(instance, reach.latency / 2.0, reach.carbon / 2.0)
            }
            _ => Self::blank(instance, true).priced(instance),
        }
    }

    /// `carbon`·(13) + `latency`·(15) + the prices (18a) of the carbon-delay product.
    #[must_use]
    pub(crate) fn plane(instance: &Instance, carbon: f64, latency: f64) -> Self {
        let mut costs = Self::blank(instance, true);
        costs.carbon = carbon;
        costs.latency_mean = latency;
        costs.shed_from(instance, Reach::of(instance).dearest(instance));
        costs
    }

    /// `weight` times one term, without prices.
    #[must_use]
    pub(crate) fn scaled_term(instance: &Instance, term: Term, weight: f64) -> Self {
        Self::of_terms(instance, &[(term, weight)], false)
    }

    /// A weighted sum of terms, without prices.
    #[must_use]
    pub(crate) fn sum(instance: &Instance, terms: &[(Term, f64)]) -> Self {
        Self::of_terms(instance, terms, false)
    }

    /// Who is shed and nothing else, each tenant with the weight that (18) gives it: from 1 to 2,
    /// by priority.
    #[must_use]
    pub(crate) fn shedding(instance: &Instance) -> Self {
        let mut costs = Self::blank(instance, false);
        let top = instance.tenants.iter().map(|t| t.priority).fold(1e-12, f64::max);
        for (price, tenant) in costs.shed.iter_mut().zip(&instance.tenants) {
            *price = 1.0 + tenant.priority / top;
        }
        costs
    }

    /// Coefficients of one term alone, without prices: a later level of a lexicographic objective,
    /// or a term to be reported.
    #[must_use]
    pub fn term(instance: &Instance, term: Term) -> Self {
        Self::of_terms(instance, &[(term, 1.0)], false)
    }

    fn of_terms(instance: &Instance, terms: &[(Term, f64)], with_prices: bool) -> Self {
        let mut costs = Self::blank(instance, with_prices);
        for (term, weight) in terms {
            match term {
                Term::Carbon => costs.carbon += weight,
                Term::Energy => costs.energy += weight,
                Term::Latency => costs.latency_mean += weight,
                Term::Accuracy => costs.accuracy += weight,
                Term::Value => {
                    let sign = if instance.sense == Sense::Maximize { -1.0 } else { 1.0 };
                    costs.value += weight * sign;
                }
            }
        }
        if with_prices { costs.priced(instance) } else { costs }
    }

    fn blank(instance: &Instance, with_prices: bool) -> Self {
        let total_rate: f64 = instance.tenants.iter().map(|t| t.rate.get()).sum();
        Self {
            accuracy: 0.0,
            latency_per_slo: 0.0,
            latency_mean: 0.0,
            energy: 0.0,
            carbon: 0.0,
            value: 0.0,
            total_rate: total_rate.max(1e-12),
            with_prices,
            shed: vec![0.0; instance.tenants.len()],
        }
    }

    /// Fills in the shed prices (18).
    fn priced(mut self, instance: &Instance) -> Self {
        let mut unit = 1.0;
        for tenant in &instance.tenants {
            let (mut low, mut high) = (0.0_f64, f64::NEG_INFINITY);
            for option in &tenant.options {
                let cost = self.option(instance, tenant, option);
                low = low.min(cost);
                high = high.max(cost);
            }
            if high.is_finite() {
                unit += high.max(0.0) - low;
            }
            unit += self.switching(tenant);
        }
        for class in &instance.classes {
            let idle =
                class.modes.iter().map(|m| self.power(instance, class.site, m.idle)).fold(0.0, f64::max);
            #[allow(clippy::cast_precision_loss)] // at most 10^4 devices
            let count = class.devices.len() as f64;
            unit += idle * count;
        }
        self.shed_from(instance, unit);
        self
    }

    /// Shed prices: the tenant's own, else `unit`·(1 + p_i / max_j p_j).
    fn shed_from(&mut self, instance: &Instance, unit: f64) {
        let top = instance.tenants.iter().map(|t| t.priority).fold(1e-12, f64::max);
        for (price, tenant) in self.shed.iter_mut().zip(&instance.tenants) {
            *price = tenant.shedding.price.unwrap_or(unit * (1.0 + tenant.priority / top));
        }
    }

    /// Whether no choice, mode or shed tenant costs less than nothing, and intensities make none cheaper.
    #[must_use]
    pub(crate) fn rises_with_carbon(&self) -> bool {
        let weights = [self.accuracy, self.latency_per_slo, self.latency_mean, self.energy, self.carbon];
        self.value == 0.0 && weights.iter().all(|w| *w >= 0.0)
    }

    /// Cost of drawing `power` at `site`.
    #[must_use]
    pub fn power(&self, instance: &Instance, site: SiteIx, power: Watts) -> f64 {
        let carbon = power.emits(instance.sites[site.at()].carbon).get();
        self.energy * power.get() + self.carbon * carbon
    }

    /// Cost of taking `option`, its dynamic power included; switching (11) not included.
    #[must_use]
    pub fn option(&self, instance: &Instance, tenant: &InstanceTenant, option: &Choice) -> f64 {
        let mut cost = self.value * option.value;
        if let Some(host) = &option.host {
            let p50 = host.latency.p50.get();
            cost += tenant.priority * self.accuracy * tenant.points_lost(option);
            cost += self.latency_mean * tenant.rate.get() * p50 / self.total_rate;
            if let Some(slo) = tenant.slo {
                cost += tenant.priority * self.latency_per_slo * p50 / slo.latency.get();
            }
            let site = instance.classes[host.class.at()].site;
            cost += self.power(instance, site, host.dynamic);
        }
        if self.with_prices { cost + slo_price(tenant, option) } else { cost }
    }

    /// Price of shedding tenant `i`.
    #[must_use]
    pub fn shed(&self, i: usize) -> f64 {
        self.shed[i]
    }

    /// Price of leaving the running choice (11); 0 when there is none.
    #[must_use]
    pub fn switching(&self, tenant: &InstanceTenant) -> f64 {
        if self.with_prices && tenant.running.is_some() { tenant.switch_price } else { 0.0 }
    }
}

/// At least the most that any plan can have of a term of power, `costs` being [`Costs::term`].
#[must_use]
pub(crate) fn most(instance: &Instance, costs: &Costs) -> f64 {
    let dearest =
        |t: &InstanceTenant| t.options.iter().map(|o| costs.option(instance, t, o)).fold(0.0, f64::max);
    let tenants: f64 = instance.tenants.iter().map(dearest).sum();
    let boards: f64 = instance
        .devices
        .iter()
        .map(|d| {
            let class = &instance.classes[d.class.at()];
            let draws = class.modes.iter().map(|m| m.idle).chain([class.off]);
            draws.map(|draw| costs.power(instance, class.site, draw)).fold(0.0, f64::max)
        })
        .sum();
    tenants + boards
}

/// More carbon and more delay than any plan can have (18a).
#[derive(Debug, Clone, Copy)]
struct Reach {
    carbon: f64,
    latency: f64,
}

impl Reach {
    fn of(instance: &Instance) -> Self {
        let of = |term: Term| most(instance, &Costs::term(instance, term));
        Self { carbon: of(Term::Carbon), latency: of(Term::Latency) }
    }

    /// U of (18a).
    fn dearest(self, instance: &Instance) -> f64 {
        let prices: f64 = instance
            .tenants
            .iter()
            .map(|t| {
                let soft = t.options.iter().map(|o| slo_price(t, o)).fold(0.0, f64::max);
                soft + if t.running.is_some() { t.switch_price } else { 0.0 }
            })
            .sum();
        1.0 + self.carbon * self.latency + prices
    }
}

/// Price of breaking a soft SLO (7).
#[must_use]
pub fn slo_price(tenant: &InstanceTenant, option: &Choice) -> f64 {
    let (Some(slo), Some(host)) = (tenant.slo, &option.host) else {
        return 0.0;
    };
    let Some(price) = slo.soft_price else {
        return 0.0;
    };
    let excess = host.latency.at(slo.quantile) - slo.latency;
    price * excess.get().max(0.0)
}
