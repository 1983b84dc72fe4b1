//! The review history of a line: records, limits, what-if, validation, report.

use std::path::Path;

use aoi::demo::line::{LineOptions, write_line};
use aoi_tolerance::io::{SweepTable, held_csv, validation_csv, write_whole};
use aoi_tolerance::joint::optimise_joint;
use aoi_tolerance::simulate::simulate;
use aoi_tolerance::validate::{Split, recall, validate};

use super::{Limited, limit};
use crate::command::outcome::Failure;
use crate::command::tolerance::{print_joint, print_optimised};

/// Makes the line in `folder` and works on it.
///
/// With several features to a part the limits are also chosen together.
pub(super) fn run(
    folder: &Path,
    quick: bool,
    seed: u64,
    features: usize,
    created: &str,
) -> Result<(), Failure> {
    let path = |name: &str| folder.join(name);
    let line = if quick { LineOptions::quick() } else { LineOptions::default() };
    let line = LineOptions { seed, features, ..line };

    println!("A generated line: {} parts, their reviewed flags of half a year.", line.parts);
    write_whole(&path("records.csv"), |out| write_line(out, &line))?;
    let Limited { records, evidence, proposals, options } = limit(folder, created)?;
    let percentiles: Vec<f64> = (50..=100).map(f64::from).collect();
    write_whole(&path("sweep.csv"), |out| {
        let mut table = SweepTable::new(out, &records.population.limits)?;
        let mut failed = Ok(());
        simulate(&evidence, &percentiles, &options, |what_if| {
            if failed.is_ok() {
                failed = table.add(what_if.percentile(), &what_if.proposals()?);
            }
            Ok(())
        })
        .map_err(std::io::Error::other)?;
        failed
    })?;
    let validation = validate(&records.population, Split::Paper, seed, &options)?;
    write_whole(&path("validation.csv"), |out| validation_csv(out, &validation))?;

    println!("New limits at percentile {}, policy guarded:\n", options.percentile);
    print_optimised(&records, &proposals);
    let (held_back, flagged) = validation.totals();
    if let Some((recall, lower)) = recall(flagged, held_back, options.delta)? {
        println!(
            "held back    {flagged} of {held_back} defects flagged by limits computed without them (recall {recall:.4}, at least {lower:.4} with 95 % confidence)"
        );
    }
    let mut written = Vec::new();
    if features > 1 {
        let joint = optimise_joint(&records.population, &options)?;
        let limits = &records.population.limits;
        write_whole(&path("held.csv"), |out| held_csv(out, &joint, limits, &[path("records.csv")]))?;
        println!("\nThe limits chosen together, which needs one flag a defect and not all of them:\n");
        print_joint(&joint);
        written.push(("held.csv", "which limit holds each known defect, the limits chosen together"));
    }
    println!("\nWritten to {}:", folder.display());
    written.extend([
        ("report.html", "the report: open it in a browser, print it to PDF"),
        ("limits.csv", "the new limits"),
        ("sweep.csv", "what every percentile from 50 to 100 would do"),
        ("validation.csv", "what was held back and found"),
        ("rejects.csv", "rows not used, with the reason"),
        ("records.csv", "the generated records: try aoi tolerance on them"),
    ]);
    for (name, what) in written {
        println!("  {name:<15} {what}");
    }
    Ok(())
}
