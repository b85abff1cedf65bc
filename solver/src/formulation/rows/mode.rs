//! (2) Mode: (2a) Σ_{o in mode m} x[i,o,d] ≤ y[d,m]; (2b) Σ_m y[d,m] ≤ 1, = 1 when always on.

use crate::formulation::{Formulation, Shape};
use good_lp::{Expression, constraint};
use std::collections::BTreeMap;

/// Least load that rows (3) are sure to notice: far above the feasibility tolerance.
const FELT: f64 = 1e-3;

pub(in crate::formulation) fn add(f: &mut Formulation<'_>, shape: Shape) {
    for d in f.devices() {
        let mut on = Expression::default();
        for y in &f.y[d.at()] {
            on.add_mul(1.0, y.var);
        }
        let row =
            if f.instance.class_of(d).always_on { constraint!(on == 1.0) } else { constraint!(on <= 1.0) };
        f.row(format!("c2b_one_mode_d{}", d.at()), row);
    }
    for d in f.devices() {
        for m in 0..f.y[d.at()].len() {
            let mut by_tenant: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            for &n in &f.by_mode[d.at()][m] {
                // An option that loads next to nothing is not bound to y by rows 3, 5 and 6a.
                let bound = f.columns[n]
                    .host(f.instance)
                    .is_some_and(|(host, _)| host.load.iter().any(|l| l.1 >= FELT));
                if shape.disaggregated_modes || !bound {
                    by_tenant.entry(f.columns[n].tenant.at()).or_default().push(n);
                }
            }
            for (i, columns) in by_tenant {
                let y = f.y[d.at()][m].var;
                let row = constraint!(f.sum(&columns, |_| 1.0) <= y);
                f.row(format!("c2a_mode_t{i}_d{}_m{m}", d.at()), row);
            }
        }
    }
}
