//! What the known defects prove about the unknown ones.
//!
//! A guard placed above the (r + 1)-th largest of n exchangeable defects misses a future defect with a probability that has a
//! Beta(r + 1, n - r) distribution when the values are continuous, and is stochastically smaller with ties. Hence
//! `P(escape rate > alpha) <= BinomCDF(r; n, alpha)`.
//!
//! It is stated under four assumptions ([`ASSUMPTIONS`]) and relative to the limit T0 that was in force: a defect that T0 did not flag
//! is outside its reach.
//!
//! # Source
//! Wilks, Ann. Math. Statist. 12 (1941), tolerance limits; Clopper and Pearson, Biometrika 26 (1934), inverted; Tong, Feng and Li,
//! Science Advances 4 (2018), the Neyman-Pearson umbrella rule.

use std::fmt;

use crate::binomial;
use crate::error::Error;

/// The conditions under which a certificate holds; printed wherever one is.
pub const ASSUMPTIONS: [&str; 4] = [
    "future defects of this limit are exchangeable with the known ones (same process, same failure causes)",
    "they are measured by the same measuring system, under the same recipe",
    "the defects' verdicts are right",
    "the escape rate is relative to what the old limit T0 flagged: a defect that T0 passes is not counted",
];

/// Upper bound on the share of future defects, among those that T0 flags, that the new limit lets escape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EscapeBound {
    /// The limit did not move, so it adds no escapes to those of T0: a bound of zero relative to T0, without any assumption.
    NoChange,
    /// At most this share, at the certificate's confidence.
    AtMost(f64),
    /// No confirmed defect supports a bound: anything may escape.
    NoEvidence,
}

impl EscapeBound {
    /// The bound as a number; none without evidence.
    pub fn value(self) -> Option<f64> {
        match self {
            Self::NoChange => Some(0.0),
            Self::AtMost(bound) => Some(bound),
            Self::NoEvidence => None,
        }
    }
}

impl fmt::Display for EscapeBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Some(bound) => write!(f, "{bound}"),
            None => f.write_str("no evidence"),
        }
    }
}

/// A one-sided bound on the escape rate of one limit, or of a pooled group of limits.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// Confirmed defects, flagged by T0, that support it: n.
    pub defects: u64,
    /// How many of them the guard was allowed to miss: r.
    pub misses: u64,
    /// The bound.
    pub bound: EscapeBound,
    /// 1 - delta, the probability over samples of defects with which the bound holds.
    pub confidence: f64,
    /// The group whose pooled defects support it; the bound is then for that group's mix of defects, not for one limit.
    pub pooled: Option<String>,
}

impl Certificate {
    /// The certificate of a guard over `defects` defects that may miss `misses` of them, at confidence 1 - `delta`.
    ///
    /// The bound is `alpha* = BetaInv(1 - delta; r + 1, n - r)`; for r = 0 it is `1 - delta^(1/n)`.
    ///
    /// # Errors
    /// When `delta` is not strictly between 0 and 1.
    pub fn of_guard(defects: u64, misses: u64, delta: f64) -> Result<Self, Error> {
        let bound = if defects <= misses {
            EscapeBound::NoEvidence
        } else {
            EscapeBound::AtMost(binomial::escape_bound(misses, defects, delta)?)
        };
        Ok(Self { defects, misses, bound, confidence: 1.0 - delta, pooled: None })
    }

    /// The certificate of a limit that did not move.
    pub(crate) fn unmoved(defects: u64, misses: u64, delta: f64) -> Self {
        Self { defects, misses, bound: EscapeBound::NoChange, confidence: 1.0 - delta, pooled: None }
    }

    /// Probability that the next single defect escapes a moved limit, at most `(r + 1) / (n + 1)`; zero for an unmoved limit.
    pub fn next_defect(&self) -> Option<f64> {
        match self.bound {
            EscapeBound::NoChange => Some(0.0),
            EscapeBound::NoEvidence => None,
            EscapeBound::AtMost(_) => Some((self.misses + 1) as f64 / (self.defects + 1) as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::assert_close;

    #[test]
    fn the_known_sample_sizes_give_the_known_bounds() {
        for (n, bound) in [(59, 0.0495), (299, 0.009_97)] {
            let certificate = Certificate::of_guard(n, 0, 0.05).unwrap();
            // The reference figures are printed to three digits.
            assert_close(certificate.bound.value().unwrap(), bound, 0.0, 2e-3);
            assert_eq!(certificate.next_defect(), Some(1.0 / (n + 1) as f64));
        }
    }

    #[test]
    fn no_defect_is_no_evidence_and_never_a_zero() {
        for (n, r) in [(0, 0), (2, 2), (1, 3)] {
            let certificate = Certificate::of_guard(n, r, 0.05).unwrap();
            assert_eq!(certificate.bound, EscapeBound::NoEvidence);
            assert_eq!(certificate.bound.to_string(), "no evidence");
            assert_eq!((certificate.bound.value(), certificate.next_defect()), (None, None));
        }
    }

    #[test]
    fn an_impossible_confidence_is_refused() {
        for delta in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(Certificate::of_guard(5, 0, delta).is_err(), "{delta}");
        }
    }
}
