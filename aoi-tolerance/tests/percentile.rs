//! Percentiles against numpy's (data made by `tools/fixtures/percentile.py`), the textbook, and the paper's numbers.

use aoi_testing::{Seeded, assert_close};
use aoi_tolerance::percentile::{HyndmanFan, PercentileError, percentile_of_sorted, sort_sample};
use proptest::prelude::*;
use std::collections::HashMap;

fn sorted(mut sample: Vec<f64>) -> Vec<f64> {
    sort_sample(&mut sample).expect("finite");
    sample
}

fn numbers<'a>(fields: impl Iterator<Item = &'a str>) -> Vec<f64> {
    fields.map(|field| field.parse().expect("a number")).collect()
}

/// Equal, where any NaN equals any NaN and -0.0 equals 0.0.
fn same(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

#[test]
fn all_types_equal_numpy() {
    let mut samples = HashMap::new();
    let (mut compared, mut not_finite) = (0, 0);
    for line in include_str!("data/percentile.csv").lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split(',');
        match (fields.next(), fields.next()) {
            (Some("values"), Some(name)) => {
                samples.insert(name, sorted(numbers(fields.next().expect("values").split(' '))));
            }
            (Some("percentile"), Some(name)) => {
                let row = numbers(fields);
                for (kind, &expected) in HyndmanFan::ALL.into_iter().zip(&row[1..]) {
                    let actual = percentile_of_sorted(&samples[name], row[0], kind).expect("valid");
                    assert!(
                        same(actual, expected),
                        "{name}, P = {}, {kind:?}: {actual:?}, numpy {expected:?}",
                        row[0]
                    );
                    compared += 1;
                    not_finite += usize::from(!expected.is_finite());
                }
            }
            _ => panic!("unknown row: {line}"),
        }
    }
    assert_eq!((samples.len(), compared), (16, 16 * 13 * 9));
    assert!(not_finite > 10, "overflow is one of the cases: {not_finite}");
}

const PAPER_SAMPLE: [f64; 5] = [2.0, 25.0, 28.0, 32.0, 35.0];

#[test]
fn the_paper_sample_gives_33_2_at_85_and_32_6_at_80() {
    assert_close(percentile_of_sorted(&PAPER_SAMPLE, 85.0, HyndmanFan::Linear).unwrap(), 33.2, 8e-15, 0.0);
    assert_close(percentile_of_sorted(&PAPER_SAMPLE, 80.0, HyndmanFan::Linear).unwrap(), 32.6, 8e-15, 0.0);
}

#[test]
fn among_multiples_of_five_only_type_7_at_85_gives_33_2() {
    let mut hits = Vec::new();
    for kind in HyndmanFan::ALL {
        for percent in (0..=100).step_by(5) {
            let value = percentile_of_sorted(&PAPER_SAMPLE, f64::from(percent), kind).unwrap();
            if (value - 33.2).abs() < 0.05 {
                hits.push((kind.number(), percent)); // would be printed as 33.2
            }
        }
    }
    assert_eq!(hits, [(7, 85)]);
}

/// `ceil(R) - 1` for R = (P / 100)(N - 1) + 1 and P a whole number, in integers.
fn kept_exactly(n: usize, percent: usize) -> usize {
    (percent * (n - 1)).div_ceil(100)
}

/// How many of `first`, `first + 1`, ... (N of them) lie below their type 7 percentile.
fn kept(n: usize, percent: usize, first: f64) -> usize {
    let sample: Vec<f64> = (0..n).map(|k| first + k as f64).collect();
    let limit = percentile_of_sorted(&sample, percent as f64, HyndmanFan::Linear).unwrap();
    sample.iter().filter(|&&x| x < limit).count()
}

#[test]
fn tie_free_type_7_keeps_ceil_of_the_rank_less_one() {
    assert_eq!((kept(1231, 80, 20.0), kept(13, 80, 20.0)), (984, 10));
    assert_eq!((kept_exactly(1231, 80), kept_exactly(13, 80)), (984, 10));
    for n in 1..=600 {
        for percent in [5, 10, 20, 25, 40, 50, 60, 75, 80, 85, 90, 95, 100] {
            assert_eq!(kept(n, percent, 20.0), kept_exactly(n, percent), "N = {n}, P = {percent}");
        }
    }
}

#[test]
fn rounding_the_index_keeps_at_most_one_value_more_and_never_one_less() {
    let mut more = Vec::new();
    for n in 1..=600 {
        for percent in 0..=100 {
            match kept(n, percent, 0.0) - kept_exactly(n, percent) {
                0 => {}
                1 => more.push((n, percent)),
                difference => panic!("N = {n}, P = {percent}: {difference}"),
            }
        }
    }
    assert!(more.contains(&(101, 55)), "the documented example: {more:?}");
    assert!(more.iter().all(|&(n, percent)| percent * (n - 1) % 100 == 0), "only where R is whole");
}

#[test]
fn a_sweep_of_the_place_is_the_percentile_of_the_slice() {
    let mut random = Seeded::new(3);
    let sample = sorted((0..257).map(|_| random.normal()).collect());
    for kind in HyndmanFan::ALL {
        for percent in (0..=400).map(|step| f64::from(step) * 0.25) {
            let place = kind.place(sample.len(), percent).unwrap();
            let by_place = place.value(|index| sample[index]);
            assert_eq!(by_place, percentile_of_sorted(&sample, percent, kind).unwrap());
            assert!((place.below()..=place.below() + 1).contains(&place.above()) && place.above() < 257);
        }
    }
}

#[test]
fn overflow_of_the_difference_comes_out_not_finite() {
    for percent in [10.0, 50.0, 90.0] {
        assert!(
            !percentile_of_sorted(&[-1.7e308, 1.7e308], percent, HyndmanFan::Linear).unwrap().is_finite()
        );
    }
}

#[test]
fn nonsense_is_an_error_and_names_what_came() {
    for kind in HyndmanFan::ALL {
        assert_eq!(percentile_of_sorted(&[], 50.0, kind), Err(PercentileError::Empty));
        for percent in [-1e-9, 100.000_001, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(
                percentile_of_sorted(&[1.0], percent, kind),
                Err(PercentileError::Percent { percent })
            );
        }
        assert!(matches!(percentile_of_sorted(&[1.0], f64::NAN, kind), Err(PercentileError::Percent { .. })));
    }
    for number in [0, 10, 255] {
        assert_eq!(HyndmanFan::try_from(number), Err(PercentileError::Type { number }));
    }
    let mut sample = [2.0, 1.0, f64::INFINITY, f64::NAN];
    assert_eq!(sort_sample(&mut sample), Err(PercentileError::Value { index: 2, value: f64::INFINITY }));
    assert_eq!(sample[..2], [2.0, 1.0]);
}

#[test]
fn numbers_and_types_name_each_other() {
    for (kind, number) in HyndmanFan::ALL.into_iter().zip(1..) {
        assert_eq!((kind.number(), HyndmanFan::try_from(number)), (number, Ok(kind)));
    }
}

/// The paper's Table of definitions for types 4 to 9, written down as it stands: position N p + m.
fn textbook_continuous(sorted: &[f64], p: f64, kind: HyndmanFan) -> f64 {
    let m = match kind.number() {
        4 => 0.0,
        5 => 0.5,
        6 => p,
        7 => 1.0 - p,
        8 => (p + 1.0) / 3.0,
        _ => p / 4.0 + 3.0 / 8.0,
    };
    let position = (sorted.len() as f64 * p + m).clamp(1.0, sorted.len() as f64);
    let order_statistic =
        |rank: f64| sorted.iter().zip(1..).take_while(|&(_, k)| f64::from(k) <= rank).last().unwrap().0;
    let g = position.fract();
    if g == 0.0 {
        *order_statistic(position)
    } else {
        (1.0 - g) * order_statistic(position) + g * order_statistic(position + 1.0)
    }
}

/// Types 1 to 3 for P = 100 s / 64, in integers.
fn textbook_discrete(sorted: &[f64], s: usize, kind: HyndmanFan) -> f64 {
    let (n, scaled) = (sorted.len(), sorted.len() * s);
    let x = |rank: usize| sorted[rank.clamp(1, n) - 1];
    let (j, rest) = (scaled / 64, scaled % 64);
    match kind.number() {
        1 => x(j + usize::from(rest > 0)),
        2 if rest > 0 => x(j + 1),
        2 => f64::midpoint(x(j), x(j + 1)),
        _ if rest == 32 => x(j + j % 2),
        _ => x(j + usize::from(rest > 32)),
    }
}

/// Tenths, with both zeros.
fn grid_value((k, negate): (i32, bool)) -> f64 {
    f64::from(k) * if negate { -0.1 } else { 0.1 }
}

fn samples() -> impl Strategy<Value = Vec<f64>> {
    let grid = prop::collection::vec((-20_i32..20, any::<bool>()).prop_map(grid_value), 1..40);
    let wild = prop::collection::vec(-1e300_f64..1e300, 1..20);
    let scales =
        prop::collection::vec((-1.0_f64..1.0, -300_i32..300).prop_map(|(x, e)| x * 2_f64.powi(e)), 1..20);
    prop_oneof![grid, wild, scales].prop_map(sorted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn continuous_types_follow_the_textbook(sample in samples(), percent in 0.0..=100.0) {
        let largest = sample.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
        for kind in &HyndmanFan::ALL[3..] {
            let actual = percentile_of_sorted(&sample, percent, *kind).unwrap();
            let expected = textbook_continuous(&sample, percent / 100.0, *kind);
            // The position (at most 40) is rounded a few times, and moves the result by up to twice the largest value.
            assert_close(actual, expected, largest * 2.0 * 40.0 * 1e-15, 0.0);
        }
    }

    #[test]
    fn discrete_types_are_the_textbook(sample in samples(), s in 0_usize..=64) {
        for kind in &HyndmanFan::ALL[..3] {
            let actual = percentile_of_sorted(&sample, s as f64 * 100.0 / 64.0, *kind).unwrap();
            let expected = textbook_discrete(&sample, s, *kind);
            // A mean of two values of unlike sign is rounded in the size of the values.
            let atol = if kind.number() == 2 { sample[0].abs().max(sample[sample.len() - 1].abs()) * 4e-16 } else { 0.0 };
            assert_close(actual, expected, atol, 0.0);
        }
    }

    #[test]
    fn the_result_lies_within_the_sample(sample in samples(), percent in 0.0..=100.0) {
        for kind in HyndmanFan::ALL {
            let value = percentile_of_sorted(&sample, percent, kind).unwrap();
            prop_assert!(sample[0] <= value && value <= sample[sample.len() - 1], "{kind:?}: {value}");
        }
    }

    #[test]
    fn the_result_never_falls_as_p_rises(sample in samples(), a in 0.0..=100.0, b in 0.0..=100.0, ulps in 0_u64..4) {
        for kind in HyndmanFan::ALL {
            let at = |percent| percentile_of_sorted(&sample, percent, kind).unwrap();
            prop_assert!(at(f64::min(a, b)) <= at(f64::max(a, b)), "{kind:?}");
            // And between neighbouring doubles, around the middle of the sample where the formula changes ends.
            let near = f64::from_bits(50_f64.to_bits() + ulps);
            prop_assert!(at(f64::from_bits(near.to_bits() - 2)) <= at(near), "{kind:?} at {near}");
        }
    }

    #[test]
    fn the_formula_changes_ends_without_falling(a in -1e3..1e3, d in 0.0..1e3, scale in -60_i32..60) {
        let pair = [a, a + d * 2_f64.powi(scale)];
        let at = |percent| percentile_of_sorted(&pair, percent, HyndmanFan::Linear).unwrap();
        for back in 1..4 {
            prop_assert!(at(f64::from_bits(50_f64.to_bits() - back)) <= at(50.0), "{pair:?}");
        }
    }

    #[test]
    fn the_order_of_the_input_leaves_no_trace(sample in samples(), seed in any::<u64>()) {
        let mut random = Seeded::new(seed);
        let mut shuffled = sample.clone();
        for i in (1..shuffled.len()).rev() {
            shuffled.swap(i, random.below(i + 1));
        }
        let bits = |values: Vec<f64>| values.into_iter().map(f64::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(sorted(shuffled)), bits(sample));
    }
}
