//! ONNX Runtime on this machine: what everything that runs models with it shares.
//!
//! 1. [`library`] finds the shared library.
//! 2. [`environment`](fn@environment) loads it, once for the process.
//! 3. [`cores`] binds a thread, and with it the threads that a session made on it gets, to cores.

pub mod cores;
mod environment;
pub mod library;

pub use environment::environment;
