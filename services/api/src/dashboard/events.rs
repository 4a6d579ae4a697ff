//! `GET /api/dashboard/events`: what the bus says about a project, as server-sent events.
//!
//! A stream has no memory: a dashboard that was away reads everything anew when it is back.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::{Stream, StreamExt, stream};
use http::StatusCode;
use ingot_bus::DashboardEvent;
use ingot_http::{ApiError, Code, Forwarded, Routes};
use ingot_identity::VerifyAdmin;
use serde_json::{Map, Value, json};

use crate::app::App;

/// Pause between comment lines that keep proxies from closing a silent stream.
const KEEP_ALIVE: Duration = Duration::from_secs(25);

/// Most open streams of one process.
pub(crate) const MAX_STREAMS: usize = 1_000;

/// The routes under `/api/dashboard`.
pub(crate) fn router() -> Routes<App> {
    Routes::new().route("/events", get(events))
}

async fn events(
    State(app): State<App>,
    VerifyAdmin(_): VerifyAdmin,
    forwarded: Forwarded,
) -> Result<Response, ApiError> {
    let Ok(permit) = app.dashboard_streams.clone().try_acquire_owned() else {
        return Err(ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            Code::TooManyRequests,
            "Too many dashboards are open on this server",
        )
        .with_hint("Close dashboards that nobody looks at")
        .with_retry_after(30));
    };
    // Before the first event is sent: what happens after `ready` is not missed.
    let news = app
        .bus
        .dashboard_events(&forwarded.project.id)
        .await
        .map_err(|error| ApiError::unavailable(&error))?;
    let stream = stream::once(async { ready() })
        .chain(news.map(|event| message(&event)))
        .take_until(app.shutdown.clone().cancelled_owned())
        .map(move |event| {
            // The permit lives as long as the stream.
            let _ = &permit;
            Ok(event)
        });
    Ok(answer(stream))
}

fn answer(stream: impl Stream<Item = Result<Event, Infallible>> + Send + 'static) -> Response {
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("keepalive");
    let mut response = Sse::new(stream).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

fn ready() -> Event {
    Event::default().data(json!({ "type": "ready" }).to_string())
}

fn message(event: &DashboardEvent) -> Event {
    let mut data: Map<String, Value> = event.data.clone();
    if !event.changes.is_empty() {
        data.insert("changes".to_owned(), json!(event.changes));
    }
    let mut message = json!({ "type": "data-update", "resource": event.resource });
    if let (false, Some(message)) = (data.is_empty(), message.as_object_mut()) {
        message.insert("data".to_owned(), Value::Object(data));
    }
    Event::default().data(message.to_string())
}
