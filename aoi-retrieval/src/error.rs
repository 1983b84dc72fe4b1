//! The one error type of the crate.

/// What can go wrong; every variant says what was expected and what came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetrievalError {
    /// Queries and bank (or keys and bank) have rows of different width.
    #[error("{what} must be {expected} numbers wide like the bank, but are {actual} wide")]
    WidthMismatch {
        /// Which rows have the wrong width.
        what: &'static str,
        /// Width of the bank.
        expected: usize,
        /// Width that came.
        actual: usize,
    },
    /// Rows without any number cannot be compared.
    #[error("{what} must be at least one number wide, but are 0 wide")]
    ZeroWidth {
        /// Which rows are empty.
        what: &'static str,
    },
    /// A NaN or an infinity, which no order rule can place.
    #[error("{what} row {row}, column {column} must be a finite number, but is {value}")]
    NotFinite {
        /// Bank or query.
        what: &'static str,
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
        /// The entry.
        value: f32,
    },
    /// Row numbers are `u32`; a bank with more rows must be split.
    #[error("a bank holds at most {limit} rows, but this one has {actual}; split it")]
    TooManyRows {
        /// Largest number of rows.
        limit: usize,
        /// Rows that came.
        actual: usize,
    },
    /// An option outside its range.
    #[error("{option} must be {expected}, but is {actual}")]
    BadOption {
        /// Name of the option.
        option: &'static str,
        /// What is accepted.
        expected: String,
        /// What came.
        actual: String,
    },
}

impl RetrievalError {
    /// A [`RetrievalError::BadOption`] from anything that can be printed.
    pub(crate) fn bad_option(
        option: &'static str,
        expected: impl Into<String>,
        actual: impl std::fmt::Display,
    ) -> Self {
        Self::BadOption { option, expected: expected.into(), actual: actual.to_string() }
    }
}
