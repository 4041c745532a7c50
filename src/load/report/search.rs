//! The search for the highest rate, as told: its answer in a line, each rate that was tried.
//!
//! The same for the table and the page; the page's plot draws the steps from the outcome itself.

use super::facts::to_f64;
use crate::load::numbers::{micros, rate, share};
use crate::load::outcome::{Outcome, Search, Step};

/// What stands over the columns of [`rows`].
pub const COLUMNS: [&str; 6] = ["rate", "delivered", "p50", "p99", "server CPU", "held"];
/// What was not measured.
const UNKNOWN: &str = "–";

/// The answer in a line; `None` where none was asked for.
pub fn answer(outcome: &Outcome) -> Option<String> {
    let Search { held_per_s, failed_per_s, inconclusive_per_s, steps } = outcome.search.as_ref()?;
    let within = outcome.scenario.search.map(|it| micros(to_f64(it.p99_us)));
    let bound = within.map_or_else(String::new, |within| format!(" with p99 within {within}"));
    // Above a rate that the load could not keep nothing is known of the server.
    let late = inconclusive_per_s.filter(|late| failed_per_s.is_none_or(|failed| *late < failed));
    let held = match (held_per_s, failed_per_s, late) {
        (Some(held), _, Some(_)) => {
            let held = rate(*held);
            format!("{held} messages{bound} or more: the load could not go higher than {held}")
        }
        (Some(held), Some(failed), None) => {
            format!("{} messages{bound}; {} not", rate(*held), rate(*failed))
        }
        (Some(held), None, None) => {
            format!("{} messages{bound}; no rate that is not", rate(*held))
        }
        (None, _, Some(late)) => {
            format!("not known{bound}: the load could not go as high as {}", rate(late))
        }
        (None, Some(failed), None) => format!("NONE{bound}: {} is too many", rate(*failed)),
        (None, None, None) => "not known: no rate was tried to its end".to_owned(),
    };
    let tried = match steps.len() {
        1 => "1 rate tried".to_owned(),
        more => format!("{more} rates tried"),
    };
    Some(format!("highest rate held: {held} ({tried})"))
}

/// A row for each rate that was tried, in order of time.
pub fn rows(search: &Search) -> Vec<[String; 6]> {
    search.steps.iter().map(row).collect()
}

fn row(step: &Step) -> [String; 6] {
    // Percentiles of nothing are zero, and no latency.
    let has_latency = step.latency_us.max > 0;
    let time = |us| if has_latency { micros(to_f64(us)) } else { UNKNOWN.to_owned() };
    let held = match (step.held, &*step.because) {
        (true, _) => "yes".to_owned(),
        (false, "") => "no".to_owned(),
        (false, why) if step.inconclusive => format!("not known: {why}"),
        (false, why) => format!("no: {why}"),
    };
    [
        rate(step.per_s),
        rate(step.delivered_per_s),
        time(step.latency_us.p50),
        time(step.latency_us.p99),
        step.server_cpu.map_or_else(|| UNKNOWN.to_owned(), share),
        held,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::tests::fixture;

    #[test]
    fn the_answer_is_a_line() {
        let mut outcome = fixture::searched();
        let told = |outcome: &Outcome| answer(outcome).unwrap().replace('\u{a0}', " ");
        assert_eq!(
            told(&outcome),
            "highest rate held: 1.20 k/s messages with p99 within 10 ms; 1.30 k/s not (6 rates \
             tried)"
        );
        let mut search = outcome.search.clone().unwrap();
        search.failed_per_s = None;
        outcome.search = Some(search.clone());
        assert!(told(&outcome).contains("no rate that is not"));
        outcome.search = Some(Search { held_per_s: None, failed_per_s: Some(20.0), ..search });
        assert!(told(&outcome).contains("NONE with p99 within 10 ms: 20 /s is too many"));
        let search = outcome.search.as_mut().unwrap();
        search.inconclusive_per_s = Some(10.0);
        assert!(told(&outcome).contains("the load could not go as high as 10 /s"));
        let search = outcome.search.as_mut().unwrap();
        (search.held_per_s, search.failed_per_s) = (Some(5.0), None);
        assert!(told(&outcome).contains("or more: the load could not go higher than 5 /s"));
        outcome.search = Some(Search::default());
        assert!(told(&outcome).contains("not known"));
        assert_eq!(answer(&fixture::outcome()), None);
    }

    #[test]
    fn a_step_tells_why_it_was_not_held() {
        let rows = rows(&fixture::searched().search.unwrap());
        assert_eq!(rows.len(), 6);
        assert_eq!(rows[0][5], "yes");
        assert!(rows.iter().any(|row| row[5].starts_with("no: p99 of ")), "{rows:?}");
        let nothing = row(&Step { because: "nothing came".into(), ..Step::default() });
        assert_eq!((&*nothing[2], &*nothing[4], &*nothing[5]), ("–", "–", "no: nothing came"));
    }
}
