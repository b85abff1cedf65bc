//! The controller on a virtual clock, over recorded traces.

use crate::controller::{Controller, Turn};
use crate::error::FleetError;
use crate::history::Row;
use ecomap_carbon::{Chain, Exchange, Source};
use ecomap_instances::units::{GramsPerKwh, Watts};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// Hours of outlook given to policies: a day of 25 hours and the hour under way.
const AHEAD: usize = 26;

/// A replay.
pub struct Replay {
    /// The fleet.
    pub controller: Controller,
    /// A source and its chain for every zone.
    pub zones: Vec<(Box<dyn Source>, Chain)>,
    /// First turn.
    pub start: Timestamp,
    /// Between two turns.
    pub every: SignedDuration,
    /// Turns.
    pub turns: usize,
    /// Whose days count for allowances.
    pub days: TimeZone,
}

impl std::fmt::Debug for Replay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replay")
            .field("start", &self.start)
            .field("turns", &self.turns)
            .finish_non_exhaustive()
    }
}

/// What a replay came to. Powers and emissions are the model's: predicted, over a recorded trace.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// Turns made.
    pub turns: usize,
    /// Turns in which some cap changed.
    pub cap_changes: usize,
    /// Plans published.
    pub plans: u64,
    /// Turns in which the plan that runs draws more than a cap; nothing but 0 is right.
    pub above_cap: usize,
    /// Solves that were more than a lookup.
    pub solves: u64,
    /// Tenants moved, over all turns.
    pub moves: usize,
    /// Energy, Wh.
    pub energy_wh: f64,
    /// Emissions, g.
    pub carbon_g: f64,
    /// What the objective lost beside carbon and energy, summed over the hours.
    pub loss_hours: f64,
    /// Largest gap of a published plan that has one.
    pub worst_gap: Option<f64>,
    /// Published plans whose bound is not known.
    pub unproven: usize,
}

impl Replay {
    /// Plays, handing every turn to `seen`, with the controller as the turn left it.
    ///
    /// # Errors
    /// The first [`FleetError`]; what `seen` was given stands.
    pub fn run(&mut self, mut seen: impl FnMut(&Turn, &Row, &Controller)) -> Result<Summary, FleetError> {
        let mut summary = Summary::default();
        let mut now = self.start;
        let mut day = None;
        let mut before: Option<Vec<Option<Watts>>> = None;
        let mut loss_since: Option<(Timestamp, f64)> = None;
        for _ in 0..self.turns {
            let local = now.to_zoned(self.days.clone());
            if day.replace(local.date()).is_some_and(|d| d != local.date()) {
                self.controller.new_day(now);
            }
            let left = left_of_day(now, &self.days);
            let ahead = self.ahead(now);
            let turn = self.controller.step(now, &ahead, left)?;
            if let Some((since, loss)) = loss_since {
                summary.loss_hours += loss * now.duration_since(since).as_secs_f64() / 3_600.0;
            }
            let row = row(&turn, &self.controller);
            loss_since = Some((now, row.loss));
            summary.turns += 1;
            summary.solves += turn.solves;
            summary.plans += turn.published.len() as u64;
            summary.moves += row.moves;
            summary.cap_changes += usize::from(before.as_ref().is_some_and(|b| *b != turn.caps));
            before = Some(turn.caps.clone());
            let above = row
                .power
                .iter()
                .zip(&row.caps)
                .any(|(p, cap)| cap.is_some_and(|c| p.get() > c.get() * (1.0 + 1e-9) + 1e-9));
            summary.above_cap += usize::from(above);
            for published in &turn.published {
                match published.gap() {
                    Some(gap) => summary.worst_gap = Some(summary.worst_gap.unwrap_or(0.0).max(gap)),
                    None => summary.unproven += 1,
                }
            }
            summary.energy_wh = self.controller.meter().energy_wh();
            summary.carbon_g = self.controller.meter().carbon_g();
            seen(&turn, &row, &self.controller);
            now = now.checked_add(self.every).map_err(|_| FleetError::Time)?;
        }
        Ok(summary)
    }

    /// Polls every source and asks its chain.
    fn ahead(&mut self, now: Timestamp) -> Vec<Vec<GramsPerKwh>> {
        self.zones
            .iter_mut()
            .map(|(source, chain)| {
                if let Exchange::Done(reading) = source.begin(now) {
                    chain.take(0, reading, now);
                }
                chain.ahead(now, AHEAD)
            })
            .collect()
    }
}

/// From `now` to the next midnight of the zone; days are 23 or 25 hours long when clocks change.
#[must_use]
pub fn left_of_day(now: Timestamp, zone: &TimeZone) -> SignedDuration {
    let local = now.to_zoned(zone.clone());
    let next = local.tomorrow().and_then(|t| t.start_of_day());
    next.map_or(SignedDuration::from_hours(24), |midnight| midnight.timestamp().duration_since(now))
}

fn row(turn: &Turn, controller: &Controller) -> Row {
    let running = controller.running();
    let shed = running.map_or(0, |r| r.plan.picks.iter().filter(|p| p.is_none()).count());
    Row {
        at: turn.at,
        intensity: turn.intensity.iter().map(|g| g.get()).collect(),
        caps: turn.caps.clone(),
        power: running.map_or_else(Vec::new, |r| r.power.clone()),
        plan: running.map_or(0, |r| r.number),
        cause: Row::cause(turn),
        moves: turn.published.iter().map(|p| p.moves).sum(),
        shed,
        value: running.map_or(f64::NAN, |r| r.value),
        bound: running.and_then(|r| r.bound),
        loss: running.map_or(f64::NAN, |r| r.loss),
        carbon_g: controller.meter().carbon_g(),
        solves: turn.solves,
    }
}
