//! The short way to a service, for what most requests are: a head, perhaps a small body, and nothing
//! in either that asks for more than to be answered.
//!
//! The proxy library's own way carries every piece of both bodies through queues between two halves,
//! and watches each idle connection with a task. Here the task that has read the request sends it,
//! and passes on the answer as it comes. Whatever is not plain (see [`is_plain`]) goes the long way;
//! what happens to heads, and who gets a request, is the same on both.

mod connection;
mod idle;
mod plain;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, Uri, Version, header};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::time::timeout;

pub(crate) use idle::{IdleConnections, sweep};
pub(crate) use plain::is_plain;

use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::upstream::Member;
use connection::{Broken, Connection};

/// An answer whose body is still to come, and the connection that it comes from.
type Answered = (Connection, Response<Incoming>);

impl Gateway {
    /// Has a plain request answered by its service. Until something of the answer has been passed
    /// on, an error is one of the request's.
    pub(crate) async fn exchange_directly(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let body = plain::whole_body(session, self.settings.body_wait.0).await?;
        let (mut connection, answer) = self.ask(session, exchange, &body).await?;
        self.pass_on(session, exchange, &mut connection, answer)
            .await?;
        if let Some(lease) = &exchange.lease {
            let to = (lease.member().address, exchange.purpose());
            self.idle.put(to, connection);
        }
        Ok(())
    }

    /// Sends the request until somebody answers. Who does not take it at all is followed by another
    /// one; after anything else, only a safe method (RFC 9110 §9.2.1) is sent again.
    async fn ask(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        body: &Bytes,
    ) -> Result<Answered> {
        let is_safe = session.req_header().method.is_safe();
        loop {
            let member = self.next_member(exchange).await?;
            let purpose = exchange.purpose();
            if let Some(kept) = self.idle.take((member.address, purpose)) {
                let attempt = self.attempt(session, exchange, &member, kept, body);
                match attempt.await? {
                    Ok(answered) => return Ok(answered),
                    // Closed in the very moment, which says nothing about the service.
                    Err(broken) if broken.unsent || is_safe => {}
                    Err(broken) => return broken_off(&member, broken),
                }
            }
            let Ok(fresh) = Connection::open(&member, purpose).await else {
                self.note_refusal(exchange);
                if exchange.tried.may_go_on() {
                    continue;
                }
                let refused = Error::explain(ErrorType::ConnectError, "no member takes it");
                return Err(refused.into_up());
            };
            let attempt = self.attempt(session, exchange, &member, fresh, body);
            let broken = match attempt.await? {
                Ok(answered) => return Ok(answered),
                Err(broken) => broken,
            };
            let again = (broken.unsent || is_safe) && exchange.tried.may_go_on();
            if !again {
                return broken_off(&member, broken);
            }
            member.failed();
            let error = broken.error;
            tracing::debug!(%error, request_id = ?exchange.request_id, "trying another upstream");
        }
    }

    /// One try on one connection. An error is final: nobody waits for the answer any more, or it
    /// does not come.
    async fn attempt(
        &self,
        session: &mut Session,
        exchange: &Exchange,
        member: &Member,
        mut connection: Connection,
        body: &Bytes,
    ) -> Result<Result<Answered, Broken>> {
        let mut request = session.req_header().clone();
        name_host(&mut request)?;
        self.prepare_request(session, exchange, &mut request)?;
        let request = onward(request.into(), body.clone());
        let asking = timeout(member.timeouts.silence, connection.ask(request));
        tokio::select! {
            biased;
            answer = asking => match answer {
                Ok(answer) => Ok(answer.map(|answer| (connection, answer))),
                Err(_late) => {
                    member.failed();
                    let late = Error::explain(ErrorType::ReadTimedout, "no answer in time");
                    Err(late.into_up())
                }
            },
            error = client_leaves(session) => Err(error),
        }
    }

    /// Passes the answer on, piece by piece as it comes.
    async fn pass_on(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        connection: &mut Connection,
        answer: Response<Incoming>,
    ) -> Result<()> {
        let (head, mut body) = answer.into_parts();
        if head.status.is_informational() {
            let what = "the service switches protocols, which nobody has asked for";
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, what).into_up());
        }
        let mut ended = body.is_end_stream();
        let mut response = Box::new(ResponseHeader::from(head));
        response.set_version(Version::HTTP_11);
        if !ended && !has_length(&response) {
            response.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        exchange.is_answered(&response);
        self.prepare_answer(session, exchange, &mut response);
        session
            .write_response_header(response, ended)
            .await
            .map_err(Error::into_down)?;
        while !ended {
            let piece = self.next_piece(session, exchange, connection, &mut body);
            let piece = piece.await?;
            ended = piece.is_none() || body.is_end_stream();
            session
                .write_response_body(piece, ended)
                .await
                .map_err(Error::into_down)?;
        }
        Ok(())
    }

    async fn next_piece(
        &self,
        session: &mut Session,
        exchange: &Exchange,
        connection: &mut Connection,
        body: &mut Incoming,
    ) -> Result<Option<Bytes>> {
        let Some(lease) = &exchange.lease else {
            return Ok(None);
        };
        let member = lease.member();
        let reading = timeout(member.timeouts.silence, connection.next_piece(body));
        let piece = tokio::select! {
            biased;
            piece = reading => piece,
            error = client_leaves(session) => return Err(error),
        };
        let piece = match piece {
            Ok(piece) => piece.or_err(ErrorType::ReadError, "the answer broke off"),
            Err(_late) => Error::e_explain(ErrorType::ReadTimedout, "no more of the answer"),
        };
        piece.map_err(|error| {
            member.failed();
            error.into_up()
        })
    }
}

/// Ends when nobody waits for the answer any more.
async fn client_leaves(session: &mut Session) -> Box<Error> {
    match session.as_downstream_mut().read_body_or_idle(true).await {
        Err(error) => error.into_down(),
        // It says so by an error; anything else is no news.
        Ok(_) => std::future::pending().await,
    }
}

/// HTTP/2 has the host in the target, HTTP/1.1 beside it (RFC 9113 §8.3.1).
fn name_host(request: &mut RequestHeader) -> Result<()> {
    let Some(authority) = request.uri.authority().cloned() else {
        return Ok(());
    };
    request
        .insert_header(header::HOST, authority.as_str())
        .map_err(Error::into_down)
}

/// The request as it goes to a service.
fn onward(mut head: Parts, body: Bytes) -> Request<Full<Bytes>> {
    if let Some(target) = head.uri.path_and_query() {
        head.uri = Uri::from(target.clone());
    }
    head.version = Version::HTTP_11;
    head.headers.remove(header::CONNECTION);
    head.headers.remove(plain::KEEP_ALIVE);
    Request::from_parts(head, Full::new(body))
}

fn has_length(response: &ResponseHeader) -> bool {
    let headers = &response.headers;
    headers.contains_key(header::CONTENT_LENGTH) || headers.contains_key(header::TRANSFER_ENCODING)
}

/// A try that came to nothing, and the last one.
fn broken_off<T>(member: &Member, broken: Broken) -> Result<T> {
    member.failed();
    Err(Error::because(ErrorType::ReadError, "no answer", broken.error).into_up())
}
