//! The PROXY protocol, versions 1 and 2: whom a proxy speaks for, told before the first byte.
//!
//! Read from a socket without a byte too many, so that what follows (TLS, HTTP) finds its own
//! beginning. Only ever called for connections of listed proxies; a header from anyone else is a
//! bad request like any other. Specification: HAProxy's proxy-protocol.txt, protocols.md sections 9
//! and 10.

use std::io;
use std::net::SocketAddr;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// A header, of either version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The client's address; `None` where the proxy speaks for itself, or does not say.
    pub source: Option<SocketAddr>,
    /// Bytes of the header.
    pub bytes: usize,
}

/// Why there is no header (yet).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHeader {
    /// More bytes are needed.
    Incomplete,
    /// It will be none, or one longer than taken ([`PROXY_HEADER_BYTES_MAX`]).
    Bad,
}

/// What stands at the beginning of `bytes`.
///
/// # Errors
/// See [`NoHeader`].
pub fn parse(bytes: &[u8]) -> Result<Header, NoHeader> {
    // The version 2 says its length at once: what would be too long need not be waited for.
    if let [b'\r', .., high, low] = bytes[..bytes.len().min(V2_FIXED_BYTES)]
        && bytes.len() >= V2_FIXED_BYTES
        && usize::from(u16::from_be_bytes([high, low])) > PROXY_HEADER_BYTES_MAX - V2_FIXED_BYTES
    {
        return Err(NoHeader::Bad);
    }
    if !is_beginning(bytes) {
        return Err(NoHeader::Bad);
    }
    let settings = ParseConfig { include_tlvs: false, allow_v1: true, allow_v2: true };
    match ProxyHeader::parse(bytes, settings) {
        // The parser bounds version 1 only while it is incomplete.
        Ok((_, taken)) if bytes[0] == b'P' && taken > V1_BYTES_MAX => Err(NoHeader::Bad),
        Ok((header, taken))
            if bytes[0] == b'P'
                && header.proxied_address().is_some()
                && !has_plain_ports(&bytes[..taken]) =>
        {
            Err(NoHeader::Bad)
        }
        Ok((header, taken)) => match header.proxied_address() {
            Some(address) if address.protocol != Protocol::Stream => Err(NoHeader::Bad),
            address => Ok(Header { source: address.map(|it| it.source), bytes: taken }),
        },
        Err(Error::BufferTooShort) if bytes.len() < PROXY_HEADER_BYTES_MAX => {
            Err(NoHeader::Incomplete)
        }
        Err(_) => Err(NoHeader::Bad),
    }
}

/// Whether both ports of a header of version 1 are digits and nothing else.
fn has_plain_ports(header: &[u8]) -> bool {
    let mut ports = header.trim_ascii_end().split(|byte| *byte == b' ').skip(4);
    ports.all(|port| !port.is_empty() && port.iter().all(u8::is_ascii_digit))
}

/// Bytes of a header of version 1.
const V1_BYTES_MAX: usize = 107;

/// Bytes before the addresses of version 2.
const V2_FIXED_BYTES: usize = 16;

/// Whether bytes can be the first of a header. The parser would wait for 15 of them to say so.
fn is_beginning(bytes: &[u8]) -> bool {
    let begins = |mark: &[u8]| {
        let common = mark.len().min(bytes.len());
        mark[..common] == bytes[..common]
    };
    begins(b"PROXY ") || begins(b"\r\n\r\n\0\r\nQUIT\n")
}

/// Reads the header off a connection: the client's address, if one is told.
///
/// # Errors
/// The connection ended or failed, or what came is no header (`InvalidData`).
pub(super) async fn read(stream: &mut TcpStream) -> io::Result<Option<SocketAddr>> {
    let mut head = [0; PROXY_HEADER_BYTES_MAX];
    let mut taken = 0;
    loop {
        let seen = taken + stream.peek(&mut head[taken..]).await?;
        if seen == taken {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // What is incomplete is all header: only a whole one can have something behind it.
        let (to, header) = match parse(&head[..seen]) {
            Ok(header) => (header.bytes, Some(header)),
            Err(NoHeader::Incomplete) => (seen, None),
            Err(NoHeader::Bad) => return Err(io::ErrorKind::InvalidData.into()),
        };
        stream.read_exact(&mut head[taken..to]).await?;
        if let Some(header) = header {
            return Ok(header.source);
        }
        taken = to;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proxy_header::ProxiedAddress;

    use super::*;

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        header.extend([0x20 | command, family]);
        header.extend((rest.len() as u16).to_be_bytes());
        header.extend(rest);
        header
    }

    fn encoded(source: &str, destination: &str, v1: bool) -> Vec<u8> {
        let parse = |text: &str| text.parse().unwrap();
        let address = ProxiedAddress::stream(parse(source), parse(destination));
        let header = ProxyHeader::with_address(address);
        let mut buffer = [0; 256];
        let bytes = if v1 {
            header.encode_to_slice_v1(&mut buffer)
        } else {
            header.encode_to_slice_v2(&mut buffer)
        };
        buffer[..bytes.unwrap()].to_vec()
    }

    #[test]
    fn both_versions_whole_in_parts_and_with_more_behind() {
        let (four, six) = ("203.0.113.9:52953", "[2001:db8::1]:9");
        let local: &[u8] = &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        for (header, source) in [
            (encoded(four, "192.0.2.1:80", true), Some(four)),
            (encoded(four, "192.0.2.1:80", false), Some(four)),
            (encoded(six, "[::1]:80", true), Some(six)),
            (encoded(six, "[::1]:80", false), Some(six)),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (v2(0, 0x11, local), None),
            (v2(0, 0x00, &[]), None),
            (v2(1, 0x00, &[4, 0, 1, 9]), None),
            (v2(1, 0x31, &[0; 216]), None),
        ] {
            let source = source.map(|text| text.parse().unwrap());
            for end in 0..header.len() {
                assert_eq!(parse(&header[..end]), Err(NoHeader::Incomplete), "{header:?} {end}");
            }
            let bytes = header.len();
            let mut more = header;
            for _ in 0..3 {
                assert_eq!(parse(&more), Ok(Header { source, bytes }));
                more.extend_from_slice(b"GET / HTTP/1.1\r\n");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_known_early() {
        let mut long = v2(1, 0x11, &[0; 521]);
        long.truncate(16);
        let address = [0; 12];
        for bad in [
            &b"G"[..],
            b"PROXX",
            b"PROXY TCP9 1.1.1.1 1.1.1.1 1 1\r\n",
            b"PROXY TCP4 ::1 ::1 1 1\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 +1 2\r\n",
            b"PROXY TCP6 ::1 ::1 1 +2\r\n",
            b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\rx",
            &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 93]].concat(),
            &[b"PROXY UNKNOWN ".as_slice(), &[b'x'; 93], b"\r\n"].concat(),
            b"\r\n\r\n\0\r\nQUIX",
            &long,
            &v2(2, 0x11, &address),
            &v2(1, 0x12, &address),
            &v2(1, 0x41, &address),
            &[v2(1, 0x11, &[0; 11]), vec![0]].concat(),
        ] {
            assert_eq!(parse(bad), Err(NoHeader::Bad), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn not_a_byte_too_many_is_read() {
        use tokio::io::AsyncWriteExt;
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let four = "203.0.113.9:52953";
        for v1 in [true, false] {
            let mut client = TcpStream::connect(address).await.unwrap();
            let (mut server, _) = listener.accept().await.unwrap();
            let header = encoded(four, "192.0.2.1:80", v1);
            let reading = tokio::spawn(async move {
                let source = read(&mut server).await.unwrap();
                let mut rest = Vec::new();
                server.read_to_end(&mut rest).await.unwrap();
                (source, rest)
            });
            let (first, second) = header.split_at(7);
            client.write_all(first).await.unwrap();
            tokio::task::yield_now().await;
            client.write_all(&[second, b"GET"].concat()).await.unwrap();
            drop(client);
            assert_eq!(reading.await.unwrap(), (four.parse().ok(), b"GET".to_vec()));
        }
        let mut client = TcpStream::connect(address).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        assert_eq!(read(&mut server).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
