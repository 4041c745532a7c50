//! What is allowed and probably not meant: a webhook whose questions nobody can tell from others',
//! proxies that are everybody. And what can only be meant otherwise.
//!
//! Called by `check` over the settled values. Spec: protocols.md sections 6, 9 and 10.

use super::grammar;
use super::problem::{Problem, Problems};
use super::typed::Values;

/// Looks at the webhook and the trusted proxies.
pub(super) fn look(values: &Values, problems: &mut Problems, warnings: &mut Vec<String>) {
    webhook(values, problems, warnings);
    proxies(values, warnings);
}

fn webhook(values: &Values, problems: &mut Problems, warnings: &mut Vec<String>) {
    let (url, secret, timestamp) = ("webhook.url", "webhook.secret", "webhook.signed_timestamp");
    if !values.sound(&[url, secret, timestamp]) || values.is_set(secret) {
        return;
    }
    if values.flag(timestamp) {
        let given = values.get(timestamp);
        let what = format_args!("there is no {secret} to sign it with");
        problems.push(Problem::contradiction(&given.origin, timestamp, &given.value, what));
    } else if values.is_set(url) {
        let origin = &values.get(url).origin;
        warnings.push(format!(
            "{url} ({origin}): there is no {secret}, so its server cannot tell who asks"
        ));
    }
}

fn proxies(values: &Values, warnings: &mut Vec<String>) {
    const KEY: &str = "server.trusted_proxies";
    if !values.sound(&[KEY]) {
        return;
    }
    for text in values.texts(KEY).unwrap_or_default() {
        if grammar::parse_network(text).is_some_and(|network| network.prefix_len() == 0) {
            let origin = &values.get(KEY).origin;
            warnings.push(format!(
                "{KEY} ({origin}) trusts {text}: every client names its address itself"
            ));
        }
    }
}
