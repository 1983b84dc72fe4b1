//! Decimal numbers as machines write them, read without ever becoming another number in silence.

use std::borrow::Cow;
use std::fmt;

/// Why a field is not a number that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NumberFault {
    /// Not digits with an optional sign, point and exponent.
    NotANumber,
    /// Holds a comma where the mapping expects a point.
    DecimalComma,
    /// The word nan or inf in some spelling.
    NotFinite,
    /// Too large, or too small to differ from zero, for an f64.
    OutOfRange,
}

impl fmt::Display for NumberFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "not a number",
            Self::DecimalComma => "decimal comma (set file.decimal_comma in the mapping)",
            Self::NotFinite => "not a finite number",
            Self::OutOfRange => "outside the range of a 64-bit number",
        })
    }
}

/// Reads a trimmed, non-empty field.
///
/// With `decimal_comma` the comma separates the fraction and a point is refused: it might group thousands.
///
/// # Errors
/// Says why the field is not a finite number. A number that rounds to zero without being zero is refused too.
pub fn parse_number(field: &str, decimal_comma: bool) -> Result<f64, NumberFault> {
    if decimal_comma && field.contains('.') {
        return Err(NumberFault::NotANumber);
    }
    // A second comma becomes a second point, which no number has.
    let text = if decimal_comma { Cow::Owned(field.replace(',', ".")) } else { Cow::Borrowed(field) };
    if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
        let word = text.trim_start_matches(['+', '-']);
        let is = |w: &str| word.eq_ignore_ascii_case(w);
        return Err(if is("nan") || is("inf") || is("infinity") {
            NumberFault::NotFinite
        } else if text.contains(',') {
            NumberFault::DecimalComma
        } else {
            NumberFault::NotANumber
        });
    }
    let number: f64 = text.parse().map_err(|_| NumberFault::NotANumber)?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or(&text);
    if number.is_infinite() || (number == 0.0 && mantissa.bytes().any(|b| matches!(b, b'1'..=b'9'))) {
        return Err(NumberFault::OutOfRange);
    }
    Ok(number)
}

/// Reads a number of plain digits, with a sign and `point` or without: what [`parse_number`] gives for it, or nothing if it takes more.
///
/// Up to 15 digits are a whole number that f64 holds, and so is the power of ten up to 10^22: one division rounds once, as it should.
pub(crate) fn parse_plain(text: &[u8], point: u8) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if unsigned.len() > 16 {
        return None;
    }
    let (mut whole, mut digits, mut after_point) = (0_u64, 0_usize, None);
    for &byte in unsigned {
        match byte {
            b'0'..=b'9' => {
                whole = whole * 10 + u64::from(byte - b'0');
                digits += 1;
            }
            _ if byte == point && after_point.is_none() => after_point = Some(digits),
            _ => return None,
        }
    }
    if digits == 0 || digits > 15 {
        return None;
    }
    let magnitude = whole as f64 / POWERS[digits - after_point.unwrap_or(digits)];
    Some(if negative { -magnitude } else { magnitude })
}

/// What [`parse_plain`] gives for a text of at most eight bytes, the last eight bytes of `word` (what stands before it is not looked at);
/// nothing for a longer one. All digits are read at once: the lengths of numbers change from row to row, and branches on them are missed.
pub(crate) fn parse_short(word: u64, length: usize, point: u8) -> Option<f64> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    const ZEROS: u64 = 0x30 * EACH;
    const POWERS: [f64; 8] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7];
    if !(1..=8).contains(&length) {
        return None;
    }
    let negative = word >> (64 - 8 * length) & 0xff == u64::from(b'-');
    let length = length - usize::from(negative);
    let before = (u64::MAX >> 1) >> (8 * length).saturating_sub(1);
    let text = (word & !before) | (ZEROS & before);
    let points = text ^ (EACH * u64::from(point));
    let points = !(((points & !HIGH) + !HIGH) | points) & HIGH;
    if points & points.wrapping_sub(1) != 0 || length <= usize::from(points != 0) {
        return None;
    }
    // Digits before the point move up to take its place.
    let (digits, decimals) = if points == 0 {
        (text, 0)
    } else {
        let at = points.trailing_zeros() - 7;
        let above = (u64::MAX << at) << 8;
        let below = (1 << at) - 1;
        ((text & above) | ((text & below) << 8) | 0x30, 7 - at as usize / 8)
    };
    let values = digits ^ ZEROS;
    if (values | values.wrapping_add(0x76 * EACH)) & HIGH != 0 {
        return None;
    }
    // Neighbours are joined: digits to pairs, pairs to fours, fours to eight.
    let pairs = values.wrapping_mul(10) + (values >> 8);
    let pairs = pairs & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100) + (pairs >> 16);
    let fours = fours & 0x0000_ffff_0000_ffff;
    let whole = (fours.wrapping_mul(10_000) + (fours >> 32)) & 0xffff_ffff;
    let magnitude = whole as f64 / POWERS[decimals];
    Some(f64::from_bits(magnitude.to_bits() | u64::from(negative) << 63))
}

/// The shortest text that reads back to the same f64, in plain or exponent form, whichever is shorter.
///
/// ```
/// use aoi_tolerance::io::shortest;
/// assert_eq!((shortest(33.2).as_str(), shortest(1e300).as_str(), shortest(-0.5).as_str()), ("33.2", "1e300", "-0.5"));
/// ```
pub fn shortest(number: f64) -> String {
    shortest_of(number)
}

/// The same for a number of any width: the shortest text that reads back to the same number of that width.
pub(crate) fn shortest_of(number: impl fmt::Display + fmt::LowerExp) -> String {
    let (plain, exponent) = (format!("{number}"), format!("{number:e}"));
    if plain.len() <= exponent.len() { plain } else { exponent }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_nothing_else() {
        for (text, number) in
            [("5", 5.0), ("-0.1", -0.1), ("+.5", 0.5), ("5.", 5.0), ("1e-3", 1e-3), ("0e-999", 0.0)]
        {
            assert_eq!(parse_number(text, false), Ok(number), "{text}");
        }
        for (text, fault) in [
            ("nan", NumberFault::NotFinite),
            ("-Infinity", NumberFault::NotFinite),
            ("1e400", NumberFault::OutOfRange),
            ("-1e400", NumberFault::OutOfRange),
            ("1e-400", NumberFault::OutOfRange),
            ("3,5", NumberFault::DecimalComma),
            ("1.234,5", NumberFault::DecimalComma),
            ("1.2.3", NumberFault::NotANumber),
            ("12um", NumberFault::NotANumber),
            ("0x10", NumberFault::NotANumber),
            ("--1", NumberFault::NotANumber),
            ("e5", NumberFault::NotANumber),
            ("1 000", NumberFault::NotANumber),
            ("\u{2212}5", NumberFault::NotANumber),
            ("\u{0661}", NumberFault::NotANumber),
        ] {
            assert_eq!(parse_number(text, false), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_decimal_comma_is_read_where_the_mapping_says_so_and_a_point_is_then_refused() {
        assert_eq!(parse_number("-3,25", true), Ok(-3.25));
        assert_eq!(parse_number("3", true), Ok(3.0));
        assert_eq!(parse_number("1.234", true), Err(NumberFault::NotANumber));
        assert_eq!(parse_number("1,234,5", true), Err(NumberFault::NotANumber));
    }

    #[test]
    fn plain_digits_are_read_to_the_same_bits_and_the_rest_is_left() {
        let mut random = aoi_testing::Seeded::new(8);
        let (mut read, mut short_read) = (0, 0);
        for _ in 0..100_000 {
            let alphabet = b"0123456789012345678901234567890123456789.-,e+ ";
            let text: Vec<u8> =
                (0..=random.below(19)).map(|_| alphabet[random.below(alphabet.len())]).collect();
            let word = std::str::from_utf8(&text).unwrap();
            for (point, comma) in [(b'.', false), (b',', true)] {
                let last = [&[b'7'; 8], text.as_slice()].concat();
                let last = u64::from_le_bytes(*last.last_chunk().unwrap());
                let short = parse_short(last, text.len(), point).map(f64::to_bits);
                let plain = parse_plain(&text, point).filter(|_| text.len() <= 8).map(f64::to_bits);
                assert_eq!(short, plain, "{word}");
                short_read += u32::from(short.is_some());
                if let Some(number) = parse_plain(&text, point) {
                    assert_eq!(parse_number(word, comma).map(f64::to_bits), Ok(number.to_bits()), "{word}");
                    read += 1;
                }
            }
        }
        assert!(read > 10_000 && short_read > 10_000, "{read} {short_read}");
        assert_eq!(parse_plain(b"-0.000", b'.').map(f64::to_bits), Some((-0.0_f64).to_bits()));
        for text in ["", "-", ".", "+5", "1e3", "1.2.3", " 5", "5 ", "1234567890123456", "1,5", "nan"] {
            assert_eq!(parse_plain(text.as_bytes(), b'.'), None, "{text}");
        }
    }

    #[test]
    fn the_shortest_form_reads_back() {
        for x in [0.1, 1.0 / 3.0, 5e-324, f64::MAX, 45.0_f64.next_up(), 1e22, 123_456_789.0] {
            assert_eq!(shortest(x).parse::<f64>().unwrap().to_bits(), x.to_bits());
        }
        assert_eq!(shortest(1e22), "1e22");
        assert_eq!(shortest(40.0), "40");
    }
}
