//! The lane: requests of HTTP/1.1 that everybody reads alike ([`asked`]) are answered one after the
//! other on their connection, and nothing is made for them that they do not need.
//!
//! It refuses nothing. What it does not take, whatever the reason, is left to the proxy library with
//! the bytes as they came, and the gateway decides there. So each rule stands in one place, and the
//! lane may be as narrow as it likes.

use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use http::Method;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answered::Marks;
use super::asked::{self, Asked, Known, known};
use super::connection::Connection;
use super::framing::Framing;
use super::head::NoHead;
use super::onward::Origin;
use super::{Client, Question, wait_for};
use crate::access_log::Told;
use crate::admission::{TAKES_NOTHING, is_form};
use crate::client_address::{client_address, trusts_peer};
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::limit::Key;
use crate::routes::{self, Body, Service};
use crate::trace::{Trace, request_id};
use crate::{answer, client_stream::Transport};

/// Longest wait for a client to hear that its connection ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// Pieces of a body that are sent from where they are.
const LARGE: usize = 16 << 10;

/// What becomes of a connection.
pub(crate) enum Next {
    /// It has ended.
    Over,
    /// Its next request is for the proxy library; so much of it has been read.
    Other(Transport, BytesMut),
}

/// What was read.
enum Read {
    Request(Asked),
    Other,
    Nothing,
}

/// What has become of a request.
#[derive(Default)]
struct Outcome {
    status: Option<u16>,
    size: usize,
    keeps: bool,
}

impl Gateway {
    /// Answers the requests of a client. `ended` ends an idle connection.
    pub(crate) async fn answer_in_lane(
        &self,
        mut client: Client,
        peer: IpAddr,
        is_tls: bool,
        ended: &CancellationToken,
    ) -> Next {
        let from = Origin { peer, is_tls };
        let mut ended = pin!(ended.cancelled());
        loop {
            let asked = match self.next_request(&mut client, ended.as_mut()).await {
                Read::Request(asked) => asked,
                Read::Nothing => return Next::Over,
                Read::Other => {
                    let (transport, read) = client.into_parts();
                    return Next::Other(transport, read);
                }
            };
            // Apart, so that idle connections do not carry its state.
            match Box::pin(self.answer_next(&mut client, asked, from)).await {
                Some(true) => {}
                Some(false) => return Next::Over,
                None => {
                    let (transport, read) = client.into_parts();
                    return Next::Other(transport, read);
                }
            }
        }
    }

    /// Answers a request that has been read, and tells whether the connection stays open; `None`
    /// where it is for the proxy library.
    async fn answer_next(&self, client: &mut Client, asked: Asked, from: Origin) -> Option<bool> {
        let mut exchange = self.admit_to_lane(&asked, &client.read, from)?;
        let keeps = self.answer_one(client, &asked, &mut exchange, from).await;
        client.answered(asked.length());
        if !keeps {
            client.close(FAREWELL).await;
        }
        Some(keeps)
    }

    async fn next_request(
        &self,
        client: &mut Client,
        mut ended: Pin<&mut impl Future<Output = ()>>,
    ) -> Read {
        let silence = Duration::from_secs(self.keep_alive_seconds);
        let mut deadline = Instant::now() + silence;
        let mut begun = false;
        loop {
            if !client.read.is_empty() {
                match asked::read(&client.read) {
                    Ok(asked) => return Read::Request(asked),
                    Err(NoHead::Odd) => return Read::Other,
                    Err(NoHead::Partial) if !begun => {
                        begun = true;
                        // For all of it, however it drips.
                        deadline = Instant::now() + silence.min(self.settings.body_wait.0);
                    }
                    Err(NoHead::Partial) => {}
                }
            }
            let more = if begun {
                client.more(deadline, pin!(std::future::pending())).await
            } else {
                client.more(deadline, ended.as_mut()).await
            };
            if !more {
                return Read::Nothing;
            }
        }
    }

    /// The exchange of a request that nothing speaks against, in the order of `admission`.
    fn admit_to_lane(&self, asked: &Asked, bytes: &[u8], from: Origin) -> Option<Exchange> {
        let text = |span: super::head::Span| std::str::from_utf8(span.of(bytes)).ok();
        let redirected = self.tls.redirects() && !from.is_tls;
        if self.exports_traces || redirected || self.budget.is_exhausted() {
            return None;
        }
        let project = self.hosts.find(text(asked.host)?)?;
        let found = routes::find(text(asked.path)?)?;
        let route = found.route;
        if route.own_origin || route.service == Service::Realtime {
            return None;
        }
        let is_form = asked
            .content_type
            .is_some_and(|kind| is_form(kind.of(bytes)));
        if route.body == Body::Bounded && asked.body as u64 > self.body_limit(is_form) {
            return None;
        }
        let trust = &self.settings.trust_proxy;
        let forwarded = asked.head.lines.iter().filter_map(|line| {
            let is_chain = known(line.name.of(bytes)) == Known::ForwardedFor;
            is_chain.then(|| line.value.of(bytes))
        });
        let mut exchange = Exchange::new(self.flights.take_off());
        exchange.client = client_address(from.peer, forwarded, trust);
        exchange.peer_trusted = trusts_peer(trust, from.peer);
        if route.limited {
            let key = Key::new(project.limit_key, exchange.client);
            let quota = self.limit.count(key);
            if quota.exceeded {
                return None;
            }
            exchange.quota = Some(quota);
        }
        exchange.project = project.header.clone();
        exchange.found = Some(found);
        exchange.request_id = request_id(asked.request_id.map(|id| id.of(bytes)));
        exchange.trace = Trace::of(asked.traceparent.map(|parent| parent.of(bytes)));
        Some(exchange)
    }

    /// Answers an admitted request, and notes it; whether the connection stays open.
    async fn answer_one(
        &self,
        client: &mut Client,
        asked: &Asked,
        exchange: &mut Exchange,
        from: Origin,
    ) -> bool {
        let mut outcome = Outcome {
            keeps: !asked.closes,
            ..Outcome::default()
        };
        let done = self
            .exchange_in_lane(client, asked, exchange, from, &mut outcome)
            .await;
        let failed = done.err();
        if let Some(error) = &failed {
            self.explain(client, asked, exchange, from, error, &mut outcome)
                .await;
        }
        let text = |span: super::head::Span| std::str::from_utf8(span.of(&client.read)).ok();
        let told = Told {
            method: asked.method.as_str(),
            path: text(asked.path).unwrap_or_default(),
            user_agent: asked.user_agent.and_then(text),
            status: outcome.status,
            size: outcome.size,
            error: failed.as_deref(),
        };
        self.access_log.note(&told, exchange);
        outcome.keeps
    }

    async fn exchange_in_lane(
        &self,
        client: &mut Client,
        asked: &Asked,
        exchange: &mut Exchange,
        from: Origin,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let question = Question {
            bytes: self.onward(asked, &client.read, exchange, from),
            to_head: asked.method == Method::HEAD,
            is_safe: asked.method.is_safe(),
        };
        let (mut connection, answer) = self.ask(client, exchange, &question).await?;
        let head = &answer.head;
        exchange.is_answered(head.find(connection.bytes(), b"content-type"));
        outcome.keeps &= !self.flights.draining();
        outcome.status = Some(answer.status);
        let marks = Marks {
            gateway: self,
            exchange,
            origin: asked.origin.map(|origin| origin.of(&client.read)),
            is_tls: from.is_tls,
            keeps: outcome.keeps,
        };
        let out = marks.on(&answer, connection.bytes());
        connection.begin_body(&answer);
        let in_chunks = !matches!(answer.framing, Framing::Length(_));
        self.pass_body(client, exchange, &mut connection, out, in_chunks, outcome)
            .await?;
        self.keep(exchange, connection);
        Ok(())
    }

    /// Sends `out`, the head, and the body as it comes.
    async fn pass_body(
        &self,
        client: &mut Client,
        exchange: &Exchange,
        connection: &mut Connection,
        mut out: Vec<u8>,
        in_chunks: bool,
        outcome: &mut Outcome,
    ) -> Result<()> {
        loop {
            // All that is there leaves at once.
            loop {
                let piece = connection.body_so_far();
                let piece = piece.or_err(ErrorType::ReadError, "the answer broke off");
                let piece = piece.map_err(Error::into_up)?;
                let bytes = piece.len();
                if bytes == 0 {
                    break;
                }
                if in_chunks || bytes < LARGE {
                    append(&mut out, piece, in_chunks);
                } else {
                    // Rather a second call than a copy.
                    let sent = async {
                        client.send(&out, TAKES_NOTHING).await?;
                        client.send(piece, TAKES_NOTHING).await
                    };
                    taken(sent.await)?;
                    out.clear();
                }
                connection.took(bytes);
                outcome.size += bytes;
            }
            let ended = connection.is_over();
            if ended && in_chunks {
                out.extend_from_slice(b"0\r\n\r\n");
            }
            if !out.is_empty() {
                taken(client.send(&out, TAKES_NOTHING).await)?;
                out.clear();
            }
            if ended {
                return Ok(());
            }
            let more = async { connection.more_body().await.map(drop) };
            wait_for(client, exchange, more).await?;
        }
    }

    /// Says what went wrong, if nothing has been said and somebody is left to hear it.
    async fn explain(
        &self,
        client: &mut Client,
        asked: &Asked,
        exchange: &Exchange,
        from: Origin,
        error: &Error,
        outcome: &mut Outcome,
    ) {
        outcome.keeps = false;
        if outcome.status.is_some() {
            return;
        }
        let Some(own) = answer::to_failure(error, exchange) else {
            return;
        };
        let Ok((response, body)) = answer::render(own).await else {
            return;
        };
        let marks = Marks {
            gateway: self,
            exchange,
            origin: asked.origin.map(|origin| origin.of(&client.read)),
            is_tls: from.is_tls,
            keeps: false,
        };
        let mut out = marks.on_own(&response);
        outcome.status = Some(response.status.as_u16());
        if asked.method != Method::HEAD {
            out.extend_from_slice(&body);
            outcome.size = body.len();
        }
        if let Err(error) = client.send(&out, TAKES_NOTHING).await {
            tracing::debug!(%error, "the client left before its answer");
        }
    }
}

impl Client {
    /// The request at the beginning of what was read, of so many bytes, has been answered.
    fn answered(&mut self, bytes: usize) {
        self.read.advance(bytes.min(self.read.len()));
        if self.read.is_empty() {
            self.read = BytesMut::new();
        }
    }
}

fn taken(sent: std::io::Result<()>) -> Result<()> {
    sent.or_err(ErrorType::WriteError, "the client takes no more")
        .map_err(Error::into_down)
}

fn append(out: &mut Vec<u8>, piece: &[u8], as_chunk: bool) {
    use std::io::Write;
    if as_chunk {
        // Writing into a vector cannot fail.
        let _infallible = write!(out, "{:x}\r\n", piece.len());
    }
    out.extend_from_slice(piece);
    if as_chunk {
        out.extend_from_slice(b"\r\n");
    }
}
