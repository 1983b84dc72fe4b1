//! Batches of queries and the buffers they need.

use super::{Allowance, BIN, BankPlan, Form, PANEL, PANEL_BINS};
use crate::RetrievalError;

/// Most bytes of scratch a batch of queries takes, so that a large device is not filled by it.
const LARGEST_SCRATCH: u64 = 1 << 30;
/// Most queries in a batch: more would not fill a device better.
const LARGEST_BATCH: u64 = 4096;

/// How queries are worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::search::gpu) struct QueryPlan {
    /// What is scanned.
    pub(in crate::search::gpu) form: Form,
    pub(in crate::search::gpu) k: u64,
    /// Queries per batch.
    pub(in crate::search::gpu) batch: u64,
    /// Bins that one query may keep per shard.
    pub(in crate::search::gpu) capacity: u64,
    /// Rows that one query may keep.
    pub(in crate::search::gpu) list: u64,
    /// Bytes of each buffer.
    pub(in crate::search::gpu) bytes: ScratchBytes,
}

/// Bytes of the buffers of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::search::gpu) struct ScratchBytes {
    pub(in crate::search::gpu) queries: u64,
    pub(in crate::search::gpu) codes: u64,
    pub(in crate::search::gpu) coefficients: u64,
    pub(in crate::search::gpu) best: u64,
    pub(in crate::search::gpu) chosen: u64,
    pub(in crate::search::gpu) scored: u64,
    pub(in crate::search::gpu) list: u64,
}

impl ScratchBytes {
    fn new(batch: u64, bank: &BankPlan, capacity: u64, list: u64) -> Self {
        let padded = batch.next_multiple_of(PANEL);
        Self {
            queries: padded * bank.width * 4,
            codes: if bank.form == Form::F32 { 0 } else { padded * bank.words * bank.form.word_bytes() },
            coefficients: batch * 32,
            best: batch * bank.shard_panels * PANEL_BINS * 4,
            chosen: batch * capacity * 4,
            scored: batch * capacity * BIN * 8,
            list: batch * list * 16,
        }
    }

    /// The largest of them.
    fn largest(&self) -> u64 {
        [self.queries, self.codes, self.coefficients, self.best, self.chosen, self.scored, self.list]
            .into_iter()
            .fold(0, u64::max)
    }

    /// All of them; the list is there twice, and once more to be read back.
    pub(in crate::search::gpu) fn total(&self) -> u64 {
        self.queries + self.codes + self.coefficients + self.best + self.chosen + self.scored + 3 * self.list
    }
}

impl QueryPlan {
    /// `queries` queries for `k` neighbours; `boost` multiplies what a query may keep beyond k.
    ///
    /// # Errors
    /// When not even one query fits.
    pub(in crate::search::gpu) fn new(
        bank: &BankPlan,
        queries: u64,
        k: u64,
        boost: u64,
        allowed: &Allowance,
    ) -> Result<Self, RetrievalError> {
        let shard_bins = bank.shard_panels * PANEL_BINS;
        let capacity = (k + (bank.form.spare() + k / 2) * boost).min(shard_bins);
        let list = (k + (64 + k / 2) * boost).min(bank.rows.max(1));
        let scratch = (allowed.memory / 4).min(LARGEST_SCRATCH);
        let fits = |batch: u64| {
            let bytes = ScratchBytes::new(batch, bank, capacity, list);
            batch <= allowed.workgroups && bytes.largest() <= allowed.binding && bytes.total() <= scratch
        };
        // Few enough sizes to try: halve until it fits.
        let mut batch = queries.clamp(1, LARGEST_BATCH);
        while !fits(batch) {
            if batch == 1 {
                let bytes = ScratchBytes::new(1, bank, capacity, list);
                let (needed, limit) = if bytes.largest() > allowed.binding {
                    (bytes.largest(), allowed.binding)
                } else {
                    (bytes.total(), scratch)
                };
                return Err(RetrievalError::DeviceLimit { what: "the lists of one query", needed, limit });
            }
            batch =
                if batch > PANEL { (batch / 2).next_multiple_of(PANEL).min(batch - 1) } else { batch / 2 };
        }
        let bytes = ScratchBytes::new(batch, bank, capacity, list);
        Ok(Self { form: bank.form, k, batch, capacity, list, bytes })
    }
}
