//! Who may do what.
//!
//! 1. [`token`] makes secrets and hashes them; [`keyfile`] keeps the hashes; [`role`] says what a
//!    key may do, [`rights`] what each route asks for.
//! 2. [`gate`] decides on each request from its head: foreign pages ([`guard`]), the key, its role,
//!    its [`bucket`] of requests. [`watch`] takes over the key file when it changes.
//! 3. [`audit`] writes down what was changed and what was refused.

pub mod audit;
pub mod bucket;
pub mod gate;
pub mod guard;
pub mod keyfile;
pub mod rights;
pub mod role;
pub mod token;
pub mod watch;

pub use gate::{AccessConfig, Caller, Gate};
pub use role::Role;
