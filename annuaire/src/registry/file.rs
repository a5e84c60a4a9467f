//! The text of a registry file: what it may say, and the line of what is wrong in it.

use std::{collections::BTreeMap, ops::Range};

use ident::{Address, PersonId, PersonIdKind, StructureId};
use serde::Deserialize;
use toml::Spanned;

use super::{MailboxType, RegisteredMailbox, Registry, RegistryError};
use crate::life::{Closed, Moment, RegistryDigest, Until};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    mailbox: Vec<Spanned<RawMailbox>>,
    #[serde(default)]
    alias: Vec<Spanned<RawAlias>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMailbox {
    address: Spanned<Address>,
    r#type: MailboxType,
    owner: Option<Spanned<PersonId>>,
    structure: Option<StructureId>,
    #[serde(default)]
    members: Vec<Spanned<PersonId>>,
    #[serde(default)]
    delegates: Vec<Spanned<PersonId>>,
    #[serde(default)]
    grants: Vec<Spanned<PersonId>>,
    inner_address: Option<Address>,
    rank: Option<Spanned<u32>>,
    #[serde(default)]
    red_list: bool,
    redirect: Option<Spanned<Address>>,
    name: Option<String>,
    service: Option<String>,
    responsible: Option<String>,
    #[serde(default)]
    readers: Vec<Spanned<PersonId>>,
    until: Option<Spanned<BTreeMap<PersonId, Until>>>,
    created: Option<Moment>,
    closed: Option<Moment>,
    successor: Option<Spanned<Address>>,
    #[serde(default)]
    keep_unused: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAlias {
    old: PersonId,
    current: PersonId,
}

/// Reads the text of a registry file.
pub(super) fn parse(text: &str) -> Result<Registry, RegistryError> {
    let lines = Lines::in_text(text);
    let raw: RawFile = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| lines.of(&span));
        RegistryError::Line { line, what: error.message().to_owned() }
    })?;
    let mut registry = Registry::default();
    for alias in raw.alias {
        registry.add_alias(&lines, alias)?;
    }
    for mailbox in raw.mailbox {
        registry.add_mailbox(&lines, mailbox)?;
    }
    registry.check_redirects()?;
    registry.digest = RegistryDigest::of(text.as_bytes());
    Ok(registry)
}

impl Registry {
    fn add_alias(&mut self, lines: &Lines, raw: Spanned<RawAlias>) -> Result<(), RegistryError> {
        let span = raw.span();
        let RawAlias { old, current } = raw.into_inner();
        if old == current || self.aliases.contains_key(&current) || self.aliases.values().any(|known| *known == old) {
            return Err(lines.error(&span, "an alias leads to another alias or to itself; name the current identifier"));
        }
        if self.aliases.insert(old, current).is_some() {
            return Err(lines.error(&span, "this old identifier is already an alias"));
        }
        Ok(())
    }

    fn add_mailbox(&mut self, lines: &Lines, raw: Spanned<RawMailbox>) -> Result<(), RegistryError> {
        let span = raw.span();
        let raw = raw.into_inner();
        check_people(lines, &span, &raw)?;
        if let Some(rank) = raw.rank.as_ref().filter(|rank| *rank.get_ref() == 0) {
            return Err(lines.error(&rank.span(), "rank starts at 1, the preferred mailbox"));
        }
        let current = |ids: Vec<Spanned<PersonId>>| ids.iter().map(|id| self.current(id.get_ref()).clone()).collect();
        let closed = closed(lines, &raw)?;
        let until = raw.until.map(Spanned::into_inner).unwrap_or_default();
        let mailbox = RegisteredMailbox {
            line: lines.of(&raw.address.span()),
            kind: raw.r#type,
            service: raw.service,
            responsible: raw.responsible,
            readers: current(raw.readers),
            until: until.into_iter().map(|(id, end)| (self.current(&id).clone(), end.0)).collect(),
            created: raw.created.map(|moment| moment.0),
            closed,
            keep_unused: raw.keep_unused,
            owner: raw.owner.as_ref().map(|id| self.current(id.get_ref()).clone()),
            structure: raw.structure,
            members: current(raw.members),
            delegates: current(raw.delegates),
            grants: current(raw.grants),
            inner_address: raw.inner_address,
            rank: raw.rank.map(Spanned::into_inner),
            red_list: raw.red_list,
            redirect: raw.redirect.map(Spanned::into_inner),
            name: raw.name,
            address: raw.address.into_inner(),
        };
        let at = self.mailboxes.len();
        if let Some(earlier) = self.by_address.insert(mailbox.address.key(), at) {
            let first = self.mailboxes.get(earlier).map_or(0, |earlier| earlier.line);
            let what = format!("{} is already declared on line {first}", mailbox.address);
            return Err(RegistryError::Line { line: mailbox.line, what });
        }
        if let Some(owner) = &mailbox.owner {
            self.by_owner.entry(owner.clone()).or_default().push(at);
        }
        self.mailboxes.push(mailbox);
        Ok(())
    }

    /// A message must not run in a circle between our own mailboxes.
    fn check_redirects(&self) -> Result<(), RegistryError> {
        for start in &self.mailboxes {
            let mut at = start;
            let mut steps = 0usize;
            while let Some(next) = at.redirect.as_ref().and_then(|to| self.mailbox(to)) {
                steps = steps.saturating_add(1);
                if next.address == start.address || steps > self.mailboxes.len() {
                    let what = format!("the redirection of {} comes back to it", start.address);
                    return Err(RegistryError::Line { line: start.line, what });
                }
                at = next;
            }
        }
        Ok(())
    }
}

/// The rules about who stands where in a mailbox.
fn check_people(lines: &Lines, span: &Range<usize>, raw: &RawMailbox) -> Result<(), RegistryError> {
    match (raw.r#type, &raw.owner, &raw.structure) {
        (MailboxType::Personal, None, _) => {
            return Err(lines.error(span, "a personal mailbox (PER) needs its owner"));
        }
        (MailboxType::Organisation | MailboxType::Application, Some(owner), _) => {
            return Err(lines.error(&owner.span(), "an ORG or APP mailbox has no owner; list people under members"));
        }
        (MailboxType::Organisation | MailboxType::Application, None, None) => {
            return Err(lines.error(span, "an ORG or APP mailbox needs the structure that answers for it"));
        }
        _ => {}
    }
    if let (MailboxType::Personal, Some(member)) = (raw.r#type, raw.members.first()) {
        return Err(lines.error(&member.span(), "a personal mailbox has no members; use delegates"));
    }
    let staff = |id: &PersonId| matches!(id.kind(), PersonIdKind::FinessInternal | PersonIdKind::SiretInternal);
    if let Some(grant) = raw.grants.iter().find(|id| !staff(id.get_ref())) {
        return Err(
            lines.error(&grant.span(), "grants are for staff cards (3… or 5…); use delegates for professionals")
        );
    }
    if let Some(delegate) = raw.delegates.iter().find(|id| staff(id.get_ref())) {
        return Err(lines.error(&delegate.span(), "delegates are professionals; use grants for staff cards (3… or 5…)"));
    }
    Ok(())
}

/// Since when the box is closed; what only a closed box has.
fn closed(lines: &Lines, raw: &RawMailbox) -> Result<Option<Closed>, RegistryError> {
    let listed = || raw.members.iter().chain(&raw.delegates).chain(&raw.grants).chain(&raw.readers);
    let stray = |id: &&PersonId| !listed().any(|other| other.get_ref() == *id);
    if let Some(until) = &raw.until
        && let Some(stray) = until.get_ref().keys().find(stray)
    {
        let what = format!("until names {stray}, who has no right here: list them first");
        return Err(lines.error(&until.span(), &what));
    }
    match (&raw.closed, &raw.successor) {
        (None, Some(successor)) => {
            Err(lines.error(&successor.span(), "a successor is named although the box is not closed"))
        }
        (Some(_), Some(successor)) if successor.get_ref().same_mailbox(raw.address.get_ref()) => {
            Err(lines.error(&successor.span(), "a box does not succeed itself"))
        }
        (Some(since), successor) => {
            let successor = successor.as_ref().map(|address| address.get_ref().clone());
            Ok(Some(Closed { since: since.0, successor, told: !raw.red_list }))
        }
        (None, None) => Ok(None),
    }
}

/// Turns places in the text into line numbers: where each line begins.
struct Lines(Vec<usize>);

impl Lines {
    fn in_text(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, octet)| *octet == b'\n');
        Self(std::iter::once(0).chain(ends.map(|(at, _)| at.saturating_add(1))).collect())
    }

    fn of(&self, span: &Range<usize>) -> usize {
        self.0.partition_point(|begin| *begin <= span.start)
    }

    fn error(&self, span: &Range<usize>, what: &str) -> RegistryError {
        RegistryError::Line { line: self.of(span), what: what.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::GOOD;

    fn fault(text: &str) -> (usize, String) {
        match Registry::parse(text) {
            Err(RegistryError::Line { line, what }) => (line, what),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn names_the_line_of_each_fault() {
        let per = "[[mailbox]]\naddress = \"a@x.test\"\ntype = \"PER\"\nowner = \"899700000001\"\n";
        for (text, line, word) in [
            (format!("{per}adress = 1\n"), 5, "adress"),
            (per.replace("899700000001", "89970"), 4, "national identifier"),
            (per.replace("a@x.test", "a b@x.test"), 2, "not allowed"),
            (per.replace("PER", "TEAM"), 3, "TEAM"),
            (format!("{per}{per}"), 6, "already declared on line 2"),
            (per.replace("owner", "#owner"), 1, "needs its owner"),
            (per.replace("PER", "ORG"), 4, "no owner"),
            (format!("{per}rank = 0\n"), 5, "rank"),
            (format!("{per}grants = [\"899700000002\"]\n"), 5, "staff cards"),
            (format!("{per}delegates = [\"3990000001/0001\"]\n"), 5, "professionals"),
            (format!("{per}members = [\"899700000002\"]\n"), 5, "members"),
            (format!("{per}redirect = \"A@x.test\"\n"), 2, "comes back"),
            (format!("{per}successor = \"b@x.test\"\n"), 5, "not closed"),
            (format!("{per}closed = \"2026-11-22\"\nsuccessor = \"A@x.test\"\n"), 6, "itself"),
            (format!("{per}closed = \"yesterday\"\n"), 5, "2026-11-22"),
            (format!("{per}until = {{ \"899700000002\" = \"2026-11-22\" }}\n"), 5, "no right"),
            ("[[alias]]\nold = \"899700000001\"\ncurrent = \"899700000001\"\n".to_owned(), 1, "alias"),
            ("mailbox = 3".to_owned(), 1, "invalid type"),
            ("[[mailbox]]\n\naddress \"\n".to_owned(), 3, "expected"),
        ] {
            let (at, what) = fault(&text);
            assert_eq!(at, line, "{text}\n{what}");
            assert!(what.contains(word), "{what} should speak of {word}");
        }
    }

    #[test]
    fn a_longer_circle_of_redirections_is_found() {
        let mailbox = |name: &str, to: &str| {
            format!(
                "[[mailbox]]\naddress = \"{name}@x.test\"\ntype = \"PER\"\nowner = \"899700000001\"\nredirect = \"{to}@x.test\"\n"
            )
        };
        let text = [mailbox("a", "b"), mailbox("b", "c"), mailbox("c", "b")].concat();
        assert!(fault(&text).1.contains("comes back"));
        assert!(Registry::parse(&[mailbox("a", "b"), mailbox("b", "c"), mailbox("c", "d")].concat()).is_ok());
    }

    proptest::proptest! {
        #[test]
        fn a_spoiled_file_never_panics(at in 0..GOOD.len(), text in "\\PC{0,3}") {
            let mut spoiled = GOOD.to_owned();
            spoiled.insert_str(at, &text);
            if let Err(RegistryError::Line { line, .. }) = Registry::parse(&spoiled) {
                proptest::prop_assert!(line <= spoiled.lines().count() + 1);
            }
        }
    }
}
