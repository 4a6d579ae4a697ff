//! A connection to a service, driven by the task of the request that it carries.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Waker};

use bytes::Bytes;
use futures::future::poll_fn;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pingora::protocols::l4::ext::set_tcp_keepalive;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::upstream::{Member, Purpose};

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Broken {
    /// Nothing of the request has left.
    pub(super) unsent: bool,
    pub(super) error: hyper::Error,
}

/// A connection that carries one request after the other; behind a pointer, for it changes hands
/// several times with each of them.
#[derive(Debug)]
pub(super) struct Connection(Box<Parts>);

#[derive(Debug)]
struct Parts {
    sender: http1::SendRequest<Full<Bytes>>,
    /// Reads and writes. No task of its own: whoever waits for something drives it.
    driver: http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
    ended: bool,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    /// Nobody takes the connection in time.
    pub(super) async fn open(member: &Member, purpose: Purpose) -> io::Result<Self> {
        let connecting = TcpStream::connect(member.address);
        let stream = timeout(member.timeouts.connect, connecting).await??;
        stream.set_nodelay(true)?;
        set_tcp_keepalive(&stream, &purpose.keepalive()).map_err(io::Error::other)?;
        let (sender, driver) = http1::Builder::new()
            // What is sent is small: one copy costs less than a list of pieces.
            .writev(false)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        Ok(Self(Box::new(Parts {
            sender,
            driver,
            ended: false,
        })))
    }

    /// Sends a request and waits for the head of the answer.
    pub(super) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Broken> {
        let answer = self.0.sender.try_send_request(request);
        self.0.drive(answer).await.map_err(|error| Broken {
            unsent: error.message().is_some(),
            error: error.into_error(),
        })
    }

    /// The next piece of an answer's body; `None` at its end.
    pub(super) async fn next_piece(
        &mut self,
        body: &mut Incoming,
    ) -> Result<Option<Bytes>, hyper::Error> {
        while !body.is_end_stream() {
            match self.0.drive(body.frame()).await {
                None => break,
                Some(frame) => {
                    // Trailers say nothing that clients of the services wait for.
                    if let Ok(data) = frame?.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
        Ok(None)
    }

    /// Whether it is open and nothing is under way on it.
    pub(super) fn is_idle(&mut self) -> bool {
        // Nobody waits, so nobody has to be woken: whoever drives it next asks again.
        let parts = &mut self.0;
        parts.advance(&mut Context::from_waker(Waker::noop()));
        !parts.ended && parts.sender.is_ready()
    }
}

impl Parts {
    /// Reads and writes until `wanted` is there. The end of the connection shows in that, too.
    async fn drive<T>(&mut self, wanted: impl Future<Output = T>) -> T {
        let mut wanted = pin!(wanted);
        poll_fn(|cx| {
            self.advance(cx);
            wanted.as_mut().poll(cx)
        })
        .await
    }

    fn advance(&mut self, cx: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut self.driver).poll(cx).is_ready();
        }
    }
}
