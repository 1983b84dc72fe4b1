//! `aoi retrieval`: exact nearest-neighbour search over arrays.

use std::path::{Path, PathBuf};

use aoi_retrieval::ndarray::ArrayView2;
use aoi_retrieval::{Metric, SearchOptions};
use aoi_tolerance::io::write_whole;
use clap::{Args, Subcommand, ValueEnum};
use ndarray_npy::{ViewNpyExt, WriteNpyExt};
use serde_json::json;

use super::devices::Device;
use super::outcome::{Failure, Outcome};
use super::search::{Placed, failed, prepare};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Find the exact k nearest rows of a bank for every query.
    Search(SearchArguments),
}

#[derive(Args)]
#[command(
    after_help = "\"Exact\" is the order of the f64 scores of the f32 inputs, ties by lower row: one right answer.\n\n\
    Example:\n  aoi retrieval search --bank B.npy --queries Q.npy --k 30 --metric cosine --out found/"
)]
pub(crate) struct SearchArguments {
    /// Bank: f32 [n, d]
    #[arg(long, value_name = "B.npy")]
    bank: PathBuf,
    /// Queries: f32 [q, d]
    #[arg(long, value_name = "Q.npy")]
    queries: PathBuf,
    /// Neighbours per query; a bank with fewer rows gives all of them
    #[arg(long, default_value_t = 30)]
    k: usize,
    /// What "near" means; l2 gives squared distances
    #[arg(long, value_enum, default_value = "cosine")]
    metric: MetricName,
    /// Folder for indices.npy (u32 [q, k], best first) and scores.npy (f32 [q, k])
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Where to search; results do not depend on it
    #[arg(long, value_enum, default_value = "auto")]
    device: Device,
    /// Threads [default: one per core]; results do not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print the summary as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum MetricName {
    /// Inner product of unit vectors; a zero row has 0 to everything
    Cosine,
    /// Inner product
    InnerProduct,
    /// Squared Euclidean distance
    L2,
}

/// Runs one of the subcommands.
pub(crate) fn run(command: &Command) -> Result<Outcome, Failure> {
    let Command::Search(arguments) = command;
    search(arguments)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|e| Failure::Other(format!("{}: cannot be read: {e}", path.display())))
}

/// The array in the bytes of a `.npy` file: a view, so that no memory is taken for a shape that only the header claims.
fn array<'a>(path: &Path, bytes: &'a [u8]) -> Result<ArrayView2<'a, f32>, Failure> {
    ArrayView2::view_npy(bytes).map_err(|e| {
        Failure::Other(format!("{}: expected a .npy file of f32 with two axes: {e}", path.display()))
    })
}

fn search(arguments: &SearchArguments) -> Result<Outcome, Failure> {
    let (bank_bytes, query_bytes) = (read(&arguments.bank)?, read(&arguments.queries)?);
    let bank = array(&arguments.bank, &bank_bytes)?;
    let queries = array(&arguments.queries, &query_bytes)?;
    let metric = match arguments.metric {
        MetricName::Cosine => Metric::Cosine,
        MetricName::InnerProduct => Metric::InnerProduct,
        MetricName::L2 => Metric::L2,
    };
    let threads = arguments.threads.unwrap_or(0);
    let Placed { search, device } = prepare(bank, metric, arguments.device, threads)?;
    let found = search.search(queries, &SearchOptions { k: arguments.k, threads }).map_err(failed)?;

    std::fs::create_dir_all(&arguments.out)
        .map_err(|e| Failure::Other(format!("{}: cannot be made: {e}", arguments.out.display())))?;
    #[expect(clippy::cast_possible_truncation, reason = "the file's number type is f32")]
    let scores = found.scores.mapv(|s| s as f32);
    write_whole(&arguments.out.join("indices.npy"), |out| {
        found.indices.write_npy(out).map_err(std::io::Error::other)
    })?;
    write_whole(&arguments.out.join("scores.npy"), |out| {
        scores.write_npy(out).map_err(std::io::Error::other)
    })?;

    let [compact, float, exhaustive] = found.route_counts();
    if arguments.json {
        let summary = json!({
            "rows": search.rows(),
            "width": search.width(),
            "queries": found.queries(),
            "k": found.k(),
            "metric": metric.name(),
            "device": device,
            "certified_by": {"compact": compact, "f32": float, "exhaustive": exhaustive},
        });
        println!("{summary}");
    } else {
        println!("{} queries, {} of {} rows each, on {device}", found.queries(), found.k(), search.rows());
        println!(
            "certified by the compact scan {compact}, the f32 scan {float}, scoring every row {exhaustive}"
        );
    }
    Ok(Outcome::Done)
}
