//! The order rule, and what a search returns.

use std::cmp::Ordering;

use ndarray::{Array2, ArrayView1};

use crate::Metric;

/// One candidate: a bank row and its f64 score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    /// Row of the bank.
    pub row: u32,
    /// Score as [`Scorer`](crate::Scorer) defines it.
    pub score: f64,
}

impl Neighbour {
    /// The order rule: the better score first, then the lower row. `Less` means `self` comes first.
    ///
    /// Scores of finite rows are never NaN, and the two zeros are equal.
    #[inline]
    pub fn order(&self, other: &Self, metric: Metric) -> Ordering {
        let by_score = if metric.smaller_is_better() {
            self.score.partial_cmp(&other.score)
        } else {
            other.score.partial_cmp(&self.score)
        };
        by_score.unwrap_or(Ordering::Equal).then(self.row.cmp(&other.row))
    }
}

/// Keeps the first `k` of `all` under the order rule, sorted.
pub(crate) fn keep_best(all: &mut Vec<Neighbour>, k: usize, metric: Metric) {
    if k == 0 {
        all.clear();
        return;
    }
    if all.len() > k {
        all.select_nth_unstable_by(k - 1, |a, b| a.order(b, metric));
        all.truncate(k);
    }
    all.sort_unstable_by(|a, b| a.order(b, metric));
}

/// How the rows that a query was compared with in f64 were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Route {
    /// A scan of the compact integer copy; its error bound excluded every other row.
    Compact,
    /// An f32 scan of the rows; its error bound excluded every other row.
    F32,
    /// Every row was scored in f64.
    Exhaustive,
}

/// Why the answer to one query is the exact one.
///
/// # Source
/// Let `k` rows have a proven lower bound of at least `t`. A row whose proven upper bound is below `t` is then not among
/// the best `k`, ties included. [`Certificate::rescored`] rows could not be excluded that way and were scored in f64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Certificate {
    /// Where the bounds came from.
    pub route: Route,
    /// Bins of 16 rows that these rows lie in, as the scan has them together; every bin for [`Route::Exhaustive`].
    pub bins: u32,
    /// Rows scored in f64.
    pub rescored: u32,
}

/// The exact neighbours of every query.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// Rows of the bank, best first. Shape `[q, min(k, n)]`.
    pub indices: Array2<u32>,
    /// Their f64 scores. Shape `[q, min(k, n)]`.
    pub scores: Array2<f64>,
    /// One certificate a query.
    pub certificates: Vec<Certificate>,
}

impl Neighbours {
    /// Collects per-query lists, each of `k` entries.
    pub(crate) fn from_lists(lists: Vec<(Vec<Neighbour>, Certificate)>, k: usize) -> Self {
        let mut indices = Array2::zeros((lists.len(), k));
        let mut scores = Array2::zeros((lists.len(), k));
        let mut certificates = Vec::with_capacity(lists.len());
        for (q, (list, certificate)) in lists.into_iter().enumerate() {
            for (j, n) in list.into_iter().enumerate() {
                indices[[q, j]] = n.row;
                scores[[q, j]] = n.score;
            }
            certificates.push(certificate);
        }
        Self { indices, scores, certificates }
    }

    /// Number of queries.
    pub fn queries(&self) -> usize {
        self.indices.nrows()
    }

    /// Neighbours per query: `k`, or the number of rows if that is smaller.
    pub fn k(&self) -> usize {
        self.indices.ncols()
    }

    /// The neighbours of one query, best first.
    pub fn of(&self, query: usize) -> impl Iterator<Item = Neighbour> + '_ {
        let rows: ArrayView1<'_, u32> = self.indices.row(query);
        let scores: ArrayView1<'_, f64> = self.scores.row(query);
        rows.into_iter().zip(scores).map(|(&row, &score)| Neighbour { row, score })
    }

    /// How many queries were answered by each route: compact, f32, exhaustive.
    pub fn route_counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for c in &self.certificates {
            counts[c.route as usize] += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(pairs: &[(u32, f64)]) -> Vec<Neighbour> {
        pairs.iter().map(|&(row, score)| Neighbour { row, score }).collect()
    }

    #[test]
    fn ties_go_to_the_lower_row_under_every_metric() {
        let all = list(&[(9, 1.0), (2, 0.0), (4, 1.0), (7, -0.0), (1, 2.0)]);
        for (metric, expected) in
            [(Metric::Cosine, [1, 4, 9, 2]), (Metric::InnerProduct, [1, 4, 9, 2]), (Metric::L2, [2, 7, 4, 9])]
        {
            let mut kept = all.clone();
            keep_best(&mut kept, 4, metric);
            assert_eq!(kept.iter().map(|n| n.row).collect::<Vec<_>>(), expected, "{metric}");
        }
    }

    #[test]
    fn k_of_zero_and_k_beyond_the_list_are_served() {
        let mut some = list(&[(1, 0.5), (0, 0.5)]);
        keep_best(&mut some, 5, Metric::Cosine);
        assert_eq!(some.iter().map(|n| n.row).collect::<Vec<_>>(), [0, 1]);
        keep_best(&mut some, 0, Metric::Cosine);
        assert!(some.is_empty());
    }
}
