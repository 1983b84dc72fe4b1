//! Every limit at several percentiles: worked out limit by limit, while its values are near, and read percentile by percentile.

use crate::candidate::Candidate;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::limit::Boundary;
use crate::movement::{Movement, Terms};
use crate::options::Options;
use crate::order::Sorter;
use crate::sample::Sample;
use crate::simulate::Totals;
use crate::threads::map_each;

/// A limit before any percentile.
pub(crate) type Prepared<'e> = Candidate<Sample<'e>>;

/// All limits, moved to some percentiles.
#[derive(Debug)]
pub(crate) struct Sweep<'e> {
    /// One for each thread that works them out, in the order of the limits.
    parts: Vec<Part<'e>>,
    /// How many percentiles the limits were moved to last.
    percentiles: usize,
}

/// Some limits.
#[derive(Debug)]
struct Part<'e> {
    evidence: &'e [Evidence],
    /// As many as have been visited: what does not depend on the percentile is worked out on the first visit, while a limit's values are near.
    candidates: Vec<Prepared<'e>>,
    /// The false calls of the limit that is being moved, in order.
    values: Vec<f64>,
    sorter: Sorter,
    /// By limit, then by percentile: written in one piece while a limit's values are near.
    movements: Vec<Movement>,
}

impl<'e> Sweep<'e> {
    /// Nothing is looked at yet.
    pub(crate) fn new(evidence: &'e [Evidence], threads: usize) -> Self {
        let chunks = evidence.chunks(evidence.len().div_ceil(threads).max(1));
        Self { parts: chunks.map(Part::new).collect(), percentiles: 0 }
    }

    /// Moves every limit to each of `percentiles`.
    ///
    /// # Errors
    /// As [`crate::optimise::optimise`].
    pub(crate) fn go_to(&mut self, percentiles: &[f64], options: &Options) -> Result<(), Error> {
        self.percentiles = percentiles.len();
        map_each(&mut self.parts, |part| part.go_to(percentiles, options)).into_iter().collect()
    }

    /// The limits and where they go at percentile `at` of those given to [`Sweep::go_to`].
    pub(crate) fn at(&self, at: usize) -> impl Iterator<Item = (&Prepared<'e>, &Movement)> {
        let each = self.percentiles.max(1);
        self.parts
            .iter()
            .flat_map(move |part| part.candidates.iter().zip(part.movements.iter().skip(at).step_by(each)))
    }

    /// What the limits that move decide for each other, at each percentile; they are counted only where that matters.
    ///
    /// # Errors
    /// When a certificate cannot be computed.
    pub(crate) fn terms(&self, options: &Options) -> Result<Vec<Terms>, Error> {
        let mut moved = vec![0; self.percentiles];
        let parts = self.parts.iter().filter(|_| options.simultaneous);
        for movements in parts.flat_map(|part| part.movements.chunks(self.percentiles.max(1))) {
            for (moved, movement) in moved.iter_mut().zip(movements) {
                *moved += usize::from(movement.moves());
            }
        }
        moved.into_iter().map(|moved| Terms::of(moved, options)).collect()
    }

    /// Sums over the limits at each percentile, on these terms.
    pub(crate) fn totals(&mut self, terms: &[Terms]) -> Vec<Totals> {
        let parts = map_each(&mut self.parts, |part| part.totals(terms));
        let mut totals = vec![Totals::default(); terms.len()];
        for part in parts {
            totals.iter_mut().zip(part).for_each(|(total, part)| *total += part);
        }
        totals
    }
}

impl<'e> Part<'e> {
    fn new(evidence: &'e [Evidence]) -> Self {
        Self {
            evidence,
            candidates: Vec::new(),
            values: Vec::new(),
            sorter: Sorter::default(),
            movements: Vec::new(),
        }
    }

    fn go_to(&mut self, percentiles: &[f64], options: &Options) -> Result<(), Error> {
        self.movements.clear();
        self.movements.reserve(self.evidence.len() * percentiles.len());
        let values = &mut self.values;
        for (at, evidence) in self.evidence.iter().enumerate() {
            if at == self.candidates.len() {
                self.candidates.push(Candidate::new(evidence, options)?);
            }
            let candidate = &self.candidates[at];
            if let Some(cause) = candidate.standing(options) {
                let stay = candidate.stay(cause);
                self.movements.extend(percentiles.iter().map(|_| stay));
                continue;
            }
            values.clear();
            values.extend(evidence.false_calls.iter().map(|&value| evidence.side.mirror(value)));
            self.sorter.sort(values);
            let mut last: Option<Movement> = None;
            for &percentile in percentiles {
                let place = options.percentile_kind.place(values.len(), percentile)?;
                let (limit, cause) = candidate.aim(place.value(|index| values[index]), options);
                // A limit that stays where it was at the percentile before flags what it did there.
                let same = last.filter(|last| last.limit.to_bits() == limit.to_bits());
                let flagged = |limit| flagged_near(values, limit, options.boundary, place.above());
                let movement = same.map_or_else(
                    || candidate.moved(limit, cause, flagged, options),
                    |last| Movement { cause, ..last },
                );
                self.movements.push(movement);
                last = Some(movement);
            }
        }
        Ok(())
    }

    /// In the order in which movements are written, which is several times as fast as by percentile.
    fn totals(&self, terms: &[Terms]) -> Vec<Totals> {
        let mut totals = vec![Totals::default(); terms.len()];
        for (candidate, movements) in self.candidates.iter().zip(self.movements.chunks(terms.len().max(1))) {
            let (false_calls, defects) = candidate.flagged_before();
            for ((total, movement), terms) in totals.iter_mut().zip(movements).zip(terms) {
                let movement = candidate.certified(*movement, *terms);
                total.false_calls_before += false_calls;
                total.false_calls_after += movement.false_calls_after;
                total.defects_before += defects;
                total.defects_after += movement.defects_after;
                total.moved += u64::from(movement.moves());
            }
        }
        totals
    }
}

/// How many of some values in order a lower limit flags, looked for from rank `near` on, in steps that double.
fn flagged_near(sorted: &[f64], limit: f64, boundary: Boundary, near: usize) -> u64 {
    let flags = |value: f64| boundary.flags_below(value, limit);
    // All before `from` are flagged; `to` is the end, or not flagged.
    let (mut from, mut to, mut step) = (near, near, 1);
    if sorted.get(near).is_some_and(|&value| flags(value)) {
        while to < sorted.len() && flags(sorted[to]) {
            from = to + 1;
            to = (to + step).min(sorted.len());
            step *= 2;
        }
    } else {
        while from > 0 && !flags(sorted[from - 1]) {
            to = from - 1;
            from = from.saturating_sub(step);
            step *= 2;
        }
    }
    (from + sorted[from..to].partition_point(|&value| flags(value))) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::{samples, sort};

    #[test]
    fn a_count_is_that_of_looking_at_every_value_wherever_it_is_looked_for() {
        let mut counted = 0;
        for n in [1, 2, 3, 50, 300] {
            for mut sample in samples(n) {
                sort(&mut sample);
                let near = sample.iter().step_by(1 + n / 9).flat_map(|v| [v.next_down(), *v, v.next_up()]);
                for limit in near.chain([0.0, -0.0, 1e300, -1e300]) {
                    for boundary in [Boundary::Passes, Boundary::Flagged] {
                        let flagged =
                            sample.iter().filter(|v| boundary.flags_below(**v, limit)).count() as u64;
                        for rank in [0, 1, n / 3, n / 2, n - 1] {
                            assert_eq!(flagged_near(&sample, limit, boundary, rank), flagged, "{limit}");
                            counted += 1;
                        }
                    }
                }
            }
        }
        assert!(counted > 5_000, "{counted}");
    }
}
