use super::*;

#[test]
fn connections_name_their_namespace_and_say_who_they_are() {
    for (text, nsp, auth) in [
        ("0", "/", None),
        ("0{}", "/", Some("{}")),
        ("0{\"token\":\"123\"}", "/", Some("{\"token\":\"123\"}")),
        ("0/,", "/", None),
        ("0/,{}", "/", Some("{}")),
        ("0/custom", "/custom", None),
        ("0/custom,", "/custom", None),
        ("0/custom,{\"token\":\"a,b\"}", "/custom", Some("{\"token\":\"a,b\"}")),
        ("0/custom?x=1&y={},{\"a\":1}", "/custom?x=1&y={}", Some("{\"a\":1}")),
        ("0/日本, \n{\"a\":1e400,\"a\":2}\t", "/日本", Some("{\"a\":1e400,\"a\":2}")),
        // Without a comma all of it is the name.
        ("0/custom{\"a\":1}", "/custom{\"a\":1}", None),
        ("0 ", "/", None),
    ] {
        assert_eq!(read(text), Ok(Owned::Connect(nsp.into(), auth.map(Into::into))), "{text}");
    }
    for text in [
        "0[]",
        "0null",
        "0\"\"",
        "01",
        "0123{}",
        "0{",
        "0{}{}",
        "0{} x",
        "0{\"a\":\"\\ud800\"}",
        "0,",
        "0custom",
        "0/custom,abc",
        "0/custom,/other",
        "0/custom,1",
        "0/a\x1eb",
        "0/a\n,",
        "0\u{c}{}",
    ] {
        assert_eq!(read(text), Err(Malformed), "{text:?}");
    }
}

#[test]
fn what_a_client_says_of_itself_can_be_looked_into() {
    let mut scratch = Scratch::default();
    let text = "0/ws,{\"token\":1,\"tok\\u0065n\":\"\\u0061\",\"pid\":\"p\",\"offset\":\"o\",\"offset\":2}";
    let Ok(Packet::Connect { auth: Some(auth), .. }) = decode(text, &mut scratch) else {
        panic!("{text}");
    };
    assert_eq!(auth.raw(), &text["0/ws,".len()..]);
    assert_eq!(
        ["token", "pid", "offset", "more"].map(|key| auth.string(key)),
        [Some("a"), Some("p"), None, None]
    );
    assert_eq!(auth.members().count(), 5);
}

#[test]
fn disconnections_say_nothing_more() {
    for (text, nsp) in [("1", "/"), ("1/custom", "/custom"), ("1/custom,", "/custom"), ("1/,", "/")]
    {
        assert_eq!(read(text), Ok(Owned::Disconnect(nsp.into())), "{text}");
    }
    for text in ["1{}", "1[]", "11", "1/custom,{}", "1null", "1/\x00"] {
        assert_eq!(read(text), Err(Malformed), "{text:?}");
    }
}

#[test]
fn events_have_a_name_and_arguments_as_they_came() {
    for (text, expected) in [
        (
            "2[\"message\",1,\"2\",{\"3\":[true]}]",
            event("/", None, 0, "message", &["1", "\"2\"", "{\"3\":[true]}"]),
        ),
        (
            "2456[\"message-with-ack\",1,\"2\",{\"3\":[false]}]",
            event("/", Some(456), 0, "message-with-ack", &["1", "\"2\"", "{\"3\":[false]}"]),
        ),
        ("2[\"ping\"]", event("/", None, 0, "ping", &[])),
        ("2[\"\"]", event("/", None, 0, "", &[])),
        ("2/custom,[\"a\"]", event("/custom", None, 0, "a", &[])),
        ("2/custom,7[\"a\",null]", event("/custom", Some(7), 0, "a", &["null"])),
        ("2/,0[\"a\"]", event("/", Some(0), 0, "a", &[])),
        ("20007[\"a\"]", event("/", Some(7), 0, "a", &[])),
        ("2 [ \"a\" , { \"b\" : 1 } ]\r\n", event("/", None, 0, "a", &["{ \"b\" : 1 }"])),
        ("23\t[\"a\"]", event("/", Some(3), 0, "a", &[])),
        // Order of keys, equal keys, digits and escapes are the sender's.
        (
            "2[\"a\",{\"z\":1,\"a\":2,\"z\":3}]",
            event("/", None, 0, "a", &["{\"z\":1,\"a\":2,\"z\":3}"]),
        ),
        (
            "2[\"a\",123456789012345678901234567890,-1e400]",
            event("/", None, 0, "a", &["123456789012345678901234567890", "-1e400"]),
        ),
        ("2[\"\\u0061\\n\\\"\",\"\\u00e9\\/\"]", event("/", None, 0, "a\n\"", &["\"\\u00e9\\/\""])),
        (
            "2[\"日本😀\",\"\\ud83d\\ude00\",\"\u{2028}\"]",
            event("/", None, 0, "日本😀", &["\"\\ud83d\\ude00\"", "\"\u{2028}\""]),
        ),
        // Numbers are names too, and taken as text.
        ("2[1,2]", event("/", None, 0, "1", &["2"])),
        ("2[ -1.50e3 ]", event("/", None, 0, "-1.50e3", &[])),
        ("2[99999999999999999999999]", event("/", None, 0, "99999999999999999999999", &[])),
        ("29007199254740992[\"a\"]", event("/", Some(1 << 53), 0, "a", &[])),
        ("2[\"Connect\"]", event("/", None, 0, "Connect", &[])),
        ("2[\"error\"]", event("/", None, 0, "error", &[])),
        (
            "2[\"a\",{\"_placeholder\":true,\"num\":9}]",
            event("/", None, 0, "a", &["{\"_placeholder\":true,\"num\":9}"]),
        ),
    ] {
        assert_eq!(read(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_event_is_malformed() {
    for text in [
        "2",
        "2/custom",
        "2/custom,",
        "2{}",
        "2[]",
        "2[ ]",
        "2\"a\"",
        "2null",
        "21",
        "2abc[\"a\"]",
        "2[\"a\"",
        "2\"a\"]",
        "2[\"a\",]",
        "2[\"a\"]x",
        "2[\"a\"][\"b\"]",
        "2[null]",
        "2[true]",
        "2[[\"a\"]]",
        "2[{\"a\":1}]",
        "2[{\"_placeholder\":true,\"num\":0}]",
        "2[\"a\",\"\\ud800\"]",
        "2[\"\\udc00\"]",
        "29007199254740993[\"a\"]",
        "299999999999999999999999[\"a\"]",
        "2-1[\"a\"]",
        "2+1[\"a\"]",
        "21.5[\"a\"]",
        "21e1[\"a\"]",
        "2 7[\"a\"]",
        "2/custom[\"a\"]",
        "2custom,[\"a\"]",
        "21-[\"a\"]",
        "2\u{a0}[\"a\"]",
        "2\u{feff}[\"a\"]",
        "2[\"a\u{1e}\"]",
        "2/a\u{7f},[\"a\"]",
    ] {
        assert_eq!(read(text), Err(Malformed), "{text:?}");
    }
    let deep = |levels| format!("2[\"a\",{}1{}]", "[".repeat(levels), "]".repeat(levels));
    assert!(read(&deep(1_000)).is_ok() && read(&deep(100_000)) == Err(Malformed));
}

#[test]
fn reserved_names_are_malformed() {
    for name in
        ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"]
    {
        assert!(is_reserved(name));
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        for inside in [name, &escaped] {
            assert_eq!(read(&format!("2[\"{inside}\"]")), Err(Malformed));
            assert_eq!(read(&format!("50-[\"{inside}\",1]")), Err(Malformed));
            assert!(is_unsayable(&format!("\"{inside}\"")), "{inside}");
        }
        assert!(read(&format!("2[\"{name}s\"]")).is_ok());
        assert!(read(&format!("2[\"a\",\"{name}\"]")).is_ok());
    }
    for name in
        ["", "message", "connec", "connect ", "disconnected", "Connect", "removeListene\\u0073"]
    {
        assert!(!is_unsayable(&format!("\"{name}\"")), "{name}");
    }
    for cut in [
        "",
        "\"",
        "connect",
        "\"connec\\u007",
        "\"connec\\u00zz\"",
        "\"connec\\\"",
        "\"connec\\t\"",
    ] {
        assert!(!is_unsayable(cut), "{cut}");
    }
    assert!(is_unsayable("\"\\u0063\\u006F\\u006e\\u006E\\u0065\\u0063\\u0074\""));
}

#[test]
fn binary_packets_say_how_many_attachments_follow() {
    let two = "[\"m\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]";
    let args = &["{\"_placeholder\":true,\"num\":0}", "{\"_placeholder\":true,\"num\":1}"];
    assert_eq!(read(&format!("52-{two}")), Ok(event("/", None, 2, "m", args)));
    assert_eq!(
        read(&format!("52-/custom,789{two}")),
        Ok(event("/custom", Some(789), 2, "m", args))
    );
    assert_eq!(read("50-[\"a\"]"), Ok(event("/", None, 0, "a", &[])));
    assert_eq!(read("510-[\"a\"]"), Ok(event("/", None, 10, "a", &[])));
    assert_eq!(read("501-/x,[\"a\"]"), Ok(event("/x", None, 1, "a", &[])));
    assert_eq!(read("61-5[1]"), Ok(Owned::Ack("/".into(), 5, 1, "[1]".into())));
    assert_eq!(read("60-/x,5[]"), Ok(Owned::Ack("/x".into(), 5, 0, "[]".into())));
    for text in [
        "5",
        "5-",
        "5-[\"a\"]",
        "5[\"a\"]",
        "51[\"a\"]",
        "511-[\"a\"]",
        "5256-[\"a\"]",
        "5-1-[\"a\"]",
        "5+1-[\"a\"]",
        "5 1-[\"a\"]",
        "51.0-[\"a\"]",
        "51e0-[\"a\"]",
        "50x1-[\"a\"]",
        "5/x,1-[\"a\"]",
        "51-",
        "51-{}",
        "51-[]",
        "61-[1]",
        "6[1]",
        "61-5",
        "5999999999999999999999-[\"a\"]",
    ] {
        assert_eq!(read(text), Err(Malformed), "{text:?}");
    }
}

#[test]
fn acknowledgements_have_an_id_and_an_array() {
    for (text, nsp, ack, args) in [
        ("31[]", "/", 1, "[]"),
        ("3456[1,\"2\",{\"3\":[false]}]", "/", 456, "[1,\"2\",{\"3\":[false]}]"),
        ("3/custom,0 [ 1 ] \n", "/custom", 0, "[ 1 ]"),
        ("39007199254740992[]", "/", 1 << 53, "[]"),
    ] {
        assert_eq!(read(text), Ok(Owned::Ack(nsp.into(), ack, 0, args.into())), "{text}");
    }
    for text in ["3", "31", "3[]", "31{}", "31null", "3a[]", "31[", "39007199254740993[]", "3/x,[]"]
    {
        assert_eq!(read(text), Err(Malformed), "{text:?}");
    }
}

#[test]
fn other_packets_are_malformed() {
    for text in [
        "",
        "4",
        "4{}",
        "4{\"message\":\"no\"}",
        "4abc",
        "7",
        "8[]",
        "9",
        "999",
        "a",
        " 0",
        "-1",
        "ö",
        "\0",
    ] {
        assert_eq!(read(text), Err(Malformed), "{text:?}");
    }
}

#[test]
fn arguments_can_be_looked_into() {
    let mut scratch = Scratch::default();
    let text = "2[\"join_room\" , {\"room\" : \"r\\u0031\", \"metadata\":{\"a\":[1]} } , 2,\"x\"]";
    let Ok(Packet::Event { args, .. }) = decode(text, &mut scratch) else { panic!("{text}") };
    let raw = "{\"room\" : \"r\\u0031\", \"metadata\":{\"a\":[1]} } , 2,\"x\"";
    assert_eq!((args.raw(), args.len(), args.is_empty()), (raw, 3, false));
    let first = args.iter().next().unwrap();
    let members: Vec<_> = first.value.object().unwrap().collect();
    assert_eq!((members[0].key, members[0].value.string()), ("room", Some("r1")));
    assert_eq!((members[1].key, members[1].raw), ("metadata", "{\"a\":[1]}"));
    assert_eq!((&args).into_iter().filter_map(|item| item.value.string()).collect::<String>(), "x");
    drop(args);
    let Ok(Packet::Event { args, .. }) = decode("2[1]", &mut scratch) else { panic!("no event") };
    assert_eq!((args.raw(), args.len(), args.is_empty()), ("", 0, true));
}
