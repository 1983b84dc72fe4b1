//! Where delimiters and line ends stand among 64 bytes, as the bits of a word.
//!
//! AVX-512 compares all of them at once and every x86-64 processor sixteen; elsewhere it is eight, by arithmetic. A test compares them all
//! with the definition. This module is allowed unsafe code for these instructions; the bench is `tolerance/read`.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "vector instructions of x86-64"))]

/// What stands where among 64 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    /// The bit of each delimiter.
    pub(super) delimiters: u64,
    /// The bit of each line feed.
    pub(super) feeds: u64,
    /// Whether a byte is a quote, a carriage return or no ASCII.
    pub(super) odd: bool,
}

/// Marks 64 bytes after 64 bytes.
pub(super) fn mark(chunks: &[[u8; 64]], delimiter: u8, marks: &mut Vec<Marks>) {
    marks.clear();
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has AVX-512 BW.
        unsafe { avx512::mark(chunks, delimiter, marks) };
        return;
    }
    marks.extend(chunks.iter().map(|chunk| mark_one(chunk, delimiter)));
}

/// The bit of each byte that equals `byte`.
pub(super) fn equal(chunk: &[u8; 64], byte: u8) -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: SSE2 is part of x86-64.
    return unsafe { sse2::equal(chunk, byte) };
    #[cfg(not(target_arch = "x86_64"))]
    portable::equal(chunk, byte)
}

#[cfg(target_arch = "x86_64")]
fn mark_one(chunk: &[u8; 64], delimiter: u8) -> Marks {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { sse2::mark(chunk, delimiter) }
}

#[cfg(not(target_arch = "x86_64"))]
use portable::mark as mark_one;

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use std::arch::x86_64::{
        _mm512_cmpeq_epi8_mask, _mm512_loadu_si512, _mm512_movepi8_mask, _mm512_set1_epi8,
    };

    use super::Marks;

    #[target_feature(enable = "avx512f,avx512bw")]
    pub(super) fn mark(chunks: &[[u8; 64]], delimiter: u8, marks: &mut Vec<Marks>) {
        let [delimiter, feed, quote, back] =
            [delimiter, b'\n', b'"', b'\r'].map(|byte| _mm512_set1_epi8(byte.cast_signed()));
        marks.extend(chunks.iter().map(|chunk| {
            // SAFETY: a chunk is 64 bytes long.
            let bytes = unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) };
            let odd = _mm512_cmpeq_epi8_mask(bytes, quote)
                | _mm512_cmpeq_epi8_mask(bytes, back)
                | _mm512_movepi8_mask(bytes);
            Marks {
                delimiters: _mm512_cmpeq_epi8_mask(bytes, delimiter),
                feeds: _mm512_cmpeq_epi8_mask(bytes, feed),
                odd: odd != 0,
            }
        }));
    }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };

    use super::Marks;

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn mark(chunk: &[u8; 64], delimiter: u8) -> Marks {
        Marks { delimiters: equal(chunk, delimiter), feeds: equal(chunk, b'\n'), odd: is_odd(chunk) }
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn equal(chunk: &[u8; 64], byte: u8) -> u64 {
        let wanted = _mm_set1_epi8(byte.cast_signed());
        let mut marks = 0;
        for i in 0..4 {
            marks |= high_bits(_mm_cmpeq_epi8(quarter(chunk, i), wanted)) << (16 * i);
        }
        marks
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn is_odd(chunk: &[u8; 64]) -> bool {
        let (quote, back) = (_mm_set1_epi8(b'"'.cast_signed()), _mm_set1_epi8(b'\r'.cast_signed()));
        let mut odd = _mm_set1_epi8(0);
        for i in 0..4 {
            let bytes = quarter(chunk, i);
            let equal = _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, back));
            odd = _mm_or_si128(odd, _mm_or_si128(bytes, equal));
        }
        high_bits(odd) != 0
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn quarter(chunk: &[u8; 64], i: usize) -> __m128i {
        let (words, _) = chunk.as_chunks::<8>();
        let word = |at: usize| i64::from_le_bytes(words[at]);
        _mm_set_epi64x(word(2 * i + 1), word(2 * i))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn high_bits(quarter: __m128i) -> u64 {
        u64::from(_mm_movemask_epi8(quarter).cast_unsigned())
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::Marks;

    const EACH: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f * EACH;

    pub(super) fn mark(chunk: &[u8; 64], delimiter: u8) -> Marks {
        let odd = !chunk.is_ascii() || equal(chunk, b'"') | equal(chunk, b'\r') != 0;
        Marks { delimiters: equal(chunk, delimiter), feeds: equal(chunk, b'\n'), odd }
    }

    pub(super) fn equal(chunk: &[u8; 64], byte: u8) -> u64 {
        let (words, _) = chunk.as_chunks::<8>();
        words.iter().rev().fold(0, |all, word| all << 8 | marks_of_word(u64::from_le_bytes(*word), byte))
    }

    fn marks_of_word(word: u64, byte: u8) -> u64 {
        let word = word ^ (EACH * u64::from(byte));
        // A byte is zero where neither its low seven bits nor its high bit say otherwise; no carry leaves a byte.
        let zeros = !(((word & LOW) + LOW) | word | LOW);
        // The product brings the lowest bit of each byte, at 8 i, to 56 + i, and no two to one place.
        (zeros >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::Seeded;

    /// By definition.
    fn by_byte(chunk: &[u8; 64], delimiter: u8) -> Marks {
        let bits = |byte| (0..64).fold(0, |all, i| all | u64::from(chunk[i] == byte) << i);
        let odd = chunk.iter().any(|byte| matches!(byte, b'"' | b'\r' | 0x80..));
        Marks { delimiters: bits(delimiter), feeds: bits(b'\n'), odd }
    }

    #[test]
    fn every_byte_is_found_where_it_stands_on_every_path() {
        let mut random = Seeded::new(3);
        let mut chunks = Vec::new();
        for byte in 0..=u8::MAX {
            for _ in 0..20 {
                let others = [byte, byte ^ 1, byte ^ 0x80, byte.wrapping_add(1), b'a', b'\n', 0];
                chunks.push(std::array::from_fn(|_| others[random.below(others.len())]));
            }
            for at in 0..64 {
                let mut chunk = [b'a'; 64];
                chunk[at] = byte;
                chunks.push(chunk);
            }
        }
        let mut odd = 0;
        for delimiter in 0..=u8::MAX {
            let some: Vec<[u8; 64]> = chunks.iter().skip(delimiter.into()).step_by(7).copied().collect();
            let expected: Vec<Marks> = some.iter().map(|chunk| by_byte(chunk, delimiter)).collect();
            let mut found = Vec::new();
            mark(&some, delimiter, &mut found);
            assert_eq!(found, expected);
            for (chunk, expected) in some.iter().zip(expected) {
                assert_eq!([mark_one(chunk, delimiter), portable::mark(chunk, delimiter)], [expected; 2]);
                assert_eq!(equal(chunk, delimiter), expected.delimiters);
                odd += u32::from(expected.odd);
            }
        }
        assert!(odd > 100_000, "{odd}");
    }
}
