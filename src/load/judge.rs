//! Whether a run went as it must, and what went wrong in it, in words: each fault makes it unsound.
//!
//! Beside loss, doubles and order: deliveries that were late, messages that were refused, not read
//! in time or not sent, connections that the server ended, that failed or did not come back, and
//! talk that did not come to be. That the server throws out who reads slowly is the policy asked
//! for, and no fault. From the outcome alone; called by the conductor at the end of a run, and by
//! whoever tells of it. What only makes figures doubtful is a remark of the conductor's.

use crate::load::numbers::{count, several};
use crate::load::orders::Account;
use crate::load::outcome::Outcome;
use crate::load::scenario::Pace;

/// Messages that came due and did not go out are no fault up to one of so many due.
const UNSENT_ONE_IN: u64 = 100;
/// What stands before the server's words in the trouble of a publish that was refused.
pub const REFUSED: &str = "refused: ";

/// Whether a run went as it must: every delivery once and in order, and no other fault.
pub fn is_sound(outcome: &Outcome) -> bool {
    is_delivered(outcome.deliveries.account()) && outcome.faults.is_empty()
}

/// Whether its deliveries are as they must be: nothing lost, unarrived, doubled, out of order or
/// astray.
pub fn is_delivered(account: &Account) -> bool {
    let Account { lost, unarrived, duplicated, out_of_order, astray, .. } = account;
    [lost, unarrived, duplicated, out_of_order, astray].into_iter().all(|count| *count == 0)
}

/// Whether loss, doubles and order were counted: they are at the end, which an interrupted run may
/// not have reached.
pub fn is_counted(outcome: &Outcome) -> bool {
    outcome.deliveries.account.is_some()
}

/// The faults of a run in which so many messages were published in all, warm-up and searched rates
/// included; none of a sound one, if nothing was lost, doubled, out of order or astray.
pub fn faults(outcome: &Outcome, published: u64) -> Vec<String> {
    let mut faults = Vec::new();
    untimely(outcome, published, &mut faults);
    let excused = ends(outcome, &mut faults);
    // Who was thrown out by policy is not asked back.
    let away = outcome.deliveries.account().away.saturating_sub(excused);
    if away > 0 {
        faults.push(format!("{} did not come back", count(away)));
    }
    failures(outcome, &mut faults);
    fruitless(outcome, &mut faults);
    silence(outcome, &mut faults);
    faults
}

/// Messages that the server did not take, or not in time, or that were not sent; deliveries that
/// were late.
fn untimely(outcome: &Outcome, published: u64, faults: &mut Vec<String>) {
    let deliveries = &outcome.deliveries;
    let account = deliveries.account();
    let (unread, late) = (deliveries.unread.unwrap_or(0), deliveries.late.unwrap_or(0));
    let unsent = deliveries.unsent.unwrap_or(0);
    let talk = outcome.scenario.talk.as_ref();
    let is_open = talk.is_some_and(|talk| matches!(talk.pace, Pace::Open { .. }));
    if unread > 0 && is_open {
        let messages = some(unread, "message");
        faults.push(format!("the server did not read {messages} in time"));
    }
    if late > 0 {
        let late = some(late, "delivery");
        faults.push(format!("{late} came after the drain of their window, or not at all"));
    }
    if account.publishes_refused > 0 {
        let words = account.troubles.iter().filter_map(|(trouble, _)| trouble.split_once(REFUSED));
        let mut words: Vec<_> = words.map(|(_, words)| words).collect();
        words.sort_unstable();
        words.dedup();
        let because = if words.is_empty() { "" } else { ": " };
        faults.push(format!(
            "{} of {} were refused{because}{}",
            count(account.publishes_refused),
            some(published.max(account.publishes_refused), "message"),
            words.join("; "),
        ));
    }
    if account.early > 0 {
        let early = some(account.early, "delivery");
        faults.push(format!(
            "{early} came before the time in their stamp: forged, or of a clock apart from the load's"
        ));
    }
    let due = deliveries.published + unsent + unread;
    if unsent > due / UNSENT_ONE_IN {
        let (unsent, due) = (count(unsent), some(due, "message"));
        faults.push(format!(
            "{unsent} of {due} that came due did not go out: the load was late, or their publisher \
             gone"
        ));
    }
}

/// Connections that the server ended; how many of them were ended by the policy asked for.
fn ends(outcome: &Outcome, faults: &mut Vec<String>) -> u64 {
    let account = outcome.deliveries.account();
    let is_policy = outcome.scenario.slow.is_some();
    let mut excused = 0;
    let mut ended = Vec::new();
    for (code, times) in &account.closes {
        let slow = account.closes_slow.iter().find(|(known, _)| known == code && is_policy);
        let by_policy = slow.map_or(0, |(_, slow)| *slow).min(*times);
        excused += by_policy;
        if *times > by_policy {
            ended.push((*code, *times - by_policy));
        }
    }
    let total: u64 = ended.iter().map(|(_, times)| times).sum();
    let codes = match &ended[..] {
        [] => return excused,
        [(code, _)] => code.to_string(),
        several => {
            let each = several.iter().map(|(code, times)| format!("{code} ×{}", count(*times)));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    let are = if total == 1 { "connection was" } else { "connections were" };
    faults.push(format!("{} {are} ended by the server ({codes})", count(total)));
    excused
}

/// Connections that did not come to be.
fn failures(outcome: &Outcome, faults: &mut Vec<String>) {
    let connecting = &outcome.connecting;
    if connecting.failed == 0 {
        return;
    }
    let wanted = count(outcome.scenario.connections().into());
    let reasons = connecting.reasons.join("; ");
    let because = if reasons.is_empty() { reasons } else { format!(": {reasons}") };
    let failed = count(connecting.failed.into());
    faults.push(format!("{failed} of {wanted} connections failed{because}"));
}

/// A search that found no rate to be held. Of an interrupted one nothing can be said.
fn fruitless(outcome: &Outcome, faults: &mut Vec<String>) {
    let Some(search) = outcome.search.as_ref().filter(|_| !outcome.interrupted) else { return };
    if search.held_per_s.is_some() || search.steps.is_empty() {
        return;
    }
    faults.push(if search.steps.iter().all(|step| step.inconclusive) {
        "no rate was held: at each the load was late, and the server not to be judged".to_owned()
    } else {
        "no rate was held".to_owned()
    });
}

/// Talk that was wanted and did not come to be. Of a run that was interrupted nothing can be said:
/// it may not have come to the talk.
fn silence(outcome: &Outcome, faults: &mut Vec<String>) {
    let scenario = &outcome.scenario;
    let crowd = scenario.crowd.connections;
    // Who reads slowly gets what he can.
    let all_slow = scenario.slow.as_ref().is_some_and(|slow| slow.readers >= crowd);
    if scenario.talk.is_none() || outcome.interrupted {
        return;
    }
    if outcome.deliveries.published == 0 {
        faults.push("nothing was published".to_owned());
    } else if outcome.deliveries.measured == 0 && crowd > 0 && !all_slow {
        faults.push("nothing was delivered".to_owned());
    }
}

/// So many of a thing, with a plain space: faults are read by programs too.
fn some(number: u64, thing: &str) -> String {
    several(number, thing).replace('\u{a0}', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_five_make_deliveries_unsound() {
        let mut account = Account { withheld: 5, refused: 1, replaced: 9, ..Account::default() };
        assert!(is_delivered(&account));
        account.astray = 1;
        assert!(!is_delivered(&account));
        assert!(!is_delivered(&Account { unarrived: 1, ..Account::default() }));
    }
}
