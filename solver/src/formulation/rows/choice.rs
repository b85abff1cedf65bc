//! (1) One choice: Σ_{o,d} x[i,o,d] + z[i] = 1.

use crate::formulation::Formulation;
use good_lp::constraint;

pub(in crate::formulation) fn add(f: &mut Formulation<'_>) {
    for i in f.tenants() {
        let mut taken = f.sum(&f.by_tenant[i.at()], |_| 1.0);
        if let Some(z) = f.z[i.at()] {
            taken.add_mul(1.0, z.var);
        }
        f.row(format!("c1_choice_t{}", i.at()), constraint!(taken == 1.0));
    }
}
