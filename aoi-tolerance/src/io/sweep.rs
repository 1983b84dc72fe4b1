//! The what-if table: every limit at every percentile.

use std::io::{self, Write};

use crate::io::limits::escape_bound;
use crate::io::table::{Cell, Table, write_header, write_rows};
use crate::population::Limit;
use crate::proposal::Proposal;
use crate::simulate::WhatIf;

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
        let r = self;
        vec![
            Cell::text(&r.limit.id.key.part),
            Cell::text(&r.limit.id.key.model),
            Cell::text(&r.limit.id.key.inspection),
            Cell::text(&r.limit.id.key.feature),
            Cell::Text(r.limit.id.side.to_string()),
            Cell::Real(r.percentile),
            Cell::Real(r.proposal.new_limit),
            Cell::Count(r.proposal.false_calls_after),
            Cell::Count(r.proposal.defects_after),
            Cell::real(r.proposal.nearest_defect),
            escape_bound(r.proposal),
            Cell::text(&r.limit.id.key.revision),
            Cell::text(&r.limit.id.key.unit),
            Cell::Count(r.limit.id.version.into()),
        ]
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

    /// Adds one percentile, sorted as the limits are.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn add(&mut self, what_if: &WhatIf) -> io::Result<()> {
        let percentile = what_if.percentile;
        let rows = self.limits.iter().zip(&what_if.proposals);
        let rows = rows.map(|(limit, proposal)| SweepRow { limit, percentile, proposal });
        write_rows(&mut self.out, rows)
    }
}
