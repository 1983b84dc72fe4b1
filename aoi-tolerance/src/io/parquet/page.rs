//! The pages of a column of a row group, one after the other.
//!
//! The `parquet` crate reads pages too, but takes as much memory as a header asks for before it looks at the page, two gigabytes for a
//! file of a hundred bytes. Here a header is held against the column's bytes first.
//!
//! # Source
//! The format's specification, "Data Pages" and `parquet.thrift`.

use ::parquet::basic::Encoding;
use ::parquet::file::metadata::ColumnChunkMetaData;
use bytes::Bytes;

use super::bits::Cursor;
use super::codec::Codec;
use super::compact::{Kind, structure};
use super::stored::Stored;
use super::values::DAMAGED;

/// Bytes that a header is looked for in at first, and at most: statistics in it may hold long texts.
const WINDOW: u64 = 1 << 12;
const LONGEST: u64 = 1 << 24;

/// A page out of its compression.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) content: Content,
    /// Values in it, nulls included.
    pub(super) values: usize,
    pub(super) encoding: Encoding,
    pub(super) bytes: Bytes,
}

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Dictionary,
    /// Levels behind their length, in the encoding of this number, then values.
    Values {
        levels_encoding: i32,
    },
    /// So many bytes of repetition levels, then so many of definition levels, then values.
    Apart {
        repetition: usize,
        definition: usize,
    },
}

/// The pages of a column that are left.
#[derive(Debug)]
pub(super) struct Pages {
    stored: Stored,
    codec: Codec,
    at: u64,
    end: u64,
}

impl Pages {
    /// Goes to the column that `chunk` describes, of `rows` records; the error says what does not fit.
    pub(super) fn new(stored: &Stored, chunk: &ColumnChunkMetaData, rows: usize) -> Result<Self, String> {
        let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
        let bytes = chunk.compressed_size();
        let place = u64::try_from(start).ok().zip(u64::try_from(bytes).ok());
        let place = place.and_then(|(at, bytes)| Some((at, at.checked_add(bytes)?)));
        let whole = usize::try_from(chunk.num_values()).ok() == Some(rows);
        let Some((at, end)) = place.filter(|(_, end)| whole && *end <= stored.length()) else {
            return Err(format!(
                "the footer says that {} values take {bytes} bytes from byte {start} on; expected {rows} values inside the {} bytes of the file; {DAMAGED}",
                chunk.num_values(),
                stored.length()
            ));
        };
        if chunk.file_path().is_some() {
            return Err("its values stand in another file, which is not read; write one file".into());
        }
        let compression = chunk.compression();
        let codec = Codec::of(compression).ok_or_else(|| {
            format!("it is compressed with {compression}; expected snappy, gzip, zstd or nothing: write the file with one of these")
        })?;
        Ok(Self { stored: stored.clone(), codec, at, end })
    }

    /// The next page; none at the end of the column.
    pub(super) fn next(&mut self) -> Result<Option<Page>, String> {
        loop {
            if self.at == self.end {
                return Ok(None);
            }
            let header = self.header()?;
            let stored = self.bytes(header.stored as u64)?;
            self.at += header.stored as u64;
            if let Some(content) = header.content {
                return self.page(&header, content, stored).map(Some);
            }
        }
    }

    /// Reads the header that comes next, in more and more bytes.
    fn header(&mut self) -> Result<Header, String> {
        let left = self.end - self.at;
        let mut window = WINDOW;
        loop {
            let bytes = self.bytes(window.min(left))?;
            let read = Cursor::new(bytes, 0).and_then(|mut cursor| {
                let before = cursor.left();
                let header = Header::read(&mut cursor)?;
                Some((header, (before - cursor.left()) as u64))
            });
            match read {
                Some((header, length)) if header.stored as u64 <= left - length => {
                    self.at += length;
                    return Ok(header);
                }
                None if window < left && window < LONGEST => window *= 16,
                _ => return Err(format!("no page starts at byte {} of the file; {DAMAGED}", self.at)),
            }
        }
    }

    fn bytes(&self, length: u64) -> Result<Bytes, String> {
        self.stored.bytes(self.at, length).map_err(|e| format!("{e}; {DAMAGED}"))
    }

    fn page(&self, header: &Header, content: Content, stored: Bytes) -> Result<Page, String> {
        if let Some(checksum) = header.checksum {
            let mut crc = flate2::Crc::new();
            crc.update(&stored);
            if crc.sum() != checksum {
                return Err(format!("a page has another checksum than its header says; {DAMAGED}"));
            }
        }
        let bytes = if self.codec == Codec::Nothing || !header.compressed {
            stored
        } else {
            // Levels that stand apart are not compressed.
            let apart = match content {
                Content::Apart { repetition, definition } => repetition.saturating_add(definition),
                Content::Dictionary | Content::Values { .. } => 0,
            };
            let levels = stored.get(..apart).zip(header.length.checked_sub(apart));
            let (levels, length) =
                levels.ok_or_else(|| format!("the levels of a page are longer than the page; {DAMAGED}"))?;
            let mut bytes = levels.to_vec();
            let expanded = self.codec.expand(&stored[apart..], length, &mut bytes);
            expanded.map_err(|e| format!("{e}; {DAMAGED}"))?;
            bytes.into()
        };
        Ok(Page { content, values: header.values, encoding: encoding(header.encoding)?, bytes })
    }
}

/// What stands before a page.
struct Header {
    /// None for a page that is passed over: of an index, or of a kind that later versions of the format may add.
    content: Option<Content>,
    values: usize,
    /// The number of the values' encoding.
    encoding: i32,
    compressed: bool,
    /// Bytes of the page, and out of its compression.
    stored: usize,
    length: usize,
    checksum: Option<u32>,
}

impl Header {
    /// Field by field, by the numbers of `parquet.thrift`.
    fn read(bytes: &mut Cursor) -> Option<Self> {
        let (mut kind, mut length, mut stored, mut checksum) = (None, None, None, None);
        let (mut values, mut dictionary, mut apart) = (None, None, None);
        structure(bytes, |number, value, bytes| {
            match number {
                1 => kind = Some(value.number(bytes)?),
                2 => length = Some(value.number(bytes)?),
                3 => stored = Some(value.number(bytes)?),
                4 => checksum = Some(value.number(bytes)?.cast_unsigned()),
                5 => values = Some(Fields::read(value, bytes)?),
                7 => dictionary = Some(Fields::read(value, bytes)?),
                8 => apart = Some(Fields::read(value, bytes)?),
                _ => value.pass(bytes)?,
            }
            Some(())
        })?;
        let header = Self {
            content: None,
            values: 0,
            encoding: 0,
            compressed: true,
            stored: usize::try_from(stored?).ok()?,
            length: usize::try_from(length?).ok()?,
            checksum,
        };
        Some(match kind? {
            0 => {
                let fields = values?;
                let content = Some(Content::Values { levels_encoding: fields.number(3)? });
                Self { content, values: fields.size(1)?, encoding: fields.number(2)?, ..header }
            }
            2 => {
                let fields = dictionary?;
                let content = Some(Content::Dictionary);
                Self { content, values: fields.size(1)?, encoding: fields.number(2)?, ..header }
            }
            3 => {
                let fields = apart?;
                let content =
                    Some(Content::Apart { definition: fields.size(5)?, repetition: fields.size(6)? });
                let (values, encoding) = (fields.size(1)?, fields.number(4)?);
                Self { content, values, encoding, compressed: fields.seventh != Some(false), ..header }
            }
            _ => header,
        })
    }
}

/// The part of a header that belongs to the kind of its page.
#[derive(Default)]
struct Fields {
    /// Of fields 1 to 6.
    numbers: [Option<i32>; 6],
    /// Field 7, a truth value.
    seventh: Option<bool>,
}

impl Fields {
    fn read(value: Kind, bytes: &mut Cursor) -> Option<Self> {
        if value != Kind::Structure {
            return None;
        }
        let mut fields = Self::default();
        structure(bytes, |number, value, bytes| {
            let place = usize::try_from(number).ok()?.checked_sub(1);
            match (place.and_then(|place| fields.numbers.get_mut(place)), value) {
                (Some(field), Kind::Whole) => *field = Some(value.number(bytes)?),
                (None, Kind::Truth(truth)) if number == 7 => fields.seventh = Some(truth),
                _ => value.pass(bytes)?,
            }
            Some(())
        })?;
        Some(fields)
    }

    fn number(&self, field: usize) -> Option<i32> {
        self.numbers[field - 1]
    }

    fn size(&self, field: usize) -> Option<usize> {
        usize::try_from(self.number(field)?).ok()
    }
}

/// The encoding of a number; the error names one that this format's version has not.
fn encoding(number: i32) -> Result<Encoding, String> {
    Ok(match number {
        0 => Encoding::PLAIN,
        2 => Encoding::PLAIN_DICTIONARY,
        3 => Encoding::RLE,
        5 => Encoding::DELTA_BINARY_PACKED,
        6 => Encoding::DELTA_LENGTH_BYTE_ARRAY,
        7 => Encoding::DELTA_BYTE_ARRAY,
        8 => Encoding::RLE_DICTIONARY,
        9 => Encoding::BYTE_STREAM_SPLIT,
        _ => {
            return Err(format!(
                "a page is encoded by number {number}, which is not read; write the file with plain or dictionary encoding"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    /// A number as a field's value: the sign in the lowest bit, groups of seven bits.
    fn number(value: i32) -> Vec<u8> {
        let mut rest = ((value << 1) ^ (value >> 31)).cast_unsigned();
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(rest & 0x7f).unwrap();
            rest >>= 7;
            if rest == 0 {
                bytes.push(low);
                return bytes;
            }
            bytes.push(low | 0x80);
        }
    }

    /// Fields 1, 2, .. of these numbers.
    fn fields(numbers: &[i32]) -> Vec<u8> {
        numbers.iter().flat_map(|&n| [vec![0x15], number(n)].concat()).collect()
    }

    /// A page of values with its header; `sizes` are those of the header: out of its compression, and stored.
    fn page(kind: i32, sizes: [i32; 2], part: &[u8], stored: &[u8]) -> Vec<u8> {
        [&fields(&[kind, sizes[0], sizes[1]]), part, &[0], stored].concat()
    }

    /// Field 5, behind field 3: four values, plainly encoded; `rest` of its own fields.
    fn plain(rest: &[u8]) -> Vec<u8> {
        [&[0x2c][..], &fields(&[4, 0, RLE, RLE]), rest, &[0]].concat()
    }

    const RLE: i32 = 3;

    fn pages(codec: Codec, bytes: &[u8]) -> Pages {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        Pages { stored: Stored::new(file).unwrap(), codec, at: 0, end: bytes.len() as u64 }
    }

    #[test]
    fn pages_follow_each_other_and_those_of_other_kinds_are_passed_over() {
        // A column's own index, of three bytes, stands between.
        let index = page(1, [3, 3], &[0x3c, 0], b"...");
        // Field 8, behind field 3: values, nulls, records, encoding, bytes of levels; field 7: not compressed.
        let apart = [&[0x5c][..], &fields(&[2, 0, 2, 0, 1, 0]), &[0x12, 0]].concat();
        let bytes = [page(0, [4, 4], &plain(&[]), b"abcd"), index, page(3, [3, 3], &apart, b"lxy")].concat();
        let mut pages = pages(Codec::Snappy, &bytes);
        pages.codec = Codec::Nothing;
        let first = pages.next().unwrap().unwrap();
        assert_eq!((first.values, first.encoding, &first.bytes[..]), (4, Encoding::PLAIN, &b"abcd"[..]));
        assert_eq!(first.content, Content::Values { levels_encoding: RLE });
        pages.codec = Codec::Snappy;
        let second = pages.next().unwrap().unwrap();
        assert_eq!((second.values, &second.bytes[..]), (2, &b"lxy"[..]), "it says that it is not compressed");
        assert_eq!(second.content, Content::Apart { repetition: 0, definition: 1 });
        assert!(pages.next().unwrap().is_none());
    }

    #[test]
    fn a_header_is_found_in_as_many_bytes_as_it_takes() {
        for text in [10, 5_000, 100_000_u32] {
            // Field 5 of the part, as long statistics: a structure whose field 1 is a text.
            let mut length = vec![u8::try_from(text & 0x7f).unwrap() | 0x80];
            length
                .extend([u8::try_from(text >> 7 & 0x7f).unwrap() | 0x80, u8::try_from(text >> 14).unwrap()]);
            let statistics = [&[0x1c, 0x18][..], &length, &vec![b'x'; text as usize], &[0]].concat();
            let bytes = page(0, [4, 4], &plain(&statistics), b"abcd");
            let page = pages(Codec::Nothing, &bytes).next().unwrap().unwrap();
            assert_eq!(&page.bytes[..], b"abcd", "{text}");
        }
    }

    #[test]
    fn a_header_that_asks_for_more_than_its_page_can_become_is_an_error() {
        let stored = snap::raw::Encoder::new().compress_vec(b"abcd").unwrap();
        let size = i32::try_from(stored.len()).unwrap();
        let read = |codec, sizes, stored: &[u8]| {
            pages(codec, &page(0, sizes, &plain(&[]), stored)).next().map(|page| page.unwrap().bytes)
        };
        assert_eq!(&read(Codec::Snappy, [4, size], &stored).unwrap()[..], b"abcd");
        for codec in [Codec::Snappy, Codec::Gzip, Codec::Zstd] {
            let error = read(codec, [i32::MAX, size], &stored).unwrap_err();
            assert!(error.contains("damaged"), "{error}");
        }
        for sizes in [[4, i32::MAX], [4, -1], [-1, size]] {
            let error = read(Codec::Snappy, sizes, &stored).unwrap_err();
            assert!(error.contains("no page starts at byte 0"), "{error}");
        }
    }

    #[test]
    fn levels_longer_than_their_page_and_a_wrong_checksum_are_errors() {
        let apart = [&[0x5c][..], &fields(&[2, 0, 2, 0, i32::MAX, i32::MAX]), &[0]].concat();
        let error = pages(Codec::Snappy, &page(3, [3, 3], &apart, b"lxy")).next().unwrap_err();
        assert!(error.contains("levels"), "{error}");
        // Field 4, the checksum, before field 5.
        let part = [&[0x15][..], &number(7), &[0x1c], &fields(&[4, 0, RLE, RLE]), &[0]].concat();
        let error = pages(Codec::Nothing, &page(0, [4, 4], &part, b"abcd")).next().unwrap_err();
        assert!(error.contains("checksum"), "{error}");
        let part = [&[0x2c][..], &fields(&[4, 10, RLE, RLE]), &[0]].concat();
        let error = pages(Codec::Nothing, &page(0, [4, 4], &part, b"abcd")).next().unwrap_err();
        assert!(error.contains("number 10"), "{error}");
    }
}
