//! What can go wrong around a measurement.

use std::path::PathBuf;

/// Why a bench could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A record of results is not what this program writes.
    #[error("{}: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An answer that was checked before the clock started was wrong.
    #[error("{what}: expected {expected}, got {got}")]
    Answer {
        /// Whose answer.
        what: String,
        /// What it should be.
        expected: String,
        /// What came.
        got: String,
    },
    /// An option or an input that nothing can be made of.
    #[error("{what}: expected {expected}, got {got}")]
    Option {
        /// Which.
        what: String,
        /// What it should be.
        expected: String,
        /// What came.
        got: String,
    },
    /// Pictures, masks or patches were refused.
    #[error(transparent)]
    Pipeline(#[from] aoi::Error),
    /// The limits could not be computed.
    #[error(transparent)]
    Tolerance(#[from] aoi_tolerance::Error),
    /// The encoder refused its weights or images, or a training step could not be taken.
    #[error(transparent)]
    Encoder(#[from] aoi_encoder::Error),
    /// The neighbours could not be found.
    #[error(transparent)]
    Retrieval(#[from] aoi_retrieval::RetrievalError),
}

impl Error {
    /// For `map_err`: the file that an input or output error belongs to.
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File { path: path.to_owned(), source }
    }
}
