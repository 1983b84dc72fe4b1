//! What is kept of one flagged record, and of a tolerance.

use super::side::LiveSide;
use super::window::Passes;
use crate::collect::Row;
use crate::limit::{Side, Tolerance};
use crate::record::Record;
use crate::resolution::Resolution;

/// A record that T0 flags, or a fault that it does not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct LiveRow {
    pub(crate) row: Row,
    /// Its place in the stream.
    pub(crate) sequence: u64,
    /// The time that counts for the window.
    pub(crate) time: i64,
    pub(crate) slot: u32,
    /// Released by a relaxed limit and reviewed by nobody.
    pub(crate) presumed: bool,
    /// The limits in force when it was measured let it pass.
    pub(crate) released: bool,
}

/// One tolerance under one key: T0, what is in force instead, and what was measured against it.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    pub(crate) key: u32,
    /// T0.
    pub(crate) baseline: Tolerance,
    /// The limits in force.
    pub(crate) live: Tolerance,
    /// Limits that were in force before: machines may be late to take up new ones.
    pub(crate) earlier: Vec<Tolerance>,
    pub(crate) first_time: Option<i64>,
    pub(crate) records: u64,
    pub(crate) nominal: Option<f64>,
    pub(crate) sigma: Option<f64>,
    pub(crate) resolution: Option<Resolution>,
    pub(crate) resolution_conflict: bool,
    pub(crate) lower: Option<LiveSide>,
    pub(crate) upper: Option<LiveSide>,
    /// Faults that T0 does not flag, by row.
    pub(crate) unflagged: Vec<u32>,
    pub(crate) passes: Passes,
    pub(crate) pending_unreadable: u64,
    pub(crate) unreadable_defects: u64,
    /// Records when the slot was made by a new revision or changed limits; it then has to show some before it moves.
    pub(crate) unsettled: bool,
}

impl Slot {
    pub(crate) fn new(key: u32, baseline: Tolerance) -> Self {
        Self {
            key,
            baseline,
            live: baseline,
            earlier: Vec::new(),
            first_time: None,
            records: 0,
            nominal: None,
            sigma: None,
            resolution: None,
            resolution_conflict: false,
            lower: baseline.lower.map(|l| LiveSide::new(Side::Lower, l)),
            upper: baseline.upper.map(|u| LiveSide::new(Side::Upper, u)),
            unflagged: Vec::new(),
            passes: Passes::default(),
            pending_unreadable: 0,
            unreadable_defects: 0,
            unsettled: false,
        }
    }

    /// Whether records with these limits belong here.
    pub(crate) fn knows(&self, tolerance: Tolerance) -> bool {
        tolerance == self.live || tolerance == self.baseline || self.earlier.contains(&tolerance)
    }

    pub(crate) fn side(&self, side: Side) -> Option<&LiveSide> {
        match side {
            Side::Lower => self.lower.as_ref(),
            Side::Upper => self.upper.as_ref(),
        }
    }

    pub(crate) fn side_mut(&mut self, side: Side) -> Option<&mut LiveSide> {
        match side {
            Side::Lower => self.lower.as_mut(),
            Side::Upper => self.upper.as_mut(),
        }
    }

    pub(crate) fn sides_mut(&mut self) -> impl Iterator<Item = &mut LiveSide> {
        self.lower.iter_mut().chain(&mut self.upper)
    }

    /// Keeps the earliest time, the largest nominal and sigma, and whether the resolutions agree, as a collector does.
    pub(crate) fn note(&mut self, record: &Record<'_>) {
        self.records += 1;
        self.note_facts(record.time, record.nominal, record.sigma, record.resolution);
    }

    pub(crate) fn note_facts(
        &mut self,
        time: Option<i64>,
        nominal: Option<f64>,
        sigma: Option<f64>,
        step: Option<Resolution>,
    ) {
        self.first_time = [self.first_time, time].into_iter().flatten().min();
        self.nominal = crate::collect::largest(self.nominal, nominal);
        self.sigma = crate::collect::largest(self.sigma, sigma);
        if let Some(step) = step {
            self.resolution_conflict |= self.resolution.is_some_and(|r| r != step);
            self.resolution = Some(self.resolution.map_or(step, |r| r.coarser(step)));
        }
    }
}
