//! Laws 4 and 6: neither the order of the records nor how they are dealt over collectors changes what they say.

use aoi_tolerance::collect::{CollectOptions, Collector};
use aoi_tolerance::limit::Tolerance;
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::population::{Limit, Population};
use aoi_tolerance::proposal::Proposal;
use aoi_tolerance::record::{Record, Source, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::records::{Measured, by_line, collect, records, settings};

fn proposals(population: &Population, settings: CollectOptions) -> Vec<Proposal> {
    let evidence: Vec<_> = population.limits.iter().map(Limit::evidence).collect();
    let options = Options {
        policy: Policy::Paper,
        max_pending_share: 1.0,
        boundary: settings.boundary,
        ..Options::default()
    };
    optimise(&evidence, &options).unwrap()
}

proptest! {
    #[test]
    fn shuffled_records_give_the_same_population(
        (straight, shuffled) in shuffled_records(), settings in settings(),
    ) {
        prop_assert_eq!(collect(settings, &straight).finish(), collect(settings, &shuffled).finish());
    }

    #[test]
    fn shuffled_records_give_the_same_proposals(
        (straight, shuffled) in shuffled_records(), settings in settings(),
    ) {
        let (a, b) = (collect(settings, &straight).finish(), collect(settings, &shuffled).finish());
        prop_assert_eq!(proposals(&a, settings), proposals(&b, settings));
        prop_assert_eq!(by_line(a), by_line(b));
    }

    #[test]
    fn neighbouring_shards_merged_in_any_grouping_are_one_collector(
        all in records(0..120),
        cuts in vec(any::<prop::sample::Index>(), 0..5),
        joins in vec(any::<prop::sample::Index>(), 5),
        settings in settings(),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(all.len() + 1)).collect();
        cuts.extend([0, all.len()]);
        cuts.sort_unstable();
        let mut shards: Vec<Collector> = cuts.windows(2).map(|w| collect(settings, &all[w[0]..w[1]])).collect();
        let mut join = joins.iter().cycle();
        while shards.len() > 1 {
            let at = join.next().unwrap().index(shards.len() - 1);
            let right = shards.remove(at + 1);
            shards[at].merge(right);
        }
        let merged = shards.remove(0).finish();
        prop_assert_eq!(merged.counts.records + merged.counts.unreadable, all.len() as u64);
        prop_assert_eq!(merged, collect(settings, &all).finish());
    }

    #[test]
    fn records_dealt_at_random_say_what_they_say_together(
        all in records(0..120), dealt in vec(0..4_usize, 120), settings in settings(),
    ) {
        let hands: Vec<Vec<_>> = (0..4)
            .map(|hand| all.iter().zip(&dealt).filter(|(_, d)| **d == hand).map(|(r, _)| r.clone()).collect())
            .collect();
        let mut merged = Collector::new(settings);
        for hand in hands.iter().rev() {
            merged.merge(collect(settings, hand));
        }
        let (merged, together) = (merged.finish(), collect(settings, &all).finish());
        prop_assert_eq!(proposals(&merged, settings), proposals(&together, settings));
        prop_assert_eq!(by_line(merged), by_line(together));
    }

    #[test]
    fn an_empty_shard_adds_nothing_on_either_side(all in records(0..40), settings in settings()) {
        let whole = collect(settings, &all).finish();
        let mut left = Collector::new(settings);
        left.merge(collect(settings, &all));
        let mut right = collect(settings, &all);
        right.merge(Collector::new(settings));
        prop_assert_eq!(left.finish(), whole.clone());
        prop_assert_eq!(right.finish(), whole);
    }
}

/// Records as they were measured, and in another order.
fn shuffled_records() -> impl Strategy<Value = (Vec<Measured>, Vec<Measured>)> {
    records(0..120).prop_flat_map(|r| (Just(r.clone()), Just(r).prop_shuffle()))
}

fn one(tolerance: Tolerance, line: u64) -> Record<'static> {
    Record {
        key: ["p", "", "", "", "f", "mm"],
        value: -9.0,
        tolerance,
        verdict: Some(Verdict::Defect),
        source: Source { file: 0, line },
        ..Record::default()
    }
}

/// Limits of 0.0 and -0.0 are one limit, whichever of the two comes first.
#[test]
fn the_sign_of_a_zero_limit_does_not_renumber_the_versions() {
    let lower = |l: f64| Tolerance { lower: Some(l), upper: None };
    let records = [one(lower(0.0), 1), one(lower(-0.0), 2), one(lower(0.5), 3)];
    let names = |order: [usize; 3]| {
        let mut collector = Collector::default();
        for i in order {
            collector.push(&records[i]);
        }
        let limits = collector.finish().limits;
        limits.iter().map(|l| (l.id.version, l.value(), l.rows.len())).collect::<Vec<_>>()
    };
    let expected = vec![(1, 0.0, 2), (2, 0.5, 1)];
    assert_eq!(names([0, 1, 2]), expected);
    assert_eq!(names([1, 0, 2]), expected, "with the negative zero first");
    assert_eq!(names([2, 1, 0]), expected);
}
