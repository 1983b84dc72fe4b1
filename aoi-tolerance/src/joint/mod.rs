//! Limits chosen together: a fault that several features show needs only one of them to keep flagging it.
//!
//! One by one, every limit must flag every known defect it flagged before. Together, the limits on one fault may share the duty: one
//! holds it and the others go as far as their percentile. The choice releases as many distinct false-called part instances as it can; an
//! instance (one part on one board) is released when no limit flags it any longer.
//!
//! **Law.** Every fault that some limit flagged is flagged by some limit afterwards; no limit moves below its percentile `T_P` or past T0;
//! and no limit flags more than under [`crate::optimise::optimise`], so that at least as many instances are released. Rows of one fault
//! are those of one `defect_id`; a row without one is a fault of its own (a shared place on a board is no proof that two rows
//! show one fault). Borderline and provisional values hold the limit that flagged them, as ever, and so does a defect on the limits that
//! stay where they are: what such a limit flags, no other need hold.
//!
//! **What is exact.** The choice is a weighted hitting set. Groups of limits that share no fault and no instance are independent; each is
//! solved by branch and bound, exactly where the search ends within its allowance. [`Joint::at_most`] bounds the optimum from above:
//! where it equals [`Joint::released`] the choice is the best there is.
//!
//! **No certificate.** The order-statistic bound of [`crate::certificate`] needs a limit that its own defects alone decide. Here the
//! values of other features decide as well, and no bound is claimed for a limit that moves.

pub(crate) mod cover;

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::certificate::{Certificate, EscapeBound};
use crate::collect::Row;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::limit::is_flagged;
use crate::optimise::{Candidate, prepare_sorted, propose_all};
use crate::options::{Options, Policy};
use crate::population::{Limit, Population};
use crate::proposal::Proposal;
use crate::record::{Identity, Source, Verdict};
use crate::sample::Sample;
use cover::{Cover, Level, SEARCH_NODES};

/// Limits chosen together.
#[derive(Debug, Clone, PartialEq)]
pub struct Joint {
    /// One proposal per limit of the population, in its order.
    pub proposals: Vec<Proposal>,
    /// One entry per flagged row of a confirmed fault: by limit, then as the limit's rows stand.
    pub held: Vec<Held>,
    /// Part instances that were flagged and only ever found good.
    pub instances: u64,
    /// Of these, released by the joint limits.
    pub released: u64,
    /// Of these, released by the limits that [`crate::optimise::optimise`] gives.
    pub released_one_by_one: u64,
    /// No choice of limits under the law releases more than this.
    pub at_most: u64,
}

impl Joint {
    /// Whether no other choice under the law releases more.
    pub fn is_optimal(&self) -> bool {
        self.released == self.at_most
    }
}

/// What became of one flagged row of a fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Held {
    /// Place of its limit in the population.
    pub limit: usize,
    /// The measured value.
    pub value: f64,
    /// Where the row was read.
    pub source: Source,
    /// Whether its limit still flags it.
    pub flagged: bool,
    /// Place of the limit that holds the fault: the first, by key, of those that still flag it.
    pub held_by: usize,
}

/// Chooses the limits of a population together; see the module's page.
///
/// # Errors
/// As [`crate::optimise::optimise`]; also for a policy other than [`Policy::Guarded`], and for misses: neither is proven for this mode.
///
/// # Examples
/// ```
/// use aoi_tolerance::{collect::Collector, joint::optimise_joint, limit::Tolerance, options::Options, record::{Record, Verdict}};
/// let mut collector = Collector::default();
/// for i in 0..20 {
///     for feature in ["height", "width"] {
///         let key = ["R0402", "", "", "solder", feature, "um"];
///         let record = Record { key, tolerance: Tolerance { lower: Some(40.0), upper: None }, ..Record::default() };
///         // Twenty false calls on each feature; one fault that lies far out in width, and barely in height.
///         collector.push(&Record { value: 39.9 - 0.1 * f64::from(i), verdict: Some(Verdict::FalseCall), ..record });
///         if i == 0 {
///             let value = if feature == "height" { 39.85 } else { 12.0 };
///             collector.push(&Record { value, verdict: Some(Verdict::Defect), defect_id: "D1", ..record });
///         }
///     }
/// }
/// let joint = optimise_joint(&collector.finish(), &Options::default())?;
/// assert!(joint.is_optimal());
/// assert_eq!((joint.released_one_by_one, joint.released), (5, 8));
/// assert!(joint.held.iter().all(|row| row.held_by == 1));
/// # Ok::<(), aoi_tolerance::Error>(())
/// ```
pub fn optimise_joint(population: &Population, options: &Options) -> Result<Joint, Error> {
    let refused = |option, got: String, expected| Err(Error::Option { option, got, expected });
    if options.policy != Policy::Guarded {
        return refused(
            "policy",
            format!("{:?}", options.policy),
            "guarded, the one policy with joint limits",
        );
    }
    if options.misses != 0 {
        return refused("misses", options.misses.to_string(), "0 with joint limits");
    }
    let limits = &population.limits;
    let evidence: Vec<Evidence> = limits.iter().map(Limit::evidence).collect();
    let candidates = prepare_sorted(&evidence, options)?;
    let one_by_one = propose_all(&candidates, options.percentile, options)?;
    let faults = Faults::of(limits);
    let question = Question::new(limits, &candidates, &faults, options)?;
    let choice = question.cover.solve(SEARCH_NODES);
    let proposals = candidates
        .iter()
        .enumerate()
        .map(|(at, candidate)| {
            let target = question.thresholds[at].get(choice.levels[at]).copied();
            Ok(without_certificate(candidate.proposal_at(target, options)?, options))
        })
        .collect::<Result<Vec<_>, Error>>()?;
    let held = faults.held(limits, &proposals, options);
    let instances = instances(limits);
    Ok(Joint {
        released: released(limits, &instances, &proposals, options),
        released_one_by_one: released(limits, &instances, &one_by_one, options),
        instances: instances.len() as u64,
        at_most: choice.at_most,
        proposals,
        held,
    })
}

/// A moved limit proves nothing here; one that stays adds no escapes.
fn without_certificate(proposal: Proposal, options: &Options) -> Proposal {
    if !proposal.moves() {
        return proposal;
    }
    let none = Certificate {
        defects: 0,
        misses: 0,
        bound: EscapeBound::NoEvidence,
        confidence: 1.0 - options.delta,
        pooled: None,
    };
    Proposal { certificate: none, ..proposal }
}

/// The confirmed faults: each with the limits that flagged it, and its value there that is hardest to hold.
struct Faults {
    /// Per fault: place of a limit -> its rows, as places in the limit.
    rows: Vec<BTreeMap<usize, Vec<usize>>>,
}

impl Faults {
    fn of(limits: &[Limit]) -> Self {
        let mut named: HashMap<Identity, usize> = HashMap::new();
        let mut rows: Vec<BTreeMap<usize, Vec<usize>>> = Vec::new();
        for (at, limit) in limits.iter().enumerate() {
            for (place, row) in limit.rows.iter().enumerate().filter(|(_, r)| r.verdict.is_fault()) {
                let new = rows.len();
                let fault = match row.defect.filter(|_| row.defect_named) {
                    Some(name) => *named.entry(name).or_insert(new),
                    None => new,
                };
                if fault == new {
                    rows.push(BTreeMap::new());
                }
                rows[fault].entry(at).or_default().push(place);
            }
        }
        Self { rows }
    }

    /// Each row with the limit that holds its fault.
    fn held(&self, limits: &[Limit], proposals: &[Proposal], options: &Options) -> Vec<Held> {
        let mut held = Vec::new();
        for fault in &self.rows {
            let rows: Vec<Held> = fault
                .iter()
                .flat_map(|(&at, places)| places.iter().map(move |&place| (at, limits[at].rows[place])))
                .map(|(limit, row)| Held {
                    limit,
                    value: row.value,
                    source: row.source,
                    flagged: is_flagged(
                        row.value,
                        proposals[limit].new_limit,
                        limits[limit].id.side,
                        options.boundary,
                    ),
                    held_by: usize::MAX,
                })
                .collect();
            let holder = rows.iter().find(|row| row.flagged).map_or(usize::MAX, |row| row.limit);
            held.extend(rows.into_iter().map(|row| Held { held_by: holder, ..row }));
        }
        held.sort_by(|a, b| {
            a.limit.cmp(&b.limit).then(a.source.cmp(&b.source)).then(a.value.total_cmp(&b.value))
        });
        held
    }
}

/// The choice in whole numbers, and what its levels mean.
struct Question {
    cover: Cover,
    /// Per limit, ascending: the threshold of each level in the mirrored frame; empty for a limit that stays at T0 whatever is chosen.
    thresholds: Vec<Vec<f64>>,
}

impl Question {
    fn new(
        limits: &[Limit],
        candidates: &[Candidate<Sample<'_>>],
        faults: &Faults,
        options: &Options,
    ) -> Result<Self, Error> {
        let mut floors = Vec::with_capacity(limits.len());
        for candidate in candidates {
            floors.push(candidate.floor(options)?);
        }
        let mirrored = |at: usize, row: &Row| limits[at].id.side.mirror(row.value);
        // What it takes each limit to hold each fault: one of its rows suffices, the easiest.
        let needs: Vec<Vec<(usize, f64)>> = faults
            .rows
            .iter()
            .map(|fault| {
                let least = |(&at, places): (&usize, &Vec<usize>)| {
                    let values = places.iter().map(|&place| mirrored(at, &limits[at].rows[place]));
                    let level = values.map(|v| candidates[at].holding(v, options)).min_by(f64::total_cmp);
                    level.map(|level| (at, level))
                };
                fault.iter().filter_map(least).collect()
            })
            .collect();
        // A fault on one limit alone, and not on any that stays, lifts that limit's floor.
        for need in &needs {
            if let [(at, level)] = need[..] {
                floors[at] = floors[at].map(|floor| floor.max(level));
            }
        }
        let is_held = |&(at, level): &(usize, f64)| floors[at].is_none_or(|floor| floor >= level);
        let open: Vec<&Vec<(usize, f64)>> = needs.iter().filter(|need| !need.iter().any(is_held)).collect();
        let mut thresholds: Vec<Vec<f64>> = floors.iter().map(|f| f.iter().copied().collect()).collect();
        for &&(at, level) in &open.iter().flat_map(|need| need.iter()).collect::<Vec<_>>() {
            thresholds[at].push(level);
        }
        for levels in &mut thresholds {
            levels.sort_by(f64::total_cmp);
            levels.dedup();
        }
        let level_of = |at: usize, threshold: f64| thresholds[at].partition_point(|t| *t < threshold);
        let faults = open
            .iter()
            .map(|need| need.iter().map(|&(limit, t)| Level { limit, level: level_of(limit, t) }).collect())
            .collect();
        let mut instances_left = Vec::new();
        for rows in instances(limits) {
            let mut levels: BTreeMap<usize, usize> = BTreeMap::new();
            let mut is_stuck = false;
            for &(at, place) in &rows {
                let value = mirrored(at, &limits[at].rows[place]);
                let flagged = |t: &f64| options.boundary.flags_below(value, *t);
                match thresholds[at].iter().position(flagged) {
                    _ if thresholds[at].is_empty() => is_stuck = true,
                    Some(0) => is_stuck = true,
                    Some(level) => {
                        let least = levels.entry(at).or_insert(level);
                        *least = level.min(*least);
                    }
                    None => {}
                }
            }
            if !is_stuck {
                let level = |(limit, level)| Level { limit, level };
                instances_left.push(levels.into_iter().map(level).collect());
            }
        }
        let heights = thresholds.iter().map(|t| t.len().saturating_sub(1)).collect();
        Ok(Self { cover: Cover { heights, faults, instances: instances_left }, thresholds })
    }
}

/// Rows of the part instances that were flagged and only ever found good, as places of limits and of rows in them.
fn instances(limits: &[Limit]) -> Vec<Vec<(usize, usize)>> {
    let mut named: HashMap<Identity, usize> = HashMap::new();
    let mut rows: Vec<Vec<(usize, usize)>> = Vec::new();
    let mut faulty: HashSet<Identity> = HashSet::new();
    for (at, limit) in limits.iter().enumerate() {
        for (place, row) in limit.rows.iter().enumerate() {
            if row.verdict != Verdict::FalseCall {
                faulty.extend(row.defect);
                continue;
            }
            let new = rows.len();
            let instance = row.defect.map_or(new, |name| *named.entry(name).or_insert(new));
            if instance == new {
                rows.push(Vec::new());
            }
            rows[instance].push((at, place));
        }
    }
    rows.retain(|rows| {
        let (at, place) = rows[0];
        limits[at].rows[place].defect.is_none_or(|name| !faulty.contains(&name))
    });
    rows
}

/// How many instances no limit flags under the proposals.
fn released(
    limits: &[Limit],
    instances: &[Vec<(usize, usize)>],
    proposals: &[Proposal],
    options: &Options,
) -> u64 {
    let flagged = |&(at, place): &(usize, usize)| {
        let (limit, row) = (&limits[at], &limits[at].rows[place]);
        is_flagged(row.value, proposals[at].new_limit, limit.id.side, options.boundary)
    };
    instances.iter().filter(|rows| !rows.iter().any(flagged)).count() as u64
}
