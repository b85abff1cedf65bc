//! Power modes and power rails of a board.
//!
//! 1. [`nvpmodel`] reads, queries and sets the power mode of a Jetson.
//! 2. [`PowerSource`] is the port to whatever tells the draw; one file for each kind: [`ina3221`]
//!    (rails in sysfs, JetPack 4 to 6), [`tegrastats`], [`rapl`], and [`model`], which measures
//!    nothing and says so.
//! 3. [`source`] takes the best that this machine has; [`rails`] knows which rails make up a board;
//!    [`guard`] throws out readings that cannot be true.
//! 4. [`meter`] turns readings into energy, [`attribute`] shares it out among tenants.
//!
//! The folder of sysfs and the commands are settings, so that a recorded tree stands in for a board.

pub mod attribute;
pub mod command;
pub mod error;
pub mod files;
pub mod guard;
pub mod ina3221;
pub mod meter;
pub mod model;
pub mod modes;
pub mod nvpmodel;
pub mod rails;
pub mod rapl;
pub mod reading;
pub mod source;
pub mod tegrastats;

pub use error::{Fault, PowerError};
pub use modes::PowerModes;
pub use reading::{Activity, Origin, Quantity, Rail, Reading, Scope};
pub use source::{PowerSource, Settings, open};
