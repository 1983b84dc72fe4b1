//! What is left of an input that was read before, in blocks of whole records.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::CHUNK;
use crate::error::Error;
use crate::io::blocks::{Block, Scanner};
use crate::io::cfx::messages;
use crate::io::input::{BytesRead, Input};
use crate::store::{ReadMark, Store};

/// How much of an input was read before.
pub(super) struct Before {
    bytes: u64,
    lines: u64,
    digest: Option<[u8; 32]>,
    /// The hash of these bytes, to go on from.
    state: Sha256,
}

/// Reads a chunk more, or as much again as there is; whether the input has ended.
pub(super) fn fill(input: &mut Input, bytes: &mut Vec<u8>) -> Result<bool, Error> {
    let have = bytes.len();
    // A message longer than a chunk is looked at again whenever more of it has come: doubling keeps that linear.
    let wanted = CHUNK.max(have);
    bytes.resize(have + wanted, 0);
    let read = input.fill(&mut bytes[have..])?;
    bytes.truncate(have + read);
    Ok(read < wanted)
}

/// Where whole records end.
#[derive(Clone, Copy)]
pub(super) enum Cut {
    /// At line ends outside quotes.
    Rows { delimiter: u8 },
    /// Behind the last brace of an IPC-CFX message.
    Messages,
}

impl Cut {
    /// By the first bytes of an input.
    pub(super) fn of(bytes: &[u8], delimiter: u8) -> Self {
        if messages::start(bytes) { Self::Messages } else { Self::Rows { delimiter } }
    }

    /// Just past the last whole record.
    pub(super) fn last_end(self, bytes: &[u8], ended: bool) -> Option<usize> {
        match self {
            Self::Rows { delimiter } => scanned(bytes, ended, delimiter).last_record_end(),
            Self::Messages => messages::ranges(bytes).last().map(|last| last.end),
        }
    }

    /// Bytes of the record at the end that is not whole; what stands between messages is none.
    pub(super) fn unfinished(self, bytes: &[u8]) -> u64 {
        let open = match self {
            Self::Rows { .. } => Some(0),
            Self::Messages => messages::unclosed(bytes),
        };
        open.map_or(0, |open| (bytes.len() - open) as u64)
    }

    /// What is wrong with the end of an input that will not grow, and where.
    fn fault(self, bytes: &[u8]) -> Option<(usize, Fault)> {
        match self {
            Self::Rows { delimiter } => {
                scanned(bytes, true, delimiter).open_quote().map(|at| (at, Fault::Quote))
            }
            Self::Messages => messages::unclosed(bytes).map(|at| (at, Fault::Message)),
        }
    }
}

/// What may be open at an end.
enum Fault {
    Quote,
    Message,
}

fn scanned(bytes: &[u8], ended: bool, delimiter: u8) -> Scanner {
    let mut scanner = Scanner::new(delimiter);
    scanner.scan(bytes, ended);
    scanner
}

impl Before {
    pub(super) fn nothing() -> Self {
        Self { bytes: 0, lines: 0, digest: None, state: Sha256::new() }
    }

    /// The longest beginning of the file that the store has read.
    pub(super) fn of(path: &Path, store: &Store) -> Result<Self, Error> {
        let line = store.line();
        let mut found = Self::nothing();
        let (mut state, mut read) = (Sha256::new(), 0_u64);
        let mut input = Input::open(path, BytesRead::default())?;
        let mut buffer = vec![0; CHUNK];
        while let Some(goal) = line.mark_after(read + 1) {
            while read < goal {
                let wanted = usize::try_from(goal - read).map_or(CHUNK, |n| n.min(CHUNK));
                let n = input.fill(&mut buffer[..wanted])?;
                state.update(&buffer[..n]);
                read += n as u64;
                if n < wanted {
                    return Ok(found);
                }
            }
            let digest = state.clone().finalize().into();
            if let Some(mark) = line.mark_at(read, digest) {
                found = Self { bytes: read, lines: mark.lines, digest: Some(digest), state: state.clone() };
            }
        }
        Ok(found)
    }
}

/// The rest of an input, in blocks that end where a record ends.
pub(super) struct Reading {
    cut: Cut,
    /// Bytes and lines handed out, the header and what was read before included.
    pub(super) bytes: u64,
    lines: u64,
    /// Bytes read and not handed out.
    carried: Vec<u8>,
    /// Bytes to be passed over, because they were read before.
    skip: u64,
    ended: bool,
    state: Sha256,
    /// Digest of the last mark of this look: the next one replaces it, while the marks of earlier looks stay for copies made then.
    digest: Option<[u8; 32]>,
}

impl Reading {
    /// Goes on after what was read before, or behind the header; `block` is what follows that.
    pub(super) fn new(mut before: Before, header: &[u8], block: Block, ended: bool, cut: Cut) -> Self {
        let skip = before.bytes.saturating_sub(header.len() as u64);
        if before.digest.is_none() {
            before.state.update(header);
            (before.bytes, before.lines) = (header.len() as u64, block.first_line - 1);
        }
        let Before { bytes, lines, state, .. } = before;
        Self { cut, bytes, lines, carried: block.bytes, skip, ended, state, digest: None }
    }

    /// The next block of whole records, and whether the input has ended; none when no whole record is left.
    pub(super) fn next(&mut self, input: &mut Input) -> Result<Option<(Block, bool)>, Error> {
        while self.skip > 0 {
            let n = usize::try_from(self.skip).map_or(self.carried.len(), |n| n.min(self.carried.len()));
            self.carried.drain(..n);
            self.skip -= n as u64;
            if self.skip > 0 {
                if self.ended {
                    return Ok(None);
                }
                self.ended = fill(input, &mut self.carried)?;
            }
        }
        loop {
            let whole = self.ended && input.is_compressed() && !self.carried.is_empty();
            if whole && let Some((at, fault)) = self.cut.fault(&self.carried) {
                let line = self.lines + 1 + memchr::memchr_iter(b'\n', &self.carried[..at]).count() as u64;
                let path = input.path().to_owned();
                return Err(match fault {
                    Fault::Quote => Error::UnclosedQuote { path, line },
                    Fault::Message => messages::never_closed(path, line),
                });
            }
            let end =
                if whole { Some(self.carried.len()) } else { self.cut.last_end(&self.carried, self.ended) };
            if let Some(end) = end.filter(|end| self.ended || *end >= CHUNK / 2) {
                let rest = self.carried.split_off(end);
                let bytes = std::mem::replace(&mut self.carried, rest);
                let first_line = self.lines + 1;
                self.lines += memchr::memchr_iter(b'\n', &bytes).count() as u64;
                self.state.update(&bytes);
                self.bytes += bytes.len() as u64;
                return Ok(Some((Block { first_line, bytes }, self.ended)));
            }
            if self.ended {
                return Ok(None);
            }
            self.ended = fill(input, &mut self.carried)?;
        }
    }

    /// Bytes of the record at the end that is not whole.
    pub(super) fn unfinished(&self) -> u64 {
        self.cut.unfinished(&self.carried)
    }

    /// The mark after what was handed out, and the digest of the mark that it replaces.
    pub(super) fn mark(&mut self, path: &Path) -> (ReadMark, Option<[u8; 32]>) {
        let digest: [u8; 32] = self.state.clone().finalize().into();
        let replaces = self.digest.replace(digest);
        let name = path.display().to_string();
        (ReadMark { name, bytes: self.bytes, digest, lines: self.lines }, replaces)
    }
}
