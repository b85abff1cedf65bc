//! Differences of counters.

use crate::runtime::{Counters, Served, TenantCounters};
use ecomap_instances::format::result_v1::LatencyDto;
use ecomap_instances::format::telemetry_v1::{MAX_SAMPLE, TenantReportDto, TierReportDto, UnitReportDto};
use ecomap_instances::ids::TenantId;
use std::time::Duration;

/// What each tenant got between two snapshots; energy is still to be told. Tenants that no plan serves any more and
/// for which nothing happened are left out.
#[must_use]
pub fn tenants(before: &Counters, after: &Counters) -> Vec<TenantReportDto> {
    let nothing = TenantCounters::default();
    let reports = after.tenants.iter().filter_map(|(tenant, now)| {
        let then = before.tenants.get(tenant).unwrap_or(&nothing);
        let since = |f: fn(&TenantCounters) -> u64| f(now).saturating_sub(f(then));
        let mut report = TenantReportDto {
            tenant: tenant.to_string(),
            tier: now.tier.as_ref().map(ToString::to_string),
            arrivals: since(|c| c.arrivals),
            completions: 0,
            unanswered: since(|c| c.busy + c.expired + c.invalid + c.failed + c.abandoned),
            deadline_misses: since(TenantCounters::deadline_misses),
            energy_j: None,
            tiers: Vec::new(),
        };
        for (tier, served) in &now.served {
            if let Some(answers) = answers(tier.as_str(), then.served.get(tier), served) {
                report.completions += answers.completions;
                report.tiers.push(answers);
            }
        }
        let silent = report.arrivals + report.completions + report.unanswered == 0;
        (report.tier.is_some() || !silent).then_some(report)
    });
    reports.collect()
}

/// Answers of a tier between two snapshots; `None` when there were none.
fn answers(tier: &str, then: Option<&Served>, now: &Served) -> Option<TierReportDto> {
    let mut latency = now.latency_us.clone();
    if let Some(then) = then {
        // Counts only grow, so the earlier snapshot is part of the later one.
        latency.subtract(&then.latency_us).ok()?;
    }
    if latency.is_empty() {
        return None;
    }
    let at = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1000.0;
    let length = latency.len().min(MAX_SAMPLE as u64);
    let sample_ms = (0..length).map(|k| at((k as f64 + 0.5) / length as f64)).collect();
    Some(TierReportDto {
        tier: tier.to_owned(),
        completions: latency.len(),
        late: now.late.saturating_sub(then.map_or(0, |t| t.late)),
        latency_ms: LatencyDto { p50: at(0.5), p95: at(0.95), p99: at(0.99) },
        mean_ms: latency.mean() / 1000.0,
        sample_ms,
    })
}

/// What each unit did between two snapshots.
#[must_use]
pub fn units(before: &Counters, after: &Counters) -> Vec<UnitReportDto> {
    let units = after.units.iter().map(|(unit, now)| {
        let then = before.units.get(unit).map_or(Duration::ZERO, |u| u.busy);
        let busy_ms = now.busy.saturating_sub(then).as_secs_f64() * 1e3;
        UnitReportDto { unit: unit.to_string(), busy_ms, waiting: now.waiting }
    });
    units.collect()
}

/// Busy time of a tenant between two snapshots, on each of `units`, in their order.
#[must_use]
pub fn busy(before: &Counters, after: &Counters, tenant: &str, units: &[&str]) -> Vec<Duration> {
    let tenant = TenantId::from(tenant);
    let of = |counters: &Counters, unit: &str| {
        counters.units.get(&unit.into()).and_then(|u| u.by_tenant.get(&tenant)).copied().unwrap_or_default()
    };
    units.iter().map(|unit| of(after, unit).saturating_sub(of(before, unit))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::UnitCounters;
    use crate::runtime::counters::{latencies, record};

    fn served(milliseconds: impl IntoIterator<Item = u64>, late: u64) -> Served {
        let mut latency_us = latencies().unwrap();
        for ms in milliseconds {
            record(&mut latency_us, Duration::from_millis(ms));
        }
        Served { latency_us, late }
    }

    fn counters(tier: Option<&str>, arrivals: u64, answered: &[(&str, Served)]) -> Counters {
        let tenant = TenantCounters {
            tier: tier.map(Into::into),
            arrivals,
            served: answered.iter().map(|(t, s)| ((*t).into(), s.clone())).collect(),
            ..TenantCounters::default()
        };
        Counters { tenants: [("cam".into(), tenant)].into(), ..Counters::default() }
    }

    #[test]
    fn only_what_happened_in_between_counts() {
        let before = counters(Some("big"), 10, &[("big", served(vec![500; 10], 10))]);
        let mut after = counters(
            Some("small"),
            210,
            &[("big", served(vec![500; 10], 10)), ("small", served(1..=200, 3))],
        );
        after.tenants.get_mut(&"cam".into()).unwrap().expired = 4;
        let reports = tenants(&before, &after);
        assert_eq!(reports.len(), 1);
        let report = &reports[0];
        assert_eq!((report.arrivals, report.completions, report.unanswered), (200, 200, 4));
        assert_eq!((report.deadline_misses, report.tier.as_deref()), (7, Some("small")));
        let [tier] = &report.tiers[..] else { panic!("one tier answered") };
        assert_eq!((tier.tier.as_str(), tier.completions, tier.late), ("small", 200, 3));
        // Histograms keep three digits.
        for (value, exact) in
            [(tier.latency_ms.p50, 100.0), (tier.latency_ms.p95, 190.0), (tier.latency_ms.p99, 198.0)]
        {
            assert!((value / exact - 1.0).abs() < 2e-3, "{value}");
        }
        assert!((tier.mean_ms / 100.5 - 1.0).abs() < 2e-3);
        assert_eq!(tier.sample_ms.len(), MAX_SAMPLE);
        assert!(tier.sample_ms.windows(2).all(|w| w[0] <= w[1]));
    }

    #[test]
    fn few_answers_are_a_sample_of_their_own_and_silence_is_left_out() {
        let nothing = Counters::default();
        let reports = tenants(&nothing, &counters(None, 2, &[("big", served([4, 8], 0))]));
        assert_eq!(reports[0].tiers[0].sample_ms.len(), 2);
        let now = counters(None, 2, &[("big", served([4, 8], 0))]);
        assert!(tenants(&now, &now).is_empty());
        let waiting = counters(Some("big"), 2, &[]);
        assert_eq!(tenants(&waiting, &waiting).len(), 1, "served, though nobody came");
    }

    #[test]
    fn busy_time_is_by_unit_and_tenant() {
        let units_of = |busy: u64, mine: u64| Counters {
            units: [(
                "gpu".into(),
                UnitCounters {
                    busy: Duration::from_millis(busy),
                    by_tenant: [("cam".into(), Duration::from_millis(mine))].into(),
                    waiting: 2,
                },
            )]
            .into(),
            ..Counters::default()
        };
        let (before, after) = (units_of(100, 40), units_of(350, 90));
        assert_eq!(units(&before, &after)[0].busy_ms, 250.0);
        let expected = [Duration::from_millis(50), Duration::ZERO];
        assert_eq!(busy(&before, &after, "cam", &["gpu", "dla0"]), expected);
    }
}
