//! A drawn sample as records without verdicts: filled in, it is read like any other file.

use std::io::{self, Write};

use crate::io::table::{Cell, Table, write_header, write_rows};
use crate::io::time::rfc3339;
use crate::store::NamedRecord;

impl Table for NamedRecord {
    const COLUMNS: &'static [&'static str] = &[
        "part",
        "model",
        "revision",
        "inspection",
        "feature",
        "unit",
        "value",
        "lower",
        "upper",
        "verdict",
        "board",
        "refdes",
        "time",
        "record_id",
    ];

    fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = self.key.iter().map(|field| Cell::text(field)).collect();
        cells.extend([
            Cell::Real(self.value),
            Cell::real(self.tolerance.lower),
            Cell::real(self.tolerance.upper),
            Cell::Empty,
            Cell::text(&self.board),
            Cell::text(&self.refdes),
            self.time.map_or(Cell::Empty, |time| Cell::Text(rfc3339(time))),
            Cell::text(&self.record_id),
        ]);
        cells
    }
}

/// Writes one record a drawn value, in the order of drawing, with an empty `verdict` for the reviewer.
///
/// # Errors
/// When `out` fails.
pub fn drawn_csv(out: &mut dyn Write, records: impl IntoIterator<Item = NamedRecord>) -> io::Result<()> {
    write_header::<NamedRecord>(out)?;
    write_rows(out, records.into_iter())
}
