//! Why not everybody is served, and what would serve them.
//!
//! [`conflict`](conflict::find) names an irreducible set of demands that cannot all hold;
//! [`relaxation`](relaxation::cheapest) the cheapest way to give in on caps, latency objectives and
//! accuracy floors so that every tenant is served; [`what_if`] what one change would buy; [`forced`]
//! what another tier or board for one tenant would cost; [`marginal`] what a watt of each cap is
//! worth by the duals.

pub mod conflict;
pub mod demand;
pub mod forced;
pub mod marginal;
pub mod relaxation;
pub mod what_if;

pub use conflict::{Conflict, Found};
pub use demand::Demand;
pub use relaxation::{Prices, Relaxation};
