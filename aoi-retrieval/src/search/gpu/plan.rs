//! What goes where: shards of the bank, batches of queries, workgroups and buffer sizes, from the limits of a device alone.
//!
//! Everything here is a pure function of numbers, tested without a device.

mod queries;

pub(super) use self::queries::QueryPlan;
use crate::RetrievalError;

/// Rows per bin, as in the kernels.
pub(super) const BIN: u64 = 16;
/// Rows per panel, and queries per panel.
pub(super) const PANEL: u64 = 128;
/// Bins per panel.
pub(super) const PANEL_BINS: u64 = PANEL / BIN;
/// The width is padded to a multiple of this many vectors of the panel's interleaving.
pub(super) const STEP: u64 = 8;
/// No storage binding is planned larger than this, whatever the device says: several drivers count bytes in `i32`.
const LARGEST_BINDING: u64 = (1 << 31) - 256;

/// What a device allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Bytes of one storage binding.
    pub(super) binding: u64,
    /// Workgroups per dimension of a dispatch.
    pub(super) workgroups: u64,
    /// Bytes that the search may hold on the device.
    pub(super) memory: u64,
}

impl Allowance {
    /// From a device's limits and a memory budget.
    pub(super) fn new(limits: &wgpu::Limits, memory: u64) -> Self {
        Self {
            binding: limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(LARGEST_BINDING),
            workgroups: limits.max_compute_workgroups_per_dimension.into(),
            memory,
        }
    }
}

/// How the rows of a scan are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The f32 rows themselves.
    F32,
    /// A copy in f16.
    F16,
    /// A copy in signed bytes, four to a word.
    Int8,
}

impl Form {
    /// Words along a row of `width` numbers, padded: of one number, or of four for bytes.
    pub(super) fn words(self, width: u64) -> u64 {
        match self {
            Self::F32 => width.next_multiple_of(STEP),
            // Tiles of cooperative matrices are 16 numbers deep.
            Self::F16 => width.next_multiple_of(2 * STEP),
            Self::Int8 => width.div_ceil(4).next_multiple_of(STEP),
        }
    }

    /// Bytes per word.
    pub(super) fn word_bytes(self) -> u64 {
        match self {
            Self::F16 => 2,
            Self::F32 | Self::Int8 => 4,
        }
    }

    /// Bins that the scan may keep beyond k, since its bound is wider the coarser the copy.
    fn spare(self) -> u64 {
        match self {
            Self::F32 => 64,
            Self::F16 => 128,
            Self::Int8 => 1024,
        }
    }
}

/// How the bank lies on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BankPlan {
    pub(super) form: Form,
    /// Rows of the bank, n.
    pub(super) rows: u64,
    /// Numbers per row as rescored, padded.
    pub(super) width: u64,
    /// Words per row as scanned, padded.
    pub(super) words: u64,
    /// Panels of every shard but perhaps the last.
    pub(super) shard_panels: u64,
    /// Whether shards take turns in one place on the device.
    pub(super) streamed: bool,
}

/// What one row panel costs on the device, all copies and bounds together.
fn panel_bytes(form: Form, width: u64) -> u64 {
    let copy = if form == Form::F32 { 0 } else { form.words(width) * form.word_bytes() * PANEL };
    // bias and step, then two sets of terms
    Form::F32.words(width) * 4 * PANEL + copy + 2 * 4 * PANEL + 2 * 16 * PANEL_BINS
}

impl BankPlan {
    /// A bank of `rows` rows of `width` numbers.
    ///
    /// # Errors
    /// When not even one panel of rows fits.
    pub(super) fn new(
        form: Form,
        rows: u64,
        width: u64,
        allowed: &Allowance,
    ) -> Result<Self, RetrievalError> {
        let panels = rows.div_ceil(PANEL).max(1);
        let row_bytes = Form::F32.words(width) * 4 * PANEL;
        let limit = |what, needed, limit| Err(RetrievalError::DeviceLimit { what, needed, limit });
        let in_binding =
            (allowed.binding / row_bytes).min(allowed.workgroups.saturating_mul(allowed.workgroups));
        if in_binding == 0 {
            return limit("128 rows in one storage binding", row_bytes, allowed.binding);
        }
        let each = panel_bytes(form, width);
        // A quarter of the memory is left to the batches of queries.
        let for_bank = allowed.memory / 4 * 3;
        let in_memory = for_bank / each;
        if in_memory == 0 {
            return limit("128 rows beside a batch of queries", each, for_bank);
        }
        let shard_panels = in_binding.min(panels);
        let streamed = in_memory < panels;
        // A streamed shard is also in a staging buffer while the next one comes.
        let shard_panels = if streamed { shard_panels.min((in_memory / 2).max(1)) } else { shard_panels };
        Ok(Self {
            form,
            rows,
            width: Form::F32.words(width),
            words: form.words(width),
            shard_panels,
            streamed,
        })
    }

    /// The same shards, scanned by their f32 rows: those are on the device to be rescored, whatever else is.
    pub(super) fn by_rows(&self) -> Self {
        Self { form: Form::F32, words: self.width, ..*self }
    }

    /// The shards, in row order.
    pub(super) fn shards(&self) -> impl Iterator<Item = Shard> + '_ {
        let step = self.shard_panels * PANEL;
        (0..self.rows.div_ceil(step)).map(move |s| {
            let first_row = s * step;
            let rows = step.min(self.rows - first_row);
            Shard { first_row, rows, bins: rows.div_ceil(BIN), panels: rows.div_ceil(PANEL) }
        })
    }

    /// Bytes of the f32 rows of `panels` panels.
    pub(super) fn row_bytes(&self, panels: u64) -> u64 {
        panels * self.width * PANEL * 4
    }

    /// Bytes of the copy of `panels` panels; none for the f32 scan.
    pub(super) fn copy_bytes(&self, panels: u64) -> u64 {
        if self.form == Form::F32 { 0 } else { panels * self.words * PANEL * self.form.word_bytes() }
    }

    /// Bytes held on the device for the bank.
    pub(super) fn resident_bytes(&self) -> u64 {
        let panels = self.rows.div_ceil(PANEL);
        panel_bytes(self.form, self.width) * if self.streamed { self.shard_panels } else { panels }
    }
}

/// A run of rows that one binding holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) first_row: u64,
    pub(super) rows: u64,
    pub(super) bins: u64,
    pub(super) panels: u64,
}

impl Shard {
    /// Rows, as the host counts them.
    pub(super) fn row_count(&self) -> usize {
        usize::try_from(self.rows).unwrap_or(usize::MAX)
    }

    /// Rows of panels as lines and columns of a grid: dimensions y and z of the scan.
    pub(super) fn grid(&self, allowed: &Allowance) -> (u64, u64) {
        let across = self.panels.min(allowed.workgroups);
        (across, self.panels.div_ceil(across.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What every adapter grants: 128 MiB bindings.
    const DEFAULT: Allowance = Allowance { binding: 128 << 20, workgroups: 65_535, memory: 16 << 30 };

    /// Shards cover the bank once, in order, each within the binding and the grid.
    fn check_shards(plan: &BankPlan, allowed: &Allowance) {
        let (mut next, mut count) = (0, 0);
        for shard in plan.shards() {
            assert_eq!(shard.first_row, next, "shards follow each other");
            assert!(shard.rows > 0 && shard.panels <= plan.shard_panels);
            assert!(plan.row_bytes(shard.panels) <= allowed.binding);
            assert!(plan.copy_bytes(shard.panels) <= allowed.binding);
            let (across, lines) = shard.grid(allowed);
            assert!(across <= allowed.workgroups && lines <= allowed.workgroups);
            assert!(across * lines >= shard.panels && across * (lines - 1) < shard.panels);
            assert!(shard.bins.div_ceil(PANEL_BINS) == shard.panels);
            next += shard.rows;
            count += 1;
            if count > 100_000 {
                return; // tiny limits: the first hundred thousand tell
            }
        }
        assert_eq!(next, plan.rows);
    }

    fn check_queries(plan: &QueryPlan, bank: &BankPlan, allowed: &Allowance) {
        let b = plan.bytes;
        for bytes in [b.queries, b.codes, b.coefficients, b.best, b.chosen, b.scored, b.list] {
            assert!(bytes <= allowed.binding);
        }
        assert!(plan.batch >= 1 && plan.batch <= allowed.workgroups);
        assert!(plan.list >= plan.k.min(bank.rows), "k rows must fit");
        assert!(plan.capacity >= plan.k.min(bank.shard_panels * PANEL_BINS), "k bins must fit");
        assert!(b.total() + bank.resident_bytes() <= allowed.memory);
    }

    #[test]
    fn a_million_rows_are_cut_by_the_default_binding() {
        let plan = BankPlan::new(Form::F32, 1_000_000, 384, &DEFAULT).unwrap();
        assert_eq!((plan.width, plan.shard_panels, plan.streamed), (384, 682, false));
        assert_eq!(plan.shards().count(), 12);
        check_shards(&plan, &DEFAULT);
        let queries = QueryPlan::new(&plan, 1024, 30, 1, &DEFAULT).unwrap();
        assert_eq!((queries.batch, queries.capacity, queries.list), (1024, 109, 109));
        check_queries(&queries, &plan, &DEFAULT);
    }

    #[test]
    fn a_billion_rows_are_streamed_and_two_gibibyte_bindings_are_clipped() {
        let allowed = Allowance::new(
            &wgpu::Limits {
                max_storage_buffer_binding_size: u64::MAX,
                max_buffer_size: u64::MAX,
                ..wgpu::Limits::default()
            },
            64 << 30,
        );
        assert!(allowed.binding < 1 << 31);
        for (form, width) in [(Form::F32, 384), (Form::F16, 768), (Form::Int8, 1)] {
            let plan = BankPlan::new(form, 1_000_000_000, width, &allowed).unwrap();
            assert!(plan.streamed, "{form:?}");
            check_shards(&plan, &allowed);
            check_queries(&QueryPlan::new(&plan, 1024, 1024, 1, &allowed).unwrap(), &plan, &allowed);
        }
    }

    #[test]
    fn what_cannot_fit_is_an_error_that_names_both_sizes() {
        let tiny = Allowance { binding: 4096, ..DEFAULT };
        let error = BankPlan::new(Form::F32, 10, 9, &tiny).unwrap_err();
        assert!(matches!(error, RetrievalError::DeviceLimit { needed: 8192, limit: 4096, .. }), "{error}");
        let poor = Allowance { memory: 1000, ..DEFAULT };
        assert!(BankPlan::new(Form::F32, 10, 9, &poor).is_err());
        let bank = BankPlan::new(Form::F32, 100_000, 8, &Allowance { binding: 1 << 16, ..DEFAULT }).unwrap();
        assert!(QueryPlan::new(&bank, 5, 4096, 1, &Allowance { binding: 1 << 16, ..DEFAULT }).is_err());
    }

    #[test]
    fn one_row_and_no_row_have_plans() {
        for rows in [0, 1] {
            let plan = BankPlan::new(Form::F32, rows, 1, &DEFAULT).unwrap();
            assert_eq!(plan.shards().count() as u64, rows);
            check_queries(&QueryPlan::new(&plan, 1, rows.max(1), 1, &DEFAULT).unwrap(), &plan, &DEFAULT);
        }
    }

    #[test]
    fn a_boost_makes_room_until_everything_fits() {
        let bank = BankPlan::new(Form::Int8, 5_000, 64, &DEFAULT).unwrap();
        let (one, eight) = (
            QueryPlan::new(&bank, 9, 10, 1, &DEFAULT).unwrap(),
            QueryPlan::new(&bank, 9, 10, 1000, &DEFAULT).unwrap(),
        );
        assert!(eight.list > one.list);
        assert_eq!((eight.list, eight.capacity), (5_000, bank.shard_panels * PANEL_BINS));
    }

    proptest! {
        #[test]
        fn every_plan_that_is_made_keeps_every_limit(
            form in prop_oneof![Just(Form::F32), Just(Form::F16), Just(Form::Int8)],
            rows in prop_oneof![0..5_000_u64, 0..4_000_000_000_u64], width in 1..5_000_u64,
            k in 1..2_000_u64, queries in 1..10_000_u64, boost in 1..9_u64,
            binding in 12..33_u32, workgroups in 2..70_000_u64, memory in 16..40_u32,
        ) {
            let allowed = Allowance { binding: 1 << binding, workgroups, memory: 1 << memory };
            if let Ok(bank) = BankPlan::new(form, rows, width, &allowed) {
                check_shards(&bank, &allowed);
                if let Ok(plan) = QueryPlan::new(&bank, queries, k.min(rows.max(1)), boost, &allowed) {
                    check_queries(&plan, &bank, &allowed);
                }
            }
        }
    }
}
