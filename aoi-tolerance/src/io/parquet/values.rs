//! The values of one page, in each of the encodings that writers use.
//!
//! The `parquet` crate has decoders too, which end the program on bytes that no writer would write (a length behind the end of a page is
//! enough). Records come from outside, so values are read here, where the same bytes give an error.
//!
//! # Source
//! The format's specification, "Encodings".

use ::parquet::basic::{Encoding, Type};
use bytes::Bytes;

use super::bits::{Cursor, Delta, Runs};

/// How the values of a column are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One bit.
    Truth,
    /// Four or eight bytes, of whatever meaning.
    Number(usize),
    /// Bytes with their length before them.
    Bytes,
    /// So many bytes each.
    Fixed(usize),
}

impl Kind {
    /// The kind of a physical type; none for what is not read.
    pub(super) fn of(physical: Type, length: i32) -> Option<Self> {
        match physical {
            Type::BOOLEAN => Some(Self::Truth),
            Type::INT32 | Type::FLOAT => Some(Self::Number(4)),
            Type::INT64 | Type::DOUBLE => Some(Self::Number(8)),
            Type::BYTE_ARRAY => Some(Self::Bytes),
            Type::FIXED_LEN_BYTE_ARRAY => {
                usize::try_from(length).ok().filter(|length| *length > 0).map(Self::Fixed)
            }
            Type::INT96 => None,
        }
    }

    /// A list for values of this kind.
    pub(super) fn list(self) -> List {
        match self {
            Self::Truth | Self::Number(_) => List::Numbers(Vec::new()),
            Self::Bytes | Self::Fixed(_) => List::Bytes(Vec::new()),
        }
    }
}

/// Bytes that texts with shared beginnings may become at a time: a few bytes each can stand for a page each.
const COPIED: usize = 1 << 26;

/// Values: bits of numbers, the lowest first, or bytes.
#[derive(Debug, Clone)]
pub(super) enum List {
    Numbers(Vec<u64>),
    Bytes(Vec<Bytes>),
}

/// What is left of the values of a page.
pub(super) enum Values {
    /// One after the other.
    Plain(Cursor),
    /// Bits, the lowest first.
    Bits { bytes: Cursor, byte: u64, left: u32 },
    /// Truth values as runs.
    Truths(Runs),
    /// Places in the dictionary.
    Places(Runs),
    /// First bytes, second bytes and so on: `count` values, the next one `at`.
    Split { bytes: Bytes, count: usize, at: usize },
    /// Differences.
    Delta(Delta),
    /// Lengths, then bytes.
    Lengths(Lengths),
    /// How much is shared with the value before, then the rest of it.
    Prefixes { shared: Delta, rest: Lengths, last: Vec<u8> },
}

/// Bytes behind all their lengths.
pub(super) struct Lengths {
    lengths: Delta,
    bytes: Cursor,
}

impl Lengths {
    fn new(bytes: Cursor) -> Option<Self> {
        let lengths = Delta::new(bytes)?;
        Some(Self { bytes: behind(&lengths)?, lengths })
    }

    fn next(&mut self) -> Option<Bytes> {
        let length = self.lengths.next()?;
        self.bytes.share(usize::try_from(length).ok()?)
    }
}

/// What follows differences; they take a bit each at least, or are all alike.
fn behind(delta: &Delta) -> Option<Cursor> {
    let mut delta = delta.clone();
    while delta.left() > 0 {
        delta.next()?;
    }
    Some(delta.rest())
}

impl Values {
    /// The values in `bytes`; the error says what is wrong with them.
    pub(super) fn new(kind: Kind, encoding: Encoding, mut bytes: Cursor) -> Result<Self, String> {
        let opened = match (encoding, kind) {
            (Encoding::PLAIN, Kind::Truth) => Some(Self::Bits { bytes, byte: 0, left: 0 }),
            (Encoding::PLAIN, _) => Some(Self::Plain(bytes)),
            (Encoding::RLE, Kind::Truth) => runs_behind_length(&mut bytes).map(Self::Truths),
            (
                Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY,
                Kind::Number(_) | Kind::Bytes | Kind::Fixed(_),
            ) => {
                // A page of nulls alone may leave out even the width.
                let width = bytes.number(1).unwrap_or(0);
                u32::try_from(width).ok().and_then(|width| Runs::new(bytes, width)).map(Self::Places)
            }
            (Encoding::BYTE_STREAM_SPLIT, Kind::Number(width) | Kind::Fixed(width)) => {
                let length = bytes.left();
                let whole = length.is_multiple_of(width);
                bytes.share(length).filter(|_| whole).map(|bytes| Self::Split {
                    bytes,
                    count: length / width,
                    at: 0,
                })
            }
            (Encoding::DELTA_BINARY_PACKED, Kind::Number(_)) => Delta::new(bytes).map(Self::Delta),
            (Encoding::DELTA_LENGTH_BYTE_ARRAY, Kind::Bytes) => Lengths::new(bytes).map(Self::Lengths),
            (Encoding::DELTA_BYTE_ARRAY, Kind::Bytes | Kind::Fixed(_)) => {
                Delta::new(bytes).and_then(|shared| {
                    let rest = Lengths::new(behind(&shared)?)?;
                    Some(Self::Prefixes { shared, rest, last: Vec::new() })
                })
            }
            _ => {
                return Err(format!(
                    "a page is encoded as {encoding}, which is not read; write the file with plain or dictionary encoding"
                ));
            }
        };
        opened.ok_or_else(|| format!("a page does not hold what its encoding {encoding} promises; {DAMAGED}"))
    }

    /// Appends `count` values to `list`; the error says why there are not as many.
    pub(super) fn read(
        &mut self,
        kind: Kind,
        dictionary: Option<&List>,
        count: usize,
        list: &mut List,
    ) -> Result<(), String> {
        let short = || format!("a page does not hold the {count} values that it promises; {DAMAGED}");
        match list {
            List::Numbers(numbers) => {
                for _ in 0..count {
                    numbers.push(self.number(kind, dictionary).ok_or_else(short)?);
                }
            }
            List::Bytes(texts) => {
                let mut copied = 0;
                for _ in 0..count {
                    let text = self.bytes(kind, dictionary).ok_or_else(short)?;
                    if matches!(self, Self::Prefixes { .. }) {
                        copied += text.len();
                        if copied > COPIED {
                            return Err(format!(
                                "{count} texts that share their beginnings hold more than {COPIED} bytes; write shorter ones, or with plain encoding"
                            ));
                        }
                    }
                    texts.push(text);
                }
            }
        }
        Ok(())
    }

    fn number(&mut self, kind: Kind, dictionary: Option<&List>) -> Option<u64> {
        let width = if let Kind::Number(width) = kind { width } else { 1 };
        match self {
            Self::Plain(bytes) => bytes.number(width),
            Self::Bits { bytes, byte, left } => {
                if *left == 0 {
                    (*byte, *left) = (bytes.number(1)?, 8);
                }
                let bit = *byte & 1;
                (*byte, *left) = (*byte >> 1, *left - 1);
                Some(bit)
            }
            Self::Truths(runs) => runs.next().map(u64::from),
            Self::Places(runs) => match dictionary? {
                List::Numbers(numbers) => numbers.get(runs.next()? as usize).copied(),
                List::Bytes(_) => None,
            },
            Self::Split { bytes, count, at } => {
                let number = split(bytes, *count, *at, width)?;
                *at += 1;
                Some(number.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            Self::Delta(delta) => delta.next().map(i64::cast_unsigned),
            Self::Lengths(_) | Self::Prefixes { .. } => None,
        }
    }

    fn bytes(&mut self, kind: Kind, dictionary: Option<&List>) -> Option<Bytes> {
        match (self, kind) {
            (Self::Plain(bytes), Kind::Fixed(width)) => bytes.share(width),
            (Self::Plain(bytes), _) => {
                let length = bytes.number(4)?;
                bytes.share(usize::try_from(length).ok()?)
            }
            (Self::Places(runs), _) => match dictionary? {
                List::Bytes(texts) => texts.get(runs.next()? as usize).cloned(),
                List::Numbers(_) => None,
            },
            (Self::Split { bytes, count, at }, Kind::Fixed(width)) => {
                let value = split(bytes, *count, *at, width)?;
                *at += 1;
                Some(value.into())
            }
            (Self::Lengths(lengths), _) => lengths.next(),
            (Self::Prefixes { shared, rest, last }, kind) => {
                let shared = usize::try_from(shared.next()?).ok().filter(|shared| *shared <= last.len())?;
                last.truncate(shared);
                last.extend_from_slice(&rest.next()?);
                let fits = !matches!(kind, Kind::Fixed(width) if last.len() != width);
                fits.then(|| Bytes::copy_from_slice(last))
            }
            _ => None,
        }
    }
}

/// The remedy where bytes are not what a writer writes.
pub(super) const DAMAGED: &str = "the file is damaged: copy or write it again";

/// Runs of single bits behind their length in four bytes.
pub(super) fn runs_behind_length(bytes: &mut Cursor) -> Option<Runs> {
    let length = bytes.number(4)?;
    let runs = bytes.share(usize::try_from(length).ok()?)?;
    Runs::new(Cursor::new(runs, 0)?, 1)
}

/// The bytes of value `at` of `count`.
fn split(bytes: &Bytes, count: usize, at: usize, width: usize) -> Option<Vec<u8>> {
    if at >= count {
        return None;
    }
    (0..width).map(|i| bytes.get(at + i * count).copied()).collect()
}
