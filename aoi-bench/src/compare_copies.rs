//! `aoi-bench compare-copies`.

use std::path::PathBuf;

use aoi_bench::Error;
use aoi_bench::compact_copies::{self, Options};
use aoi_bench::features::FeaturesOptions;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A bank besides the generated ones, by its name: FOLDER has bank.npy and queries.npy
    #[arg(long = "bank", value_name = "NAME=FOLDER", value_parser = named_folder)]
    banks: Vec<(String, PathBuf)>,
    /// Rows of the generated banks
    #[arg(long, default_value_t = 100_000)]
    rows: usize,
    /// Queries of every bank
    #[arg(long, default_value_t = 256)]
    queries: usize,
    /// Numbers per generated row
    #[arg(long, default_value_t = FeaturesOptions::default().width)]
    width: usize,
    /// Neighbours per query
    #[arg(long, default_value_t = 30)]
    k: usize,
    /// Threads of what is timed
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Searches that are timed
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Folder for compact-copies.json and compact-copies.md
    #[arg(long)]
    out: PathBuf,
}

/// `NAME=FOLDER`.
fn named_folder(text: &str) -> Result<(String, PathBuf), String> {
    let parts = text.split_once('=').filter(|(name, folder)| !name.is_empty() && !folder.is_empty());
    parts
        .map(|(name, folder)| (name.to_owned(), folder.into()))
        .ok_or_else(|| "expected NAME=FOLDER".to_owned())
}

impl Arguments {
    /// Runs the command.
    pub(crate) fn run(self, date: String) -> Result<(), Error> {
        let Self { banks: given, rows, queries, width, k, threads, rounds, out } = self;
        let generated = FeaturesOptions { rows, queries, width, ..FeaturesOptions::default() };
        let options = Options { given, generated, k, threads, rounds };
        compact_copies::run(&options, date, &out, &mut |bank| eprintln!("{bank}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_is_a_name_and_a_folder() {
        assert_eq!(named_folder("a=b=c").unwrap(), ("a".to_owned(), PathBuf::from("b=c")));
        for wrong in ["a", "=b", "a="] {
            assert_eq!(named_folder(wrong).unwrap_err(), "expected NAME=FOLDER");
        }
    }
}
