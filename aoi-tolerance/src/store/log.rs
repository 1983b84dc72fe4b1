//! The append-only log: batches of events, each whole or not there, each holding the digest of the one before.
//!
//! A batch is `"AOIB"`, payload length (u32), place of its first event in the stream (u64), time of receipt (i64, nanoseconds since 1970 UTC), digest of the
//! batch before (32 bytes), payload, and the SHA-256 of all that (32 bytes); numbers are little-endian. It is acknowledged when the file has been
//! synced. A batch that a crash cut short stands at the end of the file and was never acknowledged: it is cut off. A damaged batch with others behind it is not what
//! a crash leaves: opening refuses it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::Error;

const MAGIC: [u8; 4] = *b"AOIB";
/// Bytes before the payload.
const HEAD: usize = 4 + 4 + 8 + 8 + 32;
/// Bytes of a digest.
const DIGEST: usize = 32;
/// Largest payload taken for one: larger lengths are damage.
const LARGEST: usize = 1 << 28;

/// SHA-256.
pub(crate) type Hash = [u8; DIGEST];

/// A place in the log: the end of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) offset: u64,
    /// Digest of the batch that ends there; zeros at the start.
    pub(crate) head: Hash,
    /// Place of the next event in the stream.
    pub(crate) sequence: u64,
    /// Receipt of the last batch.
    pub(crate) received: i64,
}

impl Default for Position {
    fn default() -> Self {
        Self { offset: 0, head: [0; DIGEST], sequence: 0, received: i64::MIN }
    }
}

/// The log, open for appending.
#[derive(Debug)]
pub(crate) struct Log {
    file: File,
    path: PathBuf,
    pub(crate) end: Position,
    /// A write failed and could not be undone: nothing may follow it.
    broken: bool,
    frame: Vec<u8>,
}

/// What follows a position.
enum Next<'b> {
    Batch {
        first: u64,
        received: i64,
        payload: &'b [u8],
        head: Hash,
        length: usize,
    },
    /// Nothing, or a batch that was cut short.
    End,
    /// Bytes that are no batch, with one behind them.
    Damage,
}

impl Log {
    /// Opens the log, cuts off what was never acknowledged, and hands every batch behind `from` to `each`.
    ///
    /// # Errors
    /// When the file cannot be read, a batch is damaged, or `each` fails. When `from` is not a place of this log, none of it is used and
    /// the answer is `None`.
    pub(crate) fn open(
        path: &Path,
        from: Position,
        writable: bool,
        mut each: impl FnMut(&[u8], u64, i64) -> Result<(), Error>,
    ) -> Result<Option<Self>, Error> {
        let fail = |source| Error::Read { path: path.to_owned(), source };
        let file = if writable {
            OpenOptions::new().read(true).append(true).create(true).open(path).map_err(fail)?
        } else {
            File::open(path).map_err(fail)?
        };
        let mut bytes = Vec::new();
        let mut tail = &file;
        let length = file.metadata().map_err(fail)?.len();
        if from.offset > length || !holds(&file, from).map_err(fail)? {
            return Ok(None);
        }
        tail.seek(SeekFrom::Start(from.offset)).map_err(fail)?;
        tail.read_to_end(&mut bytes).map_err(fail)?;
        let mut end = from;
        let mut at = 0;
        loop {
            match next(&bytes[at..], &end) {
                Next::Batch { first, received, payload, head, length } => {
                    each(payload, first, received)?;
                    at += length;
                    // The payload says how many events it holds; the next batch says where they ended.
                    end = Position { offset: from.offset + at as u64, head, sequence: first, received };
                    end.sequence = first + super::event::count_of(payload);
                }
                Next::End => break,
                Next::Damage => {
                    return Err(Error::Store {
                        path: path.to_owned(),
                        reason: format!(
                            "the batch at byte {} is damaged and others follow it; restore the file from a copy",
                            end.offset
                        ),
                    });
                }
            }
        }
        if writable && end.offset < length {
            file.set_len(end.offset).map_err(fail)?;
            file.sync_all().map_err(fail)?;
        }
        Ok(Some(Self { file, path: path.to_owned(), end, broken: false, frame: Vec::new() }))
    }

    /// Appends a batch of `count` events and syncs it; they are acknowledged when this returns.
    ///
    /// # Errors
    /// When it cannot be written or synced, a full disk included. What was written of it is taken back; if that fails too, the log takes nothing more.
    pub(crate) fn append(&mut self, payload: &[u8], count: u64, received: i64) -> Result<(), Error> {
        let fail = |source| Error::Write { path: self.path.clone(), source };
        if self.broken {
            return Err(fail(std::io::Error::other("an earlier write failed; open the store again")));
        }
        let length = u32::try_from(payload.len()).ok().filter(|n| (*n as usize) < LARGEST);
        let Some(length) = length else {
            return Err(fail(std::io::Error::other("a batch of more than 256 MiB")));
        };
        self.frame.clear();
        self.frame.extend_from_slice(&MAGIC);
        self.frame.extend_from_slice(&length.to_le_bytes());
        self.frame.extend_from_slice(&self.end.sequence.to_le_bytes());
        self.frame.extend_from_slice(&received.to_le_bytes());
        self.frame.extend_from_slice(&self.end.head);
        self.frame.extend_from_slice(payload);
        let head: Hash = Sha256::digest(&self.frame).into();
        self.frame.extend_from_slice(&head);
        let written = self.file.write_all(&self.frame).and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            let undone = self.file.set_len(self.end.offset).and_then(|()| self.file.sync_data());
            self.broken = undone.is_err();
            return Err(Error::Write { path: self.path.clone(), source });
        }
        self.end = Position {
            offset: self.end.offset + self.frame.len() as u64,
            head,
            sequence: self.end.sequence + count,
            received,
        };
        Ok(())
    }
}

/// Whether a batch with the position's digest ends there.
fn holds(mut file: &File, position: Position) -> std::io::Result<bool> {
    if position.offset == 0 {
        return Ok(position.head == [0; DIGEST]);
    }
    let Some(start) = position.offset.checked_sub(DIGEST as u64) else { return Ok(false) };
    let mut head = [0; DIGEST];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut head)?;
    Ok(head == position.head)
}

fn next<'b>(bytes: &'b [u8], end: &Position) -> Next<'b> {
    match whole(bytes) {
        Some((first, received, previous, payload, head)) if previous == end.head && first == end.sequence => {
            Next::Batch { first, received, payload, head, length: HEAD + payload.len() + DIGEST }
        }
        // A whole batch that does not follow the one before: something was taken out or put in between.
        Some(_) => Next::Damage,
        None if bytes
            .windows(MAGIC.len())
            .skip(1)
            .enumerate()
            .any(|(i, w)| w == MAGIC && whole(&bytes[i + 1..]).is_some()) =>
        {
            Next::Damage
        }
        None => Next::End,
    }
}

/// First event, receipt, digest before, payload and digest of a whole batch at the start of `bytes`.
type Whole<'b> = (u64, i64, Hash, &'b [u8], Hash);

fn whole(bytes: &[u8]) -> Option<Whole<'_>> {
    let field = |from: usize, n: usize| bytes.get(from..from + n);
    if field(0, 4)? != MAGIC {
        return None;
    }
    let length = u32::from_le_bytes(field(4, 4)?.try_into().ok()?) as usize;
    if length >= LARGEST {
        return None;
    }
    let head: Hash = field(HEAD + length, DIGEST)?.try_into().ok()?;
    let digest: Hash = Sha256::digest(&bytes[..HEAD + length]).into();
    (digest == head).then_some((
        u64::from_le_bytes(field(8, 8)?.try_into().ok()?),
        i64::from_le_bytes(field(16, 8)?.try_into().ok()?),
        field(24, DIGEST)?.try_into().ok()?,
        &bytes[HEAD..HEAD + length],
        head,
    ))
}
