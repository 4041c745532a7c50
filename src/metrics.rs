//! What a shard counts. Each shard owns its counters and is the only one to write them: a counter
//! costs a plain load and store. Anyone may read at any time; a scrape adds the shards up.
//!
//! Names and help texts stand in one table; `http/metrics` prints it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::close::Close;

/// A number with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only ever called by the owner.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Subtracts, for a gauge; only ever called by the owner.
    pub fn sub(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_sub(amount), Ordering::Relaxed);
    }

    /// Sets a gauge; only ever called by the owner.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value as last written.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether a number may fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Stands for what is now.
    Gauge,
}

/// One row of the table, read from one shard.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// The metric's name without the prefix `shardwire_`.
    pub name: &'static str,
    /// What it counts, with its unit.
    pub help: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// The value.
    pub value: u64,
}

macro_rules! shard_metrics {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident,)+) => {
        /// One shard's counters.
        #[derive(Debug, Default)]
        pub struct ShardMetrics {
            $($(#[doc = $doc])+ pub $name: Counter,)+
            /// Connections that began to close, by row of `Close`: each once, for its first
            /// reason, when our close frame is queued; whether it is taken is not known then.
            /// `Normal`: the client's close frame came first.
            pub closed: [Counter; Close::ALL.len()],
        }

        impl ShardMetrics {
            /// Every counter but those of `closed`, in the table's order.
            pub fn readings(&self) -> impl Iterator<Item = Reading> {
                [$(Reading {
                    name: stringify!($name),
                    help: concat!($($doc),+).trim_ascii(),
                    kind: Kind::$kind,
                    value: self.$name.get(),
                },)+].into_iter()
            }
        }
    };
}

shard_metrics! {
    /// Established WebSocket connections now.
    connections: Gauge,
    /// Established WebSocket connections with an identity now.
    connections_authenticated: Gauge,
    /// WebSocket connections established.
    connections_opened_total: Counter,
    /// WebSocket connections that are over and wait for the turn that ends them.
    connections_ending: Gauge,
    /// WebSocket connections ended, for whatever reason.
    connections_ended_total: Counter,
    /// Upgrades refused because the request is no handshake, or an ill-formed one.
    upgrades_refused_malformed_total: Counter,
    /// Upgrades refused because the broker shuts down.
    upgrades_refused_draining_total: Counter,
    /// Upgrades refused for the page they came from.
    upgrades_refused_origin_total: Counter,
    /// Upgrades refused because their address has as many connections as one may have.
    upgrades_refused_address_total: Counter,
    /// Upgrades refused because the broker has as many connections as it may have.
    upgrades_refused_full_total: Counter,
    /// Upgrades refused for their token, or for want of one.
    upgrades_refused_token_total: Counter,
    /// Requests to Engine.IO that were at fault, or of a session that is not there.
    engine_requests_refused_total: Counter,
    /// WebSockets brought to the shard that has their session.
    crossings_total: Counter,
    /// WebSockets closed because too many were on their way to the shard that has their session.
    crossings_refused_total: Counter,
    /// Requests to the API without its key or an admin's token.
    api_refused_total: Counter,
    /// Requests refused in trial mode because their Host is not this machine.
    hosts_refused_total: Counter,
    /// Connections that were to speak TLS and did not, or not to their first request.
    tls_failed_total: Counter,
    /// Engine.IO sessions now, by either transport.
    engines: Gauge,
    /// Engine.IO sessions now that poll.
    engines_polling: Gauge,
    /// Polls that wait for something to be sent.
    polls_waiting: Gauge,
    /// Bodies of polling requests refused because too many wait to be carried out.
    posts_refused_total: Counter,
    /// WebSockets that took over from polling.
    upgrades_total: Counter,
    /// WebSockets that were to take over from polling and did not.
    upgrades_failed_total: Counter,
    /// Socket.IO sockets now.
    socketio_sockets: Gauge,
    /// Socket.IO events received.
    socketio_events_total: Counter,
    /// Socket.IO events answered with an error.
    socketio_errors_total: Counter,
    /// Messages received in the last ten seconds before the shard's last turn.
    messages_of_late: Gauge,
    /// Socket.IO events received in the last minute before the shard's last turn.
    events_of_late: Gauge,
    /// Of these, answered with an error.
    errors_of_late: Gauge,
    /// When that turn was, in monotonic milliseconds.
    of_late_ms: Gauge,
    /// Messages that Socket.IO clients could not be sent, for the event's name is reserved there.
    unsayable_total: Counter,
    /// Socket.IO sockets now whose transport is lost and who may come back.
    socketio_ghosts: Gauge,
    /// Engines that went to the shard of a socket that their clients came back for.
    engines_moved_total: Counter,
    /// Sockets that came back and heard what they had missed.
    recovered_total: Counter,
    /// Sockets that wanted to come back and could not.
    recovery_failed_total: Counter,
    /// Sockets whose time to come back was over, or which made room for others.
    ghosts_forgotten_total: Counter,
    /// Bytes of the messages kept for those who come back.
    recovery_log_bytes: Gauge,
    /// Messages dropped from those for want of room, before their time was over.
    recovery_overruns_total: Counter,
    /// Pings of Engine.IO that were answered.
    pongs_total: Counter,
    /// Milliseconds that their answers took, all together.
    pong_wait_ms_total: Counter,
    /// Subscriptions now.
    subscriptions: Gauge,
    /// Topics with a subscriber now.
    topics: Gauge,
    /// Patterns with a subscriber now.
    patterns: Gauge,
    /// Data messages from clients.
    messages_received_total: Counter,
    /// Bytes read from clients.
    bytes_received_total: Counter,
    /// Bytes read from clients that wait for a later turn, or for an answer to what came before.
    held_bytes: Gauge,
    /// Reads cut short because they caused as much work as one read may.
    reads_cut_total: Counter,
    /// Messages published by this shard's clients and HTTP requests.
    messages_published_total: Counter,
    /// Publishes over HTTP refused because the shard drains or is overloaded.
    publishes_refused_total: Counter,
    /// Questions for the webhook that were refused because too many waited.
    questions_refused_total: Counter,
    /// Inquiries of operators and HTTP requests that shards have not answered yet.
    inquiries_open: Gauge,
    /// Inquiries refused because too many were open or mail could not be sent.
    inquiries_refused_total: Counter,
    /// Requests of operators refused because too many of the same connection waited.
    operator_requests_refused_total: Counter,
    /// Questions for the webhook that wait for an answer now.
    questions_open: Gauge,
    /// Questions put to the webhook, those included that another shard's answer is good for.
    webhook_asked_total: Counter,
    /// Questions that were answered yes.
    webhook_allowed_total: Counter,
    /// Questions that were answered no.
    webhook_denied_total: Counter,
    /// Questions that were not answered, in time or at all: denied.
    webhook_failed_total: Counter,
    /// Remembered answers of the webhook that made room for newer ones.
    answers_evicted_total: Counter,
    /// Times that new connections waited because too many were in HTTP.
    accept_waits_total: Counter,
    /// HTTP connections cut before they had asked, for others or their own address's share.
    handshakes_cut_total: Counter,
    /// Connections of listed proxies that did not begin with a PROXY header, or not in time.
    proxy_headers_refused_total: Counter,
    /// Failed accepts, most often for want of descriptors.
    accept_errors_total: Counter,
    /// Messages queued for a connection.
    deliveries_total: Counter,
    /// Bytes handed to the kernel for clients.
    bytes_sent_total: Counter,
    /// Sends to clients: one a connection and turn.
    sends_total: Counter,
    /// Turns of the shard.
    turns_total: Counter,
    /// Turns with more deadlines than one turn acts on.
    deadlines_deferred_total: Counter,
    /// Requests answered with an error.
    refusals_total: Counter,
    /// Requests refused over the rate limit.
    rate_limited_total: Counter,
    /// Ping frames left unanswered over the limit of ten a second.
    pings_ignored_total: Counter,
    /// Failed authentications by message.
    auth_failures_total: Counter,
    /// Bytes queued for connections whose kernel buffer is full now.
    outbox_bytes: Gauge,
    /// Connections whose kernel buffer is full now.
    outbox_connections: Gauge,
    /// Messages dropped for slow consumers, the oldest first.
    dropped_oldest_total: Counter,
    /// Messages dropped for slow consumers, the newest first.
    dropped_newest_total: Counter,
    /// Messages dropped for slow consumers because a newer one of their topic came.
    dropped_conflated_total: Counter,
    /// Messages dropped with the connection of a slow consumer.
    dropped_disconnect_total: Counter,
    /// Messages compressed.
    compressions_total: Counter,
    /// Messages decompressed.
    decompressions_total: Counter,
    /// Mails sent to other shards.
    mails_sent_total: Counter,
    /// Mails taken from other shards.
    mails_taken_total: Counter,
    /// Mails kept back for full mailboxes now.
    mails_spilled: Gauge,
    /// Turns in which clients were not read because mail could not be sent.
    congested_turns_total: Counter,
    /// Topics with a history now.
    history_topics: Gauge,
    /// Bytes of messages in histories now.
    history_bytes: Gauge,
    /// Histories dropped because the shard keeps too many.
    history_evicted_total: Counter,
}

impl ShardMetrics {
    /// A shard's counters, all zero.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Connections that began to close for this reason, however they ended then.
    pub fn closed_for(&self, close: Close) -> &Counter {
        &self.closed[close.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reading_has_a_name_and_a_text() {
        let metrics = ShardMetrics::new();
        metrics.connections.add(3);
        metrics.connections.sub(1);
        let readings: Vec<_> = metrics.readings().collect();
        assert_eq!(readings[0].value, 2);
        for reading in readings {
            assert!(reading.help.ends_with('.'), "{}", reading.name);
            assert_eq!(reading.kind == Kind::Counter, reading.name.ends_with("_total"));
        }
    }
}
