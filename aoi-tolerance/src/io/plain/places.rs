//! The places of bits, one after the other.
//!
//! AVX-512 packs the places of 64 bits in one instruction; elsewhere they are taken bit by bit. A test compares both with the definition. This
//! module is allowed unsafe code for these instructions; the bench is `tolerance/read`.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "vector instructions of x86-64"))]

/// Ascending places of bytes that are marked one by one, and found together; in memory that is kept from block to block.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// A bit for each byte, 64 to a word.
    bits: Vec<u64>,
    list: Vec<u32>,
    count: usize,
}

impl Places {
    /// Nothing is marked or found.
    pub(super) fn clear(&mut self) {
        self.bits.clear();
        self.count = 0;
    }

    /// Marks the next 64 bytes.
    pub(super) fn mark(&mut self, bits: u64) {
        self.bits.push(bits);
    }

    /// Those that were found.
    pub(super) fn found(&self) -> &[u32] {
        &self.list[..self.count]
    }

    /// How many those are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// One more, at the end.
    pub(super) fn push(&mut self, place: u32) {
        self.list.truncate(self.count);
        self.list.push(place);
        self.count += 1;
    }

    /// Finds the places of the bytes that were marked, of 2^31 at most.
    pub(super) fn find(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512vbmi2")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("popcnt")
        {
            // SAFETY: the processor has these instructions.
            unsafe { avx512::find(self) };
            return;
        }
        self.find_simply();
    }

    /// Eight places are written at a time, and those without a bit are overwritten later: how many bits there are is hard to foresee, and
    /// a branch for each costs more than a few idle writes.
    fn find_simply(&mut self) {
        for (base, i) in (0..).step_by(64).zip(0..self.bits.len()) {
            let word = self.bits[i];
            let mut rest = word;
            for eight in self.next().as_chunks_mut::<8>().0 {
                for place in eight {
                    *place = base + rest.trailing_zeros();
                    rest &= rest.wrapping_sub(1);
                }
                if rest == 0 {
                    break;
                }
            }
            self.count += word.count_ones() as usize;
        }
    }

    /// Room for the places of one more word.
    #[inline]
    fn next(&mut self) -> &mut [u32; 64] {
        if self.list.len() < self.count + 64 {
            self.list.resize(2 * self.count + 1024, 0);
        }
        self.list[self.count..].first_chunk_mut().expect("made long enough")
    }
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        __m128i, _mm512_add_epi32, _mm512_castsi512_si128, _mm512_cvtepu8_epi32, _mm512_extracti32x4_epi32,
        _mm512_loadu_si512, _mm512_maskz_compress_epi8, _mm512_set1_epi32, _mm512_storeu_si512,
    };

    use super::Places;

    static BYTES: [u8; 64] = {
        let mut bytes = [0; 64];
        let mut i = 0;
        while i < 64 {
            bytes[i as usize] = i;
            i += 1;
        }
        bytes
    };

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    pub(super) fn find(places: &mut Places) {
        // SAFETY: 64 bytes.
        let bytes = unsafe { _mm512_loadu_si512(BYTES.as_ptr().cast()) };
        for (base, i) in (0_i32..).step_by(64).zip(0..places.bits.len()) {
            let word = places.bits[i];
            let packed = _mm512_maskz_compress_epi8(word, bytes);
            let base = _mm512_set1_epi32(base);
            let next = places.next();
            let mut put = |at: usize, quarter: __m128i| {
                let found = _mm512_add_epi32(base, _mm512_cvtepu8_epi32(quarter));
                let sixteen: &mut [u32; 16] = next[16 * at..].first_chunk_mut().expect("four times sixteen");
                // SAFETY: sixteen numbers of 32 bits.
                unsafe { _mm512_storeu_si512(sixteen.as_mut_ptr().cast(), found) }
            };
            put(0, _mm512_castsi512_si128(packed));
            let count = word.count_ones() as usize;
            if count > 16 {
                put(1, _mm512_extracti32x4_epi32::<1>(packed));
                put(2, _mm512_extracti32x4_epi32::<2>(packed));
                put(3, _mm512_extracti32x4_epi32::<3>(packed));
            }
            places.count += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::Seeded;

    #[test]
    fn places_are_those_of_the_bits_on_every_path() {
        let mut random = Seeded::new(4);
        let mut places = Places::default();
        let mut most = 0;
        for round in 0..200 {
            // Sparse, even, crowded, and all bits or none.
            let words: Vec<u64> = (0..random.below(90))
                .map(|_| {
                    let mut draw = || random.bits();
                    match round % 4 {
                        0 => draw() & draw() & draw(),
                        1 => draw(),
                        2 => draw() | draw() | draw(),
                        _ => 0_u64.wrapping_sub(draw() & 1),
                    }
                })
                .collect();
            let is_marked = |i: &u32| words[*i as usize / 64] >> (i % 64) & 1 == 1;
            let expected: Vec<u32> = (0..).take(64 * words.len()).filter(is_marked).collect();
            places.clear();
            for &bits in &words {
                places.mark(bits);
            }
            places.find();
            assert_eq!((places.found(), places.count()), (expected.as_slice(), expected.len()));
            let mut simply = Places { bits: words, ..Places::default() };
            simply.find_simply();
            simply.push(7);
            assert_eq!(simply.found().split_last(), Some((&7, expected.as_slice())));
            most = most.max(expected.len());
        }
        assert!(most > 4_000, "{most}");
    }
}
