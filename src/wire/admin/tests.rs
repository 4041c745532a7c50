//! Every request, refusal and reply of the dialect, in golden texts.

use super::*;
use crate::audience::Audience;
use crate::connection::ConnectionId;
use crate::limits::{CLOSE_REASON_BYTES_MAX, PAGE_ITEMS, PAGE_ITEMS_MAX, REQUEST_ID_BYTES_MAX};
use crate::report::{Cursor, Page};
use crate::time::Timestamp;
use crate::wire::json::Scratch;

const AT: Timestamp = Timestamp(1_769_860_800_123);
/// The text of a connection's id.
const CONNECTION: &str = "abcdef012345670801020304a0b0c0d0";
const FIRST_PAGE: Page = Page { limit: PAGE_ITEMS, cursor: None };
/// What a disconnect is told where the request does not say.
const FORCED: &str = "disconnected by the server";

#[track_caller]
fn accepts(text: &str, id: Option<&str>, command: Command<'_>) {
    assert_eq!(decode(text, &mut Scratch::default()), Ok(Request { id, command }), "{text}");
}

#[track_caller]
fn asks(kind: &'static str, data: &str, wanted: Wanted) {
    let text = format!(r#"{{"type":"{kind}","data":{data}}}"#);
    accepts(&text, None, Command::Ask { kind, wanted });
}

#[track_caller]
fn rejects(text: &str, refusal: Refusal) {
    let id = text.contains(r#""id":7"#).then_some("7");
    let expected = Err(Rejected { id, refusal });
    assert_eq!(decode(text, &mut Scratch::default()), expected, "{text}");
}

/// That `data` of a request of this type is refused.
#[track_caller]
fn rejects_data(kind: &str, data: &str, refusal: Refusal) {
    rejects(&format!(r#"{{"type":"{kind}","data":{data},"id":7}}"#), refusal);
}

fn connection() -> ConnectionId {
    CONNECTION.parse().expect("a connection's id")
}

fn user(tenant: Option<&str>, user: &str) -> Audience {
    Audience::User { tenant: tenant.map(Into::into), user: user.into() }
}

#[test]
fn figures() {
    for (text, every_ms) in [
        (r#"{"type":"stats"}"#, None),
        (r#"{"type":"stats","data":null}"#, None),
        (r#"{"type":"stats","data":{}}"#, None),
        (r#"{"type":"stats","data":{"everyMs":null,"x":[]}}"#, None),
        (r#" {"data":{ "everyM\u0073" : 0 }, "type":"st\u0061ts"} "#, Some(0)),
        (r#"{"type":"stats","data":{"everyMs":100}}"#, Some(100)),
        (r#"{"type":"stats","data":{"everyMs":3600000}}"#, Some(3_600_000)),
    ] {
        accepts(text, None, Command::Stats { every_ms });
    }
    for every_ms in
        ["1", "99", "3600001", "-1", "-0", "1e3", "100.0", "\"100\"", "true", "1e400", "[]"]
    {
        rejects_data("stats", &format!("{{\"everyMs\":{every_ms}}}"), Refusal::IllTyped("everyMs"));
    }
}

#[test]
fn an_id_travels_digit_for_digit() {
    let long = format!("\"{}\"", "x".repeat(REQUEST_ID_BYTES_MAX - 2));
    for id in
        ["0", "-0.0", "1E+2", "123456789012345678901234567890", "1e400", r#""a\u0062\"""#, &long]
    {
        let text = format!("{{\"type\":\"stats\",\"id\" : {id} }}");
        accepts(&text, Some(id), Command::Stats { every_ms: None });
    }
    accepts(r#"{"type":"stats","id":null}"#, None, Command::Stats { every_ms: None });
    let too_long = long.replacen('x', "xx", 1);
    for id in ["true", "[]", "{}", "[7]", &too_long] {
        rejects(&format!("{{\"type\":\"stats\",\"id\":{id}}}"), Refusal::IllTyped("id"));
    }
}

#[test]
fn lists() {
    let cursor: Cursor = Cursor { shard: 3, index: 4_000_000_000 };
    let page = Page { limit: PAGE_ITEMS_MAX, cursor: Some(cursor) };
    let page_text = format!(r#""limit":1000,"cursor":"{cursor}""#);
    asks("connections", "{}", Wanted::Connections { of: Audience::Everyone, page: FIRST_PAGE });
    asks(
        "connections",
        &format!(r#"{{{page_text},"tenantId":"acme"}}"#),
        Wanted::Connections { of: Audience::Tenant("acme".into()), page },
    );
    let of = user(Some("acme"), "a\nb");
    asks(
        "connections",
        r#"{"tenantId":"acme","userId":"a\nb","limit":1}"#,
        Wanted::Connections { of, page: Page { limit: 1, ..FIRST_PAGE } },
    );
    let of = user(None, "42");
    asks(
        "connections",
        r#"{"userId":"42","tenantId":null,"limit":null,"cursor":null}"#,
        Wanted::Connections { of, page: FIRST_PAGE },
    );
    asks("topics", "{}", Wanted::Topics { prefix: "".into(), page: FIRST_PAGE });
    asks(
        "topics",
        &format!(r#"{{"prefix":"room.\u0031.",{page_text}}}"#),
        Wanted::Topics { prefix: "room.1.".into(), page },
    );
    for kind in ["connections", "topics"] {
        for limit in ["0", "1001", "-1", "1.0", "\"1\"", "{}", "99999999999999999999"] {
            rejects_data(kind, &format!("{{\"limit\":{limit}}}"), Refusal::IllTyped("limit"));
        }
        for cursor in ["1", "\"\"", "\"no cursor\"", "[]"] {
            rejects_data(kind, &format!("{{\"cursor\":{cursor}}}"), Refusal::IllTyped("cursor"));
        }
    }
    rejects_data("topics", r#"{"prefix":7}"#, Refusal::IllTyped("prefix"));
    rejects_data("connections", r#"{"userId":7}"#, Refusal::IllTyped("userId"));
    rejects_data("connections", r#"{"userId":""}"#, Refusal::IllTyped("userId"));
    rejects_data("connections", r#"{"tenantId":""}"#, Refusal::IllTyped("tenantId"));
}

#[test]
fn one_connection_or_topic() {
    let data = format!(r#"{{"connectionId":"{CONNECTION}"}}"#);
    asks("connection", &data, Wanted::Connection(connection()));
    asks("topic", r#"{"topic":"a.*\n"}"#, Wanted::Topic("a.*\n".into()));
    rejects(r#"{"type":"connection"}"#, Refusal::Missing("connectionId"));
    rejects_data("connection", r#"{"connectionId":7}"#, Refusal::IllTyped("connectionId"));
    for none in ["", "none", &CONNECTION[1..], &format!("{CONNECTION}0"), &"g".repeat(32)] {
        let data = format!(r#"{{"connectionId":"{none}"}}"#);
        rejects_data("connection", &data, Refusal::NotFound);
        rejects_data("disconnect", &data, Refusal::NotFound);
    }
    rejects_data("topic", "{}", Refusal::Missing("topic"));
    rejects_data("topic", r#"{"topic":["a"]}"#, Refusal::IllTyped("topic"));
}

#[test]
fn disconnects() {
    let one = |code, reason: &str| Wanted::DisconnectOne {
        id: connection(),
        code,
        reason: reason.into(),
    };
    let member = format!(r#""connectionId":"{CONNECTION}""#);
    asks("disconnect", &format!("{{{member}}}"), one(1008, FORCED));
    for code in [1000, 1001, 1008, 4000, 4999] {
        asks(
            "disconnect",
            &format!(r#"{{{member},"code":{code},"reason":"b\u0079e"}}"#),
            one(code, "bye"),
        );
    }
    asks("disconnect", &format!(r#"{{{member},"userId":null,"reason":""}}"#), one(1008, ""));
    let some = |of| Wanted::Disconnect { of, code: 4000, reason: FORCED.into() };
    asks("disconnect", r#"{"userId":"42","code":4000}"#, some(user(None, "42")));
    asks(
        "disconnect",
        r#"{"userId":"42","tenantId":"acme","code":4000}"#,
        some(user(Some("acme"), "42")),
    );
    for code in [
        "0", "999", "1002", "1005", "1006", "1015", "3000", "3999", "5000", "65536", "\"1000\"",
        "-1",
    ] {
        let data = format!(r#"{{{member},"code":{code}}}"#);
        rejects_data("disconnect", &data, Refusal::IllTyped("code"));
    }
    let long = "é".repeat(CLOSE_REASON_BYTES_MAX / 2);
    asks("disconnect", &format!(r#"{{{member},"reason":"{long}"}}"#), one(1008, &long));
    for reason in [format!("\"{long}é\""), "7".into()] {
        let data = format!(r#"{{{member},"reason":{reason}}}"#);
        rejects_data("disconnect", &data, Refusal::IllTyped("reason"));
    }
    // Nobody, or two at once; and a tenant is more than anyone asks for in passing.
    let missing = Refusal::Missing("connectionId");
    rejects_data("disconnect", "{}", missing);
    rejects_data("disconnect", r#"{"tenantId":"acme"}"#, missing);
    let data = format!(r#"{{{member},"userId":"42"}}"#);
    rejects_data("disconnect", &data, Refusal::IllTyped("userId"));
    let data = format!(r#"{{{member},"tenantId":"acme"}}"#);
    rejects_data("disconnect", &data, Refusal::IllTyped("tenantId"));
}

#[test]
fn broadcasts() {
    for message in ["null", "1e400", r#"{ "type" : "news", "n":12345678901234567890 }"#, "\"\""] {
        accepts(
            &format!(r#"{{"type":"broadcast","id":7,"data":{{"message": {message} }}}}"#),
            Some("7"),
            Command::Broadcast { message, tenant: None },
        );
    }
    accepts(
        r#"{"type":"broadcast","data":{"tenantId":"acme","message":7}}"#,
        None,
        Command::Broadcast { message: "7", tenant: Some("acme".into()) },
    );
    rejects_data("broadcast", "{}", Refusal::Missing("message"));
    rejects_data("broadcast", r#"{"message":1,"tenantId":""}"#, Refusal::IllTyped("tenantId"));
}

#[test]
fn refusals() {
    use Refusal::{BadJson, DuplicateKey, IllTyped, Missing, NotAnObject, UnknownType};
    for (text, refusal) in [
        ("", BadJson),
        ("{", BadJson),
        (r#"{"type":"stats","x":"\ud800"}"#, BadJson),
        ("[]", NotAnObject),
        ("7", NotAnObject),
        ("{}", Missing("type")),
        (r#"{"type":null,"id":7}"#, Missing("type")),
        (r#"{"type":7}"#, IllTyped("type")),
        (r#"{"type":"Stats","id":7}"#, UnknownType),
        (r#"{"type":"","id":7,"data":{}}"#, UnknownType),
        (r#"{"type":"stats","id":7,"data":[]}"#, IllTyped("data")),
        (r#"{"type":"stats","id":7,"data":"{}"}"#, IllTyped("data")),
        (r#"{"type":"stats","id":7,"type":"stats"}"#, DuplicateKey),
        (r#"{"type":"stats","id":8,"id":9}"#, DuplicateKey),
        (r#"{"type":"stats","id":7,"x":1,"\u0078":1}"#, DuplicateKey),
        (r#"{"type":"topic","id":7,"data":{"topic":"a","top\u0069c":"b"}}"#, DuplicateKey),
    ] {
        rejects(text, refusal);
    }
}

#[track_caller]
fn writes(write: impl FnOnce(&mut Vec<u8>), expected: &str) {
    let mut out = b"before".to_vec();
    write(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), format!("before{expected}"));
    serde_json::from_str::<serde_json::Value>(expected).expect("a reply is JSON");
}

#[test]
fn replies() {
    writes(
        |out| reply(out, None, STATS, r#"{"connections":1}"#),
        r#"{"type":"stats","data":{"connections":1}}"#,
    );
    writes(
        |out| reply(out, Some("1E+2"), "disconnect", r#"{"disconnected":2}"#),
        r#"{"type":"disconnect","id":1E+2,"data":{"disconnected":2}}"#,
    );
    writes(
        |out| reply(out, Some(r#""a\u0062""#), BROADCAST, r#"{"delivered":0}"#),
        r#"{"type":"broadcast","id":"a\u0062","data":{"delivered":0}}"#,
    );
    for (id, refusal, expected) in [
        (
            Some("7"),
            Refusal::IllTyped("limit"),
            r#"{"type":"error","id":7,"data":{"error":"Invalid field: limit","code":400}}"#,
        ),
        (None, Refusal::NotFound, r#"{"type":"error","data":{"error":"Not found","code":404}}"#),
    ] {
        writes(|out| error(out, id, &refusal.to_string(), refusal.code()), expected);
    }
    writes(
        |out| error(out, None, "a \"b\"", 503),
        r#"{"type":"error","data":{"error":"a \"b\"","code":503}}"#,
    );
    writes(
        |out| auth_expired(out, AT),
        r#"{"type":"auth_expired","data":{"code":401,"message":"Token expired","timestamp":"2026-01-31T12:00:00.123Z"}}"#,
    );
}
