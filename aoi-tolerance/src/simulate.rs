//! What-if: the same limits at many percentiles, from one sort and without touching anything.

use crate::error::Error;
use crate::evidence::Evidence;
use crate::options::Options;
use crate::proposal::Proposal;
use crate::sweep::Sweep;
use crate::threads::map_each;

/// The proposals for every limit at one percentile.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    /// The percentile.
    pub percentile: f64,
    /// One proposal per piece of evidence, in its order; equal to what [`crate::optimise::optimise`] gives at this percentile.
    pub proposals: Vec<Proposal>,
}

/// Sums over one [`WhatIf`].
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

impl Totals {
    /// Sums over `proposals`.
    pub fn of(proposals: &[Proposal]) -> Self {
        proposals.iter().fold(Self::default(), |t, p| Self {
            false_calls_before: t.false_calls_before + p.false_calls_before,
            false_calls_after: t.false_calls_after + p.false_calls_after,
            defects_before: t.defects_before + p.defects_before,
            defects_after: t.defects_after + p.defects_after,
            moved: t.moved + u64::from(p.moves()),
        })
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

/// Proposals for every limit at each of `percentiles`, handed to `each` in turn; [`Options::percentile`] is not used.
///
/// They are made a few percentiles at a time, in memory that is used again: `each` copies what it keeps. It may stop the sweep by an error.
///
/// # Errors
/// As [`crate::optimise::optimise`], for every percentile; and what `each` returns.
pub fn simulate(
    evidence: &[Evidence],
    percentiles: &[f64],
    options: &Options,
    mut each: impl FnMut(&WhatIf) -> Result<(), Error>,
) -> Result<(), Error> {
    for &percentile in percentiles {
        Options { percentile, ..options.clone() }.check()?;
    }
    let mut sweep = Sweep::new(evidence, &Options { percentile: 0.0, ..options.clone() })?;
    // A set for each thread, filled again and again: fresh memory for every percentile would cost more than the proposals do.
    let mut sets = vec![(0, WhatIf { percentile: 0.0, proposals: Vec::new() }); options.threads.min(AT_ONCE)];
    for batch in percentiles.chunks(AT_ONCE) {
        sweep.go_to(batch, options)?;
        let places: Vec<usize> = (0..batch.len()).collect();
        for places in places.chunks(sets.len()) {
            let sets = &mut sets[..places.len()];
            sets.iter_mut().zip(places).for_each(|((at, _), place)| *at = *place);
            let sweep = &sweep;
            let filled = map_each(sets, |(at, what_if)| {
                what_if.percentile = batch[*at];
                sweep.propose(*at, options, &mut what_if.proposals)
            });
            filled.into_iter().collect::<Result<(), _>>()?;
            for (_, what_if) in sets {
                each(what_if)?;
            }
        }
    }
    Ok(())
}
