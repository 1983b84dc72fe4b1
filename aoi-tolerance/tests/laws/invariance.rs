//! Laws 4, 5 and 7: what must not matter does not. The order of values, the side, the number of threads, and how often one asks.

use std::collections::HashSet;

use aoi_testing::Seeded;
use aoi_tolerance::collect::{CollectOptions, Collector};
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::{Boundary, Side, Tolerance};
use aoi_tolerance::optimise::{optimise, optimise_limit};
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use aoi_tolerance::proposal::Proposal;
use aoi_tolerance::record::{Record, Verdict};
use aoi_tolerance::simulate::{Outcome, Totals, simulate};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::worlds::{ALL_POLICIES, PLAIN_WORLDS, cases, lower_evidence, mirrored, options, percents};

/// A proposal with its limits negated and its side swapped.
fn reflected(p: Proposal) -> Proposal {
    Proposal {
        side: match p.side {
            Side::Lower => Side::Upper,
            Side::Upper => Side::Lower,
        },
        old_limit: -p.old_limit,
        new_limit: -p.new_limit,
        suggested_limit: p.suggested_limit.map(|l| -l),
        ..p
    }
}

/// The bits of a number, with one zero.
fn bits(x: f64) -> u64 {
    (x + 0.0).to_bits()
}

proptest! {
    /// Equality of doubles is equality of bits up to the sign of zero; the limits' bits are compared as well.
    #[test]
    fn negating_everything_negates_the_result(
        (mut evidence, options) in cases(&ALL_POLICIES, 0..=3), escape in any::<bool>(),
    ) {
        if escape {
            let inside = evidence.side.mirror(evidence.limit) + 1.5;
            evidence.escapes = vec![evidence.limit, evidence.side.mirror(inside)];
        }
        let straight = optimise_limit(&evidence, &options).unwrap();
        let mirror = optimise_limit(&mirrored(&evidence), &options).unwrap();
        prop_assert_eq!(bits(mirror.new_limit), bits(-straight.new_limit));
        prop_assert_eq!(mirror.suggested_limit.map(bits), straight.suggested_limit.map(|l| bits(-l)));
        prop_assert_eq!(reflected(mirror), straight);
    }

    /// The same through records; a value in the very middle is left out, as an escape there is given to the lower side.
    #[test]
    fn a_file_measured_upside_down_gives_the_limits_upside_down(
        rows in vec((0..100_i32, select(&Verdict::ALL[..])), 0..80), options in options(&ALL_POLICIES, 0..=2),
    ) {
        let propose = |sign: f64| {
            let settings = CollectOptions { boundary: options.boundary, ..CollectOptions::default() };
            let mut collector = Collector::new(settings);
            let (low, high) = (4.05 * sign, 6.05 * sign);
            let tolerance = Tolerance { lower: Some(low.min(high)), upper: Some(low.max(high)) };
            for &(tenths, verdict) in &rows {
                let value = sign * f64::from(tenths) / 10.0;
                let key = ["p", "", "", "", "f", ""];
                collector.push(&Record { key, value, tolerance, verdict: Some(verdict), ..Record::default() });
            }
            let evidence: Vec<Evidence> = collector.finish().limits.iter().map(Limit::evidence).collect();
            optimise(&evidence, &Options { max_pending_share: 1.0, ..options.clone() }).unwrap()
        };
        let straight = propose(1.0);
        let mirror: Vec<Proposal> = propose(-1.0).into_iter().rev().map(reflected).collect();
        prop_assert_eq!(straight.len(), if rows.is_empty() { 0 } else { 2 });
        prop_assert_eq!(mirror, straight);
    }

    #[test]
    fn the_order_of_the_values_changes_no_bit(
        (evidence, options) in cases(&ALL_POLICIES, 0..=3),
        keys in vec(any::<u32>(), 40),
    ) {
        let shuffled = |values: &[f64]| {
            let mut keyed: Vec<(u32, f64)> = keys.iter().copied().zip(values.iter().copied()).collect();
            assert_eq!(keyed.len(), values.len(), "a key for every value");
            keyed.sort_by_key(|k| k.0);
            keyed.into_iter().map(|k| k.1).collect()
        };
        let other = Evidence {
            false_calls: shuffled(&evidence.false_calls),
            defects: shuffled(&evidence.defects),
            provisional: shuffled(&evidence.provisional),
            ..evidence.clone()
        };
        let (a, b) = (optimise_limit(&evidence, &options).unwrap(), optimise_limit(&other, &options).unwrap());
        prop_assert_eq!(a.new_limit.to_bits(), b.new_limit.to_bits());
        prop_assert_eq!(a, b);
    }

    #[test]
    fn asking_again_gives_the_same_and_leaves_the_evidence_alone(
        (evidence, options) in cases(&ALL_POLICIES, 0..=3),
    ) {
        let frozen = evidence.clone();
        let first = optimise_limit(&evidence, &options).unwrap();
        let second = optimise_limit(&evidence, &options).unwrap();
        prop_assert_eq!(first.new_limit.to_bits(), second.new_limit.to_bits());
        prop_assert_eq!(first, second);
        prop_assert_eq!(evidence, frozen);
    }

    #[test]
    fn threads_decide_nothing(evidence in many(), options in options(&ALL_POLICIES, 0..=2)) {
        let options = Options { boundary: Boundary::Passes, ..options };
        let one = optimise(&evidence, &Options { threads: 1, ..options.clone() }).unwrap();
        prop_assert_eq!(one.len(), evidence.len());
        for threads in [2, 3, 64] {
            prop_assert_eq!(&optimise(&evidence, &Options { threads, ..options.clone() }).unwrap(), &one);
        }
    }

    #[test]
    fn limits_do_not_see_each_other(evidence in many(), options in options(&ALL_POLICIES, 0..=2)) {
        let options = Options { boundary: Boundary::Passes, simultaneous: false, ..options };
        let together = optimise(&evidence, &options).unwrap();
        let alone: Vec<Proposal> = evidence.iter().map(|e| optimise_limit(e, &options).unwrap()).collect();
        prop_assert_eq!(together, alone);
    }

    #[test]
    fn a_simulation_at_a_percentile_is_the_optimisation_at_it(
        evidence in many(), options in options(&ALL_POLICIES, 0..=2), percentiles in vec(percents(), 1..6),
        threads in 1_usize..4,
    ) {
        let options = Options { boundary: Boundary::Passes, threads, ..options };
        let mut seen: Vec<(f64, Vec<Proposal>, Totals, Vec<Outcome>)> = Vec::new();
        simulate(&evidence, &percentiles, &options, |what_if| {
            seen.push((what_if.percentile(), what_if.proposals()?, what_if.totals(), what_if.outcomes().collect()));
            Ok(())
        }).unwrap();
        prop_assert_eq!(seen.iter().map(|w| w.0).collect::<Vec<_>>(), percentiles);
        for (percentile, proposals, totals, outcomes) in seen {
            let there = Options { percentile, ..options.clone() };
            let direct = optimise(&evidence, &there).unwrap();
            prop_assert_eq!(&proposals, &direct);
            prop_assert_eq!(outcomes, direct.iter().map(Outcome::from).collect::<Vec<_>>());
            prop_assert_eq!(totals, Totals::of(&direct));
            let false_calls: usize = evidence.iter().map(|e| e.false_calls.len()).sum();
            prop_assert_eq!(totals.false_calls_before, false_calls as u64);
            let moved = direct.iter().filter(|p| p.new_limit != p.old_limit).count();
            prop_assert_eq!(totals.moved, moved as u64);
        }
    }
}

/// Several limits under the boundary that lets equality pass.
fn many() -> impl Strategy<Value = Vec<Evidence>> {
    vec(lower_evidence(&PLAIN_WORLDS, Boundary::Passes, (0..25, 0..9, 0..2)), 1..8)
}

#[test]
fn a_long_simulation_says_at_every_percentile_what_the_optimisation_does() {
    let limit = |side: Side, seed: u64| {
        let mut evidence = Evidence::new(side, side.mirror(100.0));
        let mut random = Seeded::new(seed);
        evidence.false_calls =
            (0..400).map(|_| side.mirror(99.0 - 30.0 * random.unit() * random.unit())).collect();
        evidence.defects = (0..3).map(|_| side.mirror(85.0 - 20.0 * random.unit())).collect();
        evidence
    };
    let evidence = [limit(Side::Lower, 1), limit(Side::Upper, 2), limit(Side::Lower, 3)];
    let percentiles: Vec<f64> = (0..=300).map(|i| f64::from(i) / 3.0).collect();
    for threads in [1, 2, 5] {
        let options = Options { threads, simultaneous: true, ..Options::default() };
        let (mut at, mut limits) = (0, HashSet::new());
        simulate(&evidence, &percentiles, &options, |what_if| {
            assert_eq!(what_if.percentile(), percentiles[at]);
            let there = Options { percentile: what_if.percentile(), ..options.clone() };
            let direct = optimise(&evidence, &there)?;
            assert_eq!(what_if.proposals()?, direct);
            assert!(what_if.outcomes().eq(direct.iter().map(Outcome::from)));
            limits.extend(what_if.outcomes().map(|outcome| outcome.new_limit.to_bits()));
            at += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(at, 301);
        assert!(limits.len() > 100, "{}", limits.len());
    }
}

#[test]
fn a_simulation_stops_where_its_reader_asks_it_to() {
    let evidence = [Evidence::new(Side::Lower, 1.0)];
    let mut read = 0;
    let outcome = simulate(&evidence, &[70.0, 80.0, 90.0], &Options::default(), |_| {
        read += 1;
        if read == 2 { Err(aoi_tolerance::Error::Cancelled) } else { Ok(()) }
    });
    assert!(matches!(outcome, Err(aoi_tolerance::Error::Cancelled)));
    assert_eq!(read, 2);
}

#[test]
fn a_simulation_refuses_a_percentile_out_of_range_before_it_hands_out_anything() {
    let evidence = [Evidence::new(Side::Lower, 1.0)];
    for wrong in [-1.0, 100.5, f64::NAN] {
        let mut read = 0;
        let outcome = simulate(&evidence, &[80.0, wrong], &Options::default(), |_| {
            read += 1;
            Ok(())
        });
        assert!(outcome.is_err() && read == 0, "{wrong}: {read} sets handed out");
    }
}
