//! Rows of a block without quotes: cut at line ends and delimiters alone, eight bytes at a time.
//!
//! Gives what the CSV reader gives for such a block, blank lines skipped and lines counted as it does; a test compares the two.

/// The rows of a block that holds no quotes, and carriage returns only before line feeds, as Windows writes them.
pub(crate) struct PlainRows<'b> {
    block: &'b [u8],
    delimiter: u8,
    /// Where the word starts that `marks` belongs to.
    base: usize,
    /// The high bit of each byte of the word that ends a field and is still to be visited.
    marks: u64,
    start: usize,
    line: u64,
}

/// Whether [`PlainRows`] can cut `block`.
pub(crate) fn is_plain(block: &[u8]) -> bool {
    let mut odd = memchr::memchr2_iter(b'"', b'\r', block);
    odd.all(|at| block[at] == b'\r' && block.get(at + 1) == Some(&b'\n'))
        && std::str::from_utf8(block).is_ok()
}

/// A row and the line that it starts on, counted from 0 at the block's first.
pub(crate) struct PlainRow<'b> {
    pub(crate) bytes: &'b [u8],
    pub(crate) line: u64,
}

impl<'b> PlainRows<'b> {
    pub(crate) fn new(block: &'b [u8], delimiter: u8) -> Self {
        let marks = marks(word(block, 0), delimiter);
        Self { block, delimiter, base: 0, marks, start: 0, line: 0 }
    }

    /// The next row; `ends` then holds, for each of its fields, where it ends in the row.
    pub(crate) fn next(&mut self, ends: &mut Vec<usize>) -> Option<PlainRow<'b>> {
        ends.clear();
        let mut line = self.line;
        loop {
            while self.marks == 0 {
                self.base += 8;
                if self.base >= self.block.len() {
                    return self.last(ends, line);
                }
                self.marks = marks(word(self.block, self.base), self.delimiter);
            }
            let at = self.base + self.marks.trailing_zeros() as usize / 8;
            self.marks &= self.marks - 1;
            match self.block.get(at) {
                Some(b'\n') => {}
                Some(_) => {
                    ends.push(at - self.start);
                    continue;
                }
                // A delimiter of zero is found in the padding of the last word.
                None => continue,
            }
            self.line += 1;
            let start = std::mem::replace(&mut self.start, at + 1);
            let bytes = &self.block[start..at];
            let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
            if !bytes.is_empty() {
                ends.push(bytes.len());
                return Some(PlainRow { bytes, line });
            }
            line = self.line;
        }
    }

    /// The row that no line end follows.
    fn last(&mut self, ends: &mut Vec<usize>, line: u64) -> Option<PlainRow<'b>> {
        let bytes = &self.block[std::mem::replace(&mut self.start, self.block.len())..];
        ends.push(bytes.len());
        (!bytes.is_empty()).then_some(PlainRow { bytes, line })
    }
}

/// The eight bytes at `at`, the first in the lowest bits; zeros past the end.
fn word(block: &[u8], at: usize) -> u64 {
    let rest = &block[at..];
    if let Some(bytes) = rest.first_chunk::<8>() {
        return u64::from_le_bytes(*bytes);
    }
    rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The high bit of each byte of `word` that is a line end or the delimiter.
fn marks(word: u64, delimiter: u8) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f * EACH;
    // A byte is zero where neither its low seven bits nor its high bit say otherwise; no carry leaves a byte.
    let zeros = |x: u64| !(((x & LOW) + LOW) | x | LOW);
    zeros(word ^ (EACH * u64::from(b'\n'))) | zeros(word ^ (EACH * u64::from(delimiter)))
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
        let mut plain = PlainRows::new(block, b',');
        let (mut rows, mut ends) = (Vec::new(), Vec::new());
        while let Some(row) = plain.next(&mut ends) {
            let starts = std::iter::once(0).chain(ends.iter().map(|e| e + 1));
            let fields =
                starts.zip(&ends).map(|(s, e)| String::from_utf8(row.bytes[s..*e].to_vec()).unwrap());
            rows.push((row.line, fields.collect()));
        }
        rows
    }

    #[test]
    fn rows_fields_and_lines_are_those_of_the_csv_reader() {
        let mut random = Seeded::new(11);
        let mut rows = 0;
        for _ in 0..4_000 {
            let alphabet =
                ["a", ",", "\n", "\r\n", "7.5", " ", "\u{e9}", "\u{0}", "\n\n", "longer than a word"];
            let text: String =
                (0..random.below(30)).map(|_| alphabet[random.below(alphabet.len())]).collect();
            let expected = by_csv(text.as_bytes());
            assert_eq!(by_plain(text.as_bytes()), expected, "{text:?}");
            rows += expected.len();
        }
        assert!(rows > 10_000, "{rows}");
    }

    #[test]
    fn quotes_lone_carriage_returns_and_broken_text_are_left_to_others() {
        assert!(is_plain("a,b\n\u{e9}\r\n\r\n".as_bytes()));
        for block in [&b"a,\"b\n"[..], b"a\rb\r\n", b"a\r", b"a\r\r\n", b"\xff"] {
            assert!(!is_plain(block));
        }
    }
}
