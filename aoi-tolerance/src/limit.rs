//! What a limit is, and the one rule that decides whether a value is flagged.
//!
//! Every computation in this crate is written for a lower limit. An upper limit is its mirror image: [`Side::mirror`] negates the
//! values, the lower-limit code solves, and the result is negated back. Negation of an f64 loses nothing, so the mirror is free of error.

use std::fmt;

/// Which side of a tolerance a limit bounds. Lower sorts before upper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// Flags values below it.
    Lower,
    /// Flags values above it.
    Upper,
}

impl Side {
    /// Maps a value to the frame in which the limit is a lower limit, and back: the map is its own inverse.
    ///
    /// ```
    /// use aoi_tolerance::limit::Side;
    /// assert_eq!(Side::Upper.mirror(Side::Upper.mirror(2.5)), 2.5);
    /// ```
    #[must_use]
    pub fn mirror(self, value: f64) -> f64 {
        match self {
            Self::Lower => value,
            Self::Upper => -value,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lower => "lower",
            Self::Upper => "upper",
        })
    }
}

/// What happens to a value equal to its limit: a setting of the site's machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Boundary {
    /// A value equal to its limit passes.
    #[default]
    Passes,
    /// A value equal to its limit is flagged.
    Flagged,
}

impl Boundary {
    /// Whether a finite `value` is flagged by a *lower* limit `limit`; the mirrored frame of [`Side::mirror`].
    pub(crate) fn flags_below(self, value: f64, limit: f64) -> bool {
        match self {
            Self::Passes => value < limit,
            Self::Flagged => value <= limit,
        }
    }

    /// The least lower limit that flags `value`.
    pub(crate) fn least_flagging(self, value: f64) -> f64 {
        match self {
            Self::Passes => value.next_up(),
            Self::Flagged => value,
        }
    }
}

/// Whether `value` is flagged by `limit`.
///
/// Lower: `value < limit`; upper: `value > limit`; with [`Boundary::Flagged`] equality is flagged too. The rule fails closed: a value
/// or a limit that is not finite flags.
///
/// ```
/// use aoi_tolerance::limit::{is_flagged, Boundary, Side};
/// assert!(is_flagged(39.9, 40.0, Side::Lower, Boundary::Passes));
/// assert!(!is_flagged(40.0, 40.0, Side::Lower, Boundary::Passes));
/// assert!(is_flagged(f64::NAN, 40.0, Side::Lower, Boundary::Passes));
/// ```
pub fn is_flagged(value: f64, limit: f64, side: Side, boundary: Boundary) -> bool {
    if !value.is_finite() || !limit.is_finite() {
        return true;
    }
    boundary.flags_below(side.mirror(value), side.mirror(limit))
}

/// The limits on one measured quantity: a lower one, an upper one, or both.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tolerance {
    /// Values below it are flagged.
    pub lower: Option<f64>,
    /// Values above it are flagged.
    pub upper: Option<f64>,
}

impl Tolerance {
    /// The limit on one side, if there is one.
    pub fn side(&self, side: Side) -> Option<f64> {
        match side {
            Side::Lower => self.lower,
            Side::Upper => self.upper,
        }
    }

    /// The same limits with 0.0 for -0.0: they are one limit, whichever came first.
    pub(crate) fn unsigned_zeros(self) -> Self {
        let unsigned = |limit: Option<f64>| limit.map(|l| l + 0.0);
        Self { lower: unsigned(self.lower), upper: unsigned(self.upper) }
    }

    /// The sides that carry a limit.
    pub fn sides(&self) -> impl Iterator<Item = (Side, f64)> {
        [Side::Lower, Side::Upper].into_iter().filter_map(|s| self.side(s).map(|l| (s, l)))
    }

    /// The side that flags `value`; the lower one where both would (a value that is not finite).
    pub fn flagging_side(&self, value: f64, boundary: Boundary) -> Option<Side> {
        self.sides().find(|&(side, limit)| is_flagged(value, limit, side, boundary)).map(|(side, _)| side)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equality_passes_or_flags_as_the_site_says() {
        for side in [Side::Lower, Side::Upper] {
            assert!(!is_flagged(5.0, 5.0, side, Boundary::Passes));
            assert!(is_flagged(5.0, 5.0, side, Boundary::Flagged));
            assert!(!is_flagged(0.0, -0.0, side, Boundary::Passes), "zeros are equal");
        }
    }

    #[test]
    fn what_cannot_be_read_is_flagged_on_both_sides() {
        for side in [Side::Lower, Side::Upper] {
            for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                assert!(is_flagged(value, 5.0, side, Boundary::Passes), "{value} against a {side} limit");
                assert!(is_flagged(5.0, value, side, Boundary::Passes), "a {side} limit of {value}");
            }
        }
    }

    #[test]
    fn the_least_flagging_limit_flags_and_the_one_below_it_does_not() {
        for boundary in [Boundary::Passes, Boundary::Flagged] {
            for value in [0.0, -0.0, 45.0, -1e300, 5e-324, 1e16] {
                let limit = boundary.least_flagging(value);
                assert!(boundary.flags_below(value, limit));
                assert!(!boundary.flags_below(value, limit.next_down()), "{value} {boundary:?}");
            }
        }
    }

    #[test]
    fn a_two_sided_tolerance_names_the_side_that_flags() {
        let t = Tolerance { lower: Some(1.0), upper: Some(2.0) };
        assert_eq!(t.flagging_side(0.5, Boundary::Passes), Some(Side::Lower));
        assert_eq!(t.flagging_side(2.5, Boundary::Passes), Some(Side::Upper));
        assert_eq!(t.flagging_side(1.0, Boundary::Passes), None);
    }
}
