//! What `pg_restore` prints of a dump, as something to read.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::process::{Child, ChildStdout, Stdio};

use anyhow::Context;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::tools::{INSTALL, Tools};

/// A script. Its end is an end only if the program says that it was all.
#[derive(Debug)]
pub(super) struct Script {
    child: Child,
    stdout: ChildStdout,
    ended: bool,
}

impl Script {
    /// Of a dump in a file.
    pub(super) fn of_file(tools: &Tools, dump: File) -> anyhow::Result<Self> {
        Self::start(tools, dump.into(), Stdio::null())
    }

    /// Of a dump that comes in pieces, until the sender is dropped. What the program complains of
    /// goes where this process complains.
    pub(super) fn of_pieces(
        tools: &Tools,
        mut pieces: mpsc::Receiver<Bytes>,
    ) -> anyhow::Result<Self> {
        let mut script = Self::start(tools, Stdio::piped(), Stdio::inherit())?;
        let mut stdin = script
            .child
            .stdin
            .take()
            .context("pg_restore has no input")?;
        spawn_blocking(move || {
            while let Some(piece) = pieces.blocking_recv() {
                // A program that died says so by its status.
                if stdin.write_all(&piece).is_err() {
                    return;
                }
            }
        });
        Ok(script)
    }

    fn start(tools: &Tools, stdin: Stdio, stderr: Stdio) -> anyhow::Result<Self> {
        let mut child = tools
            .script()
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("pg_restore does not start: {INSTALL}"))?;
        let stdout = child.stdout.take().context("pg_restore has no output")?;
        Ok(Self {
            child,
            stdout,
            ended: false,
        })
    }
}

impl Read for Script {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stdout.read(buffer)?;
        if count == 0 && !buffer.is_empty() && !self.ended {
            self.ended = true;
            if !self.child.wait()?.success() {
                return Err(io::Error::other("pg_restore cannot read the dump"));
            }
        }
        Ok(count)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        if !self.ended {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}
