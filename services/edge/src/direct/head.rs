//! Heads of HTTP/1.1 messages (RFC 9112), read strictly: what somebody could understand otherwise than
//! we do is not understood at all. Nothing is copied; a head is places in the bytes that came.

use memchr::memchr;

/// Lines that a head may have, which are as many as the proxy library takes: functions of a project may
/// set many headers of an answer. Those of requests have a narrower limit.
const MAX_LINES: usize = 256;

/// A place in a head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

/// A header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) name: Span,
    pub(super) value: Span,
}

/// What a head was read as.
#[derive(Debug)]
pub(super) struct Head {
    /// The first line, without its end.
    pub(super) start: Span,
    pub(super) lines: Vec<Line>,
    /// Bytes of it, the empty line included.
    pub(super) length: usize,
}

/// Why there is no head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoHead {
    /// More has to come.
    Partial,
    /// It is not as it has to be here.
    Odd,
}

impl Head {
    /// The value of the first header of that name.
    pub(super) fn find<'a>(&self, bytes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        let mut lines = self.lines.iter();
        let line = lines.find(|line| line.name.of(bytes).eq_ignore_ascii_case(name))?;
        Some(line.value.of(bytes))
    }
}

impl Span {
    fn new(start: usize, end: usize) -> Result<Self, NoHead> {
        let at = |place| u32::try_from(place).map_err(|_| NoHead::Odd);
        Ok(Self {
            start: at(start)?,
            end: at(end)?,
        })
    }

    /// The bytes there.
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        bytes
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }

    /// The part from `start` on to `end`, counted from its beginning.
    pub(super) fn part(self, start: usize, end: usize) -> Result<Self, NoHead> {
        let base = self.start as usize;
        Self::new(base + start, base + end)
    }
}

/// Reads a head at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Result<Head, NoHead> {
    let (start, mut at) = line(bytes, 0)?;
    let mut lines = Vec::with_capacity(16);
    loop {
        let (span, next) = line(bytes, at)?;
        let text = span.of(bytes);
        at = next;
        if text.is_empty() {
            return Ok(Head {
                start,
                lines,
                length: at,
            });
        }
        if lines.len() == MAX_LINES {
            return Err(NoHead::Odd);
        }
        lines.push(header(span, text)?);
    }
}

/// The line at `at`, and where the next one begins.
fn line(bytes: &[u8], at: usize) -> Result<(Span, usize), NoHead> {
    let rest = bytes.get(at..).unwrap_or_default();
    let length = memchr(b'\n', rest).ok_or(NoHead::Partial)?;
    let text = rest.get(..length).unwrap_or_default();
    let text = text.strip_suffix(b"\r").ok_or(NoHead::Odd)?;
    Ok((Span::new(at, at + text.len())?, at + length + 1))
}

fn header(span: Span, text: &[u8]) -> Result<Line, NoHead> {
    let colon = memchr(b':', text).ok_or(NoHead::Odd)?;
    let (name, value) = text.split_at(colon);
    let value = value.get(1..).unwrap_or_default();
    let sound = !name.is_empty()
        && name.iter().all(|byte| is_token(*byte))
        && value.iter().all(|byte| is_text(*byte));
    if !sound {
        return Err(NoHead::Odd);
    }
    let trimmed = value.trim_ascii();
    let before = value.len() - value.trim_ascii_start().len();
    let from = colon + 1 + before;
    Ok(Line {
        name: span.part(0, colon)?,
        value: span.part(from, from + trimmed.len())?,
    })
}

/// Of a name (RFC 9110 §5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// Of a value (RFC 9110 §5.5).
const fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// A number that nobody can read as another one (RFC 9110 §8.6).
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    let sound = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits)
        .ok()?
        .parse()
        .ok()
        .filter(|_| sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(head: &str) -> Result<Vec<(String, String)>, NoHead> {
        let bytes = head.as_bytes();
        let read = read(bytes)?;
        let text = |span: Span| String::from_utf8(span.of(bytes).to_vec()).unwrap();
        let lines = read.lines.iter();
        Ok(lines
            .map(|line| (text(line.name), text(line.value)))
            .collect())
    }

    #[test]
    fn a_head_is_places_in_its_bytes() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\nX-A:\t b c \r\nEmpty:\r\n\r\nrest";
        let head = read(bytes).unwrap();
        assert_eq!(head.start.of(bytes), b"GET / HTTP/1.1");
        assert_eq!(&bytes[head.length..], b"rest");
        let text = std::str::from_utf8(bytes).unwrap();
        let expected = [("Host", "a"), ("X-A", "b c"), ("Empty", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers(text).unwrap(), expected);
    }

    #[test]
    fn every_beginning_of_one_is_partial() {
        let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]).unwrap_err(), NoHead::Partial);
        }
    }

    #[test]
    fn what_can_be_understood_otherwise_is_odd() {
        for odd in [
            "GET / HTTP/1.1\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n\n",
            "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\n: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nX\u{e9}: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\tX: a\r\n\r\n",
        ] {
            assert_eq!(headers(odd).unwrap_err(), NoHead::Odd, "{odd:?}");
        }
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(MAX_LINES + 1));
        assert_eq!(headers(&many).unwrap_err(), NoHead::Odd);
    }

    #[test]
    fn numbers_are_digits() {
        assert_eq!(number(b"0042"), Some(42));
        for odd in [
            &b""[..],
            b"+1",
            b"-1",
            b"1 ",
            b"1,1",
            b"0x1",
            b"99999999999999999999",
        ] {
            assert_eq!(number(odd), None);
        }
    }
}
