//! A year of a line, with what a year brings, under limits kept current; and the same year under a loop that ratchets.
//!
//! The parts share a lower limit T0 = 40. Good parts scatter above it and reach a little below; defects lie below it, mostly far. In the year: verdicts come
//! days late, some are wrong, one part gets a new revision of its recipe, one month brings four times the defects, and on one part the gauge begins to read
//! high. Every week somebody approves what the policy allows.
//!
//! The naive loop runs on the same measurements: every week it takes the 80th percentile of what its *own* limit flagged that week, held above the
//! defects it knows of. Each step keeps about 80 % of the false calls of the step before, and what it lets pass it never hears of.

use std::collections::BTreeMap;

use aoi_tolerance::Error;
use aoi_tolerance::certificate::EscapeBound;
use aoi_tolerance::drift::{DriftOptions, Monitor};
use aoi_tolerance::evidence::Evidence;
use aoi_tolerance::limit::{Side, Tolerance};
use aoi_tolerance::motion::{Motion, MotionPolicy, Situation};
use aoi_tolerance::optimise::optimise_limit;
use aoi_tolerance::options::{Options, Policy};
use aoi_tolerance::recalibrate::{Arrival, LiveLimit, LiveOptions, Recalibrator};
use aoi_tolerance::record::{Record, Verdict};

use super::chance::Chance;

/// T0 of every part.
const T0: f64 = 40.0;
const DAYS: u32 = 365;
/// A day in nanoseconds.
const DAY: i64 = 86_400_000_000_000;

/// How large a year to live through.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct YearOptions {
    /// Decides everything else.
    pub seed: u64,
    /// Parts; the second gets a new revision, the third a drifting gauge.
    pub parts: usize,
    /// Measurements of each part a day.
    pub per_day: u32,
    /// Share of defects that the review takes for false calls, and a fifth of it the other way round.
    pub label_noise: f64,
}

impl Default for YearOptions {
    fn default() -> Self {
        Self { seed: 1, parts: 4, per_day: 60, label_noise: 0.01 }
    }
}

/// What a way of setting limits did in the year.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Outcome {
    /// False calls that had to be reviewed.
    pub false_calls: u64,
    /// True defects that T0 would have flagged and the limit in force let pass.
    pub escapes: u64,
}

/// A year, lived twice.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Year {
    /// Good parts that T0 flags: the false calls of a year in which nothing moves.
    pub false_calls_at_t0: u64,
    /// True defects that T0 flags.
    pub defects: u64,
    /// Of these, measured while a certificate stood behind a relaxed limit.
    pub defects_certified: u64,
    /// Of these, let pass.
    pub escapes_certified: u64,
    /// What the certificates in force allowed: the sum of their bounds over these defects.
    pub promised: f64,
    /// Limits kept current.
    pub live: Outcome,
    /// The loop that ratchets.
    pub naive: Outcome,
    /// Days from the gauge's first wrong reading to the alarm; none if it was not noticed.
    pub drift_found_after: Option<u32>,
    /// Limits put in force.
    pub changes: u64,
}

impl Year {
    /// Whether the observed escape rate stayed inside what the certificates promised.
    pub fn kept_the_promise(&self) -> bool {
        self.escapes_certified as f64 <= self.promised
    }

    /// Share of the false calls that limits kept current saved.
    pub fn saved(&self) -> f64 {
        1.0 - self.live.false_calls as f64 / self.false_calls_at_t0.max(1) as f64
    }
}

/// One part under both ways.
struct Part {
    name: String,
    revision: &'static str,
    naive: f64,
    /// False calls and defects that the naive loop has flagged this week, and the worst defect it knows.
    naive_false_calls: Vec<f64>,
    naive_defects: Vec<f64>,
    monitor: Monitor,
    /// The gauge reads this much too high.
    offset: f64,
}

/// A verdict on its way.
struct Late {
    id: String,
    verdict: Verdict,
}

/// Lives through a year.
///
/// # Errors
/// When limits cannot be proposed.
///
/// # Examples
/// ```
/// use aoi::demo::year::{YearOptions, live_through};
/// let year = live_through(&YearOptions { per_day: 20, ..YearOptions::default() })?;
/// assert!(year.naive.escapes > year.live.escapes);
/// # Ok::<(), aoi_tolerance::Error>(())
/// ```
pub fn live_through(options: &YearOptions) -> Result<Year, Error> {
    let mut random = Chance::new(options.seed);
    let mut line = Line::new(options);
    for day in 0..DAYS {
        line.morning(day);
        for part in 0..options.parts {
            for _ in 0..options.per_day {
                line.measure(day, part, options, &mut random);
            }
        }
        if day % 7 == 6 {
            line.end_of_week(day)?;
        }
    }
    Ok(line.year)
}

/// The line as it stands.
struct Line {
    live: Recalibrator,
    parts: Vec<Part>,
    late: BTreeMap<u32, Vec<Late>>,
    year: Year,
    sequence: u64,
    /// The escape bound behind each limit in force that was relaxed.
    bounds: BTreeMap<LiveLimit, f64>,
    options: Options,
    policy: MotionPolicy,
}

impl Line {
    fn new(options: &YearOptions) -> Self {
        let part = |i: usize| Part {
            name: format!("P{}", i + 1),
            revision: "a",
            naive: T0,
            naive_false_calls: Vec::new(),
            naive_defects: Vec::new(),
            monitor: Monitor::new(DriftOptions::default()),
            offset: 0.0,
        };
        Self {
            live: Recalibrator::new(LiveOptions::default()),
            parts: (0..options.parts).map(part).collect(),
            late: BTreeMap::new(),
            year: Year::default(),
            sequence: 0,
            bounds: BTreeMap::new(),
            // A verdict takes days: a week's last flags are still pending when limits are proposed. A certificate needs a few dozen defects.
            options: Options { max_pending_share: 0.2, min_defects: Some(30), ..Options::default() },
            policy: MotionPolicy { settle_records: 2_000, ..MotionPolicy::default() },
        }
    }

    /// Verdicts come in, and the year takes its turns.
    fn morning(&mut self, day: u32) {
        for Late { id, verdict } in self.late.remove(&day).unwrap_or_default() {
            self.live.judge(&id, None, verdict);
        }
        if day == 150 && self.parts.len() > 1 {
            let part = &mut self.parts[1];
            (part.revision, part.naive, part.monitor) = ("b", T0, Monitor::new(DriftOptions::default()));
        }
        if day == 280 && self.parts.len() > 2 {
            self.parts[2].offset = 1.5;
        }
    }

    fn measure(&mut self, day: u32, at: usize, options: &YearOptions, random: &mut Chance) {
        let bad_month = (200..230).contains(&day);
        let defective = random.unit() < if bad_month { 0.06 } else { 0.015 };
        let truth = if defective { T0 - 0.2 - random.exponential(6.0) } else { 44.0 + 2.5 * random.normal() };
        // Gauges read in hundredths.
        let value = ((truth + self.parts[at].offset) * 100.0).round() / 100.0;
        let mislabelled =
            random.unit() < if defective { options.label_noise } else { options.label_noise / 5.0 };
        let said = if defective == mislabelled { Verdict::FalseCall } else { Verdict::Defect };
        let wait = 1 + u32::try_from(random.below(5)).unwrap_or(0);
        self.naive(at, value, defective, said);
        self.keep_current(day, at, value, defective, (said, wait));
    }

    /// The measurement under limits kept current; `late` is the verdict that review will give, and after how many days.
    fn keep_current(&mut self, day: u32, at: usize, value: f64, defective: bool, late: (Verdict, u32)) {
        self.sequence += 1;
        let part = &mut self.parts[at];
        part.monitor.push(value);
        let limit = limit_of(&self.live, part);
        let in_force = limit.map_or(T0, |l| self.live.in_force(l).1);
        let id = self.sequence.to_string();
        let time = i64::from(day) * DAY;
        let record = Record {
            key: [&part.name, "", part.revision, "lead", "height", "um"],
            value,
            tolerance: Tolerance { lower: Some(in_force), upper: None },
            record_id: &id,
            time: Some(time),
            ..Record::default()
        };
        self.live.push(&record, Arrival { sequence: self.sequence, received: time });
        let (old_flags, flags) = (value < T0, value < in_force);
        self.year.false_calls_at_t0 += u64::from(old_flags && !defective);
        self.year.live.false_calls += u64::from(flags && !defective);
        self.year.defects += u64::from(old_flags && defective);
        self.year.live.escapes += u64::from(old_flags && defective && !flags);
        // A certificate is void from the moment the gauge changes, whether anybody has noticed or not.
        let bound = limit.filter(|_| part.offset == 0.0 && in_force < T0).and_then(|l| self.bounds.get(&l));
        if let Some(bound) = bound.filter(|_| old_flags && defective) {
            self.year.defects_certified += 1;
            self.year.escapes_certified += u64::from(!flags);
            self.year.promised += bound;
        }
        if flags {
            let (verdict, wait) = late;
            self.late.entry(day + wait).or_default().push(Late { id, verdict });
        }
    }

    /// The loop that ratchets, on the same measurement.
    fn naive(&mut self, at: usize, value: f64, defective: bool, said: Verdict) {
        let part = &mut self.parts[at];
        let flags = value < part.naive;
        if flags {
            let known =
                if said == Verdict::Defect { &mut part.naive_defects } else { &mut part.naive_false_calls };
            known.push(value);
        }
        self.year.naive.false_calls += u64::from(flags && !defective);
        self.year.naive.escapes += u64::from(value < T0 && defective && !flags);
    }

    fn end_of_week(&mut self, day: u32) -> Result<(), Error> {
        for part in &mut self.parts {
            let mut evidence = Evidence::new(Side::Lower, part.naive);
            evidence.false_calls = std::mem::take(&mut part.naive_false_calls);
            evidence.defects = std::mem::take(&mut part.naive_defects);
            let options = Options { policy: Policy::Paper, ..Options::default() };
            part.naive = optimise_limit(&evidence, &options)?.new_limit;
        }
        for (limit, proposal) in self.live.propose(&self.options)? {
            let key = self.live.name(limit).key;
            let Some(part) = self.parts.iter().find(|p| p.name == key.part && p.revision == key.revision)
            else {
                continue;
            };
            let drifted = part.monitor.drift().is_some();
            if drifted && part.offset != 0.0 && self.year.drift_found_after.is_none() {
                self.year.drift_found_after = Some(day - 280);
            }
            let situation = Situation {
                in_force: self.live.in_force(limit).1,
                standing: self.live.standing(limit),
                drifted,
                sigma: None,
            };
            // Somebody looks at the proposal and approves it.
            let motion = self.policy.decide(&proposal, &situation);
            let Some(to) = motion.target() else { continue };
            self.live.apply(limit, to);
            self.year.changes += 1;
            match (&motion, proposal.certificate.bound) {
                (Motion::Loosen { .. } | Motion::Tighten { .. }, EscapeBound::AtMost(bound)) if to < T0 => {
                    self.bounds.insert(limit, bound);
                }
                _ => {
                    self.bounds.remove(&limit);
                }
            }
        }
        Ok(())
    }
}

/// The part's limit under its revision, once it was seen.
fn limit_of(live: &Recalibrator, part: &Part) -> Option<LiveLimit> {
    let text = |t: &str| t.to_owned();
    let key = aoi_tolerance::record::Key {
        part: part.name.clone(),
        model: String::new(),
        revision: text(part.revision),
        inspection: text("lead"),
        feature: text("height"),
        unit: text("um"),
    };
    live.find(&key, Side::Lower, T0)
}
