//! Law 4: the limit rises with the percentile, the margin and the defects known, in the guarded and certified policies.

use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::Side;
use aoi_tolerance::margin::Margin;
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::proposal::Reason;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::worlds::{CAREFUL_POLICIES, cases, percents};

/// The new limit in the frame in which it is a lower one.
fn tightness(evidence: &Evidence, options: &Options) -> f64 {
    evidence.side.mirror(optimise_limit(evidence, options).unwrap().new_limit)
}

proptest! {
    #[test]
    fn a_higher_percentile_never_lowers_the_limit(
        (evidence, options) in cases(&CAREFUL_POLICIES, 0..=3), other in percents(),
    ) {
        let (low, high) = (options.percentile.min(other), options.percentile.max(other));
        let at = |percentile| tightness(&evidence, &Options { percentile, ..options.clone() });
        prop_assert!(at(low) <= at(high), "P = {low}: {:e}, P = {high}: {:e}", at(low), at(high));
    }

    #[test]
    fn a_larger_margin_never_lowers_the_limit(
        (evidence, options) in cases(&CAREFUL_POLICIES, 0..=3), (a, b) in (0.0..3.0, 0.0..3.0), kind in 0..3_usize,
        tiny in any::<bool>(),
    ) {
        let at = |size: f64| {
            let size = if tiny { size * 1e-18 } else { size };
            let margin = [Margin::Absolute(size), Margin::PercentOfLimit(size), Margin::Sigmas(size)][kind];
            tightness(&evidence, &Options { margin, ..options.clone() })
        };
        let (small, large) = (f64::min(a, b), f64::max(a, b));
        prop_assert!(at(small) <= at(large), "margin {small}: {:e}, {large}: {:e}", at(small), at(large));
    }

    /// Once there are defects enough for the limit to move at all; before that a defect is what permits the move.
    #[test]
    fn another_defect_never_lowers_a_limit_that_had_enough(
        (mut evidence, options) in cases(&CAREFUL_POLICIES, 0..=3),
        fresh in vec(any::<prop::sample::Index>(), 1..4),
        far in any::<bool>(),
    ) {
        let before = optimise_limit(&evidence, &options).unwrap();
        let starved = matches!(
            before.reason,
            Reason::FewDefects { .. } | Reason::MissesSpendAll { .. } | Reason::Uncertified { .. }
        );
        let known: Vec<f64> = evidence.false_calls.iter().chain(&evidence.defects).copied().collect();
        if !starved && !known.is_empty() {
            let lowest = evidence.side.mirror(-1e305);
            evidence.defects.extend(fresh.iter().map(|i| if far { lowest } else { *i.get(&known) }));
            let side = evidence.side;
            prop_assert!(side.mirror(before.new_limit) <= tightness(&evidence, &options));
        }
    }
}

/// The exception that the law's wording leaves out: below the needed number, T0 stands, and the defect that fills it frees the limit.
#[test]
fn the_defect_that_completes_the_evidence_is_the_one_that_lets_a_limit_move() {
    let mut evidence = Evidence::new(Side::Lower, 10.0);
    evidence.false_calls = (0..20).map(|i| 9.0 + f64::from(i) / 100.0).collect();
    let kept = optimise_limit(&evidence, &Options::default()).unwrap();
    assert_eq!((kept.new_limit, kept.reason), (10.0, Reason::FewDefects { have: 0, need: 1 }));
    evidence.defects = vec![1.0];
    assert!(optimise_limit(&evidence, &Options::default()).unwrap().new_limit < 10.0);
}

/// Step 4 keeps T0 where the percentile overflows, which no rule of monotonicity can survive; the law is for finite percentiles.
#[test]
fn a_percentile_that_overflows_keeps_the_old_limit_whatever_a_higher_one_does() {
    let mut evidence = Evidence::new(Side::Lower, f64::MAX);
    evidence.false_calls = [vec![-1.7e308; 10], vec![1.7e308; 10]].concat();
    evidence.defects = vec![-1.75e308];
    let at = |percentile| optimise_limit(&evidence, &Options { percentile, ..Options::default() }).unwrap();
    let middle = at(50.0);
    assert_eq!((middle.new_limit, middle.reason), (f64::MAX, Reason::PercentileNotFinite));
    assert_eq!(at(80.0).new_limit, 1.7e308);
    assert_eq!(at(20.0).new_limit, -1.7e308);
}

#[test]
fn under_the_paper_policy_a_higher_percentile_can_lower_the_limit() {
    let mut evidence = Evidence::new(Side::Lower, 10.0);
    evidence.false_calls = (0..100).map(|i| f64::from(i) / 10.0).collect();
    evidence.defects = vec![8.0];
    let at = |policy, percentile| {
        let options = Options { policy, percentile, margin: Margin::Absolute(0.5), ..Options::default() };
        optimise_limit(&evidence, &options).unwrap().new_limit
    };
    assert_eq!(at(Policy::Paper, 80.0), 8.5);
    aoi_testing::assert_close(at(Policy::Paper, 81.0), 8.019, 1e-12, 0.0); // printed to three decimals, computed to a few ulp
    assert_eq!(at(Policy::Guarded, 80.0), 8.5);
    assert_eq!(at(Policy::Guarded, 81.0), 8.5);
}
