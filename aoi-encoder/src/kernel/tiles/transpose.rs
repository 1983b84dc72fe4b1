//! A tile of sixteen rows as one of sixteen columns.
//!
//! Needs `unsafe` for the vectors: moving the keys of an image number by number showed in profiles of attention. Judged against the plain path
//! in the tests below.

use super::{DEPTH, SIDE, TILE};
use crate::kernel::Instructions;

/// Pair p of row i becomes pair i of line p.
pub(super) fn pairs(instructions: Instructions, rows: &[u16; TILE], out: &mut [u16; TILE]) {
    let rows = rows.as_chunks().0;
    lines(instructions, std::array::from_fn(|i| &rows[i]), out);
}

/// The same of rows that lie anywhere.
#[inline]
pub(super) fn lines(instructions: Instructions, rows: [&[u16; DEPTH]; SIDE], out: &mut [u16; TILE]) {
    #[cfg(target_arch = "x86_64")]
    if instructions >= Instructions::Avx512 {
        return vectors::lines(rows, out);
    }
    plain(rows, out);
}

fn plain(rows: [&[u16; DEPTH]; SIDE], out: &mut [u16; TILE]) {
    for (at, out) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        *out = rows[at % SIDE].as_chunks::<2>().0[at / SIDE];
    }
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::{
        __m512i, _mm512_loadu_si512, _mm512_shuffle_i32x4, _mm512_storeu_si512, _mm512_unpackhi_epi32,
        _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    };
    use std::array::from_fn;

    use super::super::{DEPTH, SIDE, TILE};
    use crate::kernel::Instructions;

    #[expect(unsafe_code, reason = "calls a function compiled for AVX-512")]
    #[inline]
    pub(super) fn lines(rows: [&[u16; DEPTH]; SIDE], out: &mut [u16; TILE]) {
        debug_assert!(Instructions::Avx512.is_available());
        // SAFETY: chosen only where `Instructions::is_available` said so.
        unsafe { run(rows, out) }
    }

    /// # Safety
    /// AVX-512F must be there.
    #[target_feature(enable = "avx512f")]
    #[expect(unsafe_code, reason = "loads and stores of whole vectors")]
    fn run(rows: [&[u16; DEPTH]; SIDE], out: &mut [u16; TILE]) {
        // SAFETY: every line is 64 bytes.
        let lines: [__m512i; SIDE] = from_fn(|i| unsafe { _mm512_loadu_si512(rows[i].as_ptr().cast()) });
        // Two by two, then four by four inside the quarters of a vector; then the quarters themselves, twice.
        let twos: [__m512i; SIDE] = from_fn(|i| {
            let (a, b) = (lines[i & !1], lines[i | 1]);
            if i & 1 == 0 { _mm512_unpacklo_epi32(a, b) } else { _mm512_unpackhi_epi32(a, b) }
        });
        let fours: [__m512i; SIDE] = from_fn(|i| {
            let at = (i & !3) | ((i >> 1) & 1);
            let (a, b) = (twos[at], twos[at + 2]);
            if i & 1 == 0 { _mm512_unpacklo_epi64(a, b) } else { _mm512_unpackhi_epi64(a, b) }
        });
        let eights: [__m512i; SIDE] = from_fn(|i| {
            let at = (i & 8) | (i & 3);
            let (a, b) = (fours[at], fours[at + 4]);
            if i & 4 == 0 { _mm512_shuffle_i32x4::<0x88>(a, b) } else { _mm512_shuffle_i32x4::<0xdd>(a, b) }
        });
        for i in 0..SIDE {
            let (a, b) = (eights[i & 7], eights[(i & 7) | 8]);
            let line = if i & 8 == 0 {
                _mm512_shuffle_i32x4::<0x88>(a, b)
            } else {
                _mm512_shuffle_i32x4::<0xdd>(a, b)
            };
            // SAFETY: a tile is sixteen such lines.
            unsafe { _mm512_storeu_si512(out.as_mut_ptr().add(i * DEPTH).cast(), line) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_transposed_alike_on_every_path() {
        let rows: [u16; TILE] = std::array::from_fn(|i| u16::try_from(i).unwrap());
        let mut expected = [0; TILE];
        plain(std::array::from_fn(|i| &rows.as_chunks().0[i]), &mut expected);
        assert_eq!(expected[..4], [0, 1, 32, 33]);
        for instructions in Instructions::ALL.into_iter().filter(|i| i.is_available()) {
            let mut out = [0; TILE];
            pairs(instructions, &rows, &mut out);
            assert_eq!(out, expected, "{instructions:?}");
        }
    }
}
