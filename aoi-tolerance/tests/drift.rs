//! How often the monitor cries wolf, and how soon it sees one.

use aoi_testing::Seeded;
use aoi_tolerance::drift::{
    Drift, DriftOptions, FALSE_ALARMS_PER_1000, Monitor, kolmogorov_smirnov, run_length,
};

type Draw = fn(&mut Seeded) -> f64;

/// Ways in which values of a line may be distributed.
const DRAWS: [(&str, Draw); 3] = [
    ("normal", |r| 45.0 + 2.0 * r.normal()),
    ("exponential", |r| -3.0 * (1.0 - r.unit()).ln()),
    ("on a coarse grid", |r| (2.0 * r.normal()).round() / 2.0),
];

/// The whole default monitor over values in which nothing changes: false alarms in a thousand subgroups.
fn false_alarms(draw: Draw, seed: u64) -> f64 {
    const MONITORS: u64 = 150;
    const SUBGROUPS: u32 = 200;
    let options = DriftOptions::default();
    let (mut alarms, mut watched) = (0_u32, 0_u64);
    for monitor in 0..MONITORS {
        let mut random = Seeded::new(seed + monitor);
        let mut m = Monitor::new(options);
        for _ in 0..options.subgroup * (options.reference + SUBGROUPS) {
            if m.push(draw(&mut random)).is_some() {
                alarms += 1;
                break;
            }
        }
        watched += m.subgroups() - u64::from(options.reference);
    }
    assert!(watched > 25_000, "{watched}");
    1000.0 * f64::from(alarms) / watched as f64
}

#[test]
fn false_alarms_are_no_more_than_stated() {
    let mut all = 0.0;
    for (seed, (name, draw)) in (1_000..).step_by(1_000).zip(DRAWS) {
        let rate = false_alarms(draw, seed);
        println!("{name}: {rate:.2} false alarms in a thousand subgroups");
        assert!(rate <= FALSE_ALARMS_PER_1000, "{name}: {rate}");
        all += rate;
    }
    assert!(all > 0.0, "a monitor that never alarms promises nothing");
}

/// The charts' limits are those of one false alarm in ten thousand subgroups, the reference known.
#[test]
fn the_default_limits_are_those_of_the_stated_run_length() {
    let o = DriftOptions::default();
    let ewma = run_length::ewma(o.ewma_weight, o.ewma_width, 0.0);
    let cusum = run_length::cusum(o.cusum_slack, o.cusum_limit, 0.0);
    assert!((9_500.0..11_000.0).contains(&ewma), "{ewma}");
    assert!((9_500.0..11_000.0).contains(&cusum), "{cusum}");
}

/// The run lengths of the Markov chain are those of charts that are run.
#[test]
fn computed_run_lengths_are_those_of_simulated_charts() {
    let mut random = Seeded::new(77);
    let mean = |mut run: Box<dyn FnMut(&mut Seeded) -> u32>, random: &mut Seeded| {
        (0..2_000).map(|_| f64::from(run(random))).sum::<f64>() / 2_000.0
    };
    for shift in [0.0, 1.0] {
        let ewma = mean(
            Box::new(move |r| {
                let mut chart = aoi_tolerance::drift::Ewma::new(0.2, 2.7);
                (1..1_000_000).find(|_| chart.push(r.normal() + shift)).unwrap()
            }),
            &mut random,
        );
        let cusum = mean(
            Box::new(move |r| {
                let mut chart = aoi_tolerance::drift::Cusum::new(0.5, 4.0);
                (1..1_000_000).find(|_| chart.push(r.normal() + shift)).unwrap()
            }),
            &mut random,
        );
        // A run's spread is about its mean: 2,000 runs give it to 2.2 %, five of which are 11 %. The widening limits shorten short runs.
        let (e, c) = (run_length::ewma(0.2, 2.7, shift), run_length::cusum(0.5, 4.0, shift));
        assert!(
            (ewma / e - 1.0).abs() < if shift == 0.0 { 0.12 } else { 0.2 },
            "shift {shift}: {ewma} against {e}"
        );
        assert!((cusum / c - 1.0).abs() < 0.12, "shift {shift}: {cusum} against {c}");
    }
}

/// The exact test alarms in at most a share alpha of windows, ties or not.
#[test]
fn the_test_of_samples_keeps_its_level() {
    let mut random = Seeded::new(9);
    for (name, draw) in DRAWS {
        let mut low = 0;
        for _ in 0..4_000 {
            let mut a: Vec<f64> = (0..40).map(|_| draw(&mut random)).collect();
            let mut b: Vec<f64> = (0..30).map(|_| draw(&mut random)).collect();
            low += u32::from(kolmogorov_smirnov(&mut a, &mut b).unwrap().p <= 0.05);
        }
        // 200 expected at most; five standard deviations are 69.
        assert!((60..=269).contains(&low), "{name}: {low}");
    }
}

#[test]
fn a_shift_of_half_a_spread_of_single_values_is_found_within_a_shift() {
    for (seed, (name, draw)) in (50..).zip(DRAWS) {
        let mut random = Seeded::new(seed);
        let mut m = Monitor::new(DriftOptions::default());
        for _ in 0..2_500 {
            assert_eq!(m.push(draw(&mut random)), None, "{name}");
        }
        assert!(!m.is_learning());
        let found = (1..=3_000).find(|_| m.push(draw(&mut random) + 1.0).is_some());
        assert!(found.is_some_and(|n| n <= 500), "{name}: {found:?}");
        assert!(m.push(0.0).is_none() && m.drift().is_some(), "told once, known until the restart");
        m.restart();
        assert!(m.drift().is_none() && m.is_learning());
    }
}

/// The mean stays, the spread doubles: only the test of samples sees that.
#[test]
fn a_change_of_shape_alone_is_found_by_the_test_of_samples() {
    let mut random = Seeded::new(4);
    let mut m = Monitor::new(DriftOptions::default());
    for _ in 0..2_500 {
        m.push(random.normal());
    }
    let found = (0..4_000).find_map(|i| m.push(if i % 2 == 0 { 4.0 } else { -4.0 } + 0.1 * random.normal()));
    assert_eq!(found, Some(Drift::Distribution));
}

#[test]
fn values_without_spread_alarm_when_they_change_and_not_before() {
    let mut m = Monitor::new(DriftOptions::default());
    assert!((0..6_000).all(|_| m.push(7.5).is_none()));
    assert!((0..100).any(|_| m.push(7.51).is_some()));
    let mut m = Monitor::new(DriftOptions::default());
    for x in [f64::NAN, f64::INFINITY, 1e308, -1e308, 1e308] {
        assert_eq!(m.push(x), None);
    }
}
