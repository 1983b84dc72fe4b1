//! A stream of bytes cut into blocks that end where a record ends, so that blocks can be parsed independently.
//!
//! A line end inside a quoted field ends no record. A quote opens a field only at its start, as in RFC 4180; elsewhere it is a
//! character like any other.

use memchr::{memchr, memchr_iter, memrchr};

use crate::error::Error;
use crate::io::input::Input;

/// Whole records of one file.
#[derive(Debug)]
pub(crate) struct Block {
    /// Line of the first byte, the file's first line being 1.
    pub(crate) first_line: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Bytes in a block, unless one record is longer.
const BLOCK: usize = 1 << 18;

/// Cuts an input into blocks.
pub(crate) struct Blocks {
    input: Input,
    delimiter: u8,
    block: usize,
    carried: Vec<u8>,
    line: u64,
    ended: bool,
}

impl Blocks {
    pub(crate) fn new(input: Input, delimiter: u8) -> Self {
        Self { input, delimiter, block: BLOCK, carried: Vec::new(), line: 1, ended: false }
    }

    /// The next block; none at the end of the input.
    ///
    /// # Errors
    /// When the input cannot be read, or ends inside a quoted field: what follows the quote would be swallowed in silence.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, Error> {
        let mut bytes = std::mem::take(&mut self.carried);
        let mut scanner = Scanner::new(self.delimiter);
        loop {
            if self.ended {
                if bytes.is_empty() {
                    return Ok(None);
                }
                scanner.scan(&bytes, true);
                if let Some(opened) = scanner.open_quote() {
                    let line = self.line + memchr_iter(b'\n', &bytes[..opened]).count() as u64;
                    return Err(Error::UnclosedQuote { path: self.input.path().to_owned(), line });
                }
                return Ok(Some(self.block(bytes)));
            }
            let have = bytes.len();
            bytes.resize(have + self.block, 0);
            let read = self.input.fill(&mut bytes[have..])?;
            bytes.truncate(have + read);
            self.ended = read < self.block;
            if self.ended {
                continue;
            }
            scanner.scan(&bytes, false);
            if let Some(end) = scanner.last_record_end() {
                self.carried = bytes.split_off(end);
                return Ok(Some(self.block(bytes)));
            }
        }
    }

    fn block(&mut self, bytes: Vec<u8>) -> Block {
        let first_line = self.line;
        self.line += memchr_iter(b'\n', &bytes).count() as u64;
        Block { first_line, bytes }
    }

    pub(crate) fn into_input(self) -> Input {
        self.input
    }
}

/// Finds the last line end outside quotes; continues where it stopped when the buffer grows.
pub(crate) struct Scanner {
    delimiter: u8,
    /// Bytes looked at.
    seen: usize,
    /// Where the open quoted field starts.
    open: Option<usize>,
    /// Just past the last line end outside quotes.
    record_end: Option<usize>,
}

impl Scanner {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self { delimiter, seen: 0, open: None, record_end: None }
    }

    pub(crate) fn open_quote(&self) -> Option<usize> {
        self.open
    }

    pub(crate) fn last_record_end(&self) -> Option<usize> {
        self.record_end
    }

    /// Looks at what is new in `bytes`; `at_end` says that nothing follows.
    pub(crate) fn scan(&mut self, bytes: &[u8], at_end: bool) {
        let mut at = self.seen;
        while at < bytes.len() {
            if self.open.is_some() {
                let Some(quote) = memchr(b'"', &bytes[at..]).map(|i| at + i) else { break };
                match bytes.get(quote + 1) {
                    Some(b'"') => at = quote + 2,
                    // A quote at the very end may be the first half of an escaped one: look again when more has come.
                    None if !at_end => {
                        self.seen = quote;
                        return;
                    }
                    None | Some(_) => {
                        self.open = None;
                        at = quote + 1;
                    }
                }
                continue;
            }
            let quote = memchr(b'"', &bytes[at..]).map(|i| at + i);
            let plain = &bytes[at..quote.unwrap_or(bytes.len())];
            if let Some(end) = memrchr(b'\n', plain) {
                self.record_end = Some(at + end + 1);
            }
            let Some(quote) = quote else { break };
            let before = quote.checked_sub(1).map(|i| bytes[i]);
            if before.is_none_or(|b| b == self.delimiter || b == b'\n' || b == b'\r') {
                self.open = Some(quote);
            }
            at = quote + 1;
        }
        self.seen = bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::input::BytesRead;

    /// The text in blocks of at least `block` bytes.
    fn cut(text: &str, block: usize) -> Result<Vec<(u64, String)>, Error> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let mut blocks = Blocks::new(Input::open(file.path(), BytesRead::default())?, b',');
        blocks.block = block;
        let mut cuts = Vec::new();
        while let Some(b) = blocks.next()? {
            cuts.push((b.first_line, String::from_utf8(b.bytes).unwrap()));
        }
        Ok(cuts)
    }

    #[test]
    fn blocks_join_to_the_whole_and_end_where_a_record_ends() {
        let text = "a,b\n1,\"x\ny\"\n2,\"say \"\"hi\"\"\n\"\r\n3,5\" disk\n4,\"\"\n5,\"end\"";
        let records =
            ["a,b\n", "1,\"x\ny\"\n", "2,\"say \"\"hi\"\"\n\"\r\n", "3,5\" disk\n", "4,\"\"\n", "5,\"end\""];
        assert_eq!(records.concat(), text);
        for block in 1..=text.len() + 1 {
            let cuts = cut(text, block).unwrap();
            assert_eq!(cuts.iter().map(|c| c.1.as_str()).collect::<String>(), text, "block {block}");
            let mut rest = records.as_slice();
            for (line, bytes) in &cuts {
                let before: usize =
                    records[..records.len() - rest.len()].iter().map(|r| r.matches('\n').count()).sum();
                assert_eq!(*line, before as u64 + 1, "block {block}");
                let mut length = 0;
                while length < bytes.len() {
                    length += rest[0].len();
                    rest = &rest[1..];
                }
                assert_eq!(length, bytes.len(), "block {block} cuts a record");
            }
            assert!(rest.is_empty());
        }
    }

    #[test]
    fn a_quote_that_never_closes_is_an_error_that_names_its_line() {
        for block in [1, 7, 100] {
            let error = cut("a,b\n1,2\n3,\"x\n4,5\n", block).unwrap_err().to_string();
            assert!(error.contains("line 3") && error.contains("quote"), "{error}");
        }
    }

    #[test]
    fn nothing_gives_no_block() {
        assert!(cut("", 10).unwrap().is_empty());
    }
}
