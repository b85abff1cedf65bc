//! A conformal test martingale on one key's residuals.
//!
//! The rank of each residual among the earlier ones of its epoch gives smoothed p-values that are
//! independent and uniform whenever the residuals are exchangeable (Vovk, Nouretdinov, Gammerman,
//! *Testing exchangeability on-line*, ICML 2003). Betting on them gives a nonnegative martingale that starts at 1, and Ville's inequality (1939) bounds the probability
//! that it ever reaches c by 1/c.
//!
//! Bets are `e p^(e-1)` (the power martingale) on small and on large p-values, for three e, mixed
//! over the unknown time of the change with weights 1/(j(j+1)):
//!
//! ```text
//! S_t = f(p_t) (S_{t-1} + w_t),   M_t = mean of S_t over bets + sum over j > t of w_j
//! ```
//!
//! Epochs bound the memory. At the start of an epoch there is nothing to compare with, so two
//! runs with epochs half an epoch apart watch at half the rate each; the union bound adds them up.

use super::answer::Direction;
use super::window::narrow;
use serde::{Deserialize, Serialize};

/// Residuals that an epoch compares with, at most.
pub(super) const EPOCH: usize = 512;
const BETS: [f64; 3] = [0.2, 0.5, 0.8];
/// Smallest p-value bet on; a bound on f, which makes the martingale a supermartingale.
const SMALLEST_P: f64 = 1e-6;

/// One sequence of p-values and its bets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    /// Residuals of this epoch.
    reference: Vec<f32>,
    /// Residuals still to come in this epoch.
    left: usize,
    /// p-values so far.
    steps: u64,
    /// S_t of the bets on small p-values: residuals that grow.
    up: [f64; 3],
    /// S_t of the bets on large p-values.
    down: [f64; 3],
}

impl Run {
    fn new(left: usize) -> Self {
        Self { reference: Vec::new(), left, steps: 0, up: [0.0; 3], down: [0.0; 3] }
    }

    fn learn(&mut self, residual: f64, tie: f64) {
        if self.left == 0 {
            self.reference.clear();
            self.left = EPOCH;
        }
        self.left -= 1;
        let residual = narrow(residual);
        let greater = self.reference.iter().filter(|&&r| r > residual).count() as f64;
        let equal = self.reference.iter().filter(|&&r| r == residual).count() as f64;
        let p = (greater + tie * (equal + 1.0)) / (self.reference.len() as f64 + 1.0);
        self.reference.push(residual);
        self.steps = self.steps.saturating_add(1);
        let t = self.steps as f64;
        let weight = 1.0 / (t * (t + 1.0));
        let bet = |e: f64, p: f64| e * p.max(SMALLEST_P).powf(e - 1.0);
        for (e, (up, down)) in BETS.iter().zip(self.up.iter_mut().zip(&mut self.down)) {
            *up = (bet(*e, p) * (*up + weight)).min(1e100);
            *down = (bet(*e, 1.0 - p) * (*down + weight)).min(1e100);
        }
    }

    /// M_t, and where its money is.
    fn martingale(&self) -> (f64, Direction) {
        let up: f64 = self.up.iter().sum();
        let down: f64 = self.down.iter().sum();
        let direction = if up >= down { Direction::Slower } else { Direction::Faster };
        let rest = 1.0 / (self.steps as f64 + 1.0);
        ((up + down) / (2.0 * BETS.len() as f64) + rest, direction)
    }

    fn is_sound(&self) -> bool {
        let sums = self.up.iter().chain(&self.down);
        self.reference.len() <= EPOCH
            && self.left <= EPOCH
            && self.reference.len() + self.left <= EPOCH
            && self.reference.iter().all(|r| r.abs() <= 1000.0)
            && sums.into_iter().all(|&s| (0.0..=1e100).contains(&s))
    }
}

/// The test of one key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Detector {
    runs: [Run; 2],
}

impl Default for Detector {
    fn default() -> Self {
        Self { runs: [Run::new(EPOCH), Run::new(EPOCH / 2)] }
    }
}

/// What an alarm says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Alarm {
    /// Value of the martingale, at least the threshold.
    pub(super) statistic: f64,
    pub(super) threshold: f64,
    pub(super) direction: Direction,
    /// Residuals since the test was started.
    pub(super) steps: u64,
}

impl Detector {
    /// Takes a residual and a uniform number for ties; an alarm starts the test anew.
    pub(super) fn learn(&mut self, residual: f64, tie: f64, alpha: f64) -> Option<Alarm> {
        let threshold = 2.0 / alpha;
        let mut alarm: Option<Alarm> = None;
        for run in &mut self.runs {
            run.learn(residual, tie);
            let (statistic, direction) = run.martingale();
            if statistic >= threshold && alarm.is_none_or(|a| statistic > a.statistic) {
                alarm = Some(Alarm { statistic, threshold, direction, steps: run.steps });
            }
        }
        if alarm.is_some() {
            *self = Self::default();
        }
        alarm
    }

    pub(super) fn is_sound(&self) -> bool {
        self.runs.iter().all(Run::is_sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Sum of twelve uniforms less six: mean 0, variance 1.
    fn normal(rng: &mut ChaCha8Rng) -> f64 {
        (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
    }

    /// The step of the first alarm, for a shift by `shift` standard deviations at `at`.
    fn first_alarm(seed: u64, steps: u32, at: u32, shift: f64, alpha: f64) -> Option<(u32, Direction)> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut detector = Detector::default();
        (0..steps).find_map(|t| {
            let residual = normal(&mut rng) + if t >= at { shift } else { 0.0 };
            let alarm = detector.learn(residual, rng.random(), alpha)?;
            Some((t, alarm.direction))
        })
    }

    #[test]
    fn false_alarms_stay_below_the_stated_rate() {
        let alarms = (0..200).filter(|&s| first_alarm(s, 2000, u32::MAX, 0.0, 0.05).is_some()).count();
        println!("false alarms at alpha 0.05: {alarms} of 200 streams of 2000");
        assert!(alarms <= 10, "{alarms}");
    }

    #[test]
    fn shifts_are_found_wherever_they_fall_in_an_epoch() {
        for at in [150, 256, 300, 511, 512, 520, 760, 1024, 3000] {
            for (shift, direction) in [(2.0, Direction::Slower), (-2.0, Direction::Faster)] {
                let mut delays: Vec<u32> = (0..20)
                    .map(|seed| {
                        let (t, found) = first_alarm(seed, at + 400, at, shift, 0.01).unwrap();
                        assert!(t >= at && found == direction, "seed {seed}: {t} {found:?}");
                        t - at
                    })
                    .collect();
                delays.sort_unstable();
                println!("shift {shift} at {at}: median delay {}, worst {}", delays[10], delays[19]);
                assert!(delays[10] <= 30 && delays[19] <= 60, "shift {shift} at {at}: {delays:?}");
            }
        }
    }

    #[test]
    fn p_values_are_uniform_on_ties_too() {
        // Three values only: without smoothing this would be far from uniform.
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let alarms = (0..200)
            .filter(|_| {
                let mut detector = Detector::default();
                (0..1500).any(|_| {
                    detector.learn(f64::from(rng.random_range(0u8..3)), rng.random(), 0.05).is_some()
                })
            })
            .count();
        assert!(alarms <= 10, "{alarms}");
    }
}
