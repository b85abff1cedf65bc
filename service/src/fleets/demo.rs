//! The fleet that a service begins with: a campus whose day passes in a minute, on a made-up trace.

use super::document::device_names;
use super::wire::{ControlDto, ExecutorsDto, FORMAT, FleetDto, SourceDto, ZoneCarbonDto};
use ecomap_instances::format::scenario_v1::ScenarioDto;

/// Name of the fleet.
pub const ID: &str = "demo";
/// Seconds of the fleet's clock in one: an hour passes in two seconds.
const SPEED: f64 = 1_800.0;
/// Between two turns on the fleet's clock: half an hour.
const EVERY_S: u32 = 1_800;
/// Real seconds after which a board that hears nothing lowers itself.
const LEASE_S: u32 = 180;

/// A fleet of this scenario, synthetic and accelerated; `boards` run its plans, as far as the scenario has them.
#[must_use]
pub fn fleet<'a>(scenario: ScenarioDto, boards: impl Iterator<Item = &'a str>) -> FleetDto {
    let all = device_names(&scenario);
    let devices: Vec<String> = boards.filter(|b| all.contains(*b)).map(str::to_owned).collect();
    let executors = (!devices.is_empty()).then_some(ExecutorsDto { devices, lease_s: LEASE_S });
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
        executors,
    }
}
