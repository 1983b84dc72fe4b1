//! One limit on its way from evidence to a proposal: the percentile, the guard, the machine's grid, the certificate.

use crate::certificate::Certificate;
use crate::error::Error;
use crate::evidence::{Evidence, Facts, Ordered};
use crate::limit::{Boundary, Side};
use crate::movement::{Cause, Movement, Reach, Terms};
use crate::options::{Options, Policy};
use crate::pool::PoolGuard;
use crate::proposal::{Decision, Proposal, Reason};
use crate::resolution::{Resolution, ResolutionRule};
use crate::sample::{Ascending, Sample};

/// One limit with everything that does not depend on the percentile worked out.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<S> {
    side: Side,
    pub(crate) ordered: Ordered<S>,
    margin: f64,
    resolution: Option<Resolution>,
    guard: Option<f64>,
    held_by: Cause,
    /// Reason to stay at T0 whatever the percentile.
    stays: Option<(Decision, Reason)>,
    defects_unflagged: u64,
    /// What T0 flags of the confirmed defects.
    before: Reach,
    /// The certificate of the guard at [`Options::delta`].
    certificate: Certificate,
    pub(crate) pool: Option<PoolGuard>,
}

impl<'a> Candidate<Sample<'a>> {
    /// For one percentile.
    pub(crate) fn new(evidence: &'a Evidence, options: &Options) -> Result<Self, Error> {
        Self::prepare(evidence, Ordered::borrowed(evidence, options.boundary)?, options)
    }

    /// For many percentiles, and free of the evidence.
    pub(crate) fn sorted(
        evidence: &Evidence,
        options: &Options,
    ) -> Result<Candidate<Sample<'static>>, Error> {
        Candidate::prepare(evidence, Ordered::sorted(evidence, options.boundary)?, options)
    }

    fn prepare(evidence: &Evidence, ordered: Ordered<Sample<'a>>, options: &Options) -> Result<Self, Error> {
        let values = || evidence.false_calls.iter().copied().chain([evidence.limit]);
        Self::of(ordered, &Facts::of(evidence), || Resolution::of_values(values()), options)
    }
}

impl<S: Ascending> Candidate<S> {
    /// From values in order; `grid` finds the grid of the false calls and the limit, where the options ask for it.
    pub(crate) fn of(
        ordered: Ordered<S>,
        facts: &Facts,
        grid: impl FnOnce() -> Option<Resolution>,
        options: &Options,
    ) -> Result<Self, Error> {
        let boundary = options.boundary;
        if let Some(got) = facts.sigma.filter(|s| !s.is_finite() || *s < 0.0) {
            return Err(Error::Sigma { got });
        }
        let misses = usize::try_from(options.misses).unwrap_or(usize::MAX - 1);
        let guarded_value = ordered.guarded_value(misses);
        let resolved = options.margin.resolve(ordered.baseline, facts.sigma);
        let margin = resolved.unwrap_or(0.0);
        let resolution = match options.resolution {
            ResolutionRule::Recorded => facts.resolution,
            ResolutionRule::Step(step) => facts.resolution.or(Some(step)),
            ResolutionRule::Auto => facts.resolution.or_else(grid),
        };
        let held_by = match (ordered.provisional, guarded_value) {
            (Some(p), Some(g)) if p == g && ordered.last_defect().is_none_or(|d| d < p) => Cause::Provisional,
            _ => Cause::Defect,
        };
        let before = reach(&ordered, ordered.baseline, boundary);
        let stays = reason_to_stay(facts, &ordered, resolved, options);
        Ok(Self {
            side: facts.side,
            guard: guarded_value.map(|d| boundary.least_flagging(d).max(d + margin)),
            certificate: Certificate::of_guard(
                ordered.defects.count() as u64,
                options.misses,
                options.delta,
            )?,
            ordered,
            margin,
            resolution,
            held_by,
            stays,
            defects_unflagged: facts.defects_unflagged,
            before,
            pool: None,
        })
    }

    /// Keeps T0 for `reason`, unless something keeps it already.
    pub(crate) fn keep(&mut self, reason: Reason) {
        self.stays.get_or_insert((Decision::Kept, reason));
    }

    /// Steps 2 to 5: the percentile, the guard, the machine's grid.
    pub(crate) fn movement(&self, percent: f64, options: &Options) -> Result<Movement, Error> {
        self.movement_among(&self.ordered.false_calls, None, percent, options)
    }

    /// The same by the false calls in another form, and where `last`, the movement at another percentile, is known: a limit that stays
    /// where it is need not be counted again.
    pub(crate) fn movement_among(
        &self,
        false_calls: &impl Ascending,
        last: Option<&Movement>,
        percent: f64,
        options: &Options,
    ) -> Result<Movement, Error> {
        let keep = |cause| Ok(self.stay(cause));
        if self.stays.is_some() {
            return keep(Cause::Always);
        }
        if self.usable_defects() < options.needed_defects() {
            return keep(Cause::FewDefects);
        }
        let percentile = false_calls.percentile(percent, options.percentile_kind)?;
        if !percentile.is_finite() {
            return keep(Cause::PercentileNotFinite);
        }
        // The margin is part of the guard under `guarded` and `certified`; `paper` adds it only where the percentile alone loses a defect.
        let guard = match options.policy {
            Policy::Paper => self.guard.filter(|_| self.loses_a_guarded_value(percentile, options)),
            Policy::Guarded | Policy::Certified { .. } => self.guard,
        };
        let (limit, cause) = match guard {
            Some(guard) if guard > percentile => (guard, self.held_by),
            _ => (percentile, Cause::Percentile),
        };
        if limit >= self.ordered.baseline {
            return keep(Cause::GuardBeyondLimit);
        }
        let limit = self.on_grid(limit);
        if limit >= self.ordered.baseline {
            return keep(Cause::ResolutionTooCoarse);
        }
        if let Some(last) = last.filter(|last| last.limit.map(f64::to_bits) == Some(limit.to_bits())) {
            return Ok(Movement { cause, ..*last });
        }
        let rank = rank_near(percent, false_calls.count());
        let false_calls_after = false_calls.flagged_near(limit, options.boundary, rank);
        let reach = reach(&self.ordered, limit, options.boundary);
        Ok(Movement { limit: Some(limit), false_calls_after, reach, cause })
    }

    /// Confirmed defects of this limit, or of its group where that has more.
    fn usable_defects(&self) -> u64 {
        let own = self.ordered.defects.count() as u64;
        self.pool.as_ref().map_or(own, |pool| pool.defects.max(own))
    }

    /// The least limit not below `limit` that the machine can store.
    fn on_grid(&self, limit: f64) -> f64 {
        self.resolution.map_or(limit, |grid| grid.round_up(limit))
    }

    /// The lowest limit that a choice among several features may set: the percentile, or what a borderline or provisional value needs.
    ///
    /// None where T0 stays whatever is chosen.
    pub(crate) fn floor(&self, options: &Options) -> Result<Option<f64>, Error> {
        let defects = self.ordered.defects.count() as u64;
        if self.stays.is_some() || defects < options.needed_defects() {
            return Ok(None);
        }
        let percentile = self.ordered.false_calls.percentile(options.percentile, options.percentile_kind)?;
        let provisional = self.ordered.provisional.map(|value| self.holding(value, options));
        let floor = provisional.map_or(f64::NEG_INFINITY, |p| p).max(self.on_grid(percentile));
        Ok((percentile.is_finite() && floor < self.ordered.baseline).then_some(floor))
    }

    /// The least limit that flags `value`, in the mirrored frame, with its margin; T0 where that is not below it.
    pub(crate) fn holding(&self, value: f64, options: &Options) -> f64 {
        let limit = options.boundary.least_flagging(value).max(value + self.margin);
        self.on_grid(limit).min(self.ordered.baseline)
    }

    /// The proposal that sets the limit to `target`, in the mirrored frame, T0 or beyond meaning that it stays.
    ///
    /// None asks for what the limit does by itself; that must be to stay.
    pub(crate) fn proposal_at(&self, target: Option<f64>, options: &Options) -> Result<Proposal, Error> {
        let alone = self.movement(options.percentile, options)?;
        let provisional = self.ordered.provisional.map(|value| self.holding(value, options));
        let movement = match target {
            None => alone,
            Some(limit) if limit >= self.ordered.baseline => self.stay(Cause::GuardBeyondLimit),
            Some(limit) => {
                let percentile =
                    self.ordered.false_calls.percentile(options.percentile, options.percentile_kind)?;
                let cause = if limit <= self.on_grid(percentile) {
                    Cause::Percentile
                } else if provisional == Some(limit) {
                    Cause::Provisional
                } else {
                    Cause::Defect
                };
                self.moved(limit, cause, options.boundary)
            }
        };
        let certificate =
            Certificate::unmoved(self.ordered.defects.count() as u64, options.misses, options.delta);
        Ok(self.proposal(movement, certificate, options))
    }

    /// T0 stays; it flags every false call that is evidence on it.
    fn stay(&self, cause: Cause) -> Movement {
        let false_calls_after = self.ordered.false_calls.count() as u64;
        Movement { limit: None, false_calls_after, reach: self.before, cause }
    }

    /// The limit moves to `limit`.
    fn moved(&self, limit: f64, cause: Cause, boundary: Boundary) -> Movement {
        let false_calls_after = self.ordered.false_calls.flagged_by(limit, boundary);
        Movement {
            limit: Some(limit),
            false_calls_after,
            reach: reach(&self.ordered, limit, boundary),
            cause,
        }
    }

    /// What became of a limit for this cause, and the cause in full.
    fn told(&self, cause: Cause, options: &Options) -> (Decision, Reason) {
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
            Cause::Uncertified(missing) => kept(Reason::Uncertified { missing }),
            Cause::Percentile => (Decision::Relaxed, Reason::PercentileStands),
            Cause::Defect => (Decision::Guarded, Reason::DefectHolds),
            Cause::Provisional => (Decision::Guarded, Reason::ProvisionalHolds),
        }
    }

    /// Whether the value that the guard protects would pass a limit at `limit`.
    fn loses_a_guarded_value(&self, limit: f64, options: &Options) -> bool {
        let misses = usize::try_from(options.misses).unwrap_or(usize::MAX - 1);
        self.ordered.guarded_value(misses).is_some_and(|d| !options.boundary.flags_below(d, limit))
    }

    /// Attaches the certificate, asks it where the policy does, and turns the movement into a proposal.
    pub(crate) fn settle(
        &self,
        mut movement: Movement,
        terms: Terms,
        options: &Options,
    ) -> Result<Proposal, Error> {
        let Terms { delta, needed } = terms;
        let defects = self.ordered.defects.count() as u64;
        let mut certificate = if delta == options.delta {
            self.certificate.clone()
        } else {
            Certificate::of_guard(defects, options.misses, delta)?
        };
        if let (Some(needed), Some(limit)) = (needed.filter(|n| defects < *n), movement.limit) {
            let pooled = self.pool.as_ref().map_or(0, |p| p.defects);
            if let Some(pool) = self.pool.as_ref().filter(|_| pooled >= needed) {
                (movement, certificate) = self.pooled(pool, limit, movement, delta, options)?;
            } else {
                let missing = needed - defects.max(pooled);
                movement = self.stay(Cause::Uncertified(missing));
            }
        }
        if movement.limit.is_none() {
            certificate = Certificate::unmoved(defects, options.misses, delta);
        }
        Ok(self.proposal(movement, certificate, options))
    }

    /// The movement and certificate that a pooled group allows: its guard joins the limit's own.
    fn pooled(
        &self,
        pool: &PoolGuard,
        limit: f64,
        movement: Movement,
        delta: f64,
        options: &Options,
    ) -> Result<(Movement, Certificate), Error> {
        let mut certificate = Certificate::of_guard(pool.defects, options.misses, delta)?;
        certificate.pooled = Some(pool.group.clone());
        let guard = self.on_grid(pool.limit);
        let movement = if guard >= self.ordered.baseline {
            self.stay(Cause::GuardBeyondLimit)
        } else if guard > limit {
            self.moved(guard, Cause::Defect, options.boundary)
        } else {
            movement
        };
        Ok((movement, certificate))
    }

    fn proposal(&self, movement: Movement, certificate: Certificate, options: &Options) -> Proposal {
        let Ordered { baseline, false_calls, defects, escape, .. } = &self.ordered;
        let limit = movement.limit.unwrap_or(*baseline);
        let (decision, reason) = self.told(movement.cause, options);
        let boundary = options.boundary;
        let suggested = escape.map(|e| self.on_grid(boundary.least_flagging(e).max(e + self.margin)));
        // Adding zero turns the -0.0 that a mirror may leave into 0.0.
        let unmirror = |limit: f64| self.side.mirror(limit) + 0.0;
        Proposal {
            side: self.side,
            old_limit: unmirror(*baseline),
            new_limit: unmirror(limit),
            decision,
            reason,
            false_calls_before: false_calls.count() as u64,
            false_calls_after: movement.false_calls_after,
            defects_before: defects.count() as u64,
            defects_after: movement.reach.defects,
            nearest_defect: movement.reach.nearest,
            margin: self.margin,
            certificate,
            suggested_limit: suggested.map(unmirror),
            defects_unflagged: self.defects_unflagged,
            resolution: self.resolution.map(Resolution::step),
        }
    }
}

/// What a limit at `limit` flags of the confirmed defects.
fn reach<S: Ascending>(ordered: &Ordered<S>, limit: f64, boundary: Boundary) -> Reach {
    let defects = ordered.defects.flagged_by(limit, boundary);
    let last = usize::try_from(defects).ok().and_then(|n| n.checked_sub(1));
    Reach { defects, nearest: last.map(|i| limit - ordered.defects.at(i)) }
}

/// About the rank of a percentile.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within 0 to the count; a hint")]
fn rank_near(percent: f64, count: usize) -> usize {
    (percent / 100.0 * count as f64) as usize
}

/// What keeps a limit at T0 whatever the percentile; records that must be cleared come first, then escapes, then missing evidence.
fn reason_to_stay<S: Ascending>(
    facts: &Facts,
    ordered: &Ordered<S>,
    margin: Option<f64>,
    options: &Options,
) -> Option<(Decision, Reason)> {
    if facts.unreadable_defects > 0 {
        return Some((Decision::Blocked, Reason::UnreadableDefects { rows: facts.unreadable_defects }));
    }
    let (pending, flagged) = (facts.pending, facts.flagged);
    if pending as f64 > options.max_pending_share * flagged as f64 {
        return Some((Decision::Blocked, Reason::Pending { pending, flagged }));
    }
    if facts.escapes > 0 {
        return Some((Decision::Tighten, Reason::Escaped { defects: facts.escapes }));
    }
    let have = ordered.false_calls.count() as u64;
    let need = options.needed_false_calls();
    let defects = ordered.defects.count() as u64;
    let reason = if have == 0 {
        Reason::NoFalseCalls
    } else if have < need {
        Reason::FewFalseCalls { have, need }
    } else if options.misses > 0 && defects <= options.misses {
        Reason::MissesSpendAll { defects, misses: options.misses }
    } else if margin.is_none() {
        Reason::NoSigma
    } else if facts.resolution_conflict {
        Reason::ResolutionConflict
    } else {
        return None;
    };
    Some((Decision::Kept, reason))
}
