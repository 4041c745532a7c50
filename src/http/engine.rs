//! Engine.IO over HTTP: what a request asks of it, and what its answers look like.
//!
//! Reads method, query and headers; which session it is about and what comes of it is for the
//! shards. A query's keys count where they stand first, and those that are not known are ignored:
//! clients add their own. Answers are those of the reference, to the byte: clients' tests compare
//! them. Contract: protocols.md section 5.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};

use super::{Answer, retrying, with_type};
use crate::json_text::push_string;
use crate::polling::{Fault, HttpReply};
use crate::sid::Sid;

/// The version that is spoken, as a query says it.
const VERSION: &str = "4";

/// How packets are carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// In the bodies of requests and answers.
    Polling,
    /// In frames.
    WebSocket,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A browser asks whether a page may ask.
    Preflight,
    /// A session.
    Handshake(Transport),
    /// To hear what a session has to say.
    Poll(Sid),
    /// To say something.
    Post(Sid),
    /// A WebSocket in place of a session's polling.
    Upgrade(Sid),
}

impl Wanted {
    /// What a request asks for; `is_upgrade`: it wants to become a WebSocket.
    ///
    /// # Errors
    /// The first of its faults, in the order of the protocol: the client's.
    pub fn of(method: &Method, query: Option<&str>, is_upgrade: bool) -> Result<Self, Fault> {
        if method == Method::OPTIONS {
            return Ok(Self::Preflight);
        }
        let [version, transport, sid] = values(query, ["EIO", "transport", "sid"]);
        // A session has its version.
        let sid = sid.filter(|sid| !sid.is_empty());
        if sid.is_none() && version.as_deref() != Some(VERSION) {
            return Err(Fault::Version);
        }
        let transport = match transport.as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(Fault::Transport),
        };
        let sid = sid.map(|sid| Sid::parse(&sid).ok_or(Fault::Session)).transpose()?;
        if sid.is_none() && method != Method::GET {
            return Err(Fault::Method);
        }
        if is_upgrade != (transport == Transport::WebSocket) {
            return Err(Fault::Request);
        }
        match (sid, transport, method) {
            (None, ..) => Ok(Self::Handshake(transport)),
            (Some(sid), Transport::WebSocket, &Method::GET) => Ok(Self::Upgrade(sid)),
            (Some(sid), Transport::Polling, &Method::GET) => Ok(Self::Poll(sid)),
            (Some(sid), Transport::Polling, &Method::POST) => Ok(Self::Post(sid)),
            _ => Err(Fault::Request),
        }
    }
}

/// The first value of each of these keys, decoded as forms write them. What is no UTF-8 is
/// replaced: no value of ours has that.
fn values<const N: usize>(query: Option<&str>, keys: [&str; N]) -> [Option<String>; N] {
    let mut values = [const { None }; N];
    for (key, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if let Some(at) = keys.iter().position(|known| *known == key) {
            values[at].get_or_insert_with(|| value.into_owned());
        }
    }
    values
}

/// Whether a path is an endpoint's, which is so with and without the slash at its end.
pub fn is_at(path: &str, endpoint: &str) -> bool {
    let bare = |path| str::strip_suffix(path, "/").unwrap_or(path);
    // Two slashes are another path.
    path.len().abs_diff(endpoint.len()) <= 1 && bare(path) == bare(endpoint)
}

/// Whether a body is said to be bytes: version 4 has only text.
pub fn is_bytes(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/octet-stream")
}

/// What a session answers to a poll or a post, or what is wrong with it.
pub fn replied(reply: HttpReply) -> Answer {
    match reply {
        HttpReply::Body(records) => records_of(records),
        HttpReply::Taken => with_type(StatusCode::OK, "text/html", "ok"),
        HttpReply::Bad(fault) => at_fault(fault, false),
        HttpReply::NoRoom => {
            refused_later(StatusCode::SERVICE_UNAVAILABLE, "server is overloaded", false)
        }
    }
}

/// An answer of records: to a poll, or to a handshake.
pub fn records_of(records: Vec<u8>) -> Answer {
    with_type(StatusCode::OK, "text/plain; charset=UTF-8", records)
}

/// What is answered to a request at fault, which may have been for an upgrade.
pub fn at_fault(fault: Fault, is_upgrade: bool) -> Answer {
    let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::BAD_REQUEST);
    told(status, fault.code(), fault.message(), is_upgrade)
}

/// What is answered to a request that is not let in, for no fault of the protocol.
pub fn refused(status: StatusCode, message: &str, is_upgrade: bool) -> Answer {
    told(status, Fault::Forbidden.code(), message, is_upgrade)
}

/// The same, of what may be otherwise in a second.
pub fn refused_later(status: StatusCode, message: &str, is_upgrade: bool) -> Answer {
    retrying(refused(status, message, is_upgrade))
}

/// A number and words in JSON; to who wants a WebSocket the words alone.
fn told(status: StatusCode, code: u8, message: &str, is_upgrade: bool) -> Answer {
    if is_upgrade {
        return with_type(status, "text/html", message.to_owned());
    }
    let mut body = format!("{{\"code\":{code},\"message\":").into_bytes();
    push_string(&mut body, message);
    body.push(b'}');
    with_type(status, "application/json", body)
}

/// What is answered to a body over its bound: nothing but the status.
pub fn too_large() -> Answer {
    let mut answer = Response::new(Full::<Bytes>::default());
    *answer.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;
    use hyper::header::RETRY_AFTER;

    use super::*;
    use crate::sid::{NotSecret, Secret};

    fn sid() -> (Sid, String) {
        let sid = Sid::new(3, 7, Secret::new(&mut NotSecret(1)));
        (sid, String::from_utf8(sid.chars().to_vec()).unwrap())
    }

    fn wanted(method: &Method, query: &str, is_upgrade: bool) -> Result<Wanted, Fault> {
        Wanted::of(method, Some(query), is_upgrade)
    }

    #[test]
    fn handshakes() {
        let polling = Ok(Wanted::Handshake(Transport::Polling));
        for query in [
            "EIO=4&transport=polling",
            "t=abc&transport=polling&EIO=4&b64=1",
            "%45IO=%34&transport=p%6Flling",
            "EIO=4&EIO=3&transport=polling&transport=websocket",
            "EIO=4&transport=polling&sid=",
            "&&EIO=4&transport=polling&token=%ff&",
        ] {
            assert_eq!(wanted(&Method::GET, query, false), polling, "{query}");
        }
        let websocket = Ok(Wanted::Handshake(Transport::WebSocket));
        assert_eq!(wanted(&Method::GET, "EIO=4&transport=websocket", true), websocket);
    }

    #[test]
    fn the_first_fault_of_a_handshake_is_told() {
        for (method, query, fault) in [
            (Method::GET, "", Fault::Version),
            (Method::GET, "transport=polling", Fault::Version),
            (Method::PUT, "EIO=abc&transport=abc", Fault::Version),
            (Method::GET, "EIO=3&transport=polling", Fault::Version),
            (Method::GET, "EIO=3&EIO=4&transport=polling", Fault::Version),
            (Method::GET, "EIO=%ff&transport=polling", Fault::Version),
            (Method::GET, "eio=4&transport=polling", Fault::Version),
            (Method::PUT, "EIO=4", Fault::Transport),
            (Method::GET, "EIO=4&transport=abc", Fault::Transport),
            (Method::GET, "EIO=4&transport=webtransport", Fault::Transport),
            (Method::POST, "EIO=4&transport=polling", Fault::Method),
            (Method::PUT, "EIO=4&transport=websocket", Fault::Method),
            (Method::HEAD, "EIO=4&transport=polling", Fault::Method),
            (Method::GET, "EIO=4&transport=websocket", Fault::Request),
        ] {
            assert_eq!(wanted(&method, query, false), Err(fault), "{method} {query}");
        }
        assert_eq!(Wanted::of(&Method::GET, None, false), Err(Fault::Version));
        let with_headers = wanted(&Method::GET, "EIO=4&transport=polling", true);
        assert_eq!(with_headers, Err(Fault::Request));
    }

    #[test]
    fn requests_of_a_session() {
        let (sid, text) = sid();
        let of = |method, transport, is_upgrade| {
            let query = format!("transport={transport}&sid={text}&sid=other&EIO=3");
            wanted(&method, &query, is_upgrade)
        };
        assert_eq!(of(Method::GET, "polling", false), Ok(Wanted::Poll(sid)));
        assert_eq!(of(Method::POST, "polling", false), Ok(Wanted::Post(sid)));
        assert_eq!(of(Method::GET, "websocket", true), Ok(Wanted::Upgrade(sid)));
        for (method, transport, is_upgrade) in [
            (Method::PUT, "polling", false),
            (Method::HEAD, "polling", false),
            (Method::GET, "polling", true),
            (Method::GET, "websocket", false),
            (Method::POST, "websocket", true),
        ] {
            assert_eq!(of(method, transport, is_upgrade), Err(Fault::Request));
        }
        assert_eq!(of(Method::PUT, "abc", false), Err(Fault::Transport));
        for odd in ["x", "%ff", &text[1..], &format!("{text}A"), &text.replace(&text[..1], "+")] {
            let query = format!("EIO=4&transport=polling&sid={odd}");
            assert_eq!(wanted(&Method::GET, &query, false), Err(Fault::Session), "{odd}");
        }
    }

    #[test]
    fn a_preflight_says_nothing_of_the_protocol() {
        for query in ["", "EIO=4&transport=polling", "sid=x"] {
            assert_eq!(wanted(&Method::OPTIONS, query, false), Ok(Wanted::Preflight));
        }
    }

    #[test]
    fn an_endpoint_has_a_slash_or_none() {
        for (path, endpoint, is) in [
            ("/socket.io/", "/socket.io/", true),
            ("/socket.io", "/socket.io/", true),
            ("/socket.io/", "/socket.io", true),
            ("/", "/", true),
            ("/socket.io//", "/socket.io/", false),
            ("/socket.io//", "/socket.io", false),
            ("/socket.io/socket.io.js", "/socket.io/", false),
            ("/socket.iox", "/socket.io/", false),
            ("/socket.i", "/socket.io", false),
            ("/Socket.io/", "/socket.io/", false),
        ] {
            assert_eq!(is_at(path, endpoint), is, "{path} at {endpoint}");
        }
    }

    #[test]
    fn bodies_of_bytes() {
        for (kind, is) in [
            (None, false),
            (Some("text/plain;charset=UTF-8"), false),
            (Some("application/octet-stream"), true),
            (Some("Application/Octet-Stream; a=b"), true),
        ] {
            let headers = kind.map(|kind| (CONTENT_TYPE, HeaderValue::from_static(kind)));
            assert_eq!(is_bytes(&headers.into_iter().collect()), is, "{kind:?}");
        }
    }

    /// An answer's status, type and body.
    fn shown(answer: Answer) -> (u16, String, String) {
        let header = |name| answer.headers().get(name).map(|it| it.to_str().unwrap().to_owned());
        assert_eq!(header(CACHE_CONTROL).unwrap(), "no-store");
        let (status, kind) = (answer.status().as_u16(), header(CONTENT_TYPE).unwrap_or_default());
        let body = futures_util::FutureExt::now_or_never(answer.into_body().collect());
        let body = body.unwrap().unwrap().to_bytes();
        (status, kind, String::from_utf8(body.to_vec()).unwrap())
    }

    #[test]
    fn answers() {
        const JSON: &str = "application/json";
        let is = |answer: Answer, status: u16, kind: &str, body: &str| {
            assert_eq!(shown(answer), (status, kind.to_owned(), body.to_owned()));
        };
        let text = "text/plain; charset=UTF-8";
        is(replied(HttpReply::Body(b"4a\x1e4b".to_vec())), 200, text, "4a\x1e4b");
        is(replied(HttpReply::Taken), 200, "text/html", "ok");
        is(too_large(), 413, "", "");
        let unknown = r#"{"code":1,"message":"Session ID unknown"}"#;
        is(replied(HttpReply::Bad(Fault::Session)), 400, JSON, unknown);
        is(at_fault(Fault::Version, true), 400, "text/html", "Unsupported protocol version");
        let forbidden = r#"{"code":4,"message":"Forbidden"}"#;
        is(at_fault(Fault::Forbidden, false), 403, JSON, forbidden);
        is(at_fault(Fault::Forbidden, true), 403, "text/html", "Forbidden");
        let own = refused(StatusCode::UNAUTHORIZED, "not \"you\"", false);
        is(own, 401, JSON, r#"{"code":4,"message":"not \"you\""}"#);
        let busy = replied(HttpReply::NoRoom);
        assert_eq!(busy.headers()[RETRY_AFTER], "1");
        is(busy, 503, JSON, r#"{"code":4,"message":"server is overloaded"}"#);
    }
}
