//! The product of a few rows with a panel on 512-bit vectors.
//!
//! Needs `unsafe`: the loop reads 14 strided rows and two vectors a step, and bounds checks or indexed slices keep the 28 sums from
//! staying in registers. Judged entry by entry against the portable path in the tests below.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512, _MM_HINT_T0, _mm_prefetch, _mm512_add_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_storeu_ps,
};

use super::Tile;
#[cfg(target_arch = "x86_64")]
use super::panel::TALL;

/// As [`super::multiply_panel`], whose checks it relies on.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "calls a function compiled for AVX-512")]
pub(super) fn multiply_panel(tile: &Tile<'_>, c: &mut [f32], stride: usize) {
    // SAFETY: `Instructions::Avx512` is chosen only where the processor has it, and the caller checked that every slice
    // covers the rows, columns and strides of the tile.
    unsafe { rows(tile, c, stride) }
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn multiply_panel(tile: &Tile<'_>, c: &mut [f32], stride: usize) {
    super::panel::portable::<true>(tile, c, stride);
}

/// Splits the rows evenly into blocks of at most 14.
///
/// # Safety
/// AVX-512F must be there; the slices must cover the tile as `multiply_panel` checks.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "SIMD through raw pointers")]
unsafe fn rows(tile: &Tile<'_>, c: &mut [f32], stride: usize) {
    let m = tile.size.0;
    let blocks = m.div_ceil(TALL);
    let mut top = 0;
    for block in 0..blocks {
        let height = (m - top).div_ceil(blocks - block);
        // SAFETY: rows top..top + height are rows of the tile.
        unsafe {
            if tile.columns == 32 {
                match height {
                    1 => sums::<1, 2>(tile, top, c, stride),
                    2 => sums::<2, 2>(tile, top, c, stride),
                    3 => sums::<3, 2>(tile, top, c, stride),
                    4 => sums::<4, 2>(tile, top, c, stride),
                    5 => sums::<5, 2>(tile, top, c, stride),
                    6 => sums::<6, 2>(tile, top, c, stride),
                    7 => sums::<7, 2>(tile, top, c, stride),
                    8 => sums::<8, 2>(tile, top, c, stride),
                    9 => sums::<9, 2>(tile, top, c, stride),
                    10 => sums::<10, 2>(tile, top, c, stride),
                    11 => sums::<11, 2>(tile, top, c, stride),
                    12 => sums::<12, 2>(tile, top, c, stride),
                    13 => sums::<13, 2>(tile, top, c, stride),
                    _ => sums::<14, 2>(tile, top, c, stride),
                }
            } else {
                match height {
                    1 => sums::<1, 1>(tile, top, c, stride),
                    2 => sums::<2, 1>(tile, top, c, stride),
                    3 => sums::<3, 1>(tile, top, c, stride),
                    4 => sums::<4, 1>(tile, top, c, stride),
                    5 => sums::<5, 1>(tile, top, c, stride),
                    6 => sums::<6, 1>(tile, top, c, stride),
                    7 => sums::<7, 1>(tile, top, c, stride),
                    8 => sums::<8, 1>(tile, top, c, stride),
                    9 => sums::<9, 1>(tile, top, c, stride),
                    10 => sums::<10, 1>(tile, top, c, stride),
                    11 => sums::<11, 1>(tile, top, c, stride),
                    12 => sums::<12, 1>(tile, top, c, stride),
                    13 => sums::<13, 1>(tile, top, c, stride),
                    _ => sums::<14, 1>(tile, top, c, stride),
                }
            }
        }
        top += height;
    }
}

/// `M` rows by `V` vectors, all sums in registers.
///
/// Rows are reached as base + {0, 1, 2} strides from every third row: five pointers and one stride, which the processor's
/// addressing adds up, instead of fourteen pointers that do not fit its registers.
///
/// # Safety
/// As [`rows`]; `top + M` must not exceed the rows of the tile.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
#[inline]
#[expect(unsafe_code, reason = "SIMD through raw pointers")]
unsafe fn sums<const M: usize, const V: usize>(tile: &Tile<'_>, top: usize, c: &mut [f32], stride: usize) {
    // Rows of the panel fetched ahead: about the latency of a third-level cache. Left to the processor's own prefetch, a forward pass took
    // 1.3 to 1.45 times as long.
    const AHEAD: usize = 16;
    const GROUPS: usize = TALL.div_ceil(3);
    let (row, inner) = (tile.layout.row, tile.layout.inner);
    let mut sums: [[__m512; V]; TALL] = [[_mm512_setzero_ps(); V]; TALL];
    // SAFETY: entry (i, j) of the left-hand side lies at (top + i) * row + j * inner for i < M, j < k, inside the slice
    // by the caller's check; pointers past the last group are formed by wrapping arithmetic and never read. The panel holds k rows of
    // 16 V entries, the bias 16 V entries or none, and row i of the target 16 V entries from (top + i) * stride.
    unsafe {
        let start = tile.a.as_ptr().add(top * row);
        let mut groups: [*const f32; GROUPS] = std::array::from_fn(|g| start.wrapping_add(3 * g * row));
        let mut b = tile.b.as_ptr();
        for _ in 0..tile.size.1 {
            let panel: [__m512; V] = std::array::from_fn(|v| _mm512_loadu_ps(b.add(16 * v)));
            // Written out, since a loop over rows is not always unrolled, and then the sums lie in memory, several times slower.
            macro_rules! multiply_rows {
                ($($i:literal)*) => {$(
                    if $i < M {
                        let a = _mm512_set1_ps(*groups[$i / 3].add($i % 3 * row));
                        for v in 0..V {
                            sums[$i][v] = _mm512_fmadd_ps(a, panel[v], sums[$i][v]);
                        }
                    }
                )*};
            }
            for v in 0..V {
                _mm_prefetch::<_MM_HINT_T0>(b.wrapping_add(AHEAD * 16 * V + 16 * v).cast());
            }
            multiply_rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13);
            for group in &mut groups {
                *group = group.wrapping_add(inner);
            }
            b = b.add(16 * V);
        }
        macro_rules! store_rows {
            ($($i:literal)*) => {$(
                if $i < M {
                    let target = c.as_mut_ptr().add((top + $i) * stride);
                    for v in 0..V {
                        let mut value = sums[$i][v];
                        if !tile.bias.is_empty() {
                            value = _mm512_add_ps(value, _mm512_loadu_ps(tile.bias.as_ptr().add(16 * v)));
                        }
                        if tile.add {
                            value = _mm512_add_ps(_mm512_loadu_ps(target.add(16 * v)), value);
                        }
                        _mm512_storeu_ps(target.add(16 * v), value);
                    }
                }
            )*};
        }
        store_rows!(0 1 2 3 4 5 6 7 8 9 10 11 12 13);
    }
}
