//! Files of records, streamed: one thread reads and cuts, others parse, and memory holds the flagged values only.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};

use csv::{ByteRecord, StringRecord};

use crate::collect::{CollectOptions, Collector};
use crate::error::Error;
use crate::io::blocks::{Block, Blocks};
use crate::io::header::Header;
use crate::io::input::{BytesRead, Input, InputFile};
use crate::io::layout::Layout;
use crate::io::mapping::Mapping;
use crate::io::plain::{PlainRows, is_plain};
use crate::io::reject::{Reject, RejectReason};
use crate::io::repeated::Repeated;
use crate::io::rows::{RowReader, Shared};
use crate::io::tolerances::ToleranceTable;
use crate::io::verdict::{VerdictReader, VerdictWords};
use crate::population::Population;
use crate::record::Source;

/// What the reader needs to know beside the files.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The site's columns and words.
    pub mapping: Mapping,
    /// Limits that stand in a file of their own.
    pub tolerances: Option<ToleranceTable>,
    /// How records become evidence.
    pub collect: CollectOptions,
    /// Unreadable defect rows that somebody has looked at, as `FILE:LINE` or by record id: they block nothing.
    pub acknowledged: HashSet<String>,
    /// Accept files without values, limits or verdicts: enough to look at, not to compute limits from.
    pub inspect_only: bool,
    /// Threads that parse; the result does not depend on it.
    pub threads: usize,
}

/// Everything that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Records {
    /// The evidence.
    pub population: Population,
    /// The files, in the order given.
    pub inputs: Vec<InputFile>,
    /// How often each verdict word was seen.
    pub verdict_words: VerdictWords,
    /// Rows in the rejects file by reason.
    pub rejected: BTreeMap<RejectReason, u64>,
    /// Empty cells of wide rows.
    pub not_measured: u64,
    /// Whether the files carry measured values.
    pub has_values: bool,
    /// Whether the files carry verdicts.
    pub has_verdicts: bool,
}

impl Records {
    /// Data rows in all files.
    pub fn rows(&self) -> u64 {
        self.inputs.iter().map(|i| i.rows).sum()
    }
}

/// Where the reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Stored bytes read.
    pub bytes: u64,
    /// Stored bytes in all; zero if unknown (standard input).
    pub bytes_total: u64,
    /// Rows parsed.
    pub rows: u64,
}

/// Told about each reject in file order (duplicates last), and about progress, which it may stop.
pub trait ReadObserver {
    /// A row that was not used, or used with a reservation, and the file it stands in.
    ///
    /// # Errors
    /// What the observer could not do with it; reading stops.
    fn reject(&mut self, path: &Path, reject: &Reject) -> Result<(), Error>;

    /// Called now and then; `Break` stops the reading with [`Error::Cancelled`].
    fn progress(&mut self, _progress: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// An observer that looks away.
impl ReadObserver for () {
    fn reject(&mut self, _path: &Path, _reject: &Reject) -> Result<(), Error> {
        Ok(())
    }
}

/// A block on its way to a parser.
struct Job {
    number: usize,
    layout: Arc<Layout>,
    block: Block,
}

/// What a parser found in a block.
struct Done {
    number: usize,
    file: u32,
    rows: u64,
    rejects: Vec<Reject>,
}

/// Reads record files; see [`ReadOptions`] and the module's page.
///
/// # Errors
/// When a file cannot be read or decompressed to its end, has no usable header, or ends inside a quoted field; when no record could be
/// used; when the observer fails or stops it. A row that is wrong in itself is no error: it goes to the observer.
pub fn read_records(
    paths: &[PathBuf],
    options: &ReadOptions,
    observer: &mut dyn ReadObserver,
) -> Result<Records, Error> {
    let shared = Shared {
        mapping: options.mapping.clone(),
        tolerances: options.tolerances.clone(),
        acknowledged: options.acknowledged.clone(),
    };
    let bytes_read = BytesRead::default();
    let bytes_total = paths.iter().map(|p| std::fs::metadata(p).map_or(0, |m| m.len())).sum();
    let stop = AtomicBool::new(false);
    let workers = options.threads.max(1);
    let mut records = Records::default();

    std::thread::scope(|scope| -> Result<(), Error> {
        let (jobs, queue) = sync_channel::<Job>(2 * workers);
        let (done, outcomes) = channel::<Done>();
        let queue = Arc::new(Mutex::new(queue));
        let parsers: Vec<_> = (0..workers)
            .map(|_| {
                let (queue, done, shared) = (Arc::clone(&queue), done.clone(), &shared);
                scope.spawn(move || {
                    parse(&queue, &done, RowReader::new(shared, Collector::new(options.collect)))
                })
            })
            .collect();
        drop((done, queue));
        let reader = {
            let (bytes_read, stop, shared) = (Arc::clone(&bytes_read), &stop, &shared);
            scope.spawn(move || read_files(paths, options, shared, &bytes_read, stop, &jobs))
        };

        let observed = observe(&outcomes, paths, observer, &mut records, |rows| Progress {
            bytes: bytes_read.load(Ordering::Relaxed),
            bytes_total,
            rows,
        });
        // Not observing any longer: tell the reader, and let everybody run dry.
        stop.store(observed.is_err(), Ordering::Relaxed);
        drop(outcomes);
        let read = reader.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
        let mut collector = Collector::new(options.collect);
        for parser in parsers {
            let parsed = parser.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
            collector.merge(parsed.collector);
            records.not_measured += parsed.not_measured;
            for (word, (verdict, count)) in parsed.words {
                records.verdict_words.entry(word).or_insert((verdict, 0)).1 += count;
            }
        }
        let rows = observed?;
        let (inputs, has_values, has_verdicts) = read?;
        records.inputs = inputs
            .into_iter()
            .enumerate()
            .map(|(i, input)| input.finish(rows.get(i).copied().unwrap_or(0)))
            .collect();
        (records.has_values, records.has_verdicts) = (has_values, has_verdicts);
        records.population = collector.finish();
        Ok(())
    })?;
    report_duplicates(&mut records, paths, observer)?;
    if records.rows() == 0 {
        return Err(Error::NoRecords { path: paths.first().cloned().unwrap_or_default() });
    }
    Ok(records)
}

/// What one parser hands back at the end.
struct Parsed {
    collector: Collector,
    not_measured: u64,
    words: VerdictWords,
}

/// What a parser keeps while it reads one file: words, and rows that may come again, are the file's own.
struct OfFile {
    file: u32,
    verdicts: VerdictReader,
    repeated: Option<Repeated>,
}

impl OfFile {
    fn new(layout: &Layout, reader: &RowReader<'_>) -> Self {
        let repeated = Repeated::new(layout, reader.mapping(), reader.collector.options.boundary);
        Self { file: layout.file, verdicts: layout.verdict.clone(), repeated }
    }

    fn finish(mut self, reader: &mut RowReader<'_>, words: &mut VerdictWords) {
        if let Some(repeated) = self.repeated {
            reader.count_repeats(&mut self.verdicts, repeated);
        }
        self.verdicts.add_to(words);
    }
}

/// Parses blocks until there are no more.
fn parse(queue: &Mutex<Receiver<Job>>, done: &Sender<Done>, mut reader: RowReader<'_>) -> Parsed {
    let mut words = VerdictWords::new();
    let mut of_file: Option<OfFile> = None;
    loop {
        let job = queue.lock().map_or(None, |queue| queue.recv().ok());
        let Some(Job { number, layout, block }) = job else { break };
        if of_file.as_ref().is_none_or(|f| f.file != layout.file)
            && let Some(old) = of_file.replace(OfFile::new(&layout, &reader))
        {
            old.finish(&mut reader, &mut words);
        }
        let Some(of_file) = &mut of_file else { break };
        let rows = if is_plain(&block.bytes) {
            parse_plain_block(&mut reader, of_file, &layout, &block)
        } else {
            parse_block(&mut reader, of_file, &layout, &block)
        };
        let rejects = std::mem::take(&mut reader.rejects);
        if done.send(Done { number, file: layout.file, rows, rejects }).is_err() {
            break;
        }
    }
    if let Some(last) = of_file {
        last.finish(&mut reader, &mut words);
    }
    Parsed { collector: reader.collector, not_measured: reader.not_measured, words }
}

/// The line on which a record starts, counted from 0 at the block's first.
///
/// The reader says where it stood before the record: before the second half of a `\r\n`, and before blank lines.
pub(crate) fn start_line(block: &[u8], position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let at = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let skipped = block.get(at..).unwrap_or_default().iter().take_while(|b| matches!(b, b'\n' | b'\r'));
    position.line() - 1 + skipped.filter(|b| **b == b'\n').count() as u64
}

/// Parses a block that may hold anything; gives its rows.
fn parse_block(reader: &mut RowReader<'_>, of_file: &mut OfFile, layout: &Layout, block: &Block) -> u64 {
    let verdicts = &mut of_file.verdicts;
    let mut csv = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(reader.delimiter())
        .from_reader(block.bytes.as_slice());
    let mut bytes = ByteRecord::new();
    let mut rows = 0;
    // Reading from memory as bytes cannot fail.
    while csv.read_byte_record(&mut bytes).unwrap_or(false) {
        let line = block.first_line + start_line(&block.bytes, bytes.position());
        rows += 1;
        match StringRecord::from_byte_record(std::mem::take(&mut bytes)) {
            Ok(row) => {
                reader.read(layout, verdicts, &row, line);
                bytes = row.into_byte_record();
            }
            Err(invalid) => {
                bytes = invalid.into_byte_record();
                reader.reject_bytes(layout, verdicts, &bytes, line);
            }
        }
    }
    rows
}

/// Parses a block without quotes; gives its rows.
fn parse_plain_block(
    reader: &mut RowReader<'_>,
    of_file: &mut OfFile,
    layout: &Layout,
    block: &Block,
) -> u64 {
    let mut plain = PlainRows::new(&block.bytes, reader.delimiter());
    let mut ends = Vec::new();
    let mut fields = StringRecord::new();
    let mut rows = 0;
    while let Some(row) = plain.next(&mut ends) {
        rows += 1;
        if of_file.repeated.as_mut().is_some_and(|r| r.count(row.bytes, &ends)) {
            continue;
        }
        fields.clear();
        let mut start = 0;
        for &end in &ends {
            // The whole block is UTF-8, and delimiters are ASCII.
            fields.push_field(std::str::from_utf8(&row.bytes[start..end]).unwrap_or_default());
            start = end + 1;
        }
        reader.read(layout, &mut of_file.verdicts, &fields, block.first_line + row.line);
        if let (Some(repeated), Some(place)) = (&mut of_file.repeated, reader.passed) {
            repeated.remember(row.bytes, &ends, &fields, place);
        }
    }
    rows
}

/// Hands rejects to the observer in file order and keeps the counts; gives the rows of each file.
fn observe(
    outcomes: &Receiver<Done>,
    paths: &[PathBuf],
    observer: &mut dyn ReadObserver,
    records: &mut Records,
    progress: impl Fn(u64) -> Progress,
) -> Result<Vec<u64>, Error> {
    let mut rows = vec![0; paths.len()];
    let mut waiting: BTreeMap<usize, Done> = BTreeMap::new();
    let mut next = 0;
    for done in outcomes {
        waiting.insert(done.number, done);
        while let Some(done) = waiting.remove(&next) {
            next += 1;
            rows[done.file as usize] += done.rows;
            for reject in &done.rejects {
                *records.rejected.entry(reject.reason).or_default() += 1;
                observer.reject(&paths[done.file as usize], reject)?;
            }
        }
        if observer.progress(progress(rows.iter().sum())).is_break() {
            return Err(Error::Cancelled);
        }
    }
    Ok(rows)
}

/// The files at their ends, and whether they carry values and verdicts.
type ReadFiles = (Vec<Input>, bool, bool);

/// Reads every file, resolves its header, and queues its blocks.
fn read_files(
    paths: &[PathBuf],
    options: &ReadOptions,
    shared: &Shared,
    bytes_read: &BytesRead,
    stop: &AtomicBool,
    jobs: &SyncSender<Job>,
) -> Result<ReadFiles, Error> {
    let mut number = 0;
    let mut files = (Vec::new(), false, false);
    for (file, path) in (0..).zip(paths) {
        let input = Input::open(path, Arc::clone(bytes_read))?;
        let mut blocks = Blocks::new(input, options.mapping.delimiter());
        let Some(mut block) = blocks.next()? else {
            return Err(Error::Header {
                path: path.clone(),
                reason: "the file is empty; it must start with a header".into(),
            });
        };
        let header = take_header(path, &mut block, options)?;
        let layout = Layout::new(path.clone(), file, header, &shared.mapping, shared.tolerances.as_ref())
            .map_err(|reason| Error::Header { path: path.clone(), reason })?;
        if !options.inspect_only {
            let needed = [("value", layout.has_values()), ("verdict", !layout.verdict.is_absent())];
            if let Some((column, _)) = needed.iter().find(|(_, there)| !there) {
                let listed = layout.header.listed();
                let reason = format!(
                    "there is no column {column:?}; the header has {listed}. Name the site's column in a mapping"
                );
                return Err(Error::Header { path: path.clone(), reason });
            }
        }
        files.1 |= layout.has_values();
        files.2 |= !layout.verdict.is_absent();
        let layout = Arc::new(layout);
        let mut next = Some(block);
        while let Some(block) = next {
            let job = Job { number, layout: Arc::clone(&layout), block };
            if stop.load(Ordering::Relaxed) || jobs.send(job).is_err() {
                return Err(Error::Cancelled);
            }
            number += 1;
            next = blocks.next()?;
        }
        files.0.push(blocks.into_input());
    }
    Ok(files)
}

/// Cuts the header, and what stands before it, off the first block.
fn take_header(path: &Path, block: &mut Block, options: &ReadOptions) -> Result<Header, Error> {
    let fail = |reason: &str| Error::Header { path: path.to_owned(), reason: reason.into() };
    if block.bytes.starts_with(&[0xff, 0xfe]) || block.bytes.starts_with(&[0xfe, 0xff]) {
        return Err(fail("the file is UTF-16; save it as UTF-8"));
    }
    let mut start = if block.bytes.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
    for _ in 0..options.mapping.file.skip_lines {
        let end = memchr::memchr(b'\n', &block.bytes[start..]);
        start += end.ok_or_else(|| fail("the file ends before its header (file.skip_lines)"))? + 1;
        block.first_line += 1;
    }
    let mut csv = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(options.mapping.delimiter())
        .from_reader(&block.bytes[start..]);
    let mut header = ByteRecord::new();
    if !csv.read_byte_record(&mut header).unwrap_or(false) {
        return Err(fail("the file has no header"));
    }
    let header = StringRecord::from_byte_record(header)
        .map_err(|_| fail("the header is not UTF-8; save the file as UTF-8"))?;
    let position = csv.position().clone();
    let length = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    block.first_line += position.line() - 1;
    block.bytes.drain(..(start + length).min(block.bytes.len()));
    Ok(Header::new(header.iter()))
}

/// Tells the observer about the rows that the population left out as copies.
fn report_duplicates(
    records: &mut Records,
    paths: &[PathBuf],
    observer: &mut dyn ReadObserver,
) -> Result<(), Error> {
    for duplicate in &records.population.duplicates {
        let Source { file, .. } = duplicate.source;
        let reason = if duplicate.conflict { RejectReason::Conflict } else { RejectReason::Duplicate };
        *records.rejected.entry(reason).or_default() += 1;
        let reject = Reject {
            source: duplicate.source,
            column: "record_id".into(),
            value: duplicate.verdict.word().into(),
            reason,
            blocks: false,
        };
        observer.reject(&paths[file as usize], &reject)?;
    }
    Ok(())
}
