use serde_json::{Value, json};

use super::*;

/// The places found, and their numbers.
fn found(text: &str, attachments: u8) -> Result<Vec<(&str, u8)>, Malformed> {
    let found = placeholders(text, attachments)?;
    Ok(found.iter().map(|it| (&text[it.start..it.end], it.num)).collect())
}

fn inlined(text: &str, attachments: &[&[u8]]) -> Result<String, Malformed> {
    let mut out = "before".to_owned();
    let outcome = inline(&mut out, text, attachments, 1 << 20);
    let out = out.strip_prefix("before").unwrap();
    assert!(outcome.is_ok() || out.is_empty());
    outcome.map(|()| out.to_owned())
}

#[test]
fn placeholders_are_found_at_any_depth_and_in_any_spelling() {
    let zero = "{\"_placeholder\":true,\"num\":0}";
    for one in [
        zero,
        "{\"num\":0,\"_placeholder\":true}",
        "{ \"_placeholder\" :\n true , \"num\"\t: 0 }",
        "{\"_\\u0070laceholder\":true,\"\\u006eum\":0}",
        "{\"_placeholder\":true,\"num\":0,\"more\":[{\"_placeholder\":true,\"num\":77}]}",
        "{\"more\":{\"_placeholder\":true},\"_placeholder\":true,\"num\":0}",
        "{\"_placeholder\":false,\"num\":5,\"_placeholder\":true,\"num\":0}",
    ] {
        for text in [
            one.to_owned(),
            format!("[[{{\"a\":[{one}]}}]]"),
            format!("1,\"}}\\\\\",{{\"a\" : {one} , \"b\":\"{{\\\"\"}}"),
            format!("{{\"_placeholder\":\"true\",\"num\":{one}}}"),
        ] {
            assert_eq!(found(&text, 1), Ok(vec![(one, 0)]), "{text}");
            assert_eq!(found(&text, 0), Err(Malformed), "{text}");
        }
        let text = format!("{one},{one}");
        assert_eq!(found(&text, 1), Ok(vec![(one, 0), (one, 0)]));
    }
    let (text, second) = (format!("[{zero}],{{\"x\":{{\"_placeholder\":true,\"num\":9}}}}"), 9);
    assert_eq!(found(&text, 10).unwrap().iter().map(|it| it.1).collect::<Vec<_>>(), [0, second]);
}

#[test]
fn what_only_looks_like_a_placeholder_is_none() {
    for text in [
        "",
        "\"_placeholder\"",
        "\"{\\\"_placeholder\\\":true,\\\"num\\\":0}\"",
        "[\"_placeholder\",true]",
        "[\"_placeholder\",{\"num\":0}]",
        "{\"_placeholder\":1,\"num\":0}",
        "{\"_placeholder\":\"true\",\"num\":0}",
        "{\"_placeholder\":null}",
        "{\"_placeholder\":[true]}",
        "{\"_placeholder\":{\"true\":true}}",
        "{\"_placeholder\":true,\"num\":0,\"_placeholder\":false}",
        "{\"_placeholders\":true,\"num\":0}",
        "{\"_placeholder \":true,\"num\":0}",
        "{\"a\":\"_placeholder\",\"b\":true}",
        "{\"\\\\\\\"_placeholder\":true}",
        "{\"\\u005c_placeholder\":true}",
    ] {
        assert_eq!(found(text, 0), Ok(vec![]), "{text}");
    }
}

#[test]
fn numbers_must_be_those_of_attachments() {
    for num in [
        "2",
        "10",
        "255",
        "256",
        "99999999999999999999",
        "-1",
        "-0",
        "0.5",
        "1e0",
        "\"0\"",
        "null",
        "true",
        "[0]",
        "{\"num\":0}",
    ] {
        let text = format!("[{{\"_placeholder\":true,\"num\":{num}}}]");
        assert_eq!(found(&text, 2), Err(Malformed), "{text}");
        let text = format!("{{\"num\":{num},\"_placeholder\":true, \"num\" : 1\n}}");
        assert_eq!(found(&text, 2), Ok(vec![(&*text, 1)]), "{text}");
    }
    assert_eq!(found("{\"_placeholder\":true}", 10), Err(Malformed));
    assert_eq!(found("{\"_placeholder\":true,\"num\":255}", 255), Err(Malformed));
}

#[test]
fn text_that_is_no_json_does_no_harm() {
    let whole = "[{\"a\":{\"_placeholder\":true,\"num\":0},\"b\\\\\":\"\\u00e9ö\"}]";
    for (from, _) in whole.char_indices() {
        for (to, _) in whole.char_indices().filter(|(to, _)| *to >= from) {
            let _either = found(&whole[from..to], 1);
            let _either = inlined(&whole[from..to], &[b"x"]);
        }
    }
    for text in
        ["_placeholder\"\\", "\"_placeholder\"\\ö", "_placeholder}}}{\"", "{\"_placeholder\":"]
    {
        assert_eq!(found(text, 1), Ok(vec![]), "{text}");
    }
}

#[test]
fn attachments_are_inlined_as_base64() {
    let text =
        "{\"b\" : {\"_placeholder\":true,\"num\":1},\"a\":[{\"num\":0,\"_placeholder\":true}, 1]}";
    let expected = "{\"b\" : \"/+8=\",\"a\":[\"AQID\", 1]}";
    assert_eq!(inlined(text, &[&[1, 2, 3], &[0xff, 0xef]]).as_deref(), Ok(expected));
    assert_eq!(inlined(text, &[&[1, 2, 3]]), Err(Malformed));
    assert_eq!(inlined("{\"_placeholder\":true,\"num\":0}", &[b""]).as_deref(), Ok("\"\""));
    assert_eq!(inlined("\"_placeholder\"", &[]).as_deref(), Ok("\"_placeholder\""));
    let mut out = String::new();
    let boxed: [Box<[u8]>; 1] = [Box::new([0])];
    assert_eq!(inline(&mut out, "{\"_placeholder\":true,\"num\":0}", &boxed, 6), Ok(()));
    assert_eq!(out, "\"AA==\"");
}

#[test]
fn one_attachment_is_not_multiplied_without_bound() {
    let attachment = vec![7; 30_000];
    let text = vec!["{\"_placeholder\":true,\"num\":0}"; 1_000].join(",");
    let bytes = 1_000 * (40_000 + 2) + 999;
    let mut out = String::new();
    assert_eq!(inline(&mut out, &text, &[&attachment], bytes - 1), Err(Malformed));
    assert_eq!(out.capacity(), 0);
    assert_eq!(inline(&mut out, &text, &[&attachment], bytes), Ok(()));
    assert_eq!(out.len(), bytes);
}

#[test]
fn what_an_encoder_made_of_binary_is_put_together_again() {
    let value = json!({"a": [{"_placeholder": true, "num": 0}, "x"], "b": {"_placeholder": true, "num": 1}});
    for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
        let inlined = inlined(&text, &[b"first", b"second"]).unwrap();
        let read: Value = serde_json::from_str(&inlined).unwrap();
        assert_eq!(read, json!({"a": ["Zmlyc3Q=", "x"], "b": "c2Vjb25k"}));
    }
}
