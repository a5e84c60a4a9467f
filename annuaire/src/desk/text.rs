//! The text of a registry file in pieces: what an order does not concern stays as somebody wrote it.

use std::fmt::Write as _;

use ident::PersonId;

use crate::RegisteredMailbox;

/// The pieces of a file: `[[mailbox]]` tables, and everything between them.
#[derive(Debug, Clone)]
pub(super) struct Pieces(Vec<Piece>);

#[derive(Debug, Clone)]
struct Piece {
    text: String,
    /// Its first line, and the one behind its last.
    lines: (usize, usize),
    mailbox: bool,
}

impl Pieces {
    /// Cuts a text. A table ends where the next begins, less the comments and empty lines right before that: they
    /// belong to what follows.
    pub(super) fn of(text: &str) -> Self {
        let mut pieces: Vec<Piece> = Vec::new();
        let mut gap = Piece { text: String::new(), lines: (1, 1), mailbox: false };
        for (n, line) in text.split_inclusive('\n').enumerate() {
            let (n, bare) = (n.saturating_add(1), line.trim());
            let next = n.saturating_add(1);
            if bare.starts_with('[') && header(bare) {
                pieces.push(std::mem::replace(
                    &mut gap,
                    Piece { text: String::new(), lines: (next, next), mailbox: false },
                ));
                let mailbox = bare.starts_with("[[mailbox]]");
                pieces.push(Piece { text: line.to_owned(), lines: (n, next), mailbox });
            } else if bare.is_empty() || bare.starts_with('#') {
                gap.text.push_str(line);
                gap.lines.1 = next;
            } else {
                // The table goes on behind what looked like a gap.
                let skipped = std::mem::take(&mut gap.text);
                gap.lines = (next, next);
                match pieces.last_mut() {
                    Some(table) => {
                        table.text.push_str(&skipped);
                        table.text.push_str(line);
                        table.lines.1 = next;
                    }
                    None => pieces.push(Piece { text: skipped + line, lines: (1, next), mailbox: false }),
                }
            }
        }
        pieces.push(gap);
        Self(pieces)
    }

    /// The table of a mailbox in which a line stands.
    pub(super) fn at_line(&self, line: usize) -> Option<usize> {
        let after = self.0.partition_point(|piece| piece.lines.0 <= line);
        // Empty gaps begin where their table does.
        let candidates = self.0.get(..after)?.iter().enumerate().rev().take(3);
        let mut holding =
            candidates.filter(|(_, piece)| piece.mailbox && piece.lines.0 <= line && line < piece.lines.1);
        holding.next().map(|(at, _)| at)
    }

    /// Writes a table anew, but for its header: people write a remark behind it.
    pub(super) fn set(&mut self, piece: usize, mailbox: &RegisteredMailbox) {
        if let Some(piece) = self.0.get_mut(piece) {
            let header = piece.text.lines().next().unwrap_or_default().trim_end().to_owned();
            piece.text = format!("{header}\n{}", fields(mailbox));
        }
    }

    /// Adds a table behind everything.
    pub(super) fn add(&mut self, mailbox: &RegisteredMailbox) {
        self.0.push(Piece {
            text: format!("\n[[mailbox]]\n{}", fields(mailbox)),
            lines: (usize::MAX, usize::MAX),
            mailbox: true,
        });
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(self.0.iter().map(|piece| piece.text.len()).sum());
        for piece in &self.0 {
            // The last line of the file may have had no end.
            if !text.is_empty() && !text.ends_with('\n') && !piece.text.is_empty() {
                text.push('\n');
            }
            text.push_str(&piece.text);
        }
        text
    }
}

/// Whether a line that begins with a bracket is the header of a table, and not part of a list over several lines.
fn header(bare: &str) -> bool {
    let name = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let double = bare.strip_prefix("[[").and_then(|rest| rest.split_once("]]"));
    let single = bare.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    double.or(single).is_some_and(|(inner, _)| !inner.is_empty() && name(inner))
}

/// A mailbox as the registry says it.
fn fields(mailbox: &RegisteredMailbox) -> String {
    let mut out = String::new();
    let mut say = |key: &str, value: &str| {
        let _ = writeln!(out, "{key} = {value}");
    };
    say("address", &quoted(&mailbox.address.to_string()));
    say("type", &quoted(mailbox.kind.code()));
    if let Some(owner) = &mailbox.owner {
        say("owner", &quoted(owner.as_str()));
    }
    if let Some(structure) = &mailbox.structure {
        say("structure", &quoted(structure.as_str()));
    }
    let labels = [("name", &mailbox.name), ("service", &mailbox.service), ("responsible", &mailbox.responsible)];
    for (key, value) in labels.into_iter().filter_map(|(key, value)| value.as_ref().map(|value| (key, value))) {
        say(key, &quoted(value));
    }
    let lists = [
        ("members", &mailbox.members),
        ("delegates", &mailbox.delegates),
        ("grants", &mailbox.grants),
        ("readers", &mailbox.readers),
    ];
    for (key, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        let people: Vec<String> = list.iter().map(PersonId::as_str).map(quoted).collect();
        say(key, &format!("[{}]", people.join(", ")));
    }
    if !mailbox.until.is_empty() {
        let ends: Vec<String> = mailbox
            .until
            .iter()
            .map(|(id, end)| format!("{} = {}", quoted(id.as_str()), quoted(&end.rfc3339())))
            .collect();
        say("until", &format!("{{ {} }}", ends.join(", ")));
    }
    let addresses = [("inner_address", &mailbox.inner_address), ("redirect", &mailbox.redirect)];
    for (key, value) in addresses.into_iter().filter_map(|(key, value)| value.as_ref().map(|value| (key, value))) {
        say(key, &quoted(&value.to_string()));
    }
    if let Some(rank) = mailbox.rank {
        say("rank", &rank.to_string());
    }
    for (key, flag) in [("red_list", mailbox.red_list), ("keep_unused", mailbox.keep_unused)] {
        if flag {
            say(key, "true");
        }
    }
    if let Some(created) = mailbox.created {
        say("created", &quoted(&created.rfc3339()));
    }
    if let Some(closed) = &mailbox.closed {
        say("closed", &quoted(&closed.since.rfc3339()));
        if let Some(successor) = &closed.successor {
            say("successor", &quoted(&successor.to_string()));
        }
    }
    out
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
