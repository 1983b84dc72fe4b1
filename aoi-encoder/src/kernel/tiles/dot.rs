//! Tile products without a matrix unit: pairs of bf16 on 512-bit vectors, or plain f32 arithmetic.
//!
//! Needs `unsafe` for the vectors, which state what the compiler cannot: the product of two bf16 pairs added to an f32. Twice the rate of f32
//! vectors where the processor has it (`aoi-bench ceilings`: `bf16_dot`). Judged against the plain path in the tests beside this file.

use super::{Block, DEPTH, SIDE, TILE, widen};
use crate::kernel::Instructions;
use crate::kernel::rows::with;

/// As [`super::Session::multiply`], whose checks it relies on.
pub(super) fn multiply(instructions: Instructions, block: &Block<'_>, c: &mut [f32], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    if instructions >= Instructions::Avx512 && is_x86_feature_detected!("avx512bf16") {
        return vectors::multiply(block, c, stride);
    }
    with(
        instructions,
        #[inline(always)]
        || plain(block, c, stride),
    );
}

/// The definition: for each entry the sum over steps, then pairs.
#[inline(always)]
#[expect(clippy::inline_always, reason = "inlined into the function that has the instructions enabled")]
pub(super) fn plain(block: &Block<'_>, c: &mut [f32], stride: usize) {
    let length = block.steps * TILE;
    for (top, a) in block.a.chunks_exact(length).enumerate() {
        for (panel, b) in block.b.iter().enumerate() {
            for row in 0..SIDE {
                let mut sums = [0.0_f32; SIDE];
                for step in 0..block.steps {
                    let a = &a[step * TILE + row * DEPTH..][..DEPTH];
                    let b = &b[step * TILE..][..TILE];
                    for (a, b) in a.as_chunks::<2>().0.iter().zip(b.as_chunks::<{ 2 * SIDE }>().0) {
                        let a = a.map(widen);
                        for (sum, b) in sums.iter_mut().zip(b.as_chunks::<2>().0) {
                            *sum += a[0] * widen(b[0]) + a[1] * widen(b[1]);
                        }
                    }
                }
                let start = (top * SIDE + row) * stride + panel * SIDE;
                c[start..start + SIDE].copy_from_slice(&sums);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::{
        __m512, __m512bh, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps,
        _mm512_storeu_ps,
    };
    use std::mem::transmute;

    use super::super::{Block, DEPTH, SIDE, TILE};

    /// Rows whose sums are in registers together.
    const ROWS: usize = 8;

    #[expect(unsafe_code, reason = "calls a function compiled for AVX-512 BF16")]
    pub(super) fn multiply(block: &Block<'_>, c: &mut [f32], stride: usize) {
        let rows = block.a.len() / (block.steps * DEPTH);
        for top in (0..rows).step_by(ROWS) {
            // SAFETY: the caller found the instructions; `top..top + 8` are rows of the block, whose sizes and target were checked.
            unsafe { sums(block, top, c, stride) }
        }
    }

    /// # Safety
    /// AVX-512F and AVX-512 BF16 must be there; rows `top..top + 8` must be rows of the block, and the target hold them.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[expect(unsafe_code, reason = "SIMD through raw pointers")]
    #[expect(clippy::cast_ptr_alignment, reason = "all reads through these pointers are unaligned ones")]
    unsafe fn sums(block: &Block<'_>, top: usize, c: &mut [f32], stride: usize) {
        let length = block.steps * TILE;
        let first = top / SIDE * length + top % SIDE * DEPTH;
        let mut sums: [[__m512; 2]; ROWS] = [[_mm512_setzero_ps(); 2]; ROWS];
        // SAFETY: a tile on the left holds 16 rows of 32 numbers, read as pairs; one on the right 16 vectors of 16 pairs.
        unsafe {
            for step in 0..block.steps {
                let a = block.a.as_ptr().add(first + step * TILE).cast::<i32>();
                let b = block.b.map(|panel| panel.as_ptr().add(step * TILE).cast::<i32>());
                for pair in 0..DEPTH / 2 {
                    let panel: [__m512bh; 2] =
                        b.map(|b| transmute(_mm512_loadu_si512(b.add(pair * SIDE).cast())));
                    macro_rules! multiply_rows {
                            ($($i:literal)*) => {$(
                                let row: __m512bh =
                                    transmute(_mm512_set1_epi32(a.add($i * DEPTH / 2 + pair).read_unaligned()));
                                for v in 0..2 {
                                    sums[$i][v] = _mm512_dpbf16_ps(sums[$i][v], row, panel[v]);
                                }
                            )*};
                        }
                    multiply_rows!(0 1 2 3 4 5 6 7);
                }
            }
            for (i, row) in sums.into_iter().enumerate() {
                let target = c.as_mut_ptr().add((top + i) * stride);
                _mm512_storeu_ps(target, row[0]);
                _mm512_storeu_ps(target.add(SIDE), row[1]);
            }
        }
    }
}
