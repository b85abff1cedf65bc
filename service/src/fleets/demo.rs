//! The fleet that a service begins with: a campus whose day passes in a minute, on a made-up trace.

use super::wire::{ControlDto, FORMAT, FleetDto, SourceDto, ZoneCarbonDto};
use ecomap_instances::format::scenario_v1::ScenarioDto;

/// Name of the fleet.
pub const ID: &str = "demo";
/// Seconds of the fleet's clock in one: an hour passes in two seconds.
const SPEED: f64 = 1_800.0;
/// Between two turns on the fleet's clock: half an hour.
const EVERY_S: u32 = 1_800;

/// A fleet of this scenario, synthetic and accelerated.
#[must_use]
pub fn fleet(scenario: ScenarioDto) -> FleetDto {
    let zones = scenario.zones.iter().map(|z| {
        let carbon = ZoneCarbonDto {
            sources: vec![SourceDto::Synthetic { seed: 0 }],
            fresh_minutes: 60,
            pessimistic_g_per_kwh: 900.0,
            mix_signals: false,
        };
        (z.id.clone(), carbon)
    });
    FleetDto {
        format: FORMAT.to_owned(),
        carbon: zones.collect(),
        scenario: ScenarioDto { running: Vec::new(), ..scenario },
        lost: Vec::new(),
        budgets: Vec::new(),
        control: ControlDto { every_s: EVERY_S, speed: SPEED, time_limit_s: 1.0, ..ControlDto::default() },
    }
}
