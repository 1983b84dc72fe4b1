//! Rows that say what an earlier row said, but for a value inside its limits.
//!
//! Nearly all rows of a records file pass, and a pass leaves nothing but counts. Two of them that agree, byte for byte, in every column
//! that bears on a passing record differ in their value alone: it is read and compared, and the counts of the earlier row are raised. A
//! row is repeated only if nothing about it is in doubt: as many fields as the header, a value of plain digits, inside the limits that the
//! earlier row had. Every other row is read as if this module did not exist. The bench is `tolerance/read`.

mod said;

use std::ops::Range;

use crate::collect::Place;
use crate::io::header::Field;
use crate::io::layout::{Layout, Quantity};
use crate::io::mapping::Mapping;
use crate::io::number::{parse_plain, parse_short};
use crate::io::plain::PlainRow;
use crate::limit::{Boundary, Tolerance};
use said::Said;

/// A passing row, and how many were like it.
#[derive(Debug)]
pub(crate) struct Passed {
    /// Its fields, for the verdict words.
    pub(crate) fields: csv::StringRecord,
    /// Where it is counted.
    pub(crate) place: Place,
    /// Rows like it that came later.
    pub(crate) repeats: u64,
}

/// The passing rows of one file by what they say.
pub(crate) struct Repeated {
    fields: usize,
    value: usize,
    /// Columns that bear on a passing record, as runs of neighbours, both ends included.
    runs: Vec<(usize, usize)>,
    /// Words that mean "not measured" and could be read as numbers.
    missing: Vec<String>,
    point: u8,
    boundary: Boundary,
    said: Said<Passing>,
    /// As long as `said`.
    passed: Vec<(csv::StringRecord, Place)>,
    /// What the rows at hand say.
    words: Box<[u64]>,
    asked: Vec<Asked>,
}

/// A row that may repeat an earlier one.
#[derive(Debug)]
struct Asked {
    value: f64,
    hash: u64,
    /// Where its words stand in `Repeated::words`.
    words: Range<usize>,
    /// Where an earlier row with its hash stands in `said`, and what it says there.
    place: Option<usize>,
    said: Range<usize>,
}

impl Asked {
    /// One that repeats nothing.
    const NONE: Self = Self { value: f64::NAN, hash: 0, words: 0..0, place: None, said: 0..0 };
}

/// What is looked at for each row beside what it says, kept small: it has to stay in the cache while the file streams through.
#[derive(Debug)]
struct Passing {
    /// The least value that passes; minus infinity without a lower limit.
    least: f64,
    /// The largest value that passes; infinity without an upper limit.
    largest: f64,
    repeats: u64,
}

/// Rows looked at together.
pub(crate) const ROWS: usize = 32;
/// Words that they may say together, of eight bytes; rows that say more are read the long way.
const WORDS: usize = 64 * ROWS;

impl Repeated {
    /// For the rows of one file; none where a row holds several values or one that is not simply read.
    pub(crate) fn new(layout: &Layout, mapping: &Mapping, boundary: Boundary) -> Option<Self> {
        let [measured] = layout.measured.as_slice() else { return None };
        let Quantity::Plain(Field::One(value)) = measured.value else { return None };
        if layout.wide {
            return None;
        }
        let nominal = measured.nominal.as_ref().unwrap_or(&layout.nominal);
        let (lower, upper) = (&measured.lower, &measured.upper);
        let numbers = [lower, upper, nominal, &layout.sigma, &layout.resolution, &layout.flagged];
        let fields = layout.key.iter().chain(numbers);
        let mut columns: Vec<usize> = fields.flat_map(Field::columns).copied().collect();
        columns.extend(layout.verdict.columns());
        columns.sort_unstable();
        columns.dedup();
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for &column in &columns {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == column => *last = column,
                _ => runs.push((column, column)),
            }
        }
        let numeric = |word: &&String| word.bytes().any(|b| b.is_ascii_digit());
        let usable = !columns.contains(&value);
        usable.then(|| Self {
            fields: layout.header.len(),
            value,
            runs,
            missing: mapping.file.missing.iter().filter(numeric).cloned().collect(),
            point: if mapping.file.decimal_comma { b',' } else { b'.' },
            boundary,
            said: Said::default(),
            passed: Vec::new(),
            words: vec![0; WORDS].into(),
            asked: Vec::with_capacity(ROWS),
        })
    }

    /// Counts those of at most [`ROWS`] rows that repeat an earlier one; keeps the others.
    ///
    /// Many different rows do not stay in the nearest cache, and each step waits for the one before it. Steps are taken for all rows before
    /// the next step, so that the processor waits for many of them at once.
    pub(crate) fn count(&mut self, rows: &mut Vec<PlainRow<'_>>) {
        self.asked.clear();
        let mut used = 0;
        for row in &*rows {
            let asked = self.value(row).and_then(|value| {
                let (count, hash) = spell(&self.runs, row, &mut self.words[used..])?;
                let words = used..used + count;
                used += count;
                Some(Asked { value, hash, words, ..Asked::NONE })
            });
            self.asked.push(asked.unwrap_or(Asked::NONE));
        }
        for asked in &mut self.asked {
            asked.place = self.said.place(asked.hash);
        }
        for asked in &mut self.asked {
            asked.said = asked.place.map_or(0..0, |place| self.said.words_of(place));
        }
        let mut asked = self.asked.iter();
        rows.retain(|_| {
            let Some(Asked { value, words, place: Some(place), said, .. }) = asked.next() else {
                return true;
            };
            let Some(passing) = self.said.get_mut(*place, said, &self.words[words.clone()]) else {
                return true;
            };
            let passes = passing.least <= *value && *value <= passing.largest;
            passing.repeats += u64::from(passes);
            !passes
        });
    }

    /// Remembers a row that was read the long way, passed, and left nothing but counts.
    pub(crate) fn remember(&mut self, row: &PlainRow<'_>, fields: &csv::StringRecord, place: Place) {
        if row.count() != self.fields {
            return;
        }
        let Some((count, hash)) = spell(&self.runs, row, &mut self.words) else { return };
        if self.said.insert(hash, &self.words[..count], Passing::new(place.tolerance, self.boundary)) {
            self.passed.push((fields.clone(), place));
        }
    }

    /// The rows and their repeats.
    pub(crate) fn into_passed(self) -> impl Iterator<Item = Passed> {
        let counted = self.passed.into_iter().zip(self.said.into_values());
        counted.map(|((fields, place), passing)| Passed { fields, place, repeats: passing.repeats })
    }

    /// The row's value, if it has all fields and this one is of plain digits.
    fn value(&self, row: &PlainRow<'_>) -> Option<f64> {
        if row.count() != self.fields {
            return None;
        }
        let span = row.span(self.value, self.value);
        let short = row.word_before(span.end).and_then(|word| parse_short(word, span.len(), self.point));
        let text = || row.text(self.value, self.value);
        let value = short.or_else(|| parse_plain(text(), self.point))?;
        let is_missing = !self.missing.is_empty() && self.missing.iter().any(|m| m.as_bytes() == text());
        (!is_missing).then_some(value)
    }
}

impl Passing {
    fn new(tolerance: Tolerance, boundary: Boundary) -> Self {
        let Tolerance { lower, upper } = tolerance;
        let (least, largest) = match boundary {
            Boundary::Passes => (lower, upper),
            Boundary::Flagged => (lower.map(f64::next_up), upper.map(f64::next_down)),
        };
        Self {
            least: least.unwrap_or(f64::NEG_INFINITY),
            largest: largest.unwrap_or(f64::INFINITY),
            repeats: 0,
        }
    }
}

/// Writes what the runs of a row say as words of eight bytes, and gives their number and hash; nothing for a row that says more than fits, or
/// that stands so near the start of its block that eight bytes cannot be read.
///
/// The last word of each run holds the up to seven bytes that are left, and above them a byte that no UTF-8 text holds, with their number:
/// two rows are spelled by the same words only if their runs are equal.
fn spell(runs: &[(usize, usize)], row: &PlainRow<'_>, words: &mut [u64]) -> Option<(usize, u64)> {
    let mut count = 0;
    let mut hash = 0x243f_6a88_85a3_08d3_u64;
    let mut say = |word: u64| {
        *words.get_mut(count)? = word;
        count += 1;
        let wide = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
        #[expect(clippy::cast_possible_truncation, reason = "both halves are folded together")]
        {
            hash = wide as u64 ^ (wide >> 64) as u64;
        }
        Some(())
    };
    for &(first, last) in runs {
        let (whole, rest) = row.text(first, last).as_chunks::<8>();
        for word in whole {
            say(u64::from_le_bytes(*word))?;
        }
        let left = row.word_before(row.span(first, last).end)? >> 8 >> (56 - 8 * rest.len());
        say(left | (0xf8 | rest.len() as u64) << 56)?;
    }
    Some((count, hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::plain::PlainRows;

    #[test]
    fn rows_are_spelled_alike_only_if_their_runs_are_equal() {
        let parts =
            ["", "a", "aaaaaaa", "aaaaaaaa", "aaaaaaaaa", "\u{0}", "a\u{0}", "\u{e9}\u{e9}\u{e9}\u{e9}"];
        let rows: Vec<String> = parts
            .iter()
            .flat_map(|a| parts.iter().flat_map(move |b| parts.map(|c| format!("first field,{a},{b},7,{c}"))))
            .collect();
        let mut spelled = std::collections::HashSet::new();
        for row in &rows {
            let mut plain = PlainRows::default();
            assert!(plain.find(row.as_bytes(), b','));
            let mut words = [0; 64];
            let row = plain.rows(row.as_bytes(), 5).next().unwrap();
            let (count, _) = spell(&[(1, 2), (4, 4)], &row, &mut words).unwrap();
            spelled.insert(words[..count].to_vec());
        }
        assert_eq!((spelled.len(), rows.len()), (512, 512));
    }

    #[test]
    fn a_row_that_says_too_much_or_starts_its_block_is_left() {
        let mut words = [0; 64];
        for (row, spelled) in
            [("1,23456", false), ("1,234567", true), (&format!("1,{}", "7".repeat(600)), false)]
        {
            let mut plain = PlainRows::default();
            assert!(plain.find(row.as_bytes(), b','));
            let row = plain.rows(row.as_bytes(), 2).next().unwrap();
            assert_eq!(spell(&[(0, 1)], &row, &mut words).is_some(), spelled);
        }
    }

    #[test]
    fn the_least_and_largest_values_pass_and_their_neighbours_are_flagged() {
        for boundary in [Boundary::Passes, Boundary::Flagged] {
            for (lower, upper) in [(Some(0.0), Some(5.0)), (Some(-2.5), None), (None, Some(7.0))] {
                let tolerance = Tolerance { lower, upper };
                let Passing { least, largest, .. } = Passing::new(tolerance, boundary);
                let passes = |value| tolerance.flagging_side(value, boundary).is_none();
                let ends = [(least, least.next_down()), (largest, largest.next_up())];
                for (inside, outside) in ends.into_iter().filter(|(inside, _)| inside.is_finite()) {
                    assert!(passes(inside) && !passes(outside), "{tolerance:?} {boundary:?}");
                }
                assert_eq!((least.is_finite(), largest.is_finite()), (lower.is_some(), upper.is_some()));
            }
        }
    }
}
