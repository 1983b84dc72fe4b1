//! Tiles whose lines are pairs of summed entries, from rows that are summed over.
//!
//! Needs `unsafe` for the vectors: one instruction rounds two vectors to bf16 and one puts them in turns, which in plain code takes several times as
//! long, and every product of a training step begins with this. Judged against the plain path in the tests below.

use std::ops::Range;

use super::{DEPTH, SIDE, TILE, round, widen};
use crate::kernel::compiled::with;
use crate::kernel::{Instructions, fetch};

/// Cuts `x` \[n, width\] at a stride into tiles \[width / 16, n / 32, slices, 16 pairs of rows, 16 columns, 2\]; what fills the last ones up is zero.
///
/// # Panics
/// When there are too few tiles: a bug of the caller inside this crate.
pub(super) fn interleave(
    instructions: Instructions,
    (x, stride): (&[f32], usize),
    (n, width): (usize, usize),
    slices: usize,
    tiles: &mut [u16],
) {
    let (steps, panels) = (n.div_ceil(DEPTH), width.div_ceil(SIDE));
    assert!(tiles.len() >= panels * steps * slices * TILE, "too few tiles");
    for step in 0..steps {
        for panel in 0..panels {
            let (top, left) = (step * DEPTH, panel * SIDE);
            let rows =
                Rows { x: &x[left..], stride, range: top..n.min(top + DEPTH), width: SIDE.min(width - left) };
            if panel == 0 {
                // The rows of the next step.
                for soon in ((top + DEPTH)..n).take(DEPTH) {
                    fetch(&x[soon * stride..soon * stride + width]);
                }
            }
            let tiles = &mut tiles[(panel * steps + step) * slices * TILE..][..slices * TILE];
            tile(instructions, &rows, slices, tiles);
        }
    }
}

/// Up to 32 rows of up to sixteen numbers.
struct Rows<'a> {
    x: &'a [f32],
    stride: usize,
    range: Range<usize>,
    width: usize,
}

impl<'a> Rows<'a> {
    /// Rows 2 i and 2 i + 1; empty past the end.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "inlined into the function that has the instructions enabled")]
    fn pair(&self, i: usize) -> [&'a [f32]; 2] {
        [0, 1].map(|odd| {
            let row = self.range.start + 2 * i + odd;
            let row = if row < self.range.end { &self.x[row * self.stride..] } else { &[] };
            &row[..self.width.min(row.len())]
        })
    }
}

/// Rows two by two to the lines of every slice.
fn tile(instructions: Instructions, rows: &Rows<'_>, slices: usize, tiles: &mut [u16]) {
    #[cfg(target_arch = "x86_64")]
    if instructions >= Instructions::Avx512Bf16 {
        return vectors::tile(rows, slices, tiles);
    }
    for line in 0..SIDE {
        with(
            instructions,
            #[inline(always)]
            || plain(rows.pair(line), slices, &mut tiles[line * DEPTH..]),
        );
    }
}

/// Two rows, number by number in turns, to one line of every slice; tiles follow each other.
#[inline(always)]
#[expect(clippy::inline_always, reason = "inlined into the function that has the instructions enabled")]
fn plain(rows: [&[f32]; 2], slices: usize, line: &mut [u16]) {
    let mut rests = rows.map(|row| {
        let mut padded = [0.0_f32; SIDE];
        padded[..row.len()].copy_from_slice(row);
        padded
    });
    for tile in line.chunks_mut(TILE).take(slices) {
        for (i, out) in tile[..DEPTH].as_chunks_mut::<2>().0.iter_mut().enumerate() {
            for (half, rest) in out.iter_mut().zip(&mut rests) {
                *half = round(rest[i]);
                rest[i] -= widen(*half);
            }
        }
    }
}

/// The same on 512-bit vectors with their own rounding, which takes numbers below 2^-126 for zero.
#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _mm512_and_si512, _mm512_castsi512_ps, _mm512_cvtne2ps_pbh,
        _mm512_loadu_si512, _mm512_maskz_loadu_ps, _mm512_permutexvar_epi16, _mm512_set1_epi32,
        _mm512_slli_epi32, _mm512_storeu_si512, _mm512_sub_ps,
    };
    use std::mem::transmute;

    use super::super::{DEPTH, SIDE, SLICES, TILE};
    use super::Rows;
    use crate::kernel::Instructions;

    /// Entry i of the first sixteen, entry i of the second.
    static TURNS: [u16; DEPTH] = {
        let mut turns = [0; DEPTH];
        let mut i = 0_u16;
        while 2 * (i as usize) < DEPTH {
            (turns[2 * i as usize], turns[2 * i as usize + 1]) = (i, i + 16);
            i += 1;
        }
        turns
    };

    #[expect(unsafe_code, reason = "calls a function compiled for AVX-512 BF16")]
    pub(super) fn tile(rows: &Rows<'_>, slices: usize, tiles: &mut [u16]) {
        debug_assert!(Instructions::Avx512Bf16.is_available());
        assert!(slices == 1 || slices == SLICES, "one slice or three");
        assert!(tiles.len() >= slices * TILE && rows.width <= SIDE, "too few tiles, or rows too long");
        // SAFETY: `Instructions::Avx512Bf16` is chosen only where AVX-512 BF16 and BW are there, and the tiles hold every line of every slice.
        unsafe { if slices == 1 { lines::<1>(rows, tiles) } else { lines::<SLICES>(rows, tiles) } }
    }

    /// # Safety
    /// AVX-512 F, BW and BF16 must be there, and as many tiles as slices.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    #[expect(unsafe_code, reason = "SIMD through raw pointers")]
    unsafe fn lines<const N: usize>(rows: &Rows<'_>, tiles: &mut [u16]) {
        for line in 0..SIDE {
            // SAFETY: `Rows` are at most sixteen numbers long; the line lies in the first tile.
            unsafe { cut::<N>(rows.pair(line), tiles.as_mut_ptr().add(line * DEPTH)) }
        }
    }

    /// # Safety
    /// AVX-512 F, BW and BF16 must be there; the rows must be sixteen numbers at most and 32 fit at `line` in every slice, a tile apart.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    #[inline]
    #[expect(unsafe_code, reason = "SIMD through raw pointers")]
    unsafe fn cut<const N: usize>(rows: [&[f32]; 2], line: *mut u16) {
        // SAFETY: the masks keep the loads inside the rows, the table is one vector, and the caller's promise covers the stores.
        unsafe {
            let [mut first, mut second]: [__m512; 2] = rows.map(|row| {
                let mask = u16::try_from((1_u32 << row.len()) - 1).unwrap_or(u16::MAX);
                _mm512_maskz_loadu_ps(mask, row.as_ptr())
            });
            let turns = _mm512_loadu_si512(TURNS.as_ptr().cast());
            for slice in 0..N {
                let halves = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first));
                let bits = _mm512_permutexvar_epi16(turns, halves);
                _mm512_storeu_si512(line.add(slice * TILE).cast(), bits);
                let upper = _mm512_set1_epi32(!0xffff);
                first = _mm512_sub_ps(first, _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits)));
                second = _mm512_sub_ps(second, _mm512_castsi512_ps(_mm512_and_si512(bits, upper)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::SLICES;
    use super::*;
    use aoi_testing::Seeded;

    #[test]
    fn tiles_are_cut_alike_on_every_path() {
        let mut seeded = Seeded::new(11);
        for (n, width) in [(1, 1), (2, 15), (31, 16), (32, 17), (33, 31), (70, 40)] {
            let stride = width + 3;
            let x = seeded.normals_f32(n * stride);
            for slices in [1, SLICES] {
                let mut expected = vec![7; width.div_ceil(SIDE) * n.div_ceil(DEPTH) * slices * TILE];
                interleave(Instructions::Portable, (&x, stride), (n, width), slices, &mut expected);
                assert_eq!(expected[..2], [round(x[0]), if n > 1 { round(x[stride]) } else { 0 }]);
                for instructions in Instructions::ALL.into_iter().filter(|i| i.is_available()) {
                    let mut got = vec![7; expected.len()];
                    interleave(instructions, (&x, stride), (n, width), slices, &mut got);
                    assert_eq!(got, expected, "{instructions:?}, {n} x {width} in {slices}");
                }
            }
        }
    }
}
