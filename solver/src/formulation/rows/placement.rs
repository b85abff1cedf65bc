//! (10) Placement rules: (10a) pinning leaves columns out ([`crate::columns`]); (10b) together, with
//! u[g] ∈ {0,1}: Σ_g u[g] ≤ 1 and Σ_{o, d∈g} x[i,o,d] ≤ u[g] for each member; (10c) apart,
//! Σ_i Σ_{o, d∈g} x[i,o,d] ≤ 1 for each g. Only groups that a member can reach are written.

use crate::formulation::Formulation;
use ecomap_instances::scenario::{AffinityKind, Scope};
use good_lp::{Expression, constraint};
use std::collections::{BTreeMap, BTreeSet};

pub(in crate::formulation) fn add(f: &mut Formulation<'_>) {
    let rules = &f.instance.affinities;
    for (a, rule) in rules.iter().enumerate() {
        let members: BTreeSet<usize> = rule.tenants.iter().map(|t| t.at()).collect();
        // Columns by group and member.
        let mut groups: BTreeMap<usize, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
        for &i in &members {
            for &n in &f.by_tenant[i] {
                if let Some(g) = group_of(f, n, rule.scope) {
                    groups.entry(g).or_default().entry(i).or_default().push(n);
                }
            }
        }
        let mut chosen = Expression::default();
        for (g, by_member) in groups {
            match rule.kind {
                AffinityKind::Apart => {
                    let mut all = Expression::default();
                    for columns in by_member.values() {
                        all += f.sum(columns, |_| 1.0);
                    }
                    f.row(format!("c10c_apart_a{a}_g{g}"), constraint!(all <= 1.0));
                }
                AffinityKind::Together => {
                    let u = f.shared(a, g);
                    chosen.add_mul(1.0, u.var);
                    for (i, columns) in by_member {
                        let row = constraint!(f.sum(&columns, |_| 1.0) <= u.var);
                        f.row(format!("c10b_together_a{a}_g{g}_t{i}"), row);
                    }
                }
            }
        }
        if rule.kind == AffinityKind::Together {
            f.row(format!("c10b_one_group_a{a}"), constraint!(chosen <= 1.0));
        }
    }
}

fn group_of(f: &Formulation<'_>, n: usize, scope: Scope) -> Option<usize> {
    let (host, device) = f.columns[n].host(f.instance)?;
    Some(match scope {
        Scope::Device => device.at(),
        Scope::Site => f.instance.classes[host.class.at()].site.at(),
    })
}
