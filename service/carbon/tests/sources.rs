//! Conversations with every source: what is asked, what is read, and every way in which it can go wrong.
//!
//! Bodies are written here in the shapes that the services publish. Where the recorded answers are at hand
//! (`../shared/data` beside the workspace, or `ECOMAP_DATA`), they are read too; without them the test says *skipped*.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use ecomap_carbon::sample::{Kind, Signal};
use ecomap_carbon::source::carbon_aware::CarbonAware;
use ecomap_carbon::source::electricity_maps::ElectricityMaps;
use ecomap_carbon::source::uk::Uk;
use ecomap_carbon::source::watttime::WattTime;
use ecomap_carbon::source::{LARGEST, Place};
use ecomap_carbon::{Exchange, Reading, Request, Response, Secret, Source, SourceError};
use jiff::Timestamp;
use std::path::PathBuf;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn ok(body: impl Into<Vec<u8>>) -> Response {
    Response { status: 200, body: body.into(), retry_after: None }
}

fn status(status: u16) -> Response {
    Response { status, body: b"{\"error\":\"x\",\"message\":\"y\"}".to_vec(), retry_after: None }
}

/// Leads a conversation to its end; the questions, and what came of it.
fn talk(
    source: &mut dyn Source,
    now: Timestamp,
    answers: &[Response],
) -> (Vec<Request>, Result<Reading, SourceError>) {
    let mut asked = Vec::new();
    let mut answers = answers.iter();
    let mut exchange = Ok(source.begin(now));
    loop {
        match exchange {
            Ok(Exchange::Ask(request)) => {
                asked.push(request);
                let answer = answers.next().expect("more was asked than the test answers");
                exchange = source.accept(answer, now);
            }
            Ok(Exchange::Done(reading)) => return (asked, Ok(reading)),
            Err(error) => return (asked, Err(error)),
        }
    }
}

fn maps() -> ElectricityMaps {
    ElectricityMaps::new(Place::new("north", "DE").unwrap(), Secret::new("tok-1"))
}

fn watttime() -> WattTime {
    WattTime::new(Place::new("west", "CAISO_NORTH").unwrap(), &Secret::new("user"), &Secret::new("pass"))
}

fn uk() -> Uk {
    Uk::new(Place::new("gb", "GB").unwrap())
}

fn aware() -> CarbonAware {
    CarbonAware::new(Place::new("east", "eastus").unwrap(), Signal::Average)
}

const LATEST: &str = r#"{"zone":"DE","carbonIntensity":302,"datetime":"2026-03-06T19:00:00.000Z",
 "updatedAt":"2026-03-06T18:48:27.926Z","createdAt":"2026-03-03T19:47:16.265Z","emissionFactorType":"lifecycle",
 "isEstimated":true,"estimationMethod":"TIME_SLICER_AVERAGE"}"#;
const FORECAST: &str = r#"{"zone":"DE","forecast":[{"carbonIntensity":326,"datetime":"2026-03-06T20:00:00.000Z"},
 {"carbonIntensity":null,"datetime":"2026-03-06T21:00:00.000Z"},
 {"carbonIntensity":297,"datetime":"2026-03-06T22:00:00.000Z"}],"updatedAt":"2026-03-06T18:48:27.926Z"}"#;
const NOW: &str = "2026-03-06T19:05:00Z";

#[test]
fn electricity_maps_gives_the_present_and_the_forecast() {
    let (asked, reading) = talk(&mut maps(), at(NOW), &[ok(LATEST), ok(FORECAST)]);
    let paths: Vec<&str> = asked.iter().map(|r| r.path.as_str()).collect();
    assert_eq!(paths, ["/carbon-intensity/latest?zone=DE", "/carbon-intensity/forecast?zone=DE"]);
    assert!(asked.iter().all(|r| r.headers == [("auth-token", Secret::new("tok-1"))]));
    assert!(!format!("{asked:?}").contains("tok-1"), "tokens do not print");
    let reading = reading.unwrap();
    assert_eq!((reading.samples.len(), reading.dropped), (3, 1), "a null is no value");
    let now = &reading.samples[0];
    assert_eq!((now.zone(), now.kind(), now.signal()), ("north", Kind::Observed, Signal::Average));
    assert!(now.estimated() && now.covers(at(NOW)) && now.intensity().get() == 302.0);
    assert_eq!(now.issued(), at("2026-03-06T18:48:27.926Z"));
    assert!(reading.samples[1..].iter().all(|s| s.kind() == Kind::Forecast));
}

/// Free plans have no forecast; the present value stands.
#[test]
fn a_forecast_refused_costs_only_the_forecast() {
    for refused in
        [status(401), status(403), status(429), status(500), ok("{"), ok(r#"{"zone":"FR","forecast":[]}"#)]
    {
        let (_, reading) = talk(&mut maps(), at(NOW), &[ok(LATEST), refused]);
        assert_eq!(reading.unwrap().samples.len(), 1);
    }
    let rated = r#"[{"location":"eastus","time":"2026-03-06T18:45:11.5092741+00:00","rating":70,"duration":"08:00:00"}]"#;
    let (_, reading) = talk(&mut aware(), at(NOW), &[ok(rated), status(501)]);
    let reading = reading.unwrap();
    assert_eq!(reading.samples.len(), 1);
    assert_eq!(reading.samples[0].to().duration_since(reading.samples[0].from()).as_hours(), 8);
}

#[test]
fn watttime_logs_in_converts_pounds_and_renews_a_token_once() {
    let forecast = r#"{"data":[{"point_time":"2026-03-06T19:05:00+00:00","value":1000.0},
      {"point_time":"2026-03-06T19:10:00+00:00","value":870}],
      "meta":{"data_point_period_seconds":300,"region":"CAISO_NORTH","warnings":[{"type":"T","message":"m"}],
      "signal_type":"co2_moer","model":{"date":"2023-03-01"},"units":"lbs_co2_per_mwh",
      "generated_at_period_seconds":300,"generated_at":"2026-03-06T19:05:00+00:00"}}"#;
    let mut source = watttime();
    let (asked, reading) = talk(&mut source, at(NOW), &[ok(r#"{"token":"abc"}"#), ok(forecast)]);
    assert_eq!(asked[0].path, "/login");
    assert_eq!(asked[0].headers[0].1.expose(), "Basic dXNlcjpwYXNz");
    assert_eq!(asked[1].path, "/v3/forecast?region=CAISO_NORTH&signal_type=co2_moer&horizon_hours=24");
    assert_eq!(asked[1].headers[0].1.expose(), "Bearer abc");
    let reading = reading.unwrap();
    assert!((reading.samples[0].intensity().get() - 453.592_37).abs() < 1e-9);
    assert_eq!(reading.samples[0].signal(), Signal::Marginal);
    assert_eq!((reading.samples[0].kind(), reading.samples[1].kind()), (Kind::Observed, Kind::Forecast));

    // The token is kept; refused, it is renewed once; refused again, that is the answer.
    let answers = [status(401), ok(r#"{"token":"def"}"#), ok(forecast)];
    let (asked, reading) = talk(&mut source, at(NOW), &answers);
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[2].headers[0].1.expose(), "Bearer def");
    assert!(reading.is_ok());
    let (_, reading) = talk(&mut source, at(NOW), &[status(403), ok(r#"{"token":"ghi"}"#), status(403)]);
    assert_eq!(reading, Err(SourceError::Unauthorised(403)));
    let (_, reading) = talk(&mut watttime(), at(NOW), &[ok("{\"token\":\"a\\r\\nhost: x\"}")]);
    assert!(matches!(reading, Err(SourceError::Malformed(_))), "no header is smuggled in");
    let percentile = forecast.replace("lbs_co2_per_mwh", "percentile");
    let (_, reading) = talk(&mut watttime(), at(NOW), &[ok(r#"{"token":"t"}"#), ok(percentile)]);
    assert!(matches!(reading, Err(SourceError::Malformed(_))), "a percentile is no intensity");
}

#[test]
fn the_uk_gives_half_hours_without_seconds() {
    let body = r#"{"data":[
     {"from":"2026-03-06T18:30Z","to":"2026-03-06T19:00Z","intensity":{"forecast":266,"actual":263,"index":"moderate"}},
     {"from":"2026-03-06T19:00Z","to":"2026-03-06T19:30Z","intensity":{"forecast":260,"actual":null,"index":"moderate"}},
     {"from":"2026-03-06T19:30Z","to":"2026-03-06T20:00Z","intensity":{"forecast":250,"actual":null,"index":"low"}}]}"#;
    let (asked, reading) = talk(&mut uk(), at(NOW), &[ok(body)]);
    assert_eq!(asked[0].path, "/intensity/2026-03-06T18:35Z/fw24h");
    let seen: Vec<(f64, Kind, bool)> =
        reading.unwrap().samples.iter().map(|s| (s.intensity().get(), s.kind(), s.estimated())).collect();
    let wanted =
        [(263.0, Kind::Observed, false), (260.0, Kind::Observed, true), (250.0, Kind::Forecast, true)];
    assert_eq!(seen, wanted);
}

#[test]
fn the_carbon_aware_sdk_gives_both_of_its_forecast_shapes() {
    let rated = r#"[{"location":"eastus","time":"2026-03-06T18:45:11.5092741+00:00","rating":70}]"#;
    for best in [r#""optimalDataPoint":{"location":"IE"}"#, r#""optimalDataPoints":[{"location":"IE"}]"#] {
        let forecast = format!(
            r#"[{{"requestedAt":"2026-03-06T19:00:00+00:00","generatedAt":"2026-03-06T19:00:00+00:00",
            "location":"eastus","windowSize":10,{best},"forecastData":[
            {{"location":"IE","timestamp":"2026-03-06T20:00:00+00:00","duration":10,"value":532.02}}]}}]"#
        );
        let (asked, reading) = talk(&mut aware(), at(NOW), &[ok(rated), ok(forecast)]);
        assert!(asked[0].path.starts_with("/emissions/bylocation?location=eastus&time=2026-03-06T17:05:00Z"));
        let reading = reading.unwrap();
        assert_eq!(reading.samples.len(), 2);
        assert_eq!(reading.samples[1].to(), at("2026-03-06T20:10:00Z"));
    }
    let (_, nothing) = talk(&mut aware(), at(NOW), &[Response { status: 204, ..Response::default() }]);
    assert_eq!(nothing, Err(SourceError::NoData));
}

/// 401, 403, 429 with and without a word, 4xx, 5xx: each its own error for every source.
#[test]
fn refusals_are_told_apart() {
    let limited = Response { status: 429, body: Vec::new(), retry_after: Some(30) };
    let cases = [
        (status(401), SourceError::Unauthorised(401)),
        (status(403), SourceError::Unauthorised(403)),
        (status(404), SourceError::Refused(404)),
        (limited, SourceError::Limited { seconds: Some(30) }),
        (status(429), SourceError::Limited { seconds: None }),
        (status(500), SourceError::Unavailable("status 500".to_owned())),
        (status(503), SourceError::Unavailable("status 503".to_owned())),
    ];
    for (answer, wanted) in cases {
        let sources: [Box<dyn Source>; 4] =
            [Box::new(maps()), Box::new(watttime()), Box::new(uk()), Box::new(aware())];
        for mut source in sources {
            let (_, got) = talk(source.as_mut(), at(NOW), std::slice::from_ref(&answer));
            assert_eq!(got, Err(wanted.clone()), "{}", source.name());
        }
    }
}

/// Cut off, empty, not JSON, huge, another shape: malformed, never a panic, never a sample.
#[test]
fn broken_bodies_are_malformed() {
    let cut = &LATEST[..LATEST.len() / 2];
    let huge = vec![b' '; LARGEST + 1];
    for body in [cut.as_bytes(), b"", b"<html>", b"[]", b"{}", b"null", b"\xff\xfe", &huge] {
        let sources: [Box<dyn Source>; 3] = [Box::new(maps()), Box::new(watttime()), Box::new(uk())];
        for mut source in sources {
            let (_, got) = talk(source.as_mut(), at(NOW), &[ok(body)]);
            assert!(matches!(got, Err(SourceError::Malformed(_))), "{}: {got:?}", source.name());
        }
    }
}

#[test]
fn null_values_wrong_zones_and_wrong_clocks_are_told_apart() {
    let null = LATEST.replace("302", "null");
    assert_eq!(talk(&mut maps(), at(NOW), &[ok(null)]).1, Err(SourceError::NoData));
    let elsewhere = LATEST.replace("\"DE\"", "\"FR\"");
    let wanted = SourceError::Zone { asked: "DE".to_owned(), got: "FR".to_owned() };
    assert_eq!(talk(&mut maps(), at(NOW), &[ok(elsewhere)]).1, Err(wanted));
    // The source says it is 19:00; we believe it is 17:00.
    let early = talk(&mut maps(), at("2026-03-06T17:00:00Z"), &[ok(LATEST)]).1;
    assert_eq!(early, Err(SourceError::Skewed(7_200)));
    for value in ["-5", "1e9"] {
        let odd = LATEST.replace("302", value);
        assert_eq!(talk(&mut maps(), at(NOW), &[ok(odd)]).1, Err(SourceError::NoData), "{value}");
    }
    let naive = LATEST.replace("19:00:00.000Z", "19:00:00");
    assert!(
        matches!(talk(&mut maps(), at(NOW), &[ok(naive)]).1, Err(SourceError::Malformed(_))),
        "no offset"
    );
}

/// The hour that clocks repeat or skip is an hour like any other in UTC.
#[test]
fn a_change_of_clocks_neither_loses_nor_repeats_an_hour() {
    let body = r#"{"data":[
     {"from":"2026-10-25T00:30Z","to":"2026-10-25T01:00Z","intensity":{"forecast":1,"actual":101,"index":"low"}},
     {"from":"2026-10-25T01:00Z","to":"2026-10-25T01:30Z","intensity":{"forecast":1,"actual":102,"index":"low"}},
     {"from":"2026-10-25T02:00+01:00","to":"2026-10-25T02:30+01:00","intensity":{"forecast":9,"actual":null,"index":"low"}}]}"#;
    let (_, reading) = talk(&mut uk(), at("2026-10-25T01:10:00Z"), &[ok(body)]);
    let samples = reading.unwrap().samples;
    let starts: Vec<Timestamp> = samples.iter().map(ecomap_carbon::Sample::from).collect();
    assert_eq!(starts[1], starts[2], "02:00+01:00 is 01:00Z");
    let mut series = ecomap_carbon::Series::default();
    series.extend(samples, at("2026-10-25T01:10:00Z"));
    assert_eq!(series.len(), 2);
}

#[test]
fn names_that_would_change_the_question_are_refused() {
    for name in ["DE&x=1", "../zones", "a b", "", "x#y", "DE\r\nhost:"] {
        assert!(Place::new("north", name).is_err(), "{name}");
    }
}

fn fixtures() -> Option<PathBuf> {
    let root = std::env::var_os("ECOMAP_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let folder = root.join("carbon/api_fixtures");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no {}", folder.display());
    None
}

/// The recorded answers themselves, with the clock set to when they were given.
#[test]
fn recorded_answers_are_read() {
    let Some(folder) = fixtures() else { return };
    let read = |file: &str| ok(std::fs::read(folder.join(file)).unwrap());

    let place = Place::new("z", "US-CAR-DUK").unwrap();
    let mut source = ElectricityMaps::new(place, Secret::new("t"));
    let latest = read("electricitymaps_v3/latest_carbon_intensity.json");
    let (_, reading) = talk(&mut source, at("2024-03-06T19:05:00Z"), &[latest, status(403)]);
    assert_eq!(reading.unwrap().samples[0].intensity().get(), 216.0);
    let mut source = ElectricityMaps::new(Place::new("z", "DE").unwrap(), Secret::new("t"));
    let (latest, forecast) = (read("electricitymaps_v3/past.json"), read("electricitymaps_v3/forecast.json"));
    let (_, reading) = talk(&mut source, at("2024-03-06T19:05:00Z"), &[latest, forecast]);
    assert_eq!(reading.unwrap().samples.len(), 4);

    let answers = [read("watttime_v3/login.json"), read("watttime_v3/forecast.json")];
    let (_, reading) = talk(&mut watttime(), at("2022-07-15T00:01:00Z"), &answers);
    let first = reading.unwrap().samples[0].intensity().get();
    assert!((first - 1_048.413_191_970_197_2 * 0.453_592_37).abs() < 1e-9);
    let scope = [read("watttime_v3/login.json"), read("watttime_v3/invalid_scope_response.json")];
    assert!(talk(&mut watttime(), at(NOW), &scope).1.is_err());

    let (_, reading) =
        talk(&mut uk(), at("2018-01-20T12:10:00Z"), &[read("uk_carbon_intensity/intensity_date.json")]);
    assert_eq!(reading.unwrap().samples[0].intensity().get(), 263.0);
    let error = read("uk_carbon_intensity/intensity_err400.json");
    assert!(matches!(talk(&mut uk(), at(NOW), &[error]).1, Err(SourceError::Malformed(_))));

    let rated = read("gsf_carbon_aware_sdk/emissions_bylocation.json");
    for shape in ["as_in_docs", "v2_actual_dto"] {
        let forecast = read(&format!("gsf_carbon_aware_sdk/emissions_forecasts_current.{shape}.json"));
        let (_, reading) = talk(&mut aware(), at("2022-07-19T13:38:00Z"), &[rated.clone(), forecast]);
        assert_eq!(reading.unwrap().samples.len(), 3, "{shape}");
    }
}
