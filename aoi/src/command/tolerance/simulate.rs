//! `aoi tolerance simulate`.

use std::path::PathBuf;

use aoi_tolerance::Error;
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::io::{SweepTable, write_whole};
use aoi_tolerance::population::Limit;
use aoi_tolerance::simulate::{Totals, simulate};
use clap::Args;
use serde_json::json;

use super::arguments::{LimitArguments, RecordArguments};
use super::summary::{grouped, percent};
use crate::command::interrupt;
use crate::command::outcome::{Failure, Outcome};

#[derive(Args)]
#[command(
    after_help = "Example:\n  aoi tolerance simulate records.csv --percentiles 50:100:1 --out sweep.csv"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    records: RecordArguments,
    /// Percentiles, as FROM:TO:STEP or a list 75,80,85
    #[arg(long, value_name = "RANGE", default_value = "50:100:1", value_parser = percentiles)]
    percentiles: Percentiles,
    /// Where the table of every limit at every percentile goes
    #[arg(long, value_name = "SWEEP.csv")]
    out: PathBuf,
    #[command(flatten)]
    limits: LimitArguments,
}

#[derive(Debug, Clone, PartialEq)]
struct Percentiles(Vec<f64>);

/// Reads `50:100:1` or `75,80,85`.
fn percentiles(text: &str) -> Result<Percentiles, String> {
    let expected = || format!("{text:?} is neither FROM:TO:STEP nor a list of numbers from 0 to 100");
    let number =
        |t: &str| t.trim().parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p)).ok_or_else(expected);
    let values = if let [from, to, step] = text.split(':').collect::<Vec<_>>()[..] {
        let (from, to, step) = (number(from)?, number(to)?, number(step)?);
        if step <= 0.0 || to < from {
            return Err(expected());
        }
        // Counted in millionths, so that 50:100:0.1 gives 50.3 and not 50.300000000000004.
        let unit = |p: f64| (p * 1e6).round();
        let mut steps = Vec::new();
        let mut at = unit(from);
        while at <= unit(to) {
            steps.push(at / 1e6);
            at += unit(step).max(1.0);
        }
        steps
    } else {
        text.split(',').map(number).collect::<Result<_, _>>()?
    };
    Ok(Percentiles(values))
}

pub(crate) fn run(arguments: &Arguments) -> Result<Outcome, Failure> {
    let first = arguments.percentiles.0.first().copied().unwrap_or_default();
    let options = arguments.limits.options(first, &arguments.records)?;
    let records = arguments.records.read(false)?;
    let limits = &records.population.limits;
    let evidence: Vec<Evidence> = limits.iter().map(Limit::evidence).collect();
    let mut totals: Vec<(f64, Totals)> = Vec::new();
    write_whole(&arguments.out, |out| {
        let mut table = SweepTable::new(out, limits)?;
        simulate(&evidence, &arguments.percentiles.0, &options, |what_if| {
            if interrupt::asked() {
                return Err(Error::Cancelled);
            }
            totals.push((what_if.percentile(), what_if.totals()));
            let path = arguments.out.clone();
            table
                .add(what_if.percentile(), &what_if.proposals()?)
                .map_err(|source| Error::Write { path, source })
        })
        .map_err(std::io::Error::other)
    })?;
    if arguments.records.json {
        let points: Vec<_> = totals
            .iter()
            .map(|(p, t)| {
                json!({"percentile": p, "false_calls_after": t.false_calls_after, "defects_after": t.defects_after, "moved": t.moved})
            })
            .collect();
        let before = totals.first().map(|(_, t)| *t).unwrap_or_default();
        let summary = json!({
            "limits": limits.len(),
            "false_calls_before": before.false_calls_before,
            "defects_before": before.defects_before,
            "percentiles": points,
        });
        println!("{summary}");
        return Ok(Outcome::Done);
    }
    println!("percentile  false calls  reduction  defects flagged  limits moved");
    for (percentile, t) in totals {
        let defects = format!("{} of {}", grouped(t.defects_after), grouped(t.defects_before));
        println!(
            "{percentile:>10}  {:>11}  {:>9}  {defects:>15}  {:>12}",
            grouped(t.false_calls_after),
            percent(t.reduction()),
            grouped(t.moved)
        );
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_lists_are_read_without_drift() {
        assert_eq!(percentiles("50:52:1").unwrap().0, [50.0, 51.0, 52.0]);
        assert_eq!(percentiles("80").unwrap().0, [80.0]);
        assert_eq!(percentiles("75, 80").unwrap().0, [75.0, 80.0]);
        let tenths = percentiles("50:100:0.1").unwrap().0;
        assert_eq!((tenths.len(), tenths[3], tenths[500]), (501, 50.3, 100.0));
        for text in ["", "50:40:1", "50:60:0", "50:60:-1", "a:b:c", "101", "50:60", "nan"] {
            assert!(percentiles(text).is_err(), "{text}");
        }
    }
}
