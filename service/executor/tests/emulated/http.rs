//! The agent over HTTP, with a real client on the loopback.

use crate::rig::{Rig, orders, sign};
use ecomap_executor::agent::http::routes;
use ecomap_instances::format::agent_v1::{AgentProblemDto, AgentStatusDto, RenewDto, SIGNATURE_HEADER};
use reqwest::{Client, Method, Response};
use tokio::net::TcpListener;

struct Served {
    rig: Rig,
    base: String,
    client: Client,
    server: tokio::task::JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve() -> Served {
    let rig = Rig::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = tokio::spawn(warp::serve(routes(rig.handle())).incoming(listener).run());
    Served { rig, base, client: Client::builder().no_proxy().build().unwrap(), server }
}

impl Served {
    async fn send(&self, method: Method, path: &str, body: &str, signature: Option<String>) -> Response {
        let mut request = self.client.request(method, format!("{}{path}", self.base)).body(body.to_owned());
        if let Some(signature) = signature {
            request = request.header(SIGNATURE_HEADER, signature);
        }
        request.send().await.unwrap()
    }

    async fn signed(&self, method: Method, path: &str, body: &str) -> Response {
        let signature = sign(method.as_str(), path, body.as_bytes());
        self.send(method, path, body, Some(signature)).await
    }
}

async fn problem(response: Response) -> (u16, String, u64) {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let status = response.status().as_u16();
    let problem: AgentProblemDto = response.json().await.unwrap();
    assert_eq!(problem.status, status);
    assert_eq!(problem.type_uri, format!("urn:ecomap:problem:{}", problem.code));
    (status, problem.code, problem.highest)
}

#[tokio::test]
async fn a_plan_from_end_to_end() {
    let served = serve().await;
    let body = serde_json::to_string(&orders(2, "15W")).unwrap();
    let prepared = served.signed(Method::PUT, "/agent/v1/plans/2", &body).await;
    assert_eq!(prepared.status(), 200);
    let committed = served.signed(Method::POST, "/agent/v1/plans/2/commit", "").await;
    assert_eq!(committed.status(), 200);
    let renewal = serde_json::to_string(&RenewDto { renewal: 1, lease_s: 100 }).unwrap();
    assert_eq!(served.signed(Method::POST, "/agent/v1/renew", &renewal).await.status(), 204);
    served.rig.until(|s| s.running == Some(2) && s.renewal == 1).await;
    let status: AgentStatusDto = served
        .client
        .get(format!("{}/agent/v1/status", served.base))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!((status.running, status.lease_left_s), (Some(2), Some(100)));
    assert_eq!(serde_json::to_value(status.basis).unwrap(), "emulated");
    assert_eq!(served.signed(Method::DELETE, "/agent/v1/plans/9", "").await.status(), 204);
    let stale = serde_json::to_string(&orders(8, "15W")).unwrap();
    let refused = served.signed(Method::PUT, "/agent/v1/plans/8", &stale).await;
    assert_eq!(problem(refused).await, (409, "E1750".to_owned(), 9));
}

#[tokio::test]
async fn nothing_unsigned_or_signed_for_something_else_gets_in() {
    let served = serve().await;
    let body = serde_json::to_string(&orders(2, "15W")).unwrap();
    let path = "/agent/v1/plans/2";
    let refused = (401, "E1751".to_owned(), 0);
    let unsigned = served.send(Method::PUT, path, &body, None).await;
    assert_eq!(problem(unsigned).await, refused);
    let elsewhere = sign("PUT", "/agent/v1/plans/3", body.as_bytes());
    assert_eq!(problem(served.send(Method::PUT, path, &body, Some(elsewhere)).await).await, refused);
    for (method, path) in [
        (Method::DELETE, path),
        (Method::POST, "/agent/v1/plans/2/commit"),
        (Method::POST, "/agent/v1/renew"),
    ] {
        let wrong = Some(sign("PUT", path, b""));
        assert_eq!(problem(served.send(method, path, "{}", wrong).await).await, refused, "{path}");
    }
    assert_eq!(served.rig.status().highest, 0);
}

#[tokio::test]
async fn bad_bodies_and_paths() {
    let served = serve().await;
    let body = serde_json::to_string(&orders(2, "15W")).unwrap();
    let other = served.signed(Method::PUT, "/agent/v1/plans/3", &body).await;
    assert_eq!(problem(other).await, (422, "E1760".to_owned(), 0));
    for text in ["{}", "[", &body.replace("\"version\"", "\"surprise\"")] {
        let refused = served.signed(Method::PUT, "/agent/v1/plans/2", text).await;
        assert_eq!(problem(refused).await.0, 422, "{text}");
    }
    let long = "x".repeat(5 << 20);
    assert_eq!(served.signed(Method::PUT, "/agent/v1/plans/2", &long).await.status(), 413);
    assert_eq!(served.signed(Method::PUT, "/agent/v1/plans/-2", &body).await.status(), 404);
    assert_eq!(served.signed(Method::GET, "/agent/v1/plans", "").await.status(), 404);
}
