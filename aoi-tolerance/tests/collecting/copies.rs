//! Records that come twice.

use aoi_tolerance::collect::Collector;
use aoi_tolerance::record::{Record, Verdict};

use crate::{both, population, propose, record, sound};

fn named(name: &'static str, value: f64, verdict: Verdict) -> Record<'static> {
    Record { record_id: name, ..record(value, verdict) }
}

#[test]
fn an_equal_copy_is_kept_once_and_reported_without_conflict() {
    for verdict in [Verdict::FalseCall, Verdict::Defect, Verdict::Borderline] {
        let copies = [
            named("a", 39.0, verdict),
            named("b", 38.0, verdict),
            named("a", 39.0, verdict),
            named("a", 39.0, verdict),
        ];
        let p = population(&copies);
        let lines: Vec<u64> = p.limits[0].rows.iter().map(|r| r.source.line).collect();
        assert_eq!(lines, [1, 2], "the first copy stays");
        let dropped: Vec<_> = p.duplicates.iter().map(|d| (d.source.line, d.verdict, d.conflict)).collect();
        assert_eq!(dropped, [(3, verdict, false), (4, verdict, false)]);
        assert_eq!((p.counts.records, p.limits[0].records), (4, 4), "counts are of what was offered");
    }
}

#[test]
fn of_copies_that_disagree_the_severest_verdict_counts_in_either_order() {
    // Mildest first, as the record format lists what guards.
    let severity = [
        Verdict::Pending,
        Verdict::FalseCall,
        Verdict::Provisional,
        Verdict::Borderline,
        Verdict::Defect,
        Verdict::Escape,
    ];
    let mut pairs = 0;
    for (i, &mild) in severity.iter().enumerate() {
        for &severe in &severity[i + 1..] {
            for order in [[mild, severe], [severe, mild]] {
                let p = population(&order.map(|v| named("a", 39.0, v)));
                let kept: Vec<Verdict> = p.limits[0].rows.iter().map(|r| r.verdict).collect();
                assert_eq!(kept, [severe], "{order:?}");
                let dropped: Vec<_> = p.duplicates.iter().map(|d| (d.verdict, d.conflict)).collect();
                assert_eq!(dropped, [(mild, true)], "{order:?}");
                pairs += 1;
            }
        }
    }
    assert_eq!(pairs, 30);
}

#[test]
fn a_pass_gives_way_to_whatever_another_copy_says() {
    for verdict in [Verdict::Pending, Verdict::FalseCall, Verdict::Defect] {
        for order in [[Verdict::Pass, verdict], [verdict, Verdict::Pass]] {
            let p = population(&order.map(|v| named("a", 39.0, v)));
            let kept: Vec<Verdict> = p.limits[0].rows.iter().map(|r| r.verdict).collect();
            assert_eq!(kept, [verdict], "{order:?}");
        }
    }
}

#[test]
fn a_review_supersedes_the_pending_copy_and_unblocks_the_limit() {
    let mut records = sound();
    records.push(Record { record_id: "late", verdict: None, ..record(39.95, Verdict::Pending) });
    let before = propose(&population(&records).limits[0]);
    assert!(!before.moves(), "{:?}", before.reason);
    records.push(named("late", 39.95, Verdict::FalseCall));
    let p = population(&records);
    assert_eq!(p.limits[0].evidence().pending, 0);
    let after = propose(&p.limits[0]);
    assert!(after.moves() && after.false_calls_before == 21, "{after:?}");
}

/// Which of two values of a confirmed defect is right cannot be known, so both must stay flagged.
#[test]
fn copies_of_a_defect_with_two_values_both_guard() {
    let mut records = sound();
    records.extend([
        named("d", 39.5, Verdict::Defect),
        named("d", 38.0, Verdict::Defect),
        named("d", 39.85, Verdict::FalseCall),
    ]);
    let p = population(&records);
    let mut defects = p.limits[0].evidence().defects;
    defects.sort_by(f64::total_cmp);
    assert_eq!(defects, [10.0, 38.0, 39.5]);
    assert!(!p.limits[0].evidence().false_calls.contains(&39.85), "the milder copy does not count");
    assert!(p.duplicates.iter().all(|d| d.conflict) && p.duplicates.len() == 1);
    assert_eq!(propose(&p.limits[0]).defects_after, 3);
}

#[test]
fn records_without_a_name_are_never_copies() {
    let p = population(&[record(39.0, Verdict::FalseCall), record(39.0, Verdict::FalseCall)]);
    assert_eq!((p.limits[0].rows.len(), p.duplicates.len()), (2, 0));
}

#[test]
fn one_name_under_two_keys_names_two_records() {
    let other =
        Record { key: ["R0402", "A", "1", "solder", "width", "um"], ..named("a", 39.0, Verdict::FalseCall) };
    let p = population(&[named("a", 39.0, Verdict::FalseCall), other]);
    assert_eq!((p.limits.len(), p.duplicates.len()), (2, 0));
    assert!(p.limits.iter().all(|l| l.rows.len() == 1));
}

/// A defect that another version of the limits let pass is still one record, and the flagging copy makes it known.
#[test]
fn a_copy_that_calls_an_unflagged_value_a_defect_overrules_a_flagged_false_call() {
    let p = population(&[
        named("a", 39.0, Verdict::FalseCall),
        Record { tolerance: both(30.0, 50.0), ..named("a", 39.0, Verdict::Defect) },
    ]);
    assert!(p.limits.iter().all(|l| l.rows.is_empty()), "the false call is overruled");
    assert_eq!(p.escapes.len(), 1);
    assert_eq!(p.duplicates.iter().map(|d| (d.source.line, d.conflict)).collect::<Vec<_>>(), [(1, true)]);
}

/// A caller that names no sources still gets one answer for one input.
#[test]
fn without_sources_the_copies_are_reported_in_one_order() {
    let collect = || {
        let mut collector = Collector::default();
        for i in 0..16 {
            let name = format!("r{i}");
            let [mild, severe] = if i % 2 == 0 {
                [Verdict::Pending, Verdict::FalseCall]
            } else {
                [Verdict::FalseCall, Verdict::Defect]
            };
            for verdict in [mild, severe] {
                collector.push(&Record { record_id: &name, ..record(39.0, verdict) });
            }
        }
        collector.finish()
    };
    let first = collect();
    assert_eq!(first.duplicates.len(), 16);
    for _ in 0..10 {
        assert_eq!(collect(), first);
    }
}
