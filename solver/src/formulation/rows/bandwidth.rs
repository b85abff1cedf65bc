//! (5) Memory bandwidth: Σ_{o in mode m} bw[i,o]·x[i,o,d] ≤ B[d,m]·y[d,m], in units of B.

use crate::formulation::Formulation;
use good_lp::constraint;

pub(in crate::formulation) fn add(f: &mut Formulation<'_>) {
    for d in f.devices() {
        for (m, mode) in f.instance.class_of(d).modes.iter().enumerate() {
            let limit = mode.bandwidth.get();
            let scale = limit.max(1.0);
            let used = f.sum(&f.by_mode[d.at()][m], |x| {
                x.host(f.instance).map_or(0.0, |(h, _)| h.bandwidth.get() / scale)
            });
            let row = constraint!(used <= (limit / scale) * f.y[d.at()][m].var);
            f.row(format!("c5_bandwidth_d{}_m{m}", d.at()), row);
        }
    }
}
