//! The signed stream that a backup is: frames one after the other, each with a code that depends on
//! its content, on all frames before it and on the project's key. So a reader uses no byte that
//! somebody else has written, and knows that nothing is missing when he has read the last frame.
//!
//! ```text
//! magic (8 bytes) | random (16 bytes) | frame ...
//! frame: kind (1 byte) | length (4 bytes, big endian) | payload | HMAC-SHA-256 (32 bytes)
//! ```

use std::io;

use hmac::{Hmac, Mac};
use ingot_config::Secret;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAGIC: &[u8; 8] = b"INGOTBK1";
const RANDOM: usize = 16;
const CODE: usize = 32;

/// Longest payload, in bytes.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The first: whose backup it is, and of what.
    Head,
    /// A part begins.
    Part,
    /// Bytes of the part.
    Data,
    /// The part ends.
    PartEnd,
    /// The last: nothing is missing.
    End,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Head, Self::Part, Self::Data, Self::PartEnd, Self::End];

    fn byte(self) -> u8 {
        match self {
            Self::Head => b'H',
            Self::Part => b'P',
            Self::Data => b'D',
            Self::PartEnd => b'E',
            Self::End => b'Z',
        }
    }
}

/// A frame that was read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    pub(super) payload: Vec<u8>,
}

/// Why a stream cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("it is no backup of `ingot backup`")]
    NoBackup,
    #[error("it is cut off after {0} bytes: the copy is not complete")]
    CutOff(u64),
    #[error("it was changed: what comes at byte {0} is not what `ingot backup` wrote")]
    Changed(u64),
    #[error("something follows its end: it was changed")]
    Longer,
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
}

/// The codes of a stream, each made of the one before.
#[derive(Debug)]
struct Chain {
    key: Secret,
    last: Vec<u8>,
}

impl Chain {
    fn next(&mut self, kind: u8, payload: &[u8]) -> io::Result<&[u8]> {
        let mut code = mac(&self.key)?;
        code.update(&self.last);
        code.update(&[kind]);
        code.update(&(payload.len() as u64).to_be_bytes());
        code.update(payload);
        self.last = code.finalize().into_bytes().to_vec();
        Ok(&self.last)
    }
}

/// Eight bytes of hexadecimal digits by which two keys can be told apart, and nothing else of them.
pub(super) fn fingerprint(key: &Secret) -> io::Result<String> {
    let mut code = mac(key)?;
    code.update(b"which key this is");
    let digest = code.finalize().into_bytes();
    Ok(hex::encode(digest).chars().take(16).collect())
}

fn mac(key: &Secret) -> io::Result<Hmac<Sha256>> {
    Hmac::new_from_slice(key.expose().as_bytes()).map_err(io::Error::other)
}

/// Writes a stream.
#[derive(Debug)]
pub(super) struct Writer<W> {
    output: W,
    chain: Chain,
    written: u64,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(super) async fn begin(mut output: W, key: Secret) -> io::Result<Self> {
        let random: [u8; RANDOM] = rand::random();
        output.write_all(MAGIC).await?;
        output.write_all(&random).await?;
        let chain = Chain {
            key,
            last: random.to_vec(),
        };
        let written = (MAGIC.len() + RANDOM) as u64;
        Ok(Self {
            output,
            chain,
            written,
        })
    }

    /// Writes a frame. Longer payloads than a frame takes become several.
    pub(super) async fn write(&mut self, kind: Kind, payload: &[u8]) -> io::Result<()> {
        let mut rest = payload;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(MAX_PAYLOAD));
            // It was just limited.
            let length = u32::try_from(piece.len()).map_err(io::Error::other)?;
            let code = self.chain.next(kind.byte(), piece)?;
            self.output.write_u8(kind.byte()).await?;
            self.output.write_u32(length).await?;
            self.output.write_all(piece).await?;
            self.output.write_all(code).await?;
            self.written += (5 + piece.len() + CODE) as u64;
            if after.is_empty() {
                return Ok(());
            }
            rest = after;
        }
    }

    /// Bytes so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// What it writes to, with nothing held back.
    pub(super) async fn finish(mut self) -> io::Result<W> {
        self.output.flush().await?;
        Ok(self.output)
    }
}

/// A stream whose key is not known yet.
#[derive(Debug)]
pub(super) struct Unverified<R> {
    input: R,
    random: Vec<u8>,
    head: Raw,
}

/// A frame as it was found.
#[derive(Debug)]
struct Raw {
    kind: u8,
    payload: Vec<u8>,
    code: [u8; CODE],
}

impl Raw {
    fn length(&self) -> u64 {
        (5 + self.payload.len() + CODE) as u64
    }
}

impl<R: AsyncRead + Unpin> Unverified<R> {
    /// Reads the first frame.
    pub(super) async fn open(mut input: R) -> Result<Self, ReadError> {
        let mut magic = [0; MAGIC.len()];
        match input.read_exact(&mut magic).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(ReadError::NoBackup);
            }
            other => other?,
        };
        if &magic != MAGIC {
            return Err(ReadError::NoBackup);
        }
        let mut random = vec![0; RANDOM];
        let begin = (MAGIC.len() + RANDOM) as u64;
        cut_off(input.read_exact(&mut random).await, begin)?;
        let head = raw(&mut input, begin).await?;
        Ok(Self {
            input,
            random,
            head,
        })
    }

    /// What the first frame says, if it says the truth: to find out which key it wants.
    pub(super) fn claims(&self) -> &[u8] {
        &self.head.payload
    }

    /// Begins to read, with the key.
    pub(super) fn verify(self, key: Secret) -> Result<(Reader<R>, Frame), ReadError> {
        let mut reader = Reader {
            input: self.input,
            chain: Chain {
                key,
                last: self.random,
            },
            read: (MAGIC.len() + RANDOM) as u64,
        };
        let head = reader.check(self.head)?;
        Ok((reader, head))
    }
}

/// Reads a stream.
#[derive(Debug)]
pub(super) struct Reader<R> {
    input: R,
    chain: Chain,
    read: u64,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    /// The next frame. After the last one it is to be [ended](Self::end).
    pub(super) async fn next(&mut self) -> Result<Frame, ReadError> {
        let frame = raw(&mut self.input, self.read).await?;
        self.check(frame)
    }

    fn check(&mut self, frame: Raw) -> Result<Frame, ReadError> {
        let code = self.chain.next(frame.kind, &frame.payload)?;
        let kind = Kind::ALL.into_iter().find(|it| it.byte() == frame.kind);
        let (true, Some(kind)) = (bool::from(code.ct_eq(&frame.code)), kind) else {
            return Err(ReadError::Changed(self.read));
        };
        self.read += frame.length();
        Ok(Frame {
            kind,
            payload: frame.payload,
        })
    }

    /// Makes sure that nothing follows.
    pub(super) async fn end(mut self) -> Result<(), ReadError> {
        match self.input.read(&mut [0]).await? {
            0 => Ok(()),
            _ => Err(ReadError::Longer),
        }
    }

    /// Bytes so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }
}

async fn raw(input: &mut (impl AsyncRead + Unpin), at: u64) -> Result<Raw, ReadError> {
    let kind = cut_off(input.read_u8().await, at)?;
    let length = cut_off(input.read_u32().await, at)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_PAYLOAD {
        return Err(ReadError::Changed(at));
    }
    let mut payload = vec![0; length];
    cut_off(input.read_exact(&mut payload).await, at)?;
    let mut code = [0; CODE];
    cut_off(input.read_exact(&mut code).await, at)?;
    Ok(Raw {
        kind,
        payload,
        code,
    })
}

/// An end in the middle of a frame.
fn cut_off<T>(read: io::Result<T>, at: u64) -> Result<T, ReadError> {
    read.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ReadError::CutOff(at),
        _ => ReadError::Read(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    async fn stream() -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), key("k")).await.unwrap();
        writer.write(Kind::Head, b"head").await.unwrap();
        writer
            .write(Kind::Data, &vec![7; MAX_PAYLOAD + 1])
            .await
            .unwrap();
        writer.write(Kind::Data, b"two").await.unwrap();
        writer.write(Kind::End, b"").await.unwrap();
        let written = writer.written();
        let bytes = writer.finish().await.unwrap();
        assert_eq!(written, bytes.len() as u64);
        bytes
    }

    /// Reads all of it; returns the lengths of the payloads.
    async fn read(bytes: &[u8], with: &str) -> Result<Vec<usize>, ReadError> {
        let unverified = Unverified::open(bytes).await?;
        let (mut reader, head) = unverified.verify(key(with))?;
        let mut lengths = vec![head.payload.len()];
        loop {
            let frame = reader.next().await?;
            lengths.push(frame.payload.len());
            if frame.kind == Kind::End {
                reader.end().await?;
                return Ok(lengths);
            }
        }
    }

    #[tokio::test]
    async fn what_was_written_is_read() {
        let lengths = read(&stream().await, "k").await.unwrap();
        assert_eq!(lengths, [4, MAX_PAYLOAD, 1, 3, 0]);
    }

    #[tokio::test]
    async fn every_cut_is_noticed() {
        let bytes = stream().await;
        for cut in [
            0,
            7,
            8,
            23,
            24,
            30,
            60,
            61,
            1000,
            bytes.len() - 38,
            bytes.len() - 1,
        ] {
            let error = read(&bytes[..cut], "k").await.unwrap_err();
            let expected = if cut < 8 {
                matches!(error, ReadError::NoBackup)
            } else {
                matches!(error, ReadError::CutOff(_))
            };
            assert!(expected, "{cut}: {error:?}");
        }
    }

    #[tokio::test]
    async fn every_change_is_noticed() {
        let bytes = stream().await;
        let end = bytes.len();
        for place in [8, 23, 24, 28, 29, 33, 65, 70, end - 37, end - 33, end - 1] {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            let error = read(&changed, "k").await.unwrap_err();
            let noticed = matches!(error, ReadError::Changed(_) | ReadError::CutOff(_));
            assert!(noticed, "{place}: {error:?}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(matches!(read(&longer, "k").await, Err(ReadError::Longer)));
        assert!(matches!(
            read(&bytes, "other").await,
            Err(ReadError::Changed(24))
        ));
        // A frame less, in the middle: each is whole by itself.
        let first = MAX_PAYLOAD + 5 + CODE;
        let head = 24 + 4 + 5 + CODE;
        let gap = [&bytes[..head], &bytes[head + first..]].concat();
        assert!(matches!(read(&gap, "k").await, Err(ReadError::Changed(_))));
    }
}
