//! Rows that say what an earlier row said, but for a value inside its limits.
//!
//! Nearly all rows of a records file pass, and a pass leaves nothing but counts. Two of them that agree, byte for byte, in every column
//! that bears on a passing record differ in their value alone: it is read and compared, and the counts of the earlier row are raised. A
//! row is repeated only if nothing about it is in doubt: as many fields as the header, a value of plain digits, inside the limits that the
//! earlier row had. Every other row is read as if this module did not exist. The bench is `tolerance/read`.

use std::ops::Range;

use crate::collect::Place;
use crate::io::header::Field;
use crate::io::layout::{Layout, Quantity};
use crate::io::mapping::Mapping;
use crate::io::number::parse_plain;
use crate::limit::{Boundary, Tolerance};

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

/// What is looked at for each row, kept small: it has to stay in the cache while the file streams through.
#[derive(Debug)]
struct Said {
    /// Where its bytes stand in `Repeated::bytes`.
    bytes: Range<u32>,
    tolerance: Tolerance,
    repeats: u64,
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
    /// Open addressing: upper half of the hash, and one more than the place in `said`; or zero. A quarter full at most.
    table: Vec<u64>,
    said: Vec<Said>,
    bytes: Vec<u8>,
    /// As long as `said`.
    passed: Vec<(csv::StringRecord, Place)>,
}

/// Distinct rows kept; a file with more is read the long way, so that memory stays bounded.
const KEPT: usize = 1 << 17;
/// Bytes kept of them.
const KEPT_BYTES: usize = 1 << 26;
/// Entries looked at; beyond, a row counts as new. Bounds the time that chosen collisions can take.
const PROBES: usize = 16;

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
            table: vec![0; 1 << 10],
            said: Vec::new(),
            bytes: Vec::new(),
            passed: Vec::new(),
        })
    }

    /// Counts a row that repeats an earlier one; false if it does not.
    pub(crate) fn count(&mut self, row: &[u8], ends: &[usize]) -> bool {
        if ends.len() != self.fields {
            return false;
        }
        let text = &row[span(ends, self.value, self.value)];
        let Some(value) = parse_plain(text, self.point) else { return false };
        if self.missing.iter().any(|word| word.as_bytes() == text) {
            return false;
        }
        let Ok(at) = self.find(row, ends, self.hash(row, ends)) else { return false };
        let said = &mut self.said[at];
        let passes = said.tolerance.flagging_side(value, self.boundary).is_none();
        said.repeats += u64::from(passes);
        passes
    }

    /// Remembers a row that was read the long way, passed, and left nothing but counts.
    pub(crate) fn remember(&mut self, row: &[u8], ends: &[usize], fields: &csv::StringRecord, place: Place) {
        if ends.len() != self.fields || self.said.len() >= KEPT {
            return;
        }
        if 4 * self.said.len() >= self.table.len() {
            self.grow();
        }
        let hash = self.hash(row, ends);
        let Err(Some(free)) = self.find(row, ends, hash) else { return };
        let length: usize = self.runs.iter().map(|&(first, last)| span(ends, first, last).len() + 1).sum();
        let start = self.bytes.len();
        if start + length > KEPT_BYTES {
            return;
        }
        for &(first, last) in &self.runs {
            self.bytes.extend_from_slice(&row[span(ends, first, last)]);
            self.bytes.push(b'\n');
        }
        let place_of = |n: usize| u32::try_from(n).expect("bounded by KEPT_BYTES");
        self.said.push(Said {
            bytes: place_of(start)..place_of(self.bytes.len()),
            tolerance: place.tolerance,
            repeats: 0,
        });
        self.passed.push((fields.clone(), place));
        self.table[free] = tag(hash) | self.said.len() as u64;
    }

    /// Quadruples the table. The upper half of a hash alone places an entry.
    fn grow(&mut self) {
        let entries = std::mem::take(&mut self.table);
        self.table = vec![0; 4 * entries.len()];
        for entry in entries.into_iter().filter(|e| *e != 0) {
            let free = self.probes(entry).find(|&at| self.table[at] == 0);
            // A row that finds no place is read the long way again.
            if let Some(free) = free {
                self.table[free] = entry;
            }
        }
    }

    /// The entries where a hash may stand.
    fn probes(&self, hash: u64) -> impl Iterator<Item = usize> + use<> {
        let last = self.table.len() - 1;
        let first = usize::try_from(hash >> 32).unwrap_or(0);
        (0..PROBES).map(move |probe| first.wrapping_add(probe) & last)
    }

    /// The rows and their repeats.
    pub(crate) fn into_passed(self) -> impl Iterator<Item = Passed> {
        let counted = self.passed.into_iter().zip(self.said);
        counted.map(|((fields, place), said)| Passed { fields, place, repeats: said.repeats })
    }

    /// Where a row that says the same stands in `said`; else a free entry of the table, if one is near.
    fn find(&self, row: &[u8], ends: &[usize], hash: u64) -> Result<usize, Option<usize>> {
        for at in self.probes(hash) {
            let entry = self.table[at];
            if entry == 0 {
                return Err(Some(at));
            }
            if tag(entry) == tag(hash) {
                let number = usize::try_from(entry & u64::from(u32::MAX)).unwrap_or(1) - 1;
                if self.says(row, ends, &self.said[number]) {
                    return Ok(number);
                }
            }
        }
        Err(None)
    }

    /// Whether the row's runs are those of `said`, each ended by a line end, which no field of a plain row holds.
    fn says(&self, row: &[u8], ends: &[usize], said: &Said) -> bool {
        let mut rest = &self.bytes[said.bytes.start as usize..said.bytes.end as usize];
        for &(first, last) in &self.runs {
            let run = &row[span(ends, first, last)];
            if rest.len() <= run.len() || rest[run.len()] != b'\n' || !same(&rest[..run.len()], run) {
                return false;
            }
            rest = &rest[run.len() + 1..];
        }
        rest.is_empty()
    }

    fn hash(&self, row: &[u8], ends: &[usize]) -> u64 {
        self.runs
            .iter()
            .fold(0x243f_6a88_85a3_08d3, |h, &(first, last)| mix(h, &row[span(ends, first, last)]))
    }
}

/// Where the fields `first` to `last` stand in a row.
fn span(ends: &[usize], first: usize, last: usize) -> Range<usize> {
    let start = first.checked_sub(1).map_or(0, |before| ends[before] + 1);
    start..ends[last]
}

/// The half of a hash that is kept.
fn tag(hash: u64) -> u64 {
    hash & !u64::from(u32::MAX)
}

/// Whether two slices of one length are equal; runs are short, and a call would cost more than the comparison.
#[inline]
fn same(a: &[u8], b: &[u8]) -> bool {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let words = a.iter().zip(b).fold(0, |d, (a, b)| d | (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b)));
    let bytes = a_rest.iter().zip(b_rest).fold(0, |d, (a, b)| d | (a ^ b));
    words == 0 && bytes == 0
}

/// Folds bytes into a hash, eight at a time: good enough to spread rows, and never trusted without a comparison.
fn mix(mut hash: u64, bytes: &[u8]) -> u64 {
    let mut fold = |word: u64| {
        let wide = u128::from(hash ^ word) * 0x9e37_79b9_7f4a_7c15;
        #[expect(clippy::cast_possible_truncation, reason = "both halves are folded together")]
        {
            hash = wide as u64 ^ (wide >> 64) as u64;
        }
    };
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        fold(u64::from_le_bytes(*word));
    }
    fold(rest.iter().fold(bytes.len() as u64, |word, byte| word << 8 | u64::from(*byte)));
    hash
}
