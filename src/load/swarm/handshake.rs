//! The answer to a client's handshake (RFC 6455 section 4.1): taken or refused, compressed or not.
//!
//! The request is the dialect's to write; its key is the same for every connection. Reads bytes,
//! owns nothing.

use httparse::{EMPTY_HEADER, Response, Status};

/// The key of every request: the example of RFC 6455 section 1.3. It is there to keep caches from
/// answering, which do not stand between a load and its server.
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What a server makes of [`KEY`].
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// What is offered: one inflater serves all connections, so no side may take its context over.
pub(super) const OFFER: &str =
    "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
/// Bytes of an answer's head.
pub(super) const HEAD_BYTES_MAX: usize = 16 << 10;
/// Header lines of an answer.
const HEADERS_MAX: usize = 64;

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is not whole.
    Partial,
    /// Frames follow.
    Taken {
        /// Bytes before the first frame.
        head_bytes: usize,
        /// permessage-deflate is in force.
        compression: bool,
    },
}

/// Reads the start of what a server sent. `offered`: the request had [`OFFER`].
///
/// # Errors
/// It refuses, or this is no answer to a WebSocket handshake: in words. The server's doing.
pub(super) fn answer(bytes: &[u8], offered: bool) -> Result<Answer, String> {
    let mut headers = [EMPTY_HEADER; HEADERS_MAX];
    let mut response = Response::new(&mut headers);
    let head_bytes = match response.parse(bytes) {
        Ok(Status::Complete(head_bytes)) if head_bytes <= HEAD_BYTES_MAX => head_bytes,
        Ok(Status::Partial) if bytes.len() <= HEAD_BYTES_MAX => return Ok(Answer::Partial),
        Ok(_) => return Err(format!("an HTTP head of more than {HEAD_BYTES_MAX} bytes")),
        Err(error) => return Err(format!("not an answer of HTTP/1: {error}")),
    };
    let status = response.code.unwrap_or_default();
    if status != 101 {
        let reason = response.reason.unwrap_or_default();
        return Err(format!("HTTP {status} {reason}").trim_end().to_owned());
    }
    let values = |name: &'static str| {
        let named = response.headers.iter().filter(move |it| it.name.eq_ignore_ascii_case(name));
        named.map(|it| str::from_utf8(it.value).unwrap_or_default().trim())
    };
    if values("sec-websocket-accept").next() != Some(ACCEPT) {
        return Err("HTTP 101 with a wrong Sec-WebSocket-Accept".into());
    }
    let mut compression = false;
    for extension in values("sec-websocket-extensions").flat_map(|value| value.split(',')) {
        match extension.trim() {
            "" => {}
            _ if compression || !offered => {
                return Err(format!("an extension that was not offered: {}", extension.trim()));
            }
            extension => {
                check_deflate(extension)?;
                compression = true;
            }
        }
    }
    Ok(Answer::Taken { head_bytes, compression })
}

/// Whether the one inflater can read what comes under this extension.
fn check_deflate(extension: &str) -> Result<(), String> {
    let mut parts = extension.split(';').map(str::trim);
    if parts.next() != Some("permessage-deflate") {
        return Err(format!("an extension that was not offered: {extension}"));
    }
    if !parts.any(|parameter| parameter == "server_no_context_takeover") {
        return Err("permessage-deflate without server_no_context_takeover: the load cannot keep \
                    a window for each connection; do without compression"
            .into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(status: &str, lines: &[&str]) -> String {
        format!("HTTP/1.1 {status}\r\n{}\r\n\r\n", lines.join("\r\n"))
    }

    const TAKEN: &str = "sec-webSocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= ";

    #[test]
    fn an_answer_cut_anywhere() {
        let text = head("101 Switching Protocols", &["Upgrade: websocket", TAKEN]) + "frames";
        let head_bytes = text.len() - 6;
        for cut in 0..=text.len() {
            let expected = if cut < head_bytes {
                Answer::Partial
            } else {
                Answer::Taken { head_bytes, compression: false }
            };
            assert_eq!(answer(&text.as_bytes()[..cut], false), Ok(expected), "{cut}");
        }
    }

    #[test]
    fn refusals() {
        let refusal = |text: &str| answer(text.as_bytes(), true).unwrap_err();
        assert_eq!(refusal(&head("404 Not Found", &["a: b"])), "HTTP 404 Not Found");
        assert_eq!(refusal("HTTP/1.1 503\r\n\r\n"), "HTTP 503");
        assert!(refusal("SSH-2.0-OpenSSH_9.2\r\n").contains("not an answer"));
        for wrong in ["a: b", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOO="] {
            assert!(refusal(&head("101 Switching Protocols", &[wrong])).contains("Accept"));
        }
        let long = format!("a: {}", "b".repeat(HEAD_BYTES_MAX));
        assert!(refusal(&head("101 Switching Protocols", &[TAKEN, &long])).contains("16384"));
        assert!(refusal(&format!("HTTP/1.1 101 OK\r\n{long}")).contains("16384"));
    }

    #[test]
    fn extensions() {
        let extend = |value: &str, offered| {
            let line = format!("Sec-WebSocket-Extensions: {value}");
            match answer(head("101 OK", &[TAKEN, &line]).as_bytes(), offered) {
                Ok(Answer::Taken { compression, .. }) => Ok(compression),
                Ok(Answer::Partial) => panic!("{value}"),
                Err(why) => Err(why),
            }
        };
        assert_eq!(extend("", true), Ok(false));
        assert_eq!(extend("permessage-deflate;server_no_context_takeover", true), Ok(true));
        let window = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10";
        assert_eq!(extend(window, true), Ok(true));
        assert!(extend(window, false).unwrap_err().contains("not offered"));
        assert!(extend("x-webkit-deflate-frame", true).unwrap_err().contains("not offered"));
        assert!(extend("permessage-deflate", true).unwrap_err().contains("takeover"));
        assert!(extend(&format!("{window}, {window}"), true).is_err());
    }
}
