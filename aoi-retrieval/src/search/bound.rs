//! Error bounds as a product of what is known of a bin and what is known of a query, rounded outward.

/// Terms of a bound. Each is the largest over the rows of a bin and meets one coefficient of the query.
///
/// 0 `|dh|`, 1 `|h|`, 2 `|dr|`, 3 `|r|` (residuals and lengths of the two coded parts), 4 slack of f64 rounding,
/// 5 step of the row's codes, 6 absolute error of the row's bias, 7 one.
pub(super) const TERMS: usize = 8;

/// The terms of one bin, or the coefficients of one query.
pub(super) type Terms = [f32; TERMS];

/// The next f32 at or above a non-negative bound; NaN becomes infinity: what is not known is not bounded.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "rounded outward right after")]
pub(super) fn up(bound: f64) -> f32 {
    if bound == 0.0 {
        0.0
    } else if bound.is_nan() {
        f32::INFINITY
    } else {
        (bound as f32).next_up()
    }
}

/// Rounds every entry up.
pub(super) fn up_all(bounds: [f64; TERMS]) -> Terms {
    bounds.map(up)
}

/// `sum_i bin_i query_i`, rounded up.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
pub(super) fn bound(bin: &Terms, query: &Terms) -> f32 {
    let sum: f64 = bin.iter().zip(query).map(|(&b, &q)| f64::from(b) * f64::from(q)).sum();
    // Eight products and seven sums round by less than 2^-48 of the result.
    up(sum * (1.0 + 2.0_f64.powi(-40)))
}

/// Entry by entry the larger.
#[inline]
pub(super) fn widest(a: Terms, b: &Terms) -> Terms {
    std::array::from_fn(|i| a[i].max(b[i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_goes_outward_and_unknown_is_unbounded() {
        let third = 1.0 / 3.0;
        assert!(f64::from(up(third)) > third && f64::from(up(third)) < third * (1.0 + 3e-7));
        assert_eq!(up(0.0), 0.0);
        assert_eq!(up(f64::NAN), f32::INFINITY);
        let mut bin = [1.0; TERMS];
        bin[6] = f32::INFINITY;
        assert_eq!(bound(&bin, &[0.0; TERMS]), f32::INFINITY);
    }

    #[test]
    fn a_bound_covers_the_sum_of_its_terms() {
        let (bin, query) = ([0.1_f32; TERMS], [0.7_f32; TERMS]);
        let exact = 8.0 * f64::from(0.1_f32) * f64::from(0.7_f32);
        let b = f64::from(bound(&bin, &query));
        assert!(b >= exact && b < exact * (1.0 + 1e-6));
    }
}
