//! A run beside an earlier one: each main figure of both, and their ratio.
//!
//! Of the earlier one there is its JSON file. Where the two ran on different machines or did
//! different things, that is said first: then a ratio tells little.

use serde_json::Value;

use super::named::{ALL, Kind};
use crate::load::outcome::Outcome;
use crate::load::scenario::Scenario;

/// Two runs.
#[derive(Clone, Debug)]
pub struct Against {
    /// Why their figures are hardly to be compared; none where they are.
    pub warnings: Vec<String>,
    /// Figures that both have: name, now, then, now by then.
    pub rows: Vec<[String; 4]>,
}

/// Compares `now` with `then`.
pub fn of(now: &Outcome, then: &Outcome) -> Against {
    let mut warnings = Vec::new();
    let machine = |it: &Outcome| {
        let machine = &it.machine;
        (machine.processor.clone(), machine.processors, machine.kernel.clone())
    };
    if machine(now) != machine(then) {
        let (processor, processors, kernel) = machine(then);
        warnings.push(format!(
            "another machine or kernel then: {processor}, {processors} processors, {kernel}"
        ));
    }
    let parts = differing(&now.scenario, &then.scenario);
    if !parts.is_empty() {
        warnings.push(format!("another scenario then; they differ in {}", parts.join(", ")));
    }
    for (outcome, when) in [(now, "this"), (then, "the earlier")] {
        if outcome.interrupted {
            warnings.push(format!("{when} run was interrupted"));
        }
    }
    Against { warnings, rows: rows(now, then) }
}

fn rows(now: &Outcome, then: &Outcome) -> Vec<[String; 4]> {
    let mut rows = Vec::new();
    for figure in &ALL {
        let (Some(a), Some(b)) = ((figure.of)(now), (figure.of)(then)) else { continue };
        // Counts of faults are worth a line where there are some.
        if figure.kind == Kind::Count && a == 0.0 && b == 0.0 {
            continue;
        }
        let ratio = if b == 0.0 { "–".to_owned() } else { format!("{:.2}×", a / b) };
        rows.push([figure.name.to_owned(), figure.kind.told(a), figure.kind.told(b), ratio]);
    }
    rows
}

/// The parts of two scenarios that are not the same. Where a server listens says nothing of what
/// was done.
fn differing(now: &Scenario, then: &Scenario) -> Vec<String> {
    let parts = |scenario: &Scenario| {
        let mut value = serde_json::to_value(scenario).expect("a scenario is plain data");
        for place in ["address", "host"] {
            value["target"][place] = Value::Null;
        }
        value
    };
    let (now, then) = (parts(now), parts(then));
    let names = now.as_object().into_iter().flatten().map(|(name, _)| name);
    names.filter(|name| now[*name] != then[*name]).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::tests::fixture;

    #[test]
    fn the_same_again_is_one() {
        let mut then = fixture::outcome();
        then.scenario.target.address.set_port(1);
        then.scenario.target.host = "127.0.0.1:1".into();
        then.started = "2026-01-30T12:00:00.000Z".into();
        let against = of(&fixture::outcome(), &then);
        assert!(against.warnings.is_empty(), "{:?}", against.warnings);
        assert!(against.rows.len() > 10);
        assert!(against.rows.iter().all(|row| row[3] == "1.00×" && row[1] == row[2]));
        assert!(against.rows.iter().all(|row| row[0] != "lost"), "nothing was lost");
    }

    #[test]
    fn each_figure_is_told_by_the_earlier_one() {
        let (mut now, mut then) = (fixture::outcome(), fixture::outcome());
        now.latency_us.as_mut().unwrap().p99 = 4920;
        now.deliveries.account_mut().lost = 7;
        then.server = None;
        let rows = of(&now, &then).rows;
        let row = |name: &str| {
            let row = rows.iter().find(|row| row[0] == name);
            row.map(|row| row.join(" ").replace('\u{a0}', " "))
        };
        assert_eq!(row("p99").unwrap(), "p99 4.92 ms 2.46 ms 2.00×");
        assert_eq!(row("lost").unwrap(), "lost 7 0 –");
        assert_eq!(row("cpu_per_delivery"), None, "it was not measured then");
    }

    #[test]
    fn what_cannot_be_compared_is_told() {
        let (now, mut then) = (fixture::outcome(), fixture::outcome());
        then.machine.processors = 64;
        then.scenario.crowd.connections = 9;
        then.scenario.talk = None;
        then.interrupted = true;
        let warnings = of(&now, &then).warnings;
        assert!(warnings[0].contains("64 processors"), "{warnings:?}");
        assert_eq!(warnings[1], "another scenario then; they differ in crowd, talk");
        assert_eq!(warnings[2], "the earlier run was interrupted");
        assert_eq!(warnings.len(), 3);
    }
}
