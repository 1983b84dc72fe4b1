//! Defects that were not flagged.

use aoi_tolerance::collect::CollectOptions;
use aoi_tolerance::limit::{Boundary, Side, is_flagged};
use aoi_tolerance::margin::Margin;
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::Options;
use aoi_tolerance::proposal::{Decision, Reason};
use aoi_tolerance::record::{Record, Verdict};
use aoi_tolerance::resolution::ResolutionRule;

use crate::{both, limit, population, population_with, propose, record, sound};

const WIDTH: [&str; 6] = ["R0402", "A", "1", "solder", "width", "um"];

#[test]
fn a_defect_that_nothing_flagged_asks_for_a_tighter_limit_and_moves_none() {
    for verdict in [Verdict::Defect, Verdict::Escape] {
        let mut records = sound();
        records.extend([record(41.5, verdict), record(40.5, verdict)]);
        let p = population(&records);
        let found: Vec<_> = p.escapes.iter().map(|e| (e.value, e.source.line)).collect();
        assert_eq!(found, [(40.5, 23), (41.5, 22)]);
        assert!(p.escapes.iter().all(|e| e.limit == p.limits[0].id));
        let proposal = propose(&p.limits[0]);
        assert_eq!((proposal.decision, proposal.new_limit), (Decision::Tighten, 40.0), "T0 stays");
        assert_eq!(proposal.reason, Reason::Escaped { defects: 2 });
        assert_eq!(proposal.suggested_limit, Some(41.5_f64.next_up()));
        assert_eq!((proposal.defects_before, proposal.defects_unflagged), (1, 2));
    }
}

#[test]
fn the_suggested_limit_would_have_flagged_every_escape() {
    let two = |value, verdict| Record { tolerance: both(40.0, 60.0), ..record(value, verdict) };
    let mut tried = 0;
    for boundary in [Boundary::Passes, Boundary::Flagged] {
        let options = CollectOptions { boundary, ..CollectOptions::default() };
        let p = population_with(
            options,
            &[
                two(42.3, Verdict::Escape),
                two(40.1, Verdict::Defect),
                two(58.9, Verdict::Defect),
                two(59.5, Verdict::Escape),
            ],
        );
        for margin in [
            Margin::Absolute(0.0),
            Margin::Absolute(1e-18),
            Margin::Absolute(0.35),
            Margin::PercentOfLimit(1.0),
        ] {
            for step in [None, Some("0.01"), Some("0.5"), Some("5")] {
                let resolution =
                    step.map_or(ResolutionRule::Recorded, |s| ResolutionRule::Step(s.parse().unwrap()));
                for (side, values) in [(Side::Lower, [42.3, 40.1]), (Side::Upper, [58.9, 59.5])] {
                    let evidence = limit(&p, "height", side).evidence();
                    let proposal = optimise_limit(
                        &evidence,
                        &Options { margin, resolution, boundary, ..Options::default() },
                    )
                    .unwrap();
                    assert_eq!((proposal.decision, proposal.new_limit), (Decision::Tighten, evidence.limit));
                    let suggested = proposal.suggested_limit.unwrap();
                    for v in values {
                        assert!(
                            is_flagged(v, suggested, side, boundary),
                            "{v} at {suggested}, {margin:?}, {step:?}"
                        );
                    }
                    tried += 1;
                }
            }
        }
    }
    assert_eq!(tried, 64);
}

#[test]
fn a_defect_that_another_feature_flagged_is_no_escape() {
    let shown = |key, value, defect_id, board, refdes| Record {
        key,
        value,
        defect_id,
        board,
        refdes,
        ..record(value, Verdict::Defect)
    };
    for (defect_id, board, refdes, other_refdes, caught) in [
        ("fault 7", "", "", "", true),
        ("", "b1", "R12", "R12", true),
        ("", "b1", "R12", "R13", false),
        ("", "b1", "", "", false),
        ("", "", "", "", false),
    ] {
        let mut records = sound();
        records.push(shown(crate::KEY, 45.0, defect_id, board, refdes));
        records.push(shown(WIDTH, 39.0, defect_id, board, other_refdes));
        let p = population(&records);
        let height = limit(&p, "height", Side::Lower);
        assert_eq!(p.escapes.is_empty(), caught, "{defect_id:?} {board:?} {refdes:?} {other_refdes:?}");
        assert_eq!(height.escapes.is_empty(), caught);
        assert_eq!(height.defects_unflagged, 1, "counted where it was not flagged, either way");
        assert_eq!(propose(height).decision, if caught { Decision::Relaxed } else { Decision::Tighten });
    }
}

/// The defect's own name goes first: one board and one place may carry two faults.
#[test]
fn a_defect_id_outranks_board_and_reference_designator() {
    let at = |key, value, defect_id| Record {
        key,
        value,
        defect_id,
        board: "b1",
        refdes: "R12",
        ..record(value, Verdict::Defect)
    };
    let p = population(&[at(crate::KEY, 45.0, "one"), at(WIDTH, 39.0, "two")]);
    assert_eq!(p.escapes.iter().map(|e| e.value).collect::<Vec<_>>(), [45.0]);
}

#[test]
fn only_a_confirmed_flag_of_the_fault_counts_as_caught() {
    for verdict in [Verdict::FalseCall, Verdict::Borderline, Verdict::Provisional, Verdict::Pending] {
        let named = |key, value, verdict| Record { key, defect_id: "d", ..record(value, verdict) };
        let p = population(&[named(crate::KEY, 45.0, Verdict::Defect), named(WIDTH, 39.0, verdict)]);
        assert_eq!(p.escapes.len(), 1, "{verdict}");
    }
}

#[test]
fn unflagged_defects_are_counted_on_each_side_that_did_not_flag_them() {
    let two = |value| Record { tolerance: both(40.0, 60.0), ..record(value, Verdict::Defect) };
    let p = population(&[two(39.0), two(38.0), two(61.0), two(50.5)]);
    assert_eq!(limit(&p, "height", Side::Lower).defects_unflagged, 2, "61 and 50.5");
    assert_eq!(limit(&p, "height", Side::Upper).defects_unflagged, 3, "39, 38 and 50.5");
}

#[test]
fn an_escape_goes_to_the_nearer_side_and_leaves_the_other_free() {
    let two = |value, verdict| Record { tolerance: both(40.0, 60.0), ..record(value, verdict) };
    let mut records: Vec<_> = (1..=20).map(|i| two(60.0 + f64::from(i) / 10.0, Verdict::FalseCall)).collect();
    records.extend([two(80.0, Verdict::Defect), two(43.0, Verdict::Escape)]);
    let p = population(&records);
    assert_eq!(propose(limit(&p, "height", Side::Lower)).decision, Decision::Tighten);
    assert_eq!(propose(limit(&p, "height", Side::Upper)).decision, Decision::Relaxed);
}

#[test]
fn a_later_found_fault_that_was_flagged_guards_like_a_defect() {
    let mut records = sound();
    records.push(record(39.95, Verdict::Escape));
    let proposal = propose(&population(&records).limits[0]);
    assert_eq!(
        (proposal.decision, proposal.defects_before, proposal.defects_after),
        (Decision::Guarded, 2, 2)
    );
    assert_eq!(proposal.new_limit, 39.95_f64.next_up());
}

#[test]
fn records_to_be_cleared_come_before_an_escape_and_the_suggestion_stays() {
    let mut records = sound();
    records.extend([record(41.0, Verdict::Escape), record(39.0, Verdict::Pending)]);
    let proposal = propose(&population(&records).limits[0]);
    assert_eq!(proposal.decision, Decision::Blocked);
    assert_eq!(proposal.suggested_limit, Some(41.0_f64.next_up()));
}
