//! Where the body of an answer ends (RFC 9112 §6).

use bytes::{Buf, BytesMut};
use memchr::memchr;

use super::head::{Head, number};

/// A chunk's size and what may stand behind it, or a trailer, in bytes.
const LONGEST_LINE: usize = 4096;
/// Bytes of all trailers.
const TRAILERS: usize = 16 << 10;

/// What is left of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// Everything until the connection ends.
    UntilTheEnd,
}

/// A place among chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// Before the line with a size.
    Size,
    /// So many bytes of a chunk are left.
    Data(u64),
    /// Before the line end behind a chunk.
    End,
    /// Among trailers, of which so many bytes have been.
    Trailers(usize),
    /// Behind the last one.
    Over,
}

/// The framing is not sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsound;

/// What stands at the beginning of what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// So many bytes of the body.
    Data(usize),
    /// Too little to tell.
    More,
    /// The body has ended.
    Over,
}

impl Framing {
    /// That of the answer with this head and status.
    pub(super) fn of(
        head: &Head,
        bytes: &[u8],
        status: u16,
        to_head: bool,
    ) -> Result<Self, Unsound> {
        let mut length: Option<u64> = None;
        let mut chunked = false;
        for line in &head.lines {
            let (name, value) = (line.name.of(bytes), line.value.of(bytes));
            if name.eq_ignore_ascii_case(b"content-length") {
                let said = number(value).ok_or(Unsound)?;
                if length.is_some_and(|length| length != said) {
                    return Err(Unsound);
                }
                length = Some(said);
            } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
                if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(Unsound);
                }
                chunked = true;
            }
        }
        match (chunked, length) {
            (true, Some(_)) => Err(Unsound),
            _ if to_head || matches!(status, 204 | 304) => Ok(Self::Length(0)),
            (true, None) => Ok(Self::Chunked(Chunks::Size)),
            (false, Some(length)) => Ok(Self::Length(length)),
            (false, None) => Ok(Self::UntilTheEnd),
        }
    }

    /// Takes what is no data off the beginning of `read`, and tells what follows.
    pub(super) fn next(&mut self, read: &mut BytesMut) -> Result<Next, Unsound> {
        loop {
            let chunks = match self {
                Self::Length(0) => return Ok(Next::Over),
                Self::Length(left) => return Ok(data(*left, read)),
                Self::UntilTheEnd => return Ok(data(u64::MAX, read)),
                Self::Chunked(chunks) => chunks,
            };
            match chunks {
                Chunks::Over => return Ok(Next::Over),
                Chunks::Data(left) => return Ok(data(*left, read)),
                Chunks::Size | Chunks::End | Chunks::Trailers(_) => {
                    let Some(length) = memchr(b'\n', read) else {
                        return if read.len() > LONGEST_LINE {
                            Err(Unsound)
                        } else {
                            Ok(Next::More)
                        };
                    };
                    let line = read.get(..length).unwrap_or_default();
                    *chunks = chunks.after(line.strip_suffix(b"\r").ok_or(Unsound)?)?;
                    read.advance(length + 1);
                }
            }
        }
    }

    /// So many bytes of the body, no more than [`Framing::next`] told of, were taken.
    pub(super) fn took(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        match self {
            Self::Length(left) => *left = left.saturating_sub(bytes),
            Self::Chunked(Chunks::Data(left)) => {
                *left = left.saturating_sub(bytes);
                if *left == 0 {
                    *self = Self::Chunked(Chunks::End);
                }
            }
            Self::Chunked(_) | Self::UntilTheEnd => {}
        }
    }

    /// Whether nothing of the body is to come.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Length(0) | Self::Chunked(Chunks::Over))
    }
}

impl Chunks {
    fn after(self, line: &[u8]) -> Result<Self, Unsound> {
        match self {
            Self::Size => match size(line).ok_or(Unsound)? {
                0 => Ok(Self::Trailers(0)),
                size => Ok(Self::Data(size)),
            },
            Self::End if line.is_empty() => Ok(Self::Size),
            Self::Trailers(_) if line.is_empty() => Ok(Self::Over),
            Self::Trailers(before) if before + line.len() <= TRAILERS => {
                Ok(Self::Trailers(before + line.len()))
            }
            Self::End | Self::Trailers(_) | Self::Data(_) | Self::Over => Err(Unsound),
        }
    }
}

fn data(left: u64, read: &BytesMut) -> Next {
    let there = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
    if there == 0 {
        Next::More
    } else {
        Next::Data(there)
    }
}

/// The size of a chunk, in the line before it; what stands behind a semicolon says nothing.
fn size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii_end();
    let sound = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let text = std::str::from_utf8(digits).ok().filter(|_| sound)?;
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::super::head::read;
    use super::*;

    fn framing(headers: &str, status: u16, to_head: bool) -> Result<Framing, Unsound> {
        let bytes = format!("HTTP/1.1 200 OK\r\n{headers}\r\n");
        Framing::of(
            &read(bytes.as_bytes()).unwrap(),
            bytes.as_bytes(),
            status,
            to_head,
        )
    }

    /// The body that comes out of bytes that arrive one by one, and what is left of them.
    fn decoded(mut framing: Framing, bytes: &[u8]) -> Result<(Vec<u8>, usize), Unsound> {
        let (mut buffer, mut body) = (BytesMut::new(), Vec::new());
        for (number, byte) in bytes.iter().enumerate() {
            buffer.extend_from_slice(&[*byte]);
            while let Next::Data(length) = framing.next(&mut buffer)? {
                body.extend_from_slice(&buffer.split_to(length));
                framing.took(length);
            }
            if framing.is_over() {
                return Ok((body, bytes.len() - number - 1));
            }
        }
        Ok((body, usize::MAX))
    }

    #[test]
    fn lengths_are_told_one_way() {
        let length = |headers| framing(headers, 200, false);
        assert_eq!(length("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
        let twice = "Content-Length: 5\r\ncontent-length: 5\r\n";
        assert_eq!(length(twice), Ok(Framing::Length(5)));
        assert_eq!(
            length("Transfer-Encoding: Chunked\r\n"),
            Ok(Framing::Chunked(Chunks::Size))
        );
        assert_eq!(length(""), Ok(Framing::UntilTheEnd));
        for unsound in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert_eq!(length(unsound), Err(Unsound), "{unsound}");
        }
    }

    #[test]
    fn some_answers_have_no_body() {
        for (status, to_head) in [(200, true), (204, false), (304, false)] {
            for headers in [
                "Content-Length: 5\r\n",
                "Transfer-Encoding: chunked\r\n",
                "",
            ] {
                assert_eq!(framing(headers, status, to_head), Ok(Framing::Length(0)));
            }
        }
    }

    #[test]
    fn bodies_end_where_they_end() {
        let chunked = Framing::Chunked(Chunks::Size);
        let wire = b"5\r\nhello\r\n1;a=b\r\n \r\nA \r\n0123456789\r\n0\r\nx: y\r\n\r\nrest";
        assert_eq!(
            decoded(chunked, wire).unwrap(),
            (b"hello 0123456789".to_vec(), 4)
        );
        assert_eq!(
            decoded(Framing::Length(3), b"abcdef").unwrap(),
            (b"abc".to_vec(), 3)
        );
        let (all, _) = decoded(Framing::UntilTheEnd, b"abc").unwrap();
        assert_eq!(all, b"abc");
    }

    #[test]
    fn unsound_chunks_are_refused() {
        for wire in [
            &b"5\nhello\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"0x5\r\n",
            b"10000000000000000\r\n",
            b"1\r\nab\r\n",
        ] {
            let chunked = Framing::Chunked(Chunks::Size);
            assert_eq!(decoded(chunked, wire), Err(Unsound), "{wire:?}");
        }
        let long = vec![b'1'; LONGEST_LINE + 2];
        assert_eq!(decoded(Framing::Chunked(Chunks::Size), &long), Err(Unsound));
    }
}
