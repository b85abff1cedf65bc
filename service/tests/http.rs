//! Every route, through a real client.
#![allow(clippy::expect_used)] // tests

mod common;

use common::{assert_checked, config, scenario, start};
use serde_json::{Value, json};

async fn body(response: reqwest::Response) -> Value {
    response.json().await.expect("JSON")
}

async fn problem(response: reqwest::Response, status: u16, code: &str) -> Value {
    let seen = response.status().as_u16();
    let content_type = response.headers().get("content-type").cloned().expect("typed");
    let id = response.headers().get("x-request-id").cloned().expect("an id");
    let problem = body(response).await;
    assert_eq!((seen, problem["code"].as_str()), (status, Some(code)), "{problem:#}");
    assert_eq!(content_type, "application/problem+json");
    assert_eq!(problem["status"], status);
    assert_eq!(problem["type"], format!("urn:ecomap:problem:{code}"));
    assert_eq!(problem["instance"], format!("urn:ecomap:request:{}", id.to_str().expect("text")));
    assert!(problem["title"].is_string() && problem["detail"].is_string() && problem["errors"].is_array());
    problem
}

#[tokio::test]
async fn tiny_is_solved_and_its_result_checks() {
    let server = start(config()).await;
    let response = server.post("/v1/solve", scenario("tiny")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let result = body(response).await;
    assert_eq!(result["status"], "optimal");
    assert_checked(&result);
    for step in ["parse", "validate", "price", "solve", "check"] {
        assert!(result["timings_ms"][step].is_number(), "{step}: {}", result["timings_ms"]);
    }

    // The same result, sent back, passes; tampered with, it does not.
    let input: Value = serde_json::from_slice(&scenario("tiny")).expect("JSON");
    let check = |result: &Value| json!({ "input": input, "result": result }).to_string();
    let verdict = body(server.post("/v1/check", check(&result)).await).await;
    assert_eq!((&verdict["verdict"], &verdict["findings"]), (&json!("pass"), &json!([])), "{verdict:#}");
    let mut better = result.clone();
    better["objective"]["value"] = json!(0.0);
    let verdict = body(server.post("/v1/check", check(&better)).await).await;
    assert_eq!(verdict["verdict"], "fail");
    let mut other = result.clone();
    other["certificate"]["instance_hash"] = json!("0".repeat(64));
    let verdict = body(server.post("/v1/check", check(&other)).await).await;
    assert_eq!(verdict["verdict"], "fail");
    let mut stray = result.clone();
    stray["plan"]["tenants"][0]["tenant"] = json!("nobody");
    let told = problem(server.post("/v1/check", check(&stray)).await, 422, "E4022").await;
    assert_eq!(told["errors"][0]["code"], "E1401");
    assert_eq!(told["errors"][0]["pointer"], "/result/plan/tenants/0/tenant");
    server.ended().await;
}

#[tokio::test]
async fn xavier_3_is_solved_for_every_objective() {
    let server = start(config()).await;
    for objective in ["ecomap", "carbon", "energy", "latency", "accuracy", "weighted:carbon=1,latency=0.1"] {
        let path = format!("/v1/solve?objective={objective}&time_limit_s=50");
        let result = body(server.post(&path, scenario("xavier-3")).await).await;
        assert_eq!(result["status"], "optimal", "{objective}: {}", result["certificate"]);
        assert_eq!(result["objective"]["name"].as_str(), objective.split(':').next());
        assert_checked(&result);
    }
    server.ended().await;
}

#[tokio::test]
async fn curl_d_works_as_it_is() {
    // `curl -d @file` calls the body a form.
    let server = start(config()).await;
    let send = |content_type: &str| {
        let request = server.client.post(server.url("/v1/validate")).header("content-type", content_type);
        request.body(scenario("campus")).send()
    };
    let answer = send("application/x-www-form-urlencoded").await.expect("answers");
    assert_eq!(answer.status(), 200);
    let valid = body(answer).await;
    assert_eq!((&valid["valid"], &valid["name"]), (&json!(true), &json!("campus")));
    problem(send("multipart/form-data; boundary=x").await.expect("answers"), 415, "E4015").await;
    let request = server.client.post(server.url("/v1/validate")).header("content-encoding", "gzip");
    problem(request.body("x").send().await.expect("answers"), 415, "E4015").await;
    server.ended().await;
}

#[tokio::test]
async fn parameters_and_preferences() {
    let server = start(config()).await;
    let told = problem(server.post("/v1/solve?gap=2&colour=red", scenario("tiny")).await, 400, "E4000").await;
    let pointers: Vec<_> =
        told["errors"].as_array().expect("a list").iter().map(|e| e["pointer"].clone()).collect();
    assert_eq!(pointers, [json!("?gap"), json!("?colour")]);
    problem(server.post("/v1/solve?solver=oracle", scenario("tiny")).await, 400, "E4000").await;
    problem(server.post("/v1/validate?x=1", scenario("tiny")).await, 400, "E4000").await;
    let told =
        problem(server.post("/v1/solve?objective=cheapest", scenario("tiny")).await, 400, "E4000").await;
    assert_eq!(told["errors"][0]["code"], "E1117");

    let request = server.client.post(server.url("/v1/solve?seed=7&threads=1")).header("prefer", "wait=30");
    let response = request.body(scenario("tiny")).send().await.expect("answers");
    assert_eq!(response.headers()["preference-applied"], "wait=30");
    let result = body(response).await;
    assert_eq!((&result["status"], &result["certificate"]["seed"]), (&json!("optimal"), &json!(7)));
    let lowered = body(server.post("/v1/solve?time_limit_s=99999", scenario("tiny")).await).await;
    let notes = lowered["notes"].to_string();
    assert!(notes.contains("time limit lowered"), "{notes}");
    server.ended().await;
}

#[tokio::test]
async fn invalid_documents_are_told_code_and_pointer() {
    let server = start(config()).await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../instances/data/scenarios/invalid");
    let mut tried = 0;
    for entry in std::fs::read_dir(folder).expect("the folder of invalid files") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name").to_owned();
        if !name.ends_with(".json") && !name.ends_with(".scenario.txt") {
            continue; // Benchmark formats are not spoken over HTTP.
        }
        let code = &name[..5];
        let bytes = std::fs::read(&path).expect("readable");
        for route in ["/v1/validate", "/v1/solve"] {
            let response = server.post(route, bytes.clone()).await;
            let status = response.status().as_u16();
            let told = body(response).await;
            assert_eq!(status, 422, "{name} at {route}: {told:#}");
            let errors = told["errors"].as_array().expect("a list");
            assert!(errors.iter().any(|e| e["code"] == code), "{name} at {route}: {told:#}");
            for error in errors {
                assert!(error["pointer"].is_string() && error["message"].is_string());
                assert!(!error["remedy"].as_str().expect("a remedy").is_empty());
            }
        }
        tried += 1;
    }
    assert!(tried > 20, "{tried} files");
    for nothing in ["", "   ", "[]", "null", "{}"] {
        let response = server.post("/v1/validate", nothing).await;
        assert_eq!(response.status(), 422, "{nothing:?}");
    }
    // A result is a document, but not a problem.
    let told =
        problem(server.post("/v1/solve", r#"{"format":"ecomap.result/v1"}"#).await, 422, "E4022").await;
    assert_eq!(told["errors"][0]["code"], "E1003");
    server.ended().await;
}

#[tokio::test]
async fn lists_pages_and_admin() {
    let server = start(config()).await;
    let solvers = body(server.get("/v1/solvers").await).await;
    assert_eq!(solvers["default"], "exact");
    assert!(solvers["solvers"].as_array().expect("a list").len() >= 2);

    let scenarios = body(server.get("/v1/scenarios").await).await;
    assert_eq!(
        scenarios["scenarios"][0],
        json!({
            "name": "campus", "source": "loaded", "bytes": scenario("campus").len(),
        })
    );
    for entry in scenarios["scenarios"].as_array().expect("a list") {
        let name = entry["name"].as_str().expect("a name");
        let document = server.get(&format!("/v1/scenarios/{name}")).await.bytes().await.expect("bytes");
        assert_eq!(document, scenario(name));
    }
    problem(server.get("/v1/scenarios/nowhere").await, 404, "E4004").await;

    let schemas = body(server.get("/v1/schemas").await).await;
    for name in schemas["schemas"].as_array().expect("a list") {
        let path = format!("/v1/schemas/{}", name.as_str().expect("a name"));
        let response = server.get(&path).await;
        assert_eq!(response.headers()["content-type"], "application/schema+json");
        assert!(body(response).await["$id"].is_string());
    }
    problem(server.get("/v1/schemas/x").await, 404, "E4004").await;

    assert_eq!(body(server.get("/live").await).await, json!({ "status": "live" }));
    assert_eq!(body(server.get("/ready").await).await, json!({ "status": "ready" }));
    let head = server.client.head(server.url("/ready")).send().await.expect("answers");
    assert_eq!(head.status(), 200);

    let index = server.get("/").await;
    let policy = index.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(index.text().await.expect("text").contains("/dashboard/app.js"));
    let script = server.get("/dashboard/app.js").await;
    assert!(script.headers()["content-type"].to_str().expect("text").contains("javascript"));
    problem(server.get("/dashboard/none.js").await, 404, "E4004").await;
    let docs = server.get("/docs").await; // redirected
    assert!(docs.url().path() == "/docs/" && docs.text().await.expect("text").contains("swagger-ui"));
    let script = server.get("/docs/swagger-initializer.js").await;
    assert!(script.headers()["content-type"].to_str().expect("text").contains("javascript"));
    assert!(script.text().await.expect("text").contains("/openapi.json"));
    problem(server.get("/docs/none.js").await, 404, "E4004").await;

    let openapi = body(server.get("/openapi.json").await).await;
    assert_eq!(openapi["openapi"], "3.1.0");
    assert_eq!(openapi, ecomap_service::http::openapi::document());
    server.ended().await;
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let server = start(config()).await;
    problem(server.get("/v2/solve").await, 404, "E4004").await;
    let response = server.get("/v1/solve").await;
    assert_eq!(response.headers()["allow"], "POST");
    problem(response, 405, "E4005").await;
    let response = server.client.delete(server.url("/ready")).send().await.expect("answers");
    assert_eq!(response.headers()["allow"], "GET, HEAD");
    problem(response, 405, "E4005").await;
    // The client's own request id is kept when it is harmless.
    let ask = |id: &str| server.client.get(server.url("/nothing")).header("x-request-id", id).send();
    assert_eq!(ask("abc-1").await.expect("answers").headers()["x-request-id"], "abc-1");
    assert_ne!(ask("a b").await.expect("answers").headers()["x-request-id"], "a b");
    server.ended().await;
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let server = start(config()).await;
    server.post("/v1/solve", scenario("tiny")).await;
    server.post("/v1/solve", "{}").await;
    server.get("/nowhere/at/all").await;
    let response = server.get("/metrics").await;
    assert!(
        response.headers()["content-type"].to_str().expect("text").starts_with("application/openmetrics")
    );
    let text = response.text().await.expect("text");
    for line in [
        r#"ecomap_http_requests_total{route="/v1/solve",method="POST",status="200"} 1"#,
        r#"ecomap_http_requests_total{route="/v1/solve",method="POST",status="422"} 1"#,
        r#"ecomap_http_requests_total{route="other",method="GET",status="404"} 1"#,
        r#"ecomap_solve_duration_seconds_count{solver="exact",status="optimal"} 1"#,
        "ecomap_solve_gap_ratios_count 1",
        r#"ecomap_solve_rejected_total{reason="E4022"} 1"#,
        "ecomap_solve_queue_depth 0",
        "ecomap_solve_in_flight 0",
        "ecomap_solve_cancelled_total 0",
        "# EOF",
    ] {
        assert!(text.contains(line), "no `{line}` in:\n{text}");
    }
    server.ended().await;
}

#[tokio::test]
async fn problems_and_tenants_of_plans_are_explained() {
    let server = start(config()).await;
    let told = body(server.post("/v1/explain?what_if=true&time_limit_s=50", scenario("tiny")).await).await;
    assert_eq!((&told["reason"], &told["skipped"]), (&json!("none"), &json!([])), "{told:#}");
    assert!(told["changes"].as_array().expect("a list").len() > 1);

    let result = body(server.post("/v1/solve", scenario("tiny")).await).await;
    let input: Value = serde_json::from_slice(&scenario("tiny")).expect("JSON");
    let both = json!({ "input": input, "result": result }).to_string();
    let tenant = result["plan"]["tenants"][0]["tenant"].as_str().expect("a name");
    let path = format!("/v1/explain?tenant={tenant}&time_limit_s=50");
    let told = body(server.post(&path, both.clone()).await).await;
    assert_eq!(told["plan_value"], result["objective"]["value"], "{told:#}");
    assert!(told["alternatives"].as_array().expect("a list").len() > 1, "{told:#}");

    let told = problem(server.post("/v1/explain", both.clone()).await, 400, "E4000").await;
    assert_eq!(told["errors"][0]["pointer"], "?tenant");
    problem(server.post("/v1/explain?tenant=nobody", both).await, 400, "E4000").await;
    problem(server.post("/v1/explain?solver=exact", scenario("tiny")).await, 400, "E4000").await;
    let stray = json!({ "input": input, "results": result }).to_string();
    problem(server.post("/v1/explain?tenant=a", stray).await, 422, "E4022").await;
    problem(server.get("/v1/explain").await, 405, "E4005").await;
    server.ended().await;
}

#[tokio::test]
async fn frontiers_are_found() {
    let server = start(config()).await;
    let path = "/v1/frontier?axes=carbon-delay&points=6&time_limit_s=50";
    let found = body(server.post(path, scenario("xavier-3")).await).await;
    assert_eq!(
        (&found["format"], &found["status"]),
        (&json!("ecomap.frontier/v1"), &json!("optimal")),
        "{found:#}"
    );
    assert!(found["points"].as_array().expect("a list").len() >= 3);
    let told =
        problem(server.post("/v1/frontier?axes=x&points=-1", scenario("tiny")).await, 400, "E4000").await;
    assert_eq!(told["errors"].as_array().map(Vec::len), Some(2));
    let without = problem(server.post("/v1/frontier", common::hard_problem()).await, 422, "E4024").await;
    assert!(without["detail"].as_str().expect("text").contains("devices"));
    server.ended().await;
}
