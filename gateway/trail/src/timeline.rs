//! One message's life in words: what `why` prints.

use ident::{Bilingual, Timestamp};
use serde::Serialize;

use crate::{Record, SafeText};

/// How a line should strike the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mood {
    /// Went as it should.
    Good,
    /// A step on the way.
    Neutral,
    /// Not yet, or needs a look.
    Warning,
    /// Went wrong, or was refused.
    Bad,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When.
    pub at: Timestamp,
    /// Stable id of the event.
    pub event: &'static str,
    /// The recipient concerned, if not all.
    pub recipient: Option<String>,
    /// What happened, in one sentence.
    pub text: Bilingual,
    /// How it should look.
    pub mood: Mood,
}

/// The lines of one message, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// The lines.
    pub lines: Vec<Line>,
}

impl Timeline {
    /// Tells the records in the order of their time; records of one moment keep their order.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut lines: Vec<Line> = records.into_iter().map(line).collect();
        lines.sort_by_key(|line| line.at);
        Self { lines }
    }
}

fn line(record: &Record) -> Line {
    let (mood, text) = crate::telling::tell(&record.event);
    let recipient = record.recipient.as_ref().map(ToString::to_string);
    Line { at: record.at, event: record.event.id(), recipient, text, mood }
}

/// Appends ` (text)` when there is one.
pub(crate) fn aside(text: Option<&SafeText>) -> String {
    text.map(|text| format!(" ({text})")).unwrap_or_default()
}
