//! What browsers are told of pages of other origins: whether they may read an answer, and ask at
//! all (CORS, as the Fetch standard has it).
//!
//! For Engine.IO alone: its polling is what pages ask of another origin. Who may come in is
//! `origin`'s; here that is put into headers. No answer sets a cookie, so that credentials are
//! allowed to listed pages costs nothing, and clients that send them are served.
//! Contract: protocols.md section 5, section 11 "Doors".

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
    HeaderValue, ORIGIN, VARY,
};
use hyper::{HeaderMap, Response, StatusCode};

use super::{Answer, doors};
use crate::origin::Origins;

/// Seconds for which a browser need not ask again whether it may ask.
const MAX_AGE_S: &str = "600";

/// What an answer says of the page that asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cors {
    /// Nothing: it is no page, or one of the same host.
    Silent,
    /// Any page may read it.
    Anyone,
    /// The page of this origin may read it, which is on the list.
    Page(HeaderValue),
}

impl Cors {
    /// What the answers to a request say; `tls` is whether the broker speaks that. `None`: its page
    /// may not come in, and reads nothing.
    pub fn of(origins: &Origins, headers: &HeaderMap, tls: bool) -> Option<Self> {
        // No browser sends two, and which one would be meant?
        let is_one = headers.get_all(ORIGIN).iter().count() <= 1;
        if !is_one || !doors::is_allowed(origins, headers, tls) {
            return None;
        }
        Some(match (origins, headers.get(ORIGIN)) {
            (Origins::Any, _) => Self::Anyone,
            (Origins::Only(_), Some(origin)) => Self::Page(origin.clone()),
            (Origins::Only(_), None) | (Origins::SameHost, _) => Self::Silent,
        })
    }

    /// Says it in an answer.
    pub fn put(&self, answer: &mut Answer) {
        let origin = match self {
            Self::Silent => return,
            Self::Anyone => HeaderValue::from_static("*"),
            Self::Page(origin) => origin.clone(),
        };
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if let Self::Page(_) = self {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            headers.append(VARY, HeaderValue::from_static("Origin"));
        }
    }

    /// Answers the question whether a page may ask; `headers` are those of the question.
    pub fn preflight(&self, headers: &HeaderMap) -> Answer {
        let mut answer = Response::new(Full::<Bytes>::default());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        self.put(&mut answer);
        if *self != Self::Silent {
            let told = answer.headers_mut();
            told.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET,POST"));
            told.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_S));
            if let Some(names) = asked_headers(headers) {
                told.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
            }
        }
        answer
    }
}

/// The names of headers that a page wants to send, of those that are names at all.
fn asked_headers(headers: &HeaderMap) -> Option<HeaderValue> {
    let lines = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    let names = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    let names: Vec<&str> = names.map(str::trim).filter(|name| is_token(name)).collect();
    HeaderValue::from_str(&names.join(",")).ok().filter(|names| !names.is_empty())
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

#[cfg(test)]
mod tests {
    use hyper::header::HOST;

    use super::*;
    use crate::http::with_type;

    fn from(origin: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static("app.example"));
        headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
        headers
    }

    /// The headers of an answer, one a line.
    fn shown(answer: &Answer) -> String {
        let line =
            |(name, value): (_, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
        answer.headers().iter().map(line).collect::<Vec<_>>().join("\n")
    }

    fn put(cors: &Cors) -> String {
        let mut answer = Response::new(Full::default());
        cors.put(&mut answer);
        shown(&answer)
    }

    #[test]
    fn what_pages_are_told() {
        let list = Origins::only(&["https://page.example", "http://app.example"]);
        for (origins, origin, told) in [
            (&Origins::SameHost, None, Some("")),
            (&Origins::SameHost, Some("http://app.example"), Some("")),
            (&Origins::SameHost, Some("https://page.example"), None),
            (&Origins::Any, None, Some("access-control-allow-origin: *")),
            (&Origins::Any, Some("null"), Some("access-control-allow-origin: *")),
            (&list, None, Some("")),
            (
                &list,
                Some("https://Page.example:443"),
                Some(
                    "access-control-allow-origin: https://Page.example:443\n\
                     access-control-allow-credentials: true\nvary: Origin",
                ),
            ),
            (&list, Some("https://evil.example"), None),
            (&list, Some("null"), None),
        ] {
            let cors = Cors::of(origins, &from(origin), false);
            assert_eq!(cors.as_ref().map(put).as_deref(), told, "{origins:?} {origin:?}");
        }
        let mut two = from(Some("https://page.example"));
        two.append(ORIGIN, HeaderValue::from_static("https://page.example"));
        assert_eq!(Cors::of(&Origins::Any, &two, false), None);
        assert_eq!(Cors::of(&list, &two, false), None);
    }

    #[test]
    fn what_an_answer_says_already_stays() {
        let mut answer = with_type(StatusCode::BAD_REQUEST, "text/html", "no");
        answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
        Cors::Page(HeaderValue::from_static("http://a")).put(&mut answer);
        let shown = shown(&answer);
        for line in ["content-type: text/html", "vary: Accept", "vary: Origin"] {
            assert!(shown.lines().any(|it| it == line), "{shown}");
        }
    }

    #[test]
    fn preflights() {
        let mut asks = HeaderMap::new();
        let names = HeaderValue::from_static("Content-Type, x-a\"b, ,X-Client");
        asks.append(ACCESS_CONTROL_REQUEST_HEADERS, names);
        asks.append(ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static("authorization"));
        let answer = Cors::Anyone.preflight(&asks);
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(
            shown(&answer),
            "access-control-allow-origin: *\naccess-control-allow-methods: GET,POST\n\
             access-control-max-age: 600\n\
             access-control-allow-headers: Content-Type,X-Client,authorization"
        );
        let plain = Cors::Anyone.preflight(&HeaderMap::new());
        assert!(!plain.headers().contains_key(ACCESS_CONTROL_ALLOW_HEADERS));
        let page = Cors::Page(HeaderValue::from_static("http://a")).preflight(&HeaderMap::new());
        assert_eq!(page.headers()[ACCESS_CONTROL_ALLOW_CREDENTIALS], "true");
        assert!(Cors::Silent.preflight(&asks).headers().is_empty());
    }
}
