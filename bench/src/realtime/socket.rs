//! A Socket.IO client that costs next to nothing, so that thousands of them leave the machine to
//! what is measured: WebSocket frames are read, and their payloads not copied.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// Longest wait for one step of a connection.
const STEP: Duration = Duration::from_secs(30);
/// Longest frame that is looked at: a heartbeat, an answer, a short message.
const SHORT: usize = 4096;

/// How a client asks for a room, and what it authenticates with.
#[derive(Debug, Clone)]
pub(crate) struct Entrance {
    pub(crate) address: SocketAddr,
    /// Name of the host, for the edge to know the project by.
    pub(crate) host: String,
    /// Further lines of the handshake, each with its end.
    pub(crate) headers: String,
    /// JSON of the CONNECT packet; empty for none.
    pub(crate) auth: String,
    /// The event that subscribes, as JSON; empty for none.
    pub(crate) subscribe: String,
}

pub(crate) struct Socket {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    text: Vec<u8>,
}

impl Socket {
    /// Connects, joins the namespace and subscribes.
    pub(crate) async fn open(entrance: &Entrance) -> anyhow::Result<Self> {
        timeout(STEP, Self::opened(entrance)).await?
    }

    async fn opened(entrance: &Entrance) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(entrance.address).await?;
        stream.set_nodelay(true)?;
        let (reader, mut writer) = stream.into_split();
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: {}\r\nConnection: \
             Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
             dGhlIHNhbXBsZSBub25jZQ==\r\n{}\r\n",
            entrance.host, entrance.headers
        );
        writer.write_all(request.as_bytes()).await?;
        let mut reader = BufReader::with_capacity(SHORT * 2, reader);
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        ensure!(line.contains(" 101 "), "refused: {line}");
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).await?;
        }
        let mut socket = Self {
            reader,
            writer,
            text: Vec::new(),
        };
        socket.expect("0").await?;
        socket.send(&format!("40{}", entrance.auth)).await?;
        socket.expect("40").await?;
        if !entrance.subscribe.is_empty() {
            socket.send(&format!("420{}", entrance.subscribe)).await?;
            socket.expect("430").await?;
        }
        Ok(socket)
    }

    /// The next event's text, of which a long one is cut. Heartbeats are answered.
    pub(crate) async fn event(&mut self) -> anyhow::Result<&[u8]> {
        loop {
            self.frame().await?;
            if self.text == b"2" {
                self.send("3").await?;
            } else if self.text.starts_with(b"42") {
                return Ok(&self.text);
            }
        }
    }

    async fn expect(&mut self, start: &str) -> anyhow::Result<()> {
        loop {
            self.frame().await?;
            if self.text == b"2" {
                self.send("3").await?;
            } else if self.text.starts_with(start.as_bytes()) {
                return Ok(());
            } else if !self.text.starts_with(b"42") {
                bail!("{}", String::from_utf8_lossy(&self.text));
            }
        }
    }

    /// Reads one frame into `text` (RFC 6455 §5.2); servers do not mask.
    async fn frame(&mut self) -> anyhow::Result<()> {
        let opcode = self.reader.read_u8().await? & 0x0f;
        let length = match self.reader.read_u8().await? & 0x7f {
            126 => usize::from(self.reader.read_u16().await?),
            127 => usize::try_from(self.reader.read_u64().await?)?,
            short => usize::from(short),
        };
        self.text.clear();
        let mut left = length;
        while left > 0 {
            let piece = self.reader.fill_buf().await?;
            ensure!(!piece.is_empty(), "the connection ended");
            let piece = piece.get(..left.min(piece.len())).unwrap_or_default();
            let space = SHORT.saturating_sub(self.text.len());
            self.text.extend(piece.iter().take(space));
            let taken = piece.len();
            left -= taken;
            self.reader.consume(taken);
        }
        ensure!(opcode != 8, "the server closed the connection");
        Ok(())
    }

    /// Sends a text, masked with zeros, which a client may choose.
    async fn send(&mut self, text: &str) -> anyhow::Result<()> {
        let mut frame = vec![0x81];
        match u8::try_from(text.len()) {
            Ok(length) if length < 126 => frame.push(0x80 | length),
            _ => {
                frame.push(0x80 | 0x7e);
                let length = u16::try_from(text.len()).context("a long text")?;
                frame.extend(length.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(text.as_bytes());
        Ok(self.writer.write_all(&frame).await?)
    }
}
