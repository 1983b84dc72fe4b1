//! Two shards of one stream become one.

use std::collections::HashSet;

use super::row::{LiveRow, Slot};
use super::{LiveCounts, Recalibrator};
use crate::error::Error;
use crate::limit::Tolerance;

impl Recalibrator {
    /// Adds what `other` has taken in: another shard of the same stream, with the same options, with records of its own and places of the one stream.
    ///
    /// The result proposes what one recalibrator would that had taken in everything. Should a flagged record have come to both shards all the same, the later
    /// copy corrects the earlier; a pass that did counts once among the records, but at its limit twice.
    ///
    /// # Errors
    /// When the options differ.
    pub fn merge(&mut self, other: Self) -> Result<(), Error> {
        if self.options != other.options {
            return Err(Error::Option {
                option: "shard",
                got: format!("{:?}", other.options),
                expected: "a shard with the same window, flag rule and guards",
            });
        }
        self.advance(other.newest);
        let slots: Vec<u32> = other.slots.iter().map(|slot| self.merge_slot(slot, &other)).collect();
        for name in other.seen.iter() {
            if !self.seen.insert(name) {
                self.counts.known += 1;
                self.counts.records -= 1;
            }
        }
        self.merge_rows(&other, &slots);
        for (pattern, (guards, pending)) in other.unreadable {
            for (number, slot) in (0..).zip(&mut self.slots) {
                if super::matches(&pattern, &self.keys[slot.key as usize].key) {
                    slot.unreadable_defects += guards;
                    slot.pending_unreadable += pending;
                    self.changed.insert(number);
                }
            }
            let group = self.unreadable.entry(pattern).or_default();
            *group = (group.0 + guards, group.1 + pending);
        }
        self.families.extend(other.families);
        self.notices.extend(other.notices);
        self.changed.extend(0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX));
        let LiveCounts { records, known, corrected, refused, .. } = other.counts;
        self.counts.records += records;
        self.counts.known += known;
        self.counts.corrected += corrected;
        self.counts.refused += refused;
        Ok(())
    }

    /// The slot here for one of `other`, with its counts added.
    fn merge_slot(&mut self, theirs: &Slot, other: &Self) -> u32 {
        let key = self.find_key(other.keys[theirs.key as usize].key.fields());
        let found = self.keys[key as usize].slots.iter().copied().find(|s| {
            let mine = &self.slots[*s as usize];
            mine.baseline == theirs.baseline
        });
        let number = found.unwrap_or_else(|| {
            let number = self.add_slot(key, theirs.baseline);
            self.slots[number as usize].unsettled = theirs.unsettled;
            number
        });
        let edge = self.options.window.edge(self.newest);
        let mine = &mut self.slots[number as usize];
        mine.records += theirs.records;
        mine.note_facts(theirs.first_time, theirs.nominal, theirs.sigma, theirs.resolution);
        mine.resolution_conflict |= theirs.resolution_conflict;
        for &(bucket, count) in theirs.passes.steps.iter().filter(|s| s.0 >= edge) {
            mine.passes.add(bucket, count);
        }
        // Shards of one stream are told of the same changes; the one that was told more knows the limits in force.
        if theirs.earlier.len() > mine.earlier.len() {
            let before = std::mem::replace(&mut mine.live, theirs.live);
            mine.earlier.push(before);
        }
        let more: Vec<Tolerance> = theirs.earlier.iter().chain([&theirs.live]).copied().collect();
        for tolerance in more {
            if !mine.knows(tolerance) {
                mine.earlier.push(tolerance);
            }
        }
        mine.earlier.retain(|t| *t != mine.live);
        number
    }

    fn merge_rows(&mut self, other: &Self, slots: &[u32]) {
        let named: HashSet<u32> = other.names.values().copied().collect();
        for (number, theirs) in (0..).zip(&other.rows) {
            let slot = slots[theirs.slot as usize];
            let live = LiveRow { slot, ..*theirs };
            let key = self.slots[slot as usize].key;
            let name = live.row.record.filter(|_| named.contains(&number)).map(|name| (name, key));
            let known = name.and_then(|name| self.names.get(&name).copied());
            let row = match known {
                None => self.add_row(live),
                Some(mine) => {
                    // Both shards have it: the later copy speaks, but never talks a fault down.
                    self.counts.records -= 1;
                    let old = self.rows[mine as usize];
                    let later = live.sequence > old.sequence;
                    if live.row.verdict.max(old.row.verdict).is_fault()
                        && live.row.value.to_bits() != old.row.value.to_bits()
                    {
                        self.add_row(live)
                    } else if later && !old.row.verdict.is_fault() || live.row.verdict > old.row.verdict {
                        self.drop_contribution(mine);
                        self.rows[mine as usize] = live;
                        self.add(mine);
                        mine
                    } else {
                        mine
                    }
                }
            };
            if let Some(name) = name {
                self.names.insert(name, row);
            }
            if let Some(verdict) = other.withheld.get(&number) {
                self.withheld.insert(row, *verdict);
            }
        }
    }
}
