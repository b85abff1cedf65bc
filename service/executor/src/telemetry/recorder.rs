//! Makes reports: counters of the runtime, readings of the power source, and what the agent knows.

use crate::power::attribute::share;
use crate::power::meter::{Meter, Metered};
use crate::power::{Activity, Origin, PowerSource, Scope};
use crate::runtime::{Basis, Counters};
use crate::telemetry::interval;
use ecomap_instances::format::telemetry_v1::{
    FORMAT, MAX_RAILS, OriginDto, PowerReportDto, RailReportDto, TelemetryDto, TenantReportDto,
};
use ecomap_instances::profile::Profile;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// Who reports.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Board.
    pub device: String,
    /// Its hardware profile.
    pub profile: Arc<Profile>,
    /// What the runtime's figures are.
    pub basis: Basis,
    /// When the agent started, ms since the epoch.
    pub started_ms: u64,
}

/// What holds at the end of an interval.
#[derive(Debug, Clone, Default)]
pub struct Moment {
    /// Power mode in force.
    pub mode: Option<String>,
    /// Whether the board has lowered itself.
    pub safe: bool,
    /// Reports thrown away since the last one.
    pub lost: u64,
}

/// Records one board. Times are those of the runtime's counters, so that an emulated board whose clock runs faster
/// reports by that clock.
#[derive(Debug)]
pub struct Recorder {
    identity: Identity,
    source: Box<dyn PowerSource>,
    meter: Meter,
    faults: BTreeSet<String>,
    before: Counters,
    sequence: u64,
}

impl Origin {
    /// On the wire.
    #[must_use]
    pub const fn dto(self) -> OriginDto {
        match self {
            Self::Measured => OriginDto::Measured,
            Self::Modelled => OriginDto::Modelled,
            Self::Emulated => OriginDto::Emulated,
        }
    }
}

impl Recorder {
    /// Begins at the given counters, with a first reading.
    #[must_use]
    pub fn new(identity: Identity, source: Box<dyn PowerSource>, now: &Counters) -> Self {
        let (meter, faults) = (Meter::default(), BTreeSet::new());
        let mut recorder = Self { identity, source, meter, faults, before: now.clone(), sequence: 0 };
        recorder.sample(now, None);
        recorder
    }

    /// Reads the power source once. To be done several times an interval.
    pub fn sample(&mut self, now: &Counters, mode: Option<&str>) {
        let profile = &self.identity.profile;
        let busy: Vec<Duration> = profile
            .units
            .iter()
            .map(|u| now.units.get(&u.id).map_or(Duration::ZERO, |counters| counters.busy))
            .collect();
        let mode = mode.and_then(|mode| profile.mode_position(mode));
        match self.source.read(&Activity { at: now.at, busy: &busy, mode }) {
            Ok(reading) => {
                for fault in &reading.faults {
                    self.fault(fault.to_string());
                }
                self.meter.add(now.at, &reading);
            }
            Err(error) => self.fault(error.to_string()),
        }
    }

    fn fault(&mut self, text: String) {
        if self.faults.len() < MAX_RAILS {
            self.faults.insert(text);
        }
    }

    /// Ends the interval and begins the next.
    pub fn close(&mut self, now: Counters, moment: &Moment) -> TelemetryDto {
        self.sample(&now, moment.mode.as_deref());
        self.sequence += 1;
        let mut tenants = interval::tenants(&self.before, &now);
        let power = self.power(&now, moment.mode.as_deref(), &mut tenants);
        let at = |time: Duration| {
            let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            self.identity.started_ms.saturating_add(ms)
        };
        let report = TelemetryDto {
            format: FORMAT.to_owned(),
            device: self.identity.device.clone(),
            profile: self.identity.profile.id.to_string(),
            basis: match self.identity.basis {
                Basis::Measured => OriginDto::Measured,
                Basis::Emulated => OriginDto::Emulated,
            },
            started_ms: self.identity.started_ms,
            sequence: self.sequence,
            from_ms: at(self.before.at),
            to_ms: at(now.at),
            version: now.version.map(|v| v.0),
            mode: moment.mode.clone(),
            safe: moment.safe,
            lost: moment.lost,
            tenants,
            units: interval::units(&self.before, &now),
            power: Some(power),
        };
        self.before = now;
        report
    }

    fn power(
        &mut self,
        now: &Counters,
        mode: Option<&str>,
        tenants: &mut [TenantReportDto],
    ) -> PowerReportDto {
        let summed = self.meter.take();
        let profile = &self.identity.profile;
        let units: Vec<&str> = profile.units.iter().map(|u| u.id.as_str()).collect();
        let busy: Vec<Vec<Duration>> =
            tenants.iter().map(|t| interval::busy(&self.before, now, &t.tenant, &units)).collect();
        let described = mode.and_then(|mode| profile.modes.get(profile.mode_position(mode)?));
        let mut board_j = summed.total.energy.get();
        if let (Some(mode), false) = (described, summed.total.covered.is_zero()) {
            let module = self.source.scope() == Scope::Module;
            let shares = share(summed.total, mode, module, &busy);
            board_j = shares.board.get();
            for (tenant, energy) in tenants.iter_mut().zip(shares.tenants) {
                tenant.energy_j = Some(energy.get());
            }
        }
        let ms = |m: Metered| m.covered.as_secs_f64() * 1e3;
        PowerReportDto {
            source: self.source.name().to_owned(),
            origin: self.source.origin().dto(),
            scope: self.source.scope().as_str().to_owned(),
            mean_w: summed.total.mean().map(|w| w.get()),
            energy_j: summed.total.energy.get(),
            covered_ms: ms(summed.total),
            board_j,
            rails: summed
                .rails
                .into_iter()
                .take(MAX_RAILS)
                .map(|(rail, m)| RailReportDto {
                    rail,
                    mean_w: m.mean().map_or(0.0, |w| w.get()),
                    energy_j: m.energy.get(),
                    covered_ms: ms(m),
                })
                .collect(),
            faults: std::mem::take(&mut self.faults).into_iter().collect(),
        }
    }
}
