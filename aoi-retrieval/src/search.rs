//! The one question, "which rows of the bank are closest to these queries?", as a trait with several answers.

mod bound;
pub(crate) mod cpu;
mod frame;
#[cfg(feature = "gpu")]
pub(crate) mod gpu;
pub(crate) mod reference;
#[cfg(test)]
mod trouble;

use std::ops::Range;

use ndarray::{ArrayView2, CowArray, Ix2};

use crate::progress::{Steps, silent};
use crate::{Metric, Neighbours, ProgressFn, RetrievalError};

/// What a search needs to know besides its queries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchOptions {
    /// Neighbours per query; a bank with fewer rows gives all of them.
    pub k: usize,
    /// Threads to use, 0 for as many as the system offers. The answer does not depend on it.
    pub threads: usize,
}

impl Default for SearchOptions {
    fn default() -> Self {
        Self { k: 30, threads: 0 }
    }
}

impl SearchOptions {
    /// The number of threads meant by `threads`.
    pub fn thread_count(&self) -> usize {
        match self.threads {
            0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            n => n,
        }
    }
}

/// Exact k nearest rows of a bank.
///
/// *Exact* means: the order of the f64 scores ([`Scorer`](crate::Scorer)) of the f32 inputs, ties by lower row. That order
/// has one first `k`, so every implementation returns the same indices and the same scores, to the last bit.
pub trait Search: Send + Sync {
    /// What "near" means.
    fn metric(&self) -> Metric;

    /// Rows of the bank, n.
    fn rows(&self) -> usize;

    /// Numbers per row, d.
    fn width(&self) -> usize;

    /// The nearest rows of each query.
    ///
    /// # Shapes
    /// `queries` is `[q, d]`; the answer holds `[q, min(k, n)]` indices and scores.
    ///
    /// # Errors
    /// When the width is not the bank's, an entry of a query is not finite, or `k` is 0.
    fn search(
        &self,
        queries: ArrayView2<'_, f32>,
        options: &SearchOptions,
    ) -> Result<Neighbours, RetrievalError> {
        self.search_with_progress(queries, options, &mut silent())
    }

    /// [`Self::search`], with `progress` in comparisons of a query with a row, first none done and last all; there are q n, and more where a
    /// query needs another scan.
    ///
    /// # Errors
    /// As [`Self::search`]; when `progress` cancels.
    fn search_with_progress(
        &self,
        queries: ArrayView2<'_, f32>,
        options: &SearchOptions,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Neighbours, RetrievalError>;
}

/// Rows in one contiguous piece, checked: at least one column, no more rows than `u32` counts, every entry finite.
#[derive(Debug, Clone)]
pub(crate) struct Rows<'a>(CowArray<'a, f32, Ix2>);

impl<'a> Rows<'a> {
    /// Checks `rows`; copies them only if they are not in row-major order.
    pub(crate) fn new(what: &'static str, rows: CowArray<'a, f32, Ix2>) -> Result<Self, RetrievalError> {
        let rows = Self::of_any_entries(what, rows)?;
        rows.check_entries(what, 0..rows.count())?;
        Ok(rows)
    }

    /// As [`Self::new`], the entries unchecked.
    fn of_any_entries(what: &'static str, rows: CowArray<'a, f32, Ix2>) -> Result<Self, RetrievalError> {
        let (n, d) = rows.dim();
        if d == 0 {
            return Err(RetrievalError::ZeroWidth { what });
        }
        let limit = u32::MAX as usize;
        if n > limit {
            return Err(RetrievalError::TooManyRows { limit, actual: n });
        }
        let rows = if rows.is_standard_layout() {
            rows
        } else {
            CowArray::from(rows.as_standard_layout().into_owned())
        };
        Ok(Self(rows))
    }

    /// Checks that entries are finite.
    fn check_entries(&self, what: &'static str, mut rows: Range<usize>) -> Result<(), RetrievalError> {
        // One pass that vectorises (x * 0 is 0 for finite x, NaN else); the slow search only to name the culprit.
        if let Some(row) = rows.find(|&i| self.row(i).iter().map(|x| x * 0.0).sum::<f32>() != 0.0) {
            let found = self.row(row).iter().enumerate().find(|(_, x)| !x.is_finite());
            if let Some((column, &value)) = found {
                return Err(RetrievalError::NotFinite { what, row, column, value });
            }
        }
        Ok(())
    }

    /// Checks queries against the width of a bank and the options.
    pub(crate) fn queries(
        queries: &ArrayView2<'a, f32>,
        width: usize,
        options: &SearchOptions,
    ) -> Result<Self, RetrievalError> {
        if options.k == 0 {
            return Err(RetrievalError::bad_option("k", "at least 1", options.k));
        }
        if queries.ncols() != width {
            return Err(RetrievalError::WidthMismatch {
                what: "queries",
                expected: width,
                actual: queries.ncols(),
            });
        }
        Self::new("query", CowArray::from(*queries))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.nrows()
    }

    pub(crate) fn width(&self) -> usize {
        self.0.ncols()
    }

    #[inline]
    pub(crate) fn flat(&self) -> &[f32] {
        self.0.as_slice().expect("made contiguous by the constructor")
    }

    #[inline]
    pub(crate) fn row(&self, i: usize) -> &[f32] {
        let d = self.width();
        &self.flat()[i * d..(i + 1) * d]
    }
}

/// Runs `work` on `items` split over up to `threads` threads; the results come back in order.
pub(crate) fn in_parallel<R: Send>(
    items: usize,
    threads: usize,
    work: impl Fn(Range<usize>) -> R + Sync,
) -> Vec<R> {
    shared_out(items, threads, &work, &work)
}

/// [`in_parallel`] for work that counts its steps; those of the thread that calls are reported.
pub(crate) fn in_parallel_counted<R: Send>(
    items: usize,
    threads: usize,
    steps: &mut Steps<'_>,
    work: impl Fn(Range<usize>, &mut Steps<'_>) -> Result<R, RetrievalError> + Sync,
) -> Result<Vec<R>, RetrievalError> {
    let tally = steps.tally();
    let parts = shared_out(items, threads, |part| work(part, steps), |part| work(part, &mut tally.silent()));
    parts.into_iter().collect()
}

/// Work on the first part of some items by the thread that calls, and on the others by one thread each.
fn shared_out<R: Send>(
    items: usize,
    threads: usize,
    first: impl FnOnce(Range<usize>) -> R,
    other: impl Fn(Range<usize>) -> R + Sync,
) -> Vec<R> {
    let parts = threads.clamp(1, items.max(1));
    let range = |part: usize| part * items / parts..(part + 1) * items / parts;
    if parts == 1 {
        return vec![first(range(0))];
    }
    std::thread::scope(|scope| {
        let other = &other;
        let running: Vec<_> = (1..parts).map(|part| scope.spawn(move || other(range(part)))).collect();
        let mut results = vec![first(range(0))];
        for thread in running {
            // A panic in a worker is a bug of ours: pass it on unchanged.
            results.push(thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)));
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_in_order() {
        for (items, threads) in [(0, 3), (1, 4), (7, 3), (8, 1), (9, 100)] {
            let parts = in_parallel(items, threads, Iterator::collect::<Vec<_>>);
            assert_eq!(parts.concat(), (0..items).collect::<Vec<_>>(), "{items} over {threads}");
            assert!(parts.len() <= threads);
        }
    }

    #[test]
    fn column_major_rows_are_read_in_row_order() {
        let transposed = ndarray::array![[1.0_f32, 2.0], [3.0, 4.0]];
        let rows = Rows::new("bank", CowArray::from(transposed.t())).unwrap();
        assert_eq!(rows.flat(), [1.0, 3.0, 2.0, 4.0]);
    }
}
