//! The facts of arXiv 2505.03576 that its text determines, computed through the public interface.

use std::collections::BTreeSet;

use aoi_testing::{Seeded, assert_close, for_each_case};
use aoi_tolerance::collect::Collector;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::{Side, Tolerance};
use aoi_tolerance::margin::Margin;
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::population::Population;
use aoi_tolerance::record::{Record, Verdict};
use aoi_tolerance::validate::{Split, recall, validate};

const WORKED: [f64; 5] = [2.0, 28.0, 35.0, 32.0, 25.0];

fn paper(percentile: f64) -> Options {
    Options { policy: Policy::Paper, percentile, margin: Margin::Absolute(0.5), ..Options::default() }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn the_worked_example_gives_the_printed_limit_at_85_and_its_neighbour_at_80() {
    let mut evidence = Evidence::new(Side::Lower, 40.0);
    evidence.false_calls = WORKED.to_vec();
    assert_eq!(mean(&WORKED), 24.4);
    // Printed to one decimal; computed in three roundings at most.
    let at_85 = optimise_limit(&evidence, &paper(85.0)).unwrap();
    assert_close(at_85.new_limit, 33.2, 1e-14, 0.0);
    let at_80 = optimise_limit(&evidence, &paper(80.0)).unwrap();
    assert_close(at_80.new_limit, 32.6, 1e-14, 0.0);
    assert_eq!((at_85.false_calls_before, at_85.false_calls_after), (5, 4), "only 35 is released");
}

#[test]
fn an_outlier_drags_the_mean_and_leaves_the_percentile() {
    let limit = |values: &[f64]| {
        let mut evidence = Evidence::new(Side::Lower, 40.0);
        evidence.false_calls = values.to_vec();
        optimise_limit(&evidence, &paper(80.0)).unwrap().new_limit
    };
    let before = (mean(&WORKED), limit(&WORKED));
    let mut dragged = WORKED;
    dragged[0] = -998.0; // the outlier of the example, a thousand further out
    let after = (mean(&dragged), limit(&dragged));
    assert_eq!(before.1, after.1);
    assert_close(before.0 - after.0, 200.0, 1e-12, 0.0); // 1000 / 5, sums below 1e3
    // As limits: the percentile keeps four of the five flags, the mean keeps the outlier's alone.
    let flagged = |t: f64, values: &[f64]| values.iter().filter(|&&x| x < t).count();
    assert_eq!((flagged(before.0, &WORKED), flagged(before.1, &WORKED)), (1, 4));
    assert_eq!((flagged(after.0, &dragged), flagged(after.1, &dragged)), (1, 4));
}

/// ceil(R) - 1 with R = P (N - 1) / 100 + 1, in whole numbers.
fn kept_without_ties(n: u64, percent: u64) -> u64 {
    (percent * (n - 1)).div_ceil(100)
}

#[test]
fn without_ties_the_percentile_keeps_the_rank_rounded_up_less_one() {
    assert_eq!((kept_without_ties(1231, 80), kept_without_ties(13, 80)), (984, 10), "the printed counts");
    let mut compared = 0;
    for n in [2, 3, 4, 5, 6, 11, 13, 25, 100, 605, 1231, 2264] {
        for percent in [25, 50, 75, 80, 90] {
            let mut evidence = Evidence::new(Side::Lower, n as f64 + 1.0);
            evidence.false_calls = (1..=n).map(|i| i as f64).collect();
            let proposal = optimise_limit(&evidence, &paper(percent as f64)).unwrap();
            assert_eq!(proposal.false_calls_after, kept_without_ties(n, percent), "N = {n}, P = {percent}");
            compared += 1;
        }
    }
    assert_eq!(compared, 60);
}

#[test]
fn one_false_call_loses_its_only_flag_under_the_paper_and_not_under_the_guard() {
    let mut evidence = Evidence::new(Side::Lower, 40.0);
    evidence.false_calls = vec![39.0];
    evidence.defects = vec![10.0];
    let published = optimise_limit(&evidence, &paper(80.0)).unwrap();
    assert_eq!((published.new_limit, published.false_calls_after), (39.0, 0));
    let guarded = optimise_limit(&evidence, &Options::default()).unwrap();
    assert_eq!((guarded.new_limit, guarded.false_calls_after), (40.0, 1));
}

/// Applying the percentile to what the last limit still flags would keep 0.8^t; asked of the frozen population it never moves again.
#[test]
fn the_frozen_population_has_no_ratchet() {
    let mut evidence = Evidence::new(Side::Lower, 1001.0);
    evidence.false_calls = (1..=1000).map(f64::from).collect();
    evidence.defects = vec![0.5];
    let first = optimise_limit(&evidence, &Options::default()).unwrap();
    assert_eq!(first.false_calls_after, 800);
    for _ in 0..5 {
        assert_eq!(optimise_limit(&evidence, &Options::default()).unwrap(), first);
    }
    let mut ratchet = evidence;
    for kept in [800, 640, 512, 409] {
        let proposal = optimise_limit(&ratchet, &Options::default()).unwrap();
        assert_eq!(proposal.false_calls_after, kept);
        ratchet.limit = proposal.new_limit;
        ratchet.false_calls.retain(|&x| x < proposal.new_limit);
    }
}

/// Parts with the defect counts of the published split; `depth` places the i-th of a part's n defects below its limit at 40.
fn parts(counts: &[(&'static str, u32)], depth: impl Fn(u32, u32) -> f64) -> Population {
    let mut collector = Collector::default();
    let mut chance = Seeded::new(5);
    for &(part, defects) in counts {
        let mut push = |value: f64, verdict: Verdict, name: &str| {
            collector.push(&Record {
                key: [part, "", "", "solder", "height", "um"],
                value,
                tolerance: Tolerance { lower: Some(40.0), upper: None },
                verdict: Some(verdict),
                record_id: name,
                defect_id: if verdict == Verdict::Defect { name } else { "" },
                ..Record::default()
            });
        };
        for i in 0..200 {
            push(40.0 - 5.0 * (0.001 + chance.unit()), Verdict::FalseCall, &format!("{part} call {i}"));
        }
        for i in 0..defects {
            push(40.0 - depth(i, defects), Verdict::Defect, &format!("{part} defect {i}"));
        }
    }
    collector.finish()
}

const PUBLISHED: [(&str, u32); 7] =
    [("A", 41), ("B", 116), ("C", 27), ("D", 32), ("E", 34), ("F", 26), ("G", 3)];

#[test]
fn the_published_split_holds_back_78_of_250_defects_and_all_are_flagged() {
    // Far below every false call, as the published defects must have been; the raw values are not published.
    let population = parts(&PUBLISHED, |i, _| 10.0 + f64::from(i) / 10.0);
    for seed in [1, 2, 3] {
        let v = validate(&population, Split::Paper, seed, &paper(80.0)).unwrap();
        let rows: Vec<_> = v
            .limits
            .iter()
            .map(|l| (l.id.key.part.as_str(), l.defects_calibration, l.defects_validation))
            .collect();
        assert_eq!(
            rows,
            [("A", 28, 13), ("B", 81, 35), ("C", 18, 9), ("D", 22, 10), ("E", 23, 11)],
            "five parts, by name"
        );
        assert_eq!(v.totals(), (78, 78));
        assert_eq!(v.held_back_false_calls, None);
    }
}

#[test]
fn the_published_split_reports_a_miss_where_held_back_defects_lie_among_the_false_calls() {
    // The calibrating defects of each part end where the percentile begins; every defect above it is flagged only by its own guard.
    let population = parts(&PUBLISHED, |i, n| 0.001 + 4.0 * f64::from(i) / f64::from(n));
    let bare = Options { margin: Margin::Absolute(0.0), ..paper(80.0) };
    let mut missed = BTreeSet::new();
    for seed in 0..20 {
        let v = validate(&population, Split::Paper, seed, &bare).unwrap();
        let (held, flagged) = v.totals();
        assert_eq!(held, 78);
        assert_eq!(
            v.limits.iter().map(aoi_tolerance::validate::LimitRecall::missed).sum::<u64>(),
            held - flagged
        );
        missed.insert(held - flagged);
    }
    assert!(missed.iter().any(|&m| m > 0) && missed.len() > 1, "the seed decides who is missed: {missed:?}");
    assert!(
        missed.iter().all(|&m| m < 30),
        "about one of each part's top run is missed, not all: {missed:?}"
    );
}

#[test]
fn seventy_eight_of_seventy_eight_is_not_a_perfect_recall() {
    let (rate, lower) = recall(78, 78, 0.05).unwrap().unwrap();
    assert_eq!(rate, 1.0);
    assert_close(lower, 0.05_f64.powf(1.0 / 78.0), 0.0, 1e-12); // both a logarithm and an exponential of order one
    assert!(lower < 0.963, "{lower}");
    assert_eq!(recall(0, 0, 0.05).unwrap(), None);
}

#[test]
fn held_back_counts_are_thirty_percent_rounded_up() {
    let cases = [
        ("41", (41, 13)),
        ("116", (116, 35)),
        ("27", (27, 9)),
        ("32", (32, 10)),
        ("34", (34, 11)),
        ("10", (10, 3)),
        ("1", (1, 1)),
    ];
    for_each_case(cases, |(defects, held)| {
        let population = parts(&[("only", defects)], |i, _| 10.0 + f64::from(i));
        let v = validate(&population, Split::Paper, 9, &paper(80.0)).unwrap();
        assert_eq!(v.totals(), (held, held));
        assert_eq!(v.limits[0].defects_calibration, u64::from(defects) - held);
    });
}
