//! `/livez`, `/readyz` and `/metrics`.
//!
//! A process is *live* when it answers at all. It is *ready* only while everything that it depends
//! on answers: an orchestrator sends no requests to a process that is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::future::{BoxFuture, join_all};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

/// Longest time that one check may take; slower counts as failed.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// `Ok` when the dependency answers, else what is wrong in a few words.
pub type CheckResult = Result<(), String>;

/// Asks one dependency.
pub type Check = Box<dyn Fn() -> BoxFuture<'static, CheckResult> + Send + Sync>;

/// Tells something about the process, in `/readyz`.
type Detail = Arc<dyn Fn() -> Value + Send + Sync>;

/// What a service depends on.
#[derive(Clone)]
pub struct Health {
    checks: Arc<Vec<(&'static str, Check)>>,
    draining: Arc<AtomicBool>,
    header: Option<(HeaderName, HeaderValue)>,
    detail: Option<(&'static str, Detail)>,
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.checks.iter().map(|(name, _)| name).collect();
        f.debug_struct("Health")
            .field("checks", &names)
            .finish_non_exhaustive()
    }
}

impl Health {
    /// Health that depends on `checks`, each with a name for people.
    pub fn new(checks: Vec<(&'static str, Check)>) -> Self {
        Self {
            checks: Arc::new(checks),
            draining: Arc::new(AtomicBool::new(false)),
            header: None,
            detail: None,
        }
    }

    /// Adds a header to the answers of `/readyz`: realtime nodes tell the edge their name with it.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// Adds a field to the answers of `/readyz`, computed anew for each: for people and scripts
    /// who look at one process.
    #[must_use]
    pub fn with_detail(
        mut self,
        name: &'static str,
        detail: impl Fn() -> Value + Send + Sync + 'static,
    ) -> Self {
        self.detail = Some((name, Arc::new(detail)));
        self
    }

    /// From now on `/readyz` says no: the process is about to stop.
    pub fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// The failed checks, as name and reason; empty when ready.
    pub async fn failures(&self) -> Map<String, Value> {
        if self.draining.load(Ordering::Acquire) {
            return Map::from_iter([("drain".to_owned(), json!("the process is stopping"))]);
        }
        let results = join_all(self.checks.iter().map(|(name, check)| async move {
            let result = tokio::time::timeout(CHECK_TIMEOUT, check()).await;
            (
                *name,
                result.unwrap_or_else(|_| Err("no answer within 2 s".to_owned())),
            )
        }));
        results
            .await
            .into_iter()
            .filter_map(|(name, result)| Some((name.to_owned(), Value::String(result.err()?))))
            .collect()
    }

    /// The three routes. They stand outside the edge guard; the edge never forwards to them.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/livez", get(|| async { Json(json!({ "status": "ok" })) }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self.clone())
    }
}

async fn metrics(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
    let (media_type, text) = ingot_telemetry::metrics_answer(accept);
    ([(header::CONTENT_TYPE, media_type)], text).into_response()
}

async fn ready(State(health): State<Health>) -> Response {
    let failures = health.failures().await;
    metrics::gauge!("ingot_ready").set(f64::from(u8::from(failures.is_empty())));
    let (status, mut body) = if failures.is_empty() {
        (StatusCode::OK, json!({ "status": "ready" }))
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            json!({ "status": "not ready", "failed": failures }),
        )
    };
    if let (Some((name, detail)), Some(body)) = (&health.detail, body.as_object_mut()) {
        body.insert((*name).to_owned(), detail());
    }
    let mut response = (status, Json(body)).into_response();
    if let Some((name, value)) = health.header {
        response.headers_mut().insert(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_only_while_every_check_passes() {
        let up = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&up);
        let health = Health::new(vec![(
            "database",
            Box::new(move || {
                let up = asked.load(Ordering::Acquire);
                Box::pin(async move {
                    if up {
                        Ok(())
                    } else {
                        Err("refused".to_owned())
                    }
                })
            }),
        )]);
        assert_eq!(ready(State(health.clone())).await.status(), 503);
        up.store(true, Ordering::Release);
        assert_eq!(ready(State(health.clone())).await.status(), 200);
        health.start_draining();
        assert_eq!(ready(State(health)).await.status(), 503);
    }
}
