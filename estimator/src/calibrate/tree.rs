//! The hierarchy of keys: each node has a residual and windows of scores, each leaf also adapted
//! rates and a drift test.

use super::answer::Level;
use super::drift::{Alarm, Detector};
use super::residual::Cell;
use super::settings::Settings;
use super::window::Window;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Largest log-residual applied: a factor of 1000 either way.
const MAX_BIAS: f64 = 6.907_755_278_982_137;
/// Largest log-offset applied.
const MAX_OFFSET: f64 = 11.512_925_464_970_229;
/// Times of a leaf remembered, so that telemetry delivered twice counts once.
const RECENT: usize = 8;
/// Observations of a leaf, from its start or its last drift, that all fit residuals: scores taken
/// while a bias is being learned would be its error, not the spread.
const WARM_UP: u64 = 16;
/// Adapted rates stay above minus this many targets: at most 11 doublings beyond the window.
const MIN_RATE: f64 = -10.0;

/// Miss rates of the offsets for p50, p95, p99.
pub(super) const LATENCY_RATES: &[f64] = &[0.5, 0.05, 0.01];
/// Miss rate of the upper bound on power.
pub(super) const POWER_RATES: &[f64] = &[0.05];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Leaf {
    /// Observations since the start or the last drift.
    age: u64,
    /// Adapted miss rates.
    rates: Vec<f64>,
    detector: Detector,
    /// Latest times observed.
    recent: VecDeque<u64>,
}

/// One key of one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    cell: Cell,
    /// One for each miss rate.
    windows: Vec<Window>,
    /// Observations.
    seen: u64,
    /// Sequence number of the last one.
    last: u64,
    leaf: Option<Leaf>,
}

/// One observation in logarithms of measured over predicted.
pub(super) struct Residuals {
    /// Of the middle, which the residual and the drift test take.
    pub(super) center: f64,
    /// Logarithms of all measurements, ascending.
    pub(super) measured: Vec<f64>,
    /// Those drawn to be scored.
    pub(super) drawn: Vec<f64>,
    /// Logarithm of what was predicted, for each miss rate.
    pub(super) said: Vec<f64>,
    /// Uniform number for ties of the drift test.
    pub(super) tie: f64,
    pub(super) at_ms: u64,
    /// Number of the observation, from 1.
    pub(super) sequence: u64,
}

/// What a path's levels say of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Factors {
    /// Log-residual.
    pub(super) bias: f64,
    pub(super) residual: Option<Level>,
    /// Log-offset and its level for each miss rate.
    pub(super) offsets: Vec<Option<(f64, Level)>>,
    /// Observations of the leaf.
    pub(super) seen: u64,
}

/// All keys of one quantity.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tree {
    rates: &'static [f64],
    /// Names on a full path.
    depth: usize,
    nodes: BTreeMap<Vec<String>, Arc<Node>>,
}

fn prefixes(path: &[String]) -> impl DoubleEndedIterator<Item = &[String]> {
    (0..=path.len()).filter_map(move |k| path.get(..k))
}

impl Node {
    fn new(rates: &[f64], leaf: bool) -> Self {
        let leaf = leaf.then(|| Leaf {
            age: 0,
            rates: rates.to_vec(),
            detector: Detector::default(),
            recent: VecDeque::new(),
        });
        let windows = vec![Window::default(); rates.len()];
        Self { cell: Cell::default(), windows, seen: 0, last: 0, leaf }
    }

    fn restore(&mut self, rates: &[f64], leaf: bool, sequence: u64, settings: &Settings) -> bool {
        let most = settings.window;
        let windows = self.windows.len() == rates.len() && self.windows.iter_mut().all(|w| w.restore(most));
        let leaf = match &self.leaf {
            Some(l) => {
                let in_range = |(rate, target): (&f64, &f64)| (MIN_RATE * target..=1.0).contains(rate);
                leaf && l.age <= self.seen
                    && l.rates.len() == rates.len()
                    && l.rates.iter().zip(rates).all(in_range)
                    && l.recent.len() <= RECENT
                    && l.detector.is_sound()
            }
            None => !leaf,
        };
        windows && leaf && self.cell.is_sound() && self.last <= sequence && self.seen <= sequence
    }
}

impl Tree {
    pub(super) fn new(rates: &'static [f64], depth: usize) -> Self {
        Self { rates, depth, nodes: BTreeMap::new() }
    }

    /// Whether `path` was observed at this very time lately.
    pub(super) fn has_seen(&self, path: &[String], at_ms: u64) -> bool {
        let leaf = self.nodes.get(path).and_then(|n| n.leaf.as_ref());
        leaf.is_some_and(|l| l.recent.contains(&at_ms))
    }

    /// The correction for `path`.
    pub(super) fn factors(&self, path: &[String], settings: &Settings) -> Factors {
        let chain: Vec<Option<&Node>> = prefixes(path).map(|p| self.nodes.get(p).map(Arc::as_ref)).collect();
        let mut bias = 0.0;
        let mut residual = None;
        for (depth, node) in chain.iter().enumerate() {
            if let Some(node) = node.filter(|n| n.cell.is_fitted()) {
                bias += node.cell.shrunk(settings);
                residual = Some(Level::at(depth));
            }
        }
        let leaf = self.nodes.get(path);
        let adapted = leaf.and_then(|n| n.leaf.as_ref()).filter(|_| settings.adaptive_rate > 0.0);
        let offset = |(q, &target): (usize, &f64)| {
            let alpha = adapted.and_then(|l| l.rates.get(q).copied()).unwrap_or(target);
            chain.iter().enumerate().rev().find_map(|(depth, node)| {
                let offset = node.as_ref()?.windows.get(q)?.offset(alpha, target)?;
                Some((offset.clamp(-MAX_OFFSET, MAX_OFFSET), Level::at(depth)))
            })
        };
        Factors {
            bias: bias.clamp(-MAX_BIAS, MAX_BIAS),
            residual,
            offsets: self.rates.iter().enumerate().map(offset).collect(),
            seen: leaf.map_or(0, |n| n.seen),
        }
    }

    /// Learns one observation: after a warm-up every other one of a leaf fits residuals, those between
    /// them give scores, so that no score was fitted on. Scores are taken with the residual of the moment.
    pub(super) fn learn(&mut self, path: &[String], new: &Residuals, settings: &Settings) -> Option<Alarm> {
        let factors = self.factors(path, settings);
        let age = self.nodes.get(path).and_then(|n| n.leaf.as_ref()).map_or(0, |l| l.age);
        let fits = age < WARM_UP || age.is_multiple_of(2);
        let mut left = new.center;
        for prefix in prefixes(path) {
            let leaf = prefix.len() == self.depth;
            let fresh = || Arc::new(Node::new(self.rates, leaf));
            let node = Arc::make_mut(self.nodes.entry(prefix.to_vec()).or_insert_with(fresh));
            node.seen = node.seen.saturating_add(1);
            node.last = new.sequence;
            if fits {
                node.cell.learn(left, settings);
                left -= node.cell.shrunk(settings);
                continue;
            }
            for (window, said) in node.windows.iter_mut().zip(&new.said) {
                let center = said + factors.bias;
                new.drawn.iter().for_each(|z| window.push(z - center, settings.window));
            }
        }
        let node = self.nodes.get_mut(path).map(Arc::make_mut)?;
        let leaf = node.leaf.as_mut()?;
        if leaf.recent.len() >= RECENT {
            leaf.recent.pop_front();
        }
        leaf.recent.push_back(new.at_ms);
        leaf.age = age.saturating_add(1);
        if !fits {
            leaf.adapt(self.rates, &factors, new, settings);
        }
        if !factors.seen.is_multiple_of(settings.drift_every) {
            return None;
        }
        let alarm = leaf.detector.learn(new.center, new.tie, settings.drift_alpha)?;
        leaf.rates = self.rates.to_vec();
        leaf.age = 0;
        node.windows.iter_mut().for_each(Window::clear);
        node.cell.forget();
        Some(alarm)
    }

    /// Forgets the node observed longest ago while there are more than `most`; an inner node is
    /// never older than those below it, so leaves go first.
    pub(super) fn trim(&mut self, most: usize) -> Vec<Vec<String>> {
        let mut gone = Vec::new();
        while self.nodes.len() > most {
            let oldest = self
                .nodes
                .iter()
                .min_by_key(|(path, node)| (node.last, std::cmp::Reverse(path.len())))
                .map(|(path, _)| path.clone());
            let Some(path) = oldest else { break };
            self.nodes.remove(&path);
            gone.push(path);
        }
        gone
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (&[String], &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_slice(), node.as_ref()))
    }

    /// Takes a node from a file; `false` for one that cannot have been written.
    pub(super) fn restore(
        &mut self,
        path: Vec<String>,
        mut node: Node,
        sequence: u64,
        settings: &Settings,
    ) -> bool {
        let fits = path.len() <= self.depth && self.nodes.len() < settings.max_keys;
        fits && node.restore(self.rates, path.len() == self.depth, sequence, settings)
            && self.nodes.insert(path, Arc::new(node)).is_none()
    }
}

impl Leaf {
    /// Adaptive conformal inference: `rate <- rate + gamma (target - miss)` (Gibbs, Candès 2021,
    /// equation 2). `miss` is the share of all measurements above what the calibration said of them
    /// beforehand, gamma is `adaptive_rate` times the variance of one miss, target (1 - target).
    fn adapt(&mut self, rates: &[f64], factors: &Factors, new: &Residuals, settings: &Settings) {
        let answers = factors.offsets.iter().zip(&new.said);
        for ((rate, &target), (offset, said)) in self.rates.iter_mut().zip(rates).zip(answers) {
            let Some((offset, _)) = offset else { continue };
            let bound = said + factors.bias + offset;
            let missed = new.measured.len() - new.measured.partition_point(|&z| z <= bound);
            let miss = missed as f64 / new.measured.len().max(1) as f64;
            let gamma = settings.adaptive_rate * target * (1.0 - target);
            *rate = (*rate + gamma * (target - miss)).clamp(MIN_RATE * target, 1.0);
        }
    }
}
