//! Limits from aggregates: what an engine says of each limit's values, instead of the values.
//!
//! A limit needs few of its values: the two false calls that the percentile lies between, and the defects nearest to it; and for what it would
//! flag, how many values lie below a place. An engine gives these as [`Known`] values, each with the number of values before it and up to it. Where
//! they decide a question, the answer is that of the whole list, bit for bit; where they do not, the limit stays
//! ([`Reason::NotInAggregates`]).

mod partial;

use crate::candidate::Candidate;
use crate::error::Error;
use crate::evidence::{Facts, Ordered};
use crate::limit::{Boundary, Side};
use crate::optimise::propose_all;
use crate::options::Options;
use crate::proposal::{Proposal, Reason};
use crate::resolution::{Resolution, ResolutionRule};

use partial::Partial;

/// One value of an ascending list of which only the count and a few values are known, in the frame of a lower limit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// The value, in the unit of the measurement.
    pub value: f64,
    /// How many values of the list lie before it, the list beginning with those farthest beyond the limit.
    pub before: u64,
    /// How many lie before it or are equal to it.
    pub through: u64,
}

/// What is known of one limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The side that it bounds.
    pub side: Side,
    /// The limit in force, T0.
    pub limit: f64,
    /// How many false calls it flagged.
    pub false_calls: u64,
    /// What is known of them.
    pub known: Vec<Known>,
    /// How many confirmed defects it flagged.
    pub defects: u64,
    /// Those nearest to the limit, the nearest first.
    pub nearest_defects: Vec<f64>,
    /// How many borderline and provisional values hold it.
    pub provisional: u64,
    /// The nearest of them.
    pub nearest_provisional: Option<f64>,
    /// Escapes that it, moved, would have caught.
    pub escapes: u64,
    /// The one farthest inside.
    pub nearest_escape: Option<f64>,
    /// Confirmed defects measured by it that it did not flag.
    pub defects_unflagged: u64,
    /// Flagged values without a usable verdict.
    pub pending: u64,
    /// Defect rows that could not be read.
    pub unreadable_defects: u64,
    /// Repeatability of the measurement.
    pub sigma: Option<f64>,
    /// Step in which the machine stores the limit.
    pub resolution: Option<Resolution>,
    /// The records disagree about it.
    pub resolution_conflict: bool,
}

impl Aggregate {
    /// What contradicts itself, if anything does: the numbers may have been written by hand.
    pub fn contradiction(&self, boundary: Boundary) -> Option<String> {
        let limit = self.side.mirror(self.limit);
        let flagged = |v: f64| v.is_finite() && boundary.flags_below(self.side.mirror(v), limit);
        if !limit.is_finite() {
            return Some(format!("the limit {} is not a finite number", self.limit));
        }
        let values = self.known.iter().map(|k| k.value).chain(self.nearest_defects.iter().copied());
        if let Some(value) = values.chain(self.nearest_provisional).find(|&v| !flagged(v)) {
            return Some(format!("{value} is not flagged by the {} limit {}", self.side, self.limit));
        }
        let known = self.ascending();
        let rises = |pair: &[Known]| pair[0].value < pair[1].value && pair[0].through <= pair[1].before;
        let counted = |k: &Known| k.before < k.through && k.through <= self.false_calls;
        if !known.windows(2).all(rises) || !known.iter().all(counted) {
            return Some("the counts beside the false calls contradict each other".to_owned());
        }
        let defects: Vec<f64> = self.nearest_defects.iter().map(|&d| self.side.mirror(d)).collect();
        let listed = defects.len() as u64;
        if !defects.is_sorted_by(|a, b| a >= b)
            || listed > self.defects
            || (listed == 0) != (self.defects == 0)
        {
            return Some(format!(
                "{listed} nearest defects, nearest first, do not fit {} defects",
                self.defects
            ));
        }
        let both = [
            ("provisional", self.provisional, self.nearest_provisional),
            ("escapes", self.escapes, self.nearest_escape),
        ];
        let misfit = both.into_iter().find(|(_, n, value)| (*n == 0) != value.is_none_or(|v| !v.is_finite()));
        misfit.map(|(name, n, _)| format!("{name} is {n}, which does not fit its nearest value"))
    }

    /// The known false calls, mirrored, each once, in order.
    fn ascending(&self) -> Vec<Known> {
        let mirrored = |k: &Known| Known { value: self.side.mirror(k.value), ..*k };
        let mut known: Vec<Known> = self.known.iter().map(mirrored).collect();
        known.sort_by(|a, b| {
            a.value.total_cmp(&b.value).then((a.before, a.through).cmp(&(b.before, b.through)))
        });
        known.dedup();
        known
    }

    /// What is known of the defects: each place from the nearest on.
    fn defect_places(&self) -> Vec<Known> {
        let mut places: Vec<Known> = Vec::new();
        for (&value, through) in self.nearest_defects.iter().zip((0..=self.defects).rev()) {
            let (value, before) = (self.side.mirror(value), through.saturating_sub(1));
            match places.last_mut() {
                Some(last) if last.value == value => last.before = before,
                _ => places.push(Known { value, before, through }),
            }
        }
        places.reverse();
        places
    }

    fn facts(&self) -> Facts {
        Facts {
            side: self.side,
            flagged: self.false_calls + self.defects + self.provisional + self.pending,
            pending: self.pending,
            escapes: self.escapes,
            defects_unflagged: self.defects_unflagged,
            unreadable_defects: self.unreadable_defects,
            sigma: self.sigma,
            resolution: self.resolution,
            resolution_conflict: self.resolution_conflict,
        }
    }
}

/// Proposes a limit from each aggregate, in the same order; where it moves, it is what [`optimise`](crate::optimise::optimise) proposes from the
/// values.
///
/// # Errors
/// When an option is out of range or asks for all values (`ResolutionRule::Auto`), or an aggregate contradicts itself.
///
/// # Examples
/// ```
/// use aoi_tolerance::{aggregate::{Aggregate, Known, optimise_aggregates}, limit::Side, options::Options};
/// let aggregate = Aggregate {
///     side: Side::Lower,
///     limit: 45.0,
///     false_calls: 101,
///     known: vec![Known { value: 43.0, before: 80, through: 81 }, Known { value: 43.5, before: 81, through: 82 }],
///     defects: 3,
///     nearest_defects: vec![41.0],
///     provisional: 0, nearest_provisional: None, escapes: 0, nearest_escape: None, defects_unflagged: 0, pending: 0,
///     unreadable_defects: 0, sigma: None, resolution: None, resolution_conflict: false,
/// };
/// let proposal = &optimise_aggregates(&[aggregate], &Options::default())?[0];
/// assert_eq!((proposal.new_limit, proposal.false_calls_after), (43.0, 80));
/// # Ok::<(), aoi_tolerance::Error>(())
/// ```
pub fn optimise_aggregates(aggregates: &[Aggregate], options: &Options) -> Result<Vec<Proposal>, Error> {
    options.check()?;
    if options.resolution == ResolutionRule::Auto {
        let expected = "a step: the grid of the data takes the data, not their aggregates";
        return Err(Error::Option { option: "resolution", got: "auto".into(), expected });
    }
    let mut candidates = Vec::with_capacity(aggregates.len());
    for aggregate in aggregates {
        let mut candidate = prepare(aggregate, options)?;
        let movement = candidate.movement(options.percentile, options)?;
        candidate.nearest_defect(&movement);
        let ordered = &candidate.ordered;
        if ordered.false_calls.was_asked_too_much() || ordered.defects.was_asked_too_much() {
            candidate.keep(Reason::NotInAggregates);
        }
        candidates.push(candidate);
    }
    // What a limit that stays says of itself: every false call and every defect is flagged, and the nearest defect is known.
    propose_all(&candidates, options.percentile, options)
}

fn prepare(aggregate: &Aggregate, options: &Options) -> Result<Candidate<Partial>, Error> {
    if let Some(contradiction) = aggregate.contradiction(options.boundary) {
        return Err(Error::Aggregate { reason: contradiction });
    }
    let mirror = |value: f64| aggregate.side.mirror(value);
    let ordered = Ordered {
        baseline: mirror(aggregate.limit),
        false_calls: Partial::new(aggregate.false_calls, aggregate.ascending()),
        defects: Partial::new(aggregate.defects, aggregate.defect_places()),
        provisional: aggregate.nearest_provisional.map(mirror),
        escape: aggregate.nearest_escape.map(mirror),
    };
    Candidate::of(ordered, &aggregate.facts(), || None, options)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Evidence;
    use crate::limit::is_flagged;
    use crate::margin::Margin;
    use crate::optimise::optimise_limit;
    use crate::options::Policy;
    use crate::proposal::Decision;
    use aoi_testing::Seeded;

    /// What an engine would say of the evidence, with every `every`-th distinct false call known.
    fn aggregate(evidence: &Evidence, every: usize, listed: usize) -> Aggregate {
        let side = evidence.side;
        let mirrored = |values: &[f64]| {
            let mut all: Vec<f64> = values.iter().map(|&v| side.mirror(v)).collect();
            all.sort_by(f64::total_cmp);
            all
        };
        let calls = mirrored(&evidence.false_calls);
        let mut distinct = calls.clone();
        distinct.dedup();
        let count = |keep: &dyn Fn(f64) -> bool| calls.iter().filter(|&&v| keep(v)).count() as u64;
        let known = |&value: &f64| Known {
            value: side.mirror(value),
            before: count(&|v| v < value),
            through: count(&|v| v <= value),
        };
        let defects = mirrored(&evidence.defects);
        let largest = |values: &[f64]| mirrored(values).last().map(|&v| side.mirror(v));
        Aggregate {
            side,
            limit: evidence.limit,
            false_calls: calls.len() as u64,
            known: distinct.iter().step_by(every).map(known).collect(),
            defects: defects.len() as u64,
            nearest_defects: defects.iter().rev().take(listed).map(|&v| side.mirror(v)).collect(),
            provisional: evidence.provisional.len() as u64,
            nearest_provisional: largest(&evidence.provisional),
            escapes: evidence.escapes.len() as u64,
            nearest_escape: largest(&evidence.escapes),
            defects_unflagged: evidence.defects_unflagged,
            pending: evidence.pending,
            unreadable_defects: evidence.unreadable_defects,
            sigma: evidence.sigma,
            resolution: evidence.resolution,
            resolution_conflict: evidence.resolution_conflict,
        }
    }

    fn evidence(random: &mut Seeded, boundary: Boundary) -> Evidence {
        let side = [Side::Lower, Side::Upper][random.below(2)];
        let mut e = Evidence::new(side, side.mirror(40.0));
        let mut draw = |n: usize| -> Vec<f64> {
            let value = |random: &mut Seeded| 39.9 - random.below(60) as f64 / 10.0;
            let values: Vec<f64> = (0..random.below(n)).map(|_| side.mirror(value(random))).collect();
            assert!(values.iter().all(|&v| is_flagged(v, e.limit, side, boundary)));
            values
        };
        (e.false_calls, e.defects, e.provisional) = (draw(80), draw(12), draw(2));
        e.sigma = [None, Some(0.05)][random.below(2)];
        e.resolution = [None, Some("0.1"), Some("0.25")][random.below(3)].map(|s| s.parse().unwrap());
        e.pending = u64::from(random.below(20) == 0);
        if random.below(20) == 0 {
            e.escapes = vec![side.mirror(41.0)];
        }
        e
    }

    fn options(random: &mut Seeded) -> Options {
        let policies = [Policy::Paper, Policy::Guarded, Policy::Certified { alpha: 0.5 }];
        Options {
            policy: policies[random.below(3)],
            percentile: random.below(101) as f64,
            margin: [Margin::Gauge, Margin::Absolute(0.3)][random.below(2)],
            misses: [0, 0, 2][random.below(3)],
            boundary: [Boundary::Passes, Boundary::Flagged][random.below(2)],
            min_false_calls: Some(1),
            ..Options::default()
        }
    }

    #[test]
    fn with_every_value_known_the_proposal_is_that_of_the_values() {
        let mut random = Seeded::new(3);
        let mut moved = 0;
        for _ in 0..3_000 {
            let options = options(&mut random);
            let evidence = evidence(&mut random, options.boundary);
            let expected = optimise_limit(&evidence, &options).unwrap();
            let known = aggregate(&evidence, 1, usize::MAX);
            assert_eq!(
                optimise_aggregates(&[known], &options).unwrap(),
                std::slice::from_ref(&expected),
                "{evidence:?} {options:?}"
            );
            moved += u32::from(expected.moves());
        }
        assert!(moved > 800, "{moved}");
    }

    #[test]
    fn with_few_values_known_the_proposal_is_that_of_the_values_or_the_limit_stays() {
        let mut random = Seeded::new(4);
        let (mut same, mut stayed) = (0, 0);
        for _ in 0..6_000 {
            let options = options(&mut random);
            let evidence = evidence(&mut random, options.boundary);
            let expected = optimise_limit(&evidence, &options).unwrap();
            let known = aggregate(&evidence, 1 + random.below(4), 1 + random.below(4));
            let [p] = &optimise_aggregates(&[known], &options).unwrap()[..] else { panic!("one for one") };
            if p.reason == Reason::NotInAggregates {
                assert_eq!((p.decision, p.new_limit), (Decision::Kept, p.old_limit));
                assert_eq!((p.false_calls_after, p.defects_after), (p.false_calls_before, p.defects_before));
                stayed += 1;
            } else {
                assert_eq!(*p, expected);
                same += u32::from(p.moves());
            }
        }
        assert!(same > 500 && stayed > 500, "{same} {stayed}");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let mut e = Evidence::new(Side::Lower, 40.0);
        e.false_calls = (0..20).map(|i| 39.0 - f64::from(i)).collect();
        e.defects = vec![10.0, 12.0];
        e.provisional = vec![9.0];
        let sound = aggregate(&e, 3, 2);
        assert!(optimise_aggregates(std::slice::from_ref(&sound), &Options::default()).is_ok());
        let wrong: [fn(&mut Aggregate); 9] = [
            |a| a.limit = f64::NAN,
            |a| a.known[0].value = 41.0,
            |a| a.known[1].through = a.known[1].before,
            |a| a.known[0].through = 9,
            |a| a.false_calls = 3,
            |a| a.nearest_defects.reverse(),
            |a| a.defects = 1,
            |a| a.nearest_defects.clear(),
            |a| a.nearest_provisional = None,
        ];
        for (i, spoil) in wrong.into_iter().enumerate() {
            let mut spoiled = sound.clone();
            spoil(&mut spoiled);
            let error = optimise_aggregates(&[spoiled], &Options::default());
            assert!(matches!(error, Err(Error::Aggregate { .. })), "{i}: {error:?}");
        }
        let auto = Options { resolution: ResolutionRule::Auto, ..Options::default() };
        assert!(optimise_aggregates(&[sound], &auto).is_err());
    }
}
