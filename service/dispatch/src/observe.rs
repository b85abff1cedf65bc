//! Reports become observations that the estimator's calibration learns from.
//!
//! A report is one observation for each tenant that ran one tier, that of the orders, through the whole interval.
//! Predictions are those of the plan without the network's share, as the report's latencies are of the board alone.
//! Power is taken only where it was measured or emulated, and of a whole board: a module's rails leave out the carrier
//! board, which is added from the profile; a model's power would teach the estimator its own figures.

use ecomap_estimator::calibrate::{Latencies, Observation, Placed, Predicted};
use ecomap_instances::format::orders_v1::{OrdersDto, TaskDto};
use ecomap_instances::format::result_v1::LatencyDto;
use ecomap_instances::format::telemetry_v1::{OriginDto, PowerReportDto, TelemetryDto};
use ecomap_instances::instance::Quantiles;
use ecomap_instances::profile::{Profile, UnitKind};
use ecomap_instances::units::{Millis, Watts};
use std::collections::BTreeSet;

/// Least share of the interval that power readings must cover.
const COVERED: f64 = 0.9;

/// What a report teaches about the plan `orders` on a board of `profile`. Empty where the report is of another plan, of
/// a board in another power mode or in its safe mode, or of an interval in which tiers changed.
#[must_use]
pub fn observations(report: &TelemetryDto, orders: &OrdersDto, profile: &Profile) -> Vec<Observation> {
    let same = report.device == orders.device
        && report.version == Some(orders.version)
        && report.mode == orders.mode
        && !report.safe;
    if !same {
        return Vec::new();
    }
    let power = report.power.as_ref().and_then(|power| board_power(report, power, orders, profile));
    let each = report.tenants.iter().filter_map(|tenant| {
        let task = orders.tasks.iter().find(|t| t.tenant == tenant.tenant)?;
        let [answers] = &tenant.tiers[..] else { return None };
        if answers.tier != task.tier || tenant.tier.as_deref() != Some(task.tier.as_str()) {
            return None;
        }
        Some(Observation {
            placed: Placed {
                device: report.device.as_str().into(),
                profile: report.profile.as_str().into(),
                family: task.family.as_str().into(),
                tier: task.tier.as_str().into(),
                units: kinds(task, profile)?,
            },
            predicted: Predicted {
                latency: on_board(&task.predicted_ms, task.network_ms)?,
                isolated: on_board(&task.isolated_ms, task.network_ms),
                power: power.map(|_| Watts::new(orders.power_w)),
            },
            latencies: Latencies {
                count: answers.completions,
                sample: answers.sample_ms.iter().copied().map(Millis::new).collect(),
            },
            power,
            at_ms: report.to_ms,
        })
    });
    each.collect()
}

fn kinds(task: &TaskDto, profile: &Profile) -> Option<BTreeSet<UnitKind>> {
    let kind = |unit: &str| profile.unit_position(unit).and_then(|u| profile.units.get(u)).map(|u| u.kind);
    task.segments.iter().map(|s| kind(&s.unit)).collect()
}

/// Without the network's share; `None` where nothing is left.
fn on_board(end_to_end: &LatencyDto, network_ms: f64) -> Option<Quantiles> {
    let ms = |value: f64| Millis::new(value - network_ms);
    let quantiles = Quantiles { p50: ms(end_to_end.p50), p95: ms(end_to_end.p95), p99: ms(end_to_end.p99) };
    (quantiles.p50 > Millis::ZERO).then_some(quantiles)
}

/// Mean draw of the whole board.
fn board_power(
    report: &TelemetryDto,
    power: &PowerReportDto,
    orders: &OrdersDto,
    profile: &Profile,
) -> Option<Watts> {
    if power.origin == OriginDto::Modelled
        || power.covered_ms < COVERED * (report.to_ms - report.from_ms) as f64
    {
        return None;
    }
    let mean = Watts::new(power.mean_w?);
    match power.scope.as_str() {
        "board" => Some(mean),
        "module" => {
            let mode = profile.modes.get(profile.mode_position(orders.mode.as_deref()?)?)?;
            Some(mean + mode.carrier)
        }
        _ => None,
    }
}
