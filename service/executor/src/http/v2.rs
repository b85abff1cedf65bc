//! The routes under `/v2`.

use super::body::{self, BodyError, BodyStream, Bounds, chunk};
use super::decode::{Decoded, decode};
use super::encode::{Origin, encode};
use crate::runtime::{InferError, ModelInfo, Runtime, TensorInfo};
use bytes::Bytes;
use ecomap_instances::ids::{TenantId, is_legal_id};
use futures_util::TryStreamExt;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

/// Length of the JSON before binary data, in requests and answers.
pub const JSON_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// When a client that was turned away may come again, seconds.
const RETRY: HeaderValue = HeaderValue::from_static("1");

/// What the routes need.
#[derive(Debug, Clone)]
pub struct Api {
    /// What runs the models.
    pub runtime: Arc<dyn Runtime>,
    /// Bounds on bodies.
    pub bounds: Bounds,
    /// How long an answer is waited for.
    pub patience: Duration,
}

/// The routes; everything below `/v2` is answered, nothing else.
#[must_use]
pub fn routes(api: Api) -> BoxedFilter<(Response,)> {
    let api = Arc::new(api);
    let stream = warp::body::stream();
    warp::path("v2")
        .and(warp::path::full())
        .and(warp::method())
        .and(warp::header::headers_cloned())
        .and(stream)
        .and_then(move |path: warp::path::FullPath, method: Method, headers: HeaderMap, stream| {
            let api = Arc::clone(&api);
            let stream: BodyStream = Box::pin(TryStreamExt::map_ok(stream, chunk));
            async move { Ok::<_, Infallible>(answer(&api, path.as_str(), &method, &headers, stream).await) }
        })
        .boxed()
}

/// A tenant's name in a path, which may be percent-encoded.
fn tenant(text: &str) -> Option<TenantId> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(b) = rest.next() {
        if b == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(b);
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    is_legal_id(&name).then(|| TenantId::new(name))
}

async fn answer(api: &Api, path: &str, method: &Method, headers: &HeaderMap, stream: BodyStream) -> Response {
    let parts: Vec<&str> = path.trim_end_matches('/').split('/').skip(2).collect();
    let get = matches!(*method, Method::GET | Method::HEAD);
    let post = *method == Method::POST;
    match (&parts[..], get, post) {
        ([], true, _) => ok(&json!({
            "name": env!("CARGO_PKG_NAME"),
            "version": env!("CARGO_PKG_VERSION"),
            "extensions": ["binary_tensor_data"],
        })),
        (["health", "live"], true, _) => ok(&json!({ "live": true })),
        (["health", "ready"], true, _) => {
            let ready = api.runtime.running().is_some();
            reply(
                if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE },
                &json!({ "ready": ready }),
            )
        }
        (["models", name], true, _) => match model(api, name) {
            Ok(model) => ok(&metadata(api, &model)),
            Err(error) => refuse(&error),
        },
        (["models", name, "ready"], true, _) => match model(api, name) {
            Ok(_) => ok(&json!({ "ready": true })),
            Err(error) => refuse(&error),
        },
        (["models", name, "infer"], _, true) => match tenant(name) {
            Some(tenant) => infer(api, tenant, headers, stream).await,
            None => refuse(&InferError::UnknownTenant),
        },
        ([] | ["health", "live" | "ready"] | ["models", _] | ["models", _, "ready" | "infer"], ..) => {
            error(StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here")
        }
        _ => error(StatusCode::NOT_FOUND, "there is nothing at this path"),
    }
}

fn model(api: &Api, name: &str) -> Result<ModelInfo, InferError> {
    let tenant = tenant(name).ok_or(InferError::UnknownTenant)?;
    api.runtime.model(&tenant).ok_or(InferError::UnknownTenant)
}

fn metadata(api: &Api, model: &ModelInfo) -> Value {
    let tensors = |list: &[TensorInfo]| -> Vec<Value> {
        list.iter()
            .map(|t| json!({ "name": t.name, "datatype": t.datatype.as_str(), "shape": t.shape }))
            .collect()
    };
    json!({
        "name": model.tenant.as_str(),
        "versions": [model.version.to_string()],
        "platform": "onnxruntime_onnx",
        "inputs": tensors(&model.inputs),
        "outputs": tensors(&model.outputs),
        "parameters": {
            "family": model.family,
            "tier": model.tier.as_str(),
            "plan_version": model.version.0,
            "units": model.units.iter().map(ecomap_instances::ids::UnitId::as_str).collect::<Vec<_>>(),
            "basis": api.runtime.basis().as_str(),
            "synthetic_weights": model.synthetic,
        },
    })
}

async fn infer(api: &Api, tenant: TenantId, headers: &HeaderMap, stream: BodyStream) -> Response {
    let json_length = match headers.get(&JSON_LENGTH).map(|v| v.to_str().ok().and_then(|v| v.parse().ok())) {
        None => None,
        Some(Some(length)) => Some(length),
        Some(None) => return error(StatusCode::BAD_REQUEST, "Inference-Header-Content-Length is no length"),
    };
    let body = match body::read(stream, &api.bounds).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
        Err(BodyError::TooSlow) => return error(StatusCode::REQUEST_TIMEOUT, "the body came too slowly"),
        Err(BodyError::Cut) => return error(StatusCode::BAD_REQUEST, "the body ended early"),
        Err(BodyError::NoRoom) => {
            let mut response =
                error(StatusCode::SERVICE_UNAVAILABLE, "other requests hold all the memory there is");
            response.headers_mut().insert(RETRY_AFTER, RETRY);
            return response;
        }
    };
    // Numbers are copied and parsed there: megabytes, which would hold up other connections here.
    let runtime = Arc::clone(&api.runtime);
    let taken = tokio::task::spawn_blocking(move || {
        let Decoded { id, request, within, binary } =
            decode(&body.bytes, json_length).map_err(InferError::Invalid)?;
        // A plan may come or go in between: whichever side knows the model.
        let before = runtime.model(&tenant);
        let pending = runtime.infer(&tenant, request, within)?;
        let model = before.or_else(|| runtime.model(&tenant));
        let from = Origin { synthetic: model.is_some_and(|m| m.synthetic), basis: runtime.basis(), tenant };
        Ok::<_, InferError>((id, binary, from, pending))
    });
    let (id, binary, from, pending) = match taken.await {
        Ok(Ok(taken)) => taken,
        Ok(Err(error)) => return refuse(&error),
        Err(_) => return refuse(&InferError::Failed("the request could not be taken in".to_owned())),
    };
    let answer = match tokio::time::timeout(api.patience, pending).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return refuse(&error),
        Err(_) => return refuse(&InferError::Expired),
    };
    match encode(id, &from, &answer, &binary) {
        Ok(encoded) => {
            let mut response = Response::new(encoded.body.into());
            let headers = response.headers_mut();
            let kind =
                if encoded.json_length.is_some() { "application/octet-stream" } else { "application/json" };
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            if let Some(length) = encoded.json_length {
                headers.insert(JSON_LENGTH, HeaderValue::from(length));
            }
            response
        }
        Err(message) => error(StatusCode::BAD_REQUEST, &message),
    }
}

fn refuse(why: &InferError) -> Response {
    let status = match why {
        InferError::UnknownTenant => StatusCode::NOT_FOUND,
        InferError::NotServed | InferError::Closed => StatusCode::SERVICE_UNAVAILABLE,
        InferError::Invalid(_) => StatusCode::BAD_REQUEST,
        InferError::Busy(_) => StatusCode::TOO_MANY_REQUESTS,
        InferError::Expired => StatusCode::GATEWAY_TIMEOUT,
        InferError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = error(status, &why.to_string());
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().insert(RETRY_AFTER, RETRY);
    }
    response
}

fn ok(value: &Value) -> Response {
    reply(StatusCode::OK, value)
}

fn error(status: StatusCode, message: &str) -> Response {
    reply(status, &json!({ "error": message }))
}

fn reply(status: StatusCode, value: &Value) -> Response {
    let mut response = Response::new(Bytes::from(value.to_string()).into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
