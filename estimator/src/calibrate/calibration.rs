//! The calibration of a fleet: observations in, corrected predictions and events out.

use super::answer::{Calibrated, CalibratedOn, CalibratedPower, DriftEvent, Event, Level, Quantity, Source};
use super::drift::Alarm;
use super::observation::{Observation, Placed, Predicted};
use super::settings::Settings;
use super::tree::{Factors, LATENCY_RATES, POWER_RATES, Residuals, Tree};
use crate::EstimatorError;
use ecomap_instances::units::{Millis, Watts};
use rand::seq::index;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::VecDeque;

/// Everything that observations change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct State {
    pub(super) version: u64,
    /// Observations accepted.
    pub(super) sequence: u64,
    pub(super) latency: Tree,
    pub(super) power: Tree,
}

impl State {
    pub(super) fn empty() -> Self {
        let latency = Tree::new(LATENCY_RATES, 4);
        Self { version: 0, sequence: 0, latency, power: Tree::new(POWER_RATES, 2) }
    }
}

/// Calibration of all devices.
///
/// ```
/// use ecomap_estimator::calibrate::{
///     Calibration, Latencies, Observation, Placed, Predicted, Settings,
/// };
/// use ecomap_instances::instance::Quantiles;
/// use ecomap_instances::profile::UnitKind;
/// use ecomap_instances::units::{Millis, Watts};
///
/// # fn main() -> Result<(), ecomap_estimator::EstimatorError> {
/// let ms = Millis::new;
/// let placed = Placed {
///     device: "orin-1".into(),
///     profile: "jetson-agx-orin".into(),
///     family: "resnet".into(),
///     tier: "resnet-50".into(),
///     units: [UnitKind::Gpu].into(),
/// };
/// let predicted = Predicted {
///     latency: Quantiles { p50: ms(10.0), p95: ms(12.0), p99: ms(13.0) },
///     isolated: None,
///     power: Some(Watts::new(20.0)),
/// };
/// let mut calibration = Calibration::new(Settings::default())?;
/// for second in 0..60u64 {
///     // The board is half as slow again as predicted.
///     let latency = ms(15.0 + 0.1 * (second % 7) as f64);
///     calibration.observe(&Observation {
///         placed: placed.clone(),
///         predicted,
///         latencies: Latencies { count: 30, sample: vec![latency] },
///         power: Some(Watts::new(22.0)),
///         at_ms: 1000 * second,
///     })?;
/// }
/// let version = calibration.checkpoint();
/// let answer = calibration.predict(&placed, &predicted)?;
/// assert!(answer.p50.get() > 14.0 && answer.p95.get() < 18.0);
/// assert_eq!((answer.calibrated_on.observations, answer.calibrated_on.version), (60, version));
/// calibration.rollback(0)?;
/// assert_eq!(calibration.predict(&placed, &predicted)?.p50, ms(10.0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Calibration {
    pub(super) settings: Settings,
    pub(super) state: State,
    /// Highest version ever made.
    pub(super) newest: u64,
    /// Oldest first. Nodes are shared with the state until they change.
    kept: VecDeque<State>,
}

impl Calibration {
    /// A calibration that has seen nothing; its version is 0.
    ///
    /// # Errors
    /// [`EstimatorError::Settings`] for a setting out of range.
    pub fn new(settings: Settings) -> Result<Self, EstimatorError> {
        settings.check()?;
        Ok(Self::with(settings, State::empty(), 0))
    }

    pub(super) fn with(settings: Settings, state: State, newest: u64) -> Self {
        let kept = if state.version > 0 { VecDeque::from([state.clone()]) } else { VecDeque::new() };
        Self { settings, state, newest, kept }
    }

    /// Its settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Version last made or gone back to; 0: none.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.state.version
    }

    /// Observations accepted.
    #[must_use]
    pub const fn observations(&self) -> u64 {
        self.state.sequence
    }

    /// Learns one window of telemetry.
    ///
    /// Power is a device's: of several tenants that report it for the same time, the first counts.
    ///
    /// # Errors
    /// [`EstimatorError::Observation`] for numbers out of range or a time that this key has lately
    /// reported already. Nothing was changed then.
    pub fn observe(&mut self, new: &Observation) -> Result<Vec<Event>, EstimatorError> {
        new.check()?;
        let path = new.placed.latency_path();
        if self.state.latency.has_seen(&path, new.at_ms) {
            let message = format!("{} was observed already", new.at_ms);
            return Err(EstimatorError::Observation { field: "at_ms", message });
        }
        let settings = &self.settings;
        let sequence = self.state.sequence + 1;
        self.state.sequence = sequence;
        // A stream of its own for each observation: nothing to store, nothing to restore.
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        rng.set_stream(sequence);

        let residuals = latency_residuals(new, settings, sequence, &mut rng);
        let alarm = self.state.latency.learn(&path, &residuals, settings);
        let mut events: Vec<Event> = alarm.map(|a| drifted(new, Quantity::Latency, a)).into_iter().collect();
        let gone = self.state.latency.trim(settings.max_keys);
        events.extend(gone.into_iter().map(|path| Event::Forgotten(Quantity::Latency, path)));

        let path = new.placed.power_path();
        if let (Some(measured), Some(predicted)) = (new.power, new.predicted.power)
            && !self.state.power.has_seen(&path, new.at_ms)
        {
            let center = (measured / predicted).ln();
            let (tie, at_ms) = (rng.random(), new.at_ms);
            let (measured, said) = (vec![measured.get().ln()], vec![predicted.get().ln()]);
            let residuals =
                Residuals { center, drawn: measured.clone(), measured, said, tie, at_ms, sequence };
            let alarm = self.state.power.learn(&path, &residuals, settings);
            events.extend(alarm.map(|a| drifted(new, Quantity::Power, a)));
            let gone = self.state.power.trim(settings.max_keys);
            events.extend(gone.into_iter().map(|path| Event::Forgotten(Quantity::Power, path)));
        }
        Ok(events)
    }

    /// Learns a batch in its order; what is refused comes back as [`Event::Refused`].
    pub fn observe_all(&mut self, batch: &[Observation]) -> Vec<Event> {
        let mut events = Vec::new();
        for (position, new) in batch.iter().enumerate() {
            match self.observe(new) {
                Ok(found) => events.extend(found),
                Err(error) => events.push(Event::Refused { position, reason: error.to_string() }),
            }
        }
        events
    }

    /// Corrects a prediction.
    ///
    /// # Errors
    /// [`EstimatorError::Observation`] for a prediction out of range or not in order.
    pub fn predict(&self, placed: &Placed, predicted: &Predicted) -> Result<Calibrated, EstimatorError> {
        placed.check()?;
        predicted.check()?;
        let factors = self.state.latency.factors(&placed.latency_path(), &self.settings);
        let floor = predicted.isolated.unwrap_or_default();
        let said = [predicted.latency.p50, predicted.latency.p95, predicted.latency.p99];
        let floors = [floor.p50, floor.p95, floor.p99];
        let mut least = Millis::ZERO;
        let mut corrected = [Millis::ZERO; 3];
        let mut conformal = [None; 3];
        for (q, (slot, (said, floor))) in corrected.iter_mut().zip(said.into_iter().zip(floors)).enumerate() {
            let (offset, level) = offset(&factors, q);
            least = (said * (factors.bias + offset).exp()).max(floor).max(least);
            *slot = least;
            if let Some(slot) = conformal.get_mut(q) {
                *slot = level;
            }
        }
        let [p50, p95, p99] = corrected;
        let adaptive = self.settings.adaptive_rate > 0.0 && conformal.iter().any(Option::is_some);
        Ok(Calibrated {
            p50,
            p95,
            p99,
            power: predicted.power.map(|power| self.power(placed, power)),
            source: Source { residual: factors.residual, conformal, adaptive },
            calibrated_on: CalibratedOn { observations: factors.seen, version: self.state.version },
        })
    }

    fn power(&self, placed: &Placed, predicted: Watts) -> CalibratedPower {
        let factors = self.state.power.factors(&placed.power_path(), &self.settings);
        let (offset, conformal) = offset(&factors, 0);
        let mean = predicted * factors.bias.exp();
        CalibratedPower {
            mean,
            upper: (predicted * (factors.bias + offset).exp()).max(mean),
            residual: factors.residual,
            conformal,
            observations: factors.seen,
        }
    }

    /// Makes the present state a version, keeps it to go back to, and returns its number.
    pub fn checkpoint(&mut self) -> u64 {
        self.newest = self.newest.saturating_add(1);
        self.state.version = self.newest;
        while self.kept.len() >= self.settings.keep {
            self.kept.pop_front();
        }
        self.kept.push_back(self.state.clone());
        self.newest
    }

    /// Versions that [`Calibration::rollback`] can go back to, ascending, besides 0, which has seen
    /// nothing.
    pub fn versions(&self) -> impl Iterator<Item = u64> {
        self.kept.iter().map(|s| s.version)
    }

    /// Goes back to exactly the state of a version. Later versions stay kept, and their numbers are
    /// not given again.
    ///
    /// # Errors
    /// [`EstimatorError::NoVersion`] for one that is not kept; nothing was changed then.
    pub fn rollback(&mut self, version: u64) -> Result<(), EstimatorError> {
        self.state = match self.kept.iter().find(|s| s.version == version) {
            Some(state) => state.clone(),
            None if version == 0 => State::empty(),
            None => return Err(EstimatorError::NoVersion(version)),
        };
        Ok(())
    }
}

/// Log-offset and level of miss rate `q`; 0 where there is none.
fn offset(factors: &Factors, q: usize) -> (f64, Option<Level>) {
    factors.offsets.get(q).copied().flatten().map_or((0.0, None), |(offset, level)| (offset, Some(level)))
}

/// Middle value of an ascending, non-empty list.
fn median(sorted: &[f64]) -> f64 {
    let at = |k: usize| sorted.get(k).copied().unwrap_or(f64::NAN);
    f64::midpoint(at((sorted.len().max(1) - 1) / 2), at(sorted.len() / 2))
}

fn latency_residuals(
    new: &Observation,
    settings: &Settings,
    sequence: u64,
    rng: &mut ChaCha8Rng,
) -> Residuals {
    let measured: Vec<f64> = new.ascending().into_iter().map(f64::ln).collect();
    let latency = &new.predicted.latency;
    let said = vec![latency.p50.get().ln(), latency.p95.get().ln(), latency.p99.get().ln()];
    let drawn = index::sample(rng, measured.len(), settings.draws.min(measured.len()))
        .into_iter()
        .filter_map(|k| measured.get(k).copied())
        .collect();
    Residuals {
        center: median(&measured) - latency.p50.get().ln(),
        drawn,
        measured,
        said,
        tie: rng.random(),
        at_ms: new.at_ms,
        sequence,
    }
}

fn drifted(new: &Observation, quantity: Quantity, alarm: Alarm) -> Event {
    let family = (quantity == Quantity::Latency).then(|| new.placed.family.clone());
    Event::Drift(DriftEvent {
        quantity,
        device: new.placed.device.clone(),
        units: new.placed.units.clone(),
        family,
        statistic: alarm.statistic,
        threshold: alarm.threshold,
        direction: alarm.direction,
        at_ms: new.at_ms,
        tested: alarm.steps,
    })
}
