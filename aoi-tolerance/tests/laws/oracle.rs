//! The definitions, written a second time and as plainly as possible.

use aoi_tolerance::limit::{Boundary, Side};

/// Whether `value` lies outside `limit`, by the words of the definition.
pub(crate) fn flags(value: f64, limit: f64, side: Side, boundary: Boundary) -> bool {
    let equal_is_out = boundary == Boundary::Flagged;
    match side {
        Side::Lower => value < limit || (equal_is_out && value == limit),
        Side::Upper => value > limit || (equal_is_out && value == limit),
    }
}

/// How many of `values` lie outside `limit`.
pub(crate) fn count(values: &[f64], limit: f64, side: Side, boundary: Boundary) -> u64 {
    values.iter().filter(|&&v| flags(v, limit, side, boundary)).count() as u64
}

/// The next double above a finite `x`, by its bits.
pub(crate) fn step_up(x: f64) -> f64 {
    let bits = x.to_bits();
    if x == 0.0 {
        f64::from_bits(1)
    } else if x > 0.0 {
        f64::from_bits(bits + 1)
    } else {
        f64::from_bits(bits - 1)
    }
}

/// The guard of a lower limit: just above the `(misses + 1)`-th largest of `defects`, and `margin` above it.
pub(crate) fn guard(defects: &[f64], misses: u64, margin: f64, boundary: Boundary) -> Option<f64> {
    let mut remaining = defects.to_vec();
    for _ in 0..misses {
        let largest = remaining.iter().copied().reduce(f64::max)?;
        let at = remaining.iter().position(|&d| d == largest)?;
        remaining.swap_remove(at);
    }
    let held = remaining.into_iter().reduce(f64::max)?;
    let least = if boundary == Boundary::Passes { step_up(held) } else { held };
    Some(least.max(held + margin))
}

/// The percentile of the paper's equations at v = (N - 1) P / 100, one below its rank R, and the larger magnitude of the two neighbours.
///
/// It starts from the lower neighbour always, where the crate takes the nearer one; that may differ by 2 ulp of that magnitude.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index below the count")]
pub(crate) fn percentile(values: &[f64], percent: f64) -> (f64, f64) {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("finite"));
    let v = (sorted.len() as f64 - 1.0) * (percent / 100.0);
    let k = v.floor();
    let (a, b) = (sorted[k as usize], sorted[(k as usize + 1).min(sorted.len() - 1)]);
    (a + (v - k) * (b - a), a.abs().max(b.abs()))
}

/// The spacing of doubles at `magnitude`.
pub(crate) fn ulp(magnitude: f64) -> f64 {
    step_up(magnitude.abs()) - magnitude.abs()
}

#[test]
fn the_oracle_itself_knows_the_worked_examples() {
    let (t, _) = percentile(&[2.0, 28.0, 35.0, 32.0, 25.0], 80.0);
    assert!((t - 32.6).abs() < 1e-13);
    assert_eq!(guard(&[3.0, 9.0, 9.0, 7.0], 2, 0.5, Boundary::Passes), Some(7.5));
    assert_eq!(guard(&[3.0, 9.0], 2, 0.5, Boundary::Passes), None);
    assert_eq!(guard(&[45.0], 0, 1e-15, Boundary::Passes), Some(f64::from_bits(45.0_f64.to_bits() + 1)));
    assert_eq!(guard(&[45.0], 0, 0.0, Boundary::Flagged), Some(45.0));
    assert!(step_up(-5e-324) == 0.0 && step_up(-0.0) == 5e-324 && step_up(1.0) == 1.0 + f64::EPSILON);
    assert!(
        !flags(40.0, 40.0, Side::Lower, Boundary::Passes)
            && flags(40.0, 40.0, Side::Upper, Boundary::Flagged)
    );
}
