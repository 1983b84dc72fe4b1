//! Rows in f64: their lengths, and the best of a few by their scores.

use std::ops::Range;

use super::simd::{self, Work};
use crate::neighbours::keep_best;
use crate::search::Rows;
use crate::{Metric, Neighbour, Scorer, metric};

/// Rows asked for before they are scored: they lie anywhere in the bank, and waiting for memory took most of the time of scoring.
const AHEAD: usize = 4;

/// Lengths of some rows.
pub(super) struct Norms<'a, 'b> {
    pub(super) bank: &'a Rows<'b>,
    pub(super) part: Range<usize>,
}

impl Work for Norms<'_, '_> {
    type Output = Vec<f64>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    fn run(self) -> Vec<f64> {
        self.part.map(|i| metric::norm(self.bank.row(i))).collect()
    }
}

/// The best `k` of some rows by their f64 scores.
pub(super) struct BestOf<'a, 'b, R> {
    pub(super) bank: &'a Rows<'b>,
    pub(super) norms: &'a [f64],
    pub(super) metric: Metric,
    pub(super) query: &'a [f32],
    pub(super) rows: R,
    pub(super) k: usize,
}

impl<R: Iterator<Item = u32> + Clone> Work for BestOf<'_, '_, R> {
    type Output = Vec<Neighbour>;

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its caller")]
    fn run(self) -> Vec<Neighbour> {
        let Self { bank, norms, metric, query, rows, k } = self;
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
}
