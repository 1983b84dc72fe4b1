//! Tables as CSV and as JSON from one description of their columns.

use std::io::{self, Write};

use serde_json::{Map, Number, Value};

use crate::io::number::shortest;
use crate::population::LimitId;

/// One field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    /// Nothing: an empty field, null in JSON.
    Empty,
    Text(String),
    Count(u64),
    /// A number in the shortest form that reads back to it.
    Real(f64),
}

impl Cell {
    pub(crate) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(crate) fn real(number: Option<f64>) -> Self {
        number.map_or(Self::Empty, Self::Real)
    }

    pub(crate) fn to_csv(&self) -> String {
        match self {
            Self::Empty => String::new(),
            Self::Text(text) => text.clone(),
            Self::Count(n) => n.to_string(),
            Self::Real(x) => shortest(*x),
        }
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Empty => Value::Null,
            Self::Text(text) => Value::String(text.clone()),
            Self::Count(n) => Value::from(*n),
            Self::Real(x) => Number::from_f64(*x).map_or(Value::Null, Value::Number),
        }
    }
}

/// A table: the names of its columns, and for one row what stands in each of them.
pub(crate) trait Table {
    /// Names, in order.
    const COLUMNS: &'static [&'static str];
    /// The fields of a row, in the same order.
    fn cells(&self) -> Vec<Cell>;
}

/// What every table of limits begins with: part, model, inspection, feature, side.
pub(crate) fn leading(id: &LimitId) -> [Cell; 5] {
    let key = &id.key;
    let [part, model, inspection, feature] =
        [&key.part, &key.model, &key.inspection, &key.feature].map(|f| Cell::text(f));
    [part, model, inspection, feature, Cell::Text(id.side.to_string())]
}

/// What else names a limit: revision, unit, limit version.
pub(crate) fn trailing(id: &LimitId) -> [Cell; 3] {
    [Cell::text(&id.key.revision), Cell::text(&id.key.unit), Cell::Count(id.version.into())]
}

/// Writes one CSV line; fields are quoted where RFC 4180 asks for it.
pub(crate) fn write_row(out: &mut dyn Write, cells: &[Cell]) -> io::Result<()> {
    let mut csv = csv::WriterBuilder::new().buffer_capacity(1 << 10).from_writer(out);
    csv.write_record(cells.iter().map(Cell::to_csv)).map_err(io::Error::other)?;
    csv.flush()
}

/// Writes the header.
pub(crate) fn write_header<R: Table>(out: &mut dyn Write) -> io::Result<()> {
    write_row(out, &R::COLUMNS.iter().map(|name| Cell::text(name)).collect::<Vec<_>>())
}

/// Writes rows below a header.
pub(crate) fn write_rows<R: Table>(out: &mut dyn Write, rows: impl Iterator<Item = R>) -> io::Result<()> {
    let mut csv = csv::Writer::from_writer(out);
    for row in rows {
        csv.write_record(row.cells().iter().map(Cell::to_csv)).map_err(io::Error::other)?;
    }
    csv.flush()
}

/// Writes an array of objects, one per row, with the columns as keys.
pub(crate) fn write_json<R: Table>(out: &mut dyn Write, rows: impl Iterator<Item = R>) -> io::Result<()> {
    out.write_all(b"[")?;
    for (i, row) in rows.enumerate() {
        let names = R::COLUMNS.iter().map(|name| (*name).to_owned());
        let object: Map<String, Value> = names.zip(row.cells().iter().map(Cell::to_json)).collect();
        out.write_all(if i == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *out, &object)?;
    }
    out.write_all(b"\n]\n")
}
