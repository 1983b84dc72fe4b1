//! The left-hand side of a tile product: rows of f32 cut into bf16 slices.

use super::{BLOCK, DEPTH, SIDE, TILE, round, widen};
use crate::kernel::compiled::with;
use crate::kernel::{Buffer, Instructions, fetch};

/// Rows fetched before they are cut.
const AHEAD: usize = 8;

/// Rows in tiles \[rows / 16, steps, slices, 16, 32\]; rows that fill the last tiles up are left over and never looked at, entries are zero.
#[derive(Debug, Default)]
pub(crate) struct TileRows {
    pub(super) tiles: Buffer<u16>,
    steps: usize,
    slices: usize,
}

impl TileRows {
    /// Makes room for `rows` rows of `inner` entries.
    pub(crate) fn resize(&mut self, rows: usize, inner: usize, slices: usize) {
        (self.steps, self.slices) = (inner.div_ceil(DEPTH), slices);
        self.tiles.resize(rows.div_ceil(SIDE) * self.steps * slices * TILE);
    }

    pub(crate) fn steps(&self) -> usize {
        self.steps
    }

    pub(crate) fn slices(&self) -> usize {
        self.slices
    }

    pub(crate) fn tiles(&self) -> &[u16] {
        &self.tiles
    }

    /// Where the first slice of a row lies at a step.
    pub(super) fn start(&self, row: usize, step: usize) -> usize {
        (row / SIDE * self.steps + step) * self.slices * TILE + row % SIDE * DEPTH
    }

    /// The 32 entries of a row at a step in one slice.
    #[cfg(test)]
    pub(crate) fn entries(&self, row: usize, step: usize, slice: usize) -> &[u16; DEPTH] {
        let start = self.start(row, step) + slice * TILE;
        (&self.tiles[start..start + DEPTH]).try_into().expect("32 entries")
    }

    /// Writes the 32 entries of a row at a step, in as many slices as these rows have; to be inlined where the instructions are enabled.
    ///
    /// To the nearest, ties away from zero; a NaN may change here, but then its row's sum is NaN in f32 too.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "inlined into the function that has the instructions enabled")]
    pub(crate) fn cut<const N: usize>(&mut self, row: usize, step: usize, mut values: [f32; DEPTH]) {
        let start = self.start(row, step);
        for tile in self.tiles[start..].chunks_mut(TILE).take(N) {
            for (half, value) in tile[..DEPTH].iter_mut().zip(&mut values) {
                *half = (value.to_bits().wrapping_add(0x8000) >> 16) as u16;
                *value -= widen(*half);
            }
        }
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
        for row in 0..n {
            if let Some(soon) = x.get((row + AHEAD) * stride..(row + AHEAD) * stride + inner) {
                fetch(soon);
            }
            // A single row may be longer than its stride says: that of a column, for example, is one.
            self.fill_row(instructions, row, &x[row * stride..][..inner], scale);
        }
    }

    /// Fills one row.
    pub(crate) fn fill_row(&mut self, instructions: Instructions, row: usize, x: &[f32], scale: f32) {
        assert!(x.len().div_ceil(DEPTH) == self.steps, "rows of another length");
        let (first, slices) = (self.start(row, 0), self.slices);
        round_line(instructions, x, scale, &mut self.tiles[first..], slices);
    }

    /// Fills 32 entries of up to 32 rows from row `top` on, at one step.
    ///
    /// # Shapes
    /// `x` \[n, 32\].
    pub(crate) fn fill_block(&mut self, instructions: Instructions, (top, step): (usize, usize), x: &[f32]) {
        assert!(top % SIDE == 0 && x.len() <= BLOCK * DEPTH, "not a block of rows");
        let distance = self.steps * self.slices * TILE;
        let (first, slices) = (self.start(top, step), self.slices);
        for (upper, x) in x.chunks(SIDE * DEPTH).enumerate() {
            let tiles = &mut self.tiles[first + upper * distance..];
            #[cfg(target_arch = "x86_64")]
            if instructions >= Instructions::Avx512Bf16 {
                vectors::round_tile(x, tiles, slices);
                continue;
            }
            for (x, line) in x.chunks(DEPTH).zip(0..SIDE) {
                round_line(instructions, x, 1.0, &mut tiles[line * DEPTH..], slices);
            }
        }
    }
}

/// One row into its lines, cut into slices; the lines of a step are a tile apart.
pub(super) fn round_line(instructions: Instructions, x: &[f32], scale: f32, line: &mut [u16], slices: usize) {
    #[cfg(target_arch = "x86_64")]
    if instructions >= Instructions::Avx512Bf16 {
        return vectors::round_row(x, scale, line, slices);
    }
    with(
        instructions,
        #[inline(always)]
        || {
            for (step, x) in x.chunks(DEPTH).enumerate() {
                let mut scaled = [0.0; DEPTH];
                scaled.iter_mut().zip(x).for_each(|(scaled, x)| *scaled = x * scale);
                cut_line(scaled, slices, (&mut line[step * slices * TILE..], TILE));
            }
        },
    );
}

/// 32 numbers to a line of every slice, the slices so far apart: each the bf16 nearest to what the ones before leave.
#[inline(always)]
#[expect(clippy::inline_always, reason = "inlined into the function that has the instructions enabled")]
pub(super) fn cut_line(mut rest: [f32; DEPTH], slices: usize, (out, distance): (&mut [u16], usize)) {
    for slice in 0..slices {
        for (half, rest) in out[slice * distance..][..DEPTH].iter_mut().zip(&mut rest) {
            *half = round(*rest);
            *rest -= widen(*half);
        }
    }
}

/// The same on 512-bit vectors with their own rounding, which takes numbers below 2^-126 for zero.
///
/// Needs `unsafe`: a bf16 conversion is one instruction that the compiler does not find; in plain code it takes several
/// times as long. Judged against the plain path in the tests.
#[cfg(target_arch = "x86_64")]
pub(super) mod vectors {
    use std::arch::x86_64::{
        __m512, __m512bh, __m512i, _mm512_castsi512_ps, _mm512_castsi512_si256, _mm512_cvtepu16_epi32,
        _mm512_cvtne2ps_pbh, _mm512_extracti64x4_epi64, _mm512_loadu_ps, _mm512_maskz_loadu_ps,
        _mm512_mul_ps, _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_si512, _mm512_sub_ps,
    };
    use std::mem::transmute;

    use super::super::{DEPTH, SIDE, SLICES, TILE};
    use crate::kernel::Instructions;

    #[expect(unsafe_code, reason = "calls a function compiled for AVX-512 BF16")]
    pub(super) fn round_row(x: &[f32], scale: f32, line: &mut [u16], slices: usize) {
        debug_assert!(Instructions::Avx512Bf16.is_available());
        assert!(slices == 1 || slices == SLICES, "one slice or three");
        assert!(line.len() >= (x.len().div_ceil(DEPTH) * slices - 1) * TILE + DEPTH, "line too short");
        // SAFETY: `Instructions::Avx512Bf16` is chosen only where the processor has it, and the line above holds every slice of every step.
        unsafe { if slices == 1 { row::<1>(x, scale, line) } else { row::<SLICES>(x, scale, line) } }
    }

    /// Rows of 32 numbers into the lines of one tile a slice.
    #[expect(unsafe_code, reason = "calls a function compiled for AVX-512 BF16")]
    pub(super) fn round_tile(x: &[f32], tiles: &mut [u16], slices: usize) {
        debug_assert!(Instructions::Avx512Bf16.is_available());
        assert!(slices == 1 || slices == SLICES, "one slice or three");
        let rows = x.len() / DEPTH;
        assert!(rows <= SIDE && tiles.len() >= (slices - 1) * TILE + rows * DEPTH, "tile too short");
        // SAFETY: as above; the tiles hold so many lines in every slice.
        unsafe { if slices == 1 { tile::<1>(x, tiles) } else { tile::<SLICES>(x, tiles) } }
    }

    /// # Safety
    /// AVX-512F and AVX-512 BF16 must be there; `line` must hold 32 numbers at every tile of the row.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[expect(unsafe_code, reason = "SIMD through raw pointers")]
    unsafe fn row<const N: usize>(x: &[f32], scale: f32, line: &mut [u16]) {
        let scale = _mm512_set1_ps(scale);
        let (whole, rest) = x.as_chunks::<DEPTH>();
        // SAFETY: the masks keep the loads inside the row; the caller's promise covers the stores.
        unsafe {
            for (step, x) in whole.iter().enumerate() {
                let halves = [_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(x.as_ptr().add(SIDE))];
                cut::<N>(
                    halves.map(|x| _mm512_mul_ps(x, scale)),
                    line.as_mut_ptr().add(step * N * TILE),
                    TILE,
                );
            }
            if !rest.is_empty() {
                let halves = [0, SIDE].map(|start| {
                    let here = rest.len().saturating_sub(start).min(SIDE);
                    let mask = u16::try_from((1_u32 << here) - 1).unwrap_or(u16::MAX);
                    _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, rest.as_ptr().wrapping_add(start)), scale)
                });
                cut::<N>(halves, line.as_mut_ptr().add(whole.len() * N * TILE), TILE);
            }
        }
    }

    /// # Safety
    /// AVX-512F and AVX-512 BF16 must be there; `tiles` must hold a line for every row in every slice.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[expect(unsafe_code, reason = "SIMD through raw pointers")]
    unsafe fn tile<const N: usize>(x: &[f32], tiles: &mut [u16]) {
        for (line, x) in x.as_chunks::<DEPTH>().0.iter().enumerate() {
            // SAFETY: 32 numbers; the caller's promise covers the stores.
            unsafe {
                let halves = [_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(x.as_ptr().add(SIDE))];
                cut::<N>(halves, tiles.as_mut_ptr().add(line * DEPTH), TILE);
            }
        }
    }

    /// Twice sixteen numbers to the same line of every slice.
    ///
    /// # Safety
    /// AVX-512F and AVX-512 BF16 must be there; 32 numbers fit at `target` in every slice, so far apart.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[inline]
    #[expect(unsafe_code, reason = "SIMD through raw pointers")]
    pub(in crate::kernel::tiles) unsafe fn cut<const N: usize>(
        [mut low, mut high]: [__m512; 2],
        target: *mut u16,
        distance: usize,
    ) {
        for slice in 0..N {
            // SAFETY: the caller's promise; both types are 32 numbers of 16 bits.
            let bits = unsafe {
                let bits = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
                _mm512_storeu_si512(target.add(slice * distance).cast(), bits);
                bits
            };
            if slice + 1 < N {
                let widen = |half| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(half)));
                low = _mm512_sub_ps(low, widen(_mm512_castsi512_si256(bits)));
                high = _mm512_sub_ps(high, widen(_mm512_extracti64x4_epi64::<1>(bits)));
            }
        }
    }
}
