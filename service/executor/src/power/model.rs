//! The power model of a hardware profile, where nothing can be measured.
//!
//! ```text
//! P(t) = idle[m] + Σ_c dynamic[m,c] · busy_c(t)
//! ```
//!
//! with the profile's figures for mode *m* and the share of time that unit *c* was busy since the last reading. It is
//! what plans are priced with (design, constraint 6), so it can tell that a board was busier than planned, never that a
//! figure of the profile is wrong. Its origin is [`Origin::Modelled`] for that reason.

use crate::power::reading::{Activity, Quantity, Rail, Reading};
use crate::power::{Origin, PowerError, PowerSource, Scope};
use ecomap_instances::profile::Profile;
use ecomap_instances::units::{Joules, Watts};
use std::sync::Arc;
use std::time::Duration;

/// Computes draw from busy times.
#[derive(Debug)]
pub struct Model {
    profile: Arc<Profile>,
    last: Option<(Duration, Vec<Duration>)>,
    energy: Joules,
}

impl Model {
    /// The model of `profile`.
    #[must_use]
    pub fn new(profile: Arc<Profile>) -> Self {
        Self { profile, last: None, energy: Joules::ZERO }
    }
}

/// Power of a board in `mode` whose units are busy for the given shares of time; `None` for an unknown mode.
#[must_use]
pub fn power(profile: &Profile, mode: usize, shares: &[f64]) -> Option<Watts> {
    let mode = profile.modes.get(mode)?;
    let dynamic: f64 = mode
        .units
        .iter()
        .zip(shares)
        .filter_map(|(unit, share)| unit.as_ref().map(|u| u.dynamic.get() * share.clamp(0.0, 1.0)))
        .sum();
    Some(mode.idle + Watts::new(dynamic))
}

impl PowerSource for Model {
    fn name(&self) -> &'static str {
        "model"
    }

    fn origin(&self) -> Origin {
        Origin::Modelled
    }

    fn scope(&self) -> Scope {
        Scope::Board
    }

    /// Energy since the first reading, as one rail called `board`: shares of time are known between readings, not at them.
    fn read(&mut self, activity: &Activity<'_>) -> Result<Reading, PowerError> {
        if let Some((at, busy)) = &self.last {
            let span = activity.at.saturating_sub(*at).as_secs_f64();
            let shares: Vec<f64> = activity
                .busy
                .iter()
                .zip(busy)
                .map(|(now, then)| now.saturating_sub(*then).as_secs_f64() / span.max(1e-9))
                .collect();
            // With no mode known the highest stands in: a model must not understate what a cap is kept by.
            let mode = activity.mode.unwrap_or_else(|| self.highest());
            let power =
                power(&self.profile, mode, &shares).ok_or(PowerError::Absent { what: "power mode" })?;
            self.energy += Joules::new(power.get() * span);
        }
        self.last = Some((activity.at, activity.busy.to_vec()));
        let energy = Quantity::Energy(self.energy);
        let rails = vec![Rail { name: "board".to_owned(), quantity: energy }];
        Ok(Reading { rails, total: Some(energy), ..Reading::default() })
    }
}

impl Model {
    fn highest(&self) -> usize {
        let modes = self.profile.modes.iter().enumerate();
        modes.max_by(|a, b| a.1.budget.total_cmp(&b.1.budget)).map_or(0, |(n, _)| n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecomap_instances::Catalog;

    #[test]
    fn energy_is_idle_and_busy_shares() {
        let profile = Arc::clone(Catalog::embedded().unwrap().profile("jetson-agx-xavier").unwrap());
        let mode = profile.mode_position("15W").unwrap();
        let mut model = Model::new(Arc::clone(&profile));
        let units = profile.units.len();
        let mut read = |at: u64, gpu: u64| {
            let mut busy = vec![Duration::ZERO; units];
            busy[0] = Duration::from_secs(gpu);
            model
                .read(&Activity { at: Duration::from_secs(at), busy: &busy, mode: Some(mode) })
                .unwrap()
                .total
        };
        assert_eq!(read(10, 0), Some(Quantity::Energy(Joules::ZERO)));
        let Some(Quantity::Energy(energy)) = read(20, 5) else { panic!("no energy") };
        // 6.7 W idle and half of the GPU's 7.4 W, for 10 s: figures of the profile.
        assert!((energy.get() - 10.0 * (6.7 + 0.5 * 7.4)).abs() < 1e-9, "{energy}");
    }
}
