//! Fleets over HTTP: a real server, real solves, a real store.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Running, config, scenario, start};
use ecomap_service::http::Config;
use parquet::file::reader::{FileReader, SerializedFileReader};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::path::Path;

/// One board and three tenants; the cap is a line from 600 g/kWh down to 100, and the zone takes what is pushed.
/// No turn but those that something brings about.
fn fleet() -> Value {
    let mut scenario: Value = serde_json::from_slice(&scenario("xavier-3")).unwrap();
    for site in scenario["sites"].as_array_mut().unwrap() {
        site["budget"] = json!({
            "policy": "linear", "clean_g_per_kwh": 100, "dirty_g_per_kwh": 600, "max_w": 20, "min_w": 11
        });
    }
    for zone in scenario["zones"].as_array_mut().unwrap() {
        zone["carbon_g_per_kwh"] = json!(100);
    }
    json!({ "format": "ecomap.fleet/v1", "scenario": scenario, "control": { "every_s": 86_400 } })
}

fn zone(fleet: &Value) -> String {
    fleet["scenario"]["zones"][0]["id"].as_str().unwrap().to_owned()
}

async fn send(server: &Running, method: Method, path: &str, body: &Value) -> reqwest::Response {
    server.client.request(method, server.url(path)).json(body).send().await.expect("answers")
}

async fn json_of(response: reqwest::Response) -> Value {
    assert!(response.status().is_success(), "{}", response.text().await.unwrap());
    response.json().await.expect("JSON")
}

/// Waits for a plan other than `known`; its ETag and the plan.
async fn next_plan(server: &Running, id: &str, known: Option<&str>) -> (String, Value) {
    for _ in 0..30 {
        let mut request =
            server.client.get(server.url(&format!("/v1/fleets/{id}/plan"))).header("prefer", "wait=10");
        if let Some(known) = known {
            request = request.header("if-none-match", known);
        }
        let response = request.send().await.expect("answers");
        if response.status() == StatusCode::OK {
            let tag = response.headers()["etag"].to_str().unwrap().to_owned();
            return (tag, response.json().await.expect("JSON"));
        }
        assert!([StatusCode::NOT_MODIFIED, StatusCode::NOT_FOUND].contains(&response.status()));
    }
    panic!("no plan came");
}

fn keeps_its_caps(plan: &Value) {
    assert_eq!(plan["checked"], true);
    assert_eq!(plan["result"]["certificate"]["checker"]["verdict"], "pass");
    for (site, cap) in plan["cap_w"].as_object().unwrap() {
        let (cap, draw) = (cap.as_f64().unwrap(), plan["predicted_w"][site].as_f64().unwrap());
        assert!(draw <= cap * (1.0 + 1e-9), "{site}: {draw} W under a cap of {cap} W");
    }
}

async fn push(server: &Running, zone: &str, grams: f64) -> Value {
    let body = json!({ "samples": [{ "zone": zone, "g_per_kwh": grams }] });
    json_of(send(server, Method::POST, "/v1/fleets/a/carbon", &body).await).await
}

#[tokio::test]
async fn a_fleet_is_solved_changed_and_deleted() {
    let server = start(config()).await;
    let document = fleet();
    let put = send(&server, Method::PUT, "/v1/fleets/a", &document).await;
    assert_eq!(
        (put.status(), put.headers()["location"].to_str().unwrap()),
        (StatusCode::CREATED, "/v1/fleets/a")
    );
    let first = put.headers()["etag"].to_str().unwrap().to_owned();
    let again = server.client.put(server.url("/v1/fleets/a")).header("if-none-match", "*").json(&document);
    let again = again.send().await.unwrap();
    assert_eq!(again.status(), StatusCode::PRECONDITION_FAILED);
    assert_eq!(again.json::<Value>().await.unwrap()["code"], "E4112");

    let (tag, plan) = next_plan(&server, "a", None).await;
    assert_eq!((plan["number"].as_u64(), plan["cause"].as_str()), (Some(1), Some("first")));
    keeps_its_caps(&plan);

    // A dirtier grid lowers the cap, and a plan that draws too much is replaced.
    let zone = zone(&document);
    push(&server, &zone, 600.0).await;
    let (tag, lower) = next_plan(&server, "a", Some(&tag)).await;
    assert_eq!(lower["cause"], "cap");
    keeps_its_caps(&lower);
    assert!(lower["cap_w"].as_object().unwrap().values().all(|c| c.as_f64() == Some(11.0)));

    // A tenant arrives.
    let mut tenant = document["scenario"]["tenants"][0].clone();
    tenant["id"] = json!("newcomer");
    let patch = json!({ "operations": [{ "op": "add_tenant", "tenant": tenant }], "reason": "a test" });
    let request = server.client.patch(server.url("/v1/fleets/a")).header("if-match", &first).json(&patch);
    let patched = request.send().await.unwrap();
    assert_eq!(patched.status(), StatusCode::OK);
    assert_ne!(patched.headers()["etag"].to_str().unwrap(), first);
    let stale = server.client.patch(server.url("/v1/fleets/a")).header("if-match", &first).json(&patch);
    assert_eq!(stale.send().await.unwrap().status(), StatusCode::PRECONDITION_FAILED);
    let lost = json!({ "operations": [
        { "op": "remove_tenant", "tenant": "newcomer" },
        { "op": "remove_tenant", "tenant": "nobody" },
        { "op": "lose_device", "device": "nothing" },
    ] });
    let refused = send(&server, Method::PATCH, "/v1/fleets/a", &lost).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem: Value = refused.json().await.unwrap();
    let pointers: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!(pointers, ["/operations/1/tenant", "/operations/2/device"]);

    // Another fleet, another plan.
    let (mut tag, mut plan) = (tag, lower);
    while plan["fleet_version"] != 2 {
        (tag, plan) = next_plan(&server, "a", Some(&tag)).await;
    }
    assert_eq!(plan["cause"], "change");
    keeps_its_caps(&plan);
    let tenants = plan["result"]["plan"]["tenants"].as_array().unwrap();
    assert!(tenants.iter().any(|t| t["tenant"] == "newcomer"), "{tenants:?}");
    let mut state = json_of(server.get("/v1/fleets/a/state").await).await;
    while state["version"] != 2 {
        state = json_of(server.get("/v1/fleets/a/state").await).await;
    }
    assert_eq!(state["status"], "running");
    assert_eq!(state["tenants"].as_array().unwrap().len(), 4);
    assert_eq!(state["zones"][0]["source"], "manual");

    let plans = json_of(server.get("/v1/fleets/a/plans").await).await;
    let last = plans["plans"][0]["number"].as_u64().unwrap();
    let diff = json_of(server.get(&format!("/v1/fleets/a/plans/1/diff/{last}")).await).await;
    assert!(diff["causes"].as_array().unwrap().iter().any(|c| c == "cap"), "{diff}");
    let changes = diff["changes"].as_array().unwrap();
    assert!(changes.iter().any(|c| c["why"] == "cap"), "{diff}");
    assert!(changes.iter().any(|c| c["tenant"] == "newcomer" && c["why"] == "arrival"), "{diff}");

    let deleted = server.client.delete(server.url("/v1/fleets/a")).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    for path in ["", "/state", "/plan", "/plans", "/events", "/history"] {
        let gone = server.get(&format!("/v1/fleets/a{path}")).await;
        assert_eq!(gone.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(gone.json::<Value>().await.unwrap()["code"], "E4104");
    }
    server.ended().await;
}

#[tokio::test]
async fn nothing_runs_on_a_lost_board_and_it_comes_back() {
    let server = start(config()).await;
    let campus: Value = serde_json::from_slice(&scenario("campus")).unwrap();
    let document = json!({ "format": "ecomap.fleet/v1", "scenario": campus,
        "control": { "every_s": 86_400, "gap": 0.05, "work_limit": 50, "time_limit_s": 1 } });
    assert_eq!(send(&server, Method::PUT, "/v1/fleets/c", &document).await.status(), StatusCode::CREATED);
    let (tag, plan) = next_plan(&server, "c", None).await;
    keeps_its_caps(&plan);
    let board = "library-nx-1";
    let patch = json!({ "operations": [{ "op": "lose_device", "device": board }], "reason": "power supply" });
    json_of(send(&server, Method::PATCH, "/v1/fleets/c", &patch).await).await;
    let (_, without) = next_plan(&server, "c", Some(&tag)).await;
    keeps_its_caps(&without);
    let runs = |plan: &Value, board: &str| {
        let tenants = plan["result"]["plan"]["tenants"].as_array().unwrap();
        tenants.iter().filter(|t| t["run"]["device"] == board).count()
    };
    assert_eq!(runs(&without, board), 0);
    assert!(without["result"]["plan"]["devices"].as_array().unwrap().iter().all(|d| d["device"] != board));
    let moved = without["changes"].as_array().unwrap();
    assert_eq!(moved.iter().filter(|c| c["why"] == "device").count(), runs(&plan, board));
    let state = json_of(server.get("/v1/fleets/c/state").await).await;
    let lost: Vec<&Value> = state["devices"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|d| d["lost"] == true)
        .map(|d| &d["device"])
        .collect();
    assert_eq!(lost, [board]);
    let twice = send(&server, Method::PATCH, "/v1/fleets/c", &patch).await;
    assert_eq!(twice.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let back = json!({ "operations": [{ "op": "restore_device", "device": board }] });
    let view = json_of(send(&server, Method::PATCH, "/v1/fleets/c", &back).await).await;
    assert_eq!(view["document"].get("lost"), None);
    let events = json_of(server.get("/v1/fleets/c/events?stream=false&after=0&limit=1000").await).await;
    let events = events["events"].as_array().unwrap();
    let reason = |kind: &str| {
        events.iter().find(|e| e["kind"] == kind).and_then(|e| e["reason"].as_str()).unwrap_or_default()
    };
    assert_eq!(reason("device_lost"), "device library-nx-1 was lost: power supply");
    assert_eq!(reason("device_back"), "device library-nx-1 is back");
    server.ended().await;
}

/// Reads a stream of events until `enough` says so.
async fn follow(
    response: reqwest::Response,
    enough: impl Fn(&[(u64, String)]) -> bool,
) -> Vec<(u64, String)> {
    let mut response = response;
    let (mut text, mut events) = (String::new(), Vec::new());
    while !enough(&events) {
        let chunk = response.chunk().await.expect("a stream").expect("does not end");
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        while let Some(end) = text.find("\n\n") {
            let block: String = text.drain(..end + 2).collect();
            let field = |name: &str| block.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
            if let (Some(id), Some(kind)) = (field("id:"), field("event:")) {
                let data: Value = serde_json::from_str(field("data:").unwrap()).unwrap();
                assert_eq!(data["id"].to_string(), id);
                events.push((id.parse().unwrap(), kind.to_owned()));
            }
        }
    }
    events
}

#[tokio::test]
async fn events_stream_and_go_on_where_a_client_left() {
    let server = start(Config { max_streams: 1, ..config() }).await;
    let document = fleet();
    send(&server, Method::PUT, "/v1/fleets/a", &document).await;
    let open = |last: u64| {
        let request = server.client.get(server.url("/v1/fleets/a/events"));
        request.header("accept", "text/event-stream").header("last-event-id", last).send()
    };
    let stream = open(0).await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let refused = open(0).await.unwrap();
    assert_eq!(
        (refused.status(), refused.headers().contains_key("retry-after")),
        (StatusCode::SERVICE_UNAVAILABLE, true)
    );
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "E4129");
    let events = follow(stream, |e| e.iter().any(|(_, kind)| kind == "plan")).await;
    assert_eq!(events[0].1, "created");
    assert!(events.windows(2).all(|w| w[0].0 < w[1].0), "{events:?}");
    let last = events.last().unwrap().0;
    push(&server, &zone(&document), 550.0).await;
    next_plan(&server, "a", Some("\"1-1\"")).await;
    // The first stream's place is free once the service has seen that its client went away.
    let mut stream = open(last).await.unwrap();
    while stream.status() != StatusCode::OK {
        tokio::task::yield_now().await;
        stream = open(last).await.unwrap();
    }
    let more = follow(stream, |e| e.iter().any(|(_, kind)| kind == "plan")).await;
    assert!(more.iter().all(|(id, _)| *id > last), "nothing twice");
    assert!(more.iter().any(|(_, kind)| kind == "carbon_pushed"), "{more:?}");
    server.ended().await;
}

#[tokio::test]
async fn a_service_that_starts_again_goes_on_from_its_last_plan() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ecomap.db");
    let again = || Config { store: Some(path.clone()), ..config() };
    let document = fleet();
    let server = start(again()).await;
    send(&server, Method::PUT, "/v1/fleets/a", &document).await;
    let (tag, _) = next_plan(&server, "a", None).await;
    push(&server, &zone(&document), 600.0).await;
    let (tag, before) = next_plan(&server, "a", Some(&tag)).await;
    server.ended().await;

    let server = start(again()).await;
    let response = server.get("/v1/fleets/a/plan").await;
    let last_tag = response.headers()["etag"].to_str().unwrap().to_owned();
    let last: Value = response.json().await.unwrap();
    // A better plan may have come between the answer and the end; it is kept then, and no other is made.
    let number = |plan: &Value| plan["number"].as_u64().unwrap();
    assert!((number(&before)..=number(&before) + 1).contains(&number(&last)), "at once, the last plan");
    assert!(last_tag != tag || last == before);
    let (tag, before) = (last_tag, last);
    // What was pushed before still holds: the cap has not moved, and no plan is published for nothing.
    let stream = server
        .client
        .get(server.url("/v1/fleets/a/events"))
        .header("last-event-id", "0")
        .send()
        .await
        .unwrap();
    follow(stream, |e| e.iter().any(|(_, kind)| kind == "resumed")).await;
    push(&server, &zone(&document), 100.0).await;
    let (_, after) = next_plan(&server, "a", Some(&tag)).await;
    assert_eq!(after["number"].as_u64(), before["number"].as_u64().map(|n| n + 1));
    assert_eq!(after["cause"], "gain");
    server.ended().await;
    assert!(Path::new(&path).exists());
}

#[tokio::test]
async fn history_is_a_table_in_two_formats() {
    let server = start(config()).await;
    let mut document = fleet();
    let zone = zone(&document);
    document["carbon"] = json!({ zone.clone(): { "sources": [{ "source": "synthetic", "seed": 3 }] } });
    document["control"] = json!({ "every_s": 3_600, "speed": 1e6 });
    send(&server, Method::PUT, "/v1/fleets/a", &document).await;
    let (tag, _) = next_plan(&server, "a", None).await;
    next_plan(&server, "a", Some(&tag)).await;
    let csv = server.get("/v1/fleets/a/history?limit=5000").await;
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
    let text = csv.text().await.unwrap();
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert!(header.contains(&format!("{zone}_g_per_kwh").as_str()) && header.contains(&"predicted_carbon_g"));
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    assert!(!rows.is_empty() && rows.iter().all(|r| r.len() == header.len()));
    let column = |name: &str| header.iter().position(|h| h.ends_with(name)).unwrap();
    for row in &rows {
        let (cap, draw): (f64, f64) =
            (row[column("_cap_w")].parse().unwrap(), row[column("_predicted_w")].parse().unwrap());
        assert!(draw <= cap * (1.0 + 1e-9), "{row:?}");
    }
    let parquet = server.get("/v1/fleets/a/history?format=parquet&limit=7").await.bytes().await.unwrap();
    let reader = SerializedFileReader::new(parquet).unwrap();
    let columns: Vec<String> = reader
        .metadata()
        .file_metadata()
        .schema_descr()
        .columns()
        .iter()
        .map(|c| c.name().to_owned())
        .collect();
    assert_eq!(columns.len(), header.len());
    assert!(reader.metadata().file_metadata().num_rows() >= 1);
    let state = json_of(server.get("/v1/fleets/a/state").await).await;
    assert_eq!((&state["synthetic"], &state["accelerated"]), (&json!(true), &json!(true)));
    assert!(!state["series"].as_array().unwrap().is_empty());
    server.ended().await;
}

#[tokio::test]
async fn what_does_not_hold_is_refused_with_every_mistake() {
    let kept = ecomap_store::Settings { fleets: 1, ..ecomap_store::Settings::default() };
    let server = start(Config { kept, ..config() }).await;
    let mut bad = fleet();
    bad["lost"] = json!(["nothing"]);
    bad["carbon"] = json!({ "nowhere": { "sources": [{ "source": "service", "name": "oracle" }] } });
    bad["control"] = json!({ "speed": 0, "start": "yesterday" });
    bad["budgets"] =
        json!([{ "sites": [{ "site": "nowhere" }], "policy": { "policy": "steps", "steps": [] } }]);
    let refused = send(&server, Method::PUT, "/v1/fleets/a", &bad).await;
    assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let problem: Value = refused.json().await.unwrap();
    let pointers: Vec<&str> =
        problem["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    for pointer in [
        "/lost/0",
        "/control/speed",
        "/control/start",
        "/budgets/0/sites/0/site",
        "/budgets/0/policy",
        "/carbon/nowhere",
        "/carbon/nowhere/sources/0/name",
    ] {
        assert!(pointers.contains(&pointer), "{pointer} is not in {pointers:?}");
    }
    let name = send(&server, Method::PUT, "/v1/fleets/a%20b", &fleet()).await;
    assert_eq!(name.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(send(&server, Method::PUT, "/v1/fleets/a", &fleet()).await.status(), StatusCode::CREATED);
    let full = send(&server, Method::PUT, "/v1/fleets/b", &fleet()).await;
    assert_eq!(full.json::<Value>().await.unwrap()["code"], "E4109");
    for (body, pointer) in [
        (json!({ "samples": [] }), "/samples"),
        (json!({ "samples": [{ "zone": "nowhere", "g_per_kwh": 1 }] }), "/samples/0/zone"),
        (json!({ "samples": [{ "zone": zone(&fleet()), "g_per_kwh": -1 }] }), "/samples/0"),
        (
            json!({ "samples": [{ "zone": zone(&fleet()), "g_per_kwh": 1, "signal": "marginal" }] }),
            "/samples/0/signal",
        ),
        (
            json!({ "samples": [{ "zone": zone(&fleet()), "g_per_kwh": 1, "from": "2999-01-01T00:00:00Z" }] }),
            "/samples/0/from",
        ),
    ] {
        let refused = send(&server, Method::POST, "/v1/fleets/a/carbon", &body).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        let problem: Value = refused.json().await.unwrap();
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    let method = send(&server, Method::POST, "/v1/fleets/a", &json!({})).await;
    assert_eq!(method.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(method.headers()["allow"], "GET, PUT, PATCH, DELETE, HEAD");
    server.ended().await;
}
