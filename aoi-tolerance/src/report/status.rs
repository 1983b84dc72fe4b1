//! One page on a line that runs: alarms first, what waits for approval, limits over time, drift, the ledger's end.
//!
//! The page is written whole each time and asks a browser to look again every half minute; like the report it runs no script and asks no network.

use std::io;

use askama::Template;

use super::ReportError;
use super::format::{Count, Number, Px, Share};
use super::name::visible;
use super::svg::{Scale, Tick};
use crate::drift::Monitor;
use crate::ledger::{Book, Change, LimitName, Stage, motions};
use crate::motion::{Freeze, Motion, MotionPolicy};
use crate::options::Options;
use crate::store::Store;

/// What the page says beside the state.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusContext {
    /// Heading.
    pub title: String,
    /// Program and version.
    pub software: String,
    /// When, RFC 3339; printed as given.
    pub created: String,
    /// How limits are proposed.
    pub options: Options,
    /// How they may move.
    pub policy: MotionPolicy,
    /// What is wrong with the ledger's chain; empty if it holds.
    pub broken: String,
}

/// Alarms listed, and charts drawn of each kind, at most.
const LISTED: usize = 50;
const CHARTS: usize = 24;
/// Entries of the ledger's end.
const ENTRIES: usize = 20;

/// Edges of the plotting area in the 560 x 190 drawings.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 545.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 150.0;

#[derive(Template)]
#[template(path = "status.html")]
struct Page {
    title: String,
    software: String,
    created: String,
    alarms: Vec<Alarm>,
    alarms_hidden: Count,
    /// Limits that would be loosened and may not, and why.
    frozen: Vec<Alarm>,
    frozen_count: Count,
    waiting: Vec<Waiting>,
    tiles: Vec<(&'static str, String, &'static str)>,
    timelines: Vec<Timeline>,
    drifts: Vec<DriftChart>,
    entries: Count,
    head: String,
    broken: String,
    last: Vec<LastEntry>,
}

struct Waiting {
    number: u64,
    change: String,
    why: String,
    false_calls: String,
    defects: String,
    bound: String,
    stage: &'static str,
}

struct LastEntry {
    number: u64,
    time: String,
    who: String,
    what: String,
    why: String,
}

/// The limit in force over the changes of one limit.
struct Timeline {
    name: String,
    text: String,
    up: Vec<Tick>,
    baseline: Px,
    steps: String,
    first: String,
    last: String,
}

/// The EWMA chart of one tolerance.
struct DriftChart {
    name: String,
    text: String,
    alarm: bool,
    up: Vec<Tick>,
    zero: Px,
    line: String,
    high: String,
    low: String,
    warnings: Vec<(Px, Px)>,
    count: usize,
}

/// Writes the page.
///
/// # Errors
/// When `out` fails or the options do not fit the store.
pub fn write_status(
    out: &mut impl io::Write,
    store: &Store,
    book: &Book,
    context: &StatusContext,
) -> Result<(), ReportError> {
    let (mut alarms, mut frozen) = alarms(store, context)?;
    let hidden = alarms.len().saturating_sub(LISTED);
    alarms.truncate(LISTED);
    let frozen_count = Count(frozen.len() as u64);
    frozen.truncate(LISTED);
    let page = Page {
        title: visible(&context.title),
        software: visible(&context.software),
        created: visible(&context.created),
        alarms,
        alarms_hidden: Count(hidden as u64),
        frozen,
        frozen_count,
        waiting: waiting(book),
        tiles: tiles(store),
        timelines: timelines(book),
        drifts: drifts(store),
        entries: Count(book.entries().len() as u64),
        head: book.head().to_owned(),
        broken: visible(&context.broken),
        last: last(book),
    };
    out.write_all(page.render()?.as_bytes())?;
    Ok(())
}

/// Kind and words of an alarm.
type Alarm = (&'static str, String);

/// What calls for action, gravest first; and what is merely frozen.
fn alarms(store: &Store, context: &StatusContext) -> Result<(Vec<Alarm>, Vec<Alarm>), ReportError> {
    let line = store.line();
    let (mut escapes, mut alarms, mut frozen) = (Vec::new(), Vec::new(), Vec::new());
    for (limit, proposal, motion) in motions(line, &context.options, &context.policy)? {
        let name = visible(&LimitName::of(line.recalibrator(), limit).to_string());
        if let Some(suggested) = proposal.suggested_limit {
            escapes
                .push(("Escape.", format!("{name}: {}; {suggested} would have caught it", proposal.reason)));
        }
        match motion {
            Motion::Tighten { cause: Some(Freeze::Escape { missed }), to, .. } => {
                escapes
                    .push(("Escape.", format!("{name} lets {missed} known defects pass; tighten to {to}")));
            }
            Motion::Tighten { cause: Some(cause), to, .. } => {
                alarms.push(("Tighten.", format!("{name}: {cause}; tighten to {to}")));
            }
            Motion::Frozen(Freeze::Drift) => {
                alarms.push(("Drift.", format!("{name}: {}", Freeze::Drift)));
            }
            Motion::Frozen(freeze) => frozen.push(("Frozen.", format!("{name}: {freeze}"))),
            _ => {}
        }
    }
    escapes.extend(alarms);
    Ok((escapes, frozen))
}

fn waiting(book: &Book) -> Vec<Waiting> {
    let open = book.proposals().filter(|o| matches!(o.stage, Stage::Proposed | Stage::Approved));
    open.map(|o| {
        let mut row = Waiting {
            number: o.number,
            change: visible(&o.change.to_string()),
            why: String::new(),
            false_calls: String::new(),
            defects: String::new(),
            bound: String::new(),
            stage: o.stage.word(),
        };
        if let Change::Limit { reason, false_calls, defects, escape_bound, confidence, .. } = &o.change {
            row.why = visible(reason);
            row.false_calls = format!("{} → {}", Count(false_calls.0), Count(false_calls.1));
            row.defects = format!("{} of {}", Count(defects.1), Count(defects.0));
            let confidence = Share(*confidence);
            row.bound = escape_bound.map_or_else(
                || "no evidence".to_owned(),
                |bound| format!("{} at {confidence}", Share(bound)),
            );
        }
        row
    })
    .collect()
}

fn tiles(store: &Store) -> Vec<(&'static str, String, &'static str)> {
    let live = store.line().recalibrator();
    let counts = live.counts();
    let limits: Vec<_> = live.limits().collect();
    let moved = limits.iter().filter(|l| {
        let (baseline, now) = live.in_force(**l);
        baseline.to_bits() != now.to_bits()
    });
    vec![
        ("records", Count(counts.records).to_string(), "each counted once"),
        (
            "flagged by the old limits",
            Count(counts.kept).to_string(),
            "faults that they do not flag included",
        ),
        (
            "released by relaxed limits",
            Count(counts.released).to_string(),
            "presumed false calls until reviewed",
        ),
        ("came again", Count(counts.known).to_string(), "and said nothing new"),
        ("corrected later", Count(counts.corrected).to_string(), "late verdicts among them"),
        ("limits", Count(limits.len() as u64).to_string(), "lower and upper counted"),
        ("of these moved", Count(moved.count() as u64).to_string(), "in force away from T0"),
    ]
}

fn timelines(book: &Book) -> Vec<Timeline> {
    let mut limits: Vec<&LimitName> = Vec::new();
    for (_, change, _) in book.in_force() {
        if let Some(limit) = change.limit().filter(|l| !limits.contains(l)) {
            limits.push(limit);
        }
    }
    limits.into_iter().rev().take(CHARTS).map(|limit| Timeline::of(book, limit)).collect()
}

impl Timeline {
    fn of(book: &Book, limit: &LimitName) -> Self {
        let changes: Vec<(&str, f64)> = book
            .in_force()
            .filter(|(_, change, _)| change.limit() == Some(limit))
            .map(|(entry, _, value)| (entry.time.as_str(), value))
            .collect();
        let values = || changes.iter().map(|c| c.1).chain([limit.baseline]);
        let (low, high) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let room = ((high - low) * 0.15).max(high.abs() * 1e-6).max(f64::MIN_POSITIVE);
        let up = Scale { from: (low - room, BOTTOM), to: (high + room, TOP) };
        let times: Vec<i64> = changes.iter().map(|(time, _)| seconds(time)).collect();
        let (first, last) = (times.first().copied().unwrap_or(0), times.last().copied().unwrap_or(0));
        // A tenth of the width before the first change and after the last.
        let across =
            Scale { from: (first as f64, LEFT + 50.0), to: (last.max(first + 1) as f64, RIGHT - 50.0) };
        let moves = changes.iter().zip(&times);
        let moves = moves.map(|((_, value), time)| format!("H{}V{}", across.px(*time as f64), up.px(*value)));
        let steps = format!("M{LEFT} {}{}H{RIGHT}", up.px(limit.baseline), moves.collect::<String>());
        let now = changes.last().map_or(limit.baseline, |c| c.1);
        let day = |time: Option<&(&str, f64)>| visible(time.map_or("", |t| t.0.get(..16).unwrap_or(t.0)));
        Self {
            name: visible(&limit.to_string()),
            text: format!("{} changes; T0 {}, now {}", changes.len(), Number(limit.baseline), Number(now)),
            up: up.value_ticks(),
            baseline: up.px(limit.baseline),
            steps,
            first: day(changes.first()),
            last: day(changes.last()),
        }
    }
}

/// Seconds since 1970 of an RFC 3339 time; zero for anything else.
fn seconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second)
}

/// Charts of what has drifted, then of the others.
fn drifts(store: &Store) -> Vec<DriftChart> {
    let line = store.line();
    let live = line.recalibrator();
    let mut seen = std::collections::BTreeSet::new();
    let mut charts: Vec<(bool, DriftChart)> = live
        .limits()
        .filter(|l| seen.insert(l.slot))
        .filter_map(|limit| {
            let monitor = line.monitor(limit)?;
            let name = LimitName::of(live, limit);
            let chart = DriftChart::of(visible(&name.to_string()), monitor)?;
            Some((monitor.drift().is_none(), chart))
        })
        .collect();
    charts.sort_by_key(|(calm, _)| *calm);
    charts.into_iter().take(CHARTS).map(|(_, chart)| chart).collect()
}

impl DriftChart {
    fn of(name: String, monitor: &Monitor) -> Option<Self> {
        let points: Vec<_> = monitor.points().collect();
        let most = points.iter().map(|p| p.ewma.abs().max(p.ewma_limit)).fold(0.0, f64::max);
        if points.is_empty() || most <= 0.0 {
            return None;
        }
        let up = Scale { from: (-1.15 * most, BOTTOM), to: (1.15 * most, TOP) };
        let across = Scale { from: (0.0, LEFT), to: ((points.len().max(2) - 1) as f64, RIGHT) };
        let line = |value: &dyn Fn(&crate::drift::Point) -> f64| {
            let places = points
                .iter()
                .enumerate()
                .map(|(i, p)| format!("{},{}", across.px(i as f64), up.px(value(p))));
            places.collect::<Vec<_>>().join(" ")
        };
        let warned = points.iter().enumerate().filter(|(_, p)| p.warning);
        Some(Self {
            text: monitor.drift().map_or_else(|| "in control".to_owned(), |d| d.to_string()),
            alarm: monitor.drift().is_some(),
            up: up.value_ticks(),
            zero: up.px(0.0),
            line: line(&|p| p.ewma),
            high: line(&|p| p.ewma_limit),
            low: line(&|p| -p.ewma_limit),
            warnings: warned.map(|(i, p)| (across.px(i as f64), up.px(p.ewma))).collect(),
            count: points.len(),
            name,
        })
    }
}

fn last(book: &Book) -> Vec<LastEntry> {
    book.entries()
        .iter()
        .rev()
        .take(ENTRIES)
        .map(|e| LastEntry {
            number: e.number,
            time: visible(&e.time),
            who: visible(&e.who),
            what: visible(&e.act.to_string()),
            why: visible(&e.why),
        })
        .collect()
}
