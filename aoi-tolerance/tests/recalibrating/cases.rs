//! Single promises of the recalibrator, each with a test of its name.

use std::num::NonZeroU64;

use aoi_tolerance::limit::{Boundary, Side, Tolerance};
use aoi_tolerance::options::Options;
use aoi_tolerance::proposal::{Decision, Reason};
use aoi_tolerance::recalibrate::{Arrival, Fate, LiveOptions, Notice, Recalibrator, Window};
use aoi_tolerance::record::{Key, Record, Verdict};

use crate::history::live_options;

const KEY: [&str; 6] = ["R0402", "M1", "a", "solder", "height", "um"];

fn at(sequence: u64) -> Arrival {
    Arrival { sequence, received: 0 }
}

fn record(id: &str, value: f64, limit: f64, verdict: Option<Verdict>) -> Record<'_> {
    let tolerance = Tolerance { lower: Some(limit), upper: None };
    Record { key: KEY, value, tolerance, verdict, record_id: id, ..Record::default() }
}

/// Thirty false calls 39.9, 39.8 ... under 40 and a defect at 30.
fn line() -> Recalibrator {
    let mut live = Recalibrator::new(LiveOptions::default());
    for i in 0..30_u32 {
        let id = format!("f{i}");
        let value = 39.9 - 0.1 * f64::from(i);
        live.push(&record(&id, value, 40.0, Some(Verdict::FalseCall)), at(i.into()));
    }
    live.push(&record("d", 30.0, 40.0, Some(Verdict::Defect)), at(30));
    live
}

fn only(live: &Recalibrator) -> (aoi_tolerance::recalibrate::LiveLimit, aoi_tolerance::proposal::Proposal) {
    live.propose(&Options::default()).unwrap().remove(0)
}

/// Law 7, and the answer to the ratchet: applying the proposal again and again on a stream that keeps coming moves the limit once.
#[test]
fn applying_the_proposal_repeatedly_does_not_ratchet() {
    let mut live = line();
    let (limit, first) = only(&live);
    for round in 0..10_u64 {
        let (_, now) = only(&live);
        live.apply(limit, now.new_limit);
        // The same thirty values again, as the machine reports them under its new limit: what it releases comes without a verdict.
        for i in 0..30_u32 {
            let id = format!("{round}-{i}");
            let value = 39.9 - 0.1 * f64::from(i);
            let flagged = value < now.new_limit;
            live.push(
                &record(&id, value, now.new_limit, flagged.then_some(Verdict::FalseCall)),
                at(100 + 100 * round + u64::from(i)),
            );
        }
    }
    let (_, last) = only(&live);
    assert_eq!(last.false_calls_before, 330);
    assert!((last.new_limit - first.new_limit).abs() <= 0.1, "{} then {}", first.new_limit, last.new_limit);
}

#[test]
fn a_defect_that_the_limit_in_force_let_pass_is_an_escape_and_tightens_the_proposal() {
    let mut live = line();
    let (limit, proposal) = only(&live);
    live.apply(limit, proposal.new_limit);
    let between = proposal.new_limit + 0.05;
    live.push(&record("x", between, proposal.new_limit, None), at(50));
    assert!(live.take_notices().is_empty());
    let released: Vec<_> = live.released().collect();
    assert_eq!(released.len(), 1);
    assert_eq!((released[0].limit, released[0].value, released[0].verdict), (limit, between, None));
    // Days later: it was a defect.
    live.push(&record("x", between, proposal.new_limit, Some(Verdict::Escape)), at(51));
    let notices = live.take_notices();
    let [Notice::Escape { value, in_force, baseline, .. }] = notices.as_slice() else {
        panic!("{notices:?}")
    };
    assert_eq!((*value, *in_force, *baseline), (between, proposal.new_limit, 40.0));
    assert!(notices[0].to_string().starts_with("ESCAPE"));
    assert!(only(&live).1.new_limit > between);
    assert_eq!(live.standing(limit).missed, 1);
    assert_eq!(live.released().next().unwrap().verdict, Some(Verdict::Escape));
}

/// What somebody said of a released value stands when the machine, which released it, reports its own pass again.
#[test]
fn a_pass_of_the_machine_undoes_no_review_of_a_released_value() {
    for said in [Verdict::Provisional, Verdict::Borderline, Verdict::Pending] {
        let mut live = line();
        let (limit, proposal) = only(&live);
        live.apply(limit, proposal.new_limit);
        let between = proposal.new_limit + 0.05;
        live.push(&record("x", between, proposal.new_limit, Some(said)), at(50));
        let reviewed = only(&live).1;
        let again = record("x", between, proposal.new_limit, Some(Verdict::Pass));
        assert_eq!(live.push(&again, at(51)).1, Fate::Known, "{said:?}");
        assert!(live.judge("x", None, Verdict::Pass));
        assert_eq!(only(&live).1, reviewed, "{said:?}");
        assert_eq!(live.released().next().unwrap().verdict, Some(said));
        // Nobody has said anything of this one: it is presumed a false call.
        live.push(&record("y", between, proposal.new_limit, Some(Verdict::Pass)), at(52));
        assert_eq!(only(&live).1.false_calls_before, reviewed.false_calls_before + 1);
    }
}

#[test]
fn an_escape_that_is_withdrawn_to_a_pass_is_presumed_a_false_call_again() {
    let mut live = line();
    let (limit, proposal) = only(&live);
    live.apply(limit, proposal.new_limit);
    let between = proposal.new_limit + 0.05;
    live.push(&record("x", between, proposal.new_limit, None), at(50));
    let presumed = only(&live).1;
    assert!(live.judge("x", None, Verdict::Escape));
    assert_eq!(only(&live).1.defects_before, presumed.defects_before + 1);
    assert!(live.judge("x", None, Verdict::Pass));
    let row = live.withheld().next().unwrap().row;
    assert!(live.withdraw(row));
    assert_eq!(only(&live).1, presumed);
    assert_eq!(live.released().next().unwrap().verdict, None);
}

#[test]
fn a_defect_beyond_the_old_limit_asks_for_a_tighter_one() {
    let mut live = line();
    live.push(&record("x", 41.0, 40.0, Some(Verdict::Escape)), at(60));
    assert!(matches!(live.take_notices()[..], [Notice::BeyondBaseline { value: 41.0, .. }]));
    let (_, proposal) = only(&live);
    assert_eq!(proposal.decision, Decision::Tighten);
    assert!(proposal.suggested_limit.unwrap() > 41.0);
}

#[test]
fn a_fault_is_never_talked_down_without_approval() {
    let mut live = line();
    let before = only(&live).1;
    let (_, fate) = live.push(&record("d", 30.0, 40.0, Some(Verdict::FalseCall)), at(70));
    assert_eq!(fate, Fate::Withheld);
    assert_eq!(only(&live).1, before);
    let waiting: Vec<_> = live.withheld().collect();
    assert_eq!((waiting.len(), waiting[0].value, waiting[0].verdict), (1, 30.0, Verdict::FalseCall));
    assert!(matches!(live.take_notices()[..], [Notice::Withheld { .. }]));
    // Saying defect again takes it off the table.
    live.push(&record("d", 30.0, 40.0, Some(Verdict::Defect)), at(71));
    assert_eq!(live.withheld().count(), 0);
    live.judge("d", None, Verdict::FalseCall);
    assert!(live.withdraw(waiting[0].row) && !live.withdraw(waiting[0].row));
    assert_eq!(only(&live).1.defects_before, 0);
}

#[test]
fn two_values_of_one_fault_both_guard() {
    let mut live = line();
    live.push(&record("d", 39.6, 40.0, Some(Verdict::Defect)), at(80));
    let (_, proposal) = only(&live);
    assert_eq!((proposal.defects_before, proposal.decision), (2, Decision::Guarded));
    assert!(proposal.new_limit > 39.6);
}

#[test]
fn an_unreadable_defect_blocks_until_acknowledged_also_limits_that_come_later() {
    let mut live = line();
    let key = [Some("R0402"), None, None, None, None, None];
    live.push_unreadable(key, Some(Verdict::Defect));
    assert_eq!(only(&live).1.reason, Reason::UnreadableDefects { rows: 1 });
    live.push(
        &Record { key: ["R0402", "M2", "", "solder", "height", "um"], ..record("n", 39.0, 40.0, None) },
        at(90),
    );
    let all = live.propose(&Options::default()).unwrap();
    assert!(all.len() == 2 && all.iter().all(|(_, p)| p.decision == Decision::Blocked));
    let groups: Vec<_> = live.unreadable().map(|(k, g, p)| (k.clone(), g, p)).collect();
    assert_eq!((groups.len(), groups[0].1, groups[0].2), (1, 1, 0));
    assert_eq!(live.acknowledge(&groups[0].0), 1);
    assert!(only(&live).1.moves());
    assert_eq!(live.acknowledge(&groups[0].0), 0);
}

#[test]
fn a_new_revision_and_changed_limits_are_told_and_unsettled() {
    let mut live = line();
    let new = Record { key: ["R0402", "M1", "b", "solder", "height", "um"], ..record("n", 39.0, 40.0, None) };
    let (limit, _) = live.push(&new, at(91));
    assert!(live.standing(limit.unwrap()).unsettled);
    let (changed, _) = live.push(&record("o", 39.0, 41.0, None), at(92));
    assert!(live.standing(changed.unwrap()).unsettled);
    let notices = live.take_notices();
    let kinds: Vec<bool> =
        notices.iter().map(|n| matches!(n, Notice::Unsettled { changed_limits: true, .. })).collect();
    assert_eq!(kinds, [false, true]);
    live.settle(limit.unwrap());
    assert!(!live.standing(limit.unwrap()).unsettled);
}

#[test]
fn a_pass_that_comes_twice_counts_once_and_becomes_a_defect_when_it_is_one() {
    let mut live = line();
    let pass = record("p", 45.0, 40.0, Some(Verdict::Pass));
    assert_eq!(live.push(&pass, at(100)).1, Fate::New);
    assert_eq!(live.push(&pass, at(101)).1, Fate::Known);
    let (limit, _) = only(&live);
    assert_eq!(live.standing(limit).passes, 1);
    let (_, fate) = live.push(&record("p", 45.0, 40.0, Some(Verdict::Escape)), at(102));
    assert_eq!(fate, Fate::Corrected);
    assert_eq!((live.standing(limit).passes, live.counts().records), (0, 32));
}

#[test]
fn features_of_one_row_share_its_id() {
    let mut live = Recalibrator::new(LiveOptions::default());
    for feature in ["height", "volume"] {
        let key = ["R0402", "", "", "solder", feature, "um"];
        assert_eq!(live.push(&Record { key, ..record("same", 45.0, 40.0, None) }, at(1)).1, Fate::New);
        assert_eq!(live.push(&Record { key, ..record("two", 39.0, 40.0, None) }, at(2)).1, Fate::New);
    }
    assert_eq!(live.counts().records, 4);
    assert!(live.judge("two", Some(["R0402", "", "", "solder", "volume", "um"]), Verdict::FalseCall));
    let pending: Vec<u64> = live.limits().map(|l| live.evidence(l).pending).collect();
    assert_eq!(pending, [1, 0]);
}

#[test]
fn old_false_calls_leave_a_window_and_old_defects_do_not() {
    let day = 86_400_000_000_000_u64;
    let window = Window::Span(NonZeroU64::new(30 * day).unwrap());
    let mut live = Recalibrator::new(live_options(window, Boundary::Passes));
    let day = i64::try_from(day).unwrap();
    for i in 0..60_i64 {
        let (id, value) = (format!("f{i}"), 39.0 - 0.1 * f64::from(u32::try_from(i).unwrap()));
        let verdict = if i == 0 { Verdict::Defect } else { Verdict::FalseCall };
        let r = Record { time: Some(i * day), ..record(&id, value, 40.0, Some(verdict)) };
        live.push(&r, Arrival { sequence: i.unsigned_abs(), received: 100 * day });
    }
    let (_, p) = only(&live);
    assert_eq!((p.false_calls_before, p.defects_before), (31, 1));
    // A record from the far future does not empty the window.
    let r = Record { time: Some(10_000 * day), ..record("z", 39.0, 40.0, Some(Verdict::FalseCall)) };
    live.push(&r, Arrival { sequence: 99, received: 59 * day });
    assert_eq!(only(&live).1.false_calls_before, 32);
}

#[test]
fn what_changed_is_told_once() {
    let mut live = line();
    assert_eq!(live.take_changed().len(), 1);
    assert!(live.take_changed().is_empty());
    live.push(&record("p", 45.0, 40.0, None), at(200));
    assert!(live.take_changed().is_empty(), "a pass changes no evidence");
    live.judge("f3", None, Verdict::Borderline);
    assert_eq!(live.take_changed().len(), 1);
}

#[test]
fn limits_are_found_by_name_and_old_limit() {
    let live = line();
    let [part, model, revision, inspection, feature, unit] = KEY.map(str::to_owned);
    let key = Key { part, model, revision, inspection, feature, unit };
    let (limit, _) = only(&live);
    assert_eq!(live.find(&key, Side::Lower, 40.0), Some(limit));
    assert_eq!(live.find(&key, Side::Lower, 41.0), None);
    assert_eq!(live.find(&key, Side::Upper, 40.0), None);
}

#[test]
fn shards_with_other_options_and_other_flag_rules_are_refused() {
    let mut live = line();
    let other = Recalibrator::new(live_options(Window::All, Boundary::Flagged));
    assert!(live.merge(other).unwrap_err().to_string().contains("shard"));
    let options = Options { boundary: Boundary::Flagged, ..Options::default() };
    assert!(live.propose(&options).unwrap_err().to_string().contains("boundary"));
}
