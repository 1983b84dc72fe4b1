//! Why a percentile and not a mean: one wild reading drags a mean, and with it the limit.

use aoi_tolerance::Error;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::Side;
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::{Options, Policy};

fn main() -> Result<(), Error> {
    let options = Options { policy: Policy::Paper, ..Options::default() };
    let limits = |values: &[f64]| -> Result<(f64, f64), Error> {
        let mut evidence = Evidence::new(Side::Lower, 40.0);
        evidence.false_calls = values.to_vec();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Ok((mean, optimise_limit(&evidence, &options)?.new_limit))
    };
    let mut values: Vec<f64> = (0..40).map(|i| 39.9 - 0.1 * f64::from(i)).collect();
    let (mean, percentile) = limits(&values)?;
    values.push(-4000.0);
    let (dragged, held) = limits(&values)?;
    println!("              without   with one reading of -4000");
    println!("mean          {mean:>7.2}   {dragged:>7.2}");
    println!("percentile 80 {percentile:>7.2}   {held:>7.2}");
    assert!((percentile - held).abs() < 0.1 && (mean - dragged).abs() > 90.0);
    Ok(())
}
