//! One column of numbers: a list that grows while a generation is built, then packed into as few bits as will do.
//!
//! A nation has a hundred columns of up to two million rows, and two nations are in memory whenever one takes the
//! other's place (decision 0052). Most columns need a quarter of 32 bits.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use foldhash::fast::RandomState;

/// "Nothing here" in a column of row numbers.
pub(crate) const NONE: u32 = u32::MAX;

/// Rows that share one base in a column whose neighbours are near each other.
const FRAME: usize = 128;
/// Most distinct values that are listed aside.
const LISTED: usize = 1 << 16;
/// Octets behind the last code: eight are read at a time.
const SPARE: usize = 8;

/// One column. Reading outside of it gives [`NONE`], so damaged data can never panic.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Column {
    /// While it is built.
    growing: Vec<u32>,
    /// Ever after, in place of the list.
    packed: Option<Packed>,
}

/// A column at rest: for each row a code of so many bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    rows: u32,
    bits: u32,
    form: Form,
    /// What a code refers to, by form.
    aside: Vec<u32>,
    /// The codes end to end, the lowest bit first, and [`SPARE`] octets.
    octets: Vec<u8>,
}

/// What a code means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// One more than the value, so that [`NONE`] is the smallest of all.
    Plain,
    /// The place of the value in a list of the distinct ones.
    Listed,
    /// How much the value is above the least one of its [`FRAME`] rows.
    Framed,
}

impl From<Vec<u32>> for Column {
    fn from(values: Vec<u32>) -> Self {
        Self { growing: values, packed: None }
    }
}

impl From<Packed> for Column {
    fn from(packed: Packed) -> Self {
        Self { growing: Vec::new(), packed: Some(packed) }
    }
}

impl Column {
    pub(crate) fn at(&self, row: u32) -> u32 {
        match &self.packed {
            None => place(&self.growing, row),
            Some(packed) => packed.at(row),
        }
    }

    /// The value of a column of texts: the empty text outside.
    pub(crate) fn text_at(&self, row: u32) -> u32 {
        match self.at(row) {
            NONE => 0,
            text => text,
        }
    }

    pub(crate) fn len(&self) -> u32 {
        match &self.packed {
            None => u32::try_from(self.growing.len()).unwrap_or(NONE),
            Some(packed) => packed.rows,
        }
    }

    /// The rows `starts[row]..starts[row + 1]`, this column being the list of starts.
    pub(crate) fn range(&self, row: u32) -> std::ops::Range<u32> {
        match (self.at(row), self.at(row.saturating_add(1))) {
            (NONE, _) | (_, NONE) => 0..0,
            (start, end) => start..end,
        }
    }

    /// The values of this column that belong to `row` according to `starts`.
    pub(crate) fn of(&self, starts: &Self, row: u32) -> Values<'_> {
        let range = starts.range(row);
        Values { column: self, next: range.start, end: range.end.min(self.len()) }
    }

    /// All values, row by row.
    pub(crate) fn values(&self) -> Values<'_> {
        Values { column: self, next: 0, end: self.len() }
    }

    /// The values to be changed: what is packed is unpacked.
    pub(crate) fn cells(&mut self) -> &mut Vec<u32> {
        if let Some(packed) = self.packed.take() {
            self.growing = (0..packed.rows).map(|row| packed.at(row)).collect();
        }
        &mut self.growing
    }

    pub(crate) fn push(&mut self, value: u32) {
        self.cells().push(value);
    }

    /// Puts it at rest, in the form that takes least.
    pub(crate) fn pack(&mut self) {
        if self.packed.is_none() {
            self.packed = Some(Packed::of(&std::mem::take(&mut self.growing)));
        }
    }

    /// As it is at rest; of one that grows, as it would be.
    pub(super) fn at_rest(&self) -> Cow<'_, Packed> {
        match &self.packed {
            Some(packed) => Cow::Borrowed(packed),
            None => Cow::Owned(Packed::of(&self.growing)),
        }
    }
}

/// Values of a column, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Values<'a> {
    column: &'a Column,
    next: u32,
    end: u32,
}

impl Iterator for Values<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let row = self.next;
        if row >= self.end {
            return None;
        }
        self.next = row.saturating_add(1);
        Some(self.column.at(row))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.end.saturating_sub(self.next)).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Values<'_> {}

impl Packed {
    fn of(values: &[u32]) -> Self {
        let least = |frame: &[u32]| frame.iter().copied().min().unwrap_or(0);
        let above = |frame: &[u32]| frame.iter().copied().max().unwrap_or(0).saturating_sub(least(frame));
        let plain = bits(values.iter().map(|value| value.wrapping_add(1)).max().unwrap_or(0));
        let framed = bits(values.chunks(FRAME).map(above).max().unwrap_or(0));
        let listed = distinct(values);
        let size = |bits: u32, aside: usize| {
            values.len().saturating_mul(usize::try_from(bits).unwrap_or(32)).saturating_add(aside.saturating_mul(32))
        };
        let width = |list: &[u32]| bits(u32::try_from(list.len().saturating_sub(1)).unwrap_or(NONE));
        let of_list = listed.as_ref().map_or(usize::MAX, |list| size(width(list), list.len()));
        let (of_plain, of_frames) = (size(plain, 0), size(framed, values.len().div_ceil(FRAME)));
        match listed {
            Some(list) if of_list < of_plain && of_list <= of_frames => {
                let places: HashMap<u32, u32, RandomState> = list.iter().copied().zip(0..).collect();
                let codes = values.iter().map(|value| places.get(value).copied().unwrap_or(0));
                Self::with(Form::Listed, width(&list), codes).beside(list)
            }
            _ if of_frames < of_plain => {
                let codes = values.chunks(FRAME).flat_map(|frame| {
                    let least = least(frame);
                    frame.iter().map(move |value| value.saturating_sub(least))
                });
                Self::with(Form::Framed, framed, codes).beside(values.chunks(FRAME).map(least).collect())
            }
            _ => Self::with(Form::Plain, plain, values.iter().map(|value| value.wrapping_add(1))),
        }
    }

    fn beside(self, aside: Vec<u32>) -> Self {
        Self { aside, ..self }
    }

    fn with(form: Form, bits: u32, codes: impl Iterator<Item = u32>) -> Self {
        let most = codes.size_hint().1.unwrap_or(0);
        let mut octets = Vec::with_capacity(length(u32::try_from(most).unwrap_or(0), bits).unwrap_or(0));
        let (mut rows, mut held, mut filled) = (0u32, 0u64, 0u32);
        for code in codes {
            // Never more than 7 + 32 bits.
            held |= u64::from(code) << (filled & 7);
            filled = filled.saturating_add(bits);
            while filled >= 8 {
                octets.push(held.to_le_bytes()[0]);
                held >>= 8;
                filled = filled.saturating_sub(8);
            }
            rows = rows.saturating_add(1);
        }
        if filled > 0 {
            octets.push(held.to_le_bytes()[0]);
        }
        octets.resize(octets.len().saturating_add(SPARE), 0);
        octets.shrink_to_fit();
        Self { rows, bits, form, aside: Vec::new(), octets }
    }

    /// As it was stored; nothing when its parts do not fit together.
    pub(super) fn stored(rows: u32, bits: u32, form: Form, aside: Vec<u32>, octets: Vec<u8>) -> Option<Self> {
        let fits = bits <= 32 && rows < NONE && length(rows, bits) == Some(octets.len());
        fits.then_some(Self { rows, bits, form, aside, octets })
    }

    pub(super) fn shape(&self) -> (u32, u32, Form) {
        (self.rows, self.bits, self.form)
    }

    pub(super) fn parts(&self) -> (&[u32], &[u8]) {
        (&self.aside, &self.octets)
    }

    fn at(&self, row: u32) -> u32 {
        if row >= self.rows {
            return NONE;
        }
        let code = self.code(row);
        match self.form {
            Form::Plain => code.wrapping_sub(1),
            Form::Listed => place(&self.aside, code),
            Form::Framed => place(&self.aside, row >> FRAME.trailing_zeros()).saturating_add(code),
        }
    }

    fn code(&self, row: u32) -> u32 {
        let bit = u64::from(row).wrapping_mul(u64::from(self.bits));
        let from = usize::try_from(bit >> 3).unwrap_or(usize::MAX);
        let Some(octets) = self.octets.get(from..).and_then(<[u8]>::first_chunk) else { return 0 };
        let mask = u64::from(u32::MAX).checked_shr(32u32.saturating_sub(self.bits)).unwrap_or(0);
        u32::try_from(u64::from_le_bytes(*octets) >> (bit & 7) & mask).unwrap_or(NONE)
    }
}

/// How many octets so many codes take; nothing when that is no number.
fn length(rows: u32, bits: u32) -> Option<usize> {
    let bits = u64::from(rows).checked_mul(u64::from(bits))?;
    usize::try_from(bits.div_ceil(8)).ok()?.checked_add(SPARE)
}

fn bits(most: u32) -> u32 {
    32u32.saturating_sub(most.leading_zeros())
}

fn place(values: &[u32], row: u32) -> u32 {
    usize::try_from(row).ok().and_then(|row| values.get(row)).copied().unwrap_or(NONE)
}

/// The distinct values in order; nothing when they are too many to be listed.
fn distinct(values: &[u32]) -> Option<Vec<u32>> {
    let mut seen: HashSet<u32, RandomState> = HashSet::default();
    for run in values.chunk_by(|one, other| one == other) {
        seen.extend(run.first());
        if seen.len() > LISTED {
            return None;
        }
    }
    let mut list: Vec<u32> = seen.into_iter().collect();
    list.sort_unstable();
    Some(list)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packed(values: &[u32]) -> Column {
        let mut column = Column::from(values.to_vec());
        column.pack();
        column
    }

    fn holds(values: &[u32]) -> Result<(), TestCaseError> {
        let mut column = packed(values);
        prop_assert_eq!(column.len() as usize, values.len());
        prop_assert!(column.values().eq(values.iter().copied()));
        for (row, value) in (0u32..).zip(values) {
            prop_assert_eq!(column.at(row), *value);
        }
        for outside in [values.len() as u32, values.len() as u32 + 1, u32::MAX] {
            prop_assert_eq!(column.at(outside), NONE);
        }
        prop_assert_eq!(column.cells().as_slice(), values);
        Ok(())
    }

    proptest! {
        #[test]
        fn any_numbers_come_back(values in proptest::collection::vec(any::<u32>(), 0..400)) {
            holds(&values)?;
        }

        #[test]
        fn few_values_come_back(
            list in proptest::collection::vec(any::<u32>(), 1..9),
            places in proptest::collection::vec(any::<prop::sample::Index>(), 0..700),
        ) {
            holds(&places.iter().map(|at| list[at.index(list.len())]).collect::<Vec<_>>())?;
        }

        #[test]
        fn rising_values_come_back(start in any::<u32>(), steps in proptest::collection::vec(0u32..3000, 0..700)) {
            let mut at = start;
            let rising = steps.iter().map(|step| { at = at.saturating_add(*step); at });
            holds(&rising.collect::<Vec<_>>())?;
        }

        #[test]
        fn small_values_come_back(
            most in 0u32..32,
            values in proptest::collection::vec((any::<u32>(), 0u32..20), 0..700),
        ) {
            let small = |(value, none)| if none == 0 { NONE } else { value & ((1 << most) - 1) };
            holds(&values.into_iter().map(small).collect::<Vec<_>>())?;
        }

        #[test]
        fn stored_parts_that_do_not_fit_are_refused_and_others_never_panic(
            rows in 0u32..300,
            bits in 0u32..40,
            aside in proptest::collection::vec(any::<u32>(), 0..4),
            octets in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            for form in [Form::Plain, Form::Listed, Form::Framed] {
                let length = (rows as usize * bits as usize).div_ceil(8) + 8;
                let mut right = octets.clone();
                right.resize(length, 7);
                prop_assert_eq!(Packed::stored(rows, bits, form, aside.clone(), octets.clone()).is_some(),
                    bits <= 32 && octets.len() == length);
                if let Some(packed) = Packed::stored(rows, bits, form, aside.clone(), right) {
                    prop_assert_eq!(Column::from(packed).values().count(), rows as usize);
                }
            }
        }
    }

    #[test]
    fn each_kind_of_column_takes_the_form_that_is_made_for_it() {
        let form = |values: &[u32]| {
            let column = packed(values);
            let (_, bits, form) = column.at_rest().shape();
            (form, bits)
        };
        let few: Vec<u32> = (0..2000).map(|n| [5, NONE, 1_000_000][n % 3]).collect();
        assert_eq!(form(&few), (Form::Listed, 2));
        let rising: Vec<u32> = (0..2000).map(|n| 4_000_000 + 3 * n).collect();
        assert_eq!(form(&rising), (Form::Framed, 9));
        let any: Vec<u32> = (0..2000u32).map(|n| n.wrapping_mul(2_654_435_761) >> 9).collect();
        assert_eq!(form(&any), (Form::Plain, 23));
        assert_eq!(form(&[7; 500]), (Form::Listed, 0));
        assert_eq!(form(&[]), (Form::Plain, 0));
    }

    #[test]
    fn a_list_is_cut_where_the_column_ends() {
        let starts = packed(&[0, 2, 2, 9]);
        let list = packed(&[4, 5, 6]);
        assert_eq!(list.of(&starts, 0).collect::<Vec<_>>(), [4, 5]);
        assert_eq!(list.of(&starts, 1).count(), 0);
        assert_eq!(list.of(&starts, 2).collect::<Vec<_>>(), [6]);
        assert_eq!(list.of(&starts, 3).count(), 0);
    }
}
