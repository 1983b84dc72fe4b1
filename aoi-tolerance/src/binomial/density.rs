//! The density whose integral the binomial distribution is, accurate where differences of log-gamma are not.

use std::f64::consts::PI;

/// A probability and its complement, both to full relative accuracy.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance {
    /// The probability p.
    pub(super) p: f64,
    /// 1 - p.
    pub(super) q: f64,
}

impl Chance {
    pub(super) fn from_p(p: f64) -> Self {
        Self { p, q: 1.0 - p }
    }

    /// From x = ln(p / q).
    pub(super) fn from_logit(x: f64) -> Self {
        Self { p: 1.0 / (1.0 + (-x).exp()), q: 1.0 / (1.0 + x.exp()) }
    }

    /// At a small distance in ln(p / q).
    pub(super) fn moved(self, logit: f64) -> Self {
        let change = logit * self.p * self.q;
        let (p, q) = (self.p + change, self.q - change);
        // The smaller of the two has the digits; the larger is best taken from it.
        if p < q { Self { p, q: 1.0 - p } } else { Self { p: 1.0 - q, q } }
    }

    fn ln_p(self) -> f64 {
        if self.q < 0.5 { (-self.q).ln_1p() } else { self.p.ln() }
    }

    fn ln_q(self) -> f64 {
        if self.p < 0.5 { (-self.p).ln_1p() } else { self.q.ln() }
    }
}

/// Exponents of the density s^r (1 - s)^m / B(r + 1, m + 1) on 0 < s < 1.
///
/// P(X <= r) for n trials of chance p is its integral from p to 1 if m = n - r - 1, and P(X > r) the one from 0 to p.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exponents {
    /// r, exponent of s.
    pub(super) r: f64,
    /// m, exponent of 1 - s.
    pub(super) m: f64,
}

impl Exponents {
    /// r - (r + m) p, rounded once.
    ///
    /// Near the mode this difference of two large numbers decides everything; r + m = 1e9 and a product rounded before
    /// the subtraction would cost five digits of the tail.
    pub(super) fn excess(self, at: Chance) -> f64 {
        let total = self.r + self.m;
        if at.p <= 0.5 { (-total).mul_add(at.p, self.r) } else { total.mul_add(at.q, -self.m) }
    }

    /// Mean of the density, (r + 1) / (r + m + 2).
    pub(super) fn mean(self) -> f64 {
        (self.r + 1.0) / (self.r + self.m + 2.0)
    }

    /// ln of the density at `at`.
    ///
    /// The density is n b(r; n - 1, p) with b the binomial probability and n - 1 = r + m =: N. For 0 < r < N
    ///
    /// ln b = S(N) - S(r) - S(m) - D(r, Np) - D(m, Nq) + ln(N / (2 pi r m)) / 2,
    ///
    /// where S is [`stirling_error`] and D(x, y) = x ln(x / y) + y - x. All of these are small where b is not, so nothing
    /// cancels: ln(N!) is 2e10 at N = 1e9, and its rounding alone is 2e-6.
    ///
    /// # Source
    /// C. Loader, "Fast and accurate computation of binomial probabilities" (2000), section 2.
    pub(super) fn ln_density(self, at: Chance) -> f64 {
        let Self { r, m } = self;
        let total = r + m;
        let ln_b = if r == 0.0 {
            m * at.ln_q()
        } else if m == 0.0 {
            r * at.ln_p()
        } else {
            let excess = self.excess(at);
            let stirling = stirling_error(total) - stirling_error(r) - stirling_error(m);
            stirling - deviance(r, total * at.p, excess) - deviance(m, total * at.q, -excess)
                + 0.5 * (total / (2.0 * PI * r * m)).ln()
        };
        (total + 1.0).ln() + ln_b
    }
}

/// D(x, y) = x ln(x / y) + y - x for x > 0, given y and `excess` = x - y, which knows more digits than the difference.
///
/// With u = (y - x) / x this is -x (ln(1 + u) - u). Where y is far below x, 1 + u = y / x would take its digits from
/// the rounding of `excess`, so the quotient is used as it is.
fn deviance(x: f64, y: f64, excess: f64) -> f64 {
    let u = -excess / x;
    if u < -0.5 { -x * (y / x).ln() - excess } else { -x * ln_1p_minus(u) }
}

/// ln(1 + u) - u for u > -1, to full relative accuracy also near 0.
///
/// With v = u / (2 + u), ln(1 + u) = 2 artanh v = 2 (v + v^3/3 + v^5/5 + ...), and 2v - u = -uv; so the difference is
/// v (2 (v^2/3 + v^4/5 + ...) - u), which has nothing of first order left to cancel. Beyond |v| = 0.4 the plain
/// difference loses less than a digit.
pub(super) fn ln_1p_minus(u: f64) -> f64 {
    let v = u / (2.0 + u);
    if v.abs() > 0.4 {
        return u.ln_1p() - u;
    }
    v * (2.0 * artanh_excess(v * v) - u)
}

/// w/3 + w^2/5 + w^3/7 + ..., which is artanh(v)/v - 1 for w = v^2; here 0 <= w <= 0.16.
fn artanh_excess(w: f64) -> f64 {
    let (mut sum, mut power, mut odd) = (0.0, w, 3.0);
    // At w = 0.16 twenty terms reach 2^-53; the bound is there for the reader.
    for _ in 0..24 {
        let next = sum + power / odd;
        if next == sum {
            break;
        }
        (sum, power, odd) = (next, power * w, odd + 2.0);
    }
    sum
}

/// S(k) = ln(k!) - ln(sqrt(2 pi k) (k/e)^k) for a whole k >= 1.
///
/// From 16 on five terms of the Stirling series leave less than 2^-53. Below, S(k) - S(k + 1) =
/// (k + 1/2) ln(1 + 1/k) - 1 = artanh(v)/v - 1 with v = 1 / (2k + 1), summed up to 16.
pub(super) fn stirling_error(k: f64) -> f64 {
    let (mut k, mut steps) = (k, 0.0);
    while k < 16.0 {
        let v = 1.0 / (2.0 * k + 1.0);
        steps += artanh_excess(v * v);
        k += 1.0;
    }
    let w = 1.0 / (k * k);
    let series = 1.0 / 12.0 - w * (1.0 / 360.0 - w * (1.0 / 1260.0 - w * (1.0 / 1680.0 - w / 1188.0)));
    steps + series / k
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::assert_close;

    #[test]
    fn stirling_error_is_that_of_mpmath() {
        let mut compared = 0;
        for line in include_str!("../../tests/data/binomial.csv").lines() {
            if let ["stirling", k, _, _, expected] = line.split(',').collect::<Vec<_>>()[..] {
                assert_close(stirling_error(k.parse().unwrap()), expected.parse().unwrap(), 2e-16, 0.0);
                compared += 1;
            }
        }
        assert_eq!(compared, 25);
    }

    #[test]
    fn the_plain_and_the_summed_logarithm_meet() {
        // Both sides of the change at |v| = 0.4: u = 4/3 and u = -4/7.
        for edge in [4.0_f64 / 3.0, -4.0 / 7.0] {
            for u in [edge * (1.0 - 1e-9), edge * (1.0 + 1e-9)] {
                let plain = u.ln_1p() - u;
                assert_close(ln_1p_minus(u), plain, 0.0, 2e-15);
            }
        }
        // ln(1 + u) - u = -u^2/2 + u^3/3 - ... where the plain difference has no digit left.
        assert_close(ln_1p_minus(1e-12), -5e-25, 0.0, 1e-12);
        assert_close(ln_1p_minus(-1e-12), -5e-25, 0.0, 1e-12);
        assert_eq!(ln_1p_minus(0.0), 0.0);
    }

    #[test]
    fn a_logarithm_keeps_the_digits_of_the_smaller_part() {
        // At logit 40 p is 1 as a double, and ln p = -ln(1 + exp(-40)).
        let exponential = (-40.0_f64).exp();
        assert_close(Chance::from_logit(40.0).ln_p(), -exponential, 0.0, 1e-15);
        assert_close(Chance::from_logit(-40.0).ln_q(), -exponential, 0.0, 1e-15);
        assert_close(Chance::from_logit(40.0).ln_q(), -40.0, 0.0, 1e-15);
        assert_close(Chance::from_logit(-40.0).ln_p(), -40.0, 0.0, 1e-15);
    }

    #[test]
    fn the_excess_is_rounded_once() {
        // 10^9 (1/3 as a double) = 333333333.33333331482..., so the excess over 333333333 is not -0.33333334.
        let exponents = Exponents { r: 333_333_333.0, m: 666_666_667.0 };
        assert_close(exponents.excess(Chance::from_p(1.0 / 3.0)), -0.333_333_314_829_616_26, 0.0, 1e-16);
    }
}
