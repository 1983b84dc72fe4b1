//! Random histories: arrivals, late and changed verdicts, measurements repeated, approved withdrawals, limits applied, windows that slide, shards.

use std::num::NonZeroU64;

use aoi_tolerance::limit::{Boundary, Tolerance};
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::percentile::HyndmanFan;
use aoi_tolerance::recalibrate::{Fate, LiveOptions, Recalibrator, Window};
use aoi_tolerance::record::Verdict;
use aoi_tolerance::resolution::ResolutionRule;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::history::{History, Known, PARTS, live_options};

#[derive(Debug, Clone)]
enum Step {
    /// A measurement: part, tenths off the middle of the grid, verdict, whether it shows a named fault, time since the last.
    Arrive(usize, i32, Option<Verdict>, Option<u8>, i64),
    /// The same record again, word for word.
    Again(Index),
    /// Another verdict, on the row or alone.
    Judge(Index, Verdict, bool),
    /// Measured anew.
    Anew(Index, i32, Option<Verdict>),
    /// Every withdrawal that waits is approved.
    Approve,
    /// The proposal for one limit is applied, whatever it says.
    Apply(Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let verdicts = || {
        select(vec![
            None,
            Some(Verdict::FalseCall),
            Some(Verdict::FalseCall),
            Some(Verdict::FalseCall),
            Some(Verdict::Defect),
            Some(Verdict::Pass),
            Some(Verdict::Provisional),
            Some(Verdict::Borderline),
            Some(Verdict::Pending),
            Some(Verdict::Escape),
        ])
    };
    let step = prop_oneof![
        8 => (0..PARTS.len(), -60..30_i32, verdicts(), prop::option::weighted(0.3, 0..4_u8), 0..40_i64)
            .prop_map(|(p, t, v, d, dt)| Step::Arrive(p, t, v, d, dt)),
        1 => any::<Index>().prop_map(Step::Again),
        3 => (any::<Index>(), select(Verdict::ALL.to_vec()), any::<bool>()).prop_map(|(i, v, a)| Step::Judge(i, v, a)),
        1 => (any::<Index>(), -60..30_i32, verdicts()).prop_map(|(i, t, v)| Step::Anew(i, t, v)),
        1 => Just(Step::Approve),
        1 => any::<Index>().prop_map(Step::Apply),
    ];
    vec(step, 1..90)
}

fn windows() -> impl Strategy<Value = Window> {
    let n = |n| NonZeroU64::new(n).unwrap();
    select(vec![
        Window::All,
        Window::Count(n(1)),
        Window::Count(n(5)),
        Window::Count(n(20)),
        Window::Span(n(1)),
        Window::Span(n(150)),
        Window::Span(n(1_000)),
    ])
}

fn options() -> impl Strategy<Value = Options> {
    let policies = select(vec![Policy::Guarded, Policy::Paper, Policy::Certified { alpha: 0.5 }]);
    (
        policies,
        select(vec![0.0, 50.0, 80.0, 95.0, 100.0]),
        select(&HyndmanFan::ALL[..]),
        any::<[bool; 3]>(),
        0..3_u64,
    )
        .prop_map(|(policy, percentile, percentile_kind, [simultaneous, tolerant, auto], misses)| {
            Options {
                policy,
                percentile,
                percentile_kind,
                simultaneous,
                misses,
                min_false_calls: Some(2),
                max_pending_share: if tolerant { 1.0 } else { 0.1 },
                resolution: if auto { ResolutionRule::Auto } else { ResolutionRule::default() },
                ..Options::default()
            }
        })
}

fn value(part: usize, tenths: i32) -> f64 {
    let middle = [400, 400, -30][part];
    // Some of the two-sided part's values lie beyond its upper limit.
    let mirrored = if part == 1 && tenths % 3 == 0 { 600 - tenths } else { middle + tenths };
    f64::from(if part == 2 { middle - tenths } else { mirrored }) / 10.0
}

/// A line under test: the stream, and its history as plain lists.
struct Line {
    live: Recalibrator,
    history: History,
    in_force: [Tolerance; 3],
    names: u64,
    /// Verdicts that wait for approval, by place in the history.
    waiting: Vec<(usize, Verdict)>,
}

impl Line {
    fn new(options: LiveOptions) -> Self {
        let (live, history) = (Recalibrator::new(options), History::default());
        Self { live, history, in_force: PARTS, names: 0, waiting: Vec::new() }
    }

    fn step(&mut self, step: &Step, options: &Options) {
        match step {
            Step::Arrive(part, tenths, verdict, defect, wait) => {
                self.history.newest += wait;
                self.names += 1;
                let known = Known {
                    part: *part,
                    value: value(*part, *tenths),
                    in_force: self.in_force[*part],
                    verdict: *verdict,
                    defect: defect.map_or_else(String::new, |d| format!("D{d}")),
                    time: self.history.newest,
                    id: format!("r{}", self.names),
                    sequence: self.names,
                };
                let (_, fate) = self.live.push(&known.record(&part.to_string()), known.arrival());
                assert_eq!(fate, Fate::New);
                self.history.records.push(known);
            }
            Step::Again(at) => {
                let Some(known) = self.pick(*at) else { return };
                let known = self.history.records[known].clone();
                let (_, fate) = self.live.push(&known.record(&known.part.to_string()), known.arrival());
                let taken_back = known.verdict.is_some()
                    && self.waiting.iter().any(|(w, _)| self.history.records[*w].id == known.id);
                assert_eq!(fate, if taken_back { Fate::Corrected } else { Fate::Known });
                self.waiting
                    .retain(|(w, _)| self.history.records[*w].id != known.id || known.verdict.is_none());
            }
            Step::Judge(at, verdict, alone) => {
                let Some(at) = self.pick(*at) else { return };
                let known = &self.history.records[at];
                let said = Known { verdict: Some(*verdict), ..known.clone() };
                let part = known.part.to_string();
                if *alone {
                    if !self.live.judge(&known.id, None, *verdict) {
                        return; // a pass: its value is not kept, so the verdict alone says too little
                    }
                } else {
                    self.live.push(&said.record(&part), said.arrival());
                }
                self.hear(at, *verdict);
            }
            Step::Anew(at, tenths, verdict) => {
                let Some(at) = self.pick(*at) else { return };
                let known = self.history.records[at].clone();
                // A fault measured twice guards twice; that is a case of its own.
                if known.verdict.is_some_and(Verdict::is_fault) || !self.live_knows(at) {
                    return;
                }
                let said = Known {
                    value: value(known.part, *tenths),
                    verdict: *verdict,
                    in_force: self.in_force[known.part],
                    ..known.clone()
                };
                if said.value.to_bits() == known.value.to_bits() {
                    return;
                }
                let (_, fate) = self.live.push(&said.record(&said.part.to_string()), said.arrival());
                assert_eq!(fate, Fate::Corrected);
                self.history.records[at] = said;
            }
            Step::Approve => {
                let rows: Vec<u32> = self.live.withheld().map(|w| w.row).collect();
                assert_eq!(rows.len(), self.waiting.len());
                for row in rows {
                    assert!(self.live.withdraw(row));
                }
                for (at, verdict) in std::mem::take(&mut self.waiting) {
                    self.history.records[at].verdict = Some(verdict);
                }
            }
            Step::Apply(at) => {
                let limits: Vec<_> = self.live.limits().collect();
                if limits.is_empty() {
                    return;
                }
                let limit = limits[at.index(limits.len())];
                let proposal = self.live.propose_some(vec![limit], options).unwrap().remove(0).1;
                let part: usize = self.live.name(limit).key.part.parse().unwrap();
                self.live.apply(limit, proposal.new_limit);
                match limit.side {
                    aoi_tolerance::limit::Side::Lower => self.in_force[part].lower = Some(proposal.new_limit),
                    aoi_tolerance::limit::Side::Upper => self.in_force[part].upper = Some(proposal.new_limit),
                }
            }
        }
    }

    /// What the history makes of a verdict: a fault is only talked down by approval; the machine's own pass on a released value is no review,
    /// so it does not undo one.
    fn hear(&mut self, at: usize, verdict: Verdict) {
        let boundary = self.live.options().collect.boundary;
        let known = &mut self.history.records[at];
        let fault = known.verdict.is_some_and(Verdict::is_fault);
        if verdict == Verdict::Pass && !fault && known.is_released(boundary) {
            return;
        }
        self.waiting.retain(|(w, _)| *w != at);
        if fault && !verdict.is_fault() {
            self.waiting.push((at, verdict));
        } else {
            known.verdict = Some(verdict);
        }
    }

    fn pick(&self, at: Index) -> Option<usize> {
        (!self.history.records.is_empty()).then(|| at.index(self.history.records.len()))
    }

    /// Whether the stream keeps the record's value.
    fn live_knows(&self, at: usize) -> bool {
        let known = &self.history.records[at];
        let name = aoi_tolerance::record::Identity::of(&[&known.id]);
        let population = self.live.population();
        population
            .limits
            .iter()
            .any(|l| l.id.key.part == known.part.to_string() && l.rows.iter().any(|r| r.record == Some(name)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_stream_proposes_what_the_batch_does_after_every_event(
        steps in steps(), window in windows(), flagged in any::<bool>(), options in options(),
    ) {
        let boundary = if flagged { Boundary::Flagged } else { Boundary::Passes };
        let options = Options { boundary, ..options };
        let mut line = Line::new(live_options(window, boundary));
        for step in &steps {
            line.step(step, &options);
            line.history.assert_same(&line.live, &options);
        }
    }

    #[test]
    fn shards_of_a_stream_merge_into_the_whole(
        steps in steps(), window in windows(), options in options(), dealt in vec(0..3_usize, 90), order in any::<bool>(),
    ) {
        let live = live_options(window, Boundary::Passes);
        let mut line = Line::new(live);
        for step in &steps {
            line.step(step, &options);
        }
        // What is left in the end, dealt by record; limits were applied on every shard alike, so that they know what was in force.
        let mut shards = vec![Recalibrator::new(live); 3];
        for (i, known) in line.history.records.iter().enumerate() {
            let shard = &mut shards[dealt[i % dealt.len()]];
            let part = known.part.to_string();
            let first = Known { in_force: PARTS[known.part], verdict: Some(Verdict::Pass), id: String::new(), value: [50.0, 50.0, -9.0][known.part], ..known.clone() };
            shard.push(&first.record(&part), first.arrival());
            for limit in shard.limits().collect::<Vec<_>>() {
                if shard.name(limit).key.part == part {
                    let now = known.in_force.side(limit.side).unwrap();
                    shard.apply(limit, now);
                }
            }
            shard.push(&known.record(&part), known.arrival());
        }
        if order {
            shards.reverse();
        }
        let mut whole = shards.remove(0);
        for shard in shards {
            whole.merge(shard).unwrap();
        }
        line.history.assert_same(&whole, &options);
    }
}
