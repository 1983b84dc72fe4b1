//! "Optimise alone": limits from flagged values that are already in memory, timed inside the process.

use std::time::Instant;

use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::percentile::sort_sample;
use aoi_tolerance::proposal::Proposal;
use aoi_tolerance::simulate::{Totals, simulate};
use serde::Serialize;

use crate::error::Error;
use crate::flagged::Flagged;

/// Seconds of one round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Seconds {
    /// Flat columns into one piece of evidence per limit.
    pub group: f64,
    /// Evidence to proposals.
    pub optimise: f64,
    /// Evidence to every limit, what it flags, and their sums, at percentiles 0, 1, .. 100; and the proposals at one of them.
    pub simulate_101: f64,
    /// A copy of every limit's false calls put in order: the part of the sweep that finding one percentile, by selection, goes without.
    pub order: f64,
}

/// One round and its proposals.
#[derive(Debug)]
pub struct Round {
    /// How long each part took.
    pub seconds: Seconds,
    /// The limits of the optimisation.
    pub proposals: Vec<Proposal>,
}

/// Groups, optimises and simulates once; the sweep must repeat the optimisation where it passes the same percentile, and its sums at every
/// twenty-fifth.
///
/// # Errors
/// When the limits cannot be computed, or the sweep and the optimisation differ.
pub fn round(columns: &Flagged, options: &Options) -> Result<Round, Error> {
    let start = Instant::now();
    let evidence = columns.evidence();
    let group = start.elapsed().as_secs_f64();

    let start = Instant::now();
    let proposals = optimise(&evidence, options)?;
    let optimised = start.elapsed().as_secs_f64();

    let percentiles: Vec<f64> = (0..=100).map(f64::from).collect();
    let (mut same, mut totals) = (None, Vec::new());
    let start = Instant::now();
    simulate(&evidence, &percentiles, options, |what_if| {
        totals.push(what_if.totals());
        if what_if.percentile() == options.percentile {
            same = Some(what_if.proposals()?);
        }
        Ok(())
    })?;
    let simulate_101 = start.elapsed().as_secs_f64();
    if same.as_ref() != Some(&proposals) {
        return Err(Error::Answer {
            what: format!("the sweep at {}", options.percentile),
            expected: "the proposals of the optimisation".to_owned(),
            got: "others".to_owned(),
        });
    }
    for (&percentile, &found) in percentiles.iter().zip(&totals).step_by(25) {
        let there = Totals::of(&optimise(&evidence, &Options { percentile, ..options.clone() })?);
        if found != there {
            return Err(Error::Answer {
                what: format!("the sums of the sweep at {percentile}"),
                expected: format!("{there:?}"),
                got: format!("{found:?}"),
            });
        }
    }
    let start = Instant::now();
    order(&evidence, options.threads)?;
    let order = start.elapsed().as_secs_f64();
    Ok(Round { seconds: Seconds { group, optimise: optimised, simulate_101, order }, proposals })
}

/// Sorts each limit's false calls, and checks that they are sorted where that costs nothing: at the ends.
fn order(evidence: &[Evidence], threads: usize) -> Result<(), Error> {
    let sorted = |limit: &Evidence| {
        let mut values = limit.false_calls.clone();
        sort_sample(&mut values).is_ok() && values.first() <= values.last()
    };
    let chunk = evidence.len().div_ceil(threads.max(1)).max(1);
    let all = std::thread::scope(|scope| {
        let parts: Vec<_> =
            evidence.chunks(chunk).map(|part| scope.spawn(move || part.iter().all(sorted))).collect();
        parts.into_iter().all(|part| part.join().unwrap_or(false))
    });
    if all {
        return Ok(());
    }
    let (expected, got) = ("finite values in order".to_owned(), "others".to_owned());
    Err(Error::Answer { what: "a limit's false calls".to_owned(), expected, got })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flagged::FlaggedOptions;

    #[test]
    fn a_round_gives_a_proposal_per_limit_and_moves_some() {
        let columns = Flagged::draw(&FlaggedOptions { values: 20_000, limits: 40, seed: 2 });
        let round = round(&columns, &Options::default()).unwrap();
        assert_eq!(round.proposals.len(), 40);
        assert!(round.proposals.iter().filter(|p| p.moves()).count() > 20);
    }

    #[test]
    fn a_sweep_that_misses_the_percentile_is_refused() {
        let columns = Flagged::draw(&FlaggedOptions { values: 2_000, limits: 4, seed: 2 });
        let options = Options { percentile: 80.5, ..Options::default() };
        assert!(matches!(round(&columns, &options), Err(Error::Answer { .. })));
    }
}
