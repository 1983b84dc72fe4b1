//! The whole run on half a page: what changes, what was read, what to be wary of.

use super::ReportContext;
use super::bound::Bounds;
use super::format::{Change, Count, Number, counted};
use super::name::visible;
use super::table::is_finer;
use crate::certificate::EscapeBound;
use crate::evidence::Evidence;
use crate::options::Policy;
use crate::population::Population;
use crate::proposal::{Decision, Proposal};
use crate::quality::Quality;
use crate::record::Verdict;
use crate::simulate::Totals;

/// The second section.
#[derive(Debug)]
pub(super) struct Summary {
    pub(super) false_calls: Change,
    pub(super) before: Count,
    pub(super) after: Count,
    pub(super) defects_before: Count,
    pub(super) defects_after: Count,
    pub(super) moved: Count,
    pub(super) limits: Count,
    pub(super) decisions: Vec<Share>,
    /// What was read, as words and counts.
    pub(super) records: Vec<(&'static str, Count)>,
    pub(super) verdicts: Vec<(&'static str, Count)>,
    pub(super) rejected: Vec<(String, Count)>,
    pub(super) rejected_rows: Count,
    pub(super) warnings: Vec<String>,
    /// What is odd about the verdicts.
    pub(super) labels: Vec<String>,
}

/// What became of some of the limits.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) decision: Decision,
    pub(super) meaning: &'static str,
    pub(super) limits: Count,
    pub(super) before: Count,
    pub(super) after: Count,
}

impl Summary {
    /// Sums up `population` and `proposals`.
    pub(super) fn new(
        population: &Population,
        evidence: &[Evidence],
        proposals: &[Proposal],
        totals: &Totals,
        bounds: &Bounds,
        labels: &Quality,
        context: &ReportContext,
    ) -> Self {
        let counts = &population.counts;
        let conflicts = population.duplicates.iter().filter(|d| d.conflict).count() as u64;
        let sum = |of: fn(&Evidence) -> u64| evidence.iter().map(of).sum::<u64>();
        let records = vec![
            ("Records used", counts.records),
            ("of these, inside their limits", counts.inside),
            ("of these, flagged", counts.flagged),
            ("Pending: flagged, no usable verdict", sum(|e| e.pending)),
            ("Defects flagged by one limit and not by another", flagged_elsewhere(population, evidence)),
            ("Duplicates not counted again", population.duplicates.len() as u64),
            ("of these, with another verdict or value", conflicts),
            ("Records whose value or limits cannot be read", counts.unreadable),
            ("of these, defects: they block their limits", counts.unreadable_guards),
        ];
        let verdicts = Verdict::ALL.into_iter().zip(counts.by_verdict);
        Self {
            false_calls: Change { before: totals.false_calls_before, after: totals.false_calls_after },
            before: Count(totals.false_calls_before),
            after: Count(totals.false_calls_after),
            defects_before: Count(totals.defects_before),
            defects_after: Count(totals.defects_after),
            moved: Count(totals.moved),
            limits: Count(proposals.len() as u64),
            decisions: decisions(proposals),
            records: records.into_iter().map(|(what, count)| (what, Count(count))).collect(),
            verdicts: verdicts.map(|(verdict, count)| (verdict.word(), Count(count))).collect(),
            rejected: context.rejected.iter().map(|(reason, n)| (visible(reason), Count(*n))).collect(),
            rejected_rows: Count(context.rejected.iter().map(|(_, n)| n).sum()),
            warnings: warnings(population, proposals, bounds, conflicts, context),
            labels: labels.findings(population).iter().map(|finding| visible(finding)).collect(),
        }
    }
}

/// Defects that a limit did not flag although it measured them, less those that nothing flagged.
fn flagged_elsewhere(population: &Population, evidence: &[Evidence]) -> u64 {
    let unflagged: u64 = evidence.iter().map(|e| e.defects_unflagged).sum();
    unflagged.saturating_sub(population.escapes.len() as u64)
}

fn decisions(proposals: &[Proposal]) -> Vec<Share> {
    let all = [
        (Decision::Relaxed, "moves; the percentile stands"),
        (Decision::Guarded, "moves less far; a known defect holds it"),
        (Decision::Kept, "stays, by rule or for lack of evidence"),
        (Decision::Blocked, "stays until records are cleared"),
        (Decision::Tighten, "stays; an escape asks for a tighter limit"),
    ];
    let share = |(decision, meaning)| {
        let of_it = || proposals.iter().filter(move |p| p.decision == decision);
        let before = of_it().map(|p| p.false_calls_before).sum();
        let after = of_it().map(|p| p.false_calls_after).sum();
        Share {
            decision,
            meaning,
            limits: Count(of_it().count() as u64),
            before: Count(before),
            after: Count(after),
        }
    };
    all.into_iter().map(share).collect()
}

/// The caller's warnings, and what the numbers themselves warn of.
fn warnings(
    population: &Population,
    proposals: &[Proposal],
    bounds: &Bounds,
    conflicts: u64,
    context: &ReportContext,
) -> Vec<String> {
    let mut warnings: Vec<String> = context.warnings.iter().map(|w| visible(w)).collect();
    let finer: Vec<&Proposal> = proposals.iter().filter(|p| is_finer(p)).collect();
    if let Some(first) = finer.first() {
        warnings.push(format!(
            "{} more decimals than the old one (such as {} after {}): the machine may not store it, and rounding the wrong way \
             can let a known defect pass; set a resolution.",
            counted(finer.len() as u64, "new limit has", "new limits have"),
            Number(first.new_limit),
            Number(first.old_limit),
        ));
    }
    // With defects and yet without evidence: limits that were chosen together, for which no bound is known.
    let unbounded = |p: &&Proposal| p.moves() && p.certificate.bound == EscapeBound::NoEvidence;
    let together = proposals.iter().filter(unbounded).filter(|p| p.defects_before > 0).count() as u64;
    if together > 0 {
        warnings.push(format!(
            "The limits were chosen together: every known defect keeps a flag, on one limit at least. No bound on what may escape is \
             claimed for the {} on which defects are known.",
            counted(together, "moved limit", "moved limits"),
        ));
    }
    let alone = bounds.no_evidence.0.saturating_sub(together);
    if alone > 0 {
        let limits = counted(alone, "limit moves", "limits move");
        warnings
            .push(format!("{limits} without one confirmed defect: nothing bounds what they may let escape."));
    }
    if context.options.misses > 0 {
        warnings.push(format!(
            "Up to {} per limit may be given up, as asked for: known defects may pass the new limits.",
            counted(context.options.misses, "known defect", "known defects"),
        ));
    }
    if context.options.policy == Policy::Paper {
        warnings.push(
            "Policy `paper`: a limit is held only where the percentile would lose a known defect, and limits without any known \
             defect move too."
                .to_owned(),
        );
    }
    let counts = &population.counts;
    let counted_warnings = [
        (counts.machine_disagrees, "record", "records", "the machine's own decision and the limits disagree"),
        (
            counts.verdict_disagrees,
            "record",
            "records",
            "the verdict does not fit the limits: a false call inside them, or a pass outside",
        ),
        (conflicts, "duplicate", "duplicates", "copies of one record disagree; the severest verdict counts"),
        (
            population.keys_with_several_versions,
            "tolerance",
            "tolerances",
            "limits changed within the records; each version is computed apart",
        ),
    ];
    for (count, one, many, what) in counted_warnings {
        if count > 0 {
            warnings.push(format!("{}: {what}.", counted(count, one, many)));
        }
    }
    warnings
}
