//! `POST /api/publish`: one message or a batch, in JSON (protocols.md sections 7 and 11).
//!
//! Reads items and writes results; publishing is the shard's. `data` and `metadata` stay the text
//! that came in.

use std::fmt::{self, Write as _};

use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::text::{Object, has_lone_surrogate, is_deep};
use crate::close::Refusal;
use crate::limits::{BATCH_ITEMS_MAX, REQUEST_ID_BYTES_MAX};
use crate::message::{Position, Publication};
use crate::time::Timestamp;
use crate::topic::{Topic, TopicBounds};

/// A checked message to be published.
#[derive(Debug)]
pub struct Checked {
    topic: String,
    data: Box<str>,
    event: Option<Box<str>>,
    metadata: Box<str>,
    /// Who sent it, as the application says in `metadata`; the broker does not know.
    sender: Option<Box<str>>,
    /// Names the publish, a string or number as written: so it is told to who asked.
    pub id: Option<Box<str>>,
    /// What the id says, however it is written.
    says: Option<Box<str>>,
}

/// The body of a request: its items, each well formed or refused.
#[derive(Debug)]
pub struct Body {
    /// In the order of the batch.
    pub items: Vec<Result<Checked, Refusal>>,
    /// Whether it was an array, and the reply is to be one.
    pub is_batch: bool,
}

impl Body {
    /// Reads a request's body. An item of a batch with more bytes than `item_bytes_max` is refused
    /// alone.
    ///
    /// # Errors
    /// It is no JSON object or array of objects, or the array is too long: the client's fault.
    pub fn read(body: &[u8], bounds: TopicBounds, item_bytes_max: usize) -> Result<Self, String> {
        let is_batch = body.trim_ascii_start().first() == Some(&b'[');
        if !is_batch {
            let item: &RawValue =
                serde_json::from_slice(body).map_err(|error| error.to_string())?;
            return Ok(Self { items: vec![Checked::read(item, bounds)], is_batch });
        }
        let Batch(items) = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let read = |item: &RawValue| {
            let fits = item.get().len() <= item_bytes_max;
            if fits { Checked::read(item, bounds) } else { Err(Refusal::TooLarge) }
        };
        Ok(Self { items: items.into_iter().map(read).collect(), is_batch })
    }
}

/// The items of an array, which is read no further than a batch may be long.
struct Batch<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Batch<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;

        impl<'de> Visitor<'de> for Items {
            type Value = Batch<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Batch<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == BATCH_ITEMS_MAX {
                        let error = format_args!("a batch has at most {BATCH_ITEMS_MAX} items");
                        return Err(A::Error::custom(error));
                    }
                    items.push(item);
                }
                Ok(Batch(items))
            }
        }

        deserializer.deserialize_seq(Items)
    }
}

impl Checked {
    fn read(item: &RawValue, bounds: TopicBounds) -> Result<Self, Refusal> {
        if !item.get().starts_with('{') {
            return Err(Refusal::NotAnObject);
        }
        let object = Object::of(item).ok_or(Refusal::BadJson)?;
        let (topic, data) = (object.optional("topic")?, object.only("data")?);
        let event = object.optional("eventType")?;
        let (metadata, id) = (object.optional("metadata")?, object.optional("id")?);
        if has_lone_surrogate(item.get()) || [data, metadata].into_iter().flatten().any(is_deep) {
            return Err(Refusal::BadJson);
        }
        let topic = topic.ok_or(Refusal::Missing("topic"))?;
        let topic: String =
            serde_json::from_str(topic.get()).map_err(|_| Refusal::IllTyped("topic"))?;
        Topic::parse(&topic, bounds).map_err(Refusal::BadTopic)?;
        let data = data.ok_or(Refusal::Missing("data"))?;
        if event.is_some_and(|event| !event.get().starts_with('"')) {
            return Err(Refusal::IllTyped("eventType"));
        }
        let is_id = |id: &RawValue| id.get().starts_with(['"', '-']) || is_digit_first(id.get());
        if !id.is_none_or(|id| is_id(id) && id.get().len() <= REQUEST_ID_BYTES_MAX) {
            return Err(Refusal::IllTyped("id"));
        }
        let members = match metadata {
            None => "",
            Some(object) => members(object.get()).ok_or(Refusal::IllTyped("metadata"))?,
        };
        Ok(Self {
            topic,
            data: data.get().into(),
            event: event.map(|event| event.get().into()),
            metadata: members.into(),
            sender: metadata.and_then(sender),
            id: id.map(|id| id.get().into()),
            says: id.map(|id| said(id.get())),
        })
    }

    /// What names the publish: the same on the same topic is not published again for a while. A
    /// number is its digits, a string what it says, with a quote before it.
    pub fn name(&self) -> Option<&str> {
        self.says.as_deref()
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The publication, taken at this time.
    pub fn publication(&self, at: Timestamp) -> Publication<'_> {
        Publication {
            event: self.event.as_deref(),
            metadata: &self.metadata,
            sender: self.sender.as_deref(),
            // It stays where the application wrote it.
            sender_in_metadata: self.sender.is_some(),
            ..Publication::of_server(&self.topic, &self.data, at)
        }
    }
}

/// What the text of an id says.
fn said(id: &str) -> Box<str> {
    match serde_json::from_str::<String>(id) {
        Ok(string) => format!("\"{string}").into(),
        Err(_) => id.into(),
    }
}

fn is_digit_first(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
}

/// The `senderId` of a `metadata` object, where it is a string.
fn sender(metadata: &RawValue) -> Option<Box<str>> {
    let sender = Object::of(metadata)?.last("senderId")?;
    serde_json::from_str::<String>(sender.get()).ok().map(Into::into)
}

/// The members of an object's text, without its braces.
fn members(object: &str) -> Option<&str> {
    Some(object.strip_prefix('{')?.strip_suffix('}')?.trim_ascii())
}

/// What became of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Connections of this process it was queued for.
    pub delivered: u64,
    /// Its place, on a topic with history.
    pub position: Option<Position>,
}

/// One item's result as JSON; `id` stands there as it was written.
pub fn result(result: &Result<Published, Refusal>, id: Option<&str>) -> String {
    let published = match result {
        Ok(published) => published,
        Err(refusal) => return super::error_body(refusal.code(), &refusal.to_string()).to_string(),
    };
    let mut reply = format!("{{\"delivered\":{}", published.delivered);
    // A string takes whatever is written into it.
    if let Some(id) = id {
        let _ = write!(reply, ",\"id\":{id}");
    }
    if let Some(Position { epoch, offset }) = published.position {
        let _ = write!(reply, ",\"offset\":{offset},\"epoch\":\"{epoch}\"");
    }
    reply.push('}');
    reply
}

/// The results of a batch as JSON, in its order.
pub fn results(results: impl Iterator<Item = String>) -> String {
    let results: Vec<_> = results.collect();
    format!("{{\"results\":[{}]}}", results.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::TopicError::WildcardInTopic;

    const ITEM_BYTES_MAX: usize = 200;

    fn read(body: &str) -> Body {
        Body::read(body.as_bytes(), TopicBounds::default(), ITEM_BYTES_MAX).unwrap()
    }

    #[test]
    fn one_item_keeps_its_text() {
        let body = read(
            r#" {"topic":"a\u002eb","data":{"n":1e400, "n":2},"eventType":"x\u0041","metadata":{ "k":1 },"extra":0}"#,
        );
        assert!(!body.is_batch);
        let publication = body.items[0].as_ref().unwrap().publication(Timestamp(1));
        assert_eq!(publication.topic, "a.b");
        assert_eq!(publication.data, r#"{"n":1e400, "n":2}"#);
        assert_eq!(publication.event, Some(r#""x\u0041""#));
        assert_eq!(publication.metadata, r#""k":1"#);
    }

    #[test]
    fn null_data_is_data_and_other_nulls_are_absent() {
        let body = read(r#"{"topic":"a","data":null,"eventType":null,"metadata":null,"id":null}"#);
        let item = body.items[0].as_ref().unwrap();
        assert_eq!(item.publication(Timestamp(1)).data, "null");
        assert_eq!(item.publication(Timestamp(1)).event, None);
    }

    #[test]
    fn a_sender_stays_in_the_metadata() {
        for (metadata, sender) in [
            (r#"{"k":1,"senderId":"a\"b"}"#, Some("a\"b")),
            (r#"{"senderId":"a","sender\u0049d":"b"}"#, Some("b")),
            (r#"{"senderId":7}"#, None),
            (r#"{"k":{"senderId":"a"}}"#, None),
            ("{}", None),
        ] {
            let body = read(&format!(r#"{{"topic":"a","data":1,"metadata":{metadata}}}"#));
            let publication = body.items[0].as_ref().unwrap().publication(Timestamp(1));
            assert_eq!(publication.sender, sender, "{metadata}");
            assert_eq!(publication.sender_in_metadata, sender.is_some());
            assert_eq!(format!("{{{}}}", publication.metadata), metadata);
        }
    }

    #[test]
    fn a_bad_item_of_a_batch_is_refused_alone() {
        let body = read(
            r#"[{"topic":"a","data":1},{"topic":"a.*","data":1},{"data":1},{"topic":"a"},7,
               {"topic":"a","data":1,"eventType":3},{"topic":"a","data":1,"metadata":[]},
               {"topic":"a","topic":"b","data":1},{"topic":1,"data":1},{"topic":"a","data":1,"id":[]},
               {"topic":"a","data":1,"id":-5},{"topic":"a","data":1,"id":"\ud800"},
               {"topic":"a","data":1,"id":1,"id":1},{"topic":"a","data":1,"x":"\ud800"}]"#,
        );
        assert!(body.is_batch);
        let codes: Vec<_> = body
            .items
            .iter()
            .map(|item| item.as_ref().map(|_| ()).map_err(|refusal| *refusal))
            .collect();
        assert_eq!(
            codes,
            [
                Ok(()),
                Err(Refusal::BadTopic(WildcardInTopic)),
                Err(Refusal::Missing("topic")),
                Err(Refusal::Missing("data")),
                Err(Refusal::NotAnObject),
                Err(Refusal::IllTyped("eventType")),
                Err(Refusal::IllTyped("metadata")),
                Err(Refusal::DuplicateKey),
                Err(Refusal::IllTyped("topic")),
                Err(Refusal::IllTyped("id")),
                Ok(()),
                Err(Refusal::BadJson),
                Err(Refusal::DuplicateKey),
                Err(Refusal::BadJson),
            ]
        );
    }

    #[test]
    fn an_item_of_a_batch_is_no_larger_than_a_message() {
        let item = |bytes: usize| {
            let text = r#"{"topic":"a","data":""}"#;
            text.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - text.len())))
        };
        let body = read(&format!("[ {} , {} ]", item(ITEM_BYTES_MAX), item(ITEM_BYTES_MAX + 1)));
        assert!(body.items[0].is_ok());
        assert_eq!(body.items[1].as_ref().err(), Some(&Refusal::TooLarge));
    }

    #[test]
    fn an_id_is_told_digit_for_digit() {
        let position = Position { epoch: 7, offset: 3 };
        let plain = Ok(Published { delivered: 2, position: None });
        for id in ["12345678901234567890123", "1e400", "-0.0", r#""a\u0041/""#] {
            let body = read(&format!(r#"{{"topic":"a","data":1,"id":{id}}}"#));
            let id = body.items[0].as_ref().unwrap().id.as_deref();
            assert_eq!(result(&plain, id), format!(r#"{{"delivered":2,"id":{}}}"#, id.unwrap()));
            assert_eq!(id, body.items[0].as_ref().unwrap().id.as_deref());
        }
        let kept = result(&Ok(Published { delivered: 0, position: Some(position) }), Some("1"));
        let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
        assert_eq!((&kept["id"], &kept["offset"]), (&1.into(), &3.into()));
        assert!(kept["epoch"].is_string());
        let refused = result(&Err(Refusal::BadJson), None);
        let all = results([result(&plain, None), refused].into_iter());
        let all: serde_json::Value = serde_json::from_str(&all).unwrap();
        assert_eq!(all["results"][0]["delivered"], 2);
        assert_eq!(all["results"][1]["error"]["code"], 400);
    }

    #[test]
    fn an_id_names_by_what_it_says() {
        let name = |id: &str| {
            let body = read(&format!(r#"{{"topic":"a","data":1,"id":{id}}}"#));
            body.items[0].as_ref().unwrap().name().unwrap().to_owned()
        };
        for (one, other) in [
            (r#""a""#, r#""\u0061""#),
            (r#""ü/""#, r#""\u00fc\/""#),
            (r#""😀\n""#, r#""\ud83d\ude00\u000A""#),
        ] {
            assert_eq!(name(one), name(other));
        }
        for (one, other) in [("1", "1.0"), ("1", r#""1""#), ("-0", "0"), (r#""a""#, r#""A""#)] {
            assert_ne!(name(one), name(other));
        }
    }

    #[test]
    fn a_batch_is_read_no_further_than_it_may_be_long() {
        let read = |body: &str| Body::read(body.as_bytes(), TopicBounds::default(), ITEM_BYTES_MAX);
        let ones = |count: usize| vec!["1"; count].join(",");
        assert_eq!(
            read(&format!("[{}]", ones(BATCH_ITEMS_MAX))).unwrap().items.len(),
            BATCH_ITEMS_MAX
        );
        // What follows is no JSON any more, and nobody looks at it.
        let error = read(&format!("[{},nonsense", ones(BATCH_ITEMS_MAX + 1))).unwrap_err();
        assert!(error.starts_with("a batch has at most"), "{error}");
    }
}
