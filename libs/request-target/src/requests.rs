//! Where in the bytes of a connection the request lines are (RFC 9112).
//!
//! Whoever reads after us must see message boundaries where we see them, or a body could be taken
//! for a request line. So everything that servers are known to understand differently ends our
//! part: from there on the connection passes as it is.

use bytes::{BufMut, BytesMut};
use memchr::memchr;

/// Most that is remembered of a line. Lines that say how long a body is are shorter.
const LINE: usize = 256;

/// Place in the conversation.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Method,
    /// The rest of a request line: the target and the version.
    Target,
    Header,
    /// So many bytes of a body are still to come.
    Body(u64),
    ChunkSize,
    /// So many bytes of a chunk, its line end included.
    Chunk(u64),
    Trailer,
    /// No longer known: another protocol, or a message of doubtful length.
    Unknown,
}

/// Follows the requests of a connection.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    place: Place,
    /// Start of the current line, as far as earlier reads brought it.
    line: Vec<u8>,
    framing: Framing,
}

/// How long a body is, as far as the headers said it.
#[derive(Debug, Default)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    upgrade: bool,
}

impl Requests {
    /// Takes in what was read. Returns the same with targets escaped, or `None` if nothing in it
    /// had to be.
    /// Those of a connection that has none of HTTP/1.
    pub(crate) fn none() -> Self {
        Self {
            place: Place::Unknown,
            ..Self::default()
        }
    }

    pub(crate) fn follow(&mut self, read: &[u8]) -> Option<BytesMut> {
        let mut escaped: Option<BytesMut> = None;
        let mut rest = read;
        while !rest.is_empty() {
            let (part, after) = rest.split_at(self.part(rest));
            let odd = self.place == Place::Target && part.iter().any(|byte| is_odd(*byte));
            if odd && escaped.is_none() {
                let before = read.len() - rest.len();
                let mut out = BytesMut::with_capacity(read.len() + 64);
                out.put_slice(read.get(..before).unwrap_or_default());
                escaped = Some(out);
            }
            match &mut escaped {
                Some(out) if odd => escape(part, out),
                Some(out) => out.put_slice(part),
                None => {}
            }
            self.pass(part);
            rest = after;
        }
        escaped
    }

    /// Length of the first part of `rest` that lies in one place. At least 1.
    fn part(&self, rest: &[u8]) -> usize {
        match self.place {
            Place::Unknown => rest.len(),
            Place::Body(length) | Place::Chunk(length) => usize::try_from(length)
                .unwrap_or(usize::MAX)
                .min(rest.len()),
            Place::Method => rest
                .iter()
                .position(|byte| matches!(byte, b' ' | b'\n'))
                .map_or(rest.len(), |end| end + 1),
            Place::Target | Place::Header | Place::ChunkSize | Place::Trailer => {
                memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)
            }
        }
    }

    /// Moves on behind `part`.
    fn pass(&mut self, part: &[u8]) {
        match &mut self.place {
            Place::Unknown => {}
            Place::Body(length) | Place::Chunk(length) => {
                *length = length.saturating_sub(part.len() as u64);
                match self.place {
                    Place::Body(0) => self.place = Place::Method,
                    Place::Chunk(0) => self.place = Place::ChunkSize,
                    _ => {}
                }
            }
            // Not remembered: it may be long, and nothing depends on it.
            Place::Target => {
                if part.ends_with(b"\n") {
                    self.place = Place::Header;
                }
            }
            Place::Method | Place::Header | Place::ChunkSize | Place::Trailer => {
                self.pass_line(part);
            }
        }
    }

    fn pass_line(&mut self, part: &[u8]) {
        let end = if self.place == Place::Method {
            part.ends_with(b" ") || part.ends_with(b"\n")
        } else {
            part.ends_with(b"\n")
        };
        if end && self.line.is_empty() {
            self.place = self.after(part);
            return;
        }
        let room = LINE.saturating_sub(self.line.len()).min(part.len());
        let fits = part.get(..room).unwrap_or_default();
        self.line.extend_from_slice(fits);
        if end {
            let line = std::mem::take(&mut self.line);
            self.place = self.after(&line);
            self.line = line;
            self.line.clear();
        }
    }

    /// The place after a line, whose end may be missing because it was too long to keep.
    fn after(&mut self, line: &[u8]) -> Place {
        let text = line.trim_ascii_end();
        match self.place {
            Place::Method => self.after_method(text, line.ends_with(b" ")),
            Place::Header if text.is_empty() => self.after_head(),
            Place::Header => self.after_header(line),
            Place::ChunkSize => after_chunk_size(line),
            Place::Trailer if text.is_empty() => Place::Method,
            place => place,
        }
    }

    fn after_method(&mut self, method: &[u8], target_follows: bool) -> Place {
        self.framing = Framing::default();
        match method {
            // HTTP/2, and a tunnel.
            b"PRI" | b"CONNECT" => Place::Unknown,
            _ if target_follows && !method.is_empty() => Place::Target,
            // Empty lines before a request are ignored.
            b"" if !target_follows => Place::Method,
            _ => Place::Unknown,
        }
    }

    fn after_head(&mut self) -> Place {
        let framing = &self.framing;
        match (framing.chunked, framing.length) {
            _ if framing.upgrade => Place::Unknown,
            (true, Some(_)) => Place::Unknown,
            (true, None) => Place::ChunkSize,
            (false, None | Some(0)) => Place::Method,
            (false, Some(length)) => Place::Body(length),
        }
    }

    fn after_header(&mut self, line: &[u8]) -> Place {
        // A line that continues the one before, or no header at all.
        let Some(colon) = memchr(b':', line).filter(|_| !line.starts_with(b" ")) else {
            return if line.len() < LINE {
                Place::Unknown
            } else {
                Place::Header
            };
        };
        let (name, value) = line.split_at(colon);
        let is = |known: &str| name.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
        let known = ["content-length", "transfer-encoding", "upgrade"];
        if !known.iter().any(|known| is(known)) {
            return Place::Header;
        }
        let whole = line.ends_with(b"\n") && name.trim_ascii() == name;
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        let framing = &mut self.framing;
        let clear = if is("content-length") {
            let length = number(value, 10);
            let same = framing.length.is_none() || framing.length == length;
            framing.length = length;
            length.is_some() && same
        } else if is("upgrade") {
            framing.upgrade = true;
            true
        } else {
            let again = std::mem::replace(&mut framing.chunked, true);
            value.eq_ignore_ascii_case(b"chunked") && !again
        };
        if whole && clear {
            Place::Header
        } else {
            Place::Unknown
        }
    }
}

fn after_chunk_size(line: &[u8]) -> Place {
    let size = line
        .split(|byte| matches!(byte, b';' | b'\r' | b'\n'))
        .next();
    let size = size.and_then(|size| number(size, 16));
    match size {
        _ if !line.ends_with(b"\r\n") => Place::Unknown,
        Some(0) => Place::Trailer,
        Some(size) => size.checked_add(2).map_or(Place::Unknown, Place::Chunk),
        None => Place::Unknown,
    }
}

/// Digits and nothing else.
fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok()?;
    let sound = text.chars().all(|digit| digit.is_digit(radix));
    u64::from_str_radix(text, radix).ok().filter(|_| sound)
}

/// Bytes that HTTP libraries refuse in a target, though nothing else can be meant by them.
const fn is_odd(byte: u8) -> bool {
    matches!(byte, b'"' | b'<' | b'>' | b'`' | 0x7f..)
}

fn escape(part: &[u8], out: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    for byte in part {
        if is_odd(*byte) {
            out.put_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        } else {
            out.put_u8(*byte);
        }
    }
}
