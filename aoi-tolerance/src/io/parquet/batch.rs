//! Records on their way to a parser: values of columns, spelled as rows there.

use csv::{ByteRecord, StringRecord};

use super::column::Cells;
use super::spelling::Spelling;
use super::values::List;
use crate::io::layout::Layout;
use crate::io::rows::RowReader;
use crate::io::verdict::VerdictReader;

/// Some records of one file.
#[derive(Debug)]
pub(crate) struct Batch {
    /// Number of the first one, the file's first being 1.
    pub(super) first: u64,
    pub(super) records: usize,
    /// The columns of the header; none where nothing is read from it.
    pub(super) columns: Vec<Option<(Spelling, Cells)>>,
}

/// A column and the place of its next value.
struct Next<'b> {
    spelling: Spelling,
    cells: &'b Cells,
    at: usize,
}

impl Next<'_> {
    /// Appends the text of the record's field: nothing for a null. A column holds a value for every record that is not null.
    fn spell(&mut self, record: usize, point: u8, text: &mut Vec<u8>) {
        if self.cells.present.as_ref().is_some_and(|present| present.get(record) != Some(&true)) {
            return;
        }
        match &self.cells.values {
            List::Numbers(numbers) => self.spelling.number(numbers[self.at], point, text),
            List::Bytes(texts) => self.spelling.bytes(&texts[self.at], point, text),
        }
        self.at += 1;
    }
}

/// Reads the records of a batch; gives how many.
pub(crate) fn read_batch(
    reader: &mut RowReader<'_>,
    verdicts: &mut VerdictReader,
    layout: &Layout,
    batch: &Batch,
) -> u64 {
    let point = if reader.mapping().file.decimal_comma { b',' } else { b'.' };
    let mut columns: Vec<Option<Next<'_>>> = batch
        .columns
        .iter()
        .map(|column| column.as_ref().map(|(spelling, cells)| Next { spelling: *spelling, cells, at: 0 }))
        .collect();
    let mut fields = ByteRecord::new();
    let mut text = Vec::new();
    for (line, record) in (batch.first..).zip(0..batch.records) {
        fields.clear();
        for column in &mut columns {
            text.clear();
            if let Some(column) = column {
                column.spell(record, point, &mut text);
            }
            fields.push_field(&text);
        }
        match StringRecord::from_byte_record(std::mem::take(&mut fields)) {
            Ok(row) => {
                reader.read(layout, verdicts, &row, line);
                fields = row.into_byte_record();
            }
            Err(invalid) => {
                fields = invalid.into_byte_record();
                reader.reject_bytes(layout, verdicts, &fields, line);
            }
        }
    }
    batch.records as u64
}
