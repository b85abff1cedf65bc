//! (3) Compute-unit load: Σ_{o in mode m} load[i,o,c]·x[i,o,d] ≤ ρ̄[d,m,c]·y[d,m].

use crate::formulation::Formulation;
use good_lp::constraint;

pub(in crate::formulation) fn add(f: &mut Formulation<'_>) {
    for d in f.devices() {
        let class = f.instance.class_of(d);
        for (m, mode) in class.modes.iter().enumerate() {
            let mut by_unit = vec![Vec::new(); class.units.len()];
            for &n in &f.by_mode[d.at()][m] {
                for (unit, load) in f.columns[n].host(f.instance).into_iter().flat_map(|(host, _)| &host.load)
                {
                    if *load > 0.0 {
                        by_unit[unit.at()].push(n);
                    }
                }
            }
            for (c, columns) in by_unit.into_iter().enumerate() {
                if columns.is_empty() {
                    continue;
                }
                let used = f.sum(&columns, |x| {
                    let load = x.host(f.instance).and_then(|(h, _)| h.load.iter().find(|(u, _)| u.at() == c));
                    load.map_or(0.0, |(_, load)| *load)
                });
                let row = constraint!(used <= mode.load_cap[c] * f.y[d.at()][m].var);
                f.row(format!("c3_load_d{}_m{m}_c{c}", d.at()), row);
            }
        }
    }
}
