//! Comparison of floating-point numbers, written so that NaN is never close to anything.

/// Whether `actual` lies within `atol + rtol * |expected|` of `expected`.
///
/// NaN on either side is not close, not even to NaN. Equal infinities are close; an infinite tolerance is not accepted.
pub fn is_close(actual: f64, expected: f64, atol: f64, rtol: f64) -> bool {
    if actual == expected {
        return true;
    }
    let tolerance = atol + rtol * expected.abs();
    tolerance.is_finite() && (actual - expected).abs() <= tolerance
}

/// Asserts [`is_close`], naming both numbers and the difference.
///
/// # Panics
/// When the two are not close.
#[track_caller]
pub fn assert_close(actual: f64, expected: f64, atol: f64, rtol: f64) {
    assert!(
        is_close(actual, expected, atol, rtol),
        "{actual:e} is not close to {expected:e}: off by {:e}, allowed {:e}",
        (actual - expected).abs(),
        atol + rtol * expected.abs(),
    );
}

/// Asserts that two sequences have the same, non-zero length and are close entry by entry.
///
/// # Panics
/// When the lengths differ, both are empty, or an entry is not close; the message names the worst entry.
#[track_caller]
pub fn assert_all_close<A, E>(actual: &[A], expected: &[E], atol: f64, rtol: f64)
where
    A: Copy + Into<f64>,
    E: Copy + Into<f64>,
{
    assert_eq!(actual.len(), expected.len(), "lengths differ");
    assert!(!actual.is_empty(), "nothing was compared");
    let mut worst: Option<(usize, f64, f64, f64)> = None;
    for (i, (&a, &e)) in actual.iter().zip(expected).enumerate() {
        let (a, e): (f64, f64) = (a.into(), e.into());
        if is_close(a, e, atol, rtol) {
            continue;
        }
        let excess = (a - e).abs() - rtol * e.abs();
        let excess = if excess.is_nan() { f64::INFINITY } else { excess };
        if worst.is_none_or(|(_, _, _, w)| excess > w) {
            worst = Some((i, a, e, excess));
        }
    }
    if let Some((i, a, e, _)) = worst {
        panic!("entry {i} of {}: {a:e} is not close to {e:e} (atol {atol:e}, rtol {rtol:e})", actual.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_is_close_to_nothing() {
        assert!(!is_close(f64::NAN, f64::NAN, 1.0, 1.0));
        assert!(!is_close(f64::NAN, 0.0, f64::MAX, 0.0));
        assert!(!is_close(0.0, f64::NAN, 1.0, 1.0));
    }

    #[test]
    fn infinity_is_close_only_to_itself() {
        assert!(is_close(f64::INFINITY, f64::INFINITY, 0.0, 0.0));
        assert!(!is_close(1.0, f64::INFINITY, 0.0, 1.0));
        assert!(!is_close(f64::INFINITY, 1.0, f64::MAX, 1.0));
    }

    #[test]
    fn both_tolerances_count_and_the_edge_is_inside() {
        assert!(is_close(1.5, 1.0, 0.5, 0.0));
        assert!(!is_close(1.5 + 1e-9, 1.0, 0.5, 0.0));
        assert!(is_close(110.0, 100.0, 0.0, 0.1));
        assert!(!is_close(110.1, 100.0, 0.0, 0.1));
    }

    #[test]
    #[should_panic(expected = "entry 1 of 3")]
    fn a_single_nan_entry_fails_and_is_named() {
        assert_all_close(&[1.0, f64::NAN, 3.0], &[1.0, 2.0, 3.0], 1e-3, 0.0);
    }

    #[test]
    #[should_panic(expected = "nothing was compared")]
    fn an_empty_comparison_fails() {
        assert_all_close::<f64, f64>(&[], &[], 1.0, 1.0);
    }

    #[test]
    #[should_panic(expected = "lengths differ")]
    fn a_length_mismatch_fails() {
        assert_all_close(&[1.0], &[1.0, 1.0], 1.0, 1.0);
    }
}
