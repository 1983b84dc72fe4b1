//! `aoi tolerance inspect`.

use aoi_tolerance::io::{Records, digest_of};
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use aoi_tolerance::quality::{Quality, QualityOptions, assess};
use aoi_tolerance::record::Verdict;
use clap::Args;
use serde_json::json;

use super::arguments::RecordArguments;
use super::summary::{grouped, print_rejected, rejected, verdict_rows, warnings};
use crate::command::outcome::{Failure, Outcome};

#[derive(Args)]
#[command(after_help = "Example:\n  aoi tolerance inspect records.csv --map site.toml --rejects rejects.csv")]
pub(crate) struct Arguments {
    #[command(flatten)]
    records: RecordArguments,
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let records = arguments.records.read(true)?;
    let options = Options { boundary: arguments.records.boundary(), ..Options::default() };
    let labels = assess(&records.population, &QualityOptions::default(), &options)?;
    if arguments.records.json {
        print_json(&records, &labels);
    } else {
        print_text(&records);
        for finding in labels.findings(&records.population) {
            println!("labels         {finding}");
        }
    }
    Ok(Outcome::Done)
}

fn keys(records: &Records) -> usize {
    let mut keys: Vec<_> = records.population.limits.iter().map(|l| &l.id.key).collect();
    keys.dedup();
    keys.len()
}

fn print_json(records: &Records, labels: &Quality) {
    let counts = &records.population.counts;
    let inputs: Vec<_> = records
        .inputs
        .iter()
        .map(|i| json!({"path": i.path, "sha256": i.sha256, "bytes": i.bytes, "rows": i.rows}))
        .collect();
    let verdicts: Vec<_> = verdict_rows(records)
        .into_iter()
        .map(|(word, verdict, n)| json!({"word": word, "verdict": verdict, "rows": n}))
        .collect();
    let summary = json!({
        "inputs": inputs,
        "input_sha256": digest_of(&records.inputs),
        "rows": records.rows(),
        "verdict_words": verdicts,
        "has_values": records.has_values,
        "has_verdicts": records.has_verdicts,
        "measured": counts.records,
        "outside": counts.flagged,
        "inside": counts.inside,
        "not_measured": records.not_measured,
        "keys": keys(records),
        "limits": records.population.limits.len(),
        "escapes": records.population.escapes.len(),
        "rejected": rejected(records),
        "labels": {
            "suspicious_defects": labels.defects.len(),
            "suspicious_false_calls": labels.false_calls.len(),
            "bulk_boards": labels.bulk.len(),
            "conflicts": labels.conflicts,
            "pending": labels.pending,
            "reviews": labels.agreement.reviews,
            "effectiveness": labels.agreement.effectiveness(),
            "miss_rate": labels.agreement.miss_rate(),
            "false_alarm_rate": labels.agreement.false_alarm_rate(),
            "findings": labels.findings(&records.population),
        },
        "warnings": warnings(records),
    });
    println!("{summary}");
}

fn print_text(records: &Records) {
    for input in &records.inputs {
        let (path, rows) = (input.path.display(), grouped(input.rows));
        println!("{path}: {rows} rows, {} bytes, sha256 {}", grouped(input.bytes), input.sha256);
    }
    if records.has_verdicts {
        println!("\nverdicts");
        for (word, verdict, n) in verdict_rows(records) {
            println!("{:>14}  {verdict:<12} {word}", grouped(n));
        }
    } else {
        println!("\nverdicts       none: there is no verdict column");
    }
    println!();
    if records.has_values {
        print_measured(records);
    } else {
        println!(
            "values         none: there is no value column, so no limits can be computed from these files"
        );
    }
    print_rejected(records);
    for warning in warnings(records) {
        println!("warning        {warning}");
    }
}

fn print_measured(records: &Records) {
    let population = &records.population;
    let counts = &population.counts;
    println!(
        "values         {} measured, {} outside their limits",
        grouped(counts.records),
        grouped(counts.flagged)
    );
    if records.not_measured > 0 {
        println!("               {} cells empty (not measured)", grouped(records.not_measured));
    }
    let sides = population.limits.len() as u64;
    println!("limits         {} on {} measured quantities", grouped(sides), grouped(keys(records) as u64));
    let rows = |verdict: Verdict| -> u64 {
        let of = |l: &Limit| l.rows.iter().filter(|r| r.verdict == verdict).count() as u64;
        population.limits.iter().map(of).sum()
    };
    for verdict in Verdict::ALL.into_iter().filter(|v| *v != Verdict::Pass) {
        println!("  flagged      {} {verdict}", grouped(rows(verdict)));
    }
    println!(
        "escapes        {} defect measurements that no limit in force flags",
        grouped(population.escapes.len() as u64)
    );
}
