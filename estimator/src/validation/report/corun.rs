//! Co-running: the contention curves and their errors.

use super::super::Measurements;
use super::super::contention::{curves, recommended};
use crate::parameters::Parameters;
use ecomap_instances::profile::UnitKind;
use std::fmt::Write as _;

pub(super) fn section(out: &mut String, parameters: &Parameters, all: &Measurements) {
    out.push_str(
        "## Co-running\n\nSlowdown of a unit while others use memory, against `1 + slope max(0, y - knee) + steeper max(0, y - \
second)`, y being the others' demand over the board's peak bandwidth. Fitted on half of the points by relative least \
squares. *Constant* is the error on the check half of the fit half's mean slowdown: a curve that does not beat it has \
shown nothing about the dependence on demand.\n\n\
| source | unit | y seen | knee | slope | second | steeper | fit: n, median % | check: n, median % | constant % |\n\
|---|---|---|--:|--:|--:|--:|---|---|--:|\n",
    );
    for c in curves(parameters, &all.coruns) {
        let show = |e: Option<super::super::Errors>| {
            e.map_or_else(|| "–".to_owned(), |e| format!("{}, {:.1}", e.n, e.median_ape))
        };
        let _ = writeln!(
            out,
            "| {} | {} {} | {:.2} to {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {} | {} |",
            c.source,
            c.unit.0,
            c.unit.1.as_str(),
            c.range.0,
            c.range.1,
            c.curve.knee,
            c.curve.slope,
            c.curve.second,
            c.curve.steeper,
            show(c.fit),
            show(c.check),
            c.constant.map_or_else(|| "–".to_owned(), |e| format!("{:.1}", e.median_ape)),
        );
    }
    out.push_str(
        "\nRecommended for memory-bound time, from these:\n\n| generation | unit | knee | slope | basis |\n|---|---|--:|--:|---|\n",
    );
    for (generation, kind, basis) in [
        ("xavier", UnitKind::Gpu, "knee: first region of the PCCS coefficients; slope assumed, Orin's"),
        ("xavier", UnitKind::Dla, "two sources that agree"),
        ("xavier", UnitKind::Cpu, "assumed, Orin's"),
        ("orin", UnitKind::Gpu, "one point"),
        ("orin", UnitKind::Dla, "one point, two DLAs"),
        ("orin", UnitKind::Cpu, "one point: no slowdown seen"),
    ] {
        let c = recommended(generation, kind);
        let _ =
            writeln!(out, "| {generation} | {} | {:.2} | {:.2} | {basis} |", kind.as_str(), c.knee, c.slope);
    }
    out.push_str("\n| source | unit | beside | y | measured slowdown |\n|---|---|---|--:|--:|\n");
    for r in &all.coruns {
        if let Some(y) = r.share(parameters) {
            let _ = writeln!(
                out,
                "| {} | {} {} | {} | {y:.2} | {:.2} |",
                r.source,
                r.generation,
                r.kind.as_str(),
                r.name,
                r.slowdown
            );
        }
    }
    out.push_str(
        "\nAlexNet's co-runners are placed by the model's traffic, not by a measured one, and its time alone is from another \
run; that whole network's slowdown also holds its arithmetic, so memory-bound work alone is slowed down at least as \
much. The meaning of the PCCS coefficients' argument is not documented where they are published, and the GPU's jump at both \
joints (1.01 to 1.6 at 38 GB/s): its curve is shown, not recommended. Orin has one operating point for each engine.\n\n",
    );
}
