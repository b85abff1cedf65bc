//! What a fleet's task tells: events with their reasons, zones as states show them, samples as the store has them.

use super::build;
use super::live::{Held, Live};
use super::records::{PlanSummaryDto, TurnDto};
use super::state::ZoneDto;
use ecomap_carbon::sample::Parts;
use ecomap_carbon::{Kind, Provenance, Sample, Signal};
use ecomap_fleet::Turn;
use ecomap_store::Event;
use jiff::Timestamp;
use serde_json::json;
use std::sync::Arc;

impl Live {
    /// Events of zones whose intensity holds on another word than before.
    pub(super) fn words(&self, held: &mut Held, now: Timestamp) -> Vec<Event> {
        let mut events = Vec::new();
        for (links, known) in held.zones.iter().zip(&mut held.words) {
            let current = links.chain.now(now);
            let (kind, source) = said(&current.provenance);
            let word = (current.provenance.level(), format!("{kind} {}", source.unwrap_or_default()));
            if *known != word {
                let reason = match source {
                    Some(source) => format!("intensity of {} by {kind} of {source}", links.zone),
                    None => {
                        let grams = current.intensity.get();
                        format!("nothing is known of {}: {grams} g/kWh hold, the value for that", links.zone)
                    }
                };
                let data = json!({
                    "zone": &*links.zone, "provenance": kind, "source": source, "level": word.0,
                    "g_per_kwh": current.intensity.get(), "estimated": current.estimated,
                });
                let first = known.0 == u8::MAX && word.0 == 0;
                *known = word;
                // That the preferred source answers from the start is no news.
                if !first {
                    events.push(Event::new(
                        Some(&self.fleet.id),
                        "carbon_source",
                        &reason,
                        &data.to_string(),
                        now,
                    ));
                }
            }
        }
        events
    }

    /// Events of caps that moved and boards that they turned off.
    pub(super) fn told(&self, held: &mut Held, turn: &Turn, row: &TurnDto) -> Vec<Event> {
        let mut events = Vec::new();
        let moved: Vec<String> = row
            .cap_w
            .iter()
            .filter(|(site, cap)| held.caps.as_ref().and_then(|c| c.get(*site)) != Some(cap))
            .map(|(site, cap)| {
                format!("{site} {}", cap.map_or_else(|| "none".to_owned(), |w| format!("{w:.1} W")))
            })
            .collect();
        if held.caps.is_some() && !moved.is_empty() {
            let reason = format!("caps moved with the intensity: {}", moved.join(", "));
            let data = json!({ "cap_w": row.cap_w, "before_w": held.caps, "intensity_g_per_kwh": row.intensity_g_per_kwh });
            events.push(Event::new(Some(&self.fleet.id), "caps", &reason, &data.to_string(), turn.at));
        }
        held.caps = Some(row.cap_w.clone());
        let off: Vec<usize> = turn.forced_off.iter().map(|d| d.at()).collect();
        if off != held.forced_off {
            let reason = match off.len() {
                0 => "the caps allow every board to idle again".to_owned(),
                n => format!("{n} boards are off: idling, all would draw more than the caps allow"),
            };
            let data = json!({ "boards": off.len() });
            events.push(Event::new(Some(&self.fleet.id), "boards_off", &reason, &data.to_string(), turn.at));
            held.forced_off = off;
        }
        events
    }

    pub(super) fn zones(&self, held: &Held, now: Timestamp) -> Vec<ZoneDto> {
        held.zones
            .iter()
            .map(|links| {
                let current = links.chain.now(now);
                let (provenance, source) = said(&current.provenance);
                let own = held.failing.iter().filter(|((zone, _), _)| *zone == links.zone);
                ZoneDto {
                    zone: links.zone.to_string(),
                    intensity_g_per_kwh: current.intensity.get(),
                    signal: word(links.signal).to_owned(),
                    provenance: provenance.to_owned(),
                    level: current.provenance.level(),
                    source: source.map(str::to_owned),
                    age_s: current.age.as_secs_f64(),
                    estimated: current.estimated,
                    synthetic: source == Some(build::SYNTHETIC),
                    failing: own.map(|((_, source), why)| (source.to_string(), why.clone())).collect(),
                }
            })
            .collect()
    }
}

/// A sample as the store has it.
pub(super) fn row(sample: &Sample, source: &str, now: Timestamp) -> ecomap_store::Sample {
    ecomap_store::Sample {
        zone: sample.zone().to_owned(),
        source: source.to_owned(),
        kind: match sample.kind() {
            Kind::Observed => "observed",
            Kind::Forecast => "forecast",
        }
        .to_owned(),
        signal: word(sample.signal()).to_owned(),
        from: sample.from(),
        to: sample.to(),
        grams_per_kwh: sample.intensity().get(),
        estimated: sample.estimated(),
        issued: sample.issued(),
        received: now,
    }
}

pub(super) fn revive(row: &ecomap_store::Sample, zone: &Arc<str>, source: &Arc<str>) -> Option<Sample> {
    Sample::try_new(&Parts {
        zone,
        from: row.from,
        to: row.to,
        grams_per_kwh: row.grams_per_kwh,
        signal: if row.signal == "marginal" { Signal::Marginal } else { Signal::Average },
        kind: if row.kind == "forecast" { Kind::Forecast } else { Kind::Observed },
        estimated: row.estimated,
        source,
        issued: row.issued,
    })
    .ok()
}

fn word(signal: Signal) -> &'static str {
    match signal {
        Signal::Average => "average",
        Signal::Marginal => "marginal",
    }
}

fn said(provenance: &Provenance) -> (&'static str, Option<&str>) {
    match provenance {
        Provenance::Source { source, .. } => ("source", Some(source)),
        Provenance::Forecast { source, .. } => ("forecast", Some(source)),
        Provenance::Yesterday { source } => ("yesterday", Some(source)),
        Provenance::Pessimistic => ("pessimistic", None),
    }
}

/// Why a plan was published, for people.
pub(super) fn reason(plan: &PlanSummaryDto) -> String {
    let why = match plan.cause.as_str() {
        "first" => "the first plan",
        "cap" => "the plan before drew more than a new cap",
        "change" => "the fleet changed",
        "boards" => "boards refused, were lost or came back",
        "drift" => "boards no longer behave as predicted",
        _ => "it gains on the plan before",
    };
    let gap = plan.gap.map_or_else(|| "gap unknown".to_owned(), |g| format!("gap {:.3} %", 100.0 * g));
    format!("plan {}: {why}; {} tenants moved, {} shed, {gap}", plan.number, plan.moves, plan.shed)
}

pub(super) fn brief(plan: &PlanSummaryDto) -> serde_json::Value {
    json!({
        "number": plan.number, "cause": plan.cause, "moves": plan.moves, "shed": plan.shed, "value": plan.value,
        "bound": plan.bound, "gap": plan.gap, "cap_w": plan.cap_w, "predicted_w": plan.predicted_w,
        "checked": plan.checked, "changes": plan.changes,
    })
}
