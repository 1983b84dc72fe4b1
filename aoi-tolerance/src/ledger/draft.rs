//! From what the stream says to proposals that an auditor can follow.

use super::book::Book;
use super::entry::{Act, Change, Evidenced, LimitName, Signed, SimulatedPoint};
use super::file::Ledger;
use crate::error::Error;
use crate::motion::{Motion, MotionPolicy, Situation};
use crate::options::Options;
use crate::population::Population;
use crate::proposal::Proposal;
use crate::recalibrate::{LiveLimit, Recalibrator};
use crate::store::Line;
use crate::validate::{Split, recall, validate};

/// Percentiles at which every proposed change of a limit is simulated.
const PERCENTILES: [f64; 6] = [50.0, 70.0, 80.0, 90.0, 95.0, 100.0];

/// A change with what has to be on record before it may be approved.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The change.
    pub change: Change,
    /// What other percentiles would give; for limits only.
    pub points: Vec<SimulatedPoint>,
    /// Defects held back one by one, how many of these were flagged, and the recall's lower bound; for limits only.
    pub validation: Option<(u64, u64, Option<f64>)>,
}

/// What is to be done about one limit.
fn motion(line: &Line, limit: LiveLimit, proposal: &Proposal, policy: &MotionPolicy) -> Motion {
    let live = line.recalibrator();
    let drifted = line.monitor(limit).is_some_and(|m| m.drift().is_some());
    let (_, in_force) = live.in_force(limit);
    let sigma = live.sigma(limit);
    policy.decide(proposal, &Situation { in_force, standing: live.standing(limit), drifted, sigma })
}

/// Every limit with its proposal and what is to be done about it.
///
/// # Errors
/// As [`Recalibrator::propose`].
pub fn motions(
    line: &Line,
    options: &Options,
    policy: &MotionPolicy,
) -> Result<Vec<(LiveLimit, Proposal, Motion)>, Error> {
    policy.check()?;
    let proposals = line.recalibrator().propose(options)?;
    let decide = |(limit, p): (LiveLimit, Proposal)| {
        let motion = motion(line, limit, &p, policy);
        (limit, p, motion)
    };
    Ok(proposals.into_iter().map(decide).collect())
}

/// The changes that should be proposed and are not waiting already.
///
/// # Errors
/// As [`Recalibrator::propose`].
pub fn draft(
    line: &Line,
    book: &Book,
    options: &Options,
    policy: &MotionPolicy,
) -> Result<Vec<Draft>, Error> {
    let live = line.recalibrator();
    let mut drafts = Vec::new();
    let mut population = None;
    for (limit, proposal, motion) in motions(line, options, policy)? {
        let name = LimitName::of(live, limit);
        let (_, from) = live.in_force(limit);
        let after = motion.target().map_or((0, 0), |to| live.flagged_at(limit, to));
        let Some(change) = Change::of(name, from, &motion, &proposal, after) else { continue };
        if is_waiting(book, &change, &proposal, policy) {
            continue;
        }
        let population = population.get_or_insert_with(|| live.population());
        let points = simulated(live, limit, options)?;
        let validation = Some(validated(live, limit, population, options)?);
        drafts.push(Draft { change, points, validation });
    }
    let plain = |change| Draft { change, points: Vec::new(), validation: None };
    let withheld = live.withheld().map(|w| Change::Withdraw {
        limit: LimitName::of(live, w.limit),
        row: w.row,
        value: w.value,
        verdict: w.verdict.to_string(),
    });
    let unreadable = live.unreadable().map(|(key, guards, pending)| Change::Acknowledge {
        key: key.clone(),
        guards,
        pending,
    });
    let drifted = live.limits().filter(|l| line.monitor(*l).is_some_and(|m| m.drift().is_some()));
    // One for each tolerance: both sides share its measurements.
    let mut slots = std::collections::BTreeSet::new();
    let references = drifted
        .filter(|l| slots.insert(l.slot))
        .map(|limit| Change::Reference { limit: LimitName::of(live, limit) })
        .collect::<Vec<_>>();
    let others = withheld.chain(unreadable).chain(references);
    drafts.extend(others.filter(|c| book.latest_on(c).is_none_or(|open| open.change != *c)).map(plain));
    Ok(drafts)
}

/// Whether what waits, or was rejected, already says as much: the same start, and an end no further off than the dead band.
///
/// A proposal that a crash cut off before it was simulated and validated does not wait: it is made again.
fn is_waiting(book: &Book, change: &Change, proposal: &Proposal, policy: &MotionPolicy) -> bool {
    let Some(open) = book.latest_on(change).filter(|o| o.simulated && o.validated) else { return false };
    let (
        Change::Limit { from, to, loosens, .. },
        Change::Limit { from: from_now, to: to_now, loosens: loosens_now, .. },
    ) = (&open.change, change)
    else {
        return false;
    };
    let band = policy.dead_band.resolve(proposal.old_limit, None).unwrap_or(0.0);
    // What flags less than the evidence now allows is not left waiting, however little.
    let safe = proposal.side.mirror(*to) >= proposal.side.mirror(*to_now);
    from.to_bits() == from_now.to_bits() && loosens == loosens_now && safe && (to - to_now).abs() <= band
}

fn simulated(live: &Recalibrator, limit: LiveLimit, options: &Options) -> Result<Vec<SimulatedPoint>, Error> {
    PERCENTILES
        .into_iter()
        .map(|percentile| {
            let options = Options { percentile, ..options.clone() };
            let p = live.propose_some(vec![limit], &options)?.remove(0).1;
            Ok(SimulatedPoint {
                percentile,
                limit: p.new_limit,
                false_calls: p.false_calls_after,
                defects: p.defects_after,
            })
        })
        .collect()
}

fn validated(
    live: &Recalibrator,
    limit: LiveLimit,
    population: &Population,
    options: &Options,
) -> Result<(u64, u64, Option<f64>), Error> {
    let name = live.name(limit);
    let one = population.limits.iter().filter(|l| l.id == name).cloned().collect();
    let population = Population { limits: one, ..Population::default() };
    let (held_back, flagged) = validate(&population, Split::LeaveOneOut, 0, options)?.totals();
    Ok((held_back, flagged, recall(flagged, held_back, options.delta)?.map(|(_, lower)| lower)))
}

/// Refuses a change that the stream no longer supports, though it was proposed: a defect since then, drift, a freeze.
///
/// # Errors
/// Says what speaks against it.
pub fn recheck(line: &Line, change: &Change, options: &Options, policy: &MotionPolicy) -> Result<(), Error> {
    let Change::Limit { limit: name, to, loosens: true, .. } = change else { return Ok(()) };
    let refuse = |reason: String| Err(Error::Ledger { reason });
    let live = line.recalibrator();
    let Some(limit) = name.find(live) else {
        return refuse(format!("the records hold no limit {name}"));
    };
    let proposal = live.propose_some(vec![limit], options)?.remove(0).1;
    let side = limit.side;
    if !proposal.moves() || side.mirror(*to) < side.mirror(proposal.new_limit) {
        let (p, why) = (proposal.new_limit, &proposal.reason);
        return refuse(format!(
            "{name}: the records no longer support {to}; they now give {p} ({why}); propose it again"
        ));
    }
    match motion(line, limit, &proposal, policy) {
        Motion::Frozen(freeze) => refuse(format!("{name} is frozen: {freeze}")),
        Motion::Tighten { cause: Some(cause), .. } => {
            refuse(format!("{name} should rather be tightened: {cause}"))
        }
        _ => Ok(()),
    }
}

impl Ledger {
    /// Writes a draft as proposal, simulation and validation; the proposal's number.
    ///
    /// # Errors
    /// As [`Ledger::add`].
    pub fn propose(&mut self, draft: &Draft, input: &Evidenced, by: &Signed) -> Result<u64, Error> {
        let act = Act::Propose { change: draft.change.clone(), input: input.clone() };
        let proposal = self.add(act, by)?;
        if let Some((held_back, flagged, recall_at_least)) = draft.validation {
            self.add(Act::Simulate { proposal, points: draft.points.clone() }, by)?;
            self.add(Act::Validate { proposal, held_back, flagged, recall_at_least }, by)?;
        }
        Ok(proposal)
    }
}
