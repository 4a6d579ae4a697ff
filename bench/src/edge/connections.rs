//! What connections cost: idle ones, WebSockets, and those that carry large bodies.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::future::try_join_all;
use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::behind::{ECHO, LARGE, SMALL, zeros};
use crate::child::Process;
use crate::files;
use crate::report::Section;

/// Idle connections.
const IDLE: usize = 10_000;
/// Files of a proxy that are no sockets of clients.
const OTHER_FILES: usize = 500;
/// Connections that are opened at once.
const AT_ONCE: usize = 50;
/// Time for a proxy to come to rest.
const REST: Duration = Duration::from_secs(2);
/// WebSockets that carry bytes at once, and how many bytes at a time.
const BUSY: usize = 16;
const MESSAGE: usize = 16 << 10;
/// Size of a large body.
const GIGABYTE: usize = 1 << 30;
/// Time between two looks at the memory.
const LOOK: Duration = Duration::from_millis(50);

/// A proxy that is measured.
#[derive(Clone, Copy)]
pub(super) struct Proxy<'a> {
    pub(super) address: SocketAddr,
    pub(super) process: &'a Process,
}

/// What one proxy costs.
struct Costs {
    idle: Memory,
    socket: Memory,
    passing: f64,
    download: Bulk,
    upload: Bulk,
}

/// Memory that connections take, in bytes.
struct Memory {
    /// Of each of them, beyond what it had before.
    each: f64,
    /// Of the process with all of them.
    whole: u64,
}

/// One large body.
struct Bulk {
    took: Duration,
    cpu: Duration,
    /// Bytes of memory that it took at its highest.
    memory: u64,
}

/// Measures both.
pub(super) async fn compare(
    edge: Proxy<'_>,
    nginx: Proxy<'_>,
    length: Duration,
) -> anyhow::Result<Section> {
    let sockets = IDLE.min((files::limit().saturating_sub(OTHER_FILES)) / 2);
    let ours = edge.costs(sockets, length).await.context("the edge")?;
    let theirs = nginx.costs(sockets, length).await.context("nginx")?;
    let megabytes = |bytes: u64| format!("{} MB", bytes >> 20);
    let ratio = |ours: u64, theirs: u64| {
        let whole = |bytes: u64| f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX));
        whole(ours) / whole(theirs)
    };
    let kilobytes = |bytes: f64| format!("{:.1} KB", bytes / 1024.0);
    let row = |what: String, ours: String, theirs: String, ratio: f64, goal: &str| {
        vec![what, ours, theirs, format!("{ratio:.2}"), goal.to_owned()]
    };
    let mut rows = vec![
        row(
            format!("memory with {IDLE} idle keep-alive connections"),
            megabytes(ours.idle.whole),
            megabytes(theirs.idle.whole),
            ratio(ours.idle.whole, theirs.idle.whole),
            "1.5",
        ),
        row(
            "growth for each of them".to_owned(),
            kilobytes(ours.idle.each),
            kilobytes(theirs.idle.each),
            ours.idle.each / theirs.idle.each,
            "–",
        ),
        row(
            format!("memory per idle WebSocket, {sockets} of them"),
            kilobytes(ours.socket.each),
            kilobytes(theirs.socket.each),
            ours.socket.each / theirs.socket.each,
            "30 KB",
        ),
        row(
            "CPU per MB through WebSockets".to_owned(),
            format!("{:.0} µs", ours.passing),
            format!("{:.0} µs", theirs.passing),
            ours.passing / theirs.passing,
            "1.3",
        ),
    ];
    for (what, ours, theirs) in [
        ("download", ours.download, theirs.download),
        ("upload", ours.upload, theirs.upload),
    ] {
        rows.push(row(
            format!("{what} of 1 GB: time, CPU, memory"),
            ours.text(),
            theirs.text(),
            ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64().max(0.001),
            "32 MB",
        ));
    }
    Ok(Section {
        id: "edge-connections",
        command: "edge",
        title: "What connections cost",
        text: format!(
            "The same edge and nginx. Memory is what is resident, with keep-alive connections that \
             have had one answer, and with connections behind a WebSocket's handshake, for each of \
             which a proxy has two files (a process may have {} here), and how far it grew for each \
             of them. nginx has a table of all its connections from the start. \
             {BUSY} WebSockets send {} KB and wait until it has come back, for {} s; CPU is divided \
             by the bytes of both directions. For bodies of 1 GB the ratio is that of the CPU time, \
             and memory how far it rose at its highest. nginx passes bodies on without files.",
            files::limit(),
            MESSAGE >> 10,
            length.as_secs()
        ),
        columns: &["what", "edge", "nginx", "ratio", "goal"],
        rows,
    })
}

impl Bulk {
    fn text(&self) -> String {
        format!(
            "{:.1} s, {:.1} s, {} MB",
            self.took.as_secs_f64(),
            self.cpu.as_secs_f64(),
            self.memory >> 20
        )
    }
}

impl Proxy<'_> {
    async fn costs(self, sockets: usize, length: Duration) -> anyhow::Result<Costs> {
        // What it needs for any request at all is not what a connection costs.
        drop(self.open(AT_ONCE, &get(SMALL), 200).await?);
        tokio::time::sleep(REST).await;
        let idle = self.memory_of(IDLE, &get(SMALL), 200).await;
        let socket = self.memory_of(sockets, &handshake(), 101).await;
        let passing = self.passing(length).await;
        let down = self.bulk(download(self.address)).await;
        let up = self.bulk(upload(self.address)).await;
        Ok(Costs {
            idle: idle.context("idle connections")?,
            socket: socket.context("idle WebSockets")?,
            passing: passing.context("busy WebSockets")?,
            download: down.context("a download")?,
            upload: up.context("an upload")?,
        })
    }

    /// What so many connections cost which have got that answer.
    async fn memory_of(self, count: usize, request: &str, status: u16) -> anyhow::Result<Memory> {
        let before = self.process.memory()?;
        let connections = self.open(count, request, status).await?;
        tokio::time::sleep(REST).await;
        let whole = self.process.memory()?;
        drop(connections);
        tokio::time::sleep(REST).await;
        let grown = u32::try_from(whole.saturating_sub(before))?;
        Ok(Memory {
            each: f64::from(grown) / f64::from(u32::try_from(count)?),
            whole,
        })
    }

    async fn open(
        self,
        count: usize,
        request: &str,
        status: u16,
    ) -> anyhow::Result<Vec<TcpStream>> {
        let opened = stream::iter(0..count).map(|_| open(self.address, request, status));
        let opened: Vec<_> = opened.buffer_unordered(AT_ONCE).collect().await;
        opened.into_iter().collect()
    }

    /// CPU time in microseconds for each MB through WebSockets.
    async fn passing(self, length: Duration) -> anyhow::Result<f64> {
        let sockets = self.open(BUSY, &handshake(), 101).await?;
        let before = self.process.cpu_time()?;
        let until = Instant::now() + length;
        let rounds = try_join_all(sockets.into_iter().map(|socket| to_and_fro(socket, until)));
        let rounds: u32 = rounds.await?.into_iter().sum();
        let cpu = self.process.cpu_time()?.saturating_sub(before);
        let bytes = f64::from(rounds) * f64::from(u32::try_from(2 * MESSAGE)?);
        Ok(cpu.as_secs_f64() * 1e6 / (bytes / 1e6))
    }

    async fn bulk(self, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<Bulk> {
        let (before, cpu) = (self.process.memory()?, self.process.cpu_time()?);
        let (started, mut highest) = (Instant::now(), before);
        let looking = async {
            loop {
                tokio::time::sleep(LOOK).await;
                highest = highest.max(self.process.memory().unwrap_or_default());
            }
        };
        tokio::select! {
            done = work => done?,
            () = looking => {}
        }
        Ok(Bulk {
            took: started.elapsed(),
            cpu: self.process.cpu_time()?.saturating_sub(cpu),
            memory: highest - before,
        })
    }
}

async fn to_and_fro(mut socket: TcpStream, until: Instant) -> anyhow::Result<u32> {
    let (message, mut back, mut rounds) = (vec![b'm'; MESSAGE], vec![0; MESSAGE], 0);
    while Instant::now() < until {
        socket.write_all(&message).await?;
        socket.read_exact(&mut back).await?;
        rounds += 1;
    }
    Ok(rounds)
}

async fn download(address: SocketAddr) -> anyhow::Result<()> {
    let client = client()?;
    let url = format!("http://{address}{LARGE}/{GIGABYTE}");
    let mut pieces = client
        .get(url)
        .send()
        .await?
        .error_for_status()?
        .bytes_stream();
    let mut bytes = 0;
    while let Some(piece) = pieces.next().await {
        bytes += piece?.len();
    }
    ensure!(bytes == GIGABYTE, "{bytes} bytes came");
    Ok(())
}

/// A client; its connections are not TLS, but it wants to know how it would be done.
fn client() -> anyhow::Result<reqwest::Client> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

async fn upload(address: SocketAddr) -> anyhow::Result<()> {
    let client = client()?;
    let request = client
        .put(format!("http://{address}{LARGE}"))
        .header("content-length", GIGABYTE)
        .body(reqwest::Body::wrap_stream(zeros(GIGABYTE)));
    let answer = request.send().await?.error_for_status()?.text().await?;
    ensure!(answer == GIGABYTE.to_string(), "{answer} bytes arrived");
    Ok(())
}

/// A connection that has got an answer with that status.
async fn open(address: SocketAddr, request: &str, status: u16) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "no whole answer");
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        if !head.starts_with(&format!("HTTP/1.1 {status} ")) {
            bail!("{address} answers {head}");
        }
        if body.len() >= length(head)? {
            return Ok(stream);
        }
    }
}

fn length(head: &str) -> anyhow::Result<usize> {
    let head = head.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    length
        .map_or(Ok(0), |length| length.trim().parse())
        .context("no sound length")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n")
}

fn handshake() -> String {
    format!(
        "GET {ECHO} HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}
