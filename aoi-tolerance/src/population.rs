//! The evidence of a whole set of records: one entry per limit, duplicates settled, escapes found.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use crate::collect::{CollectOptions, Collector, Counts, Row, Unreadable, Version};
use crate::evidence::Evidence;
use crate::limit::{Side, Tolerance, is_flagged};
use crate::quality::Agreement;
use crate::recalibrate::Slot;
use crate::record::{Identity, Key, Source, Verdict};
use crate::resolution::Resolution;

/// Names one limit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitId {
    /// What the tolerance belongs to.
    pub key: Key,
    /// Which set of limits under that key, from 1: by the earliest time of its records where they carry one, then by the limits.
    pub version: u32,
    /// The side.
    pub side: Side,
}

/// One limit and the records that bear on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Limit {
    /// Its name.
    pub id: LimitId,
    /// Both limits of its tolerance.
    pub tolerance: Tolerance,
    /// The expected value, where the records carry one.
    pub nominal: Option<f64>,
    /// Repeatability of the measurement, where the records carry one: the largest.
    pub sigma: Option<f64>,
    /// Step of the stored limit, where the records carry one.
    pub resolution: Option<Resolution>,
    /// The records name different steps.
    pub resolution_conflict: bool,
    /// Records measured against it.
    pub records: u64,
    /// The values that it flags.
    pub rows: Vec<Row>,
    /// Escaped values that it, moved, would have caught.
    pub escapes: Vec<f64>,
    /// Faults measured by it that it did not flag.
    pub defects_unflagged: u64,
    /// Records without a readable value that count as pending here.
    pub pending_unreadable: u64,
    /// Defect rows that may belong to it and cannot be read.
    pub unreadable_defects: u64,
    borderline_guards: bool,
}

impl Limit {
    /// A limit known by aggregates, its rows left out.
    #[cfg(feature = "io")]
    pub(crate) fn aggregated(id: LimitId, tolerance: Tolerance, nominal: Option<f64>, records: u64) -> Self {
        Self {
            id,
            tolerance,
            nominal,
            sigma: None,
            resolution: None,
            resolution_conflict: false,
            records,
            rows: Vec::new(),
            escapes: Vec::new(),
            defects_unflagged: 0,
            pending_unreadable: 0,
            unreadable_defects: 0,
            borderline_guards: true,
        }
    }

    /// What a recalibrator knows of a limit, its rows left out.
    pub(crate) fn live(
        id: LimitId,
        slot: &Slot,
        escapes: Vec<f64>,
        defects_unflagged: u64,
        borderline_guards: bool,
    ) -> Self {
        Self {
            id,
            tolerance: slot.baseline,
            nominal: slot.nominal,
            sigma: slot.sigma,
            resolution: slot.resolution,
            resolution_conflict: slot.resolution_conflict,
            records: slot.records,
            rows: Vec::new(),
            escapes,
            defects_unflagged,
            pending_unreadable: slot.pending_unreadable,
            unreadable_defects: slot.unreadable_defects,
            borderline_guards,
        }
    }

    /// The limit in force, T0.
    pub fn value(&self) -> f64 {
        self.tolerance.side(self.id.side).unwrap_or(f64::NAN)
    }

    /// All evidence on it.
    pub fn evidence(&self) -> Evidence {
        self.evidence_without(|_| false)
    }

    /// The evidence without the rows that `held_back` names, asked in order; what is not a row stays.
    pub fn evidence_without(&self, mut held_back: impl FnMut(&Row) -> bool) -> Evidence {
        let mut evidence = Evidence::new(self.id.side, self.value());
        for row in self.rows.iter().filter(|row| !held_back(row)) {
            match row.verdict {
                Verdict::FalseCall => evidence.false_calls.push(row.value),
                Verdict::Defect | Verdict::Escape => evidence.defects.push(row.value),
                Verdict::Provisional => evidence.provisional.push(row.value),
                Verdict::Borderline if self.borderline_guards => evidence.provisional.push(row.value),
                Verdict::Pending => evidence.pending += 1,
                Verdict::Borderline | Verdict::Pass => {}
            }
        }
        evidence.escapes.clone_from(&self.escapes);
        evidence.defects_unflagged = self.defects_unflagged;
        evidence.pending += self.pending_unreadable;
        evidence.unreadable_defects = self.unreadable_defects;
        evidence.sigma = self.sigma;
        evidence.resolution = self.resolution;
        evidence.resolution_conflict = self.resolution_conflict;
        evidence
    }
}

/// A fault that no limit flagged.
#[derive(Debug, Clone, PartialEq)]
pub struct EscapedDefect {
    /// The limit nearest to its value: moved, it would have caught it.
    pub limit: LimitId,
    /// The measured value.
    pub value: f64,
    /// Where the record was read.
    pub source: Source,
}

/// A record that was not used because another copy of it was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duplicate {
    /// Where it was read.
    pub source: Source,
    /// Its verdict.
    pub verdict: Verdict,
    /// Another copy has another verdict or value; otherwise they are equal.
    pub conflict: bool,
}

/// Everything that a set of records says.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Population {
    /// The limits, sorted by name.
    pub limits: Vec<Limit>,
    /// Faults that no limit flagged, by limit and value.
    pub escapes: Vec<EscapedDefect>,
    /// Records not used because another copy was, by source.
    pub duplicates: Vec<Duplicate>,
    /// How reviewers agree who judged the same records.
    pub agreement: Agreement,
    /// Counts over all records, duplicates included.
    pub counts: Counts,
    /// Keys under which the limits changed.
    pub keys_with_several_versions: u64,
    /// Unreadable records that match no limit.
    pub unreadable_unattributed: u64,
}

/// Builds the population of a collector.
pub(crate) fn assemble(collector: Collector) -> Population {
    let Collector { options, mut keys, unreadable, counts, .. } = collector;
    let mut duplicates = Vec::new();
    let mut agreement = Agreement::default();
    for (_, versions) in &mut keys {
        settle_duplicates(versions, &mut duplicates, &mut agreement);
        versions.sort_by(|a, b| {
            a.first_time.cmp(&b.first_time).then_with(|| order_of_limits(a.tolerance, b.tolerance))
        });
        for version in versions {
            for rows in [&mut version.flagged, &mut version.unflagged_faults] {
                rows.sort_by(|a, b| {
                    let rest = |r: &Row| (r.time, r.record, r.defect, r.board);
                    let by_name = (a.source, a.verdict).cmp(&(b.source, b.verdict));
                    by_name.then(a.value.total_cmp(&b.value)).then_with(|| rest(a).cmp(&rest(b)))
                });
            }
        }
    }
    duplicates.sort_by_key(|d| (d.source, d.verdict, d.conflict));
    keys.sort_by(|a, b| a.0.cmp(&b.0));

    let caught = caught_faults(&keys);
    let mut population = Population { duplicates, agreement, counts, ..Population::default() };
    for (key, versions) in keys {
        population.keys_with_several_versions += u64::from(versions.len() > 1);
        for (number, version) in (1..).zip(versions) {
            add_limits(&mut population, &key, number, &version, &caught, options);
        }
    }
    population.escapes.sort_by(|a, b| {
        a.limit.cmp(&b.limit).then(a.value.total_cmp(&b.value)).then(a.source.cmp(&b.source))
    });
    attribute_unreadable(&mut population, &unreadable);
    population
}

/// Orders tolerances by lower, then upper limit; one that is absent comes first.
pub(crate) fn order_of_limits(a: Tolerance, b: Tolerance) -> Ordering {
    let side = |a: Option<f64>, b: Option<f64>| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    };
    side(a.lower, b.lower).then_with(|| side(a.upper, b.upper))
}

/// Keeps one copy of each record that a key holds several times.
///
/// Of copies that disagree the severest verdict counts (see [`Verdict::ALL`]); distinct values under that verdict are all kept, because
/// which one is right cannot be known and each of them must stay flagged if it is a defect.
///
/// On the way, `agreement` learns how the reviewers of one record judged it.
fn settle_duplicates(versions: &mut [Version], duplicates: &mut Vec<Duplicate>, agreement: &mut Agreement) {
    /// Where a row stands: its version, whether it was flagged, its place there.
    type Place = (usize, bool, usize);
    let mut copies: HashMap<Identity, Vec<(Row, Place)>> = HashMap::new();
    for (at, version) in versions.iter().enumerate() {
        let flagged = version.flagged.iter().enumerate().map(|(i, row)| (row, (at, true, i)));
        let unflagged = version.unflagged_faults.iter().enumerate().map(|(i, row)| (row, (at, false, i)));
        for (row, place) in flagged.chain(unflagged) {
            if let Some(record) = row.record {
                copies.entry(record).or_default().push((*row, place));
            }
        }
    }
    let mut dropped: HashSet<Place> = HashSet::new();
    for rows in copies.values_mut().filter(|rows| rows.len() > 1) {
        rows.sort_by_key(|(row, place)| (row.source, *place));
        let reviews = rows.iter().filter_map(|(row, _)| row.reviewer.map(|by| (by, row.verdict)));
        agreement.add(&reviews.collect::<Vec<_>>());
        let content = |(row, place): &(Row, Place)| (place.0, row.verdict, row.value.to_bits());
        let severest = rows.iter().map(|(row, _)| row.verdict).max();
        let conflict = rows.iter().any(|r| content(r) != content(&rows[0]));
        let mut kept = Vec::new();
        for r in rows.iter() {
            if Some(r.0.verdict) == severest && !kept.contains(&content(r)) {
                kept.push(content(r));
            } else {
                dropped.insert(r.1);
                duplicates.push(Duplicate { source: r.0.source, verdict: r.0.verdict, conflict });
            }
        }
    }
    if dropped.is_empty() {
        return;
    }
    for (at, version) in versions.iter_mut().enumerate() {
        for (flagged, rows) in [(true, &mut version.flagged), (false, &mut version.unflagged_faults)] {
            let mut place = 0..;
            rows.retain(|_| place.next().is_none_or(|i| !dropped.contains(&(at, flagged, i))));
        }
    }
}

/// The named faults that some limit flagged.
fn caught_faults(keys: &[(Key, Vec<Version>)]) -> HashSet<Identity> {
    let flagged = keys.iter().flat_map(|(_, versions)| versions).flat_map(|v| &v.flagged);
    flagged.filter(|row| row.verdict.is_fault()).filter_map(|row| row.defect).collect()
}

fn add_limits(
    population: &mut Population,
    key: &Key,
    number: u32,
    version: &Version,
    caught: &HashSet<Identity>,
    options: CollectOptions,
) {
    let CollectOptions { boundary, borderline_guards } = options;
    let Version { tolerance, nominal, sigma, resolution, resolution_conflict, records, .. } = *version;
    let escaped: Vec<&Row> = version
        .unflagged_faults
        .iter()
        .filter(|row| row.defect.is_none_or(|defect| !caught.contains(&defect)))
        .collect();
    for (side, limit) in tolerance.sides() {
        let id = LimitId { key: key.clone(), version: number, side };
        let here = |row: &&Row| tolerance.flagging_side(row.value, boundary) == Some(side);
        let rows: Vec<Row> = version.flagged.iter().filter(here).copied().collect();
        let faults = version.flagged.iter().filter(|r| r.verdict.is_fault()).chain(&version.unflagged_faults);
        let mut escapes = Vec::new();
        for row in escaped.iter().filter(|row| nearest_side(tolerance, row.value) == Some(side)) {
            escapes.push(row.value);
            population.escapes.push(EscapedDefect {
                limit: id.clone(),
                value: row.value,
                source: row.source,
            });
        }
        population.limits.push(Limit {
            defects_unflagged: faults.filter(|r| !is_flagged(r.value, limit, side, boundary)).count() as u64,
            id,
            tolerance,
            nominal,
            sigma,
            resolution,
            resolution_conflict,
            records,
            rows,
            escapes,
            pending_unreadable: 0,
            unreadable_defects: 0,
            borderline_guards,
        });
    }
}

/// The side whose limit lies nearest to a value inside the tolerance; the lower one of two equally near.
pub(crate) fn nearest_side(tolerance: Tolerance, value: f64) -> Option<Side> {
    let distance = |(side, limit): (Side, f64)| (side, (value - limit).abs());
    tolerance.sides().map(distance).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(side, _)| side)
}

/// Lets each unreadable record block, or be pending on, every limit whose key agrees with what could be read of its own.
fn attribute_unreadable(population: &mut Population, unreadable: &[Unreadable]) {
    let mut groups: HashMap<&[Option<String>; 6], (u64, u64)> = HashMap::new();
    for record in unreadable {
        let group = groups.entry(&record.key).or_default();
        if record.guards {
            group.0 += 1;
        } else {
            group.1 += 1;
        }
    }
    for (key, (guards, pending)) in groups {
        let mut matched = false;
        for limit in &mut population.limits {
            let fields = limit.id.key.fields();
            if key.iter().zip(fields).all(|(wanted, field)| wanted.as_deref().is_none_or(|w| w == field)) {
                limit.unreadable_defects += guards;
                limit.pending_unreadable += pending;
                matched = true;
            }
        }
        if !matched {
            population.unreadable_unattributed += guards + pending;
        }
    }
}
