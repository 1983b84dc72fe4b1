//! The one error type of the pipeline.

use std::path::{Path, PathBuf};

/// What went wrong; every variant says what was expected and what came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The encoder's word.
    #[error(transparent)]
    Encoder(#[from] aoi_encoder::Error),
    /// The retrieval's word.
    #[error(transparent)]
    Retrieval(#[from] aoi_retrieval::RetrievalError),
    /// The tolerance crate's word.
    #[error(transparent)]
    Tolerance(#[from] aoi_tolerance::Error),
    /// A file that is not what it should be.
    #[error("{path}: expected {expected}, found {found}; {remedy}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: String,
        /// What it holds.
        found: String,
        /// What can be done.
        remedy: String,
    },
    /// A row of a table that cannot be used.
    #[error("{path}, line {line}: expected {expected}, found {found}", path = path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The line the row starts on, the header being line 1.
        line: u64,
        /// What should stand there.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// Reading or writing failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An option outside its range.
    #[error("{option} must be {expected}, found {found}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What is accepted.
        expected: String,
        /// What came.
        found: String,
    },
    /// Arrays or files that do not belong together.
    #[error("{what}: expected {expected}, found {found}; {remedy}")]
    Mismatch {
        /// Which two things.
        what: String,
        /// What would fit.
        expected: String,
        /// What came.
        found: String,
        /// What can be done.
        remedy: &'static str,
    },
    /// The progress callback asked to stop.
    #[error("cancelled after {done} of {total} {what}")]
    Cancelled {
        /// What was counted.
        what: &'static str,
        /// How many were finished.
        done: usize,
        /// How many there would have been.
        total: usize,
    },
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Io`] that names `path`; for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }

    /// An [`Error::File`].
    pub(crate) fn file(
        path: &Path,
        expected: impl Into<String>,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::File {
            path: path.to_owned(),
            expected: expected.into(),
            found: found.into(),
            remedy: remedy.into(),
        }
    }

    /// An [`Error::Option`].
    pub(crate) fn option(
        option: &'static str,
        expected: impl Into<String>,
        found: impl std::fmt::Display,
    ) -> Self {
        Self::Option { option, expected: expected.into(), found: found.to_string() }
    }

    /// Whether the caller's arguments, not the data, are at fault.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Option { .. }
                | Self::Encoder(aoi_encoder::Error::Config { .. })
                | Self::Retrieval(aoi_retrieval::RetrievalError::BadOption { .. })
        )
    }
}
