//! Blocks of rows, parsed into a collector on one of several threads.

use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex};

use csv::{ByteRecord, StringRecord};
use memchr::{memchr, memrchr};

use crate::collect::Collector;
use crate::io::blocks::Block;
use crate::io::cfx;
use crate::io::layout::Layout;
#[cfg(feature = "parquet")]
use crate::io::parquet;
use crate::io::plain::{PlainRow, PlainRows};
use crate::io::reject::Reject;
use crate::io::repeated::{ROWS, Repeated};
use crate::io::rows::RowReader;
use crate::io::verdict::{VerdictReader, VerdictWords};

/// Records on their way to a parser.
pub(crate) struct Job {
    pub(crate) number: usize,
    pub(crate) layout: Arc<Layout>,
    pub(crate) content: Content,
}

/// What a parser is given.
pub(crate) enum Content {
    /// Text of whole records.
    Text(Block),
    /// Columns of as many values each.
    #[cfg(feature = "parquet")]
    Columns(parquet::Batch),
}

/// What a parser found in its records.
pub(crate) struct Done {
    pub(crate) number: usize,
    pub(crate) file: u32,
    pub(crate) rows: u64,
    pub(crate) rejects: Vec<Reject>,
}

/// What one parser hands back at the end.
pub(crate) struct Parsed {
    pub(crate) collector: Collector,
    pub(crate) not_measured: u64,
    pub(crate) words: VerdictWords,
}

/// What a parser keeps while it reads one file: words, and rows that may come again, are the file's own.
pub(crate) struct OfFile {
    file: u32,
    plain: PlainRows,
    verdicts: VerdictReader,
    repeated: Option<Repeated>,
}

impl OfFile {
    fn new(layout: &Layout, reader: &RowReader<'_>) -> Self {
        let boundary = reader.collector.options.boundary;
        let repeated = if layout.is_cfx { None } else { Repeated::new(layout, reader.mapping(), boundary) };
        Self { file: layout.file, plain: PlainRows::default(), verdicts: layout.verdict.clone(), repeated }
    }

    /// For rows that are all to be heard, repeated or not.
    #[cfg(feature = "store")]
    pub(crate) fn heard(layout: &Layout) -> Self {
        Self {
            file: layout.file,
            plain: PlainRows::default(),
            verdicts: layout.verdict.clone(),
            repeated: None,
        }
    }

    fn finish(mut self, reader: &mut RowReader<'_>, words: &mut VerdictWords) {
        if let Some(repeated) = self.repeated {
            reader.count_repeats(&mut self.verdicts, repeated);
        }
        self.verdicts.add_to(words);
    }
}

/// Parses blocks until there are no more.
pub(crate) fn parse(queue: &Mutex<Receiver<Job>>, done: &Sender<Done>, mut reader: RowReader<'_>) -> Parsed {
    let mut words = VerdictWords::new();
    let mut of_file: Option<OfFile> = None;
    loop {
        let job = queue.lock().map_or(None, |queue| queue.recv().ok());
        let Some(Job { number, layout, content }) = job else { break };
        if of_file.as_ref().is_none_or(|f| f.file != layout.file)
            && let Some(old) = of_file.replace(OfFile::new(&layout, &reader))
        {
            old.finish(&mut reader, &mut words);
        }
        let Some(of_file) = &mut of_file else { break };
        let rows = match &content {
            Content::Text(block) => parse_rows(&mut reader, of_file, &layout, block),
            #[cfg(feature = "parquet")]
            Content::Columns(batch) => {
                parquet::read_batch(&mut reader, &mut of_file.verdicts, &layout, batch)
            }
        };
        let rejects = std::mem::take(&mut reader.rejects);
        if done.send(Done { number, file: layout.file, rows, rejects }).is_err() {
            break;
        }
    }
    if let Some(last) = of_file {
        last.finish(&mut reader, &mut words);
    }
    Parsed { collector: reader.collector, not_measured: reader.not_measured, words }
}

/// The line on which a record starts, counted from 0 at the block's first.
///
/// The reader says where it stood before the record: before the second half of a `\r\n`, and before blank lines.
pub(crate) fn start_line(block: &[u8], position: Option<&csv::Position>) -> u64 {
    let Some(position) = position else { return 0 };
    let at = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let skipped = block.get(at..).unwrap_or_default().iter().take_while(|b| matches!(b, b'\n' | b'\r'));
    position.line() - 1 + skipped.filter(|b| **b == b'\n').count() as u64
}

/// Parses a block the way that fits it; gives its rows.
pub(crate) fn parse_rows(
    reader: &mut RowReader<'_>,
    of_file: &mut OfFile,
    layout: &Layout,
    block: &Block,
) -> u64 {
    if layout.is_cfx {
        cfx::read_block(reader, &mut of_file.verdicts, layout, block)
    } else {
        parse_text(reader, of_file, layout, block)
    }
}

/// Bytes of a block looked at together: few enough that they are still in the nearest cache when their rows are read.
const PART: usize = 1 << 14;

/// Parses a block of rows part by part, and what follows the first odd part by the CSV reader; gives its rows.
fn parse_text(reader: &mut RowReader<'_>, of_file: &mut OfFile, layout: &Layout, block: &Block) -> u64 {
    let (mut rest, mut line, mut rows) = (block.bytes.as_slice(), block.first_line, 0);
    while !rest.is_empty() {
        // Without quotes every line end ends a row.
        let end = memrchr(b'\n', &rest[..PART.min(rest.len())]).or_else(|| memchr(b'\n', rest));
        let (part, after) =
            rest.split_at(end.filter(|_| rest.len() > PART).map_or(rest.len(), |end| end + 1));
        if !of_file.plain.find(part, reader.delimiter()) {
            return rows + parse_any(reader, of_file, layout, rest, line);
        }
        rows += parse_plain_part(reader, of_file, layout, part, line);
        line += of_file.plain.lines();
        rest = after;
    }
    rows
}

/// Parses text that may hold anything; gives its rows.
fn parse_any(
    reader: &mut RowReader<'_>,
    of_file: &mut OfFile,
    layout: &Layout,
    text: &[u8],
    first_line: u64,
) -> u64 {
    let verdicts = &mut of_file.verdicts;
    let mut csv = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(reader.delimiter())
        .from_reader(text);
    let mut bytes = ByteRecord::new();
    let mut rows = 0;
    // Reading from memory as bytes cannot fail.
    while csv.read_byte_record(&mut bytes).unwrap_or(false) {
        let line = first_line + start_line(text, bytes.position());
        rows += 1;
        match StringRecord::from_byte_record(std::mem::take(&mut bytes)) {
            Ok(row) => {
                reader.read(layout, verdicts, &row, line);
                bytes = row.into_byte_record();
            }
            Err(invalid) => {
                bytes = invalid.into_byte_record();
                reader.reject_bytes(layout, verdicts, &bytes, line);
            }
        }
    }
    rows
}

/// Parses the part whose rows were found last; gives their number.
fn parse_plain_part(
    reader: &mut RowReader<'_>,
    of_file: &mut OfFile,
    layout: &Layout,
    part: &[u8],
    first_line: u64,
) -> u64 {
    let OfFile { plain, verdicts, repeated, .. } = of_file;
    let mut fields = StringRecord::new();
    let mut rows = 0;
    let mut found = plain.rows(part, layout.header.len());
    let mut next: Vec<PlainRow<'_>> = Vec::with_capacity(ROWS);
    loop {
        next.clear();
        next.extend(found.by_ref().take(ROWS));
        if next.is_empty() {
            return rows;
        }
        rows += next.len() as u64;
        if let Some(repeated) = repeated {
            repeated.count(&mut next);
        }
        for row in &next {
            fields.clear();
            row.fields().for_each(|field| fields.push_field(field));
            reader.read(layout, verdicts, &fields, first_line + row.line);
            if let (Some(repeated), Some(place)) = (repeated.as_mut(), reader.passed) {
                repeated.remember(row, &fields, place);
            }
        }
    }
}
