//! Any bytes as a PROXY header: no panic, the same however they come apart, nothing behind it taken.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shardwire::limits::PROXY_HEADER_BYTES_MAX;
use shardwire::node::proxy::{NoHeader, parse};

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    match whole {
        Ok(header) => {
            assert!(header.bytes <= bytes.len() && header.bytes <= PROXY_HEADER_BYTES_MAX);
            assert_eq!(parse(&bytes[..header.bytes]), whole);
            // Whoever reads a part takes it all: no part of a whole header may be more than that.
            for end in 0..header.bytes {
                assert_eq!(parse(&bytes[..end]), Err(NoHeader::Incomplete));
            }
            if let Some(source) = header.source {
                check_source(&bytes[..header.bytes], source);
            }
        }
        Err(NoHeader::Incomplete) => assert!(bytes.len() < PROXY_HEADER_BYTES_MAX),
        Err(NoHeader::Bad) => {
            let more = [bytes, b"\r\n"].concat();
            assert_eq!(parse(&more), Err(NoHeader::Bad));
        }
    }
});

/// The address stands in the header: as text in version 1, as its bytes in version 2.
fn check_source(header: &[u8], source: std::net::SocketAddr) {
    if let Some(line) = header.strip_prefix(b"PROXY ") {
        let line = std::str::from_utf8(line).expect("addresses are ASCII");
        let fields: Vec<&str> = line.trim_ascii().split(' ').collect();
        assert_eq!(fields[1].parse(), Ok(source.ip()));
        assert_eq!(fields[3].parse(), Ok(source.port()));
        return;
    }
    let (ip, at_port) = match source.ip() {
        std::net::IpAddr::V4(ip) => (ip.octets().to_vec(), 24),
        std::net::IpAddr::V6(ip) => (ip.octets().to_vec(), 48),
    };
    // IPv4 addresses inside IPv6 ones come as they are.
    assert_eq!(&header[16..16 + ip.len()], ip);
    assert_eq!(&header[at_port..at_port + 2], source.port().to_be_bytes());
}
