//! What the broker tells of itself to whoever asks: `/health`, `/ready`, `/metrics`.
//!
//! Made from the shards' counters as they stand, so that an answer asks nothing of a busy shard.
//! Protocols.md section 7.

use std::fmt::Write as _;
use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;

use super::Answer;
use crate::close::Close;
use crate::metrics::{Kind, ShardMetrics};
use crate::time::Now;

/// What the answers are made from.
#[derive(Debug)]
pub struct Facts<'a> {
    /// Each shard's counters.
    pub shards: &'a [Arc<ShardMetrics>],
    /// The time.
    pub now: Now,
    /// Whether the broker is shutting down.
    pub draining: bool,
    /// Reads what the process uses; asked by `/metrics` alone.
    pub process: fn() -> Process,
}

/// What the whole process uses; what cannot be read is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Processor time of all its threads since its start.
    pub cpu_us: u64,
    /// Resident memory.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors.
    pub open_descriptors: Option<u64>,
    /// File descriptors that it may have; `None` is no limit.
    pub descriptors_max: Option<u64>,
    /// When it started, in milliseconds since the Unix epoch.
    pub start_ms: u64,
}

impl Facts<'_> {
    fn sum(&self, counter: impl Fn(&ShardMetrics) -> u64) -> u64 {
        self.shards.iter().map(|shard| counter(shard)).fold(0, u64::wrapping_add)
    }

    /// `GET /health`: 200 while the process serves.
    pub fn health(&self) -> Answer {
        let connections = self.sum(|shard| shard.connections.get());
        super::json(
            StatusCode::OK,
            &json!({
                "status": "healthy",
                "uptime": self.now.mono_ms / 1000,
                "connections": connections,
                "timestamp": self.now.wall.to_string(),
            }),
        )
    }

    /// `GET /ready`: 503 while draining.
    pub fn ready(&self) -> Answer {
        let (status, word) = if self.draining {
            (StatusCode::SERVICE_UNAVAILABLE, "draining")
        } else {
            (StatusCode::OK, "ready")
        };
        super::json(
            status,
            &json!({
                "websocket": {
                    "status": if self.draining { "draining" } else { "healthy" },
                    "connections": self.sum(|shard| shard.connections.get()),
                    "rooms": self.sum(|shard| shard.topics.get()),
                    // In milliseconds, as the system had it that this one replaces.
                    "uptime": self.now.mono_ms,
                    "redis": {"connected": false, "latency": null},
                    "timestamp": self.now.wall.to_string(),
                },
                "status": word,
            }),
        )
    }

    /// `GET /metrics`: Prometheus' text format, a series a shard.
    pub fn metrics(&self) -> Answer {
        let mut text = String::with_capacity(16 << 10);
        let columns: Vec<Vec<_>> =
            self.shards.iter().map(|shard| shard.readings().collect()).collect();
        let rows = columns.first().map_or(0, Vec::len);
        for row in 0..rows {
            let first = columns[0][row];
            head(&mut text, first.name, first.help, first.kind);
            for (shard, readings) in columns.iter().enumerate() {
                let value = readings[row].value;
                let _ = writeln!(text, "shardwire_{}{{shard=\"{shard}\"}} {value}", first.name);
            }
        }
        let help = "WebSocket connections that began to close, by their first reason; normal: the \
            client's close frame came first.";
        head(&mut text, "closed_total", help, Kind::Counter);
        for close in Close::ALL {
            let value = self.sum(|shard| shard.closed_for(close).get());
            let (code, reason) = (close.code(), close.label());
            let _ = writeln!(
                text,
                "shardwire_closed_total{{code=\"{code}\",reason=\"{reason}\"}} {value}"
            );
        }
        head(&mut text, "uptime_seconds", "Seconds since the start.", Kind::Gauge);
        let _ = writeln!(text, "shardwire_uptime_seconds {}", self.now.mono_ms / 1000);
        put_process(&mut text, &(self.process)());
        super::with_type(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text)
    }
}

/// The process under the names that Prometheus' client libraries give to it.
fn put_process(text: &mut String, process: &Process) {
    let seconds = |us: u64| format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    let whole = |value: Option<u64>| value.map(|value| value.to_string());
    for (name, help, kind, value) in [
        (
            "cpu_seconds_total",
            "Processor time of all threads.",
            Kind::Counter,
            Some(seconds(process.cpu_us)),
        ),
        ("resident_memory_bytes", "Resident memory.", Kind::Gauge, whole(process.resident_bytes)),
        ("open_fds", "Open file descriptors.", Kind::Gauge, whole(process.open_descriptors)),
        (
            "max_fds",
            "File descriptors that may be open.",
            Kind::Gauge,
            whole(process.descriptors_max),
        ),
        (
            "start_time_seconds",
            "When the process started, since the Unix epoch.",
            Kind::Gauge,
            Some(seconds(process.start_ms * 1000)),
        ),
    ] {
        if let Some(value) = value {
            full_head(text, &format!("process_{name}"), help, kind);
            let _ = writeln!(text, "process_{name} {value}");
        }
    }
}

fn head(text: &mut String, name: &str, help: &str, kind: Kind) {
    full_head(text, &format!("shardwire_{name}"), help, kind);
}

fn full_head(text: &mut String, name: &str, help: &str, kind: Kind) {
    let kind = match kind {
        Kind::Counter => "counter",
        Kind::Gauge => "gauge",
    };
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use http_body_util::BodyExt;

    fn text(answer: Answer) -> String {
        let body = answer.into_body().collect();
        let bytes = futures_util::FutureExt::now_or_never(body).unwrap().unwrap().to_bytes();
        String::from_utf8(bytes.into()).unwrap()
    }

    #[test]
    fn readiness_tells_milliseconds() {
        let shards = [ShardMetrics::new()];
        let now = Now { mono_ms: 3_600_000, wall: Timestamp(1_734_180_000_000) };
        let mut facts = Facts { shards: &shards, now, draining: false, process: Process::default };
        let read = |answer| serde_json::from_str::<serde_json::Value>(&text(answer)).unwrap();
        let ready = read(facts.ready());
        assert_eq!(ready["websocket"]["uptime"], 3_600_000);
        assert_eq!(
            (&ready["status"], &ready["websocket"]["status"]),
            (&"ready".into(), &"healthy".into())
        );
        assert_eq!(read(facts.health())["uptime"], 3600);
        facts.draining = true;
        assert_eq!(facts.ready().status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(read(facts.ready())["status"], "draining");
    }

    #[test]
    fn metrics_are_in_the_text_format() {
        let shards = [ShardMetrics::new(), ShardMetrics::new()];
        shards[1].connections.add(2);
        shards[0].closed_for(Close::Shutdown).add(3);
        let now = Now { mono_ms: 5000, wall: Timestamp(0) };
        let process = || Process {
            cpu_us: 61_000_200,
            resident_bytes: Some(4096),
            start_ms: 1_700_000_000_125,
            ..Process::default()
        };
        let answer = Facts { shards: &shards, now, draining: false, process }.metrics();
        let text = text(answer);
        assert!(text.contains("\nshardwire_connections{shard=\"1\"} 2\n"), "{text}");
        assert!(text.contains("reason=\"server_shutting_down\"} 3\n"));
        assert!(text.contains("\nprocess_cpu_seconds_total 61.000200\n"), "{text}");
        assert!(text.contains("\nprocess_resident_memory_bytes 4096\n"));
        assert!(text.contains("\nprocess_start_time_seconds 1700000000.125000\n"));
        assert!(!text.contains("open_fds"), "what is not known is not told");
        let mut seen = std::collections::HashSet::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().unwrap() >= 0.0);
            assert!(seen.insert(series), "{series} twice");
        }
    }
}
