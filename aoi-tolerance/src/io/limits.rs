//! The limits file: one row per limit, as CSV or JSON.

use std::io::{self, Write};

use crate::io::form::LimitForm;
use crate::io::table::{Cell, Table, leading, trailing, write_header, write_json, write_rows};
use crate::options::Options;
use crate::population::Limit;
use crate::proposal::Proposal;

/// The proposals for a set of limits, ready to be written; rows stand in the order of `limits`.
#[derive(Debug, Clone, Copy)]
pub struct LimitsTable<'a> {
    /// The limits.
    pub limits: &'a [Limit],
    /// `proposals[i]` belongs to `limits[i]`.
    pub proposals: &'a [Proposal],
    /// What the proposals were made with.
    pub options: &'a Options,
    /// Digest of the records, see [`digest_of`](super::digest_of).
    pub input_sha256: &'a str,
    /// The site's form, in which the new limits are repeated.
    pub form: LimitForm,
}

impl LimitsTable<'_> {
    /// The columns.
    #[cfg(feature = "report")]
    pub(crate) const COLUMNS: &'static [&'static str] = LimitRow::COLUMNS;

    /// Each row's cells as they stand in the CSV, before quotes.
    #[cfg(feature = "report")]
    pub(crate) fn texts(&self) -> impl Iterator<Item = Vec<String>> {
        self.rows().map(|row| row.cells().iter().map(Cell::to_csv).collect())
    }

    /// Writes CSV.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        write_header::<LimitRow<'_>>(out)?;
        write_rows(out, self.rows())
    }

    /// Writes a JSON array of objects with the same names; what is empty in CSV is null.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        write_json(out, self.rows())
    }

    fn rows(&self) -> impl Iterator<Item = LimitRow<'_>> {
        self.limits.iter().zip(self.proposals).map(|(limit, proposal)| LimitRow {
            limit,
            proposal,
            table: self,
        })
    }
}

/// What a row is made of.
struct LimitRow<'a> {
    limit: &'a Limit,
    proposal: &'a Proposal,
    table: &'a LimitsTable<'a>,
}

impl Table for LimitRow<'_> {
    // The columns, in the order of the format; the last two carry the limit back to the site's own form.
    const COLUMNS: &'static [&'static str] = &[
        "part",
        "model",
        "inspection",
        "feature",
        "side",
        "old_limit",
        "new_limit",
        "decision",
        "reason",
        "percentile",
        "percentile_type",
        "false_calls_before",
        "false_calls_after",
        "defects_before",
        "defects_after",
        "nearest_defect",
        "margin",
        "certificate_n",
        "certificate_r",
        "escape_bound",
        "confidence",
        "input_sha256",
        "revision",
        "unit",
        "limit_version",
        "suggested_limit",
        "defects_unflagged",
        "resolution",
        "certificate_group",
        "limit_form",
        "new_limit_in_form",
    ];

    fn cells(&self) -> Vec<Cell> {
        let LimitRow { limit, proposal, table } = self;
        let own = [
            Cell::Real(proposal.old_limit),
            Cell::Real(proposal.new_limit),
            Cell::Text(proposal.decision.to_string()),
            Cell::Text(proposal.reason.to_string()),
            Cell::Real(table.options.percentile),
            Cell::Count(table.options.percentile_kind.number().into()),
            Cell::Count(proposal.false_calls_before),
            Cell::Count(proposal.false_calls_after),
            Cell::Count(proposal.defects_before),
            Cell::Count(proposal.defects_after),
            Cell::real(proposal.nearest_defect),
            Cell::Real(proposal.margin),
            Cell::Count(proposal.certificate.defects),
            Cell::Count(proposal.certificate.misses),
            escape_bound(proposal),
            Cell::Real(proposal.certificate.confidence),
            Cell::text(table.input_sha256),
        ];
        let more = [
            Cell::real(proposal.suggested_limit),
            Cell::Count(proposal.defects_unflagged),
            Cell::real(proposal.resolution),
            proposal.certificate.pooled.as_deref().map_or(Cell::Empty, Cell::text),
            Cell::text(table.form.word()),
            Cell::real(table.form.export(limit.id.side, proposal.new_limit, limit.nominal)),
        ];
        [&leading(&limit.id)[..], &own, &trailing(&limit.id), &more].concat()
    }
}

/// The bound as a number, or the words "no evidence": an empty field could be taken for zero.
pub(crate) fn escape_bound(proposal: &Proposal) -> Cell {
    let bound = proposal.certificate.bound;
    bound.value().map_or_else(|| Cell::Text(bound.to_string()), Cell::Real)
}
