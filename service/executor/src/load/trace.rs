//! Recorded arrivals: a text file, one arrival a line, milliseconds since the start, not falling.
//! Empty lines and what follows `#` are skipped.

use ecomap_instances::{Code, Issue, Issues};
use std::sync::Arc;
use std::time::Duration;

/// Most arrivals of a trace.
const MAX_ARRIVALS: usize = 10_000_000;
/// Latest arrival, ms: a year.
const LATEST_MS: f64 = 366.0 * 86_400_000.0;

/// Reads a trace.
///
/// # Errors
/// `E1714` at each line that is wrong.
pub fn read(text: &str) -> Result<Arc<[Duration]>, Issues> {
    let mut issues = Vec::new();
    let mut moments = Vec::new();
    let mut last = 0.0;
    for (n, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if line.is_empty() {
            continue;
        }
        let message = match line.parse::<f64>() {
            Ok(ms) if (last..=LATEST_MS).contains(&ms) => {
                last = ms;
                moments.push(Duration::from_secs_f64(ms / 1000.0));
                None
            }
            Ok(ms) => Some(format!("{ms} ms, after {last} ms and at most {LATEST_MS}")),
            Err(_) => Some("not a number".to_owned()),
        };
        if let Some(message) = message {
            issues.push(Issue::new(Code::RunTrace, format!("/line/{}", n + 1), message));
        }
        if moments.len() > MAX_ARRIVALS {
            let message = format!("more than {MAX_ARRIVALS} arrivals");
            issues.push(Issue::new(Code::RunTrace, format!("/line/{}", n + 1), message));
            break;
        }
    }
    if moments.is_empty() && issues.is_empty() {
        issues.push(Issue::new(Code::RunTrace, "", "no arrival"));
    }
    Issues::check(issues)?;
    Ok(moments.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_recorded_and_says_what_was_not() {
        let trace = read("# cam 3\n0\n1.5 # first\n\n1.5\n20\n").unwrap();
        assert_eq!(trace.iter().map(Duration::as_micros).collect::<Vec<_>>(), [0, 1500, 1500, 20_000]);
        let wrong = read("5\n4\nx\nnan\n-1\n1e99\n").unwrap_err();
        let places: Vec<&str> = wrong.list().iter().map(|i| i.pointer.as_str()).collect();
        assert_eq!(places, ["/line/2", "/line/3", "/line/4", "/line/5", "/line/6"]);
        assert!(read("\n# nothing\n").is_err());
    }
}
