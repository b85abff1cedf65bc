//! Multiple-choice multidimensional knapsacks, solved by prices, with a certificate.
//!
//! Choose one option of every class; options have a value and use rows of limited capacity:
//!
//! ```text
//! max Σ_i v[i, j_i]  subject to  Σ_i w[i, j_i, k] ≤ c_k for every row k.
//! ```
//!
//! This is what the mapping of tenants becomes when boards are counted in pools, and what the
//! published MMKP files are. Only the rows tie the classes together, so with a price λ_k ≥ 0 on
//! each row the problem falls apart and
//!
//! ```text
//! L(λ) = λ·c + Σ_i max_j (v[i,j] − λ·w[i,j])                                             (22)
//! ```
//!
//! bounds every plan, for *any* prices. The tour, in the order in which data passes:
//!
//! 1. [`Problem`] keeps options as structure of arrays, sixteen classes side by side, so that one
//!    instruction scores one option of each.
//! 2. [`prices`] finds nearly the best prices: Newton steps on a smoothed L over a growing sample,
//!    then over the few options that can still be best.
//! 3. [`Problem::certify`] evaluates (22) over all options in double precision: the certificate.
//! 4. [`search`] rounds: the best options at these prices, repaired at least regret, then moves of
//!    one, two and three classes among those of least regret. The gap of a plan is exactly
//!    Σ_k λ_k·slack_k + Σ_i regret_i, so the search knows how far it is.
//! 5. [`pool`] keeps prices and plans: for other capacities each stored price gives a bound that
//!    is linear in them, and each stored plan fits or not, so a changed cap has a certified answer
//!    before anything is solved.
//!
//! Nothing here knows devices, tenants or files.

mod core;
mod dual;
pub mod generate;
pub mod pool;
pub mod prices;
mod problem;
pub mod search;
mod solve;
mod sweep;

pub use problem::{Builder, Problem, ProblemError};
pub use solve::{Answer, Limits, between, solve, solve_from};
pub use sweep::Certificate;
