//! How records become evidence: copies, versions, sides, what cannot be read, what was never flagged.

mod copies;
mod escapes;
mod intake;
mod unreadable;
mod versions;

use aoi_tolerance::collect::{CollectOptions, Collector};
use aoi_tolerance::limit::{Side, Tolerance};
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::{Limit, Population};
use aoi_tolerance::proposal::Proposal;
use aoi_tolerance::record::{Record, Source, Verdict};

const KEY: [&str; 6] = ["R0402", "A", "1", "solder", "height", "um"];

/// A record against a lower limit of 40.
fn record(value: f64, verdict: Verdict) -> Record<'static> {
    Record { key: KEY, value, tolerance: lower(40.0), verdict: Some(verdict), ..Record::default() }
}

fn lower(limit: f64) -> Tolerance {
    Tolerance { lower: Some(limit), upper: None }
}

fn both(lower: f64, upper: f64) -> Tolerance {
    Tolerance { lower: Some(lower), upper: Some(upper) }
}

/// Enough false calls just below 40, and a defect far below, for the limit to move.
fn sound() -> Vec<Record<'static>> {
    let calls = (1..=20).map(|i| record(40.0 - f64::from(i) / 10.0, Verdict::FalseCall));
    calls.chain([record(10.0, Verdict::Defect)]).collect()
}

fn population_with(options: CollectOptions, records: &[Record<'_>]) -> Population {
    let mut collector = Collector::new(options);
    for (line, record) in (1..).zip(records) {
        collector.push(&Record { source: Source { file: 0, line }, ..*record });
    }
    collector.finish()
}

fn population(records: &[Record<'_>]) -> Population {
    population_with(CollectOptions::default(), records)
}

fn propose(limit: &Limit) -> Proposal {
    optimise_limit(&limit.evidence(), &Options::default()).unwrap()
}

fn limit<'a>(population: &'a Population, feature: &str, side: Side) -> &'a Limit {
    let mut found = population.limits.iter().filter(|l| l.id.key.feature == feature && l.id.side == side);
    let limit = found.next().expect("there is such a limit");
    assert!(found.next().is_none(), "one only");
    limit
}
