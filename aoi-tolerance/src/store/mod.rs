//! A stream that survives: every record is on the disk before it is acknowledged, and none is counted twice.
//!
//! A folder holds `records.log`, `snapshot.bin`, the ledger, and locks. Events are gathered and committed in groups; [`Store::commit`] returns when they
//! are synced. How far an input was read is an event of the same batch as its records, so that either both are there or neither: a process killed at
//! any point resumes where it was. An input is known by its content: a file that comes again, under whatever name, and one that has grown, are
//! recognised by the digest of what was read of them.
//!
//! One process writes ([`Store::open`] locks the folder), any number may look ([`Store::look`]).
//!
//! # Why not an embedded database
//! A database would bring a C library and its build into a crate meant for line controllers, would keep an index over ten million names that a restart has to
//! read row by row, where this reads a table as it stands, and its tables would still not be hash-chained. What is given up is ad-hoc queries.
//! `tools/peers/run.py live` times both at the same job; the records of it are kept with the benches.
//!
//! # Formats
//! `aoi-tolerance/formats/README.md` has the bytes of the log, of snapshots, and the lines of the ledger.

pub(crate) mod codec;
mod event;
mod line;
mod log;
mod named;
mod replay;
mod snapshot;

use std::fs::File;
use std::path::{Path, PathBuf};

use self::codec::Writer;
use self::event::Batch;
use self::log::{Log, Position};
use crate::drift::DriftOptions;
use crate::error::Error;
use crate::ledger::{Act, Book, Change};
use crate::limit::Boundary;
use crate::recalibrate::{Fate, LiveLimit, LiveOptions, Window};
use crate::record::{Record, Verdict};

pub use event::ReadMark;
pub use line::Line;
pub use named::NamedRecord;

/// How a store keeps its stream.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StoreOptions {
    /// How records become evidence.
    pub live: LiveOptions,
    /// How drift is looked for.
    pub drift: DriftOptions,
}

/// Events since the last snapshot after which the next is written; a restart repeats no more than these.
const SNAPSHOT_EVERY: u64 = 1 << 21;

/// A folder with a stream and its ledger; see the module's page.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    settings: Vec<u8>,
    line: Line,
    log: Log,
    batch: Batch,
    /// Sequence of the last snapshot.
    snapshot: u64,
    /// Held while the store is open for writing.
    _lock: Option<File>,
}

impl Store {
    /// Opens a folder for writing, makes it if it is not there, and brings the state up to the log's end.
    ///
    /// # Errors
    /// When another process writes to it, a file cannot be read or written, or the log is damaged elsewhere than at its end.
    pub fn open(folder: &Path, options: StoreOptions) -> Result<Self, Error> {
        std::fs::create_dir_all(folder).map_err(|source| Error::Write { path: folder.to_owned(), source })?;
        let path = folder.join("records.lock");
        let lock = File::create(&path).map_err(|source| Error::Write { path: path.clone(), source })?;
        lock.try_lock().map_err(|_| Error::Store {
            path: folder.to_owned(),
            reason: "another process is taking in records here; stop it first, or use another folder".into(),
        })?;
        Self::read(folder, options, Some(lock))
    }

    /// Opens a folder for looking, also while another process writes: the state is that of its last whole batch.
    ///
    /// # Errors
    /// When there is no store, or the log is damaged elsewhere than at its end.
    pub fn look(folder: &Path, options: StoreOptions) -> Result<Self, Error> {
        if !log_path(folder).exists() {
            let reason = "there is no store here; `aoi tolerance watch --ledger DIR` makes one".into();
            return Err(Error::Store { path: folder.to_owned(), reason });
        }
        Self::read(folder, options, None)
    }

    fn read(folder: &Path, options: StoreOptions, lock: Option<File>) -> Result<Self, Error> {
        let settings = settings(&options);
        let path = log_path(folder);
        let found = snapshot::read(&folder.join("snapshot.bin"), options.live, options.drift, &settings);
        let fresh = || (Line::new(options.live, options.drift), Position::default());
        let from_snapshot = found.is_some();
        let (mut line, mut from) = found.unwrap_or_else(fresh);
        let mut log = replayed(&path, &mut line, from, lock.is_some())?;
        if log.is_none() && from_snapshot {
            // A snapshot of another log.
            (line, from) = fresh();
            log = replayed(&path, &mut line, from, lock.is_some())?;
        }
        let log = log.ok_or_else(|| Error::Store {
            path: path.clone(),
            reason: "the log cannot be read from its start".into(),
        })?;
        let folder = folder.to_owned();
        let batch = Batch::default();
        Ok(Self { folder, settings, line, log, batch, snapshot: from.sequence, _lock: lock })
    }

    /// The state, uncommitted events included.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// The state, to ask what is new.
    pub fn line_mut(&mut self) -> &mut Line {
        &mut self.line
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Events committed, and the digest that stands for all of them.
    pub fn head(&self) -> (u64, String) {
        (self.log.end.sequence, hexadecimal(&self.log.end.head))
    }

    /// Events not committed.
    pub fn waiting(&self) -> u64 {
        self.batch.count
    }

    /// Bytes not committed.
    pub fn waiting_bytes(&self) -> usize {
        self.batch.bytes()
    }

    /// Time of receipt for what comes next, in nanoseconds since 1970 UTC; a clock that runs back is taken to stand still.
    pub fn set_clock(&mut self, now: i64) {
        if self.batch.count == 0 {
            self.line.received = self.line.received.max(now);
        }
    }

    /// Takes a record. One that is known is noted too: it may say something about its tolerance, and the log alone must give the state.
    pub fn push(&mut self, record: &Record<'_>) -> Fate {
        let boundary = self.line.recalibrator.options().collect.boundary;
        let before = self.line.recalibrator.counts().kept;
        let fate = self.line.take(record);
        // Where it belongs is asked only of what is kept as a row.
        let kept = self.line.recalibrator.counts().kept > before
            || matches!(fate, Fate::Corrected | Fate::Withheld)
            || record.tolerance.flagging_side(record.value, boundary).is_some();
        let mut forms = std::mem::take(&mut self.line.forms);
        self.batch.record(&mut forms, record, kept);
        self.line.forms = forms;
        self.line.sequence += 1;
        fate
    }

    /// Takes a record that cannot be placed, as [`crate::recalibrate::Recalibrator::push_unreadable`].
    pub fn push_unreadable(&mut self, key: [Option<&str>; 6], verdict: Option<Verdict>) {
        self.line.recalibrator.push_unreadable(key, verdict);
        self.batch.unreadable(key, verdict);
        self.line.sequence += 1;
    }

    /// Takes a verdict alone, as [`crate::recalibrate::Recalibrator::judge`]; whether the record is known.
    pub fn judge(&mut self, record_id: &str, key: Option<[&str; 6]>, verdict: Verdict) -> bool {
        let known = self.line.recalibrator.judge(record_id, key, verdict);
        if known {
            self.batch.judge(record_id, key, verdict);
            self.line.sequence += 1;
        }
        known
    }

    /// Notes how far an input has been read; `replaces` is the digest of its mark before.
    pub fn mark(&mut self, mark: ReadMark, replaces: Option<[u8; 32]>) {
        self.batch.read(&mark, replaces);
        self.line.mark(mark, replaces);
        self.line.sequence += 1;
    }

    /// Puts in force what the ledger says was applied or reverted since this was last called; how many entries were followed.
    ///
    /// # Errors
    /// When the ledger has lost entries that this store has followed, or names limits that the store does not know.
    pub fn follow(&mut self, book: &Book) -> Result<u64, Error> {
        let folder = self.folder.clone();
        let refuse = |reason: String| Error::Store { path: folder.clone(), reason };
        let followed = self.line.followed;
        if let Some((number, hash)) = followed
            && book.hash_of(number) != Some(hexadecimal(&hash).as_str())
        {
            return Err(refuse(format!(
                "the ledger no longer holds entry {number} as it was when it was put in force; entries were removed or altered"
            )));
        }
        let first = followed.map_or(0, |(number, _)| number);
        let mut count = 0;
        for entry in book.entries().iter().filter(|e| e.number > first) {
            self.carry_out(book, &entry.act).map_err(&refuse)?;
            let hash = book.hash_of(entry.number).and_then(from_hexadecimal).unwrap_or_default();
            self.batch.ledger(entry.number, &hash);
            self.line.followed = Some((entry.number, hash));
            self.line.sequence += 1;
            count += 1;
        }
        Ok(count)
    }

    fn carry_out(&mut self, book: &Book, act: &Act) -> Result<(), String> {
        let Some((change, value)) = book.effect(act) else { return Ok(()) };
        let line = &mut self.line;
        let unknown = |limit: &crate::ledger::LimitName| {
            format!("the ledger changes a limit that was never seen here: {limit}")
        };
        match change {
            Change::Limit { limit, .. } => {
                let found = limit.find(&line.recalibrator).ok_or_else(|| unknown(limit))?;
                let value = value.ok_or("an applied change without a value")?;
                line.recalibrator.apply(found, value);
                self.batch.apply(found, value);
            }
            Change::Withdraw { row, .. } => {
                line.recalibrator.withdraw(*row);
                self.batch.withdraw(*row);
            }
            Change::Acknowledge { key, .. } => {
                line.recalibrator.acknowledge(key);
                self.batch.acknowledge(key);
            }
            Change::Reference { limit } => {
                let found = limit.find(&line.recalibrator).ok_or_else(|| unknown(limit))?;
                line.restart(found);
                self.batch.restart(found);
            }
        }
        line.sequence += 1;
        Ok(())
    }

    /// Writes and syncs what was taken since the last commit: when this returns, it is acknowledged.
    ///
    /// # Errors
    /// When it cannot be written, a full disk included: nothing of it is then acknowledged, and the store must be opened again.
    pub fn commit(&mut self) -> Result<(), Error> {
        if self.batch.count == 0 {
            return Ok(());
        }
        let count = self.batch.count;
        let payload = self.batch.take();
        self.log.append(&payload, count, self.line.received)?;
        Ok(())
    }

    /// Whether enough was committed since the last snapshot to write another.
    pub fn wants_snapshot(&self) -> bool {
        self.log.end.sequence - self.snapshot >= SNAPSHOT_EVERY
    }

    /// Writes a snapshot of the committed state; call it after [`Store::commit`]. Losing it costs time at the next start and nothing else.
    ///
    /// # Errors
    /// When events wait for a commit, or the file cannot be written.
    pub fn write_snapshot(&mut self) -> Result<(), Error> {
        if self.batch.count > 0 {
            let reason = "a snapshot of events that are not committed".into();
            return Err(Error::Store { path: self.folder.clone(), reason });
        }
        snapshot::write(&self.folder.join("snapshot.bin"), &self.line, self.log.end, &self.settings)?;
        self.snapshot = self.log.end.sequence;
        Ok(())
    }

    /// The limit with this name, if it was seen.
    pub fn find(&self, limit: &crate::ledger::LimitName) -> Option<LiveLimit> {
        limit.find(&self.line.recalibrator)
    }
}

fn log_path(folder: &Path) -> PathBuf {
    folder.join("records.log")
}

/// Opens the log and carries out everything behind `from`; none if `from` is not a place of it.
fn replayed(path: &Path, line: &mut Line, from: Position, writable: bool) -> Result<Option<Log>, Error> {
    let log = Log::open(path, from, writable, |payload, first, received| {
        replay::replay(line, payload, first, received).map_err(|_| Error::Store {
            path: path.to_owned(),
            reason: format!(
                "the batch that starts with event {first} cannot be read; it was written by another version"
            ),
        })
    })?;
    Ok(log)
}

/// Checks the whole log of a folder from its start: events, and the digest that stands for all of them; none where there is no log.
///
/// # Errors
/// When it cannot be read or is damaged elsewhere than at its end.
pub fn verify_log(folder: &Path) -> Result<Option<(u64, String)>, Error> {
    let path = log_path(folder);
    if !path.exists() {
        return Ok(None);
    }
    let log = Log::open(&path, Position::default(), false, |_, _, _| Ok(()))?;
    Ok(log.map(|log| (log.end.sequence, hexadecimal(&log.end.head))))
}

/// What makes a snapshot that of this store: the settings that its state depends on.
fn settings(options: &StoreOptions) -> Vec<u8> {
    let StoreOptions { live: LiveOptions { collect, window }, drift } = options;
    let mut out = Writer::default();
    out.byte(u8::from(collect.boundary == Boundary::Flagged));
    out.byte(u8::from(collect.borderline_guards));
    match window {
        Window::All => out.byte(0),
        Window::Count(n) => {
            out.byte(1);
            out.count(n.get());
        }
        Window::Span(n) => {
            out.byte(2);
            out.count(n.get());
        }
    }
    for n in [drift.subgroup, drift.reference, drift.sample] {
        out.count(n.into());
    }
    for x in [drift.ewma_weight, drift.ewma_width, drift.cusum_slack, drift.cusum_limit, drift.alpha] {
        out.real(x);
    }
    out.bytes
}

pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

fn from_hexadecimal(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}
