//! JSON text to requests.
//!
//! First every member that the dialect knows is laid in its place, then the `type` says which of
//! them count: so a refused request still has its `id`. Contract: protocols.md section 11,
//! "Envelope".

use super::{Command, Names, Publish, Rejected, Request};
use crate::close::Refusal;
use crate::limits::{REQUEST_ID_BYTES_MAX, TOPICS_PER_REQUEST_MAX};
use crate::wire::json::{Elements, Member, Members, Object, Scratch, Value};

/// The member of `metadata` that only the broker writes.
const SENDER_KEY: &str = "senderId";

/// Reads one message. Linear in the text; a plain publish allocates nothing.
///
/// # Errors
/// What is wrong with it, always the client's fault. The connection stays.
pub fn decode<'a>(text: &'a str, scratch: &'a mut Scratch) -> Result<Request<'a>, Rejected<'a>> {
    let (object, spare) = match scratch.read(text) {
        Ok(read) => read,
        Err(refusal) => return Err(Rejected { id: None, topic: None, refusal }),
    };
    if object.has_duplicate_keys() {
        return Err(Rejected { id: sole_id(&object), topic: None, refusal: Refusal::DuplicateKey });
    }
    let envelope = Envelope::of(object.members());
    let rejected = |id, refusal| Rejected { id, topic: envelope.sole_topic(), refusal };
    let id = envelope.id.optional("id").map_err(|refusal| rejected(None, refusal))?.copied();
    match envelope.command(spare) {
        Ok(command) => Ok(Request { id, command }),
        Err(refusal) => Err(rejected(id, refusal)),
    }
}

/// The `id` of an envelope some of whose keys stand twice, if that is not one of them.
fn sole_id<'a>(object: &Object<'a>) -> Option<&'a str> {
    let mut ids = object.members().filter(|member| member.key == "id");
    ids.next().filter(|_| ids.next().is_none()).and_then(|id| id_as_written(id.raw, &id.value))
}

/// The members that the dialect knows.
#[derive(Default)]
struct Envelope<'t, 'a> {
    kind: Place<&'a str>,
    id: Place<&'a str>,
    token: Place<&'a str>,
    topic: Place<&'a str>,
    topics: Place<Elements<'t, 'a>>,
    data: Place<&'a str>,
    /// As written, and its members.
    metadata: Place<(&'a str, Members<'t, 'a>)>,
    event: Place<&'a str>,
    echo: Place<bool>,
}

impl<'t, 'a> Envelope<'t, 'a> {
    fn of(members: Members<'t, 'a>) -> Self {
        let mut envelope = Self::default();
        for Member { key, raw, value } in members {
            match key {
                "type" => envelope.kind = Place::of(value.string()),
                "token" => envelope.token = Place::of(value.string()),
                "topic" => envelope.topic = Place::of(value.string()),
                "topics" => envelope.topics = Place::of(value.array()),
                "data" => envelope.data = Place::Given(raw),
                // For the rest `null` is the same as absence.
                _ if matches!(value, Value::Null) => {}
                "id" => envelope.id = Place::of(id_as_written(raw, &value)),
                "metadata" => {
                    envelope.metadata = Place::of(value.object().map(|members| (raw, members)));
                }
                "eventType" => envelope.event = Place::of(value.string().map(|_| raw)),
                "echo" => envelope.echo = Place::of(value.boolean()),
                _ => {}
            }
        }
        envelope
    }

    /// The one topic that an error can name.
    fn sole_topic(&self) -> Option<&'a str> {
        match (&self.topic, &self.topics) {
            (Place::Given(topic), Place::Nothing) => Some(topic),
            _ => None,
        }
    }

    fn command(&self, spare: &'a mut String) -> Result<Command<'a>, Refusal> {
        match *self.kind.required("type")? {
            "message" => self.publish(spare).map(Command::Publish),
            "subscribe" => Ok(Command::Subscribe { topics: self.names()? }),
            "unsubscribe" => Ok(Command::Unsubscribe { topics: self.names()? }),
            "ping" => Ok(Command::Ping),
            "auth" => Ok(Command::Auth { token: self.token.required("token")? }),
            _ => Err(Refusal::UnknownType),
        }
    }

    /// What `topic` or `topics` names.
    fn names(&self) -> Result<Names<'a>, Refusal> {
        let Some(topics) = self.topics.optional("topics")? else {
            return Ok(Names::One(self.topic.required("topic")?));
        };
        self.refuse_both()?;
        let mut names = Vec::new();
        for topic in topics.clone() {
            let topic = topic.filter(|_| names.len() < TOPICS_PER_REQUEST_MAX);
            names.push(topic.ok_or(Refusal::IllTyped("topics"))?);
        }
        if names.is_empty() { Err(Refusal::IllTyped("topics")) } else { Ok(Names::Many(names)) }
    }

    fn publish(&self, spare: &'a mut String) -> Result<Publish<'a>, Refusal> {
        self.refuse_both()?;
        Ok(Publish {
            topic: self.topic.required("topic")?,
            data: self.data.required("data")?,
            metadata: match self.metadata.optional("metadata")? {
                Some((raw, members)) => without_sender(raw, members, spare),
                None => "",
            },
            event: self.event.optional("eventType")?.copied(),
            echo: self.echo.optional("echo")?.copied().unwrap_or(true),
        })
    }

    fn refuse_both(&self) -> Result<(), Refusal> {
        match (&self.topic, &self.topics) {
            (Place::Nothing, _) | (_, Place::Nothing) => Ok(()),
            _ => Err(Refusal::TopicAndTopics),
        }
    }
}

/// What was found where a member belongs.
#[derive(Default)]
enum Place<T> {
    #[default]
    Nothing,
    IllTyped,
    Given(T),
}

impl<T> Place<T> {
    /// A member that is there; `None` if it is not of its type.
    fn of(value: Option<T>) -> Self {
        value.map_or(Self::IllTyped, Self::Given)
    }

    fn optional(&self, name: &'static str) -> Result<Option<&T>, Refusal> {
        match self {
            Self::Nothing => Ok(None),
            Self::IllTyped => Err(Refusal::IllTyped(name)),
            Self::Given(value) => Ok(Some(value)),
        }
    }

    fn required(&self, name: &'static str) -> Result<&T, Refusal> {
        self.optional(name)?.ok_or(Refusal::Missing(name))
    }
}

/// A string or number within bounds.
fn id_as_written<'a>(raw: &'a str, value: &Value<'_, 'a>) -> Option<&'a str> {
    let fits = raw.len() <= REQUEST_ID_BYTES_MAX;
    (fits && matches!(value, Value::String(_) | Value::Number)).then_some(raw)
}

/// What stands between the braces of `raw`, less its members named [`SENDER_KEY`]. Copies into
/// `spare` only when there are any.
fn without_sender<'a>(raw: &'a str, members: &Members<'_, 'a>, spare: &'a mut String) -> &'a str {
    if members.contains_key(SENDER_KEY) {
        members.clone().push_others(SENDER_KEY, spare);
        spare
    } else {
        raw[1..raw.len() - 1].trim_ascii()
    }
}
