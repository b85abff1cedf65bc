//! (4) Memory with shared weights counted once: (4a) Σ mem·x + Σ_k W_k·w[d,k] ≤ M[d];
//! (4b) Σ_{o: k ∈ K[i,o]} x[i,o,d] ≤ w[d,k]. Written in units of the device's memory.
//!
//! Left out for classes that could hold everything at once ([`roomy_classes`]): there (4) never
//! binds.

use crate::formulation::Formulation;
use crate::reduce::roomy_classes;
use ecomap_instances::ids::WeightIx;
use good_lp::constraint;
use std::collections::BTreeMap;

pub(in crate::formulation) fn add(f: &mut Formulation<'_>) {
    let roomy = roomy_classes(f.instance);
    for d in f.devices() {
        if roomy[f.instance.devices[d.at()].class.at()] {
            continue;
        }
        let limit = f.instance.class_of(d).memory.get();
        let memory = limit.max(1.0);
        let columns: Vec<usize> = f.by_mode[d.at()].iter().flatten().copied().collect();
        let mut users: BTreeMap<(WeightIx, usize), Vec<usize>> = BTreeMap::new();
        for &n in &columns {
            let column = &f.columns[n];
            for set in column.host(f.instance).into_iter().flat_map(|(host, _)| &host.weights) {
                users.entry((*set, column.tenant.at())).or_default().push(n);
            }
        }
        let mut used = f.sum(&columns, |x| x.host(f.instance).map_or(0.0, |(h, _)| h.memory.get() / memory));
        let mut last = None;
        for ((set, i), columns) in users {
            let w = f.weight(d, set);
            if last != Some(set) {
                used.add_mul(f.instance.weights[set.at()].bytes.get() / memory, w.var);
                last = Some(set);
            }
            let row = constraint!(f.sum(&columns, |_| 1.0) <= w.var);
            f.row(format!("c4b_weights_t{i}_d{}_k{}", d.at(), set.at()), row);
        }
        f.row(format!("c4a_memory_d{}", d.at()), constraint!(used <= limit / memory));
    }
}
