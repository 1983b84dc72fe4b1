//! Where a byte stands among 64, as the bits of a word.
//!
//! Every x86-64 processor compares sixteen bytes at once; elsewhere it is eight, by arithmetic. A test compares the two with the definition.
//! This module is allowed unsafe code for the calls of SSE2 alone, which reads nothing through pointers here; the bench is `tolerance/read`.

#![cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "calls of SSE2, which x86-64 always has"))]

#[cfg(not(target_arch = "x86_64"))]
pub(super) use portable::{is_odd, marks};

/// The bit of each byte that equals `byte`.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn marks(chunk: &[u8; 64], byte: u8) -> u64 {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { sse2::marks(chunk, byte) }
}

/// Whether a byte is a quote, a carriage return or no ASCII.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn is_odd(chunk: &[u8; 64]) -> bool {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { sse2::is_odd(chunk) }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8,
    };

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn marks(chunk: &[u8; 64], byte: u8) -> u64 {
        let wanted = _mm_set1_epi8(byte.cast_signed());
        let mut marks = 0;
        for i in 0..4 {
            marks |= high_bits(_mm_cmpeq_epi8(quarter(chunk, i), wanted)) << (16 * i);
        }
        marks
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    pub(super) fn is_odd(chunk: &[u8; 64]) -> bool {
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
    const EACH: u64 = 0x0101_0101_0101_0101;
    const LOW: u64 = 0x7f * EACH;

    /// The bit of each byte that equals `byte`.
    pub(crate) fn marks(chunk: &[u8; 64], byte: u8) -> u64 {
        let (words, _) = chunk.as_chunks::<8>();
        words.iter().rev().fold(0, |all, word| all << 8 | marks_of_word(u64::from_le_bytes(*word), byte))
    }

    /// Whether a byte is a quote, a carriage return or no ASCII.
    pub(crate) fn is_odd(chunk: &[u8; 64]) -> bool {
        !chunk.is_ascii() || marks(chunk, b'"') | marks(chunk, b'\r') != 0
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
    use aoi_testing::Seeded;

    #[test]
    fn every_byte_is_found_where_it_stands() {
        let mut random = Seeded::new(3);
        let mut odd = 0;
        for byte in 0..=u8::MAX {
            for _ in 0..20 {
                let others = [byte, byte ^ 1, byte ^ 0x80, byte.wrapping_add(1), b'a', 0];
                let chunk: [u8; 64] = std::array::from_fn(|_| others[random.below(others.len())]);
                let expected = (0..64).fold(0, |all, i| all | u64::from(chunk[i] == byte) << i);
                assert_eq!(super::marks(&chunk, byte), expected, "{chunk:?}");
                assert_eq!(super::portable::marks(&chunk, byte), expected, "{chunk:?}");
            }
            for at in 0..64 {
                let mut chunk = [b'a'; 64];
                chunk[at] = byte;
                let expected = matches!(byte, b'"' | b'\r' | 0x80..);
                assert_eq!(super::is_odd(&chunk), expected, "{byte} at {at}");
                assert_eq!(super::portable::is_odd(&chunk), expected, "{byte} at {at}");
                odd += u32::from(expected);
            }
        }
        assert_eq!(odd, 64 * 130);
    }
}
