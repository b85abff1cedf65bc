//! The Green Software Foundation's Carbon Aware SDK as a web service: what its configured data source says, g/kWh.
//!
//! `GET /emissions/bylocation?location=&time=&toTime=` (204 when it has nothing), then
//! `GET /emissions/forecasts/current?location=` (501 when its data source has no forecasts). Whether the values are
//! average or marginal depends on the data source behind it, so the configuration says which.

use super::{
    Collector, Exchange, Place, Reading, Request, Response, Source, SourceError, json, success, time, until,
};
use crate::sample::{Kind, Signal};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::sync::Arc;

const HOUR: SignedDuration = SignedDuration::from_hours(1);

#[derive(Deserialize)]
struct Rated {
    location: String,
    time: String,
    rating: Option<f64>,
    duration: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Forecast {
    generated_at: Option<String>,
    #[serde(default)]
    forecast_data: Vec<Point>,
}

#[derive(Deserialize)]
struct Point {
    timestamp: String,
    duration: Option<i64>,
    value: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Asked {
    Rated,
    Forecast(Reading),
}

/// A Carbon Aware SDK service for one location.
#[derive(Debug)]
pub struct CarbonAware {
    name: Arc<str>,
    place: Place,
    signal: Signal,
    asked: Asked,
}

impl CarbonAware {
    /// One location; `signal` is that of the service's own data source.
    #[must_use]
    pub fn new(place: Place, signal: Signal) -> Self {
        Self { name: "carbon-aware-sdk".into(), place, signal, asked: Asked::Rated }
    }

    fn rated(&self, response: &Response, now: Timestamp) -> Result<Reading, SourceError> {
        success(response)?;
        if response.status == 204 {
            return Err(SourceError::NoData);
        }
        let rated: Vec<Rated> = json(response)?;
        let times = rated.iter().map(|r| time(&r.time)).collect::<Result<Vec<_>, _>>()?;
        let mut all = Collector::new(&self.place, &self.name, self.signal, now);
        for (at, point) in rated.iter().enumerate() {
            if !point.location.eq_ignore_ascii_case(&self.place.asked) {
                let got = point.location.chars().take(64).collect();
                return Err(SourceError::Zone { asked: self.place.asked.clone(), got });
            }
            let to = match point.duration.as_deref().and_then(span) {
                Some(lasts) => times[at].checked_add(lasts).unwrap_or(times[at]),
                None => until(&times, at, HOUR),
            };
            all.push((times[at], to), point.rating, (Kind::Observed, false), None)?;
        }
        all.finish()
    }

    fn forecast(&self, response: &Response, now: Timestamp) -> Result<Reading, SourceError> {
        success(response)?;
        let forecasts: Vec<Forecast> = json(response)?;
        let mut all = Collector::new(&self.place, &self.name, self.signal, now);
        for forecast in forecasts.iter().take(1) {
            let issued = forecast.generated_at.as_deref().map(time).transpose()?;
            let points = &forecast.forecast_data;
            let times = points.iter().map(|p| time(&p.timestamp)).collect::<Result<Vec<_>, _>>()?;
            for (at, point) in points.iter().enumerate() {
                let usual = SignedDuration::from_mins(point.duration.unwrap_or(60).clamp(1, 1_440));
                let to = times[at].checked_add(usual).unwrap_or(times[at]);
                all.push((times[at], to), point.value, (Kind::Forecast, true), issued)?;
            }
        }
        all.finish()
    }
}

/// `hh:mm:ss`, as .NET writes a time span under a day.
fn span(text: &str) -> Option<SignedDuration> {
    let mut parts = text.splitn(3, ':').map(|p| p.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let total = hours * 3_600.0 + minutes * 60.0 + seconds;
    (0.0 < total && total <= 86_400.0).then(|| SignedDuration::try_from_secs_f64(total).ok()).flatten()
}

impl Source for CarbonAware {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn signal(&self) -> Signal {
        self.signal
    }

    fn begin(&mut self, now: Timestamp) -> Exchange {
        self.asked = Asked::Rated;
        let from = now.checked_sub(HOUR * 2).unwrap_or(now);
        let place = &self.place.asked;
        Exchange::Ask(Request::get(format!(
            "/emissions/bylocation?location={place}&time={from:.0}&toTime={now:.0}"
        )))
    }

    fn accept(&mut self, response: &Response, now: Timestamp) -> Result<Exchange, SourceError> {
        match std::mem::replace(&mut self.asked, Asked::Rated) {
            Asked::Rated => {
                self.asked = Asked::Forecast(self.rated(response, now)?);
                let path = format!("/emissions/forecasts/current?location={}", self.place.asked);
                Ok(Exchange::Ask(Request::get(path)))
            }
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
