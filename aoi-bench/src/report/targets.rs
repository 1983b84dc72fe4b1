//! What was to be reached, and whether a machine's records reach it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::Deserialize;

use crate::ceilings::Ceilings;
use crate::record::{Comparison, Record, median};

/// The list, in the order of the table.
const TARGETS: &str = include_str!("targets.json");

/// One thing to be reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    title: String,
    /// The file of the record, without its ending.
    record: String,
    work: String,
    /// None: whatever size was measured.
    size: Option<u64>,
    ours: String,
    /// How the names of those begin that ours is compared with; for a share, the ceilings, of which the first that the machine has counts.
    others: Vec<String>,
    measure: Measure,
    at_least: Option<f64>,
    at_most: Option<f64>,
    /// Why it is missed, as far as that is known, by how the names of machines begin.
    #[serde(default)]
    why: BTreeMap<String, String>,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Measure {
    /// The time of the fastest of the others over ours.
    TimeRatio,
    /// Our time over that of the other.
    Times,
    /// Our peak memory over the least of the others'.
    MemoryRatio,
    /// What our process holds after the run over the bytes of its input.
    HeldRatio,
    /// Our time.
    Seconds,
    /// Size over our time.
    Rate,
    /// Our operations a second over the median ceiling of all threads.
    Share,
}

impl Target {
    /// The value, and who the best of the others is; none where something was not measured.
    fn value(&self, record: &Record, ceilings: Option<&Ceilings>) -> Option<(f64, String)> {
        let fits = |c: &&Comparison| c.work == self.work && self.size.is_none_or(|size| c.size == size);
        let comparison = record.comparisons.iter().find(fits)?;
        let ours = comparison.runs.iter().find(|r| r.name == self.ours)?;
        let seconds = median(&ours.seconds);
        let best = |of: &dyn Fn(&crate::record::Runs) -> Option<f64>| {
            let others = comparison.runs.iter().filter(|r| r.name != self.ours);
            let named = others.filter(|r| self.others.iter().any(|o| r.name.starts_with(o.as_str())));
            named.filter_map(|r| Some((of(r)?, r.name.clone()))).min_by(|a, b| a.0.total_cmp(&b.0))
        };
        let time = |r: &crate::record::Runs| Some(median(&r.seconds));
        let peak = |r: &crate::record::Runs| (!r.peak_mib.is_empty()).then(|| median(&r.peak_mib));
        Some(match self.measure {
            Measure::TimeRatio => best(&time).map(|(other, name)| (other / seconds, name))?,
            Measure::Times => best(&time).map(|(other, name)| (seconds / other, name))?,
            Measure::MemoryRatio => {
                let (other, name) = best(&peak)?;
                (peak(ours)? / other, name)
            }
            Measure::HeldRatio => {
                let held = (!ours.held_mib.is_empty()).then(|| median(&ours.held_mib))?;
                (held * f64::from(1 << 20) / comparison.input_bytes?, "-".to_owned())
            }
            Measure::Seconds => (seconds, "-".to_owned()),
            Measure::Rate => (comparison.size as f64 / seconds, "-".to_owned()),
            Measure::Share => {
                let ceiling = self.others.iter().find_map(|name| ceilings?.on_all_threads(name))?;
                (comparison.operations? / seconds / (ceiling.best * 1e9), ceiling.name.clone())
            }
        })
    }

    fn is_met(&self, value: f64) -> bool {
        self.at_least.is_none_or(|least| value >= least) && self.at_most.is_none_or(|most| value <= most)
    }

    /// Why a machine missed it.
    fn why(&self, machine: &str) -> &str {
        self.why
            .iter()
            .find(|(start, _)| machine.starts_with(start.as_str()))
            .map_or("not known", |(_, why)| why)
    }

    fn wanted(&self) -> String {
        let bound = |sign: &str, x: Option<f64>| x.map(|x| format!("{sign} {}", shown(x)));
        bound(">=", self.at_least).or_else(|| bound("<=", self.at_most)).unwrap_or_default()
    }
}

fn shown(x: f64) -> String {
    if x >= 1e4 { format!("{:.0} thousand", x / 1e3) } else { format!("{}", (x * 1000.0).round() / 1000.0) }
}

/// The table of one machine on one day; `records` by path.
pub(super) fn table(heading: &str, records: &[(&Path, &Record)], ceilings: Option<&Ceilings>) -> String {
    let targets: Vec<Target> = serde_json::from_str(TARGETS).expect("a sound list, as a test holds");
    let mut text = format!(
        "\n## What was to be reached: {heading}\n\n\
         | work | measured | wanted | met | beside | why not |\n|---|--:|--:|---|---|---|\n"
    );
    for target in &targets {
        let record = records.iter().find(|(path, _)| path.file_stem().is_some_and(|s| *s == *target.record));
        let (title, wanted) = (&target.title, target.wanted());
        let _ = match record.and_then(|(_, record)| target.value(record, ceilings)) {
            None => writeln!(text, "| {title} | - | {wanted} | not measured here | | |"),
            Some((value, beside)) if target.is_met(value) => {
                writeln!(text, "| {title} | {} | {wanted} | yes | {beside} | |", shown(value))
            }
            Some((value, beside)) => {
                let why = target.why(heading);
                writeln!(text, "| {title} | {} | {wanted} | **no** | {beside} | {why} |", shown(value))
            }
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples::{comparison, record, runs};
    use super::*;

    #[test]
    fn the_list_is_sound_and_every_target_has_one_bound() {
        let targets: Vec<Target> = serde_json::from_str(TARGETS).unwrap();
        assert!(targets.len() > 20);
        for t in &targets {
            assert!(t.at_least.is_some() != t.at_most.is_some(), "{}", t.title);
            assert_eq!(
                t.others.is_empty(),
                matches!(t.measure, Measure::HeldRatio | Measure::Seconds | Measure::Rate),
                "{}",
                t.title
            );
        }
    }

    #[test]
    fn a_miss_is_explained_for_the_machines_it_was_looked_into_on() {
        let targets: Vec<Target> = serde_json::from_str(TARGETS).unwrap();
        let explained =
            targets.iter().find(|t| t.title.starts_with("MAE step, ViT-Ti, batch 32, f32")).unwrap();
        let start = explained.why.keys().next().unwrap();
        assert_eq!(explained.why(&format!("{start}-x2/2026-11-22")), explained.why[start]);
        assert_eq!(explained.why("another"), "not known");
    }

    #[test]
    fn an_encoder_is_held_against_the_fastest_engine_of_its_precision() {
        let engines = ["aoi f32", "openvino f32/onnx", "onnxruntime f32/plain", "rten f32/packed"];
        let seconds = [2.0, 4.0, 5.0, 3.0];
        let runs = engines.iter().zip(seconds).map(|(name, s)| runs(name, &[s], &[])).collect();
        let record = record(vec![comparison("vit-s-16-224_f32", 8, runs)]);
        let text = table("m", &[(Path::new("m/encoder.json"), &record)], None);
        assert!(
            text.contains("| ViT-S at 224, f32, batch 8 | 1.5 | >= 1.1 | yes | rten f32/packed | |"),
            "{text}"
        );
    }

    #[test]
    fn eight_images_of_the_papers_size_are_a_target_of_their_own() {
        let runs = vec![runs("aoi f32", &[2.0], &[]), runs("torch f32/eager", &[3.0], &[])];
        let record = record(vec![comparison("paper-512_f32", 8, runs)]);
        let text = table("m", &[(Path::new("m/encoder.json"), &record)], None);
        for line in [
            "| Paper's encoder, one image of 512, f32 | - | >= 1.1 | not measured here | | |",
            "| Paper's encoder, eight images of 512, f32 | 1.5 | >= 1.1 | yes | torch f32/eager | |",
            "| Paper's encoder, eight images of 512, bf16 | - | >= 1.1 | not measured here | | |",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }

    #[test]
    fn a_target_is_met_missed_or_not_measured() {
        let runs = vec![
            runs("aoi", &[2.0], &[60.0]),
            runs("duckdb/typed", &[4.0], &[100.0]),
            runs("polars", &[3.2], &[300.0]),
        ];
        let record = record(vec![comparison("limits_from_csv", 10_000_000, runs)]);
        let text = table("m", &[(Path::new("m/tolerance.json"), &record)], None);
        assert!(
            text.lines().filter(|line| line.contains("**no**")).all(|line| line.ends_with("| not known |"))
        );
        assert!(
            text.contains("| Limits from a CSV of 10^7 records | 1.6 | >= 1.5 | yes | polars | |"),
            "{text}"
        );
        assert!(text.contains("| 0.6 | <= 0.5 | **no** | duckdb/typed |"), "{text}");
        assert!(
            text.contains("| Restart with 10^7 records, seconds | - | <= 2 | not measured here | | |"),
            "{text}"
        );
    }

    #[test]
    fn what_is_held_is_compared_with_the_input_and_not_measured_where_a_record_lacks_it() {
        let row = |held: &[f64], input_bytes| {
            let ours = crate::record::Runs { held_mib: held.to_vec(), ..runs("aoi/certified", &[2.0], &[]) };
            let built = Comparison { input_bytes, ..comparison("build_clusters", 1_000_000, vec![ours]) };
            let text = table("m", &[(Path::new("m/retrieval.json"), &record(vec![built]))], None);
            let found = text.lines().find(|line| line.contains("what is held over the f32 bank"));
            found.expect("a row").to_owned()
        };
        let bank = Some(100.0 * 1_048_576.0);
        assert!(row(&[150.0, 130.0, 131.0], bank).contains("| 1.31 | <= 1.5 | yes | - | |"));
        assert!(row(&[151.0], bank).contains("| 1.51 | <= 1.5 | **no** |"));
        for (held, input) in [(&[][..], bank), (&[150.0][..], None)] {
            assert!(row(held, input).contains("| - | <= 1.5 | not measured here |"));
        }
    }
}
