//! Draws from short lists. The numbers are coarse so that sums meet right-hand sides exactly or
//! miss them by far, and no comparison hangs on the last digits.

use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// A seeded source of draws.
pub struct Draw(ChaCha8Rng);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// One of `list`.
    pub fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list.choose(&mut self.0).unwrap().clone()
    }

    /// `true` in `percent` of 100 draws.
    pub fn chance(&mut self, percent: u32) -> bool {
        self.0.random_ratio(percent, 100)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        self.0.random_range(low..=high)
    }

    /// `step` times a whole number from `low` to `high`.
    pub fn steps(&mut self, step: f64, low: u32, high: u32) -> f64 {
        step * f64::from(self.0.random_range(low..=high))
    }
}
