//! Rows in f64: their lengths, and the best of a few by their scores.

use std::ops::Range;

use super::isa;
use crate::neighbours::keep_best;
use crate::search::Rows;
use crate::{Metric, Neighbour, Scorer, metric};

/// Rows asked for before they are scored: they lie anywhere in the bank, and waiting for memory took most of the time of scoring.
const AHEAD: usize = 4;

/// Keeps one neighbour more; of many the `k` best.
#[inline]
fn keep(best: &mut Vec<Neighbour>, found: Neighbour, k: usize, metric: Metric) {
    best.push(found);
    if best.len() >= 4 * k + 256 {
        keep_best(best, k, metric);
    }
}

/// Lengths of some rows.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
pub(super) fn norms(bank: &Rows<'_>, part: Range<usize>) -> Vec<f64> {
    part.map(|i| metric::norm(bank.row(i))).collect()
}

/// The best `k` of some rows by their f64 scores.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
pub(super) fn best_of(
    (bank, norms): (&Rows<'_>, &[f64]),
    (metric, query): (Metric, &[f32]),
    rows: impl Iterator<Item = u32> + Clone,
    k: usize,
) -> Vec<Neighbour> {
    let mut best = Vec::new();
    let scorer = Scorer::new(metric, query);
    let mut ahead = rows.clone();
    ahead.by_ref().take(AHEAD).for_each(|row| isa::fetch(bank.row(row as usize)));
    for row in rows {
        if let Some(next) = ahead.next() {
            isa::fetch(bank.row(next as usize));
        }
        let i = row as usize;
        let score = scorer.score_with_norm(bank.row(i), norms[i]);
        keep(&mut best, Neighbour { row, score }, k, metric);
    }
    keep_best(&mut best, k, metric);
    best
}

/// The best `k` of the rows left to every query by their f64 scores.
///
/// Rows are taken in their order for all queries together: what several queries ask for is read once, and pages are not looked up again for
/// every row, which had taken a seventh of a search of 10^6 rows for 1,024 queries.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
pub(super) fn best_of_each(
    (bank, norms): (&Rows<'_>, &[f64]),
    metric: Metric,
    lists: &[(&[f32], &[u32])],
    k: usize,
) -> Vec<Vec<Neighbour>> {
    let scorers: Vec<Scorer> = lists.iter().map(|(query, _)| Scorer::new(metric, query)).collect();
    let mut asked: Vec<(u32, usize)> =
        lists.iter().enumerate().flat_map(|(q, (_, list))| list.iter().map(move |&row| (row, q))).collect();
    asked.sort_unstable();
    let mut best = vec![Vec::new(); lists.len()];
    for (at, &(row, q)) in asked.iter().enumerate() {
        if let Some((next, _)) = asked.get(at + AHEAD) {
            isa::fetch(bank.row(*next as usize));
        }
        let i = row as usize;
        let score = scorers[q].score_with_norm(bank.row(i), norms[i]);
        keep(&mut best[q], Neighbour { row, score }, k, metric);
    }
    for best in &mut best {
        keep_best(best, k, metric);
    }
    best
}
