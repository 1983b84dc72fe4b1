//! A stream of JSON cut into messages: one object, objects line by line, or an array of them, with or without a byte order mark.

use std::ops::Range;
use std::path::PathBuf;

use memchr::{memchr_iter, memchr2};

use crate::error::Error;
use crate::io::blocks::Block;
use crate::io::input::Input;

/// Bytes in a block, unless one message is longer.
const BLOCK: usize = 1 << 18;

/// Cuts an input into blocks of whole messages.
pub(crate) struct Messages {
    input: Input,
    block: usize,
    carried: Vec<u8>,
    line: u64,
    ended: bool,
}

impl Messages {
    pub(crate) fn new(input: Input) -> Self {
        Self { input, block: BLOCK, carried: Vec::new(), line: 1, ended: false }
    }

    /// The next block; none at the end of the input.
    ///
    /// # Errors
    /// When the input cannot be read, or ends inside a message.
    pub(crate) fn next(&mut self) -> Result<Option<Block>, Error> {
        let mut bytes = std::mem::take(&mut self.carried);
        while !self.ended {
            let have = bytes.len();
            // A message longer than a block is looked at again whenever more of it has come: doubling keeps that linear.
            bytes.resize(have + self.block.max(have), 0);
            let read = self.input.fill(&mut bytes[have..])?;
            self.ended = have + read < bytes.len();
            bytes.truncate(have + read);
            let whole = ranges(&bytes).last().map_or(0, |last| last.end);
            if whole > 0 && !self.ended {
                self.carried = bytes.split_off(whole);
                return Ok(Some(self.block(bytes)));
            }
        }
        if let Some(open) = unclosed(&bytes) {
            let line = self.line + memchr_iter(b'\n', &bytes[..open]).count() as u64;
            return Err(never_closed(self.input.path().to_owned(), line));
        }
        Ok((!bytes.is_empty()).then(|| self.block(bytes)))
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

/// Where the whole messages of `bytes` stand, in order.
///
/// Something other than a message is given as one, up to the next line or message, so that whoever parses it rejects it.
pub(crate) fn ranges(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        at += bytes[at..].iter().position(|b| !is_between(*b))?;
        let end = if bytes[at] == b'{' { message_end(bytes, at)? } else { junk_end(bytes, at)? };
        let range = at..end;
        at = end;
        Some(range)
    })
}

/// Whether a text starts as messages do, after white space and a byte order mark.
pub(crate) fn start(bytes: &[u8]) -> bool {
    let text = bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes);
    let first = text.iter().find(|b| !b.is_ascii_whitespace());
    matches!(first, Some(b'{' | b'['))
}

/// Where a message starts behind the whole ones.
pub(crate) fn unclosed(bytes: &[u8]) -> Option<usize> {
    let whole = ranges(bytes).last().map_or(0, |last| last.end);
    bytes[whole..].iter().position(|b| !is_between(*b)).map(|open| whole + open)
}

/// The error of an input that ends inside a message.
pub(crate) fn never_closed(path: PathBuf, line: u64) -> Error {
    let reason = "the message that starts here is never closed: expected }, got the end of the file";
    Error::Row { path, line, reason: reason.into() }
}

/// Bytes that may stand between messages: white space, the marks of an array, a byte order mark.
fn is_between(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'[' | b']' | b',' | 0xef | 0xbb | 0xbf)
}

/// Just past the object that starts at `start`; none if it is not whole.
fn message_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => at = string_end(bytes, at + 1)?,
            _ => {}
        }
        at += 1;
    }
    None
}

/// Place of the quote that closes a string whose text starts at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

fn junk_end(bytes: &[u8], start: usize) -> Option<usize> {
    bytes[start..].iter().position(|b| matches!(b, b'{' | b'\n')).map(|i| start + i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::input::BytesRead;

    fn cut(text: &str, block: usize) -> Result<Vec<(u64, String)>, Error> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
        let mut messages = Messages::new(Input::open(file.path(), BytesRead::default())?);
        messages.block = block;
        let mut cuts = Vec::new();
        while let Some(b) = messages.next()? {
            for range in ranges(&b.bytes) {
                let line = b.first_line + memchr_iter(b'\n', &b.bytes[..range.start]).count() as u64;
                cuts.push((line, String::from_utf8(b.bytes[range].to_vec()).unwrap()));
            }
        }
        Ok(cuts)
    }

    #[test]
    fn messages_are_found_whatever_stands_between_them_and_wherever_a_block_ends() {
        let (a, b, c) = (r#"{"x": "}{[\"\\"}"#, "{\"y\": [1,\n {\"z\": {}}]}", "{}");
        let expected = [a, b, c];
        for text in
            [format!("{a}\n{b}\r\n\n{c}"), format!("[{a},\n {b},{c}]\n"), format!("\u{feff}{a} {b}{c}\n")]
        {
            for block in 1..=text.len() + 1 {
                let found = cut(&text, block).unwrap();
                let texts: Vec<&str> = found.iter().map(|f| f.1.as_str()).collect();
                assert_eq!(texts, expected, "block {block} of {text}");
                let line =
                    |message: &str| 1 + text[..text.find(message).unwrap()].matches('\n').count() as u64;
                assert_eq!(found[1].0, line(b));
            }
        }
    }

    #[test]
    fn a_message_that_is_cut_off_is_an_error_that_names_its_line() {
        for text in ["{\"a\": 1}\n{\"b\": {\"c\": 2}", "{}\n{\"b\": \"\\\"}", "{}\nnonsense"] {
            for block in [1, 5, 100] {
                let error = cut(text, block).unwrap_err().to_string();
                assert!(error.contains("line 2") && error.contains("closed"), "{text}: {error}");
            }
        }
    }

    #[test]
    fn what_is_no_message_is_handed_on_to_be_rejected() {
        let found = cut("{} oops {\"a\": 1}\nwhat\n{}", 100).unwrap();
        let texts: Vec<&str> = found.iter().map(|f| f.1.as_str()).collect();
        assert_eq!(texts, ["{}", "oops ", "{\"a\": 1}", "what", "{}"]);
    }
}
