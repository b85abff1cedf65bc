//! The HTTP service.
//!
//! A request passes, in this order: the listener (connection limit, header timeout: [`server`]),
//! the front (request id, trace, access, log line, metrics: [`front`]), the warp filters ([`routes`]), a handler
//! that reads the body within bounds ([`body`]) and hands the work to the solver [`pool`]. Nothing
//! that keeps a core busy runs on the threads that serve connections.

pub mod asking;
pub mod body;
pub mod config;
pub mod cors;
pub mod dashboard;
pub mod docs;
pub mod fair;
pub mod fleet_metrics;
pub mod fleet_routes;
pub mod front;
pub mod handlers;
pub mod metrics;
pub mod openapi;
pub mod openapi_fleets;
pub mod params;
pub mod pool;
pub mod problem;
pub mod questions;
pub mod routes;
pub mod server;
pub mod solving;
pub mod stall;
pub mod state;

pub use config::Config;
pub use server::Server;
