//! The wire: bytes to commands and messages to bytes, without a socket.

pub mod deflate;
pub mod frame;
