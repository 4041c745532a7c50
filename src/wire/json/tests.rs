//! What is accepted, laid beside serde_json, and what is cut out of it.

use proptest::prelude::*;
use serde::de::IgnoredAny;

use super::*;

fn read(text: &str) -> Result<(), Refusal> {
    Scratch::default().read(text).map(drop)
}

/// Key and value as written of each member of `text`.
fn members(text: &str) -> Vec<(String, String)> {
    let mut scratch = Scratch::default();
    let (object, _) = scratch.read(text).unwrap_or_else(|refusal| panic!("{text:?}: {refusal}"));
    let parts = |member: Member<'_, '_>| (member.key.to_owned(), member.raw.to_owned());
    object.members().map(parts).collect()
}

/// What serde_json makes of a text, where it differs from us on purpose taken out.
pub(super) fn serde_json_says(text: &str) -> Result<(), Refusal> {
    // Checks the grammar; looks neither at the size of numbers nor for lone surrogates.
    serde_json::from_str::<IgnoredAny>(text).map_err(|_| Refusal::BadJson)?;
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) if value.is_object() => Ok(()),
        Ok(_) => Err(Refusal::NotAnObject),
        Err(error) if error.to_string().starts_with("number out of range") => {
            // Exponents, but not what looks like one within an escape: `\ude00`.
            let exponent = regex::Regex::new(r"(\\u[0-9a-fA-F]{4})|[eE][+-]?[0-9]+").unwrap();
            let small = exponent.replace_all(text, "$1");
            serde_json::from_str::<serde_json::Value>(&small).map_err(|_| Refusal::BadJson)?;
            if text.trim().starts_with('{') { Ok(()) } else { Err(Refusal::NotAnObject) }
        }
        Err(_) => Err(Refusal::BadJson),
    }
}

#[test]
fn members_are_cut_out_of_the_original() {
    let text = concat!(
        "\t{ \"a\" : 1 ,\r\n\"\":\"\",\"q\\\"\\\\\":\"\\u00e9\\n\" , \"\\u0061\":[ 1 , {\"a\":2} ]",
        ",\"o\": { \"x\" : {} , \"y\":\"}\" } , \"ö\":null,\"t\":true,\"\\\\\":-0.0 \n} ",
    );
    let expected = [
        ("a", "1"),
        ("", "\"\""),
        ("q\"\\", "\"\\u00e9\\n\""),
        ("a", "[ 1 , {\"a\":2} ]"),
        ("o", "{ \"x\" : {} , \"y\":\"}\" }"),
        ("ö", "null"),
        ("t", "true"),
        ("\\", "-0.0"),
    ];
    let found = members(text);
    let found: Vec<_> = found.iter().map(|(key, raw)| (key.as_str(), raw.as_str())).collect();
    assert_eq!(found, expected);
    assert_eq!(members(" { } "), []);
}

#[test]
fn members_can_be_had_without_those_of_a_key() {
    let text = "{ \"b\" : 1e400 ,\"\\u0061\":1,\"a\":[2],\n\"\":{\"a\" :3}, \"a\":4 }";
    let mut scratch = Scratch::default();
    let (object, spare) = scratch.read(text).unwrap();
    assert!(object.members().contains_key("a") && !object.members().contains_key("c"));
    object.members().push_others("a", spare);
    assert_eq!(spare, "\"b\" : 1e400,\"\":{\"a\" :3}");
}

#[test]
fn values_show_their_kind() {
    let text = r#"{"n":null,"b":false,"i":1e400,"s":"\u0041","a":["x",1,["y"],"\n"],"o":{"k":{"l":[]},"m":2}}"#;
    let mut scratch = Scratch::default();
    let (object, spare) = scratch.read(text).unwrap();
    assert!(spare.is_empty());
    let values: Vec<_> = object.members().map(|member| member.value).collect();
    let [
        Value::Null,
        Value::Bool(false),
        Value::Number,
        Value::String("A"),
        Value::Array(elements),
        Value::Object(inner),
    ] = values.as_slice()
    else {
        panic!("{values:?}");
    };
    let elements: Vec<_> = elements.clone().collect();
    assert_eq!(elements, [Some("x"), None, None, Some("\n")]);
    let inner: Vec<_> = inner.clone().map(|member| (member.key, member.raw)).collect();
    assert_eq!(inner, [("k", "{\"l\":[]}"), ("m", "2")]);
}

#[test]
fn numbers_of_any_size_are_json() {
    let digits = "9".repeat(60);
    for number in
        ["-0", "1E+2", "1e400", "-1e-400", "0e0", &digits, "18446744073709551616", "1.5E99999"]
    {
        let text = format!("{{\"a\":[{number}, {{\"b\" :{number}}}],\"c\\u0064\": {number} }}");
        let found = members(&text);
        assert_eq!(found[0].1, format!("[{number}, {{\"b\" :{number}}}]"));
        assert_eq!((found[1].0.as_str(), found[1].1.as_str()), ("cd", number));
    }
    for number in ["01", "1.", ".5", "+1", "-", "1e", "1e+", "0x1", "NaN", "- 1", "1e400.5", "1 2"]
    {
        for beside in ["1", "1e400"] {
            let text = format!("{{\"a\":{beside},\"b\":{number}}}");
            assert_eq!(read(&text), Err(Refusal::BadJson), "{text}");
        }
    }
}

#[test]
fn lone_surrogate_escapes_are_refused_everywhere() {
    for escape in
        ["\\ud800", "\\udc00", "\\ud800\\ud800", "\\ud800x", "\\uDBFF\\u0041", "\\ud83d\\n"]
    {
        for text in [
            format!("{{\"{escape}\":1}}"),
            format!("{{\"a\":\"{escape}\"}}"),
            format!("{{\"a\":[{{\"b\":[\"x{escape}\"]}}]}}"),
            format!("{{\"a\":{{\"{escape}\":1e400}}}}"),
        ] {
            assert_eq!(read(&text), Err(Refusal::BadJson), "{text}");
        }
    }
    assert_eq!(members(r#"{"\ud83d\ude00":1e400}"#)[0].0, "😀");
    assert_eq!(members(r#"{"\ud83d\ude00":1}"#)[0].0, "😀");
}

#[test]
fn what_is_no_object_is_told_from_what_is_no_json() {
    for text in ["[]", "1", "1e400", "\"{}\"", "null", " true ", "[{\"a\":1}]"] {
        assert_eq!(read(text), Err(Refusal::NotAnObject), "{text}");
    }
    for text in [
        "",
        " ",
        "{",
        "}",
        "{}{}",
        "{} x",
        "[1",
        "nul",
        "\u{feff}{}",
        "{}\u{feff}",
        "{'a':1}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{a:1}",
        "{\"a\":}",
        "{\"a\":1 \"b\":2}",
        "{1:2}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":[1,]}",
        "{\"a\":[}]",
        "{\"a\":1e400]",
        "/**/{}",
        "{\u{a0}}",
        "{\u{b}}",
        "{}\0",
    ] {
        assert_eq!(read(text), Err(Refusal::BadJson), "{text:?}");
    }
    assert_eq!(utf8(b"{\"a\":\"\xff\"}"), Err(Refusal::BadJson));
    assert_eq!(utf8("ö".as_bytes()), Ok("ö"));
}

#[test]
fn nesting_has_a_bound_and_no_effect_on_the_stack() {
    let nested = |levels: usize, innermost: &str| {
        format!("{{\"a\":{}{innermost}{}}}", "[".repeat(levels), "]".repeat(levels))
    };
    for innermost in ["0", "1e400"] {
        assert_eq!(read(&nested(JSON_NESTING_MAX - 1, innermost)), Ok(()));
        assert_eq!(read(&nested(JSON_NESTING_MAX, innermost)), Err(Refusal::BadJson));
        assert_eq!(read(&nested(500_000, innermost)), Err(Refusal::BadJson));
    }
    for open in ["[", "{\"a\":", "[{\"a\":"] {
        assert_eq!(read(&open.repeat(200_000)), Err(Refusal::BadJson));
    }
    // Were there a call for each level, this would be too small for the calls alone.
    let deepest = nested(JSON_NESTING_MAX - 1, "1e400");
    let small = std::thread::Builder::new().stack_size(32 << 10);
    assert_eq!(small.spawn(move || read(&deepest)).unwrap().join().unwrap(), Ok(()));
    let mixed = format!("{}1e400{}", "{\"a\":[".repeat(500), "]}".repeat(500));
    assert_eq!(read(&mixed), Ok(()));
    assert_eq!(read(&mixed.replacen("]}", "}]", 1)), Err(Refusal::BadJson));
}

#[test]
fn duplicate_keys_are_found_decoded() {
    let many = |last: &str| {
        let keys: Vec<_> = (0..5000).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{},\"{last}\":0}}", keys.join(","))
    };
    for (text, duplicates) in [
        (r#"{"a":1,"b":2,"c":{"a":1,"a":2}}"#, false),
        (r#"{"a":1,"b":2,"a":1}"#, true),
        (r#"{"topic":1,"t\u006fpic":2}"#, true),
        (r#"{"":1,"":2}"#, true),
        (r#"{"topic":1,"token":2}"#, false),
        (r"{}", false),
        (&*many("k4999"), true),
        (&*many("k5000"), false),
    ] {
        let mut scratch = Scratch::default();
        let (object, _) = scratch.read(text).unwrap();
        assert_eq!(object.has_duplicate_keys(), duplicates, "{text}");
    }
}

#[test]
fn one_scratch_serves_texts_of_every_size() {
    let mut scratch = Scratch::default();
    let large = format!("{{\"a\":[{}0]}}", "1e400,".repeat(JSON_SCRATCH_BYTES_KEPT));
    for text in ["{\"a\":1}", &large, "{\"b\":\"\\n\"}", "{", "{\"a\":1e400}", &large, "{}"] {
        let expected = (text != "{").then(|| members(text).len()).ok_or(Refusal::BadJson);
        let found = scratch.read(text).map(|(object, _)| object.members().count());
        assert_eq!(found, expected);
    }
    let kept = JSON_SCRATCH_BYTES_KEPT + INPUT_PADDING;
    assert!(scratch.copy.capacity() <= kept && scratch.blanked.capacity() <= kept);
    assert!(scratch.tape.0.capacity() <= 2 * JSON_SCRATCH_BYTES_KEPT);
    assert!(scratch.buffers.structural_indexes().len() <= JSON_SCRATCH_BYTES_KEPT);
}

#[test]
fn each_ascii_character_in_each_place_is_judged_as_serde_json_judges_it() {
    let places = [
        "{@}",
        "@{}",
        "{}@",
        "{\"a\":0@}",
        "{\"a\":@0}",
        "{\"a\":-@}",
        "{\"a\":0.@}",
        "{\"a\":1@2}",
        "{\"a\":true@}",
        "{\"a\":fals@}",
        "{\"a\":null@,\"b\":1}",
        "{\"a\"@1}",
        "{\"a\":\"@\"}",
        "{\"a\":\"\\@\"}",
        "{\"a\":\"\\u00@0\"}",
        "{\"@\":1e400}",
        "{\"a\":[1@]}",
        "{\"a\":[@1]}",
        "{\"a\":[]@}",
        "{\"a\":{}@}",
        "{\"a\":1e@1}",
        "{\"a\":12345678901234567890123@}",
        "@",
        "1@",
        "{\"a\":\"b\"@}",
        "{\"a\":\"b\",@\"c\":1}",
    ];
    for (place, byte) in places.iter().flat_map(|place| (0..0x80_u8).map(move |b| (place, b))) {
        for padding in [0, 50] {
            let text = place.replace('@', &char::from(byte).to_string());
            let text = format!("{}{text}{}", " ".repeat(padding), " ".repeat(padding));
            assert_eq!(read(&text), serde_json_says(&text), "{text:?}");
        }
    }
}

/// Texts glued from pieces of JSON: well formed seldom enough, and nearly so often.
pub(super) fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        " ",
        "\n",
        "\"a\"",
        "\"a\":",
        "\"\\u0062\":",
        "\"\":",
        "1",
        "-1.5e3",
        "1e400",
        "123456789012345678901234567890",
        "true",
        "false",
        "null",
        "\"",
        "\\",
        "\"\\ud800\"",
        "\"\\ud83d\\ude00\"",
        "\"ö\"",
        "\"\\n\"",
        "{}",
        "[]",
        "\"k\":{\"a\":1}",
        "\0",
        "\"long enough to fill more than one register, and then a little more than that\"",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            prop::collection::hash_map(".*", inner, 0..8)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn nearly_json_is_judged_as_serde_json_judges_it(pieces in nearly_json()) {
        for text in [format!("{{\"a\":{pieces}}}"), format!("{{\"a\":[{pieces}]}}"), pieces] {
            prop_assert_eq!(read(&text), serde_json_says(&text), "{:?}", text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn any_object_is_cut_into_what_it_was_made_of(
        object in prop::collection::hash_map(".*", json_value(), 0..8),
        blanks in "[ \t\r\n]{0,3}",
    ) {
        let written: Vec<_> = object
            .iter()
            .enumerate()
            .map(|(n, (key, value))| {
                let pretty = serde_json::to_string_pretty(value).unwrap();
                let raw = if n % 2 == 0 { value.to_string() } else { pretty };
                let name = serde_json::to_string(key).unwrap();
                (key.clone(), raw.clone(), format!("{name}{blanks}:{blanks}{raw}"))
            })
            .collect();
        let wholes: Vec<_> = written.iter().map(|(_, _, whole)| whole.as_str()).collect();
        let written: Vec<_> = written.iter().map(|(key, raw, _)| (key.clone(), raw.clone())).collect();
        let inside = wholes.join(&format!("{blanks},{blanks}"));
        let text = format!("{blanks}{{{blanks}{inside}{blanks}}}{blanks}");
        prop_assert_eq!(members(&text), written);
    }
}
