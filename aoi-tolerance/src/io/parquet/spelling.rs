//! How values are written as the text that a CSV of the same records would hold.

use std::io::Write;

use ::parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use ::parquet::schema::types::Type;
use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::values::Kind;
use crate::io::number::shortest_of;

/// What the bits or bytes of a value mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    Truth,
    /// A whole number of so many bytes, with a sign or without.
    Whole {
        bytes: usize,
        signed: bool,
    },
    Single,
    Double,
    /// Text as it stands.
    Text,
    /// A whole number of so many bytes, little end first, or of however many, big end first; with so many digits behind the point.
    Decimal {
        bytes: Option<usize>,
        scale: usize,
    },
    /// Days since 1970.
    Date,
    /// Time since 1970 in nanoseconds times this; in UTC, or on a clock of an unknown zone.
    Time {
        unit: i64,
        utc: bool,
    },
}

/// How a column is stored and spelled; the error says why it cannot be fields of rows.
pub(super) fn of(column: &Type) -> Result<(Kind, Spelling), String> {
    let expected = "expected text, a number, a truth value, a date or a timestamp";
    let refused = |what: &str, remedy: &str| Err(format!("is {what}; {expected}: {remedy}"));
    let name = column.name();
    if column.is_group() {
        return refused("nested", "write its parts as columns of their own");
    }
    let info = column.get_basic_info();
    if info.has_repetition() && info.repetition() == ::parquet::basic::Repetition::REPEATED {
        return refused("a list", "write one row per value");
    }
    let Type::PrimitiveType { physical_type, type_length, scale, precision, .. } = column else {
        return refused("nested", "write its parts as columns of their own");
    };
    let physical = *physical_type;
    let Some(kind) = Kind::of(physical, *type_length) else {
        return refused(&format!("stored as {physical}"), "write times as TIMESTAMP");
    };
    let width = if let Kind::Number(width) = kind { width } else { 0 };
    let whole = |signed| Spelling::Whole { bytes: width, signed };
    let plain = match physical {
        Physical::BOOLEAN => Some(Spelling::Truth),
        Physical::INT32 | Physical::INT64 => Some(whole(true)),
        Physical::FLOAT => Some(Spelling::Single),
        Physical::DOUBLE => Some(Spelling::Double),
        // Without a meaning: older writers leave texts so. What is not UTF-8 is rejected row by row.
        Physical::BYTE_ARRAY => Some(Spelling::Text),
        Physical::FIXED_LEN_BYTE_ARRAY | Physical::INT96 => None,
    };
    let decimal = || {
        // More digits than 38 do not fit the 128 bits that they are read into.
        let scale = usize::try_from(*scale).ok().filter(|_| (1..=38).contains(precision))?;
        Some(Spelling::Decimal { bytes: (width > 0).then_some(width), scale })
    };
    let time = |unit: &TimeUnit, utc| {
        let unit = match unit {
            TimeUnit::MILLIS => 1_000_000,
            TimeUnit::MICROS => 1_000,
            TimeUnit::NANOS => 1,
        };
        Some(Spelling::Time { unit, utc })
    };
    let said = match (info.logical_type_ref(), info.converted_type()) {
        (Some(LogicalType::Unknown | LogicalType::String | LogicalType::Enum | LogicalType::Json), _)
        | (None, ConvertedType::NONE | ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON) => {
            plain
        }
        (Some(LogicalType::Integer(int)), _) => Some(whole(int.is_signed)),
        (
            None,
            ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32 | ConvertedType::INT_64,
        ) => Some(whole(true)),
        (
            None,
            ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64,
        ) => Some(whole(false)),
        (Some(LogicalType::Decimal(_)), _) | (None, ConvertedType::DECIMAL) => decimal(),
        (Some(LogicalType::Date), _) | (None, ConvertedType::DATE) => Some(Spelling::Date),
        (Some(LogicalType::Timestamp(kind)), _) => time(&kind.unit, kind.is_adjusted_to_u_t_c),
        (None, ConvertedType::TIMESTAMP_MILLIS) => time(&TimeUnit::MILLIS, true),
        (None, ConvertedType::TIMESTAMP_MICROS) => time(&TimeUnit::MICROS, true),
        _ => None,
    };
    if let Some(spelling) = said {
        return Ok((kind, spelling));
    }
    let meaning = info
        .logical_type_ref()
        .map_or_else(|| info.converted_type().to_string(), |logical| format!("{logical:?}"));
    refused(&format!("{meaning} in {physical}"), &format!("write {name:?} as text"))
}

impl Spelling {
    /// Whether it is a time: then its text is RFC 3339, whatever format the mapping names.
    pub(super) fn is_time(self) -> bool {
        matches!(self, Self::Date | Self::Time { .. })
    }

    /// Appends a number's text; `point` stands before the fraction.
    pub(super) fn number(self, bits: u64, point: u8, text: &mut Vec<u8>) {
        let start = text.len();
        // Writing to memory cannot fail.
        let _ = match self {
            Self::Truth => write!(text, "{}", bits != 0),
            Self::Single => write!(text, "{}", shortest_of(f32::from_bits(low(bits)))),
            Self::Double => write!(text, "{}", shortest_of(f64::from_bits(bits))),
            Self::Whole { bytes, signed: true } => write!(text, "{}", signed(bits, bytes)),
            Self::Whole { bytes, signed: false } => {
                write!(text, "{}", if bytes == 4 { u64::from(low(bits)) } else { bits })
            }
            Self::Decimal { bytes, scale } => {
                decimal(i128::from(signed(bits, bytes.unwrap_or(8))), scale, text);
                Ok(())
            }
            Self::Date => match date(signed(bits, 4)) {
                Some(date) => write!(text, "{date}"),
                None => write!(text, "{}", signed(bits, 4)),
            },
            Self::Time { unit, utc } => {
                let time = bits.cast_signed();
                let nanoseconds = i128::from(time) * i128::from(unit);
                match Timestamp::from_nanosecond(nanoseconds) {
                    Ok(time) if utc => write!(text, "{time}"),
                    Ok(time) => write!(text, "{}", Offset::UTC.to_datetime(time)),
                    // A year beyond 9999: no time, and rejected as one.
                    Err(_) => write!(text, "{time}"),
                }
            }
            Self::Text => Ok(()),
        };
        if matches!(self, Self::Single | Self::Double | Self::Decimal { .. }) && point != b'.' {
            text[start..].iter_mut().filter(|byte| **byte == b'.').for_each(|byte| *byte = point);
        }
    }

    /// Appends the text of bytes.
    pub(super) fn bytes(self, bytes: &[u8], point: u8, text: &mut Vec<u8>) {
        let Self::Decimal { scale, .. } = self else {
            text.extend_from_slice(bytes);
            return;
        };
        let start = text.len();
        // Zeros or ones before the digits say nothing; more digits than 38 do not follow.
        let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
        let fill = if negative { 0xff } else { 0 };
        let digits = bytes.iter().position(|byte| *byte != fill).map_or(&[][..], |at| &bytes[at..]);
        let digits = &digits[digits.len().saturating_sub(16)..];
        let number =
            digits.iter().fold(if negative { -1_i128 } else { 0 }, |n, byte| n << 8 | i128::from(*byte));
        decimal(number, scale, text);
        text[start..].iter_mut().filter(|byte| **byte == b'.').for_each(|byte| *byte = point);
    }
}

/// The lower half.
fn low(bits: u64) -> u32 {
    let [a, b, c, d, ..] = bits.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// A number of four or eight bytes, of two's complement.
fn signed(bits: u64, bytes: usize) -> i64 {
    if bytes == 4 { i64::from(low(bits).cast_signed()) } else { bits.cast_signed() }
}

fn date(days: i64) -> Option<Date> {
    let since = SignedDuration::from_hours(days.checked_mul(24)?);
    jiff::civil::date(1970, 1, 1).checked_add(since).ok()
}

/// `number` with its last `scale` digits behind the point.
fn decimal(number: i128, scale: usize, text: &mut Vec<u8>) {
    let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if number < 0 {
        text.push(b'-');
    }
    text.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        text.push(b'.');
        text.extend_from_slice(fraction.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(spelling: Spelling, bits: u64) -> String {
        let mut text = Vec::new();
        spelling.number(bits, b'.', &mut text);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn numbers_are_written_as_short_as_they_read_back() {
        assert_eq!(number(Spelling::Single, u64::from(0.1_f32.to_bits())), "0.1");
        assert_eq!(number(Spelling::Double, 0.1_f64.to_bits()), "0.1");
        assert_eq!(number(Spelling::Double, 1e300_f64.to_bits()), "1e300");
        assert_eq!(number(Spelling::Double, (-0.0_f64).to_bits()), "-0");
        assert_eq!(number(Spelling::Double, f64::NAN.to_bits()), "NaN");
        let whole = |bytes, signed| Spelling::Whole { bytes, signed };
        assert_eq!(number(whole(4, true), 0xffff_fffe), "-2");
        assert_eq!(number(whole(4, true), u64::MAX - 1), "-2", "differences are kept in 64 bits");
        assert_eq!(number(whole(4, false), 0xffff_fffe), "4294967294");
        assert_eq!(number(whole(8, false), u64::MAX), "18446744073709551615");
        assert_eq!(number(whole(8, true), u64::MAX), "-1");
        assert_eq!(number(Spelling::Truth, 1), "true");
    }

    #[test]
    fn decimals_keep_their_digits() {
        let small = Spelling::Decimal { bytes: Some(4), scale: 3 };
        assert_eq!(number(small, 5), "0.005");
        assert_eq!(number(small, 0xffff_fffb), "-0.005");
        assert_eq!(number(Spelling::Decimal { bytes: Some(8), scale: 0 }, 1200), "1200");
        let long = Spelling::Decimal { bytes: None, scale: 2 };
        for (bytes, expected) in [
            (&[0x04, 0xd2][..], "12.34"),
            (&[0xff, 0xff, 0xfb, 0x2e], "-12.34"),
            (&[0xff], "-0.01"),
            (&[0; 16], "0.00"),
            (&[], "0.00"),
        ] {
            let mut text = Vec::new();
            long.bytes(bytes, b'.', &mut text);
            assert_eq!(std::str::from_utf8(&text).unwrap(), expected);
        }
        let mut text = b"1.5 ".to_vec();
        long.bytes(&[0x04, 0xd2], b',', &mut text);
        assert_eq!(text, b"1.5 12,34");
    }

    #[test]
    fn times_are_rfc_3339_and_a_local_clock_has_no_zone() {
        assert_eq!(number(Spelling::Date, 0), "1970-01-01");
        assert_eq!(number(Spelling::Date, 0xffff_ffff), "1969-12-31");
        assert_eq!(number(Spelling::Date, 0x7fff_ffff), "2147483647");
        let time = |unit, utc| Spelling::Time { unit, utc };
        assert_eq!(number(time(1_000_000, true), 1_500), "1970-01-01T00:00:01.5Z");
        assert_eq!(number(time(1_000, false), 1_500_000), "1970-01-01T00:00:01.5");
        assert_eq!(number(time(1, true), u64::MAX), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(number(time(1_000_000, true), u64::MAX >> 1), "9223372036854775807");
    }
}
