//! What boards report: shown beside the prediction, and learnt from.

use super::crew::Crew;
use super::wire::{ReportedDto, ServedDto};
use crate::fleets::live::Message;
use ecomap_dispatch::observe::observations;
use ecomap_estimator::calibrate::{Direction, DriftEvent, Event as Learnt, Quantity};
use ecomap_instances::format::orders_v1::{OrdersDto, TaskDto};
use ecomap_instances::format::telemetry_v1::{TelemetryDto, TenantReportDto};
use serde_json::json;

impl Crew {
    /// Takes a report in. It is in the store already.
    pub(super) async fn take(&mut self, report: &TelemetryDto) {
        let sent = self.sent.iter().find(|s| Some(s.version) == report.version);
        let orders = sent.and_then(|s| s.orders.iter().find(|o| o.device == report.device)).cloned();
        let plan = sent.map(|s| s.number).filter(|n| *n > 0);
        let corrected = sent.and_then(|s| s.corrected.clone());
        let Some(member) = self.members.get_mut(&report.device) else { return };
        member.report = Some(reported(report, plan, orders.as_ref()));
        let (Some(orders), Some(profile)) = (orders, member.profile.clone()) else { return };
        let mut drifts = Vec::new();
        for mut observation in observations(report, &orders, &profile) {
            if let Some(corrected) = &corrected {
                let latency = observation.predicted.latency;
                observation.predicted.latency = corrected.undo(&observation.placed, latency);
                observation.predicted.isolated = None;
            }
            match self.calibration.observe(&observation) {
                Ok(events) => drifts.extend(events.into_iter().filter_map(|e| match e {
                    Learnt::Drift(drift) => Some(drift),
                    _ => None,
                })),
                Err(why) => tracing::debug!(device = report.device, %why, "a report teaches nothing"),
            }
        }
        if drifts.is_empty() {
            return;
        }
        let events = drifts.iter().map(|drift| self.drifted(drift)).collect();
        self.tell(events).await;
        let corrections = self.use_newest().await;
        self.message(Message::Drifted(self.number, corrections));
    }

    fn drifted(&self, drift: &DriftEvent) -> ecomap_store::Event {
        let what = match drift.quantity {
            Quantity::Latency => "latency",
            Quantity::Power => "draw",
        };
        let way = match drift.direction {
            Direction::Slower => "above",
            Direction::Faster => "below",
        };
        let family = drift.family.as_ref().map_or_else(String::new, |f| format!(" of {f}"));
        let reason = format!(
            "{what}{family} on {} is {way} what it was against its prediction: options are priced anew",
            drift.device
        );
        let data = json!({
            "device": drift.device.as_str(), "family": drift.family.as_ref().map(|f| f.as_str()),
            "quantity": what, "direction": way, "statistic": drift.statistic, "threshold": drift.threshold,
            "tested": drift.tested,
        });
        self.event("drift", &reason, &data)
    }
}

fn reported(report: &TelemetryDto, plan: Option<u64>, orders: Option<&OrdersDto>) -> ReportedDto {
    let power = report.power.as_ref();
    let task = |tenant: &str| orders?.tasks.iter().find(|t| t.tenant == tenant);
    ReportedDto {
        to_ms: report.to_ms,
        ms: report.to_ms.saturating_sub(report.from_ms),
        plan,
        basis: report.basis,
        power_w: power.and_then(|p| p.mean_w),
        power_basis: power.filter(|p| p.mean_w.is_some()).map(|p| p.origin),
        power_scope: power.filter(|p| p.mean_w.is_some()).map(|p| p.scope.clone()),
        tenants: report.tenants.iter().map(|t| served(t, task(&t.tenant))).collect(),
    }
}

fn served(tenant: &TenantReportDto, task: Option<&TaskDto>) -> ServedDto {
    let most = tenant.tiers.iter().max_by_key(|t| t.completions);
    let task = task.filter(|t| most.is_none_or(|m| m.tier == t.tier));
    ServedDto {
        tenant: tenant.tenant.clone(),
        tier: most.map(|t| t.tier.clone()),
        arrivals: tenant.arrivals,
        completions: tenant.completions,
        deadline_misses: tenant.deadline_misses,
        p50_ms: most.map(|t| t.latency_ms.p50),
        p95_ms: most.map(|t| t.latency_ms.p95),
        predicted_p50_ms: task.map(|t| t.predicted_ms.p50 - t.network_ms),
        predicted_p95_ms: task.map(|t| t.predicted_ms.p95 - t.network_ms),
    }
}
