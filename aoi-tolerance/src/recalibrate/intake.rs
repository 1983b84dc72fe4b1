//! How a record finds its limit, and what it is counted as.

use super::row::{LiveRow, Slot};
use super::{Arrival, Fate, Known, LiveLimit, Notice, Recalibrator, Window, matches};
use crate::collect::Row;
use crate::limit::{Side, Tolerance};
use crate::record::{Identity, Key, Record, Verdict};

impl Recalibrator {
    /// Takes one record and says what it did.
    pub fn push(&mut self, record: &Record<'_>, arrival: Arrival) -> (Option<LiveLimit>, Fate) {
        let record = &Record { tolerance: record.tolerance.unsigned_zeros(), ..*record };
        if let Some(intake) = crate::collect::refusal(record) {
            let key = record.key.map(|f| (!f.is_empty()).then_some(f));
            self.push_unreadable(key, record.verdict);
            return (None, Fate::Refused(intake));
        }
        let key = self.find_key(record.key);
        let slot = self.find_slot(key, record);
        let time = Window::time_of(record.time, arrival.received);
        self.advance(time);
        let name = (!record.record_id.is_empty()).then(|| Identity::of(&[record.record_id]));
        let known = name.and_then(|name| self.names.get(&(name, key)).copied());
        let fate = if let Some(row) = known {
            self.correct(row, record, slot, arrival)
        } else {
            self.take(record, name, key, slot, time, arrival)
        };
        let side = record.tolerance.sides().next().map_or(Side::Lower, |s| s.0);
        (Some(LiveLimit { slot, side }), fate)
    }

    /// Takes a record whose value or limits cannot be read, with the fields of its key that can; fails closed as
    /// [`crate::collect::Collector::push_unreadable`].
    pub fn push_unreadable(&mut self, key: [Option<&str>; 6], verdict: Option<Verdict>) {
        self.counts.refused += 1;
        let guards = verdict.is_some_and(Verdict::guards);
        if !guards && verdict.is_some_and(|v| v != Verdict::Pending) {
            return;
        }
        let key = key.map(|f| f.map(str::to_owned));
        for (number, slot) in (0..).zip(&mut self.slots) {
            if matches(&key, &self.keys[slot.key as usize].key) {
                slot.unreadable_defects += u64::from(guards);
                slot.pending_unreadable += u64::from(!guards);
                self.changed.insert(number);
            }
        }
        let group = self.unreadable.entry(key).or_default();
        group.0 += u64::from(guards);
        group.1 += u64::from(!guards);
    }

    /// Writes a key the way the index has it.
    pub(super) fn encode(&mut self, fields: [&str; 6]) {
        self.encoded.clear();
        for field in fields {
            self.encoded.extend_from_slice(&(field.len() as u64).to_le_bytes());
            self.encoded.extend_from_slice(field.as_bytes());
        }
    }

    /// The key's number, new if need be.
    pub(super) fn find_key(&mut self, fields: [&str; 6]) -> u32 {
        self.encode(fields);
        if let Some(&key) = self.index.get(self.encoded.as_slice()) {
            return key;
        }
        let number = u32::try_from(self.keys.len()).expect("fewer than 2^32 keys fit in memory");
        let [part, model, revision, inspection, feature, unit] = fields.map(str::to_owned);
        let key = Key { part, model, revision, inspection, feature, unit };
        self.index.insert(self.encoded.as_slice().into(), number);
        self.keys.push(Known { mark: Identity::of(&key.fields()).low(), key, slots: Vec::new() });
        number
    }

    /// The slot of the record's limits, new if need be.
    pub(super) fn find_slot(&mut self, key: u32, record: &Record<'_>) -> u32 {
        let known = &self.keys[key as usize];
        let found = known.slots.iter().find(|s| self.slots[**s as usize].knows(record.tolerance));
        let number = if let Some(&slot) = found { slot } else { self.add_slot(key, record.tolerance) };
        self.slots[number as usize].note(record);
        number
    }

    /// A tolerance that was not known; whether it needs settling is decided here.
    pub(super) fn add_slot(&mut self, key: u32, baseline: Tolerance) -> u32 {
        let number = u32::try_from(self.slots.len()).expect("fewer than 2^32 tolerances fit in memory");
        let mut slot = Slot::new(key, baseline);
        let known = &mut self.keys[key as usize];
        let [part, model, _, inspection, feature, unit] = known.key.fields();
        let another = !self.families.insert(Identity::of(&[part, model, inspection, feature, unit]));
        slot.unsettled = another;
        for (pattern, (guards, pending)) in &self.unreadable {
            if matches(pattern, &known.key) {
                slot.unreadable_defects += guards;
                slot.pending_unreadable += pending;
            }
        }
        let changed_limits = !known.slots.is_empty();
        known.slots.push(number);
        self.slots.push(slot);
        self.changed.insert(number);
        if another {
            let limit = self.limits_of(number).next().map(|l| self.name(l));
            self.notices.extend(limit.map(|limit| Notice::Unsettled { limit, changed_limits }));
        }
        number
    }

    /// Counts a record that is not known.
    fn take(
        &mut self,
        record: &Record<'_>,
        name: Option<Identity>,
        key: u32,
        slot: u32,
        time: i64,
        arrival: Arrival,
    ) -> Fate {
        let (verdict, released) = self.verdict(slot, record);
        let window = self.options.window;
        let bucket = window.bucket(time);
        let counts_as_pass = bucket >= window.edge(self.newest);
        let mark = name.map(|name| name.low() ^ self.keys[key as usize].mark);
        let Some((verdict, presumed)) = verdict else {
            if mark.is_some_and(|mark| !self.seen.insert(mark)) {
                self.slots[slot as usize].records -= 1;
                self.counts.known += 1;
                return Fate::Known;
            }
            self.counts.records += 1;
            if counts_as_pass {
                self.slots[slot as usize].passes.add(bucket, 1);
            }
            return Fate::New;
        };
        // A record that was counted as a pass and now says more is a pass no longer.
        let was_pass = mark.is_some_and(|mark| self.seen.contains(mark));
        if was_pass {
            self.slots[slot as usize].passes.take(bucket);
            self.slots[slot as usize].records -= 1;
            self.counts.corrected += 1;
        } else {
            self.counts.records += 1;
        }
        // Reviewers are compared over files, not over a stream.
        let row = Row { record: name, reviewer: None, ..Row::of(record, verdict) };
        let live = LiveRow { row, sequence: arrival.sequence, time, slot, presumed, released };
        let number = self.add_row(live);
        if let Some(name) = name {
            self.names.insert((name, key), number);
        }
        if was_pass { Fate::Corrected } else { Fate::New }
    }

    /// Keeps a row and counts what it says.
    pub(super) fn add_row(&mut self, live: LiveRow) -> u32 {
        let number = u32::try_from(self.rows.len()).expect("fewer than 2^32 flagged values fit in memory");
        self.counts.kept += 1;
        self.counts.released += u64::from(live.released);
        self.rows.push(live);
        self.add(number);
        number
    }

    /// The verdict that counts and whether it is presumed; none for a pass. And whether the limits in force released the value.
    pub(super) fn verdict(&self, slot: u32, record: &Record<'_>) -> (Option<(Verdict, bool)>, bool) {
        let boundary = self.options.collect.boundary;
        let flagged = self.slots[slot as usize].baseline.flagging_side(record.value, boundary).is_some();
        let released = flagged && record.tolerance.flagging_side(record.value, boundary).is_none();
        let verdict = match record.verdict {
            None | Some(Verdict::Pass) if released => Some((Verdict::FalseCall, true)),
            None if flagged => Some((Verdict::Pending, false)),
            Some(verdict) if flagged && verdict != Verdict::Pass => Some((verdict, false)),
            Some(verdict) if verdict.is_fault() => Some((verdict, false)),
            _ => None,
        };
        (verdict, released)
    }
}
