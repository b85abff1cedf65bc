//! (11) Switching: κ_i·(1 − Σ_{running} x[i,o,d]) in the objective. The saving is in the columns'
//! cost ([`crate::columns::expand`]); here is the constant κ_i.

use crate::formulation::Formulation;

pub(in crate::formulation) fn add(f: &mut Formulation<'_>) {
    f.offset += f.instance.tenants.iter().map(|tenant| f.costs.switching(tenant)).sum::<f64>();
}
