//! Parquet in: the rows of a file of columns, row group by row group.
//!
//! A value becomes the text that a CSV of the same records would hold, and is read from there on as that CSV would be: the same mapping,
//! checks and rejects. Only columns that the layout reads are decoded. The header is the schema's; a record's line is its number, the
//! first being 1.
//!
//! # Source
//! Apache Parquet's format specification, version 2.

mod batch;
mod bits;
mod codec;
mod column;
mod compact;
mod page;
mod spelling;
mod stored;
mod values;

use std::io;
use std::path::Path;
use std::sync::Arc;

use ::parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};

use crate::error::Error;
use crate::io::header::Header;
use crate::io::input::Input;
use crate::io::layout::Layout;
use crate::io::mapping::Mapping;
use crate::io::opening::layout_of;
use crate::io::parse::Content;
use crate::io::read::ReadOptions;
use crate::io::rows::Shared;
pub(crate) use batch::{Batch, read_batch};
use column::ColumnReader;
use spelling::Spelling;
pub(crate) use stored::Stored;
use values::{DAMAGED, Kind};

/// Records in a batch.
const BATCH: usize = 4096;

/// A column that is read.
#[derive(Debug, Clone, Copy)]
struct Chosen {
    /// Its place among the columns that hold values: groups of columns are passed over.
    leaf: usize,
    kind: Kind,
    spelling: Spelling,
}

/// The records of one file.
struct Table {
    /// Reads all bytes once more, in order, for their digest.
    input: Input,
    stored: Stored,
    metadata: ParquetMetaData,
    /// By place in the header.
    chosen: Vec<Option<Chosen>>,
    /// The row group that is read, and its columns.
    group: usize,
    columns: Vec<Option<ColumnReader>>,
    /// Records left in it.
    left: usize,
    /// Records handed out, and in all.
    done: u64,
    records: u64,
    /// Bytes that are in the digest.
    digested: u64,
}

impl Table {
    /// Opens a file by its footer.
    ///
    /// # Errors
    /// When the footer cannot be read, or contradicts itself.
    fn open(input: Input, stored: Stored) -> Result<Self, Error> {
        let fail = |reason: String| unreadable(input.path(), &reason);
        // Statistics are not used, and are one thing less to be damaged.
        let options = ParquetMetaDataOptions::default()
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_encoding_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
        let metadata = ParquetMetaDataReader::new()
            .with_metadata_options(Some(options))
            .parse_and_finish(&stored)
            .map_err(|e| fail(said(&e)))?;
        let records = metadata.file_metadata().num_rows();
        let grouped = metadata.row_groups().iter().try_fold(0_i64, |sum, group| {
            let whole = group.num_columns() == metadata.file_metadata().schema_descr().num_columns();
            sum.checked_add(group.num_rows()).filter(|_| whole && group.num_rows() >= 0)
        });
        let records = u64::try_from(records).ok().filter(|_| grouped == Some(records)).ok_or_else(|| {
            fail(format!(
                "its footer says {records} records, its row groups do not add up to that; {DAMAGED}"
            ))
        })?;
        Ok(Self {
            input,
            stored,
            metadata,
            chosen: Vec::new(),
            group: 0,
            columns: Vec::new(),
            left: 0,
            done: 0,
            records,
            digested: 0,
        })
    }

    /// The names of the columns, nested ones included.
    fn header(&self) -> Header {
        let schema = self.metadata.file_metadata().schema_descr();
        Header::new(schema.root_schema().get_fields().iter().map(|field| field.name()))
    }

    /// Chooses the columns that the layout reads, and takes times from those that are times.
    ///
    /// # Errors
    /// When one of them cannot be spelled as text.
    fn choose(&mut self, layout: &mut Layout, mapping: &Mapping) -> Result<(), Error> {
        let schema = self.metadata.file_metadata().schema_descr();
        let places = layout.places(mapping);
        for (place, field) in schema.root_schema().get_fields().iter().enumerate() {
            if !places.contains(&place) {
                self.chosen.push(None);
                continue;
            }
            let leaf = (0..schema.num_columns()).find(|leaf| schema.get_column_root_idx(*leaf) == place);
            let (kind, spelling) = spelling::of(field).map_err(|reason| Error::Header {
                path: layout.path.clone(),
                reason: format!("column {:?} {reason}", field.name()),
            })?;
            if spelling.is_time() && layout.time.columns() == [place] {
                layout.times.read_rfc3339();
            }
            self.chosen.push(leaf.map(|leaf| Chosen { leaf, kind, spelling }));
        }
        Ok(())
    }

    /// The next records; none at the end.
    ///
    /// # Errors
    /// When they cannot be read, or the file was written to meanwhile.
    fn next(&mut self) -> Result<Option<Batch>, Error> {
        while self.left == 0 {
            if let Some(spent) = self.columns.iter().position(|c| c.as_ref().is_some_and(|c| !c.is_spent())) {
                let reason = format!("it holds more values than its row group has records; {DAMAGED}");
                return Err(self.fail(spent, &reason));
            }
            if self.group == self.metadata.num_row_groups() {
                self.digest(u64::MAX)?;
                return Ok(None);
            }
            self.open_group()?;
        }
        let records = self.left.min(BATCH);
        let mut columns = Vec::with_capacity(self.columns.len());
        for place in 0..self.columns.len() {
            let cells = self.columns[place].as_mut().map(|column| column.read(records)).transpose();
            let cells = cells.map_err(|reason| self.fail(place, &reason))?;
            columns.push(self.chosen[place].map(|chosen| chosen.spelling).zip(cells));
        }
        let first = self.done + 1;
        self.left -= records;
        self.done += records as u64;
        // The digest keeps step with the records, so that the bytes read say how far the reading is.
        let share =
            u128::from(self.stored.length()) * u128::from(self.done) / u128::from(self.records.max(1));
        self.digest(u64::try_from(share).unwrap_or(u64::MAX))?;
        Ok(Some(Batch { first, records, columns }))
    }

    fn open_group(&mut self) -> Result<(), Error> {
        let group = self.metadata.row_group(self.group);
        // The footer's sum was found right, so that none is negative.
        let records = usize::try_from(group.num_rows()).unwrap_or(0);
        let mut columns = Vec::with_capacity(self.chosen.len());
        for (place, chosen) in self.chosen.iter().enumerate() {
            let open = |chosen: &Chosen| {
                ColumnReader::new(&self.stored, group.column(chosen.leaf), chosen.kind, records)
                    .map_err(|reason| self.fail(place, &reason))
            };
            columns.push(chosen.as_ref().map(open).transpose()?);
        }
        self.columns = columns;
        self.left = records;
        self.group += 1;
        Ok(())
    }

    /// Reads on for the digest, up to byte `end`; with `u64::MAX` to the end of the file, which must then be as it was.
    fn digest(&mut self, end: u64) -> Result<(), Error> {
        let mut buffer = vec![0; 1 << 16];
        while self.digested < end {
            let wanted = usize::try_from(end - self.digested).map_or(buffer.len(), |n| n.min(buffer.len()));
            let read = self.input.fill(&mut buffer[..wanted])?;
            self.digested += read as u64;
            if read < wanted {
                break;
            }
        }
        let unchanged = end < u64::MAX
            || (self.digested == self.stored.length()
                && self.stored.is_unchanged().map_err(|source| self.failed(source))?);
        if !unchanged {
            let reason = "it was written to while it was read; read it when nobody writes to it";
            return Err(unreadable(self.input.path(), reason));
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Read { path: self.input.path().to_owned(), source }
    }

    /// What is wrong with the column at `place` of the header, in the records that come next.
    fn fail(&self, place: usize, reason: &str) -> Error {
        let schema = self.metadata.file_metadata().schema_descr();
        let name = schema.root_schema().get_fields()[place].name();
        unreadable(self.input.path(), &format!("column {name:?}, from record {} on: {reason}", self.done + 1))
    }

    fn into_input(self) -> Input {
        self.input
    }
}

/// Reads a Parquet file, and queues its records; gives the file at its end.
///
/// # Errors
/// When the file, or a column that is needed, cannot be read.
pub(crate) fn read(
    input: Input,
    file: u32,
    options: &ReadOptions,
    shared: &Shared,
    queue: &mut impl FnMut(&Arc<Layout>, Content) -> Result<(), Error>,
) -> Result<(Input, Arc<Layout>), Error> {
    let Some(stored) = input.stored() else {
        return Err(input
            .refuse_parquet("it is read from its end, which standard input does not allow: name the file"));
    };
    let path = input.path().to_owned();
    let mut table = Table::open(input, stored)?;
    let mut layout = layout_of(&path, file, table.header(), options, shared)?;
    table.choose(&mut layout, &shared.mapping)?;
    let layout = Arc::new(layout);
    while let Some(batch) = table.next()? {
        queue(&layout, Content::Columns(batch))?;
    }
    Ok((table.into_input(), layout))
}

fn unreadable(path: &Path, reason: &str) -> Error {
    Error::Read { path: path.to_owned(), source: io::Error::other(reason.to_owned()) }
}

/// What the reader of footers said.
fn said(error: &::parquet::errors::ParquetError) -> String {
    let said = error.to_string();
    format!("its footer: {}; {DAMAGED}", said.strip_prefix("Parquet error: ").unwrap_or(&said))
}
