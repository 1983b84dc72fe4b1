//! A history of a line as plain lists, and what a batch makes of it.

use std::collections::BTreeMap;

use aoi_tolerance::collect::{CollectOptions, Collector};
use aoi_tolerance::limit::{Boundary, Side, Tolerance, is_flagged};
use aoi_tolerance::optimise::optimise;
use aoi_tolerance::options::Options;
use aoi_tolerance::population::Limit;
use aoi_tolerance::proposal::Proposal;
use aoi_tolerance::recalibrate::{Arrival, LiveOptions, Recalibrator, Window};
use aoi_tolerance::record::{Record, Verdict};

/// T0 of each of the parts.
pub(crate) const PARTS: [Tolerance; 3] = [
    Tolerance { lower: Some(40.0), upper: None },
    Tolerance { lower: Some(40.0), upper: Some(60.0) },
    Tolerance { lower: None, upper: Some(-3.0) },
];

/// One record, and what was last said of it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) part: usize,
    pub(crate) value: f64,
    pub(crate) in_force: Tolerance,
    pub(crate) verdict: Option<Verdict>,
    pub(crate) defect: String,
    pub(crate) time: i64,
    pub(crate) id: String,
    pub(crate) sequence: u64,
}

impl Known {
    pub(crate) fn record<'a>(&'a self, part: &'a str) -> Record<'a> {
        Record {
            key: [part, "m", "", "solder", "height", "um"],
            value: self.value,
            tolerance: self.in_force,
            verdict: self.verdict,
            defect_id: &self.defect,
            record_id: &self.id,
            time: Some(self.time),
            ..Record::default()
        }
    }

    pub(crate) fn arrival(&self) -> Arrival {
        Arrival { sequence: self.sequence, received: self.time }
    }

    fn side(&self, boundary: Boundary) -> Option<Side> {
        let sides = [(Side::Lower, PARTS[self.part].lower), (Side::Upper, PARTS[self.part].upper)];
        let hit =
            sides.into_iter().find(|(side, l)| l.is_some_and(|l| is_flagged(self.value, l, *side, boundary)));
        hit.map(|(side, _)| side)
    }

    /// Whether T0 flags the value and the limits in force did not.
    pub(crate) fn is_released(&self, boundary: Boundary) -> bool {
        self.side(boundary).is_some()
            && [(Side::Lower, self.in_force.lower), (Side::Upper, self.in_force.upper)]
                .iter()
                .all(|(side, l)| l.is_none_or(|l| !is_flagged(self.value, l, *side, boundary)))
    }

    /// What it counts as under T0: a released value that nobody reviewed is presumed a false call.
    fn counted(&self, boundary: Boundary) -> Option<Verdict> {
        match self.verdict {
            None | Some(Verdict::Pass) if self.is_released(boundary) => Some(Verdict::FalseCall),
            other => other,
        }
    }
}

/// Everything that came, one entry for each record.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    pub(crate) records: Vec<Known>,
    pub(crate) newest: i64,
}

impl History {
    /// The records that count: false calls and passes as the window says, all others.
    fn counting(&self, live: LiveOptions) -> Vec<Known> {
        let boundary = live.collect.boundary;
        let mut false_calls: BTreeMap<(usize, bool), Vec<u64>> = BTreeMap::new();
        for r in &self.records {
            if let (Some(side), Some(Verdict::FalseCall)) = (r.side(boundary), r.counted(boundary)) {
                false_calls.entry((r.part, side == Side::Upper)).or_default().push(r.sequence);
            }
        }
        for sequences in false_calls.values_mut() {
            sequences.sort_unstable();
        }
        self.records
            .iter()
            .filter(|r| {
                let verdict = r.counted(boundary);
                let side = r.side(boundary);
                let ages = match verdict {
                    Some(Verdict::FalseCall | Verdict::Pass) => true,
                    None => side.is_none(),
                    _ => false,
                };
                match live.window {
                    Window::Count(most) if verdict == Some(Verdict::FalseCall) => side.is_none_or(|side| {
                        let all = &false_calls[&(r.part, side == Side::Upper)];
                        let newer = all.iter().filter(|s| **s > r.sequence).count() as u64;
                        newer < most.get()
                    }),
                    Window::Span(span) if ages => {
                        let step = i64::try_from(span.get().div_ceil(64)).unwrap();
                        let far = self.newest.saturating_sub_unsigned(span.get()).div_euclid(step);
                        r.time.div_euclid(step) >= far
                    }
                    _ => true,
                }
            })
            .cloned()
            .collect()
    }

    /// What a batch over the records that count proposes, by part and side; and its limits.
    pub(crate) fn batch(
        &self,
        live: LiveOptions,
        options: &Options,
    ) -> Vec<((String, Side), Proposal, Limit)> {
        let mut collector = Collector::new(live.collect);
        for r in self.counting(live) {
            let part = r.part.to_string();
            let counted = Known { in_force: PARTS[r.part], verdict: r.counted(live.collect.boundary), ..r };
            collector.push(&counted.record(&part));
        }
        let limits = collector.finish().limits;
        let evidence: Vec<_> = limits.iter().map(Limit::evidence).collect();
        let proposals = optimise(&evidence, options).unwrap();
        let named = limits.into_iter().zip(proposals);
        named.map(|(l, p)| ((l.id.key.part.clone(), l.id.side), p, l)).collect()
    }

    /// Asserts that the stream proposes what the batch does, and nothing on limits that the batch has no record of.
    pub(crate) fn assert_same(&self, live: &Recalibrator, options: &Options) {
        let streamed = live.propose(options).unwrap();
        let mut of_stream: BTreeMap<(String, Side), Proposal> = BTreeMap::new();
        for (limit, proposal) in streamed {
            let name = live.name(limit);
            assert!(of_stream.insert((name.key.part, name.side), proposal).is_none(), "one version each");
        }
        let population = live.population();
        let mut compared = 0;
        for (name, proposal, limit) in self.batch(live.options(), options) {
            let mine = of_stream.remove(&name).unwrap_or_else(|| panic!("{name:?} is missing"));
            assert_eq!(bits(&mine), bits(&proposal), "{name:?}");
            assert_eq!(mine, proposal, "{name:?}");
            let found = population.limits.iter().find(|l| l.id.key.part == name.0 && l.id.side == name.1);
            assert_eq!(values(found.unwrap()), values(&limit), "{name:?}");
            compared += 1;
        }
        for (name, proposal) in of_stream {
            let defects = proposal.defects_before + proposal.defects_unflagged;
            assert_eq!((proposal.false_calls_before, defects), (0, 0), "{name:?} has no record");
            compared += 1;
        }
        assert_eq!(compared, live.limits().count());
    }
}

/// The numbers of a proposal as bits: equality of f64 takes 0.0 for -0.0.
fn bits(p: &Proposal) -> [u64; 3] {
    [p.new_limit, p.old_limit, p.nearest_defect.unwrap_or(f64::INFINITY)].map(f64::to_bits)
}

/// The values of a limit's rows by verdict.
fn values(limit: &Limit) -> Vec<(Verdict, u64)> {
    let mut values: Vec<_> = limit.rows.iter().map(|r| (r.verdict, r.value.to_bits())).collect();
    values.sort_unstable();
    values
}

pub(crate) fn live_options(window: Window, boundary: Boundary) -> LiveOptions {
    LiveOptions { collect: CollectOptions { boundary, ..CollectOptions::default() }, window }
}
