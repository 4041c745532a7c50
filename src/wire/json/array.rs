//! An array whose elements are had as they are written.
//!
//! simd-json's tape says what the elements are and where strings stand, but not where a number or a
//! container ends: the text is walked along with it. Where an element is the last one, or a string
//! follows it, its end is known from there; otherwise it is looked for. `Scratch::read_array` makes
//! one; a value is never interpreted here.

use simd_json::Node;

use super::place::{back_over_blanks, is_blank, size, skip_blanks, string_end};
use super::{Document, Value};

/// One array, read and found well formed.
#[derive(Debug)]
pub struct Array<'a>(Document<'a>);

/// The elements of an [`Array`] in their order.
#[derive(Clone, Debug)]
pub struct Items<'t, 'a> {
    document: &'t Document<'a>,
    /// What is left.
    nodes: &'t [Node<'a>],
    /// Where the next element begins in the text; where there is none, the same as `end`.
    start: usize,
    /// Where the last element ends.
    end: usize,
}

/// One element of an [`Array`].
#[derive(Clone, Debug)]
pub struct Item<'t, 'a> {
    /// The value as written, without whitespace around it.
    pub raw: &'a str,
    /// What kind of value it is.
    pub value: Value<'t, 'a>,
}

impl<'a> Array<'a> {
    /// `None` if what was read is no array.
    pub(super) fn new(document: Document<'a>) -> Option<Self> {
        matches!(document.tape.0.first(), Some(Node::Array { .. })).then_some(Self(document))
    }

    /// Its elements.
    pub fn items(&self) -> Items<'_, 'a> {
        let Self(document) = self;
        let bytes = document.text.as_bytes();
        let start = skip_blanks(bytes, skip_blanks(bytes, 0) + b"[".len());
        // Only blanks may stand in an empty one.
        let end = back_over_blanks(bytes, document.inner_end()).max(start);
        Items { document, nodes: &document.tape.0[1..], start, end }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        let Self(document) = self;
        if let Some(&Node::Array { len, .. }) = document.tape.0.first() { len } else { 0 }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a> Items<'_, 'a> {
    /// The elements that are left, as written: with what stands between two, and nothing before
    /// the first and behind the last. Empty when none is left.
    pub fn raw(&self) -> &'a str {
        &self.document.text[self.start..self.end]
    }

    /// Where the element ends that begins at `start`, and has `rest` behind it.
    fn end_of(&self, node: Node<'a>, rest: &[Node<'a>]) -> usize {
        let Self { document, start, end, .. } = *self;
        let bytes = document.text.as_bytes();
        match (node, rest) {
            (_, []) => end,
            (_, [Node::String(next), ..]) => {
                let quote = document.offset(next) - b"\"".len();
                back_over_blanks(bytes, back_over_blanks(bytes, quote) - b",".len())
            }
            (Node::String(text), _) => string_end(bytes, start + 1, text.len()) + 1,
            (Node::Static(_), _) => {
                let is_over = |&byte: &u8| byte == b',' || is_blank(byte);
                start + bytes[start..].iter().take_while(|byte| !is_over(byte)).count()
            }
            (Node::Array { .. } | Node::Object { .. }, _) => container_end(bytes, start),
        }
    }
}

impl<'t, 'a> Iterator for Items<'t, 'a> {
    type Item = Item<'t, 'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let (&node, rest) = self.nodes.split_first()?;
        let (inside, rest) = rest.split_at(size(&node));
        let end = self.end_of(node, rest);
        let raw = &self.document.text[self.start..end];
        let bytes = self.document.text.as_bytes();
        self.nodes = rest;
        self.start = match rest {
            [] => self.end,
            _ => skip_blanks(bytes, skip_blanks(bytes, end) + b",".len()),
        };
        Some(Item { raw, value: Value::new(self.document, node, inside, end) })
    }
}

/// Behind the bracket or brace that closes the one at `start`, in a text that is well formed.
fn container_end(bytes: &[u8], start: usize) -> usize {
    let (mut at, mut depth) = (start, 0_usize);
    loop {
        match bytes[at] {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            b'"' => at = string_end(bytes, at + 1, 0),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::super::Scratch;
    use super::super::tests::{nearly_json, serde_json_says};
    use super::*;
    use crate::close::Refusal;

    /// What is cut out of a text that is an array.
    fn elements(text: &str) -> Result<Vec<String>, Refusal> {
        let mut scratch = Scratch::default();
        let array = scratch.read_array(text)?;
        let found: Vec<_> = array.items().map(|item| item.raw.to_owned()).collect();
        assert_eq!((array.len(), array.is_empty()), (found.len(), found.is_empty()), "{text}");
        Ok(found)
    }

    #[test]
    fn elements_are_cut_out_of_the_original() {
        let text = concat!(
            "\t[ \"a\" , \"\", \"\\u0062\\\"]\"\n,1 ,-0.0,1e400, \"c\" ,\r[ 1 , \"]\" ] ,{ } , [],true ,null",
            ",{\"x\":{\"\":[\"}\"]},\"y\":\"\\\\\" },123456789012345678901234567890,\"ö\", 2 ] \n",
        );
        let expected = [
            "\"a\"",
            "\"\"",
            "\"\\u0062\\\"]\"",
            "1",
            "-0.0",
            "1e400",
            "\"c\"",
            "[ 1 , \"]\" ]",
            "{ }",
            "[]",
            "true",
            "null",
            "{\"x\":{\"\":[\"}\"]},\"y\":\"\\\\\" }",
            "123456789012345678901234567890",
            "\"ö\"",
            "2",
        ];
        assert_eq!(elements(text).unwrap(), expected);
        for one in expected {
            assert_eq!(elements(&format!("[{one}]")).unwrap(), [one]);
            assert_eq!(elements(&format!(" [ {one} ] ")).unwrap(), [one]);
        }
        assert_eq!(elements("[]"), Ok(vec![]));
        assert_eq!(elements("\n[ \t] "), Ok(vec![]));
    }

    #[test]
    fn what_is_no_array_is_refused() {
        for text in
            ["", " ", "{}", "1", "\"[]\"", "null", "[", "]", "[1,]", "[,1]", "[] x", "[1 2]"]
        {
            assert_eq!(elements(text), Err(Refusal::BadJson), "{text}");
        }
    }

    #[test]
    fn what_is_left_is_had_as_written() {
        let mut scratch = Scratch::default();
        let array = scratch.read_array("[ 1 , {\"a\" : 2},\n\"b\" ]").unwrap();
        let mut items = array.items();
        for left in ["1 , {\"a\" : 2},\n\"b\"", "{\"a\" : 2},\n\"b\"", "\"b\"", ""] {
            assert_eq!(items.raw(), left);
            assert_eq!(items.next().is_some(), !left.is_empty());
        }
        assert!(items.next().is_none());
        drop(array);
        assert_eq!(scratch.read_array("[ ]").unwrap().items().raw(), "");
    }

    #[test]
    fn elements_show_their_kind() {
        let text =
            r#"[null,false,1e400,"\u0041",["x",{"y":1}],{"k":{"l":[]} , "m":[2]},{"n":"o"}]"#;
        let mut scratch = Scratch::default();
        let array = scratch.read_array(text).unwrap();
        let values: Vec<_> = array.items().map(|item| item.value).collect();
        let [
            Value::Null,
            Value::Bool(false),
            Value::Number,
            Value::String("A"),
            Value::Array(inner),
            Value::Object(members),
            Value::Object(last),
        ] = values.as_slice()
        else {
            panic!("{values:?}");
        };
        assert_eq!(inner.clone().collect::<Vec<_>>(), [Some("x"), None]);
        let members: Vec<_> = members.clone().map(|member| (member.key, member.raw)).collect();
        assert_eq!(members, [("k", "{\"l\":[]}"), ("m", "[2]")]);
        let last: Vec<_> = last.clone().map(|member| (member.key, member.raw)).collect();
        assert_eq!(last, [("n", "\"o\"")]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn nearly_arrays_are_cut_as_serde_json_cuts_them(pieces in nearly_json()) {
            for text in [format!("[{pieces}]"), format!(" [1 ,{pieces}] "), format!("[{pieces} , {{}}]"), pieces] {
                let is_array = serde_json_says(&text) == Err(Refusal::NotAnObject)
                    && text.trim_start().starts_with('[');
                let expected = is_array.then(|| {
                    let raws: Vec<&RawValue> = serde_json::from_str(&text).unwrap();
                    raws.into_iter().map(|raw| raw.get().to_owned()).collect::<Vec<_>>()
                });
                prop_assert_eq!(elements(&text).ok(), expected, "{:?}", text);
            }
        }
    }
}
