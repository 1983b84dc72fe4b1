//! Rows that were not used, or used with a reservation, each with its place and the reason.

use std::fmt;

use crate::io::number::NumberFault;
use crate::record::Source;

/// Why a row was not used, or what is odd about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RejectReason {
    /// The row has another number of fields than the header.
    FieldCount,
    /// The row is not UTF-8.
    NotUtf8,
    /// The message is not JSON.
    NotJson,
    /// A confirmed defect that no measurement of its message shows: no limit could hold it.
    NotMeasured,
    /// A column that must be filled is empty.
    Missing,
    /// A number cannot be read.
    Number(NumberFault),
    /// The resolution is not a positive step.
    Resolution,
    /// The sigma is negative.
    Sigma,
    /// Neither the row nor the tolerance table has a limit.
    NoLimit,
    /// The lower limit lies above the upper one.
    LimitsSwapped,
    /// The limits are relative to a nominal value that is missing or unusable.
    Nominal,
    /// The verdict's word has no meaning here; the row is kept as pending.
    UnknownVerdict,
    /// The machine flagged a value inside its limits, or passed one outside; kept.
    MachineDisagrees,
    /// Reviewed as a false call inside its limits, or passed outside; kept.
    VerdictDisagrees,
    /// The time cannot be read; the row is kept without one.
    Time,
    /// Another row of the same record id says the same.
    Duplicate,
    /// Another row of the same record id has another verdict or value, and counts instead.
    Conflict,
}

impl RejectReason {
    /// Whether the row counts all the same.
    pub fn is_kept(self) -> bool {
        matches!(self, Self::UnknownVerdict | Self::MachineDisagrees | Self::VerdictDisagrees | Self::Time)
    }
}

impl fmt::Display for RejectReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FieldCount => f.write_str("another number of fields than the header"),
            Self::NotUtf8 => f.write_str("not UTF-8 (save the file as UTF-8)"),
            Self::NotJson => f.write_str("not a JSON message"),
            Self::NotMeasured => {
                f.write_str("a confirmed defect without a measured value outside its limits")
            }
            Self::Missing => f.write_str("empty"),
            Self::Number(fault) => write!(f, "{fault}"),
            Self::Resolution => f.write_str("not a positive decimal step"),
            Self::Sigma => f.write_str("negative"),
            Self::NoLimit => f.write_str("no limit in the row or the tolerance table"),
            Self::LimitsSwapped => f.write_str("the lower limit lies above the upper limit"),
            Self::Nominal => f.write_str("the limits need a nominal value that is missing or unusable"),
            Self::UnknownVerdict => f.write_str("unknown verdict (kept as pending; name it in the mapping)"),
            Self::MachineDisagrees => f.write_str("the machine's decision differs from the limits (kept)"),
            Self::VerdictDisagrees => f.write_str("the verdict does not fit the limits (kept)"),
            Self::Time => f.write_str("unreadable time (kept without)"),
            Self::Duplicate => f.write_str("repeats a record id"),
            Self::Conflict => {
                f.write_str("repeats a record id with another verdict or value; the severest counts")
            }
        }
    }
}

/// One entry of the rejects file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Where the row was read.
    pub source: Source,
    /// The site's name of the column.
    pub column: String,
    /// The field, shortened if it is long.
    pub value: String,
    /// What is wrong with it.
    pub reason: RejectReason,
    /// The row is a defect that cannot be placed: it blocks the limits it may belong to.
    pub blocks: bool,
}

impl Reject {
    /// The reason, and what follows from it.
    pub fn said(&self) -> String {
        if self.blocks {
            format!("{}; a defect: blocks its limit until it is corrected or acknowledged", self.reason)
        } else {
            self.reason.to_string()
        }
    }
}

/// `value` in at most 120 characters, saying how long it was.
pub(crate) fn shortened(value: &str) -> String {
    const SHOWN: usize = 120;
    match value.char_indices().nth(SHOWN) {
        None => value.to_owned(),
        Some((end, _)) => format!("{}... ({} characters)", &value[..end], value.chars().count()),
    }
}
