//! Binomial probabilities and bounds against mpmath (data made by `tools/fixtures/binomial.py`), and their laws.

use aoi_testing::{assert_close, is_close};
use aoi_tolerance::binomial::{
    BinomialError, Claim, MAX_TRIALS, binomial_cdf, clopper_pearson_lower, clopper_pearson_upper,
    escape_bound, needed_defects,
};
use proptest::prelude::*;

struct Row {
    hits: u64,
    trials: u64,
    given: f64,
    expected: f64,
}

fn rows(kind: &str) -> Vec<Row> {
    let fields = include_str!("data/binomial.csv").lines().map(|line| line.split(',').collect::<Vec<_>>());
    let rows: Vec<Row> = fields
        .filter(|fields| fields[0] == kind)
        .map(|fields| Row {
            hits: fields[1].parse().unwrap(),
            trials: fields[2].parse().unwrap(),
            given: fields[3].parse().unwrap(),
            expected: fields[4].parse().unwrap(),
        })
        .collect();
    assert!(rows.len() > 200, "{kind}: {}", rows.len());
    assert!(rows.iter().any(|row| row.trials == 1_000_000_000 && row.hits >= 500_000_000));
    rows
}

#[test]
fn the_distribution_function_is_that_of_mpmath() {
    for row in rows("cdf") {
        let Row { hits, trials, given, expected } = row;
        let actual = binomial_cdf(hits, trials, given).unwrap();
        // Far out (1e-290) the logarithm is 700, and a few of its last digits show.
        let rtol = if expected > 1e-30 { 2e-14 } else { 2e-13 };
        assert!(
            is_close(actual, expected, 0.0, rtol),
            "P(X <= {hits}; {trials}, {given:e}): {actual:e}, {expected:e}"
        );
    }
}

#[test]
fn the_bounds_are_those_of_mpmath() {
    let rtol = 1.5e-14; // measured: 6e-15, at n = 2^53, where the logarithms on the way are about 40
    for row in rows("upper") {
        let actual = clopper_pearson_upper(row.hits, row.trials, row.given).unwrap();
        assert_eq!(actual, escape_bound(row.hits, row.trials, row.given).unwrap());
        assert_close(actual, row.expected, 0.0, rtol);
    }
    for row in rows("lower") {
        let actual = clopper_pearson_lower(row.hits, row.trials, row.given).unwrap();
        assert_close(actual, row.expected, 0.0, rtol);
    }
}

/// Law: P(X <= r; n, alpha*) = delta to 1e-9, where alpha* has the digits for it: near 1 the spacing of doubles decides
/// (n = 1e9, r = n - 1: 1 - alpha* is about 1e-10), and there delta lies between the probabilities at its neighbours.
#[test]
fn at_the_bound_the_probability_is_delta() {
    let (mut met, mut between) = (0, 0);
    for n in [1, 2, 10, 59, 299, 2995, 1_000_000, 1_000_000_000_u64] {
        let mut counts =
            vec![0, 1, 5, n / 1000, n / 10, n / 3, n / 2, n - n / 10, n.saturating_sub(2), n - 1];
        counts.retain(|&r| r < n);
        for r in counts {
            for delta in [0.999, 0.5, 0.1, 0.05, 1e-3, 1e-6, 1e-12] {
                let alpha = escape_bound(r, n, delta).unwrap();
                if alpha < 1.0 && is_close(binomial_cdf(r, n, alpha).unwrap(), delta, 0.0, 1e-9) {
                    met += 1;
                    continue;
                }
                assert!(1.0 - alpha < 1e-4, "r = {r}, n = {n}, delta = {delta:e}: {alpha}");
                let above =
                    if alpha.next_up() < 1.0 { binomial_cdf(r, n, alpha.next_up()).unwrap() } else { 0.0 };
                assert!(above < delta && delta < binomial_cdf(r, n, alpha.next_down()).unwrap());
                between += 1;
            }
        }
    }
    assert!(met > 400 && between < 60, "{met} {between}");
}

#[test]
fn the_published_bounds_come_out() {
    assert_close(escape_bound(0, 59, 0.05).unwrap(), 0.0495, 5e-5, 0.0);
    assert_close(escape_bound(0, 299, 0.05).unwrap(), 0.00997, 5e-6, 0.0);
    // 1 - delta^(1/n) at n = 1e9 is ln(20) / 1e9 less half its square; through powf it would have 7 digits.
    let first_order = 20_f64.ln() / 1e9;
    assert_close(
        escape_bound(0, 1_000_000_000, 0.05).unwrap(),
        first_order * (1.0 - first_order / 2.0),
        0.0,
        1e-15,
    );
}

#[test]
fn the_needed_defects_are_the_tabled_ones() {
    let needed = |r, alpha, delta| needed_defects(r, Claim { alpha, delta }).unwrap();
    assert_eq!([0.05, 0.01, 0.001].map(|alpha| needed(0, alpha, 0.05)), [59, 299, 2995]);
    // Wilks' one-sided 95/95 sample sizes of order 1 to 5.
    assert_eq!([0, 1, 2, 3, 4].map(|r| needed(r, 0.05, 0.05)), [59, 93, 124, 153, 181]);
}

#[test]
fn a_tie_of_the_claim_counts_as_supported() {
    // (1/2)^n = delta exactly; logarithms would ask for one more at n = 3.
    for n in 1..=60 {
        let delta = 0.5_f64.powi(n);
        assert_eq!(needed_defects(0, Claim { alpha: 0.5, delta }), Ok(u64::try_from(n).unwrap()));
    }
}

#[test]
fn the_ends_are_exact() {
    for n in [1, 5, 1_000_000_000] {
        assert_eq!(binomial_cdf(n, n, 0.3), Ok(1.0));
        assert_eq!(clopper_pearson_upper(n, n, 0.05), Ok(1.0));
        assert_eq!(clopper_pearson_lower(0, n, 0.05), Ok(0.0));
    }
}

#[test]
fn nothing_hangs_or_leaves_the_unit_interval() {
    let mut calls = 0;
    for n in [1, 2, 3, 1000, 1_000_000_007, MAX_TRIALS] {
        for r in [0, 1, 2, n / 7, n / 2, n - n / 7, n.saturating_sub(2), n - 1].into_iter().filter(|&r| r < n)
        {
            for x in [
                f64::MIN_POSITIVE,
                1e-300,
                1e-100,
                1e-16,
                1e-9,
                0.3,
                0.5,
                0.7,
                1.0 - 1e-9,
                1.0_f64.next_down(),
            ] {
                for value in [
                    binomial_cdf(r, n, x),
                    escape_bound(r, n, x),
                    clopper_pearson_lower(r + 1, n, x),
                    clopper_pearson_upper(r, n, x),
                ] {
                    assert!((0.0..=1.0).contains(&value.unwrap()), "r = {r}, n = {n}, {x:e}: {value:?}");
                    calls += 1;
                }
            }
        }
    }
    assert!(calls > 1000);
}

#[test]
fn nonsense_is_an_error_and_names_what_came() {
    for bad in [0.0, 1.0, -0.1, 1.1, f64::NAN, f64::INFINITY] {
        let names = |result: Result<f64, BinomialError>, expected| match result {
            Err(BinomialError::Probability { name, value }) => {
                assert!(name == expected && value.to_bits() == bad.to_bits());
            }
            other => panic!("{bad} gave {other:?}"),
        };
        names(binomial_cdf(1, 3, bad), "p");
        names(escape_bound(0, 3, bad), "delta");
        names(clopper_pearson_lower(0, 3, bad), "delta");
        names(clopper_pearson_upper(3, 3, bad), "delta");
        names(needed_defects(0, Claim { alpha: bad, delta: 0.05 }).map(|n| n as f64), "alpha");
        names(needed_defects(0, Claim { alpha: 0.05, delta: bad }).map(|n| n as f64), "delta");
    }
    let hits = |hits, most, trials| Err(BinomialError::Hits { hits, most, trials });
    assert_eq!(binomial_cdf(4, 3, 0.5), hits(4, 3, 3));
    assert_eq!(escape_bound(3, 3, 0.5), hits(3, 2, 3));
    assert_eq!(clopper_pearson_lower(4, 3, 0.5), hits(4, 3, 3));
    assert_eq!(clopper_pearson_upper(4, 3, 0.5), hits(4, 3, 3));
    assert_eq!(escape_bound(0, 0, 0.5), Err(BinomialError::NoTrials));
    assert_eq!(binomial_cdf(0, 0, 0.5), Err(BinomialError::NoTrials));
    assert_eq!(escape_bound(0, MAX_TRIALS + 1, 0.5), Err(BinomialError::TooManyTrials));
    assert_eq!(needed_defects(0, Claim { alpha: 1e-17, delta: 0.05 }), Err(BinomialError::TooManyTrials));
    assert_eq!(
        needed_defects(u64::MAX, Claim { alpha: 0.5, delta: 0.05 }),
        Err(BinomialError::TooManyTrials)
    );
}

/// The sum of the definition, for small n.
fn textbook_cdf(r: u64, n: u64, p: f64) -> f64 {
    let mut sum = 0.0;
    for k in 0..=r {
        let choose: f64 = (1..=k).map(|i| (n - k + i) as f64 / i as f64).product();
        sum += choose * p.powi(i32::try_from(k).unwrap()) * (1.0 - p).powi(i32::try_from(n - k).unwrap());
    }
    sum
}

/// n on a logarithmic scale to 1e9, r anywhere below it, p up to ten standard deviations from r / n.
fn cases() -> impl Strategy<Value = (u64, u64, f64)> {
    (0.0..9.0_f64, 0.0..1.0_f64, -10.0..10.0_f64).prop_map(|(digits, share, z)| {
        let n = 10_f64.powf(digits).ceil();
        let r = (share * n).floor().min(n - 1.0);
        let logit = ((r + 1.0) / (n - r)).ln() + z * (1.0 / (r + 1.0) + 1.0 / (n - r)).sqrt();
        let p = (1.0 / (1.0 + (-logit).exp())).clamp(1e-12, 1.0 - 1e-12);
        (as_count(r), as_count(n), p)
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number up to 1e9")]
fn as_count(x: f64) -> u64 {
    x as u64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn small_cases_are_the_sum_of_the_definition(n in 1_u64..60, share in 0.0..1.0_f64, p in 1e-6..0.999_999_f64) {
        let r = as_count(share * n as f64);
        assert_close(binomial_cdf(r, n, p).unwrap(), textbook_cdf(r, n, p), 0.0, 1e-13);
    }

    #[test]
    fn the_probability_moves_the_right_way((r, n, p) in cases(), by in 1.0..1.1_f64) {
        let here = binomial_cdf(r, n, p).unwrap() * (1.0 - 1e-12);
        prop_assert!(here <= binomial_cdf(r + 1, n, p).unwrap(), "in r");
        prop_assert!(here <= binomial_cdf(r, n, p / by).unwrap(), "in p");
        prop_assert!(r + 1 == n || here <= binomial_cdf(r, n - 1, p).unwrap(), "in n");
    }

    #[test]
    fn hits_and_misses_mirror_each_other((r, n, p) in cases()) {
        let p = (p * 1_048_576.0).ceil().min(1_048_575.0) / 1_048_576.0; // so that 1 - p is exact
        let mirrored = 1.0 - binomial_cdf(n - r - 1, n, 1.0 - p).unwrap();
        assert_close(binomial_cdf(r, n, p).unwrap(), mirrored, 1e-13, 0.0);
    }

    #[test]
    fn one_more_trial_hits_or_misses((r, n, p) in cases()) {
        prop_assume!(r > 0);
        // P(X <= r; n + 1) = (1 - p) P(X <= r; n) + p P(X <= r - 1; n).
        let now = (1.0 - p) * binomial_cdf(r, n, p).unwrap() + p * binomial_cdf(r - 1, n, p).unwrap();
        assert_close(binomial_cdf(r, n + 1, p).unwrap(), now, 0.0, 1e-12);
    }

    #[test]
    fn the_bounds_turn_back_into_the_count((r, n, p) in cases()) {
        let delta = binomial_cdf(r, n, p).unwrap();
        prop_assume!(delta > 1e-200 && delta < 0.999);
        // In p and 1 - p, each to what the rounding of p and delta leaves.
        let bound = escape_bound(r, n, delta).unwrap();
        assert_close(bound, p, 0.0, 1e-11);
        prop_assert!(clopper_pearson_lower(r, n, 0.05).unwrap() < clopper_pearson_upper(r, n, 0.05).unwrap());
    }

    #[test]
    fn a_claim_is_supported_from_the_needed_number_on(r in 0_u64..300, ln_alpha in -14.0..-0.1_f64, ln_delta in -28.0..-0.1_f64) {
        let claim = Claim { alpha: ln_alpha.exp(), delta: ln_delta.exp() };
        let n = needed_defects(r, claim).unwrap();
        prop_assert!(binomial_cdf(r, n, claim.alpha).unwrap() <= claim.delta);
        prop_assert!(n == r + 1 || binomial_cdf(r, n - 1, claim.alpha).unwrap() > claim.delta);
        prop_assert!(escape_bound(r, n, claim.delta).unwrap() <= claim.alpha * (1.0 + 1e-12));
        if r == 0 {
            let quotient = claim.delta.ln() / (-claim.alpha).ln_1p();
            prop_assert!((quotient.ceil() - n as f64).abs() < 1.0 || (quotient - quotient.round()).abs() < 1e-6);
        }
    }
}
