//! What to do about connections that failed: a line for each kind of failure that is known.
//!
//! Judged by the words that a load process gives as its reasons, and by what was asked for. Used
//! where nobody could connect (`cli/bench`) and below the faults of a run (`table`, `page`).

use crate::load::profile::usual_path;
use crate::load::scenario::{Credentials, Scenario, Target};

/// Hints for failures told in `words`, each once; none where nothing is known to help.
pub fn of(words: &str, scenario: &Scenario) -> Vec<String> {
    let target = &scenario.target;
    let says = |any: &[&str]| any.iter().any(|part| words.contains(part));
    let dialect = format!("{:?}", target.dialect).to_lowercase();
    let mut hints = Vec::new();
    if says(&["HTTP 404"]) {
        let (path, usual) = (path_of(&target.path), path_of(usual_path(target.dialect)));
        hints.push(if path == usual {
            format!("the server has no {path}: give the path in --url, or another --dialect")
        } else {
            format!("the server has no {path}: {dialect} is usually at {usual} (--url)")
        });
    }
    if says(&["HTTP 401", "HTTP 403"]) {
        hints.push(match target.credentials {
            Credentials::None => {
                "the server wants to know who comes: --token or --secret".to_owned()
            }
            _ => format!("the server does not take {}: is it its own?", shown(target)),
        });
    }
    if says(&["HTTP 429", "HTTP 503"]) {
        let how = "fewer at a time with --connecting or --connect-rate, or raise its limits";
        hints.push(format!("the server takes no more connections now: {how}"));
    }
    if says(&["HTTP 429"]) {
        let how = "shardwire's is server.max_connections_per_ip, 0 for none";
        hints.push(format!("it may be a limit for each address that connections come from: {how}"));
    }
    if says(&["closed with 1002"]) {
        let what = "the server does not understand what was said (1002)";
        hints.push(format!("{what}: does it speak {dialect} (--dialect)?"));
    }
    if says(&["closed with 1008"]) {
        let what = "the server's policy closed them (1008)";
        hints.push(match target.credentials {
            Credentials::None => {
                format!("{what}: no token was given (--token, --secret), or a limit")
            }
            _ => format!("{what}: {} may be wrong, or a limit", shown(target)),
        });
    }
    match &target.tls {
        Some(_) if says(&["InvalidContentType"]) => {
            hints.push("this port does not speak TLS: ws:// in place of wss://".to_owned());
        }
        Some(_) if says(&["invalid peer certificate"]) => {
            let how = "--ca FILE names who signed it, --insecure takes any";
            hints.push(format!("the certificate is not trusted: {how}"));
        }
        None if says(&["not an answer of HTTP/1", "in the handshake: the server closed"]) => {
            hints.push("if this port speaks TLS: wss:// in place of ws://".to_owned());
        }
        _ => {}
    }
    if says(&["Connection refused"]) {
        hints.push(format!("nothing listens at {}", target.address));
    }
    hints
}

/// What may help where the metrics at `url` cannot be read.
pub fn of_metrics(url: &str) -> String {
    let place = url.split('?').next().unwrap_or_default();
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
    format!("does anything tell metrics at {place} (--metrics)?")
}

/// What a client shows, by the flag that gave it.
fn shown(target: &Target) -> &'static str {
    match target.credentials {
        Credentials::Secret { .. } => "tokens made with this --secret",
        Credentials::Token(_) | Credentials::None => "this --token",
    }
}

/// Without its query, which may hold a token.
fn path_of(path: &str) -> &str {
    path.split_once('?').map_or(path, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::tests::fixture;
    use crate::load::scenario::Tls;

    #[test]
    fn what_is_known_to_help_is_told() {
        let mut scenario = fixture::outcome().scenario;
        let told = |words: &str, scenario: &Scenario| of(words, scenario).join("\n");
        scenario.target.path = "/?token=SECV".into();
        let wrong_path = told("HTTP 404 Not Found", &scenario);
        assert_eq!(wrong_path, "the server has no /: topics is usually at /ws (--url)");
        scenario.target.path = "/ws".into();
        assert!(told("HTTP 404", &scenario).contains("--dialect"));
        assert!(told("HTTP 503 Service Unavailable", &scenario).contains("--connecting"));
        assert!(told("closed with 1002", &scenario).contains("does it speak topics"));
        assert!(told("closed with 1008", &scenario).contains("--token"));
        assert!(told("cannot connect: Connection refused", &scenario).contains("127.0.0.1:41234"));
        let closed = "in the handshake: the server closed the connection";
        assert_eq!(told(closed, &scenario), "if this port speaks TLS: wss:// in place of ws://");
        assert!(told("HTTP 401", &scenario).contains("who comes: --token or --secret"));
        scenario.target.credentials = Credentials::Token("t".into());
        assert!(told("HTTP 401", &scenario).contains("does not take this --token"));
        assert!(told("closed with 1008", &scenario).contains("this --token may be wrong"));
        assert_eq!(
            of_metrics("http://u:p@h:1/m?t=x"),
            "does anything tell metrics at h:1/m (--metrics)?"
        );
        scenario.target.tls = Some(Tls::Any);
        let corrupt = "TLS: received corrupt message of type InvalidContentType";
        assert!(told(corrupt, &scenario).contains("ws:// in place of wss://"));
        assert_eq!(told(closed, &scenario), "");
        let limited = told("429; HTTP 429; HTTP 503", &scenario);
        assert_eq!(limited.lines().count(), 2);
        assert!(limited.contains("server.max_connections_per_ip"), "{limited}");
        scenario.target.address = ([192, 0, 2, 7], 80).into();
        assert_eq!(told("HTTP 429", &scenario).lines().count(), 2);
        assert_eq!(told("who knows", &scenario), "");
    }
}
