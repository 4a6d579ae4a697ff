//! A PostgREST stand-in that follows a script, with real sockets: it answers, stalls, resets.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What the upstream does with one request.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Answers with these bytes.
    Answer(&'static str),
    /// Answers with these bytes after a pause.
    AnswerAfter(Duration, &'static str),
    /// Sends these bytes and then resets the connection.
    Break(&'static str),
    /// Resets the connection without an answer.
    Reset,
    /// Closes the connection in an orderly way, without an answer.
    Close,
    /// Sends these bytes and nothing more, ever.
    Stall(&'static str),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Which connection carried it, counted from 0.
    pub(super) connection: usize,
    /// Request line and headers.
    pub(super) head: String,
    /// Body.
    pub(super) body: String,
}

#[derive(Debug, Default)]
struct Play {
    script: Mutex<VecDeque<Act>>,
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

/// The running upstream; dropping it closes everything.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    play: Arc<Play>,
    task: JoinHandle<()>,
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Upstream {
    /// Plays `script`, one act per request, on a free port.
    pub(super) async fn play(script: impl IntoIterator<Item = Act>) -> Self {
        Self::play_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    /// The same on a given port.
    pub(super) async fn play_at(
        address: SocketAddr,
        script: impl IntoIterator<Item = Act>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let play = Arc::new(Play {
            script: Mutex::new(script.into_iter().collect()),
            ..Play::default()
        });
        Self {
            address: listener.local_addr().unwrap(),
            play: Arc::clone(&play),
            task: tokio::spawn(accept(listener, play)),
        }
    }

    /// The requests so far.
    pub(super) fn seen(&self) -> Vec<Seen> {
        self.play.seen.lock().unwrap().clone()
    }

    /// Connections so far.
    pub(super) fn connections(&self) -> usize {
        self.play.connections.load(Ordering::SeqCst)
    }

    /// Most connections that were open at once.
    pub(super) fn most_open(&self) -> usize {
        self.play.most_open.load(Ordering::SeqCst)
    }

    /// Connections that are open now.
    pub(super) fn open(&self) -> usize {
        self.play.open.load(Ordering::SeqCst)
    }
}

/// A port on which nobody listens.
pub(super) async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    listener.local_addr().unwrap()
}

async fn accept(listener: TcpListener, play: Arc<Play>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let index = play.connections.fetch_add(1, Ordering::SeqCst);
        let open = play.open.fetch_add(1, Ordering::SeqCst) + 1;
        play.most_open.fetch_max(open, Ordering::SeqCst);
        let play = Arc::clone(&play);
        connections.spawn(async move {
            serve(stream, index, &play).await.ok();
            play.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn serve(mut stream: TcpStream, connection: usize, play: &Play) -> std::io::Result<()> {
    while let Some((head, body)) = read_request(&mut stream).await? {
        play.seen.lock().unwrap().push(Seen {
            connection,
            head,
            body,
        });
        let act = play.script.lock().unwrap().pop_front();
        match act.expect("the script has an act for every request") {
            Act::Answer(bytes) => stream.write_all(bytes.as_bytes()).await?,
            Act::AnswerAfter(pause, bytes) => {
                tokio::time::sleep(pause).await;
                stream.write_all(bytes.as_bytes()).await?;
            }
            Act::Break(bytes) => {
                stream.write_all(bytes.as_bytes()).await?;
                // Lets the bytes arrive before the reset overtakes them.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return stream.set_zero_linger();
            }
            Act::Reset => return stream.set_zero_linger(),
            Act::Close => return stream.shutdown().await,
            Act::Stall(bytes) => {
                stream.write_all(bytes.as_bytes()).await?;
                std::future::pending::<()>().await;
            }
        }
    }
    Ok(())
}

async fn read_request(stream: &mut TcpStream) -> std::io::Result<Option<(String, String)>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    let mut body = bytes.split_off(end + 4);
    while body.len() < length {
        stream.read_buf(&mut body).await?;
    }
    Ok(Some((head, String::from_utf8_lossy(&body).into_owned())))
}
