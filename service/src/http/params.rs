//! Query parameters and request headers that steer a solve.

use crate::contention::Contention;
use crate::http::config::Config;
use crate::http::problem::{Kind, Problem};
use crate::steady::Steady;
use ecomap_instances::{Code, Objective};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use std::time::Duration;

/// What a client asks of a solve.
#[derive(Debug, Clone, PartialEq)]
pub struct SolveParams {
    /// Objective; the document's own when `None`.
    pub objective: Option<Objective>,
    /// Solver.
    pub solver: Option<String>,
    /// Joint predictor that must accept the plan.
    pub contention: Contention,
    /// Time, waiting for a thread included.
    pub time: Duration,
    /// Seconds of `Prefer: wait` that were applied.
    pub waited: Option<u64>,
    /// Relative gap.
    pub gap: Option<f64>,
    /// Seed.
    pub seed: u64,
    /// Threads.
    pub threads: u32,
    /// Node limit.
    pub work_limit: Option<u64>,
    /// Remarks for the result.
    pub notes: Vec<String>,
    /// Rules on stability beyond those of the document.
    pub steady: Steady,
}

impl SolveParams {
    /// Reads query and headers.
    ///
    /// # Errors
    /// A 400 that lists every bad parameter.
    pub fn read(query: &[(String, String)], headers: &HeaderMap, config: &Config) -> Result<Self, Problem> {
        let mut params = Self {
            objective: None,
            solver: None,
            contention: Contention::Off,
            time: config.max_time_limit,
            waited: None,
            gap: None,
            seed: 0,
            threads: 1,
            work_limit: None,
            notes: Vec::new(),
            steady: Steady::default(),
        };
        let mut bad: Vec<Problem> = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in query {
            if seen.contains(&name.as_str()) {
                bad.push(Problem::query(name, Code::DuplicateId, "given twice"));
                continue;
            }
            seen.push(name);
            if let Err(problem) = params.set(name, value, config) {
                bad.push(problem);
            }
        }
        if let Some(wait) = prefer_wait(headers) {
            params.waited = Some(wait);
            params.time = params.time.min(Duration::from_secs(wait));
        }
        let mut bad = bad.into_iter();
        match bad.next() {
            None => Ok(params),
            Some(mut first) => {
                first.errors.extend(bad.flat_map(|p| p.errors));
                Err(first)
            }
        }
    }

    fn set(&mut self, name: &str, value: &str, config: &Config) -> Result<(), Problem> {
        match name {
            "objective" => {
                let objective =
                    Objective::parse(value).map_err(|(code, message)| Problem::query(name, code, message))?;
                self.objective = Some(objective);
            }
            "solver" => {
                crate::accelerators::known(value)
                    .map_err(|error| Problem::query(name, Code::UnknownName, error.to_string()))?;
                self.solver = Some(value.to_owned());
            }
            "contention" => {
                self.contention = Contention::parse(value)
                    .ok_or_else(|| Problem::query(name, Code::UnknownName, Contention::KNOWN))?;
            }
            "time_limit_s" => {
                let asked = Duration::from_secs_f64(number(name, value, 0.001, 1e9)?);
                if asked > config.max_time_limit {
                    self.notes.push(format!(
                        "time limit lowered to this service's maximum of {} s",
                        config.max_time_limit.as_secs_f64()
                    ));
                }
                self.time = asked.min(config.max_time_limit);
            }
            "gap" => self.gap = Some(number(name, value, 0.0, 1.0)?),
            "seed" => self.seed = integer(name, value, 0, u64::MAX)?,
            "threads" => {
                let threads = integer(name, value, 1, u64::from(config.max_threads.max(1)))?;
                self.threads = u32::try_from(threads).unwrap_or(1);
            }
            "work_limit" => self.work_limit = Some(integer(name, value, 1, u64::MAX)?),
            "max_moves" => {
                let most = integer(name, value, 0, 1_000_000)?;
                self.steady.max_moves = usize::try_from(most).ok();
            }
            "freeze" => {
                self.steady.freeze = value.split(',').filter(|t| !t.is_empty()).map(str::to_owned).collect();
            }
            "weigh_stability" => {
                self.steady.weigh = value
                    .parse()
                    .map_err(|_| Problem::query(name, Code::UnknownName, "neither true nor false"))?;
            }
            _ => {
                let shown: String = name.chars().take(64).collect();
                return Err(Problem::query(&shown, Code::UnknownName, "there is no such parameter"));
            }
        }
        Ok(())
    }
}

pub(super) fn number(name: &str, value: &str, low: f64, high: f64) -> Result<f64, Problem> {
    let bad = || Problem::query(name, Code::OutOfRange, format!("not a number from {low} to {high}"));
    let number: f64 = value.parse().map_err(|_| bad())?;
    if (low..=high).contains(&number) { Ok(number) } else { Err(bad()) }
}

pub(super) fn integer(name: &str, value: &str, low: u64, high: u64) -> Result<u64, Problem> {
    let bad = || Problem::query(name, Code::OutOfRange, format!("not a whole number from {low} to {high}"));
    let number: u64 = value.parse().map_err(|_| bad())?;
    if (low..=high).contains(&number) { Ok(number) } else { Err(bad()) }
}

/// Seconds of `Prefer: wait=N` (RFC 7240); unreadable preferences are ignored, as the RFC asks.
#[must_use]
pub fn prefer_wait(headers: &HeaderMap) -> Option<u64> {
    headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|preference| {
            let (name, value) = preference.split(';').next()?.split_once('=')?;
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("wait").then(|| value.parse().ok())?
        })
}

/// Refuses bodies that are clearly not JSON text. `curl -d` announces a form; that is forgiven, as
/// is no announcement at all.
///
/// # Errors
/// 415.
pub fn check_media_type(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |what: &str| {
        let shown: String = what.chars().take(80).collect();
        Err(Problem::new(Kind::MediaType, format!("`{}` is not JSON", shown.escape_debug())))
    };
    if let Some(encoding) = headers.get(CONTENT_ENCODING) {
        let encoding = encoding.to_str().unwrap_or("?");
        if !encoding.eq_ignore_ascii_case("identity") {
            return unsupported(encoding);
        }
    }
    let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(()) };
    let value = value.to_str().unwrap_or("?").to_ascii_lowercase();
    let essence = value.split(';').next().unwrap_or_default().trim();
    let fine = essence.is_empty()
        || essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
        || ["text/plain", "text/json", "application/x-www-form-urlencoded", "application/octet-stream"]
            .contains(&essence);
    if fine { Ok(()) } else { unsupported(essence) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(query: &[(&str, &str)], prefer: Option<&'static str>) -> Result<SolveParams, Problem> {
        let query: Vec<_> = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let mut headers = HeaderMap::new();
        if let Some(prefer) = prefer {
            headers.insert("prefer", HeaderValue::from_static(prefer));
        }
        SolveParams::read(&query, &headers, &Config::default())
    }

    #[test]
    fn every_bad_parameter_is_listed() {
        let problem = read(
            &[("gap", "NaN"), ("threads", "0"), ("objective", "cheap"), ("colour", "red"), ("seed", "1")],
            None,
        )
        .expect_err("four mistakes");
        assert_eq!(problem.kind.status(), 400);
        let pointers: Vec<_> = problem.errors.iter().map(|e| e.pointer.as_str()).collect();
        assert_eq!(pointers, ["?gap", "?threads", "?objective", "?colour"]);
    }

    #[test]
    fn contention_is_off_unless_a_predictor_is_named() {
        assert_eq!(read(&[], None).expect("fine").contention, Contention::Off);
        assert_eq!(read(&[("contention", "roofline")], None).expect("fine").contention, Contention::Roofline);
        let problem = read(&[("contention", "perhaps")], None).expect_err("no predictor");
        assert_eq!(problem.errors.first().map(|e| e.pointer.as_str()), Some("?contention"));
    }

    #[test]
    fn time_is_bounded_by_the_service_and_by_prefer() {
        assert_eq!(read(&[], None).expect("fine").time, Duration::from_secs(60));
        let long = read(&[("time_limit_s", "3600")], None).expect("fine");
        assert_eq!((long.time, long.notes.len()), (Duration::from_secs(60), 1));
        let wait = read(&[("time_limit_s", "5")], Some("respond-async, wait=2")).expect("fine");
        assert_eq!((wait.time, wait.waited), (Duration::from_secs(2), Some(2)));
        assert_eq!(read(&[], Some("wait=soon")).expect("ignored").waited, None);
    }

    #[test]
    fn only_what_is_clearly_not_json_is_refused() {
        let with = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            check_media_type(&headers).is_ok()
        };
        assert!(with("application/x-www-form-urlencoded") && with("application/json; charset=utf-8"));
        assert!(with("application/problem+json") && check_media_type(&HeaderMap::new()).is_ok());
        assert!(!with("multipart/form-data; boundary=x") && !with("image/png") && !with("application/xml"));
    }
}
