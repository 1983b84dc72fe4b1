//! Which compact copy of a bank leaves how many rows to be scored exactly: the evidence for the one that the search uses.
//!
//! Every kind of copy gives approximate scores with a proven bound on their errors ([`coding`]). A row can still be among the k best of a query
//! when its upper bound reaches the k-th best lower bound; a query falls back where more rows do than the search would score. Each bound is checked
//! against the exact score of every row, and each set of candidates against the neighbours that the search finds. Scores are cosines. Only two kinds
//! have a scan of their own in [`CpuSearch`], and those are timed.

pub mod coding;
mod table;

use std::path::{Path, PathBuf};
use std::time::Instant;

use aoi_retrieval::ndarray::{Array2, ArrayView2, Axis, s};
use aoi_retrieval::{BoundedScores, CompactCopy, CpuOptions, CpuSearch, Metric, Search, SearchOptions};
use aoi_testing::Seeded;
use serde::{Deserialize, Serialize};

use self::coding::{Kind, Unit, approximate, unit_rows};
use crate::error::Error;
use crate::features::{self, FeaturesOptions};
use crate::machine::Machine;
use crate::record::median;

/// Queries whose scores of every row are held at once.
const AT_ONCE: usize = 64;
/// Exact scores of unit rows in f64 round by less, at any width that is coded.
const ROUNDING: f64 = 1e-10;
/// The kind that the search makes.
const OF_THE_SEARCH: &str = "copy of the search";

/// What is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Banks by name, each a folder with `bank.npy` and `queries.npy`.
    pub given: Vec<(String, PathBuf)>,
    /// Rows, queries and width of the generated banks; most queries of the given ones.
    pub generated: FeaturesOptions,
    /// Neighbours per query.
    pub k: usize,
    /// Threads of what is timed.
    pub threads: usize,
    /// Searches that are timed.
    pub rounds: usize,
}

/// What was found, as written to `compact-copies.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// When, RFC 3339.
    pub date: String,
    /// Where.
    pub machine: Machine,
    /// Neighbours per query.
    pub k: usize,
    /// Threads of what was timed.
    pub threads: usize,
    /// One after another.
    pub banks: Vec<OfBank>,
}

/// All kinds on one bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfBank {
    /// What it is.
    pub name: String,
    /// Rows, n.
    pub rows: usize,
    /// Numbers per row, d.
    pub width: usize,
    /// Queries, q.
    pub queries: usize,
    /// Length of the mean of the unit rows.
    pub mean_length: f64,
    /// Most rows that the search leaves to be scored exactly.
    pub most_rescored: usize,
    /// Bytes that the search holds beside the rows, with and without its copy.
    pub held_bytes: [usize; 2],
    /// One for each kind of copy.
    pub kinds: Vec<OfKind>,
}

/// One kind of copy on one bank.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OfKind {
    /// The kind.
    pub name: String,
    /// Bytes that a scan reads for each row: codes, step and bias.
    pub row_bytes: usize,
    /// Error bounds over all pairs of query and row.
    pub bound: Spread,
    /// Rows that can still be among the k best, over queries.
    pub candidates: Spread,
    /// Queries with more of them than the search would score.
    pub fallbacks: usize,
    /// Where the search implements it.
    pub timed: Option<Timed>,
}

/// Mean, 99th percentile (the smallest value that 99 % do not exceed) and maximum.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// 99th percentile; none of values too many to be kept.
    pub percentile_99: Option<f64>,
    /// Largest.
    pub max: f64,
}

/// Times of the search itself, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// Preparing the bank.
    pub build: f64,
    /// All queries, each round.
    pub search: Vec<f64>,
    /// Queries that fell back.
    pub fallbacks: usize,
}

/// Compares on every bank and writes `compact-copies.json` and `compact-copies.md` into a folder; `say` hears of each bank.
///
/// # Errors
/// When a bank cannot be read or is refused, a bound or a set of candidates is found wrong, or nothing can be written.
pub fn run(options: &Options, date: String, out: &Path, say: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let mut banks = Vec::new();
    for (name, folder) in &options.given {
        say(name);
        let queries = features::read(&folder.join("queries.npy"))?;
        let kept = spread_evenly(&queries, options.generated.queries);
        banks.push(compare(name, &features::read(&folder.join("bank.npy"))?, &kept, options)?);
    }
    for (name, draw) in
        [("clusters", features::draw as fn(&FeaturesOptions) -> _), ("uniform", draw_uniform as _)]
    {
        say(name);
        let (bank, queries): (Array2<f32>, Array2<f32>) = draw(&options.generated);
        banks.push(compare(name, &bank, &queries, options)?);
    }
    let (k, threads) = (options.k, options.threads);
    let found = Comparison { date, machine: Machine::describe(), k, threads, banks };
    std::fs::create_dir_all(out).map_err(Error::file(out))?;
    let json = serde_json::to_string_pretty(&found).unwrap_or_default() + "\n";
    for (name, text) in [("compact-copies.json", json), ("compact-copies.md", table::markdown(&found))] {
        let path = out.join(name);
        std::fs::write(&path, text).map_err(Error::file(&path))?;
    }
    Ok(())
}

/// At most so many rows, as far apart as they are many.
fn spread_evenly(rows: &Array2<f32>, most: usize) -> Array2<f32> {
    let (n, kept) = (rows.nrows(), rows.nrows().min(most));
    let chosen: Vec<usize> = (0..kept).map(|i| i * n / kept).collect();
    rows.select(Axis(0), &chosen)
}

/// Unit rows in every direction alike: nothing is near, and a bound has to tell rows apart that are almost equally far.
pub fn draw_uniform(options: &FeaturesOptions) -> (Array2<f32>, Array2<f32>) {
    let mut random = Seeded::new(options.seed);
    let mut rows = |count: usize| {
        let flat: Vec<f32> = (0..count)
            .flat_map(|_| {
                let row = random.normals_f32(options.width);
                let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
                row.into_iter().map(move |x| x / norm)
            })
            .collect();
        Array2::from_shape_vec((count, options.width), flat)
            .unwrap_or_else(|_| unreachable!("count rows of one width"))
    };
    (rows(options.rows), rows(options.queries))
}

/// Every kind of copy of one bank `[n, d]`, judged by queries `[q, d]`.
///
/// # Errors
/// When bank or queries are refused, or a bound or a set of candidates is found wrong.
pub fn compare(
    name: &str,
    bank: &Array2<f32>,
    queries: &Array2<f32>,
    options: &Options,
) -> Result<OfBank, Error> {
    let (rows, asked) = (unit_rows(bank), unit_rows(queries));
    let centre = rows.mean_axis(Axis(0)).unwrap_or_else(|| unreachable!("a bank without rows is refused"));
    let (search, with_copy) = timed(bank, queries, CompactCopy::Always, options)?;
    let (scan, without) = timed(bank, queries, CompactCopy::Never, options)?;
    let search_options = SearchOptions { k: options.k, threads: options.threads };
    let nearest = search.search(queries.view(), &search_options)?;
    let width = bank.ncols();
    let axes = search.axes().unwrap_or_default();
    let kinds = Kind::ALL.map(|kind| (kind.name(), kind.row_bytes(width)));
    let mut judged: Vec<Judged> =
        kinds.into_iter().map(|(name, row_bytes)| Judged::new(name, row_bytes)).collect();
    judged.push(Judged::new(OF_THE_SEARCH, 2 * axes + width + 8));
    for first in (0..queries.nrows()).step_by(AT_ONCE) {
        let part = first..queries.nrows().min(first + AT_ONCE);
        let exact = asked.slice(s![part.clone(), ..]).dot(&rows.t());
        let neighbours = nearest.indices.slice(s![part.clone(), ..]);
        for (at, judged) in judged.iter_mut().enumerate() {
            let bounded = match Kind::ALL.get(at) {
                Some(kind) => {
                    let asked = Unit { rows: asked.slice(s![part.clone(), ..]), centre: &centre };
                    approximate(*kind, &Unit { rows: rows.view(), centre: &centre }, &asked)
                }
                None => search
                    .bounded_scores(queries.slice(s![part.clone(), ..]))?
                    .unwrap_or_else(|| unreachable!("it was built with a copy")),
            };
            judged.judge(&bounded, &exact, &neighbours)?;
        }
    }
    let most_rescored = search.most_rescored(options.k);
    let mut kinds: Vec<OfKind> = judged.into_iter().map(|j| j.found(most_rescored)).collect();
    for (name, timed) in [(OF_THE_SEARCH, with_copy), (Kind::F32.name(), without)] {
        kinds.iter_mut().filter(|k| k.name == name).for_each(|k| k.timed = Some(timed.clone()));
    }
    Ok(OfBank {
        name: name.to_owned(),
        rows: bank.nrows(),
        width,
        queries: queries.nrows(),
        mean_length: centre.dot(&centre).sqrt(),
        most_rescored,
        held_bytes: [search.extra_bytes(), scan.extra_bytes()],
        kinds,
    })
}

fn timed<'a>(
    bank: &'a Array2<f32>,
    queries: &Array2<f32>,
    copy: CompactCopy,
    options: &Options,
) -> Result<(CpuSearch<'a>, Timed), Error> {
    let start = Instant::now();
    let built = CpuOptions { copy, threads: options.threads, ..CpuOptions::default() };
    let search = CpuSearch::new(bank.view(), Metric::Cosine, &built)?;
    let build = start.elapsed().as_secs_f64();
    let (mut seconds, mut fallbacks) = (Vec::new(), 0);
    for _ in 0..options.rounds {
        let start = Instant::now();
        let found =
            search.search(queries.view(), &SearchOptions { k: options.k, threads: options.threads })?;
        seconds.push(start.elapsed().as_secs_f64());
        let [compact, f32, _] = found.route_counts();
        fallbacks = found.queries() - if copy == CompactCopy::Never { f32 } else { compact };
    }
    Ok((search, Timed { build, search: seconds, fallbacks }))
}

/// What is being gathered about one kind.
struct Judged {
    name: &'static str,
    row_bytes: usize,
    bounds: (f64, f64, f64),
    candidates: Vec<f64>,
}

impl Judged {
    fn new(name: &'static str, row_bytes: usize) -> Self {
        Self { name, row_bytes, bounds: (0.0, 0.0, 0.0), candidates: Vec::new() }
    }

    /// Takes some queries: their bounded scores, exact scores and neighbours, `[q, n]`, `[q, n]` and `[q, k]`.
    fn judge(
        &mut self,
        bounded: &BoundedScores,
        exact: &Array2<f64>,
        neighbours: &ArrayView2<'_, u32>,
    ) -> Result<(), Error> {
        for (q, exact) in exact.outer_iter().enumerate() {
            let (values, errors) = (bounded.values.row(q), bounded.errors.row(q));
            let (mut least, mut most) = (f64::NEG_INFINITY, f64::INFINITY);
            for ((&exact, &value), &error) in exact.iter().zip(values).zip(errors) {
                let (value, error) = (f64::from(value), f64::from(error));
                least = least.max(exact - value - error);
                most = most.min(exact - value + error);
                let (sum, count, max) = self.bounds;
                self.bounds = (sum + error, count + 1.0, max.max(error));
            }
            if least > most + ROUNDING {
                return Err(self.wrong("errors within their bounds", format!("{:e} beyond", least - most)));
            }
            let lower: Vec<f64> =
                values.iter().zip(errors).map(|(v, e)| f64::from(*v) - f64::from(*e)).collect();
            let reached = kth_largest(lower, neighbours.ncols());
            let reaches = |row: usize| f64::from(values[row]) + f64::from(errors[row]) >= reached;
            if let Some(row) = neighbours.row(q).iter().find(|row| !reaches(**row as usize)) {
                return Err(self.wrong("every neighbour among the candidates", format!("not row {row}")));
            }
            self.candidates.push((0..values.len()).filter(|row| reaches(*row)).count() as f64);
        }
        Ok(())
    }

    fn wrong(&self, expected: &str, got: String) -> Error {
        Error::Answer { what: self.name.to_owned(), expected: expected.to_owned(), got }
    }

    fn found(self, most_rescored: usize) -> OfKind {
        let (sum, count, max) = self.bounds;
        let limit = most_rescored as f64;
        OfKind {
            name: self.name.to_owned(),
            row_bytes: self.row_bytes,
            bound: Spread { mean: sum / count, percentile_99: None, max },
            fallbacks: self.candidates.iter().filter(|c| **c > limit).count(),
            candidates: Spread::of(self.candidates),
            timed: None,
        }
    }
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let rank = (99 * values.len()).div_ceil(100);
        let at = |rank: usize| rank.checked_sub(1).map_or(f64::NAN, |i| values[i]);
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Self { mean, percentile_99: Some(at(rank)), max: at(values.len()) }
    }
}

impl Timed {
    /// Median of the rounds.
    pub fn seconds(&self) -> f64 {
        median(&self.search)
    }
}

/// The k-th largest of at least k values.
fn kth_largest(mut values: Vec<f64>, k: usize) -> f64 {
    *values.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a)).1
}

#[cfg(test)]
mod tests;
