//! `aoi tolerance watch`.

use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aoi_tolerance::Error;
use aoi_tolerance::io::mapping::Mapping;
use aoi_tolerance::io::{
    Followed, Follower, Progress, ReadObserver, ReadOptions, Reject, ToleranceTable, write_whole,
};
use aoi_tolerance::ledger::{Act, Book, Change, Evidenced, Ledger, Stage, draft, read_ledger};
use aoi_tolerance::motion::MotionPolicy;
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use aoi_tolerance::report::{ReportContext, StatusContext, write_report, write_status};
use aoi_tolerance::store::Store;
use clap::Args;
use serde_json::json;

use super::sources::{Source, state};
use super::{LiveArguments, software};
use crate::command::interrupt;
use crate::command::outcome::{Failure, Outcome};
use crate::command::tolerance::optimise::REPORT_CHARTS;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    aoi tolerance watch --ledger line4/ drop/                  # a folder that files are dropped into, until interrupted\n  \
    aoi tolerance watch --ledger line4/ records.csv --once     # what is there now, and end\n  \
    exporter | aoi tolerance watch --ledger line4/ -\n\n\
    Every record is on the disk before it is acknowledged, and none is counted twice: a file is known by its content, a record by its\n\
    record_id. A line or message without its end waits until it has one. Rows of CSV and IPC-CFX messages (.json, .jsonl, .ndjson) are told apart\n\
    by their first byte. DIR/status.html and DIR/report.html are kept current.")]
pub(crate) struct Arguments {
    /// A file, a folder that files are dropped into, or `-` for standard input
    #[arg(value_name = "RECORDS")]
    records: PathBuf,
    #[command(flatten)]
    live: LiveArguments,
    /// Mapping from the site's columns and words to the record format
    #[arg(long, value_name = "MAP.toml")]
    map: Option<PathBuf>,
    /// Tolerance table, where the limits are not in the records
    #[arg(long, value_name = "TOLERANCES.csv")]
    limits: Option<PathBuf>,
    /// Read what is there, and end
    #[arg(long)]
    once: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    poll: f64,
    /// Name that proposals are signed with
    #[arg(long, value_name = "NAME", default_value = "aoi watch")]
    who: String,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

/// Pause between two writings of the pages while records stream in.
const PAGES_EVERY: Duration = Duration::from_secs(5);

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    interrupt::watch();
    let options = arguments.live.options()?;
    let policy = arguments.live.policy()?;
    if !(arguments.poll >= 0.0 && arguments.poll < 86_400.0) {
        return Err(Failure::Usage(format!("--poll {}: expected seconds, at most a day", arguments.poll)));
    }
    let follower = Follower::new(reading(arguments)?);
    let mut watch = Watch {
        arguments,
        options,
        policy,
        store: Store::open(&arguments.live.ledger, arguments.live.store())?,
        total: Followed::default(),
        rejects: Rejects::default(),
        written: None,
        stale: false,
    };
    let mut source = Source::new(&arguments.records);
    let mut first = true;
    loop {
        // The ledger may have grown by another hand, and records that follow carry the limits that it put in force.
        if watch.settle(false)? == Outcome::No {
            return Ok(Outcome::No);
        }
        let mut looked = false;
        for file in source.changed()? {
            let before = state(&file);
            looked |= watch.read(&follower, &file)?;
            source.remember(&file, before);
            if interrupt::asked() {
                break;
            }
        }
        if watch.settle(looked || first)? == Outcome::No {
            return Ok(Outcome::No);
        }
        first = false;
        if arguments.once || source.is_stream() || interrupt::asked() {
            break;
        }
        wait(Duration::from_secs_f64(arguments.poll));
    }
    if watch.stale {
        let book = Book::of(read_ledger(watch.store.folder())?.chain);
        watch.pages(&book, "")?;
    }
    watch.store.write_snapshot()?;
    watch.summary();
    Ok(Outcome::Done)
}

/// Sleeps in short pieces, so that Ctrl-C is heard.
fn wait(whole: Duration) {
    let piece = Duration::from_millis(50);
    let mut left = whole;
    while !left.is_zero() && !interrupt::asked() {
        std::thread::sleep(left.min(piece));
        left = left.saturating_sub(piece);
    }
}

fn reading(arguments: &Arguments) -> Result<ReadOptions, Failure> {
    let mapping = arguments.map.as_deref().map(Mapping::read).transpose()?.unwrap_or_default();
    let table = |path: &Path| ToleranceTable::read(path, &mapping);
    Ok(ReadOptions {
        tolerances: arguments.limits.as_deref().map(table).transpose()?,
        mapping,
        collect: arguments.live.store().live.collect,
        acknowledged: HashSet::new(),
        inspect_only: false,
        threads: 1,
    })
}

/// A store being fed.
struct Watch<'a> {
    arguments: &'a Arguments,
    options: Options,
    policy: MotionPolicy,
    store: Store,
    total: Followed,
    rejects: Rejects,
    /// When the pages were last written, and whether they are out of date.
    written: Option<Instant>,
    stale: bool,
}

impl Watch<'_> {
    /// Reads what is new in a file; whether there was anything.
    fn read(&mut self, follower: &Follower, file: &Path) -> Result<bool, Failure> {
        let live = &self.arguments.live;
        let followed = match follower.read(file, &mut self.store, &mut self.rejects, &|| live.nanoseconds()) {
            Err(Error::Cancelled) => Followed::default(),
            // One bad file in a folder does not stop the others.
            Err(
                error @ (Error::Header { .. }
                | Error::Read { .. }
                | Error::Row { .. }
                | Error::UnclosedQuote { .. }),
            ) if self.arguments.records.is_dir() => {
                eprintln!("warning: {error}");
                Followed::default()
            }
            other => other?,
        };
        if followed.unfinished > 0 && (self.arguments.once || file == Path::new("-")) {
            eprintln!(
                "warning: {}: the last line or message has no end and was left unread; end a line with a line break",
                file.display()
            );
        }
        self.rejects.print(file);
        self.total.add(&followed);
        if self.store.wants_snapshot() {
            self.settle(true)?;
            self.store.write_snapshot()?;
        }
        Ok(followed.rows > 0)
    }

    /// Follows the ledger, notes what happened, proposes what should change, and writes the pages.
    fn settle(&mut self, changed: bool) -> Result<Outcome, Failure> {
        let verified = read_ledger(self.store.folder())?;
        if let Some(fault) = &verified.fault {
            eprintln!("aoi: {}: the ledger is broken: {fault}", self.store.folder().display());
            self.pages(&Book::of(verified.chain.clone()), fault)?;
            return Ok(Outcome::No);
        }
        let book = Book::of(verified.chain);
        let followed = self.store.follow(&book)?;
        self.store.commit()?;
        if !changed && followed == 0 {
            if self.stale {
                self.pages_when_due(&book)?;
            }
            return Ok(Outcome::Done);
        }
        drop(book);
        self.write_entries()?;
        let book = Book::of(read_ledger(self.store.folder())?.chain);
        self.store.follow(&book)?;
        self.store.commit()?;
        self.pages_when_due(&book)?;
        Ok(Outcome::Done)
    }

    /// Writes the pages, but not again and again while records stream in.
    fn pages_when_due(&mut self, book: &Book) -> Result<(), Failure> {
        let due = self.arguments.once || self.written.is_none_or(|at| at.elapsed() >= PAGES_EVERY);
        self.stale = !due;
        if due {
            self.pages(book, "")?;
            self.written = Some(Instant::now());
        }
        Ok(())
    }

    /// Notes, proposals, and what the policy puts in force by itself.
    fn write_entries(&mut self) -> Result<(), Failure> {
        let mut ledger = Ledger::open(self.store.folder())?;
        let by = self.arguments.live.signed(&self.arguments.who, "follows from the records");
        let (events, sha256) = self.store.head();
        let input = Evidenced { events, sha256 };
        for (kind, text) in self.heard() {
            eprintln!("{}: {text}", if kind == "escape" { "ALARM" } else { "warning" });
            ledger.add(Act::Note { kind: kind.to_owned(), text }, &by)?;
        }
        for draft in draft(self.store.line(), ledger.book(), &self.options, &self.policy)? {
            let number = ledger.propose(&draft, &input, &by)?;
            eprintln!("proposal {number}: {}", draft.change);
        }
        let automatic = |o: &&aoi_tolerance::ledger::Open| {
            let tightens = matches!(o.change, Change::Limit { loosens: false, automatic: true, .. });
            tightens && matches!(o.stage, Stage::Proposed | Stage::Approved)
        };
        let automatic: Vec<(u64, Stage)> =
            ledger.book().proposals().filter(automatic).map(|o| (o.number, o.stage)).collect();
        let by = self.arguments.live.signed(&self.arguments.who, "the policy tightens without asking");
        for (proposal, stage) in automatic {
            if stage == Stage::Proposed {
                ledger.add(Act::Approve { proposal }, &by)?;
            }
            ledger.add(Act::Apply { proposal }, &by)?;
        }
        Ok(())
    }

    /// What happened that the ledger should say.
    fn heard(&mut self) -> Vec<(&'static str, String)> {
        use aoi_tolerance::recalibrate::Notice;
        let line = self.store.line_mut();
        let kind = |n: &Notice| match n {
            _ if n.is_escape() => "escape",
            Notice::Withheld { .. } => "withheld",
            _ => "unsettled",
        };
        let mut heard: Vec<(&'static str, String)> =
            line.take_notices().iter().map(|n| (kind(n), n.to_string())).collect();
        for (limit, drift) in line.take_drifted() {
            let name = line.recalibrator().name(limit).key;
            heard.push(("drift", format!("{name}: {drift}; its certificate is void")));
        }
        heard
    }

    /// Writes status and report, whole or not at all.
    fn pages(&self, book: &Book, broken: &str) -> Result<(), Failure> {
        let folder = self.store.folder();
        let created = self.arguments.live.now().to_string();
        let context = StatusContext {
            title: "Inspection limits, live".to_owned(),
            software: software(),
            created: created.clone(),
            options: self.options.clone(),
            policy: self.policy,
            broken: broken.to_owned(),
        };
        let mut page = Vec::new();
        let fail = |e: aoi_tolerance::report::ReportError| Failure::Other(e.to_string());
        write_status(&mut page, &self.store, book, &context).map_err(fail)?;
        write_whole(&folder.join("status.html"), |out| out.write_all(&page))?;
        let population = self.store.line().recalibrator().population();
        let evidence: Vec<_> = population.limits.iter().map(Limit::evidence).collect();
        let proposals = optimise(&evidence, &self.options)?;
        let context = ReportContext {
            title: "Inspection limits, live".to_owned(),
            software: software(),
            created,
            options: self.options.clone(),
            detail_limits: REPORT_CHARTS,
            ..ReportContext::default()
        };
        let mut page = Vec::new();
        write_report(&mut page, &population, &proposals, &context).map_err(fail)?;
        write_whole(&folder.join("report.html"), |out| out.write_all(&page))?;
        Ok(())
    }

    fn summary(&self) {
        let counts = self.store.line().recalibrator().counts();
        let (events, head) = self.store.head();
        let Followed { rows, new, corrected, known, rejected, .. } = self.total;
        let waiting = read_ledger(self.store.folder()).map_or(0, |v| {
            let book = Book::of(v.chain);
            book.proposals().filter(|o| matches!(o.stage, Stage::Proposed | Stage::Approved)).count()
        });
        if self.arguments.json {
            println!(
                "{}",
                json!({
                    "rows": rows, "new": new, "corrected": corrected, "known": known, "rejected": rejected,
                    "records": counts.records, "kept": counts.kept, "released": counts.released,
                    "events": events, "log_sha256": head, "waiting": waiting,
                })
            );
            return;
        }
        println!(
            "rows         {rows} read: {new} new, {corrected} corrections, {known} known, {rejected} rejected"
        );
        println!(
            "records      {} counted, {} flagged by the old limits, {} released",
            counts.records, counts.kept, counts.released
        );
        println!("log          {events} events, sha256 {head}");
        println!(
            "proposals    {waiting} wait: aoi tolerance ledger log --ledger {}",
            self.store.folder().display()
        );
    }
}

/// Rejects by reason, with the first place of each.
#[derive(Default)]
struct Rejects(BTreeMap<String, (u64, u64)>);

impl Rejects {
    fn print(&mut self, file: &Path) {
        for (reason, (count, line)) in std::mem::take(&mut self.0) {
            eprintln!("warning: {}: {count} rows: {reason}; first on line {line}", file.display());
        }
    }
}

impl ReadObserver for Rejects {
    fn reject(&mut self, _path: &Path, reject: &Reject) -> Result<(), Error> {
        let entry = self.0.entry(reject.reason.to_string()).or_insert((0, reject.source.line));
        entry.0 += 1;
        Ok(())
    }

    fn progress(&mut self, _progress: Progress) -> ControlFlow<()> {
        if interrupt::asked() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
