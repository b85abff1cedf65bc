//! (20) Contention cuts over choices S that the joint predictor refuses. (20a) lifted, on each
//! board of the class: Σ_{(i,o) ∈ S} x[i,o,d] ≤ (k − 1)·y[d,m] with k tenants in S; (20b) no-good:
//! Σ_{S} x − Σ_{other columns of d} x ≤ |S| − 1; (20c) of a site's cap: the sum over its boards,
//! boards that are on and empty by their y.

use crate::contention::cut::{Cut, Group, tuples};
use crate::formulation::Formulation;
use ecomap_instances::ids::{DeviceIx, OptionIx, TenantIx};
use good_lp::{Expression, constraint};

pub(in crate::formulation) fn add(f: &mut Formulation<'_>, cuts: &[Cut]) {
    for (n, cut) in cuts.iter().enumerate() {
        match cut {
            Cut::Lifted { group, .. } => lifted(f, n, group),
            Cut::NoGood(board) => no_good(f, n, &Group::of(board)),
            Cut::Site { site, groups, devices: seen, exact, .. } => {
                for (k, devices) in tuples(f.instance, groups, seen).iter().enumerate() {
                    let mut sum = Expression::default();
                    let mut most = -1.0;
                    for (group, d) in groups.iter().zip(devices) {
                        most += count(group.members.len().max(1));
                        if group.members.is_empty() {
                            sum.add_mul(1.0, f.y[d.at()][group.mode.at()].var);
                        }
                        sum += terms(f, group, *d).0;
                        if *exact {
                            sum -= others(f, group, *d);
                        }
                    }
                    if *exact {
                        let rest = f
                            .devices()
                            .filter(|d| f.instance.class_of(*d).site == *site && !devices.contains(d));
                        for d in rest {
                            for y in &f.y[d.at()] {
                                sum.add_mul(-1.0, y.var);
                            }
                        }
                    }
                    f.row(format!("c20c_site_n{n}_{k}"), constraint!(sum <= most));
                }
            }
        }
    }
}

#[allow(clippy::cast_precision_loss)] // tenants of one board
fn count(n: usize) -> f64 {
    n as f64
}

/// Σ x over the members' options on a board, and the number of members that have a column there.
fn terms(f: &Formulation<'_>, group: &Group, d: DeviceIx) -> (Expression, usize) {
    let mut sum = Expression::default();
    let mut present = 0;
    for (tenant, options) in &group.members {
        let own = columns(f, group, d, *tenant, options);
        present += usize::from(!own.is_empty());
        sum += f.sum(&own, |_| 1.0);
    }
    (sum, present)
}

fn columns(
    f: &Formulation<'_>,
    group: &Group,
    d: DeviceIx,
    tenant: TenantIx,
    options: &[OptionIx],
) -> Vec<usize> {
    let list = &f.by_mode[d.at()][group.mode.at()];
    let is = |n: &usize| f.columns[*n].tenant == tenant && options.contains(&f.columns[*n].pick.option);
    list.iter().copied().filter(is).collect()
}

/// Σ x of the tenants on a board that are no members.
fn others(f: &Formulation<'_>, group: &Group, d: DeviceIx) -> Expression {
    let member = |n: usize| group.members.iter().any(|(t, _)| *t == f.columns[n].tenant);
    let list: Vec<usize> =
        f.by_mode[d.at()][group.mode.at()].iter().copied().filter(|n| !member(*n)).collect();
    f.sum(&list, |_| 1.0)
}

fn lifted(f: &mut Formulation<'_>, n: usize, group: &Group) {
    for d in f.instance.classes[group.class.at()].devices.clone() {
        let (sum, present) = terms(f, group, d);
        // Without a column of every member the row cannot bind.
        if present == group.members.len() {
            let most = count(group.members.len()) - 1.0;
            let y = f.y[d.at()][group.mode.at()].var;
            f.row(format!("c20a_lifted_n{n}_d{}", d.at()), constraint!(sum <= most * y));
        }
    }
}

fn no_good(f: &mut Formulation<'_>, n: usize, group: &Group) {
    for d in f.instance.classes[group.class.at()].devices.clone() {
        let (sum, present) = terms(f, group, d);
        if present == group.members.len() {
            let most = count(group.members.len()) - 1.0;
            let row = constraint!(sum - others(f, group, d) <= most);
            f.row(format!("c20b_nogood_n{n}_d{}", d.at()), row);
        }
    }
}
