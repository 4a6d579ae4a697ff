//! WebSockets (RFC 6455): the handshake. What follows is a [`Passage`].
//!
//! The proxy library's own way is for requests: where the 101 comes before the empty request's end
//! was passed on, it takes that end for the end of the stream. A handshake has no body, so here
//! nothing of the kind can be under way.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use futures::FutureExt;
use http::header::{self, HeaderValue};
use http::{StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::v1::client::HttpSession as Upstream;
use pingora::proxy::Session;
use pingora::upstreams::peer::Peer;
use pingora::{Error, ErrorType, Result};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client_stream;
use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::passage::Passage;
use crate::plain_stream::PlainStream;

/// How long a connection may take where no setting says so.
const CONNECT: Duration = Duration::from_secs(2);

/// Headers of a client's connection to us that say nothing about ours to the node (RFC 9110
/// §7.6.1).
const OF_THE_CONNECTION: [&str; 5] = [
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
];

impl Gateway {
    /// Answers a handshake with what the node answers; ends when the WebSocket does. Until the
    /// node has answered, an error is one of the request's.
    pub(crate) async fn tunnel(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let mut request = session.req_header().clone();
        self.prepare_request(session, exchange, &mut request)?;
        make_handshake(&mut request)?;
        let (mut node, mut answer) = self.shake_hands(exchange, &request).await?;
        let accepted = answer.status == StatusCode::SWITCHING_PROTOCOLS;
        self.prepare_answer(session, exchange, &mut answer);
        if !accepted {
            session
                .write_response_header(Box::new(answer), false)
                .await?;
            return refuse(session, &mut node).await;
        }
        session.set_keepalive(None);
        session
            .write_response_header(Box::new(answer), false)
            .await?;
        exchange.flight.becomes_stream();
        let given_up = exchange
            .lease
            .as_ref()
            .map(|lease| lease.member().given_up())
            .unwrap_or_default();
        let to_node = sent_already(session)?;
        let to_client = answered_already(&mut node)?;
        let Ok(node) = node.into_inner().into_any().downcast::<PlainStream>() else {
            return Error::e_explain(ErrorType::InternalError, "not our own connection");
        };
        // What the exchange keeps is counted off at once.
        let flight = std::mem::replace(&mut exchange.flight, self.flights.take_off());
        client_stream::becomes(Passage {
            node,
            to_client,
            to_node,
            flight,
            lease: exchange.lease.take(),
            given_up,
        });
        Ok(())
    }

    /// Sends the handshake to a node. One that breaks off, stands still, or takes no new sockets
    /// because it stops, has not begun anything: another one gets it then, unless it belongs to a
    /// session of that node.
    async fn shake_hands(
        &self,
        exchange: &mut Exchange,
        request: &RequestHeader,
    ) -> Result<(Upstream, ResponseHeader)> {
        loop {
            let mut node = self.dial(exchange).await?;
            let member = exchange
                .lease
                .as_ref()
                .map(|lease| Arc::clone(lease.member()));
            let given_up = member.as_ref().map(|it| it.given_up()).unwrap_or_default();
            let shaking = handshake(&mut node, request.clone());
            let answer = match given_up.run_until_cancelled(shaking).await {
                Some(answer) => answer.map_err(Error::into_up),
                None => Error::e_explain(ErrorType::ReadTimedout, "the node stands still"),
            };
            if let Some(member) = member {
                match &answer {
                    Ok(_) => member.succeeded(),
                    Err(_) => member.failed(),
                }
            }
            let may_move = exchange.node.is_none() && exchange.tried.may_go_on();
            match answer {
                Ok(answer) if !(may_move && is_elsewhere(&answer)) => return Ok((node, answer)),
                Err(error) if !may_move => return Err(error),
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Connects to the node that the exchange belongs to, or to another one that takes it.
    async fn dial(&self, exchange: &mut Exchange) -> Result<Upstream> {
        loop {
            let peer = self.next_peer(exchange).await?;
            let Some(address) = peer.address().as_inet() else {
                return Error::e_explain(ErrorType::InternalError, "a node without an address");
            };
            let limit = peer.options.connection_timeout.unwrap_or(CONNECT);
            if let Ok(Ok(stream)) = timeout(limit, TcpStream::connect(address)).await {
                stream.set_nodelay(true).ok();
                let mut node = Upstream::new(Box::new(PlainStream::outgoing(stream)));
                node.read_timeout = peer.options.read_timeout;
                node.write_timeout = peer.options.write_timeout;
                return Ok(node);
            }
            self.note_refusal(exchange);
            if !exchange.tried.may_go_on() {
                return Error::e_explain(ErrorType::ConnectError, "no node takes it");
            }
        }
    }
}

/// Whether the node says that another one should be asked.
fn is_elsewhere(answer: &ResponseHeader) -> bool {
    answer.status == StatusCode::SERVICE_UNAVAILABLE
}

/// Leaves of the client's headers what makes a handshake of our own.
fn make_handshake(request: &mut RequestHeader) -> Result<()> {
    request.set_version(Version::HTTP_11);
    for name in OF_THE_CONNECTION {
        request.remove_header(name);
    }
    request.remove_header(&header::CONTENT_LENGTH);
    request.insert_header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
}

/// Sends the handshake and reads the head of the answer.
async fn handshake(node: &mut Upstream, request: RequestHeader) -> Result<ResponseHeader> {
    node.write_request_header(Box::new(request)).await?;
    loop {
        let head = node.read_resp_header_parts().await?;
        // Early hints and the like are no answer yet (RFC 9110 §15.2).
        if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(*head);
        }
    }
}

/// Passes on an answer that is no 101.
async fn refuse(session: &mut Session, node: &mut Upstream) -> Result<()> {
    while let Some(bytes) = node.read_body_bytes().await.map_err(Error::into_up)? {
        session.write_response_body(Some(bytes), false).await?;
    }
    session.write_response_body(None, true).await
}

/// What the client has sent already: it need not wait for the answer's arrival.
fn sent_already(session: &mut Session) -> Result<BytesMut> {
    let mut sent = BytesMut::new();
    loop {
        let reading = session.as_downstream_mut().read_request_body();
        match pin!(reading).now_or_never() {
            Some(Ok(Some(bytes))) => sent.extend_from_slice(&bytes),
            Some(Err(error)) => return Err(error),
            Some(Ok(None)) | None => return Ok(sent),
        }
    }
}

/// What the node has sent already, often in one segment with its answer.
fn answered_already(node: &mut Upstream) -> Result<BytesMut> {
    node.read_timeout = None;
    node.maybe_upgrade_body_writer();
    let mut answered = BytesMut::new();
    loop {
        match pin!(node.read_body_bytes()).now_or_never() {
            Some(Ok(Some(bytes))) => answered.extend_from_slice(&bytes),
            Some(Err(error)) => return Err(error.into_up()),
            Some(Ok(None)) | None => return Ok(answered),
        }
    }
}
