//! What the measuring programs share: measured child processes and the clients that load them.
//!
//! A program starts itself again with `--role` for each process it measures, so that the server's
//! processor time and memory are its own alone, and talks to it over pipes, a line each way. Load
//! goes to loopback only. Nothing here is measured or asserts anything of the broker.

#![allow(dead_code, reason = "each program uses its part")]

pub mod arguments;
pub mod broker;
#[path = "../../tests/secured/certificate.rs"]
pub mod certificate;
pub mod child;
pub mod clients;
pub mod memory;
pub mod mute;
pub mod polling;
pub mod publisher;
pub mod report;
