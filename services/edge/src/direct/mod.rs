//! The short way to a service, for what most requests are: a head, perhaps a small body, and nothing
//! in either that asks for more than to be answered.
//!
//! The proxy library's own way carries every piece of both bodies through queues between two halves,
//! and watches each idle connection with a task. Here the task that has read the request sends it,
//! and passes on the answer as it comes. Whatever is not plain (see [`is_plain`]) goes the long way;
//! what happens to heads, and who gets a request, is the same on both.
//!
//! Shorter still is the [`lane`], where requests of HTTP/1.1 are not even read by the library.

mod answered;
mod asked;
mod connection;
mod framing;
mod head;
mod idle;
mod lane;
mod onward;
mod plain;
mod waiting;

use std::io;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session;
use pingora::{Error, ErrorType, OrErr, Result};

pub(crate) use idle::{IdleConnections, sweep};
pub(crate) use lane::Next;
pub(crate) use plain::is_plain;
pub(crate) use waiting::Client;

use crate::exchange::Exchange;
use crate::gateway::Gateway;
use crate::upstream::Member;
use connection::{Answer, Broken, Connection};
use waiting::Asker;

/// An answer whose body is still to come, and the connection that it comes from.
type Answered = (Connection, Answer);

/// A request as it goes to a service.
#[derive(Debug)]
struct Question {
    bytes: Vec<u8>,
    /// Whether the answer will be without its body (HEAD).
    to_head: bool,
    /// Whether it may be sent again (RFC 9110 §9.2.1).
    is_safe: bool,
}

impl Gateway {
    /// Has a plain request answered by its service. Until something of the answer has been passed
    /// on, an error is one of the request's.
    pub(crate) async fn exchange_directly(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let body = plain::whole_body(session, self.settings.body_wait.0).await?;
        let question = self.question(session, exchange, &body)?;
        let (mut connection, answer) = self.ask(session, exchange, &question).await?;
        self.pass_on(session, exchange, &mut connection, &answer)
            .await?;
        self.keep(exchange, connection);
        Ok(())
    }

    fn question(&self, session: &Session, exchange: &Exchange, body: &Bytes) -> Result<Question> {
        let mut request = session.req_header().clone();
        name_host(&mut request)?;
        self.prepare_request(session, exchange, &mut request)?;
        Ok(Question {
            bytes: onward(request, body)?,
            to_head: session.req_header().method == http::Method::HEAD,
            is_safe: session.req_header().method.is_safe(),
        })
    }

    /// Sends the request until somebody answers. Who does not take it at all is followed by another
    /// one; after anything else, only a safe method is sent again.
    async fn ask(
        &self,
        asker: &mut impl Asker,
        exchange: &mut Exchange,
        question: &Question,
    ) -> Result<Answered> {
        loop {
            let member = self.next_member(exchange).await?;
            if let Some(kept) = self.kept(exchange, question) {
                match attempt(asker, &member, kept, question).await? {
                    Ok(answered) => return Ok(answered),
                    // Closed in the very moment, which says nothing about the service.
                    Err(broken) if broken.unsent || question.is_safe => {}
                    Err(broken) => return broken_off(&member, broken),
                }
            }
            let Ok(fresh) = Connection::open(&member, exchange.purpose()).await else {
                self.note_refusal(exchange);
                if exchange.tried.may_go_on() {
                    continue;
                }
                let refused = Error::explain(ErrorType::ConnectError, "no member takes it");
                return Err(refused.into_up());
            };
            let broken = match attempt(asker, &member, fresh, question).await? {
                Ok(answered) => return Ok(answered),
                Err(broken) => broken,
            };
            let again = (broken.unsent || question.is_safe) && exchange.tried.may_go_on();
            if !again {
                return broken_off(&member, broken);
            }
            member.failed();
            let error = broken.error;
            tracing::debug!(%error, request_id = ?exchange.request_id, "trying another upstream");
        }
    }

    /// A connection to the exchange's member that waits for a request.
    fn kept(&self, exchange: &Exchange, question: &Question) -> Option<Connection> {
        let to = exchange.destination()?;
        loop {
            let kept = self.idle.take(to)?;
            if question.is_safe || kept.is_surely_open() {
                return Some(kept);
            }
        }
    }

    /// Keeps a connection whose answer has been passed on for the next request.
    fn keep(&self, exchange: &Exchange, connection: Connection) {
        if let Some(to) = exchange.destination() {
            self.idle.put(to, connection);
        }
    }

    /// Passes the answer on, piece by piece as it comes.
    async fn pass_on(
        &self,
        session: &mut Session,
        exchange: &mut Exchange,
        connection: &mut Connection,
        answer: &Answer,
    ) -> Result<()> {
        let mut response = response(answer, connection.bytes())?;
        connection.begin_body(answer);
        let mut ended = connection.is_over();
        if !ended && !has_length(&response) {
            response.insert_header(header::TRANSFER_ENCODING, "chunked")?;
        }
        let kind = response.headers.get(header::CONTENT_TYPE);
        exchange.is_answered(kind.map(HeaderValue::as_bytes));
        self.prepare_answer(session, exchange, &mut response);
        session
            .write_response_header(response, ended)
            .await
            .map_err(Error::into_down)?;
        while !ended {
            let piece = wait_for(session, exchange, connection.next_piece()).await?;
            ended = piece.is_none() || connection.is_over();
            session
                .write_response_body(piece, ended)
                .await
                .map_err(Error::into_down)?;
        }
        Ok(())
    }
}

/// One try on one connection. An error is final: nobody waits for the answer any more, or it does
/// not come.
async fn attempt(
    asker: &mut impl Asker,
    member: &Member,
    mut connection: Connection,
    question: &Question,
) -> Result<Result<Answered, Broken>> {
    let asking = connection.ask(&question.bytes, question.to_head);
    let Some(answer) = asker.wait(member.timeouts.silence, asking).await? else {
        member.failed();
        let late = Error::explain(ErrorType::ReadTimedout, "no answer in time");
        return Err(late.into_up());
    };
    Ok(answer.map(|answer| (connection, answer)))
}

/// Waits for more of an answer.
async fn wait_for<T>(
    asker: &mut impl Asker,
    exchange: &Exchange,
    more: impl Future<Output = io::Result<T>> + Send,
) -> Result<T> {
    let Some(lease) = &exchange.lease else {
        return Error::e_explain(ErrorType::InternalError, "nobody has the request");
    };
    let member = lease.member();
    let more = match asker.wait(member.timeouts.silence, more).await? {
        Some(more) => more.or_err(ErrorType::ReadError, "the answer broke off"),
        None => Error::e_explain(ErrorType::ReadTimedout, "no more of the answer"),
    };
    more.map_err(|error| {
        member.failed();
        error.into_up()
    })
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
fn onward(mut request: RequestHeader, body: &Bytes) -> Result<Vec<u8>> {
    request.remove_header(&header::CONNECTION);
    request.remove_header(&plain::KEEP_ALIVE);
    if request.remove_header(&header::CONTENT_LENGTH).is_some() || !body.is_empty() {
        // That of the body which is really sent.
        request.insert_header(header::CONTENT_LENGTH, HeaderValue::from(body.len()))?;
    }
    let mut bytes = Vec::with_capacity(1024 + body.len());
    bytes.extend_from_slice(request.method.as_str().as_bytes());
    bytes.push(b' ');
    bytes.extend_from_slice(request.raw_path());
    bytes.extend_from_slice(b" HTTP/1.1\r\n");
    request.header_to_h1_wire(&mut bytes);
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// The head of an answer as pingora takes it.
fn response(answer: &Answer, bytes: &[u8]) -> Result<Box<ResponseHeader>> {
    let (mut parts, ()) = Response::new(()).into_parts();
    let unsound =
        || Error::explain(ErrorType::InvalidHTTPHeader, "a header of the answer").into_up();
    parts.status = answer.status.try_into().map_err(|_| unsound())?;
    parts.version = Version::HTTP_11;
    for line in &answer.head.lines {
        let name = HeaderName::from_bytes(line.name.of(bytes)).map_err(|_| unsound())?;
        let value = HeaderValue::from_bytes(line.value.of(bytes)).map_err(|_| unsound())?;
        parts.headers.append(name, value);
    }
    Ok(Box::new(ResponseHeader::from(parts)))
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
