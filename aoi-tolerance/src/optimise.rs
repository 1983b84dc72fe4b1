//! The guarded limit: the percentile of the false calls, never past a known defect, never tighter than the old limit.
//!
//! For a lower limit, `T = min(T0, max(T_P, T_guard))` with `T_guard = max(next_up(d), d + margin)` and d the largest flagged defect
//! (or the (r + 1)-th largest, where r misses were asked for). `d + margin` alone would not do: `45.0 + 1e-15 == 45.0` in f64, and a
//! limit at 45.0 lets the defect at 45.0 pass.
//!
//! Under r = 0 every confirmed defect that T0 flagged stays flagged, in every policy; that is arithmetic and needs no assumption.

use crate::binomial::{self, Claim};
use crate::certificate::Certificate;
use crate::error::Error;
use crate::evidence::{Ascending, Evidence, Facts, Ordered};
use crate::limit::{Boundary, Side};
use crate::options::{Options, Policy};
use crate::pool::PoolGuard;
use crate::proposal::{Decision, Proposal, Reason};
use crate::resolution::{Resolution, ResolutionRule};
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
/// [`Policy::Certified`]: that would move before their certificates are looked at, which is at least as many).
///
/// # Errors
/// As [`optimise_limit`].
pub fn optimise(evidence: &[Evidence], options: &Options) -> Result<Vec<Proposal>, Error> {
    propose_all(&prepare_all(evidence, options)?, options.percentile, options)
}

/// Checks the options and prepares every limit, on `options.threads` threads.
pub(crate) fn prepare_all(evidence: &[Evidence], options: &Options) -> Result<Vec<Candidate>, Error> {
    options.check()?;
    map_in_order(evidence, options.threads, |e| Candidate::new(e, options)).into_iter().collect()
}

/// One proposal for each candidate at one percentile.
pub(crate) fn propose_all<S: Ascending>(
    candidates: &[Candidate<S>],
    percent: f64,
    options: &Options,
) -> Result<Vec<Proposal>, Error> {
    let movements: Vec<Movement> =
        candidates.iter().map(|c| c.movement(percent, options)).collect::<Result<_, _>>()?;
    let moved = movements.iter().filter(|m| m.limit.is_some()).count().max(1);
    let delta = if options.simultaneous { options.delta / moved as f64 } else { options.delta };
    let needed = match options.policy {
        Policy::Certified { alpha } => {
            Some(binomial::needed_defects(options.misses, Claim { alpha, delta })?)
        }
        Policy::Paper | Policy::Guarded => None,
    };
    candidates.iter().zip(movements).map(|(c, m)| c.settle(m, delta, needed, options)).collect()
}

/// One limit with everything that does not depend on the percentile worked out.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<S = Vec<f64>> {
    side: Side,
    pub(crate) ordered: Ordered<S>,
    margin: f64,
    resolution: Option<Resolution>,
    guard: Option<f64>,
    held_by: Reason,
    /// Reason to stay at T0 whatever the percentile.
    stays: Option<(Decision, Reason)>,
    defects_unflagged: u64,
    /// The certificate of the guard at [`Options::delta`].
    certificate: Certificate,
    pub(crate) pool: Option<PoolGuard>,
}

/// Where a percentile and the guard put a limit, in the mirrored frame.
struct Movement {
    /// The new limit; none = T0 stays.
    limit: Option<f64>,
    decision: Decision,
    reason: Reason,
}

impl Movement {
    fn stay(decision: Decision, reason: Reason) -> Self {
        Self { limit: None, decision, reason }
    }
}

impl Candidate {
    pub(crate) fn new(evidence: &Evidence, options: &Options) -> Result<Self, Error> {
        let ordered = Ordered::new(evidence, options.boundary)?;
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
            (Some(p), Some(g)) if p == g && ordered.last_defect().is_none_or(|d| d < p) => {
                Reason::ProvisionalHolds
            }
            _ => Reason::DefectHolds,
        };
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
            pool: None,
        })
    }

    /// Steps 2 to 5: the percentile, the guard, the machine's grid.
    fn movement(&self, percent: f64, options: &Options) -> Result<Movement, Error> {
        if let Some((decision, reason)) = &self.stays {
            return Ok(Movement::stay(*decision, reason.clone()));
        }
        let keep = |reason| Ok(Movement::stay(Decision::Kept, reason));
        let defects = self.ordered.defects.count() as u64;
        let counted = self.pool.as_ref().map_or(defects, |p| p.defects.max(defects));
        if counted < options.needed_defects() {
            return keep(Reason::FewDefects { have: counted, need: options.needed_defects() });
        }
        let false_calls = &self.ordered.false_calls;
        let place = options.percentile_kind.place(false_calls.count(), percent)?;
        let percentile = place.value(|index| false_calls.at(index));
        if !percentile.is_finite() {
            return keep(Reason::PercentileNotFinite);
        }
        // The margin is part of the guard under `guarded` and `certified`; `paper` adds it only where the percentile alone loses a defect.
        let guard = match options.policy {
            Policy::Paper => self.guard.filter(|_| self.loses_a_guarded_value(percentile, options)),
            Policy::Guarded | Policy::Certified { .. } => self.guard,
        };
        let (limit, decision, reason) = match guard {
            Some(guard) if guard > percentile => (guard, Decision::Guarded, self.held_by.clone()),
            _ => (percentile, Decision::Relaxed, Reason::PercentileStands),
        };
        if limit >= self.ordered.baseline {
            return keep(Reason::GuardBeyondLimit);
        }
        let limit = self.resolution.map_or(limit, |grid| grid.round_up(limit));
        if limit >= self.ordered.baseline {
            return keep(Reason::ResolutionTooCoarse);
        }
        Ok(Movement { limit: Some(limit), decision, reason })
    }

    /// Whether the value that the guard protects would pass a limit at `limit`.
    fn loses_a_guarded_value(&self, limit: f64, options: &Options) -> bool {
        let misses = usize::try_from(options.misses).unwrap_or(usize::MAX - 1);
        self.ordered.guarded_value(misses).is_some_and(|d| !options.boundary.flags_below(d, limit))
    }

    /// Attaches the certificate, asks it where the policy does, and turns the movement into a proposal.
    ///
    /// `needed` is the number of defects that the policy's certificate takes, if it asks for one.
    fn settle(
        &self,
        mut movement: Movement,
        delta: f64,
        needed: Option<u64>,
        options: &Options,
    ) -> Result<Proposal, Error> {
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
                movement = Movement::stay(Decision::Kept, Reason::Uncertified { missing });
            }
        }
        if movement.limit.is_none() {
            certificate = Certificate::unmoved(defects, options.misses, delta);
        }
        Ok(self.proposal(movement, certificate, options.boundary))
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
        let guard = self.resolution.map_or(pool.limit, |grid| grid.round_up(pool.limit));
        let movement = if guard >= self.ordered.baseline {
            Movement::stay(Decision::Kept, Reason::GuardBeyondLimit)
        } else if guard > limit {
            Movement { limit: Some(guard), decision: Decision::Guarded, reason: Reason::DefectHolds }
        } else {
            movement
        };
        Ok((movement, certificate))
    }

    fn proposal(&self, movement: Movement, certificate: Certificate, boundary: Boundary) -> Proposal {
        let Ordered { baseline, false_calls, defects, escape, .. } = &self.ordered;
        let limit = movement.limit.unwrap_or(*baseline);
        let defects_after = defects.flagged_by(limit, boundary);
        let nearest =
            usize::try_from(defects_after).ok().and_then(|n| n.checked_sub(1)).map(|i| defects.at(i));
        let suggested = escape.map(|e| {
            let limit = boundary.least_flagging(e).max(e + self.margin);
            self.resolution.map_or(limit, |grid| grid.round_up(limit))
        });
        // Adding zero turns the -0.0 that a mirror may leave into 0.0.
        let unmirror = |limit: f64| self.side.mirror(limit) + 0.0;
        Proposal {
            side: self.side,
            old_limit: unmirror(*baseline),
            new_limit: unmirror(limit),
            decision: movement.decision,
            reason: movement.reason,
            false_calls_before: false_calls.count() as u64,
            false_calls_after: false_calls.flagged_by(limit, boundary),
            defects_before: defects.count() as u64,
            defects_after,
            nearest_defect: nearest.map(|d| limit - d),
            margin: self.margin,
            certificate,
            suggested_limit: suggested.map(unmirror),
            defects_unflagged: self.defects_unflagged,
            resolution: self.resolution.map(Resolution::step),
        }
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
