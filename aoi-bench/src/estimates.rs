//! What criterion found in this workspace's benches, kept with the other results.
//!
//! Criterion leaves a folder for each benchmark; [`collect`] takes the newest estimate of each. The folder may still hold benchmarks of other commits: for a record,
//! let criterion start with an empty one (`CRITERION_HOME`), as `tools/peers/run.py` does.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::machine::Machine;
use crate::results::{json_files, read};

/// The file of these results.
pub const FILE: &str = "criterion.json";

/// All estimates of one run of the benches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimates {
    /// When they were collected, RFC 3339.
    pub date: String,
    /// Where.
    pub machine: Machine,
    /// The command that repeats them.
    pub command: String,
    /// One a benchmark.
    pub estimates: Vec<Estimate>,
}

/// The time of one iteration of a benchmark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Group, such as `retrieval/mix`.
    pub group: String,
    /// What ran, such as `cpu_f32`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// On what, mostly a size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Things that one iteration works on, such as records, patches or products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<u64>,
    /// Median time of an iteration.
    pub seconds: f64,
    /// Lower end of the median's confidence interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Its level, such as 0.95.
    pub level: f64,
}

/// `benchmark.json`, as far as it is used.
#[derive(Deserialize)]
struct Benchmark {
    group_id: String,
    function_id: Option<String>,
    value_str: Option<String>,
    throughput: Option<Throughput>,
}

/// Work of an iteration; that in bytes is not shown.
#[derive(Deserialize)]
enum Throughput {
    Elements(u64),
    #[serde(untagged)]
    Other(serde::de::IgnoredAny),
}

/// `estimates.json`, as far as it is used; nanoseconds.
#[derive(Deserialize)]
struct Found {
    median: Median,
}

#[derive(Deserialize)]
struct Median {
    confidence_interval: ConfidenceInterval,
    point_estimate: f64,
}

#[derive(Deserialize)]
struct ConfidenceInterval {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

/// The newest estimate of each benchmark in criterion's folder, by group, function and size.
///
/// # Errors
/// When there is none, a file cannot be read, or is not what criterion 0.8 writes.
pub fn collect(criterion: &Path) -> Result<Vec<Estimate>, Error> {
    let mut found = Vec::new();
    for file in json_files(criterion)?.iter().filter(|path| path.ends_with("new/estimates.json")) {
        let Found { median } = read(file)?;
        let Benchmark { group_id, function_id, value_str, throughput } =
            read(&file.with_file_name("benchmark.json"))?;
        let elements = match throughput {
            Some(Throughput::Elements(n)) => Some(n),
            Some(Throughput::Other(_)) | None => None,
        };
        let ConfidenceInterval { confidence_level, lower_bound, upper_bound } = median.confidence_interval;
        found.push(Estimate {
            group: group_id,
            function: function_id,
            value: value_str,
            elements,
            seconds: median.point_estimate / 1e9,
            low: lower_bound / 1e9,
            high: upper_bound / 1e9,
            level: confidence_level,
        });
    }
    if found.is_empty() {
        return Err(Error::Record {
            path: criterion.to_owned(),
            reason: "holds no estimates of criterion: run `cargo bench -p aoi-bench` first".to_owned(),
        });
    }
    found.sort_by(|a, b| {
        let text = |e: &Estimate| (e.group.clone(), e.function.clone());
        text(a).cmp(&text(b)).then(a.size().total_cmp(&b.size())).then(a.value.cmp(&b.value))
    });
    Ok(found)
}

impl Estimate {
    /// The value as a number; infinite where it is none.
    pub fn size(&self) -> f64 {
        self.value.as_ref().and_then(|v| v.parse().ok()).unwrap_or(f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, benchmark: &str, nanoseconds: f64) {
        let folder = folder.join(name).join("new");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("benchmark.json"), benchmark).unwrap();
        let [low, high] = [0.5, 2.0].map(|f| f * nanoseconds);
        let estimate = format!(
            r#"{{"confidence_interval":{{"confidence_level":0.95,"lower_bound":{low},"upper_bound":{high}}},
            "point_estimate":{nanoseconds},"standard_error":1.0}}"#
        );
        let all = format!(r#"{{"mean":{estimate},"median":{estimate},"slope":null}}"#);
        std::fs::write(folder.join("estimates.json"), all).unwrap();
    }

    #[test]
    fn the_newest_median_of_each_benchmark_is_taken_in_order_of_size() {
        let folder = tempfile::tempdir().unwrap();
        let benchmark = |value: &str, throughput: &str| {
            format!(
                r#"{{"group_id":"g/h","function_id":"cpu","value_str":"{value}","throughput":{throughput},"full_id":"x"}}"#
            )
        };
        write(folder.path(), "g_h/cpu/1000", &benchmark("1000", r#"{"Elements":7}"#), 2e9);
        write(folder.path(), "g_h/cpu/200", &benchmark("200", r#"{"Bytes":7}"#), 1e9);
        write(folder.path(), "g_h/cpu/some", &benchmark("some", "null"), 3e9);
        // What an older run left beside the newest is no result.
        let base = folder.path().join("g_h/cpu/200/base");
        std::fs::create_dir(&base).unwrap();
        std::fs::write(base.join("estimates.json"), "{}").unwrap();

        let found = collect(folder.path()).unwrap();
        let seen: Vec<_> =
            found.iter().map(|e| (e.value.as_deref().unwrap(), e.elements, e.seconds)).collect();
        assert_eq!(seen, [("200", None, 1.0), ("1000", Some(7), 2.0), ("some", None, 3.0)]);
        assert_eq!((found[0].low, found[0].high, found[0].level), (0.5, 2.0, 0.95));
    }

    #[test]
    fn a_folder_without_estimates_and_a_damaged_one_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = collect(folder.path()).unwrap_err().to_string();
        assert!(error.contains("cargo bench"), "{error}");
        write(folder.path(), "g/cpu/1", "{}", 1.0);
        let error = collect(folder.path()).unwrap_err().to_string();
        assert!(error.contains("benchmark.json") && error.contains("group_id"), "{error}");
    }
}
