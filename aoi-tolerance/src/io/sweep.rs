//! The what-if table: every limit at every percentile.

use std::io::{self, Write};

use crate::io::limits::escape_bound;
use crate::io::table::{Cell, Table, leading, trailing, write_header, write_rows};
use crate::population::Limit;
use crate::proposal::Proposal;

struct SweepRow<'a> {
    limit: &'a Limit,
    percentile: f64,
    proposal: &'a Proposal,
}

impl Table for SweepRow<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "part",
        "model",
        "inspection",
        "feature",
        "side",
        "percentile",
        "limit",
        "false_calls_after",
        "defects_after",
        "nearest_defect",
        "escape_bound",
        "revision",
        "unit",
        "limit_version",
    ];

    fn cells(&self) -> Vec<Cell> {
        let own = [
            Cell::Real(self.percentile),
            Cell::Real(self.proposal.new_limit),
            Cell::Count(self.proposal.false_calls_after),
            Cell::Count(self.proposal.defects_after),
            Cell::real(self.proposal.nearest_defect),
            escape_bound(self.proposal),
        ];
        [&leading(&self.limit.id)[..], &own, &trailing(&self.limit.id)].concat()
    }
}

/// Writes the table one percentile at a time.
pub struct SweepTable<'a, W: Write> {
    out: W,
    limits: &'a [Limit],
}

impl<'a, W: Write> SweepTable<'a, W> {
    /// Writes the header; `limits` are those that the sweep runs over.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn new(mut out: W, limits: &'a [Limit]) -> io::Result<Self> {
        write_header::<SweepRow<'_>>(&mut out)?;
        Ok(Self { out, limits })
    }

    /// Adds the proposals at one percentile, sorted as the limits are.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn add(&mut self, percentile: f64, proposals: &[Proposal]) -> io::Result<()> {
        let rows = self.limits.iter().zip(proposals);
        let rows = rows.map(|(limit, proposal)| SweepRow { limit, percentile, proposal });
        write_rows(&mut self.out, rows)
    }
}
