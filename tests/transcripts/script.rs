//! The text form of a transcript, line by line.
//!
//! ```text
//! == A title                            a scene: a broker of its own
//! set shards 2                          a setting, ahead of all else in its scene
//! token T {"sub":"ann"}                 a token that frames name as ${T}
//! ann opens /ws on 1 with ${T}          at a shard; without a token, or with `refused`
//! ann > {"type":"ping"}                 what she sends: a text frame
//! ann < {"type":"pong",…}               what she hears, to the byte and in this order
//! ann > [ping x]                        brackets: binary, ping, pong, close CODE REASON
//! ann leaves                            without a word
//! server > publish a.b {"n":1}          what the server side does
//! + 30 s                                time goes by; `ms` for milliseconds
//! ```
//!
//! A line that begins with `#` is a comment. `@{ann}` stands for the id of her connection, `?{x}` for
//! a name that a shard made: where it is heard first, whatever is there. Whatever is sent and not in
//! the transcript fails it.

/// What one line says, after its names were filled in.
#[derive(Debug)]
pub enum Line<'a> {
    Set { name: &'a str, value: &'a str },
    Token { name: &'a str, claims: &'a str },
    Opens { client: &'a str, path: &'a str, shard: u8, how: Entry<'a> },
    Says { client: &'a str, frame: Frame<'a> },
    Hears { client: &'a str, text: &'a str },
    Leaves { client: &'a str },
    Does { act: &'a str, rest: &'a str },
    Passes { ms: u64 },
}

/// What the door made of a client's token.
#[derive(Debug)]
pub enum Entry<'a> {
    Anonymous,
    With(&'a str),
    Refused,
}

/// What a client sends.
#[derive(Debug)]
pub enum Frame<'a> {
    Text(&'a str),
    Binary(&'a str),
    Ping(&'a str),
    Pong(&'a str),
    Close { code: Option<u16>, reason: &'a str },
}

/// The name by which lines speak of the server side.
pub const SERVER: &str = "server";

/// Reads a line that is neither empty nor a comment; `None` for what is no line.
pub fn line(text: &str) -> Option<Line<'_>> {
    let (first, rest) = word(text);
    match first {
        "set" => {
            let (name, value) = word(rest);
            Some(Line::Set { name, value })
        }
        "token" => {
            let (name, claims) = word(rest);
            Some(Line::Token { name, claims })
        }
        "+" => {
            let (number, unit) = word(rest);
            let factor = [("ms", 1), ("s", 1000)].into_iter().find(|(name, _)| *name == unit)?.1;
            Some(Line::Passes { ms: number.parse::<u64>().ok()? * factor })
        }
        name => {
            let (verb, rest) = word(rest);
            verb_of(name, verb, rest)
        }
    }
}

fn verb_of<'a>(client: &'a str, verb: &str, rest: &'a str) -> Option<Line<'a>> {
    match verb {
        ">" if client == SERVER => {
            let (act, rest) = word(rest);
            Some(Line::Does { act, rest })
        }
        ">" => Some(Line::Says { client, frame: frame(rest)? }),
        "<" => Some(Line::Hears { client, text: rest }),
        "leaves" if rest.is_empty() => Some(Line::Leaves { client }),
        "opens" => {
            let (path, rest) = word(rest);
            let (shard, rest) = word(rest.strip_prefix("on ")?);
            let how = match word(rest) {
                ("", "") => Entry::Anonymous,
                ("refused", "") => Entry::Refused,
                ("with", token) => Entry::With(token),
                _ => return None,
            };
            Some(Line::Opens { client, path, shard: shard.parse().ok()?, how })
        }
        _ => None,
    }
}

fn frame(text: &str) -> Option<Frame<'_>> {
    let Some(inner) = text.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) else {
        return Some(Frame::Text(text));
    };
    let (kind, rest) = word(inner);
    Some(match kind {
        "binary" => Frame::Binary(rest),
        "ping" => Frame::Ping(rest),
        "pong" => Frame::Pong(rest),
        "close" => {
            let (code, reason) = word(rest);
            let code = if code.is_empty() { None } else { Some(code.parse().ok()?) };
            Frame::Close { code, reason }
        }
        // An array is a text like others.
        _ => Frame::Text(text),
    })
}

/// The first word and what stands behind the blank that ends it.
pub fn word(text: &str) -> (&str, &str) {
    text.split_once(' ').unwrap_or((text, ""))
}
