//! A records file to limits: what `aoi tolerance optimise` does, as a program.

use aoi::demo::line::{LineOptions, write_line};
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::{ReadOptions, read_records};
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use aoi_tolerance::simulate::Totals;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("records.csv");
    write_line(&mut std::fs::File::create(&path)?, &LineOptions::quick())?;

    // `()` is an observer that wants neither rejects nor progress.
    let records = read_records(&[path], &ReadOptions::default(), &mut ())?;
    let evidence: Vec<Evidence> = records.population.limits.iter().map(Limit::evidence).collect();
    let proposals = optimise(&evidence, &Options::default())?;
    let totals = Totals::of(&proposals);
    println!("{} limits, {} of them moved", proposals.len(), totals.moved);
    println!("false calls {} -> {}", totals.false_calls_before, totals.false_calls_after);
    println!("defects flagged {} of {}", totals.defects_after, totals.defects_before);
    assert!(totals.false_calls_after < totals.false_calls_before);
    assert_eq!(totals.defects_after, totals.defects_before);
    Ok(())
}
