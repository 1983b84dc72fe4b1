//! Whether the labels can be believed: verdicts that do not fit their neighbours, boards judged with one word, reviewers who disagree.
//!
//! A limit is as right as its verdicts. One defect entered by mistake next to the limit holds it for ever; one real fault called good
//! deep in the tail goes unseen. Nothing here changes a verdict or a limit: it says where to look first, and what a wrong
//! verdict costs.

mod findings;

use std::collections::BTreeMap;

use crate::error::Error;
use crate::evidence::Evidence;
use crate::optimise::optimise_limit;
use crate::options::Options;
use crate::population::{Limit, Population};
use crate::proposal::Proposal;
use crate::record::{Identity, Source, Verdict};

/// Where suspicion begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QualityOptions {
    /// Values of the other kind that a limit needs before one of this kind can stand out among them.
    pub min_cloud: u64,
    /// A defect is suspicious if at least this share of the limit's false calls lies farther beyond the limit than it does.
    pub inside_share: f64,
    /// Flagged values of a board, all with one verdict, that look like one decision and not like many.
    pub bulk: u64,
}

impl Default for QualityOptions {
    fn default() -> Self {
        Self { min_cloud: 20, inside_share: 0.5, bulk: 20 }
    }
}

/// A verdict that does not fit the values around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect {
    /// Place of its limit in the population.
    pub limit: usize,
    /// The measured value.
    pub value: f64,
    /// Where it was read.
    pub source: Source,
    /// For a defect, the share of the limit's false calls beyond it; for a false call, the share of its defects that lie nearer to the limit.
    pub share: f64,
    /// False calls that stay flagged only because of it, and would not if it were a false call; 0 for a false call.
    pub false_calls_held: u64,
}

/// A board whose flagged values all carry one verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bulk {
    /// The verdict.
    pub verdict: Verdict,
    /// How many flagged values.
    pub values: u64,
    /// The first of them.
    pub source: Source,
}

/// How reviewers agree who judged the same records; the last review of a record is taken as the standard for the earlier ones.
///
/// # Source
/// Attribute agreement of AIAG, Measurement Systems Analysis, 4th edition: effectiveness, miss rate, false-alarm rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Agreement {
    /// Earlier reviews by somebody else than the last reviewer, each saying good or defect, as the last one does.
    pub reviews: u64,
    /// Of these, of records that the last review calls a defect.
    pub of_defects: u64,
    /// Of those, saying good.
    pub missed: u64,
    /// Saying defect of records that the last review calls good.
    pub false_alarms: u64,
}

impl Agreement {
    /// Least effectiveness, greatest miss rate and greatest false-alarm rate of an acceptable review.
    pub const ACCEPTABLE: [f64; 3] = [0.90, 0.02, 0.05];

    /// Share of reviews that say what the standard says.
    pub fn effectiveness(&self) -> Option<f64> {
        share(self.reviews - self.missed - self.false_alarms, self.reviews)
    }

    /// Share of the standard's defects that were called good.
    pub fn miss_rate(&self) -> Option<f64> {
        share(self.missed, self.of_defects)
    }

    /// Share of the standard's good records that were called defects.
    pub fn false_alarm_rate(&self) -> Option<f64> {
        share(self.false_alarms, self.reviews - self.of_defects)
    }

    /// Whether all three lie on the right side of [`Agreement::ACCEPTABLE`]; none where one of them is unknown.
    pub fn is_acceptable(&self) -> Option<bool> {
        let [effective, miss, alarm] = Self::ACCEPTABLE;
        let within = self.effectiveness()? >= effective
            && self.miss_rate()? <= miss
            && self.false_alarm_rate()? <= alarm;
        Some(within)
    }

    /// Counts the reviews of one record, earliest first.
    pub(crate) fn add(&mut self, reviews: &[(Identity, Verdict)]) {
        let says = |verdict: Verdict| match verdict {
            Verdict::FalseCall => Some(false),
            v if v.is_fault() => Some(true),
            _ => None,
        };
        let Some((&(standard, last), earlier)) = reviews.split_last() else { return };
        let Some(is_defect) = says(last) else { return };
        let others = earlier.iter().filter(|(reviewer, _)| *reviewer != standard);
        for said in others.filter_map(|(_, verdict)| says(*verdict)) {
            self.reviews += 1;
            self.of_defects += u64::from(is_defect);
            self.missed += u64::from(is_defect && !said);
            self.false_alarms += u64::from(!is_defect && said);
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quality {
    /// Confirmed defects inside the cloud of false calls, those that hold most false calls first.
    pub defects: Vec<Suspect>,
    /// False calls deeper than half of the confirmed defects, the deepest first.
    pub false_calls: Vec<Suspect>,
    /// Boards judged with one word, the largest first.
    pub bulk: Vec<Bulk>,
    /// Copies of one record that disagree.
    pub conflicts: u64,
    /// Flagged values without a usable verdict.
    pub pending: u64,
    /// Flagged values.
    pub flagged: u64,
    /// How reviewers agree, where the records name them.
    pub agreement: Agreement,
}

impl Quality {
    /// Share of the flagged values without a usable verdict; 0 where nothing is flagged.
    pub fn pending_share(&self) -> f64 {
        share(self.pending, self.flagged).unwrap_or(0.0)
    }

    /// Whether there is nothing to look at.
    pub fn is_clear(&self) -> bool {
        self.defects.is_empty()
            && self.false_calls.is_empty()
            && self.bulk.is_empty()
            && (self.conflicts, self.pending) == (0, 0)
            && self.agreement.is_acceptable() != Some(false)
    }
}

/// Looks at every flagged value of a population; `options` are those that limits would be computed with.
///
/// # Errors
/// As [`optimise_limit`].
pub fn assess(
    population: &Population,
    quality: &QualityOptions,
    options: &Options,
) -> Result<Quality, Error> {
    let mut found = Quality {
        conflicts: population.duplicates.iter().filter(|d| d.conflict).count() as u64,
        agreement: population.agreement,
        ..Quality::default()
    };
    for (at, limit) in population.limits.iter().enumerate() {
        let evidence = limit.evidence();
        found.pending += evidence.pending;
        found.flagged += evidence.flagged();
        suspects(at, limit, &evidence, quality, options, &mut found)?;
    }
    found
        .defects
        .sort_by(|a, b| b.false_calls_held.cmp(&a.false_calls_held).then(b.share.total_cmp(&a.share)));
    found.false_calls.sort_by(|a, b| b.share.total_cmp(&a.share));
    found.bulk = bulk(population, quality);
    Ok(found)
}

fn suspects(
    at: usize,
    limit: &Limit,
    evidence: &Evidence,
    quality: &QualityOptions,
    options: &Options,
    found: &mut Quality,
) -> Result<(), Error> {
    let side = limit.id.side;
    let ascending = |values: &[f64]| {
        let mut values: Vec<f64> = values.iter().map(|&v| side.mirror(v)).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (false_calls, defects) = (ascending(&evidence.false_calls), ascending(&evidence.defects));
    let suspect =
        |value: f64, source, share| Suspect { limit: at, value, source, share, false_calls_held: 0 };
    for row in &limit.rows {
        let value = side.mirror(row.value);
        if row.verdict.is_fault() && false_calls.len() as u64 >= quality.min_cloud {
            let beyond = false_calls.partition_point(|&f| f < value) as f64 / false_calls.len() as f64;
            if beyond >= quality.inside_share {
                // Only the defect nearest to the limit can hold it.
                let is_last = defects.last().is_some_and(|d| *d == value);
                let held = if is_last { held_by(evidence, row.value, options)? } else { 0 };
                found
                    .defects
                    .push(Suspect { false_calls_held: held, ..suspect(row.value, row.source, beyond) });
            }
        }
        if row.verdict == Verdict::FalseCall && defects.len() as u64 >= quality.min_cloud {
            let nearer = defects.len() - defects.partition_point(|&d| d <= value);
            let nearer = nearer as f64 / defects.len() as f64;
            if nearer > 0.5 {
                found.false_calls.push(suspect(row.value, row.source, nearer));
            }
        }
    }
    Ok(())
}

/// False calls that one defect keeps flagged: those that its limit would release if it were a false call.
fn held_by(evidence: &Evidence, value: f64, options: &Options) -> Result<u64, Error> {
    let mut other = evidence.clone();
    let Some(place) = other.defects.iter().position(|d| d.to_bits() == value.to_bits()) else { return Ok(0) };
    other.defects.remove(place);
    // Without its last defect a limit would be kept for want of evidence: the question is what the value costs, not whether it counts.
    let options = Options { min_defects: Some(0), simultaneous: false, ..options.clone() };
    let after = |p: Proposal| p.false_calls_after;
    let with = after(optimise_limit(evidence, &options)?);
    Ok(with.saturating_sub(after(optimise_limit(&other, &options)?)))
}

fn bulk(population: &Population, quality: &QualityOptions) -> Vec<Bulk> {
    let mut boards: BTreeMap<Identity, (Bulk, bool)> = BTreeMap::new();
    let rows = population.limits.iter().flat_map(|limit| &limit.rows);
    for row in rows.filter(|row| row.verdict != Verdict::Pending) {
        let Some(board) = row.board else { continue };
        let one = Bulk { verdict: row.verdict, values: 0, source: row.source };
        let (bulk, same) = boards.entry(board).or_insert((one, true));
        *same &= bulk.verdict == row.verdict;
        bulk.values += 1;
        bulk.source = bulk.source.min(row.source);
    }
    let large = |(bulk, same): (Bulk, bool)| (same && bulk.values >= quality.bulk).then_some(bulk);
    let mut found: Vec<Bulk> = boards.into_values().filter_map(large).collect();
    found.sort_by(|a, b| b.values.cmp(&a.values).then(a.source.cmp(&b.source)));
    found
}
