//! Row (9): links and other global capacities.

use super::plan::Plan;
use super::tally::{Row, Tally};

/// Checks the row; returns the use of each capacity.
pub(super) fn check(plan: &Plan<'_>, tally: &mut Tally) -> Vec<f64> {
    let mut used = vec![0.0; plan.instance.capacities.len()];
    for served in plan.served() {
        for (row, amount) in &served.option.uses {
            used[row.at()] += amount;
        }
    }
    for (row, sum) in plan.instance.capacities.iter().zip(&used) {
        tally.at_most(Row::Capacity, *sum, row.capacity, || format!("capacity {}", row.id));
    }
    used
}
