//! Files of records, streamed: one thread reads and cuts, others parse, and memory holds the flagged values only.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex};

use crate::collect::{CollectOptions, Collector};
use crate::error::Error;
use crate::io::blocks::Blocks;
use crate::io::cfx::messages::Messages;
use crate::io::form::LimitForm;
use crate::io::input::{BytesRead, Input, InputFile};
use crate::io::layout::Layout;
use crate::io::mapping::Mapping;
use crate::io::opening::{layout_of, take_header};
#[cfg(feature = "parquet")]
use crate::io::parquet;
use crate::io::parse::{Content, Done, Job, parse};
use crate::io::reject::{Reject, RejectReason};
use crate::io::rows::{RowReader, Shared};
use crate::io::tolerances::ToleranceTable;
use crate::io::verdict::VerdictWords;
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
    /// The form in which the mapping says that limits are written.
    pub limit_form: LimitForm,
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

/// Endings of the names of files that a folder is read for; each may be compressed (`.gz`, `.zst`).
const MESSAGE_FILES: [&str; 3] = ["json", "jsonl", "ndjson"];

/// The files that `paths` stand for: a folder stands for the files of IPC-CFX messages in it, by name.
///
/// # Errors
/// When a folder cannot be listed, or holds no such file.
pub fn files_of(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let fail = |source| Error::Read { path: path.clone(), source };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(fail)? {
            let file = entry.map_err(fail)?.path();
            let name = file.file_name().and_then(|n| n.to_str()).unwrap_or("").to_ascii_lowercase();
            let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
            if MESSAGE_FILES.iter().any(|end| name.ends_with(&format!(".{end}"))) && file.is_file() {
                found.push(file);
            }
        }
        if found.is_empty() {
            let reason = "is a folder without .json, .jsonl or .ndjson files; name the files to read";
            return Err(fail(std::io::Error::other(reason)));
        }
        found.sort();
        files.extend(found);
    }
    Ok(files)
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
    let mut records = Records { limit_form: options.mapping.limits.form, ..Records::default() };

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
        let mut input = Input::open(path, Arc::clone(bytes_read))?;
        let mut queue = |layout: &Arc<Layout>, content: Content| {
            let job = Job { number, layout: Arc::clone(layout), content };
            number += 1;
            if stop.load(Ordering::Relaxed) || jobs.send(job).is_err() {
                return Err(Error::Cancelled);
            }
            Ok(())
        };
        if input.is_parquet() {
            #[cfg(not(feature = "parquet"))]
            return Err(input.refuse_parquet(
                "this program was built without it: build with `--features parquet`, or write the records as CSV",
            ));
            #[cfg(feature = "parquet")]
            {
                let (input, layout) = parquet::read(input, file, options, shared, &mut queue)?;
                files.1 |= layout.has_values();
                files.2 |= !layout.verdict.is_absent();
                files.0.push(input);
                continue;
            }
        }
        if input.starts_as_json()? {
            let layout = Layout::of_messages(path.clone(), file, &shared.mapping)
                .map_err(|reason| Error::Header { path: path.clone(), reason })?;
            let layout = Arc::new(layout);
            let mut messages = Messages::new(input);
            while let Some(block) = messages.next()? {
                queue(&layout, Content::Text(block))?;
            }
            (files.1, files.2) = (true, true);
            files.0.push(messages.into_input());
            continue;
        }
        let mut blocks = Blocks::new(input, options.mapping.delimiter());
        let Some(mut block) = blocks.next()? else {
            return Err(Error::Header {
                path: path.clone(),
                reason: "the file is empty; it must start with a header".into(),
            });
        };
        let header = take_header(path, &mut block, options)?;
        let layout = layout_of(path, file, header, options, shared)?;
        files.1 |= layout.has_values();
        files.2 |= !layout.verdict.is_absent();
        let layout = Arc::new(layout);
        let mut next = Some(block);
        while let Some(block) = next {
            queue(&layout, Content::Text(block))?;
            next = blocks.next()?;
        }
        files.0.push(blocks.into_input());
    }
    Ok(files)
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
