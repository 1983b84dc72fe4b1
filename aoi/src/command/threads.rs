//! The choice of how many threads work, as an argument of every command that shares work out.

use clap::Args;

/// Threads.
#[derive(Args)]
pub(crate) struct ThreadArguments {
    /// Threads [default: one per core]; results do not depend on it
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<usize>,
}

fn threads(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "expected a number from 1".to_owned())
}

impl ThreadArguments {
    /// The number asked for, or one per core.
    pub(crate) fn count(&self) -> usize {
        self.threads.unwrap_or_else(one_per_core)
    }
}

/// As many threads as there are cores to run them.
pub(crate) fn one_per_core() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
