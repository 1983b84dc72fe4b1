//! Thrift's compact protocol, as far as the headers of pages need it.
//!
//! No length is believed: a value is read, or passed over, in the bytes that are there, and nothing is kept of what is passed over.
//!
//! # Source
//! Apache Thrift's specification, "Thrift Compact protocol encoding".

use super::bits::Cursor;

/// How deep what is passed over may be nested; a header of a page takes three levels.
const DEPTH: u32 = 8;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A truth value, which takes no bytes of its own.
    Truth(bool),
    Byte,
    /// A whole number of any width.
    Whole,
    Double,
    Binary,
    /// Values of one kind.
    List,
    Map,
    Structure,
}

impl Kind {
    /// The kind that four bits name.
    fn of(bits: u8) -> Option<Self> {
        match bits {
            1 => Some(Self::Truth(true)),
            2 => Some(Self::Truth(false)),
            3 => Some(Self::Byte),
            4..=6 => Some(Self::Whole),
            7 => Some(Self::Double),
            8 => Some(Self::Binary),
            9 | 10 => Some(Self::List),
            11 => Some(Self::Map),
            12 => Some(Self::Structure),
            _ => None,
        }
    }

    /// The whole number that comes next.
    pub(super) fn number(self, bytes: &mut Cursor) -> Option<i32> {
        if self == Self::Whole { i32::try_from(bytes.zigzag()?).ok() } else { None }
    }

    /// Passes over the value that comes next.
    pub(super) fn pass(self, bytes: &mut Cursor) -> Option<()> {
        pass(bytes, self, DEPTH)
    }
}

/// Hands every field of the structure that comes next to `each`, which reads it or passes over it.
pub(super) fn structure(
    bytes: &mut Cursor,
    mut each: impl FnMut(i16, Kind, &mut Cursor) -> Option<()>,
) -> Option<()> {
    let mut number = 0_i16;
    loop {
        let head = bytes.take(1)?[0];
        if head == 0 {
            return Some(());
        }
        number = match head >> 4 {
            0 => i16::try_from(bytes.zigzag()?).ok()?,
            further => number.checked_add(i16::from(further))?,
        };
        each(number, Kind::of(head & 0xf)?, bytes)?;
    }
}

fn pass(bytes: &mut Cursor, kind: Kind, depth: u32) -> Option<()> {
    let inside = depth.checked_sub(1)?;
    match kind {
        Kind::Truth(_) => Some(()),
        Kind::Byte => bytes.take(1).map(drop),
        Kind::Whole => bytes.zigzag().map(drop),
        Kind::Double => bytes.take(8).map(drop),
        Kind::Binary => {
            let length = bytes.varint()?;
            bytes.take(usize::try_from(length).ok()?).map(drop)
        }
        Kind::List => {
            let head = bytes.take(1)?[0];
            let count = if head >> 4 == 15 { bytes.varint()? } else { u64::from(head >> 4) };
            pass_elements(bytes, &[Kind::of(head & 0xf)?], count, inside)
        }
        Kind::Map => {
            let count = bytes.varint()?;
            if count == 0 {
                return Some(());
            }
            let kinds = bytes.take(1)?[0];
            pass_elements(bytes, &[Kind::of(kinds >> 4)?, Kind::of(kinds & 0xf)?], count, inside)
        }
        Kind::Structure => structure(bytes, |_, kind, bytes| pass(bytes, kind, inside)),
    }
}

/// Passes over `count` elements of these kinds each. Inside a list even a truth value takes a byte, so that the bytes bound the count.
fn pass_elements(bytes: &mut Cursor, kinds: &[Kind], count: u64, depth: u32) -> Option<()> {
    for _ in 0..count {
        for kind in kinds {
            match kind {
                Kind::Truth(_) => bytes.take(1).map(drop)?,
                kind => pass(bytes, *kind, depth)?,
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::Seeded;
    use bytes::Bytes;

    fn cursor(bytes: &[u8]) -> Cursor {
        Cursor::new(Bytes::copy_from_slice(bytes), 0).unwrap()
    }

    /// Numbers of the structure's fields; everything else is passed over.
    fn numbers(bytes: &[u8]) -> Option<Vec<(i16, i32)>> {
        let mut found = Vec::new();
        structure(&mut cursor(bytes), |field, kind, bytes| {
            match kind {
                Kind::Whole => found.push((field, kind.number(bytes)?)),
                kind => kind.pass(bytes)?,
            }
            Some(())
        })?;
        Some(found)
    }

    #[test]
    fn fields_are_found_behind_values_of_every_kind() {
        // Field 1: -2. 2: true. 3: a byte. 4: a double. 5: two bytes. 6: a list of two numbers. 7: a list of seventeen truth values.
        // 8: a map of one number to a text. 9: a structure with a number. 30, by its long form: 150.
        let mut bytes = vec![0x15, 0x03, 0x11, 0x13, 0x2a, 0x17];
        bytes.extend([0; 8]);
        bytes.extend([0x18, 2, b'a', b'b', 0x19, 0x25, 2, 4, 0x19, 0xf1, 17]);
        bytes.extend([1; 17]);
        bytes.extend([0x1b, 1, 0x58, 6, 1, b'z', 0x1c, 0x15, 2, 0, 0x05, 60, 0xac, 0x02, 0]);
        assert_eq!(numbers(&bytes), Some(vec![(1, -2), (30, 150)]));
        for length in 0..bytes.len() {
            assert_eq!(numbers(&bytes[..length]), None, "cut to {length}");
        }
    }

    #[test]
    fn what_is_nested_too_deep_or_longer_than_its_bytes_is_not_passed_over() {
        let nested = |levels: usize| [vec![0x1c; levels], vec![0; levels + 1]].concat();
        assert_eq!(numbers(&nested(8)), Some(Vec::new()));
        assert_eq!(numbers(&nested(9)), None);
        assert_eq!(numbers(&[0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]), None);
        assert_eq!(numbers(&[0x19, 0xf5, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]), None);
        assert_eq!(numbers(&[0x15, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0]), None, "no number of 32 bits");
    }

    #[test]
    fn no_bytes_whatever_do_more_than_end() {
        let (mut random, mut whole) = (Seeded::new(9), 0);
        for _ in 0..50_000 {
            let bytes: Vec<u8> =
                (0..random.below(20)).map(|_| u8::try_from(random.below(32)).unwrap()).collect();
            whole += usize::from(numbers(&bytes).is_some());
        }
        assert!(whole > 1_000, "{whole}");
    }
}
