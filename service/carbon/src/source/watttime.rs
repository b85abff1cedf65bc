//! WattTime, version 3: **marginal** intensity (MOER) in lb CO2/MWh, converted to g/kWh.
//!
//! `GET /login` with HTTP Basic gives a token of half an hour; `GET /v3/forecast?region=&signal_type=co2_moer` with
//! it gives points of five minutes, the first of them for now. A token refused is renewed once. The
//! `signal-index`, a percentile, is not an intensity and not asked for.

use super::{Collector, Exchange, Place, Request, Response, Source, SourceError, json, success, time, until};
use crate::sample::{Kind, Signal};
use crate::secret::{Secret, base64};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use std::sync::Arc;

/// g/kWh in one lb/MWh: 453.59237 g a pound (international avoirdupois pound, exact), 1000 kWh a MWh.
pub const GRAMS_PER_KWH: f64 = 0.453_592_37;
/// Hours of forecast asked for.
const HORIZON: u32 = 24;

#[derive(Deserialize)]
struct Login {
    token: String,
}

#[derive(Deserialize)]
struct Forecast {
    data: Vec<Point>,
    meta: Meta,
}

#[derive(Deserialize)]
struct Point {
    point_time: String,
    value: Option<f64>,
}

#[derive(Deserialize)]
struct Meta {
    region: String,
    signal_type: String,
    units: String,
    data_point_period_seconds: Option<i64>,
    generated_at: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    /// A token, after how many refused ones.
    Login(u8),
    Forecast(u8),
}

/// WattTime v3 for one region.
#[derive(Debug)]
pub struct WattTime {
    name: Arc<str>,
    place: Place,
    login: Secret,
    token: Option<Secret>,
    asked: Asked,
}

impl WattTime {
    /// Base address of the public service; paths carry their version.
    pub const BASE: &'static str = "https://api.watttime.org";

    /// One region, with the name and password of an account.
    #[must_use]
    pub fn new(place: Place, user: &Secret, password: &Secret) -> Self {
        let both = format!("{}:{}", user.expose(), password.expose());
        let login = Secret::new(&format!("Basic {}", base64(both.as_bytes())));
        Self { name: "watttime".into(), place, login, token: None, asked: Asked::Login(0) }
    }

    fn ask(&self) -> Exchange {
        match (&self.token, self.asked) {
            (Some(token), Asked::Forecast(_)) => {
                let path = format!(
                    "/v3/forecast?region={}&signal_type=co2_moer&horizon_hours={HORIZON}",
                    self.place.asked
                );
                let bearer = Secret::new(&format!("Bearer {}", token.expose()));
                Exchange::Ask(Request::get(path).with("authorization", bearer))
            }
            _ => Exchange::Ask(Request::get("/login".to_owned()).with("authorization", self.login.clone())),
        }
    }

    fn forecast(&self, response: &Response, now: Timestamp) -> Result<super::Reading, SourceError> {
        success(response)?;
        let forecast: Forecast = json(response)?;
        let meta = &forecast.meta;
        if meta.region != self.place.asked {
            let got = meta.region.chars().take(64).collect();
            return Err(SourceError::Zone { asked: self.place.asked.clone(), got });
        }
        if meta.signal_type != "co2_moer" || meta.units != "lbs_co2_per_mwh" {
            return Err(SourceError::Malformed("not co2_moer in lbs_co2_per_mwh".to_owned()));
        }
        let period = SignedDuration::from_secs(meta.data_point_period_seconds.unwrap_or(300).clamp(1, 3_600));
        let issued = meta.generated_at.as_deref().map(time).transpose()?;
        let times = forecast.data.iter().map(|p| time(&p.point_time)).collect::<Result<Vec<_>, _>>()?;
        let mut all = Collector::new(&self.place, &self.name, Signal::Marginal, now);
        for (at, point) in forecast.data.iter().enumerate() {
            // The first point is the present one.
            let kind = if at == 0 { Kind::Observed } else { Kind::Forecast };
            let interval = (times[at], until(&times, at, period));
            all.push(interval, point.value.map(|v| v * GRAMS_PER_KWH), (kind, true), issued)?;
        }
        all.finish()
    }
}

impl Source for WattTime {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn signal(&self) -> Signal {
        Signal::Marginal
    }

    fn begin(&mut self, _now: Timestamp) -> Exchange {
        self.asked = if self.token.is_some() { Asked::Forecast(0) } else { Asked::Login(0) };
        self.ask()
    }

    fn accept(&mut self, response: &Response, now: Timestamp) -> Result<Exchange, SourceError> {
        match self.asked {
            Asked::Login(refused) => {
                success(response)?;
                let login: Login = json(response)?;
                if login.token.is_empty() || login.token.bytes().any(|b| !b.is_ascii_graphic()) {
                    return Err(SourceError::Malformed("a token that is none".to_owned()));
                }
                self.token = Some(Secret::new(&login.token));
                self.asked = Asked::Forecast(refused);
                Ok(self.ask())
            }
            Asked::Forecast(0) if matches!(response.status, 401 | 403) => {
                self.token = None;
                self.asked = Asked::Login(1);
                Ok(self.ask())
            }
            Asked::Forecast(_) => self.forecast(response, now).map(Exchange::Done),
        }
    }
}
