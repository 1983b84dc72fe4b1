//! What counts, what is pending, what holds.

use aoi_tolerance::collect::{CollectOptions, Collector, Intake};
use aoi_tolerance::limit::Tolerance;
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::Options;
use aoi_tolerance::proposal::{Decision, Reason};
use aoi_tolerance::record::{Record, Verdict};

use crate::{both, lower, population, population_with, propose, record, sound};

#[test]
fn a_flagged_value_without_a_verdict_blocks_its_limit() {
    let mut records = sound();
    assert_eq!(propose(&population(&records).limits[0]).decision, Decision::Relaxed);
    records.push(Record { verdict: None, ..record(39.0, Verdict::Pass) });
    let blocked = propose(&population(&records).limits[0]);
    assert_eq!((blocked.decision, blocked.new_limit), (Decision::Blocked, 40.0));
    assert_eq!(blocked.reason, Reason::Pending { pending: 1, flagged: 22 });
}

#[test]
fn an_unflagged_value_without_a_verdict_passes() {
    let mut records = sound();
    records.push(Record { verdict: None, ..record(41.0, Verdict::Pass) });
    let p = population(&records);
    assert_eq!(p.counts.by_verdict[Verdict::Pass as usize], 1);
    assert!(propose(&p.limits[0]).moves());
}

#[test]
fn pending_verdicts_block_above_the_set_share_and_not_at_it() {
    let mut records = sound(); // 21 flagged
    records
        .extend((0..3).map(|_| Record { verdict: Some(Verdict::Pending), ..record(39.0, Verdict::Pending) }));
    let evidence = population(&records).limits[0].evidence();
    assert_eq!((evidence.pending, evidence.flagged()), (3, 24));
    let decide = |max_pending_share| {
        optimise_limit(&evidence, &Options { max_pending_share, ..Options::default() }).unwrap().decision
    };
    assert_eq!(decide(0.125), Decision::Relaxed, "3 of 24 is the share");
    assert_eq!(decide(0.124), Decision::Blocked);
    assert_eq!(decide(0.0), Decision::Blocked);
    assert_eq!(decide(1.0), Decision::Relaxed);
}

#[test]
fn pending_and_passing_values_feed_neither_the_percentile_nor_the_guard() {
    let mut records = sound();
    records.push(record(39.99, Verdict::Pending));
    records.push(record(39.98, Verdict::Pass));
    let e = population(&records).limits[0].evidence();
    assert_eq!((e.false_calls.len(), e.defects.len(), e.provisional.len(), e.pending), (20, 1, 0, 1));
}

#[test]
fn borderline_values_hold_the_limit_only_where_the_switch_says_so_and_provisional_ones_always() {
    for (verdict, guards, expected) in [
        (Verdict::Borderline, true, true),
        (Verdict::Borderline, false, false),
        (Verdict::Provisional, true, true),
        (Verdict::Provisional, false, true),
    ] {
        let mut records = sound();
        records.push(record(39.9, verdict));
        let options = CollectOptions { borderline_guards: guards, ..CollectOptions::default() };
        let p = population_with(options, &records);
        let proposal = propose(&p.limits[0]);
        let held = proposal.reason == Reason::ProvisionalHolds;
        assert_eq!(held, expected, "{verdict} with the switch {guards}: {:?}", proposal.reason);
        assert_eq!(39.9 < proposal.new_limit, expected);
        assert_eq!((proposal.defects_before, proposal.certificate.defects), (1, 1), "it proves nothing");
        assert_eq!(p.counts.by_verdict[verdict as usize], 1, "counted either way");
    }
}

#[test]
fn what_cannot_be_used_says_why() {
    let mut collector = Collector::default();
    let base = record(39.0, Verdict::FalseCall);
    let mut offer = |r: Record<'_>| collector.push(&r);
    assert_eq!(offer(base), Intake::Counted);
    assert_eq!(offer(Record { tolerance: Tolerance::default(), ..base }), Intake::NoLimit);
    assert_eq!(offer(Record { tolerance: both(41.0, 40.0), ..base }), Intake::BadLimits);
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(offer(Record { tolerance: lower(wrong), ..base }), Intake::BadLimits);
        assert_eq!(offer(Record { tolerance: both(1.0, wrong), ..base }), Intake::BadLimits);
        assert_eq!(offer(Record { value: wrong, ..base }), Intake::NotFinite);
    }
    assert_eq!(
        offer(Record { tolerance: both(39.0, 39.0), ..base }),
        Intake::Counted,
        "equal limits are a tolerance"
    );
    let counts = collector.finish().counts;
    assert_eq!((counts.records, counts.unreadable, counts.unreadable_guards), (2, 11, 0));
}

#[test]
fn disagreement_of_machine_and_review_with_the_limits_is_counted_and_kept() {
    let said = |value, verdict, machine| Record { machine_flagged: Some(machine), ..record(value, verdict) };
    let p = population(&[
        said(39.0, Verdict::FalseCall, false),
        said(41.0, Verdict::Pass, true),
        said(39.0, Verdict::FalseCall, true),
        said(41.0, Verdict::FalseCall, false),
        said(39.0, Verdict::Pass, true),
    ]);
    assert_eq!((p.counts.machine_disagrees, p.counts.verdict_disagrees), (2, 2));
    assert_eq!((p.counts.records, p.counts.flagged), (5, 3));
    assert_eq!(p.limits[0].evidence().false_calls, [39.0, 39.0]);
}

#[test]
fn the_largest_sigma_counts_and_two_resolutions_keep_the_limit() {
    let with = |sigma, step: Option<&str>| Record {
        sigma,
        resolution: step.map(|s| s.parse().unwrap()),
        ..record(39.0, Verdict::FalseCall)
    };
    let mut records = sound();
    records.extend([with(Some(0.1), Some("0.1")), with(Some(0.3), None), with(Some(0.2), Some("0.10"))]);
    let p = population(&records);
    assert_eq!(p.limits[0].evidence().sigma, Some(0.3));
    let agreed = propose(&p.limits[0]);
    assert_eq!((agreed.moves(), agreed.resolution), (true, Some(0.1)));
    records.push(with(None, Some("0.01")));
    let torn = propose(&population(&records).limits[0]);
    assert_eq!((torn.new_limit, torn.reason), (40.0, Reason::ResolutionConflict));
}
