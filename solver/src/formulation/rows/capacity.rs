//! (9) Links and other global capacities: Σ use[i,o,r]·x[i,o,d] ≤ C_r. Rows with large figures are
//! written in units of their capacity.

use crate::formulation::Formulation;
use good_lp::constraint;

/// Capacities above this are scaled to 1; benchmark files stay in their own integers.
const LARGE: f64 = 1e5;

pub(in crate::formulation) fn add(f: &mut Formulation<'_>) {
    let mut users = vec![Vec::new(); f.instance.capacities.len()];
    for (n, column) in f.columns.iter().enumerate() {
        for (row, amount) in &column.choice(f.instance).uses {
            if *amount > 0.0 {
                users[row.at()].push(n);
            }
        }
    }
    for (r, columns) in users.into_iter().enumerate() {
        let capacity = f.instance.capacities[r].capacity;
        let scale = if capacity > LARGE { capacity } else { 1.0 };
        let used = f.sum(&columns, |x| {
            let uses = &x.choice(f.instance).uses;
            uses.iter().find(|(row, _)| row.at() == r).map_or(0.0, |(_, amount)| amount / scale)
        });
        f.row(format!("c9_capacity_r{r}"), constraint!(used <= capacity / scale));
    }
}
