//! Law 3: the exchangeability proof of the certificate, run as a test.
//!
//! Every false call lies far below every defect here, so that the percentile lifts no limit and the guard stands bare.

use std::collections::BTreeSet;

use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::{Boundary, Side};
use aoi_tolerance::margin::Margin;
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::{Options, Policy};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use crate::oracle::flags;
use crate::worlds::{boundaries, mirrored};

/// How many of `defects` pass the limit that is computed from the others.
fn missed(defects: &[f64], baseline: f64, upper: bool, options: &Options) -> usize {
    let misses = (0..defects.len()).filter(|&left_out| {
        let mut evidence = Evidence::new(Side::Lower, baseline);
        evidence.false_calls = vec![-1e305; 12];
        evidence.defects = defects.to_vec();
        let value = evidence.defects.remove(left_out);
        let seen = if upper { mirrored(&evidence) } else { evidence };
        let new = optimise_limit(&seen, options).unwrap().new_limit;
        !flags(seen.side.mirror(value), new, seen.side, options.boundary)
    });
    misses.count()
}

/// The percentile at its lowest, so that only the guard speaks.
fn bare(misses: u64, boundary: Boundary, margin: f64) -> Options {
    Options { misses, boundary, margin: Margin::Absolute(margin), percentile: 0.0, ..Options::default() }
}

/// Scales whole numbers to where neighbours lie 0.1, one ulp, or 1e298 apart.
fn scaled(n: i32, world: u8) -> f64 {
    match world {
        0 => f64::from(n) / 10.0,
        1 => f64::from(n) * 5e-324,
        2 => f64::from_bits(45.0_f64.to_bits() + u64::from(n.unsigned_abs()) * 2 + u64::from(n < 0)),
        _ => f64::from(n) * 1e298,
    }
}

proptest! {
    #[test]
    fn the_bare_guard_misses_one_more_than_asked_of_distinct_defects(
        numbers in btree_set(-60..60_i32, 2..12), r in 0_u64..4, world in 0_u8..4, boundary in boundaries(),
        (upper, paper) in any::<(bool, bool)>(),
    ) {
        let distinct: BTreeSet<u64> = numbers.iter().map(|&n| (scaled(n, world) + 0.0).to_bits()).collect();
        let defects: Vec<f64> = distinct.into_iter().map(f64::from_bits).collect();
        let others = defects.len() as u64 - 1;
        // More than r of the others must be left, or nothing may be given up.
        let misses = r.min(others - 1);
        let policy = if paper { Policy::Paper } else { Policy::Guarded };
        let options = Options { policy, ..bare(misses, boundary, 0.0) };
        let baseline = if world == 3 { 1e306 } else { 1e6 };
        prop_assert_eq!(missed(&defects, baseline, upper, &options) as u64, misses + 1);
    }

    #[test]
    fn with_ties_or_a_margin_the_guard_misses_no_more_than_that(
        numbers in vec(-9..9_i32, 2..12), r in 0_u64..4, world in 0_u8..4, boundary in boundaries(),
        margin in prop::sample::select(vec![0.0, 1e-18, 0.1, 0.25, 1e299]), upper in any::<bool>(),
    ) {
        let defects: Vec<f64> = numbers.iter().map(|&n| scaled(n, world)).collect();
        let misses = r.min(defects.len() as u64 - 2);
        let options = bare(misses, boundary, margin);
        let baseline = if world == 3 { 1e306 } else { 1e6 };
        prop_assert!(missed(&defects, baseline, upper, &options) as u64 <= misses + 1);
    }
}

#[test]
fn ties_at_the_top_make_the_guard_miss_none() {
    let options = Options { margin: Margin::Absolute(0.0), percentile: 0.0, ..Options::default() };
    assert_eq!(missed(&[1.0, 5.0, 5.0], 1e6, false, &options), 0);
    assert_eq!(missed(&[1.0, 4.0, 5.0], 1e6, false, &options), 1);
}

#[test]
fn as_many_misses_as_defects_keep_the_old_limit() {
    for misses in 1..=3 {
        let options = Options { misses, ..Options::default() };
        let mut evidence = Evidence::new(Side::Lower, 10.0);
        evidence.false_calls = (0..20).map(f64::from).map(|i| i / 10.0).collect();
        evidence.defects = vec![0.5; usize::try_from(misses).unwrap()];
        assert_eq!(optimise_limit(&evidence, &options).unwrap().new_limit, 10.0);
        evidence.defects.push(0.25);
        assert!(optimise_limit(&evidence, &options).unwrap().new_limit < 10.0);
    }
}
