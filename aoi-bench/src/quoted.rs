//! Numbers in a text against the record that they come from.
//!
//! A quoted number is followed by a comment that names its source, invisible where Markdown is shown:
//!
//! ```text
//! 2.1<!-- bench: some-machine/2026-01-31/tolerance.json limits_from_csv 10000000 duckdb/typed time_ratio -->
//! ```
//!
//! The number must be the record's, rounded to the decimals that are shown. What can be quoted: `seconds` and `peak_mib` (medians),
//! `time_ratio` and `memory_ratio` (medians over those of the comparison's first implementation).

use std::path::Path;

use crate::error::Error;
use crate::record::{Ratio, Record, median};

/// What became of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Quoted numbers.
    pub quotes: usize,
    /// Those that are not the record's, as `LINE: what is wrong`.
    pub faults: Vec<String>,
}

const OPEN: &str = "<!-- bench:";
const CLOSE: &str = "-->";

/// Checks every quoted number of a text; `results` is the folder that sources are named from.
///
/// # Errors
/// Never for a wrong quote, which is a fault; when a record is damaged.
pub fn check(text: &str, results: &Path) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    for (line, content) in (1..).zip(text.lines()) {
        let mut rest = content;
        while let Some((before, after)) = rest.split_once(OPEN) {
            let (source, following) = after.split_once(CLOSE).unwrap_or((after, ""));
            checked.quotes += 1;
            if let Some(fault) = fault(before, source, results)? {
                checked.faults.push(format!("{line}: {fault}"));
            }
            rest = following;
        }
    }
    Ok(checked)
}

/// What is wrong with one quote.
fn fault(before: &str, source: &str, results: &Path) -> Result<Option<String>, Error> {
    let from = before
        .rfind(|c: char| !(c.is_ascii_digit() || c == '.'))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    let shown = &before[from..];
    let Ok(number) = shown.parse::<f64>() else {
        return Ok(Some(format!("no number stands before the source {:?}", source.trim())));
    };
    let words: Vec<&str> = source.split_whitespace().collect();
    // Names of implementations may hold spaces.
    let [file, work, size, name @ .., what] = words.as_slice() else {
        return Ok(Some(format!("expected FILE WORK SIZE NAME WHAT, got {:?}", source.trim())));
    };
    let name = name.join(" ");
    let path = results.join(file);
    if !path.is_file() {
        return Ok(Some(format!("there is no record {file}")));
    }
    let record = Record::read(&path)?;
    let Some(recorded) = size.parse().ok().and_then(|size| lookup(&record, work, size, &name, what)) else {
        return Ok(Some(format!("{file} has no {what} of {name} for {work} at {size}")));
    };
    let decimals = shown.split_once('.').map_or(0, |(_, d)| d.len());
    let rounded = format!("{recorded:.decimals$}");
    // Compared as numbers, so that 2.10 and 2.1 differ only in what they claim.
    let same = rounded.parse::<f64>().is_ok_and(|r| r == number);
    Ok((!same).then(|| format!("{shown} is quoted, {file} has {rounded}")))
}

fn lookup(record: &Record, work: &str, size: u64, name: &str, what: &str) -> Option<f64> {
    let comparison = record.comparisons.iter().find(|c| c.work == work && c.size == size)?;
    let runs = comparison.runs.iter().find(|r| r.name == name)?;
    let base = comparison.runs.first()?;
    let number = match what {
        "seconds" => median(&runs.seconds),
        "peak_mib" => median(&runs.peak_mib),
        "time_ratio" => Ratio::of(&runs.seconds, &base.seconds).median,
        "memory_ratio" => Ratio::of(&runs.peak_mib, &base.peak_mib).median,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &str = r#"{"date": "2026-01-31T00:00:00Z", "machine": {"cpu": "c", "cpu_numbers": "1-2-3", "features": [],
        "cores": 2, "memory_mib": 1, "system": "s", "rustc": "r", "commit": "0", "dirty": false}, "command": "c", "load_before": 0,
        "versions": {}, "comparisons": [{"work": "w", "size": 7, "input": "", "checked": "", "runs": [
        {"name": "aoi", "seconds": [2.0, 2.0, 3.0], "peak_mib": [10.0]},
        {"name": "peer", "seconds": [4.0, 4.5, 9.0], "peak_mib": [25.0]},
        {"name": "peer f32/plain", "seconds": [6.0, 6.0, 6.0]}]}]}"#;

    fn faults(text: &str) -> (usize, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("r.json"), RECORD).unwrap();
        let checked = check(text, folder.path()).unwrap();
        (checked.quotes, checked.faults)
    }

    #[test]
    fn numbers_of_the_record_pass_at_the_decimals_shown() {
        let text = "It is 2.25<!-- bench: r.json w 7 peer time_ratio -->x as fast, \u{d7}2.5<!-- bench: r.json w 7 peer memory_ratio -->\n\
                    4.5<!-- bench: r.json w 7 peer seconds --> s, 10<!-- bench: r.json w 7 aoi peak_mib --> MiB, \
                    6<!-- bench: r.json w 7 peer f32/plain seconds --> s";
        assert_eq!(faults(text), (5, vec![]));
    }

    #[test]
    fn a_number_that_differs_is_named_with_its_line() {
        let (quotes, faults) = faults("fine\n2.3<!-- bench: r.json w 7 peer seconds -->");
        assert_eq!(quotes, 1);
        assert_eq!(faults, ["2: 2.3 is quoted, r.json has 4.5"]);
    }

    #[test]
    fn a_quote_without_number_record_or_entry_is_a_fault() {
        for source in [
            "much<!-- bench: r.json w 7 peer seconds -->",
            "1<!-- bench: none.json w 7 peer seconds -->",
            "1<!-- bench: r.json w 8 peer seconds -->",
            "1<!-- bench: r.json w 7 other seconds -->",
            "1<!-- bench: r.json w 7 peer speed -->",
            "1<!-- bench: r.json w 7 -->",
            "1<!-- bench: r.json",
        ] {
            assert_eq!(faults(source).1.len(), 1, "{source}");
        }
    }

    /// The quotes of this repository; passes with none, which is why the tests above make it fail.
    #[test]
    fn the_readme_quotes_what_was_recorded() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(here.join("../README.md")).unwrap();
        let checked = check(&text, &here.join("results")).unwrap();
        assert!(checked.faults.is_empty(), "{:#?}", checked.faults);
    }
}
