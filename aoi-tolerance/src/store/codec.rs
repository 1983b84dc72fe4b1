//! Numbers and texts as bytes: the alphabet of the log and of snapshots.
//!
//! Whole numbers are LEB128, signed ones zigzag, reals eight little-endian bytes, texts a length and UTF-8.

/// Bytes that are not what they should be; whoever reads them says where they stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damaged;

/// Bytes being written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(crate) fn fixed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn count(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push(n.to_le_bytes()[0] | 0x80);
            n >>= 7;
        }
        self.bytes.push(n.to_le_bytes()[0]);
    }

    pub(crate) fn signed(&mut self, n: i64) {
        self.count((n << 1 ^ n >> 63).cast_unsigned());
    }

    pub(crate) fn real(&mut self, x: f64) {
        self.fixed(&x.to_le_bytes());
    }

    pub(crate) fn reals(&mut self, values: &[f64]) {
        self.count(values.len() as u64);
        for x in values {
            self.real(*x);
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.count(text.len() as u64);
        self.fixed(text.as_bytes());
    }

    /// One byte, and the number if there is one.
    pub(crate) fn maybe_real(&mut self, x: Option<f64>) {
        self.byte(u8::from(x.is_some()));
        if let Some(x) = x {
            self.real(x);
        }
    }

    pub(crate) fn maybe_signed(&mut self, n: Option<i64>) {
        self.byte(u8::from(n.is_some()));
        if let Some(n) = n {
            self.signed(n);
        }
    }

    pub(crate) fn maybe_text(&mut self, text: Option<&str>) {
        self.byte(u8::from(text.is_some()));
        if let Some(t) = text {
            self.text(t);
        }
    }
}

/// Bytes being read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], Damaged> {
        let (bytes, rest) = self.rest.split_at_checked(n).ok_or(Damaged)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Damaged> {
        Ok(self.bytes(1)?[0])
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        self.bytes(N)?.try_into().map_err(|_| Damaged)
    }

    pub(crate) fn count(&mut self) -> Result<u64, Damaged> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Damaged)
    }

    pub(crate) fn small(&mut self) -> Result<u32, Damaged> {
        u32::try_from(self.count()?).map_err(|_| Damaged)
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Damaged> {
        let n = self.count()?;
        Ok((n >> 1).cast_signed() ^ -((n & 1).cast_signed()))
    }

    pub(crate) fn real(&mut self) -> Result<f64, Damaged> {
        self.fixed().map(f64::from_le_bytes)
    }

    pub(crate) fn reals(&mut self) -> Result<Vec<f64>, Damaged> {
        let n = usize::try_from(self.count()?).map_err(|_| Damaged)?;
        let bytes = self.bytes(n.checked_mul(8).ok_or(Damaged)?)?;
        Ok(bytes.as_chunks::<8>().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Damaged> {
        let n = usize::try_from(self.count()?).map_err(|_| Damaged)?;
        std::str::from_utf8(self.bytes(n)?).map_err(|_| Damaged)
    }

    fn is_there(&mut self) -> Result<bool, Damaged> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Damaged),
        }
    }

    pub(crate) fn maybe_real(&mut self) -> Result<Option<f64>, Damaged> {
        self.is_there()?.then(|| self.real()).transpose()
    }

    pub(crate) fn maybe_signed(&mut self) -> Result<Option<i64>, Damaged> {
        self.is_there()?.then(|| self.signed()).transpose()
    }

    pub(crate) fn maybe_text(&mut self) -> Result<Option<&'a str>, Damaged> {
        self.is_there()?.then(|| self.text()).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn everything_comes_back(n in any::<u64>(), s in any::<i64>(), x in any::<f64>(), t in ".{0,40}", o in any::<Option<i64>>()) {
            let mut out = Writer::default();
            out.count(n);
            out.signed(s);
            out.real(x);
            out.text(&t);
            out.maybe_signed(o);
            out.reals(&[x, 1.0]);
            out.maybe_text(Some(&t));
            out.maybe_real(None);
            let mut input = Reader::new(&out.bytes);
            prop_assert_eq!(input.count(), Ok(n));
            prop_assert_eq!(input.signed(), Ok(s));
            prop_assert_eq!(input.real().map(f64::to_bits), Ok(x.to_bits()));
            prop_assert_eq!(input.text(), Ok(t.as_str()));
            prop_assert_eq!(input.maybe_signed(), Ok(o));
            prop_assert_eq!(input.reals().map(|r| r[0].to_bits()), Ok(x.to_bits()));
            prop_assert_eq!(input.maybe_text(), Ok(Some(t.as_str())));
            prop_assert_eq!(input.maybe_real(), Ok(None));
            prop_assert!(input.is_empty());
        }

        /// Bytes that are cut off or mean nothing are an error, never a panic or a huge allocation.
        #[test]
        fn damage_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut input = Reader::new(&bytes);
            while !input.is_empty() && input.text().is_ok() && input.reals().is_ok() && input.signed().is_ok() {}
        }
    }
}
