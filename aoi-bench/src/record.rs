//! The file of a result: what ran, where, from which commit, and every single measurement.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::machine::Machine;
use crate::results::{json_files, read};
use crate::{ceilings, estimates};

/// One file of results, such as `tolerance.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it was finished, RFC 3339.
    pub date: String,
    /// Where.
    pub machine: Machine,
    /// The command that repeats it.
    pub command: String,
    /// Mean load of the machine over the minute before the start; other work makes every number doubtful.
    pub load_before: f64,
    /// Name and version of each implementation.
    pub versions: std::collections::BTreeMap<String, String>,
    /// Side by side.
    pub comparisons: Vec<Comparison>,
}

/// Implementations of one piece of work on one input, run in turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The work, such as `limits_from_csv`.
    pub work: String,
    /// Its size, such as the number of rows.
    pub size: u64,
    /// The input in words.
    pub input: String,
    /// What was found equal before a time counted.
    pub checked: String,
    /// Multiplications and additions of one run, where the work is counted in them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operations: Option<f64>,
    /// Bytes that one run must move at least, each input read once and each result written once, where that is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<f64>,
    /// Bytes of the input in memory, where they are compared with what is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_bytes: Option<f64>,
    /// The runs of each implementation; the first is the one that the others are compared with.
    pub runs: Vec<Runs>,
}

/// All runs of one implementation, in the order in which they took turns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Runs {
    /// The implementation and its settings, such as `duckdb/typed`.
    pub name: String,
    /// Wall time of each run.
    pub seconds: Vec<f64>,
    /// Peak resident memory of each run in MiB; empty where it was not measured.
    #[serde(default)]
    pub peak_mib: Vec<f64>,
    /// Resident memory of the process after each run in MiB, with its input; empty where it was not measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_mib: Vec<f64>,
}

impl Record {
    /// Reads one file.
    ///
    /// # Errors
    /// When it cannot be read, is no record, or a comparison is empty or has runs without times.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refused = |reason: String| Error::Record { path: path.to_owned(), reason };
        let record: Self = read(path)?;
        for comparison in &record.comparisons {
            let usable =
                |r: &Runs| !r.seconds.is_empty() && r.seconds.iter().all(|s| s.is_finite() && *s > 0.0);
            if comparison.runs.is_empty() || !comparison.runs.iter().all(usable) {
                return Err(refused(format!("{} {}: runs without times", comparison.work, comparison.size)));
            }
        }
        Ok(record)
    }

    /// Reads every record below `folder`, sorted by path; ceilings, estimates and accuracies are none.
    ///
    /// # Errors
    /// As [`Record::read`]; also when the folder cannot be listed.
    pub fn read_all(folder: &Path) -> Result<Vec<(PathBuf, Self)>, Error> {
        let is_record = |path: &PathBuf| !OTHERS.iter().any(|other| path.ends_with(other));
        let paths = json_files(folder)?.into_iter().filter(is_record);
        paths.map(|path| Self::read(&path).map(|record| (path, record))).collect()
    }

    /// The runs of an implementation on a piece of work.
    pub fn runs(&self, work: &str, size: u64, name: &str) -> Option<&Runs> {
        let comparison = self.comparisons.iter().find(|c| c.work == work && c.size == size)?;
        comparison.runs.iter().find(|r| r.name == name)
    }
}

/// Files of results that are no record of turns.
const OTHERS: [&str; 3] = [ceilings::FILE, estimates::FILE, "adaptation.json"];

/// Median of a non-empty list.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let (low, high) = (sorted.get((sorted.len().max(1) - 1) / 2), sorted.get(sorted.len() / 2));
    low.zip(high).map_or(f64::NAN, |(a, b)| f64::midpoint(*a, *b))
}

/// Smallest and largest of a list.
pub fn range(values: &[f64]) -> (f64, f64) {
    values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)))
}

/// How often `base` fits into `other`: the ratio of the medians, and the range of the ratios of runs that followed each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Median of `other` over median of `base`.
    pub median: f64,
    /// Smallest ratio of a pair.
    pub low: f64,
    /// Largest ratio of a pair.
    pub high: f64,
}

impl Ratio {
    /// Compares two lists of measurements taken in turns.
    pub fn of(other: &[f64], base: &[f64]) -> Self {
        let pairs: Vec<f64> = other.iter().zip(base).map(|(o, b)| o / b).collect();
        let (low, high) = range(&pairs);
        Self { median: median(other) / median(base), low, high }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts_and_of_nothing() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_ratio_is_of_medians_and_ranges_over_pairs() {
        let ratio = Ratio::of(&[4.0, 6.0, 5.0], &[2.0, 2.0, 2.5]);
        assert_eq!((ratio.median, ratio.low, ratio.high), (2.5, 2.0, 3.0));
    }
}
