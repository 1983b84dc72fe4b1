//! Record files read into a store as they grow.
//!
//! A file is known by its content. Before it is read, its beginning is hashed and compared with what the store has read so far: a file that has grown is taken up
//! where it was left, one that comes again (under any name) adds nothing, and a copy with more rows adds these. A line without its end is left for the next time: its
//! writer may not have finished; so is an IPC-CFX message that is not closed. A compressed file ends where its content ends. Records without a `record_id` rest on this alone: a copy of a growing file
//! that was made between two looks is taken for new behind the last look before it.

mod reading;

use std::path::Path;

use crate::collect::Collector;
use crate::error::Error;
use crate::io::blocks::Block;
use crate::io::cfx::messages;
use crate::io::input::{BytesRead, Input};
use crate::io::layout::Layout;
use crate::io::opening::take_header;
use crate::io::parse::{OfFile, parse_rows};
use crate::io::read::{ReadObserver, ReadOptions};
use crate::io::rows::{Listener, RowReader, Shared};
use crate::recalibrate::Fate;
use crate::record::{Record, Verdict};
use crate::store::Store;
use reading::{Before, Cut, Reading, fill};

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
    /// Bytes of a last line or message that has no end yet.
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
        let before = if path == Path::new("-") { Before::nothing() } else { Before::of(path, store)? };
        let mut input = Input::open(path, BytesRead::default())?;
        if input.is_parquet() {
            return Err(input.refuse_parquet(
                "such a file is written once and does not grow, so that it cannot be watched: give CSV or IPC-CFX messages, or compute limits from it at once",
            ));
        }
        let mut followed = Followed::default();
        // The beginning is read again each time: the rows need their header's layout.
        let mut bytes = Vec::new();
        let ended = fill(&mut input, &mut bytes)?;
        let cut = Cut::of(&bytes, self.options.mapping.delimiter());
        if cut.last_end(&bytes, ended).is_none() && !input.is_compressed() {
            followed.unfinished = cut.unfinished(&bytes);
            return Ok(followed);
        }
        let mut block = Block { first_line: 1, bytes: bytes.clone() };
        let layout = self.layout(path, &mut block, store)?;
        bytes.truncate(bytes.len() - block.bytes.len());
        let mut of_file = OfFile::heard(&layout);
        let mut reading = Reading::new(before, &bytes, block, ended, cut);
        while let Some((block, last)) = reading.next(&mut input)? {
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
        followed.unfinished = reading.unfinished();
        Ok(followed)
    }

    /// How the file's records are laid out; a header is taken off the block.
    fn layout(&self, path: &Path, block: &mut Block, store: &Store) -> Result<Layout, Error> {
        // Rows of different looks are told apart by the store's place at each.
        let (sequence, _) = store.head();
        let file = u32::try_from(sequence & u64::from(u32::MAX)).unwrap_or(0);
        let (mapping, tolerances) = (&self.shared.mapping, self.shared.tolerances.as_ref());
        let layout = if messages::start(&block.bytes) {
            Layout::of_messages(path.to_owned(), file, mapping)
        } else {
            let header = take_header(path, block, &self.options)?;
            Layout::new(path.to_owned(), file, header, mapping, tolerances)
        };
        layout.map_err(|reason| Error::Header { path: path.to_owned(), reason })
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
