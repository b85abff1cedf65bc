//! `tegrastats`, where sysfs gives no rails.
//!
//! It prints a line at every interval. Rails stand in it as `NAME now/mean`, in mW, with the unit (JetPack 5 and 6) or
//! without (JetPack 4); a line of `RAM`, `SWAP`, `CPU [...]`, temperatures and clocks is around them.

use crate::power::command::{Program, end};
use crate::power::guard::{Repeats, in_range};
use crate::power::reading::{Activity, Quantity, Rail, Reading};
use crate::power::{Fault, Origin, PowerError, PowerSource, Scope, rails};
use ecomap_instances::units::Watts;
use std::io::{BufRead, BufReader, Read};
use std::process::Child;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Longest line that is taken; a real one has about 600 bytes.
const MAX_LINE: u64 = 16 << 10;
/// Most rails in a line.
const MAX_RAILS: usize = 24;

/// Rails of one line, in mW, in their order.
///
/// Only names that begin a known way are rails (`VDD`, `VIN`, `POM`, or the six of AGX Xavier), because memory
/// figures have the same `a/b` shape.
#[must_use]
pub fn parse(line: &str) -> Vec<(String, i64)> {
    let mut found: Vec<(String, i64)> = Vec::new();
    let mut words = line.split_ascii_whitespace().peekable();
    while let Some(name) = words.next() {
        if !is_rail(name) {
            continue;
        }
        let Some(value) = words.peek().and_then(|word| now(word)) else { continue };
        words.next();
        if found.len() < MAX_RAILS && !found.iter().any(|(n, _)| n == name) {
            found.push((name.to_owned(), value));
        }
    }
    found
}

fn is_rail(word: &str) -> bool {
    const WHOLE: [&str; 6] = ["GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"];
    let begins = ["VDD_", "VDDQ_", "VIN_", "POM_"].iter().any(|p| word.starts_with(p));
    let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    word.len() <= 40 && word.chars().all(legal) && (begins || WHOLE.contains(&word))
}

/// The first number of `now/mean`, each with `mW` or without.
fn now(word: &str) -> Option<i64> {
    let (now, mean) = word.split_once('/')?;
    let number = |text: &str| text.strip_suffix("mW").unwrap_or(text).parse::<i64>().ok();
    number(mean)?;
    number(now)
}

/// The program, running.
#[derive(Debug)]
pub struct Tegrastats {
    child: Child,
    /// Number of lines seen, and the last one. The lock is held for a copy.
    last: Arc<Mutex<(u64, String)>>,
    seen: u64,
    repeats: Repeats,
}

impl Tegrastats {
    /// Starts it with one line every `interval`.
    ///
    /// # Errors
    /// [`PowerError::Start`].
    pub fn start(program: &Program, interval: Duration) -> Result<Self, PowerError> {
        let failed = |source| PowerError::Start { program: program.name().to_owned(), source };
        let every = interval.as_millis().clamp(100, 60_000).to_string();
        let mut command = program.command(&["--interval", &every]);
        let mut child = command.stderr(std::process::Stdio::null()).spawn().map_err(failed)?;
        let last = Arc::new(Mutex::new((0, String::new())));
        let slot = Arc::clone(&last);
        if let Some(pipe) = child.stdout.take() {
            let read = move || {
                let mut lines = BufReader::new(pipe);
                let mut line = Vec::new();
                loop {
                    line.clear();
                    match lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
                        Ok(0) | Err(_) => return,
                        Ok(_) => {
                            let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
                            *slot = (slot.0 + 1, String::from_utf8_lossy(&line).into_owned());
                        }
                    }
                }
            };
            thread::Builder::new().name("tegrastats".to_owned()).spawn(read).map_err(failed)?;
        }
        Ok(Self { child, last, seen: 0, repeats: Repeats::default() })
    }
}

impl Drop for Tegrastats {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

impl PowerSource for Tegrastats {
    fn name(&self) -> &'static str {
        "tegrastats"
    }

    fn origin(&self) -> Origin {
        Origin::Measured
    }

    fn scope(&self) -> Scope {
        Scope::Module
    }

    /// Without a new line since the last reading there are no rails: an old number is no measurement.
    fn read(&mut self, activity: &Activity<'_>) -> Result<Reading, PowerError> {
        let (count, line) = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if count == self.seen {
            let ended = self.child.try_wait().ok().flatten().is_some();
            let reason = if ended { "tegrastats has ended" } else { "tegrastats has printed nothing new" };
            let fault = Fault::Unreadable { rail: "all".to_owned(), reason: reason.to_owned() };
            return Ok(Reading { faults: vec![fault], ..Reading::default() });
        }
        self.seen = count;
        let values = parse(&line);
        let mut reading = Reading::default();
        for (name, milliwatts) in &values {
            match in_range(name, *milliwatts) {
                Ok(watts) => reading
                    .rails
                    .push(Rail { name: name.clone(), quantity: Quantity::Power(Watts::new(watts)) }),
                Err(fault) => reading.faults.push(fault),
            }
        }
        if values.is_empty() {
            let text = line.trim().chars().take(40).collect();
            reading.faults.push(Fault::Garbage { rail: "all".to_owned(), text });
        }
        let raw: Vec<i64> = values.iter().map(|(_, v)| *v).collect();
        if let Some(stuck) = self.repeats.see(&raw, activity.at) {
            reading.faults.push(stuck);
            reading.rails.clear();
        }
        let parts = rails::parts(&values.iter().map(|(n, _)| n.as_str()));
        reading.total = rails::total(&reading.rails, parts);
        Ok(reading)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Composed in the shape that NVIDIA documents for each release; the rail figures of the second are one row of
    // a recorded AGX Orin log.
    const XAVIER_JP4: &str = "RAM 5059/31918MB (lfb 5843x4MB) SWAP 0/15959MB (cached 0MB) CPU [15%@1190,8%@1190,off,off,off,off,off,off] EMC_FREQ 1%@2133 GR3D_FREQ 74%@1377 APE 150 MTS fg 0% bg 1% AO@34C GPU@35.5C Tdiode@38.25C PMIC@100C AUX@34C CPU@36C thermal@35C Tboard@36C GPU 4601/3012 CPU 922/1100 SOC 2305/2300 CV 0/0 VDDRQ 768/700 SYS5V 2200/2190";
    const ORIN_JP5: &str = "11-27-2026 10:00:01 RAM 3820/30697MB (lfb 2x4MB) SWAP 0/15348MB (cached 0MB) CPU [44%@960,37%@960,54%@960,42%@960,off,off,off,off,off,off,off,off] EMC_FREQ 0%@2133 GR3D_FREQ 46%@[611,0] VIC_FREQ 115 APE 174 CV0@-256C CPU@43.468C Tboard@33C SOC2@40.1C tj@43.468C VDD_GPU_SOC 2385mW/2385mW VDD_CPU_CV 397mW/397mW VIN_SYS_5V0 3416mW/3416mW VDDQ_VDD2_1V8AO 802mW/802mW";

    #[test]
    fn both_releases_are_read() {
        let xavier: Vec<_> =
            [("GPU", 4601), ("CPU", 922), ("SOC", 2305), ("CV", 0), ("VDDRQ", 768), ("SYS5V", 2200)]
                .map(|(n, v)| (n.to_owned(), v))
                .into();
        assert_eq!(parse(XAVIER_JP4), xavier);
        let orin = parse(ORIN_JP5);
        assert_eq!(orin.len(), 4);
        assert_eq!(orin[0], ("VDD_GPU_SOC".to_owned(), 2385));
        assert_eq!(orin[3], ("VDDQ_VDD2_1V8AO".to_owned(), 802));
    }

    #[test]
    fn memory_and_broken_figures_are_no_rails() {
        assert!(parse("RAM 5059/31918MB SWAP 0/15959MB").is_empty());
        assert!(
            parse("VDD_IN 5079mW VDD_SOC mW/mW VDD_CV 12/ VIN_SYS_5V0 999999999999999999999/1").is_empty()
        );
        assert_eq!(parse("VDD_IN VDD_SOC 7/8"), [("VDD_SOC".to_owned(), 7)]);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived_and_bounded(text in ".{0,600}") {
            proptest::prop_assert!(parse(&text).len() <= MAX_RAILS);
        }

        #[test]
        fn what_is_printed_is_read(values in proptest::collection::vec(0_i64..100_000, 1..6), unit in proptest::bool::ANY) {
            let names = ["VDD_IN", "VDD_GPU_SOC", "VIN_SYS_5V0", "GPU", "SYS5V", "POM_5V_IN"];
            let suffix = if unit { "mW" } else { "" };
            let mut line = String::from("RAM 1/2MB CPU [1%@5,off] GPU@4C ");
            for (name, v) in names.iter().zip(&values) {
                line.push_str(&format!("{name} {v}{suffix}/7{suffix} "));
            }
            let expected: Vec<_> = names.iter().zip(&values).map(|(n, v)| ((*n).to_owned(), *v)).collect();
            proptest::prop_assert_eq!(parse(&line), expected);
        }
    }
}
