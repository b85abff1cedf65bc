//! `round-robin`: DNNs dealt in turn. Common practice of runtimes that balance by counting.
//!
//! Followed: tenants in the order of the file, to one board after another, and on each board whole
//! to one compute unit after another; no model of cost is asked. Adapted: where the unit whose turn
//! it is cannot run the DNN whole, the next one in turn that can does; power modes, tiers and caps
//! are those of all methods without power (`board.rs`, `repair.rs`). Optimises nothing.

use super::blind::{self, Desk};
use super::board::{Board, Deal};
use crate::error::SolverError;
use crate::solution::Solution;
use crate::solve::{Observer, SolveOptions, Solver};
use ecomap_instances::Instance;

/// The round-robin baseline.
#[derive(Debug, Clone, Copy)]
pub struct RoundRobin;

impl Solver for RoundRobin {
    fn name(&self) -> &'static str {
        "round-robin"
    }

    fn summary(&self) -> &'static str {
        "tenants in turn over boards and compute units, each whole on one unit; no bound"
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn solve(
        &self,
        instance: &Instance,
        options: &SolveOptions,
        observer: &mut dyn Observer,
    ) -> Result<Solution, SolverError> {
        blind::solve(self, instance, options, observer, Deal::Turn, place)
    }
}

fn place(board: &Board, desk: &mut Desk<'_, '_, '_>) -> Vec<usize> {
    let mut next = 0;
    board
        .jobs
        .iter()
        .map(|job| {
            if !desk.step() {
                return 0;
            }
            let whole = |unit: usize| job.patterns.iter().position(|p| p.iter().all(|u| *u == unit));
            let turn =
                (0..board.units).map(|k| (next + k) % board.units).find_map(|u| whole(u).map(|s| (u, s)));
            turn.map_or(0, |(unit, seat)| {
                next = unit + 1;
                seat
            })
        })
        .collect()
}
