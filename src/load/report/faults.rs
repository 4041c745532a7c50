//! What went wrong in a run besides loss, doubles and order, in words: each makes it unsound.
//!
//! Connections that the server ended, that failed or did not come back, and talk that did not
//! come to be. With slow readers it is the policy asked for that the server throws them out. Called
//! by the conductor at the end of a run; what only makes figures doubtful is a remark there.

use super::figures::{self, count};
use crate::load::conductor;
use crate::load::outcome::Outcome;

/// Who does not read in time is closed with this.
const SLOW_CONSUMER: u16 = 1013;
/// No close frame came.
const NO_CODE: u16 = 1006;

/// Whether a run went as it must: every delivery once and in order, and no other fault.
pub fn is_sound(outcome: &Outcome) -> bool {
    figures::is_sound(&outcome.deliveries.account) && outcome.faults.is_empty()
}

/// The faults of a run; none of a sound one, if nothing was lost, doubled, out of order or astray.
pub fn of(outcome: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    let excused = ends(outcome, &mut faults);
    // Who was thrown out by policy is not asked back.
    let away = outcome.deliveries.account.away.saturating_sub(excused);
    if away > 0 {
        faults.push(format!("{} did not come back", count(away)));
    }
    failures(outcome, &mut faults);
    silence(outcome, &mut faults);
    faults
}

/// Connections that the server ended; how many of them were ended by the policy asked for.
fn ends(outcome: &Outcome, faults: &mut Vec<String>) -> u64 {
    let slow = outcome.scenario.slow.as_ref();
    let excuse = |code: u16, times: u64| match (slow, code) {
        (Some(_), SLOW_CONSUMER) => times,
        (Some(slow), NO_CODE) => times.min(slow.readers.into()),
        _ => 0,
    };
    let mut excused = 0;
    let mut ended = Vec::new();
    for (code, times) in &outcome.deliveries.account.closes {
        let by_policy = excuse(*code, *times);
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
    let wanted = count(conductor::connections(&outcome.scenario).into());
    let reasons = connecting.reasons.join("; ");
    let because = if reasons.is_empty() { reasons } else { format!(": {reasons}") };
    let failed = count(connecting.failed.into());
    faults.push(format!("{failed} of {wanted} connections failed{because}"));
}

/// Talk that was wanted and did not come to be.
fn silence(outcome: &Outcome, faults: &mut Vec<String>) {
    let scenario = &outcome.scenario;
    let crowd = scenario.crowd.connections;
    // Who reads slowly gets what he can.
    let all_slow = scenario.slow.as_ref().is_some_and(|slow| slow.readers >= crowd);
    if scenario.talk.is_none() {
        return;
    }
    if outcome.deliveries.published == 0 {
        faults.push("nothing was published".to_owned());
    } else if outcome.deliveries.measured == 0 && crowd > 0 && !all_slow {
        faults.push("nothing was delivered".to_owned());
    }
}
