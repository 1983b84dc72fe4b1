//! `aoi demo`: the whole job on generated data.

use std::path::PathBuf;

use aoi::demo::line::{LineOptions, write_line};
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::{
    LimitForm, LimitsTable, ReadOptions, SweepTable, digest_of, held_csv, read_records, validation_csv,
    write_whole,
};
use aoi_tolerance::joint::optimise_joint;
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use aoi_tolerance::simulate::simulate;
use aoi_tolerance::validate::{Split, recall, validate};
use clap::Args;

use super::outcome::{Failure, Outcome};
use super::progress::Watcher;
use super::tolerance::optimise::{created, report};
use super::tolerance::{print_joint, print_optimised};

#[derive(Args)]
#[command(after_help = "Examples:\n  aoi demo\n  aoi demo --out /tmp/line --quick\n  aoi demo --features 3")]
pub(crate) struct Arguments {
    /// Folder for everything the demo writes
    #[arg(long, value_name = "DIR", default_value = "aoi-demo")]
    out: PathBuf,
    /// A line a tenth as large
    #[arg(long)]
    quick: bool,
    /// Features measured on each part, 1 to 5; with more than one the limits are chosen together
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    features: u8,
    /// Seed of the generated line
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Time to state in the report, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    report_time: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let folder = &arguments.out;
    std::fs::create_dir_all(folder)
        .map_err(|e| Failure::Other(format!("{}: cannot be made: {e}", folder.display())))?;
    let path = |name: &str| folder.join(name);
    let line = if arguments.quick { LineOptions::quick() } else { LineOptions::default() };
    let line = LineOptions { seed: arguments.seed, features: arguments.features.into(), ..line };

    println!("A generated line: {} parts, their reviewed flags of half a year.", line.parts);
    write_whole(&path("records.csv"), |out| write_line(out, &line))?;

    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let options = Options { threads, ..Options::default() };
    let mut watcher = Watcher::new(Some(&path("rejects.csv")))?;
    let reading = ReadOptions { threads, ..ReadOptions::default() };
    let records = read_records(&[path("records.csv")], &reading, &mut watcher)?;
    watcher.finish()?;
    let limits = &records.population.limits;
    let evidence: Vec<Evidence> = limits.iter().map(Limit::evidence).collect();
    let joint =
        if arguments.features > 1 { Some(optimise_joint(&records.population, &options)?) } else { None };
    let proposals = match &joint {
        Some(joint) => joint.proposals.clone(),
        None => optimise(&evidence, &options)?,
    };
    let digest = digest_of(&records.inputs);
    let table = LimitsTable {
        limits,
        proposals: &proposals,
        options: &options,
        input_sha256: &digest,
        form: LimitForm::Absolute,
    };
    write_whole(&path("limits.csv"), |out| table.csv(out))?;
    if let Some(joint) = &joint {
        write_whole(&path("held.csv"), |out| held_csv(out, joint, limits, &[path("records.csv")]))?;
    }
    let percentiles: Vec<f64> = (50..=100).map(f64::from).collect();
    write_whole(&path("sweep.csv"), |out| {
        let mut table = SweepTable::new(out, limits)?;
        let mut failed = Ok(());
        simulate(&evidence, &percentiles, &options, |what_if| {
            if failed.is_ok() {
                failed = table.add(&what_if);
            }
            Ok(())
        })
        .map_err(std::io::Error::other)?;
        failed
    })?;
    let validation = validate(&records.population, Split::Paper, arguments.seed, &options)?;
    write_whole(&path("validation.csv"), |out| validation_csv(out, &validation))?;
    report(&path("report.html"), &records, &proposals, &options, created(arguments.report_time.as_deref())?)?;

    println!("New limits at percentile {}, policy guarded:\n", options.percentile);
    print_optimised(&records, &proposals);
    if let Some(joint) = &joint {
        print_joint(joint);
    }
    let (held_back, flagged) = validation.totals();
    if let Some((recall, lower)) = recall(flagged, held_back, options.delta)? {
        println!(
            "held back    {flagged} of {held_back} defects flagged by limits computed without them (recall {recall:.4}, at least {lower:.4} with 95 % confidence)"
        );
    }
    println!("\nWritten to {}:", folder.display());
    let held = joint.is_some().then_some(("held.csv", "which limit holds each known defect"));
    let written = [
        ("report.html", "the report: open it in a browser, print it to PDF"),
        ("limits.csv", "the new limits"),
        ("sweep.csv", "what every percentile from 50 to 100 would do"),
        ("validation.csv", "what was held back and found"),
        ("rejects.csv", "rows not used, with the reason"),
        ("records.csv", "the generated records: try aoi tolerance on them"),
    ];
    for (name, what) in written.into_iter().chain(held) {
        println!("  {name:<15} {what}");
    }
    Ok(Outcome::Done)
}
