//! `aoi tolerance validate`.

use std::path::PathBuf;

use aoi_tolerance::io::{validation_csv, write_whole};
use aoi_tolerance::validate::{Split, recall, validate};
use clap::Args;
use serde_json::json;

use super::arguments::{LimitArguments, RecordArguments};
use super::summary::grouped;
use crate::command::outcome::{Failure, Outcome};

#[derive(Args)]
#[command(
    after_help = "Examples:\n  aoi tolerance validate records.csv --split paper --seed 7 --out validation.csv\n  \
    aoi tolerance validate records.csv --split kfold:5 --out validation.csv"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    records: RecordArguments,
    /// How defects are held back: paper (30 % of the five parts with most defects), kfold:K (by board), loo (one at a time) or
    /// time:SHARE (boards after the first SHARE of them)
    #[arg(long, value_name = "SPLIT", default_value = "paper")]
    split: Split,
    /// Seed of what chance decides
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the table of recalls goes
    #[arg(long, value_name = "VALIDATION.csv")]
    out: PathBuf,
    /// Percentile of the false calls
    #[arg(long, value_name = "P", default_value_t = 80.0)]
    percentile: f64,
    #[command(flatten)]
    limits: LimitArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let options = arguments.limits.options(arguments.percentile, &arguments.records)?;
    let records = arguments.records.read(false)?;
    let validation = validate(&records.population, arguments.split, arguments.seed, &options)?;
    write_whole(&arguments.out, |out| validation_csv(out, &validation))?;
    let (held_back, flagged) = validation.totals();
    let bound = recall(flagged, held_back, options.delta)?;
    if arguments.records.json {
        let summary = json!({
            "limits": validation.limits.len(),
            "defects_validation": held_back,
            "flagged": flagged,
            "missed": held_back - flagged,
            "recall": bound.map(|b| b.0),
            "recall_lower_bound": bound.map(|b| b.1),
            "confidence": validation.confidence,
        });
        println!("{summary}");
        return Ok(Outcome::Done);
    }
    println!("limits       {}", grouped(validation.limits.len() as u64));
    match bound {
        None => println!("held back    no defect: nothing was validated"),
        Some((recall, lower)) => {
            println!(
                "held back    {} defects, {} flagged, {} missed",
                grouped(held_back),
                grouped(flagged),
                grouped(held_back - flagged)
            );
            println!(
                "recall       {recall:.4}, at least {lower:.4} with {} % confidence",
                100.0 * validation.confidence
            );
        }
    }
    if let Some((before, after)) = validation.held_back_false_calls {
        println!("false calls  {} of {} on held-back boards stay flagged", grouped(after), grouped(before));
    }
    Ok(Outcome::Done)
}
