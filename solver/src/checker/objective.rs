//! Objectives (12)–(17) and prices (7), (11), (18).

use super::plan::Plan;
use super::{SiteUse, TermValue, accuracy, latency, switching};
use ecomap_instances::Objective;
use ecomap_instances::instance::{Choice, DeviceClass, InstanceTenant, Sense};
use ecomap_instances::objective::{EcomapWeights, Term};
use ecomap_instances::units::{GramsPerHour, Watts};

/// Value of the objective in its own sense, and its parts.
pub(super) fn measure(plan: &Plan<'_>, objective: &Objective, sites: &[SiteUse]) -> (f64, Vec<TermValue>) {
    let scale = Scale::new(plan, objective);
    let sign = if maximizes(plan, objective) { -1.0 } else { 1.0 };
    let mut terms = Vec::new();
    for term in Term::ALL.into_iter().filter(|t| listed(plan, objective, *t)) {
        let value = match term {
            Term::Carbon => sites.iter().map(|s| s.carbon).sum::<GramsPerHour>().get(),
            Term::Energy => sites.iter().map(|s| s.power).sum::<Watts>().get(),
            _ => plan.served().map(|s| scale.measured(term, s.tenant, s.option)).sum(),
        };
        let contribution = match objective {
            // The latency of (12) is relative to the SLO, so it is not a multiple of (15).
            Objective::Ecomap(weights) if term == Term::Latency => {
                plan.served().map(|s| slo_share(weights, s.tenant, s.option)).sum()
            }
            // Less is better once the file's sense is applied; undone for a maximised file.
            _ => scale.weight(term) * scale.less_is_better(term, value) * sign,
        };
        terms.push(TermValue { name: term.as_str(), unit: term.unit(), value, contribution });
    }
    if matches!(objective, Objective::Cdp) {
        let of = |term: Term| terms.iter().find(|t| t.name == term.as_str()).map_or(0.0, |t| t.value);
        let product = of(Term::Carbon) * of(Term::Latency);
        terms.push(TermValue { name: "cdp", unit: objective.unit(), value: product, contribution: product });
    }
    let soft: f64 = plan.served().map(|s| latency::soft_price(s.tenant, s.option)).sum();
    let prices = [("switching", switching::price(plan)), ("slo", soft), ("shed", shed_price(plan, &scale))];
    for (name, value) in prices {
        terms.push(TermValue { name, unit: objective.unit(), value, contribution: value * sign });
    }
    (terms.iter().map(|t| t.contribution).sum(), terms)
}

/// Only `value` alone, in a file that maximises, is maximised.
fn maximizes(plan: &Plan<'_>, objective: &Objective) -> bool {
    plan.instance.sense == Sense::Maximize && matches!(objective, Objective::Single(Term::Value))
}

/// Whether the term can differ from 0: without devices only `value` can, with devices `value` is
/// of interest only when it is asked for.
fn listed(plan: &Plan<'_>, objective: &Objective, term: Term) -> bool {
    let asked = match objective {
        Objective::Ecomap(_) => false,
        Objective::Single(one) => *one == term,
        Objective::Weighted(list) => list.iter().any(|(t, _)| *t == term),
        Objective::Lexicographic(list) => list.contains(&term),
        Objective::Cdp => matches!(term, Term::Carbon | Term::Latency),
        _ => false,
    };
    asked || plan.instance.devices.is_empty() == (term == Term::Value)
}

/// w_l·p_i·L50/SLO of (12); 0 without an SLO.
fn slo_share(weights: &EcomapWeights, tenant: &InstanceTenant, option: &Choice) -> f64 {
    match (tenant.slo, &option.host) {
        (Some(slo), Some(host)) => {
            weights.latency * tenant.priority * (host.latency.p50.get() / slo.latency.get())
        }
        _ => 0.0,
    }
}

/// What turns options and modes into amounts of a term, and these into the objective.
struct Scale<'a> {
    plan: &'a Plan<'a>,
    objective: &'a Objective,
    total_rate: f64,
}

impl<'a> Scale<'a> {
    fn new(plan: &'a Plan<'a>, objective: &'a Objective) -> Self {
        Self { plan, objective, total_rate: plan.instance.tenants.iter().map(|t| t.rate.get()).sum() }
    }

    /// Factor of a term in the objective (of the first level, when lexicographic).
    fn weight(&self, term: Term) -> f64 {
        let one = |yes: bool| if yes { 1.0 } else { 0.0 };
        match self.objective {
            Objective::Ecomap(weights) => match term {
                Term::Accuracy => 1.0,
                Term::Carbon => weights.carbon,
                _ => 0.0,
            },
            Objective::Single(single) => one(*single == term),
            Objective::Weighted(list) => list.iter().filter(|(t, _)| *t == term).map(|(_, w)| w).sum(),
            Objective::Lexicographic(list) => one(list.first() == Some(&term)),
            _ => 0.0,
        }
    }

    /// `value` with the sign under which less is better.
    fn less_is_better(&self, term: Term, value: f64) -> f64 {
        if term == Term::Value && self.plan.instance.sense == Sense::Maximize { -value } else { value }
    }

    /// What taking the option adds to a term, the draw of devices left aside.
    fn measured(&self, term: Term, tenant: &InstanceTenant, option: &Choice) -> f64 {
        if term == Term::Value {
            return option.value;
        }
        let Some(host) = &option.host else { return 0.0 };
        match term {
            Term::Energy => host.dynamic.get(),
            Term::Carbon => self.carbon(&self.plan.instance.classes[host.class.at()], host.dynamic),
            Term::Latency if self.total_rate > 0.0 => {
                tenant.rate.get() * host.latency.p50.get() / self.total_rate
            }
            Term::Accuracy => tenant.priority * accuracy::lost(tenant, option),
            _ => 0.0,
        }
    }

    fn carbon(&self, class: &DeviceClass, watts: Watts) -> f64 {
        watts.emits(self.plan.instance.sites[class.site.at()].carbon).get()
    }

    /// cost[i,o] of (18): the coefficient of the option in what is minimised.
    fn cost(&self, tenant: &InstanceTenant, option: &Choice) -> f64 {
        let terms: f64 = Term::ALL
            .into_iter()
            .map(|t| self.weight(t) * self.less_is_better(t, self.measured(t, tenant, option)))
            .sum();
        let share = match self.objective {
            Objective::Ecomap(weights) => slo_share(weights, tenant, option),
            _ => 0.0,
        };
        terms + share + latency::soft_price(tenant, option)
    }

    /// cost_idle[d,m] of (18).
    fn idle_cost(&self, class: &DeviceClass, idle: Watts) -> f64 {
        self.weight(Term::Energy) * idle.get() + self.weight(Term::Carbon) * self.carbon(class, idle)
    }

    /// U of (18a): the product of the most carbon and the most delay, and every price beside it.
    fn dearest_product(&self) -> f64 {
        let instance = self.plan.instance;
        let (mut carbon, mut delay, mut prices) = (0.0, 0.0, 1.0);
        for device in &instance.devices {
            let class = &instance.classes[device.class.at()];
            let idle = class.modes.iter().map(|m| self.carbon(class, m.idle)).fold(0.0, f64::max);
            carbon += idle.max(self.carbon(class, class.off));
        }
        for tenant in &instance.tenants {
            let most = |f: &dyn Fn(&Choice) -> f64| tenant.options.iter().map(f).fold(0.0, f64::max);
            carbon += most(&|o| self.measured(Term::Carbon, tenant, o));
            delay += most(&|o| self.measured(Term::Latency, tenant, o));
            prices += most(&|o| latency::soft_price(tenant, o));
        }
        carbon * delay + prices + switching::most(self.plan)
    }

    /// U of (18).
    fn dearest(&self) -> f64 {
        if matches!(self.objective, Objective::Cdp) {
            return self.dearest_product();
        }
        let instance = self.plan.instance;
        let options: f64 = instance
            .tenants
            .iter()
            .map(|tenant| {
                let costs = || tenant.options.iter().map(|o| self.cost(tenant, o));
                let most = costs().fold(0.0, f64::max);
                most - costs().fold(0.0, f64::min)
            })
            .sum();
        let idle: f64 = instance
            .devices
            .iter()
            .map(|d| {
                let class = &instance.classes[d.class.at()];
                class.modes.iter().map(|m| self.idle_cost(class, m.idle)).fold(0.0, f64::max)
            })
            .sum();
        1.0 + options + idle + switching::most(self.plan)
    }
}

/// Σ price_i·z[i] of (18).
fn shed_price(plan: &Plan<'_>, scale: &Scale<'_>) -> f64 {
    let mut total = 0.0;
    let mut open: Option<(f64, f64)> = None;
    for tenant in plan.shed() {
        total += match tenant.shedding.price {
            Some(price) => price,
            None => {
                let (dearest, top) = *open.get_or_insert_with(|| {
                    let top = plan.instance.tenants.iter().map(|t| t.priority).fold(0.0, f64::max);
                    (scale.dearest(), top)
                });
                dearest * (1.0 + tenant.priority / top)
            }
        };
    }
    total
}
