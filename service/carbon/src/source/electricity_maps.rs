//! Electricity Maps, version 3: average intensity, g CO2-eq/kWh (life-cycle factors by default).
//!
//! `GET /carbon-intensity/latest?zone=` then `GET /carbon-intensity/forecast?zone=`, both with the header
//! `auth-token`. Shapes as in the published reference and in the fixtures of aioelectricitymaps. The forecast
//! belongs to paid plans: refused there, the present value alone is the answer. A null intensity is no value.

use super::{
    Collector, Exchange, Place, Reading, Request, Response, Source, SourceError, json, success, time, until,
};
use crate::sample::{Kind, Signal};
use crate::secret::Secret;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::sync::Arc;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Latest {
    zone: String,
    carbon_intensity: Option<f64>,
    datetime: String,
    updated_at: Option<String>,
    #[serde(default)]
    is_estimated: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Forecast {
    zone: String,
    forecast: Vec<Point>,
    updated_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Point {
    carbon_intensity: Option<f64>,
    datetime: String,
}

/// What the next answer will be about.
#[derive(Debug, Clone, PartialEq)]
enum Asked {
    Latest,
    Forecast(Reading),
}

/// Electricity Maps v3 for one zone.
#[derive(Debug)]
pub struct ElectricityMaps {
    name: Arc<str>,
    place: Place,
    token: Secret,
    asked: Asked,
}

impl ElectricityMaps {
    /// Base address of the public service.
    pub const BASE: &'static str = "https://api.electricitymaps.com/v3";

    /// One zone, with the token of an account.
    #[must_use]
    pub fn new(place: Place, token: Secret) -> Self {
        Self { name: "electricity-maps".into(), place, token, asked: Asked::Latest }
    }

    fn ask(&self, what: &str) -> Exchange {
        let path = format!("/carbon-intensity/{what}?zone={}", self.place.asked);
        Exchange::Ask(Request::get(path).with("auth-token", self.token.clone()))
    }

    fn same_zone(&self, got: &str) -> Result<(), SourceError> {
        if got == self.place.asked {
            return Ok(());
        }
        Err(SourceError::Zone { asked: self.place.asked.clone(), got: got.chars().take(64).collect() })
    }

    fn latest(&self, response: &Response, now: Timestamp) -> Result<Reading, SourceError> {
        success(response)?;
        let latest: Latest = json(response)?;
        self.same_zone(&latest.zone)?;
        let from = time(&latest.datetime)?;
        let issued = latest.updated_at.as_deref().map(time).transpose()?;
        let mut all = Collector::new(&self.place, &self.name, Signal::Average, now);
        let to = until(&[from], 0, HOUR);
        let estimated = latest.is_estimated.unwrap_or(false);
        all.push((from, to), latest.carbon_intensity, (Kind::Observed, estimated), issued)?;
        all.finish()
    }

    fn forecast(&self, response: &Response, now: Timestamp) -> Result<Reading, SourceError> {
        success(response)?;
        let forecast: Forecast = json(response)?;
        self.same_zone(&forecast.zone)?;
        let issued = forecast.updated_at.as_deref().map(time).transpose()?;
        let times = forecast.forecast.iter().map(|p| time(&p.datetime)).collect::<Result<Vec<_>, _>>()?;
        let mut all = Collector::new(&self.place, &self.name, Signal::Average, now);
        for (at, point) in forecast.forecast.iter().enumerate() {
            let interval = (times[at], until(&times, at, HOUR));
            all.push(interval, point.carbon_intensity, (Kind::Forecast, true), issued)?;
        }
        all.finish()
    }
}

impl Source for ElectricityMaps {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn signal(&self) -> Signal {
        Signal::Average
    }

    fn begin(&mut self, _now: Timestamp) -> Exchange {
        self.asked = Asked::Latest;
        self.ask("latest")
    }

    fn accept(&mut self, response: &Response, now: Timestamp) -> Result<Exchange, SourceError> {
        match std::mem::replace(&mut self.asked, Asked::Latest) {
            Asked::Latest => {
                let reading = self.latest(response, now)?;
                self.asked = Asked::Forecast(reading);
                Ok(self.ask("forecast"))
            }
            // The present value stands whatever became of the forecast.
            Asked::Forecast(mut reading) => {
                if let Ok(more) = self.forecast(response, now) {
                    reading.samples.extend(more.samples);
                    reading.dropped += more.dropped;
                }
                Ok(Exchange::Done(reading))
            }
        }
    }
}
