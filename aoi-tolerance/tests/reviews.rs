//! A small review history from file to answer: what-if, limits chosen together, labels worth a second look. Data: `tools/fixtures/reviews.py`, which
//! computed what is expected.
#![cfg(feature = "io")]

use std::path::{Path, PathBuf};

use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::{ReadOptions, read_records};
use aoi_tolerance::joint::optimise_joint;
use aoi_tolerance::limit::{Boundary, is_flagged};
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::{Limit, Population};
use aoi_tolerance::quality::{Agreement, QualityOptions, Suspect, assess};
use aoi_tolerance::record::Verdict;
use aoi_tolerance::simulate::simulate;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/reviews").join(name)
}

fn population() -> Population {
    read_records(&[data("records.csv")], &ReadOptions::default(), &mut ()).unwrap().population
}

fn evidence(population: &Population) -> Vec<Evidence> {
    population.limits.iter().map(Limit::evidence).collect()
}

/// The rows of one kind, in the order of the file.
fn expected(what: &str) -> Vec<Vec<f64>> {
    let text = std::fs::read_to_string(data("expected.csv")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix(what)?.strip_prefix(','));
    let rows: Vec<Vec<f64>> = rows.map(|r| r.split(',').map(|n| n.parse().unwrap()).collect()).collect();
    assert!(!rows.is_empty(), "{what}");
    rows
}

#[test]
fn the_sums_of_a_what_if_are_those_of_trying_each_percentile() {
    let evidence = evidence(&population());
    let expected = expected("what_if");
    let percentiles: Vec<f64> = expected.iter().map(|row| row[0]).collect();
    for threads in [1, 3] {
        let mut found = Vec::new();
        simulate(&evidence, &percentiles, &Options { threads, ..Options::default() }, |what_if| {
            let totals = what_if.totals();
            let counts = [totals.false_calls_after, totals.defects_after, totals.moved].map(|n| n as f64);
            found.push([&[what_if.percentile()], &counts[..]].concat());
            Ok(())
        })
        .unwrap();
        assert_eq!(found, expected);
    }
}

#[test]
fn limits_chosen_together_release_what_trying_every_choice_finds_and_keep_every_fault() {
    let mut population = population();
    population.limits.retain(|limit| limit.id.key.part == "R1");
    let joint = optimise_joint(&population, &Options::default()).unwrap();
    let found = [joint.instances, joint.released_one_by_one, joint.released].map(|n| n as f64);
    assert_eq!(found.to_vec(), expected("together")[0]);
    assert!(joint.is_optimal() && joint.released > joint.released_one_by_one);
    // The law: each fault is flagged by the limit that is said to hold it.
    assert_eq!(joint.held.len(), 16);
    for held in &joint.held {
        let limit = &joint.proposals[held.limit];
        assert_eq!(held.flagged, is_flagged(held.value, limit.new_limit, limit.side, Boundary::Passes));
        // The two rows of a fault stand on an odd line and the even one after it.
        let mut fault =
            joint.held.iter().filter(|other| other.source.line.div_ceil(2) == held.source.line.div_ceil(2));
        assert!(fault.any(|row| row.flagged && row.limit == held.held_by), "{held:?}");
    }
}

#[test]
fn planted_labels_are_found_and_change_nothing() {
    let population = population();
    let options = Options::default();
    let before = optimise(&evidence(&population), &options).unwrap();
    let quality = assess(&population, &QualityOptions::default(), &options).unwrap();
    let lines = |suspects: &[Suspect]| {
        let mut lines: Vec<Vec<f64>> = suspects.iter().map(|s| vec![s.source.line as f64]).collect();
        lines.sort_by(|a, b| a[0].total_cmp(&b[0]));
        lines
    };
    assert_eq!(lines(&quality.defects), expected("suspect_defect"));
    assert_eq!(lines(&quality.false_calls), expected("suspect_false_call"));
    let [bulk] = quality.bulk[..] else { panic!("{:?}", quality.bulk) };
    assert_eq!(bulk.verdict, Verdict::FalseCall);
    assert_eq!(vec![bulk.values as f64, bulk.source.line as f64], expected("bulk")[0]);
    assert_eq!(vec![quality.pending as f64], expected("pending")[0]);
    let Agreement { reviews, of_defects, missed, false_alarms } = quality.agreement;
    assert_eq!(
        [reviews, of_defects, missed, false_alarms].map(|n| n as f64).to_vec(),
        expected("agreement")[0]
    );
    assert_eq!(
        [population.duplicates.len() as f64, quality.conflicts as f64].to_vec(),
        expected("copies")[0]
    );
    assert_eq!(quality.findings(&population).is_empty(), quality.is_clear());
    assert_eq!(optimise(&evidence(&population), &options).unwrap(), before, "a finding is a question");
}
