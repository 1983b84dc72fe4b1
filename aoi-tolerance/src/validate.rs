//! Would limits computed from some of the defects have flagged the others?
//!
//! Defects are held back, limits are computed without them, and the held-back ones are inspected with those limits. What is split is
//! decided by names and a seed, never by the order of the records. Recall is relative to what T0 flagged, and comes with its
//! Clopper-Pearson bound: 78 of 78 is not 100 %.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;

use crate::binomial;
use crate::collect::Row;
use crate::error::Error;
use crate::evidence::Evidence;
use crate::limit::is_flagged;
use crate::optimise::{Candidate, optimise, prepare_sorted, propose_all};
use crate::options::Options;
use crate::population::{Limit, LimitId, Population};
use crate::record::{Identity, Verdict};

/// How records are divided into those that calibrate and those that validate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Split {
    /// The published one: the five parts with most defects; of each, 30 % of the defects (rounded up) are held back.
    Paper,
    /// Each defect is held back once, alone.
    LeaveOneOut,
    /// The boards are dealt into so many folds; each fold is held back once, false calls included.
    Folds(u32),
    /// The boards measured first calibrate, up to this share of the boards; the later ones validate.
    Time(f64),
}

/// Parts in [`Split::Paper`].
const PAPER_PARTS: usize = 5;

/// The splits as they are written.
const SPLITS: &str = "paper, loo, kfold:K with K from 2, or time:SHARE with SHARE between 0 and 1";

impl Split {
    /// Refuses fewer than two folds and a share that leaves one side empty.
    fn check(self) -> Result<(), Error> {
        let got = match self {
            Self::Folds(k) if k < 2 => format!("kfold:{k}"),
            Self::Time(share) if !(share > 0.0 && share < 1.0) => format!("time:{share}"),
            _ => return Ok(()),
        };
        Err(Error::Option { option: "split", got, expected: SPLITS })
    }
}

impl FromStr for Split {
    type Err = Error;

    /// Reads `paper`, `loo`, `kfold:5` or `time:0.7`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::Option { option: "split", got: text.to_owned(), expected: SPLITS };
        let split = match text.split_once(':') {
            None if text == "paper" => Self::Paper,
            None if text == "loo" => Self::LeaveOneOut,
            Some(("kfold", k)) => Self::Folds(k.parse().map_err(|_| refused())?),
            Some(("time", share)) => Self::Time(share.parse().map_err(|_| refused())?),
            _ => return Err(refused()),
        };
        split.check()?;
        Ok(split)
    }
}

/// What a split showed for one limit.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitRecall {
    /// The limit.
    pub id: LimitId,
    /// Confirmed defects that calibrated it; over several folds, the fewest that any fold had.
    pub defects_calibration: u64,
    /// Confirmed defects held back, each counted once.
    pub defects_validation: u64,
    /// Of these, flagged by the limit computed without them.
    pub flagged: u64,
}

impl LimitRecall {
    /// Held-back defects that the new limit lets pass.
    pub fn missed(&self) -> u64 {
        self.defects_validation - self.flagged
    }
}

/// What a split showed.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// Per limit that took part, sorted by name.
    pub limits: Vec<LimitRecall>,
    /// 1 - delta of the recall's lower bound.
    pub confidence: f64,
    /// False calls of the held-back boards, and how many of them the new limits flag; only for splits that hold boards back.
    pub held_back_false_calls: Option<(u64, u64)>,
}

/// Recall TP / (TP + FN) and its one-sided Clopper-Pearson lower bound at confidence 1 - `delta`; none without a trial.
///
/// # Errors
/// When `delta` is not between 0 and 1, or more are flagged than were held back.
pub fn recall(flagged: u64, held_back: u64, delta: f64) -> Result<Option<(f64, f64)>, Error> {
    if held_back == 0 {
        return Ok(None);
    }
    let lower = binomial::clopper_pearson_lower(flagged, held_back, delta)?;
    Ok(Some((flagged as f64 / held_back as f64, lower)))
}

impl Validation {
    /// Held-back defects and those flagged, over all limits; a defect measured by two limits counts at each.
    pub fn totals(&self) -> (u64, u64) {
        self.limits.iter().fold((0, 0), |(h, f), l| (h + l.defects_validation, f + l.flagged))
    }
}

/// Validates `options` on `population` under `split`; `seed` decides what chance decides.
///
/// # Errors
/// When an option is out of range, or the split needs boards or times that the records do not carry.
pub fn validate(
    population: &Population,
    split: Split,
    seed: u64,
    options: &Options,
) -> Result<Validation, Error> {
    options.check()?;
    split.check()?;
    let limits: Vec<&Limit> = population.limits.iter().collect();
    match split {
        Split::Paper => {
            let (limits, folds) = paper_folds(&limits, seed);
            hold_back(&limits, &folds, 1, false, options)
        }
        Split::LeaveOneOut => leave_one_out(&limits, options),
        Split::Folds(k) => {
            let boards = boards(&limits, "kfold")?;
            let mut dealt: Vec<Identity> = boards.into_keys().collect();
            dealt.sort_by_key(|b| b.shuffled(seed));
            let k_boards = u32::try_from(dealt.len()).unwrap_or(u32::MAX);
            let fold_of: HashMap<Identity, u32> = dealt.into_iter().zip((0..k).cycle()).collect();
            let folds = fold_by(&limits, |row| row.board.and_then(|b| fold_of.get(&b).copied()));
            hold_back(&limits, &folds, k.min(k_boards), true, options)
        }
        Split::Time(share) => {
            let mut boards: Vec<(i64, Identity)> = boards(&limits, "time")?
                .into_iter()
                .map(|(board, time)| time.map(|t| (t, board)))
                .collect::<Option<_>>()
                .ok_or(Error::Split { split: "time", needs: "a time for every flagged record" })?;
            boards.sort_unstable();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
            let cut = (share * boards.len() as f64).ceil() as usize;
            let late: HashSet<Identity> =
                boards.split_off(cut.min(boards.len())).into_iter().map(|b| b.1).collect();
            let folds = fold_by(&limits, |row| row.board.filter(|b| late.contains(b)).map(|_| 0));
            hold_back(&limits, &folds, 1, true, options)
        }
    }
}

/// The fold in which each row of each limit is held back; none = never.
type Folds = Vec<Vec<Option<u32>>>;

fn fold_by(limits: &[&Limit], mut fold: impl FnMut(&Row) -> Option<u32>) -> Folds {
    limits.iter().map(|l| l.rows.iter().map(&mut fold).collect()).collect()
}

/// Every board with the earliest time seen on it.
fn boards(limits: &[&Limit], split: &'static str) -> Result<BTreeMap<Identity, Option<i64>>, Error> {
    let mut boards: BTreeMap<Identity, Option<i64>> = BTreeMap::new();
    for row in limits.iter().flat_map(|l| &l.rows) {
        let board = row.board.ok_or(Error::Split { split, needs: "a board for every flagged record" })?;
        let time = boards.entry(board).or_insert(row.time);
        *time = [*time, row.time].into_iter().flatten().min();
    }
    if boards.is_empty() { Err(Error::Split { split, needs: "flagged records" }) } else { Ok(boards) }
}

fn is_confirmed(row: &Row) -> bool {
    row.verdict.is_fault()
}

/// The published split: which limits take part, and which of their defects are held back.
fn paper_folds<'a>(limits: &[&'a Limit], seed: u64) -> (Vec<&'a Limit>, Folds) {
    // A fault shown by several features is one defect; unnamed ones are told apart by limit, value and count.
    let mut names: Vec<Vec<Option<Identity>>> = Vec::new();
    let mut by_part: BTreeMap<&str, HashSet<Identity>> = BTreeMap::new();
    for limit in limits {
        let mut seen: HashMap<u64, u32> = HashMap::new();
        let named = limit.rows.iter().map(|row| {
            is_confirmed(row).then(|| {
                let name = row.defect.unwrap_or_else(|| {
                    let copy = seen.entry(row.value.to_bits()).or_default();
                    *copy += 1;
                    let place = format!("{}|{}|{}", limit.id.version, limit.id.side, copy);
                    let fields = limit.id.key.fields();
                    Identity::of(&[&fields.join("\u{1f}"), &place, &row.value.to_bits().to_string()])
                });
                by_part.entry(&limit.id.key.part).or_default().insert(name);
                name
            })
        });
        names.push(named.collect());
    }
    let mut ranking: Vec<(&str, HashSet<Identity>)> = by_part.into_iter().collect();
    ranking.sort_by_key(|(part, defects)| (std::cmp::Reverse(defects.len()), *part));
    ranking.truncate(PAPER_PARTS);
    let held: HashMap<&str, HashSet<Identity>> = ranking
        .into_iter()
        .map(|(part, defects)| {
            let mut drawn: Vec<Identity> = defects.into_iter().collect();
            drawn.sort_by_key(|d| d.shuffled(seed));
            drawn.truncate((3 * drawn.len()).div_ceil(10));
            (part, drawn.into_iter().collect())
        })
        .collect();
    limits
        .iter()
        .zip(names)
        .filter_map(|(limit, names)| {
            let held = held.get(limit.id.key.part.as_str())?;
            let fold = names.iter().map(|n| n.filter(|n| held.contains(n)).map(|_| 0)).collect();
            Some((*limit, fold))
        })
        .unzip()
}

/// Computes limits without the rows of each fold in turn and inspects the held-back defects with them.
fn hold_back(
    limits: &[&Limit],
    folds: &Folds,
    count: u32,
    boards_held: bool,
    options: &Options,
) -> Result<Validation, Error> {
    let mut recalls: Vec<LimitRecall> = limits
        .iter()
        .map(|l| LimitRecall {
            id: l.id.clone(),
            defects_calibration: u64::MAX,
            defects_validation: 0,
            flagged: 0,
        })
        .collect();
    let mut false_calls = (0, 0);
    for fold in 0..count {
        let evidence: Vec<_> = limits
            .iter()
            .zip(folds)
            .map(|(limit, folds)| {
                let mut held = folds.iter().map(|f| *f == Some(fold));
                limit.evidence_without(|_| held.next() == Some(true))
            })
            .collect();
        let proposals = optimise(&evidence, options)?;
        for (((limit, folds), recall), (proposal, evidence)) in
            limits.iter().zip(folds).zip(&mut recalls).zip(proposals.iter().zip(&evidence))
        {
            recall.defects_calibration = recall.defects_calibration.min(evidence.defects.len() as u64);
            for row in limit.rows.iter().zip(folds).filter(|(_, f)| **f == Some(fold)).map(|(r, _)| r) {
                let flagged = is_flagged(row.value, proposal.new_limit, limit.id.side, options.boundary);
                if is_confirmed(row) {
                    recall.defects_validation += 1;
                    recall.flagged += u64::from(flagged);
                } else if row.verdict == Verdict::FalseCall {
                    false_calls.0 += 1;
                    false_calls.1 += u64::from(flagged);
                }
            }
        }
    }
    Ok(Validation {
        limits: recalls,
        confidence: 1.0 - options.delta,
        held_back_false_calls: boards_held.then_some(false_calls),
    })
}

/// Leave-one-out. A proposal depends on the defects through their number and the guarded one, so leaving out any of the r + 1 largest
/// gives one limit, and leaving out any other gives another: two computations serve all n.
fn leave_one_out(limits: &[&Limit], options: &Options) -> Result<Validation, Error> {
    let misses = usize::try_from(options.misses).unwrap_or(usize::MAX);
    let all: Vec<Evidence> = limits.iter().map(|l| l.evidence()).collect();
    let mut candidates = prepare_sorted(&all, options)?;
    let mut recalls = Vec::with_capacity(limits.len());
    for (at, (limit, mut evidence)) in limits.iter().zip(all).enumerate() {
        let side = limit.id.side;
        evidence.defects.sort_unstable_by(|a, b| side.mirror(*b).total_cmp(&side.mirror(*a)));
        let defects = evidence.defects.clone();
        let (guarding, others) = defects.split_at(defects.len().min(misses.saturating_add(1)));
        let mut flagged = 0;
        for (group, left_out) in [(guarding, 0), (others, defects.len().saturating_sub(1))] {
            if group.is_empty() {
                continue;
            }
            evidence.defects.clone_from(&defects);
            evidence.defects.remove(left_out);
            let whole = std::mem::replace(&mut candidates[at], Candidate::sorted(&evidence, options)?);
            // Certificates that hold at once depend on how many limits move, so all are proposed; others stand alone.
            let asked = if options.simultaneous { 0..candidates.len() } else { at..at + 1 };
            let proposals = propose_all(&candidates[asked.clone()], options.percentile, options)?;
            candidates[at] = whole;
            let new_limit = proposals[at - asked.start].new_limit;
            flagged +=
                group.iter().filter(|&&v| is_flagged(v, new_limit, side, options.boundary)).count() as u64;
        }
        recalls.push(LimitRecall {
            id: limit.id.clone(),
            defects_calibration: defects.len().saturating_sub(1) as u64,
            defects_validation: defects.len() as u64,
            flagged,
        });
    }
    Ok(Validation { limits: recalls, confidence: 1.0 - options.delta, held_back_false_calls: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_splits_are_read_and_others_refused() {
        assert_eq!("paper".parse::<Split>().unwrap(), Split::Paper);
        assert_eq!("loo".parse::<Split>().unwrap(), Split::LeaveOneOut);
        assert_eq!("kfold:5".parse::<Split>().unwrap(), Split::Folds(5));
        assert_eq!("time:0.7".parse::<Split>().unwrap(), Split::Time(0.7));
        for text in ["", "kfold", "kfold:1", "kfold:x", "time:0", "time:1", "time:nan", "paper:2", "random"] {
            assert!(text.parse::<Split>().is_err(), "{text}");
        }
    }
}
