//! Simulated telemetry: log-normal latencies around a biased prediction.

use ecomap_estimator::calibrate::{Event, Latencies, Observation, Placed, Predicted, Quantity};
use ecomap_instances::instance::Quantiles;
use ecomap_instances::profile::UnitKind;
use ecomap_instances::units::{Millis, Watts};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) fn placed(device: &str, family: &str) -> Placed {
    Placed {
        device: device.into(),
        profile: "jetson-agx-orin".into(),
        family: family.into(),
        tier: "t".into(),
        units: [UnitKind::Gpu].into(),
    }
}

pub(crate) fn predicted(p50: f64) -> Predicted {
    let ms = Millis::new;
    let latency = Quantiles { p50: ms(p50), p95: ms(1.2 * p50), p99: ms(1.4 * p50) };
    Predicted { latency, isolated: None, power: None }
}

/// Standard normal: the sum of twelve uniforms less six.
pub(crate) fn normal(rng: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
}

/// A source of observations of one key.
pub(crate) struct Stream {
    pub(crate) placed: Placed,
    pub(crate) rng: ChaCha8Rng,
    /// True over predicted median, as a logarithm.
    pub(crate) bias: f64,
    /// Latencies in a window.
    pub(crate) samples: usize,
    at_ms: u64,
}

impl Stream {
    pub(crate) fn new(device: &str, family: &str, seed: u64) -> Self {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Self { placed: placed(device, family), rng, bias: 0.3, samples: 8, at_ms: 0 }
    }

    /// The next window. The spread depends on the load, which the prediction knows nothing of, and
    /// grows with the predicted latency: heteroscedastic.
    pub(crate) fn next(&mut self) -> Observation {
        self.at_ms += 10_000;
        let size: f64 = self.rng.random();
        let predicted = predicted(2.0 + 48.0 * size);
        let spread = 0.05 + 0.2 * size + 0.1 * self.rng.random::<f64>();
        let level = 0.05 * normal(&mut self.rng);
        let sample = (0..self.samples)
            .map(|_| predicted.latency.p50 * (self.bias + level + spread * normal(&mut self.rng)).exp())
            .collect();
        let power = 20.0 * (0.1 + 0.08 * normal(&mut self.rng)).exp();
        Observation {
            placed: self.placed.clone(),
            predicted: Predicted { power: Some(Watts::new(20.0)), ..predicted },
            latencies: Latencies { count: 100, sample },
            power: Some(Watts::new(power)),
            at_ms: self.at_ms,
        }
    }
}

/// Whether latency drifted.
pub(crate) fn is_latency_drift(event: &Event) -> bool {
    matches!(event, Event::Drift(d) if d.quantity == Quantity::Latency)
}
