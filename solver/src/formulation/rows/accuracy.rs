//! (8) Accuracy: (8a) leaves options out ([`crate::reduce`]); (8b) with a fleet floor A,
//! Σ p_i·(acc[i,o] − A)·x[i,o,d] ≥ 0.

use crate::formulation::Formulation;
use good_lp::constraint;

pub(in crate::formulation) fn add(f: &mut Formulation<'_>) {
    let Some(floor) = f.instance.fleet_accuracy_floor else { return };
    let all: Vec<usize> = (0..f.columns.len()).collect();
    let margin = f.sum(&all, |column| {
        let tenant = &f.instance.tenants[column.tenant.at()];
        column
            .host(f.instance)
            .map_or(0.0, |(h, _)| tenant.priority * (tenant.tiers[h.tier].accuracy - floor))
    });
    f.row("c8b_fleet_accuracy".to_owned(), constraint!(margin >= 0.0));
}
