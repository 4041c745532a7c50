//! The broker's figures: every counter, of all shards and of each, with connections by tenant and
//! subscribers by topic.
//!
//! Counters are read as they stand: for those no shard is asked.

use std::collections::BTreeMap;

use super::Around;
use super::lists::TopicList;
use super::text::Text;
use crate::close::Close;
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
