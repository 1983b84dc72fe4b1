//! The tables of limits: those that move one by one, those that stay by reason.

use std::collections::BTreeMap;

use super::ReportContext;
use super::format::{AtMost, Change, Count, Number};
use super::name::{LimitName, visible};
use crate::certificate::EscapeBound;
use crate::population::Population;
use crate::proposal::{Decision, Proposal, Reason};
use crate::resolution::decimals;

/// Rows shown at least, however few charts are asked for.
const ROWS: usize = 20;

/// The published first table, and what became of the limits that it leaves out.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) moved: Vec<Moved>,
    pub(super) moved_limits: Count,
    pub(super) hidden: Count,
    pub(super) hidden_saved: Count,
    pub(super) finer: bool,
    pub(super) stays: Vec<Stay>,
}

/// One limit that moves.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) name: LimitName,
    pub(super) old: Number,
    pub(super) new: Number,
    pub(super) false_calls_before: Count,
    pub(super) false_calls_after: Count,
    pub(super) change: Change,
    pub(super) defects_before: Count,
    pub(super) defects_after: Count,
    pub(super) decision: Decision,
    pub(super) reason: String,
    pub(super) bound: String,
    pub(super) n: Count,
    pub(super) pooled: Option<String>,
    /// The new limit has more decimals than the old one, and no step was set.
    pub(super) finer: bool,
}

/// Limits that stay for one reason.
#[derive(Debug)]
pub(super) struct Stay {
    pub(super) decision: Decision,
    pub(super) reason: String,
    pub(super) limits: Count,
    pub(super) false_calls: Count,
    pub(super) defects: Count,
}

/// The limits that move, by saving; ties in the order of the limits.
pub(super) fn by_saving(proposals: &[Proposal]) -> Vec<usize> {
    let mut moved: Vec<usize> = (0..proposals.len()).filter(|&i| proposals[i].moves()).collect();
    moved.sort_by_key(|&i| std::cmp::Reverse(saving(&proposals[i])));
    moved
}

fn saving(p: &Proposal) -> u64 {
    p.false_calls_before.saturating_sub(p.false_calls_after)
}

/// Whether the machine may be unable to store the new limit as it is.
pub(super) fn is_finer(p: &Proposal) -> bool {
    p.moves() && p.resolution.is_none() && decimals(p.new_limit) > decimals(p.old_limit)
}

/// A bound as the tables print it.
pub(super) fn bound(bound: EscapeBound) -> String {
    match bound {
        EscapeBound::NoChange => "0 relative to T0".to_owned(),
        EscapeBound::AtMost(share) => AtMost(share).to_string(),
        EscapeBound::NoEvidence => "no evidence".to_owned(),
    }
}

impl Tables {
    /// Lays out `proposals`, the largest saving first.
    pub(super) fn new(population: &Population, proposals: &[Proposal], context: &ReportContext) -> Self {
        let order = by_saving(proposals);
        let (shown, hidden) = order.split_at(order.len().min(context.detail_limits.max(ROWS)));
        let moved: Vec<Moved> =
            shown.iter().map(|&i| Moved::of(LimitName::of(population, i), &proposals[i])).collect();
        Self {
            finer: moved.iter().any(|m| m.finer),
            moved,
            moved_limits: Count(order.len() as u64),
            hidden: Count(hidden.len() as u64),
            hidden_saved: Count(hidden.iter().map(|&i| saving(&proposals[i])).sum()),
            stays: stays(proposals),
        }
    }
}

impl Moved {
    fn of(name: LimitName, p: &Proposal) -> Self {
        Self {
            name,
            old: Number(p.old_limit),
            new: Number(p.new_limit),
            false_calls_before: Count(p.false_calls_before),
            false_calls_after: Count(p.false_calls_after),
            change: Change { before: p.false_calls_before, after: p.false_calls_after },
            defects_before: Count(p.defects_before),
            defects_after: Count(p.defects_after),
            decision: p.decision,
            reason: p.reason.to_string(),
            bound: bound(p.certificate.bound),
            n: Count(p.certificate.defects),
            pooled: p.certificate.pooled.as_deref().map(visible),
            finer: is_finer(p),
        }
    }
}

/// Sums the limits that stay by decision and kind of reason; most limits first.
fn stays(proposals: &[Proposal]) -> Vec<Stay> {
    let mut groups: BTreeMap<(Decision, String), [u64; 3]> = BTreeMap::new();
    for p in proposals.iter().filter(|p| !p.moves()) {
        let sums = groups.entry((p.decision, kind(&p.reason))).or_default();
        for (sum, count) in sums.iter_mut().zip([1, p.false_calls_before, p.defects_before]) {
            *sum += count;
        }
    }
    let mut stays: Vec<Stay> = groups
        .into_iter()
        .map(|((decision, reason), [limits, false_calls, defects])| Stay {
            decision,
            reason,
            limits: Count(limits),
            false_calls: Count(false_calls),
            defects: Count(defects),
        })
        .collect();
    stays.sort_by_key(|s| (std::cmp::Reverse(s.decision), std::cmp::Reverse(s.limits.0)));
    stays
}

/// A reason without the numbers of one limit.
fn kind(reason: &Reason) -> String {
    match reason {
        Reason::FewFalseCalls { need, .. } => format!("fewer than {need} false calls"),
        Reason::FewDefects { need: 1, .. } => "no confirmed defect".to_owned(),
        Reason::FewDefects { need, .. } => format!("fewer than {need} confirmed defects"),
        Reason::MissesSpendAll { misses, .. } => {
            format!("not more confirmed defects than the {misses} that may be missed")
        }
        Reason::Uncertified { .. } => "too few confirmed defects for the certificate asked for".to_owned(),
        Reason::Pending { .. } => "flagged values without a verdict".to_owned(),
        Reason::UnreadableDefects { .. } => "defect rows that cannot be read".to_owned(),
        Reason::Escaped { .. } => "defects that escaped all limits".to_owned(),
        other => other.to_string(),
    }
}
