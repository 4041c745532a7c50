//! `POST /api/publish`: one message or a batch, in JSON (protocols.md sections 7 and 11).
//!
//! Reads items and writes results; publishing is the shard's. `data` and `metadata` stay the text
//! that came in.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::text::{Object, is_refused};
use crate::close::Refusal;
use crate::limits::{BATCH_ITEMS_MAX, REQUEST_ID_BYTES_MAX};
use crate::message::{Position, Publication};
use crate::time::Timestamp;
use crate::topic::{Topic, TopicBounds};

/// A message to be published.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    topic: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    event_type: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// Reads a field that is there, be it `null`; one that is not stays `None` by its default.
fn present<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(field).map(Some)
}

/// A checked message to be published.
#[derive(Debug)]
pub struct Checked {
    topic: String,
    data: Box<str>,
    event: Option<Box<str>>,
    metadata: Box<str>,
    /// Who sent it, as the application says in `metadata`; the broker does not know.
    sender: Option<Box<str>>,
    /// Names the publish, a string or number as written: the same id on the same topic is not
    /// published again for a while.
    pub id: Option<Box<str>>,
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
        let items: Vec<&RawValue> =
            serde_json::from_slice(body).map_err(|error| error.to_string())?;
        if items.len() > BATCH_ITEMS_MAX {
            return Err(format!("a batch has at most {BATCH_ITEMS_MAX} items"));
        }
        let read = |item: &RawValue| {
            let fits = item.get().len() <= item_bytes_max;
            if fits { Checked::read(item, bounds) } else { Err(Refusal::TooLarge) }
        };
        Ok(Self { items: items.into_iter().map(read).collect(), is_batch })
    }
}

impl Checked {
    fn read(item: &RawValue, bounds: TopicBounds) -> Result<Self, Refusal> {
        if !item.get().starts_with('{') {
            return Err(Refusal::NotAnObject);
        }
        let item: Item<'_> = serde_json::from_str(item.get()).map_err(|error| {
            if error.to_string().starts_with("duplicate field") {
                Refusal::DuplicateKey
            } else {
                Refusal::BadJson
            }
        })?;
        let topic = item.topic.ok_or(Refusal::Missing("topic"))?;
        let topic: String =
            serde_json::from_str(topic.get()).map_err(|_| Refusal::IllTyped("topic"))?;
        Topic::parse(&topic, bounds).map_err(Refusal::BadTopic)?;
        let data = item.data.ok_or(Refusal::Missing("data"))?;
        if let Some(event) = item.event_type
            && serde_json::from_str::<String>(event.get()).is_err()
        {
            return Err(Refusal::IllTyped("eventType"));
        }
        let is_id = |id: &RawValue| id.get().starts_with(['"', '-']) || is_digit_first(id.get());
        if !item.id.is_none_or(|id| is_id(id) && id.get().len() <= REQUEST_ID_BYTES_MAX) {
            return Err(Refusal::IllTyped("id"));
        }
        if [item.data, item.metadata].into_iter().flatten().any(is_refused) {
            return Err(Refusal::BadJson);
        }
        let metadata = match item.metadata {
            None => "",
            Some(object) => members(object.get()).ok_or(Refusal::IllTyped("metadata"))?,
        };
        Ok(Self {
            topic,
            data: data.get().into(),
            event: item.event_type.map(|event| event.get().into()),
            metadata: metadata.into(),
            sender: item.metadata.and_then(sender),
            id: item.id.map(|id| id.get().into()),
        })
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

/// One item's result.
pub fn result(result: &Result<Published, Refusal>, id: Option<&str>) -> serde_json::Value {
    use serde_json::json;
    match result {
        Err(refusal) => {
            json!({"error": {"code": refusal.code(), "message": refusal.to_string()}})
        }
        Ok(published) => {
            let mut reply = json!({"delivered": published.delivered});
            if let Some(id) = id.and_then(|id| serde_json::from_str(id).ok()) {
                reply["id"] = id;
            }
            if let Some(Position { epoch, offset }) = published.position {
                reply["offset"] = offset.into();
                reply["epoch"] = epoch.to_string().into();
            }
            reply
        }
    }
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
               {"topic":"a","data":1,"id":-5}]"#,
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
}
