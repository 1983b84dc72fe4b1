//! The search on a GPU: scan, selection, rescoring and merging on the device; the last word in f64 on the host.
//!
//! # Source
//! The theorem of [`CpuSearch`] twice over: bins whose best approximate score cannot reach the k-th best are dropped, then
//! rows whose f32 score cannot. What is left, k rows and the few that f32 cannot tell from the k-th, comes back and is
//! scored by [`Scorer`](crate::Scorer): the answer is the reference's, to the last bit.
//!
//! A query that keeps more bins of a compact copy than its lists hold is scanned again by the f32 rows, which the device has in any case, then with longer
//! lists, and is the host's at last. An f16 copy between byte codes and f32 would take half as much memory again for a scan of few queries.

mod adapter;
mod check;
mod code;
mod device;
mod experimental;
mod kernels;
mod pack;
mod plan;
mod run;
mod scan;
mod shard;
mod timer;

#[cfg(test)]
mod tests;

use std::sync::{Mutex, PoisonError};

use ndarray::{ArrayView2, CowArray, Ix2};

pub use self::adapter::{DeviceChoice, DeviceInfo, DeviceKind, choose_device, devices};
pub use self::device::Gpu;
use self::pack::pack_queries;
use self::plan::{Allowance, BankPlan, Form, QueryPlan};
use self::run::Scratch;
pub use self::scan::Scan;
use self::shard::ShardBuffers;
pub use self::timer::KernelTimes;
use super::cpu::{Answer, CompactCopy, CpuOptions, CpuSearch};
use super::{Rows, Search, SearchOptions, frame, in_parallel};
use crate::progress::{Steps, Tally, silent};
use crate::{Certificate, Metric, Neighbours, Progress, ProgressFn, RetrievalError, Route, metric};

/// How much longer the lists of a scan of f32 rows become when a query's first ones overflowed; after the last the host answers.
const BOOSTS: [u64; 2] = [1, 8];
/// Memory below which a bank is not tried again when the device says it is full.
const LEAST_MEMORY: u64 = 64 << 20;

/// Widest row that is scanned in bytes: their sums must stay below 2^31.
const WIDEST_INT8: usize = 1 << 17;

/// How a [`GpuSearch`] prepares itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GpuOptions {
    /// What the first scan reads.
    pub scan: Scan,
    /// Bytes to take on the device; a bank that needs more is streamed through in every search. None: what the bank
    /// needs, or as much of it as the device has.
    pub memory: Option<u64>,
    /// Threads for building, 0 for as many as the system offers.
    pub threads: usize,
}

/// Where a search spent its time and what it moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GpuReport {
    /// Time of the kernels by the device's own clock, where it has one.
    pub kernels: Option<KernelTimes>,
    /// Queries that the device answered.
    pub on_device: usize,
    /// Queries that the host answered: out of the range of f32, or too many rows too close together.
    pub on_host: usize,
    /// Bytes read back from the device.
    pub bytes_back: u64,
}

/// Exact search on a GPU.
///
/// # Examples
/// ```
/// use aoi_retrieval::gpu::{DeviceChoice, Gpu, GpuOptions, GpuSearch};
/// use aoi_retrieval::{CpuOptions, CpuSearch, Metric, Search, SearchOptions};
/// use ndarray::Array2;
///
/// let Ok(gpu) = Gpu::open(DeviceChoice::Any) else { return Ok(()) }; // no driver on this machine
/// let bank = Array2::from_shape_fn((500, 8), |(i, j)| ((i * 31 + j * 17) % 101) as f32 - 50.0);
/// let queries = bank.slice(ndarray::s![7..9, ..]);
/// let options = SearchOptions { k: 5, threads: 1 };
/// let found = GpuSearch::new(&gpu, bank.view(), Metric::L2, &GpuOptions::default())?.search(queries, &options)?;
/// let expected = CpuSearch::new(bank.view(), Metric::L2, &CpuOptions::default())?.search(queries, &options)?;
/// assert_eq!((found.indices, found.scores), (expected.indices, expected.scores));
/// # Ok::<(), aoi_retrieval::RetrievalError>(())
/// ```
#[derive(Debug)]
pub struct GpuSearch<'a> {
    /// The same bank on the host: the frame, the last word in f64, and what the device leaves open.
    host: CpuSearch<'a>,
    gpu: Gpu,
    bank: BankPlan,
    allowed: Allowance,
    /// Every shard, or the one place that they take turns in.
    shards: Vec<ShardBuffers>,
    /// Buffers of the last search; searches of one bank take turns.
    scratch: Mutex<Option<Scratch>>,
}

impl<'a> GpuSearch<'a> {
    /// Prepares a search over `bank` `[n, d]`, borrowed or owned, on `gpu`.
    ///
    /// # Errors
    /// When the bank has no columns, too many rows, or an entry that is not finite; when 128 of its rows exceed the
    /// device's bindings or the memory allowed; when the device fails.
    pub fn new(
        gpu: &Gpu,
        bank: impl Into<CowArray<'a, f32, Ix2>>,
        metric: Metric,
        options: &GpuOptions,
    ) -> Result<Self, RetrievalError> {
        Self::with_progress(gpu, bank, metric, options, &mut silent())
    }

    /// [`Self::new`], with `progress` in rows read, first none and last all: each is read three times, and again to be sent to the device.
    ///
    /// # Errors
    /// As [`Self::new`]; when `progress` cancels.
    pub fn with_progress(
        gpu: &Gpu,
        bank: impl Into<CowArray<'a, f32, Ix2>>,
        metric: Metric,
        options: &GpuOptions,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Self, RetrievalError> {
        let bank = bank.into();
        let (rows, mut by_host) = (bank.nrows(), 0);
        let build =
            CpuOptions { copy: CompactCopy::Never, threads: options.threads, ..CpuOptions::default() };
        let host = CpuSearch::with_progress(bank, metric, &build, &mut |p| {
            by_host = p.done;
            progress(Progress { total: p.total.saturating_add(rows), ..p })
        })?;
        let kernels = gpu.kernels()?;
        let form = options.scan.form(kernels.stages(Form::F16).is_some(), metric, host.prepared().norms);
        if kernels.stages(form).is_none() {
            let expected = format!("one that {} knows", gpu.info());
            return Err(RetrievalError::bad_option("scan", expected, "f16"));
        }
        if form == Form::Int8 && host.width() > WIDEST_INT8 {
            let expected = format!("f32 for rows wider than {WIDEST_INT8}");
            return Err(RetrievalError::bad_option("scan", expected, "int8"));
        }
        let mut memory = options.memory.unwrap_or(u64::MAX);
        let mut after_host = |p: Progress| {
            progress(Progress { done: p.done + by_host, total: p.total.saturating_add(by_host) })
        };
        let tally = Tally::of(rows);
        let mut steps = tally.reporting(&mut after_host);
        loop {
            let (plan, allowed) = Self::plan(gpu, &host, form, memory)?;
            let sent = tally.done();
            match Self::load(gpu, &host, &plan, options.threads, &mut steps) {
                Ok(shards) => {
                    let gpu = gpu.clone();
                    return Ok(Self { host, gpu, bank: plan, allowed, shards, scratch: Mutex::new(None) });
                }
                // Nobody says how much memory a device has left, so a full one is found by trying.
                Err(RetrievalError::DeviceMemory { .. })
                    if options.memory.is_none() && plan.resident_bytes() / 2 > LEAST_MEMORY =>
                {
                    memory = plan.resident_bytes() / 2;
                    steps.expect(tally.done() - sent);
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn plan(
        gpu: &Gpu,
        host: &CpuSearch<'_>,
        form: Form,
        memory: u64,
    ) -> Result<(BankPlan, Allowance), RetrievalError> {
        let allowed = Allowance::new(&gpu.device().limits(), memory);
        let (rows, width) = (host.rows() as u64, host.width() as u64);
        Ok((BankPlan::new(form, rows, width, &allowed)?, allowed))
    }

    fn load(
        gpu: &Gpu,
        host: &CpuSearch<'_>,
        plan: &BankPlan,
        threads: usize,
        steps: &mut Steps<'_>,
    ) -> Result<Vec<ShardBuffers>, RetrievalError> {
        if plan.streamed {
            steps.advance(host.rows())?;
            return Ok(vec![ShardBuffers::new(gpu, plan, plan.shard_panels)?]);
        }
        let threads = SearchOptions { k: 1, threads }.thread_count();
        plan.shards()
            .map(|shard| {
                let buffers = ShardBuffers::new(gpu, plan, shard.panels)?;
                buffers.fill(gpu, &host.prepared(), plan, &shard, threads)?;
                steps.advance(shard.row_count())?;
                Ok(buffers)
            })
            .collect()
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// What the first scan reads: never [`Scan::Auto`], but what that has become.
    pub fn scan(&self) -> Scan {
        self.bank.form.into()
    }

    /// Bytes that the bank takes on the device.
    pub fn device_bytes(&self) -> u64 {
        self.bank.resident_bytes()
    }

    /// Whether the bank is streamed through the device in every search.
    pub fn is_streamed(&self) -> bool {
        self.bank.streamed
    }

    /// [`Search::search`], and where its time went.
    ///
    /// # Errors
    /// When the width is not the bank's, an entry of a query is not finite, `k` is 0, or the device fails.
    #[expect(clippy::needless_pass_by_value, reason = "array views are handed over by value, like slices")]
    pub fn search_with_report(
        &self,
        queries: ArrayView2<'_, f32>,
        options: &SearchOptions,
    ) -> Result<(Neighbours, GpuReport), RetrievalError> {
        self.search_reporting(&queries, options, &mut silent())
    }

    fn search_reporting(
        &self,
        queries: &ArrayView2<'_, f32>,
        options: &SearchOptions,
        progress: &mut ProgressFn<'_>,
    ) -> Result<(Neighbours, GpuReport), RetrievalError> {
        let queries = Rows::queries(queries, self.width(), options)?;
        let k = options.k.min(self.rows());
        let threads = options.thread_count();
        let tally = Tally::of(queries.count().saturating_mul(self.rows()));
        let mut steps = tally.reporting(progress);
        steps.advance(0)?;
        let mut report = GpuReport::default();
        let mut answers: Vec<Option<Answer>> = vec![None; queries.count()];
        let host = self.host.prepared();
        let able = |q: &usize| {
            k > 0
                && self.width() <= frame::WIDEST
                && host.frame.coefficients(metric::norm(queries.row(*q))).is_some()
        };
        let mut open: Vec<usize> = (0..queries.count()).filter(able).collect();
        let coded = (self.bank.form != Form::F32).then_some((self.bank, 1));
        for (bank, boost) in coded.into_iter().chain(BOOSTS.map(|boost| (self.bank.by_rows(), boost))) {
            if open.is_empty() {
                break;
            }
            let plan = QueryPlan::new(&bank, open.len() as u64, k as u64, boost, &self.allowed);
            // Lists that do not fit may fit another scan, and else are the host's business.
            let Ok(plan) = plan else { continue };
            for batch in open.chunks(usize::try_from(plan.batch).unwrap_or(usize::MAX)) {
                let found = self.batch((&bank, plan), (&queries, batch), threads, &mut report, &mut steps)?;
                steps.expect(found.iter().filter(|answer| answer.is_none()).count() * self.rows());
                for (&q, answer) in batch.iter().zip(found) {
                    answers[q] = answer;
                }
            }
            open.retain(|&q| answers[q].is_none());
        }
        let open: Vec<usize> = (0..answers.len()).filter(|&q| answers[q].is_none()).collect();
        (report.on_device, report.on_host) = (answers.len() - open.len(), open.len());
        for (&q, answer) in open.iter().zip(self.host.answers(&queries, &open, k, threads, &mut steps)?) {
            answers[q] = Some(answer);
        }
        steps.advance(0)?;
        Ok((Neighbours::from_lists(answers.into_iter().flatten().collect(), k), report))
    }

    /// Answers one batch, a step for each query and row; none for a query whose lists overflowed.
    fn batch(
        &self,
        (bank, plan): (&BankPlan, QueryPlan),
        (queries, chosen): (&Rows<'_>, &[usize]),
        threads: usize,
        report: &mut GpuReport,
        steps: &mut Steps<'_>,
    ) -> Result<Vec<Option<Answer>>, RetrievalError> {
        let host = self.host.prepared();
        let packed = pack_queries(&host, bank, queries, chosen);
        // A panic elsewhere leaves buffers, which are overwritten anyway.
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        if scratch.as_ref().is_none_or(|s| s.plan != plan) {
            // Freed first: both might not fit.
            *scratch = None;
            *scratch = Some(Scratch::new(&self.gpu, plan, bank.shards().count())?);
        }
        let scratch = scratch.as_ref().expect("made above");
        let stages = self.gpu.kernels()?.stages(bank.form).expect("checked when the search was made");
        let found = scratch.run(&self.gpu, stages, bank, &self.allowed, &packed, |s, shard| {
            if bank.streamed {
                self.shards[0].fill(&self.gpu, &host, bank, shard, threads)?;
                steps.advance(chosen.len() * shard.row_count())?;
                return Ok(&self.shards[0]);
            }
            Ok(&self.shards[s])
        })?;
        if !bank.streamed {
            steps.advance(chosen.len() * self.rows())?;
        }
        report.bytes_back += found.bytes;
        if let Some(times) = found.kernels {
            *report.kernels.get_or_insert_default() += times;
        }
        let lists = &found.lists;
        let route = if bank.form == Form::F32 { Route::F32 } else { Route::Compact };
        let answers = in_parallel(chosen.len(), threads, |part| {
            part.map(|i| {
                let (rows, bins) = lists[i].as_ref()?;
                let rescored = u32::try_from(rows.len()).unwrap_or(u32::MAX);
                let certificate = Certificate { route, bins: *bins, rescored };
                let k = usize::try_from(plan.k).unwrap_or(usize::MAX);
                Some((self.host.score(queries.row(chosen[i]), rows.iter().copied(), k), certificate))
            })
            .collect::<Vec<_>>()
        });
        Ok(answers.concat())
    }
}

impl Search for GpuSearch<'_> {
    fn metric(&self) -> Metric {
        self.host.metric()
    }

    fn rows(&self) -> usize {
        self.host.rows()
    }

    fn width(&self) -> usize {
        self.host.width()
    }

    fn search_with_progress(
        &self,
        queries: ArrayView2<'_, f32>,
        options: &SearchOptions,
        progress: &mut ProgressFn<'_>,
    ) -> Result<Neighbours, RetrievalError> {
        self.search_reporting(&queries, options, progress).map(|found| found.0)
    }
}
