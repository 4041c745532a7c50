//! The client's side of RFC 6455, in a few lines and apart from the broker's own: masked frames
//! out, server frames in. Whatever a server may not send is a panic here.

use flate2::{Decompress, FlushDecompress};

/// Opcodes (RFC 6455 section 5.2).
pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// Appends a masked frame.
pub fn put_frame(out: &mut impl Extend<u8>, fin: bool, opcode: u8, mask: [u8; 4], payload: &[u8]) {
    out.extend([u8::from(fin) << 7 | opcode]);
    match payload.len() {
        len @ 0..=125 => out.extend([0x80 | len as u8]),
        len @ 126..=0xffff => {
            out.extend([0x80 + 126]);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.extend([0x80 + 127]);
            out.extend((len as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// What a server sent.
#[derive(Debug)]
pub enum ServerFrame {
    /// A whole text message.
    Text(String),
    /// It is done; the code, if any.
    Close(Option<u16>),
    /// To be answered.
    Ping(Vec<u8>),
    /// An answer.
    Pong(Vec<u8>),
}

/// Takes a server's bytes apart.
#[derive(Debug)]
pub struct Parser {
    bytes: Vec<u8>,
    at: usize,
    compression: bool,
}

impl Parser {
    /// Of a connection that negotiated compression or not.
    pub fn new(compression: bool) -> Self {
        Self { bytes: Vec::new(), at: 0, compression }
    }

    /// Takes bytes as they come.
    pub fn feed(&mut self, bytes: impl Iterator<Item = u8>) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend(bytes);
    }

    /// Whether the bytes so far end within a frame.
    pub fn is_within_frame(&self) -> bool {
        self.at < self.bytes.len()
    }

    /// The next whole frame.
    pub fn next_frame(&mut self) -> Option<ServerFrame> {
        let rest = &self.bytes[self.at..];
        let (&first, &second) = (rest.first()?, rest.get(1)?);
        assert!(first & 0x80 != 0, "the server never fragments");
        assert!(first & 0x30 == 0 && second & 0x80 == 0, "reserved bits, or a masked frame");
        let (len, head) = match second {
            126 => (usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().unwrap())), 4),
            127 => (u64::from_be_bytes(rest.get(2..10)?.try_into().unwrap()) as usize, 10),
            len => (usize::from(len), 2),
        };
        assert!(second < 126 || len > 125, "the shortest length is to be used");
        let payload = rest.get(head..head + len)?.to_vec();
        self.at += head + len;
        let compressed = first & 0x40 != 0;
        assert!(!compressed || self.compression, "compression was not negotiated");
        Some(match first & 0x0f {
            TEXT => {
                let text = if compressed { inflate(&payload) } else { payload };
                ServerFrame::Text(String::from_utf8(text).expect("the server sends UTF-8"))
            }
            CLOSE => {
                assert!(payload.len() != 1 && payload.len() <= 125 && !compressed);
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                ServerFrame::Close(code)
            }
            PING => ServerFrame::Ping(payload),
            PONG => ServerFrame::Pong(payload),
            opcode => panic!("the server sent opcode {opcode}"),
        })
    }
}

/// RFC 7692 section 7.2.2, without context takeover.
fn inflate(payload: &[u8]) -> Vec<u8> {
    let input = [payload, &[0, 0, 0xff, 0xff]].concat();
    let mut out = Vec::with_capacity(64 << 10);
    let mut inflater = Decompress::new(false);
    inflater.decompress_vec(&input, &mut out, FlushDecompress::Sync).expect("deflated text");
    assert_eq!(inflater.total_in() as usize, input.len());
    out
}
