//! The laws of joint limits: every fault keeps a flag, no limit leaves its range, and what is called optimal is.

use std::collections::{BTreeMap, BTreeSet};

use aoi_tolerance::certificate::EscapeBound;
use aoi_tolerance::collect::{CollectOptions, Collector};
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::joint::{Joint, optimise_joint};
use aoi_tolerance::limit::{Boundary, Side, Tolerance};
use aoi_tolerance::margin::Margin;
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::percentile::{HyndmanFan, percentile_of_sorted, sort_sample};
use aoi_tolerance::population::{Limit, Population};
use aoi_tolerance::record::{Record, Source, Verdict};
use aoi_tolerance::resolution::ResolutionRule;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::oracle::{flags, step_up};
use crate::worlds::{boundaries, margins, step};

/// Three features: two lower limits at 40, one upper limit at -40, so that "beyond" is the same number everywhere.
const FEATURES: [&str; 3] = ["area", "height", "volume"];

/// A flagged value: which feature, how many tenths beyond its limit.
type Beyond = (usize, u8);

/// Flagged rows of a few parts.
#[derive(Debug, Clone)]
struct Line {
    /// Rows of each fault that carries a name.
    faults: Vec<Vec<Beyond>>,
    /// Faults without a name, each by itself.
    nameless: Vec<Beyond>,
    provisional: Vec<Beyond>,
    /// Instance, and its flagged value.
    false_calls: Vec<(u8, Beyond)>,
}

fn lines() -> impl Strategy<Value = Line> {
    let beyond = || (0..3_usize, 1..12_u8);
    (
        vec(vec(beyond(), 1..4), 0..5),
        vec(beyond(), 0..2),
        vec(beyond(), 0..2),
        vec((0..9_u8, beyond()), 0..26),
    )
        .prop_map(|(faults, nameless, provisional, false_calls)| Line {
            faults,
            nameless,
            provisional,
            false_calls,
        })
}

/// The rows of a line: name of the fault, board of the instance, feature, distance, verdict.
fn rows(line: &Line) -> Vec<(String, String, Beyond, Verdict)> {
    let none = String::new;
    let mut rows = Vec::new();
    for (i, fault) in line.faults.iter().enumerate() {
        rows.extend(fault.iter().map(|&b| (format!("fault {i}"), none(), b, Verdict::Defect)));
    }
    rows.extend(line.nameless.iter().map(|&b| (none(), none(), b, Verdict::Defect)));
    rows.extend(line.provisional.iter().map(|&b| (none(), none(), b, Verdict::Provisional)));
    rows.extend(line.false_calls.iter().map(|&(i, b)| (none(), format!("board {i}"), b, Verdict::FalseCall)));
    rows
}

fn population(rows: &[(String, String, Beyond, Verdict)], boundary: Boundary) -> Population {
    let mut collector = Collector::new(CollectOptions { boundary, ..CollectOptions::default() });
    for (line, (fault, board, (feature, tenths), verdict)) in (2..).zip(rows) {
        let beyond = 40.0 - f64::from(*tenths) / 10.0;
        let upper = *feature == 2;
        let tolerance = if upper {
            Tolerance { lower: None, upper: Some(-40.0) }
        } else {
            Tolerance { lower: Some(40.0), upper: None }
        };
        collector.push(&Record {
            key: ["R0402", "", "", "solder", FEATURES[*feature], ""],
            value: if upper { -beyond } else { beyond },
            tolerance,
            verdict: Some(*verdict),
            defect_id: fault,
            board,
            refdes: if board.is_empty() { "" } else { "R1" },
            source: Source { file: 0, line },
            ..Record::default()
        });
    }
    collector.finish()
}

fn settings() -> impl Strategy<Value = Options> {
    let resolution = prop_oneof![
        Just(ResolutionRule::Recorded),
        select(vec!["0.1", "0.5"]).prop_map(|s| ResolutionRule::Step(step(s)))
    ];
    (margins(), resolution, boundaries(), 0.0..=100.0, select(vec![None, Some(1), Some(4)]), 0..2_u64)
        .prop_map(|(margin, resolution, boundary, percentile, min_false_calls, min_defects)| Options {
            margin,
            resolution,
            boundary,
            percentile,
            min_false_calls,
            min_defects: Some(min_defects),
            ..Options::default()
        })
}

/// The values of one limit with this verdict, as those of a lower limit.
fn mirrored(limit: &Limit, verdict: Verdict) -> Vec<f64> {
    let rows = limit.rows.iter().filter(|r| r.verdict == verdict);
    rows.map(|r| if limit.id.side == Side::Upper { -r.value } else { r.value }).collect()
}

/// Instances of a line that limits, by feature, release.
fn released(line: &Line, flagged: impl Fn(Beyond) -> bool) -> u64 {
    let mut instances: BTreeMap<u8, bool> = BTreeMap::new();
    for &(instance, beyond) in &line.false_calls {
        *instances.entry(instance).or_insert(true) &= !flagged(beyond);
    }
    instances.values().filter(|free| **free).count() as u64
}

/// The most instances that any limits under the law release, by trying every one that could be best; no margin, no resolution.
fn best_by_trying_all(line: &Line, population: &Population, options: &Options) -> u64 {
    let mut choices: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for limit in &population.limits {
        let feature = FEATURES.iter().position(|f| *f == limit.id.key.feature).unwrap();
        let mut false_calls = mirrored(limit, Verdict::FalseCall);
        let choice = choices.entry(feature).or_insert_with(|| vec![40.0]);
        if false_calls.is_empty() {
            continue;
        }
        sort_sample(&mut false_calls).unwrap();
        let percentile = percentile_of_sorted(&false_calls, options.percentile, HyndmanFan::Linear).unwrap();
        let above = |x: &f64| if options.boundary == Boundary::Passes { step_up(*x) } else { *x };
        let floor = mirrored(limit, Verdict::Provisional).iter().map(above).fold(percentile, f64::max);
        choice.push(floor);
        choice.extend(mirrored(limit, Verdict::Defect).iter().map(above).filter(|t| *t > floor));
    }
    let choice = |feature: usize| choices.get(&feature).map_or(vec![40.0], Clone::clone);
    let mut best = None;
    for area in choice(0) {
        for height in choice(1) {
            for volume in choice(2) {
                let limits = [area, height, volume];
                let flagged = |(feature, tenths): Beyond| {
                    let value = 40.0 - f64::from(tenths) / 10.0;
                    flags(value, limits[feature], Side::Lower, options.boundary)
                };
                let named = line.faults.iter().all(|f| f.iter().any(|b| flagged(*b)));
                if named && line.nameless.iter().all(|b| flagged(*b)) {
                    best = best.max(Some(released(line, flagged)));
                }
            }
        }
    }
    best.expect("the old limits hold every fault")
}

/// New limits by feature, in the frame of a lower limit.
fn new_limits(population: &Population, joint: &Joint) -> [f64; 3] {
    let mut limits = [40.0; 3];
    for (limit, proposal) in population.limits.iter().zip(&joint.proposals) {
        let feature = FEATURES.iter().position(|f| *f == limit.id.key.feature).unwrap();
        limits[feature] = if feature == 2 { -proposal.new_limit } else { proposal.new_limit };
    }
    limits
}

proptest! {
    #[test]
    fn every_fault_keeps_a_flag_and_every_limit_its_range(line in lines(), options in settings()) {
        let population = population(&rows(&line), options.boundary);
        let joint = optimise_joint(&population, &options).unwrap();
        let limits = new_limits(&population, &joint);
        let flagged = |(feature, tenths): Beyond| {
            flags(40.0 - f64::from(tenths) / 10.0, limits[feature], Side::Lower, options.boundary)
        };
        for fault in &line.faults {
            prop_assert!(fault.iter().any(|b| flagged(*b)), "{:?} {:?}", fault, limits);
        }
        for held in line.nameless.iter().chain(&line.provisional) {
            prop_assert!(flagged(*held), "{:?} {:?}", held, limits);
        }
        prop_assert_eq!(joint.released, released(&line, flagged));
        prop_assert!(joint.released <= joint.at_most);
        let instances: BTreeSet<u8> = line.false_calls.iter().map(|f| f.0).collect();
        prop_assert_eq!(joint.instances, instances.len() as u64);

        let evidence: Vec<Evidence> = population.limits.iter().map(Limit::evidence).collect();
        let alone = optimise(&evidence, &options).unwrap();
        let bare = Options { margin: Margin::Absolute(0.0), ..options.clone() };
        let without_defects = evidence.iter().map(|e| Evidence { defects: Vec::new(), provisional: Vec::new(), ..e.clone() });
        let lowest = optimise(&without_defects.collect::<Vec<_>>(), &Options { min_defects: Some(0), ..bare }).unwrap();
        for ((joint, alone), lowest) in joint.proposals.iter().zip(&alone).zip(&lowest) {
            let beyond = |limit: f64| if joint.side == Side::Upper { -limit } else { limit };
            prop_assert!(beyond(joint.new_limit) <= beyond(alone.new_limit), "{:?} {:?}", joint, alone);
            prop_assert!(beyond(joint.new_limit) >= beyond(lowest.new_limit), "never past the percentile");
            let moved = joint.new_limit != joint.old_limit;
            prop_assert_eq!(joint.moves(), moved);
            prop_assert_eq!(joint.certificate.bound == EscapeBound::NoEvidence, moved);
        }
        prop_assert!(joint.released >= joint.released_one_by_one);
        let defects = line.faults.iter().map(Vec::len).sum::<usize>() + line.nameless.len();
        prop_assert_eq!(joint.held.len(), defects);
        for row in &joint.held {
            let holder = joint.held.iter().any(|h| h.limit == row.held_by && h.flagged);
            prop_assert!(holder && row.held_by < population.limits.len(), "{:?}", row);
        }
    }

    #[test]
    fn no_other_choice_releases_more(line in lines(), percentile in 0.0..=100.0, boundary in boundaries()) {
        let options = Options {
            percentile,
            boundary,
            margin: Margin::Absolute(0.0),
            min_false_calls: Some(1),
            min_defects: Some(0),
            ..Options::default()
        };
        let population = population(&rows(&line), boundary);
        let joint = optimise_joint(&population, &options).unwrap();
        prop_assert!(joint.is_optimal());
        prop_assert_eq!(joint.released, best_by_trying_all(&line, &population, &options));
    }

    #[test]
    fn the_order_of_the_records_decides_nothing(line in lines(), options in settings(), keys in vec(any::<u32>(), 60)) {
        let rows = rows(&line);
        let mut shuffled: Vec<_> = keys.iter().zip(rows.clone()).collect();
        prop_assert_eq!(shuffled.len(), rows.len());
        shuffled.sort_by_key(|(key, _)| **key);
        let shuffled: Vec<_> = shuffled.into_iter().map(|(_, row)| row).collect();
        let straight = optimise_joint(&population(&rows, options.boundary), &options).unwrap();
        let other = optimise_joint(&population(&shuffled, options.boundary), &options).unwrap();
        prop_assert_eq!(straight.proposals, other.proposals);
        prop_assert_eq!((straight.released, straight.at_most), (other.released, other.at_most));
    }
}

#[test]
fn sharing_the_duty_releases_what_holding_everything_cannot() {
    // Ten false calls on each feature, one fault that barely shows in the area and lies far out in height.
    let line = Line {
        faults: vec![vec![(0, 1), (1, 11)]],
        nameless: Vec::new(),
        provisional: Vec::new(),
        false_calls: (0..10).flat_map(|i| [(i, (0, i + 1)), (i + 10, (1, i + 1))]).collect(),
    };
    let joint = optimise_joint(&population(&rows(&line), Boundary::Passes), &Options::default()).unwrap();
    assert_eq!((joint.instances, joint.released_one_by_one, joint.released), (20, 2, 4));
    assert!(joint.is_optimal());
    let held: Vec<_> = joint.held.iter().map(|h| (h.limit, h.flagged, h.held_by)).collect();
    assert_eq!(held, [(0, false, 1), (1, true, 1)]);
}

#[test]
fn what_is_not_proven_for_this_mode_is_refused() {
    let population = Population::default();
    for options in [
        Options { policy: Policy::Paper, ..Options::default() },
        Options { policy: Policy::Certified { alpha: 0.1 }, ..Options::default() },
        Options { misses: 1, ..Options::default() },
    ] {
        let error = optimise_joint(&population, &options).unwrap_err().to_string();
        assert!(error.contains("joint"), "{error}");
    }
}
