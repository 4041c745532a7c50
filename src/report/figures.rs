//! The broker's figures: every counter, of all shards and of each, with connections by tenant and
//! subscribers by topic.
//!
//! Counters are read as they stand: for those no shard is asked.

use std::collections::BTreeMap;

use super::Around;
use super::lists::TopicList;
use super::text::Text;
use crate::close::Close;
use crate::limits::{EVENTS_OF_LATE_S, MESSAGES_OF_LATE_S};
use crate::metrics::ShardMetrics;

/// The text of all figures.
pub(super) fn figures(
    tenants: &BTreeMap<Box<str>, u64>,
    topics: &TopicList,
    around: &Around,
) -> Text {
    let sum = |counter: &dyn Fn(&ShardMetrics) -> u64| {
        around.metrics.iter().map(|shard| counter(shard)).fold(0, u64::wrapping_add)
    };
    let connections = sum(&|shard| shard.connections.get());
    let mut text = Text::default();
    text.open('{').key("uptime").number(around.now.mono_ms / 1000);
    text.key("timestamp").string(&around.now.wall.to_string());
    text.key("draining").raw(if around.draining { "true" } else { "false" });
    text.key("total").number(connections).key("byTenant").open('{');
    for (tenant, connections) in tenants {
        text.key(tenant).number(*connections);
    }
    text.close('}').key("byChannel").open('{');
    for (topic, subscribers) in topics.items() {
        text.key(topic).number(*subscribers);
    }
    text.close('}').key("totalConnections");
    text.number(sum(&|shard| shard.connections_opened_total.get()));
    text.key("activeConnections").number(connections);
    text.key("totalRooms").number(sum(&|shard| shard.topics.get()));
    // Shards that have slept since say what was.
    let is_of_late =
        |shard: &ShardMetrics, s: u64| around.now.mono_ms < shard.of_late_ms.get() + s * 1000;
    let messages = sum(&|shard| {
        if is_of_late(shard, MESSAGES_OF_LATE_S) { shard.messages_of_late.get() } else { 0 }
    });
    let [events, errors] = [
        sum(&|shard| {
            if is_of_late(shard, EVENTS_OF_LATE_S) { shard.events_of_late.get() } else { 0 }
        }),
        sum(&|shard| {
            if is_of_late(shard, EVENTS_OF_LATE_S) { shard.errors_of_late.get() } else { 0 }
        }),
    ];
    let pongs = sum(&|shard| shard.pongs_total.get());
    let waited_ms = sum(&|shard| shard.pong_wait_ms_total.get());
    text.key("messagesPerSecond").raw(&ratio(messages, MESSAGES_OF_LATE_S));
    text.key("averageLatency").raw(&ratio(waited_ms, pongs));
    text.key("errorRate").raw(&ratio(errors, events));
    text.key("totals");
    counters(&mut text, &around.metrics.iter().map(|shard| &**shard).collect::<Vec<_>>());
    text.key("closed").open('{');
    for close in Close::ALL {
        text.key(&close.label()).number(sum(&|shard| shard.closed_for(close).get()));
    }
    text.close('}').key("shards").open('[');
    for shard in &*around.metrics {
        counters(&mut text, &[shard]);
    }
    text.close(']').close('}');
    text
}

/// A quotient with three digits behind the point; of nothing it is nothing.
fn ratio(part: u64, of: u64) -> String {
    let thousandths = (u128::from(part) * 1000).checked_div(u128::from(of)).unwrap_or(0);
    let (whole, rest) = (thousandths / 1000, thousandths % 1000);
    if rest == 0 {
        return whole.to_string();
    }
    format!("{whole}.{rest:03}").trim_end_matches('0').to_owned()
}

/// Every counter of some shards, added up.
fn counters(text: &mut Text, shards: &[&ShardMetrics]) {
    let mut columns: Vec<_> = shards.iter().map(|shard| shard.readings()).collect();
    text.open('{');
    loop {
        let row: Vec<_> = columns.iter_mut().filter_map(Iterator::next).collect();
        let Some(first) = row.first() else { break };
        let value = row.iter().map(|reading| reading.value).fold(0, u64::wrapping_add);
        text.key(&camel(first.name)).number(value);
    }
    text.close('}');
}

/// `bytes_sent_total` as JSON spells it: `bytesSentTotal`.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (first, rest) = part.split_at(1);
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    camel
}
