//! What a command prints about its result: a few lines for people, or one JSON object for programs.

use aoi_tolerance::io::{Records, RejectReason, digest_of};
use aoi_tolerance::joint::Joint;
use aoi_tolerance::proposal::{Decision, Proposal};
use aoi_tolerance::record::Verdict;
use aoi_tolerance::simulate::Totals;
use serde_json::{Map, Value, json};

/// `12345` as `12,345`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole` in percent with two decimals.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

const DECISIONS: [Decision; 5] =
    [Decision::Relaxed, Decision::Guarded, Decision::Kept, Decision::Blocked, Decision::Tighten];

/// The summary of an optimisation, for programs.
pub(crate) fn optimised(records: &Records, proposals: &[Proposal], joint: Option<&Joint>) -> Value {
    let totals = Totals::of(proposals);
    json!({
        "rows": records.rows(),
        "limits": proposals.len(),
        "decisions": decisions(proposals),
        "false_calls_before": totals.false_calls_before,
        "false_calls_after": totals.false_calls_after,
        "defects_before": totals.defects_before,
        "defects_after": totals.defects_after,
        "escapes": records.population.escapes.len(),
        "rejected": rejected(records),
        "input_sha256": digest_of(&records.inputs),
        "joint": joint.map(|j| json!({
            "instances": j.instances,
            "released": j.released,
            "released_one_by_one": j.released_one_by_one,
            "at_most": j.at_most,
        })),
    })
}

fn count(proposals: &[Proposal], decision: Decision) -> u64 {
    proposals.iter().filter(|p| p.decision == decision).count() as u64
}

/// The summary of limits from aggregates, for programs.
pub(crate) fn imported(proposals: &[Proposal], escapes: u64, unknown: usize, digest: &str) -> Value {
    let totals = Totals::of(proposals);
    json!({
        "limits": proposals.len(),
        "decisions": decisions(proposals),
        "false_calls_before": totals.false_calls_before,
        "false_calls_after": totals.false_calls_after,
        "defects_before": totals.defects_before,
        "defects_after": totals.defects_after,
        "escapes": escapes,
        "not_in_aggregates": unknown,
        "input_sha256": digest,
    })
}

fn decisions(proposals: &[Proposal]) -> Map<String, Value> {
    DECISIONS.iter().map(|d| (d.to_string(), json!(count(proposals, *d)))).collect()
}

/// The summary of an optimisation, for people.
pub(crate) fn print_optimised(records: &Records, proposals: &[Proposal]) {
    print_totals(proposals, records.population.escapes.len() as u64);
    print_rejected(records);
}

/// What becomes of the limits, for people.
pub(crate) fn print_totals(proposals: &[Proposal], escapes: u64) {
    let totals = Totals::of(proposals);
    let counts: Vec<String> =
        DECISIONS.iter().map(|d| format!("{} {d}", grouped(count(proposals, *d)))).collect();
    println!("limits       {} ({})", grouped(proposals.len() as u64), counts.join(", "));
    println!(
        "false calls  {} -> {} (-{})",
        grouped(totals.false_calls_before),
        grouped(totals.false_calls_after),
        percent(totals.reduction())
    );
    println!(
        "defects      {} of {} known defects stay flagged",
        grouped(totals.defects_after),
        grouped(totals.defects_before)
    );
    println!("escapes      {} defect measurements that no limit in force flags", grouped(escapes));
}

/// What choosing the limits together brought.
pub(crate) fn print_joint(joint: &Joint) {
    let Joint { instances, released, released_one_by_one, at_most, .. } = joint;
    let bound = if joint.is_optimal() {
        "no other choice releases more".to_owned()
    } else {
        format!("no choice releases more than {}", grouped(*at_most))
    };
    println!(
        "joint        {} of {} false-called parts released, {} limit by limit; {bound}",
        grouped(*released),
        grouped(*instances),
        grouped(*released_one_by_one)
    );
}

/// Rejected rows by reason; nothing where there are none.
pub(crate) fn print_rejected(records: &Records) {
    for (reason, n) in &records.rejected {
        println!("rows         {}: {reason}", grouped(*n));
    }
}

/// Rejected rows by reason, for programs.
pub(crate) fn rejected(records: &Records) -> Value {
    records.rejected.iter().map(|(reason, n)| (reason.to_string(), json!(n))).collect::<Map<_, _>>().into()
}

/// Oddities of the records as a whole that a reader of the report should know.
pub(crate) fn warnings(records: &Records) -> Vec<String> {
    let population = &records.population;
    let mut warnings = Vec::new();
    let mut warn = |n: u64, text: &str| {
        if n > 0 {
            warnings.push(format!("{} {text}", grouped(n)));
        }
    };
    warn(
        population.keys_with_several_versions,
        "keys changed their limits; each set of limits is treated by itself",
    );
    warn(population.counts.machine_disagrees, "records where the machine's decision differs from the limits");
    warn(population.counts.verdict_disagrees, "records whose verdict does not fit the limits");
    warn(population.unreadable_unattributed, "unreadable records match no limit");
    let dropped = |(reason, n): (&RejectReason, &u64)| if reason.is_kept() { 0 } else { *n };
    warn(records.rejected.iter().map(dropped).sum(), "rows were not used; see the rejects file");
    warnings
}

/// Verdicts and the words they were read from, most frequent first.
pub(crate) fn verdict_rows(records: &Records) -> Vec<(String, String, u64)> {
    let mut rows: Vec<_> = records
        .verdict_words
        .iter()
        .map(|(word, (verdict, n))| {
            let word = if word.is_empty() { "(empty)" } else { word };
            let verdict = verdict.map_or("-", Verdict::word);
            (word.to_owned(), verdict.to_owned(), *n)
        })
        .collect();
    rows.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let texts = [0, 999, 1000, 54_019, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "54,019", "1,234,567"]);
    }
}
