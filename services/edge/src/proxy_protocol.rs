//! The PROXY protocol, versions 1 and 2: what a load balancer that passes bytes says about the
//! client, before the first byte of the client's own
//! (<https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

/// Longest wait for all of it: the load balancer sends it at once.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest line of version 1 (§2.1).
const LONGEST_LINE: usize = 107;
/// Longest rest of version 2 that is read; addresses and a few extensions fit.
const LONGEST_REST: usize = 1024;

/// First bytes of version 2 (§2.2).
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Reads it off the stream. `Ok(None)`: the load balancer speaks for itself, as in its health
/// checks, or does not know the client.
///
/// # Errors
/// What came is not of the protocol, or not all came in time.
pub(crate) async fn client(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<Option<SocketAddr>> {
    timeout(PATIENCE, read(stream))
        .await
        .unwrap_or_else(|_late| Err(io::ErrorKind::TimedOut.into()))
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    // Both versions are longer than this.
    let mut start = [0; SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == SIGNATURE {
        return binary(stream).await;
    }
    let mut line = start.to_vec();
    while !line.ends_with(b"\r\n") {
        if line.len() >= LONGEST_LINE {
            return Err(foreign());
        }
        line.push(stream.read_u8().await?);
    }
    let line = std::str::from_utf8(&line).map_err(|_| foreign())?;
    line_of_text(line.trim_end())
}

fn line_of_text(line: &str) -> io::Result<Option<SocketAddr>> {
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(None),
        ["PROXY", "TCP4" | "TCP6", from, _to, port, _to_port] => {
            let from: IpAddr = from.parse().map_err(|_| foreign())?;
            let port: u16 = port.parse().map_err(|_| foreign())?;
            Ok(Some(SocketAddr::new(from, port)))
        }
        _ => Err(foreign()),
    }
}

async fn binary(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let version_and_command = stream.read_u8().await?;
    let family = stream.read_u8().await?;
    let length = usize::from(stream.read_u16().await?);
    if length > LONGEST_REST {
        return Err(foreign());
    }
    let mut rest = vec![0; length];
    stream.read_exact(&mut rest).await?;
    let mut rest = rest.as_slice();
    match (version_and_command, family) {
        // PROXY, TCP over IPv4: both addresses, then both ports.
        (0x21, 0x11) => {
            let from = Ipv4Addr::from_bits(rest.read_u32().await?);
            let _to = rest.read_u32().await?;
            Ok(Some(SocketAddr::new(from.into(), rest.read_u16().await?)))
        }
        // The same over IPv6.
        (0x21, 0x21) => {
            let from = Ipv6Addr::from_bits(rest.read_u128().await?);
            let _to = rest.read_u128().await?;
            Ok(Some(SocketAddr::new(from.into(), rest.read_u16().await?)))
        }
        // LOCAL, or something else than TCP: nobody we could name.
        (0x20 | 0x21, _) => Ok(None),
        _ => Err(foreign()),
    }
}

fn foreign() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not of the PROXY protocol")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(mut bytes: &[u8]) -> Result<(Option<String>, usize), io::ErrorKind> {
        let client = client(&mut bytes).await.map_err(|error| error.kind())?;
        Ok((client.map(|address| address.to_string()), bytes.len()))
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest, b"GET /"].concat()
    }

    #[tokio::test]
    async fn names_the_client_and_leaves_what_is_the_clients() {
        let address = |text: &str| Ok((Some(text.to_owned()), 5));
        let line = b"PROXY TCP4 203.0.113.7 10.0.0.1 51000 80\r\nGET /";
        assert_eq!(told(line).await, address("203.0.113.7:51000"));
        let line = b"PROXY TCP6 2001:db8::7 2001:db8::1 51000 80\r\nGET /";
        assert_eq!(told(line).await, address("[2001:db8::7]:51000"));
        assert_eq!(told(b"PROXY UNKNOWN\r\nGET /").await, Ok((None, 5)));

        let four = [203, 0, 113, 7, 10, 0, 0, 1, 0xc7, 0x38, 0, 80];
        assert_eq!(
            told(&v2(0x21, 0x11, &four)).await,
            address("203.0.113.7:51000")
        );
        // Extensions follow the addresses.
        let extended = [&four[..], &[3, 0, 1, 9]].concat();
        assert_eq!(
            told(&v2(0x21, 0x11, &extended)).await,
            address("203.0.113.7:51000")
        );
        let six = [
            &[0x20, 1, 0xd, 0xb8][..],
            &[0; 11],
            &[7],
            &[0; 16],
            &[0xc7, 0x38, 0, 80],
        ];
        assert_eq!(
            told(&v2(0x21, 0x21, &six.concat())).await,
            address("[2001:db8::7]:51000")
        );
        assert_eq!(told(&v2(0x20, 0, &[])).await, Ok((None, 5)));
    }

    #[tokio::test]
    async fn refuses_everything_else() {
        let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200]].concat();
        let too_long = v2(0x21, 0x11, &[0; LONGEST_REST + 1]);
        for foreign in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PROXY TCP4 here there 1 2\r\n",
            b"PROXY TCP4 1.2.3.4 1.2.3.4 99999 2\r\n",
            &long,
            &too_long,
            &v2(0x31, 0x11, &[0; 12]),
        ] {
            assert_eq!(told(foreign).await, Err(io::ErrorKind::InvalidData));
        }
        for cut in [&b""[..], b"PROXY TCP4 1", &v2(0x21, 0x11, &[0; 4])] {
            assert_eq!(told(cut).await, Err(io::ErrorKind::UnexpectedEof));
        }
    }
}
