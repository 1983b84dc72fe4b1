//! What a proposal says of itself is true: counts, distance and decision, recounted from the evidence.

use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::proposal::Decision;
use proptest::prelude::*;

use crate::oracle::{count, flags};
use crate::worlds::{ALL_POLICIES, cases};

proptest! {
    #[test]
    fn the_counts_are_those_of_a_recount((evidence, options) in cases(&ALL_POLICIES, 0..=3)) {
        let p = optimise_limit(&evidence, &options).unwrap();
        let (side, boundary) = (evidence.side, options.boundary);
        prop_assert_eq!(p.false_calls_before, evidence.false_calls.len() as u64);
        prop_assert_eq!(p.defects_before, evidence.defects.len() as u64);
        prop_assert_eq!(p.false_calls_after, count(&evidence.false_calls, p.new_limit, side, boundary));
        prop_assert_eq!(p.defects_after, count(&evidence.defects, p.new_limit, side, boundary));
        prop_assert_eq!(p.certificate.defects, evidence.defects.len() as u64);
        prop_assert_eq!(p.certificate.misses, options.misses);
        let nearest = evidence.defects.iter().filter(|&&d| flags(d, p.new_limit, side, boundary))
            .map(|d| (p.new_limit - d).abs()).reduce(f64::min);
        prop_assert_eq!(p.nearest_defect, nearest);
    }

    #[test]
    fn a_limit_moves_if_and_only_if_the_decision_says_so((evidence, options) in cases(&ALL_POLICIES, 0..=3)) {
        let p = optimise_limit(&evidence, &options).unwrap();
        prop_assert_eq!(p.old_limit, evidence.limit);
        prop_assert_eq!(p.moves(), p.new_limit != p.old_limit);
        prop_assert_eq!(p.moves(), matches!(p.decision, Decision::Relaxed | Decision::Guarded));
        prop_assert!(p.new_limit.is_finite());
    }
}
