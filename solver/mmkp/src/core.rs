//! A core: the options that can still be best, row by row, and what the settled classes add.

use crate::problem::{LANES, NEVER, Problem};
use pulp::Arch;

/// Options within some regret of the best of their class, for a set of blocks.
///
/// A class with only one such option is settled: its value and weights go into constants.
#[derive(Debug, Clone, Default)]
pub(crate) struct Core<const W: usize> {
    /// First option of each class, and the end.
    pub(crate) first: Vec<u32>,
    /// Class, then for each option its position in the class.
    pub(crate) class: Vec<u32>,
    pub(crate) option: Vec<u32>,
    pub(crate) value: Vec<f32>,
    /// Weights, padded with zeros.
    pub(crate) weight: Vec<[f32; W]>,
    pub(crate) settled_value: f64,
    pub(crate) settled_weight: Vec<f64>,
    /// Mean of the weights of each row that are not 0, and the problem's spread.
    pub(crate) scale: Vec<f64>,
    pub(crate) spread: f64,
    /// Sum of the best scores of the classes covered, at the prices of gathering.
    pub(crate) top: f64,
    /// Classes covered, settled ones included.
    pub(crate) covered: usize,
}

impl<const W: usize> Core<W> {
    /// The core of `blocks` at `prices`: options whose regret is at most `reach`.
    pub(crate) fn gather(problem: &Problem, blocks: Option<&[usize]>, prices: &[f64], reach: f64) -> Self {
        let prices = singles(prices);
        let reach = single(reach);
        let empty = || Self {
            settled_weight: vec![0.0; problem.rows()],
            scale: problem.scale.clone(),
            spread: problem.spread,
            ..Self::default()
        };
        let Some(blocks) = blocks else {
            let parts = problem.in_chunks(|range| {
                let mut part = empty();
                Arch::new().dispatch(|| part.extend(problem, range, &prices, reach));
                part
            });
            let mut all = empty();
            for part in &parts {
                all.append(part);
            }
            all.close();
            return all;
        };
        let mut all = empty();
        Arch::new().dispatch(|| all.extend(problem, blocks.iter().copied(), &prices, reach));
        all.close();
        all
    }

    #[inline(always)]
    fn extend(&mut self, problem: &Problem, blocks: impl Iterator<Item = usize>, prices: &[f32], reach: f32) {
        let rows = problem.rows();
        let mut scores = Vec::new();
        for block in blocks {
            problem.scores(block, prices, &mut scores);
            let mut top = [NEVER; LANES];
            for score in &scores {
                for lane in 0..LANES {
                    top[lane] = top[lane].max(score[lane]);
                }
            }
            let mut near = [0_u32; LANES];
            for score in &scores {
                for lane in 0..LANES {
                    near[lane] += u32::from(score[lane] >= top[lane] - reach);
                }
            }
            for lane in 0..LANES {
                let class = problem.class[block * LANES + lane];
                if class == u32::MAX {
                    continue;
                }
                self.covered += 1;
                self.top += f64::from(top[lane]);
                let settled = near[lane] <= 1;
                if !settled {
                    self.class.push(class);
                    self.first.push(position(self.option.len()));
                }
                for (j, score) in (0_u32..).zip(&scores) {
                    if score[lane] < top[lane] - reach || score[lane] <= NEVER / 2.0 {
                        continue;
                    }
                    let layer = problem.layer[block] + j as usize;
                    let from = &problem.weight[layer * rows..(layer + 1) * rows];
                    if settled {
                        self.settled_value += f64::from(problem.value[layer][lane]);
                        for (sum, w) in self.settled_weight.iter_mut().zip(from) {
                            *sum += f64::from(w[lane]);
                        }
                    } else {
                        self.option.push(j);
                        self.value.push(problem.value[layer][lane]);
                        let mut weight = [0.0; W];
                        for (to, w) in weight.iter_mut().zip(from) {
                            *to = w[lane];
                        }
                        self.weight.push(weight);
                    }
                }
            }
        }
    }

    fn append(&mut self, other: &Self) {
        let shift = position(self.option.len());
        self.first.extend(other.first.iter().map(|f| f + shift));
        self.class.extend_from_slice(&other.class);
        self.option.extend_from_slice(&other.option);
        self.value.extend_from_slice(&other.value);
        self.weight.extend_from_slice(&other.weight);
        self.settled_value += other.settled_value;
        for (sum, w) in self.settled_weight.iter_mut().zip(&other.settled_weight) {
            *sum += w;
        }
        self.covered += other.covered;
        self.top += other.top;
    }

    fn close(&mut self) {
        self.first.push(position(self.option.len()));
    }

    /// L at the prices of gathering.
    pub(crate) fn gathered(&self, prices: &[f64], capacity: &[f64]) -> f64 {
        self.top + prices.iter().zip(capacity).map(|(p, c)| p * c).sum::<f64>()
    }

    /// Classes that are not settled.
    pub(crate) fn open(&self) -> usize {
        self.class.len()
    }
}

fn position(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is the purpose")]
pub(crate) fn single(x: f64) -> f32 {
    x as f32
}

pub(crate) fn singles(x: &[f64]) -> Vec<f32> {
    x.iter().map(|x| single(*x)).collect()
}
