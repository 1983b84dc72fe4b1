//! The left-hand side of a tile product: rows of f32 rounded to bf16.

use super::{DEPTH, SIDE, TILE, round};
use crate::kernel::{Buffer, Instructions};

/// Rows in tiles \[rows / 16, steps, 16, 32\]; rows and entries that fill the last tiles up are zero or left over, and never looked at.
#[derive(Debug, Default)]
pub(crate) struct TileRows {
    pub(super) tiles: Buffer<u16>,
    steps: usize,
}

impl TileRows {
    /// Makes room for `rows` rows of `inner` entries.
    pub(crate) fn resize(&mut self, rows: usize, inner: usize) {
        self.steps = inner.div_ceil(DEPTH);
        self.tiles.resize(rows.div_ceil(SIDE) * self.steps * TILE);
    }

    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    pub(crate) fn tiles(&self) -> &[u16] {
        &self.tiles
    }

    /// The 32 entries of a row at a step.
    pub(crate) fn entries(&mut self, row: usize, step: usize) -> &mut [u16; DEPTH] {
        let start = (row / SIDE * self.steps + step) * TILE + row % SIDE * DEPTH;
        (&mut self.tiles[start..start + DEPTH]).try_into().expect("32 entries")
    }

    /// Fills the first `n` rows from `x` \[n, inner\] at a stride, each entry times `scale`.
    pub(crate) fn fill(
        &mut self,
        instructions: Instructions,
        n: usize,
        (x, stride): (&[f32], usize),
        inner: usize,
        scale: f32,
    ) {
        assert!(inner.div_ceil(DEPTH) == self.steps, "rows of another length");
        for (row, x) in x.chunks(stride).take(n).enumerate() {
            let first = row / SIDE * self.steps * TILE + row % SIDE * DEPTH;
            let line = &mut self.tiles[first..];
            #[cfg(target_arch = "x86_64")]
            if matches!(instructions, Instructions::Amx) {
                vectors::round_row(&x[..inner], scale, line);
                continue;
            }
            round_row(&x[..inner], scale, line);
        }
    }
}

/// One row into its lines, rounded.
fn round_row(x: &[f32], scale: f32, line: &mut [u16]) {
    for (step, x) in x.chunks(DEPTH).enumerate() {
        let (target, rest) = line[step * TILE..][..DEPTH].split_at_mut(x.len());
        target.iter_mut().zip(x).for_each(|(half, &x)| *half = round(x * scale));
        rest.fill(0);
    }
}

/// The same on 512-bit vectors with their own rounding, which takes numbers below 2^-126 for zero.
///
/// Needs `unsafe`: a bf16 conversion is one instruction that the compiler does not find; in plain code it takes several
/// times as long. Judged against the plain path in the tests.
#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::{
        __m256bh, _mm512_cvtneps_pbh, _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_set1_ps,
    };

    use super::super::{DEPTH, SIDE, TILE};
    use crate::kernel::Instructions;

    #[expect(unsafe_code, reason = "calls a function compiled for AVX-512 BF16")]
    pub(super) fn round_row(x: &[f32], scale: f32, line: &mut [u16]) {
        debug_assert!(Instructions::Amx.is_available());
        assert!(line.len() >= (x.len().div_ceil(DEPTH) - 1) * TILE + DEPTH, "line too short");
        // SAFETY: `Instructions::Amx` is chosen only where AVX-512 BF16 is there, and the line above holds every step.
        unsafe { run(x, scale, line) }
    }

    /// # Safety
    /// AVX-512F and AVX-512 BF16 must be there; `line` must hold 32 numbers at every tile of the row.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[expect(unsafe_code, reason = "SIMD through raw pointers")]
    unsafe fn run(x: &[f32], scale: f32, line: &mut [u16]) {
        let scale = _mm512_set1_ps(scale);
        for start in (0..x.len().next_multiple_of(DEPTH)).step_by(SIDE) {
            let here = x.len().saturating_sub(start).min(SIDE);
            let mask = u16::try_from((1_u32 << here) - 1).unwrap_or(u16::MAX);
            let target = start / DEPTH * TILE + start % DEPTH;
            // SAFETY: the mask keeps the load inside the row; the caller's promise covers the store.
            unsafe {
                let x = _mm512_maskz_loadu_ps(mask, x.as_ptr().wrapping_add(start));
                let halves = _mm512_cvtneps_pbh(_mm512_mul_ps(x, scale));
                line.as_mut_ptr().add(target).cast::<__m256bh>().write_unaligned(halves);
            }
        }
    }
}
