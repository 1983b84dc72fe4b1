//! Evidence and options that look for trouble: ties, grids, neighbours one ulp apart, subnormals, huge magnitudes, signed zeros.

use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::{Boundary, Side};
use aoi_tolerance::margin::Margin;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::percentile::HyndmanFan;
use aoi_tolerance::resolution::{Resolution, ResolutionRule};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use crate::oracle::flags;

/// Where on the number line a limit and its values lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum World {
    /// On a 0.1 grid around 45, where ties abound.
    Grid,
    /// At most a few ulps from the limit, itself among them.
    Ulps,
    /// Below the least normal number.
    Subnormal,
    /// Around 1e300, of both signs.
    Huge,
    /// Signed zeros and their neighbours.
    Zero,
    /// Anything between -100 and 100.
    Real,
}

const WORLDS: [World; 6] =
    [World::Grid, World::Ulps, World::Subnormal, World::Huge, World::Zero, World::Real];

/// Worlds in which a decimal grid means something.
pub(crate) const PLAIN_WORLDS: [World; 2] = [World::Grid, World::Real];

fn limit_in(world: World, pick: u16) -> f64 {
    let n = f64::from(pick % 64);
    match world {
        World::Grid => (400.0 + n) / 10.0,
        World::Ulps => [45.0, 0.3, 1e16, -45.0, 1.0, f64::MIN_POSITIVE][usize::from(pick % 6)],
        World::Subnormal => (n - 32.0) * 5e-324,
        World::Huge => (n - 32.0) / 32.0 * 1e300,
        World::Zero => [0.0, -0.0, 5e-324, 1.0][usize::from(pick % 4)],
        World::Real => (f64::from(pick) - 32_768.0) / 327.68,
    }
}

fn candidate(world: World, limit: f64, pick: u16) -> f64 {
    let n = f64::from(pick % 48);
    match world {
        World::Grid => ((limit * 10.0).round() - n) / 10.0,
        World::Ulps => (0..pick % 5).fold(limit, |x, _| x.next_down()),
        World::Subnormal => limit - n * 5e-324,
        World::Huge => limit - n / 24.0 * 1e300,
        World::Zero => [0.0, -0.0, -5e-324, -f64::MIN_POSITIVE, -1.0, 5e-324][usize::from(pick % 6)],
        World::Real => limit - f64::from(pick) / 1311.0,
    }
}

/// Evidence on a lower limit, every value flagged by it.
pub(crate) fn lower_evidence(
    worlds: &'static [World],
    boundary: Boundary,
    counts: (std::ops::Range<usize>, std::ops::Range<usize>, std::ops::Range<usize>),
) -> impl Strategy<Value = Evidence> {
    let picks = |count| vec(any::<u16>(), count);
    let sigma = select(vec![None, Some(0.0), Some(1e-18), Some(0.05), Some(0.5)]);
    let step = select(vec![None, None, None, Some("0.01"), Some("0.5")]);
    (select(worlds), any::<u16>(), picks(counts.0), picks(counts.1), picks(counts.2), sigma, step).prop_map(
        move |(world, limit, false_calls, defects, provisional, sigma, step)| {
            let limit = limit_in(world, limit);
            let flagged = |picks: Vec<u16>| -> Vec<f64> {
                let value = |pick| {
                    let x = candidate(world, limit, pick);
                    if flags(x, limit, Side::Lower, boundary) { x } else { limit.next_down() }
                };
                picks.into_iter().map(value).collect()
            };
            let mut evidence = Evidence::new(Side::Lower, limit);
            evidence.false_calls = flagged(false_calls);
            evidence.defects = flagged(defects);
            evidence.provisional = flagged(provisional);
            evidence.sigma = sigma;
            evidence.resolution = step.map(|s| s.parse().expect("a step"));
            evidence
        },
    )
}

/// The same evidence on the mirrored side.
pub(crate) fn mirrored(evidence: &Evidence) -> Evidence {
    let negated = |values: &[f64]| values.iter().map(|v| -v).collect();
    Evidence {
        side: match evidence.side {
            Side::Lower => Side::Upper,
            Side::Upper => Side::Lower,
        },
        limit: -evidence.limit,
        false_calls: negated(&evidence.false_calls),
        defects: negated(&evidence.defects),
        provisional: negated(&evidence.provisional),
        escapes: negated(&evidence.escapes),
        ..evidence.clone()
    }
}

pub(crate) fn boundaries() -> impl Strategy<Value = Boundary> {
    select(vec![Boundary::Passes, Boundary::Flagged])
}

pub(crate) fn percents() -> impl Strategy<Value = f64> {
    prop_oneof![select(vec![0.0, 50.0, 75.0, 80.0, 85.0, 99.9, 100.0]), 0.0..=100.0]
}

pub(crate) fn margins() -> impl Strategy<Value = Margin> {
    prop_oneof![
        2 => select(vec![Margin::Absolute(0.0), Margin::Absolute(1e-18), Margin::Absolute(5e-324), Margin::Gauge]),
        1 => (0.0..3.0).prop_map(Margin::Absolute),
        1 => (0.0..5.0).prop_map(Margin::PercentOfLimit),
        1 => (0.0..6.0).prop_map(Margin::Sigmas),
    ]
}

pub(crate) fn step(text: &str) -> Resolution {
    text.parse().expect("a step")
}

pub(crate) fn resolutions() -> impl Strategy<Value = ResolutionRule> {
    prop_oneof![
        3 => Just(ResolutionRule::Recorded),
        2 => select(vec!["0.01", "0.1", "0.5", "5"]).prop_map(|s| ResolutionRule::Step(step(s))),
        1 => Just(ResolutionRule::Auto),
    ]
}

/// An alpha of one half needs five defects at r = 0 and eleven at r = 3, so that certificates are sometimes reached.
pub(crate) const CERTIFIED: Policy = Policy::Certified { alpha: 0.5 };

pub(crate) fn options(
    policies: &'static [Policy],
    misses: std::ops::RangeInclusive<u64>,
) -> impl Strategy<Value = Options> {
    let needed = select(vec![None, Some(1), Some(1), Some(3)]);
    (
        (select(policies), percents(), select(&HyndmanFan::ALL[..])),
        (margins(), resolutions(), misses, boundaries()),
        (needed, 1_usize..4, any::<bool>()),
    )
        .prop_map(
            |((policy, percentile, percentile_kind), (margin, resolution, misses, boundary), rest)| Options {
                policy,
                percentile,
                percentile_kind,
                margin,
                resolution,
                misses,
                boundary,
                min_false_calls: rest.0,
                threads: rest.1,
                simultaneous: rest.2,
                ..Options::default()
            },
        )
}

pub(crate) const ALL_POLICIES: [Policy; 3] = [Policy::Paper, Policy::Guarded, CERTIFIED];
pub(crate) const CAREFUL_POLICIES: [Policy; 2] = [Policy::Guarded, CERTIFIED];

/// Options, and evidence flagged under their boundary, on either side.
pub(crate) fn cases(
    policies: &'static [Policy],
    misses: std::ops::RangeInclusive<u64>,
) -> impl Strategy<Value = (Evidence, Options)> {
    (options(policies, misses), any::<bool>()).prop_flat_map(|(options, upper)| {
        let evidence = lower_evidence(&WORLDS, options.boundary, (0..40, 0..14, 0..3));
        (evidence.prop_map(move |e| if upper { mirrored(&e) } else { e }), Just(options))
    })
}
