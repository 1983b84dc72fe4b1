//! Tile products without a matrix unit: pairs of bf16 on 512-bit vectors, or plain f32 arithmetic.
//!
//! Needs `unsafe` for the vectors: one instruction adds the products of two bf16 pairs to f32, which the compiler cannot state, at twice the rate of
//! f32 on AMD's processors and at half of it on Intel's (`aoi-bench ceilings`: `bf16_dot`). There, and where it is missing, each half is widened to f32. Both are judged
//! against the plain path in the tests beside this file.

use super::{Block, DEPTH, SIDE, TILE, products, widen};
use crate::kernel::Instructions;
use crate::kernel::compiled::with;

/// As [`super::Session::multiply`], whose checks it relies on.
pub(super) fn multiply(instructions: Instructions, block: &Block<'_>, c: &mut [f32], stride: usize) {
    #[cfg(target_arch = "x86_64")]
    if block.slices == 1 && instructions >= Instructions::Avx512 {
        let pairs = instructions >= Instructions::Avx512Bf16 && vectors::pairs_are_fast();
        return vectors::multiply(pairs, block, c, stride);
    }
    with(
        instructions,
        #[inline(always)]
        || plain(block, c, stride),
    );
}

/// The definition: for each entry the sum over steps, products of slices, then pairs.
#[inline(always)]
#[expect(clippy::inline_always, reason = "inlined into the function that has the instructions enabled")]
pub(super) fn plain(block: &Block<'_>, c: &mut [f32], stride: usize) {
    let length = block.steps * block.slices * TILE;
    for (top, a) in block.a.chunks_exact(length).enumerate() {
        for (panel, b) in block.b.iter().enumerate() {
            for row in 0..SIDE.min(block.rows - top * SIDE) {
                let mut sums = [0.0_f32; SIDE];
                let products = products(block.slices);
                for at in 0..block.steps * products.len() {
                    let (first, (left, right)) =
                        (at / products.len() * block.slices, products[at % products.len()]);
                    let a = &a[(first + left) * TILE + row * DEPTH..][..DEPTH];
                    let b = &b[(first + right) * TILE..][..TILE];
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
pub(super) mod vectors {
    use std::arch::x86_64::{
        __cpuid, __m512, __m512bh, __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_and_si512, _mm512_castsi512_ps,
        _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_ps,
        _mm512_slli_epi32, _mm512_storeu_ps,
    };
    use std::mem::transmute;
    use std::sync::OnceLock;

    use super::super::{Block, DEPTH, SIDE, TILE};

    /// Rows whose sums are in registers together.
    const ROWS: usize = 8;

    /// Pairs of the panel fetched ahead.
    const AHEAD: usize = 16;

    /// Whether products of pairs, where they are there, are faster than widening each half: not on Intel's processors.
    pub(super) fn pairs_are_fast() -> bool {
        static FOUND: OnceLock<bool> = OnceLock::new();
        *FOUND.get_or_init(|| __cpuid(0).ebx.to_le_bytes() != *b"Genu")
    }

    /// With products of pairs, or by widening.
    #[expect(unsafe_code, reason = "calls functions compiled for AVX-512 and AVX-512 BF16")]
    pub(in crate::kernel::tiles) fn multiply(pairs: bool, block: &Block<'_>, c: &mut [f32], stride: usize) {
        assert!(!pairs || is_x86_feature_detected!("avx512bf16"), "chosen without AVX-512 BF16");
        let mut top = 0;
        while top < block.rows {
            // The rows of a tile all at once, or in two groups about equally tall: a short one would wait for its own sums.
            let here = (block.rows - top).min(SIDE - top % SIDE);
            let height = if here > ROWS { here.div_ceil(2) } else { here };
            // SAFETY: the caller found AVX-512F, the line above BF16; `top..top + height` are rows of the block, whose sizes and target were
            // checked.
            unsafe {
                match height {
                    1 => rows::<1>(pairs, block, top, c, stride),
                    2 => rows::<2>(pairs, block, top, c, stride),
                    3 => rows::<3>(pairs, block, top, c, stride),
                    4 => rows::<4>(pairs, block, top, c, stride),
                    5 => rows::<5>(pairs, block, top, c, stride),
                    6 => rows::<6>(pairs, block, top, c, stride),
                    7 => rows::<7>(pairs, block, top, c, stride),
                    _ => rows::<8>(pairs, block, top, c, stride),
                }
            }
            top += height;
        }
    }

    /// # Safety
    /// AVX-512F must be there, with `pairs` AVX-512 BF16; rows `top..top + M` must be rows of the block, and the target hold them.
    #[expect(unsafe_code, reason = "calls functions compiled for AVX-512 and AVX-512 BF16")]
    unsafe fn rows<const M: usize>(pairs: bool, block: &Block<'_>, top: usize, c: &mut [f32], stride: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            if pairs { by_pairs::<M>(block, top, c, stride) } else { widened::<M>(block, top, c, stride) }
        }
    }

    /// A loop over steps and pairs with `$multiply(sum, pair of the row, pairs of the panel)`, for `M` rows, at most eight.
    macro_rules! sums {
        ($name:ident, $features:literal, $multiply:ident, [$($i:literal)*]) => {
            /// # Safety
            /// The instructions must be there; rows `top..top + M` must be rows of the block, and the target hold them.
            #[target_feature(enable = $features)]
            #[expect(unsafe_code, reason = "SIMD through raw pointers")]
            #[expect(clippy::cast_ptr_alignment, reason = "all reads through these pointers are unaligned ones")]
            unsafe fn $name<const M: usize>(block: &Block<'_>, top: usize, c: &mut [f32], stride: usize) {
                let length = block.steps * TILE;
                let first = top / SIDE * length + top % SIDE * DEPTH;
                let mut sums: [[__m512; 2]; ROWS] = [[_mm512_setzero_ps(); 2]; ROWS];
                // SAFETY: a tile on the left holds 16 rows of 32 numbers, read as pairs; one on the right 16 vectors of 16 pairs.
                unsafe {
                    for step in 0..block.steps {
                        let a = block.a.as_ptr().add(first + step * TILE).cast::<i32>();
                        let b = block.b.map(|panel| panel.as_ptr().add(step * TILE).cast::<i32>());
                        for pair in 0..DEPTH / 2 {
                            let panel: [__m512i; 2] = b.map(|b| _mm512_loadu_si512(b.add(pair * SIDE).cast()));
                            for b in b {
                                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add((AHEAD + pair) * SIDE).cast());
                            }
                            // Written out, since a loop over rows is not always unrolled.
                            $(
                                if $i < M {
                                    let row = _mm512_set1_epi32(a.add($i * DEPTH / 2 + pair).read_unaligned());
                                    for v in 0..2 {
                                        sums[$i][v] = $multiply(sums[$i][v], row, panel[v]);
                                    }
                                }
                            )*
                        }
                    }
                    for (i, row) in sums.into_iter().enumerate().take(M) {
                        let target = c.as_mut_ptr().add((top + i) * stride);
                        _mm512_storeu_ps(target, row[0]);
                        _mm512_storeu_ps(target.add(SIDE), row[1]);
                    }
                }
            }
        };
    }

    sums!(by_pairs, "avx512f,avx512bf16", add_pairs, [0 1 2 3 4 5 6 7]);
    sums!(widened, "avx512f", add_halves, [0 1 2 3 4 5 6 7]);

    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    #[expect(unsafe_code, reason = "one vector type for another")]
    fn add_pairs(sum: __m512, row: __m512i, panel: __m512i) -> __m512 {
        // SAFETY: all are 512 bits; any bits are bf16 numbers.
        let [row, panel] = unsafe { transmute::<[__m512i; 2], [__m512bh; 2]>([row, panel]) };
        _mm512_dpbf16_ps(sum, row, panel)
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn add_halves(sum: __m512, row: __m512i, panel: __m512i) -> __m512 {
        // The first of a pair is its lower half; a bf16 is the upper half of its f32.
        let first = |pair| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pair));
        let second = |pair| _mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32(!0xffff)));
        let sum = _mm512_fmadd_ps(first(row), first(panel), sum);
        _mm512_fmadd_ps(second(row), second(panel), sum)
    }
}
