//! What a cut costs: GoogLeNet on AGX Xavier with one more tensor handed out, after each group.

use super::super::Measurements;
use super::super::sample::Half;
use super::super::stats::{Errors, errors, quantile};
use super::{board, rule, run, unit};
use crate::sim::{Arrivals, Jitter, Stage, Stream, Work};
use ecomap_instances::Catalog;
use ecomap_instances::profile::UnitKind;

/// A measured cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Unit that hands the tensor out.
    pub from: UnitKind,
    /// The tensor at FP16, bytes.
    pub bytes: f64,
    /// Time that it added, ms.
    pub added_ms: f64,
    /// Half of the data.
    pub half: Half,
}

/// Errors of the time that a cut adds, for one sending unit.
#[derive(Debug, Clone)]
pub struct CutLine {
    /// Unit that sends.
    pub from: UnitKind,
    /// Simulated hand-over of the shipped profile, measured addition: medians, ms.
    pub medians: (f64, f64),
    /// With the shipped profile, all cuts.
    pub shipped: Errors,
    /// A constant, the fit half's median, on the check half.
    pub constant: Option<Errors>,
}

/// A request of two stages beside none: what the hand-over adds to its latency.
fn added(from: UnitKind, bytes: f64) -> Option<f64> {
    let profile = Catalog::embedded().ok()?.profile("jetson-agx-xavier")?;
    let t = &profile.transfer;
    let transfer_ms = t.latency.get() + 1000.0 * bytes / t.bandwidth.get();
    let to = if from == UnitKind::Gpu { UnitKind::Dla } else { UnitKind::Gpu };
    let soc = board(vec![unit(rule("xavier", from)?, from), unit(rule("xavier", to)?, to)], 1e8, 0.0);
    let stage = |unit, transfer_ms| Stage {
        unit,
        blocks: vec![Work { time_ms: 1.0, ..Work::default() }],
        jitter: Jitter::NONE,
        transfer_ms,
        transfer_w: 0.0,
    };
    let stream = Stream {
        stages: vec![stage(0, transfer_ms), stage(1, 0.0)],
        arrivals: Arrivals::Closed { think_ms: 0.0 },
        queue_limit: 1,
    };
    Some(run(&soc, &[stream], 20.0)?.streams.first()?.at(0.5)? - 2.0)
}

/// One line for each sending unit.
#[must_use]
pub fn lines(all: &Measurements) -> Vec<CutLine> {
    [UnitKind::Gpu, UnitKind::Dla]
        .into_iter()
        .filter_map(|from| {
            let of: Vec<&Cut> = all.cuts.iter().filter(|c| c.from == from).collect();
            let pairs: Vec<(f64, f64)> =
                of.iter().filter_map(|c| Some((added(from, c.bytes)?, c.added_ms))).collect();
            let mid = |k: fn(&(f64, f64)) -> f64| quantile(&pairs.iter().map(k).collect::<Vec<_>>(), 0.5);
            let half = |h| of.iter().filter(move |c| c.half == h).map(|c| c.added_ms);
            let constant = quantile(&half(Half::Fit).collect::<Vec<_>>(), 0.5)?;
            let flat: Vec<(f64, f64)> = half(Half::Check).map(|m| (constant, m)).collect();
            Some(CutLine {
                from,
                medians: (mid(|p| p.0)?, mid(|p| p.1)?),
                shipped: errors(&pairs)?,
                constant: errors(&flat),
            })
        })
        .collect()
}
