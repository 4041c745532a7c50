//! What servers say in JSON: a message of the load, or else something read leniently and told in
//! few words.
//!
//! Only what is no delivery may build trees.

use serde_json::Value;

use crate::load::stamp::Stamp;

/// What an error begins with: it may quote a message, and is none.
const ERROR: &[u8] = b"{\"type\":\"error\"";

/// The message of the load in a text of the dialects that name its type first.
#[inline]
pub(super) fn delivery(text: &[u8]) -> Option<Stamp> {
    let (stamp, _) = Stamp::find(text)?;
    (!text.starts_with(ERROR)).then_some(stamp)
}

/// A refusal's words: what is there of a code and a message, a string or a number each.
pub(super) fn words(code: Option<&Value>, message: Option<&Value>) -> String {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let parts: Vec<String> = [code, message].into_iter().flatten().filter_map(text).collect();
    if parts.is_empty() { "refused without a word".into() } else { parts.join(" ") }
}
