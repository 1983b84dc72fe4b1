//! One limit from plain numbers: the percentile, the guard, and what the defects prove.

use aoi_tolerance::Error;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::Side;
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::resolution::ResolutionRule;

fn main() -> Result<(), Error> {
    // Lead heights below 45 um are flagged; review found these 500 good, and these three bad.
    let mut evidence = Evidence::new(Side::Lower, 45.0);
    evidence.false_calls = (0..500).map(|i| 44.9 - 0.01 * f64::from(i)).collect();
    evidence.defects = vec![44.0, 31.5, 12.0];

    // The machine stores limits with one decimal: a limit must be rounded so that the worst defect stays flagged.
    let options = Options { resolution: ResolutionRule::Step("0.1".parse()?), ..Options::default() };
    let proposal = optimise_limit(&evidence, &options)?;
    println!("{} -> {}: {}", proposal.old_limit, proposal.new_limit, proposal.reason);
    println!("false calls {} -> {}", proposal.false_calls_before, proposal.false_calls_after);
    println!("defects flagged {} of {}", proposal.defects_after, proposal.defects_before);
    assert_eq!((proposal.new_limit, proposal.defects_after), (44.1, 3));

    // Three defects prove little, and a policy that asks for proof leaves the limit where it is.
    let certified = Options { policy: Policy::Certified { alpha: 0.01 }, ..options };
    let kept = optimise_limit(&evidence, &certified)?;
    println!("certified at 1 %: {} ({})", kept.new_limit, kept.reason);
    assert_eq!(kept.new_limit, 45.0);
    Ok(())
}
