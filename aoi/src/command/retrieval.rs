//! `aoi retrieval`: exact nearest-neighbour search over arrays.

use std::path::{Path, PathBuf};

use aoi_retrieval::ndarray::{Array2, ArrayView2, CowArray, Ix2};
use aoi_retrieval::{MappedFile, Metric, RetrievalError, SearchOptions};
use aoi_tolerance::io::write_whole;
use clap::{Args, Subcommand, ValueEnum};
use ndarray_npy::{ReadNpyExt, ViewNpyError, ViewNpyExt, WriteNpyExt};
use serde_json::json;

use super::outcome::{Failure, Outcome};
use super::progress::Counter;
use super::search::{PlaceArguments, failed};
use super::threads::ThreadArguments;

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
    /// Bank: f32 [n, d]; mapped, so it may be larger than memory unless it is in Fortran order
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
    #[command(flatten)]
    place: PlaceArguments,
    #[command(flatten)]
    threads: ThreadArguments,
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

/// The bytes of a file.
enum Bytes {
    Mapped(MappedFile),
    Read(Vec<u8>),
}

impl Bytes {
    /// Maps a file, so that it may be larger than memory; what cannot be mapped, such as a pipe, is read.
    fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |e| Failure::Other(format!("{}: cannot be read: {e}", path.display()));
        if std::fs::metadata(path).map_err(failed)?.is_file() {
            return match MappedFile::open(path) {
                Ok(file) => Ok(Self::Mapped(file)),
                Err(RetrievalError::Io { source, .. }) => Err(failed(source)),
                Err(e) => Err(Failure::Other(e.to_string())),
            };
        }
        std::fs::read(path).map(Self::Read).map_err(failed)
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(file) => file.bytes(),
            Self::Read(bytes) => bytes,
        }
    }
}

/// The array in the bytes of a `.npy` file: a view, so that no memory is taken for a shape that only the header claims; a copy only where
/// numbers do not stand at multiples of their size, as no numpy writes them.
fn array<'a>(path: &Path, bytes: &'a [u8]) -> Result<CowArray<'a, f32, Ix2>, Failure> {
    let failed = |e: &dyn std::fmt::Display| {
        Failure::Other(format!("{}: expected a .npy file of f32 with two axes: {e}", path.display()))
    };
    match ArrayView2::view_npy(bytes) {
        Ok(view) => Ok(view.into()),
        // The length has been found right.
        Err(ViewNpyError::MisalignedData) => Array2::read_npy(bytes).map(Into::into).map_err(|e| failed(&e)),
        Err(e) => Err(failed(&e)),
    }
}

fn search(arguments: &SearchArguments) -> Result<Outcome, Failure> {
    let (bank_bytes, query_bytes) = (Bytes::open(&arguments.bank)?, Bytes::open(&arguments.queries)?);
    let bank = array(&arguments.bank, bank_bytes.bytes())?;
    let queries = array(&arguments.queries, query_bytes.bytes())?;
    let metric = match arguments.metric {
        MetricName::Cosine => Metric::Cosine,
        MetricName::InnerProduct => Metric::InnerProduct,
        MetricName::L2 => Metric::L2,
    };
    let threads = arguments.threads.count();
    let place = arguments.place.open()?;
    let bar = Counter::new("rows read");
    let mut on = bar.on();
    let placed = place.prepare(bank.view(), metric, threads, &mut |p| on(p.done, p.total))?;
    drop(bar);
    let (search, options) = (&placed.search, SearchOptions { k: arguments.k, threads });
    let bar = Counter::new("comparisons");
    let mut on = bar.on();
    let found = search
        .search_with_progress(queries.view(), &options, &mut |p| on(p.done, p.total))
        .map_err(failed)?;
    drop(bar);

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

    let (device, scan) = placed.answered_by();
    let [compact, float, exhaustive] = found.route_counts();
    if arguments.json {
        let summary = json!({
            "rows": search.rows(),
            "width": search.width(),
            "queries": found.queries(),
            "k": found.k(),
            "metric": metric.name(),
            "device": device,
            "gpu_scan": scan,
            "certified_by": {"compact": compact, "f32": float, "exhaustive": exhaustive},
        });
        println!("{summary}");
    } else {
        let scan = scan.map_or_else(String::new, |scan| format!(", {scan} scan"));
        println!(
            "{} queries, {} of {} rows each, on {device}{scan}",
            found.queries(),
            found.k(),
            search.rows()
        );
        println!(
            "certified by the compact scan {compact}, the f32 scan {float}, scoring every row {exhaustive}"
        );
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bank_is_viewed_in_its_mapped_file_and_copied_only_where_it_is_not_aligned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bank.npy");
        let rows = Array2::from_shape_fn((3, 2), |(i, j)| (10 * i + j) as f32);
        ndarray_npy::write_npy(&path, &rows).unwrap();
        let file = Bytes::open(&path).unwrap();
        assert!(matches!(file, Bytes::Mapped(_)));
        let found = array(&path, file.bytes()).unwrap();
        assert_eq!((&found.view(), found.is_view()), (&rows.view(), true));
        assert!(file.bytes().as_ptr_range().contains(&found.as_ptr().cast()));

        // The same header, one space shorter.
        let mut odd = file.bytes().to_vec();
        odd.remove(odd[..128].iter().rposition(|&b| b == b' ').unwrap());
        odd[8] -= 1;
        std::fs::write(&path, odd).unwrap();
        let file = Bytes::open(&path).unwrap();
        let found = array(&path, file.bytes()).unwrap();
        assert_eq!((&found.view(), found.is_view()), (&rows.view(), false));
    }

    #[cfg(unix)]
    #[test]
    fn what_cannot_be_mapped_is_read() {
        assert!(matches!(Bytes::open(Path::new("/dev/null")), Ok(Bytes::Read(bytes)) if bytes.is_empty()));
    }
}
