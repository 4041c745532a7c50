//! Bounds on the figures of a run, as typed: `p99>5ms` lets a run fail whose p99 is above 5 ms.
//!
//! Read before a run, so that none is lost for a mistyped name; judged after it by `cli/bench`.
//! A figure that was not measured keeps no bound: whoever asks for one wants to know.

use super::named::{self, Kind, Named};
use crate::load::outcome::Outcome;

/// How a figure and a bound are compared, longer ones first: `>=` begins with `>`.
const OPERATORS: [(&str, Compare); 6] = [
    (">=", |figure, bound| figure >= bound),
    ("<=", |figure, bound| figure <= bound),
    ("!=", |figure, bound| (figure - bound).abs() > f64::EPSILON),
    (">", |figure, bound| figure > bound),
    ("<", |figure, bound| figure < bound),
    ("=", |figure, bound| (figure - bound).abs() <= f64::EPSILON),
];

type Compare = fn(f64, f64) -> bool;

/// What a run must not be.
#[derive(Clone, Debug)]
pub struct Bound {
    typed: String,
    figure: &'static Named,
    is_so: Compare,
    value: f64,
}

impl Bound {
    /// Reads `<figure><operator><value>`.
    ///
    /// # Errors
    /// What is wrong with it and what is allowed; the fault of whoever typed it.
    pub fn parse(typed: &str) -> Result<Self, String> {
        let text: String = typed.chars().filter(|c| !c.is_whitespace()).collect();
        let shape = "allowed: a figure, an operator, a value, as p99>5ms or lost>0";
        let at = text.find(['<', '>', '=', '!']).ok_or_else(|| shape.to_owned())?;
        let (name, rest) = text.split_at(at);
        let figure = named::find(name)
            .ok_or_else(|| format!("unknown figure {name}; allowed: {}", named::names()))?;
        let operator = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign));
        let (sign, is_so) = operator.ok_or_else(|| shape.to_owned())?;
        let value = value(&rest[sign.len()..], figure.kind)?;
        Ok(Self { typed: text, figure, is_so: *is_so, value })
    }

    /// Why the run fails by it, if it does.
    pub fn broken(&self, outcome: &Outcome) -> Option<String> {
        match (self.figure.of)(outcome) {
            None => Some(format!("{}: {} was not measured", self.typed, self.figure.name)),
            Some(figure) if (self.is_so)(figure, self.value) => {
                let told = self.figure.kind.told(figure).replace('\u{a0}', " ");
                Some(format!("{}: {} is {told}", self.typed, self.figure.name))
            }
            Some(_) => None,
        }
    }
}

fn value(text: &str, kind: Kind) -> Result<f64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let size = kind.units().iter().find(|(known, _)| *known == unit).map(|(_, size)| *size);
    let number = number.parse::<f64>().ok().filter(|number| number.is_finite());
    number.zip(size).map(|(number, size)| number * size).ok_or_else(|| {
        let units: Vec<_> = kind.units().iter().map(|(unit, _)| *unit).collect();
        let named = units.iter().filter(|unit| !unit.is_empty()).copied().collect::<Vec<_>>();
        let named = named.join(", ");
        let how = if units.contains(&"") { "with or without" } else { "with" };
        format!("the value {text:?}; allowed: a number {how} one of {named}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::tests::fixture;

    fn broken(typed: &str) -> Option<String> {
        Bound::parse(typed).unwrap_or_else(|error| panic!("{typed}: {error}")).broken(&outcome())
    }

    fn outcome() -> Outcome {
        let mut outcome = fixture::outcome();
        outcome.deliveries.account_mut().unarrived = 3;
        outcome
    }

    #[test]
    fn a_run_beyond_its_bounds_fails() {
        assert_eq!(broken("p99>5ms"), None);
        assert_eq!(broken("p99 > 2ms").unwrap(), "p99>2ms: p99 is 2.46 ms");
        assert_eq!(broken("p99>=2460us").unwrap(), "p99>=2460us: p99 is 2.46 ms");
        assert_eq!(broken("p99>2460us"), None);
        assert_eq!(broken("lost>0"), None);
        assert_eq!(broken("unarrived!=0").unwrap(), "unarrived!=0: unarrived is 3");
        assert_eq!(broken("unarrived=2"), None);
        assert_eq!(
            broken("delivered_per_s<500k").unwrap(),
            "delivered_per_s<500k: \
             delivered_per_s is 412 k/s"
        );
        assert_eq!(
            broken("cpu_per_delivery>1us").unwrap(),
            "cpu_per_delivery>1us: \
             cpu_per_delivery is 2.31 µs"
        );
        assert_eq!(broken("rss_per_connection>2KiB"), None);
        assert_eq!(broken("load_busiest<=83%").unwrap(), "load_busiest<=83%: load_busiest is 83 %");
        assert_eq!(broken("floor_ratio>1.15x").unwrap(), "floor_ratio>1.15x: floor_ratio is 1.19×");
    }

    #[test]
    fn what_was_not_measured_keeps_no_bound() {
        assert_eq!(broken("held_per_s<1").unwrap(), "held_per_s<1: held_per_s was not measured");
        let idle = Bound::parse("p99>1s").unwrap().broken(&fixture::idle());
        assert_eq!(idle.unwrap(), "p99>1s: p99 was not measured");
    }

    #[test]
    fn a_wrong_bound_is_told_with_what_is_allowed() {
        for (typed, told) in [
            ("p99", "allowed: a figure, an operator, a value"),
            ("p99!5ms", "allowed: a figure, an operator, a value"),
            ("latency>5ms", "unknown figure latency; allowed: lost, unarrived, duplicated"),
            ("p99>5", "the value \"5\"; allowed: a number with one of us, µs, ns, ms, s"),
            ("p99>", "the value \"\""),
            ("lost>-1", "the value \"-1\"; allowed: a number with or without one of k, M, G"),
            ("lost>1.2.3", "the value \"1.2.3\""),
            ("p99>5 min", "the value \"5min\""),
        ] {
            let error = Bound::parse(typed).unwrap_err();
            assert!(error.contains(told), "{typed}: {error}");
        }
    }
}
