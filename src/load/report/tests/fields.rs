//! `tuning/outcome.md` tells of every field of the JSON outcome, and of none that is not there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::fixture;
use crate::load::outcome::Outcome;
use crate::load::report::named;
use crate::load::scenario::{Churn, Slow, Storm, Tls};

/// What is told to users.
const TOLD: &str = include_str!("../../../../tuning/outcome.md");

/// An outcome in which nothing is absent.
fn full() -> Outcome {
    let mut outcome = fixture::searched();
    outcome.floor = fixture::outcome().floor;
    outcome.connecting.returning_us = outcome.latency_us;
    outcome.load.late_us = outcome.latency_us;
    outcome.scenario.target.tls = Some(Tls::Any);
    outcome.scenario.churn = Some(Churn { per_s: 1, resets: true });
    outcome.scenario.slow = Some(Slow { readers: 1, bytes_per_s: 1 });
    outcome.scenario.storm = Some(Storm { connections: 1, at_ms: 1, back: true });
    outcome.deliveries.account_mut().closes = vec![(1006, 1)];
    outcome.deliveries.account_mut().closes_slow = vec![(1006, 1)];
    outcome.deliveries.account_mut().troubles = vec![("reset".into(), 1)];
    outcome.samples.retain(|it| it.latency_us.is_some() && it.server_cpu.is_some());
    outcome
}

/// The paths of all values that are no objects, with `[]` for a place in a list of objects.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if at.is_empty() { "" } else { "." };
                paths(value, &format!("{at}{dot}{name}"), found);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for value in list {
                paths(value, &format!("{at}[]"), found);
            }
        }
        _ => drop(found.insert(at.to_owned())),
    }
}

/// What a path is told as: percentiles and the scenario are told once for all.
fn told_as(path: &str) -> String {
    if let Some((times, percentile)) = path.rsplit_once("_us.") {
        assert!(TOLD.contains(&format!("| `{percentile}` |")), "{percentile} of {path}");
        return format!("{times}_us");
    }
    match path.strip_prefix("scenario.").and_then(|rest| rest.split_once('.')) {
        Some((section, _)) => format!("scenario.{section}"),
        None => path.to_owned(),
    }
}

#[test]
fn every_field_is_told() {
    let mut found = BTreeSet::new();
    paths(&serde_json::to_value(full()).unwrap(), "", &mut found);
    let fields: BTreeSet<_> = found.iter().map(|path| told_as(path)).collect();
    assert!(fields.len() > 80, "{fields:?}");
    for field in &fields {
        assert!(TOLD.contains(&format!("| `{field}` |")), "{field} is not told");
    }
    let section = TOLD.split("## Fields").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    for (field, _) in rows {
        assert!(fields.contains(field), "{field} is told and is no field");
    }
}

#[test]
fn every_figure_with_a_name_is_told() {
    for one in named::ALL {
        assert!(TOLD.contains(&format!("`{}`", one.name)), "{}", one.name);
    }
}
