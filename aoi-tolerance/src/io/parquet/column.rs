//! One column of a row group, read page by page.

use ::parquet::basic::Encoding;
use ::parquet::file::metadata::ColumnChunkMetaData;
use bytes::Bytes;

use super::bits::{Cursor, Runs};
use super::page::{Content, Page, Pages};
use super::stored::Stored;
use super::values::{DAMAGED, Kind, List, Values, runs_behind_length};

/// The number of the encoding of levels.
const RLE: i32 = 3;

/// Some records of one column.
#[derive(Debug)]
pub(super) struct Cells {
    /// Which records have a value; none where all have.
    pub(super) present: Option<Vec<bool>>,
    /// The values of those that have one.
    pub(super) values: List,
}

/// What is left of a column of a row group.
pub(super) struct ColumnReader {
    pages: Pages,
    kind: Kind,
    nullable: bool,
    dictionary: Option<List>,
    /// Records left in the page.
    left: usize,
    levels: Option<Runs>,
    values: Option<Values>,
}

impl ColumnReader {
    /// Opens the column that `chunk` describes, of `rows` records; the error says what does not fit.
    pub(super) fn new(
        stored: &Stored,
        chunk: &ColumnChunkMetaData,
        kind: Kind,
        rows: usize,
    ) -> Result<Self, String> {
        let pages = Pages::new(stored, chunk, rows)?;
        let nullable = chunk.column_descr().max_def_level() > 0;
        Ok(Self { pages, kind, nullable, dictionary: None, left: 0, levels: None, values: None })
    }

    /// The next `rows` records; the error says what is wrong with them.
    pub(super) fn read(&mut self, rows: usize) -> Result<Cells, String> {
        let mut cells = Cells { present: self.nullable.then(Vec::new), values: self.kind.list() };
        let mut missing = rows;
        while missing > 0 {
            if self.left == 0 {
                self.turn(missing)?;
                continue;
            }
            let count = missing.min(self.left);
            let filled = match (&mut cells.present, &mut self.levels) {
                (Some(present), Some(levels)) => {
                    let before = present.len();
                    present.extend((0..count).map_while(|_| levels.next()).map(|level| level == 1));
                    if present.len() != before + count {
                        return Err(format!("a page ends before it says which values are null; {DAMAGED}"));
                    }
                    present[before..].iter().filter(|present| **present).count()
                }
                _ => count,
            };
            let values = self.values.as_mut().ok_or_else(|| format!("a page has no values; {DAMAGED}"))?;
            values.read(self.kind, self.dictionary.as_ref(), filled, &mut cells.values)?;
            self.left -= count;
            missing -= count;
        }
        Ok(cells)
    }

    /// Whether the last page holds nothing more.
    pub(super) fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Goes on to the next page; `missing` records are still expected of the column now.
    fn turn(&mut self, missing: usize) -> Result<(), String> {
        let Some(page) = self.pages.next()? else {
            return Err(format!("it ends although {missing} more records are expected; {DAMAGED}"));
        };
        let short = || format!("a page is shorter than its header says; {DAMAGED}");
        let Page { content, values, encoding, bytes } = page;
        let mut cursor = Cursor::new(bytes, 0).ok_or_else(short)?;
        match content {
            Content::Dictionary => {
                if !matches!(encoding, Encoding::PLAIN | Encoding::PLAIN_DICTIONARY)
                    || self.dictionary.is_some()
                {
                    return Err(format!("it has two dictionaries, or one encoded as {encoding}; {DAMAGED}"));
                }
                let mut list = self.kind.list();
                Values::new(self.kind, Encoding::PLAIN, cursor)?.read(self.kind, None, values, &mut list)?;
                self.dictionary = Some(list);
                Ok(())
            }
            Content::Values { levels_encoding } => {
                let mut levels = None;
                if self.nullable {
                    if levels_encoding != RLE {
                        return Err(format!(
                            "nulls are encoded by number {levels_encoding}; expected {RLE}: write the file with a current writer"
                        ));
                    }
                    levels = Some(runs_behind_length(&mut cursor).ok_or_else(short)?);
                }
                self.open(values, levels, encoding, cursor)
            }
            Content::Apart { repetition, definition } => {
                cursor.take(repetition).ok_or_else(short)?;
                let levels = cursor.share(definition).ok_or_else(short)?;
                let levels = self.nullable.then(|| level_runs(levels).ok_or_else(short)).transpose()?;
                self.open(values, levels, encoding, cursor)
            }
        }
    }

    fn open(
        &mut self,
        records: usize,
        levels: Option<Runs>,
        encoding: Encoding,
        values: Cursor,
    ) -> Result<(), String> {
        self.left = records;
        self.levels = levels;
        // A page of nulls alone may hold no byte, whatever its encoding.
        self.values = if values.left() == 0 {
            Some(Values::Plain(values))
        } else {
            Some(Values::new(self.kind, encoding, values)?)
        };
        Ok(())
    }
}

fn level_runs(bytes: Bytes) -> Option<Runs> {
    Runs::new(Cursor::new(bytes, 0)?, 1)
}
