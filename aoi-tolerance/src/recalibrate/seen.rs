//! The names of passing records, so that none is counted twice.
//!
//! A pass leaves nothing but counts, yet a file that comes a second time must not raise them. Each name is kept as 64 bits of its SHA-256 in
//! an open-addressing table: 8 bytes a slot, at most three quarters full. Two of n names share their 64 bits with a probability below
//! n^2 / 2^65 (3e-6 for ten million); the later one would then be taken for a copy of the earlier and not be counted as a pass. Flagged
//! records are told apart by 128 bits and do not depend on this table.

/// A set of 64-bit names; zero marks a free slot and is no name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    slots: Vec<u64>,
    len: usize,
}

impl Seen {
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a name; whether it was new.
    pub(crate) fn insert(&mut self, name: u64) -> bool {
        if (self.len + 1) * 4 > self.slots.len() * 3 {
            self.grow();
        }
        let name = name.max(1);
        let at = self.find(name);
        if self.slots[at] == name {
            return false;
        }
        self.slots[at] = name;
        self.len += 1;
        true
    }

    pub(crate) fn contains(&self, name: u64) -> bool {
        !self.slots.is_empty() && self.slots[self.find(name.max(1))] == name.max(1)
    }

    /// All names, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u64> + '_ {
        self.slots.iter().copied().filter(|name| *name != 0)
    }

    /// The table as it stands, to be stored.
    #[cfg(feature = "store")]
    pub(crate) fn slots(&self) -> &[u64] {
        &self.slots
    }

    /// The table as it was stored; none if its size is not one that a table can have.
    #[cfg(feature = "store")]
    pub(crate) fn from_slots(slots: Vec<u64>) -> Option<Self> {
        let len = slots.iter().filter(|name| **name != 0).count();
        let fits = slots.is_empty() || (slots.len().is_power_of_two() && len * 4 <= slots.len() * 3);
        fits.then_some(Self { slots, len })
    }

    /// The slot that holds the name, or the free one where it belongs.
    fn find(&self, name: u64) -> usize {
        let mask = self.slots.len() - 1;
        // Names are digests: their low bits are as good as any hash.
        #[expect(clippy::cast_possible_truncation, reason = "masked")]
        let mut at = name as usize & mask;
        while self.slots[at] != 0 && self.slots[at] != name {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let larger = vec![0; (self.slots.len() * 2).max(16)];
        let old = std::mem::replace(&mut self.slots, larger);
        for name in old.into_iter().filter(|name| *name != 0) {
            let at = self.find(name);
            self.slots[at] = name;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn it_is_a_set() {
        let mut random = aoi_testing::Seeded::new(3);
        let (mut seen, mut oracle) = (Seen::default(), HashSet::new());
        assert!(!seen.contains(7));
        for _ in 0..20_000 {
            let name = random.bits() % 9_000 + 1;
            assert_eq!(seen.insert(name), oracle.insert(name));
        }
        assert_eq!(seen.len(), oracle.len());
        assert!((1..9_002).all(|n| seen.contains(n) == oracle.contains(&n)));
        assert_eq!(seen.iter().collect::<HashSet<_>>(), oracle);
    }

    #[test]
    fn the_mark_of_a_free_slot_is_a_name_like_others() {
        let mut seen = Seen::default();
        assert!(seen.insert(0) && !seen.insert(0) && seen.contains(0));
        assert_eq!(seen.len(), 1);
    }
}
