//! What a movement amounts to: its certificate, what a what-if shows of it, and the proposal made of it.

use super::Candidate;
use crate::certificate::Certificate;
use crate::error::Error;
use crate::evidence::Ordered;
use crate::movement::{Cause, Movement, Terms};
use crate::options::Options;
use crate::pool::PoolGuard;
use crate::proposal::{Decision, Proposal, Reason};
use crate::resolution::Resolution;
use crate::sample::Ascending;
use crate::simulate::Outcome;

impl<S: Ascending> Candidate<S> {
    /// Distance from a limit to the nearest confirmed defect that it flags.
    pub(crate) fn nearest_defect(&self, movement: &Movement) -> Option<f64> {
        let last = usize::try_from(movement.defects_after).ok().and_then(|n| n.checked_sub(1));
        last.map(|i| movement.limit - self.ordered.defects.at(i))
    }

    /// Where the limit is in the unit and on the side of the value.
    ///
    /// Adding zero turns the -0.0 that a mirror may leave into 0.0.
    fn unmirrored(&self, limit: f64) -> f64 {
        self.side.mirror(limit) + 0.0
    }

    /// What a reader of many limits at many percentiles looks at.
    pub(crate) fn outcome(&self, movement: Movement, terms: Terms) -> Outcome {
        let movement = self.certified(movement, terms);
        let (false_calls_before, defects_before) = self.flagged_before();
        Outcome {
            old_limit: self.unmirrored(self.ordered.baseline),
            new_limit: self.unmirrored(movement.limit),
            moves: movement.moves(),
            false_calls_before,
            false_calls_after: movement.false_calls_after,
            defects_before,
            defects_after: movement.defects_after,
        }
    }

    /// False calls and confirmed defects that T0 flags.
    pub(crate) fn flagged_before(&self) -> (u64, u64) {
        (self.ordered.false_calls.count() as u64, self.ordered.defects.count() as u64)
    }

    /// Defects missing for the certificate that the terms ask for, here or in the limit's group.
    fn missing(&self, terms: Terms) -> u64 {
        let own = self.ordered.defects.count() as u64;
        let pooled = self.pool.as_ref().map_or(0, |pool| pool.defects);
        terms.needed.map_or(0, |needed| needed.saturating_sub(own.max(pooled)))
    }

    /// T0 where a limit would move that has too few defects for the certificate asked for.
    pub(crate) fn certified(&self, movement: Movement, terms: Terms) -> Movement {
        if movement.moves() && terms.needed.is_some() && self.missing(terms) > 0 {
            self.stay(Cause::Uncertified)
        } else {
            movement
        }
    }

    /// Attaches the certificate, asks it where the policy does, and turns the movement into a proposal.
    pub(crate) fn settle(
        &self,
        movement: Movement,
        terms: Terms,
        options: &Options,
    ) -> Result<Proposal, Error> {
        let Terms { delta, needed } = terms;
        let defects = self.ordered.defects.count() as u64;
        let mut movement = self.certified(movement, terms);
        let mut certificate = if delta == options.delta {
            self.certificate.clone()
        } else {
            Certificate::of_guard(defects, options.misses, delta)?
        };
        if let Some(pool) = &self.pool
            && movement.moves()
            && needed.is_some_and(|needed| defects < needed)
        {
            (movement, certificate) = self.pooled(pool, movement, delta, options)?;
        }
        if !movement.moves() {
            certificate = Certificate::unmoved(defects, options.misses, delta);
        }
        Ok(self.proposal(movement, certificate, terms, options))
    }

    /// The movement and certificate that a pooled group allows: its guard joins the limit's own.
    fn pooled(
        &self,
        pool: &PoolGuard,
        movement: Movement,
        delta: f64,
        options: &Options,
    ) -> Result<(Movement, Certificate), Error> {
        let mut certificate = Certificate::of_guard(pool.defects, options.misses, delta)?;
        certificate.pooled = Some(pool.group.clone());
        let guard = self.on_grid(pool.limit);
        let movement = if guard >= self.ordered.baseline {
            self.stay(Cause::GuardBeyondLimit)
        } else if guard > movement.limit {
            self.moved_to(guard, Cause::Defect, options)
        } else {
            movement
        };
        Ok((movement, certificate))
    }

    pub(super) fn proposal(
        &self,
        movement: Movement,
        certificate: Certificate,
        terms: Terms,
        options: &Options,
    ) -> Proposal {
        let Ordered { baseline, false_calls, defects, escape, .. } = &self.ordered;
        let (decision, reason) = self.told(movement.cause, terms, options);
        let boundary = options.boundary;
        let suggested = escape.map(|e| self.on_grid(boundary.least_flagging(e).max(e + self.margin)));
        Proposal {
            side: self.side,
            old_limit: self.unmirrored(*baseline),
            new_limit: self.unmirrored(movement.limit),
            decision,
            reason,
            false_calls_before: false_calls.count() as u64,
            false_calls_after: movement.false_calls_after,
            defects_before: defects.count() as u64,
            defects_after: movement.defects_after,
            nearest_defect: self.nearest_defect(&movement),
            margin: self.margin,
            certificate,
            suggested_limit: suggested.map(|limit| self.unmirrored(limit)),
            defects_unflagged: self.defects_unflagged,
            resolution: self.resolution.map(Resolution::step),
        }
    }

    /// What became of a limit for this cause, and the cause in full.
    fn told(&self, cause: Cause, terms: Terms, options: &Options) -> (Decision, Reason) {
        let kept = |reason| (Decision::Kept, reason);
        match cause {
            // There is one wherever this cause was given.
            Cause::Always => self.stays.clone().unwrap_or(kept(Reason::GuardBeyondLimit)),
            Cause::FewDefects => {
                kept(Reason::FewDefects { have: self.usable_defects(), need: options.needed_defects() })
            }
            Cause::PercentileNotFinite => kept(Reason::PercentileNotFinite),
            Cause::GuardBeyondLimit => kept(Reason::GuardBeyondLimit),
            Cause::ResolutionTooCoarse => kept(Reason::ResolutionTooCoarse),
            Cause::Uncertified => kept(Reason::Uncertified { missing: self.missing(terms) }),
            Cause::Percentile => (Decision::Relaxed, Reason::PercentileStands),
            Cause::Defect => (Decision::Guarded, Reason::DefectHolds),
            Cause::Provisional => (Decision::Guarded, Reason::ProvisionalHolds),
        }
    }
}
