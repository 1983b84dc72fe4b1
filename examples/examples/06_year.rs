//! A year of a line: limits kept current, beside a loop that takes the 80th percentile of its own flags every week.

use aoi::demo::year::{YearOptions, live_through};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("seed  false calls at T0   live  naive   escapes: promised  live  naive   drift found after");
    for seed in 1..=3 {
        let year = live_through(&YearOptions { seed, ..YearOptions::default() })?;
        println!(
            "{seed:>4}  {:>17}  {:>5}  {:>5}  {:>17.1}  {:>4}  {:>5}   {}",
            year.false_calls_at_t0,
            year.live.false_calls,
            year.naive.false_calls,
            year.promised,
            year.escapes_certified,
            year.naive.escapes,
            year.drift_found_after.map_or_else(|| "never".to_owned(), |days| format!("{days} days")),
        );
        assert!(year.naive.escapes > 10 * year.live.escapes.max(1));
    }
    Ok(())
}
