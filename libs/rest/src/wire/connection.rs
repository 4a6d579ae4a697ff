//! One connection: messages out, messages in. Whoever uses it drives it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use postgres_protocol::message::backend::{ErrorFields, Message};
use tokio_util::io::{poll_read_buf, poll_write_buf};

use super::answers::Answers;
use super::batch::Batch;
use super::cancel::Canceller;
use super::error::{Fault, WireError};
use super::socket::Stream;
use crate::memory::{Allowance, SMALL, Share};

/// Room made for every read.
const READ: usize = 16 << 10;
/// A buffer that grew beyond this is not kept: large answers must not cost memory forever.
const KEEP: usize = 256 << 10;

/// First byte of a message with a row.
const DATA_ROW: u8 = b'D';
/// Status of `ReadyForQuery` outside a transaction.
const IDLE: u8 = b'I';

/// A connection that is signed in.
pub(crate) struct Connection {
    stream: Stream,
    inbound: BytesMut,
    /// Buffer of the batches, reused.
    outbound: BytesMut,
    canceller: Option<Canceller>,
    /// Where large rows of the batch under way find memory. `None`: anywhere.
    memory: Option<Allowance>,
    /// What the row has that is being read.
    share: Option<Share>,
    /// Syncs that are not answered yet.
    unanswered: usize,
    /// Transaction status that the server reported last.
    status: u8,
    /// The link broke or the server ended the session.
    lost: bool,
    /// `default_transaction_read_only` of the session, as the server reports it.
    reads_only: bool,
}

impl Connection {
    /// Speaks the protocol over a stream.
    pub(super) fn over(stream: Stream) -> Self {
        Self {
            stream,
            inbound: BytesMut::with_capacity(READ),
            outbound: BytesMut::new(),
            canceller: None,
            memory: None,
            share: None,
            unanswered: 0,
            status: IDLE,
            lost: false,
            reads_only: false,
        }
    }

    pub(super) fn set_canceller(&mut self, canceller: Canceller) {
        self.canceller = Some(canceller);
    }

    /// A batch to fill.
    pub(crate) fn batch(&mut self) -> Batch {
        Batch::within(std::mem::take(&mut self.outbound))
    }

    /// Sends a batch and reads until all of it is answered. Dropped before that, the connection is
    /// of no more use: see [`Connection::is_idle`].
    pub(crate) async fn exchange(&mut self, mut batch: Batch) -> Result<Answers, WireError> {
        self.post(&mut batch).await;
        let parses = std::mem::take(&mut batch.parses);
        let mut answers = Answers::expecting(parses, batch.steps);
        let read = self.read_into(&mut answers).await;
        self.lost |= read.is_err();
        read?;
        if batch.out.capacity() <= KEEP {
            self.outbound = batch.out;
        }
        if self.inbound.is_empty() && self.inbound.capacity() > KEEP {
            self.inbound = BytesMut::with_capacity(READ);
        }
        Ok(answers)
    }

    /// The same for a batch that is answered with one large row at most, which takes its memory
    /// from there.
    pub(crate) async fn exchange_within(
        &mut self,
        memory: Option<Allowance>,
        batch: Batch,
    ) -> Result<Answers, WireError> {
        self.memory = memory;
        let answers = self.exchange(batch).await;
        self.memory = None;
        answers
    }

    async fn read_into(&mut self, answers: &mut Answers) -> Result<(), WireError> {
        while self.unanswered > 0 {
            match self.receive().await? {
                Message::ReadyForQuery(_) | Message::NotificationResponse(_) => {}
                message => answers.take(message, self.share.take())?,
            }
        }
        Ok(())
    }

    /// Sends a batch; the answers are left to [`Connection::receive`].
    pub(crate) async fn post(&mut self, batch: &mut Batch) {
        batch.finish();
        self.unanswered += batch.syncs;
        if let Err(error) = self.send(&mut batch.out).await {
            // What the server said before it hung up is still to be read, and says more.
            tracing::debug!(%error, "cannot write to the database");
        }
    }

    /// Writes bytes. A server that waits for us to read first is read from meanwhile.
    pub(super) async fn send(&mut self, out: &mut BytesMut) -> io::Result<()> {
        poll_fn(|context| {
            while out.has_remaining() {
                let stream = Pin::new(&mut self.stream);
                match poll_write_buf(stream, context, out)? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(_) => {}
                    Poll::Pending => ready!(self.poll_fill(context))?,
                }
            }
            tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.stream), context)
        })
        .await
    }

    /// The next message that is part of the conversation. Safe to drop.
    pub(crate) async fn receive(&mut self) -> Result<Message, WireError> {
        let broken = |error: io::Error| WireError::broken(&error);
        loop {
            while let Some(message) = Message::parse(&mut self.inbound).map_err(broken)? {
                if let Some(message) = self.note(message) {
                    return Ok(message);
                }
            }
            self.make_room().await?;
            poll_fn(|context| self.poll_fill(context))
                .await
                .map_err(broken)?;
        }
    }

    /// Takes memory for a large row whose beginning is here.
    async fn make_room(&mut self) -> Result<(), WireError> {
        let (Some((memory, patience)), None) = (&self.memory, &self.share) else {
            return Ok(());
        };
        if let [DATA_ROW, length @ ..] = &*self.inbound
            && let Some(length) = length.first_chunk()
            && let Ok(length) = usize::try_from(i32::from_be_bytes(*length))
            && length > SMALL
        {
            self.share = Some(memory.take(length, *patience).await?);
        }
        Ok(())
    }

    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The rest of a message has its room already: more would copy a large one.
        if self.inbound.is_empty() || self.inbound.len() == self.inbound.capacity() {
            self.inbound.reserve(READ);
        }
        let stream = Pin::new(&mut self.stream);
        match ready!(poll_read_buf(stream, context, &mut self.inbound))? {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Remembers what a message says about the connection. Returns those that answer something.
    fn note(&mut self, message: Message) -> Option<Message> {
        match &message {
            Message::ReadyForQuery(body) => {
                self.status = body.status();
                self.unanswered = self.unanswered.saturating_sub(1);
            }
            Message::ParameterStatus(body) => {
                if let (Ok("default_transaction_read_only"), Ok(value)) =
                    (body.name(), body.value())
                {
                    self.reads_only = value == "on";
                }
                return None;
            }
            Message::NoticeResponse(body) => {
                log_notice(body.fields());
                return None;
            }
            _ => {}
        }
        Some(message)
    }

    /// Everything that was sent has been answered, and no transaction is open.
    pub(crate) fn is_idle(&self) -> bool {
        self.unanswered == 0 && self.status == IDLE && !self.lost
    }

    /// Transactions of this session may only read unless they say otherwise.
    pub(crate) fn reads_only(&self) -> bool {
        self.reads_only
    }

    /// False if the server has hung up, or said something that nobody asked. Does not wait.
    pub(crate) fn is_alive(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        loop {
            match self.poll_fill(&mut context) {
                Poll::Pending => return self.inbound.is_empty(),
                Poll::Ready(Err(_)) => return false,
                Poll::Ready(Ok(())) => {}
            }
            while let Ok(Some(message)) = Message::parse(&mut self.inbound) {
                match self.note(message) {
                    None | Some(Message::NotificationResponse(_)) => {}
                    Some(_) => return false,
                }
            }
        }
    }

    /// Hangs up. What is still running is cancelled by a task of its own.
    pub(crate) fn abandon(&mut self) {
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let canceller = self
            .canceller
            .clone()
            .filter(|_| self.unanswered > 0 && !self.lost);
        if let (Some(canceller), Ok(runtime)) = (canceller, tokio::runtime::Handle::try_current()) {
            runtime.spawn(async move {
                canceller.cancel().await;
                drop(stream);
            });
        }
    }
}

fn log_notice(fields: ErrorFields<'_>) {
    if tracing::enabled!(tracing::Level::DEBUG) {
        let notice = Fault::read(fields);
        tracing::debug!(code = notice.code, message = notice.message, "notice");
    }
}
