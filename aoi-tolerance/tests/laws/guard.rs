//! Laws 1 and 2: no known defect is lost, and nothing new is flagged.

use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::{Boundary, Side};
use aoi_tolerance::margin::Margin;
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::percentile::HyndmanFan;
use aoi_tolerance::proposal::Decision;
use aoi_tolerance::resolution::ResolutionRule;
use proptest::prelude::*;
use proptest::sample::select;

use crate::oracle::{count, flags, guard, percentile, ulp};
use crate::worlds::{ALL_POLICIES, PLAIN_WORLDS, boundaries, cases, lower_evidence, margins, percents, step};

/// Lower limits at everyday magnitudes that record no resolution, under either boundary.
fn plain(defects: std::ops::Range<usize>) -> impl Strategy<Value = (Boundary, Evidence)> {
    boundaries().prop_flat_map(move |boundary| {
        let evidence = lower_evidence(&PLAIN_WORLDS, boundary, (1..40, defects.clone(), 0..1));
        (Just(boundary), evidence.prop_map(|e| Evidence { resolution: None, ..e }))
    })
}

proptest! {
    #[test]
    fn every_known_defect_stays_flagged_when_no_miss_is_asked_for(
        (evidence, options) in cases(&ALL_POLICIES, 0..=0),
    ) {
        let new = optimise_limit(&evidence, &options).unwrap().new_limit;
        for &d in evidence.defects.iter().chain(&evidence.provisional) {
            prop_assert!(flags(d, new, evidence.side, options.boundary), "{d:e} passes {new:e}");
        }
    }

    #[test]
    fn no_more_defects_are_lost_than_were_given_up_and_no_provisional_value(
        (evidence, options) in cases(&ALL_POLICIES, 0..=3),
    ) {
        let new = optimise_limit(&evidence, &options).unwrap().new_limit;
        let kept = count(&evidence.defects, new, evidence.side, options.boundary);
        prop_assert!(evidence.defects.len() as u64 - kept <= options.misses, "kept {kept} at {new:e}");
        for &p in &evidence.provisional {
            prop_assert!(flags(p, new, evidence.side, options.boundary), "{p:e} passes {new:e}");
        }
    }

    #[test]
    fn what_the_new_limit_flags_the_old_one_flagged(
        (evidence, options) in cases(&ALL_POLICIES, 0..=3), probe in -200.0..200.0,
    ) {
        let new = optimise_limit(&evidence, &options).unwrap().new_limit;
        let old = evidence.limit;
        let near = |x: f64| [x, x.next_up(), x.next_down()];
        let around = [near(old), near(new), [0.0, -0.0, probe], [-1e300, 1e300, -probe]].concat();
        let known = evidence.false_calls.iter().chain(&evidence.defects).chain(&evidence.provisional);
        for &v in known.chain(&around) {
            if flags(v, new, evidence.side, options.boundary) {
                prop_assert!(flags(v, old, evidence.side, options.boundary), "{v:e}: {old:e} -> {new:e}");
            }
        }
    }

    /// Type 7, no rounding: the definition decides the limit, to the 2 ulp that the percentile is allowed.
    #[test]
    fn the_guarded_limit_is_the_larger_of_percentile_and_guard(
        (boundary, evidence) in plain(1..9),
        (percent, margin, misses) in (percents(), margins(), 0_u64..3),
    ) {
        let evidence = Evidence { sigma: evidence.sigma.or(Some(0.25)), ..evidence };
        let options = Options {
            percentile: percent, margin, misses, boundary, min_false_calls: Some(1), ..Options::default()
        };
        let proposal = optimise_limit(&evidence, &options).unwrap();
        let sigma = evidence.sigma.unwrap();
        let distance = match margin {
            Margin::Gauge => 3.0 * sigma,
            Margin::Absolute(m) => m,
            Margin::PercentOfLimit(p) => p / 100.0 * evidence.limit.abs(),
            Margin::Sigmas(k) => k * sigma,
        };
        let old = evidence.limit;
        let (t_p, magnitude) = percentile(&evidence.false_calls, percent);
        let slack = 2.0 * ulp(magnitude);
        match guard(&evidence.defects, misses, distance, boundary) {
            None => prop_assert_eq!(proposal.new_limit, old, "all defects are spent"),
            Some(held) if held >= old => prop_assert_eq!(proposal.new_limit, old),
            Some(held) => {
                let expected = held.max(t_p).min(old);
                let off = (proposal.new_limit - expected).abs();
                prop_assert!(off <= slack, "{} is not {expected}", proposal.new_limit);
                if held > t_p + slack {
                    prop_assert_eq!(proposal.new_limit, held, "the guard is exact");
                    prop_assert_eq!(proposal.decision, Decision::Guarded);
                }
                if t_p > held + slack && t_p + slack < old {
                    prop_assert_eq!(proposal.decision, Decision::Relaxed);
                }
            }
        }
    }

    /// Rounding moves the limit up to the next number of the grid and no further.
    #[test]
    fn a_resolution_rounds_towards_flagging_to_the_nearest_number_of_the_grid(
        (boundary, evidence) in plain(1..9),
        percent in percents(),
        (text, parts) in select(vec![("0.01", 100.0), ("0.1", 10.0), ("0.5", 2.0), ("5", 0.2)]),
        upper in any::<bool>(),
    ) {
        let side = if upper { Side::Upper } else { Side::Lower };
        let plain = Options { percentile: percent, boundary, min_false_calls: Some(1), ..Options::default() };
        let grid = Options { resolution: ResolutionRule::Step(step(text)), ..plain.clone() };
        let seen = if upper { crate::worlds::mirrored(&evidence) } else { evidence.clone() };
        let fine = side.mirror(optimise_limit(&seen, &plain).unwrap().new_limit);
        let rounded = optimise_limit(&seen, &grid).unwrap();
        let coarse = side.mirror(rounded.new_limit);
        prop_assert!(coarse >= fine);
        // The grid in whole numbers: k / parts is the double nearest to the decimal, one rounding.
        let k = (coarse * parts).round();
        let next_lower = if parts < 1.0 { (k - 1.0) * 5.0 } else { (k - 1.0) / parts };
        if rounded.moves() {
            prop_assert_eq!(coarse, if parts < 1.0 { k * 5.0 } else { k / parts }, "not on the grid of {}", text);
            prop_assert!(next_lower < fine, "{next_lower} would have done for {fine}");
            prop_assert_eq!(rounded.resolution, Some(text.parse().unwrap()));
        } else {
            prop_assert_eq!(coarse, evidence.limit);
        }
    }

    /// Step 5 as published: the margin is added only where the percentile alone would lose a defect.
    #[test]
    fn the_paper_adds_its_margin_only_where_a_defect_would_be_lost(
        (boundary, evidence) in plain(0..9),
        percent in percents(), distance in 0.0..3.0,
    ) {
        let options = Options {
            policy: Policy::Paper, percentile: percent, boundary, margin: Margin::Absolute(distance), ..Options::default()
        };
        let unguarded = Evidence { defects: vec![], ..evidence.clone() };
        let t_p = optimise_limit(&unguarded, &options).unwrap().new_limit;
        let new = optimise_limit(&evidence, &options).unwrap().new_limit;
        if evidence.defects.iter().all(|&d| flags(d, t_p, Side::Lower, boundary)) {
            prop_assert_eq!(new, t_p);
        } else {
            let held = guard(&evidence.defects, 0, distance, boundary).unwrap();
            prop_assert_eq!(new, held.min(evidence.limit));
        }
    }
}

#[test]
fn a_margin_below_one_ulp_still_flags_the_worst_defect() {
    let mut evidence = Evidence::new(Side::Lower, 50.0);
    evidence.false_calls = (0..100).map(|i| 40.0 + f64::from(i) / 100.0).collect();
    evidence.defects = vec![45.0];
    let options = Options { margin: Margin::Absolute(1e-15), ..Options::default() };
    assert_eq!(45.0 + 1e-15, 45.0, "the bare sum would let the defect pass");
    let new = optimise_limit(&evidence, &options).unwrap().new_limit;
    assert!(45.0 < new);
    assert_eq!(new.to_bits(), 45.0_f64.to_bits() + 1);
}

#[test]
fn a_limit_typed_in_with_two_decimals_still_flags_the_worst_defect() {
    let mut evidence = Evidence::new(Side::Upper, 40.0);
    evidence.false_calls = (1..=100).map(|i| 50.0 + f64::from(i) / 100.0).collect();
    evidence.defects = vec![45.0];
    let options = Options { resolution: ResolutionRule::Step(step("0.01")), ..Options::default() };
    let proposal = optimise_limit(&evidence, &options).unwrap();
    assert_eq!(proposal.new_limit, 44.99);
    assert_eq!((proposal.defects_after, proposal.false_calls_after), (1, 100));
}

#[test]
fn a_boundary_that_flags_equality_lets_the_limit_lie_on_the_defect() {
    let mut evidence = Evidence::new(Side::Lower, 50.0);
    evidence.false_calls = (0..100).map(|i| 40.0 + f64::from(i) / 100.0).collect();
    evidence.defects = vec![45.0, 50.0];
    let options = Options { boundary: Boundary::Flagged, ..Options::default() };
    assert_eq!(optimise_limit(&evidence, &options).unwrap().new_limit, 50.0, "a defect on T0 holds T0");
    evidence.defects.pop();
    assert_eq!(optimise_limit(&evidence, &options).unwrap().new_limit, 45.0);
}

#[test]
fn every_percentile_type_is_held_by_the_same_guard() {
    let mut evidence = Evidence::new(Side::Lower, 50.0);
    evidence.false_calls = (0..100).map(|i| 40.0 + f64::from(i) / 100.0).collect();
    evidence.defects = vec![45.5];
    let limits = HyndmanFan::ALL.map(|percentile_kind| {
        optimise_limit(&evidence, &Options { percentile_kind, ..Options::default() }).unwrap().new_limit
    });
    assert_eq!(limits, [45.5_f64.next_up(); 9]);
}
