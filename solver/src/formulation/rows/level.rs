//! Levels of a lexicographic objective: the value of an earlier level stays at what it reached.

use crate::formulation::{Formulation, LevelRow};
use good_lp::{Expression, constraint};

pub(in crate::formulation) fn add(f: &mut Formulation<'_>, level: &LevelRow) {
    let (instance, costs) = (f.instance, &level.costs);
    let mut value = Expression::with_capacity(f.columns.len());
    let mut constant: f64 = instance.tenants.iter().map(|tenant| costs.switching(tenant)).sum();
    for (column, x) in f.columns.iter().zip(&f.x) {
        let tenant = &instance.tenants[column.tenant.at()];
        let choice = column.choice(instance);
        let mut cost = costs.option(instance, tenant, choice);
        if column.pick.device.is_some_and(|d| instance.is_running(tenant, choice, d)) {
            cost -= costs.switching(tenant);
        }
        value.add_mul(cost, x.var);
    }
    for (i, z) in f.z.iter().enumerate() {
        if let Some(z) = z {
            value.add_mul(costs.shed(i), z.var);
        }
    }
    for d in f.devices() {
        let class = instance.class_of(d);
        let off = costs.power(instance, class.site, class.off);
        constant += off;
        for (mode, y) in class.modes.iter().zip(&f.y[d.at()]) {
            value.add_mul(costs.power(instance, class.site, mode.idle) - off, y.var);
        }
    }
    f.row(format!("level_{}", f.rows.len()), constraint!(value <= level.at_most - constant));
}
