//! Every limit at several percentiles: limit by limit where values are read, percentile by percentile where proposals are made.

use crate::candidate::Candidate;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::movement::{Movement, Terms};
use crate::options::Options;
use crate::proposal::Proposal;
use crate::sample::Sample;
use crate::threads::{map_each, map_in_order};

/// A limit before any percentile.
type Prepared<'e> = Candidate<Sample<'e>>;

/// All limits, moved to some percentiles.
pub(crate) struct Sweep<'e> {
    /// One for each thread that works them out, in the order of the limits.
    parts: Vec<Part<'e>>,
}

/// Some limits.
struct Part<'e> {
    evidence: &'e [Evidence],
    candidates: Vec<Prepared<'e>>,
    /// By percentile, then by limit: written a little here and there while a limit's values are near, and read in one piece.
    movements: Vec<Vec<Movement>>,
}

impl<'e> Sweep<'e> {
    /// Works out what does not depend on the percentile.
    ///
    /// # Errors
    /// As [`crate::optimise::optimise`].
    pub(crate) fn new(evidence: &'e [Evidence], options: &Options) -> Result<Self, Error> {
        options.check()?;
        let chunks: Vec<_> = evidence.chunks(evidence.len().div_ceil(options.threads).max(1)).collect();
        let parts = map_in_order(&chunks, options.threads, |part| Part::new(part, options));
        Ok(Self { parts: parts.into_iter().collect::<Result<_, _>>()? })
    }

    /// Moves every limit to each of `percentiles`.
    ///
    /// # Errors
    /// When a percentile is none.
    pub(crate) fn go_to(&mut self, percentiles: &[f64], options: &Options) -> Result<(), Error> {
        map_each(&mut self.parts, |part| part.go_to(percentiles, options)).into_iter().collect()
    }

    /// Puts the proposals at percentile `at` of those given to [`Sweep::go_to`] in the place of `proposals`.
    ///
    /// # Errors
    /// When a certificate cannot be computed.
    pub(crate) fn propose(
        &self,
        at: usize,
        options: &Options,
        proposals: &mut Vec<Proposal>,
    ) -> Result<(), Error> {
        let terms = Terms::of(self.parts.iter().flat_map(|part| &part.movements[at]), options)?;
        proposals.clear();
        for part in &self.parts {
            for (candidate, movement) in part.candidates.iter().zip(&part.movements[at]) {
                proposals.push(candidate.settle(*movement, terms, options)?);
            }
        }
        Ok(())
    }
}

impl<'e> Part<'e> {
    fn new(evidence: &'e [Evidence], options: &Options) -> Result<Self, Error> {
        let candidates = evidence.iter().map(|e| Candidate::new(e, options)).collect::<Result<_, _>>()?;
        Ok(Self { evidence, candidates, movements: Vec::new() })
    }

    fn go_to(&mut self, percentiles: &[f64], options: &Options) -> Result<(), Error> {
        self.movements.resize_with(percentiles.len(), Vec::new);
        for movements in &mut self.movements {
            movements.clear();
            movements.reserve(self.candidates.len());
        }
        for (candidate, evidence) in self.candidates.iter().zip(self.evidence) {
            let false_calls = Sample::sorted(&evidence.false_calls, evidence.side);
            let mut last: Option<&Movement> = None;
            for (&percentile, movements) in percentiles.iter().zip(&mut self.movements) {
                movements.push(candidate.movement_among(&false_calls, last, percentile, options)?);
                last = movements.last();
            }
        }
        Ok(())
    }
}
