//! The chance at which a tail has a given probability.

use super::density::{Chance, Exponents};
use super::tail::{Tail, Tails, tails};

/// Which tail is to be met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// P(X <= r), falling in p.
    Lower,
    /// P(X > r), rising in p.
    Upper,
}

impl Side {
    fn other(self) -> Self {
        if self == Self::Lower { Self::Upper } else { Self::Lower }
    }

    fn of(self, tails: Tails) -> Tail {
        if self == Self::Lower { tails.lower } else { tails.upper }
    }
}

/// ln(p / q) of every positive double p, and of every q, lies inside.
const LOGIT_RANGE: f64 = 746.0;

/// The chance at which the tail `side` is `delta`, 0 < delta < 1.
///
/// Of the two tails the smaller is met (a target above 1/2 becomes its complement, exactly). Newton's method on
/// ln(tail) over x = ln(p / q): the logarithm of the tail of a log-concave density is concave, so after the first step
/// the iteration stays on one side of the root and comes nearer with every step. A bracket is kept beside it; a
/// step that leaves the bracket is replaced by its midpoint, so rounding cannot send it anywhere. The last correction is
/// applied to p and q instead of x, which near p = 1/2 and for tiny p has fewer digits than they.
pub(super) fn solve(exponents: Exponents, side: Side, delta: f64) -> Chance {
    let (side, delta) = if delta > 0.5 { (side.other(), 1.0 - delta) } else { (side, delta) };
    let target = delta.ln();
    let toward_tail = if side == Side::Lower { 1.0 } else { -1.0 };
    let (mut low, mut high) = (-LOGIT_RANGE, LOGIT_RANGE);
    let mut x = ((exponents.r + 1.0) / (exponents.m + 1.0)).ln();
    // Newton takes about ten steps; bisection alone would end within 70.
    for _ in 0..200 {
        let at = Chance::from_logit(x);
        let tail = side.of(tails(exponents, at));
        let gap = tail.ln - target;
        let step = toward_tail * gap / tail.steepness;
        // Convergence is quadratic: what this last step leaves is of the order of 1e-16.
        if gap.abs() <= 1e-8 {
            return at.moved(step);
        }
        (low, high) = if step > 0.0 { (x, high) } else { (low, x) };
        let next = x + step;
        x = if low < next && next < high { next } else { f64::midpoint(low, high) };
        if x <= low || x >= high {
            break;
        }
    }
    Chance::from_logit(x)
}
