//! The rules of the house, held by a test: who may import whom, what the core may not know, how
//! long a file is and how it opens. Reads the text of `src/`; design: the map in `src/lib.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Lines of a file, tests counted.
const LINES_MAX: usize = 500;
/// Lines of the comment that a file opens with.
const HEADER_LINES_MIN: usize = 2;
/// Files that may hold `unsafe` blocks, each with its reason beside it.
const UNSAFE: &[&str] = &["node/local.rs"];

/// The folders that are not root words, and what of the crate each may use beside the root words
/// and itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("auth", &[]),
    ("config", &["auth"]),
    ("shard", &["wire", "auth", "config"]),
    ("bus", &["config"]),
    ("http", &[]),
    ("node", &["shard", "bus", "http", "auth", "wire", "config"]),
    ("load", &["wire"]),
    ("cli", &["node", "load", "shard", "bus", "http", "auth", "config"]),
];

/// The parts of `load`, from the bottom: each may use those before it.
const LOAD: &[&str] = &[
    "stamp",
    "clock",
    "times",
    "numbers",
    "scenario",
    "orders",
    "outcome",
    "machine",
    "judge",
    "account",
    "layout",
    "pace",
    "dialect",
    "swarm",
    "floor",
    "worker",
    "probe",
    "profile",
    "conductor",
    "report",
];

/// Root files that stand above the folders: they may use what they need of them.
const ABOVE: &[(&str, &[&str])] = &[
    ("lib", &["wire", "auth", "config", "shard", "bus", "http", "node", "load", "cli"]),
    ("main", &["cli", "node"]),
];

/// What only those may use that wait on the outside.
const OUTSIDE: &[&str] = &[
    "tokio",
    "hyper",
    "hyper_util",
    "rustls",
    "tokio_rustls",
    "hyper_rustls",
    "socket2",
    "rustix",
];
const MEETS_OUTSIDE: &[&str] =
    &["process.rs", "node", "bus", "http", "auth/webhook", "load", "cli"];

/// What the sans-io core may not use, by part of it.
const NOT_IN_CORE: &[(&str, &[&str])] = &[
    ("wire", &["std::time::Instant", "std::time::SystemTime", "std::sync::Mutex", "tracing"]),
    ("shard", &["std::time::Instant", "std::time::SystemTime", "std::sync::Mutex", "tracing"]),
    ("auth", &["std::time::Instant", "std::time::SystemTime"]),
];

/// What breaks a rule in a file; `path` is that below `src/`, with `/`.
fn faults(path: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let lines = text.lines().count();
    if lines > LINES_MAX {
        faults.push(format!("{lines} lines, more than {LINES_MAX}"));
    }
    let header = text.lines().take_while(|line| line.starts_with("//!")).count();
    let is_test = path.split('/').any(|part| part == "tests" || part == "tests.rs");
    if header < HEADER_LINES_MIN && !is_test {
        faults.push(format!("its opening comment has {header} lines"));
    }
    let code = code_of(text);
    let words = || code.split(|c: char| !c.is_alphanumeric() && c != '_');
    if words().any(|word| word == "unsafe") && !UNSAFE.contains(&path) {
        faults.push("unsafe".into());
    }
    for used in uses(&code) {
        if let Some(why) = forbidden(path, &used, is_test) {
            faults.push(format!("{used}: {why}"));
        }
    }
    faults
}

/// Why a file may not use a path, if so.
fn forbidden(path: &str, used: &str, is_test: bool) -> Option<&'static str> {
    let folder = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    let mut parts = used.split("::");
    let first = parts.next().unwrap_or_default();
    let begins_with = |stem: &&str| used == *stem || used.starts_with(&format!("{stem}::"));
    let meets_outside = MEETS_OUTSIDE.iter().any(|place| path.starts_with(place));
    if !meets_outside && (OUTSIDE.contains(&first) || is_socket(used)) {
        return Some("only who meets the outside may");
    }
    let core = NOT_IN_CORE.iter().find(|(part, _)| *part == folder);
    if core.is_some_and(|(_, banned)| banned.iter().any(begins_with)) && !is_test {
        return Some("the core is told the time, takes no lock and logs nothing");
    }
    if first != "crate" && first != "shardwire" {
        return None;
    }
    let target = parts.next()?;
    if !MAY_USE.iter().any(|(name, _)| *name == target) || target == folder {
        return sibling(path, used).or_else(|| upwards(path, used, is_test));
    }
    let allowed = MAY_USE.iter().chain(ABOVE).find(|(name, _)| *name == folder);
    match allowed {
        Some((_, allowed)) if allowed.contains(&target) => spoken(path, used),
        Some(_) => Some("imports go downwards only"),
        None => Some("a root word stands below every folder"),
    }
}

/// The codecs of `wire` that are a dialect's.
const DIALECTS: &[&str] = &["topics", "events", "channels", "admin", "engineio", "socketio"];

/// In a shard a dialect's words are used in its own session, in what is told in all of them, and by
/// the encoder. Sessions of Socket.IO speak through Engine.IO.
fn spoken(path: &str, used: &str) -> Option<&'static str> {
    let dialect = used.strip_prefix("crate::wire::")?.split("::").next()?;
    let inside = path.strip_prefix("shard/")?;
    let own = inside.strip_prefix("session/").and_then(|name| name.split('/').next());
    let own = own.map_or("", |name| name.trim_end_matches(".rs"));
    let layered = own == "socketio" && dialect == "engineio";
    let speaks = inside == "encoder.rs" || own == dialect || own == "notice" || layered;
    (DIALECTS.contains(&dialect) && !speaks).then_some("a dialect is spoken in its own session")
}

/// A bus never uses another bus, a dialect never another dialect.
fn sibling(path: &str, used: &str) -> Option<&'static str> {
    const SHARED: &[&str] = &["json", "frame", "deflate"];
    const BUSES: &[&str] = &["memory", "redis", "nats", "rabbitmq", "socketio_redis"];
    let own = path.split('/').nth(1)?.trim_end_matches(".rs");
    let mut parts = used.split("::").skip(1);
    let (folder, target) = (parts.next()?, parts.next()?);
    let kin = match folder {
        "wire" => DIALECTS,
        "bus" => BUSES,
        _ => return None,
    };
    let related = path.starts_with(folder) && (kin.contains(&own) || SHARED.contains(&own));
    // Socket.IO speaks through Engine.IO: one protocol in two layers.
    let layered = own == "socketio" && target == "engineio";
    let apart = related && kin.contains(&target) && own != target && !layered;
    apart.then_some("what two share is a root word or wire/json")
}

/// A part of `load` uses those below it only; its tests may use others.
fn upwards(path: &str, used: &str, is_test: bool) -> Option<&'static str> {
    let own = path.strip_prefix("load/")?.split('/').next()?.trim_end_matches(".rs");
    let part = used.strip_prefix("crate::load::")?.split("::").next()?;
    let place = |name| LOAD.iter().position(|known| *known == name);
    let own = place(own)?;
    let is_below = place(part).is_some_and(|part| part <= own);
    (!is_below && !is_test).then_some("the parts of load use those below them only")
}

fn is_socket(used: &str) -> bool {
    let net = used.strip_prefix("std::net::").or_else(|| used.strip_prefix("std::os::unix::net::"));
    net.is_some_and(|name| ["Tcp", "Udp", "Unix"].iter().any(|kind| name.starts_with(kind)))
}

/// The text without comments and the contents of string literals.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let mut inside = false;
        let mut chars = line.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if inside => drop(chars.next()),
                // A quote as a character begins no string.
                '\'' if !inside && chars.peek() == Some(&'"') => drop(chars.next()),
                '"' => inside = !inside,
                '/' if !inside && chars.peek() == Some(&'/') => break,
                _ if inside => {}
                _ => code.push(c),
            }
        }
        code.push('\n');
    }
    code
}

/// Every path that the code uses: `use` lines with their braces unfolded, and what is spelled out
/// in the midst of code from `crate::`, `std::` or a crate that meets the outside.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for statement in code.split(';') {
        let begin = statement.rfind("\nuse ").map(|at| at + 5).or_else(|| {
            let trimmed = statement.trim_start();
            let at = trimmed.strip_prefix("use ").map(|_| statement.len() - trimmed.len() + 4);
            at.or_else(|| statement.rfind(" use ").map(|at| at + 5))
        });
        if let Some(begin) = begin {
            unfold("", &bare(&statement[begin..]), &mut found);
        }
    }
    let spelled = code.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    for path in spelled.filter(|path| path.contains("::")) {
        let end = path.as_ptr() as usize - code.as_ptr() as usize + path.len();
        if code[end..].starts_with('{') {
            continue; // Unfolded above.
        }
        let first = path.split("::").next().unwrap_or_default();
        if first == "crate" || first == "std" || OUTSIDE.contains(&first) {
            found.insert(path.trim_end_matches(':').into());
        }
    }
    found
}

/// What is imported, without spaces, and without the names that it is given here.
fn bare(tree: &str) -> String {
    let mut bare = String::new();
    let mut words = tree.split_whitespace();
    while let Some(word) = words.next() {
        if word == "as" {
            let name = words.next().unwrap_or_default();
            bare.push_str(name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'));
        } else {
            bare.push_str(word);
        }
    }
    bare
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn unfold(stem: &str, tree: &str, found: &mut BTreeSet<String>) {
    let mut depth = 0;
    let mut start = 0;
    let ends = tree.char_indices().chain([(tree.len(), ',')]);
    for (at, c) in ends {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = &tree[start..at];
                start = at + 1;
                match item.split_once('{') {
                    Some((prefix, inner)) => {
                        let inner = inner.strip_suffix('}').unwrap_or(inner);
                        unfold(&format!("{stem}{prefix}"), inner, found);
                    }
                    None if item.is_empty() => {}
                    None => drop(found.insert(format!("{stem}{item}"))),
                }
            }
            _ => {}
        }
    }
}

fn visit(folder: &Path, seen: &mut impl FnMut(&Path)) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            visit(&path, seen);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            seen(&path);
        }
    }
}

#[test]
fn the_house_is_in_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut files, mut wrong) = (0, Vec::new());
    visit(&root, &mut |path| {
        files += 1;
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        let found = faults(&name, &fs::read_to_string(path).unwrap());
        wrong.extend(found.into_iter().map(|fault| format!("src/{name}: {fault}")));
    });
    assert!(files > 30, "only {files} files were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in UNSAFE {
        let text = fs::read_to_string(root.join(name)).unwrap();
        assert!(code_of(&text).contains("unsafe"), "{name} needs no place on the list");
        assert!(text.contains("// SAFETY: "), "{name} does not say why it is sound");
    }
}

/// A file with this code, in order but for that.
fn faults_of(path: &str, code: &str) -> Vec<String> {
    faults(path, &format!("//! What it is.\n//! What it owns.\n\n{code}\n"))
}

#[test]
fn what_breaks_a_rule_is_told() {
    for (path, code) in [
        ("wire/frame.rs", "use crate::shard::Shard;"),
        ("wire/topics/mod.rs", "use crate::{auth, close::Close};"),
        ("auth/rules.rs", "use crate::wire::json;"),
        ("auth/rules.rs", "use crate::config::RuleSetting;"),
        ("mail.rs", "use crate::config::Secret;"),
        ("shard/hub.rs", "use crate::node::clock;"),
        ("shard/hub.rs", "fn f() { crate::http::error(); }"),
        ("http/mod.rs", "use crate::shard::{\n    Policy,\n};"),
        ("config/meant.rs", "use crate::http::doors;"),
        ("bus/redis.rs", "use crate::shard::Policy;"),
        ("bus/redis.rs", "use crate::bus::nats::Link;"),
        ("wire/events.rs", "use crate::wire::topics::encode;"),
        ("wire/events.rs", "use crate::wire::{json, topics as other};"),
        ("wire/json/mod.rs", "use crate::wire::topics;"),
        ("node/mod.rs", "use crate::cli::serve;"),
        ("shard/session/channels.rs", "use crate::wire::topics::Request;"),
        ("shard/fanout.rs", "use crate::wire::{frame, topics as dialect};"),
        ("shard/life.rs", "use crate::wire::engineio::Packet;"),
        ("shard/session/engineio/mod.rs", "use crate::wire::socketio;"),
        ("wire/engineio/decode.rs", "use crate::wire::socketio;"),
        ("load/conductor/tally.rs", "use crate::load::report::table;"),
        ("load/scenario.rs", "use crate::load::{floor::Mode, stamp};"),
        ("topic.rs", "use crate::wire::json;"),
        ("mailbox.rs", "use tokio::sync::Notify;"),
        ("shard/mod.rs", "use std::net::{IpAddr, TcpStream};"),
        ("shard/mod.rs", "fn f(_: std::net::UdpSocket) {}"),
        ("shard/mod.rs", "use {hyper::Request, std::fmt};"),
        ("auth/jwt.rs", "use tokio::time::sleep;"),
        ("shard/hub.rs", "use rustls::ServerConnection;"),
        ("report/plan.rs", "use crate::http::Answer;"),
        ("shard/life.rs", "use std::time::{Duration, Instant};"),
        ("auth/jwt.rs", "fn f() { std::time::SystemTime::now(); }"),
        ("wire/json/mod.rs", "use std::sync::{Arc, Mutex};"),
        ("shard/life.rs", "pub(crate) use std::sync::Mutex;"),
        ("shard/slot.rs", "fn f() { unsafe { g() } }"),
        ("shard/slot.rs", &"\n".repeat(LINES_MAX)),
    ] {
        assert_eq!(faults_of(path, code).len(), 1, "{path}: {code}");
    }
    assert_eq!(faults("shard/slot.rs", "//! One line.\nfn f() {}\n").len(), 1);
    assert_eq!(faults("shard/slot.rs", "use std::fmt;\n").len(), 1);
}

#[test]
fn what_keeps_the_rules_is_not() {
    for (path, code) in [
        ("wire/frame.rs", "use crate::close::Close;\nuse std::time::Duration;"),
        ("shard/hub.rs", "use crate::auth::Identity;\nuse crate::wire::{frame, json};"),
        ("shard/session/topics.rs", "use crate::wire::{json, topics as dialect};"),
        ("shard/encoder.rs", "use crate::wire::{channels, events, topics};"),
        ("shard/session/engineio/probe.rs", "use crate::wire::engineio::Packet;"),
        ("shard/session/socketio/mod.rs", "use crate::wire::{engineio, socketio};"),
        ("shard/hub.rs", "// use tokio::time\nconst NAME: &str = \"unsafe; use tokio::net;\";"),
        ("shard/hub.rs", "const QUOTE: char = '\"';\nuse crate::shard::slot::Slot;"),
        ("shard/hub.rs", "use std::net::{IpAddr, SocketAddr};"),
        ("http/mod.rs", "use hyper::{Request, Response};\nuse crate::metrics::Kind;"),
        ("auth/webhook.rs", "use tokio::net::TcpStream;"),
        ("auth/webhook/client.rs", "use hyper_rustls::HttpsConnector;"),
        ("wire/admin/encode.rs", "use crate::report::Wanted;"),
        ("node/local.rs", "// SAFETY: none needed.\nfn f() { unsafe { g() } }"),
        ("node/mod.rs", "use crate::{http, shard::{Parts, Shard}};\nuse rustix::event;"),
        ("wire/socketio.rs", "use crate::wire::engineio::Packet;\nuse crate::wire::json;"),
        ("load/report/table.rs", "use crate::load::conductor::Live;"),
        ("load/layout/tests.rs", "use crate::load::floor::Mode;"),
        ("cli/serve.rs", "use crate::node::Node;\nuse tokio::signal;"),
    ] {
        assert_eq!(faults_of(path, code), [] as [String; 0], "{path}: {code}");
    }
}
