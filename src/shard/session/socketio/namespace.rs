//! The namespaces that there are, by their names on the wire.
//!
//! Each has a number, which is the form of its deliveries (`encoder.rs`) and its bit among those
//! that an engine knows. Contract: protocols.md section 5.

use super::conformance;
use crate::shard::role::Namespace;
use crate::wire::socketio::ROOT;

/// The notification gateway's.
const GATEWAY: &str = "/ws";

impl Namespace {
    /// The one of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            ROOT => Some(Self::Rooms),
            GATEWAY => Some(Self::Gateway),
            _ => None,
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rooms => ROOT,
            Self::Gateway => GATEWAY,
            Self::Conformance(number) => conformance::name(number),
        }
    }

    /// Its number.
    pub(in crate::shard) fn form(self) -> u8 {
        match self {
            // What a suite's sockets hear is told them alone.
            Self::Rooms | Self::Conformance(_) => 0,
            Self::Gateway => 1,
        }
    }

    /// Its bit among those that an engine knows.
    pub(in crate::shard) fn bit(self) -> u8 {
        match self {
            Self::Conformance(number) => 1 << number,
            Self::Rooms | Self::Gateway => 1 << self.form(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_for_one_namespace_each() {
        for (name, namespace) in [("/", Namespace::Rooms), ("/ws", Namespace::Gateway)] {
            assert_eq!(Namespace::named(name), Some(namespace));
            assert_eq!(namespace.name(), name);
        }
        assert_ne!(Namespace::Rooms.bit(), Namespace::Gateway.bit());
        for name in ["", "/ws/", "/WS", "/ws?x=1", "/admin", "//"] {
            assert_eq!(Namespace::named(name), None, "{name}");
        }
    }
}
