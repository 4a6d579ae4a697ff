//! WebSockets (RFC 6455): the handshake, then bytes both ways until either side closes.
//!
//! The proxy library's own way is for requests: where the 101 comes before the empty request's end
//! was passed on, it takes that end for the end of the stream. A handshake has no body, so here
//! nothing of the kind can be under way.

use http::header::{self, HeaderValue};
use http::{StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::protocols::http::v1::client::HttpSession as Upstream;
use pingora::proxy::Session;
use pingora::{Error, Result};

use crate::exchange::Exchange;
use crate::gateway::Gateway;

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
        let mut node = self.dial(exchange).await?;
        let answer = handshake(&mut node, request).await;
        if let Some(lease) = &exchange.lease {
            match &answer {
                Ok(_) => lease.member().succeeded(),
                Err(_) => lease.member().failed(),
            }
        }
        let mut answer = answer.map_err(Error::into_up)?;
        let accepted = answer.status == StatusCode::SWITCHING_PROTOCOLS;
        self.prepare_answer(session, exchange, &mut answer);
        session
            .write_response_header(Box::new(answer), false)
            .await?;
        if accepted {
            exchange.flight.becomes_stream();
            // Both sides are gone or as good as gone: nobody is left to tell why.
            let _why = pass(session, &mut node).await;
            Ok(())
        } else {
            refuse(session, &mut node).await
        }
    }

    /// Connects to the node that the exchange belongs to, or to another one that takes it.
    async fn dial(&self, exchange: &mut Exchange) -> Result<Upstream> {
        loop {
            let peer = self.next_peer(exchange).await?;
            match self.connector.get_http_session(&*peer).await {
                Ok((mut node, _)) => {
                    node.read_timeout = peer.options.read_timeout;
                    node.write_timeout = peer.options.write_timeout;
                    return Ok(node);
                }
                Err(error) => {
                    self.note_refusal(exchange);
                    if !exchange.tried.may_go_on() {
                        return Err(error.into_up());
                    }
                }
            }
        }
    }
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

/// Passes bytes both ways until one side closes.
async fn pass(session: &mut Session, node: &mut Upstream) -> Result<()> {
    // A WebSocket may be silent for as long as both sides like.
    node.read_timeout = None;
    node.maybe_upgrade_body_writer();
    loop {
        tokio::select! {
            sent = session.as_downstream_mut().read_request_body() => match sent? {
                Some(bytes) => drop(node.write_body(&bytes).await?),
                None => return Ok(()),
            },
            answered = node.read_body_bytes() => match answered? {
                Some(bytes) => session.write_response_body(Some(bytes), false).await?,
                None => return Ok(()),
            },
        }
    }
}
