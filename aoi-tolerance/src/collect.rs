//! Records in, evidence per limit out, in one pass and in any order.
//!
//! A [`Collector`] keeps what the limits need and nothing else: the flagged values, the defects that no limit flagged, and counts. Passing
//! values are counted and forgotten, so memory grows with the flagged share of a file and not with its size. Collectors of different
//! parts of the input merge into the collector of the whole.

use std::collections::HashMap;

use crate::limit::{Boundary, Tolerance};
use crate::population::{Population, assemble};
use crate::record::{Identity, Key, Record, Source, Verdict};
use crate::resolution::Resolution;

/// How records are turned into evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectOptions {
    /// What happens to a value equal to its limit.
    pub boundary: Boundary,
    /// Whether borderline verdicts hold a limit; otherwise they are only counted.
    pub borderline_guards: bool,
}

impl Default for CollectOptions {
    fn default() -> Self {
        Self { boundary: Boundary::Passes, borderline_guards: true }
    }
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Intake {
    /// It counts.
    Counted,
    /// Its value is not a finite number; a defect with it blocks its limits, an unreviewed record is pending there.
    NotFinite,
    /// It carries no limit.
    NoLimit,
    /// Its lower limit lies above its upper limit, or a limit is not finite.
    BadLimits,
}

/// A flagged value, or a defect that its limits did not flag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The measured value.
    pub value: f64,
    /// The review's verdict; [`Verdict::Pending`] where there is none.
    pub verdict: Verdict,
    /// The record's own name.
    pub record: Option<Identity>,
    /// The fault it belongs to: its `defect_id`, else its board and reference designator.
    pub defect: Option<Identity>,
    /// Whether `defect` is the record's `defect_id`: two faults may share a place on a board, but not a name.
    pub defect_named: bool,
    /// The board it was measured on.
    pub board: Option<Identity>,
    /// Who gave the verdict.
    pub reviewer: Option<Identity>,
    /// When it was measured, in nanoseconds since 1970-01-01 UTC.
    pub time: Option<i64>,
    /// Where it was read.
    pub source: Source,
}

/// A record that cannot be placed on the number line, with as much of its key as could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) key: [Option<String>; 6],
    /// The verdict guards: the record blocks the limits it may belong to. Otherwise it is pending there.
    pub(crate) guards: bool,
}

/// Counts over all records that were offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records counted.
    pub records: u64,
    /// Of these, inside their limits.
    pub inside: u64,
    /// Of these, outside a limit.
    pub flagged: u64,
    /// By verdict, in the order of [`Verdict::ALL`]; flagged records without a verdict are pending, others pass.
    pub by_verdict: [u64; 7],
    /// The machine's decision and the limits disagree.
    pub machine_disagrees: u64,
    /// Reviewed as a false call although inside the limits, or passed although outside.
    pub verdict_disagrees: u64,
    /// Records that could not be used.
    pub unreadable: u64,
    /// Of these, defects (or other verdicts that guard): they block limits.
    pub unreadable_guards: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.inside += other.inside;
        self.flagged += other.flagged;
        for (mine, theirs) in self.by_verdict.iter_mut().zip(other.by_verdict) {
            *mine += theirs;
        }
        self.machine_disagrees += other.machine_disagrees;
        self.verdict_disagrees += other.verdict_disagrees;
        self.unreadable += other.unreadable;
        self.unreadable_guards += other.unreadable_guards;
    }
}

/// One set of limits that was in force under one key.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    pub(crate) tolerance: Tolerance,
    pub(crate) first_time: Option<i64>,
    pub(crate) records: u64,
    pub(crate) nominal: Option<f64>,
    pub(crate) sigma: Option<f64>,
    pub(crate) resolution: Option<Resolution>,
    pub(crate) resolution_conflict: bool,
    pub(crate) flagged: Vec<Row>,
    /// Faults that neither side flags.
    pub(crate) unflagged_faults: Vec<Row>,
}

/// Where a passing record is counted.
#[cfg(feature = "io")]
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place {
    key: usize,
    version: usize,
    verdict: Verdict,
    pub(crate) tolerance: Tolerance,
}

/// Gathers evidence from records; see the module's page.
///
/// # Examples
/// ```
/// use aoi_tolerance::{collect::Collector, limit::Tolerance, record::{Record, Verdict}};
/// let mut collector = Collector::default();
/// for (value, verdict) in [(39.0, Verdict::FalseCall), (31.0, Verdict::Defect), (44.0, Verdict::Pass)] {
///     collector.push(&Record {
///         key: ["R0402", "", "", "solder", "height", "um"],
///         value,
///         tolerance: Tolerance { lower: Some(40.0), upper: None },
///         verdict: Some(verdict),
///         ..Record::default()
///     });
/// }
/// let population = collector.finish();
/// let evidence = population.limits[0].evidence();
/// assert_eq!((evidence.false_calls, evidence.defects), (vec![39.0], vec![31.0]));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Collector {
    pub(crate) options: CollectOptions,
    index: HashMap<Box<[u8]>, usize>,
    pub(crate) keys: Vec<(Key, Vec<Version>)>,
    pub(crate) unreadable: Vec<Unreadable>,
    pub(crate) counts: Counts,
    encoded: Vec<u8>,
}

impl Collector {
    /// An empty collector.
    pub fn new(options: CollectOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Takes one record and says what became of it; nothing is dropped silently.
    pub fn push(&mut self, record: &Record<'_>) -> Intake {
        let record = &Record { tolerance: record.tolerance.unsigned_zeros(), ..*record };
        let Some(refused) = refusal(record) else {
            self.count(record);
            return Intake::Counted;
        };
        self.push_unreadable(record.key.map(|f| (!f.is_empty()).then_some(f)), record.verdict);
        refused
    }

    /// Takes a record whose value or limits cannot be read, with the fields of its key that can.
    ///
    /// It fails closed: with a verdict that guards, every limit that it may belong to is blocked; without a verdict it is pending there.
    pub fn push_unreadable(&mut self, key: [Option<&str>; 6], verdict: Option<Verdict>) {
        self.counts.unreadable += 1;
        let guards = verdict.is_some_and(Verdict::guards);
        self.counts.unreadable_guards += u64::from(guards);
        if guards || matches!(verdict, None | Some(Verdict::Pending)) {
            self.unreadable.push(Unreadable { key: key.map(|f| f.map(str::to_owned)), guards });
        }
    }

    fn count(&mut self, record: &Record<'_>) {
        let side = record.tolerance.flagging_side(record.value, self.options.boundary);
        let flagged = side.is_some();
        let verdict = match record.verdict {
            Some(verdict) => verdict,
            None if flagged => Verdict::Pending,
            None => Verdict::Pass,
        };
        let counts = &mut self.counts;
        counts.records += 1;
        counts.inside += u64::from(!flagged);
        counts.flagged += u64::from(flagged);
        counts.by_verdict[verdict as usize] += 1;
        counts.machine_disagrees += u64::from(record.machine_flagged.is_some_and(|m| m != flagged));
        counts.verdict_disagrees += u64::from(match verdict {
            Verdict::Pass => flagged,
            Verdict::FalseCall => !flagged,
            _ => false,
        });
        let version = self.version(record);
        version.take_note(record);
        if flagged && verdict != Verdict::Pass {
            version.flagged.push(Row::of(record, verdict));
        } else if !flagged && verdict.is_fault() {
            version.unflagged_faults.push(Row::of(record, verdict));
        }
    }

    /// Where the record, pushed before, is counted, if it left nothing but counts.
    #[cfg(feature = "io")]
    pub(crate) fn place_of_pass(&mut self, record: &Record<'_>) -> Option<Place> {
        let verdict = record.verdict.unwrap_or(Verdict::Pass);
        let flagged = record.tolerance.flagging_side(record.value, self.options.boundary).is_some();
        let (key, version) = self.find_version(record);
        let tolerance = self.keys[key].1[version].tolerance;
        (!flagged && !verdict.is_fault()).then_some(Place { key, version, verdict, tolerance })
    }

    /// Counts `times` more records like the one at `place`, that differ from it in their value alone and pass as it does.
    #[cfg(feature = "io")]
    pub(crate) fn count_passes(&mut self, place: Place, times: u64) {
        self.counts.records += times;
        self.counts.inside += times;
        self.counts.by_verdict[place.verdict as usize] += times;
        self.keys[place.key].1[place.version].records += times;
    }

    /// The version that the record belongs to, new if need be.
    fn version(&mut self, record: &Record<'_>) -> &mut Version {
        let (key, version) = self.find_version(record);
        &mut self.keys[key].1[version]
    }

    /// The places of the record's key and version, new if need be.
    fn find_version(&mut self, record: &Record<'_>) -> (usize, usize) {
        self.encoded.clear();
        for field in record.key {
            self.encoded.extend_from_slice(&(field.len() as u64).to_le_bytes());
            self.encoded.extend_from_slice(field.as_bytes());
        }
        let slot = if let Some(&slot) = self.index.get(self.encoded.as_slice()) {
            slot
        } else {
            let [part, model, revision, inspection, feature, unit] = record.key.map(str::to_owned);
            self.keys.push((Key { part, model, revision, inspection, feature, unit }, Vec::new()));
            self.index.insert(self.encoded.as_slice().into(), self.keys.len() - 1);
            self.keys.len() - 1
        };
        let versions = &mut self.keys[slot].1;
        let known = versions.iter().position(|v| v.tolerance == record.tolerance);
        let at = known.unwrap_or_else(|| {
            versions.push(Version::new(record.tolerance));
            versions.len() - 1
        });
        (slot, at)
    }

    /// Adds what `other`, a collector with the same options, has gathered.
    pub fn merge(&mut self, other: Self) {
        self.counts.add(&other.counts);
        self.unreadable.extend(other.unreadable);
        for (key, versions) in other.keys {
            for theirs in versions {
                let probe = Record { key: key.fields(), tolerance: theirs.tolerance, ..Record::default() };
                self.version(&probe).merge(theirs);
            }
        }
    }

    /// Settles duplicates, finds escapes and gives the evidence, sorted by key, version and side.
    pub fn finish(self) -> Population {
        assemble(self)
    }
}

/// Why a record cannot be used; none if it can.
pub(crate) fn refusal(record: &Record<'_>) -> Option<Intake> {
    let Tolerance { lower, upper } = record.tolerance;
    if lower.is_none() && upper.is_none() {
        Some(Intake::NoLimit)
    } else if record.tolerance.sides().any(|(_, l)| !l.is_finite())
        || lower.zip(upper).is_some_and(|(l, u)| l > u)
    {
        Some(Intake::BadLimits)
    } else {
        (!record.value.is_finite()).then_some(Intake::NotFinite)
    }
}

impl Row {
    pub(crate) fn of(record: &Record<'_>, verdict: Verdict) -> Self {
        let named = |parts: &[&str]| parts.iter().all(|p| !p.is_empty()).then(|| Identity::of(parts));
        let defect = named(&[record.defect_id]);
        Self {
            value: record.value,
            verdict,
            record: named(&[record.record_id]),
            defect: defect.or_else(|| named(&[record.board, record.refdes])),
            defect_named: defect.is_some(),
            board: named(&[record.board]),
            reviewer: named(&[record.reviewer]),
            time: record.time,
            source: record.source,
        }
    }
}

impl Version {
    fn new(tolerance: Tolerance) -> Self {
        Self {
            tolerance,
            first_time: None,
            records: 0,
            nominal: None,
            sigma: None,
            resolution: None,
            resolution_conflict: false,
            flagged: Vec::new(),
            unflagged_faults: Vec::new(),
        }
    }

    fn take_note(&mut self, record: &Record<'_>) {
        self.records += 1;
        self.note(record.time, record.nominal, record.sigma, record.resolution);
    }

    /// Keeps the earliest time, the largest nominal and sigma, and whether the resolutions agree: all free of order.
    fn note(
        &mut self,
        time: Option<i64>,
        nominal: Option<f64>,
        sigma: Option<f64>,
        step: Option<Resolution>,
    ) {
        self.first_time = [self.first_time, time].into_iter().flatten().min();
        self.nominal = largest(self.nominal, nominal);
        self.sigma = largest(self.sigma, sigma);
        if let Some(step) = step {
            self.resolution_conflict |= self.resolution.is_some_and(|r| r != step);
            self.resolution = Some(self.resolution.map_or(step, |r| r.coarser(step)));
        }
    }

    fn merge(&mut self, other: Self) {
        self.records += other.records;
        self.note(other.first_time, other.nominal, other.sigma, other.resolution);
        self.resolution_conflict |= other.resolution_conflict;
        self.flagged.extend(other.flagged);
        self.unflagged_faults.extend(other.unflagged_faults);
    }
}

/// The larger of two numbers, of which one or both may be missing.
pub(crate) fn largest(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if a.total_cmp(&b).is_lt() { b } else { a }),
        (a, b) => a.or(b),
    }
}
