//! `aoi demo`: the whole job on generated data.

mod bonds;
mod line;

use std::path::{Path, PathBuf};

use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::{LimitForm, LimitsTable, ReadOptions, Records, digest_of, read_records, write_whole};
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use aoi_tolerance::proposal::Proposal;
use clap::Args;

use super::outcome::{Failure, Outcome};
use super::progress::Watcher;
use super::threads::one_per_core;
use super::tolerance::optimise::{created, report};

#[derive(Args)]
#[command(after_help = "Examples:\n  aoi demo\n  aoi demo --out /tmp/line --quick\n  aoi demo --features 3")]
pub(crate) struct Arguments {
    /// Folder for everything the demo writes
    #[arg(long, value_name = "DIR", default_value = "aoi-demo")]
    out: PathBuf,
    /// A line a tenth as large, fewer pictures, and coarse pixel patches instead of the encoder
    #[arg(long)]
    quick: bool,
    /// Features measured on each part of the line, 1 to 5; with several, limits are also chosen together
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    features: u8,
    /// Seed of the generated line and pictures
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Time to state in the reports, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    report_time: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let folder = &arguments.out;
    std::fs::create_dir_all(folder)
        .map_err(|e| Failure::Other(format!("{}: cannot be made: {e}", folder.display())))?;
    let time = created(arguments.report_time.as_deref())?;
    line::run(folder, arguments.quick, arguments.seed, arguments.features.into(), &time)?;
    println!();
    bonds::run(&folder.join("bonds"), arguments.quick, arguments.seed, &time)?;
    Ok(Outcome::Done)
}

/// Records, and the limits proposed for them.
struct Limited {
    records: Records,
    evidence: Vec<Evidence>,
    proposals: Vec<Proposal>,
    options: Options,
}

/// Reads `records.csv` of a folder and writes `limits.csv`, `report.html` and `rejects.csv` beside it.
fn limit(folder: &Path, created: &str) -> Result<Limited, Failure> {
    let path = |name: &str| folder.join(name);
    let threads = one_per_core();
    let options = Options { threads, ..Options::default() };
    let mut watcher = Watcher::new(Some(&path("rejects.csv")))?;
    let reading = ReadOptions { threads, ..ReadOptions::default() };
    let records = read_records(&[path("records.csv")], &reading, &mut watcher)?;
    watcher.finish()?;
    let evidence: Vec<Evidence> = records.population.limits.iter().map(Limit::evidence).collect();
    let proposals = optimise(&evidence, &options)?;
    let digest = digest_of(&records.inputs);
    let table = LimitsTable {
        limits: &records.population.limits,
        proposals: &proposals,
        options: &options,
        input_sha256: &digest,
        form: LimitForm::Absolute,
    };
    write_whole(&path("limits.csv"), |out| table.csv(out))?;
    report(&path("report.html"), &records, &proposals, &options, created.to_owned())?;
    Ok(Limited { records, evidence, proposals, options })
}
