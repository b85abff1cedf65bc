//! Query parameters of `POST /v1/explain` and `POST /v1/frontier`: some of a solve's, and their own.

use crate::http::config::Config;
use crate::http::params::{SolveParams, integer, number};
use crate::http::problem::Problem;
use ecomap_instances::Code;
use ecomap_solver::explain::Prices;
use ecomap_solver::frontier::{Axes, MOST_POINTS};
use http::HeaderMap;

type Query = [(String, String)];

/// Most tenants that one explanation takes a millisecond more for.
const MOST_TENANTS: usize = 100;

/// What a client asks of an explanation.
#[derive(Debug, Clone, PartialEq)]
pub struct ExplainParams {
    /// Objective, limits, seed and threads.
    pub solve: SolveParams,
    /// Whether to solve again for one watt and one board more.
    pub what_if: bool,
    /// Tenants: with a result the one to explain, else those that get a millisecond more.
    pub tenants: Vec<String>,
    /// Prices of a relaxation.
    pub prices: Prices,
}

/// What a client asks of a frontier.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontierParams {
    /// Limits, seed and threads.
    pub solve: SolveParams,
    /// The two terms.
    pub axes: Axes,
    /// Points wanted.
    pub points: usize,
}

/// Reads what is a solve's, if it is among `shared`, and hands the rest to `set`, which says whether
/// there is such a parameter. Lists every mistake.
fn read(
    query: &Query,
    headers: &HeaderMap,
    config: &Config,
    shared: &[&str],
    set: &mut dyn FnMut(&str, &str) -> Result<bool, Problem>,
) -> Result<SolveParams, Problem> {
    let (of_solve, own): (Vec<_>, Vec<_>) =
        query.iter().cloned().partition(|(name, _)| shared.contains(&name.as_str()));
    let mut bad: Vec<Problem> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    for (name, value) in &own {
        let shown: String = name.chars().take(64).collect();
        let known = if seen.contains(&name.as_str()) {
            Err(Problem::query(&shown, Code::DuplicateId, "given twice"))
        } else {
            set(name, value)
        };
        match known {
            Ok(true) => {}
            Ok(false) => bad.push(Problem::query(&shown, Code::OutOfRange, "there is no such parameter")),
            Err(problem) => bad.push(problem),
        }
        seen.push(name);
    }
    let solve = SolveParams::read(&of_solve, headers, config);
    let mut all = solve.as_ref().err().into_iter().cloned().chain(bad);
    match all.next() {
        Some(mut first) => {
            first.errors.extend(all.flat_map(|p| p.errors));
            Err(first)
        }
        None => solve,
    }
}

impl ExplainParams {
    /// Reads query and headers.
    ///
    /// # Errors
    /// A 400 that lists every bad parameter.
    pub fn read(query: &Query, headers: &HeaderMap, config: &Config) -> Result<Self, Problem> {
        let (mut what_if, mut tenants, mut prices) = (false, Vec::new(), Prices::default());
        // What is free would be given in without measure.
        let price = |name: &str, value: &str| number(name, value, 1e-9, 1e9);
        let mut set = |name: &str, value: &str| -> Result<bool, Problem> {
            match name {
                "what_if" => {
                    what_if = value
                        .parse()
                        .map_err(|_| Problem::query(name, Code::OutOfRange, "neither true nor false"))?;
                }
                "tenant" => {
                    tenants = value.split(',').filter(|t| !t.is_empty()).map(str::to_owned).collect();
                    if tenants.len() > MOST_TENANTS {
                        let message = format!("{} tenants, at most {MOST_TENANTS}", tenants.len());
                        return Err(Problem::query(name, Code::TooMany, message));
                    }
                }
                "watt_price" => prices.watt = price(name, value)?,
                "ms_price" => prices.ms = price(name, value)?,
                "point_price" => prices.point = price(name, value)?,
                _ => return Ok(false),
            }
            Ok(true)
        };
        let shared = ["objective", "time_limit_s", "gap", "seed", "threads"];
        let solve = read(query, headers, config, &shared, &mut set)?;
        Ok(Self { solve, what_if, tenants, prices })
    }
}

impl FrontierParams {
    /// Reads query and headers.
    ///
    /// # Errors
    /// A 400 that lists every bad parameter.
    pub fn read(query: &Query, headers: &HeaderMap, config: &Config) -> Result<Self, Problem> {
        let (mut axes, mut points) = (Axes::AccuracyCarbon, 0);
        let mut set = |name: &str, value: &str| -> Result<bool, Problem> {
            match name {
                "axes" => {
                    let known = "not one of accuracy-carbon, carbon-delay";
                    axes = Axes::parse(value).ok_or_else(|| Problem::query(name, Code::OutOfRange, known))?;
                }
                "points" => {
                    let most = u64::try_from(MOST_POINTS).unwrap_or(u64::MAX);
                    points = usize::try_from(integer(name, value, 0, most)?).unwrap_or(MOST_POINTS);
                }
                _ => return Ok(false),
            }
            Ok(true)
        };
        let shared = ["time_limit_s", "gap", "seed", "threads", "work_limit"];
        let solve = read(query, headers, config, &shared, &mut set)?;
        Ok(Self { solve, axes, points })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn every_bad_parameter_is_listed() {
        let asked = query(&[
            ("gap", "2"),
            ("what_if", "perhaps"),
            ("ms_price", "0"),
            ("solver", "exact"),
            ("tenant", "a"),
            ("tenant", "b"),
        ]);
        let problem = ExplainParams::read(&asked, &HeaderMap::new(), &Config::default()).expect_err("five");
        let pointers: Vec<_> = problem.errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["?gap", "?what_if", "?ms_price", "?solver", "?tenant"]);
        let asked = query(&[("axes", "up-down"), ("points", "1001"), ("objective", "carbon")]);
        let problem = FrontierParams::read(&asked, &HeaderMap::new(), &Config::default()).expect_err("three");
        let pointers: Vec<_> = problem.errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["?axes", "?points", "?objective"]);
    }

    #[test]
    fn what_is_asked_is_read() {
        let asked = query(&[("what_if", "true"), ("tenant", "a,b"), ("watt_price", "2.5"), ("seed", "7")]);
        let read = ExplainParams::read(&asked, &HeaderMap::new(), &Config::default()).expect("fine");
        assert_eq!((read.what_if, read.tenants.len(), read.prices.watt, read.solve.seed), (true, 2, 2.5, 7));
        let asked = query(&[("axes", "carbon-delay"), ("points", "12"), ("work_limit", "5")]);
        let read = FrontierParams::read(&asked, &HeaderMap::new(), &Config::default()).expect("fine");
        assert_eq!((read.axes, read.points, read.solve.work_limit), (Axes::CarbonDelay, 12, Some(5)));
    }
}
