//! Columns per board: Dantzig–Wolfe decomposition over board states.
//!
//! A column of the master is a *state* of a board: a kind of board, a mode, and a set of tenants with
//! their options that the predictor accepts there. So every plan of the master is accepted by
//! construction, and its linear relaxation knows what the predictor knows of whole boards, where a
//! program over single choices knows it cut by cut.
//!
//! - [`layout`]: kinds, slots, items, rows of the master;
//! - [`judge`]: verdicts of the predictor by slot and set;
//! - [`pricing`]: the states of least reduced cost under given multipliers, exactly;
//! - [`program`]: the master, and what multipliers prove (equation 19);
//! - [`branch`]: decisions that keep pricing as it is;
//! - [`tree`]: the search: [`generate`] prices a node, [`close`] rounds and closes it, [`choose`] says what
//!   it branches on.
//!
//! It needs a predictor that is monotone in added tenants: pricing never looks beyond a refused set.

mod branch;
mod choose;
mod close;
mod closed;
mod configure;
mod dive;
mod generate;
mod judge;
mod layout;
mod pricing;
mod program;
mod slots;
mod state;
mod steps;
mod subset;
mod tree;
mod verify;

pub(super) use tree::{Goal, search};
