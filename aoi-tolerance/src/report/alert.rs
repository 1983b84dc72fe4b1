//! What people must look at before any limit is changed.

use std::collections::BTreeMap;

use super::ReportContext;
use super::format::{Count, Number};
use super::name::{LimitName, visible};
use crate::population::{EscapedDefect, Population};
use crate::proposal::{Decision, Proposal, Reason};

/// Rows shown at least, however few charts are asked for.
const ROWS: usize = 50;

/// Escaped values and places shown for one limit.
const EXAMPLES: usize = 4;

/// The first section.
#[derive(Debug)]
pub(super) struct Alert {
    pub(super) escapes: Vec<Escape>,
    pub(super) escaped: Count,
    pub(super) escaped_limits: Count,
    pub(super) blocked: Vec<Blocked>,
    pub(super) blocked_limits: Count,
    pub(super) lost: Vec<Lost>,
    pub(super) lost_limits: Count,
    /// Unreadable records of no known limit.
    pub(super) unattributed: Count,
    pub(super) rows: usize,
}

/// Defects that no limit flagged, by the limit nearest to them.
#[derive(Debug)]
pub(super) struct Escape {
    pub(super) name: LimitName,
    pub(super) limit: Number,
    pub(super) count: Count,
    pub(super) values: String,
    pub(super) places: String,
    pub(super) suggested: Option<Number>,
}

/// A limit that stays until records are cleared.
#[derive(Debug)]
pub(super) struct Blocked {
    pub(super) name: LimitName,
    pub(super) limit: Number,
    pub(super) reason: String,
    pub(super) next: &'static str,
    pub(super) false_calls: Count,
}

/// A limit that gives up known defects.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) name: LimitName,
    pub(super) old: Number,
    pub(super) new: Number,
    pub(super) before: Count,
    pub(super) after: Count,
    pub(super) missed: Count,
}

impl Alert {
    /// Finds what is urgent, in the order of the limits.
    pub(super) fn new(population: &Population, proposals: &[Proposal], context: &ReportContext) -> Self {
        let rows = context.detail_limits.max(ROWS);
        let name = |i| LimitName::of(population, i);
        let (mut escapes, mut blocked, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        let mut counts = [0_u64; 3];
        for (i, (limit, p)) in population.limits.iter().zip(proposals).enumerate() {
            // Escapes are sorted by limit.
            let first = population.escapes.partition_point(|e| e.limit < limit.id);
            let here = &population.escapes[first..];
            let here = &here[..here.partition_point(|e| e.limit <= limit.id)];
            if !here.is_empty() {
                counts[0] += 1;
                if escapes.len() < rows {
                    escapes.push(Escape {
                        name: name(i),
                        limit: Number(p.old_limit),
                        count: Count(here.len() as u64),
                        values: examples(here.iter().map(|e| Number(e.value).to_string())),
                        places: places(here, context),
                        suggested: p.suggested_limit.map(Number),
                    });
                }
            }
            if p.decision == Decision::Blocked {
                counts[1] += 1;
                if blocked.len() < rows {
                    blocked.push(Blocked {
                        name: name(i),
                        limit: Number(p.old_limit),
                        reason: p.reason.to_string(),
                        next: next_step(&p.reason),
                        false_calls: Count(p.false_calls_before),
                    });
                }
            }
            if p.defects_after < p.defects_before {
                counts[2] += 1;
                if lost.len() < rows {
                    lost.push(Lost {
                        name: name(i),
                        old: Number(p.old_limit),
                        new: Number(p.new_limit),
                        before: Count(p.defects_before),
                        after: Count(p.defects_after),
                        missed: Count(p.defects_before - p.defects_after),
                    });
                }
            }
        }
        Self {
            escapes,
            escaped: Count(population.escapes.len() as u64),
            escaped_limits: Count(counts[0]),
            blocked,
            blocked_limits: Count(counts[1]),
            lost,
            lost_limits: Count(counts[2]),
            unattributed: Count(population.unreadable_unattributed),
            rows,
        }
    }

    /// Whether there is nothing to look at.
    pub(super) fn is_clear(&self) -> bool {
        [self.escaped, self.blocked_limits, self.lost_limits, self.unattributed].iter().all(|c| c.0 == 0)
    }
}

/// What clears a block.
fn next_step(reason: &Reason) -> &'static str {
    match reason {
        Reason::Pending { .. } => {
            "Review the records without a verdict, or map their verdict words; then run again."
        }
        Reason::UnreadableDefects { .. } => {
            "Correct the rows named in the rejects file, or acknowledge them; then run again."
        }
        _ => "Clear what the reason names; then run again.",
    }
}

/// Files and lines of escaped records; files by name as far as the caller named them.
fn places(escapes: &[EscapedDefect], context: &ReportContext) -> String {
    let mut lines: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
    for escape in escapes {
        lines.entry(escape.source.file).or_default().push(escape.source.line);
    }
    let file = |(file, mut lines): (u32, Vec<u64>)| {
        lines.sort_unstable();
        let named = usize::try_from(file).ok().and_then(|i| context.inputs.get(i));
        let name = named.map_or_else(|| format!("file {}", u64::from(file) + 1), |f| visible(&f.name));
        let word = if lines.len() == 1 { "line" } else { "lines" };
        format!("{name}: {word} {}", examples(lines.into_iter().map(|l| l.to_string())))
    };
    lines.into_iter().map(file).collect::<Vec<_>>().join("; ")
}

/// The first few of `all`, and how many more there are.
fn examples(all: impl ExactSizeIterator<Item = String>) -> String {
    let more = all.len().saturating_sub(EXAMPLES);
    let text = all.take(EXAMPLES).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{text} and {more} more") } else { text }
}
