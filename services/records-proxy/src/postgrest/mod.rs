//! The engine that forwards to PostgREST: one attempt's transport is in `sockets`, the decision to
//! repeat it in `retry`. The caller's own credentials stay here; PostgREST gets a token of ours.

mod retry;
mod sockets;
#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::Full;
use ingot_config::Problems;
use ingot_http::CheckResult;
use ingot_project::{Project, ProjectId};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::engine::{EngineError, RecordsEngine, RecordsRequest, Target};
use sockets::{Limits, Sockets, Stage};

/// Everything but the unreserved characters of RFC 3986 §2.3: a name can neither leave its path
/// segment nor be normalised into another one.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// Longest time for one attempt, and longest pause inside an answer (contract, database §4.6).
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

ingot_config::settings! {
    /// How PostgREST is reached, when it is the records engine.
    pub struct PostgrestSettings {
        /// Address of PostgREST, http only: it runs beside this service.
        base_url: Url = "POSTGREST_BASE_URL", default "http://localhost:5430";
        /// Most connections to PostgREST; further requests wait for one.
        max_sockets: usize = "POSTGREST_MAX_SOCKETS", default "20";
        /// Most connections kept open while unused.
        max_free_sockets: usize = "POSTGREST_MAX_FREE_SOCKETS", default "10";
        /// How long an unused connection is kept, in milliseconds. Keep it below the time after
        /// which PostgREST closes it.
        free_socket_timeout_ms: u64 = "POSTGREST_FREE_SOCKET_TIMEOUT_MS", default "4000";
    }
}

/// Forwards to PostgREST.
#[derive(Debug)]
pub(crate) struct PostgrestEngine {
    sockets: Sockets,
    host: HeaderValue,
    /// Path of the base address, without a slash at its end.
    prefix: String,
}

impl PostgrestEngine {
    /// An engine for these settings; nothing is connected yet.
    pub(crate) fn new(settings: &PostgrestSettings) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let url = &settings.base_url;
        let host = url.host_str().filter(|_| url.scheme() == "http");
        if host.is_none() {
            problems.add(
                "POSTGREST_BASE_URL",
                format!("`{url}` is not an http address, such as http://localhost:5430"),
            );
        }
        if settings.max_sockets == 0 {
            problems.add("POSTGREST_MAX_SOCKETS", "must be at least 1");
        }
        let address = format!(
            "{}:{}",
            host.unwrap_or_default(),
            url.port_or_known_default().unwrap_or(80)
        );
        let header = HeaderValue::try_from(address.as_str()).ok();
        problems.into_result(|| {
            Some(Self {
                sockets: Sockets::new(
                    address,
                    Limits {
                        max: settings
                            .max_sockets
                            .min(tokio::sync::Semaphore::MAX_PERMITS),
                        max_free: settings.max_free_sockets.min(settings.max_sockets),
                        free_timeout: Duration::from_millis(settings.free_socket_timeout_ms),
                        answer_timeout: ANSWER_TIMEOUT,
                    },
                ),
                host: header?,
                prefix: url.path().trim_end_matches('/').to_owned(),
            })
        })
    }

    fn uri(&self, target: &Target, query: &str) -> Result<Uri, EngineError> {
        let (folder, name) = match target {
            Target::Table(name) => ("", name),
            Target::Function(name) => ("/rpc", name),
        };
        let name = utf8_percent_encode(name, SEGMENT);
        let prefix = &self.prefix;
        let uri = if query.is_empty() {
            format!("{prefix}{folder}/{name}")
        } else {
            format!("{prefix}{folder}/{name}?{query}")
        };
        Uri::try_from(uri).map_err(EngineError::internal)
    }

    fn upstream_request(
        &self,
        request: RecordsRequest,
    ) -> Result<Request<Full<Bytes>>, EngineError> {
        let uri = self.uri(&request.target, &request.query)?;
        let token = ingot_identity::postgrest_token(&request.project, &request.caller)
            .map_err(EngineError::internal)?;
        let mut authorization =
            HeaderValue::try_from(format!("Bearer {token}")).map_err(EngineError::internal)?;
        authorization.set_sensitive(true);
        let mut upstream = Request::new(Full::new(request.body.clone()));
        *upstream.method_mut() = request.method;
        *upstream.uri_mut() = uri;
        let mut headers = request.headers;
        headers.insert(HOST, self.host.clone());
        headers.insert(AUTHORIZATION, authorization);
        if request.body.is_empty() {
            headers.remove(CONTENT_TYPE);
        }
        ingot_telemetry::inject(&mut headers);
        *upstream.headers_mut() = headers;
        Ok(upstream)
    }
}

#[async_trait]
impl RecordsEngine for PostgrestEngine {
    async fn execute(&self, request: RecordsRequest) -> Result<Response<Body>, EngineError> {
        let head = request.method == Method::HEAD;
        let upstream = self.upstream_request(request)?;
        let answer = retry::send(&self.sockets, upstream)
            .await
            .map_err(|error| match error.stage {
                Stage::TimedOut => EngineError::TimedOut(error.to_string()),
                Stage::NotConnected | Stage::Broken { .. } => {
                    EngineError::Unavailable(error.to_string())
                }
            })?;
        let (parts, body) = answer.into_parts();
        let body = if head { Body::empty() } else { Body::new(body) };
        Ok(Response::from_parts(parts, body))
    }

    /// PostgREST listens for schema changes itself.
    async fn schema_changed(&self, _: &ProjectId) {}

    async fn ready(&self, _: &Project) -> CheckResult {
        let reachable = self.sockets.reachable().await;
        reachable.map_err(|_| "PostgREST does not accept connections".to_owned())
    }
}
