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
    /// An array whose shape does not fit the others.
    #[error("{what} must have the shape {expected}, but has {actual}")]
    Shape {
        /// Which array.
        what: &'static str,
        /// What would fit.
        expected: String,
        /// What came.
        actual: String,
    },
    /// A mask entry other than 0 and 1.
    #[error("mask entries must be 0 or 1, but patch {row} holds {value}")]
    NotBinary {
        /// Patch of the entry.
        row: usize,
        /// The entry.
        value: u8,
    },
    /// A row number beyond the bank.
    #[error("{what} must be below {limit}, but is {actual}")]
    OutOfRange {
        /// Which number.
        what: &'static str,
        /// The first number that is too large.
        limit: usize,
        /// What came.
        actual: usize,
    },
    /// The progress callback asked to stop.
    #[error("cancelled after {done} of {total} steps")]
    Cancelled {
        /// Steps done.
        done: usize,
        /// Steps there would have been.
        total: usize,
    },
    /// An image name that is missing or already taken.
    #[error("image {name:?} must be {expected} in the bank")]
    Image {
        /// The name.
        name: String,
        /// `absent` or `present`.
        expected: &'static str,
    },
    /// An image of which only some patches are there where all are needed, as in a coreset.
    #[error(
        "image {name:?} must have all its {expected} patches, but has {actual}; make a bank with all rows"
    )]
    PartOfImage {
        /// Name of the image.
        name: String,
        /// Patches that cover it.
        expected: usize,
        /// Patches that came.
        actual: usize,
    },
    /// A file that is no bank, or a damaged one.
    #[error("{path}: {reason}", path = path.display())]
    BadFile {
        /// The file.
        path: std::path::PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// The system could not read or write a file.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No device of the kind that was asked for.
    #[error("{wanted} is needed, but there is: {found}; install its Vulkan driver, or search on the CPU")]
    NoDevice {
        /// What was asked for.
        wanted: &'static str,
        /// The devices of the system.
        found: String,
    },
    /// Something larger than the device allows.
    #[error("{what} need {needed} bytes, but the device allows {limit}; search on the CPU")]
    DeviceLimit {
        /// What does not fit.
        what: &'static str,
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The device has no memory left.
    #[error("{device}: out of memory: {reason}; allow the search less memory, or search on the CPU")]
    DeviceMemory {
        /// The device.
        device: String,
        /// What the driver said.
        reason: String,
    },
    /// The device was reset, removed or destroyed; it must be opened again.
    #[error("{device}: lost: {reason}; open it again, or search on the CPU")]
    DeviceLost {
        /// The device.
        device: String,
        /// What the driver said.
        reason: String,
    },
    /// The device refused something for another reason.
    #[error("{device}: {reason}")]
    Device {
        /// The device.
        device: String,
        /// What the driver said.
        reason: String,
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
    /// A [`RetrievalError::Shape`] from anything that can be printed.
    pub(crate) fn shape(
        what: &'static str,
        expected: impl std::fmt::Debug,
        actual: impl std::fmt::Debug,
    ) -> Self {
        Self::Shape { what, expected: format!("{expected:?}"), actual: format!("{actual:?}") }
    }

    /// A [`RetrievalError::BadOption`] from anything that can be printed.
    pub(crate) fn bad_option(
        option: &'static str,
        expected: impl Into<String>,
        actual: impl std::fmt::Display,
    ) -> Self {
        Self::BadOption { option, expected: expected.into(), actual: actual.to_string() }
    }
}
