//! The guarded limit: the percentile of the false calls, never past a known defect, never tighter than the old limit.
//!
//! For a lower limit, `T = min(T0, max(T_P, T_guard))` with `T_guard = max(next_up(d), d + margin)` and d the largest flagged defect
//! (or the (r + 1)-th largest, where r misses were asked for). `d + margin` alone would not do: `45.0 + 1e-15 == 45.0` in f64, and a
//! limit at 45.0 lets the defect at 45.0 pass.
//!
//! Under r = 0 every confirmed defect that T0 flagged stays flagged, in every policy; that is arithmetic and needs no assumption.

pub(crate) use crate::candidate::Candidate;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::movement::{Movement, Terms};
use crate::options::Options;
use crate::proposal::Proposal;
use crate::sample::{Ascending, Sample};
use crate::threads::map_in_order;

/// Proposes a limit from the evidence on it.
///
/// # Errors
/// When an option is out of range or a value is not finite or not flagged by the limit.
///
/// # Source
/// arXiv 2505.03576, steps 1-5, with the guard of this module in place of its step 5.
///
/// # Examples
/// ```
/// use aoi_tolerance::{evidence::Evidence, limit::Side, optimise::optimise_limit, options::{Options, Policy}};
/// let mut evidence = Evidence::new(Side::Lower, 40.0);
/// evidence.false_calls = vec![2.0, 28.0, 35.0, 32.0, 25.0];
/// let paper = Options { policy: Policy::Paper, percentile: 85.0, ..Options::default() };
/// assert_eq!(optimise_limit(&evidence, &paper)?.new_limit, 33.2);
///
/// evidence.defects = vec![34.0]; // would pass at 33.2, so it holds the limit
/// let guarded = optimise_limit(&evidence, &paper)?;
/// assert_eq!(guarded.new_limit, 34.0_f64.next_up());
/// assert_eq!((guarded.defects_before, guarded.defects_after), (1, 1));
/// # Ok::<(), aoi_tolerance::Error>(())
/// ```
pub fn optimise_limit(evidence: &Evidence, options: &Options) -> Result<Proposal, Error> {
    let mut proposals = optimise(std::slice::from_ref(evidence), options)?;
    Ok(proposals.remove(0))
}

/// Proposes a limit for each piece of evidence, in the same order.
///
/// With [`Options::simultaneous`] each certificate is stated at `delta` divided by the number of limits that move (under
/// [`crate::options::Policy::Certified`]: that would move before their certificates are looked at, which is at least as many).
///
/// # Errors
/// As [`optimise_limit`].
pub fn optimise(evidence: &[Evidence], options: &Options) -> Result<Vec<Proposal>, Error> {
    propose_all(&prepare_all(evidence, options)?, options.percentile, options)
}

/// Checks the options and prepares every limit for one percentile, on `options.threads` threads.
pub(crate) fn prepare_all<'a>(
    evidence: &'a [Evidence],
    options: &Options,
) -> Result<Vec<Candidate<Sample<'a>>>, Error> {
    options.check()?;
    map_in_order(evidence, options.threads, |e| Candidate::new(e, options)).into_iter().collect()
}

/// As [`prepare_all`], sorted for many percentiles and free of the evidence.
pub(crate) fn prepare_sorted(
    evidence: &[Evidence],
    options: &Options,
) -> Result<Vec<Candidate<Sample<'static>>>, Error> {
    options.check()?;
    map_in_order(evidence, options.threads, |e| Candidate::sorted(e, options)).into_iter().collect()
}

/// One proposal for each candidate at one percentile.
pub(crate) fn propose_all<S: Ascending + Sync>(
    candidates: &[Candidate<S>],
    percent: f64,
    options: &Options,
) -> Result<Vec<Proposal>, Error> {
    let movements: Vec<Movement> =
        map_in_order(candidates, options.threads, |c| c.movement(percent, options))
            .into_iter()
            .collect::<Result<_, _>>()?;
    let terms = Terms::of(movements.iter().filter(|m| m.moves()).count(), options)?;
    let pairs: Vec<_> = candidates.iter().zip(movements).collect();
    map_in_order(&pairs, options.threads, |(c, m)| c.settle(*m, terms, options)).into_iter().collect()
}
