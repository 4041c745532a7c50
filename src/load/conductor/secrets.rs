//! Secrets taken out of the scenario that is written down: tokens, keys, and a path's query.
//!
//! By field. The workers get the scenario as it is, over a pipe; files and pages get this. The
//! command that is told beside it comes without secrets: who typed it knows its flags.

use crate::load::scenario::{Credentials, Scenario};

/// What stands in a secret's place.
const HIDDEN: &str = "(hidden)";

/// A scenario without its secrets.
pub(super) fn without(scenario: &Scenario) -> Scenario {
    let mut scenario = scenario.clone();
    let target = &mut scenario.target;
    match &mut target.credentials {
        Credentials::None => {}
        Credentials::Token(secret) | Credentials::Secret { secret, .. } => {
            HIDDEN.clone_into(secret);
        }
    }
    // Any parameter may be a token, whatever its name.
    if let Some((path, _)) = target.path.split_once('?') {
        target.path = format!("{path}?{HIDDEN}");
    }
    scenario
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::conductor::tests::scenario;

    #[test]
    fn secrets_are_written_nowhere() {
        let mut scenario = scenario();
        assert_eq!(without(&scenario), scenario);
        scenario.target.credentials = Credentials::Secret { secret: "s3cret".into(), tenant: None };
        scenario.target.path = "/ws?access_token=abc.def&t=k4".into();
        let written = without(&scenario);
        assert_eq!(written.target.path, "/ws?(hidden)");
        let text = serde_json::to_string(&written).unwrap();
        assert!(!["s3cret", "abc.def", "k4"].iter().any(|secret| text.contains(secret)), "{text}");
        scenario.target.credentials = Credentials::Token("t0ken".into());
        assert_eq!(without(&scenario).target.credentials, Credentials::Token(HIDDEN.into()));
    }
}
