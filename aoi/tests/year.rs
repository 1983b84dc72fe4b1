//! A simulated year over several seeds: what it saves, what escapes, and what the certificates promised.

use aoi::demo::year::{Year, YearOptions, live_through};

/// Seeds lived through; the promise is made at 95 %.
const SEEDS: u64 = 20;

#[test]
fn the_year_stays_inside_its_certificates_and_the_naive_loop_does_not() {
    let years: Vec<Year> = (1..=SEEDS)
        .map(|seed| live_through(&YearOptions { seed, ..YearOptions::default() }).unwrap())
        .collect();
    let kept = years.iter().filter(|y| y.kept_the_promise()).count();
    let sum = |f: fn(&Year) -> f64| years.iter().map(f).sum::<f64>();
    let (defects, certified) = (sum(|y| y.defects as f64), sum(|y| y.defects_certified as f64));
    let observed = sum(|y| y.escapes_certified as f64) / certified;
    let promised = sum(|y| y.promised) / certified;
    let saved = sum(Year::saved) / SEEDS as f64;
    let (live, naive) = (sum(|y| y.live.escapes as f64) / defects, sum(|y| y.naive.escapes as f64) / defects);
    println!(
        "{kept} of {SEEDS} seeds inside the certificate; escape rate {observed:.5} against {promised:.5} promised"
    );
    println!(
        "over the whole year: {live:.5} escape under limits kept current, {naive:.5} under the naive loop"
    );
    println!("false calls saved: {:.1} %", 100.0 * saved);
    assert!(kept as f64 >= 0.95 * SEEDS as f64, "{kept} of {SEEDS}");
    assert!(certified > 1_000.0, "too little was certified to say anything: {certified}");
    assert!(observed <= promised, "{observed} {promised}");
    // The naive loop holds itself to no certificate; it lets through many times what the promise allows.
    assert!(naive > 5.0 * promised, "{naive} {promised}");
    assert!(naive > 10.0 * live, "{naive} {live}");
    assert!(saved > 0.03, "{saved}");
    assert!(years.iter().all(|y| y.drift_found_after.is_some_and(|days| days <= 21)), "drift was missed");
    assert!(years.iter().all(|y| y.changes > 4));
}

#[test]
fn a_year_depends_on_its_seed_alone() {
    let options = YearOptions { per_day: 10, ..YearOptions::default() };
    assert_eq!(live_through(&options).unwrap(), live_through(&options).unwrap());
    assert_ne!(live_through(&options).unwrap(), live_through(&YearOptions { seed: 2, ..options }).unwrap());
}
