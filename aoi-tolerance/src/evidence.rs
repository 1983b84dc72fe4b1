//! What is known about one limit, and the same in the order in which it is used.

use crate::error::Error;
use crate::limit::{Boundary, Side};
use crate::resolution::Resolution;
use crate::sample::{Ascending, Sample};

/// Everything that the records say about one limit, in the unit of the value and in any order.
///
/// `false_calls`, `defects` and `provisional` hold values that the limit in force flagged; [`crate::optimise::optimise_limit`] refuses
/// others. The percentile is taken over `false_calls` alone; `defects` and `provisional` guard.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// The side that the limit bounds.
    pub side: Side,
    /// The limit in force when the values were flagged, T0.
    pub limit: f64,
    /// Flagged, and found good on review.
    pub false_calls: Vec<f64>,
    /// Flagged, and confirmed as faults. Only these count as certificate evidence.
    pub defects: Vec<f64>,
    /// Flagged, with a borderline or provisional verdict: they guard, but prove nothing.
    pub provisional: Vec<f64>,
    /// Values of defects that no limit flagged and that this limit, moved, would have caught.
    pub escapes: Vec<f64>,
    /// Confirmed defects measured by this limit that it did not flag.
    pub defects_unflagged: u64,
    /// Flagged values without a usable verdict.
    pub pending: u64,
    /// Defect rows whose value or limit could not be read, and which nobody has acknowledged.
    pub unreadable_defects: u64,
    /// Repeatability of the measurement, in the unit of the value.
    pub sigma: Option<f64>,
    /// Step in which the machine stores the limit.
    pub resolution: Option<Resolution>,
    /// The records disagree about the resolution, so that none can be relied on.
    pub resolution_conflict: bool,
}

impl Evidence {
    /// No evidence yet on a limit at `limit`.
    pub fn new(side: Side, limit: f64) -> Self {
        Self {
            side,
            limit,
            false_calls: Vec::new(),
            defects: Vec::new(),
            provisional: Vec::new(),
            escapes: Vec::new(),
            defects_unflagged: 0,
            pending: 0,
            unreadable_defects: 0,
            sigma: None,
            resolution: None,
            resolution_conflict: false,
        }
    }

    /// Values that the limit flagged, whatever their verdict.
    pub fn flagged(&self) -> u64 {
        (self.false_calls.len() + self.defects.len() + self.provisional.len()) as u64 + self.pending
    }
}

/// What is known about a limit beside the values that feed the percentile and the guard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) side: Side,
    pub(crate) flagged: u64,
    pub(crate) pending: u64,
    pub(crate) escapes: u64,
    pub(crate) defects_unflagged: u64,
    pub(crate) unreadable_defects: u64,
    pub(crate) sigma: Option<f64>,
    pub(crate) resolution: Option<Resolution>,
    pub(crate) resolution_conflict: bool,
}

impl Facts {
    pub(crate) fn of(evidence: &Evidence) -> Self {
        Self {
            side: evidence.side,
            flagged: evidence.flagged(),
            pending: evidence.pending,
            escapes: evidence.escapes.len() as u64,
            defects_unflagged: evidence.defects_unflagged,
            unreadable_defects: evidence.unreadable_defects,
            sigma: evidence.sigma,
            resolution: evidence.resolution,
            resolution_conflict: evidence.resolution_conflict,
        }
    }
}

/// The evidence on one limit as a *lower* limit (see [`Side::mirror`]), in order.
#[derive(Debug, Clone)]
pub(crate) struct Ordered<S> {
    pub(crate) baseline: f64,
    pub(crate) false_calls: S,
    pub(crate) defects: S,
    /// The largest borderline or provisional value.
    pub(crate) provisional: Option<f64>,
    /// The largest escaped value.
    pub(crate) escape: Option<f64>,
}

impl<'a> Ordered<Sample<'a>> {
    /// Mirrors and checks; the false calls stay where they are, for one question or two.
    pub(crate) fn borrowed(evidence: &'a Evidence, boundary: Boundary) -> Result<Self, Error> {
        Self::new(evidence, boundary, Sample::Given { values: &evidence.false_calls, side: evidence.side })
    }

    /// Mirrors, checks and sorts: one sort serves every percentile.
    pub(crate) fn sorted(evidence: &Evidence, boundary: Boundary) -> Result<Ordered<Sample<'static>>, Error> {
        Ordered::new(evidence, boundary, Sample::sorted(&evidence.false_calls, evidence.side))
    }

    fn new(evidence: &Evidence, boundary: Boundary, false_calls: Sample<'a>) -> Result<Self, Error> {
        let side = evidence.side;
        if !evidence.limit.is_finite() {
            return Err(Error::NotFinite { what: "limit", got: evidence.limit });
        }
        let baseline = side.mirror(evidence.limit);
        let check = |values: &[f64], what: &'static str| -> Result<(), Error> {
            let right = |value: f64| value.is_finite() & boundary.flags_below(side.mirror(value), baseline);
            // Counted to the end rather than searched: a search that may stop anywhere is not turned into vector instructions.
            if values.iter().map(|&v| usize::from(right(v))).sum::<usize>() == values.len() {
                return Ok(());
            }
            let value = values.iter().copied().find(|&v| !right(v)).unwrap_or(f64::NAN);
            Err(if value.is_finite() {
                Error::NotFlagged { what, value, side, limit: evidence.limit }
            } else {
                Error::NotFinite { what, got: value }
            })
        };
        check(&evidence.provisional, "provisional value")?;
        if let Some(&got) = evidence.escapes.iter().find(|v| !v.is_finite()) {
            return Err(Error::NotFinite { what: "escape", got });
        }
        check(&evidence.false_calls, "false call")?;
        check(&evidence.defects, "defect")?;
        let largest = |values: &[f64]| values.iter().map(|&v| side.mirror(v)).max_by(f64::total_cmp);
        Ok(Self {
            baseline,
            false_calls,
            defects: Sample::sorted(&evidence.defects, side),
            provisional: largest(&evidence.provisional),
            escape: largest(&evidence.escapes),
        })
    }
}

impl<S: Ascending> Ordered<S> {
    /// The largest confirmed defect.
    pub(crate) fn last_defect(&self) -> Option<f64> {
        self.defects.count().checked_sub(1).map(|i| self.defects.at(i))
    }

    /// The value that the guard must keep flagged when `misses` confirmed defects may be given up.
    ///
    /// The (misses + 1)-th largest confirmed defect, or a borderline or provisional value above it: those are never given up.
    pub(crate) fn guarded_value(&self, misses: usize) -> Option<f64> {
        let place = self.defects.count().checked_sub(misses).and_then(|n| n.checked_sub(1));
        let confirmed = place.map(|i| self.defects.at(i));
        match (confirmed, self.provisional) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }
}
