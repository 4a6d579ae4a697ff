//! A WebSocket behind its handshake: two connections, and bytes that go from one to the other.
//!
//! By then nothing is left of the request: neither pingora's session nor its buffers. Bytes are read
//! only when they are there, into memory that is not kept; what the other side does not take at
//! once is kept until it does, and nothing more is read meanwhile.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::client_stream::Transport;
use crate::drain::Flight;
use crate::plain_stream::PlainStream;
use crate::upstream::Lease;

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;

/// What a WebSocket consists of.
#[derive(Debug)]
pub(crate) struct Passage {
    /// The node's side.
    pub(crate) node: Box<PlainStream>,
    /// What the node sent together with its answer.
    pub(crate) to_client: BytesMut,
    /// What the client sent before the passage began.
    pub(crate) to_node: BytesMut,
    /// Counts it as a stream.
    pub(crate) flight: Flight,
    /// Counts it as load of its node.
    pub(crate) lease: Option<Lease>,
    /// The node is given up.
    pub(crate) given_up: CancellationToken,
}

impl Passage {
    /// Passes bytes both ways until either side closes, or the node is given up.
    pub(crate) async fn run(self, mut client: Transport) {
        let Self {
            mut node,
            to_client,
            to_node,
            flight: _flight,
            lease: _lease,
            given_up,
        } = self;
        let mut down = Direction::with(to_client);
        let mut up = Direction::with(to_node);
        let passing = poll_fn(|cx| {
            let down = down.poll(cx, node.as_mut(), &mut client)?;
            let up = up.poll(cx, &mut client, node.as_mut())?;
            // Both sides are gone or as good as gone: nobody is left to tell why.
            if down.is_ready() || up.is_ready() {
                return Poll::Ready(Ok::<_, io::Error>(()));
            }
            Poll::Pending
        });
        let _why = given_up.run_until_cancelled(passing).await;
        // What was passed on leaves before the end does.
        let _late = poll_fn(|cx| Pin::new(&mut client).poll_flush(cx)).await;
        let _gone = poll_fn(|cx| Pin::new(&mut client).poll_shutdown(cx)).await;
    }
}

/// One direction.
struct Direction {
    /// What was read and not taken yet.
    rest: BytesMut,
    /// Something was written and may wait in the writer.
    unflushed: bool,
}

impl Direction {
    fn with(rest: BytesMut) -> Self {
        Self {
            rest,
            unflushed: false,
        }
    }

    /// Passes on what is there. Ready when the reader has ended.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.rest.is_empty() {
                let taken = ready!(Pin::new(&mut *to).poll_write(cx, &self.rest))?;
                if taken == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.rest.advance(taken);
                self.unflushed = true;
            }
            self.rest = BytesMut::new();
            let mut space = [MaybeUninit::uninit(); CHUNK];
            let mut read = ReadBuf::uninit(&mut space);
            let Poll::Ready(result) = Pin::new(&mut *from).poll_read(cx, &mut read) else {
                if self.unflushed {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            };
            result?;
            let bytes = read.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.unflushed = true;
            let taken = match Pin::new(&mut *to).poll_write(cx, bytes)? {
                Poll::Ready(taken) => taken,
                Poll::Pending => 0,
            };
            // The writer says when it takes more; it may already.
            self.rest
                .extend_from_slice(bytes.get(taken..).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn bytes_pass_whole_however_slowly_they_are_taken() {
        let (mut source, mut from) = duplex(64 * 1024);
        let (mut to, mut sink) = duplex(7);
        let sent: Arc<Vec<u8>> = Arc::new((0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect());
        let passing = tokio::spawn(async move {
            let mut direction = Direction::with(BytesMut::from(&b"early"[..]));
            poll_fn(|cx| direction.poll(cx, &mut from, &mut to)).await
        });
        let sending = tokio::spawn({
            let sent = Arc::clone(&sent);
            async move { source.write_all(&sent).await }
        });
        let mut got = Vec::new();
        sink.read_to_end(&mut got).await.unwrap();
        sending.await.unwrap().unwrap();
        passing.await.unwrap().unwrap();
        assert_eq!(&got[..5], b"early");
        assert!(got[5..] == sent[..]);
    }
}
