//! The options of a tree, class by class.

use super::index;

/// Options side by side in a vector.
pub(super) const STEP: usize = 8;

/// What does not change while a tree is searched: options class by class.
#[derive(Debug, Clone)]
pub(crate) struct Columns<const W: usize> {
    /// First option of each class, and the end.
    pub(super) first: Vec<u32>,
    /// Class of each option.
    pub(super) owner: Vec<u32>,
    pub(super) value: Vec<f64>,
    /// Weights by option, padded with zeros.
    pub(super) weight: Vec<[f64; W]>,
    pub(super) rows: usize,
    /// Mean weight of each row.
    pub(super) scale: [f64; W],
    /// Options, rounded up to whole vectors.
    pub(super) stride: usize,
}

impl<const W: usize> Columns<W> {
    /// `first` has the first option of each class, and the end.
    pub(crate) fn new(first: Vec<u32>, value: Vec<f64>, weight: Vec<[f64; W]>, rows: usize) -> Self {
        let owner = first
            .windows(2)
            .zip(0_u32..)
            .flat_map(|(w, class)| std::iter::repeat_n(class, (w[1] - w[0]) as usize))
            .collect();
        let stride = value.len().next_multiple_of(STEP);
        let mut scale = [0.0; W];
        for w in &weight {
            for k in 0..W {
                scale[k] += w[k].abs();
            }
        }
        let each = 1.0 / f64::from(index(weight.len()).max(1));
        let scale = scale.map(|s| (s * each).max(1e-9));
        Self { first, owner, value, weight, rows, scale, stride }
    }

    pub(crate) fn classes(&self) -> usize {
        self.first.len() - 1
    }

    pub(crate) fn options(&self) -> usize {
        self.value.len()
    }

    pub(crate) const fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn of(&self, class: usize) -> std::ops::Range<usize> {
        self.first[class] as usize..self.first[class + 1] as usize
    }

    pub(crate) fn owner(&self, option: usize) -> usize {
        self.owner[option] as usize
    }

    pub(crate) fn value(&self, option: usize) -> f64 {
        self.value[option]
    }

    pub(crate) fn weight(&self, option: usize) -> &[f64; W] {
        &self.weight[option]
    }

    /// v − λ·w.
    #[inline(always)]
    pub(super) fn score(&self, option: usize, prices: &[f64; W]) -> f64 {
        let mut score = self.value[option];
        for k in 0..W {
            score -= prices[k] * self.weight[option][k];
        }
        score
    }
}
