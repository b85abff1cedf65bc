//! Plans and proofs that outlive the budgets they were found for.
//!
//! Let v(b) be the least cost under budgets b: watts of every site, then the capacity rows. More budget never
//! costs more, and v is what two kinds of proof bound from below:
//!
//! - a *step*: a bound proven at b′ holds for every b ≤ b′;
//! - a *plane*: prices λ ≥ 0 of the budgets prove v(b) ≥ K(λ) − λ·b for every b (19), (22).
//!
//! Both were found at intensities g′ of the sites. Where no weight of the objective is negative they hold at any other
//! intensities g too, times θ = min(1, min_s g_s/g′_s): for every plan x
//!
//! cost(x, g) ≥ cost(x, θ·g′) ≥ θ·cost(x, g′)                                                                (26)
//!
//! The first since g ≥ θ·g′ and no cost falls as intensities rise; the second since costs, open shed prices (18)
//! among them, are sums and maxima of terms affine in g whose constants are not negative.
//!
//! A plan serves every b that its use fits. Costs are those to be minimised, whatever the objective's own sense.

use crate::checker::TOLERANCE;
use crate::relax::Prices;
use ecomap_instances::plan::Assignment;
use std::sync::Arc;

/// Stored numbers, 8 bytes each, that plans may take together.
const NUMBERS: usize = 16 << 20;
/// Most of each kind: a lookup reads them all.
const MOST: usize = 512;

/// A plan, its cost and what it uses of every budget.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) plan: Arc<Assignment>,
    pub(super) cost: f64,
    pub(super) used: Vec<f64>,
    /// Moves more of what runs now than the rules on stability admit.
    pub(super) barred: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Step {
    budgets: Vec<f64>,
    /// Intensities of the sites, g/kWh.
    carbon: Vec<f64>,
    /// +∞: no plan at all.
    bound: f64,
}

/// Prices and what they prove.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plane {
    pub(super) constant: f64,
    pub(super) slope: Vec<f64>,
    /// The prices of all rows, to price other tenants by; for knapsacks those of the slope are all.
    pub(super) prices: Option<Prices>,
    /// Intensities of the sites that it was found at, g/kWh; empty where they do not matter.
    pub(super) carbon: Vec<f64>,
    /// Budgets that its prices were found for; empty where they are a relaxation's.
    pub(super) at: Vec<f64>,
}

impl Plane {
    /// The bound at these budgets.
    pub(super) fn bound(&self, budgets: &[f64]) -> f64 {
        let priced = self.slope.iter().zip(budgets).filter(|(s, _)| **s > 0.0).map(|(s, b)| s * b);
        self.constant - priced.sum::<f64>()
    }
}

/// What is known, by rising cost.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    plans: Vec<Stored>,
    steps: Vec<Step>,
    planes: Vec<Plane>,
    /// Intensities of the sites now, g/kWh.
    carbon: Vec<f64>,
}

fn fits(used: &[f64], budgets: &[f64]) -> bool {
    used.iter().zip(budgets).all(|(u, b)| *u <= b + TOLERANCE * b.abs().max(1.0))
}

fn at_most(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b)
}

/// θ of (26).
fn theta(now: &[f64], then: &[f64]) -> f64 {
    let ratios = now.iter().zip(then).filter(|(_, t)| **t > 0.0).map(|(n, t)| n / t);
    ratios.fold(1.0, f64::min)
}

/// What a bound found at intensities `then` proves `now`.
fn carried(bound: f64, now: &[f64], then: &[f64]) -> f64 {
    if bound.is_finite() {
        // Below 0 a bound says no more than that costs are not.
        if bound > 0.0 { bound * theta(now, then) } else { bound }
    } else {
        bound
    }
}

impl Store {
    /// Other intensities hold: plans are ordered by what `cost` says of them now. Proofs stay where `proofs` says that
    /// (26) holds.
    pub(super) fn set_carbon(
        &mut self,
        carbon: Vec<f64>,
        proofs: bool,
        cost: impl Fn(&Assignment) -> Option<f64>,
    ) {
        if !proofs {
            self.steps.clear();
            self.planes.clear();
        }
        self.carbon = carbon;
        self.plans.retain_mut(|stored| cost(&stored.plan).map(|c| stored.cost = c).is_some());
        self.plans.sort_by(|a, b| a.cost.total_cmp(&b.cost));
    }

    /// Intensities of the sites now.
    pub(super) fn carbon(&self) -> &[f64] {
        &self.carbon
    }

    pub(super) fn plans(&self) -> &[Stored] {
        &self.plans
    }

    pub(super) fn proofs(&self) -> usize {
        self.steps.len() + self.planes.len()
    }

    /// The stored plans that fit, cheapest first.
    pub(super) fn fitting<'a>(&'a self, budgets: &'a [f64]) -> impl Iterator<Item = &'a Stored> {
        self.plans.iter().filter(move |p| !p.barred && fits(&p.used, budgets))
    }

    /// No plan costs less; −∞ while nothing is known, +∞ where there is proof that no plan exists.
    pub(super) fn bound(&self, budgets: &[f64]) -> f64 {
        let steps = self
            .steps
            .iter()
            .filter(|s| at_most(budgets, &s.budgets))
            .map(|s| carried(s.bound, &self.carbon, &s.carbon));
        let planes = self.planes.iter().map(|p| carried(p.bound(budgets), &self.carbon, &p.carbon));
        steps.chain(planes).fold(f64::NEG_INFINITY, f64::max)
    }

    /// Keeps the cheapest plans apart; one that another beats on cost and every budget goes.
    pub(super) fn add_plan(&mut self, plan: Stored) {
        let covers =
            |a: &Stored, b: &Stored| a.cost <= b.cost && at_most(&a.used, &b.used) && a.barred <= b.barred;
        if self.plans.iter().any(|p| covers(p, &plan)) {
            return;
        }
        self.plans.retain(|p| !covers(&plan, p));
        let most = (NUMBERS / (plan.plan.picks.len() * 3 + plan.used.len() + 1)).clamp(2, MOST);
        if self.plans.len() >= most {
            // The cheapest and the most frugal stay; one in the middle is the least missed.
            self.plans.remove(self.plans.len() / 2);
        }
        let at = self.plans.partition_point(|p| p.cost <= plan.cost);
        self.plans.insert(at, plan);
    }

    pub(super) fn add_step(&mut self, budgets: Vec<f64>, bound: f64) {
        if bound.is_nan() || bound == f64::NEG_INFINITY {
            return;
        }
        self.insert_step(Step { budgets, carbon: self.carbon.clone(), bound });
    }

    fn insert_step(&mut self, step: Step) {
        let covers = |a: &Step, b: &Step| {
            a.bound >= b.bound && at_most(&b.budgets, &a.budgets) && at_most(&a.carbon, &b.carbon)
        };
        if self.steps.iter().any(|s| covers(s, &step)) {
            return;
        }
        self.steps.retain(|s| !covers(&step, s));
        if self.steps.len() >= MOST {
            self.steps.remove(0);
        }
        self.steps.push(step);
    }

    pub(super) fn add_plane(&mut self, plane: Plane) {
        let sound = plane.constant.is_finite() && plane.slope.iter().all(|s| s.is_finite() && *s >= 0.0);
        if !sound || self.planes.contains(&plane) {
            return;
        }
        if self.planes.len() >= MOST {
            self.planes.remove(0);
        }
        self.planes.push(plane);
    }

    /// The slope of the plane that bounds tightest.
    pub(super) fn tightest(&self, budgets: &[f64]) -> Option<&Plane> {
        self.planes.iter().max_by(|a, b| a.bound(budgets).total_cmp(&b.bound(budgets)))
    }

    /// Prices of the rows after the first `sites` budgets to begin a search with: between the tightest and the tightest of
    /// those found on the other side of these budgets.
    pub(super) fn start(&self, budgets: &[f64], sites: usize) -> Option<Vec<f64>> {
        let near = self.tightest(budgets)?;
        let rows = |p: &Plane| p.slope[sites..].to_vec();
        if near.at.is_empty() {
            return Some(rows(near));
        }
        let towards = |p: &Plane| {
            let steps = near.at.iter().zip(&p.at).zip(budgets).skip(sites);
            steps.map(|((a, b), c)| (a - c) * (b - c) / (c * c).max(f64::MIN_POSITIVE)).sum::<f64>()
        };
        let across = self.planes.iter().filter(|p| !p.at.is_empty() && towards(p) < 0.0);
        let across = across.max_by(|a, b| a.bound(budgets).total_cmp(&b.bound(budgets)));
        Some(across.map_or_else(
            || rows(near),
            |far| {
                let of = |p: &Plane| (p.at[sites..].to_vec(), rows(p));
                let ((a, p), (b, q)) = (of(near), of(far));
                ecomap_mmkp::between((&a, &p), (&b, &q), &budgets[sites..])
            },
        ))
    }

    /// Everything of `other`, about the same problem.
    pub(super) fn merge(&mut self, other: &Self) {
        for plan in &other.plans {
            self.add_plan(plan.clone());
        }
        for step in &other.steps {
            self.insert_step(step.clone());
        }
        for plane in &other.planes {
            self.add_plane(plane.clone());
        }
    }

    /// Forgets proofs that hang on what ran when they were found.
    pub(super) fn forget_steps(&mut self) {
        self.steps.clear();
    }

    /// Takes all plans out.
    pub(super) fn take_plans(&mut self) -> Vec<Stored> {
        std::mem::take(&mut self.plans)
    }

    /// Takes all planes out.
    pub(super) fn take_planes(&mut self) -> Vec<Plane> {
        std::mem::take(&mut self.planes)
    }
}
