//! A whole emulated board, and its time.

use crate::clock::WallClock;
use crate::emulate::modes::EmulatedModes;
use crate::emulate::placed::Rules;
use crate::emulate::power::EmulatedPower;
use crate::emulate::runtime::{EmulatedRuntime, lock};
use crate::emulate::world::World;
use crate::power::{PowerModes, PowerSource};
use crate::runtime::Runtime;
use ecomap_estimator::EstimatorError;
use ecomap_estimator::coexecution::Coexecution;
use ecomap_estimator::parameters::Parameters;
use ecomap_instances::profile::Profile;
use ecomap_instances::{Catalog, Seed};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Real time between two windows.
const WINDOW: Duration = Duration::from_secs(1);
/// Fastest that time may run.
pub const MAX_SPEED: f64 = 1000.0;

/// How to emulate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setup {
    /// Emulated seconds in a real one, above 0 and at most [`MAX_SPEED`].
    pub speed: f64,
    /// Seed of arrivals and spreads.
    pub seed: Seed,
}

impl Default for Setup {
    fn default() -> Self {
        Self { speed: 1.0, seed: Seed(0) }
    }
}

/// Why a board cannot be emulated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulateError {
    /// The catalogue has no such profile.
    #[error("no hardware profile `{0}` (`ecomap catalog` lists them)")]
    Profile(String),
    /// The speed is out of range.
    #[error("speed {0} is not above 0 and at most {MAX_SPEED}")]
    Speed(f64),
    /// The profile has no power mode.
    #[error("the profile has no power mode")]
    NoMode,
    /// The catalogue in this program is broken.
    #[error("the embedded catalogue: {0}")]
    Catalog(String),
    /// The figures in this program are broken.
    #[error(transparent)]
    Estimator(#[from] EstimatorError),
    /// A thread cannot be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// A board that is not there.
#[derive(Debug, Clone)]
pub struct EmulatedBoard {
    world: Arc<Mutex<World>>,
    runtime: Arc<EmulatedRuntime>,
    speed: f64,
}

impl EmulatedBoard {
    /// A board of a profile, idle in its mode of least budget. Its time stands until [`EmulatedBoard::drive`] or
    /// [`EmulatedBoard::step`].
    ///
    /// # Errors
    /// [`EmulateError`].
    pub fn new(profile: Arc<Profile>, setup: Setup, clock: Arc<dyn WallClock>) -> Result<Self, EmulateError> {
        if !(setup.speed > 0.0 && setup.speed <= MAX_SPEED) {
            return Err(EmulateError::Speed(setup.speed));
        }
        let rules = Rules {
            parameters: Parameters::embedded()?,
            sharing: Coexecution::embedded()?,
            catalog: Catalog::embedded().map_err(|e| EmulateError::Catalog(e.to_string()))?,
        };
        let modes = profile.modes.iter().enumerate();
        let least = modes.min_by(|a, b| a.1.budget.total_cmp(&b.1.budget)).map(|(n, _)| n);
        let world = World::new(rules, profile, least.ok_or(EmulateError::NoMode)?, setup.seed);
        let world = Arc::new(Mutex::new(world));
        let runtime = EmulatedRuntime::new(Arc::clone(&world), rules, clock, setup.speed, setup.seed.0)?;
        Ok(Self { world, runtime: Arc::new(runtime), speed: setup.speed })
    }

    /// As a runtime.
    #[must_use]
    pub fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::clone(&self.runtime) as Arc<dyn Runtime>
    }

    /// Its power modes.
    #[must_use]
    pub fn modes(&self) -> Box<dyn PowerModes> {
        Box::new(EmulatedModes(Arc::clone(&self.world)))
    }

    /// Its power.
    #[must_use]
    pub fn power(&self) -> Box<dyn PowerSource> {
        Box::new(EmulatedPower(Arc::clone(&self.world)))
    }

    /// Lets so much of its time pass.
    pub fn step(&self, time: Duration) {
        let window = lock(&self.world).window(time);
        if let Some(simulated) = window.simulate() {
            lock(&self.world).add(&simulated);
        }
    }

    /// Lets its time run with the clock, at its speed, until the driver is dropped.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn drive(&self, clock: Arc<dyn WallClock>) -> std::io::Result<Driver> {
        let (stop, stopped) = sync_channel(1);
        let board = self.clone();
        let work = move || {
            let mut past = clock.now();
            loop {
                let wait = (past + WINDOW).saturating_sub(clock.now());
                if !matches!(stopped.recv_timeout(wait), Err(RecvTimeoutError::Timeout)) {
                    return;
                }
                // A machine that cannot keep up simulates what it owes in one window, and is not later for it.
                let now = clock.now();
                board.step(now.saturating_sub(past).mul_f64(board.speed));
                past = now;
            }
        };
        let thread = thread::Builder::new().name("emulated-board".to_owned()).spawn(work)?;
        Ok(Driver { stop, thread: Some(thread) })
    }
}

/// Drives a board's time; ends when dropped.
#[derive(Debug)]
pub struct Driver {
    stop: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.stop.try_send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
