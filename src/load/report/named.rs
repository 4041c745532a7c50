//! The figures of a run that have a name: those that people bound (`--fail-if`) and compare
//! (`--against`).
//!
//! Names are made of the outcome's own field names. Values are in the outcome's units:
//! microseconds, bytes, a second, shares of one.

use super::facts::to_f64;
use crate::load::numbers;
use crate::load::orders::Account;
use crate::load::outcome::{Outcome, Percentiles, Server};

/// What kind of number it is: its unit in the outcome, and the units that can be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A number of things.
    Count,
    /// A second.
    Rate,
    /// In microseconds.
    Time,
    /// In bytes.
    Bytes,
    /// Of one.
    Share,
    /// One figure by another.
    Ratio,
}

/// A figure.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    /// As typed.
    pub name: &'static str,
    /// Of its number.
    pub kind: Kind,
    /// It; `None` where it was not measured.
    pub of: fn(&Outcome) -> Option<f64>,
}

const fn named(name: &'static str, kind: Kind, of: fn(&Outcome) -> Option<f64>) -> Named {
    Named { name, kind, of }
}

/// All of them, the most wanted first.
pub const ALL: [Named; 30] = [
    named("lost", Kind::Count, |it| counted(it, |of| of.lost)),
    named("unarrived", Kind::Count, |it| counted(it, |of| of.unarrived)),
    named("duplicated", Kind::Count, |it| counted(it, |of| of.duplicated)),
    named("out_of_order", Kind::Count, |it| counted(it, |of| of.out_of_order)),
    named("astray", Kind::Count, |it| counted(it, |of| of.astray)),
    named("early", Kind::Count, |it| counted(it, |of| of.early)),
    named("withheld", Kind::Count, |it| counted(it, |of| of.withheld)),
    named("refused", Kind::Count, |it| counted(it, |of| of.refused)),
    named("unsent", Kind::Count, |it| it.deliveries.unsent.map(to_f64)),
    named("unread", Kind::Count, |it| it.deliveries.unread.map(to_f64)),
    named("late", Kind::Count, |it| it.deliveries.late.map(to_f64)),
    named("failed", Kind::Count, |it| Some(f64::from(it.connecting.failed))),
    named("delivered_per_s", Kind::Rate, |it| {
        it.scenario.talk.as_ref().and(it.deliveries.per_second)
    }),
    named("p50", Kind::Time, |it| latency(it, |of| to_f64(of.p50))),
    named("p90", Kind::Time, |it| latency(it, |of| to_f64(of.p90))),
    named("p99", Kind::Time, |it| latency(it, |of| to_f64(of.p99))),
    named("p99.9", Kind::Time, |it| latency(it, |of| to_f64(of.p99_9))),
    named("p99.99", Kind::Time, |it| latency(it, |of| to_f64(of.p99_99))),
    named("max", Kind::Time, |it| latency(it, |of| to_f64(of.max))),
    named("cpu_per_delivery", Kind::Time, |it| server(it, |of| of.cpu_us_per_delivery)),
    named("cpu_per_connection", Kind::Time, |it| server(it, |of| of.cpu_us_per_connection)),
    named("rss_per_connection", Kind::Bytes, |it| server(it, |of| of.rss_bytes_per_connection)),
    named("heap_per_connection", Kind::Bytes, |it| server(it, |of| of.heap_bytes_per_connection)),
    named("server_starved", Kind::Share, |it| server(it, |of| of.starved)),
    named("floor_ratio", Kind::Ratio, |it| it.floor.as_ref().map(|floor| floor.ratio[1])),
    named("connect_p99", Kind::Time, |it| it.connecting.latency_us.map(|of| to_f64(of.p99))),
    named("connected_per_s", Kind::Rate, |it| {
        it.connecting.per_second.filter(|_| it.connecting.subscribed > 0)
    }),
    named("late_p99", Kind::Time, |it| it.load.late_us.map(|late| to_f64(late.p99))),
    named("load_busiest", Kind::Share, |it| it.load.busiest),
    named("held_per_s", Kind::Rate, |it| it.search.as_ref().and_then(|search| search.held_per_s)),
];

/// A count of the end, where there was one.
fn counted(outcome: &Outcome, of: fn(&Account) -> u64) -> Option<f64> {
    outcome.deliveries.account.as_ref().map(|account| to_f64(of(account)))
}

fn latency(outcome: &Outcome, of: fn(&Percentiles) -> f64) -> Option<f64> {
    outcome.latency_us.as_ref().map(of)
}

fn server(outcome: &Outcome, of: fn(&Server) -> Option<f64>) -> Option<f64> {
    outcome.server.as_ref().and_then(of)
}

/// The figure of this name.
pub fn find(name: &str) -> Option<&'static Named> {
    ALL.iter().find(|one| one.name == name)
}

/// All names, as an error lists them.
pub fn names() -> String {
    ALL.map(|one| one.name).join(", ")
}

impl Kind {
    /// A value of this kind as people read it.
    #[expect(clippy::cast_sign_loss, reason = "a count, as an outcome has it")]
    pub fn told(self, value: f64) -> String {
        match self {
            Self::Count if value.fract() == 0.0 && value >= 0.0 => numbers::count(value as u64),
            Self::Count => numbers::rough(value),
            Self::Rate => numbers::rate(value),
            Self::Time => numbers::micros(value),
            Self::Bytes => numbers::bytes(value),
            Self::Share => numbers::share(value),
            Self::Ratio => format!("{value:.2}×"),
        }
    }

    /// The units that a value may be typed with, and how much each is. The first is the one of a
    /// bare number, empty; times have none, so that nobody is off by a thousand.
    pub(super) fn units(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Count | Self::Rate => &[("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9)],
            Self::Time => &[("us", 1.0), ("µs", 1.0), ("ns", 1e-3), ("ms", 1e3), ("s", 1e6)],
            Self::Bytes => {
                &[("", 1.0), ("B", 1.0), ("KiB", 1024.0), ("MiB", 1_048_576.0), ("kB", 1e3)]
            }
            Self::Share => &[("", 1.0), ("%", 0.01)],
            Self::Ratio => &[("", 1.0), ("x", 1.0)],
        }
    }
}
