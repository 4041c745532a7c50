//! A rule's topic: a pattern with placeholders and open segments, compiled once.
//!
//! Beyond a subscription's pattern it may hold `{userId}` and `{tenantId}`, alone or inside a
//! longer segment, and a segment may end in `*` for any rest of that segment, an empty one too.
//! What a placeholder brings in is literal text of one segment; an id that cannot be that leaves
//! the template matching nothing. Inside a longer segment an id with `:` grants nothing, or
//! `tenant:acme:eu` would be a name of `acme:eu` and, by `tenant:{tenantId}:*`, one of `acme`.
//! Filling one in allocates nothing. Only `rules` and `protected` use it.
//! Specification: protocols.md section 6, section 11 "Rules".

use thiserror::Error;

use super::contain::{Glob, Relation, relation};
use super::identity::Identity;
use crate::topic::{Pattern, TopicBounds, TopicError};

/// Why a rule's topic cannot be read. The operator's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// The grammar of topics is broken.
    #[error("{0}")]
    Topic(TopicError),
    /// A brace that opens neither `{userId}` nor `{tenantId}`.
    #[error("a placeholder is {{userId}} or {{tenantId}}, nothing else")]
    UnknownPlaceholder,
    /// A placeholder of which nothing tells where it ends.
    #[error(
        "behind a placeholder stands * or another placeholder: whose id begins alike has the same \
         names; put : between, as in {{tenantId}}:*"
    )]
    EndlessPlaceholder,
}

/// A rule's topic, compiled.
#[derive(Debug)]
pub(super) struct Template {
    segments: Box<[Segment]>,
    any: u64,
    many: u64,
    user: Use,
    tenant: Use,
}

/// Where an id stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Use {
    Nowhere,
    /// As whole segments.
    Whole,
    /// Inside a longer segment.
    Part,
}

#[derive(Debug, PartialEq)]
enum Segment {
    One,
    Many,
    /// The most usual segment, compared whole.
    Text(Box<str>),
    /// The parts in order, then the end of the segment, or anything where it is open.
    Parts {
        parts: Box<[Part]>,
        open: bool,
    },
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(Box<str>),
    User,
    Tenant,
}

const PLACEHOLDERS: [(&str, Part); 2] = [("{userId}", Part::User), ("{tenantId}", Part::Tenant)];

impl Template {
    /// Checks and compiles a rule's topic.
    ///
    /// # Errors
    /// The first rule of the grammar that it breaks.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut sample = String::with_capacity(text.len());
        let mut segments = Vec::new();
        for (at, piece) in text.split('.').enumerate() {
            if at > 0 {
                sample.push('.');
            }
            segments.push(parse_segment(piece, &mut sample)?);
        }
        Pattern::parse(&sample, TopicBounds::default()).map_err(TemplateError::Topic)?;
        let mask_of = |wanted: fn(&Segment) -> bool| {
            segments.iter().enumerate().fold(0, |mask, (at, it)| mask | u64::from(wanted(it)) << at)
        };
        let use_of = |wanted: &Part| {
            let uses = segments.iter().map(|segment| match segment {
                Segment::Parts { parts, open } if parts.contains(wanted) => {
                    if *open || parts.len() > 1 { Use::Part } else { Use::Whole }
                }
                _ => Use::Nowhere,
            });
            uses.max().unwrap_or(Use::Nowhere)
        };
        Ok(Self {
            any: mask_of(|segment| matches!(segment, Segment::One | Segment::Many)),
            many: mask_of(|segment| *segment == Segment::Many),
            user: use_of(&Part::User),
            tenant: use_of(&Part::Tenant),
            segments: segments.into_boxed_slice(),
        })
    }

    /// Whether a pattern whose first segment is `first` may have to do with it; false is certain.
    /// Cheap: most rules are about other names.
    pub(super) fn may_begin_with(&self, first: &str) -> bool {
        let own = match &self.segments[0] {
            Segment::Text(own) => return **own == *first || is_wildcard(first),
            Segment::One | Segment::Many => return true,
            Segment::Parts { parts, .. } => parts.first(),
        };
        match own {
            Some(Part::Text(own)) => first.starts_with(&**own) || is_wildcard(first),
            _ => true,
        }
    }

    /// Puts an identity's ids in; `None` where one is wanted that is not there or is no segment.
    pub(super) fn fill<'a>(&'a self, identity: Option<&'a Identity>) -> Option<Filled<'a>> {
        let id = |place: Use, of: fn(&'a Identity) -> Option<&'a str>| {
            if place == Use::Nowhere { Some("") } else { identity.and_then(of) }
        };
        let user = id(self.user, Identity::user_segment)?;
        let tenant = id(self.tenant, Identity::tenant_segment)?;
        let is_ambiguous = self.user == Use::Part && user.contains(SEPARATOR)
            || self.tenant == Use::Part && tenant.contains(SEPARATOR);
        Some(Filled { template: self, user, tenant, is_ambiguous })
    }

    /// Whether a topic may exist that both match, for whatever ids.
    pub(super) fn may_meet(&self, other: &Template) -> bool {
        may_meet(&self.segments, &other.segments)
    }

    /// How many segments it has until the first that holds a placeholder.
    pub(super) fn segments_before_placeholder(&self) -> Option<usize> {
        let holds = |segment: &Segment| match segment {
            Segment::Parts { parts, .. } => parts.iter().any(|it| !matches!(it, Part::Text(_))),
            _ => false,
        };
        self.segments.iter().position(holds)
    }

    /// Whether its first segment is this text and nothing else.
    pub(super) fn begins_with(&self, text: &str) -> bool {
        matches!(&self.segments[0], Segment::Text(own) if **own == *text)
    }
}

/// What stands between the parts of a longer segment.
const SEPARATOR: char = ':';

fn may_meet(one: &[Segment], other: &[Segment]) -> bool {
    let ([head, rest @ ..], [other_head, other_rest @ ..]) = (one, other) else {
        return one.is_empty() && other.is_empty();
    };
    // `**` takes one segment, and then perhaps another.
    segments_may_meet(head, other_head)
        && (may_meet(rest, other_rest)
            || *head == Segment::Many && may_meet(one, other_rest)
            || *other_head == Segment::Many && may_meet(rest, other))
}

fn segments_may_meet(one: &Segment, other: &Segment) -> bool {
    match (one, other) {
        (Segment::One | Segment::Many, _) | (_, Segment::One | Segment::Many) => true,
        (Segment::Text(one), Segment::Text(other)) => one == other,
        (Segment::Text(text), Segment::Parts { parts, .. })
        | (Segment::Parts { parts, .. }, Segment::Text(text)) => {
            text.starts_with(literal_head(parts))
        }
        (Segment::Parts { parts, .. }, Segment::Parts { parts: others, .. }) => {
            let (one, other) = (literal_head(parts), literal_head(others));
            one.starts_with(other) || other.starts_with(one)
        }
    }
}

fn literal_head(parts: &[Part]) -> &str {
    if let Some(Part::Text(text)) = parts.first() { text } else { "" }
}

/// Reads one segment, and appends to `sample` a segment that it could stand for, which the
/// grammar of patterns can then judge.
fn parse_segment(text: &str, sample: &mut String) -> Result<Segment, TemplateError> {
    if is_wildcard(text) {
        sample.push_str(text);
        return Ok(if text == "*" { Segment::One } else { Segment::Many });
    }
    let (mut rest, open) = text.strip_suffix('*').map_or((text, false), |rest| (rest, true));
    let mut parts = Vec::new();
    while let Some(at) = rest.find('{') {
        let (before, behind) = rest.split_at(at);
        push_text(&mut parts, sample, before);
        let (name, part) = PLACEHOLDERS
            .into_iter()
            .find(|(name, _)| behind.starts_with(name))
            .ok_or(TemplateError::UnknownPlaceholder)?;
        parts.push(part);
        sample.push('x');
        rest = &behind[name.len()..];
    }
    push_text(&mut parts, sample, rest);
    let is_placeholder = |part: &Part| !matches!(part, Part::Text(_));
    if parts.windows(2).any(|two| two.iter().all(is_placeholder))
        || open && parts.last().is_some_and(is_placeholder)
    {
        return Err(TemplateError::EndlessPlaceholder);
    }
    if open {
        sample.push('x');
    }
    Ok(match parts.as_mut_slice() {
        [Part::Text(text)] if !open => Segment::Text(std::mem::take(text)),
        _ => Segment::Parts { parts: parts.into_boxed_slice(), open },
    })
}

fn is_wildcard(segment: &str) -> bool {
    matches!(segment, "*" | "**")
}

fn push_text(parts: &mut Vec<Part>, sample: &mut String, text: &str) {
    if !text.is_empty() {
        parts.push(Part::Text(text.into()));
        sample.push_str(text);
    }
}

/// A template with an identity's ids in their places.
#[derive(Debug)]
pub(super) struct Filled<'a> {
    template: &'a Template,
    user: &'a str,
    tenant: &'a str,
    /// What it matches may be another's as well.
    is_ambiguous: bool,
}

impl Filled<'_> {
    /// Places `pattern` against it. Where it is not certain whose names it matches it covers none,
    /// but stands in the way of as many.
    pub(super) fn relation(&self, pattern: Pattern<'_>) -> Relation {
        match relation(self, pattern) {
            Relation::Covered if self.is_ambiguous => Relation::Overlaps,
            relation => relation,
        }
    }
}

impl Glob for Filled<'_> {
    fn segment_count(&self) -> usize {
        self.template.segments.len()
    }

    fn any(&self) -> u64 {
        self.template.any
    }

    fn many(&self) -> u64 {
        self.template.many
    }

    fn takes(&self, at: usize, text: &str) -> bool {
        match &self.template.segments[at] {
            Segment::One | Segment::Many => true,
            Segment::Text(own) => **own == *text,
            Segment::Parts { parts, open } => {
                let mut rest = text;
                for part in parts {
                    let own = match part {
                        Part::Text(own) => own,
                        Part::User => self.user,
                        Part::Tenant => self.tenant,
                    };
                    match rest.strip_prefix(own) {
                        Some(behind) => rest = behind,
                        None => return false,
                    }
                }
                *open || rest.is_empty()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::identity::IdentityParts;

    fn relation_of(template: &str, id: &str, asked: &str) -> Relation {
        let template = Template::parse(template).unwrap();
        let parts = IdentityParts { user_id: id, ..Default::default() };
        let identity = Identity::new(&parts, TopicBounds::default()).unwrap();
        let pattern = Pattern::parse(asked, TopicBounds::default()).unwrap();
        let relation = template
            .fill(Some(&identity))
            .map_or(Relation::Disjoint, |filled| filled.relation(pattern));
        assert!(relation == Relation::Disjoint || template.may_begin_with(pattern.first_segment()));
        relation
    }

    #[test]
    fn placeholders_stand_for_literal_text() {
        for (template, id, asked, expected) in [
            ("user.{userId}.**", "42", "user.42.a.b", Relation::Covered),
            ("user.{userId}.**", "42", "user.42.*", Relation::Covered),
            ("user.{userId}.**", "42", "user.4.a", Relation::Disjoint),
            ("user.{userId}.**", "42", "user.*", Relation::Disjoint),
            ("user.{userId}.**", "42", "user.*.a", Relation::Overlaps),
            ("user.{userId}.**", "42", "**", Relation::Overlaps),
            ("user.{userId}.**", "*", "user.42.a", Relation::Disjoint),
            ("user.{userId}.**", "*", "user.*.a", Relation::Disjoint),
            ("user.{userId}.**", "a.b", "user.a.b.c", Relation::Disjoint),
            ("user:{userId}", "42", "user:42", Relation::Covered),
            ("user:{userId}", "42", "user:421", Relation::Disjoint),
            ("a{userId}b{userId}c.d", "x", "axbxc.d", Relation::Covered),
            ("a{userId}b{userId}c.d", "x", "axbx.d", Relation::Disjoint),
            ("{tenantId}.**", "x", "x.y", Relation::Disjoint),
            // Whose name `user:a:b:c` is cannot be told, and nobody has it by an id with a colon.
            ("user:{userId}:*", "a:b", "user:a:b:c", Relation::Overlaps),
            ("user:{userId}:*", "a", "user:a:b:c", Relation::Covered),
            ("user:{userId}", "a:b", "user:a:b", Relation::Overlaps),
            ("user:{userId}", "a:b", "user:a:c", Relation::Disjoint),
            ("user.{userId}.*", "a:b", "user.a:b.c", Relation::Covered),
        ] {
            assert_eq!(relation_of(template, id, asked), expected, "{template} {id} {asked}");
        }
    }

    #[test]
    fn open_segments_take_any_rest() {
        for (template, asked, expected) in [
            ("user:{userId}:*", "user:7:mail", Relation::Covered),
            ("user:{userId}:*", "user:7:", Relation::Covered),
            ("user:{userId}:*", "user:7", Relation::Disjoint),
            ("user:{userId}:*", "user:77:mail", Relation::Disjoint),
            ("user:{userId}:*", "user:7:mail.new", Relation::Disjoint),
            ("user:{userId}:*", "*", Relation::Overlaps),
            ("user:*.**", "user:1.x.y", Relation::Covered),
            ("user:*.**", "user:1.**", Relation::Covered),
            ("user:*.**", "**.y", Relation::Overlaps),
        ] {
            assert_eq!(relation_of(template, "7", asked), expected, "{template} {asked}");
        }
    }

    #[test]
    fn two_templates_may_meet() {
        for (one, other, meet) in [
            ("a.**", "a.b", true),
            ("a.**", "a", false),
            ("**", "a.b.c", true),
            ("**.z", "a.**", true),
            ("*", "a.**", false),
            ("*.*", "a.**", true),
            ("user:*", "user:42", true),
            ("user:*", "user:42.x", false),
            ("us*", "user:*", true),
            ("ut*", "user:*", false),
            ("{userId}", "admin", true),
            ("a{userId}", "admin", true),
            ("b{userId}", "admin", false),
        ] {
            let (one, other) = (Template::parse(one).unwrap(), Template::parse(other).unwrap());
            assert_eq!(one.may_meet(&other), meet, "{one:?} {other:?}");
            assert_eq!(other.may_meet(&one), meet, "{one:?} {other:?}");
        }
    }

    #[test]
    fn ill_formed() {
        use TopicError::{EmptySegment, PartialWildcard};
        for (text, error) in [
            ("", TemplateError::Topic(TopicError::Empty)),
            ("a..b", TemplateError::Topic(EmptySegment)),
            ("a*b", TemplateError::Topic(PartialWildcard)),
            ("*a", TemplateError::Topic(PartialWildcard)),
            ("a**", TemplateError::Topic(PartialWildcard)),
            ("***", TemplateError::Topic(PartialWildcard)),
            ("a.\u{7}", TemplateError::Topic(TopicError::ControlCharacter)),
            ("tenant:{tenantId}*", TemplateError::EndlessPlaceholder),
            ("{userId}*.x", TemplateError::EndlessPlaceholder),
            ("a:{tenantId}{userId}", TemplateError::EndlessPlaceholder),
            ("user.{userid}", TemplateError::UnknownPlaceholder),
            ("user.{userId", TemplateError::UnknownPlaceholder),
            ("user.{user.Id}", TemplateError::UnknownPlaceholder),
        ] {
            assert_eq!(Template::parse(text).unwrap_err(), error, "{text:?}");
        }
        let deep = vec!["a"; 33].join(".");
        assert!(Template::parse(&deep).is_err());
    }
}
