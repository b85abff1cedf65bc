//! (7) Latency: a hard SLO leaves options out ([`crate::reduce`]), a soft one is a price
//! ([`crate::pricing::slo_price`]); neither needs a row. This states what the others rely on.

use crate::formulation::Formulation;

pub(in crate::formulation) fn debug_assert_admissible(f: &Formulation<'_>) {
    debug_assert!(
        f.columns.iter().all(|column| {
            let tenant = &f.instance.tenants[column.tenant.at()];
            let hard = tenant.slo.filter(|s| s.soft_price.is_none());
            hard.is_none_or(|slo| {
                column.host(f.instance).is_none_or(|(host, _)| {
                    host.latency.at(slo.quantile).get() <= slo.latency.get() * (1.0 + 1e-6)
                })
            })
        }),
        "a column breaks a hard SLO"
    );
}
