//! The query of a request: what it says of a page, and names that a path has no place for.
//!
//! What is not known is refused, and so is what stands there twice: a filter that is misspelled
//! would be none, and of two nobody could tell which one is meant. A user and a tenant have two names
//! each, that of the paths and that of the reports. Contract: protocols.md section 11, "HTTP API".

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::route::decoded;
use crate::close::Refusal;
use crate::limits::{PAGE_ITEMS, PAGE_ITEMS_MAX};
use crate::report::{Cursor, Page};

/// The pairs of a query, decoded; `None` is a value that is no text.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(String, Option<String>)>);

impl Parameters {
    /// Those of a request's query.
    pub fn of(query: Option<&str>) -> Self {
        // As forms write them: a plus is a blank.
        let text = |part: &str| decoded(&part.replace('+', " ")).map(Cow::into_owned);
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // A name that is no text is nobody's.
            (text(name).unwrap_or_else(|| name.to_owned()), text(value))
        };
        let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        Self(pairs.map(pair).collect())
    }

    /// Holds the names against those that are known.
    ///
    /// # Errors
    /// Which one is not, in words: the client's fault.
    pub fn only(&self, known: &[&str]) -> Result<(), String> {
        let unknown = self.0.iter().find(|(name, _)| !known.contains(&&**name));
        unknown.map_or(Ok(()), |(name, _)| {
            let known = if known.is_empty() { "none".into() } else { known.join(", ") };
            Err(format!("Unknown parameter: {name}; known: {known}"))
        })
    }

    /// The tenant, under either of its names.
    ///
    /// # Errors
    /// As [`Parameters::name`].
    pub(super) fn tenant(&self) -> Result<Option<Box<str>>, Refusal> {
        self.either("tenant", "tenantId")
    }

    /// The user, under either of its names.
    ///
    /// # Errors
    /// As [`Parameters::name`].
    pub(super) fn user(&self) -> Result<Option<Box<str>>, Refusal> {
        self.either("user", "userId")
    }

    fn either(&self, one: &'static str, other: &'static str) -> Result<Option<Box<str>>, Refusal> {
        match (self.name(one)?, self.name(other)?) {
            (Some(_), Some(_)) => Err(Refusal::IllTyped(other)),
            (one, other) => Ok(one.or(other)),
        }
    }

    /// The value under a name.
    ///
    /// # Errors
    /// It stands there twice, or is no text: the client's fault.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(own, _)| own == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(Some(value)), None) => Ok(Some(value)),
            _ => Err(Refusal::IllTyped(name)),
        }
    }

    /// The id of a user or tenant, which is never empty.
    ///
    /// # Errors
    /// It is empty, or stands there twice: the client's fault.
    fn name(&self, name: &'static str) -> Result<Option<Box<str>>, Refusal> {
        match self.text(name)? {
            Some("") => Err(Refusal::IllTyped(name)),
            text => Ok(text.map(Into::into)),
        }
    }

    /// A whole number, written with digits alone.
    ///
    /// # Errors
    /// It is none, out of range, or stands there twice: the client's fault.
    pub(super) fn number(
        &self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| is_digits && range.contains(number));
        number.map(Some).ok_or(Refusal::IllTyped(name))
    }

    /// Items of a page at most.
    ///
    /// # Errors
    /// As [`Parameters::number`].
    pub(super) fn limit(&self) -> Result<u16, Refusal> {
        let limit = self.number("limit", 1..=PAGE_ITEMS_MAX.into())?;
        Ok(limit.map_or(PAGE_ITEMS, |limit| limit as u16))
    }

    /// Which page of a list.
    ///
    /// # Errors
    /// The limit is out of range, or no page gives such a cursor: the client's fault.
    pub(super) fn page(&self) -> Result<Page, Refusal> {
        let cursor = self.text("cursor")?.map(str::parse::<Cursor>).transpose();
        let cursor = cursor.map_err(|_| Refusal::IllTyped("cursor"))?;
        Ok(Page { limit: self.limit()?, cursor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        let page = |query| Parameters::of(query).page();
        assert_eq!(page(None), Ok(Page { limit: 100, cursor: None }));
        let cursor = Cursor { shard: 1, index: 2 };
        let query = format!("limit=1000&cursor={cursor}&other=1&other=2");
        assert_eq!(page(Some(&query)), Ok(Page { limit: 1000, cursor: Some(cursor) }));
        for bad in ["limit=0", "limit=1001", "limit=", "limit=+1", "limit=%2B1", "limit=1.0"] {
            assert_eq!(page(Some(bad)), Err(Refusal::IllTyped("limit")), "{bad}");
        }
        assert_eq!(page(Some("limit=1&limit=1")), Err(Refusal::IllTyped("limit")));
        for bad in ["cursor=", "cursor=x", "cursor=0000000000&cursor=0000000000"] {
            assert_eq!(page(Some(bad)), Err(Refusal::IllTyped("cursor")), "{bad}");
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        let only = |query, known: &[&str]| Parameters::of(query).only(known);
        assert_eq!(only(None, &[]), Ok(()));
        assert_eq!(only(Some("&tenant=a&&limit=1&"), &["limit", "tenant"]), Ok(()));
        let error = |text: &str| Err(text.to_owned());
        assert_eq!(only(Some("x=1"), &[]), error("Unknown parameter: x; known: none"));
        let known = &["limit", "cursor"];
        let expected = error("Unknown parameter: %ff; known: limit, cursor");
        assert_eq!(only(Some("limit=1&%ff=1"), known), expected);
        assert_eq!(
            only(Some("Limit=1"), known),
            error("Unknown parameter: Limit; known: limit, cursor")
        );
    }

    #[test]
    fn users_and_tenants_have_two_names() {
        let of = |query| {
            let parameters = Parameters::of(Some(query));
            (parameters.tenant(), parameters.user())
        };
        let named = |tenant: Option<&str>, user: Option<&str>| {
            (Ok(tenant.map(Into::into)), Ok(user.map(Into::into)))
        };
        assert_eq!(of("tenant=a&userId=b"), named(Some("a"), Some("b")));
        assert_eq!(of("user=b&tenantId=a"), named(Some("a"), Some("b")));
        assert_eq!(of("limit=1"), named(None, None));
        assert_eq!(of("tenant=a&tenantId=a").0, Err(Refusal::IllTyped("tenantId")));
        assert_eq!(of("user=a&userId=b").1, Err(Refusal::IllTyped("userId")));
        assert_eq!(of("tenantId=").0, Err(Refusal::IllTyped("tenantId")));
    }

    #[test]
    fn names() {
        let name = |query| Parameters::of(Some(query)).name("tenant");
        assert_eq!(name("tenant=a%2Fb+%C3%BC"), Ok(Some("a/b ü".into())));
        assert_eq!(name("&tenants=a&"), Ok(None));
        assert_eq!(name("%74enant=a=b&%ff=%ff"), Ok(Some("a=b".into())));
        for broken in ["tenant=%ff", "tenant=%4", "tenant=%zz"] {
            assert_eq!(name(broken), Err(Refusal::IllTyped("tenant")), "{broken}");
        }
        assert_eq!(name("tenant"), Err(Refusal::IllTyped("tenant")));
        assert_eq!(name("tenant=a&tenant=b"), Err(Refusal::IllTyped("tenant")));
    }
}
