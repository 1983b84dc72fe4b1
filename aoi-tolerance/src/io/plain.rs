//! Rows of a block without quotes: all its line ends and delimiters are found first, 64 bytes at a time, and rows are what lies between.
//!
//! Gives what the CSV reader gives for such a block, blank lines skipped and lines counted as it does; a test compares the two. The bench
//! is `tolerance/read`.

mod marks;
mod places;

use std::ops::Range;

use marks::{Marks, equal, mark};
use places::Places;

/// Where the fields and lines of a block end that holds no quotes, and carriage returns only before line feeds, as Windows writes them.
#[derive(Debug, Default)]
pub(crate) struct PlainRows {
    marks: Vec<Marks>,
    fields: Places,
    lines: Places,
}

/// A row that is not blank.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlainRow<'b> {
    block: &'b [u8],
    start: usize,
    /// Where its fields end in the block.
    ends: &'b [u32],
    /// The line that it starts on, counted from 0 at the block's first.
    pub(crate) line: u64,
}

/// Bytes of the longest block that is looked at; a longer one is a single record.
const MOST: usize = 1 << 30;

impl PlainRows {
    /// Finds the rows of `block`; false where it takes the CSV reader.
    pub(crate) fn find(&mut self, block: &[u8], delimiter: u8) -> bool {
        if block.len() > MOST || !self.mark(block, delimiter) {
            return false;
        }
        self.fields.find();
        self.lines.find();
        if block.last().is_some_and(|&byte| byte != b'\n') {
            #[expect(clippy::cast_possible_truncation, reason = "at most MOST")]
            let end = block.len() as u32;
            self.fields.push(end);
            self.lines.push(end);
        }
        true
    }

    /// Marks where its fields and lines end but for what its end ends.
    fn mark(&mut self, block: &[u8], delimiter: u8) -> bool {
        let (chunks, rest) = block.as_chunks::<64>();
        mark(chunks, delimiter, &mut self.marks);
        let mut last = [0; 64];
        last[..rest.len()].copy_from_slice(rest);
        let inside = (1 << rest.len()) - 1;
        self.fields.clear();
        self.lines.clear();
        // Whether the chunk before ended with a carriage return.
        let mut returned = 0;
        let mut ascii = true;
        let mut add = |chunk: &[u8; 64], marks: Marks, inside: u64| {
            let feeds = marks.feeds & inside;
            let mut lines = feeds;
            if marks.odd || returned != 0 {
                let returns = equal(chunk, b'\r');
                let after = returns << 1 | returned;
                if equal(chunk, b'"') != 0 || after & !feeds != 0 {
                    return false;
                }
                lines = returns | (feeds & !after);
                returned = returns >> 63;
                ascii &= chunk.is_ascii();
            }
            self.fields.mark(lines | (marks.delimiters & inside));
            self.lines.mark(lines);
            true
        };
        let plain = chunks.iter().zip(&self.marks).all(|(chunk, marks)| add(chunk, *marks, u64::MAX));
        mark(&[last], delimiter, &mut self.marks);
        plain && add(&last, self.marks[0], inside) && (ascii || std::str::from_utf8(block).is_ok())
    }

    /// Lines of the block that was looked at last.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.count() as u64
    }

    /// The rows of the `block` that was looked at last; most of them have `fields` fields.
    pub(crate) fn rows<'b>(&'b self, block: &'b [u8], fields: usize) -> impl Iterator<Item = PlainRow<'b>> {
        let mut start = 0;
        let mut rest = self.fields.found();
        (0..).zip(self.lines.found()).filter_map(move |(line, end)| {
            let expected = rest.get(fields.wrapping_sub(1)) == Some(end);
            let count = if expected { fields } else { 1 + rest.iter().position(|e| e == end)? };
            let (ends, after) = rest.split_at(count);
            let row = PlainRow { block, start, ends, line };
            rest = after;
            let end = *end as usize;
            start = end + 1 + usize::from(block.get(end) == Some(&b'\r'));
            (row.start < end).then_some(row)
        })
    }
}

impl<'b> PlainRow<'b> {
    /// How many fields it has.
    pub(crate) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Where the fields `first` to `last` stand in the block.
    pub(crate) fn span(&self, first: usize, last: usize) -> Range<usize> {
        let start = first.checked_sub(1).map_or(self.start, |before| self.ends[before] as usize + 1);
        start..self.ends[last] as usize
    }

    /// The fields `first` to `last` with what stands between them.
    pub(crate) fn text(&self, first: usize, last: usize) -> &'b [u8] {
        &self.block[self.span(first, last)]
    }

    /// The fields.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'b str> {
        // The whole block is UTF-8, and delimiters are ASCII.
        (0..self.count()).map(|field| std::str::from_utf8(self.text(field, field)).unwrap_or_default())
    }

    /// The eight bytes of the block before `end`, the first in the lowest bits; none if there are fewer.
    pub(crate) fn word_before(&self, end: usize) -> Option<u64> {
        self.block[..end].last_chunk().map(|bytes| u64::from_le_bytes(*bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::parse::start_line;
    use aoi_testing::Seeded;

    fn by_csv(block: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut csv = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(block);
        let mut rows = Vec::new();
        let mut row = csv::StringRecord::new();
        while csv.read_record(&mut row).unwrap() {
            rows.push((start_line(block, row.position()), row.iter().map(str::to_owned).collect()));
        }
        rows
    }

    fn by_plain(block: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut plain = PlainRows::default();
        assert!(plain.find(b"what,is\nleft of\nan earlier\nblock, changes nothing", b','));
        assert!(plain.find(block, b','));
        let by_fields = |fields| -> Vec<(u64, Vec<String>)> {
            plain.rows(block, fields).map(|r| (r.line, r.fields().map(str::to_owned).collect())).collect()
        };
        assert!((0..5).all(|fields| by_fields(fields) == by_fields(2)));
        by_fields(2)
    }

    #[test]
    fn rows_fields_and_lines_are_those_of_the_csv_reader() {
        let mut random = Seeded::new(11);
        let mut rows = 0;
        for _ in 0..4_000 {
            let alphabet =
                ["a", ",", "\n", "\r\n", "7.5", " ", "\u{e9}", "\u{0}", "\n\n", "longer than a word"];
            let text: String =
                (0..random.below(60)).map(|_| alphabet[random.below(alphabet.len())]).collect();
            let expected = by_csv(text.as_bytes());
            assert_eq!(by_plain(text.as_bytes()), expected, "{text:?}");
            rows += expected.len();
        }
        assert!(rows > 10_000, "{rows}");
    }

    #[test]
    fn quotes_lone_carriage_returns_and_broken_text_are_left_to_others() {
        let mut plain = PlainRows::default();
        // Before and behind the end of a chunk of 64 bytes.
        for before in 0..140 {
            let mut is_plain = |end: &[u8]| plain.find(&[vec![b'x'; before].as_slice(), end].concat(), b',');
            assert!(is_plain("a,b\n\u{e9}\r\n\r\n".as_bytes()));
            for end in [&b"a,\"b\n"[..], b"a\rb\r\n", b"a\r", b"a\r\r\n", b"\xff"] {
                assert!(!is_plain(end), "{before} {end:?}");
            }
        }
    }
}
