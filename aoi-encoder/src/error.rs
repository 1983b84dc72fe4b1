//! The one error type of the crate.

use std::path::PathBuf;

/// What went wrong; every variant says what was expected and what came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configuration value that no encoder can have.
    #[error("configuration: {what} must be {expected}, found {found}")]
    Config {
        /// The field.
        what: &'static str,
        /// What it has to be.
        expected: String,
        /// What it was.
        found: String,
    },
    /// A preset name that is not known.
    #[error("no preset is called {found:?}; known are {known}")]
    Preset {
        /// The name asked for.
        found: String,
        /// All names there are.
        known: String,
    },
    /// An array whose shape does not fit.
    #[error("{what}: expected shape {expected}, found {found:?}")]
    Shape {
        /// What the array holds.
        what: &'static str,
        /// The shape in words or numbers.
        expected: String,
        /// The shape that came.
        found: Vec<usize>,
    },
    /// A number that is not finite where one was needed.
    #[error("{what}: expected finite numbers, found {found} at entry {entry}")]
    NotFinite {
        /// What the array holds.
        what: String,
        /// The offending value.
        found: f64,
        /// Its position in storage order.
        entry: usize,
    },
    /// A block number outside the encoder.
    #[error("block {found} asked for, the encoder has blocks 0 to {last}")]
    Block {
        /// The number asked for.
        found: usize,
        /// The last there is.
        last: usize,
    },
    /// A file that is not what its format says.
    #[error("{path}: expected {expected}, found {found}", path = path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What it holds, or why it could not be read.
        found: String,
    },
    /// Weights whose tensors are not those of the architecture.
    #[error("weights ({family}) do not fit: {}", problems.join("; "))]
    Weights {
        /// The naming family that was recognised.
        family: &'static str,
        /// One line per missing, unused or misshapen tensor.
        problems: Vec<String>,
    },
    /// Reading or writing failed.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Training came to numbers that are none.
    #[error(
        "step {step}: the loss is {loss} and its gradient's norm {norm}; lower optimiser.rate or base_rate, or lengthen the warm-up, and \
         resume from the last checkpoint or start again"
    )]
    Diverged {
        /// The step, from 1.
        step: u64,
        /// The loss.
        loss: f64,
        /// The norm of the gradient.
        norm: f64,
    },
    /// A run that would go on with other classes, pictures or masks than it was started with.
    #[error(
        "{path}: expected {what} {expected}, with which the run was started, found {found}; resume it with those, or start a run in another folder",
        path = path.display()
    )]
    Origin {
        /// The run's checkpoint.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What the run was started with.
        expected: String,
        /// What was given now.
        found: String,
    },
    /// The progress callback asked to stop.
    #[error("cancelled after {done} of {total} images")]
    Cancelled {
        /// Images finished.
        done: usize,
        /// Images asked for.
        total: usize,
    },
}

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An [`Error::Io`] that names `path`; for `map_err`.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// An [`Error::Config`].
    pub(crate) fn config(
        what: &'static str,
        expected: impl Into<String>,
        found: &dyn std::fmt::Display,
    ) -> Self {
        Self::Config { what, expected: expected.into(), found: found.to_string() }
    }
}
