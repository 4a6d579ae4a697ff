//! A request's journey through the edge, phase by phase, in the order in which pingora calls them.
//!
//! What a phase does in detail stands in the module of that name; here is only the order.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use ingot_config::Problems;
use ingot_http::{ApiError, BodySettings};
use ingot_telemetry::MemoryBudget;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};

use crate::access_log::{AccessLog, Told};
use crate::admission::Admission;
use crate::direct::{IdleConnections, is_plain};
use crate::drain::Flights;
use crate::exchange::Exchange;
use crate::headers::{edit_request, edit_response};
use crate::limit::RateLimit;
use crate::project::Hosts;
use crate::routes::Service;
use crate::settings::{Config, RequestSettings};
use crate::tls::TlsPolicy;
use crate::upstream::{Member, Pool};
use crate::{answer, client_stream};

/// How long a refused request's body is still read, so that the client gets to see the answer
/// before the connection closes.
const LINGER: Duration = Duration::from_secs(2);

/// The edge: everything that requests share. Each thread has a copy.
#[derive(Clone)]
pub(crate) struct Gateway {
    pub(crate) settings: RequestSettings,
    pub(crate) bodies: BodySettings,
    pub(crate) hosts: Hosts,
    pub(crate) limit: Arc<RateLimit>,
    pub(crate) flights: Arc<Flights>,
    pub(crate) exports_traces: bool,
    pub(crate) edge_key: HeaderValue,
    pub(crate) rate_policy: HeaderValue,
    pub(crate) rate_limit: HeaderValue,
    pub(crate) keep_alive: HeaderValue,
    pub(crate) keep_alive_seconds: u64,
    /// What is said about HTTPS.
    pub(crate) tls: TlsPolicy,
    pub(crate) budget: Arc<MemoryBudget>,
    /// Connections of plain requests; each thread has its own.
    pub(crate) idle: Arc<IdleConnections>,
    pools: [Arc<Pool>; Service::ALL.len()],
    pub(crate) access_log: AccessLog,
}

impl Gateway {
    /// The edge of `config` in front of `pools`.
    pub(crate) fn new(
        config: &Config,
        pools: [Arc<Pool>; Service::ALL.len()],
        limit: Arc<RateLimit>,
        flights: Arc<Flights>,
    ) -> anyhow::Result<Self> {
        let settings = config.request.clone();
        let mut edge_key =
            HeaderValue::from_str(config.edge.edge_key.secret().expose()).map_err(|_| {
                anyhow::anyhow!("INGOT_EDGE_KEY has characters that no header can carry")
            })?;
        edge_key.set_sensitive(true);
        let window = settings.rate_window.0.as_secs();
        if window == 0 {
            return Err(Problems::of("INGOT_RATE_WINDOW", "must be at least 1 second").into());
        }
        if settings.body_wait.0.is_zero() {
            return Err(
                Problems::of("INGOT_EDGE_BODY_TIMEOUT", "must be at least 1 second").into(),
            );
        }
        let keep_alive_seconds = (config.listen.keep_alive_ms / 1000).max(1);
        Ok(Self {
            hosts: Hosts::of_one(&settings.project, &settings.hosts)?,
            limit,
            flights,
            exports_traces: ingot_telemetry::exports_traces(),
            edge_key,
            rate_policy: HeaderValue::try_from(format!("{};w={window}", settings.rate_limit))?,
            rate_limit: HeaderValue::from(settings.rate_limit),
            keep_alive: HeaderValue::try_from(format!("timeout={keep_alive_seconds}"))?,
            keep_alive_seconds,
            tls: TlsPolicy::new(&config.tls),
            budget: Arc::new(MemoryBudget::new(config.request.memory.map(|size| size.0))),
            idle: Arc::new(IdleConnections::new(0)),
            pools,
            access_log: AccessLog::new(),
            bodies: config.body.clone(),
            settings,
        })
    }

    fn pool(&self, service: Service) -> &Arc<Pool> {
        let [api, ..] = &self.pools;
        self.pools.get(service.index()).unwrap_or(api)
    }

    /// The same edge for one more thread, which keeps so many idle connections for plain requests.
    pub(crate) fn with_idle_connections(&self, most: usize) -> Self {
        Self {
            idle: Arc::new(IdleConnections::new(most)),
            ..self.clone()
        }
    }

    /// The member that gets the exchange, and how to connect to it.
    pub(crate) async fn next_peer(&self, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        let member = self.next_member(exchange).await?;
        Ok(member.peer(exchange.purpose()))
    }

    /// The member that gets the exchange.
    pub(crate) async fn next_member(&self, exchange: &mut Exchange) -> Result<Arc<Member>> {
        let pool = self.pool(exchange.service().unwrap_or(Service::Api));
        let node = match exchange.node {
            Some(node) => pool.node(node).await,
            None => None,
        };
        // A session whose node is gone goes to any: it answers that the session is unknown, and
        // the client starts a new one.
        let Some(lease) = node.or_else(|| pool.choose(&exchange.tried)) else {
            return Error::e_explain(
                ErrorType::HTTPStatus(StatusCode::SERVICE_UNAVAILABLE.as_u16()),
                "no upstream is available",
            );
        };
        let member = Arc::clone(lease.member());
        exchange.tried.add(member.address);
        exchange.lease = Some(lease);
        Ok(member)
    }

    /// The member chosen last takes no connections.
    pub(crate) fn note_refusal(&self, exchange: &Exchange) {
        if let (Some(lease), Some(service)) = (&exchange.lease, exchange.service()) {
            self.pool(service).refused(lease.member());
        }
    }

    /// Gives an answer of the edge's own, and ends the connection if the request's body is still
    /// on its way.
    async fn answer(
        &self,
        session: &mut Session,
        exchange: &Exchange,
        error: ApiError,
    ) -> Result<()> {
        let (mut response, body) = answer::render(error).await?;
        self.prepare_answer(session, exchange, &mut response);
        let unread = !session.is_body_done();
        if unread {
            session.set_keepalive(None);
            response.remove_header("keep-alive");
        }
        let is_head = session.req_header().method == Method::HEAD;
        session
            .write_response_header(Box::new(response), is_head)
            .await?;
        if !is_head {
            session.write_response_body(Some(body), true).await?;
        }
        if unread {
            session.as_downstream_mut().finish_body().await?;
            // A client that stops sending or goes away has no need of more.
            let _unread = tokio::time::timeout(LINGER, session.drain_request_body()).await;
        }
        Ok(())
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Exchange;

    /// The first that is called for a request, once its head has been read.
    fn new_ctx(&self) -> Exchange {
        client_stream::understood();
        Exchange::new(self.flights.take_off())
    }

    /// No modules: the edge does not compress.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        // What the services get is a copy: the smaller the better.
        edit_request(session.req_header_mut(), |_| {})?;
        match self.admit(session, exchange) {
            Ok(Admission::Proceed) => {
                if exchange.upgrade {
                    // Apart, so that other requests do not carry its state.
                    Box::pin(self.tunnel(session, exchange)).await?;
                    return Ok(true);
                }
                let plain = is_plain(session, exchange);
                if plain {
                    self.exchange_directly(session, exchange).await?;
                }
                Ok(plain)
            }
            Ok(Admission::Answered(mut response)) => {
                if !session.is_body_done() {
                    session.set_keepalive(None);
                }
                edit_response(&mut response, |headers| {
                    self.prepare_connection(session, true, headers);
                });
                session.write_response_header(response, true).await?;
                Ok(true)
            }
            Err(error) => {
                self.answer(session, exchange, error).await?;
                Ok(true)
            }
        }
    }

    /// Counts bodies that came without a length.
    async fn request_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.body_seen += body.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if exchange.body_seen > exchange.body_limit {
            return Error::e_explain(
                ErrorType::HTTPStatus(StatusCode::PAYLOAD_TOO_LARGE.as_u16()),
                "the body exceeds its limit",
            );
        }
        Ok(())
    }

    async fn upstream_peer(
        &self,
        _session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<Box<HttpPeer>> {
        self.next_peer(exchange).await
    }

    /// Nothing has been sent: another member may have the request, whatever it is.
    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        exchange: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        self.note_refusal(exchange);
        error.set_retry(exchange.tried.may_go_on());
        error
    }

    /// Something may have been sent: only a safe method (RFC 9110 §9.2.1) may be sent again.
    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        exchange: &mut Exchange,
        _client_reused: bool,
    ) -> Box<Error> {
        let upstream_failed = *error.esource() == ErrorSource::Upstream;
        if let (true, Some(lease)) = (upstream_failed, &exchange.lease) {
            lease.member().failed();
        }
        let unanswered = session.response_written().is_none();
        let again = upstream_failed
            && unanswered
            && session.req_header().method.is_safe()
            && !session.as_ref().retry_buffer_truncated()
            && !answer::is_timeout(error.etype())
            && exchange.tried.may_go_on();
        error.set_retry(again);
        error
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        self.prepare_request(session, exchange, request)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let kind = response.headers.get(header::CONTENT_TYPE);
        exchange.is_answered(kind.map(HeaderValue::as_bytes));
        self.prepare_answer(session, exchange, response);
        Ok(())
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Exchange,
    ) -> FailToProxy {
        let answer = answer::to_failure(error, exchange);
        let unanswered = session
            .response_written()
            .is_none_or(|written| written.status.is_informational());
        let error_code = match answer {
            Some(answer) if unanswered => {
                let status = answer.status().as_u16();
                if let Err(error) = self.answer(session, exchange, answer).await {
                    tracing::debug!(%error, "the client left before its answer");
                }
                status
            }
            _ => 0,
        };
        FailToProxy {
            error_code,
            can_reuse_downstream: false,
        }
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        let request = session.req_header();
        let agent = request.headers.get(header::USER_AGENT);
        let told = Told {
            method: request.method.as_str(),
            path: request.uri.path(),
            user_agent: agent.and_then(|agent| agent.to_str().ok()),
            status: session.response_written().map(|it| it.status.as_u16()),
            size: session.body_bytes_sent(),
            error,
        };
        self.access_log.note(&told, exchange);
    }

    /// The access log tells what became of every request; pingora's own lines would repeat it.
    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _: &Session,
        exchange: &Exchange,
        error: &Error,
        _: ProxyWarnLogContext,
    ) -> bool {
        tracing::debug!(%error, request_id = ?exchange.request_id, "trying another upstream");
        true
    }
}
