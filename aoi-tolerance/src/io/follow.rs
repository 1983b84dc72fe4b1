//! Record files read into a store as they grow.
//!
//! A file is known by its content. Before it is read, its beginning is hashed and compared with what the store has read so far: a file that has grown is taken up
//! where it was left, one that comes again (under any name) adds nothing, and a copy with more rows adds these. A line without its end is left for the next time: its
//! writer may not have finished. A compressed file ends where its content ends. Records without a `record_id` rest on this alone: a copy of a growing file
//! that was made between two looks is taken for new behind the last look before it.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::collect::Collector;
use crate::error::Error;
use crate::io::blocks::{Block, Scanner};
use crate::io::input::{BytesRead, Input};
use crate::io::layout::Layout;
use crate::io::parse::{OfFile, parse_rows};
use crate::io::read::{ReadObserver, ReadOptions, take_header};
use crate::io::rows::{Listener, RowReader, Shared};
use crate::recalibrate::Fate;
use crate::record::{Record, Verdict};
use crate::store::{ReadMark, Store};

/// Bytes parsed at a time.
const CHUNK: usize = 1 << 18;

/// Events after which what was read is committed: a sync costs milliseconds, so that one for each record would be the whole cost.
const GROUP: u64 = 10_000;

/// What one look at a file gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Followed {
    /// Rows read now.
    pub rows: u64,
    /// Measurements in them that were new.
    pub new: u64,
    /// That corrected what was known: late verdicts among them.
    pub corrected: u64,
    /// That were known.
    pub known: u64,
    /// Rows not used, or used with a reservation.
    pub rejected: u64,
    /// Bytes of a last line that has no end yet.
    pub unfinished: u64,
}

impl Followed {
    /// Adds another look.
    pub fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.new += other.new;
        self.corrected += other.corrected;
        self.known += other.known;
        self.rejected += other.rejected;
        self.unfinished += other.unfinished;
    }
}

/// Reads files into a store.
#[derive(Debug)]
pub struct Follower {
    options: ReadOptions,
    shared: Shared,
}

/// How much of an input was read before.
struct Before {
    bytes: u64,
    lines: u64,
    digest: Option<[u8; 32]>,
    /// The hash of these bytes, to go on from.
    state: Sha256,
}

impl Follower {
    /// A reader with these options; the thread count is not used.
    pub fn new(options: ReadOptions) -> Self {
        let shared = Shared {
            mapping: options.mapping.clone(),
            tolerances: options.tolerances.clone(),
            acknowledged: options.acknowledged.clone(),
        };
        Self { options, shared }
    }

    /// Reads what is new in a file, or everything from standard input for `-`, and commits it; `now` is asked for the time of receipt.
    ///
    /// # Errors
    /// When the file cannot be read or has no usable header, the observer stops it, or the store cannot commit. What was committed before stays.
    pub fn read(
        &self,
        path: &Path,
        store: &mut Store,
        observer: &mut dyn ReadObserver,
        now: &dyn Fn() -> i64,
    ) -> Result<Followed, Error> {
        let delimiter = self.options.mapping.delimiter();
        let before = if path == Path::new("-") { Before::nothing() } else { Before::of(path, store)? };
        let mut input = Input::open(path, BytesRead::default())?;
        let mut followed = Followed::default();
        // The header is read again each time: the rows need its layout.
        let mut bytes = Vec::new();
        let ended = fill(&mut input, &mut bytes)?;
        let mut scanner = Scanner::new(delimiter);
        scanner.scan(&bytes, ended);
        if scanner.last_record_end().is_none() && !input.is_compressed() {
            followed.unfinished = bytes.len() as u64;
            return Ok(followed);
        }
        let mut block = Block { first_line: 1, bytes: bytes.clone() };
        let header = take_header(path, &mut block, &self.options)?;
        bytes.truncate(bytes.len() - block.bytes.len());
        // Rows of different looks are told apart by the store's place at each.
        let (sequence, _) = store.head();
        let file = u32::try_from(sequence & u64::from(u32::MAX)).unwrap_or(0);
        let layout =
            Layout::new(path.to_owned(), file, header, &self.shared.mapping, self.shared.tolerances.as_ref())
                .map_err(|reason| Error::Header { path: path.to_owned(), reason })?;
        let mut of_file = OfFile::heard(&layout);
        let mut reading = Reading::new(before, &bytes, block, ended);
        while let Some((block, last)) = reading.next(&mut input, delimiter)? {
            if store.waiting() == 0 {
                store.set_clock(now());
            }
            let mut ear = Ear { store, followed: &mut followed };
            let mut reader = RowReader::new(&self.shared, Collector::new(self.options.collect));
            reader.listener = Some(&mut ear);
            let rows = parse_rows(&mut reader, &mut of_file, &layout, &block);
            let rejects = std::mem::take(&mut reader.rejects);
            followed.rows += rows;
            followed.rejected += rejects.len() as u64;
            for reject in &rejects {
                observer.reject(path, reject)?;
            }
            if path != Path::new("-") {
                let (mark, replaces) = reading.mark(path);
                store.mark(mark, replaces);
            }
            if store.waiting() >= GROUP || last {
                store.commit()?;
            }
            let progress = crate::io::Progress { bytes: reading.bytes, bytes_total: 0, rows: followed.rows };
            if observer.progress(progress).is_break() {
                store.commit()?;
                return Err(Error::Cancelled);
            }
        }
        store.commit()?;
        followed.unfinished = reading.carried.len() as u64;
        Ok(followed)
    }
}

/// Reads up to a chunk more; whether the input has ended.
fn fill(input: &mut Input, bytes: &mut Vec<u8>) -> Result<bool, Error> {
    let have = bytes.len();
    bytes.resize(have + CHUNK, 0);
    let read = input.fill(&mut bytes[have..])?;
    bytes.truncate(have + read);
    Ok(read < CHUNK)
}

impl Before {
    fn nothing() -> Self {
        Self { bytes: 0, lines: 0, digest: None, state: Sha256::new() }
    }

    /// The longest beginning of the file that the store has read.
    fn of(path: &Path, store: &Store) -> Result<Self, Error> {
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
struct Reading {
    /// Bytes and lines handed out, the header and what was read before included.
    bytes: u64,
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
    fn new(mut before: Before, header: &[u8], block: Block, ended: bool) -> Self {
        let skip = before.bytes.saturating_sub(header.len() as u64);
        if before.digest.is_none() {
            before.state.update(header);
            (before.bytes, before.lines) = (header.len() as u64, block.first_line - 1);
        }
        let Before { bytes, lines, state, .. } = before;
        Self { bytes, lines, carried: block.bytes, skip, ended, state, digest: None }
    }

    /// The next block of whole records, and whether the input has ended; none when no whole record is left.
    fn next(&mut self, input: &mut Input, delimiter: u8) -> Result<Option<(Block, bool)>, Error> {
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
        let mut scanner = Scanner::new(delimiter);
        loop {
            scanner.scan(&self.carried, self.ended);
            let whole = self.ended && input.is_compressed() && !self.carried.is_empty();
            if whole && let Some(opened) = scanner.open_quote() {
                let line =
                    self.lines + 1 + memchr::memchr_iter(b'\n', &self.carried[..opened]).count() as u64;
                return Err(Error::UnclosedQuote { path: input.path().to_owned(), line });
            }
            let end = if whole { Some(self.carried.len()) } else { scanner.last_record_end() };
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

    /// The mark after what was handed out, and the digest of the mark that it replaces.
    fn mark(&mut self, path: &Path) -> (ReadMark, Option<[u8; 32]>) {
        let digest: [u8; 32] = self.state.clone().finalize().into();
        let replaces = self.digest.replace(digest);
        let name = path.display().to_string();
        (ReadMark { name, bytes: self.bytes, digest, lines: self.lines }, replaces)
    }
}

/// Passes what is read on to the store.
struct Ear<'a> {
    store: &'a mut Store,
    followed: &'a mut Followed,
}

impl Ear<'_> {
    /// A verdict alone: under its own key if that is known, else wherever the record is.
    fn judge(&mut self, record_id: &str, key: [Option<&str>; 6], verdict: Verdict) -> bool {
        let own = key.map(Option::unwrap_or_default);
        self.store.judge(record_id, Some(own), verdict) || self.store.judge(record_id, None, verdict)
    }
}

impl Listener for Ear<'_> {
    fn record(&mut self, record: &Record<'_>) {
        match self.store.push(record) {
            Fate::New => self.followed.new += 1,
            Fate::Known => self.followed.known += 1,
            Fate::Corrected | Fate::Withheld => self.followed.corrected += 1,
            Fate::Refused(_) => {}
        }
    }

    fn unreadable(
        &mut self,
        key: [Option<&str>; 6],
        verdict: Option<Verdict>,
        record_id: &str,
        alone: bool,
    ) -> bool {
        if alone {
            let taken = !record_id.is_empty() && verdict.is_some_and(|v| self.judge(record_id, key, v));
            self.followed.corrected += u64::from(taken);
            return taken;
        }
        self.store.push_unreadable(key, verdict);
        false
    }
}
