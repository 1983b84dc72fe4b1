//! The CPU search: scan an approximation with a proven error bound, keep what it cannot exclude, score that in f64.
//!
//! # Source
//! If the k-th best lower bound of any rows looked at is t, then k rows score at least t, so a row whose upper bound is below t is none of
//! the k best, ties included; and a bin of 16 rows whose best approximate score cannot reach t holds none of them. What is left is
//! scored by [`Scorer`](crate::Scorer) and sorted by the order rule: the answer is the reference's, to the last bit.
//! An approximate score need not be computed whole to be excluded: its first part and, by Cauchy and Schwarz, the most that the rest may come to are an upper
//! bound of it. In the compact copy near rows stand together ([`order`]): the bins of the groups nearest to a query give it a t to begin with.

mod amx;
mod answers;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bounded;
mod code;
mod compact;
mod compact_pass;
mod exact;
mod float;
pub(crate) mod isa;
mod nearness;
mod order;
mod scan;
mod shortlist;
mod tile;

#[cfg(test)]
mod isa_tests;
#[cfg(test)]
mod tests;

use std::ops::Range;

use ndarray::{ArrayView2, CowArray, Ix2};

#[cfg(feature = "gpu")]
pub(super) use self::answers::Answer;
pub use self::bounded::BoundedScores;
use self::compact::Panels;
use self::isa::Isa;
use self::order::Order;
use self::tile::LANES;
use super::frame::Frame;
use super::{Rows, Search, SearchOptions, bound, frame, in_parallel_counted};
use crate::progress::{Steps, Tally, silent};
use crate::{Metric, Neighbours, ProgressFn, RetrievalError};

/// Rows that the principal axes and the centre are taken from.
const SAMPLE: usize = 4096;
/// Rows that are counted as read together.
const COUNTED: usize = 4096;
/// Smallest bank for which [`CompactCopy::Auto`] makes a copy.
const WORTH_A_COPY: usize = 4096;

/// Whether a compact copy of the bank is made for the first scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CompactCopy {
    /// For banks large enough to repay it.
    #[default]
    Auto,
    /// Always, unless rows are wider than 16,384 numbers.
    Always,
    /// Never: scan the f32 rows.
    Never,
}

/// How a [`CpuSearch`] prepares itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuOptions {
    /// Whether to make a compact copy, a little over a quarter of the size of the f32 rows.
    pub copy: CompactCopy,
    /// Most principal axes coded in 16 bits, a multiple of 16; as many are used as the bank's spectrum makes worth it.
    pub axes: usize,
    /// Threads for building, 0 for as many as the system offers.
    pub threads: usize,
}

impl Default for CpuOptions {
    fn default() -> Self {
        Self { copy: CompactCopy::Auto, axes: 32, threads: 0 }
    }
}

/// Exact search on the CPU by certified scans.
///
/// A query is answered by the compact copy if its error bound leaves few enough bins, else by an f32 scan, else by
/// scoring every row in f64; [`Neighbours::certificates`] tells which.
///
/// # Examples
/// ```
/// use aoi_retrieval::{CpuOptions, CpuSearch, Metric, Search, SearchOptions};
/// use ndarray::Array2;
///
/// let bank = Array2::from_shape_fn((5000, 8), |(i, j)| ((i * 31 + j * 17) % 101) as f32 - 50.0);
/// let search = CpuSearch::new(bank.view(), Metric::L2, &CpuOptions::default())?;
/// let found = search.search(bank.slice(ndarray::s![7..8, ..]), &SearchOptions { k: 1, threads: 1 })?;
/// assert_eq!((found.indices[[0, 0]], found.scores[[0, 0]]), (7, 0.0));
/// # Ok::<(), aoi_retrieval::RetrievalError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CpuSearch<'a> {
    bank: Rows<'a>,
    norms: Vec<f64>,
    frame: Frame,
    panels: Panels,
    isa: Isa,
}

/// The rows of a search in their frame.
#[cfg(feature = "gpu")]
pub(super) struct Prepared<'a, 'b> {
    pub(super) rows: &'a Rows<'b>,
    /// Length of each row.
    pub(super) norms: &'a [f64],
    pub(super) frame: &'a Frame,
    /// Bias of each row, in the rows' own order; negative infinity beyond the last row.
    pub(super) bias: &'a [f32],
    /// Terms of each bin of 16 rows, as the f32 scan needs them.
    pub(super) terms: &'a [bound::Terms],
}

impl<'a> CpuSearch<'a> {
    /// Prepares a search over `bank` `[n, d]`, borrowed or owned.
    ///
    /// # Errors
    /// When the bank has no columns, too many rows, or an entry that is not finite; when `axes` is not a multiple of 16.
    pub fn new(
        bank: impl Into<CowArray<'a, f32, Ix2>>,
        metric: Metric,
        options: &CpuOptions,
    ) -> Result<Self, RetrievalError> {
        Self::with_progress(bank, metric, options, &mut silent())
    }

    /// [`Self::new`], with `progress` in rows read, first none and last all: each is read three times, and once more for a compact copy.
    ///
    /// # Errors
    /// As [`Self::new`]; when `progress` cancels.
    pub fn with_progress(
        bank: impl Into<CowArray<'a, f32, Ix2>>,
        metric: Metric,
        options: &CpuOptions,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Self, RetrievalError> {
        Self::with_isa(bank.into(), metric, options, Isa::detect(), progress)
    }

    fn with_isa(
        bank: CowArray<'a, f32, Ix2>,
        metric: Metric,
        options: &CpuOptions,
        isa: Isa,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Self, RetrievalError> {
        if !options.axes.is_multiple_of(16) {
            return Err(RetrievalError::bad_option("axes", "a multiple of 16", options.axes));
        }
        let bank = Rows::of_any_entries("bank", bank)?;
        let n = bank.count();
        let wanted = match options.copy {
            CompactCopy::Always => true,
            CompactCopy::Never => false,
            CompactCopy::Auto => n >= WORTH_A_COPY,
        } && bank.width() <= code::WIDEST
            && n > 0;
        let tally = Tally::of(n.saturating_mul(if wanted { 4 } else { 3 }));
        let mut steps = tally.reporting(progress);
        steps.advance(0)?;
        for part in stretches(0..n) {
            bank.check_entries("bank", part.clone())?;
            steps.advance(part.len())?;
        }
        let threads = SearchOptions { k: 1, threads: options.threads }.thread_count();
        let norms = norms(&bank, isa, threads, &mut steps)?;
        let sample: Vec<usize> = (0..n).step_by(n.div_ceil(SAMPLE).max(1)).collect();
        let frame = Frame::fit(metric, &bank, &sample);
        let (mut coder, mut order) = (None, Order::default());
        if wanted {
            let (fitted, axes) = code::Coder::fit(&frame, &bank, &sample, options.axes);
            order = Order::by_nearness((&bank, &norms, &frame), &axes, isa, threads, &mut steps)?;
            coder = Some(fitted);
        }
        let panels = Panels::build((&bank, &norms, &frame), order, coder, isa, threads, &mut steps)?;
        steps.advance(0)?;
        Ok(Self { bank, norms, frame, panels, isa })
    }

    /// Bytes held besides the rows themselves.
    pub fn extra_bytes(&self) -> usize {
        self.panels.bytes() + size_of_val(&*self.norms)
    }

    /// Where the rows lie that it reads.
    #[cfg(test)]
    pub(crate) fn bank_address(&self) -> *const f32 {
        self.bank.flat().as_ptr()
    }

    /// Principal axes that are coded in 16 bits; none without a compact copy.
    pub fn axes(&self) -> Option<usize> {
        self.panels.codes.as_ref().map(|c| c.coder.head)
    }

    /// What a search on another device shares with this one.
    #[cfg(feature = "gpu")]
    pub(super) fn prepared(&self) -> Prepared<'_, 'a> {
        Prepared {
            rows: &self.bank,
            norms: &self.norms,
            frame: &self.frame,
            bias: self.panels.bias.as_flattened(),
            terms: &self.panels.float_terms,
        }
    }

    fn bins(&self) -> usize {
        self.bank.count().div_ceil(LANES)
    }
}

/// Some rows, as many at a time as are counted together.
fn stretches(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    rows.clone().step_by(COUNTED).map(move |start| start..rows.end.min(start + COUNTED))
}

/// Lengths of the rows.
fn norms(
    bank: &Rows<'_>,
    isa: Isa,
    threads: usize,
    steps: &mut Steps<'_>,
) -> Result<Vec<f64>, RetrievalError> {
    let parts = in_parallel_counted(bank.count(), threads, steps, |part, steps| {
        let mut norms = Vec::with_capacity(part.len());
        for part in stretches(part) {
            let count = part.len();
            norms.extend(isa.run(
                #[inline(always)]
                || exact::norms(bank, part),
            ));
            steps.advance(count)?;
        }
        Ok(norms)
    })?;
    Ok(parts.concat())
}

impl Search for CpuSearch<'_> {
    fn metric(&self) -> Metric {
        self.frame.metric
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
        let queries = Rows::queries(&queries, self.width(), options)?;
        let k = options.k.min(self.rows());
        let all: Vec<usize> = (0..queries.count()).collect();
        let tally = Tally::of(all.len().saturating_mul(self.rows()));
        let mut steps = tally.reporting(progress);
        steps.advance(0)?;
        let answers = self.answers(&queries, &all, k, options.thread_count(), &mut steps)?;
        steps.advance(0)?;
        Ok(Neighbours::from_lists(answers, k))
    }
}
