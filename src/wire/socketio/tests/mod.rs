//! Packets in and out, laid beside what Node's parser and server write.

mod attachments;
mod decode;
mod encode;

use super::*;
use crate::wire::json::Scratch;

/// A packet that owns what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owned {
    Connect(String, Option<String>),
    Disconnect(String),
    /// Namespace, ack id, attachments, name, arguments.
    Event(String, Option<u64>, u8, String, Vec<String>),
    Ack(String, u64, u8, String),
}

/// What a text is read as.
fn read(text: &str) -> Result<Owned, Malformed> {
    read_with(text, &mut Scratch::default())
}

fn read_with(text: &str, scratch: &mut Scratch) -> Result<Owned, Malformed> {
    Ok(match decode(text, scratch)? {
        Packet::Connect { nsp, auth } => Owned::Connect(nsp.into(), auth.map(|it| it.raw().into())),
        Packet::Disconnect { nsp } => Owned::Disconnect(nsp.into()),
        Packet::Ack { nsp, ack, attachments, args } => {
            Owned::Ack(nsp.into(), ack, attachments, args.into())
        }
        Packet::Event { nsp, ack, attachments, name, args } => {
            let raws: Vec<String> = args.iter().map(|item| item.raw.to_owned()).collect();
            assert_eq!((args.len(), args.is_empty()), (raws.len(), raws.is_empty()));
            Owned::Event(nsp.into(), ack, attachments, name.into(), raws)
        }
    })
}

fn event(nsp: &str, ack: Option<u64>, attachments: u8, name: &str, args: &[&str]) -> Owned {
    let args = args.iter().map(|&arg| arg.into()).collect();
    Owned::Event(nsp.into(), ack, attachments, name.into(), args)
}

/// What an encoder writes.
fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = b"before".to_vec();
    write(&mut out);
    String::from_utf8(out).unwrap().strip_prefix("before").unwrap().to_owned()
}
