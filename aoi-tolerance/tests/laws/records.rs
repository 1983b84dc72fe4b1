//! Records that repeat, contradict and outdate each other, owned so that they can be shuffled and dealt.

use aoi_tolerance::collect::{CollectOptions, Collector};
use aoi_tolerance::limit::{Boundary, Tolerance};
use aoi_tolerance::population::Population;
use aoi_tolerance::record::{Record, Source, Verdict};
use aoi_tolerance::resolution::Resolution;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A record that borrows nothing.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    key: [&'static str; 6],
    value: f64,
    tolerance: Tolerance,
    verdict: Option<Verdict>,
    nominal: Option<f64>,
    sigma: Option<f64>,
    resolution: Option<Resolution>,
    machine_flagged: Option<bool>,
    record_id: String,
    defect_id: String,
    board: String,
    time: Option<i64>,
    line: u64,
    unreadable: bool,
}

const KEYS: [[&str; 6]; 4] = [
    ["R0402", "A", "", "solder", "height", "um"],
    ["R0402", "A", "", "solder", "width", "um"],
    ["R0402", "", "", "solder", "height", "um"],
    ["C0805", "B", "2", "tombstone", "angle", "deg"],
];

fn verdicts() -> impl Strategy<Value = Option<Verdict>> {
    prop_oneof![
        8 => Just(Some(Verdict::FalseCall)),
        4 => Just(Some(Verdict::Defect)),
        1 => select(Verdict::ALL.to_vec()).prop_map(Some),
        1 => Just(None),
    ]
}

/// Two versions of limits, one- and two-sided, and limits that cannot be.
fn tolerances() -> impl Strategy<Value = Tolerance> {
    let both = |lower, upper| Tolerance { lower, upper };
    prop_oneof![
        6 => select(vec![both(Some(4.0), Some(6.0)), both(Some(4.5), None), both(None, Some(5.5)), both(Some(-4.0), Some(6.0))]),
        1 => select(vec![both(None, None), both(Some(7.0), Some(6.0)), both(Some(f64::NAN), None)]),
    ]
}

fn named(prefix: &'static str, of: std::ops::Range<u32>) -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), of.prop_map(move |i| format!("{prefix}{i}"))]
}

fn record() -> impl Strategy<Value = Measured> {
    let value = prop_oneof![
        12 => (0..100_i32).prop_map(|tenths| f64::from(tenths) / 10.0),
        1 => select(vec![f64::NAN, f64::INFINITY, -0.0, 4.0, 6.0, 1e300]),
    ];
    let some = |n: Vec<Option<f64>>| select(n);
    let step = select(vec![None, None, Some("0.1"), Some("0.01")]);
    (
        (select(KEYS.to_vec()), value, tolerances(), verdicts()),
        (some(vec![None, Some(5.0)]), some(vec![None, Some(0.01), Some(0.02)]), step),
        (select(vec![None, Some(true), Some(false)]), named("r", 0..60), named("d", 0..8), named("b", 0..5)),
        (prop::option::of(0..50_i64), prop::bool::weighted(0.02)),
    )
        .prop_map(
            |((key, value, tolerance, verdict), (nominal, sigma, step), ids, (time, unreadable))| {
                let (machine_flagged, record_id, defect_id, board) = ids;
                let resolution = step.map(|s| s.parse().expect("a step"));
                Measured {
                    key,
                    value,
                    tolerance,
                    verdict,
                    nominal,
                    sigma,
                    resolution,
                    machine_flagged,
                    record_id,
                    defect_id,
                    board,
                    time,
                    line: 0,
                    unreadable,
                }
            },
        )
}

/// Records, each from a line of its own.
pub(crate) fn records(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Measured>> {
    vec(record(), count).prop_map(|mut all| {
        for (line, record) in (1..).zip(&mut all) {
            record.line = line;
        }
        all
    })
}

/// A collector under one of the four settings.
pub(crate) fn settings() -> impl Strategy<Value = CollectOptions> {
    any::<(bool, bool)>().prop_map(|(flags, borderline_guards)| CollectOptions {
        boundary: if flags { Boundary::Flagged } else { Boundary::Passes },
        borderline_guards,
    })
}

/// What one collector makes of `records` in the order given.
pub(crate) fn collect(options: CollectOptions, records: &[Measured]) -> Collector {
    let mut collector = Collector::new(options);
    for m in records {
        if m.unreadable {
            collector.push_unreadable(m.key.map(|f| (!f.is_empty()).then_some(f)), m.verdict);
            continue;
        }
        let record = Record {
            key: m.key,
            value: m.value,
            tolerance: m.tolerance,
            verdict: m.verdict,
            nominal: m.nominal,
            sigma: m.sigma,
            resolution: m.resolution,
            machine_flagged: m.machine_flagged,
            record_id: &m.record_id,
            defect_id: &m.defect_id,
            board: &m.board,
            refdes: "U1",
            reviewer: "",
            time: m.time,
            source: Source { file: 0, line: m.line },
        };
        collector.push(&record);
    }
    collector
}

/// The population with the rows and escapes of each limit in the order of their lines.
pub(crate) fn by_line(mut population: Population) -> Population {
    population.escapes.sort_by(|a, b| a.limit.cmp(&b.limit).then(a.source.cmp(&b.source)));
    for limit in &mut population.limits {
        limit.rows.sort_by_key(|row| row.source);
        limit.escapes.sort_by(f64::total_cmp);
    }
    population
}
