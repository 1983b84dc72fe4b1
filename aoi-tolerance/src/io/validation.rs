//! The validation table: what a split showed, limit by limit.

use std::io::{self, Write};

use crate::io::table::{Cell, Table, leading, trailing, write_header, write_rows};
use crate::validate::{LimitRecall, Validation, recall};

struct ValidationRow<'a> {
    limit: &'a LimitRecall,
    /// Recall and its lower bound.
    recall: Option<(f64, f64)>,
}

impl Table for ValidationRow<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "part",
        "model",
        "inspection",
        "feature",
        "side",
        "defects_calibration",
        "defects_validation",
        "flagged",
        "missed",
        "recall",
        "recall_lower_bound",
        "revision",
        "unit",
        "limit_version",
    ];

    fn cells(&self) -> Vec<Cell> {
        let own = [
            Cell::Count(self.limit.defects_calibration),
            Cell::Count(self.limit.defects_validation),
            Cell::Count(self.limit.flagged),
            Cell::Count(self.limit.missed()),
            Cell::real(self.recall.map(|r| r.0)),
            Cell::real(self.recall.map(|r| r.1)),
        ];
        [&leading(&self.limit.id)[..], &own, &trailing(&self.limit.id)].concat()
    }
}

/// Writes a validation as CSV; recall is empty where no defect was held back.
///
/// # Errors
/// When `out` fails.
pub fn validation_csv(out: &mut dyn Write, validation: &Validation) -> io::Result<()> {
    write_header::<ValidationRow<'_>>(out)?;
    let delta = 1.0 - validation.confidence;
    let rows = validation
        .limits
        .iter()
        .map(|limit| {
            let recall = recall(limit.flagged, limit.defects_validation, delta).map_err(io::Error::other)?;
            Ok(ValidationRow { limit, recall })
        })
        .collect::<io::Result<Vec<_>>>()?;
    write_rows(out, rows.into_iter())
}
