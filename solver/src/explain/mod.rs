//! Why not everybody is served, and what would serve them.
//!
//! [`conflict`](conflict::find) names an irreducible set of demands that cannot all hold;
//! [`relaxation`](relaxation::cheapest) the cheapest way to give in on caps, latency objectives and
//! accuracy floors so that every tenant is served; [`what_if`] what one change would buy.

pub mod conflict;
pub mod demand;
pub mod relaxation;
pub mod what_if;

pub use conflict::{Conflict, Found};
pub use demand::Demand;
pub use relaxation::{Prices, Relaxation};
