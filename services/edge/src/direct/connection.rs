//! A connection to a service, driven by the task of the request that it carries.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures::future::poll_fn;
use pingora::protocols::l4::ext::set_tcp_keepalive;
use rustix::net::{RecvFlags, recv};
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::io::poll_read_buf;

use super::framing::{Framing, Next, Unsound};
use super::head::{self, Head, NoHead};
use crate::upstream::{Member, Purpose};

/// Bytes that are read at once, and as soon as answers turn out to be large.
const ROOM: usize = 8 << 10;
const LARGE_ROOM: usize = 64 << 10;
/// Largest head of an answer.
const MAX_HEAD: usize = 128 << 10;

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Broken {
    /// Nothing of the request has left.
    pub(super) unsent: bool,
    pub(super) error: io::Error,
}

/// The beginning of an answer. Its bytes are the connection's until the body begins.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: Head,
    /// Where the body ends.
    pub(super) framing: Framing,
}

/// A connection that carries one request after the other; behind a pointer, for it changes hands
/// several times with each of them.
#[derive(Debug)]
pub(super) struct Connection(Box<Parts>);

#[derive(Debug)]
struct Parts {
    stream: TcpStream,
    read: BytesMut,
    room: usize,
    /// Of the answer that is under way.
    framing: Framing,
    /// It cannot carry another request.
    spoiled: bool,
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
        Ok(Self(Box::new(Parts {
            stream,
            read: BytesMut::new(),
            room: ROOM,
            framing: Framing::Length(0),
            spoiled: false,
        })))
    }

    /// Sends the bytes of a request and waits for the head of the answer.
    pub(super) async fn ask(&mut self, request: &[u8], to_head: bool) -> Result<Answer, Broken> {
        let parts = &mut self.0;
        let mut unsent = request;
        // Anything else than a whole conversation leaves it in a state that nobody knows.
        parts.framing = Framing::UntilTheEnd;
        let asking = poll_fn(|cx| parts.poll_answer(cx, &mut unsent, request.len(), to_head));
        let answer = asking.await.map_err(|error| Broken {
            unsent: unsent.len() == request.len(),
            error,
        })?;
        self.0.framing = answer.framing;
        Ok(answer)
    }

    /// The bytes in which the head of the answer is, until [`Connection::begin_body`].
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0.read
    }

    /// Goes on to the body of an answer.
    pub(super) fn begin_body(&mut self, answer: &Answer) {
        self.0.read.advance(answer.head.length);
    }

    /// Waits for more of the body; none at its end.
    pub(super) async fn more_body(&mut self) -> io::Result<&[u8]> {
        let parts = &mut self.0;
        let length = poll_fn(|cx| parts.poll_body(cx)).await?;
        Ok(self.0.read.get(..length).unwrap_or_default())
    }

    /// What of the body is there already.
    pub(super) fn body_so_far(&mut self) -> io::Result<&[u8]> {
        let parts = &mut self.0;
        let length = match parts.framing.next(&mut parts.read)? {
            Next::Data(length) => length,
            Next::More | Next::Over => 0,
        };
        Ok(parts.read.get(..length).unwrap_or_default())
    }

    /// So many bytes of the body were passed on.
    pub(super) fn took(&mut self, bytes: usize) {
        self.0.framing.took(bytes);
        self.0.read.advance(bytes.min(self.0.read.len()));
    }

    /// The next piece of the body; `None` at its end.
    pub(super) async fn next_piece(&mut self) -> io::Result<Option<Bytes>> {
        let length = self.more_body().await?.len();
        if length == 0 {
            return Ok(None);
        }
        self.0.framing.took(length);
        Ok(Some(self.0.read.split_to(length).freeze()))
    }

    /// Whether the body has been passed on as a whole, as far as that is known.
    pub(super) fn is_over(&self) -> bool {
        self.0.framing.is_over()
    }

    /// Whether it is open and nothing is under way on it, as far as the runtime has heard.
    pub(super) fn is_idle(&mut self) -> bool {
        let parts = &mut self.0;
        if parts.spoiled || !parts.framing.is_over() || !parts.read.is_empty() {
            return false;
        }
        // Nobody waits, so nobody has to be woken: whoever reads next asks again.
        let mut nobody = Context::from_waker(Waker::noop());
        parts.poll_fill(&mut nobody).is_pending()
    }

    /// The same as the kernel knows it: for requests that must not be sent twice.
    pub(super) fn is_surely_open(&self) -> bool {
        let mut byte = [0; 1];
        let look = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        recv(&self.0.stream, &mut byte, look) == Err(rustix::io::Errno::AGAIN)
    }

    /// Frees what is not needed while nothing happens.
    pub(super) fn rest(&mut self) {
        if self.0.read.capacity() > ROOM {
            self.0.read = BytesMut::new();
        }
        self.0.room = ROOM;
    }
}

impl Parts {
    /// Sends what is left of a request, and reads meanwhile: a service may answer before it has all.
    fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        unsent: &mut &[u8],
        whole: usize,
        to_head: bool,
    ) -> Poll<io::Result<Answer>> {
        self.poll_send(cx, unsent, whole)?;
        loop {
            if let Some(answer) = self.answer(to_head)? {
                // What it has not read, it will not.
                self.spoiled |= !unsent.is_empty();
                return Poll::Ready(Ok(answer));
            }
            if self.read.len() > MAX_HEAD {
                return Poll::Ready(Err(invalid("the head of the answer is too large")));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        unsent: &mut &[u8],
        whole: usize,
    ) -> io::Result<()> {
        while !unsent.is_empty() && !self.spoiled {
            match Pin::new(&mut self.stream).poll_write(cx, unsent) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(sent)) => *unsent = unsent.get(sent..).unwrap_or_default(),
                Poll::Ready(Err(error)) if unsent.len() == whole => return Err(error),
                // An answer may be there nevertheless.
                Poll::Ready(Err(_)) => self.spoiled = true,
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// The answer whose head has been read, if it has.
    fn answer(&mut self, to_head: bool) -> io::Result<Option<Answer>> {
        loop {
            let head = match head::read(&self.read) {
                Ok(head) => head,
                Err(NoHead::Partial) => return Ok(None),
                Err(NoHead::Odd) => return Err(invalid("the answer is not sound HTTP")),
            };
            let status = status(head.start.of(&self.read));
            match status.ok_or_else(|| invalid("the answer is not HTTP/1.1"))? {
                101 => {
                    let what = "the service switches protocols, which nobody has asked for";
                    return Err(invalid(what));
                }
                // Early hints and the like are no answer yet (RFC 9110 §15.2).
                100..200 => self.read.advance(head.length),
                status => {
                    let framing = Framing::of(&head, &self.read, status, to_head)?;
                    self.spoiled |= framing == Framing::UntilTheEnd || closes(&head, &self.read);
                    return Ok(Some(Answer {
                        status,
                        head,
                        framing,
                    }));
                }
            }
        }
    }

    /// Bytes of the body that are at the beginning of what was read; 0 at its end.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            match self.framing.next(&mut self.read)? {
                Next::Data(length) => return Poll::Ready(Ok(length)),
                Next::Over => return Poll::Ready(Ok(0)),
                Next::More => {}
            }
            if ready!(self.poll_fill(cx))? == 0 {
                if self.framing != Framing::UntilTheEnd {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                self.framing = Framing::Length(0);
            }
        }
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read.capacity() - self.read.len() < self.room / 2 {
            self.read.reserve(self.room);
        }
        let filled = ready!(poll_read_buf(
            Pin::new(&mut self.stream),
            cx,
            &mut self.read
        ))?;
        if filled >= ROOM {
            self.room = LARGE_ROOM;
        }
        Poll::Ready(Ok(filled))
    }
}

impl From<Unsound> for io::Error {
    fn from(_: Unsound) -> Self {
        invalid("nobody can tell where the answer ends")
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The status in the first line of an answer.
fn status(line: &[u8]) -> Option<u16> {
    let (digits, reason) = line.strip_prefix(b"HTTP/1.1 ")?.split_at_checked(3)?;
    let sound = reason.first().is_none_or(|byte| *byte == b' ');
    let status = u16::try_from(head::number(digits)?).ok()?;
    (sound && (100..600).contains(&status)).then_some(status)
}

/// Whether the service closes the connection after the answer.
fn closes(head: &Head, bytes: &[u8]) -> bool {
    head.lines.iter().any(|line| {
        line.name.of(bytes).eq_ignore_ascii_case(b"connection")
            && !line.value.of(bytes).eq_ignore_ascii_case(b"keep-alive")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_three_digits() {
        assert_eq!(status(b"HTTP/1.1 200 OK"), Some(200));
        assert_eq!(status(b"HTTP/1.1 204"), Some(204));
        for odd in [
            &b"HTTP/1.0 200 OK"[..],
            b"HTTP/1.1 2000",
            b"HTTP/1.1 20",
            b"HTTP/1.1  200",
            b"HTTP/1.1 099 x",
            b"HTTP/1.1 999 x",
            b"ICY 200 OK",
        ] {
            assert_eq!(status(odd), None);
        }
    }
}
