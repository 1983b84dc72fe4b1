//! The binomial distribution and what it says about a chance that was seen r times in n trials.
//!
//! Everything a certificate needs: the distribution function, the exact (Clopper-Pearson) one-sided bounds, and the number
//! of defects that a claim takes. X is the number of hits in n independent trials of chance p each, and
//!
//! P(X <= r) = sum over k = 0 ..= r of C(n, k) p^k (1 - p)^(n - k).
//!
//! # Accuracy and cost
//! Relative error of the distribution function, where it is at most 1/2: about 1e-13 for any n to [`MAX_TRIALS`]
//! (absolute, where it is larger). Each evaluation takes the same work for every n and r, an inversion about ten of them.
//! The density of the problem comes in Loader's saddle-point form and the tail is its integral by a double exponential
//! rule; differences of log-gamma would lose 2e-6 at n = 1e9, and a continued fraction would need tens of thousands of
//! terms there.
//!
//! # Source
//! C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
//! Biometrika 26 (1934) 404-413.

mod density;
mod inverse;
mod tail;

use density::{Chance, Exponents};
use inverse::{Side, solve};
use tail::tails;

/// The most trials that are computed with, 2^53: every count up to it is a double.
pub const MAX_TRIALS: u64 = 1 << 53;

/// Why a binomial probability or bound is not defined.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BinomialError {
    /// Without a trial there is no evidence.
    #[error("no trials, no evidence: a bound needs at least one trial")]
    NoTrials,
    /// The count of hits does not fit the number of trials.
    #[error("at most {most} hits can be asked for in {trials} trials, got {hits}")]
    Hits {
        /// The hits that were given.
        hits: u64,
        /// The most that make sense here: the trials, or one less where a bound is undefined at all of them.
        most: u64,
        /// The trials that were given.
        trials: u64,
    },
    /// More than [`MAX_TRIALS`] trials, given or needed.
    #[error("more than 2^53 trials are not computed with")]
    TooManyTrials,
    /// A probability is not inside (0, 1).
    #[error("{name} lies between 0 and 1, both excluded, got {value}")]
    Probability {
        /// Which argument: `p`, `alpha` or `delta`.
        name: &'static str,
        /// The number that came.
        value: f64,
    },
}

/// A claim about an escape rate: it is at most `alpha`, and the claim may be wrong with probability `delta`.
///
/// 5 % at 95 % confidence is `alpha` 0.05 and `delta` 0.05. Both lie between 0 and 1, excluded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Claim {
    /// The escape rate that is claimed not to be exceeded.
    pub alpha: f64,
    /// The probability with which the claim may be wrong: one less the confidence.
    pub delta: f64,
}

/// P(X <= r) for n trials of chance p.
///
/// # Errors
/// [`BinomialError::Probability`] for p outside (0, 1) or NaN, [`BinomialError::Hits`] for r > n (r = n gives 1),
/// [`BinomialError::NoTrials`], [`BinomialError::TooManyTrials`].
///
/// # Examples
/// ```
/// use aoi_tolerance::binomial::binomial_cdf;
///
/// // One or no head in three throws: 4 of 8.
/// assert!((binomial_cdf(1, 3, 0.5)? - 0.5).abs() < 1e-15);
/// // 59 defects, none missed: a rate of 5 % would show this in fewer than 5 % of cases.
/// assert!((binomial_cdf(0, 59, 0.05)? - 0.0485).abs() < 1e-4);
/// # Ok::<(), aoi_tolerance::binomial::BinomialError>(())
/// ```
pub fn binomial_cdf(r: u64, n: u64, p: f64) -> Result<f64, BinomialError> {
    check_hits(r, n, n)?;
    check_probability("p", p)?;
    Ok(cdf(r, n, p))
}

/// Upper bound alpha* on the escape rate after r escapes among n defects, wrong with probability `delta`.
///
/// alpha* is the rate at which r escapes or fewer have probability `delta`: P(X <= r) = delta for p = alpha*, that is
/// the quantile BetaInv(1 - delta; r + 1, n - r). For r = 0 it is 1 - delta^(1/n), about ln(1/delta) / n. It is the one-sided
/// upper Clopper-Pearson bound, and assumes that the n defects and the next ones are exchangeable.
///
/// Doubles near 1 are 1e-16 apart, so a bound near 1 cannot be written down better than that, and 1 stands for any bound
/// closer to it: at n = 1e9, P(X <= r) at the bound is delta to 1e-9 while 1 - alpha* exceeds 1e-4, and to 2e-7 for
/// r = n - 1, delta = 0.05.
///
/// # Errors
/// [`BinomialError::Hits`] for r >= n, where no rate below 1 is excluded; [`BinomialError::Probability`] for delta outside
/// (0, 1) or NaN; [`BinomialError::NoTrials`], [`BinomialError::TooManyTrials`].
///
/// # Examples
/// ```
/// use aoi_tolerance::binomial::escape_bound;
///
/// assert!((escape_bound(0, 59, 0.05)? - 0.0495).abs() < 5e-5);
/// assert!((escape_bound(0, 299, 0.05)? - 0.00997).abs() < 5e-6);
/// # Ok::<(), aoi_tolerance::binomial::BinomialError>(())
/// ```
pub fn escape_bound(r: u64, n: u64, delta: f64) -> Result<f64, BinomialError> {
    check_hits(r, n, n.saturating_sub(1))?;
    check_probability("delta", delta)?;
    if r == 0 {
        return Ok(-(delta.ln() / n as f64).exp_m1());
    }
    Ok(solve(exponents(r, n), Side::Lower, delta).p)
}

/// One-sided upper Clopper-Pearson bound on a chance: above it, so few `successes` have probability below `delta`.
///
/// [`escape_bound`], and 1 where every trial succeeded. For a two-sided interval of confidence 1 - delta take this and
/// [`clopper_pearson_lower`], each with delta / 2.
///
/// # Errors
/// [`BinomialError::Hits`] for more successes than trials; [`BinomialError::Probability`] for delta outside (0, 1) or NaN;
/// [`BinomialError::NoTrials`], [`BinomialError::TooManyTrials`].
///
/// # Examples
/// ```
/// use aoi_tolerance::binomial::clopper_pearson_upper;
///
/// assert_eq!(clopper_pearson_upper(78, 78, 0.05)?, 1.0);
/// assert!((clopper_pearson_upper(0, 1, 0.05)? - 0.95).abs() < 1e-15);
/// # Ok::<(), aoi_tolerance::binomial::BinomialError>(())
/// ```
pub fn clopper_pearson_upper(successes: u64, trials: u64, delta: f64) -> Result<f64, BinomialError> {
    check_hits(successes, trials, trials)?;
    check_probability("delta", delta)?;
    if successes == trials { Ok(1.0) } else { escape_bound(successes, trials, delta) }
}

/// One-sided lower Clopper-Pearson bound on a chance: below it, so many `successes` have probability below `delta`.
///
/// The p with P(X >= s) = delta for s successes: BetaInv(delta; s, n - s + 1); 0 for s = 0, and delta^(1/n) for s = n.
/// With hits of a guard as successes it is the recall that is exceeded with confidence 1 - delta.
///
/// # Errors
/// As [`clopper_pearson_upper`].
///
/// # Examples
/// ```
/// use aoi_tolerance::binomial::clopper_pearson_lower;
///
/// // 78 of 78 held-back defects flagged: not a recall of 100 %, but of at least 96.2 % at 95 % confidence.
/// assert!((clopper_pearson_lower(78, 78, 0.05)? - 0.96232).abs() < 1e-5);
/// assert_eq!(clopper_pearson_lower(0, 78, 0.05)?, 0.0);
/// # Ok::<(), aoi_tolerance::binomial::BinomialError>(())
/// ```
pub fn clopper_pearson_lower(successes: u64, trials: u64, delta: f64) -> Result<f64, BinomialError> {
    check_hits(successes, trials, trials)?;
    check_probability("delta", delta)?;
    if successes == 0 {
        return Ok(0.0);
    }
    if successes == trials {
        return Ok((delta.ln() / trials as f64).exp());
    }
    Ok(solve(exponents(successes - 1, trials), Side::Upper, delta).p)
}

/// The least number of defects whose r escapes support `claim`: the least n with P(X <= r) <= delta at p = alpha.
///
/// For r = 0 this is ceil(ln delta / ln(1 - alpha)). The comparison is made with [`binomial_cdf`] itself, so that the claim
/// holds by it at n and fails at n - 1, whatever a rounded quotient of logarithms says. For r > 0 a probability that
/// equals delta to its last digits may count either way.
///
/// # Errors
/// [`BinomialError::Probability`] for alpha or delta outside (0, 1) or NaN; [`BinomialError::TooManyTrials`] when more than
/// [`MAX_TRIALS`] would be needed.
///
/// # Examples
/// ```
/// use aoi_tolerance::binomial::{Claim, needed_defects};
///
/// assert_eq!(needed_defects(0, Claim { alpha: 0.05, delta: 0.05 })?, 59);
/// assert_eq!(needed_defects(0, Claim { alpha: 0.01, delta: 0.05 })?, 299);
/// assert_eq!(needed_defects(1, Claim { alpha: 0.05, delta: 0.05 })?, 93);
/// # Ok::<(), aoi_tolerance::binomial::BinomialError>(())
/// ```
pub fn needed_defects(r: u64, claim: Claim) -> Result<u64, BinomialError> {
    let Claim { alpha, delta } = claim;
    check_probability("alpha", alpha)?;
    check_probability("delta", delta)?;
    let supported = |n: u64| cdf(r, n, alpha) <= delta;
    // P(X <= r) = 1 at n = r, and falls as n grows: double n, then halve the gap.
    let (mut too_few, mut enough) = (r, r.saturating_add(1));
    loop {
        if enough > MAX_TRIALS {
            // The last doubling may have jumped over the limit.
            enough = MAX_TRIALS;
            if too_few >= enough || !supported(enough) {
                return Err(BinomialError::TooManyTrials);
            }
        }
        if supported(enough) {
            break;
        }
        (too_few, enough) = (enough, enough.saturating_mul(2));
    }
    while enough - too_few > 1 {
        let middle = u64::midpoint(too_few, enough);
        if supported(middle) { enough = middle } else { too_few = middle }
    }
    Ok(enough)
}

/// P(X <= r) for checked arguments.
fn cdf(r: u64, n: u64, p: f64) -> f64 {
    if r >= n {
        return 1.0;
    }
    if r == 0 {
        // A short power of an exact 1 - p, so that (1/2)^n = delta is a tie and not a matter of rounding.
        let q = 1.0 - p;
        return match i32::try_from(n) {
            Ok(short @ ..=64) if 1.0 - q == p => q.powi(short),
            _ => (n as f64 * (-p).ln_1p()).exp(),
        };
    }
    tails(exponents(r, n), Chance::from_p(p)).lower.value
}

fn exponents(r: u64, n: u64) -> Exponents {
    Exponents { r: r as f64, m: (n - r - 1) as f64 }
}

fn check_hits(hits: u64, trials: u64, most: u64) -> Result<(), BinomialError> {
    if trials == 0 {
        return Err(BinomialError::NoTrials);
    }
    if trials > MAX_TRIALS {
        return Err(BinomialError::TooManyTrials);
    }
    if hits > most { Err(BinomialError::Hits { hits, most, trials }) } else { Ok(()) }
}

fn check_probability(name: &'static str, value: f64) -> Result<(), BinomialError> {
    if value > 0.0 && value < 1.0 { Ok(()) } else { Err(BinomialError::Probability { name, value }) }
}
