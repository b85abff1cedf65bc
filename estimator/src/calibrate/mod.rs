//! Calibration: predictions corrected by what a live device measured, with a coverage that can be
//! checked afterwards, and an event when a device stops behaving as it did.
//!
//! 1. [`Observation`] is one window of telemetry, checked before anything changes.
//! 2. A robust, exponentially forgotten log-residual for each level of a hierarchy (all boards,
//!    profile, device, units, family), shrunk towards the level above, corrects the bias.
//! 3. Split-conformal offsets, from windows that the residuals were not fitted on, turn the
//!    corrected quantiles into ones with a stated coverage; adaptive conformal inference keeps the
//!    coverage when the world moves.
//! 4. A conformal test martingale notices drift, with a false-alarm probability for all time.
//! 5. [`Calibration`] joins them; it has versions that can be gone back to, and a file
//!    ([`Archive`]).
//!
//! Equations, sources and guarantees are in `docs/src/calibration.md`. No clock is read: times come
//! with the observations. Everything is a function of settings (seed included) and observations.

mod answer;
mod archive;
mod calibration;
mod drift;
mod observation;
mod persist;
mod residual;
mod settings;
mod tree;
mod window;

pub use answer::{
    Calibrated, CalibratedOn, CalibratedPower, Direction, DriftEvent, Event, Level, Quantity, Source,
};
pub use archive::Archive;
pub use calibration::Calibration;
pub use observation::{
    Latencies, MAX_LATENCY_MS, MAX_POWER_W, MAX_SAMPLES, MIN_LATENCY_MS, Observation, Placed, Predicted,
};
pub use persist::{FORMAT, MAX_FILE};
pub use settings::Settings;
