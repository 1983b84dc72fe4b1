//! What if another percentile were chosen: the library's own sweep, as a curve and two tables.

use super::format::{Change, Count, Px, trimmed};
use super::name;
use super::svg::{LETTER, Scale, Tick};
use crate::certificate::EscapeBound;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::options::Options;
use crate::proposal::Proposal;
use crate::simulate::{Totals, simulate};

/// The percentiles of the published second table.
const PUBLISHED: [f64; 4] = [75.0, 80.0, 85.0, 90.0];

/// The sums at one percentile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) percentile: f64,
    pub(super) totals: Totals,
    /// Limits that move without a confirmed defect.
    no_evidence: u64,
}

/// Sweeps 50 to 100 in steps of 1, and the percentile in use.
pub(super) fn sweep(evidence: &[Evidence], options: &Options) -> Result<Vec<Point>, Error> {
    let mut percentiles: Vec<f64> = (50..=100).map(f64::from).collect();
    if !percentiles.contains(&options.percentile) {
        percentiles.push(options.percentile);
        percentiles.sort_by(f64::total_cmp);
    }
    let mut points = Vec::with_capacity(percentiles.len());
    simulate(evidence, &percentiles, options, |what_if| {
        let unproven = |p: &&Proposal| p.moves() && p.certificate.bound == EscapeBound::NoEvidence;
        let proposals = what_if.proposals()?;
        points.push(Point {
            percentile: what_if.percentile(),
            totals: Totals::of(&proposals),
            no_evidence: proposals.iter().filter(unproven).count() as u64,
        });
        Ok(())
    })?;
    Ok(points)
}

/// One line of a table over percentiles.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) percentile: String,
    pub(super) current: bool,
    pub(super) false_calls: Count,
    pub(super) change: Change,
    pub(super) saved: Count,
    pub(super) defects_before: Count,
    pub(super) defects_after: Count,
    pub(super) moved: Count,
    pub(super) no_evidence: Count,
}

impl Row {
    fn of(point: &Point, options: &Options) -> Self {
        let Totals { false_calls_before: before, false_calls_after: after, .. } = point.totals;
        let change = Change { before, after };
        Self {
            percentile: percentile(point.percentile),
            current: point.percentile == options.percentile,
            false_calls: Count(after),
            change,
            saved: change.saved(),
            defects_before: Count(point.totals.defects_before),
            defects_after: Count(point.totals.defects_after),
            moved: Count(point.totals.moved),
            no_evidence: Count(point.no_evidence),
        }
    }
}

/// The section on other percentiles.
#[derive(Debug)]
pub(super) struct Curve {
    /// None where there is no false call to draw.
    pub(super) drawing: Option<Drawing>,
    /// Every fifth percentile and the one in use.
    pub(super) rows: Vec<Row>,
    /// The published second table, and the percentile in use.
    pub(super) published: Vec<Row>,
    pub(super) before: Count,
    pub(super) percentile: String,
    /// What the sweep gives at the percentile in use, where the proposals say otherwise.
    pub(super) differs: Option<(Count, Count)>,
}

impl Curve {
    /// Lays out `points` beside the sums of the proposals themselves.
    pub(super) fn new(points: &[Point], proposed: &Totals, options: &Options) -> Self {
        let row = |p: &Point| Row::of(p, options);
        let current = |p: &&Point| p.percentile == options.percentile;
        let at = points.iter().find(current);
        let differs = at.filter(|p| p.totals != *proposed);
        Self {
            drawing: at.and_then(|at| Drawing::new(points, at)),
            rows: points.iter().filter(|p| current(p) || p.percentile % 5.0 == 0.0).map(row).collect(),
            published: points
                .iter()
                .filter(|p| current(p) || PUBLISHED.contains(&p.percentile))
                .map(row)
                .collect(),
            before: Count(proposed.false_calls_before),
            percentile: percentile(options.percentile),
            differs: differs.map(|p| (Count(p.totals.false_calls_after), Count(proposed.false_calls_after))),
        }
    }
}

/// `P` as it is written everywhere in the report.
pub(super) fn percentile(percentile: f64) -> String {
    trimmed(percentile, 6)
}

/// The curve: false calls left over the percentile.
#[derive(Debug)]
pub(super) struct Drawing {
    pub(super) across: Vec<Tick>,
    pub(super) up: Vec<Tick>,
    /// Corners of the line, as SVG points.
    pub(super) line: String,
    /// Corners of the line that P % of all false calls would give.
    pub(super) unheld: String,
    pub(super) dots: Vec<(Px, Px)>,
    pub(super) today: Px,
    pub(super) mark: (Px, Px),
    /// Where the mark's words stand, and which end of them.
    pub(super) words: (Px, Px),
    pub(super) anchor: &'static str,
    pub(super) text: String,
    pub(super) today_text: String,
}

impl Drawing {
    /// Edges of the plotting area in the 760 x 330 drawing.
    const LEFT: f64 = 76.0;
    const RIGHT: f64 = 740.0;
    const TOP: f64 = 16.0;
    const BOTTOM: f64 = 280.0;

    fn new(points: &[Point], at: &Point) -> Option<Self> {
        let before = at.totals.false_calls_before;
        if before == 0 {
            return None;
        }
        let first = points.first()?.percentile;
        let across = Scale { from: (first.min(50.0), Self::LEFT), to: (100.0, Self::RIGHT) };
        let up = Scale { from: (0.0, Self::BOTTOM), to: (before as f64 * 1.15, Self::TOP) };
        let place = |p: &Point| (across.px(p.percentile), up.px(p.totals.false_calls_after as f64));
        let corner = |(x, y): (Px, Px)| format!("{x},{y}");
        let line: Vec<String> = points.iter().map(|p| corner(place(p))).collect();
        let unheld = |p: f64| corner((across.px(p), up.px(before as f64 * p / 100.0)));
        let mark = place(at);
        let text = format!(
            "P = {}: {} left ({})",
            percentile(at.percentile),
            Count(at.totals.false_calls_after),
            Change { before, after: at.totals.false_calls_after }
        );
        // The line rises to the right: there is room above it to the left, or below it to the right.
        let left = mark.0.0 - Self::LEFT > name::width(&text, LETTER) + 16.0;
        let (dx, dy, anchor) = if left { (-12.0, -10.0, "end") } else { (12.0, 26.0, "start") };
        Some(Self {
            across: across.value_ticks(),
            up: up.count_ticks(7),
            line: line.join(" "),
            unheld: format!("{} {}", unheld(first), unheld(100.0)),
            dots: points.iter().filter(|p| p.percentile % 5.0 == 0.0).map(place).collect(),
            today: up.px(before as f64),
            mark,
            words: (Px(mark.0.0 + dx), Px(mark.1.0 + dy)),
            anchor,
            text,
            today_text: format!("old limits: {}", Count(before)),
        })
    }
}
