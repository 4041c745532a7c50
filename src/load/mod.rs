//! The other side of the wire: virtual clients that load a server and judge what it does.
//!
//! | file | what |
//! |---|---|
//! | [`profile`], [`scenario`] | what is to be done: as typed, as meant |
//! | [`layout`] | who hears which topics, who publishes to which: the same for every process |
//! | [`dialect`] | what a client says and hears, a file for each protocol |
//! | [`swarm`] | very many connections in one thread: sockets, TLS, frames |
//! | [`stamp`], [`account`] | what is in a payload; loss, doubles and order from it |
//! | [`times`] | latencies as counts |
//! | [`pace`], [`worker`] | when to publish; one process of the load |
//! | [`floor`] | what a server is compared with: a bare loop of `send` |
//! | [`conductor`], [`orders`], [`probe`] | the run: processes, phases, the server's CPU and memory |
//! | [`outcome`], [`judge`], [`numbers`] | what came of it (JSON), whether that is sound, its figures in words |
//! | [`report`] | the same as a table, a page with plots |
//!
//! # The way of a run
//!
//! ```text
//! cli/bench -> profile -> scenario -> conductor -+- worker (a process) -> swarm -> the server
//!                                                +- worker ...
//!                                                +- floor (a process), where asked for
//!              conductor <- tidings <- worker;  conductor -> outcome -> report
//! ```
//!
//! A worker is one thread with one epoll, as lean as the broker's own shards, and speaks the same
//! codec (`wire`). Its connections hold what is needed to be one and no more. It knows nothing of
//! the server but what the wire tells.

pub mod account;
pub mod clock;
pub mod conductor;
pub mod dialect;
pub mod floor;
pub mod judge;
pub mod layout;
pub mod machine;
pub mod numbers;
pub mod orders;
pub mod outcome;
pub mod pace;
pub mod probe;
pub mod profile;
pub mod report;
pub mod scenario;
pub mod stamp;
pub mod swarm;
pub mod times;
pub mod worker;
