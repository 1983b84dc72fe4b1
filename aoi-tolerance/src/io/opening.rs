//! What stands before the records of a file: its header, and where everything is read under it.

use std::path::Path;

use csv::{ByteRecord, StringRecord};

use crate::error::Error;
use crate::io::blocks::Block;
use crate::io::header::Header;
use crate::io::layout::Layout;
use crate::io::read::ReadOptions;
use crate::io::rows::Shared;

/// Cuts the header, and what stands before it, off the first block.
pub(crate) fn take_header(path: &Path, block: &mut Block, options: &ReadOptions) -> Result<Header, Error> {
    let fail = |reason: &str| Error::Header { path: path.to_owned(), reason: reason.into() };
    if block.bytes.starts_with(&[0xff, 0xfe]) || block.bytes.starts_with(&[0xfe, 0xff]) {
        return Err(fail("the file is UTF-16; save it as UTF-8"));
    }
    let mut start = if block.bytes.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
    for _ in 0..options.mapping.file.skip_lines {
        let end = memchr::memchr(b'\n', &block.bytes[start..]);
        start += end.ok_or_else(|| fail("the file ends before its header (file.skip_lines)"))? + 1;
        block.first_line += 1;
    }
    let mut csv = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(options.mapping.delimiter())
        .from_reader(&block.bytes[start..]);
    let mut header = ByteRecord::new();
    if !csv.read_byte_record(&mut header).unwrap_or(false) {
        return Err(fail("the file has no header"));
    }
    let header = StringRecord::from_byte_record(header)
        .map_err(|_| fail("the header is not UTF-8; save the file as UTF-8"))?;
    let position = csv.position().clone();
    let length = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    block.first_line += position.line() - 1;
    block.bytes.drain(..(start + length).min(block.bytes.len()));
    Ok(Header::new(header.iter()))
}

/// Where everything is read in the rows under a header; what limits cannot be computed without must be there.
pub(crate) fn layout_of(
    path: &Path,
    file: u32,
    header: Header,
    options: &ReadOptions,
    shared: &Shared,
) -> Result<Layout, Error> {
    let fail = |reason| Error::Header { path: path.to_owned(), reason };
    let layout = Layout::new(path.to_owned(), file, header, &shared.mapping, shared.tolerances.as_ref())
        .map_err(fail)?;
    let needed = [("value", layout.has_values()), ("verdict", !layout.verdict.is_absent())];
    match needed.into_iter().find(|(_, there)| !there) {
        Some((column, _)) if !options.inspect_only => {
            let listed = layout.header.listed();
            Err(fail(format!(
                "there is no column {column:?}; the header has {listed}. Name the site's column in a mapping"
            )))
        }
        _ => Ok(layout),
    }
}
