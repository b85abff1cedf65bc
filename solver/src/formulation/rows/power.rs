//! (6) Power: (6a) device, Σ_{o in mode m} dyn·x ≤ (P[d,m] − idle[d,m])·y[d,m]; (6b) site,
//! Σ_{d ∈ s} (off·(1 − Σ_m y) + Σ_m idle·y + Σ dyn·x) ≤ P_s.

use crate::formulation::Formulation;
use good_lp::{Expression, constraint};

pub(in crate::formulation) fn add(f: &mut Formulation<'_>) {
    for d in f.devices() {
        for (m, mode) in f.instance.class_of(d).modes.iter().enumerate() {
            let used =
                f.sum(&f.by_mode[d.at()][m], |x| x.host(f.instance).map_or(0.0, |(h, _)| h.dynamic.get()));
            let room = (mode.budget - mode.idle).get();
            let row = constraint!(used <= room * f.y[d.at()][m].var);
            f.row(format!("c6a_device_power_d{}_m{m}", d.at()), row);
        }
    }
    for (s, site) in f.instance.sites.iter().enumerate() {
        let Some(cap) = site.cap else { continue };
        let mut used = Expression::default();
        let mut off = 0.0;
        for d in f.devices() {
            let class = f.instance.class_of(d);
            if class.site.at() != s {
                continue;
            }
            off += class.off.get();
            for (m, mode) in class.modes.iter().enumerate() {
                used.add_mul((mode.idle - class.off).get(), f.y[d.at()][m].var);
                used += f
                    .sum(&f.by_mode[d.at()][m], |x| x.host(f.instance).map_or(0.0, |(h, _)| h.dynamic.get()));
            }
        }
        if let Some(excess) = f.excess(s) {
            used.add_mul(-1.0, excess);
        }
        f.row(format!("c6b_site_power_s{s}"), constraint!(used <= cap.get() - off));
    }
}
