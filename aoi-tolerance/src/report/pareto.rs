//! Which parts the saving comes from.

use std::collections::BTreeMap;

use super::format::{Count, Px, Share, counted};
use super::name::{fitted, visible};
use super::svg::{LETTER, Scale, Tick};
use crate::population::Population;
use crate::proposal::Proposal;

/// Parts with a bar of their own.
const PARTS: usize = 20;

/// The section on parts.
#[derive(Debug)]
pub(super) struct Pareto {
    pub(super) bars: Vec<Bar>,
    pub(super) saved: Count,
    pub(super) parts: Count,
    /// Parts of which any false call is saved.
    pub(super) saving: Count,
    pub(super) across: Vec<Tick>,
    pub(super) percent: Vec<Tick>,
    /// Corners of the cumulative line, as SVG points.
    pub(super) line: String,
    pub(super) bottom: Px,
    pub(super) height: Px,
}

/// One part, or all the others together.
#[derive(Debug)]
pub(super) struct Bar {
    pub(super) name: String,
    /// The name as far as it fits.
    pub(super) short: String,
    pub(super) others: bool,
    pub(super) saved: Count,
    pub(super) cumulative: Share,
    pub(super) top: Px,
    pub(super) middle: Px,
    pub(super) letters: Px,
    pub(super) length: Px,
    pub(super) dot: Px,
}

impl Pareto {
    /// Edges of the bars' area in the drawing, 760 wide.
    const LEFT: f64 = 190.0;
    const RIGHT: f64 = 600.0;
    const TOP: f64 = 42.0;
    const ROW: f64 = 22.0;

    /// Sums what `proposals` save by part; the larger saving first, then by name.
    pub(super) fn new(population: &Population, proposals: &[Proposal]) -> Self {
        let mut by_part: BTreeMap<&str, u64> = BTreeMap::new();
        for (limit, p) in population.limits.iter().zip(proposals) {
            let saved = by_part.entry(&limit.id.key.part).or_default();
            *saved += p.false_calls_before.saturating_sub(p.false_calls_after);
        }
        let parts = by_part.len();
        let mut ranked: Vec<(&str, u64)> = by_part.into_iter().filter(|(_, saved)| *saved > 0).collect();
        ranked.sort_by_key(|&(part, saved)| (std::cmp::Reverse(saved), part));
        let saving = ranked.len();
        let total: u64 = ranked.iter().map(|(_, saved)| saved).sum();
        // A single part left over gets its own bar: "1 other part" would take as much room and say less.
        let own = if ranked.len() == PARTS + 1 { PARTS + 1 } else { PARTS.min(ranked.len()) };
        let rest = ranked.split_off(own);
        let mut named: Vec<(String, u64)> =
            ranked.into_iter().map(|(part, saved)| (visible(part), saved)).collect();
        if !rest.is_empty() {
            let others = counted(rest.len() as u64, "other part", "other parts");
            named.push((others, rest.iter().map(|(_, saved)| saved).sum()));
        }
        let longest = named.iter().map(|(_, saved)| *saved).max().unwrap_or(1);
        let across = Scale { from: (0.0, Self::LEFT), to: (longest as f64 * 1.02, Self::RIGHT) };
        let percent = Scale { from: (0.0, Self::LEFT), to: (100.0, Self::RIGHT) };
        let mut bars = Vec::with_capacity(named.len());
        let mut line = Vec::with_capacity(named.len());
        let mut sum = 0;
        for (i, (name, saved)) in named.into_iter().enumerate() {
            sum += saved;
            let top = Self::TOP + Self::ROW * i as f64;
            let share = sum as f64 / total.max(1) as f64;
            let bar = Bar {
                short: fitted(&name, Self::LEFT - 16.0, LETTER),
                name,
                others: i == own,
                saved: Count(saved),
                cumulative: Share(share),
                top: Px(top + 3.0),
                middle: Px(top + Self::ROW / 2.0),
                letters: Px(top + Self::ROW / 2.0 + 4.0),
                length: Px(across.at(saved as f64) - Self::LEFT),
                dot: percent.px(share * 100.0),
            };
            line.push(format!("{},{}", bar.dot, bar.middle));
            bars.push(bar);
        }
        let bottom = Self::TOP + Self::ROW * bars.len() as f64;
        Self {
            bars,
            saved: Count(total),
            parts: Count(parts as u64),
            saving: Count(saving as u64),
            across: across.count_ticks(5),
            percent: percent.value_ticks(),
            line: line.join(" "),
            bottom: Px(bottom),
            height: Px(bottom + 48.0),
        }
    }
}
