//! Late words about known records, and what one row counts for.

use super::row::LiveRow;
use super::{Arrival, Fate, LiveLimit, Notice, Recalibrator, Window};
use crate::collect::Row;
use crate::limit::Side;
use crate::population::nearest_side;
use crate::record::{Identity, Record, Verdict};

/// A fault that is said to be none, waiting for approval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Withheld {
    /// Names the row; to be given to [`Recalibrator::withdraw`].
    pub row: u32,
    /// The limit that it guards.
    pub limit: LiveLimit,
    /// The measured value.
    pub value: f64,
    /// The verdict that was given instead.
    pub verdict: Verdict,
}

impl Recalibrator {
    /// A verdict alone, for a record that is known by its id: under `key` if one is given, else under all keys.
    ///
    /// It counts as the same record with that verdict would. Whether any flagged record or fault of that id is known.
    pub fn judge(&mut self, record_id: &str, key: Option<[&str; 6]>, verdict: Verdict) -> bool {
        let name = Identity::of(&[record_id]);
        let keys = match key {
            Some(fields) => {
                self.encode(fields);
                let Some(&key) = self.index.get(self.encoded.as_slice()) else { return false };
                key..key + 1
            }
            // Without a key a record is looked for under all of them, rather than kept twice in memory.
            None => 0..u32::try_from(self.keys.len()).unwrap_or(u32::MAX),
        };
        let mut known = false;
        for key in keys {
            if let Some(row) = self.names.get(&(name, key)).copied() {
                known = true;
                self.reconsider(row, verdict);
            }
        }
        known
    }

    /// Faults that are said to be none, waiting for approval.
    pub fn withheld(&self) -> impl Iterator<Item = Withheld> + '_ {
        self.withheld.iter().map(|(&row, &verdict)| Withheld {
            row,
            limit: self.limit_of(row),
            value: self.rows[row as usize].row.value,
            verdict,
        })
    }

    /// Carries out an approved withdrawal: the fault becomes what it is now said to be. Whether there was one to carry out.
    pub fn withdraw(&mut self, row: u32) -> bool {
        let Some(verdict) = self.withheld.remove(&row) else { return false };
        self.set_verdict(row, verdict);
        true
    }

    /// Somebody has looked at the unreadable records whose key could be read as `key`: they block nothing any more. How many there were.
    pub fn acknowledge(&mut self, key: &[Option<String>; 6]) -> u64 {
        let Some((guards, pending)) = self.unreadable.remove(key) else { return 0 };
        for (number, slot) in (0..).zip(&mut self.slots) {
            if super::matches(key, &self.keys[slot.key as usize].key) {
                slot.unreadable_defects -= guards;
                slot.pending_unreadable -= pending;
                self.changed.insert(number);
            }
        }
        guards + pending
    }

    /// Unreadable records nobody has looked at: what could be read of their keys, how many guard, how many are pending.
    pub fn unreadable(&self) -> impl Iterator<Item = (&[Option<String>; 6], u64, u64)> {
        self.unreadable.iter().map(|(key, (guards, pending))| (key, *guards, *pending))
    }

    /// A known record came again.
    pub(super) fn correct(&mut self, number: u32, record: &Record<'_>, slot: u32, arrival: Arrival) -> Fate {
        self.slots[slot as usize].records -= 1;
        let old = self.rows[number as usize];
        let same_value = old.row.value.to_bits() == record.value.to_bits() && old.slot == slot;
        if same_value {
            return self.hear(number, record.verdict);
        }
        let (verdict, released) = self.verdict(slot, record);
        if old.row.verdict.is_fault() {
            let Some((verdict, _)) = verdict.filter(|v| v.0.is_fault()) else {
                // Another value that is said to be no fault: which of the two is right cannot be known.
                return self.hear(number, record.verdict);
            };
            // Two values of one fault: both must stay flagged.
            let row = Row { record: old.row.record, reviewer: None, ..Row::of(record, verdict) };
            let time = Window::time_of(record.time, arrival.received);
            let key = self.slots[slot as usize].key;
            let new = self.add_row(LiveRow {
                row,
                sequence: arrival.sequence,
                time,
                slot,
                presumed: false,
                released,
            });
            if let Some(name) = old.row.record {
                self.names.insert((name, key), new);
            }
            self.counts.corrected += 1;
            return Fate::Corrected;
        }
        // Measured anew: the later value counts, at the old place in the stream.
        let (verdict, presumed) = verdict.unwrap_or((Verdict::Pass, false));
        self.drop_contribution(number);
        let row = Row { record: old.row.record, reviewer: None, ..Row::of(record, verdict) };
        self.rows[number as usize] = LiveRow { row, slot, presumed, released, ..old };
        self.add(number);
        self.counts.corrected += 1;
        Fate::Corrected
    }

    /// Another verdict on a known value.
    fn reconsider(&mut self, number: u32, verdict: Verdict) -> Fate {
        let LiveRow { row, presumed, released, slot, .. } = self.rows[number as usize];
        let boundary = self.options.collect.boundary;
        let flagged = self.slots[slot as usize].baseline.flagging_side(row.value, boundary).is_some();
        // The machine's own "pass" on a released value is no review; and of a value inside T0 only a fault is news.
        let unreviewed = (verdict == Verdict::Pass && released) || (!flagged && !verdict.is_fault());
        if unreviewed && !row.verdict.is_fault() || (verdict == row.verdict && !presumed) {
            if self.withheld.remove(&number).is_some() {
                // It was said to be none, and now is said to be one again.
                self.counts.corrected += 1;
                return Fate::Corrected;
            }
            return self.known();
        }
        if row.verdict.is_fault() && !verdict.is_fault() {
            if self.withheld.insert(number, verdict) != Some(verdict) {
                let limit = self.name(self.limit_of(number));
                self.notices.push(Notice::Withheld { limit, value: row.value });
            }
            return Fate::Withheld;
        }
        self.withheld.remove(&number);
        self.set_verdict(number, verdict);
        self.counts.corrected += 1;
        Fate::Corrected
    }

    /// Another word on a known value, or none.
    fn hear(&mut self, number: u32, verdict: Option<Verdict>) -> Fate {
        match verdict {
            Some(verdict) => self.reconsider(number, verdict),
            None => self.known(),
        }
    }

    fn known(&mut self) -> Fate {
        self.counts.known += 1;
        Fate::Known
    }

    fn set_verdict(&mut self, number: u32, verdict: Verdict) {
        self.drop_contribution(number);
        let live = &mut self.rows[number as usize];
        // Without its fault, a released value that only the machine passed is what it would have been from the start.
        live.presumed = live.released && verdict == Verdict::Pass;
        live.row.verdict = if live.presumed { Verdict::FalseCall } else { verdict };
        self.add(number);
    }

    /// The limit that a row counts on: the one that flags it, else the nearest.
    pub(super) fn limit_of(&self, number: u32) -> LiveLimit {
        let LiveRow { slot, row, .. } = self.rows[number as usize];
        let tolerance = self.slots[slot as usize].baseline;
        let side = tolerance.flagging_side(row.value, self.options.collect.boundary);
        let side = side.or_else(|| nearest_side(tolerance, row.value)).unwrap_or(Side::Lower);
        LiveLimit { slot, side }
    }

    /// Counts what a row says, and tells of escapes.
    pub(super) fn add(&mut self, number: u32) {
        let LiveRow { row, slot: at, released, .. } = self.rows[number as usize];
        let (window, edge) = (self.options.window, self.options.window.edge(self.newest));
        let slot = &mut self.slots[at as usize];
        self.changed.insert(at);
        let flagging = slot.baseline.flagging_side(row.value, self.options.collect.boundary);
        let Some(limit) = flagging.and_then(|side| slot.side_mut(side)) else {
            if row.verdict.is_fault() {
                slot.unflagged.push(number);
                if row.defect.is_none_or(|d| !self.caught.contains_key(&d)) {
                    let limit = self.name(self.limit_of(number));
                    self.notices.push(Notice::BeyondBaseline { limit, value: row.value });
                }
            }
            return;
        };
        let mirrored = limit.side.mirror(row.value);
        match row.verdict {
            Verdict::FalseCall => limit.enter(window, edge, &self.rows, number),
            Verdict::Defect | Verdict::Escape => {
                limit.defects.insert(mirrored);
                if let Some(defect) = row.defect {
                    *self.caught.entry(defect).or_default() += 1;
                    self.change_all_with_unflagged();
                }
            }
            Verdict::Provisional => limit.provisional.insert(mirrored),
            Verdict::Borderline if self.options.collect.borderline_guards => {
                limit.provisional.insert(mirrored);
            }
            Verdict::Pending => limit.pending += 1,
            Verdict::Borderline | Verdict::Pass => {}
        }
        if row.verdict.is_fault() && released {
            let limit = self.limit_of(number);
            let (baseline, in_force) = self.in_force(limit);
            let limit = self.name(limit);
            self.notices.push(Notice::Escape { limit, value: row.value, baseline, in_force });
        }
    }

    /// Takes back what a row says.
    pub(super) fn drop_contribution(&mut self, number: u32) {
        let LiveRow { row, slot: at, .. } = self.rows[number as usize];
        let window = self.options.window;
        let slot = &mut self.slots[at as usize];
        self.changed.insert(at);
        let flagging = slot.baseline.flagging_side(row.value, self.options.collect.boundary);
        let Some(limit) = flagging.and_then(|side| slot.side_mut(side)) else {
            slot.unflagged.retain(|r| *r != number);
            return;
        };
        let mirrored = limit.side.mirror(row.value);
        match row.verdict {
            Verdict::FalseCall => limit.leave(window, &self.rows, number),
            Verdict::Defect | Verdict::Escape => {
                limit.defects.remove(mirrored);
                if let Some(defect) = row.defect {
                    self.release_fault(defect);
                }
            }
            Verdict::Provisional => {
                limit.provisional.remove(mirrored);
            }
            Verdict::Borderline if self.options.collect.borderline_guards => {
                limit.provisional.remove(mirrored);
            }
            Verdict::Pending => limit.pending -= 1,
            Verdict::Borderline | Verdict::Pass => {}
        }
    }

    /// One row fewer shows a fault.
    fn release_fault(&mut self, defect: Identity) {
        if let Some(count) = self.caught.get_mut(&defect) {
            *count -= 1;
            if *count == 0 {
                self.caught.remove(&defect);
            }
        }
        self.change_all_with_unflagged();
    }

    /// Whether a fault escaped may depend on what other limits flag.
    fn change_all_with_unflagged(&mut self) {
        let with = (0..).zip(&self.slots).filter(|(_, s)| !s.unflagged.is_empty());
        self.changed.extend(with.map(|(number, _)| number));
    }
}
