//! What happens to a fleet, as server-sent events, or as a list.
//!
//! A stream goes on from `Last-Event-ID` (or `after`): what happened meanwhile comes first, from the store, so that a
//! client which lost its connection loses nothing that is still kept. A task of its own feeds each stream through a
//! short queue; a client that does not read is dropped, and finds its place again by the id.

use super::fleet_plans::each;
use super::fleets::stored;
use super::{Head, json};
use crate::fleets::records::EventDto;
use crate::http::fleet_routes::no_fleet;
use crate::http::params::integer;
use crate::http::problem::{Kind, Problem};
use crate::http::state::App;
use ecomap_instances::Code;
use schemars::JsonSchema;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};
use warp::Reply;
use warp::reply::Response;
use warp::sse::Event;

/// Events read from the store at once.
const BATCH: u64 = 200;
/// Events that wait for a client to read them.
const QUEUE: usize = 32;
/// How long a client may leave that queue full.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two signs of life on a silent stream.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// When a client that lost its connection should come back.
const RETRY: Duration = Duration::from_secs(2);
/// Events of one list at most.
const LISTED: u64 = 1_000;

/// Events, oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FleetEvents {
    /// The events.
    pub events: Vec<EventDto>,
}

/// `GET /v1/fleets/{id}/events`.
pub async fn get(app: &Arc<App>, head: &Head, id: &str) -> Result<Response, Problem> {
    let (mut after, mut most, mut stream) = (None, 100, true);
    each(head, |name, value| {
        match name {
            "after" => after = Some(integer(name, value, 0, u64::MAX)?),
            "limit" => most = integer(name, value, 1, LISTED)?,
            "stream" => {
                stream = value
                    .parse()
                    .map_err(|_| Problem::query(name, Code::UnknownName, "neither true nor false"))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if app.fleets.snapshot(id).is_none() {
        return Err(no_fleet());
    }
    if !stream {
        let name = id.to_owned();
        let read = app.fleets.store().read(move |v| match after {
            Some(after) => v.events(Some(&name), after, most),
            None => v.last_events(&name, most),
        });
        let events = read.await.map_err(|why| stored(&why))?;
        return Ok(json(&FleetEvents { events: events.into_iter().map(EventDto::from).collect() }));
    }
    let last = head.headers.get("last-event-id").and_then(|v| v.to_str().ok()?.trim().parse().ok());
    let from = match last.or(after) {
        Some(from) => from,
        None => app.fleets.store().read(|v| v.event_range()).await.map_err(|why| stored(&why))?.1,
    };
    let place = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        let mut problem = Problem::new(Kind::Streams, "as many streams are open as there may be");
        problem.retry_after_s = Some(5);
        problem
    })?;
    let (sender, mut receiver) = mpsc::channel(QUEUE);
    tokio::spawn(feed(Arc::clone(app), id.to_owned(), from, sender, place));
    let events = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    let mut response = warp::sse::reply(events).into_response();
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    Ok(response)
}

async fn ended(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

type Line = Result<Event, Infallible>;

/// Reads events as they come until the client or the service goes away.
async fn feed(
    app: Arc<App>,
    id: String,
    mut after: u64,
    sender: mpsc::Sender<Line>,
    place: OwnedSemaphorePermit,
) {
    let mut news = app.fleets.news();
    let mut stop = app.fleets.watch_stop();
    let send = |line: Event| async {
        let sent = tokio::time::timeout(PATIENCE, sender.send(Ok(line))).await;
        matches!(sent, Ok(Ok(())))
    };
    let oldest = app.fleets.store().read(|v| v.event_range()).await.map_or(0, |(oldest, _)| oldest);
    if !send(Event::default().comment("ecomap").retry(RETRY)).await {
        return;
    }
    if after > 0 && oldest > after + 1 {
        // Not an event of its own: it has no id, so that the client's place stays.
        let data = format!("{{\"after\":{after},\"oldest\":{oldest}}}");
        if !send(Event::default().event("gap").data(data)).await {
            return;
        }
    }
    loop {
        news.mark_unchanged();
        let name = id.clone();
        let read = app.fleets.store().read(move |v| v.events(Some(&name), after, BATCH));
        let events = match read.await {
            Ok(events) => events,
            Err(why) => {
                tracing::warn!(%why, "a stream of events ends");
                return;
            }
        };
        let full = events.len() as u64 == BATCH;
        for event in events {
            after = event.id;
            let deleted = event.kind == "deleted";
            let dto = EventDto::from(event);
            let line = Event::default().id(dto.id.to_string()).event(dto.kind.clone());
            let Ok(line) = line.json_data(&dto) else { return };
            if !send(line).await || (deleted && app.fleets.snapshot(&id).is_none()) {
                return;
            }
        }
        if full {
            continue;
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(HEARTBEAT) => {
                if !send(Event::default().comment("heartbeat")).await {
                    return;
                }
            }
            () = sender.closed() => return,
            () = ended(&mut stop) => break,
        }
    }
    drop(place);
}
