//! Rows in f64: their lengths, and the best of a few by their scores.

use std::ops::Range;

use super::simd;
use crate::neighbours::keep_best;
use crate::search::Rows;
use crate::{Metric, Neighbour, Scorer, metric};

/// Rows asked for before they are scored: they lie anywhere in the bank, and waiting for memory took most of the time of scoring.
const AHEAD: usize = 4;

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
    let room = 4 * k + 256;
    let scorer = Scorer::new(metric, query);
    let mut ahead = rows.clone();
    ahead.by_ref().take(AHEAD).for_each(|row| simd::fetch(bank.row(row as usize)));
    for row in rows {
        if let Some(next) = ahead.next() {
            simd::fetch(bank.row(next as usize));
        }
        let i = row as usize;
        best.push(Neighbour { row, score: scorer.score_with_norm(bank.row(i), norms[i]) });
        if best.len() >= room {
            keep_best(&mut best, k, metric);
        }
    }
    keep_best(&mut best, k, metric);
    best
}
