//! Splits that hold defects back: what may not leak does not, and what may not matter does not.

use std::collections::BTreeSet;

use aoi_testing::{Seeded, assert_close};
use aoi_tolerance::collect::Collector;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::{Side, Tolerance};
use aoi_tolerance::margin::Margin;
use aoi_tolerance::optimise::{optimise, optimise_limit};
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::population::{Limit, Population};
use aoi_tolerance::record::{Record, Verdict};
use aoi_tolerance::validate::{Split, recall, validate};
use proptest::collection::vec;
use proptest::prelude::*;

/// A measurement on a board, against a lower limit of 100.
#[derive(Debug, Clone)]
struct Shot {
    board: String,
    time: Option<i64>,
    value: f64,
    verdict: Verdict,
}

fn shot(board: usize, time: i64, value: f64, verdict: Verdict) -> Shot {
    Shot { board: format!("board {board}"), time: Some(time), value, verdict }
}

fn population(shots: &[Shot]) -> Population {
    let mut collector = Collector::default();
    for s in shots {
        collector.push(&Record {
            key: ["R0402", "", "", "solder", "height", "um"],
            value: s.value,
            tolerance: Tolerance { lower: Some(100.0), upper: None },
            verdict: Some(s.verdict),
            board: &s.board,
            time: s.time,
            ..Record::default()
        });
    }
    collector.finish()
}

/// The limit is the bare guard: every false call lies far below every defect.
fn bare() -> Options {
    Options { percentile: 0.0, margin: Margin::Absolute(0.0), min_false_calls: Some(1), ..Options::default() }
}

/// Board i shows the defect value 50 + i three times, and two false calls at 1.
///
/// If two of the three landed on both sides of a split, the one that calibrates would guard the one held back, and nothing would ever
/// be missed: a split by rows shows a recall of 1 here, a split by boards does not.
fn telling(boards: usize) -> Vec<Shot> {
    let mut shots = Vec::new();
    for board in 0..boards {
        let time = 10 * i64::try_from(board).unwrap();
        shots.extend((0..3).map(|i| shot(board, time + i, 50.0 + board as f64, Verdict::Defect)));
        shots.extend((3..5).map(|i| shot(board, time + i, 1.0, Verdict::FalseCall)));
    }
    shots
}

fn shuffle<T>(items: &mut [T], chance: &mut Seeded) {
    for i in (1..items.len()).rev() {
        items.swap(i, chance.below(i + 1));
    }
}

#[test]
fn boards_held_back_one_by_one_miss_the_worst_board_whole_and_no_other() {
    for split in [Split::Folds(12), Split::Folds(1000)] {
        let v = validate(&population(&telling(12)), split, 3, &bare()).unwrap();
        assert_eq!(v.totals(), (36, 33), "{split:?}: all three of one board");
        assert_eq!((v.limits[0].defects_calibration, v.limits[0].missed()), (33, 3));
        assert_eq!(
            v.held_back_false_calls,
            Some((24, 24)),
            "each false call is held back once, and flagged by a guard above it"
        );
    }
}

#[test]
fn a_fold_misses_whole_boards_and_only_those_worse_than_all_that_calibrate() {
    let mut missed = BTreeSet::new();
    for seed in 0..40 {
        for k in [2, 3, 5] {
            let v = validate(&population(&telling(12)), Split::Folds(k), seed, &bare()).unwrap();
            let (held, flagged) = v.totals();
            assert_eq!(held, 36, "each defect is held back once");
            let misses = held - flagged;
            assert!(misses >= 3 && misses.is_multiple_of(3), "k = {k}, seed {seed}: {misses}");
            // Twelve boards in k folds: the largest fold has ceil(12 / k) of them.
            assert_eq!(v.limits[0].defects_calibration, 36 - 3 * 12_u64.div_ceil(k.into()));
            missed.insert(misses);
        }
    }
    assert!(missed.len() > 1, "the seed deals the boards: {missed:?}");
}

#[test]
fn the_time_split_calibrates_on_the_boards_measured_first() {
    let shots = telling(10);
    for (share, late) in [(0.7, 3), (0.65, 3), (0.5, 5), (0.99, 0), (0.01, 9)] {
        let v = validate(&population(&shots), Split::Time(share), 1, &bare()).unwrap();
        // Later boards are worse here, so that every held-back defect is missed.
        assert_eq!(v.totals(), (3 * late, 0), "share {share}");
        assert_eq!(v.limits[0].defects_calibration, 30 - 3 * late);
        assert_eq!(v.held_back_false_calls, Some((2 * late, 2 * late)));
    }
}

#[test]
fn a_board_measured_twice_stays_whole_on_the_side_of_its_first_time() {
    let mut shots = telling(10);
    // Board 0 comes back after all others, with a defect worse than any: it still calibrates, and catches the late boards.
    shots.push(shot(0, 1_000, 75.0, Verdict::Defect));
    let v = validate(&population(&shots), Split::Time(0.7), 1, &bare()).unwrap();
    assert_eq!(v.totals(), (9, 9));
    assert_eq!(v.limits[0].defects_calibration, 22);
    // Board 9 was first seen before all others: it calibrates, and three others are late.
    let mut shots = telling(10);
    shots.push(shot(9, -1, 1.0, Verdict::FalseCall));
    let v = validate(&population(&shots), Split::Time(0.7), 1, &bare()).unwrap();
    assert_eq!(v.totals(), (9, 9), "boards 6, 7 and 8 lie below board 9");
}

#[test]
fn a_row_without_a_time_goes_with_its_board() {
    let mut shots = telling(10);
    for s in &mut shots {
        if s.verdict == Verdict::Defect {
            s.time = None;
        }
    }
    let v = validate(&population(&shots), Split::Time(0.7), 1, &bare()).unwrap();
    assert_eq!(v.totals(), (9, 0));
}

#[test]
fn the_order_of_the_records_decides_nothing_and_the_seed_does() {
    let mut shots = telling(9);
    shots.push(shot(0, 7, 90.0, Verdict::Defect)); // the worst, alone of its kind: missed wherever it is held back
    let mut chance = Seeded::new(11);
    for split in [Split::Paper, Split::LeaveOneOut, Split::Folds(4), Split::Time(0.6)] {
        let mut outcomes = Vec::new();
        for seed in 0..12 {
            let straight = validate(&population(&shots), split, seed, &bare()).unwrap();
            for _ in 0..3 {
                let mut shuffled = shots.clone();
                shuffle(&mut shuffled, &mut chance);
                assert_eq!(
                    validate(&population(&shuffled), split, seed, &bare()).unwrap(),
                    straight,
                    "{split:?}"
                );
            }
            outcomes.push(straight);
        }
        let varies = outcomes.iter().any(|o| *o != outcomes[0]);
        let by_chance = matches!(split, Split::Paper | Split::Folds(_));
        assert_eq!(varies, by_chance, "{split:?}");
    }
}

#[test]
fn a_missing_board_is_an_error_that_asks_for_boards() {
    for verdict in [Verdict::Defect, Verdict::FalseCall] {
        let mut shots = telling(5);
        shots.push(Shot { board: String::new(), ..shot(0, 1, 2.0, verdict) });
        for split in [Split::Folds(3), Split::Time(0.5)] {
            let error = validate(&population(&shots), split, 1, &bare()).unwrap_err().to_string();
            assert!(error.contains("a board"), "{split:?}: {error}");
        }
        for split in [Split::Paper, Split::LeaveOneOut] {
            assert!(validate(&population(&shots), split, 1, &bare()).is_ok(), "{split:?} needs none");
        }
    }
}

#[test]
fn a_missing_time_is_an_error_that_asks_for_times() {
    let mut shots = telling(5);
    shots.push(Shot { time: None, ..shot(77, 0, 2.0, Verdict::FalseCall) });
    let error = validate(&population(&shots), Split::Time(0.5), 1, &bare()).unwrap_err().to_string();
    assert!(error.contains("a time") && error.contains("time split"), "{error}");
    assert!(validate(&population(&shots), Split::Folds(2), 1, &bare()).is_ok(), "folds need no times");
}

#[test]
fn without_any_flagged_record_a_split_by_boards_says_so() {
    for shots in [vec![], vec![shot(1, 1, 101.0, Verdict::Pass)]] {
        for split in [Split::Folds(3), Split::Time(0.5)] {
            let error = validate(&population(&shots), split, 1, &bare()).unwrap_err().to_string();
            assert!(error.contains("flagged records"), "{error}");
        }
        for split in [Split::Paper, Split::LeaveOneOut] {
            assert_eq!(validate(&population(&shots), split, 1, &bare()).unwrap().totals(), (0, 0));
        }
    }
}

/// The four spellings refuse these; a caller that writes the split itself must be refused too, not answered.
#[test]
fn a_split_out_of_range_is_an_error_however_it_was_made() {
    for split in [
        Split::Folds(0),
        Split::Folds(1),
        Split::Time(0.0),
        Split::Time(1.0),
        Split::Time(-0.5),
        Split::Time(1.5),
        Split::Time(f64::NAN),
    ] {
        let outcome = validate(&population(&telling(5)), split, 1, &bare());
        assert!(outcome.is_err(), "{split:?}: {outcome:?}");
    }
}

proptest! {
    /// The definition of leave-one-out: n computations, each without one defect.
    #[test]
    fn leave_one_out_is_what_leaving_out_one_by_one_gives(
        (defects, calls) in (vec(0..60_u8, 0..12), vec(0..60_u8, 0..25)),
        (percentile, misses, margin) in (0.0..=100.0, 0_u64..3, 0.0..2.0),
        (upper, paper) in any::<(bool, bool)>(),
    ) {
        let side = if upper { Side::Upper } else { Side::Lower };
        let place = |n: &u8| side.mirror(100.0 - 0.1 - f64::from(*n) / 10.0);
        let mut evidence = Evidence::new(side, side.mirror(100.0));
        evidence.false_calls = calls.iter().map(place).collect();
        evidence.defects = defects.iter().map(place).collect();
        let options = Options {
            policy: if paper { Policy::Paper } else { Policy::Guarded },
            percentile, misses, margin: Margin::Absolute(margin), min_false_calls: Some(1), ..Options::default()
        };
        let expected = (0..evidence.defects.len()).filter(|&i| {
            let mut rest = evidence.clone();
            let left_out = rest.defects.remove(i);
            let new = optimise_limit(&rest, &options).unwrap().new_limit;
            if upper { left_out > new } else { left_out < new }
        }).count() as u64;

        let mut collector = Collector::default();
        let (lower, upper) = if upper { (None, Some(-100.0)) } else { (Some(100.0), None) };
        let base = Record { key: ["p", "", "", "", "f", ""], tolerance: Tolerance { lower, upper }, ..Record::default() };
        for &value in &evidence.false_calls {
            collector.push(&Record { value, verdict: Some(Verdict::FalseCall), ..base });
        }
        for &value in &evidence.defects {
            collector.push(&Record { value, verdict: Some(Verdict::Defect), ..base });
        }
        let v = validate(&collector.finish(), Split::LeaveOneOut, 0, &options).unwrap();
        prop_assert_eq!(v.totals(), (evidence.defects.len() as u64, expected));
    }
}

#[test]
fn leaving_out_the_worst_of_distinct_defects_misses_it_and_no_other() {
    let shots: Vec<Shot> = (0..12)
        .map(|i| shot(i, 0, 50.0 + i as f64, Verdict::Defect))
        .chain([shot(0, 0, 1.0, Verdict::FalseCall)])
        .collect();
    for misses in 0..4 {
        let v = validate(&population(&shots), Split::LeaveOneOut, 0, &Options { misses, ..bare() }).unwrap();
        assert_eq!(v.totals(), (12, 11 - misses));
        assert_eq!(v.limits[0].defects_calibration, 11);
    }
}

/// With certificates stated at once over two limits, sixty defects each are too few and both stay; leave-one-out must see them stay.
#[test]
fn leave_one_out_judges_the_limits_that_would_be_proposed() {
    let mut collector = Collector::default();
    for part in ["A", "B"] {
        let base = Record {
            key: [part, "", "", "", "f", ""],
            tolerance: Tolerance { lower: Some(100.0), upper: None },
            ..Record::default()
        };
        for i in 0..60 {
            let i = f64::from(i);
            collector.push(&Record { value: 50.0 + i / 10.0, verdict: Some(Verdict::Defect), ..base });
            collector.push(&Record { value: 1.0 + i / 10.0, verdict: Some(Verdict::FalseCall), ..base });
        }
    }
    let population = collector.finish();
    let options = Options { policy: Policy::Certified { alpha: 0.05 }, simultaneous: true, ..bare() };
    let evidence: Vec<Evidence> = population.limits.iter().map(Limit::evidence).collect();
    let proposed = optimise(&evidence, &options).unwrap();
    assert!(proposed.iter().all(|p| !p.moves()), "59 are needed alone, 72 for two at once");
    let v = validate(&population, Split::LeaveOneOut, 0, &options).unwrap();
    assert_eq!(v.totals(), (120, 120), "a limit that stays misses nothing");
}

/// P(X >= s) for s hits in n trials of chance p, term by term.
fn upper_tail(s: i32, n: i32, p: f64) -> f64 {
    let choose = |k: i32| (0..k).fold(1.0, |c, i| c * f64::from(n - i) / f64::from(i + 1));
    (s..=n).map(|k| choose(k) * p.powi(k) * (1.0 - p).powi(n - k)).sum()
}

#[test]
fn the_recall_comes_with_the_bound_below_which_it_would_have_been_luck() {
    for (flagged, held) in [(78, 78), (77, 78), (33, 36), (1, 20), (299, 299)] {
        let (rate, lower) = recall(flagged, held, 0.05).unwrap().unwrap();
        assert_close(rate, flagged as f64 / held as f64, 0.0, 0.0);
        let (s, n) = (i32::try_from(flagged).unwrap(), i32::try_from(held).unwrap());
        assert_close(upper_tail(s, n, lower), 0.05, 0.0, 1e-9); // some hundred factors, each rounded to 1e-16
        assert!(lower < rate);
    }
    let (_, lower) = recall(78, 78, 0.05).unwrap().unwrap();
    assert_close(lower, 0.05_f64.powf(1.0 / 78.0), 0.0, 1e-12); // one logarithm and one exponential of order one
    assert_eq!(recall(0, 20, 0.05).unwrap(), Some((0.0, 0.0)));
}

#[test]
fn the_confidence_is_that_of_the_options() {
    for delta in [0.05, 0.01] {
        for split in [Split::Paper, Split::LeaveOneOut, Split::Folds(3), Split::Time(0.5)] {
            let v = validate(&population(&telling(6)), split, 1, &Options { delta, ..bare() }).unwrap();
            assert_eq!(v.confidence, 1.0 - delta);
            assert_eq!(
                v.held_back_false_calls.is_some(),
                matches!(split, Split::Folds(_) | Split::Time(_)),
                "{split:?}"
            );
        }
    }
}
