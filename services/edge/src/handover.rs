//! Replacing the program without closing its listeners: a new process gets them from the one that
//! runs, over a Unix socket, serves beside it, and tells it to go.
//!
//! Until it is told, the former process goes on as if nothing were: a successor that cannot serve
//! ends, and has changed nothing. Once the successor serves, nothing here ends it any more: it
//! cannot know whether the former one has gone or goes later, and one of them must stay.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{IpAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;

/// Listeners that are handed over at most: for HTTP, for HTTPS, for health and metrics.
const MOST: usize = 3;
/// What goes with the listeners, for no message can be empty.
const HERE_THEY_ARE: u8 = b'L';
/// The successor serves.
const RELIEVED: u8 = b'R';
/// Longest wait of a successor for the listeners.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest wait for a successor to serve. Until then no other one can come.
const START: Duration = Duration::from_mins(1);
/// Pause after a failed accept.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The process that a new one follows.
#[derive(Debug)]
pub(crate) struct Predecessor {
    path: PathBuf,
    stream: UnixStream,
    listeners: Vec<TcpListener>,
}

impl Predecessor {
    /// Asks the process that listens on `path`, if there is one, for its listeners.
    ///
    /// # Errors
    /// There is one, and it hands over nothing, or it is another user's.
    pub(crate) async fn meet(path: &Path) -> anyhow::Result<Option<Self>> {
        let stream = match UnixStream::connect(path).await {
            Ok(stream) => stream,
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => return Err(error).with_context(|| cannot_use(path)),
        };
        must_be_ours(&stream).with_context(|| cannot_use(path))?;
        let receiving = stream.async_io(Interest::READABLE, || receive(&stream));
        let listeners = timeout(PATIENCE, receiving)
            .await
            .unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into()))
            .with_context(|| {
                let path = path.display();
                format!("the process behind {path} does not hand its listeners over")
            })?;
        Ok(Some(Self {
            path: path.to_owned(),
            stream,
            listeners,
        }))
    }

    /// The listener at that address, if it has been handed over.
    pub(crate) fn take(&mut self, address: IpAddr, port: u16) -> Option<TcpListener> {
        let is_it = |listener: &TcpListener| {
            listener.local_addr().is_ok_and(|local| {
                let everywhere = local.ip().is_unspecified() && address.is_unspecified();
                local.port() == port && (local.ip() == address || everywhere)
            })
        };
        let position = self.listeners.iter().position(is_it)?;
        Some(self.listeners.swap_remove(position))
    }

    /// Whether it still waits for this process to serve.
    pub(crate) fn is_there(&self) -> bool {
        // It says nothing before it is told to go: whatever can be read is its end.
        let read = self.stream.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Takes its place: tells it to go, and offers `listeners` where it did. This process serves
    /// already and goes on with that whatever comes of it: what fails is told in the log.
    pub(crate) async fn replace(self, listeners: Vec<TcpListener>) -> Option<Offer> {
        let path = self.path.clone();
        match self.relieve().await {
            Relief::Heard => {}
            Relief::Gone => tracing::warn!("the process before this one has ended by itself"),
            Relief::Unheard(error) => tracing::warn!(
                error,
                "the process before this one does not say that it goes: until it ends, both take \
                 connections at the same addresses; end it if it stays"
            ),
        }
        match Offer::at(&path, listeners) {
            Ok(offer) => Some(offer),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    error,
                    "no process can take over from this one before it has been started anew"
                );
                None
            }
        }
    }

    /// Tells it that it is not needed any more. One that has given this process up meanwhile, for
    /// it took long to serve, is asked once more.
    async fn relieve(mut self) -> Relief {
        let Err(error) = self.say_it_can_go().await else {
            return Relief::Heard;
        };
        if error.kind() == io::ErrorKind::TimedOut {
            // What was said waits for it: it hears that as soon as it does anything.
            return Relief::Unheard(error.to_string());
        }
        match Self::meet(&self.path).await {
            Ok(None) => Relief::Gone,
            Ok(Some(mut again)) => match again.say_it_can_go().await {
                Ok(()) => Relief::Heard,
                Err(error) => Relief::Unheard(error.to_string()),
            },
            Err(error) => Relief::Unheard(format!("{error:#}")),
        }
    }

    /// # Errors
    /// It has closed the connection before it heard, or it does not do so in time.
    async fn say_it_can_go(&mut self) -> io::Result<()> {
        self.stream.write_all(&[RELIEVED]).await?;
        // It closes when it has understood: from then on, the path is free. A connection that is
        // closed with something unread is reset, which is another end than this one.
        let mut nothing = [0];
        let closing = self.stream.read(&mut nothing);
        timeout(PATIENCE, closing).await??;
        Ok(())
    }
}

/// What became of telling the former process to go.
enum Relief {
    /// It goes.
    Heard,
    /// It had gone.
    Gone,
    /// It may have heard, or not.
    Unheard(String),
}

/// A place where successors ask for the listeners.
#[derive(Debug)]
pub(crate) struct Offer {
    path: PathBuf,
    /// Device and inode of the socket: another process may have put its own there by now.
    place: (u64, u64),
    asked: UnixListener,
    listeners: Vec<TcpListener>,
}

impl Offer {
    /// Listens on `path` for a process of the same user, in the place of a former process.
    ///
    /// # Errors
    /// The path cannot be listened on, or has something else than a socket.
    pub(crate) fn at(path: &Path, listeners: Vec<TcpListener>) -> anyhow::Result<Self> {
        clear(path)?;
        let asked = UnixListener::bind(path).with_context(|| cannot_use(path))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            path: path.to_owned(),
            place: place(path)?,
            asked,
            listeners,
        })
    }

    /// Ends when a successor serves.
    pub(crate) async fn taken(&self) {
        loop {
            let stream = match self.asked.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "cannot hear who wants the listeners");
                    tokio::time::sleep(AFTER_FAILURE).await;
                    continue;
                }
            };
            match self.hand_over(stream).await {
                Ok(()) => return,
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::warn!(error, "the successor does not serve: this process goes on");
                }
            }
        }
    }

    async fn hand_over(&self, mut stream: UnixStream) -> anyhow::Result<()> {
        must_be_ours(&stream)?;
        tracing::info!("a new process asks for the listeners");
        stream
            .async_io(Interest::WRITABLE, || send(&stream, &self.listeners))
            .await?;
        let mut word = [0];
        timeout(START, stream.read_exact(&mut word)).await??;
        if word != [RELIEVED] {
            bail!("it says something else than that it serves");
        }
        Ok(())
    }

    /// Takes the offer back; nobody has come.
    pub(crate) fn withdraw(self) {
        match place(&self.path) {
            Ok(place) if place == self.place => {}
            _ => return tracing::debug!("the socket for successors is another one's already"),
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(%error, "the socket for successors was gone already");
        }
    }
}

/// Removes the socket that a former process left behind, and nothing else.
fn clear(path: &Path) -> anyhow::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| cannot_use(path)),
    };
    if !found.file_type().is_socket() {
        return Err(anyhow!("something else than a socket is there"))
            .with_context(|| cannot_use(path));
    }
    std::fs::remove_file(path).with_context(|| cannot_use(path))
}

fn place(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// # Errors
/// The process at the other end runs as another user.
fn must_be_ours(stream: &UnixStream) -> anyhow::Result<()> {
    if stream.peer_cred()?.uid() != rustix::process::geteuid().as_raw() {
        bail!("the process there runs as another user");
    }
    Ok(())
}

fn send(stream: &UnixStream, listeners: &[TcpListener]) -> io::Result<()> {
    let descriptors: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let message = [IoSlice::new(&[HERE_THEY_ARE])];
    sendmsg(stream, &message, &mut ancillary, SendFlags::empty())?;
    Ok(())
}

fn receive(stream: &UnixStream) -> io::Result<Vec<TcpListener>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut word = [0];
    let mut message = [IoSliceMut::new(&mut word)];
    recvmsg(
        stream,
        &mut message,
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut listeners = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            listeners.extend(descriptors.map(|descriptor: OwnedFd| TcpListener::from(descriptor)));
        }
    }
    if word != [HERE_THEY_ARE] {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(listeners)
}

fn is_nobody(error: &io::Error) -> bool {
    // The latter is what a process leaves behind that was killed.
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

fn cannot_use(path: &Path) -> String {
    let path = path.display();
    format!("cannot use the socket {path}: set INGOT_EDGE_UPGRADE_SOCKET to a path of this user's")
}
