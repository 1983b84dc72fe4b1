//! How a command ends.

use std::fmt;

use aoi_retrieval::RetrievalError;
use aoi_tolerance::Error;

/// A command that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done.
    Done,
    /// Done, but the answer is no.
    No,
}

/// A command that could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library's word.
    Tolerance(Error),
    /// The pipeline's word.
    Pipeline(aoi::Error),
    /// Arguments that do not fit together.
    Usage(String),
    /// Anything else.
    Other(String),
}

impl Failure {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Tolerance(Error::Option { .. } | Error::Margin { .. } | Error::Resolution { .. }) => 2,
            Self::Pipeline(error) if error.is_usage() => 2,
            Self::Tolerance(_) | Self::Pipeline(_) | Self::Other(_) => 1,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Tolerance(error)
    }
}

impl From<aoi::Error> for Failure {
    fn from(error: aoi::Error) -> Self {
        Self::Pipeline(error)
    }
}

impl From<RetrievalError> for Failure {
    fn from(error: RetrievalError) -> Self {
        Self::Pipeline(error.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tolerance(error) => write!(f, "{error}"),
            Self::Pipeline(error) => write!(f, "{error}"),
            Self::Usage(text) | Self::Other(text) => f.write_str(text),
        }
    }
}
