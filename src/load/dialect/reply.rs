//! What servers say beside deliveries, in JSON: read leniently, told in few words.
//!
//! Only what is no delivery comes here, so it may build trees.

use serde_json::Value;

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
