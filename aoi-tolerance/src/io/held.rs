//! Which limit holds each known defect, where limits were chosen together.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::io::table::{Cell, Table, leading, trailing, write_header, write_rows};
use crate::joint::{Held, Joint};
use crate::population::Limit;

struct HeldRow<'a> {
    held: &'a Held,
    limits: &'a [Limit],
    files: &'a [PathBuf],
    new_limit: f64,
}

impl Table for HeldRow<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "part",
        "model",
        "inspection",
        "feature",
        "side",
        "value",
        "new_limit",
        "still_flagged",
        "held_by",
        "held_by_side",
        "file",
        "row",
        "revision",
        "unit",
        "limit_version",
    ];

    fn cells(&self) -> Vec<Cell> {
        let Held { limit, value, source, flagged, held_by } = *self.held;
        let id = &self.limits[limit].id;
        let holder = &self.limits[held_by].id;
        let file =
            self.files.get(source.file as usize).map_or(Cell::Empty, |f| Cell::Text(f.display().to_string()));
        let own = [
            Cell::Real(value),
            Cell::Real(self.new_limit),
            Cell::Text(flagged.to_string()),
            Cell::Text(holder.key.to_string()),
            Cell::Text(holder.side.to_string()),
            file,
            Cell::Count(source.line),
        ];
        [&leading(id)[..], &own, &trailing(id)].concat()
    }
}

/// Writes one row per flagged measurement of a confirmed defect; `files` are those that the records were read from.
///
/// # Errors
/// When `out` fails.
pub fn held_csv(out: &mut dyn Write, joint: &Joint, limits: &[Limit], files: &[PathBuf]) -> io::Result<()> {
    write_header::<HeldRow<'_>>(out)?;
    let row = |held| HeldRow { held, limits, files, new_limit: joint.proposals[held.limit].new_limit };
    write_rows(out, joint.held.iter().map(row))
}
