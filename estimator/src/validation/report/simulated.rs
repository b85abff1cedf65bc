//! The simulator's own errors.

use super::super::Measurements;
use super::super::sample::{Half, Sample};
use super::super::simulated::{alone, corun, cuts, dla, modes, rails};
use super::super::stats::{Errors, errors};
use super::{name, rho};
use crate::parameters::Parameters;
use std::collections::BTreeSet;
use std::fmt::Write as _;

fn show(e: Option<Errors>) -> String {
    e.map_or_else(|| "–".to_owned(), |e| format!("{}, {:.1}", e.n, e.median_ape))
}

fn median(e: Option<Errors>) -> String {
    e.map_or_else(|| "–".to_owned(), |e| format!("{:.1}", e.median_ape))
}

pub(super) fn section(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "## The simulator\n\nSo far formulas were judged. Here the [simulator](simulator.md) itself runs what was measured, \
with the same parameters, and its outcome is compared: latency quantiles, draw, slowdown, throughput. Median absolute \
percentage errors; nothing here is fitted to the check half.\n\n",
    );
    quantiles(out, parameters, all);
    power_modes(out, parameters, all);
    layers(out, parameters, all);
    beside(out, parameters, all);
    both_dlas(out, parameters, all);
    handovers(out, all);
    over_time(out, all);
}

fn quantiles(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "### One request at a time\n\nMLPerf SingleStream in a closed loop without think time, 4000 requests, against \
quantiles of each published run, and mean power at the wall given what the board drew before the run. *p99/p50* is the \
spread without the median's error. BERT's quantiles depend on the questions' lengths and are left out. No board's run \
used the Server scenario, and multi-stream runs are batches: **no published Jetson run tests the simulated waiting \
time**; it is compared with queueing theory only.\n\n\
| unit, runtime | half | runs | p50 % | mean % | p90 % | p99 % | p99/p50 % | wall: runs, % |\n|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for l in alone::lines(parameters, all) {
        let [p50, mean, p90, p99] = l.latency;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} | {} |",
            l.group,
            name(l.half),
            p50.n,
            p50.median_ape,
            mean.median_ape,
            p90.median_ape,
            p99.median_ape,
            l.spread.median_ape,
            show(l.wall)
        );
    }
    out.push_str(
        "\nTensorRT repeats itself within a few percent. On Xavier's CPU a run's p99 is anything from 1.2 to 4.0 times its \
median; one factor for all networks cannot say which, so the simulated tail of a CPU tenant alone is a typical one.\n\n",
    );
}

fn power_modes(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "### Across power modes\n\nTime in a mode over the time of the same network or layer in the board's fastest mode, \
measured and simulated: errors of the prediction in one mode cancel. Check half; medians.\n\n\
| unit, runtime | mode | over | n | measured | simulated | error % |\n|---|---|---|--:|--:|--:|--:|\n",
    );
    for l in modes::lines(parameters, all) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {:.2} | {:.2} | {:.1} |",
            l.group, l.device, l.reference, l.errors.n, l.ratio.0, l.ratio.1, l.errors.median_ape
        );
    }
    out.push_str(
        "\nA row of one network is one network: it shows no more than that. SSD-MobileNet in the MaxQ modes of Xavier's GPUs and \
ResNet-50 on its CPU are slowed down by their clocks less than the model says.\n\n",
    );
}

fn layers(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "### Layer by layer\n\nFused layers of networks in PyTorch eager mode on AGX Orin (FP16, batch 1), each simulated alone \
with the parameters of that runtime, which were fitted to whole networks of the fit half.\n\n\
| mode | half | networks | layers | median APE % | p90 APE % | ratio | ρ | error of a network's sum % |\n\
|---|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for device in all.layers.iter().map(|s| &s.device).collect::<BTreeSet<_>>() {
        for half in [Half::Fit, Half::Check] {
            let of: Vec<&Sample> =
                all.layers.iter().filter(|s| s.device == *device && s.half == half).collect();
            let said = |s: &Sample| Some(alone::simulate(s, parameters, 0.0, 10.0)?.latency[0]);
            let pairs: Vec<(f64, f64)> = of.iter().filter_map(|s| Some((said(s)?, s.measured))).collect();
            let networks: BTreeSet<&str> = of.iter().map(|s| s.network.as_str()).collect();
            let sums: Vec<(f64, f64)> = networks
                .iter()
                .map(|n| {
                    of.iter()
                        .filter(|s| s.network == **n)
                        .fold((0.0, 0.0), |(a, b), s| (a + said(s).unwrap_or(0.0), b + s.measured))
                })
                .collect();
            let (Some(e), Some(whole)) = (errors(&pairs), errors(&sums)) else { continue };
            let _ = writeln!(
                out,
                "| {device} | {} | {} | {} | {:.1} | {:.0} | {:.2} | {} | {:.1} |",
                name(half),
                networks.len(),
                e.n,
                e.median_ape,
                e.p90_ape,
                e.median_ratio,
                rho(e.spearman),
                whole.median_ape
            );
        }
    }
    out.push_str(
        "\n**A single layer in eager mode is not predicted**: its time is mostly that of starting it, which differs by kernel and \
Python path; only sums over a network come out, to some 20 to 35 %. No placement uses this runtime. TensorRT's layers on \
Orin's DLA are under *Latency*. The layer table of NVIDIA's ResNet-34 backbone (DLA, INT8) \
names layers by ONNX node without their shapes; it is not used.\n\n",
    );
}

fn beside(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "### Units beside each other\n\nEach unit sends one request after another; slowdown is the mean latency beside the \
others over that alone. *Shipped* are the rules of `estimator/data/coexecution.json`. *Factor* multiplies the losses of \
the unit's contention curve, fitted on one half. *Constant* is the fit half's mean slowdown on the check half.\n\n\
| source, unit | shipped: fit n, % | check n, % | factor | fit n, % | check n, % | constant % |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    for l in corun::lines(parameters, all) {
        let [fit, check] = l.shipped;
        let [fit_2, check_2] = l.fitted;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {:.2} | {} | {} | {} |",
            l.name,
            show(fit),
            show(check),
            l.factor,
            show(fit_2),
            show(check_2),
            median(l.constant)
        );
    }
    out.push_str(
        "\nOnly the co-runs of AlexNet test the simulator: the rules come from the other two sources, so their rows show that \
the simulator repeats its own rules, and how far the straight joining of the GPU's coefficients is from their jump. A \
factor of 1 would say that the shipped DLA curve needs no change: it needs more. With the coefficients' own curve the \
simulator slows AlexNet's memory-bound time down too little, because the model takes only part of that network's time for \
memory-bound; the factor that the fit half asks for holds on the check half. It rests on one network, so it is reported \
and not shipped. Nothing measured tells two tenants on one unit, three \
units with real networks, or a CPU beside them.\n\n",
    );
}

fn both_dlas(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "### Both DLAs of AGX Orin\n\nImages per second with both DLAs busy, INT8 (NVIDIA), simulated with the parameters of \
single layers (branes-ai/graphs), and with one factor on all times fitted on ResNet-50's modes.\n\n\
| mode | network | measured | simulated | error % | with the factor | error % |\n|---|---|--:|--:|--:|--:|--:|\n",
    );
    for l in dla::lines(parameters, all) {
        let error = |x: f64| 100.0 * (x / l.measured - 1.0);
        let scaled =
            l.scaled.map_or_else(|| "fitted | –".to_owned(), |s| format!("{s:.0} | {:+.0}", error(s)));
        let _ = writeln!(
            out,
            "| {} | {} | {:.0} | {:.0} | {:+.0} | {scaled} |",
            l.device,
            l.network,
            l.measured,
            l.simulated,
            error(l.simulated)
        );
    }
    out.push_str(
        "\nTwo sources that disagree by four to five, as under *What these data cannot show*; a single factor does not carry \
over from one network to the other either. **INT8 throughput of Orin's DLA is not predicted.**\n\n",
    );
}

fn handovers(out: &mut String, all: &Measurements) {
    out.push_str(
        "### Cuts\n\nGoogLeNet on AGX Xavier with the tensor after one of its groups handed out (HaX-CoNN): what that adds, \
against the simulated hand-over of the shipped profile. Measured is the sender's part only; no run with a cut between two \
units, end to end, is published. *Constant*: the even cuts' median on the odd ones.\n\n\
| from | cuts | simulated, median ms | measured, median ms | error % | constant % |\n|---|--:|--:|--:|--:|--:|\n",
    );
    for l in cuts::lines(all) {
        let _ = writeln!(
            out,
            "| {} | {} | {:.3} | {:.3} | {:.0} | {} |",
            l.from.as_str(),
            l.shipped.n,
            l.medians.0,
            l.medians.1,
            l.shipped.median_ape,
            median(l.constant)
        );
    }
    out.push_str(
        "\nNothing in the nine cuts shows a dependence on the tensor's size: a constant does better than latency plus bytes \
over bandwidth.\n\n",
    );
}

fn over_time(out: &mut String, all: &Measurements) {
    out.push_str(
        "### Rails over time\n\nINA3221 rails of an AGX Orin at 1 Hz beside the GPU's utilisation. Idle and full-load draw are \
fitted on every other half minute; the remaining ones are simulated, a GPU that serves 10 ms requests at the recorded \
utilisation. *Constant* is the fitted windows' mean draw whatever the utilisation; *other loads* are recordings of other \
networks in the same mode, by the same two numbers.\n\n\
| load, mode | idle W | full load W | windows | median error % | p90 % | constant % | other loads: windows, % |\n|---|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for l in rails::lines(all) {
        let _ = writeln!(
            out,
            "| {} | {:.1} | {:.1} | {} | {:.1} | {:.0} | {} | {} |",
            l.name,
            l.fitted.0,
            l.fitted.1,
            l.check.n,
            l.check.median_ape,
            l.check.p90_ape,
            median(l.constant),
            show(l.others)
        );
    }
    out.push_str(
        "\nWithin a recording the law holds to a few percent where the load is steady, which a constant does as well; where idle \
and busy minutes change (the depth network at MAXN) it is much better than a constant and far off all the \
same. From one network to another it **does not hold**. Utilisation counts the time in which anything runs, not how much \
of the GPU: the same utilisation draws differently from one network to the next, which is why the energy of a block depends on what it does. A utilisation that \
hardly varies makes idle and full load trade places; the two numbers are then no physical ones.\n\n",
    );
}
