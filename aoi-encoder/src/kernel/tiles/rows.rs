//! The left-hand side of a tile product: rows of f32 rounded to bf16 or split into three.

use super::{DEPTH, SIDE, TILE, round, widen};
use crate::kernel::{Buffer, Instructions};

/// Rows in tiles \[rows / 16, steps, planes, 16, 32\]; rows and entries that fill the last tiles up are zero or left over, and never looked at.
#[derive(Debug, Default)]
pub(crate) struct TileRows {
    tiles: Buffer<u16>,
    steps: usize,
    planes: usize,
}

impl TileRows {
    /// Makes room for `rows` rows of `inner` entries in so many planes.
    pub(crate) fn resize(&mut self, rows: usize, inner: usize, planes: usize) {
        self.steps = inner.div_ceil(DEPTH);
        self.planes = planes;
        self.tiles.resize(rows.div_ceil(SIDE) * self.steps * planes * TILE);
    }

    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    pub(crate) fn planes(&self) -> usize {
        self.planes
    }

    pub(crate) fn tiles(&self) -> &[u16] {
        &self.tiles
    }

    /// The 32 entries of a row at a step of the only plane.
    pub(crate) fn entries(&mut self, row: usize, step: usize) -> &mut [u16; DEPTH] {
        debug_assert!(self.planes == 1, "a split row has three of them");
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
        let (steps, planes) = (self.steps, self.planes);
        for (row, x) in x.chunks(stride).take(n).enumerate() {
            let first = row / SIDE * steps * planes * TILE + row % SIDE * DEPTH;
            let line = &mut self.tiles[first..];
            #[cfg(target_arch = "x86_64")]
            if matches!(instructions, Instructions::Amx) {
                vectors::split(&x[..inner], scale, planes, line);
                continue;
            }
            split(&x[..inner], scale, planes, line);
        }
    }
}

/// One row into its lines: plane 0 holds x rounded to bf16, plane 1 what is left of it, plane 2 what then is left.
fn split(x: &[f32], scale: f32, planes: usize, line: &mut [u16]) {
    for (step, x) in x.chunks(DEPTH).enumerate() {
        for (i, &x) in x.iter().enumerate() {
            let mut rest = x * scale;
            for plane in 0..planes {
                let half = round(rest);
                line[(step * planes + plane) * TILE + i] = half;
                rest -= widen(half);
            }
        }
        for plane in 0..planes {
            line[(step * planes + plane) * TILE..][..DEPTH][x.len()..].fill(0);
        }
    }
}

/// The same on 512-bit vectors with their own rounding, which takes numbers below 2^-126 for zero.
///
/// Needs `unsafe`: a bf16 conversion is one instruction that the compiler does not find; without it splitting takes a
/// quarter of the time of the products. Judged against the plain path in the tests.
#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::{
        __m256bh, __m512, _mm512_castsi512_ps, _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh,
        _mm512_maskz_loadu_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_slli_epi32, _mm512_sub_ps,
    };
    use std::mem::transmute;

    use super::super::{DEPTH, SIDE, TILE};
    use crate::kernel::Instructions;

    #[expect(unsafe_code, reason = "calls a function compiled for AVX-512 BF16")]
    pub(super) fn split(x: &[f32], scale: f32, planes: usize, line: &mut [u16]) {
        debug_assert!(Instructions::Amx.is_available());
        let steps = x.len().div_ceil(DEPTH);
        assert!(line.len() >= (steps * planes - 1) * TILE + DEPTH, "line too short");
        // SAFETY: `Instructions::Amx` is chosen only where AVX-512 BF16 is there, and the line above holds every step.
        unsafe { run(x, scale, planes, line) }
    }

    /// # Safety
    /// AVX-512F and AVX-512 BF16 must be there; `line` must hold 32 numbers at every tile of the row.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[expect(unsafe_code, reason = "SIMD through raw pointers")]
    unsafe fn run(x: &[f32], scale: f32, planes: usize, line: &mut [u16]) {
        let scale = _mm512_set1_ps(scale);
        for start in (0..x.len()).step_by(SIDE) {
            let here = (x.len() - start).min(SIDE);
            let mask = u16::MAX >> (SIDE - here);
            let target = start / DEPTH * planes * TILE + start % DEPTH;
            // SAFETY: the mask keeps the load inside the row; the caller's promise covers the stores.
            unsafe {
                let mut rest = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x.as_ptr().add(start)), scale);
                for plane in 0..planes {
                    let half = _mm512_cvtneps_pbh(rest);
                    line.as_mut_ptr().add(target + plane * TILE).cast::<__m256bh>().write_unaligned(half);
                    rest = _mm512_sub_ps(rest, widen(half));
                }
                // The last step's second half, when the row ends before it.
                if start + SIDE >= x.len() && start % DEPTH == 0 {
                    for plane in 0..planes {
                        let end = target + plane * TILE + SIDE;
                        line.as_mut_ptr().add(end).cast::<[u16; SIDE]>().write_unaligned([0; SIDE]);
                    }
                }
            }
        }
    }

    /// # Safety
    /// AVX-512F must be there.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[expect(unsafe_code, reason = "sixteen bf16 seen as sixteen integers")]
    fn widen(half: __m256bh) -> __m512 {
        // SAFETY: both types are 256 plain bits.
        let bits = unsafe { transmute::<__m256bh, std::arch::x86_64::__m256i>(half) };
        _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(bits)))
    }
}
