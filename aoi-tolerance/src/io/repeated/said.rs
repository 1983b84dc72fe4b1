//! Sequences of words, each kept once with a value.

use std::ops::Range;

/// Values by the words that say them.
///
/// Open addressing in a table that is a quarter full at most. Of sequences whose hashes share the upper half one is kept, and a hash only
/// says where to look: words are compared before they count as the same.
#[derive(Debug)]
pub(super) struct Said<T> {
    /// Upper half of the hash, and one more than the place in `entries`; or zero.
    table: Vec<u64>,
    entries: Vec<Entry<T>>,
    words: Vec<u64>,
}

#[derive(Debug)]
struct Entry<T> {
    /// Where its words stand in `words`.
    start: u32,
    count: u32,
    value: T,
}

/// Sequences kept; beyond, what comes is not kept, so that memory stays bounded.
const KEPT: usize = 1 << 17;
/// Words kept of them.
const KEPT_WORDS: usize = 1 << 23;
/// Entries looked at; beyond, a sequence counts as new. Bounds the time that chosen collisions can take.
const PROBES: usize = 16;

impl<T> Default for Said<T> {
    fn default() -> Self {
        Self { table: vec![0; 1 << 10], entries: Vec::new(), words: Vec::new() }
    }
}

impl<T> Said<T> {
    /// Where words with this hash are kept.
    #[inline]
    pub(super) fn place(&self, hash: u64) -> Option<usize> {
        self.find(hash).ok()
    }

    /// Where the words kept at a place stand.
    #[inline]
    pub(super) fn words_of(&self, place: usize) -> Range<usize> {
        let Entry { start, count, .. } = self.entries[place];
        start as usize..(start + count) as usize
    }

    /// The value kept at a place, where `kept` are its words, if it is that of these words.
    #[inline]
    pub(super) fn get_mut(&mut self, place: usize, kept: &Range<usize>, words: &[u64]) -> Option<&mut T> {
        let kept = &self.words[kept.clone()];
        // Sequences are short, and a call would cost more than the comparison.
        let differ = kept.iter().zip(words).fold(0, |differ, (a, b)| differ | (a ^ b));
        (kept.len() == words.len() && differ == 0).then(|| &mut self.entries[place].value)
    }

    /// Keeps words whose hash is new; false if it is not, or there is no room for them.
    pub(super) fn insert(&mut self, hash: u64, words: &[u64], value: T) -> bool {
        if self.entries.len() >= KEPT || self.words.len() + words.len() > KEPT_WORDS {
            return false;
        }
        if 4 * self.entries.len() >= self.table.len() {
            self.grow();
        }
        let Err(Some(free)) = self.find(hash) else { return false };
        let short = |n: usize| u32::try_from(n).expect("bounded by KEPT_WORDS");
        let (start, count) = (short(self.words.len()), short(words.len()));
        self.words.extend_from_slice(words);
        self.entries.push(Entry { start, count, value });
        self.table[free] = tag(hash) | self.entries.len() as u64;
        true
    }

    /// The values, in the order of insertion.
    pub(super) fn into_values(self) -> impl Iterator<Item = T> {
        self.entries.into_iter().map(|entry| entry.value)
    }

    /// Doubles the table. The upper half of a hash alone places an entry.
    fn grow(&mut self) {
        let entries = std::mem::take(&mut self.table);
        self.table = vec![0; 2 * entries.len()];
        for entry in entries.into_iter().filter(|e| *e != 0) {
            let free = self.probes(entry).find(|&at| self.table[at] == 0);
            // Words that find no place are not found again.
            if let Some(free) = free {
                self.table[free] = entry;
            }
        }
    }

    /// The entries of the table where a hash may stand.
    #[inline]
    fn probes(&self, hash: u64) -> impl Iterator<Item = usize> + use<T> {
        let last = self.table.len() - 1;
        let first = usize::try_from(hash >> 32).unwrap_or(0);
        (0..PROBES).map(move |probe| first.wrapping_add(probe) & last)
    }

    /// Where words with this hash stand in `entries`; else a free entry of the table, if one is near.
    #[inline]
    fn find(&self, hash: u64) -> Result<usize, Option<usize>> {
        for at in self.probes(hash) {
            let found = self.table[at];
            if found == 0 {
                return Err(Some(at));
            }
            if tag(found) == tag(hash) {
                return Ok(usize::try_from(found & u64::from(u32::MAX)).unwrap_or(1) - 1);
            }
        }
        Err(None)
    }
}

/// The half of a hash that is kept.
fn tag(hash: u64) -> u64 {
    hash & !u64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_where_hashes_are_not() {
        let mut said = Said::default();
        let hash = 7 << 32;
        assert_eq!(said.place(hash), None);
        assert!(said.insert(hash, &[1, 2, 3], 'a'));
        assert!(!said.insert(hash, &[1, 2, 3], 'b') && !said.insert(hash | 1, &[4], 'c'), "kept once");
        let place = said.place(hash).unwrap();
        let kept = said.words_of(place);
        assert_eq!(said.get_mut(place, &kept, &[1, 2, 3]), Some(&mut 'a'));
        for other in [[].as_slice(), &[1, 2], &[1, 2, 4], &[1, 2, 3, 4]] {
            assert_eq!(said.get_mut(place, &kept, other), None);
        }
        assert_eq!(said.into_values().collect::<Vec<_>>(), ['a']);
    }

    #[test]
    fn many_are_kept_until_the_table_is_crowded_or_full() {
        let mut said = Said::default();
        // An odd factor: the upper halves differ too.
        let spread = |n: u64| (n.wrapping_mul(0x9e37_79b9) & 0xffff_ffff) << 32;
        let kept = (0..200_000_u64).filter(|&n| said.insert(spread(n), &[n], n)).count();
        assert_eq!(kept, KEPT);
        for n in 0..KEPT as u64 {
            let place = said.place(spread(n)).unwrap();
            assert_eq!(said.get_mut(place, &said.words_of(place), &[n]).copied(), Some(n));
        }
        let mut crowded = Said::default();
        let kept = (0..100_u64).filter(|&n| crowded.insert(n << 52, &[n], n)).count();
        assert_eq!(kept, PROBES);
    }
}
