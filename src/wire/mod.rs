//! The wire: bytes to commands and messages to bytes, without a socket.
//!
//! [`frame`] and [`deflate`] are RFC 6455 and RFC 7692; [`json`] reads and writes what the JSON
//! dialects share; a dialect is a file of its own and never imports another.

pub mod admin;
pub mod channels;
pub mod deflate;
pub mod engineio;
pub mod events;
pub mod frame;
pub mod json;
pub mod socketio;
pub mod topics;
