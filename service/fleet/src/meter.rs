//! What plans emit, by the model's power: predicted, not measured.

use ecomap_instances::units::{GramsPerKwh, Watts};
use jiff::Timestamp;

/// Energy and emissions of every site since the meter began, and since the day began.
#[derive(Debug, Clone, PartialEq)]
pub struct Meter {
    since: Option<Timestamp>,
    /// Wh of every site.
    energy: Vec<f64>,
    /// g of every site.
    carbon: Vec<f64>,
    /// g of every site since the day began.
    today: Vec<f64>,
}

impl Meter {
    /// A meter of so many sites, at zero.
    #[must_use]
    pub fn new(sites: usize) -> Self {
        Self { since: None, energy: vec![0.0; sites], carbon: vec![0.0; sites], today: vec![0.0; sites] }
    }

    /// A meter that goes on from `since` with Wh and g of every site, and g since the day began; sites beyond the
    /// lists begin at zero.
    #[must_use]
    pub fn restored(since: Timestamp, sites: &[(f64, f64, f64)]) -> Self {
        Self {
            since: Some(since),
            energy: sites.iter().map(|s| s.0).collect(),
            carbon: sites.iter().map(|s| s.1).collect(),
            today: sites.iter().map(|s| s.2).collect(),
        }
    }

    /// Wh and g of every site, and g since the day began.
    pub fn sites(&self) -> impl Iterator<Item = (f64, f64, f64)> + '_ {
        self.energy.iter().zip(&self.carbon).zip(&self.today).map(|((wh, g), today)| (*wh, *g, *today))
    }

    /// Counts the time up to `now`, during which every site drew `power` at `intensity`.
    pub fn advance(&mut self, now: Timestamp, power: &[Watts], intensity: &[GramsPerKwh]) {
        if let Some(since) = self.since {
            let hours = (now.duration_since(since).as_secs_f64() / 3_600.0).max(0.0);
            for (s, (watts, grams)) in power.iter().zip(intensity).enumerate() {
                let (Some(energy), Some(carbon)) = (self.energy.get_mut(s), self.carbon.get_mut(s)) else {
                    break;
                };
                let emitted = watts.get() * hours * grams.get() / 1_000.0;
                *energy += watts.get() * hours;
                *carbon += emitted;
                if let Some(today) = self.today.get_mut(s) {
                    *today += emitted;
                }
            }
        }
        self.since = Some(now);
    }

    /// A new day begins.
    pub fn new_day(&mut self) {
        self.today.fill(0.0);
    }

    /// Wh in all.
    #[must_use]
    pub fn energy_wh(&self) -> f64 {
        self.energy.iter().sum()
    }

    /// g in all.
    #[must_use]
    pub fn carbon_g(&self) -> f64 {
        self.carbon.iter().sum()
    }

    /// g of one site since the day began.
    #[must_use]
    pub fn today_g(&self, site: usize) -> f64 {
        self.today.get(site).copied().unwrap_or(0.0)
    }
}
