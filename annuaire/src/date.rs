//! Calendar days as the extracts write them.

use std::fmt;

use ident::Timestamp;
use serde::{Serialize, Serializer};
use time::{Month, OffsetDateTime};

/// A calendar day, kept as the number `AAAAMMJJ`. Always a day that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(u32);

impl Date {
    /// The day that generated extracts pretend to be from, unless the caller says another.
    pub const GENERATED: Self = Self(20_261_102);

    /// Reads `AAAAMMJJ`, `YYYY-MM-DD` or `dd/mm/yyyy` (rule DIR-7 and the restricted extract); a time of day
    /// after a blank or a `T` is passed over.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let day = match text.get(..10).zip(text.get(10..)) {
            Some((day, "")) => day,
            Some((day, rest)) if rest.starts_with(['T', ' ']) => day,
            _ => text,
        };
        match *day.as_bytes() {
            [a, b, c, d, e, f, g, h] => Self::from_digits([a, b, c, d, e, f, g, h]),
            [a, b, c, d, b'-', e, f, b'-', g, h] => Self::from_digits([a, b, c, d, e, f, g, h]),
            [g, h, b'/', e, f, b'/', a, b, c, d] => Self::from_digits([a, b, c, d, e, f, g, h]),
            _ => None,
        }
    }

    fn from_digits(digits: [u8; 8]) -> Option<Self> {
        let mut number = 0u32;
        for digit in digits {
            let value = char::from(digit).to_digit(10)?;
            number = number.saturating_mul(10).saturating_add(value);
        }
        Self::from_number(number)
    }

    /// From the number `AAAAMMJJ`.
    pub fn from_number(number: u32) -> Option<Self> {
        let date = Self(number);
        let month = Month::try_from(date.month()).ok()?;
        time::Date::from_calendar_date(i32::try_from(date.year()).ok()?, month, date.day()).ok()?;
        (date.year() >= 1).then_some(date)
    }

    /// The day in UTC that a moment falls on.
    pub fn of(at: Timestamp) -> Option<Self> {
        let day = OffsetDateTime::from_unix_timestamp(at.seconds()).ok()?.date();
        let year = u32::try_from(day.year()).ok()?;
        let number = year.saturating_mul(10_000);
        let number = number.saturating_add(u32::from(u8::from(day.month())).saturating_mul(100));
        Self::from_number(number.saturating_add(u32::from(day.day())))
    }

    /// The first moment of the day, UTC.
    pub fn midnight(self) -> Timestamp {
        Timestamp::parse(&format!("{self}T00:00:00Z")).unwrap_or(Timestamp::EPOCH)
    }

    /// So many days later (earlier, if negative); the same day where the calendar ends.
    #[must_use]
    pub fn plus_days(self, days: i32) -> Self {
        let moved = self.midnight().seconds().saturating_add(i64::from(days).saturating_mul(86_400));
        Self::of(Timestamp::from_seconds(moved)).unwrap_or(self)
    }

    /// The number `AAAAMMJJ`.
    pub const fn number(self) -> u32 {
        self.0
    }

    fn year(self) -> u32 {
        self.0.checked_div(10_000).unwrap_or(0)
    }

    fn month(self) -> u8 {
        u8::try_from((self.0 / 100).checked_rem(100).unwrap_or(0)).unwrap_or(0)
    }

    fn day(self) -> u8 {
        u8::try_from(self.0.checked_rem(100).unwrap_or(0)).unwrap_or(0)
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year(), self.month(), self.day())
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_every_form_of_the_same_day() {
        for text in ["20260826", "2026-08-26", "26/08/2026", " 2026-08-26 ", "2026-08-26T10:13:00", "26/08/2026 10:13"]
        {
            assert_eq!(Date::parse(text).map(Date::number), Some(20_260_826), "{text}");
        }
        assert_eq!(Date::parse("2026-08-26").unwrap().to_string(), "2026-08-26");
    }

    #[test]
    fn refuses_days_that_do_not_exist() {
        for text in
            ["", "0", "20260230", "2026-13-01", "31/04/2026", "2026/08/26", "260826", "2026-08-26X", "0000-01-01"]
        {
            assert_eq!(Date::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_day_starts_at_midnight() {
        let day = Date::parse("20260826").unwrap();
        assert_eq!(day.midnight().rfc3339(), "2026-08-26T00:00:00Z");
        assert_eq!(Date::of(day.midnight()), Some(day));
        assert_eq!(day.plus_days(6).to_string(), "2026-09-01");
        assert_eq!(day.plus_days(-365).to_string(), "2025-08-26");
        assert_eq!(Date::from_number(Date::GENERATED.number()), Some(Date::GENERATED));
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,24}") {
            if let Some(date) = Date::parse(&text) {
                prop_assert_eq!(Date::parse(&date.to_string()), Some(date));
            }
        }
    }
}
