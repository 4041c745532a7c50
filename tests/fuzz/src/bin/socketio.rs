//! Any text as a packet of Socket.IO, beside a plain decoder; and any JSON with placeholders,
//! beside a walk of its tree.
//!
//! serde_json is the judge of the grammar. It refuses some JSON that the broker takes (deeper than
//! its bound, numbers beyond f64) and passes over lone surrogates: what it cannot make a tree of is
//! held against it only where both read it.

#![no_main]

use std::cell::RefCell;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use shardwire::wire::json::{self, Scratch};
use shardwire::wire::socketio::{self, Malformed, Packet};

const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];
const ATTACHMENTS: [&[u8]; 10] =
    [b"", b"a", b"bc", b"def", b"\xff\xfe", b"\0", b"6", b"7", b"8", b"9"];

thread_local! {
    /// One for all runs, as in a shard: what one text leaves behind must not reach the next.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

#[derive(Clone, Debug, PartialEq)]
enum Owned {
    Connect(String, Option<String>),
    Disconnect(String),
    /// Namespace, ack id, attachments, name, arguments.
    Event(String, Option<u64>, u8, String, Vec<String>),
    Ack(String, u64, u8, String),
}

/// Why the plain decoder gives no packet.
enum No {
    Malformed,
    /// It cannot tell.
    Unjudged,
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = json::utf8(bytes) else { return };
    let fresh = read(text, &mut Scratch::default());
    let again = SCRATCH.with_borrow_mut(|scratch| read(text, scratch));
    assert_eq!(fresh, again);
    match plain(text) {
        Ok(packet) => assert_eq!(fresh, Ok(packet)),
        Err(No::Malformed) => assert_eq!(fresh, Err(Malformed)),
        Err(No::Unjudged) => {}
    }
    if let Ok(packet) = fresh {
        write_again(packet);
    }
    for attachments in [0, 1, 10] {
        place(text, attachments);
    }
});

fn read(text: &str, scratch: &mut Scratch) -> Result<Owned, Malformed> {
    Ok(match socketio::decode(text, scratch)? {
        Packet::Connect { nsp, auth } => Owned::Connect(nsp.into(), auth.map(|it| it.raw().into())),
        Packet::Disconnect { nsp } => Owned::Disconnect(nsp.into()),
        Packet::Ack { nsp, ack, attachments, args } => {
            Owned::Ack(nsp.into(), ack, attachments, args.into())
        }
        Packet::Event { nsp, ack, attachments, name, args } => {
            let raws: Vec<String> = args.iter().map(|item| item.raw.into()).collect();
            assert_eq!((args.len(), args.is_empty()), (raws.len(), raws.is_empty()));
            place(args.raw(), attachments);
            Owned::Event(nsp.into(), ack, attachments, name.into(), raws)
        }
    })
}

/// What is encoded out of a packet's parts is that packet, or that of a name which is text.
fn write_again(packet: Owned) {
    let mut out = Vec::new();
    match &packet {
        Owned::Event(nsp, ack, attachments, name, args) => {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            socketio::event(&mut out, nsp, *ack, *attachments, name, &args, None);
        }
        Owned::Ack(nsp, id, attachments, args) => {
            let inside = &args[1..args.len() - 1];
            socketio::ack(&mut out, nsp, *id, *attachments, inside);
        }
        Owned::Disconnect(nsp) => socketio::disconnect(&mut out, nsp),
        Owned::Connect(nsp, _) => {
            socketio::connected(&mut out, nsp, "sid", None);
            let text = json::utf8(&out).expect("what is encoded is UTF-8");
            let expected = Owned::Connect(nsp.clone(), Some("{\"sid\":\"sid\"}".into()));
            return assert_eq!(read(text, &mut Scratch::default()), Ok(expected));
        }
    }
    let text = json::utf8(&out).expect("what is encoded is UTF-8");
    assert_eq!(read(text, &mut Scratch::default()), Ok(packet));
}

/// The same decoder, slow and plain.
fn plain(text: &str) -> Result<Owned, No> {
    let mut chars = text.chars();
    let kind = chars.next().ok_or(No::Malformed)?;
    let mut rest = chars.as_str();
    let mut attachments = 0;
    if kind == '5' || kind == '6' {
        let (count, behind) = rest.split_once('-').ok_or(No::Malformed)?;
        attachments = u8::try_from(number(count, 10)?).map_err(|_| No::Malformed)?;
        rest = behind;
    }
    let mut nsp = "/".to_owned();
    if rest.starts_with('/') {
        (nsp, rest) = match rest.find(',') {
            Some(comma) => (rest[..comma].into(), &rest[comma + 1..]),
            None => (rest.into(), ""),
        };
        if nsp.contains(|it: char| it.is_ascii_control()) {
            return Err(No::Malformed);
        }
    }
    let is_blank = |it: char| " \t\r\n".contains(it);
    let behind = rest.trim_start_matches(|it: char| it.is_ascii_digit());
    let digits = &rest[..rest.len() - behind.len()];
    let ack = if digits.is_empty() { None } else { Some(number(digits, 1 << 53)) };
    match kind {
        '0' if rest.trim_matches(is_blank).is_empty() => Ok(Owned::Connect(nsp, None)),
        '0' => {
            let raw = judged(serde_json::from_str::<&RawValue>(rest))?;
            if !raw.get().starts_with('{') {
                return Err(No::Malformed);
            }
            tree(raw.get())?;
            Ok(Owned::Connect(nsp, Some(raw.get().into())))
        }
        '1' if rest.trim_matches(is_blank).is_empty() => Ok(Owned::Disconnect(nsp)),
        '2' | '5' => {
            let ack = ack.transpose()?;
            let raws = judged(serde_json::from_str::<Vec<&RawValue>>(behind))?;
            let (first, args) = raws.split_first().ok_or(No::Malformed)?;
            let name = match tree(first.get())? {
                Tree::String(name) if !RESERVED.contains(&&*name) => name,
                Tree::Number(_) => first.get().into(),
                _ => return Err(No::Malformed),
            };
            tree(behind)?;
            let args = args.iter().map(|raw| raw.get().into()).collect();
            Ok(Owned::Event(nsp, ack, attachments, name, args))
        }
        '3' | '6' => {
            let ack = ack.ok_or(No::Malformed)??;
            judged(serde_json::from_str::<Vec<&RawValue>>(behind))?;
            tree(behind)?;
            Ok(Owned::Ack(nsp, ack, attachments, behind.trim_matches(is_blank).into()))
        }
        _ => Err(No::Malformed),
    }
}

/// Digits alone, and not too large a number.
fn number(digits: &str, max: u64) -> Result<u64, No> {
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return Err(No::Malformed);
    }
    let number = digits.bytes().fold(0_u64, |number, digit| {
        number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
    });
    if number > max { Err(No::Malformed) } else { Ok(number) }
}

/// Raw values: serde_json finds nothing wrong that is not.
fn judged<T>(read: serde_json::Result<T>) -> Result<T, No> {
    read.map_err(|_| No::Malformed)
}

fn tree(text: &str) -> Result<Tree, No> {
    serde_json::from_str(text).map_err(|_| No::Unjudged)
}

/// Looks for placeholders in a text and fills them in.
fn place(text: &str, attachments: u8) {
    let found = socketio::placeholders(text, attachments);
    let mut filled = String::new();
    let given = &ATTACHMENTS[..usize::from(attachments)];
    let outcome = socketio::inline(&mut filled, text, given, usize::MAX);
    assert_eq!(outcome.is_ok(), found.is_ok());
    if outcome.is_ok() {
        let mut again = String::new();
        assert_eq!(socketio::inline(&mut again, text, given, filled.len()), Ok(()));
        assert_eq!(again, filled);
        let short = filled.len().checked_sub(1);
        let refused = |max| socketio::inline(&mut String::new(), text, given, max).is_err();
        assert!(short.is_none_or(refused));
    }
    let Ok(tree) = tree(&format!("[{text}]")) else { return };
    let mut nums = Vec::new();
    let expected = tree.fill(given, &mut nums);
    let is_fit = |num: &Option<u64>| num.is_some_and(|num| num < u64::from(attachments));
    if !nums.iter().all(is_fit) {
        return assert_eq!(outcome, Err(Malformed));
    }
    let found = found.expect("all placeholders have their attachment");
    let found: Vec<_> = found.iter().map(|it| Some(u64::from(it.num))).collect();
    assert_eq!(found, nums);
    let read: Tree = serde_json::from_str(&format!("[{filled}]")).expect("it is JSON still");
    assert_eq!(read, expected);
}

/// JSON with all members of an object, in their order.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Null,
    Bool(bool),
    /// What was written in digits alone, if it fits.
    Number(Option<u64>),
    String(String),
    Array(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// With attachments in place of placeholders, whose numbers are told.
    fn fill(&self, attachments: &[&[u8]], nums: &mut Vec<Option<u64>>) -> Tree {
        match self {
            Tree::Array(all) => {
                Tree::Array(all.iter().map(|it| it.fill(attachments, nums)).collect())
            }
            Tree::Object(members) => {
                let last = |key| members.iter().rev().find(|it| it.0 == key).map(|it| &it.1);
                if last("_placeholder") == Some(&Tree::Bool(true)) {
                    let num = if let Some(Tree::Number(num)) = last("num") { *num } else { None };
                    nums.push(num);
                    let bytes = num.and_then(|num| attachments.get(usize::try_from(num).ok()?));
                    return bytes.map_or(Tree::Null, |it| Tree::String(STANDARD.encode(it)));
                }
                let fill =
                    |(key, value): &(String, Tree)| (key.clone(), value.fill(attachments, nums));
                Tree::Object(members.iter().map(fill).collect())
            }
            other => other.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Growing)
    }
}

struct Growing;

impl<'de> Visitor<'de> for Growing {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(truth))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(Some(number)))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Number(None))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Number(None))
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::String(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Tree, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = all.next_element()? {
            elements.push(element);
        }
        Ok(Tree::Array(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = all.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
