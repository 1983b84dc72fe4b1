//! Records that cannot be placed on the number line: they fail closed on every limit they may belong to, and on no other.

use aoi_tolerance::collect::Collector;
use aoi_tolerance::limit::Tolerance;
use aoi_tolerance::proposal::{Decision, Reason};
use aoi_tolerance::record::{Record, Verdict};

use crate::{KEY, both, lower, propose, record, sound};

/// The fields of a key as far as they are known.
type Fields = [Option<&'static str>; 6];

/// Four limits that could move: two features of two parts.
fn plant() -> Collector {
    let mut collector = Collector::default();
    for part in ["R0402", "C0805"] {
        for feature in ["height", "width"] {
            for r in sound() {
                collector.push(&Record { key: [part, "A", "1", "solder", feature, "um"], ..r });
            }
        }
    }
    collector
}

/// Part and feature of the limits that are decided so.
fn decided(collector: Collector, decision: Decision) -> Vec<(String, String)> {
    let limits = collector.finish().limits;
    assert_eq!(limits.len(), 4);
    let chosen = limits.iter().filter(|l| propose(l).decision == decision);
    chosen.map(|l| (l.id.key.part.clone(), l.id.key.feature.clone())).collect()
}

fn names(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(p, f)| ((*p).to_owned(), (*f).to_owned())).collect()
}

#[test]
fn a_defect_without_a_value_blocks_its_own_limit_only() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for verdict in [Verdict::Defect, Verdict::Escape, Verdict::Borderline, Verdict::Provisional] {
            let mut collector = plant();
            collector.push(&record(value, verdict));
            assert_eq!(
                decided(collector, Decision::Blocked),
                names(&[("R0402", "height")]),
                "{value} {verdict}"
            );
        }
    }
    assert_eq!(decided(plant(), Decision::Relaxed).len(), 4, "and none of itself");
}

#[test]
fn a_defect_with_impossible_limits_or_none_blocks_too() {
    for tolerance in [Tolerance::default(), both(41.0, 40.0), lower(f64::NAN)] {
        let mut collector = plant();
        collector.push(&Record { tolerance, ..record(39.0, Verdict::Defect) });
        let limits = collector.finish().limits;
        let blocked =
            limits.iter().find(|l| l.id.key.feature == "height" && l.id.key.part == "R0402").unwrap();
        assert_eq!(propose(blocked).reason, Reason::UnreadableDefects { rows: 1 });
    }
}

#[test]
fn unknown_fields_of_a_key_match_every_limit() {
    let cases: [(Fields, &[(&str, &str)]); 5] = [
        ([Some("C0805"), None, None, None, None, None], &[("C0805", "height"), ("C0805", "width")]),
        ([None, Some("A"), None, None, Some("width"), None], &[("C0805", "width"), ("R0402", "width")]),
        ([None; 6], &[("C0805", "height"), ("C0805", "width"), ("R0402", "height"), ("R0402", "width")]),
        ([Some("C0805"), None, None, None, Some("height"), Some("um")], &[("C0805", "height")]),
        ([Some("C0805"), Some("B"), None, None, None, None], &[]),
    ];
    for (key, expected) in cases {
        let mut collector = plant();
        collector.push_unreadable(key, Some(Verdict::Defect));
        assert_eq!(decided(collector, Decision::Blocked), names(expected), "{key:?}");
    }
}

#[test]
fn every_unreadable_row_is_counted_where_it_blocks_and_apart_where_it_matches_nothing() {
    let mut collector = plant();
    for _ in 0..3 {
        collector.push_unreadable(KEY.map(Some), Some(Verdict::Defect));
    }
    collector.push_unreadable([Some("unheard of"), None, None, None, None, None], Some(Verdict::Defect));
    collector.push_unreadable([Some("unheard of"), None, None, None, None, None], None);
    let p = collector.finish();
    assert_eq!((p.counts.unreadable, p.counts.unreadable_guards, p.unreadable_unattributed), (5, 4, 2));
    let rows: Vec<u64> = p.limits.iter().map(|l| l.unreadable_defects).collect();
    assert_eq!(rows, [0, 0, 3, 0]);
}

#[test]
fn an_unreviewed_record_without_a_value_is_pending_and_a_reviewed_good_one_is_dropped() {
    for (verdict, pending) in
        [(None, 1), (Some(Verdict::Pending), 1), (Some(Verdict::FalseCall), 0), (Some(Verdict::Pass), 0)]
    {
        let mut collector = plant();
        collector.push(&Record { value: f64::NAN, verdict, ..record(0.0, Verdict::Pass) });
        let p = collector.finish();
        let limit =
            p.limits.iter().find(|l| l.id.key.feature == "height" && l.id.key.part == "R0402").unwrap();
        let (evidence, proposal) = (limit.evidence(), propose(limit));
        assert_eq!((evidence.pending, evidence.unreadable_defects), (pending, 0), "{verdict:?}");
        assert_eq!(
            proposal.decision,
            if pending > 0 { Decision::Blocked } else { Decision::Relaxed },
            "{verdict:?}"
        );
        assert_eq!(p.counts.unreadable, 1, "counted either way");
    }
}

#[test]
fn a_defect_that_cannot_be_read_blocks_both_sides_and_every_version() {
    let mut collector = Collector::default();
    for tolerance in [both(40.0, 60.0), both(41.0, 61.0)] {
        collector.push(&Record { tolerance, ..record(39.0, Verdict::FalseCall) });
    }
    collector.push(&record(f64::NAN, Verdict::Defect));
    let limits = collector.finish().limits;
    assert_eq!(limits.len(), 4);
    assert!(limits.iter().all(|l| propose(l).decision == Decision::Blocked));
}
