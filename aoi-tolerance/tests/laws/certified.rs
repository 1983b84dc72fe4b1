//! A certified limit moves only on evidence enough; the number needed is recomputed here from the binomial sum itself.

use aoi_tolerance::certificate::EscapeBound;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::Side;
use aoi_tolerance::margin::Margin;
use aoi_tolerance::optimise::{optimise, optimise_limit};
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::pool::optimise_pooled;
use aoi_tolerance::proposal::Reason;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::oracle::count;
use crate::worlds::{CERTIFIED, cases};

/// P(X <= r) for n trials of chance p, summed term by term; good to 1e-12 for the small n used here.
fn cdf(r: u64, n: u64, p: f64) -> f64 {
    let mut term = (1.0 - p).powi(i32::try_from(n).unwrap());
    let mut sum = term;
    for k in 0..r {
        term *= (n - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
        sum += term;
    }
    sum
}

fn evidence(defects: u64) -> Evidence {
    let mut e = Evidence::new(Side::Lower, 40.0);
    e.false_calls = (1..=50).map(|i| 40.0 - f64::from(i) / 10.0).collect();
    e.defects = (0..defects).map(|i| 20.0 - i as f64 / 10.0).collect();
    e
}

proptest! {
    #[test]
    fn a_moved_limit_carries_the_bound_that_was_asked_for((evidence, options) in cases(&[CERTIFIED], 0..=3)) {
        let p = optimise_limit(&evidence, &options).unwrap();
        if p.moves() {
            let EscapeBound::AtMost(bound) = p.certificate.bound else { panic!("{:?}", p.certificate) };
            prop_assert!(bound <= 0.5 + 1e-12);
            prop_assert!(cdf(options.misses, p.defects_before, 0.5) <= options.delta * (1.0 + 1e-9));
        } else {
            prop_assert_eq!(p.certificate.bound, EscapeBound::NoChange);
        }
    }

    /// The group's certificate counts misses over the whole group.
    #[test]
    fn a_pooled_group_loses_no_more_defects_than_were_given_up(
        members in vec((0.0..1e3_f64, 0.01..3.0_f64, vec(0.0..1.0_f64, 1..6)), 3..9),
        misses in 0_u64..3,
        span in prop::sample::select(vec![1.0, 1e6, 1e12]),
    ) {
        let evidence: Vec<Evidence> = members.iter().map(|(limit, sigma, depths)| {
            let mut e = Evidence::new(Side::Lower, *limit);
            e.sigma = Some(*sigma);
            // Near zero, far from a limit of some hundreds, is where differences round worst.
            let defect = |u: &f64| if *u < 0.2 { u / 1000.0 } else { limit - u * span };
            e.defects = depths.iter().map(|u| defect(u).min(limit.next_down())).collect();
            e.false_calls = vec![limit - 2.0 * span; 12];
            e
        }).collect();
        let groups = vec![Some("all".to_owned()); evidence.len()];
        let margin = Margin::Absolute(0.0);
        let options = Options { policy: CERTIFIED, misses, margin, percentile: 0.0, ..Options::default() };
        let pooled = optimise_pooled(&evidence, &groups, &options).unwrap();
        let certified = evidence.iter().zip(&pooled).filter(|(_, p)| p.certificate.pooled.is_some());
        let lost: u64 = certified
            .map(|(e, p)| e.defects.len() as u64 - count(&e.defects, p.new_limit, Side::Lower, options.boundary))
            .sum();
        prop_assert!(lost <= misses, "{lost} lost");
    }
}

#[test]
fn the_needed_numbers_of_defects_are_the_published_ones() {
    for (alpha, needed) in [(0.05, 59), (0.01, 299), (0.001, 2995)] {
        assert!(cdf(0, needed, alpha) <= 0.05 && cdf(0, needed - 1, alpha) > 0.05, "the oracle agrees");
        let options = Options { policy: Policy::Certified { alpha }, ..Options::default() };
        let enough = optimise_limit(&evidence(needed), &options).unwrap();
        assert!(enough.moves() && enough.certificate.bound.value().unwrap() <= alpha);
        let short = optimise_limit(&evidence(needed - 4), &options).unwrap();
        assert_eq!((short.new_limit, short.reason), (40.0, Reason::Uncertified { missing: 4 }));
    }
}

#[test]
fn more_misses_need_more_defects_as_the_binomial_sum_says() {
    for misses in 0..4 {
        let needed = (1..200).find(|&n| n > misses && cdf(misses, n, 0.1) <= 0.05).unwrap();
        let options = Options { policy: Policy::Certified { alpha: 0.1 }, misses, ..Options::default() };
        assert!(optimise_limit(&evidence(needed), &options).unwrap().moves(), "r = {misses}, n = {needed}");
        let short = optimise_limit(&evidence(needed - 1), &options).unwrap();
        assert_eq!(short.reason, Reason::Uncertified { missing: 1 }, "r = {misses}");
    }
}

#[test]
fn bounds_that_hold_at_once_are_stated_at_a_share_of_delta() {
    let evidence = vec![evidence(59); 4];
    let apart = optimise(&evidence, &Options::default()).unwrap();
    let together = optimise(&evidence, &Options { simultaneous: true, ..Options::default() }).unwrap();
    for (one, all) in apart.iter().zip(&together) {
        assert_eq!(one.new_limit, all.new_limit);
        assert_eq!((one.certificate.confidence, all.certificate.confidence), (0.95, 1.0 - 0.05 / 4.0));
        let bound = all.certificate.bound.value().unwrap();
        aoi_testing::assert_close(cdf(0, 59, bound), 0.05 / 4.0, 0.0, 1e-9); // 59 factors of rounding 1e-16
    }
    assert_eq!(apart.len(), 4);
}

/// The difference 39.4 - 0.001 in sigmas, taken back from 39.4, comes out below 0.001 by more than the two steps that are added.
#[test]
fn a_pooled_guard_flags_the_defect_that_it_was_taken_from() {
    let member = |limit: f64, sigma: f64, defects: &[f64]| {
        let mut e = Evidence::new(Side::Lower, limit);
        e.sigma = Some(sigma);
        e.defects = defects.to_vec();
        e.false_calls = vec![-1000.0; 12];
        e
    };
    // Largest first in sigmas: 20 of the second limit is given up, 0.001 of the first holds the group.
    let limits = [
        member(39.4, 0.35, &[0.001, -50.0]),
        member(40.0, 1.0, &[20.0, -960.0]),
        member(40.0, 1.0, &[-900.0, -910.0, -920.0, -930.0]),
    ];
    let groups = vec![Some("height".to_owned()); 3];
    let margin = Margin::Absolute(0.0);
    let options = Options { policy: CERTIFIED, misses: 1, margin, percentile: 0.0, ..Options::default() };
    let pooled = optimise_pooled(&limits, &groups, &options).unwrap();
    assert!(pooled.iter().all(|p| p.certificate.pooled.is_some() && p.certificate.defects == 8));
    let kept: Vec<u64> = pooled.iter().map(|p| p.defects_after).collect();
    assert_eq!(kept, [2, 1, 4], "one of eight is lost: {}", pooled[0].new_limit);
}

/// A group certifies; it does not stand in for the defects that the guarded policy asks of each limit.
#[test]
fn under_the_guarded_policy_a_group_frees_no_limit_that_has_no_defect() {
    let with = |defects: u64| Evidence { sigma: Some(0.5), ..evidence(defects) };
    let limits = [with(0), with(80)];
    let groups = vec![Some("height".to_owned()); 2];
    let alone = optimise(&limits, &Options::default()).unwrap();
    assert!(!alone[0].moves() && alone[1].moves());
    assert_eq!(optimise_pooled(&limits, &groups, &Options::default()).unwrap(), alone);
}

#[test]
fn without_a_defect_there_is_no_evidence_and_no_perfect_recall() {
    let paper = Options { policy: Policy::Paper, ..Options::default() };
    let p = optimise_limit(&evidence(0), &paper).unwrap();
    assert!(p.moves());
    assert_eq!(p.certificate.bound, EscapeBound::NoEvidence);
    let kept = optimise_limit(&evidence(0), &Options::default()).unwrap();
    assert_eq!((kept.new_limit, kept.certificate.bound), (40.0, EscapeBound::NoChange));
}
