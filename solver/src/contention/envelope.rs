//! A predictor made monotone in added tenants by construction: a board is predicted as the worst of
//! itself with any of its tenants away.
//!
//! A learned predictor is nearly monotone, not quite: a network may say that one more tenant makes
//! another a little faster. A cut that is to hold for every board with the same tenants and more
//! needs the guarantee. The envelope
//!
//! latency(S, i) = max over T ⊆ S with i ∈ T of predicted latency(T, i), power(S) = max over T ⊆ S,
//!
//! has it, since the sets T of a board are among those of a board with more tenants. It is never
//! below the prediction itself, so what it accepts the predictor accepts, also while any of the
//! tenants is silent. The envelope of a monotone predictor is that predictor.

use super::port::{Board, BoardPrediction, JointPredictor};
use ecomap_instances::instance::{MAX_MAGNITUDE, Quantiles};
use ecomap_instances::units::{Millis, Watts};
use std::cell::RefCell;
use std::collections::HashMap;

/// Most tenants of a board: its subsets are all predicted. Fuller boards are refused.
pub const MOST_TENANTS: usize = 12;
/// Predictions kept; when there are more, all are dropped.
const MOST_KEPT: usize = 1_000_000;
/// Subsets asked for at once.
const BATCH: usize = 16_384;

/// The envelope of a predictor.
pub struct Envelope<P> {
    inner: P,
    /// Looked up only, so the order of a hash map reaches nothing.
    known: RefCell<HashMap<Board, BoardPrediction>>,
}

impl<P: JointPredictor> Envelope<P> {
    /// The envelope of `inner`.
    #[must_use]
    pub fn new(inner: P) -> Self {
        Self { inner, known: RefCell::new(HashMap::new()) }
    }

    /// The predictor inside.
    pub fn inner(&self) -> &P {
        &self.inner
    }

    fn fill(&self, boards: &[Board]) -> Result<(), String> {
        let mut known = self.known.borrow_mut();
        if known.len() > MOST_KEPT {
            known.clear();
        }
        let mut open: Vec<Board> =
            boards.iter().flat_map(subsets).filter(|b| !known.contains_key(b)).collect();
        open.sort_unstable();
        open.dedup();
        for chunk in open.chunks(BATCH) {
            let answers = self.inner.predict(chunk)?;
            if answers.len() != chunk.len() {
                return Err(format!("{} boards answered, {} asked", answers.len(), chunk.len()));
            }
            known.extend(chunk.iter().cloned().zip(answers));
        }
        Ok(())
    }

    fn worst(&self, board: &Board) -> Option<BoardPrediction> {
        let known = self.known.borrow();
        let mut worst =
            BoardPrediction { latency: vec![Quantiles::default(); board.picks.len()], power: Watts::ZERO };
        for (part, positions) in subsets_at(board) {
            let told = known.get(&part)?;
            worst.power = worst.power.max(told.power);
            for (position, q) in positions.into_iter().zip(&told.latency) {
                let slot = worst.latency.get_mut(position)?;
                slot.p50 = slot.p50.max(q.p50);
                slot.p95 = slot.p95.max(q.p95);
                slot.p99 = slot.p99.max(q.p99);
            }
        }
        Some(worst)
    }
}

fn subsets(board: &Board) -> impl Iterator<Item = Board> {
    subsets_at(board).map(|(part, _)| part)
}

/// Every subset of the tenants that is not empty, with its positions.
fn subsets_at(board: &Board) -> impl Iterator<Item = (Board, Vec<usize>)> {
    let count = board.picks.len();
    (1_u32..1 << count).map(move |mask| {
        let positions: Vec<usize> = (0..count).filter(|k| mask >> k & 1 == 1).collect();
        let picks = positions.iter().map(|k| board.picks[*k]).collect();
        (Board { class: board.class, mode: board.mode, picks }, positions)
    })
}

impl<P: JointPredictor> JointPredictor for Envelope<P> {
    fn source(&self) -> String {
        self.inner.source()
    }

    fn version(&self) -> String {
        let version = self.inner.version();
        if self.inner.monotone() { version } else { format!("{version}+envelope") }
    }

    fn monotone(&self) -> bool {
        true
    }

    fn by_parts(&self) -> bool {
        !self.inner.monotone()
    }

    fn at_least_linear(&self) -> bool {
        self.inner.at_least_linear()
    }

    fn predict(&self, boards: &[Board]) -> Result<Vec<BoardPrediction>, String> {
        if self.inner.monotone() {
            return self.inner.predict(boards);
        }
        let fits: Vec<Board> = boards.iter().filter(|b| b.picks.len() <= MOST_TENANTS).cloned().collect();
        self.fill(&fits)?;
        boards
            .iter()
            .map(|board| {
                if board.picks.len() > MOST_TENANTS {
                    return Ok(refused(board));
                }
                self.worst(board).ok_or_else(|| "a board was lost".to_owned())
            })
            .collect()
    }
}

/// Breaks every SLO and budget, and more tenants do so as well.
fn refused(board: &Board) -> BoardPrediction {
    let never = Millis::new(MAX_MAGNITUDE);
    BoardPrediction {
        latency: vec![Quantiles { p50: never, p95: never, p99: never }; board.picks.len()],
        power: Watts::new(MAX_MAGNITUDE),
    }
}
