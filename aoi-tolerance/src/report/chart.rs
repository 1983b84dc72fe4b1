//! The picture of one limit: false calls as a histogram, known defects as marks, both limits as lines.

use std::collections::BTreeSet;

use super::format::{AtMost, Change, Count, Number, Px, Rounded, counted, percent};
use super::histogram::{Bins, Marks, Window};
use super::name::{LimitName, fitted, width};
use super::svg::{LETTER, Scale, Tick};
use crate::certificate::EscapeBound;
use crate::evidence::Evidence;
use crate::limit::{Boundary, Side, is_flagged};
use crate::population::Limit;
use crate::proposal::{Decision, Proposal, Reason};
use crate::record::Verdict;

/// One chart with its caption.
#[derive(Debug)]
pub(super) struct Chart {
    /// Tells the charts' ids apart.
    pub(super) number: usize,
    pub(super) name: LimitName,
    pub(super) decision: String,
    pub(super) reason: String,
    /// What the picture shows, in words, for those who cannot see it.
    pub(super) description: String,
    /// The caption's sentences.
    pub(super) facts: Vec<String>,
    /// None where there is nothing that could be drawn.
    pub(super) drawing: Option<Drawing>,
}

/// A line across the drawing at a limit.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) class: &'static str,
    pub(super) text: String,
    pub(super) at: Px,
    pub(super) top: Px,
    pub(super) words: Px,
    pub(super) anchor: &'static str,
    pub(super) letters: Px,
}

/// A row of marks under the histogram.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) label: &'static str,
    pub(super) symbol: &'static str,
    pub(super) middle: Px,
    pub(super) letters: Px,
    pub(super) marks: Vec<Px>,
}

/// A rectangle.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) class: &'static str,
    pub(super) x: Px,
    pub(super) y: Px,
    pub(super) w: Px,
    pub(super) h: Px,
}

/// Everything with its place, in a drawing 560 wide.
#[derive(Debug)]
pub(super) struct Drawing {
    pub(super) height: Px,
    pub(super) base: Px,
    pub(super) axis: Px,
    pub(super) tick_end: Px,
    pub(super) tick_letters: Px,
    pub(super) title_letters: Px,
    pub(super) blocks: Vec<Block>,
    pub(super) lanes: Vec<Lane>,
    pub(super) lines: Vec<Line>,
    pub(super) across: Vec<Tick>,
    pub(super) up: Vec<Tick>,
    pub(super) title: String,
    pub(super) low_end: &'static str,
    pub(super) high_end: &'static str,
    pub(super) beyond_letters: Px,
    /// Words for values further out, at the end where they lie.
    pub(super) beyond: Option<(Px, &'static str, String)>,
}

const LEFT: f64 = 70.0;
const RIGHT: f64 = 548.0;
const LANE: f64 = 18.0;
const PLOT: f64 = 120.0;

impl Chart {
    /// Draws `limit` with its `proposal`.
    pub(super) fn new(
        number: usize,
        name: LimitName,
        limit: &Limit,
        evidence: &Evidence,
        proposal: &Proposal,
        boundary: Boundary,
    ) -> Self {
        let pending: Vec<f64> =
            limit.rows.iter().filter(|r| r.verdict == Verdict::Pending).map(|r| r.value).collect();
        let marks = Marks {
            side: limit.id.side,
            boundary,
            old_limit: proposal.old_limit,
            new_limit: proposal.new_limit,
            suggested: proposal.suggested_limit,
            false_calls: &evidence.false_calls,
            defects: &evidence.defects,
            provisional: &evidence.provisional,
            pending: &pending,
            escapes: &limit.escapes,
        };
        let drawing = marks.window().map(|window| Drawing::new(&marks, window, &name, proposal));
        Self {
            number,
            decision: proposal.decision.to_string(),
            reason: proposal.reason.to_string(),
            description: description(&name, proposal),
            facts: facts(&name, limit, evidence, proposal),
            name,
            drawing,
        }
    }
}

/// What the picture shows, in one paragraph.
fn description(name: &LimitName, p: &Proposal) -> String {
    let to = if p.moves() { format!("moves to {}", Number(p.new_limit)) } else { "stays".to_owned() };
    format!(
        "Histogram of the {} of the {} limit {} {}, which {to}. {} of {} known defects are flagged.",
        counted(p.false_calls_before, "false call", "false calls"),
        name.side,
        Number(p.old_limit),
        name.unit,
        Count(p.defects_after),
        Count(p.defects_before),
    )
}

/// The caption: counts, then what holds the limit, then what is proven.
fn facts(name: &LimitName, limit: &Limit, evidence: &Evidence, p: &Proposal) -> Vec<String> {
    let change = Change { before: p.false_calls_before, after: p.false_calls_after };
    let unit = if name.unit.is_empty() { String::new() } else { format!("\u{a0}{}", name.unit) };
    let mut facts = Vec::new();
    if p.moves() {
        facts.push(format!(
            "False calls {} \u{2192} {} ({change}).",
            Count(change.before),
            Count(change.after)
        ));
    } else {
        facts.push(format!("False calls {}, unchanged.", Count(change.before)));
    }
    if p.defects_before > 0 {
        let (after, before) = (Count(p.defects_after), Count(p.defects_before));
        facts.push(format!("{after} of {before} known defects stay flagged."));
    } else {
        facts.push("No known defect that the old limit flags.".to_owned());
    }
    if let Some(distance) = p.nearest_defect.filter(|_| p.moves()) {
        facts.push(format!("The nearest lies {}{unit} from the limit.", Rounded(distance)));
    }
    if p.margin > 0.0 {
        facts.push(format!("Margin {}{unit}.", Rounded(p.margin)));
    }
    if !evidence.provisional.is_empty() {
        let values = counted(evidence.provisional.len() as u64, "unsure value guards", "unsure values guard");
        facts.push(format!("{values} (borderline or provisional)."));
    }
    if evidence.pending > 0 && !matches!(p.reason, Reason::Pending { .. }) {
        facts.push(format!("{} without a verdict.", Count(evidence.pending)));
    }
    if !limit.escapes.is_empty() && !matches!(p.reason, Reason::Escaped { .. }) {
        let escapes = counted(limit.escapes.len() as u64, "defect", "defects");
        facts.push(format!("{escapes} escaped all limits."));
    }
    let n = Count(p.certificate.defects);
    match p.certificate.bound {
        EscapeBound::AtMost(bound) => facts.push(format!(
            "Escape bound {} (n = {n}, r = {}, confidence {}).",
            AtMost(bound),
            Count(p.certificate.misses),
            percent(p.certificate.confidence)
        )),
        EscapeBound::NoEvidence => facts.push("Escape bound: no evidence.".to_owned()),
        EscapeBound::NoChange => {}
    }
    facts
}

impl Drawing {
    fn new(marks: &Marks, window: Window, name: &LimitName, p: &Proposal) -> Self {
        let across = Scale { from: (window.low, LEFT), to: (window.high, RIGHT) };
        let lines = lines(marks, p, across);
        let top = 6.0 + 16.0 * lines.len() as f64;
        let base = top + PLOT;
        let bins = marks.bins(window);
        let up = Scale { from: (0.0, base), to: (bins.tallest().max(1) as f64 * 1.05, top) };
        let lanes = lanes(marks, window, across, base);
        let axis = base + LANE * lanes.len() as f64 + 4.0;
        let mut blocks = margin_band(marks, p, across, (top, axis));
        blocks.extend(bars(marks, &bins, across, up, base));
        let beyond = beyond(marks, window, &bins);
        let unit = if name.unit.is_empty() { String::new() } else { format!(" [{}]", name.unit) };
        let feature = if name.feature.is_empty() { "value" } else { &name.feature };
        let (low_end, high_end) = match marks.side {
            Side::Lower => ("\u{25c2} flagged", "passes \u{25b8}"),
            Side::Upper => ("\u{25c2} passes", "flagged \u{25b8}"),
        };
        Self {
            height: Px(axis + if beyond.is_some() { 60.0 } else { 44.0 }),
            base: Px(base),
            axis: Px(axis),
            tick_end: Px(axis + 5.0),
            tick_letters: Px(axis + 18.0),
            title_letters: Px(axis + 36.0),
            blocks,
            lanes,
            lines,
            across: across.value_ticks(),
            up: up.count_ticks(3),
            title: fitted(&format!("{feature}{unit}"), 300.0, LETTER),
            low_end,
            high_end,
            beyond_letters: Px(axis + 52.0),
            beyond,
        }
    }
}

/// The limits, each in its own row of words so that near ones cannot overlap.
fn lines(marks: &Marks, p: &Proposal, across: Scale) -> Vec<Line> {
    let old = format!("{} {}", if p.moves() { "old limit" } else { "limit stays at" }, Number(p.old_limit));
    let mut wanted = vec![("old", old, p.old_limit)];
    if p.moves() {
        wanted.push(("new", format!("new limit {}", Number(p.new_limit)), p.new_limit));
    }
    if let Some(suggested) = p.suggested_limit {
        wanted.push(("suggested", format!("suggested {}", Number(suggested)), suggested));
    }
    let line = |(row, (class, text, value)): (usize, (&'static str, String, f64))| {
        let at = across.at(value);
        // The words stand on the flagged side, away from the limits that are drawn before; at an edge they turn over.
        let room = width(&text, LETTER) + 8.0;
        let left = match marks.side {
            Side::Lower => at - LEFT > room,
            Side::Upper => RIGHT - at < room,
        };
        let letters = 14.0 + 16.0 * row as f64;
        Line {
            class,
            text,
            at: Px(at),
            top: Px(letters - 10.0),
            words: Px(if left { at - 5.0 } else { at + 5.0 }),
            anchor: if left { "end" } else { "start" },
            letters: Px(letters),
        }
    };
    wanted.into_iter().enumerate().map(line).collect()
}

/// The rows of marks; a row that would be empty is left out, except that of the defects.
fn lanes(marks: &Marks, window: Window, across: Scale, base: f64) -> Vec<Lane> {
    let rows = [
        ("defects", "defect", marks.defects, true),
        ("unsure", "unsure", marks.provisional, false),
        ("pending", "pending", marks.pending, false),
        ("escapes", "escape", marks.escapes, false),
    ];
    let shown = rows.into_iter().filter(|(_, _, values, always)| *always || !values.is_empty());
    shown
        .enumerate()
        .map(|(i, (label, symbol, values, _))| {
            let middle = base + 4.0 + LANE * (i as f64 + 0.5);
            // Marks nearer than half a unit cannot be told apart: one is drawn, so that a million values stay a small file.
            let places: BTreeSet<u64> = values
                .iter()
                .filter(|v| window.holds(**v))
                .map(|v| super::svg::whole(across.at(*v) * 2.0) as u64)
                .collect();
            Lane {
                label: if values.is_empty() { "no defects" } else { label },
                symbol,
                middle: Px(middle),
                letters: Px(middle + 4.0),
                marks: places.into_iter().map(|p| Px(p as f64 / 2.0)).collect(),
            }
        })
        .collect()
}

/// The stretch between the value that holds the limit and the nearest place the margin allows.
fn margin_band(marks: &Marks, p: &Proposal, across: Scale, (top, bottom): (f64, f64)) -> Vec<Block> {
    let held = marks.defects.iter().chain(marks.provisional);
    let flagged = held.filter(|v| is_flagged(**v, p.new_limit, marks.side, marks.boundary));
    let nearest = flagged.map(|v| marks.side.mirror(*v)).max_by(f64::total_cmp);
    let Some(nearest) = nearest.filter(|_| p.margin > 0.0) else { return Vec::new() };
    let ends = [nearest, nearest + p.margin].map(|v| across.at(marks.side.mirror(v)));
    let (x, w) = (ends[0].min(ends[1]), (ends[0] - ends[1]).abs());
    vec![Block { class: "margin", x: Px(x), y: Px(top), w: Px(w), h: Px(bottom - top) }]
}

/// The bins: what stays flagged below, what is released on top of it.
fn bars(marks: &Marks, bins: &Bins, across: Scale, up: Scale, base: f64) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (i, bin) in bins.counts.iter().enumerate() {
        let edges = [i, i + 1].map(|i| across.at(marks.at_depth(bins.first + i as f64 * bins.width)));
        let ends = [edges[0].min(edges[1]), edges[0].max(edges[1])];
        // A hair of white between neighbours, never the whole of a narrow bin.
        let w = (ends[1] - ends[0] - 0.6).max(0.4);
        let (flagged, all) = (up.at(bin.flagged as f64), up.at((bin.flagged + bin.released) as f64));
        for (class, count, y, foot) in
            [("flagged", bin.flagged, flagged, base), ("released", bin.released, all, flagged)]
        {
            if count > 0 {
                // One false call next to a million must still be seen.
                let h = (foot - y).max(0.8);
                blocks.push(Block { class, x: Px(ends[0] + 0.3), y: Px(foot - h), w: Px(w), h: Px(h) });
            }
        }
    }
    blocks
}

/// What lies outside the window.
fn beyond(marks: &Marks, window: Window, bins: &Bins) -> Option<(Px, &'static str, String)> {
    let outside = |values: &[f64]| values.iter().filter(|v| !window.holds(**v)).count() as u64;
    let counts = [
        (bins.beyond, "false call", "false calls"),
        (outside(marks.defects), "defect", "defects"),
        (outside(marks.provisional), "unsure", "unsure"),
        (outside(marks.pending), "pending", "pending"),
        (outside(marks.escapes), "escape", "escapes"),
    ];
    let words: Vec<String> =
        counts.into_iter().filter(|c| c.0 > 0).map(|(n, one, many)| counted(n, one, many)).collect();
    if words.is_empty() {
        return None;
    }
    let words = words.join(", ");
    Some(match marks.side {
        Side::Lower => (Px(LEFT), "start", format!("\u{25c2} further out: {words}")),
        Side::Upper => (Px(RIGHT), "end", format!("further out: {words} \u{25b8}")),
    })
}

/// Whether something about the limit has to be cleared by people before anything else.
pub(super) fn is_urgent(limit: &Limit, p: &Proposal) -> bool {
    matches!(p.decision, Decision::Blocked | Decision::Tighten)
        || !limit.escapes.is_empty()
        || p.defects_after < p.defects_before
}
