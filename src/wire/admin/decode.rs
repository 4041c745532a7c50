//! JSON text to requests.
//!
//! The `type` says which members of `data` are looked for; one that is `null` is not there. Ids of
//! connections and cursors are parsed here; topics are judged with the report that is wanted, the
//! texts of users and tenants are not. Contract: protocols.md section
//! 11, "`admin` dialect" and "HTTP API".

use std::ops::RangeInclusive;

use super::{Command, Rejected, Request};
use crate::audience::Audience;
use crate::close::{Close, Refusal, is_disconnect_code};
use crate::connection::ConnectionId;
use crate::limits::{
    CLOSE_REASON_BYTES_MAX, PAGE_ITEMS, PAGE_ITEMS_MAX, REPORT_EVERY_MS_MAX, REPORT_EVERY_MS_MIN,
    REQUEST_ID_BYTES_MAX,
};
use crate::report::{Cursor, Page, Wanted};
use crate::wire::json::{Member, Members, Object, Scratch, Value};

/// Reads one message. Linear in the text.
///
/// # Errors
/// What is wrong with it, always the client's fault: a 400, or a 404 for what can be no
/// connection's id. The connection stays.
pub fn decode<'a>(text: &'a str, scratch: &'a mut Scratch) -> Result<Request<'a>, Rejected<'a>> {
    let (object, _) = scratch.read(text).map_err(|refusal| Rejected { id: None, refusal })?;
    let id = id(&object).map_err(|refusal| Rejected { id: None, refusal })?;
    match command(&object) {
        Ok(command) => Ok(Request { id, command }),
        Err(refusal) => Err(Rejected { id, refusal }),
    }
}

/// The `id` as written, if it does not stand twice.
fn id<'a>(object: &Object<'a>) -> Result<Option<&'a str>, Refusal> {
    let mut ids = object.members().filter(|member| member.key == "id");
    let Some(id) = ids.next() else { return Ok(None) };
    if ids.next().is_some() {
        return Err(Refusal::DuplicateKey);
    }
    match id.value {
        Value::Null => Ok(None),
        Value::String(_) | Value::Number if id.raw.len() <= REQUEST_ID_BYTES_MAX => {
            Ok(Some(id.raw))
        }
        _ => Err(Refusal::IllTyped("id")),
    }
}

fn command<'a>(object: &Object<'a>) -> Result<Command<'a>, Refusal> {
    let envelope = Fields::of(object.members())?;
    let kind = envelope.required_string("type")?;
    let data = match envelope.find("data") {
        None => Fields(None),
        Some(data) => Fields::of(data.value.object().ok_or(Refusal::IllTyped("data"))?)?,
    };
    let ask = |kind, wanted| Ok(Command::Ask { kind, wanted });
    match kind {
        super::STATS => Ok(Command::Stats { every_ms: data.every_ms()? }),
        super::BROADCAST => Ok(Command::Broadcast {
            message: data.message()?,
            tenant: data.name("tenantId")?.map(Into::into),
        }),
        "connections" => ask("connections", connections(&data)?),
        "connection" => ask("connection", Wanted::Connection(data.connection()?)),
        "topics" => ask("topics", topics(&data)?),
        "topic" => ask("topic", Wanted::Topic(data.required_string("topic")?.into())),
        "disconnect" => ask("disconnect", disconnect(&data)?),
        _ => Err(Refusal::UnknownType),
    }
}

/// Of everyone, of a tenant, or of a user: one of no tenant where none is given.
fn connections(data: &Fields<'_, '_>) -> Result<Wanted, Refusal> {
    let tenant = data.name("tenantId")?.map(Into::into);
    let of = match (data.name("userId")?, tenant) {
        (Some(user), tenant) => Audience::User { tenant, user: user.into() },
        (None, Some(tenant)) => Audience::Tenant(tenant),
        (None, None) => Audience::Everyone,
    };
    Ok(Wanted::Connections { of, page: data.page()? })
}

fn topics(data: &Fields<'_, '_>) -> Result<Wanted, Refusal> {
    let prefix = data.string("prefix")?.unwrap_or_default().into();
    Ok(Wanted::Topics { prefix, page: data.page()? })
}

/// A connection or a user; never a whole tenant, which is not asked for by leaving the user out.
fn disconnect(data: &Fields<'_, '_>) -> Result<Wanted, Refusal> {
    let (code, reason) = (data.close_code()?, data.close_reason()?);
    if data.find("connectionId").is_none() {
        let user = data.name("userId")?.ok_or(Refusal::Missing("connectionId"))?.into();
        let tenant = data.name("tenantId")?.map(Into::into);
        return Ok(Wanted::Disconnect { of: Audience::User { tenant, user }, code, reason });
    }
    for name in ["userId", "tenantId"] {
        if data.find(name).is_some() {
            return Err(Refusal::IllTyped(name));
        }
    }
    Ok(Wanted::DisconnectOne { id: data.connection()?, code, reason })
}

/// An object's members, to be looked up by name; few are ever asked for.
struct Fields<'t, 'a>(Option<Members<'t, 'a>>);

impl<'t, 'a> Fields<'t, 'a> {
    fn of(members: Members<'t, 'a>) -> Result<Self, Refusal> {
        if members.has_duplicate_keys() {
            Err(Refusal::DuplicateKey)
        } else {
            Ok(Self(Some(members)))
        }
    }

    /// A member that is there and not `null`.
    fn find(&self, name: &str) -> Option<Member<'t, 'a>> {
        let mut members = self.0.clone()?;
        members.find(|member| member.key == name && !matches!(member.value, Value::Null))
    }

    fn string(&self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        let Some(member) = self.find(name) else { return Ok(None) };
        member.value.string().map(Some).ok_or(Refusal::IllTyped(name))
    }

    fn required_string(&self, name: &'static str) -> Result<&'a str, Refusal> {
        self.string(name)?.ok_or(Refusal::Missing(name))
    }

    /// The id of a user or tenant: a string that is not empty.
    fn name(&self, name: &'static str) -> Result<Option<&'a str>, Refusal> {
        let found = self.string(name)?;
        if found == Some("") { Err(Refusal::IllTyped(name)) } else { Ok(found) }
    }

    /// A whole number, written with digits alone.
    fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Refusal> {
        let Some(Member { raw, value, .. }) = self.find(name) else { return Ok(None) };
        let number = raw.parse::<u64>().ok().filter(|number| range.contains(number));
        match (value, number) {
            (Value::Number, Some(number)) => Ok(Some(number)),
            _ => Err(Refusal::IllTyped(name)),
        }
    }

    fn every_ms(&self) -> Result<Option<u64>, Refusal> {
        let every_ms = self.number("everyMs", 0..=REPORT_EVERY_MS_MAX)?;
        match every_ms {
            Some(1..REPORT_EVERY_MS_MIN) => Err(Refusal::IllTyped("everyMs")),
            _ => Ok(every_ms),
        }
    }

    fn page(&self) -> Result<Page, Refusal> {
        let limit = self.number("limit", 1..=PAGE_ITEMS_MAX.into())?;
        let cursor = self.string("cursor")?.map(str::parse::<Cursor>).transpose();
        Ok(Page {
            limit: limit.map_or(PAGE_ITEMS, |limit| limit as u16),
            cursor: cursor.map_err(|_| Refusal::IllTyped("cursor"))?,
        })
    }

    /// What can be no connection's id is that of an unknown connection.
    fn connection(&self) -> Result<ConnectionId, Refusal> {
        self.required_string("connectionId")?.parse().map_err(|_| Refusal::NotFound)
    }

    fn close_code(&self) -> Result<u16, Refusal> {
        let code = self.number("code", 0..=u16::MAX.into())?;
        let code = code.map_or(Close::Forced.code(), |code| code as u16);
        if is_disconnect_code(code) { Ok(code) } else { Err(Refusal::IllTyped("code")) }
    }

    fn close_reason(&self) -> Result<Box<str>, Refusal> {
        let reason = self.string("reason")?.unwrap_or(Close::Forced.reason());
        let fits = reason.len() <= CLOSE_REASON_BYTES_MAX;
        if fits { Ok(reason.into()) } else { Err(Refusal::IllTyped("reason")) }
    }

    /// Any value, `null` too.
    fn message(&self) -> Result<&'a str, Refusal> {
        let mut members = self.0.clone().into_iter().flatten();
        let message = members.find(|member| member.key == "message");
        Ok(message.ok_or(Refusal::Missing("message"))?.raw)
    }
}
