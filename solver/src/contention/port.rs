//! The port through which the solver asks what tenants on one board do to each other.

use ecomap_instances::ids::{ClassIx, ModeIx, OptionIx, TenantIx};
use ecomap_instances::instance::Quantiles;
use ecomap_instances::units::Watts;

/// A board in use: its class, its mode, and what runs on it. Boards of one class are alike, so a
/// prediction for one holds for all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Board {
    /// Device class.
    pub class: ClassIx,
    /// Power mode.
    pub mode: ModeIx,
    /// Tenants with the option each takes, ascending by tenant; options of `class` in `mode`.
    pub picks: Vec<(TenantIx, OptionIx)>,
}

impl Board {
    /// The same board without the pick at `position`.
    #[must_use]
    pub fn without(&self, position: usize) -> Self {
        let mut board = self.clone();
        if position < board.picks.len() {
            board.picks.remove(position);
        }
        board
    }

    /// The same board with one more tenant, or another option for one that is there.
    #[must_use]
    pub fn with(&self, tenant: TenantIx, option: OptionIx) -> Self {
        let mut board = self.clone();
        match board.picks.binary_search_by_key(&tenant, |(t, _)| *t) {
            Ok(at) => board.picks[at].1 = option,
            Err(at) => board.picks.insert(at, (tenant, option)),
        }
        board
    }
}

/// What a board does with everything that runs on it.
#[derive(Debug, Clone, PartialEq)]
pub struct BoardPrediction {
    /// End-to-end latency, network included, of each pick in order.
    pub latency: Vec<Quantiles>,
    /// Mean draw of the board, idle included.
    pub power: Watts,
}

/// Predicts boards jointly. The caller of the solver implements it for one instance.
///
/// Two rules make the instance priced without co-runners a relaxation of what is asked here: no
/// latency is below the option's [`isolated`](ecomap_instances::instance::Host::isolated) one, and
/// the same board gets the same answer every time. The first is checked on every answer.
pub trait JointPredictor {
    /// What answers, for people and certificates, e.g. `transformer`.
    fn source(&self) -> String;

    /// Version of model and parameters; cuts are reused only under the same one.
    fn version(&self) -> String;

    /// Whether the predictor *guarantees* that one more tenant on a board lowers neither the latency
    /// of the others nor the board's power. [`Envelope`](super::Envelope) makes any predictor so.
    fn monotone(&self) -> bool {
        false
    }

    /// Whether a prediction takes in the predictions of all subsets of a board's tenants, so that asking
    /// about subsets first costs nothing and may save the rest.
    fn by_parts(&self) -> bool {
        false
    }

    /// Whether the predictor *guarantees* that no latency is below that of linear interference in the
    /// instance's own numbers: network + (isolated − network) · (1 + Σ slope · load of the others). It is
    /// checked on every answer.
    fn at_least_linear(&self) -> bool {
        false
    }

    /// Every board of a batch, in order.
    ///
    /// # Errors
    /// What failed, for people.
    fn predict(&self, boards: &[Board]) -> Result<Vec<BoardPrediction>, String>;
}
