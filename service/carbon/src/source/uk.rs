//! National Energy System Operator's Carbon Intensity API for Great Britain: average, g/kWh, half hours.
//!
//! `GET /intensity/{from}/fw24h` gives the present half hour with its `actual` (null until known) and 24 hours of
//! `forecast`. Times come without seconds. The `from` asked for lies half an hour back, so that the last known
//! `actual` is among the points. Licence of the data: CC BY 4.0.

use super::{Collector, Exchange, Place, Request, Response, Source, SourceError, json, success, time};
use crate::sample::{Kind, Signal};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Half>,
}

#[derive(Deserialize)]
struct Half {
    from: String,
    to: String,
    intensity: Intensity,
}

#[derive(Deserialize)]
struct Intensity {
    forecast: Option<f64>,
    actual: Option<f64>,
}

/// The national intensity of Great Britain.
#[derive(Debug)]
pub struct Uk {
    name: Arc<str>,
    place: Place,
}

impl Uk {
    /// Base address of the public service.
    pub const BASE: &'static str = "https://api.carbonintensity.org.uk";

    /// For the fleet's zone in Great Britain.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self { name: "uk-carbon-intensity".into(), place }
    }
}

impl Source for Uk {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn signal(&self) -> Signal {
        Signal::Average
    }

    fn begin(&mut self, now: Timestamp) -> Exchange {
        let from = now.checked_sub(SignedDuration::from_mins(30)).unwrap_or(now);
        let text = from.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%MZ").to_string();
        Exchange::Ask(Request::get(format!("/intensity/{text}/fw24h")))
    }

    fn accept(&mut self, response: &Response, now: Timestamp) -> Result<Exchange, SourceError> {
        success(response)?;
        let answer: Answer = json(response)?;
        let mut all = Collector::new(&self.place, &self.name, Signal::Average, now);
        for half in &answer.data {
            let (from, to) = (time(&half.from)?, time(&half.to)?);
            let (value, kind, estimated) = match half.intensity {
                Intensity { actual: Some(actual), .. } => (Some(actual), Kind::Observed, false),
                // Running, but not yet measured: the forecast is what there is.
                Intensity { forecast, .. } if from <= now => (forecast, Kind::Observed, true),
                Intensity { forecast, .. } => (forecast, Kind::Forecast, true),
            };
            all.push((from, to), value, (kind, estimated), None)?;
        }
        all.finish().map(Exchange::Done)
    }
}
