//! (11) Switching: κ_i·(1 − Σ_{running} x[i,o,d]) in the objective. The saving is in the columns'
//! cost ([`crate::columns::expand`]); here is the constant κ_i.
//!
//! (11a) At most K moves: Σ_i Σ_{running} x[i,o,d] ≥ R − K over the R tenants that run something.
//! (11b) A frozen tenant stays: Σ_{running} x[i,o,d] = 1; its other columns are left out.

use crate::formulation::Formulation;
use good_lp::{Expression, constraint};

pub(in crate::formulation) fn add(f: &mut Formulation<'_>) {
    moves(f);
    f.offset += f.instance.tenants.iter().map(|tenant| f.costs.switching(tenant)).sum::<f64>();
}

fn moves(f: &mut Formulation<'_>) {
    let stability = &f.instance.stability;
    if stability.is_free() {
        return;
    }
    let mut kept = Expression::default();
    let mut running: u32 = 0;
    for i in f.tenants() {
        let tenant = &f.instance.tenants[i.at()];
        if tenant.running.is_none() {
            continue;
        }
        running += 1;
        let stays: Vec<usize> = f.by_tenant[i.at()]
            .iter()
            .copied()
            .filter(|n| {
                let column = &f.columns[*n];
                let choice = column.choice(f.instance);
                column.pick.device.is_some_and(|d| f.instance.is_running(tenant, choice, d))
            })
            .collect();
        let stay = f.sum(&stays, |_| 1.0);
        if stability.frozen.contains(&i) {
            f.row(format!("c11b_frozen_t{}", i.at()), constraint!(stay.clone() == 1.0));
        }
        kept += stay;
    }
    if let Some(most) = stability.max_moves {
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        let least = f64::from(running.saturating_sub(most));
        f.row("c11a_moves".to_owned(), constraint!(kept >= least));
    }
}
