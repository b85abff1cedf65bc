//! A recorded trace: CSV with a header, `timestamp` (RFC 3339) and `gco2_per_kwh`; other columns are passed over,
//! but for `estimated` (`true` or `false`).
//!
//! The trace is laid on the fleet's clock so that its first row starts at `origin`; behind its end it starts over.
//! A faster clock plays it faster. What it foretells is either the trace itself, a forecast nobody has, for
//! studies, or the same hours of the day before, which everybody has.

use super::{Exchange, Reading, Response, Source, SourceError};
use crate::sample::{Kind, LONGEST, Parts, Sample, SampleError, Signal};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use thiserror::Error;

/// Most rows: a year of five minutes.
pub const ROWS: usize = 110_000;
/// Longest line, bytes.
const LINE: usize = 4_096;

/// Why a file is no trace.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum TraceError {
    /// No such column in the header.
    #[error("the header has no column `{0}`")]
    Column(&'static str),
    /// A line that cannot be read; lines count from 1.
    #[error("line {line}: {what}")]
    Line {
        /// Which line.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// Fewer than two or more than the most rows.
    #[error("{0} rows are not within 2 to {ROWS}")]
    Rows(usize),
}

/// What a trace says about the future.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foresight {
    /// Nothing.
    None,
    /// The truth, so many hours ahead.
    Perfect(u8),
    /// The same time of the day before, so many hours ahead, at most 24.
    Yesterday(u8),
}

/// A recorded trace on the fleet's clock.
#[derive(Debug)]
pub struct Trace {
    name: Arc<str>,
    zone: Arc<str>,
    signal: Signal,
    rows: Vec<Row>,
    /// Length of the trace: its last interval is as long as the one before.
    length: SignedDuration,
    origin: Timestamp,
    foresight: Foresight,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    /// Since the first row.
    at: SignedDuration,
    lasts: SignedDuration,
    grams_per_kwh: f64,
    estimated: bool,
}

impl Trace {
    /// Reads a trace for `zone`, laid on the fleet's clock at `origin`.
    ///
    /// # Errors
    /// [`TraceError`] with the line at fault: rows must follow each other in time, intervals be at most a day, and
    /// values be intensities.
    pub fn read(
        text: &str,
        zone: &str,
        signal: Signal,
        origin: Timestamp,
        foresight: Foresight,
    ) -> Result<Self, TraceError> {
        let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
        let header: Vec<&str> =
            lines.next().map_or(Vec::new(), |(_, l)| l.split(',').map(str::trim).collect());
        let column =
            |name: &'static str| header.iter().position(|h| *h == name).ok_or(TraceError::Column(name));
        let (when, what) = (column("timestamp")?, column("gco2_per_kwh")?);
        let marked = column("estimated").ok();
        let mut points: Vec<(Timestamp, f64, bool)> = Vec::new();
        for (n, line) in lines.filter(|(_, l)| !l.trim().is_empty()) {
            let wrong = |what: String| TraceError::Line { line: n + 1, what };
            if line.len() > LINE {
                return Err(wrong(format!("longer than {LINE} bytes")));
            }
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let field = |at: usize| fields.get(at).copied().unwrap_or_default();
            let time: Timestamp = field(when)
                .parse()
                .map_err(|_| wrong("the timestamp has no offset or is none".to_owned()))?;
            let value: f64 =
                field(what).parse().map_err(|_| wrong("the intensity is no number".to_owned()))?;
            if !(0.0..=crate::sample::MOST).contains(&value) {
                return Err(wrong(SampleError::Intensity(value).to_string()));
            }
            let gap = points.last().map(|(before, ..)| time.duration_since(*before));
            if gap.is_some_and(|g| g <= SignedDuration::ZERO || g > LONGEST) {
                return Err(wrong("not later than the line before, or more than a day later".to_owned()));
            }
            points.push((time, value, marked.is_some_and(|m| field(m) == "true")));
            if points.len() > ROWS {
                return Err(TraceError::Rows(points.len()));
            }
        }
        let [(first, ..), (second, ..), ..] = points.as_slice() else {
            return Err(TraceError::Rows(points.len()));
        };
        let (first, usual) = (*first, second.duration_since(*first));
        let rows: Vec<Row> = points
            .iter()
            .enumerate()
            .map(|(n, (time, value, estimated))| Row {
                at: time.duration_since(first),
                lasts: points.get(n + 1).map_or(usual, |(next, ..)| next.duration_since(*time)),
                grams_per_kwh: *value,
                estimated: *estimated,
            })
            .collect();
        let length = rows.last().map_or(usual, |r| r.at + r.lasts);
        Ok(Self { name: "trace".into(), zone: zone.into(), signal, rows, length, origin, foresight })
    }

    /// The same trace under another name, for samples, states and logs.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// How long the trace is before it starts over.
    #[must_use]
    pub fn length(&self) -> SignedDuration {
        self.length
    }

    /// The row that holds `at`, and when it starts on the fleet's clock.
    fn row(&self, at: Timestamp) -> Option<(Row, Timestamp)> {
        let length = i64::try_from(self.length.as_millis()).ok().filter(|l| *l > 0)?;
        let since = i64::try_from(at.duration_since(self.origin).as_millis()).ok()?;
        let within = SignedDuration::from_millis(since.rem_euclid(length));
        let n = self.rows.partition_point(|r| r.at <= within).checked_sub(1)?;
        let row = self.rows[n];
        let from = at.checked_sub(within - row.at).ok()?;
        Some((row, from))
    }

    fn sample(&self, row: Row, from: Timestamp, kind: Kind, issued: Timestamp) -> Option<Sample> {
        Sample::try_new(&Parts {
            zone: &self.zone,
            from,
            to: from.checked_add(row.lasts).ok()?,
            grams_per_kwh: row.grams_per_kwh,
            signal: self.signal,
            kind,
            estimated: row.estimated || kind == Kind::Forecast,
            source: &self.name,
            issued,
        })
        .ok()
    }

    /// Forecast samples from the end of the present one on.
    fn ahead(&self, from: Timestamp, now: Timestamp, hours: u8, back: SignedDuration) -> Vec<Sample> {
        let mut all = Vec::new();
        let mut at = from;
        let Ok(until) = now.checked_add(SignedDuration::from_hours(i64::from(hours))) else { return all };
        while at < until {
            let Some((row, start)) = at.checked_sub(back).ok().and_then(|t| self.row(t)) else { break };
            let Ok(start) = start.checked_add(back) else { break };
            // Rows of another day need not begin where ours end.
            let late = at.duration_since(start);
            let row = Row { lasts: row.lasts - late, ..row };
            let Some(sample) = self.sample(row, at, Kind::Forecast, now) else { break };
            at = sample.to();
            all.push(sample);
        }
        all
    }
}

impl Source for Trace {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn signal(&self) -> Signal {
        self.signal
    }

    fn begin(&mut self, now: Timestamp) -> Exchange {
        let mut reading = Reading::default();
        if let Some((row, from)) = self.row(now)
            && let Some(sample) = self.sample(row, from, Kind::Observed, from)
        {
            let next = sample.to();
            reading.samples.push(sample);
            let day = SignedDuration::from_hours(24);
            reading.samples.extend(match self.foresight {
                Foresight::None => Vec::new(),
                Foresight::Perfect(hours) => self.ahead(next, now, hours, SignedDuration::ZERO),
                Foresight::Yesterday(hours) => self.ahead(next, now, hours.min(24), day),
            });
        }
        Exchange::Done(reading)
    }

    fn accept(&mut self, _response: &Response, _now: Timestamp) -> Result<Exchange, SourceError> {
        Err(SourceError::Malformed("nothing was asked".to_owned()))
    }
}
