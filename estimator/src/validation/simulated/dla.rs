//! Both DLAs of AGX Orin at full load: images per second.

use super::super::Measurements;
use super::super::sample::Sample;
use super::{bandwidth, board, loop_on, rule, run, unit, works};
use crate::parameters::Parameters;
use crate::sim::Jitter;
use ecomap_instances::profile::UnitKind;

/// One network in one mode.
#[derive(Debug, Clone)]
pub struct Throughput {
    /// Network.
    pub network: String,
    /// Board and mode.
    pub device: String,
    /// Images per second on both DLAs, measured.
    pub measured: f64,
    /// Simulated with the shipped form fitted on single layers.
    pub simulated: f64,
    /// Simulated with one factor on all times, fitted on ResNet-50; `None` for that network.
    pub scaled: Option<f64>,
}

/// Name of the network that the factor is fitted on.
const FITTED: &str = "ResNet50";

fn rate(sample: &Sample, parameters: &Parameters, factor: f64) -> Option<f64> {
    let rule = rule("orin", UnitKind::Dla)?;
    let soc = board(vec![unit(rule, UnitKind::Dla); 2], bandwidth(sample), 0.0);
    let mut blocks = works(sample, parameters)?;
    for b in &mut blocks {
        b.time_ms *= factor;
    }
    let streams = [0, 1].map(|n| loop_on(n, blocks.clone(), Jitter::NONE));
    let out = run(&soc, &streams, 200.0)?;
    Some(out.streams.iter().map(|s| 1000.0 / s.mean_ms).sum())
}

/// NVIDIA's table of both DLAs against the simulator.
#[must_use]
pub fn lines(parameters: &Parameters, all: &Measurements) -> Vec<Throughput> {
    let of: Vec<&Sample> = all
        .samples
        .iter()
        .filter(|s| s.group.kind == UnitKind::Dla && matches!(&*s.network, "ResNet50" | "SSD_MobileNetV1"))
        .collect();
    // The geometric mean of measured over predicted time.
    let logs: Vec<f64> = of
        .iter()
        .filter(|s| s.network == FITTED)
        .filter_map(|s| Some((s.measured / s.predict(parameters)?).ln()))
        .collect();
    #[allow(clippy::cast_precision_loss)]
    let factor = (logs.iter().sum::<f64>() / logs.len().max(1) as f64).exp();
    of.iter()
        .filter_map(|s| {
            let checked = s.network != FITTED;
            Some(Throughput {
                network: s.network.clone(),
                device: s.device.clone(),
                measured: 2000.0 / s.measured,
                simulated: rate(s, parameters, 1.0)?,
                scaled: if checked { rate(s, parameters, factor) } else { None },
            })
        })
        .collect()
}
