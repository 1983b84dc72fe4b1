//! Limits that changed under one key, and tolerances with two sides.

use aoi_tolerance::collect::CollectOptions;
use aoi_tolerance::limit::{Boundary, Side, Tolerance};
use aoi_tolerance::population::Population;
use aoi_tolerance::record::{Record, Verdict};

use crate::{both, limit, lower, population, population_with, propose, record, sound};

fn numbered(p: &Population) -> Vec<(u32, f64)> {
    p.limits.iter().map(|l| (l.id.version, l.value())).collect()
}

fn at(limit: f64, time: Option<i64>) -> Record<'static> {
    Record { tolerance: lower(limit), time, ..record(limit - 1.0, Verdict::FalseCall) }
}

#[test]
fn versions_are_numbered_by_their_first_time_whatever_the_order_of_the_rows() {
    let rows = [at(41.0, Some(30)), at(42.0, Some(20)), at(43.0, Some(10)), at(41.0, Some(5))];
    let p = population(&rows);
    assert_eq!(numbered(&p), [(1, 41.0), (2, 43.0), (3, 42.0)]);
    assert_eq!(p.keys_with_several_versions, 1);
    assert_eq!(p.limits.iter().map(|l| l.records).collect::<Vec<_>>(), [2, 1, 1]);
}

#[test]
fn the_first_time_of_a_version_may_be_that_of_a_passing_record() {
    let passing = Record { value: 60.0, ..at(43.0, Some(1)) };
    assert_eq!(
        numbered(&population(&[at(41.0, Some(5)), at(43.0, Some(9)), passing])),
        [(1, 43.0), (2, 41.0)]
    );
}

#[test]
fn versions_without_times_are_numbered_by_their_limits() {
    assert_eq!(
        numbered(&population(&[at(43.0, None), at(41.0, None), at(42.0, None)])),
        [(1, 41.0), (2, 42.0), (3, 43.0)]
    );
}

#[test]
fn versions_without_times_are_numbered_by_their_limits_below_zero_too() {
    assert_eq!(
        numbered(&population(&[at(3.0, None), at(-2.0, None), at(-5.0, None)])),
        [(1, -5.0), (2, -2.0), (3, 3.0)]
    );
}

#[test]
fn one_set_of_limits_is_one_version_and_its_evidence_is_not_mixed_with_another() {
    let mut records = sound();
    assert_eq!(population(&records).keys_with_several_versions, 0);
    // Under an older, tighter limit the same part showed a defect at 42, which the limit of 40 never saw.
    records.push(Record { tolerance: lower(45.0), ..record(42.0, Verdict::Defect) });
    let p = population(&records);
    assert_eq!(numbered(&p), [(1, 40.0), (2, 45.0)]);
    assert_eq!((p.limits[0].evidence().defects, p.limits[1].evidence().defects), (vec![10.0], vec![42.0]));
    assert!(propose(&p.limits[0]).moves());
}

#[test]
fn a_two_sided_tolerance_sends_each_value_to_the_side_it_violates() {
    let two = |value, verdict| Record { tolerance: both(40.0, 60.0), ..record(value, verdict) };
    let p = population(&[
        two(39.0, Verdict::FalseCall),
        two(61.0, Verdict::FalseCall),
        two(62.0, Verdict::Defect),
        two(40.0, Verdict::Pass),
        two(60.0, Verdict::FalseCall),
        two(50.0, Verdict::Pass),
    ]);
    let (low, high) =
        (limit(&p, "height", Side::Lower).evidence(), limit(&p, "height", Side::Upper).evidence());
    assert_eq!((low.limit, low.false_calls, low.defects), (40.0, vec![39.0], vec![]));
    assert_eq!((high.limit, high.false_calls, high.defects), (60.0, vec![61.0], vec![62.0]));
    assert_eq!((p.counts.flagged, p.counts.inside), (3, 3), "a value on its limit passes");
}

#[test]
fn a_site_that_flags_equality_sends_a_value_on_its_limit_to_that_side() {
    let options = CollectOptions { boundary: Boundary::Flagged, ..CollectOptions::default() };
    let two = |value| Record { tolerance: both(40.0, 60.0), ..record(value, Verdict::FalseCall) };
    let p = population_with(options, &[two(40.0), two(60.0), two(40.5)]);
    assert_eq!(limit(&p, "height", Side::Lower).evidence().false_calls, [40.0]);
    assert_eq!(limit(&p, "height", Side::Upper).evidence().false_calls, [60.0]);
}

#[test]
fn a_one_sided_tolerance_has_one_limit() {
    let p = population(&[Record {
        tolerance: Tolerance { lower: None, upper: Some(60.0) },
        ..record(39.0, Verdict::Pass)
    }]);
    assert_eq!(p.limits.iter().map(|l| l.id.side).collect::<Vec<_>>(), [Side::Upper]);
    assert_eq!(p.counts.inside, 1);
}

#[test]
fn every_field_of_the_key_tells_limits_apart() {
    let mut records = sound();
    for field in 0..6 {
        let mut key = crate::KEY;
        key[field] = "other";
        records.push(Record { key, ..record(39.0, Verdict::FalseCall) });
    }
    let p = population(&records);
    assert_eq!(p.limits.len(), 7);
    assert!(p.limits.windows(2).all(|w| w[0].id < w[1].id), "sorted by name");
}
