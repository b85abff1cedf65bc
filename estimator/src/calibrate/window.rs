//! Split-conformal offsets from a rolling window of scores.

use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::f64::consts::LN_2;

/// Fewest scores of which any quantile is taken.
const MIN_SCORES: usize = 19;

/// The latest scores of one key and quantile.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Window {
    /// Oldest first.
    ring: VecDeque<f32>,
    /// The same, ascending; rebuilt after reading.
    #[serde(skip)]
    sorted: Vec<f32>,
}

/// The nearest `f32`; rounding is meant: scores are logarithms, an ulp is 1e-7 of a latency.
#[expect(clippy::cast_possible_truncation)]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}

/// The smallest whole k in 1..=n with k >= `rank`, where there is one. The tolerance undoes
/// rounding: 20 · 0.95 is meant to be 19.
fn whole(rank: f64, n: usize) -> Option<usize> {
    let (mut low, mut high) = (1, n + 1);
    while low < high {
        let middle = usize::midpoint(low, high);
        if middle as f64 >= rank - 1e-9 { high = middle } else { low = middle + 1 }
    }
    (low <= n).then_some(low)
}

impl Window {
    /// Adds a score; beyond `most`, the oldest goes.
    pub(super) fn push(&mut self, score: f64, most: usize) {
        let score = narrow(score);
        while self.ring.len() >= most {
            let Some(oldest) = self.ring.pop_front() else { break };
            let at = self.sorted.partition_point(|s| s.total_cmp(&oldest).is_lt());
            if at < self.sorted.len() {
                self.sorted.remove(at);
            }
        }
        self.ring.push_back(score);
        let at = self.sorted.partition_point(|s| s.total_cmp(&score).is_le());
        self.sorted.insert(at, score);
    }

    /// The offset for a miss rate `alpha`: the ⌈(n+1)(1-alpha)⌉-th smallest score (Vovk, Gammerman,
    /// Shafer 2005; Romano, Patterson, Candès 2019).
    ///
    /// `None` while the window is too short for the rate `target` that `alpha` adapts around. An
    /// adapted rate may ask for more than the largest score; then the answer goes on beyond it,
    /// doubling the latency for each further `target` of rate, so that no bounded jump of the
    /// world can stay uncovered.
    pub(super) fn offset(&self, alpha: f64, target: f64) -> Option<f64> {
        let n = self.sorted.len();
        let ranks = (n + 1) as f64;
        if n < MIN_SCORES {
            return None;
        }
        whole(ranks * (1.0 - target), n)?;
        match whole(ranks * (1.0 - alpha), n) {
            Some(k) => self.sorted.get(k - 1).map(|&s| f64::from(s)),
            None => {
                let beyond = (1.0 / ranks - alpha).max(0.0) / target;
                self.sorted.last().map(|&s| f64::from(s) + LN_2 * beyond)
            }
        }
    }

    pub(super) fn clear(&mut self) {
        self.ring.clear();
        self.sorted.clear();
    }

    /// Checks what was read, and sorts it.
    pub(super) fn restore(&mut self, most: usize) -> bool {
        self.sorted = self.ring.iter().copied().collect();
        self.sorted.sort_by(f32::total_cmp);
        self.ring.len() <= most && self.ring.iter().all(|s| s.abs() <= 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(scores: &[f64]) -> Window {
        let mut window = Window::default();
        scores.iter().for_each(|&s| window.push(s, 4096));
        window
    }

    #[test]
    fn ranks_are_the_finite_sample_ones() {
        let scores: Vec<f64> = (1..=19).map(f64::from).collect();
        // ceil(20 * 0.95) = 19: the largest of 19.
        assert_eq!(of(&scores).offset(0.05, 0.05), Some(19.0));
        assert_eq!(of(&scores[..18]).offset(0.05, 0.05), None);
        assert_eq!(of(&scores).offset(0.5, 0.5), Some(10.0));
        assert_eq!(of(&scores).offset(0.01, 0.01), None);
        let hundred: Vec<f64> = (1..=99).map(f64::from).collect();
        assert_eq!(of(&hundred).offset(0.01, 0.01), Some(99.0));
        assert_eq!(of(&hundred).offset(0.05, 0.05), Some(95.0));
    }

    #[test]
    fn beyond_the_largest_score_it_goes_on_without_a_jump() {
        let scores: Vec<f64> = (1..=99).map(f64::from).collect();
        let window = of(&scores);
        assert_eq!(window.offset(0.01, 0.01), Some(99.0));
        let near = window.offset(0.01 - 1e-6, 0.01).unwrap();
        assert!(near > 99.0 && near < 99.001, "{near}");
        assert!((window.offset(-0.01, 0.01).unwrap() - 99.0 - 2.0 * LN_2).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn the_sorted_copy_follows_the_ring(scores in prop::collection::vec(-3.0f64..3.0, 1..200), most in 19usize..60) {
            let mut window = Window::default();
            for score in &scores {
                window.push(*score, most);
            }
            let mut last: Vec<f32> = scores.iter().rev().take(most).map(|&s| narrow(s)).collect();
            last.sort_by(f32::total_cmp);
            prop_assert_eq!(&window.sorted, &last);
            let before = window.clone();
            prop_assert!(window.restore(most));
            prop_assert_eq!(window, before);
        }

        #[test]
        fn offsets_fall_with_the_miss_rate(scores in prop::collection::vec(-3.0f64..3.0, 99..150), a in -0.5f64..1.0, b in -0.5f64..1.0) {
            let window = of(&scores);
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(window.offset(low, 0.05) >= window.offset(high, 0.05));
        }
    }
}
