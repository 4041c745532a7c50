//! NATS and MQTT: the protocols that are streams, cut at every byte.

use super::*;

/// What is heard of a stream that comes in pieces, what is left kept as the swarm keeps it.
fn hear_pieces(spoken: Spoken, who: &Who<'_>, pieces: &[&[u8]]) -> Vec<String> {
    let (mut all, mut waiting) = (Vec::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        let (heard, _, done) = hear(spoken, who, &waiting);
        waiting.drain(..done);
        all.extend(heard);
    }
    assert!(waiting.is_empty(), "{waiting:?}");
    all
}

/// The same is heard whole, cut in two at every byte, and byte by byte.
fn hears(spoken: Spoken, who: &Who<'_>, stream: &[u8], expected: &[&str]) {
    assert_eq!(hear_pieces(spoken, who, &[stream]), expected);
    for cut in 0..=stream.len() {
        let (front, back) = stream.split_at(cut);
        assert_eq!(hear_pieces(spoken, who, &[front, back]), expected, "cut at {cut}");
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(hear_pieces(spoken, who, &bytes), expected);
}

fn refuses(spoken: Spoken, bytes: &[u8], why: &str) {
    let (heard, _, done) = hear(spoken, &SUBSCRIBER, bytes);
    assert_eq!((heard, done), (vec![format!("Refused {why}")], bytes.len()));
}

const INFO: &str = "INFO {\"server_id\":\"N\",\"version\":\"2.9.10\",\"max_payload\":1048576} \r\n";

#[test]
fn nats_is_heard_wherever_it_is_cut() {
    let message = format!("MSG a.b 1 {}\r\n{STAMPED}\r\n", STAMPED.len());
    let replied = format!("MSG a.b 1 _INBOX.x {}\r\n{STAMPED}\r\n", STAMPED.len());
    let plain = "MSG a.b 1 9\r\nPING\r\n~sw\r\nMSG a 1 0\r\n\r\n";
    let stream = [
        INFO,
        "PONG\r\n",
        &message,
        &replied,
        plain,
        "PING\r\n+OK\r\n-ERR 'Unknown Protocol Operation'\r\n",
        &message,
    ]
    .concat();
    hears(
        Spoken::Nats,
        &SUBSCRIBER,
        stream.as_bytes(),
        &[
            "Ready",
            "Subscribed",
            "Delivery",
            "Delivery",
            "Other",
            "Other",
            "Other",
            "Other",
            "Refused Unknown Protocol Operation",
            "Delivery",
        ],
    );
    hears(Spoken::Nats, &PUBLISHER, [INFO, "PONG\r\n"].concat().as_bytes(), &["Other", "Ready"]);
}

#[test]
fn nats_says_what_its_protocol_says() {
    let connect = format!(
        "CONNECT {{\"verbose\":false,\"pedantic\":false,\"tls_required\":false,\"lang\":\"rust\",\
         \"version\":\"{}\",\"protocol\":0",
        env!("CARGO_PKG_VERSION")
    );
    let answer = |who, words: &str| hear(Spoken::Nats, who, words.as_bytes()).1;
    assert_eq!(answer(&SUBSCRIBER, INFO), binary([&*connect, "}\r\n"].concat()));
    assert_eq!(answer(&PUBLISHER, INFO), binary([&*connect, "}\r\nPING\r\n"].concat()));
    let token = ",\"auth_token\":\"x.y+z\"}\r\n";
    assert_eq!(answer(&WITH_TOKEN, INFO), binary([&*connect, token].concat()));
    assert_eq!(answer(&SUBSCRIBER, "PING\r\n"), binary("PONG\r\n"));
    let dialect = dialect(Spoken::Nats);
    assert_eq!(said(|say| assert!(!dialect.opened(&SUBSCRIBER, say))), []);
    let subscribe = |pattern, number| said(|say| assert!(dialect.subscribe(pattern, number, say)));
    assert_eq!(subscribe("a.b", 0), binary("SUB a.b 1\r\nPING\r\n"));
    assert_eq!(subscribe("a.*.**", u16::MAX), binary("SUB a.*.> 65536\r\nPING\r\n"));
    assert_eq!(said(|say| dialect.publish("a.b", b"xyz", say)), binary("PUB a.b 3\r\nxyz\r\n"));
}

#[test]
fn what_is_no_nats_is_refused() {
    refuses(Spoken::Nats, b"MSG a 1 x\r\n", "a message of no length");
    refuses(Spoken::Nats, b"MSG\r\n", "a message of no length");
    let too_long = format!("MSG a 1 {}\r\n", MESSAGE_BYTES_MAX + 1);
    refuses(Spoken::Nats, too_long.as_bytes(), "a message longer than the load takes");
    let longest = format!("MSG a 1 {MESSAGE_BYTES_MAX}\r\n");
    assert_eq!(hear(Spoken::Nats, &SUBSCRIBER, longest.as_bytes()).2, 0, "it is waited for");
    refuses(Spoken::Nats, b"MSG a 1 1\r\nabcd", "a message longer than it said");
    refuses(Spoken::Nats, &vec![b'x'; (64 << 10) + 1], "a line without an end");
    assert_eq!(hear(Spoken::Nats, &SUBSCRIBER, &vec![b'x'; 64 << 10]).2, 0);
}

/// A PUBLISH of QoS 0 to `a/b`.
fn mqtt_message(payload: &str) -> Vec<u8> {
    let len = 5 + payload.len();
    let mut packet = if len < 128 {
        vec![0x30, len as u8]
    } else {
        vec![0x30, (len & 0x7F) as u8 | 0x80, (len >> 7) as u8]
    };
    packet.extend_from_slice(b"\0\x03a/b");
    packet.extend_from_slice(payload.as_bytes());
    packet
}

#[test]
fn mqtt_is_heard_wherever_it_is_cut() {
    let long = format!("{STAMPED}{}", ".".repeat(400));
    let stream = [
        &[0x20, 2, 0, 0][..],
        &[0x90, 3, 0, 1, 0],
        &mqtt_message(STAMPED),
        &mqtt_message(&long),
        &mqtt_message("no stamp"),
        &[0x90, 4, 0, 2, 0x80, 0],
        &[0xD0, 0],
        &[0x30, 2, 0, 0],
    ]
    .concat();
    hears(
        Spoken::Mqtt,
        &SUBSCRIBER,
        &stream,
        &[
            "Ready",
            "Subscribed",
            "Delivery",
            "Delivery",
            "Other",
            "Refused the subscription is not granted",
            "Subscribed",
            "Other",
            "Other",
        ],
    );
    refuses(Spoken::Mqtt, &[0x20, 2, 0, 5], "5 not authorized");
    refuses(Spoken::Mqtt, &[0x20, 2, 1, 77], "refused with a reserved code");
}

#[test]
fn mqtt_says_what_its_protocol_says() {
    let dialect = dialect(Spoken::Mqtt);
    let opened = |who| said(|say| assert!(!dialect.opened(who, say)));
    let connect = b"\x10\x13\0\x04MQTT\x04\x02\0\0\0\x07bench-5";
    assert_eq!(opened(&SUBSCRIBER), binary(connect));
    let with_token = b"\x10\x23\0\x04MQTT\x04\xC2\0\0\0\x07bench-5\0\x07bench-5\0\x05x.y+z";
    assert_eq!(opened(&WITH_TOKEN), binary(with_token));
    let subscribe = |pattern, number| said(|say| assert!(dialect.subscribe(pattern, number, say)));
    assert_eq!(subscribe("a.b", 0), binary(b"\x82\x08\0\x01\0\x03a/b\0"));
    assert_eq!(subscribe("a.*.**", 0xFFFE), binary(b"\x82\x0A\xFF\xFF\0\x05a/+/#\0"));
    // 0 is no packet id.
    assert_eq!(subscribe("a", u16::MAX), binary(b"\x82\x06\0\x01\0\x01a\0"));
    assert_eq!(said(|say| dialect.publish("a.b", b"xyz", say)), binary(b"\x30\x08\0\x03a/bxyz"));
}

#[test]
fn mqtt_lengths_are_written_and_read_to_their_edges() {
    let dialect = dialect(Spoken::Mqtt);
    let cases: [(usize, &[u8]); 6] = [
        (127, &[0x7F]),
        (128, &[0x80, 1]),
        (16_383, &[0xFF, 0x7F]),
        (16_384, &[0x80, 0x80, 1]),
        (1_000_000, &[0xC0, 0x84, 0x3D]),
        (2_097_152 - 1, &[0xFF, 0xFF, 0x7F]),
    ];
    for (len, written) in cases {
        let mut out = Vec::new();
        let payload = vec![b'x'; len - 3];
        dialect.publish("a", &payload, &mut Words::new(&mut out, [0; 4]));
        let packet = &out[out.len() - (1 + written.len() + len)..];
        assert_eq!(packet[0], 0x30);
        assert_eq!(&packet[1..=written.len()], written, "{len}");
        let (heard, _, done) = hear(Spoken::Mqtt, &SUBSCRIBER, packet);
        assert_eq!((heard, done), (vec!["Other".into()], packet.len()));
        assert_eq!(hear(Spoken::Mqtt, &SUBSCRIBER, &packet[..packet.len() - 1]).2, 0);
    }
    // Not in its shortest form, which MQTT does not forbid.
    assert_eq!(hear(Spoken::Mqtt, &SUBSCRIBER, &[0xD0, 0x80, 0]).2, 3);
    assert_eq!(hear(Spoken::Mqtt, &SUBSCRIBER, &[0xD0, 0xFF, 0xFF, 0xFF]).2, 0);
    let endless = [0xD0, 0xFF, 0xFF, 0xFF, 0xFF, 0];
    refuses(Spoken::Mqtt, &endless, "a length of more than four bytes");
}
