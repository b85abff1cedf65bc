//! BroncoSpace-Lab/scales-hardware: tegrastats at 1 Hz on an AGX Orin, INA3221 rails of the module.
//!
//! `sum_rails_mw` is GPU and SoC, CPU and CV, and the 5 V system rail; carrier board and supply are
//! outside. A second counts as busy when the GPU is at 95 % or more, as idle when it is below 2 %
//! and the CPUs below 6 %.

use super::super::Measurements;
use super::super::simulated::rails::Recording;
use super::super::stats::quantile;
use super::super::table::{Row, rows};
use crate::error::EstimatorError;
use std::path::Path;

/// File, load, power mode of the profile.
const FILES: [(&str, &str, &str); 5] = [
    ("depth_maxn.csv", "depth network", "MAXN"),
    ("depth_50W.csv", "depth network", "50W"),
    ("depth_15W.csv", "depth network", "15W"),
    ("resnet_training_50W.csv", "ResNet training", "50W"),
    ("resnet_training_30W.csv", "ResNet training", "30W"),
];

/// Recordings that are only compared second by second. The training at its highest mode belongs to
/// none of the profile's modes.
const MORE: [(&str, &str, &str); 3] = [
    ("resnet_maxn.csv", "ResNet", "MAXN"),
    ("resnet_50W.csv", "ResNet", "50W"),
    ("resnet_15W.csv", "ResNet", "15W"),
];

/// One recording in summary.
#[derive(Debug, Clone, PartialEq)]
pub struct RailTrace {
    /// What ran.
    pub load: &'static str,
    /// Power mode of the profile.
    pub mode: &'static str,
    /// Seconds with a busy GPU.
    pub busy_s: usize,
    /// Median and 95th percentile of the rails in them, W; `None` below ten seconds.
    pub busy_w: Option<(f64, f64)>,
    /// Median of the rails in idle seconds, W; `None` below ten seconds.
    pub idle_w: Option<f64>,
}

pub(in super::super) fn load(root: &Path, all: &mut Measurements) -> Result<(), EstimatorError> {
    for (file, load, mode) in FILES {
        let rows = rows(&root.join("bronco_tegrastats").join(file))?;
        if !rows.is_empty() {
            all.rails.push(summary(&rows, load, mode));
            all.recordings.push(recording(&rows, load, mode));
        }
    }
    for (file, load, mode) in MORE {
        let rows = rows(&root.join("bronco_tegrastats").join(file))?;
        if !rows.is_empty() {
            all.recordings.push(recording(&rows, load, mode));
        }
    }
    Ok(())
}

fn recording(rows: &[Row], load: &'static str, mode: &'static str) -> Recording {
    let second = |r: &Row| Some((r.number("gr3d_pct")? / 100.0, r.number("sum_rails_mw")? / 1000.0));
    Recording { load, mode, seconds: rows.iter().filter_map(second).collect() }
}

fn summary(rows: &[Row], load: &'static str, mode: &'static str) -> RailTrace {
    let watts = |keep: &dyn Fn(f64, f64) -> bool| -> Vec<f64> {
        rows.iter()
            .filter(|r| r.number("gr3d_pct").zip(r.number("cpu_load_mean")).is_some_and(|(g, c)| keep(g, c)))
            .filter_map(|r| r.number("sum_rails_mw").map(|mw| mw / 1000.0))
            .collect()
    };
    let (busy, idle) = (watts(&|gpu, _| gpu >= 95.0), watts(&|gpu, cpu| gpu < 2.0 && cpu < 6.0));
    let enough = |list: &[f64], q| if list.len() < 10 { None } else { quantile(list, q) };
    RailTrace {
        load,
        mode,
        busy_s: busy.len(),
        busy_w: enough(&busy, 0.5).zip(enough(&busy, 0.95)),
        idle_w: enough(&idle, 0.5),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::table::parse;
    use super::*;

    #[test]
    fn busy_and_idle_seconds() {
        let mut text = "t_s,cpu_load_mean,gr3d_pct,sum_rails_mw\n".to_owned();
        for n in 0..12 {
            text += &format!("{n},4.0,99.0,{}\n", 20_000 + n);
            text += &format!("{n},4.0,0.0,5000\n{n},50.0,0.0,9000\n{n},4.0,40.0,12000\n");
        }
        let trace = summary(&parse(&text).unwrap(), "x", "MAXN");
        assert_eq!((trace.busy_s, trace.idle_w), (12, Some(5.0)));
        assert!((trace.busy_w.unwrap().0 - 20.0055).abs() < 1e-9);
        // Nine seconds are too few.
        let few = summary(&parse(&text).unwrap()[..36], "x", "MAXN");
        assert_eq!((few.busy_w, few.idle_w), (None, None));
    }
}
