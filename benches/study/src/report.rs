//! The page of results, from tables alone. No number on it is typed.

use crate::stats::{interval, mean};
use crate::summary::{by_method, markdown};
use crate::table::{Conditions, Row};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Methods whose best the exact method is held against.
pub const RIVALS: [&str; 5] = ["gpu-only", "mosaic", "odmdef", "omniboost", "rankmap"];
/// Share of carbon that the Ecomap paper (arXiv 2503.04148) reports saved, on average.
pub const PAPER_CARBON: f64 = 0.30;
/// Share of carbon-delay product that it reports saved.
pub const PAPER_CDP: f64 = 0.25;
/// Tables with each scenario's own objective: `own`, and those whose names go on after it.
const OWN: &str = "own";

/// A table with its name, and the names of its figures.
#[derive(Debug)]
pub struct Table {
    /// `carbon` for `studies/carbon`.
    pub name: String,
    /// As read.
    pub rows: Vec<Row>,
    /// Under which rows were made.
    pub conditions: Vec<Conditions>,
    /// Names of figures, relative to the page.
    pub figures: Vec<String>,
}

/// What one method came to on one scenario, mean over scenes.
#[derive(Debug, Clone, PartialEq)]
struct Score {
    method: String,
    carbon: f64,
    cdp: f64,
    broken: f64,
    accuracy: f64,
}

fn score(rows: &[&Row], method: &str) -> Score {
    let over = |of: &dyn Fn(&Row) -> f64| mean(&crate::stats::by_scene(rows, of));
    Score {
        method: method.to_owned(),
        carbon: over(&|r| r.carbon_g),
        cdp: over(&|r| r.cdp),
        broken: over(&|r| u32::try_from(r.slo_broken).map_or(f64::MAX, f64::from)),
        accuracy: over(&|r| r.accuracy),
    }
}

/// Scores of the methods that `wanted` takes, on `scenario`.
fn scores(rows: &[Row], scenario: &str, wanted: impl Fn(&str) -> bool) -> Vec<Score> {
    let names: BTreeSet<&str> = rows.iter().map(|r| r.method.as_str()).filter(|m| wanted(m)).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let of: Vec<&Row> = rows.iter().filter(|r| r.method == name && r.scenario == scenario).collect();
            (!of.is_empty()).then(|| score(&of, name))
        })
        .collect()
}

/// A figure of a score.
type Figure = fn(&Score) -> f64;

/// The score with the least of `of`.
fn least(scores: &[Score], of: impl Fn(&Score) -> f64) -> Option<&Score> {
    scores.iter().min_by(|a, b| of(a).total_cmp(&of(b)))
}

/// The exact method, without and with the joint predictor in the loop.
fn is_ours(method: &str) -> bool {
    method.strip_suffix(":contention").unwrap_or(method) == "exact"
}

fn is_rival(method: &str) -> bool {
    RIVALS.contains(&method.strip_suffix(":uncapped").unwrap_or(method))
}

/// The whole page.
#[must_use]
pub fn page(tables: &[Table]) -> String {
    let mut text = String::from(HEAD);
    let is_own =
        |name: &str| name.strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    let own: Vec<Row> = tables.iter().filter(|t| is_own(&t.name)).flat_map(|t| t.rows.clone()).collect();
    text.push_str("\n## The paper's claims beside ours\n\n");
    let _ = writeln!(
        text,
        "The paper reports {:.0} % less carbon and {:.0} % less carbon-delay product than its baselines.\n",
        PAPER_CARBON * 100.0,
        PAPER_CDP * 100.0
    );
    text.push_str(CLAIMS);
    for table in tables {
        let _ =
            writeln!(text, "\n### Exact method, study `{}`, against the others as they are\n", table.name);
        text.push_str(&claims(&table.rows, if own.is_empty() { &table.rows } else { &own }, is_rival));
    }
    text.push_str(SAME);
    let compares = |t: &&Table| !is_own(&t.name) && t.rows.iter().any(|r| !is_ours(&r.method));
    for table in tables.iter().filter(compares) {
        let _ = writeln!(text, "\n### Study `{}`, all under its objective\n", table.name);
        text.push_str(&claims(&table.rows, &table.rows, |m| !is_ours(m)));
    }
    for table in tables {
        text.push_str(&section(table));
    }
    text
}

/// Lines for each scenario: the exact method of `ours`, in both its forms, against the least of `theirs`.
fn claims(ours: &[Row], theirs: &[Row], wanted: impl Fn(&str) -> bool) -> String {
    let mut text =
        "| scenario | measure | ours | best of the others | saved | tenants broken, ours / other | \
                    accuracy, ours / other, % | claim |\n|---|---|--:|--:|--:|--:|--:|---|\n"
            .to_owned();
    let scenarios: BTreeSet<&str> = ours.iter().map(|r| r.scenario.as_str()).collect();
    let pairs = scenarios.into_iter().flat_map(|s| scores(ours, s, is_ours).into_iter().map(move |o| (s, o)));
    for (scenario, exact) in pairs {
        let others = scores(theirs, scenario, &wanted);
        let measures: [(&str, f64, Figure); 2] =
            [("carbon, g/h", PAPER_CARBON, |s| s.carbon), ("CDP, g·ms", PAPER_CDP, |s| s.cdp)];
        for (measure, claim, of) in measures {
            let Some(other) = least(&others, of) else { continue };
            let saved = 1.0 - of(&exact) / of(other);
            let verdict = match (saved >= claim, exact.broken <= other.broken) {
                (true, true) => "holds",
                (true, false) => "no: more objectives broken",
                (false, _) => "no: saves less",
            };
            let _ = writeln!(
                text,
                "| `{scenario}` | {measure} | {:.3} (`{}`) | {:.3} (`{}`) | {:.1} % | {:.3} / {:.3} | {:.2} / {:.2} | \
                 {verdict} |",
                of(&exact),
                exact.method,
                of(other),
                other.method,
                saved * 100.0,
                exact.broken,
                other.broken,
                exact.accuracy,
                other.accuracy
            );
        }
    }
    text
}

fn section(table: &Table) -> String {
    let rows = &table.rows;
    let mut text = format!("\n## Study `{}`\n\n", table.name);
    let list = |of: &dyn Fn(&Row) -> String| {
        rows.iter().map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
    };
    let hours = rows.iter().map(|r| r.hour).collect::<BTreeSet<_>>().len();
    let _ = writeln!(text, "- scenarios: {}", list(&|r| format!("`{}`", r.scenario)));
    let _ = writeln!(text, "- traces: {}", list(&|r| r.trace.clone()));
    let _ = writeln!(text, "- hours of each trace: {hours}; seeds: {}", list(&|r| r.seed.to_string()));
    let conditions = table.conditions.iter().map(|c| format!("`{}`", c.text)).collect::<Vec<_>>().join(", ");
    let _ = writeln!(text, "- version, limits and simulation: {conditions}");
    let _ = writeln!(text, "- rows: {}\n", rows.len());
    let figures = by_method(rows);
    text.push_str(&markdown(&figures));
    text.push_str(
        "\nCarbon by method with its 95 % interval over scenes (scenario × trace × seed), g/h:\n\n",
    );
    text.push_str("| method | mean | from | to |\n|---|--:|--:|--:|\n");
    for (method, _) in &figures {
        let of: Vec<&Row> = rows.iter().filter(|r| r.method == *method).collect();
        let carbon = interval(&crate::stats::by_scene(&of, |r| r.carbon_g));
        let _ =
            writeln!(text, "| `{method}` | {:.3} | {:.3} | {:.3} |", carbon.mean, carbon.low, carbon.high);
    }
    text.push('\n');
    for figure in &table.figures {
        let name = figure.rsplit('/').next().unwrap_or(figure).trim_end_matches(".svg");
        let _ = writeln!(text, "![{name}]({figure})\n");
    }
    text
}

const HEAD: &str = "# Results

<!-- Generated by `make results` from benches/results/studies. Do not edit. -->

Carbon, latency, power and accuracy on this page are those of the [simulator](simulator.md), never measured on a board;
solve times are measured on the machine that ran the study. Carbon intensities are recorded hourly averages of ten
region-months drawn by seed, of which the hours played are named below. The files, the limits and the columns are
explained in [Studies](study.md), the methods in [Baselines](baselines.md).
";

const CLAIMS: &str = "The paper measures one board and runs the others without lighter tiers and without a cap. Here all methods have the same
priced options, the same caps (those with `:uncapped` have none) and the same limits; every plan runs in the same
simulator. In the tables of this section the others decide by what their papers optimise, or by the scenario's own
objective where a method has none; the least of the five and of their `:uncapped` forms is taken, for carbon and for CDP
apart. A claim holds where at least the paper's share is saved and no more tenants' objectives are broken, mean over hours.
Accuracy stands beside it because it is the price: under `carbon` and `cdp` the exact method takes the lightest tiers that
tenants admit, which the others do not offer to do. Study `floor` forbids that: it minimises carbon among the plans of the
highest accuracy that the caps admit, and is the comparison at like service. What study
`carbon` saves beyond that, it saves by choosing lighter tiers, and its price is the accuracy shown.

On `campus` the exact method breaks more objectives than the others when it holds each latency against the worst co-runners
of a board: the closed formula for that is not the simulator, and the cheapest plans sit at its edge. With the joint predictor asked
about whole boards (`exact:contention`) fewer are broken, at more carbon than without.
";

const SAME: &str = "
## The same objective for all

Here every method that optimises the common objective (`gpu-only`, `ecomap`, `annealing` among them) is given that of the
study, so that what differs is search, and what may be placed where. The claim is the same, against the best of them.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::row;

    fn rows(method: &str, carbon: f64, broken: usize) -> Vec<Row> {
        (0..3)
            .map(|hour| Row {
                method: method.to_owned(),
                hour,
                carbon_g: carbon,
                cdp: carbon * 10.0,
                slo_broken: broken,
                ..row()
            })
            .collect()
    }

    #[test]
    fn a_claim_holds_only_with_the_savings_and_the_service() {
        let verdict = |exact: f64, broken: usize| {
            let rows =
                [rows("exact", exact, broken), rows("mosaic", 2.0, 0), rows("odmdef:uncapped", 1.0, 0)]
                    .concat();
            claims(&rows, &rows, is_rival)
        };
        assert!(verdict(0.7, 0).contains("(`odmdef:uncapped`) | 30.0 % |"), "{}", verdict(0.7, 0));
        assert_eq!(verdict(0.69, 0).matches("holds").count(), 2);
        assert_eq!(verdict(0.74, 0).matches("holds").count(), 1);
        assert_eq!(verdict(0.5, 1).matches("more objectives broken").count(), 2);
    }

    #[test]
    fn a_page_names_what_was_run() {
        let table = Table {
            name: "own".to_owned(),
            rows: [rows("exact", 0.5, 0), rows("mosaic", 1.0, 0)].concat(),
            conditions: vec![Conditions::new("v0;gap=0.1".to_owned())],
            figures: vec!["figures/own-carbon.svg".to_owned()],
        };
        let page = page(&[table]);
        for wanted in ["`tiny`", "`v0;gap=0.1`", "rows: 6", "![own-carbon](figures/own-carbon.svg)", "50.0 %"]
        {
            assert!(page.contains(wanted), "{wanted}: {page}");
        }
    }
}
