//! What pricing looked at and what it left out.

use crate::predictor::Predictor;
use ecomap_instances::format::result_v1::PricingReportDto;
use ecomap_instances::scenario::SloBasis;
use std::collections::BTreeMap;
use std::fmt;

/// Why a placement or a whole (tier, class, mode) is not an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeftOut {
    /// The tier is below the tenant's accuracy floor; counted once for each tier.
    AccuracyFloor,
    /// No network path from the tenant's origin, or no board of the class that it may use; counted
    /// once for each tier and class.
    Unreachable,
    /// No unit of the mode can run the tier; counted once for each tier, class and mode.
    Unsupported,
    /// Another kept placement is at least as good in every measure, within epsilon.
    Dominated,
    /// More than `max_placements` were left.
    Trimmed,
    /// A unit's load alone exceeds the load cap.
    Overload,
    /// Latency at the SLO's quantile exceeds a hard SLO.
    Slo,
    /// Idle and dynamic power alone exceed the mode's budget.
    Budget,
    /// Weights and own memory alone exceed the board's memory.
    Memory,
    /// Memory traffic alone exceeds the board's bandwidth.
    Bandwidth,
}

impl LeftOut {
    /// Name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccuracyFloor => "accuracy_floor",
            Self::Unreachable => "unreachable",
            Self::Unsupported => "unsupported",
            Self::Dominated => "dominated",
            Self::Trimmed => "trimmed",
            Self::Overload => "overload",
            Self::Slo => "slo",
            Self::Budget => "budget",
            Self::Memory => "memory",
            Self::Bandwidth => "bandwidth",
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How the options of an instance were generated.
#[derive(Debug, Clone, PartialEq)]
pub struct PricingReport {
    /// Predictor's name and version.
    pub predictor: String,
    /// Placements evaluated, once for each (tier, profile, mode) and set of forbidden units.
    pub placements: u64,
    /// Options of the instance.
    pub options: u64,
    /// What was left out. `dominated` and `trimmed` count like [`PricingReport::placements`]; the
    /// other reasons count once for each tenant and device class.
    pub left_out: BTreeMap<LeftOut, u64>,
    /// Which latency row 7 uses.
    pub slo_basis: SloBasis,
}

impl PricingReport {
    /// An empty report.
    pub(crate) fn new(predictor: &dyn Predictor, slo_basis: SloBasis) -> Self {
        Self {
            predictor: format!("{} {}", predictor.name(), predictor.version()),
            placements: 0,
            options: 0,
            left_out: BTreeMap::new(),
            slo_basis,
        }
    }

    pub(crate) fn count(&mut self, reason: LeftOut, times: u64) {
        if times > 0 {
            *self.left_out.entry(reason).or_insert(0) += times;
        }
    }
}

impl From<&PricingReport> for PricingReportDto {
    fn from(report: &PricingReport) -> Self {
        Self {
            predictor: report.predictor.clone(),
            placements: report.placements,
            options: report.options,
            left_out: report.left_out.iter().map(|(r, n)| (r.as_str().to_owned(), *n)).collect(),
            slo_basis: match report.slo_basis {
                SloBasis::LoadCap => "load_cap".to_owned(),
                SloBasis::Isolated => "isolated".to_owned(),
            },
        }
    }
}
