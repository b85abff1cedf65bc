//! The agent: receives plans for one board, makes the runtime and the power mode follow them, and reports.
//!
//! 1. A request comes over a transport ([`http`]; others may follow) and passes the [`gate`], which lets in only what
//!    the service has signed.
//! 2. [`actor`] does one thing at a time on a thread of its own. What a message may change is decided by the
//!    [`ledger`], a state machine that does nothing else; [`board`] does it: runtime, power mode, [`store`].
//! 3. A plan comes in two phases: it is prepared beside the running one, then committed or aborted.
//! 4. [`report`] registers the board with the service and sends telemetry, through the port [`transport`].
//!
//! [`start`] puts it together. When the budget that came with the plan expires, the board lowers itself to its safe mode.

pub mod actor;
pub mod board;
pub mod gate;
pub mod http;
pub mod ledger;
pub mod orders;
pub mod problem;
pub mod report;
pub mod settings;
pub mod start;
pub mod store;
pub mod transport;

pub use actor::{Agent, Handle};
pub use board::{Board, Limits};
pub use gate::Gate;
pub use problem::Problem;
pub use settings::AgentSettings;
