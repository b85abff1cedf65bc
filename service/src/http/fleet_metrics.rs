//! Metrics of fleets, read from their pictures when they are asked for: base units, one series a site or zone.

use crate::fleets::snapshot::Snapshot;
use crate::fleets::state::Status;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

type Float = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFleet {
    fleet: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSite {
    fleet: String,
    site: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfZone {
    fleet: String,
    zone: String,
}

/// Gauges of fleets, sites and zones.
#[derive(Debug, Default)]
pub struct FleetMetrics {
    solved: Family<OfFleet, Gauge>,
    plan: Family<OfFleet, Gauge>,
    gap: Family<OfFleet, Float>,
    served: Family<OfFleet, Gauge>,
    tenants: Family<OfFleet, Gauge>,
    cap: Family<OfSite, Float>,
    predicted: Family<OfSite, Float>,
    intensity: Family<OfZone, Float>,
    level: Family<OfZone, Gauge>,
}

impl FleetMetrics {
    /// Registers everything.
    pub fn register(&self, r: &mut Registry) {
        r.register("fleet_solved", "Whether the fleet is kept solved (1) or not (0)", self.solved.clone());
        r.register("fleet_plan_number", "Number of the plan that runs", self.plan.clone());
        let help = "Relative gap of the plan that runs at the present intensities, where it is known";
        r.register_with_unit("fleet_plan_gap", help, Unit::Ratios, self.gap.clone());
        r.register("fleet_tenants_served", "Tenants that the plan serves", self.served.clone());
        r.register("fleet_tenants", "Tenants of the fleet", self.tenants.clone());
        let watts = || Unit::Other("watts".to_owned());
        r.register_with_unit("fleet_site_cap", "Power cap of a site", watts(), self.cap.clone());
        let help = "Draw of a site under the plan that runs, predicted";
        r.register_with_unit("fleet_site_predicted", help, watts(), self.predicted.clone());
        let unit = Unit::Other("grams_per_kilowatthour".to_owned());
        r.register_with_unit(
            "fleet_zone_intensity",
            "Carbon intensity of a zone",
            unit,
            self.intensity.clone(),
        );
        let help =
            "How far down its fallbacks a zone's intensity is: 0 the preferred source, 4 nothing known";
        r.register("fleet_zone_fallback", help, self.level.clone());
    }

    /// Takes the present pictures over; what belongs to fleets that are gone goes.
    pub fn refresh(&self, fleets: &[Arc<Snapshot>]) {
        self.solved.clear();
        self.plan.clear();
        self.gap.clear();
        self.served.clear();
        self.tenants.clear();
        self.cap.clear();
        self.predicted.clear();
        self.intensity.clear();
        self.level.clear();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        for snapshot in fleets {
            let own = || OfFleet { fleet: snapshot.id.clone() };
            self.solved.get_or_create(&own()).set(i64::from(snapshot.status == Status::Running));
            self.plan.get_or_create(&own()).set(i64::try_from(snapshot.number()).unwrap_or(i64::MAX));
            let figures = &snapshot.figures;
            if let Some(gap) = figures.worth.as_ref().and_then(|w| w.gap) {
                self.gap.get_or_create(&own()).set(gap);
            }
            self.served.get_or_create(&own()).set(count(figures.tenants.iter().filter(|t| t.served).count()));
            self.tenants.get_or_create(&own()).set(count(figures.tenants.len()));
            for site in &figures.sites {
                let label = OfSite { fleet: snapshot.id.clone(), site: site.site.clone() };
                if let Some(cap) = site.cap_w {
                    self.cap.get_or_create(&label).set(cap);
                }
                self.predicted.get_or_create(&label).set(site.predicted_w);
            }
            for zone in snapshot.zones.iter() {
                let label = OfZone { fleet: snapshot.id.clone(), zone: zone.zone.clone() };
                self.intensity.get_or_create(&label).set(zone.intensity_g_per_kwh);
                self.level.get_or_create(&label).set(i64::from(zone.level));
            }
        }
    }
}
