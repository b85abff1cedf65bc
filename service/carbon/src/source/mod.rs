//! Who knows intensities: one file each.
//!
//! A source is a conversation, not a connection: [`Source::begin`] says what to ask first, and
//! [`Source::accept`] reads an answer and either asks on or is done. The transport is someone else's, so a test
//! replays any failure, and no answer of a stranger reaches more than these readers.
//!
//! A new source is one file here with its recorded answers as tests, and one line in the service's configuration.

pub mod carbon_aware;
pub mod electricity_maps;
pub mod manual;
pub mod synthetic;
pub mod trace;
pub mod uk;
pub mod watttime;

use crate::sample::{Kind, Parts, Sample, SampleError, Signal};
use crate::secret::Secret;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use thiserror::Error;

/// Largest answer that is read, bytes: two days of five minutes are about 60 KB.
pub const LARGEST: usize = 4 << 20;
/// Most samples taken from one answer.
const MOST: usize = 5_000;
/// How far ahead of our clock an observed sample may begin: clocks differ.
const SKEW: SignedDuration = SignedDuration::from_mins(10);

/// A `GET` to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Path and query, appended to the configured base address.
    pub path: String,
    /// Headers that carry secrets.
    pub headers: Vec<(&'static str, Secret)>,
}

impl Request {
    pub(crate) fn get(path: String) -> Self {
        Self { path, headers: Vec::new() }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, value: Secret) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The body, at most [`LARGEST`] bytes.
    pub body: Vec<u8>,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
}

/// What a source found out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Observed and forecast samples, in the order they came.
    pub samples: Vec<Sample>,
    /// Points that were no samples (null values, refused numbers) and were left out.
    pub dropped: usize,
}

/// Where a conversation goes on.
#[derive(Debug, Clone, PartialEq)]
pub enum Exchange {
    /// Ask this.
    Ask(Request),
    /// Nothing left to ask.
    Done(Reading),
}

/// Why a source has nothing to say.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// 401 or 403: the credentials do not open this zone or path.
    #[error("the source refuses these credentials (status {0})")]
    Unauthorised(u16),
    /// 429.
    #[error("the source asks to slow down")]
    Limited {
        /// For how long, where it says so.
        seconds: Option<u64>,
    },
    /// 5xx, or no answer.
    #[error("the source is unavailable: {0}")]
    Unavailable(String),
    /// Another status.
    #[error("the source refuses the question (status {0})")]
    Refused(u16),
    /// The answer is not what the interface promises.
    #[error("the source's answer is malformed: {0}")]
    Malformed(String),
    /// The answer is about somewhere else.
    #[error("the source answers for zone `{got}` instead of `{asked}`")]
    Zone {
        /// Zone asked for.
        asked: String,
        /// Zone answered.
        got: String,
    },
    /// Observed in the future: its clock or ours is wrong.
    #[error("the source's sample begins {0} s in the future: one of the clocks is wrong")]
    Skewed(i64),
    /// A valid answer without any value.
    #[error("the source has no value for this zone now")]
    NoData,
}

impl SourceError {
    /// Whether asking again soon can help.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Limited { .. } | Self::Unavailable(_) | Self::NoData | Self::Malformed(_))
    }
}

/// Someone who knows intensities.
pub trait Source: Send {
    /// Its name in samples, states and logs.
    fn name(&self) -> &Arc<str>;

    /// Which question its values answer.
    fn signal(&self) -> Signal;

    /// Starts a conversation about the present and what is to come.
    fn begin(&mut self, now: Timestamp) -> Exchange;

    /// Reads the answer to the last question.
    ///
    /// # Errors
    /// [`SourceError`]; the conversation is over and the next one starts anew.
    fn accept(&mut self, response: &Response, now: Timestamp) -> Result<Exchange, SourceError>;
}

/// The zone of a source: as the fleet names it, and as the source does.
#[derive(Debug, Clone)]
pub struct Place {
    /// Zone of the fleet.
    pub zone: Arc<str>,
    /// The same for the source.
    pub asked: String,
}

impl Place {
    /// A zone that the source knows by another name.
    ///
    /// # Errors
    /// [`SampleError::Zone`] when either is no name of a zone.
    pub fn new(zone: &str, asked: &str) -> Result<Self, SampleError> {
        for name in [zone, asked] {
            if !crate::sample::is_zone(name) {
                return Err(SampleError::Zone(name.chars().take(crate::sample::ZONE).collect()));
            }
        }
        Ok(Self { zone: zone.into(), asked: asked.to_owned() })
    }
}

/// The status as an error, unless it is a success.
fn success(response: &Response) -> Result<(), SourceError> {
    match response.status {
        200..=299 => Ok(()),
        401 | 403 => Err(SourceError::Unauthorised(response.status)),
        429 => Err(SourceError::Limited { seconds: response.retry_after }),
        500..=599 => Err(SourceError::Unavailable(format!("status {}", response.status))),
        other => Err(SourceError::Refused(other)),
    }
}

/// The body as JSON; a byte order mark is passed over.
fn json<T: DeserializeOwned>(response: &Response) -> Result<T, SourceError> {
    if response.body.len() > LARGEST {
        return Err(SourceError::Malformed(format!("more than {LARGEST} bytes")));
    }
    let bytes = response.body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&response.body);
    serde_json::from_slice(bytes).map_err(|e| SourceError::Malformed(e.to_string()))
}

fn time(text: &str) -> Result<Timestamp, SourceError> {
    let short: String = text.chars().take(40).collect();
    text.parse().map_err(|_| SourceError::Malformed(format!("`{short}` is no time with an offset")))
}

/// Collects samples of one place; points without a value are counted, not taken.
struct Collector<'a> {
    place: &'a Place,
    source: &'a Arc<str>,
    signal: Signal,
    now: Timestamp,
    reading: Reading,
}

impl<'a> Collector<'a> {
    fn new(place: &'a Place, source: &'a Arc<str>, signal: Signal, now: Timestamp) -> Self {
        Self { place, source, signal, now, reading: Reading::default() }
    }

    fn push(
        &mut self,
        (from, to): (Timestamp, Timestamp),
        value: Option<f64>,
        (kind, estimated): (Kind, bool),
        issued: Option<Timestamp>,
    ) -> Result<(), SourceError> {
        if self.reading.samples.len() >= MOST {
            return Err(SourceError::Malformed(format!("more than {MOST} points")));
        }
        let ahead = from.duration_since(self.now);
        if kind == Kind::Observed && ahead > SKEW {
            return Err(SourceError::Skewed(ahead.as_secs()));
        }
        let sample = value.and_then(|grams_per_kwh| {
            Sample::try_new(&Parts {
                zone: &self.place.zone,
                from,
                to,
                grams_per_kwh,
                signal: self.signal,
                kind,
                estimated,
                source: self.source,
                issued: issued.unwrap_or(self.now).min(self.now),
            })
            .ok()
        });
        match sample {
            Some(sample) => self.reading.samples.push(sample),
            None => self.reading.dropped += 1,
        }
        Ok(())
    }

    /// An answer with points of which none is a sample has no data.
    fn finish(self) -> Result<Reading, SourceError> {
        if self.reading.samples.is_empty() { Err(SourceError::NoData) } else { Ok(self.reading) }
    }
}

/// The interval between a point and the next one, `usual` after the last.
fn until(times: &[Timestamp], at: usize, usual: SignedDuration) -> Timestamp {
    let from = times[at];
    let next = times.get(at + 1).copied().filter(|next| {
        let gap = next.duration_since(from);
        gap > SignedDuration::ZERO && gap <= usual * 2
    });
    next.or_else(|| from.checked_add(usual).ok()).unwrap_or(from)
}
