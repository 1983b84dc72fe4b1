//! What the compact copy knows of every row: for judging a copy, not for searching.

use ndarray::{Array2, ArrayView2};

use super::bound::bound;
use super::compact_pass::CompactPass;
use super::scan::Pass;
use super::tile::LANES;
use super::{CpuSearch, Rows, SearchOptions};
use crate::RetrievalError;

/// Approximate scores of every row with proven bounds on their errors.
///
/// For each query there is a number `c`, the same for every row, with `|s - c - value| <= error`. `s` is the score
/// ([`Scorer`](crate::Scorer)); for L2 it is `-|q - x|^2 / 2`.
#[derive(Debug, Clone, PartialEq)]
pub struct BoundedScores {
    /// Approximate scores less `c`. Shape `[q, n]`.
    pub values: Array2<f32>,
    /// Bounds on their errors, infinite where nothing is known. Shape `[q, n]`.
    pub errors: Array2<f32>,
}

impl CpuSearch<'_> {
    /// What the compact copy alone tells of every row for every query; None without a compact copy.
    ///
    /// A row is left to be scored in f64 when its upper bound reaches the k-th best lower bound: [`Certificate::rescored`](crate::Certificate::rescored)
    /// counts these. Every score is computed, and 8 bytes held for each: many times the work of a search.
    ///
    /// # Shapes
    /// `queries` is `[q, d]`.
    ///
    /// # Errors
    /// When the width is not the bank's, or an entry of a query is not finite.
    #[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
    pub fn bounded_scores(
        &self,
        queries: ArrayView2<'_, f32>,
    ) -> Result<Option<BoundedScores>, RetrievalError> {
        let queries = Rows::queries(&queries, self.bank.width(), &SearchOptions::default())?;
        let Some(codes) = &self.panels.codes else { return Ok(None) };
        let (n, all) = (self.bank.count(), (0..queries.count()).collect::<Vec<_>>());
        let pass = CompactPass::new((&self.panels, codes), &self.frame, self.isa, n, (&queries, &all), 1);
        let shape = (all.len(), n);
        let mut found = BoundedScores { values: Array2::zeros(shape), errors: Array2::zeros(shape) };
        for bin in 0..self.bins() {
            for &q in &all {
                let error = bound(pass.terms(bin), pass.coefficients(q));
                for (position, value) in (bin * LANES..n).zip(pass.scores(bin, q)) {
                    let at = [q, self.panels.order.row(position)];
                    (found.values[at], found.errors[at]) = (value, error);
                }
            }
        }
        Ok(Some(found))
    }

    /// Most rows that a scan may leave to be scored in f64 for `k` neighbours of a query: beyond, the next scan costs less.
    pub fn most_rescored(&self, k: usize) -> usize {
        (256 + 8 * k).max(self.bins() / 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::trouble::{KINDS, trouble};
    use crate::{CompactCopy, CpuOptions, Metric, Route, Scorer, Search};
    use aoi_testing::Seeded;

    fn always() -> CpuOptions {
        CpuOptions { copy: CompactCopy::Always, threads: 1, ..CpuOptions::default() }
    }

    /// The definition, with a full sort.
    fn reaching(values: &[f64], errors: &[f64], k: usize) -> usize {
        let mut lower: Vec<f64> = values.iter().zip(errors).map(|(v, e)| v - e).collect();
        lower.sort_by(|a, b| b.total_cmp(a));
        values.iter().zip(errors).filter(|(v, e)| *v + *e >= lower[k - 1]).count()
    }

    #[test]
    fn every_score_lies_within_its_error_and_what_reaches_is_what_a_search_scores() {
        let (n, d, k) = (5000, 24, 7);
        let mut decided = 0;
        for (kind, metric) in (0..KINDS).flat_map(|kind| Metric::ALL.map(|metric| (kind, metric))) {
            let mut s = Seeded::new(kind as u64 + 1);
            let (bank, queries) = (trouble(kind, n, d, &mut s), trouble(KINDS - 1, 3, d, &mut s));
            let search = CpuSearch::new(bank.view(), metric, &always()).unwrap();
            let found = search.search(queries.view(), &SearchOptions { k, threads: 1 }).unwrap();
            let bounded = search.bounded_scores(queries.view()).unwrap().unwrap();
            for (q, query) in queries.outer_iter().enumerate() {
                let scorer = Scorer::new(metric, query.to_slice().unwrap());
                let [values, errors] =
                    [&bounded.values, &bounded.errors].map(|a| a.row(q).mapv(f64::from).to_vec());
                let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
                for (i, row) in bank.outer_iter().enumerate() {
                    let score = scorer.score(row.to_slice().unwrap());
                    let score = if metric == Metric::L2 { -score / 2.0 } else { score };
                    least = least.max(score - values[i] - errors[i]);
                    most = most.min(score - values[i] + errors[i]);
                }
                assert!(least <= most, "kind {kind}, {metric}: no number fits, {least} > {most}");
                let certificate = found.certificates[q];
                if certificate.route == Route::Compact {
                    decided += 1;
                    let expected = reaching(&values, &errors, k);
                    assert_eq!(certificate.rescored as usize, expected, "kind {kind}, {metric}");
                    assert!(expected <= search.most_rescored(k));
                }
            }
        }
        assert!(decided > KINDS, "{decided} queries decided by the copy");
    }

    #[test]
    fn without_a_copy_nothing_is_known_and_other_widths_are_refused() {
        let bank = Array2::from_elem((9, 4), 1.0);
        let options = CpuOptions { copy: CompactCopy::Never, ..CpuOptions::default() };
        let search = CpuSearch::new(bank.view(), Metric::Cosine, &options).unwrap();
        assert_eq!(search.bounded_scores(bank.view()).unwrap(), None);
        assert!(search.bounded_scores(Array2::zeros((1, 3)).view()).is_err());
    }
}
