//! What-if: the same limits at many percentiles, from values put in order once and without touching anything.

use std::ops::AddAssign;

use crate::error::Error;
use crate::evidence::Evidence;
use crate::movement::Terms;
use crate::options::Options;
use crate::proposal::Proposal;
use crate::sweep::Sweep;
use crate::threads::map_in_order;

/// What would become of one limit at one percentile; [`WhatIf::proposals`] say why.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    /// The limit in force, T0.
    pub old_limit: f64,
    /// The limit that would be proposed.
    pub new_limit: f64,
    /// Whether the limit moves.
    pub moves: bool,
    /// False calls that T0 flags.
    pub false_calls_before: u64,
    /// False calls that the new limit flags.
    pub false_calls_after: u64,
    /// Confirmed defects that T0 flags.
    pub defects_before: u64,
    /// Confirmed defects that the new limit flags.
    pub defects_after: u64,
}

impl From<&Proposal> for Outcome {
    fn from(proposal: &Proposal) -> Self {
        Self {
            old_limit: proposal.old_limit,
            new_limit: proposal.new_limit,
            moves: proposal.moves(),
            false_calls_before: proposal.false_calls_before,
            false_calls_after: proposal.false_calls_after,
            defects_before: proposal.defects_before,
            defects_after: proposal.defects_after,
        }
    }
}

/// Every limit at one percentile.
///
/// What each moves to and flags there is worked out when it is handed over; proposals, which are much larger, are made when they are asked for.
#[derive(Debug, Clone, Copy)]
pub struct WhatIf<'s> {
    percentile: f64,
    sweep: &'s Sweep<'s>,
    at: usize,
    terms: Terms,
    totals: Totals,
    options: &'s Options,
}

impl WhatIf<'_> {
    /// The percentile.
    pub fn percentile(&self) -> f64 {
        self.percentile
    }

    /// One outcome per piece of evidence, in its order: what [`WhatIf::proposals`] says without the reasons.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        self.sweep.at(self.at).map(|(candidate, movement)| candidate.outcome(*movement, self.terms))
    }

    /// Sums over the outcomes.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// One proposal per piece of evidence, in its order; equal to what [`crate::optimise::optimise`] gives at this percentile.
    ///
    /// # Errors
    /// When a certificate cannot be computed.
    pub fn proposals(&self) -> Result<Vec<Proposal>, Error> {
        let Self { terms, options, .. } = *self;
        let all: Vec<_> = self.sweep.at(self.at).collect();
        let settled =
            map_in_order(&all, options.threads, |(c, movement)| c.settle(**movement, terms, options));
        settled.into_iter().collect()
    }
}

/// Sums over limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// False calls at the old limits.
    pub false_calls_before: u64,
    /// False calls at the proposed limits.
    pub false_calls_after: u64,
    /// Confirmed defects flagged at the old limits.
    pub defects_before: u64,
    /// Confirmed defects flagged at the proposed limits.
    pub defects_after: u64,
    /// Limits that move.
    pub moved: u64,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.false_calls_before += other.false_calls_before;
        self.false_calls_after += other.false_calls_after;
        self.defects_before += other.defects_before;
        self.defects_after += other.defects_after;
        self.moved += other.moved;
    }
}

impl Totals {
    /// Sums over `proposals`.
    pub fn of(proposals: &[Proposal]) -> Self {
        let mut totals = Self::default();
        for proposal in proposals {
            totals += Self {
                false_calls_before: proposal.false_calls_before,
                false_calls_after: proposal.false_calls_after,
                defects_before: proposal.defects_before,
                defects_after: proposal.defects_after,
                moved: u64::from(proposal.moves()),
            };
        }
        totals
    }

    /// Share of the false calls that the proposed limits no longer flag; 0 where there are none.
    pub fn reduction(&self) -> f64 {
        if self.false_calls_before == 0 {
            return 0.0;
        }
        1.0 - self.false_calls_after as f64 / self.false_calls_before as f64
    }
}

/// Percentiles computed together: each limit's values are put in order once for all of them.
const AT_ONCE: usize = 128;

/// Every limit at each of `percentiles`, handed to `each` in turn; [`Options::percentile`] is not used.
///
/// They are worked out a hundred percentiles or so at a time, in memory that is used again: `each` copies what it keeps. It may stop the sweep by
/// an error.
///
/// # Errors
/// As [`crate::optimise::optimise`], for every percentile; and what `each` returns.
///
/// # Examples
/// ```
/// use aoi_tolerance::{evidence::Evidence, limit::Side, options::Options, simulate::simulate};
/// let mut evidence = Evidence::new(Side::Lower, 40.0);
/// evidence.false_calls = (0..100).map(|i| 39.0 - 0.1 * f64::from(i)).collect();
/// evidence.defects = vec![34.5];
///
/// let mut left = Vec::new();
/// simulate(&[evidence], &[60.0, 80.0, 100.0], &Options::default(), |what_if| {
///     left.push(what_if.totals().false_calls_after);
///     assert_eq!(what_if.totals().defects_after, 1);
///     Ok(())
/// })?;
/// assert_eq!(left, [60, 80, 99]);
/// # Ok::<(), aoi_tolerance::Error>(())
/// ```
pub fn simulate(
    evidence: &[Evidence],
    percentiles: &[f64],
    options: &Options,
    mut each: impl FnMut(&WhatIf<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    for &percentile in percentiles {
        Options { percentile, ..options.clone() }.check()?;
    }
    let mut sweep = Sweep::new(evidence, options.threads);
    for batch in percentiles.chunks(AT_ONCE) {
        sweep.go_to(batch, options)?;
        let terms = sweep.terms(options)?;
        let totals = sweep.totals(&terms);
        for (at, &percentile) in batch.iter().enumerate() {
            let (terms, totals) = (terms[at], totals[at]);
            each(&WhatIf { percentile, sweep: &sweep, at, terms, totals, options })?;
        }
    }
    Ok(())
}
