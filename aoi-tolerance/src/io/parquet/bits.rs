//! Whole numbers in few bits: the parts that Parquet's encodings are made of.
//!
//! Everything here answers `None` where the bytes end early or say what no writer says, and allocates nothing by what they say.
//!
//! # Source
//! The format's specification, "Encodings": RLE / bit-packing hybrid and `DELTA_BINARY_PACKED`.

use bytes::Bytes;

/// Bytes read from the front.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    bytes: Bytes,
    at: usize,
}

impl Cursor {
    /// Starts at byte `at`; none behind the end.
    pub(super) fn new(bytes: Bytes, at: usize) -> Option<Self> {
        (at <= bytes.len()).then_some(Self { bytes, at })
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// The next `count` bytes, shared.
    pub(super) fn share(&mut self, count: usize) -> Option<Bytes> {
        let start = self.at;
        self.take(count)?;
        Some(self.bytes.slice(start..start + count))
    }

    /// The next `count` bytes, at most eight, as a number, the first byte the lowest.
    pub(super) fn number(&mut self, count: usize) -> Option<u64> {
        Some(self.take(count)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A number in groups of seven bits, the lowest first.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = u64::from(self.take(1)?[0]);
            number |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number with its sign in the lowest bit.
    pub(super) fn zigzag(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// Passes over `count` bytes, or to the end: writers may leave out the padding of the last group.
    fn pass(&mut self, count: u64) {
        let end = usize::try_from(count).ok().and_then(|count| self.at.checked_add(count));
        self.at = end.unwrap_or(usize::MAX).min(self.bytes.len());
    }

    /// The `width` bits, at most 64, from bit `at` of all bytes on.
    fn bits(&self, at: u64, width: u32) -> Option<u64> {
        let first = usize::try_from(at / 8).ok()?;
        let skipped = u32::try_from(at % 8).ok()?;
        let length = (skipped + width).div_ceil(8) as usize;
        let bytes = self.bytes.get(first..first.checked_add(length)?)?;
        let word = bytes.iter().rev().fold(0_u128, |word, byte| word << 8 | u128::from(*byte));
        // The mask leaves 64 bits at most.
        u64::try_from(word >> skipped & ((1_u128 << width) - 1)).ok()
    }
}

/// Numbers that repeat, or are packed in groups of eight.
#[derive(Debug, Clone)]
pub(super) struct Runs {
    bytes: Cursor,
    width: u32,
    /// Numbers left in the run.
    left: u64,
    run: Run,
}

#[derive(Debug, Clone, Copy)]
enum Run {
    Repeated(u32),
    /// Where the next one stands, in bits.
    Packed(u64),
}

impl Runs {
    /// Numbers of `width` bits; none above 32.
    pub(super) fn new(bytes: Cursor, width: u32) -> Option<Self> {
        (width <= 32).then_some(Self { bytes, width, left: 0, run: Run::Repeated(0) })
    }

    /// The next number.
    pub(super) fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            self.start()?;
        }
        self.left -= 1;
        match &mut self.run {
            Run::Repeated(number) => Some(*number),
            Run::Packed(at) => {
                let number = self.bytes.bits(*at, self.width)?;
                *at += u64::from(self.width);
                u32::try_from(number).ok()
            }
        }
    }

    fn start(&mut self) -> Option<()> {
        let head = self.bytes.varint()?;
        // Some writers pad pages with zeros.
        if head == 0 {
            return None;
        }
        let count = head >> 1;
        if head & 1 == 0 {
            let number = self.bytes.number(self.width.div_ceil(8) as usize)?;
            self.run = Run::Repeated(u32::try_from(number).ok()?);
            self.left = count;
        } else {
            self.run = Run::Packed(self.bytes.at as u64 * 8);
            self.left = count.checked_mul(8)?;
            self.bytes.pass(count.checked_mul(u64::from(self.width))?);
        }
        Some(())
    }
}

/// Numbers as differences from the one before, packed in blocks.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    bytes: Cursor,
    /// Blocks are cut into this many parts, each with its own width.
    parts: usize,
    /// Numbers in a part.
    part: u64,
    /// Numbers left in all.
    left: u64,
    /// The next number, before the first was given; then the last one.
    last: i64,
    first: bool,
    least: i64,
    /// Widths of the parts of the block, the current one last.
    widths: Vec<u8>,
    /// Numbers left in the part, and where the next one stands, in bits.
    in_part: u64,
    at: u64,
}

impl Delta {
    /// Reads the head.
    pub(super) fn new(mut bytes: Cursor) -> Option<Self> {
        let (block, parts, left) = (bytes.varint()?, bytes.varint()?, bytes.varint()?);
        let last = bytes.zigzag()?;
        let part = block.checked_div(parts).filter(|part| part.is_multiple_of(32) && *part > 0)?;
        let parts = usize::try_from(parts).ok()?;
        Some(Self {
            bytes,
            parts,
            part,
            left,
            last,
            first: true,
            least: 0,
            widths: Vec::new(),
            in_part: 0,
            at: 0,
        })
    }

    /// Numbers that are left.
    pub(super) fn left(&self) -> u64 {
        self.left
    }

    /// The next number.
    pub(super) fn next(&mut self) -> Option<i64> {
        self.left = self.left.checked_sub(1)?;
        if std::mem::take(&mut self.first) {
            return Some(self.last);
        }
        if self.in_part == 0 {
            self.start()?;
        }
        let width = u32::from(*self.widths.last()?);
        let above = self.bytes.bits(self.at, width)?;
        self.at += u64::from(width);
        self.in_part -= 1;
        // Differences wrap around, as the format says.
        self.last = self.last.wrapping_add(self.least).wrapping_add(above.cast_signed());
        Some(self.last)
    }

    fn start(&mut self) -> Option<()> {
        self.widths.pop();
        if self.widths.is_empty() {
            self.least = self.bytes.zigzag()?;
            self.widths = self.bytes.take(self.parts)?.iter().rev().copied().collect();
        }
        let width = u64::from(*self.widths.last().filter(|width| **width <= 64)?);
        self.at = self.bytes.at as u64 * 8;
        self.in_part = self.part;
        self.bytes.pass((self.part / 8).checked_mul(width)?);
        Some(())
    }

    /// What follows the last number, once all were taken.
    pub(super) fn rest(self) -> Cursor {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::Seeded;

    fn cursor(bytes: &[u8]) -> Cursor {
        Cursor::new(Bytes::copy_from_slice(bytes), 0).unwrap()
    }

    #[test]
    fn runs_of_the_specification_are_read() {
        // The specification's example: 0 to 7 in three bits; then eight times 4, as a run.
        let mut runs = Runs::new(cursor(&[0x03, 0x88, 0xc6, 0xfa, 0x10, 0x04]), 3).unwrap();
        let numbers: Vec<u32> = std::iter::from_fn(|| runs.next()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 4, 4, 4, 4, 4, 4, 4, 4]);
        let mut nothing = Runs::new(cursor(&[0x06, 0x00]), 0).unwrap();
        assert_eq!(nothing.next(), Some(0), "a width of nothing takes no byte");
        assert!(Runs::new(cursor(&[]), 33).is_none());
    }

    #[test]
    fn differences_of_the_specification_are_read() {
        // The specification's examples: 1 to 5; and 7 5 3 1 2 3 4 5, whose least difference is -2.
        let mut even = Delta::new(cursor(&[0x80, 0x01, 0x04, 0x05, 0x02, 0x02, 0, 0, 0, 0])).unwrap();
        assert_eq!(std::iter::from_fn(|| even.next()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
        let mut bytes = vec![0x80, 0x01, 0x04, 0x08, 0x0e, 0x03, 2, 0, 0, 0, 0xc0, 0x3f];
        bytes.extend([0; 6]);
        bytes.push(99);
        let mut uneven = Delta::new(cursor(&bytes)).unwrap();
        assert_eq!(std::iter::from_fn(|| uneven.next()).collect::<Vec<_>>(), [7, 5, 3, 1, 2, 3, 4, 5]);
        assert_eq!(uneven.rest().number(1), Some(99));
    }

    #[test]
    fn no_bytes_whatever_do_more_than_end() {
        let mut random = Seeded::new(3);
        let mut read = 0;
        for _ in 0..20_000 {
            let bytes: Vec<u8> =
                (0..random.below(24)).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
            let width = u32::try_from(random.below(33)).unwrap();
            let mut runs = Runs::new(cursor(&bytes), width).unwrap();
            read += (0..100).map_while(|_| runs.next()).count();
            if let Some(mut delta) = Delta::new(cursor(&bytes)) {
                read += (0..100).map_while(|_| delta.next()).count();
            }
        }
        assert!(read > 10_000, "{read}");
    }
}
