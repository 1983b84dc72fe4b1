//! What the stream says now: proposals, the evidence behind them, and the population as a batch would have it.

use super::ranked::Ranked;
use super::row::{LiveRow, Slot};
use super::side::LiveSide;
use super::{LiveLimit, Recalibrator};
use crate::collect::Counts;
use crate::error::Error;
use crate::evidence::{Evidence, Facts, Ordered};
use crate::limit::{Boundary, Side};
use crate::optimise::{Candidate, propose_all};
use crate::options::Options;
use crate::population::{EscapedDefect, Limit, Population, nearest_side};
use crate::proposal::Proposal;
use crate::record::{Source, Verdict};
use crate::resolution::Resolution;

/// How much of a limit's population rests on what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Standing {
    /// Records measured against its tolerance.
    pub records: u64,
    /// Of these, passes inside the window.
    pub passes: u64,
    /// A new revision or changed limits: what was learned before does not speak for it.
    pub unsettled: bool,
    /// Confirmed faults on record that the limit in force does not flag, though T0 does.
    pub missed: u64,
}

impl Recalibrator {
    /// A proposal for every limit, each bit for bit what [`crate::optimise::optimise`] gives from the same records read at once.
    ///
    /// A limit costs O(log n), except under [`crate::resolution::ResolutionRule::Auto`], which looks at every value for their grid.
    ///
    /// # Errors
    /// As [`crate::optimise::optimise`].
    pub fn propose(&self, options: &Options) -> Result<Vec<(LiveLimit, Proposal)>, Error> {
        self.propose_some(self.limits().collect(), options)
    }

    /// The same for some of the limits. Under [`Options::simultaneous`] a certificate counts the limits asked for, so ask for all of them.
    ///
    /// # Errors
    /// As [`crate::optimise::optimise`].
    pub fn propose_some(
        &self,
        limits: Vec<LiveLimit>,
        options: &Options,
    ) -> Result<Vec<(LiveLimit, Proposal)>, Error> {
        options.check()?;
        self.check_boundary(options.boundary)?;
        let candidates: Vec<Candidate<&Ranked>> = limits
            .iter()
            .filter_map(|l| self.candidate(*l, options).transpose())
            .collect::<Result<_, _>>()?;
        let proposals = propose_all(&candidates, options.percentile, options)?;
        Ok(limits.into_iter().zip(proposals).collect())
    }

    /// The flag rule is part of the state: other options would flag other values.
    fn check_boundary(&self, boundary: Boundary) -> Result<(), Error> {
        if boundary == self.options.collect.boundary {
            return Ok(());
        }
        Err(Error::Option {
            option: "boundary",
            got: format!("{boundary:?}"),
            expected: "the flag rule with which the records were taken in",
        })
    }

    fn candidate(&self, limit: LiveLimit, options: &Options) -> Result<Option<Candidate<&Ranked>>, Error> {
        let slot = &self.slots[limit.slot as usize];
        let Some(side) = slot.side(limit.side) else { return Ok(None) };
        let LiveSide { side: which, baseline, false_calls, defects, provisional, .. } = side;
        let escapes = self.escapes(slot, limit.side);
        let ordered = Ordered {
            baseline: which.mirror(*baseline),
            false_calls,
            defects,
            provisional: provisional.last(),
            escape: escapes.iter().map(|&v| which.mirror(v)).max_by(f64::total_cmp),
        };
        let facts = Facts {
            side: *which,
            flagged: side.flagged() + slot.pending_unreadable,
            pending: side.pending + slot.pending_unreadable,
            escapes: escapes.len() as u64,
            defects_unflagged: self.defects_unflagged(slot, side),
            unreadable_defects: slot.unreadable_defects,
            sigma: slot.sigma,
            resolution: slot.resolution,
            resolution_conflict: slot.resolution_conflict,
        };
        let grid = || Resolution::of_values(false_calls.to_vec().into_iter().chain([*baseline]));
        Candidate::of(ordered, &facts, grid, options).map(Some)
    }

    /// Values of the faults that no limit flags and that this one, moved, would have caught; ascending, whatever order they came in.
    fn escapes(&self, slot: &Slot, side: Side) -> Vec<f64> {
        let rows = slot.unflagged.iter().map(|r| &self.rows[*r as usize].row);
        let mut values: Vec<f64> = rows
            .filter(|row| row.defect.is_none_or(|d| !self.caught.contains_key(&d)))
            .filter(|row| nearest_side(slot.baseline, row.value) == Some(side))
            .map(|row| row.value)
            .collect();
        values.sort_unstable_by(f64::total_cmp);
        values
    }

    /// Faults measured against the tolerance that this side of it does not flag.
    fn defects_unflagged(&self, slot: &Slot, side: &LiveSide) -> u64 {
        let other = match side.side {
            Side::Lower => slot.upper.as_ref(),
            Side::Upper => slot.lower.as_ref(),
        };
        let boundary = self.options.collect.boundary;
        let flagged_by_other = other.map_or(0, |other| {
            // A value on the other side is flagged here too only where both limits are one number that flags what equals it.
            let both = boundary == Boundary::Flagged && slot.baseline.lower == slot.baseline.upper;
            let here = other.side.mirror(side.baseline);
            let equal = other.defects.count_while(|v| v <= here) - other.defects.count_while(|v| v < here);
            other.defects.len() - if both { equal } else { 0 }
        });
        (flagged_by_other + slot.unflagged.len()) as u64
    }

    /// All evidence on a limit; its values ascend in the mirrored frame.
    pub fn evidence(&self, limit: LiveLimit) -> Evidence {
        let slot = &self.slots[limit.slot as usize];
        let (baseline, _) = self.in_force(limit);
        let mut evidence = Evidence::new(limit.side, baseline);
        let Some(side) = slot.side(limit.side) else { return evidence };
        let values = |ranked: &Ranked| ranked.to_vec().into_iter().map(|v| limit.side.mirror(v)).collect();
        evidence.false_calls = values(&side.false_calls);
        evidence.defects = values(&side.defects);
        evidence.provisional = values(&side.provisional);
        evidence.pending = side.pending + slot.pending_unreadable;
        evidence.escapes = self.escapes(slot, limit.side);
        evidence.defects_unflagged = self.defects_unflagged(slot, side);
        evidence.unreadable_defects = slot.unreadable_defects;
        (evidence.sigma, evidence.resolution) = (slot.sigma, slot.resolution);
        evidence.resolution_conflict = slot.resolution_conflict;
        evidence
    }

    /// What a limit's evidence rests on.
    pub fn standing(&self, limit: LiveLimit) -> Standing {
        let slot = &self.slots[limit.slot as usize];
        let (_, live) = self.in_force(limit);
        let boundary = self.options.collect.boundary;
        let mirrored = limit.side.mirror(live);
        let missed = slot.side(limit.side).map_or(0, |side| {
            side.defects.len() - side.defects.count_while(|v| boundary.flags_below(v, mirrored))
        });
        Standing {
            records: slot.records,
            passes: slot.passes.total(),
            unsettled: slot.unsettled,
            missed: missed as u64,
        }
    }

    /// False calls and confirmed defects that a limit at `value` would flag, of those that T0 flags.
    pub fn flagged_at(&self, limit: LiveLimit, value: f64) -> (u64, u64) {
        let boundary = self.options.collect.boundary;
        let mirrored = limit.side.mirror(value);
        let below = |ranked: &Ranked| ranked.count_while(|v| boundary.flags_below(v, mirrored)) as u64;
        let side = self.slots[limit.slot as usize].side(limit.side);
        side.map_or((0, 0), |s| (below(&s.false_calls), below(&s.defects)))
    }

    /// Repeatability of a limit's measurement, where the records carry one.
    pub fn sigma(&self, limit: LiveLimit) -> Option<f64> {
        self.slots[limit.slot as usize].sigma
    }

    /// A limit has shown enough of its own.
    pub fn settle(&mut self, limit: LiveLimit) {
        self.slots[limit.slot as usize].unsettled = false;
    }

    /// Everything as a batch over the same records would have it, sorted as there; rows carry no place in a file.
    pub fn population(&self) -> Population {
        let mut limits: Vec<(LiveLimit, Limit)> = self.limits().map(|l| (l, self.limit(l))).collect();
        limits.sort_by(|a, b| a.1.id.cmp(&b.1.id));
        let place: std::collections::HashMap<LiveLimit, usize> =
            limits.iter().enumerate().map(|(i, (l, _))| (*l, i)).collect();
        let mut population = Population::default();
        let mut limits: Vec<Limit> = limits.into_iter().map(|(_, l)| l).collect();
        let boundary = self.options.collect.boundary;
        for (number, live) in (0..).zip(&self.rows) {
            let LiveRow { row, slot, .. } = live;
            let baseline = self.slots[*slot as usize].baseline;
            let Some(side) = baseline.flagging_side(row.value, boundary) else { continue };
            let old = row.verdict == Verdict::FalseCall && !self.is_inside(number, side);
            if row.verdict == Verdict::Pass || old {
                continue;
            }
            let limit = LiveLimit { slot: *slot, side };
            limits[place[&limit]].rows.push(crate::collect::Row { source: Source::default(), ..*row });
            population.counts.flagged += 1;
            population.counts.by_verdict[row.verdict as usize] += 1;
        }
        for limit in &mut limits {
            limit.rows.sort_by(|a, b| {
                let rest = |r: &crate::collect::Row| (r.verdict, r.time, r.record, r.defect, r.board);
                rest(a).cmp(&rest(b)).then(a.value.total_cmp(&b.value))
            });
            for &value in &limit.escapes {
                let (limit, source) = (limit.id.clone(), Source::default());
                population.escapes.push(EscapedDefect { limit, value, source });
            }
        }
        population.counts.inside = self.slots.iter().map(|slot| slot.passes.total()).sum();
        let Counts { inside, flagged, .. } = population.counts;
        population.counts.by_verdict[Verdict::Pass as usize] = inside;
        population.counts.records = inside + flagged;
        population.keys_with_several_versions = self.keys.iter().filter(|k| k.slots.len() > 1).count() as u64;
        population.limits = limits;
        population
    }

    fn is_inside(&self, number: u32, side: Side) -> bool {
        let live = &self.rows[number as usize];
        let limit = self.slots[live.slot as usize].side(side);
        limit.is_some_and(|l| l.is_inside(self.options.window, live, number))
    }

    /// A limit without its rows.
    fn limit(&self, limit: LiveLimit) -> Limit {
        let slot = &self.slots[limit.slot as usize];
        let defects_unflagged = slot.side(limit.side).map_or(0, |s| self.defects_unflagged(slot, s));
        let escapes = self.escapes(slot, limit.side);
        Limit::live(
            self.name(limit),
            slot,
            escapes,
            defects_unflagged,
            self.options.collect.borderline_guards,
        )
    }
}
