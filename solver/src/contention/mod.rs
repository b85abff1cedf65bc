//! Contention, exactly: logic-based Benders decomposition with the joint predictor as the oracle.
//!
//! A tenant's latency beside others is what it is alone times a slowdown of at least 1, so the
//! program over isolated latencies is a relaxation of the problem with contention. [`solve`] runs
//!
//! 1. the master: that program with the cuts found so far (`crate::exact`, rows (20));
//! 2. `oracle`: one batch that predicts every board of the master's plan jointly, and judges hard
//!    SLOs, mode budgets and the caps of sites under the predicted power;
//! 3. `lift`: for every refused board a least offending set, lifted to a cut;
//! 4. `search`: an accepted plan near the refused one, improved by neighbourhoods;
//!
//! until plan and bound meet. [`port`] is the trait by which the caller lends a predictor,
//! [`Envelope`] makes it monotone in added tenants, [`pool`] keeps cuts between solves.
//!
//! What is solved: rows (1)–(11) with isolated latencies, *and* every board and site accepted by
//! the predictor. The objective counts isolated latencies, so it is linear and the bound is one for
//! it; the predicted latencies are in the plan.

mod benders;
pub(crate) mod cut;
mod envelope;
mod lift;
mod menu;
mod oracle;
pub mod pool;
pub mod port;
mod search;
mod states;

pub use benders::{Answer, Method, Report, Settings, accepts, solve};
pub use cut::Evidence;
pub use envelope::{Envelope, MOST_TENANTS};
pub use oracle::{Fault, Judged, PlanVerdict};
pub use pool::CutPool;
pub use port::{Board, BoardPrediction, JointPredictor};
