//! Every bound of the broker in one place, each with its unit.
//!
//! What an operator may change is a setting (`config.rs`) whose default stands here; the rest is
//! fixed. A bound that is hit has a counter in `metrics.rs` or a refusal in `close.rs`.

/// Bytes of a topic's name (protocols.md section 2).
pub const TOPIC_BYTES_MAX: usize = 256;
/// Segments of a topic's name (protocols.md section 2).
pub const TOPIC_SEGMENTS_MAX: usize = 32;
/// Shards of one process: a bit each in the interest table's words.
pub const SHARDS_MAX: usize = 64;
/// Bytes of one message from a client, after inflating; the sum over its fragments.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes queued for one connection that does not read.
pub const OUTBOX_BYTES_MAX: usize = 1 << 20;
/// Subscriptions of one connection.
pub const SUBSCRIPTIONS_MAX: usize = 1000;
/// Milliseconds between the pings of an engine.
pub const ENGINE_PING_INTERVAL_MS: u64 = 25_000;
/// Milliseconds in which an engine's client must answer a ping.
pub const ENGINE_PING_TIMEOUT_MS: u64 = 20_000;
/// Bytes of a Socket.IO message with its attachments, and of the body of a polling request.
pub const ENGINE_PAYLOAD_BYTES_MAX: usize = 1_000_000;
/// Milliseconds in which a WebSocket must have taken over from a polling session.
pub const UPGRADE_MS: u64 = 10_000;
/// Milliseconds in which an engine must have connected a namespace.
pub const CONNECT_MS: u64 = 45_000;
/// Milliseconds in which a polling session that is over can be told so: who lives polls at once.
pub const POLL_CLOSE_MS: u64 = CLOSE_WAIT_MS;
/// Bytes of the body of one poll; one record is always taken, whatever its size.
pub const POLL_BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of bodies that wait to be carried out, of all polling sessions of a shard.
pub const INPUT_BYTES_MAX: usize = 64 << 20;
/// WebSockets on their way to one shard that has their sessions; a further one is closed.
pub const CROSSINGS_MAX: usize = 1024;
/// Milliseconds for which an HTTP connection of a polling session may be silent between two
/// requests: it polls again at once and posts whenever it likes, so that one that is closed under a
/// post costs the session.
pub const SESSION_IDLE_MS: u64 = 65_000;
/// Answers to polling requests of one turn that a shard keeps room for.
pub const ENGINE_REPLIES_KEPT: usize = 64;
/// Milliseconds in which a socket's presence is told once, and its typing in one room.
pub const PRESENCE_MS: u64 = 1000;
/// Seconds over which messages are counted for reports.
pub const MESSAGES_OF_LATE_S: u64 = 10;
/// Seconds over which Socket.IO events and errors are.
pub const EVENTS_OF_LATE_S: u64 = 60;
/// Milliseconds between two test notifications.
pub const HELLO_MS: u64 = 60_000;
/// Bytes of what a shard has said to Socket.IO clients, kept for those who come back.
pub const RECOVERY_BYTES_MAX: usize = 64 << 20;
/// Messages that are kept for that on a shard.
pub const RECOVERY_ENTRIES_MAX: usize = 1 << 18;
/// Of these that many, when their time is over, are dropped in a turn.
pub const RECOVERY_SWEEP: usize = 4096;
/// Milliseconds between two looks for such.
pub const RECOVERY_SWEEP_MS: u64 = 1000;
/// Socket.IO sockets of a shard that lost their transport and may come back.
pub const GHOSTS_MAX: usize = 1 << 16;
/// Messages kept that are looked at in one turn for one socket that comes back.
pub const REPLAY_PLACES: u64 = 1 << 14;
/// Messages that one socket that comes back is sent in one turn.
pub const REPLAY_MESSAGES: u64 = 256;
/// Sockets that come back of which one turn takes up.
pub const RETURNS_PER_TURN: usize = 64;
/// Events of one Socket.IO socket that its client is to acknowledge and has not yet.
pub const ASKED_MAX: usize = 64;
/// Milliseconds in which it must have.
pub const ASKED_MS: u64 = 10_000;
/// Attachments of one Socket.IO packet.
pub const ATTACHMENTS_MAX: u8 = 10;
/// Topics whose matching patterns a shard remembers: slots of a direct-mapped cache.
pub const MATCH_CACHE_SLOTS: usize = 4096;
/// Matching patterns that a shard remembers of one topic; of a topic with more it remembers none.
pub const MATCH_CACHE_PATTERNS_MAX: usize = 64;
/// Connections from one client address.
pub const CONNECTIONS_PER_IP_MAX: u32 = 100;
/// Failed `auth` messages before the connection is closed with 1008.
pub const AUTH_FAILURES_MAX: u8 = 3;
/// Ping frames of one connection that are answered in a second.
pub const PINGS_PER_SECOND_MAX: u8 = 10;
/// Windows in a row over the rate limit before 4429.
pub const RATE_WINDOWS_MAX: u8 = 3;
/// Times the rate limit within one window before 4429.
pub const RATE_BURST_FACTOR: u32 = 10;
/// Milliseconds in which a connection that was told to go must take its close frame and answer.
pub const CLOSE_WAIT_MS: u64 = 5000;
/// Bytes of a token (a JWT) in any carrier.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Bytes of a close reason: a control frame's payload less its code (RFC 6455 section 5.5).
pub const CLOSE_REASON_BYTES_MAX: usize = 123;
/// Topics in one `subscribe` or `unsubscribe` message.
pub const TOPICS_PER_REQUEST_MAX: usize = 1000;
/// Bytes of a request's `id` as written.
pub const REQUEST_ID_BYTES_MAX: usize = 256;
/// Bytes of an unknown `type` that an error of the dialect `channels` repeats.
pub const ECHOED_TYPE_BYTES_MAX: usize = 256;
/// Milliseconds between two reports of a stream of the dialect `admin`, at least.
pub const REPORT_EVERY_MS_MIN: u64 = 100;
/// Milliseconds between two reports of a stream of the dialect `admin`, at most.
pub const REPORT_EVERY_MS_MAX: u64 = 3_600_000;
/// Items of one page of a list, where the request does not say.
pub const PAGE_ITEMS: u16 = 100;
/// Items of one page of a list that a request may ask for.
pub const PAGE_ITEMS_MAX: u16 = 1000;
/// Slots of the interest table for topics: 8 bytes each a process, 4 a shard.
pub const INTEREST_TOPIC_SLOTS: usize = 1 << 16;
/// Slots of the interest table for the first segments of patterns.
pub const INTEREST_SEGMENT_SLOTS: usize = 1 << 12;
/// Mails of one kind that wait for one shard.
pub const MAILBOX_MAILS_MAX: usize = 4096;
/// Mails that one shard keeps back for full mailboxes before it stops reading from its clients.
pub const SPILL_MAILS_MAX: usize = 4096;
/// Mails that a shard takes in one turn, so that its sockets get their turn too.
pub const MAILS_PER_TURN_MAX: usize = 1024;
/// Bytes of the read buffer that a shard's connections share; also what one connection is read in
/// a turn.
pub const READ_BUFFER_BYTES: usize = 64 << 10;
/// Connections that a shard looks at in one turn when the settings have changed; each may be closed,
/// which costs a send.
pub const REVIEW_SLOTS_PER_TURN: u32 = 1024;
/// Settings that may come one after the other while a shard looks at its connections; with more,
/// what is left to a webhook stays only where the answer is remembered.
pub const REVIEW_POLICIES_MAX: usize = 8;
/// Subscriptions of these that it judges in one turn: a millisecond with some ten rules, ten with
/// hundreds.
pub const REVIEW_STEPS_PER_TURN: usize = 2 << 10;
/// Steps of work, a delivery or a place in the topic index each, that one read of a connection may
/// cause before others get their turn: some ten milliseconds.
pub const READ_STEPS_MAX: u64 = 1 << 20;
/// Bytes of encoded frames in one turn before they are flushed in its midst.
pub const TURN_BYTES_MAX: usize = 4 << 20;
/// Ranges of frames queued for connections in one turn before they are flushed in its midst.
pub const TURN_RANGES_MAX: usize = 1 << 20;
/// Ranges for which a shard keeps room between turns.
pub const TURN_RANGES_KEPT: usize = 64 << 10;
/// Frames of one encoding for which a shard keeps room between turns.
pub const TURN_FRAMES_KEPT: usize = 4 << 10;
/// Bytes of the encoder's buffers that outlast a huge message.
pub const ENCODER_BYTES_KEPT: usize = 64 << 10;
/// Bytes of the inflater's buffer that outlast a huge message.
pub const INFLATED_BYTES_KEPT: usize = 64 << 10;
/// Bytes up to which frames for one connection are copied together to go out in one send.
pub const CORK_BYTES_MAX: usize = 64 << 10;
/// Milliseconds of one tick of the timer wheel: deadlines are that exact, and ticks are counted for
/// eight years.
pub const TICK_MS: u64 = 64;
/// Items of a list that an answer holds beside or without a page's limit: tenants, topics and users
/// in a report.
pub const LIST_ITEMS_MAX: usize = 1000;
/// Bytes of names or messages in one answer, but for its last item; a page is cut short there.
pub const LIST_BYTES_MAX: usize = 256 << 10;
/// Connections or topics that a shard looks at for one answer; a page is cut short there.
pub const LIST_PLACES_MAX: usize = 10_000;
/// Questions that make up one page at most; it is cut short there.
pub const LIST_STEPS_MAX: usize = 1000;
/// Subscriptions that a connection's report names.
pub const SUBSCRIPTIONS_TOLD_MAX: usize = 1000;
/// Inquiries of one shard, to itself and others, that are not answered.
pub const INQUIRIES_MAX: usize = 10_000;
/// Answers of shards that a shard takes up for its `admin` connections in one flush.
pub const OPERATOR_ANSWERS_PER_TURN: usize = 16;
/// Requests of one `admin` connection that wait for the one before them.
pub const OPERATOR_REQUESTS_MAX: usize = 100;
/// Publishes over HTTP whose deliveries one shard counts at a time.
pub const RECEIPTS_MAX: usize = 100_000;
/// Topics whose history one shard keeps; a publish to one more drops the least recently used.
pub const HISTORY_TOPICS_MAX: usize = 100_000;
/// Sockets whose readiness a shard takes from the kernel at a time.
pub const EVENTS_PER_TURN_MAX: usize = 1024;
/// Connections that a shard ends in one flush, so that deliveries go out in between: to close a
/// socket takes the kernel ten microseconds or more. A turn flushes once, and once more each time
/// that its output is full. Those who wait to be ended still hold their descriptors and count for
/// `limits.max_connections_per_ip`.
pub const ENDS_PER_TURN_MAX: usize = 64;
/// Flushes of a shard when the node is over, to answer those who said goodbye: 65,536 of them, in a
/// second or so.
pub const LAST_FLUSHES_MAX: usize = 1024;
/// Deadlines that a shard acts on in one turn; each may cost a send.
pub const DEADLINES_PER_TURN_MAX: usize = 1024;
/// Bytes of plaintext that are encrypted into one record (RFC 8446 section 5.1).
pub const TLS_PLAIN_BYTES: usize = 16 << 10;
/// Bytes of a whole record at most, with any version and cipher (RFC 5246 section 6.2.3). Also what
/// is kept of a record that is not whole, and of a message of the handshake that comes in several:
/// usual ones have some hundred bytes.
pub const TLS_RECORD_BYTES_MAX: usize = 5 + TLS_PLAIN_BYTES + 2048;
/// Milliseconds in which a client that does not speak TLS must take the answer that says so.
pub const NO_TLS_WAIT_MS: u64 = 1000;
/// Bytes of a refused `Origin` that a line of the log shows.
pub const ORIGIN_BYTES_SHOWN: usize = 200;
/// Bytes of the headers of an HTTP request.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 << 10;
/// Header lines of an HTTP request.
pub const REQUEST_HEADERS_MAX: usize = 100;
/// Times `max_message_bytes` that the body of a batch may have.
pub const BATCH_BODY_FACTOR: usize = 16;
/// HTTP connections and handshakes of one shard at a time. For a further one that is cut which has
/// waited longest without asking; where all are being answered, it waits in the kernel's queue.
pub const HTTP_CONNECTIONS_MAX: usize = 4096;
/// For how long a connection that has not asked yet is not cut for one that comes new, in
/// milliseconds.
pub const HANDSHAKE_GRACE_MS: u64 = 1000;
/// HTTP connections of a shard that one address may have in any case; more where it may have more
/// connections.
pub const HANDSHAKES_PER_ADDRESS_MIN: u32 = 256;
/// Bytes of a PROXY header: version 2 with addresses and 500 bytes of extensions.
pub const PROXY_HEADER_BYTES_MAX: usize = 536;
/// Connections to the metrics' own address.
pub const SCRAPES_MAX: usize = 16;
/// Bytes of the configuration's file, and of each that it names.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1 << 20;
/// Things wrong with a configuration that are put into words; what is beyond is counted.
pub const CONFIG_PROBLEMS_LISTED: usize = 100;
/// Items of one batch.
pub const BATCH_ITEMS_MAX: usize = 10_000;
/// Items of a batch that are published before the shard's other work gets a turn.
pub const BATCH_ITEMS_PER_TURN: usize = 64;
/// Milliseconds that `bench` gives a crowd to be connected, beside what its rate takes; and, for
/// each of its connections, microseconds more.
pub const LOAD_CONNECT_MS: u64 = 60_000;
/// See [`LOAD_CONNECT_MS`].
pub const LOAD_CONNECT_US_EACH: u64 = 2_000;
/// Milliseconds that a shard sleeps at most.
pub const SLEEP_MS_MAX: u64 = 500;
/// Bytes of messages in the histories of one shard.
pub const HISTORY_BYTES_MAX: usize = 256 << 20;
/// Histories looked at for their age at a time.
pub const HISTORIES_PER_SWEEP: usize = 64;
/// Handshakes that the kernel keeps for one listener (it may lower this: `somaxconn`).
pub const BACKLOG_MAX: i32 = 4096;
/// Publishes remembered by their `id`, for the process.
pub const PUBLISH_IDS_MAX: usize = 100_000;
/// Milliseconds for which a publish is remembered by its `id`.
pub const PUBLISH_ID_MS: u64 = 120_000;
/// Descriptors kept free for what is not a client connection: listeners, files, HTTP, and the
/// requests to the webhook.
pub const DESCRIPTORS_RESERVED: usize = 256 + WEBHOOK_REQUESTS_MAX;
/// Descriptors that a shard takes: listener, wakers, its epoll and the runtime's.
pub const DESCRIPTORS_PER_SHARD: usize = 10;
/// Milliseconds that a shard waits before it tries again to read clients or accept, when it could
/// not.
pub const RETRY_MS: u64 = 1;
/// The largest number by which a Socket.IO client may ask to be acknowledged: the largest up to
/// which JavaScript counts without a gap.
pub const ACK_ID_MAX: u64 = 1 << 53;
/// Objects and arrays open at once in a JSON text; what nests deeper is refused as malformed.
pub const JSON_NESTING_MAX: usize = 1024;
/// Bytes of the largest JSON text whose working memory a shard keeps for the next one. Index and
/// tape come on top: at most 64 bytes for each byte of text.
pub const JSON_SCRATCH_BYTES_KEPT: usize = 64 << 10;
/// State sets that the search for pattern containment holds at once; past it the answer is no.
pub const COVER_FRONTIER_MAX: usize = 32;
/// Steps of one search for pattern containment; past them the answer is no.
pub const COVER_STEPS_MAX: u32 = 2048;
/// Patterns in a token's `channels`; each is asked at a subscribe that no rule allows.
pub const TOKEN_CHANNELS_MAX: usize = 256;
/// Seconds by which the clocks of a token's maker and ours may differ, unless configured.
pub const TOKEN_LEEWAY_S: u64 = 5;
/// Answers of the webhook that a shard, and beside them the process, remembers.
pub const ANSWERS_MAX: usize = 32_768;
/// Bytes that those answers take, each cache, with their questions.
pub const ANSWERS_BYTES_MAX: usize = 16 << 20;
/// Bytes of the body of a webhook's answer, and of its head.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 64 << 10;
/// Requests to the webhook at a time, a descriptor each; further questions wait, and their time
/// runs.
pub const WEBHOOK_REQUESTS_MAX: usize = 256;
/// Connections to the webhook that are kept for the next question.
pub const WEBHOOK_IDLE_MAX: usize = 32;
/// Milliseconds for which they are kept: less than the servers that close idle connections early,
/// so that none is closed under a question.
pub const WEBHOOK_IDLE_MS: u64 = 4000;
/// Seconds for which an answer may be remembered, whatever it says.
pub const WEBHOOK_TTL_S_MAX: u64 = 86_400;
/// Milliseconds between two lines of the log about a failing webhook.
pub const WEBHOOK_REMARK_MS: u64 = 1000;
/// Questions that the control thread works at: those of which a request is made or waits for a
/// place, and those that wait for the answer to the same question.
pub const CONTROL_QUESTIONS_MAX: usize = 2 * WEBHOOK_REQUESTS_MAX;
/// Threads that look up names for the control thread.
pub const CONTROL_RESOLVERS_MAX: usize = 16;
/// Questions of one connection that are under way; the rest of its request waits its turn.
pub const QUESTIONS_PER_CONNECTION_MAX: usize = 16;
/// Questions of one shard that are not answered yet; what does not fit is refused.
pub const QUESTIONS_MAX: usize = 8192;
/// Bytes of the requests of one shard that wait for answers; what would wait beyond is refused.
pub const WAITING_BYTES_MAX: usize = 16 << 20;
/// Milliseconds beyond the webhook's own time limit after which its answer is not awaited any more.
pub const ANSWER_LATE_MS: u64 = 1000;
/// Questions on their way to the control thread; what does not fit is refused.
pub const CONTROL_WAITING_MAX: usize = 4096;
/// Questions that wait there for their connection's turn.
pub const CONTROL_TURNS_MAX: usize = 4096;

// Defaults of settings that are no bounds of a buffer; `config/keys.rs` names each with its range.

/// Milliseconds between two pings to a connection.
pub const PING_INTERVAL_MS: u64 = 30_000;
/// Milliseconds without a sign of life before a connection is closed with 4408.
pub const PING_TIMEOUT_MS: u64 = 60_000;
/// Milliseconds in which a connection that must authenticate has to.
pub const AUTH_DEADLINE_MS: u64 = 30_000;
/// Bytes of the name of an event in `socketio.events`.
pub const EVENT_NAME_BYTES_MAX: usize = 64;
/// Names in `socketio.events`.
pub const EVENT_NAMES_MAX: usize = 256;
/// Milliseconds in which a request must be complete, headers and body.
pub const REQUEST_TIMEOUT_MS: u64 = 10_000;
/// Milliseconds over which the connections are told that the process ends.
pub const DRAIN_MS: u64 = 10_000;
/// Milliseconds of one window of the rate limit.
pub const RATE_WINDOW_MS: u64 = 60_000;
/// Bytes below which a message is not worth compressing.
pub const COMPRESSION_BYTES_MIN: usize = 512;
/// Messages that the memory bus keeps.
pub const MEMORY_MESSAGES_MAX: usize = 10_000;
/// Messages that the history of one topic may be set to keep.
pub const HISTORY_MESSAGES_MAX: u64 = 1_000_000;
