//! The command as it was typed, for the report: without what is secret.
//!
//! A report is passed on; its command shall be one that can be pasted, with holes where a token or
//! secret was.

use crate::load::profile;

/// What stands for a secret.
const HIDDEN: &str = "(hidden)";
/// Flags whose values are secret.
const SECRETS: [&str; 2] = ["--token", "--secret"];
/// Flags whose values are `key=value`, of which some may be secret.
const ASSIGNMENTS: [&str; 2] = ["--set", "--with"];

/// The words of a command line as they can be pasted into a shell, and told to anybody. The first
/// is the program's path, of which only the name is told.
pub(super) fn told(words: impl IntoIterator<Item = String>) -> String {
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let mut told = vec![program.rsplit('/').next().unwrap_or_default().to_owned()];
    let mut flag = String::new();
    for word in words {
        // The value of a flag stands behind it, or after its equals sign.
        let is_value =
            !flag.is_empty() && (SECRETS.contains(&flag.as_str()) || !word.starts_with("--"));
        let is_bare_flag = !is_value && word.starts_with("--") && !word.contains('=');
        let shown = match word.split_once('=') {
            _ if is_value => harmless(&flag, &word),
            Some((name, value)) if name.starts_with("--") => {
                format!("{name}={}", harmless(name, value))
            }
            _ => harmless("", &word),
        };
        flag = if is_bare_flag { word } else { String::new() };
        told.push(quoted(shown));
    }
    told.join(" ")
}

/// The value of a flag without its secrets.
fn harmless(flag: &str, value: &str) -> String {
    if SECRETS.contains(&flag) {
        return HIDDEN.to_owned();
    }
    if ASSIGNMENTS.contains(&flag)
        && let Some((key, _)) = value.split_once('=')
        && (key != "target.url" || !value.contains("://"))
        && profile::is_likely_secret(key)
    {
        return format!("{key}={HIDDEN}");
    }
    match value.split_once("://") {
        // A query may carry a token, what stands before an @ a password.
        Some((scheme, rest)) => {
            let rest = rest
                .split_once('?')
                .map_or_else(|| rest.to_owned(), |(place, _)| format!("{place}?{HIDDEN}"));
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            match authority.rsplit_once('@') {
                Some((_, host)) => format!("{scheme}://{HIDDEN}@{host}{path}"),
                None => format!("{scheme}://{rest}"),
            }
        }
        None => value.to_owned(),
    }
}

/// In single quotes where a shell would see more than a word.
fn quoted(word: String) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=+.,:/@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word;
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[&str]) -> String {
        told(words.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn secrets_are_taken_out() {
        let words = [
            "/usr/bin/shardwire",
            "bench",
            "rooms",
            "--token",
            "abc",
            "--secret=def",
            "--url",
            "ws://u:p@h:1/ws?token=ghi",
            "--set",
            "auth.secret=jkl",
            "--set=api.key=mno",
            "--with",
            "target.token=pqr",
        ];
        let told = of(&words);
        for secret in ["abc", "def", "ghi", "jkl", "mno", "pqr", "u:p"] {
            assert!(!told.contains(secret), "{secret} in {told}");
        }
        assert!(told.starts_with("shardwire bench rooms --token '(hidden)' '--secret=(hidden)'"));
        assert!(told.contains("auth.secret=") && told.contains("@h:1/ws"));
    }

    #[test]
    fn the_rest_can_be_pasted() {
        let words =
            ["x", "bench", "--floor", "--quiet", "a b", "it's", "--rate", "5", "--members=true"];
        assert_eq!(of(&words), r"x bench --floor --quiet 'a b' 'it'\''s' --rate 5 --members=true");
        assert_eq!(of(&["x", "--quiet", "--token", "s"]), "x --quiet --token '(hidden)'");
        assert_eq!(of(&["x", "--url", "ws://h:1/ws"]), "x --url ws://h:1/ws");
        assert_eq!(of(&[]), "");
    }
}
