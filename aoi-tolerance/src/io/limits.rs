//! The limits file: one row per limit, as CSV or JSON.

use std::io::{self, Write};

use crate::io::form::LimitForm;
use crate::io::table::{Cell, Table, write_header, write_json, write_rows};
use crate::options::Options;
use crate::population::Limit;
use crate::proposal::Proposal;

/// What a row is made of.
struct LimitRow<'a> {
    limit: &'a Limit,
    proposal: &'a Proposal,
    options: &'a Options,
    input_sha256: &'a str,
    form: LimitForm,
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
        let r = self;
        vec![
            Cell::text(&r.limit.id.key.part),
            Cell::text(&r.limit.id.key.model),
            Cell::text(&r.limit.id.key.inspection),
            Cell::text(&r.limit.id.key.feature),
            Cell::Text(r.limit.id.side.to_string()),
            Cell::Real(r.proposal.old_limit),
            Cell::Real(r.proposal.new_limit),
            Cell::Text(r.proposal.decision.to_string()),
            Cell::Text(r.proposal.reason.to_string()),
            Cell::Real(r.options.percentile),
            Cell::Count(r.options.percentile_kind.number().into()),
            Cell::Count(r.proposal.false_calls_before),
            Cell::Count(r.proposal.false_calls_after),
            Cell::Count(r.proposal.defects_before),
            Cell::Count(r.proposal.defects_after),
            Cell::real(r.proposal.nearest_defect),
            Cell::Real(r.proposal.margin),
            Cell::Count(r.proposal.certificate.defects),
            Cell::Count(r.proposal.certificate.misses),
            escape_bound(r.proposal),
            Cell::Real(r.proposal.certificate.confidence),
            Cell::text(r.input_sha256),
            Cell::text(&r.limit.id.key.revision),
            Cell::text(&r.limit.id.key.unit),
            Cell::Count(r.limit.id.version.into()),
            Cell::real(r.proposal.suggested_limit),
            Cell::Count(r.proposal.defects_unflagged),
            Cell::real(r.proposal.resolution),
            r.proposal.certificate.pooled.as_deref().map_or(Cell::Empty, Cell::text),
            Cell::text(r.form.word()),
            Cell::real(r.form.export(r.limit.id.side, r.proposal.new_limit, r.limit.nominal)),
        ]
    }
}

/// The bound as a number, or the words "no evidence": an empty field could be taken for zero.
pub(crate) fn escape_bound(proposal: &Proposal) -> Cell {
    let bound = proposal.certificate.bound;
    bound.value().map_or_else(|| Cell::Text(bound.to_string()), Cell::Real)
}

fn rows<'a>(
    limits: &'a [Limit],
    proposals: &'a [Proposal],
    options: &'a Options,
    input_sha256: &'a str,
    form: LimitForm,
) -> impl Iterator<Item = LimitRow<'a>> {
    limits.iter().zip(proposals).map(move |(limit, proposal)| LimitRow {
        limit,
        proposal,
        options,
        input_sha256,
        form,
    })
}

/// Writes the limits as CSV, in the order of `limits`; `proposals[i]` belongs to `limits[i]`.
///
/// # Errors
/// When `out` fails.
pub fn limits_csv(
    out: &mut dyn Write,
    limits: &[Limit],
    proposals: &[Proposal],
    options: &Options,
    input_sha256: &str,
    form: LimitForm,
) -> io::Result<()> {
    write_header::<LimitRow<'_>>(out)?;
    write_rows(out, rows(limits, proposals, options, input_sha256, form))
}

/// Writes the limits as a JSON array of objects with the same names; what is empty in CSV is null.
///
/// # Errors
/// When `out` fails.
pub fn limits_json(
    out: &mut dyn Write,
    limits: &[Limit],
    proposals: &[Proposal],
    options: &Options,
    input_sha256: &str,
    form: LimitForm,
) -> io::Result<()> {
    write_json(out, rows(limits, proposals, options, input_sha256, form))
}
