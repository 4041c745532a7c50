//! What the doors of Engine.IO do for conformance suites, and never else: those of a client expect a
//! server that turns some away, sets cookies, takes its time and tells what it was asked.
//!
//! A mode is for this machine alone, as the configuration sees to it. What sessions answer there
//! stands in the shards, who are handed what only HTTP knows as JSON. Spec: what the suites of the
//! stock clients assume.

use hyper::header::{HeaderValue, SET_COOKIE};
use hyper::{HeaderMap, Request};

use crate::config::Conformance;
use crate::http::Answer;
use crate::json_text::push_string;
use crate::node::live::Live;
use crate::time::Timestamp;

/// The key in a query of who wants to be turned away.
const DENY: &str = "deny";
/// The record that asks for the headers of the request it came in.
const SEND_HEADERS: &[u8] = b"4sendHeaders";
const SEPARATOR: u8 = 0x1e;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn is_engine(live: &Live) -> bool {
    live.policy.socketio.conformance == Some(Conformance::Engine)
}

/// Lets a handshake wait for as long as its suite wants; whether it is let in then.
pub(super) async fn admits(live: &Live, query: Option<&str>) -> bool {
    if !live.handshake_delay.is_zero() {
        tokio::time::sleep(live.handshake_delay).await;
    }
    !is_engine(live) || !pairs(query).any(|(key, _)| key == DENY)
}

/// Sets cookies by a session's first answer: two to be kept and two that are over.
pub(super) fn set_cookies(live: &Live, now: Timestamp, answer: &mut Answer) {
    if !is_engine(live) {
        return;
    }
    let expires = format!("4=4; Expires={}", date(now));
    let cookies = [
        "1=1; Max-Age=86400",
        "2=2; Path=/; HttpOnly; Secure; SameSite=Strict",
        "3=3; Max-Age=0",
        &expires,
    ];
    for cookie in cookies {
        let cookie = HeaderValue::from_str(cookie).expect("it is plain ASCII");
        answer.headers_mut().append(SET_COOKIE, cookie);
    }
}

/// The headers of a request whose body may ask for them.
pub(super) fn kept<B>(live: &Live, request: &Request<B>) -> Option<HeaderMap> {
    is_engine(live).then(|| request.headers().clone())
}

/// The records of a body. One that asks for the body's headers is replaced by what is to come back.
pub(super) fn records(headers: Option<HeaderMap>, body: Vec<u8>) -> Vec<u8> {
    let Some(headers) = headers else { return body };
    let mut out = Vec::new();
    for record in body.split(|byte| *byte == SEPARATOR) {
        if record == SEND_HEADERS {
            out.push(SEND_HEADERS[0]);
            push_headers(&mut out, &headers);
        } else {
            out.extend_from_slice(record);
        }
        out.push(SEPARATOR);
    }
    out.pop();
    out
}

/// A handshake as the sockets of its session show it, in JSON; `None` outside of the suites.
pub(super) fn shown<B>(
    live: &Live,
    request: &Request<B>,
    address: &str,
    now: Timestamp,
) -> Option<Box<str>> {
    live.policy.socketio.conformance?;
    let mut out = b"{\"headers\":".to_vec();
    push_headers(&mut out, request.headers());
    out.extend_from_slice(b",\"time\":");
    push_string(&mut out, &date(now));
    out.extend_from_slice(b",\"address\":");
    push_string(&mut out, address);
    let is_foreign = request.headers().contains_key(hyper::header::ORIGIN);
    let (is_secure, issued) = (live.tls.is_some(), now.0);
    let facts = format!(",\"xdomain\":{is_foreign},\"secure\":{is_secure},\"issued\":{issued}");
    out.extend_from_slice(facts.as_bytes());
    out.extend_from_slice(b",\"url\":");
    push_string(&mut out, &request.uri().to_string());
    out.extend_from_slice(b",\"query\":");
    push_object(&mut out, pairs(request.uri().query()));
    out.push(b'}');
    Some(String::from_utf8(out).expect("what is written of text is text").into())
}

/// The pairs of a query, decoded; of a key that comes again the first.
fn pairs(query: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let mut seen: Vec<String> = Vec::new();
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).filter_map(move |(key, value)| {
        let key = key.into_owned();
        let is_new = !seen.contains(&key);
        is_new.then(|| {
            seen.push(key.clone());
            (key, value.into_owned())
        })
    })
}

/// Headers as an object. What came more than once stands in one text.
fn push_headers(out: &mut Vec<u8>, headers: &HeaderMap) {
    let told = headers.keys().map(|name| {
        let values = headers.get_all(name).iter().map(|it| String::from_utf8_lossy(it.as_bytes()));
        let values: Vec<_> = values.collect();
        let between = if name == "cookie" { "; " } else { ", " };
        (name.as_str().to_owned(), values.join(between))
    });
    push_object(out, told);
}

fn push_object(out: &mut Vec<u8>, members: impl Iterator<Item = (String, String)>) {
    out.push(b'{');
    for (n, (key, value)) in members.enumerate() {
        if n > 0 {
            out.push(b',');
        }
        push_string(out, &key);
        out.push(b':');
        push_string(out, &value);
    }
    out.push(b'}');
}

/// A time as headers tell it (RFC 9110 section 5.6.7).
fn date(at: Timestamp) -> String {
    let text = at.to_string();
    let weekday = WEEKDAYS[(at.secs() / 86_400 % 7) as usize];
    let month: usize = text[5..7].parse().expect("a month has two digits");
    let (year, month, day, time) = (&text[..4], MONTHS[month - 1], &text[8..10], &text[11..19]);
    format!("{weekday}, {day} {month} {year} {time} GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_known_instants() {
        for (ms, text) in [
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (951_782_400_000, "Tue, 29 Feb 2000 00:00:00 GMT"),
        ] {
            assert_eq!(date(Timestamp(ms)), text);
        }
    }

    #[test]
    fn a_record_that_asks_for_the_headers_becomes_them() {
        let headers = || {
            let mut headers = HeaderMap::new();
            headers.append("Cookie", HeaderValue::from_static("1=1"));
            Some(headers)
        };
        let body = b"4sendHeaders\x1e4a\x1e4sendHeaders!".to_vec();
        let told = b"4{\"cookie\":\"1=1\"}\x1e4a\x1e4sendHeaders!".to_vec();
        assert_eq!(records(headers(), body.clone()), told);
        assert_eq!(records(None, body.clone()), body);
        assert_eq!(records(headers(), Vec::new()), b"");
    }

    #[test]
    fn headers_and_queries_are_objects() {
        let mut headers = HeaderMap::new();
        headers.append("Cookie", HeaderValue::from_static("1=1; 2=2"));
        headers.append("X", HeaderValue::from_static("\"a\""));
        headers.append("X", HeaderValue::from_static("b"));
        let mut out = Vec::new();
        push_headers(&mut out, &headers);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, r#"{"cookie":"1=1; 2=2","x":"\"a\", b"}"#);
        let mut out = Vec::new();
        push_object(&mut out, pairs(Some("a=b+c&%26a=%3D&a=d&e")));
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, r#"{"a":"b c","&a":"=","e":""}"#);
    }
}
