//! Samples of what was released: drawn and put on record before anybody looks, and what their review proves.
//!
//! The order matters. A sample that is chosen after its verdicts are known proves nothing, so a [`Drawing`] notes in the ledger what it was drawn from and
//! the digest of what was drawn. [`review`] draws again from the store, refuses anything but that sample, and counts a drawn value that nobody has reviewed as a defect: what
//! is hard to find must not make the bound better.

use sha2::{Digest, Sha256};

use serde::{Deserialize, Serialize};

use super::entry::Evidenced;
use crate::audit::{Finding, Review, draw};
use crate::error::Error;
use crate::recalibrate::{Recalibrator, Released};
use crate::record::{Identity, Verdict};
use crate::store::hexadecimal;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DrawOptions {
    /// Values to draw; all if there are fewer.
    pub count: u64,
    /// Decides which.
    pub seed: u64,
    /// Released values measured at this time or later, in nanoseconds since 1970 UTC; none for all.
    pub from: Option<i64>,
    /// Released values measured before this time; none for all.
    pub until: Option<i64>,
}

/// A sample on record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drawing {
    /// Values asked for.
    pub count: u64,
    /// Decides which.
    pub seed: u64,
    /// Measured at this time or later, in nanoseconds since 1970 UTC.
    pub from: Option<i64>,
    /// Measured before this time.
    pub until: Option<i64>,
    /// Released values that could be drawn, N.
    pub released: u64,
    /// Released values without a record id: they cannot be drawn or reviewed, and count as defects.
    pub unnamed: u64,
    /// Values drawn, n.
    pub drawn: u64,
    /// SHA-256 of the names drawn, in the order of the seed.
    pub sample_sha256: String,
    /// The records that it was drawn from.
    pub input: Evidenced,
}

/// What the review of a drawing has come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reviewed {
    /// Drawn values that were found to be good.
    pub good: u64,
    /// Drawn values that were found to be defects, or might be.
    pub defects: u64,
    /// Drawn values that nobody has reviewed: they count as defects.
    pub unreviewed: u64,
    /// Confirmed defects that were flagged in the same period, D.
    pub flagged_defects: u64,
    /// The bounds, over named and unnamed values.
    pub finding: Finding,
}

/// The released values of a drawing's period and records, by unit, each once: the last word on it.
struct Pool {
    units: std::collections::BTreeMap<Identity, Released>,
    unnamed: u64,
}

impl Pool {
    fn of(live: &Recalibrator, within: impl Fn(u64, i64) -> bool) -> Self {
        let mut pool = Self { units: std::collections::BTreeMap::new(), unnamed: 0 };
        for released in live.released().filter(|r| within(r.sequence, r.time)) {
            match released.unit {
                Some(unit) => {
                    pool.units.insert(unit, released);
                }
                None => pool.unnamed += 1,
            }
        }
        pool
    }

    fn draw(&self, count: u64, seed: u64) -> Vec<Identity> {
        let all: Vec<Identity> = self.units.keys().copied().collect();
        draw(&all, usize::try_from(count).unwrap_or(usize::MAX), seed)
    }
}

fn digest(units: &[Identity]) -> String {
    let mut digest = Sha256::new();
    for unit in units {
        digest.update(unit.to_bytes());
    }
    hexadecimal(&digest.finalize())
}

fn within(events: u64, from: Option<i64>, until: Option<i64>) -> impl Fn(u64, i64) -> bool {
    move |sequence, time| {
        sequence < events && from.is_none_or(|from| time >= from) && until.is_none_or(|until| time < until)
    }
}

/// Draws from what the first `input.events` events released; the names in the order of the seed.
///
/// # Errors
/// When nothing is asked for, or nothing was released that has a name.
pub fn draw_released(
    live: &Recalibrator,
    input: Evidenced,
    options: DrawOptions,
) -> Result<(Drawing, Vec<Identity>), Error> {
    let DrawOptions { count, seed, from, until } = options;
    let pool = Pool::of(live, within(input.events, from, until));
    let units = pool.draw(count, seed);
    if units.is_empty() {
        let reason = format!(
            "nothing to draw: {} released values with a record id and {} without in this period, {count} asked for",
            pool.units.len(),
            pool.unnamed
        );
        return Err(Error::Ledger { reason });
    }
    let drawing = Drawing {
        count,
        seed,
        from,
        until,
        released: pool.units.len() as u64,
        unnamed: pool.unnamed,
        drawn: units.len() as u64,
        sample_sha256: digest(&units),
        input,
    };
    Ok((drawing, units))
}

/// What the verdicts that have come since prove at confidence 1 - `delta`.
///
/// Over the drawing of the sample, whatever the defects are: with probability at least 1 - delta the share of the period's defects that were released is at
/// most the [`Finding::escape_rate`]. Defects known among the released values that were not drawn count too.
///
/// # Errors
/// When `delta` is not between 0 and 1, or what was released is no longer what the drawing was made from: a value was measured anew since.
pub fn review(live: &Recalibrator, drawing: &Drawing, delta: f64) -> Result<Reviewed, Error> {
    let within = within(drawing.input.events, drawing.from, drawing.until);
    let pool = Pool::of(live, &within);
    let units = pool.draw(drawing.count, drawing.seed);
    let now = (pool.units.len() as u64, pool.unnamed, digest(&units));
    if now != (drawing.released, drawing.unnamed, drawing.sample_sha256.clone()) {
        let reason = format!(
            "the sample was drawn from {} released values, and drawing again from {} gives another: values were measured anew since; \
             draw a new sample",
            drawing.released, now.0
        );
        return Err(Error::Ledger { reason });
    }
    let (mut good, mut defects, mut unreviewed) = (0, 0, 0);
    for unit in &units {
        match pool.units[unit].verdict {
            Some(Verdict::FalseCall | Verdict::Pass) => good += 1,
            None | Some(Verdict::Pending) => unreviewed += 1,
            Some(_) => defects += 1,
        }
    }
    let known = pool.units.values().filter(|r| r.verdict.is_some_and(Verdict::is_fault)).count() as u64;
    let flagged_defects = live.caught_defects().filter(|d| within(d.sequence, d.time)).count() as u64;
    let counted = Review {
        released: drawing.released,
        reviewed: drawing.drawn,
        defects: defects + unreviewed,
        flagged_defects,
    };
    let bound = counted.bound(delta)?;
    let defects_released = bound.defects_released.max(known) + drawing.unnamed;
    let all = defects_released + flagged_defects;
    let escape_rate = if all == 0 { 0.0 } else { defects_released as f64 / all as f64 };
    let finding = Finding { defects_released, escape_rate };
    Ok(Reviewed { good, defects, unreviewed, flagged_defects, finding })
}
