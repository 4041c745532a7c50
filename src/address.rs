//! What of a client's address makes it one client, where limits are counted by address.
//!
//! Used by who counts places (`node/threshold.rs`) and connections (`node/census.rs`), so that both
//! mean the same. Reports and the webhook are told the whole address. Contract: protocols.md
//! section 9, "Per-IP limits".

use std::net::{IpAddr, Ipv6Addr};

/// The address that a client counts under: what it can choose freely of an IPv6 address, the lower
/// half, makes no second client.
pub fn counted(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_one_address() {
        let of = |text: &str| counted(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
