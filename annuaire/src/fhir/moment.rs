//! FHIR dates as criteria: a prefix, and a moment or a span (a day, a month, a year).

use ident::Timestamp;
use time::{Date, Month, OffsetDateTime, Time};

/// How a moment is compared with a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compare {
    Within,
    Outside,
    After,
    AtLeast,
    Before,
    AtMost,
    About,
}

/// The moments that a criterion means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moments {
    compare: Compare,
    /// First moment of the span.
    from: Timestamp,
    /// First moment behind it.
    to: Timestamp,
}

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

impl Moments {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let prefixes = [
            ("eq", Compare::Within),
            ("ne", Compare::Outside),
            ("gt", Compare::After),
            ("sa", Compare::After),
            ("ge", Compare::AtLeast),
            ("lt", Compare::Before),
            ("eb", Compare::Before),
            ("le", Compare::AtMost),
            ("ap", Compare::About),
        ];
        let found = prefixes.iter().find_map(|(prefix, compare)| Some((*compare, text.strip_prefix(prefix)?)));
        let (compare, text) = found.unwrap_or((Compare::Within, text));
        let (from, to) = span(text)?;
        Some(Self { compare, from, to })
    }

    /// Whether a moment is meant.
    pub(super) fn has(&self, at: Timestamp) -> bool {
        match self.compare {
            Compare::Within => at >= self.from && at < self.to,
            Compare::Outside => at < self.from || at >= self.to,
            Compare::After => at >= self.to,
            Compare::AtLeast => at >= self.from,
            Compare::Before => at < self.from,
            Compare::AtMost => at < self.to,
            Compare::About => at >= self.from.minus(DAY) && at < self.to.plus(DAY),
        }
    }

    /// The first moment that can be meant, if there is one.
    pub(super) fn since(&self) -> Option<Timestamp> {
        match self.compare {
            Compare::Within | Compare::AtLeast => Some(self.from),
            Compare::After => Some(self.to),
            Compare::About => Some(self.from.minus(DAY)),
            Compare::Outside | Compare::Before | Compare::AtMost => None,
        }
    }
}

/// The first moment of a FHIR date or time, and the first behind it.
pub(super) fn span(text: &str) -> Option<(Timestamp, Timestamp)> {
    let digits = |text: &str, n: usize| text.len() == n && text.bytes().all(|byte| byte.is_ascii_digit());
    let midnight = |year: i32, month: u8, day: u8| {
        let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
        let at = OffsetDateTime::new_utc(date, Time::MIDNIGHT).unix_timestamp();
        Some(Timestamp::from_seconds(at))
    };
    if let Some((_, clock)) = text.split_once('T') {
        // A plus sign that was not percent-coded comes as a blank.
        let text = text.replace(' ', "+");
        let zoned = clock.contains(['Z', '+', ' ']) || clock.contains('-');
        let text = if zoned { text } else { format!("{text}Z") };
        let (seconds, text) = match clock.bytes().filter(|byte| *byte == b':').count() {
            _ if clock.get(5..6).is_none_or(|c| c != ":") => (60, format!("{}:00{}", text.get(..16)?, text.get(16..)?)),
            _ => (1, text),
        };
        let from = Timestamp::parse(&text)?;
        let fraction = clock.contains('.');
        let width =
            if fraction { std::time::Duration::from_millis(1) } else { std::time::Duration::from_secs(seconds) };
        return Some((from, from.plus(width)));
    }
    let parts: Vec<&str> = text.split('-').collect();
    match *parts.as_slice() {
        [year] if digits(year, 4) => {
            let year: i32 = year.parse().ok()?;
            Some((midnight(year, 1, 1)?, midnight(year.checked_add(1)?, 1, 1)?))
        }
        [year, month] if digits(year, 4) && digits(month, 2) => {
            let (year, month): (i32, u8) = (year.parse().ok()?, month.parse().ok()?);
            let next = if month == 12 { (year.checked_add(1)?, 1) } else { (year, month.checked_add(1)?) };
            Some((midnight(year, month, 1)?, midnight(next.0, next.1, 1)?))
        }
        [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2) => {
            let from = midnight(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?)?;
            Some((from, from.plus(DAY)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn spans_are_as_wide_as_they_are_written() {
        for (text, from, to) in [
            ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
            ("2026-11-02", "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"),
            ("2026-11-02T04:05Z", "2026-11-02T04:05:00Z", "2026-11-02T04:06:00Z"),
            ("2026-11-02T04:05", "2026-11-02T04:05:00Z", "2026-11-02T04:06:00Z"),
            ("2026-11-02T04:05:06+02:00", "2026-11-02T02:05:06Z", "2026-11-02T02:05:07Z"),
            ("2026-11-02T04:05:06 02:00", "2026-11-02T02:05:06Z", "2026-11-02T02:05:07Z"),
        ] {
            assert_eq!(span(text), Some((at(from), at(to))), "{text}");
        }
        for text in ["", "26", "2026-13", "2026-02-30", "2026-1-1", "hier", "T", "2026-11-02T", "gt", "12345"] {
            assert_eq!(span(text), None, "{text}");
        }
    }

    #[test]
    fn prefixes_compare_with_the_whole_span() {
        let (before, within, after) =
            (at("2026-11-01T23:59:59Z"), at("2026-11-02T12:00:00Z"), at("2026-11-03T00:00:00Z"));
        for (prefix, expected) in [
            ("", [false, true, false]),
            ("eq", [false, true, false]),
            ("ne", [true, false, true]),
            ("gt", [false, false, true]),
            ("sa", [false, false, true]),
            ("ge", [false, true, true]),
            ("lt", [true, false, false]),
            ("eb", [true, false, false]),
            ("le", [true, true, false]),
            ("ap", [true, true, true]),
        ] {
            let moments = Moments::parse(&format!("{prefix}2026-11-02")).unwrap();
            assert_eq!([before, within, after].map(|at| moments.has(at)), expected, "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "(eq|ge)?[0-9TZ:+. -]{0,28}") {
            if let Some(moments) = Moments::parse(&text) {
                moments.has(Timestamp::EPOCH);
            }
        }
    }
}
