//! Serving a router until told to stop, and then finishing what is under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::ServiceExt;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use http::{HeaderValue, Uri};
use ingot_telemetry::MemoryBudget;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};
use tower::util::MapRequest;
use tower_http::catch_panic::CatchPanicLayer;

use crate::traced::TracingLayer;
use crate::{ApiError, Health, Routes};

ingot_config::settings! {
    /// How a service behind the edge is reached and stopped.
    pub struct ListenSettings {
        /// Address that the service listens on. Each service has its own default port.
        listen: Option<SocketAddr> = "INGOT_LISTEN";
        /// Longest time, in seconds, that requests under way may take after a stop was asked for.
        drain_timeout: ingot_config::Seconds = "INGOT_DRAIN_TIMEOUT", default "20";
        /// Seconds between "not ready" and closing the listener and idle connections. Meanwhile
        /// edges notice and choose others, so that no request meets a closing connection: three
        /// of their probe intervals (`INGOT_UPSTREAM_CHECK_MS`), for one probe may be late. 0
        /// closes at once.
        drain_delay: ingot_config::Seconds = "INGOT_DRAIN_DELAY", default "3";
        /// Memory that the process may use: from nine tenths of it on, new requests and new sockets
        /// get a 503 with `Retry-After`. Unset, what its container may use; without a container,
        /// no limit.
        memory: Option<ingot_config::ByteSize> = "INGOT_MEMORY";
    }
}

/// A service could not start or go on serving.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}; set INGOT_LISTEN to a free address")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The listener failed.
    #[error("cannot accept connections: {0}")]
    Accept(#[from] std::io::Error),
}

/// Serves `router` and the health routes until `shutdown`, then finishes the requests under way.
///
/// Long-lived answers (event streams, upgraded sockets) end by `shutdown` themselves; what has not
/// ended within the drain timeout is cut.
pub async fn serve(
    settings: &ListenSettings,
    default_port: u16,
    router: impl Into<Routes>,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    serve_tuned(settings, default_port, router, health, shutdown, |_| {}).await
}

/// As [`serve`], with `tune` called for every connection that was accepted.
pub async fn serve_tuned(
    settings: &ListenSettings,
    default_port: u16,
    router: impl Into<Routes>,
    health: Health,
    shutdown: CancellationToken,
    tune: impl Fn(&TcpStream) + Send + Sync + 'static,
) -> Result<(), ServeError> {
    let address = settings
        .listen
        .unwrap_or(SocketAddr::from(([127, 0, 0, 1], default_port)));
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Bind { address, source })?;
    tracing::info!(%address, "listening");
    let listener = listener.tap_io(move |stream| {
        // Small answers must not wait for a delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        tune(stream);
    });
    let (router, paths) = router.into().into_parts();
    // The service is cloned for every request, the table of paths must not be.
    let paths = Arc::new(paths);
    ingot_telemetry::begin_at_zero(&["http_server_requests_shed_total"]);
    let budget = Arc::new(MemoryBudget::new(settings.memory.map(|size| size.0)));
    let _watch = watch(&budget);
    let app = MapRequest::new(finish(router, &health, budget), move |request| {
        paths.canonical(request)
    });
    let (drain_delay, drain_timeout) = (settings.drain_delay.0, settings.drain_timeout.0);
    let closing = CancellationToken::new();
    let close_listener = closing.clone();
    let server = axum::serve(listener, app.into_make_service())
        .with_graceful_shutdown(async move { close_listener.cancelled().await })
        .into_future();
    tokio::pin!(server);
    tokio::select! {
        result = &mut server => return Ok(result?),
        () = shutdown.cancelled() => health.start_draining(),
    }
    // Still accepting: the edge and the orchestrator are told through /readyz first.
    if !drain_delay.is_zero() {
        tokio::select! {
            result = &mut server => return Ok(result?),
            () = tokio::time::sleep(drain_delay) => {}
        }
    }
    closing.cancel();
    if tokio::time::timeout(drain_timeout.max(Duration::from_millis(1)), server)
        .await
        .is_err()
    {
        tracing::warn!(timeout = ?drain_timeout, "requests still under way at the drain timeout");
    }
    Ok(())
}

/// Looks at the budget until the guard is dropped.
fn watch(budget: &Arc<MemoryBudget>) -> DropGuard {
    let (budget, stop) = (Arc::clone(budget), CancellationToken::new());
    let guard = stop.clone().drop_guard();
    tokio::spawn(async move { budget.watch(stop).await });
    guard
}

/// The layers that every service has, outermost last.
fn finish(router: Router, health: &Health, budget: Arc<MemoryBudget>) -> Router {
    router
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_route)
        .layer(CatchPanicLayer::custom(|_panic| {
            // The panic hook has logged it; the caller gets an answer instead of a cut connection.
            ApiError::internal(&"handler panicked").into_response()
        }))
        .layer(axum::middleware::from_fn_with_state(budget, shed))
        .layer(axum::middleware::map_response(json_with_charset))
        .layer(TracingLayer::default())
        .merge(health.router())
}

/// Refuses new work while there is no memory for it.
async fn shed(State(budget): State<Arc<MemoryBudget>>, request: Request, next: Next) -> Response {
    if budget.is_exhausted() && !continues_session(request.uri()) {
        metrics::counter!("http_server_requests_shed_total").increment(1);
        return ApiError::overloaded().into_response();
    }
    next.run(request).await
}

/// Whether a request belongs to a session of Engine.IO that is there already, and is therefore no
/// new work, though memory be short: who is refused opens another session (contract, realtime §1).
pub fn continues_session(target: &Uri) -> bool {
    let query = target.query().unwrap_or_default();
    let has = |name: &str| query.split('&').any(|pair| pair.starts_with(name));
    target.path() == "/socket.io/" && has("EIO=") && has("sid=")
}

/// An unknown path and an unsupported method get the same 404 (contract, platform §3.2, §6.3).
async fn unknown_route(request: Request) -> ApiError {
    let target = request
        .uri()
        .path_and_query()
        .map_or("/", |target| target.as_str());
    ApiError::not_found(format!(
        "The endpoint {} {target} does not exist",
        request.method()
    ))
    .with_hint("Check the path and the method against the API's documentation")
}

/// The contract's JSON content type carries a charset (platform §3.2).
async fn json_with_charset(mut response: Response) -> Response {
    const PLAIN: &[u8] = b"application/json";
    let headers = response.headers_mut();
    if headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes() == PLAIN)
    {
        headers.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    async fn broken() -> &'static str {
        panic!("secret detail")
    }

    #[tokio::test]
    async fn a_handler_that_panics_answers_500_and_harms_no_other_request() {
        let router = Router::new()
            .route("/broken", get(broken))
            .route("/sound", get(|| async { "fine" }));
        let budget = Arc::new(MemoryBudget::new(None));
        let app = finish(router, &Health::new(Vec::new()), budget);
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, String::from_utf8(body.to_vec()).unwrap())
        };
        let (status, body) = ask("/broken").await;
        let envelope: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &envelope["statusCode"]), (500, &500.into()));
        assert_eq!(envelope["error"], "INTERNAL_ERROR");
        assert!(!body.contains("secret"), "{body}");
        assert_eq!(ask("/sound").await, (200, "fine".to_owned()));
        assert_eq!(ask("/livez").await.0, 200);
    }

    #[tokio::test]
    async fn without_memory_only_what_is_under_way_goes_on() {
        let budget = Arc::new(MemoryBudget::new(Some(1024)));
        let _watch = watch(&budget);
        while !budget.is_exhausted() {
            tokio::task::yield_now().await;
        }
        let fine = || get(|| async { "fine" });
        let router = Router::new()
            .route("/", fine())
            .route("/socket.io/", fine());
        let app = finish(router, &Health::new(Vec::new()), budget);
        let ask = async |target: &str| {
            let request = Request::get(target).body(Body::empty()).unwrap();
            app.clone().oneshot(request).await.unwrap()
        };
        for target in [
            "/",
            "/?EIO=4&sid=abc",
            "/socket.io/?EIO=4",
            "/socket.io/?sid=abc",
            "/socket.io/x?EIO=4&sid=abc",
        ] {
            let refused = ask(target).await;
            assert_eq!(refused.status(), 503, "{target}");
            assert_eq!(refused.headers()["retry-after"], "2");
        }
        for served in ["/socket.io/?EIO=4&sid=abc", "/livez", "/metrics"] {
            assert_eq!(ask(served).await.status(), 200, "{served}");
        }
    }
}
