//! One limit on its way from evidence to a proposal: the percentile, the guard, the machine's grid, the certificate.

use crate::certificate::Certificate;
use crate::error::Error;
use crate::evidence::{Evidence, Facts, Ordered};
use crate::limit::Side;
use crate::movement::{Cause, Movement, Terms};
use crate::options::{Options, Policy};
use crate::pool::PoolGuard;
use crate::proposal::{Decision, Proposal, Reason};
use crate::resolution::{Resolution, ResolutionRule};
use crate::sample::{Ascending, Sample};

mod settlement;

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
    /// Confirmed defects that T0 flags.
    defects_before: u64,
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
        let defects_before = ordered.defects.flagged_by(ordered.baseline, boundary);
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
            defects_before,
            pool: None,
        })
    }

    /// Keeps T0 for `reason`, unless something keeps it already.
    pub(crate) fn keep(&mut self, reason: Reason) {
        self.stays.get_or_insert((Decision::Kept, reason));
    }

    /// Steps 2 to 5: the percentile, the guard, the machine's grid.
    pub(crate) fn movement(&self, percent: f64, options: &Options) -> Result<Movement, Error> {
        if let Some(cause) = self.standing(options) {
            return Ok(self.stay(cause));
        }
        let percentile = self.ordered.false_calls.percentile(percent, options.percentile_kind)?;
        let (limit, cause) = self.aim(percentile, options);
        Ok(self.moved_to(limit, cause, options))
    }

    /// What keeps T0 whatever the percentile.
    pub(crate) fn standing(&self, options: &Options) -> Option<Cause> {
        if self.stays.is_some() {
            return Some(Cause::Always);
        }
        (self.usable_defects() < options.needed_defects()).then_some(Cause::FewDefects)
    }

    /// Where the percentile of the false calls, the guard and the machine's grid put a limit that nothing keeps, and which of them does.
    pub(crate) fn aim(&self, percentile: f64, options: &Options) -> (f64, Cause) {
        let baseline = self.ordered.baseline;
        if !percentile.is_finite() {
            return (baseline, Cause::PercentileNotFinite);
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
        if limit >= baseline {
            return (baseline, Cause::GuardBeyondLimit);
        }
        let limit = self.on_grid(limit);
        if limit >= baseline {
            return (baseline, Cause::ResolutionTooCoarse);
        }
        (limit, cause)
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
                self.moved_to(limit, cause, options)
            }
        };
        let certificate =
            Certificate::unmoved(self.ordered.defects.count() as u64, options.misses, options.delta);
        let terms = Terms { delta: options.delta, needed: None };
        Ok(self.proposal(movement, certificate, terms, options))
    }

    /// T0 stays; it flags every false call that is evidence on it.
    pub(crate) fn stay(&self, cause: Cause) -> Movement {
        Movement {
            limit: self.ordered.baseline,
            false_calls_after: self.ordered.false_calls.count() as u64,
            defects_after: self.defects_before,
            cause,
        }
    }

    /// The limit goes where [`Candidate::aim`] put it; `flagged` counts the false calls that a limit flags.
    pub(crate) fn moved(
        &self,
        limit: f64,
        cause: Cause,
        flagged: impl FnOnce(f64) -> u64,
        options: &Options,
    ) -> Movement {
        if !cause.moves() {
            return self.stay(cause);
        }
        let defects_after = self.ordered.defects.flagged_by(limit, options.boundary);
        Movement { limit, false_calls_after: flagged(limit), defects_after, cause }
    }

    /// The same, the false calls counted here.
    fn moved_to(&self, limit: f64, cause: Cause, options: &Options) -> Movement {
        self.moved(
            limit,
            cause,
            |limit| self.ordered.false_calls.flagged_by(limit, options.boundary),
            options,
        )
    }

    /// Whether the value that the guard protects would pass a limit at `limit`.
    fn loses_a_guarded_value(&self, limit: f64, options: &Options) -> bool {
        let misses = usize::try_from(options.misses).unwrap_or(usize::MAX - 1);
        self.ordered.guarded_value(misses).is_some_and(|d| !options.boundary.flags_below(d, limit))
    }
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
