//! Times of records: RFC 3339, or a site's own format.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};

use crate::io::mapping::FileFormat;

/// Reads times to nanoseconds since 1970-01-01 UTC.
#[derive(Debug, Clone)]
pub(crate) struct TimeReader {
    format: Option<String>,
    zone: Option<TimeZone>,
}

impl TimeReader {
    /// The reader that a mapping asks for; the error says what is wrong with its offset.
    pub(crate) fn new(format: &FileFormat) -> Result<Self, String> {
        let zone = format.time_offset.as_deref().map(|text| {
            let wrong = || format!("file.time_offset is {text:?}; expected +HH:MM or -HH:MM");
            let (sign, digits) = match text.split_at_checked(1) {
                Some(("+", digits)) => (1, digits),
                Some(("-", digits)) => (-1, digits),
                _ => return Err(wrong()),
            };
            let (hours, minutes) = digits.split_once(':').ok_or_else(wrong)?;
            let part = |text: &str, below: i32| text.parse::<i32>().ok().filter(|n| (0..below).contains(n));
            let seconds = part(hours, 24).zip(part(minutes, 60)).map(|(h, m)| sign * (h * 3600 + m * 60));
            let offset = seconds.and_then(|s| Offset::from_seconds(s).ok()).ok_or_else(wrong)?;
            Ok(TimeZone::fixed(offset))
        });
        Ok(Self { format: format.time_format.clone(), zone: zone.transpose()? })
    }

    /// From now on times are RFC 3339, whatever the mapping's format: they were typed, and not written by the site.
    #[cfg(feature = "parquet")]
    pub(crate) fn read_rfc3339(&mut self) {
        self.format = None;
    }

    /// The time a field names; none if it cannot be read, or names no offset and the mapping gives none.
    pub(crate) fn read(&self, text: &str) -> Option<i64> {
        let timestamp = match &self.format {
            None => text.parse().ok().or_else(|| self.in_zone(text.parse().ok()?)),
            Some(format) => {
                let time = BrokenDownTime::parse(format, text).ok()?;
                time.to_timestamp().ok().or_else(|| self.in_zone(time.to_datetime().ok()?))
            }
        };
        i64::try_from(timestamp?.as_nanosecond()).ok()
    }

    fn in_zone(&self, time: DateTime) -> Option<jiff::Timestamp> {
        self.zone.as_ref()?.to_timestamp(time).ok()
    }
}

/// A time as text that reads back to it.
#[cfg(feature = "store")]
pub(crate) fn rfc3339(nanoseconds: i64) -> String {
    jiff::Timestamp::from_nanosecond(nanoseconds.into()).map(|t| t.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(format: Option<&str>, offset: Option<&str>) -> TimeReader {
        TimeReader::new(&FileFormat {
            time_format: format.map(str::to_owned),
            time_offset: offset.map(str::to_owned),
            ..FileFormat::default()
        })
        .unwrap()
    }

    const NANOS: i64 = 1_000_000_000;

    #[test]
    fn instants_are_read_with_their_offset_and_never_guessed_without_one() {
        assert_eq!(reader(None, None).read("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(reader(None, None).read("1970-01-01T00:00:01.5Z"), Some(NANOS * 3 / 2));
        assert_eq!(reader(None, None).read("1970-01-01T00:00:01"), None);
        assert_eq!(reader(None, Some("+01:00")).read("1970-01-01T00:00:01"), Some(-3599 * NANOS));
        assert_eq!(
            reader(Some("%d.%m.%Y %H:%M:%S"), Some("-02:30")).read("01.01.1970 00:00:00"),
            Some(9000 * NANOS)
        );
        for text in ["", "yesterday", "1970-13-01T00:00:00Z", "1970-01-01"] {
            assert_eq!(reader(None, None).read(text), None, "{text}");
        }
    }

    #[test]
    fn an_offset_that_is_none_is_refused() {
        for offset in ["", "1", "UTC", "+25:00", "+01", "+01:60"] {
            let format = FileFormat { time_offset: Some(offset.into()), ..FileFormat::default() };
            assert!(TimeReader::new(&format).unwrap_err().contains("time_offset"), "{offset}");
        }
    }
}
