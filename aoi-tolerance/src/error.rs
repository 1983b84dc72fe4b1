//! What can go wrong, with what was expected and what came.

#[cfg(feature = "io")]
use std::path::PathBuf;

use crate::limit::Side;

/// An input or option that this crate cannot work with.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number that must be finite is not.
    #[error("{what} {got} is not a finite number")]
    NotFinite {
        /// What the number was to be.
        what: &'static str,
        /// The number.
        got: f64,
    },
    /// A value was passed as flagged although its limit does not flag it.
    #[error(
        "{what} {value} is not flagged by the {side} limit {limit}; only flagged values are evidence on it"
    )]
    NotFlagged {
        /// What the value was passed as.
        what: &'static str,
        /// The value.
        value: f64,
        /// Side of the limit.
        side: Side,
        /// The limit.
        limit: f64,
    },
    /// A repeatability that is negative or not finite.
    #[error("sigma {got} is not a repeatability: expected a finite number, not negative")]
    Sigma {
        /// The number.
        got: f64,
    },
    /// A margin that cannot be read or is negative.
    #[error("margin {got:?} is not one of 0.5 (absolute), 2% (of the old limit) or 3sigma, none negative")]
    Margin {
        /// What was given.
        got: String,
    },
    /// A resolution that cannot be read or is not positive.
    #[error("resolution {got:?} is not a positive decimal step of at most 15 digits, such as 0.01")]
    Resolution {
        /// What was given.
        got: String,
    },
    /// An option outside its range.
    #[error("{option} is {got}; expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What was given.
        got: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// A split needs something that the records do not carry.
    #[error(
        "the {split} split needs {needs}, which not every record carries; name its column in the mapping or choose another split"
    )]
    Split {
        /// The split asked for.
        split: &'static str,
        /// The missing column.
        needs: &'static str,
    },
    /// Aggregates of a limit that no set of values has.
    #[error("{reason}")]
    Aggregate {
        /// What contradicts what.
        reason: String,
    },
    /// A percentile outside its range.
    #[error(transparent)]
    Percentile(#[from] crate::percentile::PercentileError),
    /// A probability or count outside its range.
    #[error(transparent)]
    Binomial(#[from] crate::binomial::BinomialError),
    /// A file cannot be opened, read or decompressed.
    #[cfg(feature = "io")]
    #[error("{}: cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[cfg(feature = "io")]
    #[error("{}: cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A records file has no header that can be used.
    #[cfg(feature = "io")]
    #[error("{}: {reason}", path.display())]
    Header {
        /// The file.
        path: PathBuf,
        /// What is missing, what is there, and what to do.
        reason: String,
    },
    /// A mapping file does not follow the format.
    #[cfg(feature = "io")]
    #[error("{}: {reason}", path.display())]
    Mapping {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        reason: String,
    },
    /// A row of a file that must be right in every row is not.
    #[cfg(feature = "io")]
    #[error("{}: line {line}: {reason}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line, the first being 1.
        line: u64,
        /// What was expected and what came.
        reason: String,
    },
    /// A file ends inside a quoted field, so that everything after the quote would be one field.
    #[cfg(feature = "io")]
    #[error("{}: the quote opened on line {line} is never closed; close it, or double it if it belongs to the text", path.display())]
    UnclosedQuote {
        /// The file.
        path: PathBuf,
        /// Line of the quote.
        line: u64,
    },
    /// The files hold no record: a header and nothing else, or no message about inspected units.
    #[cfg(feature = "io")]
    #[error("{}: there is no record in it", path.display())]
    NoRecords {
        /// The first file.
        path: PathBuf,
    },
    /// A store or ledger is not what it should be.
    #[cfg(feature = "store")]
    #[error("{}: {reason}", path.display())]
    Store {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// A step that the ledger does not allow.
    #[cfg(feature = "store")]
    #[error("{reason}")]
    Ledger {
        /// What was asked, why it is refused, and what would be accepted.
        reason: String,
    },
    /// The caller asked to stop.
    #[error("stopped on request")]
    Cancelled,
}
