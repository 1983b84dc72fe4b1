//! Law 9: what is no number is refused where limits are computed, and flagged where parts are inspected.

use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::{Boundary, Side, Tolerance, is_flagged};
use aoi_tolerance::margin::Margin;
use aoi_tolerance::optimise::{optimise, optimise_limit};
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::{Error, validate};
use proptest::prelude::*;

use crate::oracle::flags;

const NO_NUMBERS: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

fn sound(side: Side) -> Evidence {
    let mut e = Evidence::new(side, side.mirror(40.0));
    e.false_calls = (1..=20).map(|i| side.mirror(40.0 - f64::from(i))).collect();
    e.defects = vec![side.mirror(5.0)];
    e.provisional = vec![side.mirror(4.0)];
    e
}

#[test]
fn a_value_that_is_no_number_is_refused_wherever_it_stands() {
    let mut refused = 0;
    for side in [Side::Lower, Side::Upper] {
        assert!(optimise_limit(&sound(side), &Options::default()).unwrap().moves());
        for wrong in NO_NUMBERS {
            let places: [fn(&mut Evidence, f64); 5] = [
                |e, x| e.limit = x,
                |e, x| e.false_calls[7] = x,
                |e, x| e.defects.push(x),
                |e, x| e.provisional.push(x),
                |e, x| e.escapes = vec![1.0, x],
            ];
            for place in places {
                let mut e = sound(side);
                place(&mut e, wrong);
                for policy in [Policy::Paper, Policy::Guarded, Policy::Certified { alpha: 0.5 }] {
                    let outcome = optimise_limit(&e, &Options { policy, ..Options::default() });
                    assert!(matches!(outcome, Err(Error::NotFinite { .. })), "{wrong}: {outcome:?}");
                    refused += 1;
                }
            }
        }
    }
    assert_eq!(refused, 2 * 3 * 5 * 3);
}

#[test]
fn a_repeatability_that_is_negative_or_no_number_is_refused() {
    for wrong in NO_NUMBERS.into_iter().chain([-0.5]) {
        for margin in [Margin::Gauge, Margin::Sigmas(3.0)] {
            let e = Evidence { sigma: Some(wrong), ..sound(Side::Lower) };
            let outcome = optimise_limit(&e, &Options { margin, ..Options::default() });
            assert!(outcome.is_err(), "sigma {wrong}: {outcome:?}");
        }
    }
}

#[test]
fn one_bad_limit_among_good_ones_is_an_error_and_not_a_shorter_answer() {
    let mut bad = sound(Side::Upper);
    bad.defects.push(f64::NAN);
    for threads in [1, 2, 3] {
        let all = [sound(Side::Lower), bad.clone(), sound(Side::Upper)];
        assert!(optimise(&all, &Options { threads, ..Options::default() }).is_err());
    }
}

#[test]
fn a_value_that_its_limit_did_not_flag_is_refused_as_evidence() {
    for (side, boundary, value) in [
        (Side::Lower, Boundary::Passes, 40.0),
        (Side::Lower, Boundary::Flagged, 40.0_f64.next_up()),
        (Side::Upper, Boundary::Passes, -40.0),
        (Side::Upper, Boundary::Flagged, (-40.0_f64).next_down()),
    ] {
        for place in 0..3 {
            let mut e = sound(side);
            [&mut e.false_calls, &mut e.defects, &mut e.provisional][place].push(value);
            let outcome = optimise_limit(&e, &Options { boundary, ..Options::default() });
            assert!(matches!(outcome, Err(Error::NotFlagged { value: v, .. }) if v == value), "{outcome:?}");
        }
    }
}

#[test]
fn options_that_are_no_numbers_are_refused_and_named() {
    let base = Options::default();
    for wrong in NO_NUMBERS {
        let cases = [
            ("percentile", Options { percentile: wrong, ..base.clone() }),
            ("margin", Options { margin: Margin::Absolute(wrong), ..base.clone() }),
            ("margin", Options { margin: Margin::PercentOfLimit(wrong), ..base.clone() }),
            ("margin", Options { margin: Margin::Sigmas(wrong), ..base.clone() }),
            ("delta", Options { delta: wrong, ..base.clone() }),
            ("max_pending_share", Options { max_pending_share: wrong, ..base.clone() }),
            ("alpha", Options { policy: Policy::Certified { alpha: wrong }, ..base.clone() }),
        ];
        aoi_testing::for_each_case(
            cases.map(|(name, options)| (name, (name, options))),
            |(name, options)| {
                let error = optimise_limit(&sound(Side::Lower), &options).unwrap_err().to_string();
                assert!(error.contains(name), "{error}");
                let population = aoi_tolerance::population::Population::default();
                assert!(validate::validate(&population, validate::Split::Paper, 1, &options).is_err());
            },
        );
    }
}

proptest! {
    #[test]
    fn what_is_no_number_is_flagged_at_inspection(
        limit in any::<f64>(), value in any::<f64>(), equal_flags in any::<bool>(), which in 0..3_usize,
    ) {
        let boundary = if equal_flags { Boundary::Flagged } else { Boundary::Passes };
        for side in [Side::Lower, Side::Upper] {
            prop_assert!(is_flagged(NO_NUMBERS[which], limit, side, boundary));
            prop_assert!(is_flagged(value, NO_NUMBERS[which], side, boundary));
            if value.is_finite() && limit.is_finite() {
                prop_assert_eq!(is_flagged(value, limit, side, boundary), flags(value, limit, side, boundary));
            }
        }
        let both = Tolerance { lower: Some(-1.0), upper: Some(1.0) };
        prop_assert!(both.flagging_side(NO_NUMBERS[which], boundary).is_some());
    }
}
