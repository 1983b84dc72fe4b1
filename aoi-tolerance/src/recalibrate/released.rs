//! What the limits in force let pass, though T0 would have flagged it.

use super::{LiveLimit, Recalibrator};
use crate::record::{Identity, Verdict};

/// A value that T0 flags and the limit in force when it was measured let pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Released {
    /// Names the record under its key; none for a record without an id.
    pub unit: Option<Identity>,
    /// The limit of T0 that flags it.
    pub limit: LiveLimit,
    /// The measured value.
    pub value: f64,
    /// Its place in the stream.
    pub sequence: u64,
    /// When it was measured, or received if it does not say, in nanoseconds since 1970 UTC.
    pub time: i64,
    /// What a review said; none until there is one.
    pub verdict: Option<Verdict>,
}

/// A confirmed defect that was flagged when it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaughtDefect {
    /// Its place in the stream.
    pub sequence: u64,
    /// When it was measured, as [`Released::time`].
    pub time: i64,
}

impl Recalibrator {
    /// Everything that was released, reviewed since or not, in the order in which it came.
    pub fn released(&self) -> impl Iterator<Item = Released> + '_ {
        (0..).zip(&self.rows).filter(|(_, r)| r.released).map(|(number, r)| {
            let key = &self.keys[self.slots[r.slot as usize].key as usize].key;
            Released {
                unit: r.row.record.map(|name| name.under(key.fields())),
                limit: self.limit_of(number),
                value: r.row.value,
                sequence: r.sequence,
                time: r.time,
                verdict: (!r.presumed).then_some(r.row.verdict),
            }
        })
    }

    /// Confirmed defects that the limits in force flagged.
    pub fn caught_defects(&self) -> impl Iterator<Item = CaughtDefect> + '_ {
        let boundary = self.options.collect.boundary;
        let caught = move |r: &&super::LiveRow| {
            let baseline = self.slots[r.slot as usize].baseline;
            r.row.verdict == Verdict::Defect
                && !r.released
                && baseline.flagging_side(r.row.value, boundary).is_some()
        };
        self.rows.iter().filter(caught).map(|r| CaughtDefect { sequence: r.sequence, time: r.time })
    }
}
