//! What counts on one limit, kept in order as it comes and goes.

use std::collections::BTreeSet;

use super::ranked::Ranked;
use super::row::LiveRow;
use super::window::Window;
use crate::collect::Row;
use crate::limit::Side;

/// One side of a tolerance; values are in the mirrored frame of [`Side::mirror`], where it is a lower limit.
#[derive(Debug, Clone)]
pub(crate) struct LiveSide {
    pub(crate) side: Side,
    /// T0, as the records write it.
    pub(crate) baseline: f64,
    /// False calls inside the window.
    pub(crate) false_calls: Ranked,
    pub(crate) defects: Ranked,
    /// Borderline values that guard, and provisional ones.
    pub(crate) provisional: Ranked,
    pub(crate) pending: u64,
    /// False calls inside the window in the order in which they leave it; empty where nothing ever does.
    inside: BTreeSet<(u64, u32)>,
    /// Those that have left, and may come back when one inside turns out to be something else.
    outside: BTreeSet<(u64, u32)>,
}

impl LiveSide {
    pub(crate) fn new(side: Side, baseline: f64) -> Self {
        Self {
            side,
            baseline,
            false_calls: Ranked::new(),
            defects: Ranked::new(),
            provisional: Ranked::new(),
            pending: 0,
            inside: BTreeSet::new(),
            outside: BTreeSet::new(),
        }
    }

    /// Values that T0 flags, whatever their verdict.
    pub(crate) fn flagged(&self) -> u64 {
        (self.false_calls.len() + self.defects.len() + self.provisional.len()) as u64 + self.pending
    }

    /// Whether a false call counts.
    pub(crate) fn is_inside(&self, window: Window, live: &LiveRow, row: u32) -> bool {
        window == Window::All || self.inside.contains(&(window.order(live.sequence, live.time), row))
    }

    /// A value became a false call.
    pub(crate) fn enter(&mut self, window: Window, edge: i64, rows: &[LiveRow], row: u32) {
        let LiveRow { sequence, time, row: Row { value, .. }, .. } = rows[row as usize];
        let entry = (window.order(sequence, time), row);
        match window {
            Window::All => {}
            Window::Count(most) => {
                // Where older ones have left already, only a newer one than the oldest inside counts.
                if self.inside.len() as u64 >= most.get() {
                    let Some(oldest) = self.inside.first().copied() else { return };
                    if entry < oldest {
                        self.outside.insert(entry);
                        return;
                    }
                    self.inside.pop_first();
                    self.outside.insert(oldest);
                    self.false_calls.remove(self.side.mirror(rows[oldest.1 as usize].row.value));
                }
                self.inside.insert(entry);
            }
            Window::Span(_) => {
                if window.bucket(time) < edge {
                    return;
                }
                self.inside.insert(entry);
            }
        }
        self.false_calls.insert(self.side.mirror(value));
    }

    /// A value is no longer a false call.
    pub(crate) fn leave(&mut self, window: Window, rows: &[LiveRow], row: u32) {
        let LiveRow { sequence, time, row: Row { value, .. }, .. } = rows[row as usize];
        let entry = (window.order(sequence, time), row);
        if window != Window::All && !self.inside.remove(&entry) {
            self.outside.remove(&entry);
            return;
        }
        self.false_calls.remove(self.side.mirror(value));
        if let Some(back) = self.outside.pop_last() {
            self.inside.insert(back);
            self.false_calls.insert(self.side.mirror(rows[back.1 as usize].row.value));
        }
    }

    /// The far end of a window of time has moved to `edge`; whether anything left.
    pub(crate) fn slide(&mut self, window: Window, edge: i64, rows: &[LiveRow]) -> bool {
        let before = self.inside.len();
        while let Some(&(_, row)) = self.inside.first() {
            let LiveRow { time, row: Row { value, .. }, .. } = rows[row as usize];
            if window.bucket(time) >= edge {
                break;
            }
            self.inside.pop_first();
            self.false_calls.remove(self.side.mirror(value));
        }
        self.inside.len() < before
    }
}
