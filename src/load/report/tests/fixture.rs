//! Made-up outcomes that look like real ones, the same each time.

use std::net::SocketAddr;

use crate::load::orders::Account;
use crate::load::outcome::{
    Connecting, Deliveries, Floor, Load, Machine, Outcome, Percentiles, Phase, Sample, Server, Step,
};
use crate::load::scenario::{
    Credentials, Crowd, Interest, Mode, Pace, Scenario, Search, Spoken, Talk, Target, Times,
};

/// A fan-out with everything measured.
pub(in crate::load::report) fn outcome() -> Outcome {
    let samples = samples();
    let latency = percentiles(1.0);
    Outcome {
        format: 1,
        started: "2026-01-31T12:00:00.000Z".into(),
        command: "shardwire bench fanout --floor --html run.html".into(),
        version: "0.1.0".into(),
        machine: Machine {
            processor: "Example 3000 @ 2.60GHz".into(),
            processors: 2,
            memory_bytes: 24 << 30,
            kernel: "Linux 6.12.0".into(),
        },
        scenario: scenario(),
        interrupted: false,
        deliveries: Deliveries {
            published: 4120,
            unsent: Some(0),
            unread: Some(0),
            late: Some(0),
            account: Some(Account {
                expected: 4_932_000,
                received: 4_932_000,
                replaced: 0,
                ..Account::default()
            }),
            measured: 4_120_000,
            per_second: Some(412_000.0),
            frame_bytes: Some(271.0),
        },
        latency_us: Some(latency),
        connecting: Connecting {
            subscribed: 1000,
            latency_us: Some(percentiles(7.0)),
            per_second: Some(14_820.0),
            ..Connecting::default()
        },
        server: Some(Server {
            cpu_us: Some(9_517_200.0),
            cpu_us_per_delivery: Some(2.31),
            deliveries_per_cpu_second: Some(432_900.0),
            cpu_us_per_connection: Some(41.7),
            rss_bytes_per_connection: Some(1976.0),
            heap_bytes_per_connection: Some(712.0),
            rss_bytes: Some([9 << 20, 11 << 20, 13 << 20, 12 << 20]),
            processes: 1,
            starved: Some(0.004),
        }),
        floor: Some(Floor {
            cpu_us_per_send: 1.94,
            cpu_us_per_delivery: 1.94,
            ratio: [1.17, 1.19, 1.22],
            pairs: (0..10)
                .map(|at| (rounded(2.31 + wave(at, 0.05)), rounded(1.94 + wave(at + 3, 0.03))))
                .collect(),
        }),
        load: Load {
            workers: 1,
            busiest: Some(0.83),
            cpu_us: Some(8_300_000.0),
            rss_bytes_per_connection: Some(420.0),
            late_us: None,
            starved: Some(0.012),
        },
        search: None,
        faults: Vec::new(),
        samples,
        latency_curve: curve(),
        remarks: vec![
            "The load's processor was busy to 83 %: latencies above the 99th percentile may be \
             its own."
                .into(),
        ],
    }
}

/// A search for the highest rate.
pub(in crate::load::report) fn searched() -> Outcome {
    let mut outcome = outcome();
    outcome.scenario.search = Some(Search { p99_us: 10_000, within_percent: 10 });
    if let Some(talk) = &mut outcome.scenario.talk {
        talk.pace = Pace::Open { per_s: 100.0 };
    }
    outcome.floor = None;
    outcome.scenario.floor_pairs = 0;
    let step = |per_s: f64, times: f64| {
        let held = times < 4.0;
        let latency_us = percentiles(times);
        let because = format!("p99 of {} is above 10 ms", latency_us.p99 / 1000);
        Step {
            per_s,
            delivered_per_s: per_s.min(1250.0) * 1000.0,
            latency_us,
            server_cpu: Some(rounded(per_s.min(1250.0) / 1300.0)),
            held,
            inconclusive: false,
            because: if held { String::new() } else { because },
        }
    };
    outcome.search = Some(crate::load::outcome::Search {
        held_per_s: Some(1200.0),
        failed_per_s: Some(1300.0),
        inconclusive_per_s: None,
        steps: vec![
            step(100.0, 0.3),
            step(800.0, 0.6),
            step(1600.0, 90.0),
            step(1200.0, 1.4),
            step(1400.0, 12.0),
            step(1300.0, 4.2),
        ],
    });
    outcome
}

/// A crowd that only stays, on a server that nothing is known of.
pub(in crate::load::report) fn idle() -> Outcome {
    let mut outcome = outcome();
    outcome.scenario.talk = None;
    outcome.deliveries = Deliveries { account: Some(Account::default()), ..Deliveries::default() };
    outcome.latency_us = None;
    outcome.latency_curve = Vec::new();
    outcome.server = None;
    outcome.floor = None;
    outcome.remarks = Vec::new();
    for sample in &mut outcome.samples {
        let Sample { at_ms, phase, open, .. } = *sample;
        *sample = Sample { at_ms, phase, open, ..Sample::default() };
    }
    outcome
}

fn scenario() -> Scenario {
    Scenario {
        name: "fanout".into(),
        target: Target {
            address: SocketAddr::from(([127, 0, 0, 1], 41_234)),
            host: "127.0.0.1:41234".into(),
            path: "/ws".into(),
            tls: None,
            dialect: Spoken::Topics,
            compression: false,
            credentials: Credentials::None,
        },
        crowd: Crowd {
            connections: 1000,
            topics: 1,
            subscriptions: 1,
            interest: Interest::Exact,
            connect_per_s: 0,
            connecting_max: 256,
            per_address: 20_000,
            workers: 1,
            processors: vec![1],
        },
        talk: Some(Talk {
            publishers: 1,
            members: false,
            pace: Pace::Closed { in_flight: 1, batch: 1 },
            payload_bytes: 128,
        }),
        churn: None,
        slow: None,
        storm: None,
        times: Times {
            warm_up_ms: 2000,
            settle_ms: 500,
            measure_ms: 10_000,
            drain_ms: 10_000,
            sample_ms: 250,
        },
        floor_pairs: 10,
        floor_mode: Mode::Each,
        search: None,
    }
}

/// A small, regular unrest.
#[expect(clippy::cast_precision_loss, reason = "few and small")]
fn wave(at: u64, height: f64) -> f64 {
    let turn = (at * 37 % 100) as f64 / 100.0;
    height * (turn * std::f64::consts::TAU).sin()
}

/// So short that its text is exact.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

#[expect(clippy::cast_sign_loss, reason = "all are above 0")]
fn percentiles(times: f64) -> Percentiles {
    let scaled = |us: f64| (us * times) as u64;
    Percentiles {
        min: scaled(41.0),
        mean: rounded(1231.0 * times),
        p50: scaled(1180.0),
        p90: scaled(2150.0),
        p99: scaled(2460.0),
        p99_9: scaled(3920.0),
        p99_99: scaled(8110.0),
        max: scaled(11_400.0),
    }
}

fn samples() -> Vec<Sample> {
    let phase = |at: u64| match at {
        0 => Phase::Connect,
        1..=8 => Phase::WarmUp,
        9..=48 if ((at - 9) / 2).is_multiple_of(2) => Phase::Measure,
        9..=48 => Phase::Floor,
        _ => Phase::Drain,
    };
    let sample = |at: u64| {
        let phase = phase(at);
        let talks = matches!(phase, Phase::WarmUp | Phase::Measure);
        let busy = if talks { 1.0 } else { 0.0 };
        Sample {
            at_ms: 250 * (at + 1),
            phase,
            open: if at == 0 { 640 } else { 1000 },
            published_per_s: rounded(412.0 + wave(at, 12.0)) * busy,
            delivered_per_s: rounded(412_000.0 + wave(at, 12_000.0)) * busy,
            latency_us: talks.then(|| percentiles(1.0 + wave(at, 0.2))),
            server_cpu: Some(rounded(0.02 + (0.95 + wave(at, 0.02)) * busy)),
            server_rss_bytes: Some((11 << 20) + at * (48 << 10)),
            load_cpu: rounded(0.05 + (0.8 + wave(at + 5, 0.03)) * busy),
        }
    };
    (0..51).map(sample).collect()
}

#[expect(clippy::cast_sign_loss, reason = "all are above 0")]
fn curve() -> Vec<(f64, u64)> {
    let mut curve = vec![(0.0, 41)];
    for step in 1..=52_u32 {
        let tail = f64::from(step) / 8.0;
        let percentile = 100.0 - 100.0 / 10_f64.powf(tail);
        let us = 41.0 + 1150.0 * tail.min(1.0) + 240.0 * tail.powi(2) * (1.0 + tail / 30.0);
        curve.push((rounded(percentile), us.min(11_400.0) as u64));
    }
    curve.push((100.0, 11_400));
    curve
}
