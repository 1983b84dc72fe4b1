//! The definition: score every row in f64, sort, keep the first k. It judges every faster search.

use ndarray::{ArrayView2, CowArray, Ix2};

use super::{Rows, Search, SearchOptions, in_parallel};
use crate::progress::report;
use crate::{Certificate, Metric, Neighbour, Neighbours, ProgressFn, RetrievalError, Route, Scorer};

/// Exhaustive search in f64 with a full sort; slow and obvious.
///
/// # Examples
/// ```
/// use aoi_retrieval::{Metric, Reference, Search, SearchOptions};
/// use ndarray::array;
///
/// let bank = array![[1.0_f32, 0.0], [0.0, 1.0], [2.0, 0.0]];
/// let search = Reference::new(bank.view(), Metric::Cosine)?;
/// let found = search.search(array![[3.0_f32, 0.1]].view(), &SearchOptions { k: 2, threads: 1 })?;
/// assert_eq!(found.indices, array![[0, 2]]); // rows 0 and 2 point the same way: the lower row first
/// # Ok::<(), aoi_retrieval::RetrievalError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Reference<'a> {
    bank: Rows<'a>,
    metric: Metric,
}

impl<'a> Reference<'a> {
    /// A search over `bank` `[n, d]`, borrowed or owned.
    ///
    /// # Errors
    /// When the bank has no columns, too many rows, or an entry that is not finite.
    pub fn new(bank: impl Into<CowArray<'a, f32, Ix2>>, metric: Metric) -> Result<Self, RetrievalError> {
        Ok(Self { bank: Rows::new("bank", bank.into())?, metric })
    }
}

impl Search for Reference<'_> {
    fn metric(&self) -> Metric {
        self.metric
    }

    fn rows(&self) -> usize {
        self.bank.count()
    }

    fn width(&self) -> usize {
        self.bank.width()
    }

    fn search_with_progress(
        &self,
        queries: ArrayView2<'_, f32>,
        options: &SearchOptions,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Neighbours, RetrievalError> {
        let comparisons = queries.nrows().saturating_mul(self.rows());
        report(progress, 0, comparisons)?;
        let queries = Rows::queries(&queries, self.width(), options)?;
        let n = self.rows();
        let k = options.k.min(n);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let certificate =
            Certificate { route: Route::Exhaustive, bins: count(n.div_ceil(16)), rescored: count(n) };
        let lists = in_parallel(queries.count(), options.thread_count(), |part| {
            part.map(|q| {
                let scorer = Scorer::new(self.metric, queries.row(q));
                let mut all: Vec<Neighbour> = (0..n)
                    .map(|i| Neighbour { row: count(i), score: scorer.score(self.bank.row(i)) })
                    .collect();
                all.sort_by(|a, b| a.order(b, self.metric));
                all.truncate(k);
                (all, certificate)
            })
            .collect::<Vec<_>>()
        });
        report(progress, comparisons, comparisons)?;
        Ok(Neighbours::from_lists(lists.concat(), k))
    }
}
