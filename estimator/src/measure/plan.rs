//! What is measured, drawn from a seed: the same settings give the same plan on any machine.

use ecomap_instances::generate::Seed;
use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// Most models, units, co-runs and repetitions of a plan.
pub const MAX_MODELS: usize = 64;
/// Most units.
pub const MAX_UNITS: usize = 64;
/// Most co-runs.
pub const MAX_CORUNS: u32 = 1000;
/// Most repetitions.
pub const MAX_REPETITIONS: u32 = 100;
/// Most tenants of a co-run.
pub const MAX_TENANTS: usize = 8;

/// Settings of a campaign.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Seed of the plan and of all arrivals.
    pub seed: u64,
    /// Interleaved repetitions of every case.
    pub repetitions: u32,
    /// Co-runs drawn.
    pub coruns: u32,
    /// Most tenants of a co-run, at least 2.
    pub tenants: u32,
    /// Requests that the slowest tenant of a run should see.
    pub requests: u32,
    /// Shortest and longest measured window, ms.
    pub window_ms: [f64; 2],
    /// Largest share of all cores that other processes and the hypervisor may take in a run.
    pub foreign_limit: f64,
    /// Further attempts at a run that was disturbed.
    pub retries: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 7,
            repetitions: 4,
            coruns: 24,
            tenants: 3,
            requests: 40,
            window_ms: [1500.0, 8000.0],
            foreign_limit: 0.05,
            retries: 2,
        }
    }
}

impl Settings {
    /// What is out of range, for people.
    ///
    /// # Errors
    /// The field and the range.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let [least, most] = self.window_ms;
        let within = |name, x: f64, low: f64, high: f64| {
            if (low..=high).contains(&x) {
                Ok(())
            } else {
                Err((name, format!("{x} is not from {low} to {high}")))
            }
        };
        within("repetitions", f64::from(self.repetitions), 2.0, f64::from(MAX_REPETITIONS))?;
        within("coruns", f64::from(self.coruns), 0.0, f64::from(MAX_CORUNS))?;
        within("tenants", f64::from(self.tenants), 2.0, 8.0)?;
        within("requests", f64::from(self.requests), 3.0, 100_000.0)?;
        within("window_ms", least, 10.0, 600_000.0)?;
        within("window_ms", most, least, 600_000.0)?;
        within("foreign_limit", self.foreign_limit, 0.0, 1.0)?;
        within("retries", f64::from(self.retries), 0.0, 10.0)
    }
}

/// Which half of the runs a case belongs to. Isolated cases are halved by repetition instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Half {
    /// Parameters are fitted on it.
    Fit,
    /// Judged.
    Check,
}

/// Kind of case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One model alone.
    Isolated,
    /// Several, each on a unit of its own.
    Beside,
    /// Several on one unit.
    Shared,
    /// Several anywhere.
    Mixed,
}

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Load {
    /// The next request follows the answer to the last.
    Closed,
    /// A Poisson stream that would keep the unit busy for this share of the time, alone.
    Poisson(f64),
}

/// A tenant of a case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseTenant {
    /// Position of the model.
    pub model: usize,
    /// Position of the unit.
    pub unit: usize,
    /// Requests.
    pub load: Load,
}

/// Something to be measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Kind.
    pub kind: Kind,
    /// Half.
    pub half: Half,
    /// At least one tenant.
    pub tenants: Vec<CaseTenant>,
}

/// Share of a unit that all Poisson tenants together may ask for: queues stay short.
const MOST_LOAD: f64 = 0.6;

/// Cases of a plan: every model alone on every unit, then the co-runs, halved in turn within each
/// kind.
#[must_use]
pub fn cases(settings: &Settings, models: usize, units: usize) -> Vec<Case> {
    let mut all = Vec::new();
    for model in 0..models {
        for unit in 0..units {
            let tenants = vec![CaseTenant { model, unit, load: Load::Closed }];
            all.push(Case { kind: Kind::Isolated, half: Half::Fit, tenants });
        }
    }
    if models == 0 || units == 0 {
        return all;
    }
    let mut rng = Seed(settings.seed).rng(1);
    let mut counts = [0_u32; 3];
    for n in 0..settings.coruns {
        // Kinds in turn, so that each has its share in a small plan too.
        let kind = match n % 3 {
            0 if units > 1 => Kind::Beside,
            1 => Kind::Shared,
            _ => Kind::Mixed,
        };
        let at = match kind {
            Kind::Beside => 0,
            Kind::Shared => 1,
            Kind::Mixed | Kind::Isolated => 2,
        };
        counts[at] += 1;
        let half = if counts[at] % 2 == 1 { Half::Fit } else { Half::Check };
        all.push(Case { kind, half, tenants: draw(settings, kind, models, units, &mut rng) });
    }
    all
}

fn draw<R: Rng>(
    settings: &Settings,
    kind: Kind,
    models: usize,
    units: usize,
    rng: &mut R,
) -> Vec<CaseTenant> {
    let most = (settings.tenants as usize).clamp(2, MAX_TENANTS);
    let most = if kind == Kind::Beside { most.min(units) } else { most };
    let count = rng.random_range(2..=most.max(2));
    let mut order: Vec<usize> = (0..units).collect();
    order.shuffle(rng);
    let placed: Vec<usize> = (0..count)
        .map(|n| match kind {
            Kind::Beside => order[n % units],
            Kind::Shared | Kind::Isolated => order[0],
            Kind::Mixed => rng.random_range(0..units),
        })
        .collect();
    let open = rng.random_bool(0.5);
    placed
        .iter()
        .map(|&unit| {
            let same = placed.iter().filter(|u| **u == unit).count();
            let share = MOST_LOAD / f64::from(u32::try_from(same).unwrap_or(u32::MAX));
            let load = share * rng.random_range(0.3..1.0);
            // A case of open streams only, or a mix in which closed loops dominate.
            let closed = !open && rng.random_bool(0.75);
            CaseTenant {
                model: rng.random_range(0..models),
                unit,
                // Three digits: what is printed is what is run.
                load: if closed { Load::Closed } else { Load::Poisson((load * 1000.0).round() / 1000.0) },
            }
        })
        .collect()
}

/// Cases in the order of one repetition. The first begins with the cases alone, in order, because the
/// rates of Poisson streams come from them; all others are shuffled, so that drift of the machine
/// meets all cases alike.
#[must_use]
pub fn order(settings: &Settings, cases: &[Case], repetition: u32) -> Vec<usize> {
    let mut rng = Seed(settings.seed).rng(100 + u64::from(repetition));
    let (mut alone, mut beside): (Vec<usize>, Vec<usize>) =
        (0..cases.len()).partition(|n| cases.get(*n).is_some_and(|c| c.kind == Kind::Isolated));
    if repetition == 0 {
        beside.shuffle(&mut rng);
        alone.extend(beside);
        return alone;
    }
    alone.extend(beside);
    alone.shuffle(&mut rng);
    alone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        let settings = Settings::default();
        let plan = cases(&settings, 9, 2);
        assert_eq!(plan, cases(&settings, 9, 2));
        assert_ne!(plan, cases(&Settings { seed: 8, ..settings }, 9, 2));
        assert_eq!(plan.len(), 18 + 24);
        for r in 0..3 {
            let o = order(&settings, &plan, r);
            assert_eq!(o, order(&settings, &plan, r));
            let mut sorted = o.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..plan.len()).collect::<Vec<_>>());
        }
        assert_ne!(order(&settings, &plan, 1), order(&settings, &plan, 2));
        // The first repetition begins with what is alone.
        let first = order(&settings, &plan, 0);
        assert!(first[..18].iter().all(|n| plan[*n].kind == Kind::Isolated));
    }

    #[test]
    fn cases_are_what_their_kind_says() {
        let settings = Settings { coruns: 300, ..Settings::default() };
        let plan = cases(&settings, 5, 3);
        let mut halves = std::collections::BTreeMap::new();
        for case in plan.iter().filter(|c| c.kind != Kind::Isolated) {
            *halves.entry((case.kind, case.half)).or_insert(0) += 1;
            let mut units: Vec<usize> = case.tenants.iter().map(|t| t.unit).collect();
            units.sort_unstable();
            units.dedup();
            match case.kind {
                Kind::Beside => assert_eq!(units.len(), case.tenants.len()),
                Kind::Shared => assert_eq!(units.len(), 1),
                _ => {}
            }
            assert!((2..=3).contains(&case.tenants.len()));
            for unit in units {
                let asked: f64 = case
                    .tenants
                    .iter()
                    .filter(|t| t.unit == unit)
                    .map(|t| if let Load::Poisson(l) = t.load { l } else { 0.0 })
                    .sum();
                assert!(asked <= MOST_LOAD + 1e-3);
            }
        }
        assert!(halves.values().all(|n| *n == 50), "{halves:?}");
        // One unit: nobody can run beside anybody.
        assert!(cases(&settings, 5, 1).iter().all(|c| c.kind != Kind::Beside));
    }

    #[test]
    fn settings_are_bounded() {
        assert_eq!(Settings::default().check(), Ok(()));
        let bad = |s: Settings| s.check().unwrap_err().0;
        let ok = Settings::default();
        assert_eq!(bad(Settings { repetitions: 1, ..ok }), "repetitions");
        assert_eq!(bad(Settings { window_ms: [50.0, 20.0], ..ok }), "window_ms");
        assert_eq!(bad(Settings { foreign_limit: f64::NAN, ..ok }), "foreign_limit");
        assert_eq!(bad(Settings { tenants: 9, ..ok }), "tenants");
    }
}
