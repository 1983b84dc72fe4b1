//! Rows of bf16 numbers that lie outside tiles: what one product leaves and others take up as rows, columns or pairs.
//!
//! Needs `unsafe` for the vectors: a bf16 conversion and a permutation are one instruction each that the compiler does not find. Judged against the plain path in
//! the tests beside this file.

use super::rows::{cut_line, round_line};
use super::{BLOCK, DEPTH, SIDE, TILE, TileColumns, TileRows, transpose};
use crate::kernel::compiled::with;
use crate::kernel::{Instructions, fetch};

/// Rows of halves: entry i of slice s of row r lies at `r * row + s * slice + i`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Halves<'a> {
    pub(crate) data: &'a [u16],
    pub(crate) row: usize,
    pub(crate) slice: usize,
}

/// Rows fetched before they are taken up.
const AHEAD: usize = 8;

impl<'a> Halves<'a> {
    /// Asks for so many steps of a row in every slice, if it is one of n.
    #[inline]
    fn fetch(&self, row: usize, n: usize, steps: usize, slices: usize) {
        for slice in (0..slices).take_while(|_| row < n) {
            fetch(&self.data[row * self.row + slice * self.slice..][..steps * DEPTH]);
        }
    }

    /// The 32 entries of a row at a step in one slice.
    #[inline]
    fn line(&self, row: usize, slice: usize, step: usize) -> &'a [u16; DEPTH] {
        let line = self.data[row * self.row + slice * self.slice + step * DEPTH..].first_chunk();
        line.expect("rows that hold whole steps")
    }
}

/// Asserts that a target holds 32 numbers in every slice of every row; rows and slices come with how far apart they are.
fn check_target(out: &[u16], (rows, row): (usize, usize), (slices, slice): (usize, usize)) {
    assert!(out.len() >= (rows - 1) * row + (slices - 1) * slice + DEPTH, "target too short");
}

/// Sums of a block and their bias as slices `slice` apart, rows `row` apart.
///
/// # Shapes
/// `sums` \[n, 32\], `bias` \[32\].
pub(crate) fn cut_block(
    instructions: Instructions,
    (sums, bias): (&[f32], &[f32; BLOCK]),
    slices: usize,
    (out, row, slice): (&mut [u16], usize, usize),
) {
    let rows = sums.as_chunks::<BLOCK>().0;
    check_target(out, (rows.len(), row), (slices, slice));
    #[cfg(target_arch = "x86_64")]
    if instructions >= Instructions::Avx512Bf16 {
        return vectors::cut_block(rows, bias, slices, (out, row, slice));
    }
    with(
        instructions,
        #[inline(always)]
        || {
            for (sums, out) in rows.iter().zip(out.chunks_mut(row)) {
                let mut rest = *sums;
                rest.iter_mut().zip(bias).for_each(|(rest, bias)| *rest += bias);
                cut_line(rest, slices, (out, slice));
            }
        },
    );
}

impl TileRows {
    /// Takes over the first `n` rows.
    pub(crate) fn copy(&mut self, n: usize, from: Halves<'_>) {
        let (steps, slices) = (self.steps(), self.slices());
        for row in 0..n {
            from.fetch(row + AHEAD, n, steps, slices);
            for step in 0..steps {
                let start = self.start(row, step);
                for slice in 0..slices {
                    self.tiles[start + slice * TILE..][..DEPTH].copy_from_slice(from.line(row, slice, step));
                }
            }
        }
    }

    /// Fills 32 entries of rows from row `top` on, at one step, each row times its factor.
    ///
    /// # Shapes
    /// `x` \[n, 32\], n factors or more.
    pub(crate) fn fill_scaled(
        &mut self,
        instructions: Instructions,
        (top, step): (usize, usize),
        x: &[f32],
        factors: &[f32],
    ) {
        let slices = self.slices();
        for (row, (x, &factor)) in (top..).zip(x.chunks_exact(DEPTH).zip(factors)) {
            let start = self.start(row, step);
            round_line(instructions, x, factor, &mut self.tiles[start..], slices);
        }
    }
}

impl TileColumns {
    /// Makes `n` rows columns; those that fill the last panels up are left over and never looked at. (Keys: queries times these are the scores.)
    pub(crate) fn transpose(&mut self, instructions: Instructions, n: usize, rows: Halves<'_>) {
        let (steps, slices) = (self.steps(), self.slices());
        let tiles = self.tiles.as_chunks_mut::<TILE>().0;
        for (at, tile) in tiles.iter_mut().take(n.div_ceil(SIDE) * steps * slices).enumerate() {
            let (panel, step, slice) = (at / slices / steps, at / slices % steps, at % slices);
            if at % (steps * slices) == 0 {
                (0..SIDE).for_each(|i| rows.fetch((panel + 1) * SIDE + i, n, steps, slices));
            }
            // Past the end the last row again: its column is never looked at.
            let line = |i: usize| rows.line((panel * SIDE + i).min(n - 1), slice, step);
            transpose::lines(instructions, std::array::from_fn(line), tile);
        }
    }

    /// Puts `n` rows in pairs, number by number in turns: their numbers are what is summed. What fills the last tiles up is zero. (Values.)
    pub(crate) fn pair_up(&mut self, instructions: Instructions, n: usize, rows: Halves<'_>) {
        const NOTHING: [u16; DEPTH] = [0; DEPTH];
        let (steps, slices) = (self.steps(), self.slices());
        assert!(steps == n.div_ceil(DEPTH), "columns of another length");
        let distance = steps * slices * TILE;
        let blocks = self.columns() / BLOCK;
        for (block, panels) in self.tiles.chunks_exact_mut(2 * distance).enumerate() {
            let (first, second) = panels.split_at_mut(distance);
            let tiles = first.as_chunks_mut::<TILE>().0.iter_mut().zip(second.as_chunks_mut::<TILE>().0);
            for (at, (first, second)) in tiles.enumerate() {
                let (step, slice) = (at / slices, at % slices);
                let row = |i: usize| if i < n { rows.line(i, slice, block) } else { &NOTHING };
                if block == 0 && slice == 0 {
                    // All columns of the next rows.
                    (0..DEPTH).for_each(|i| rows.fetch((step + 1) * DEPTH + i, n, blocks, slices));
                }
                let lines =
                    first.as_chunks_mut::<DEPTH>().0.iter_mut().zip(second.as_chunks_mut::<DEPTH>().0);
                for (pair, (first, second)) in lines.enumerate() {
                    let top = step * DEPTH + 2 * pair;
                    in_turns(instructions, [row(top), row(top + 1)], [first, second]);
                }
            }
        }
    }
}

/// Numbers of two rows in turns: the first sixteen of each in one line, the others in the next.
#[inline]
fn in_turns(instructions: Instructions, rows: [&[u16; DEPTH]; 2], out: [&mut [u16; DEPTH]; 2]) {
    #[cfg(target_arch = "x86_64")]
    if instructions >= Instructions::Avx512Bf16 {
        return vectors::in_turns(rows, out);
    }
    for (half, out) in out.into_iter().enumerate() {
        for (i, pair) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            *pair = rows.map(|row| row[half * SIDE + i]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod vectors {
    use std::arch::x86_64::{
        __m512, __m512i, _mm512_add_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_permutex2var_epi16,
        _mm512_storeu_si512,
    };

    use super::super::rows::vectors::cut;
    use super::super::{BLOCK, DEPTH, SIDE, SLICES};
    use super::check_target;
    use crate::kernel::Instructions;

    /// For each half of two rows: entry i of the first, entry i of the second.
    static TURNS: [[u16; DEPTH]; 2] = {
        let mut turns = [[0; DEPTH]; 2];
        let mut i = 0_u16;
        while (i as usize) < DEPTH {
            let (half, at) = (i as usize / SIDE, i as usize % SIDE);
            (turns[half][2 * at], turns[half][2 * at + 1]) = (i, i + 32);
            i += 1;
        }
        turns
    };

    #[expect(unsafe_code, reason = "calls a function compiled for AVX-512 BF16")]
    pub(super) fn cut_block(
        rows: &[[f32; BLOCK]],
        bias: &[f32; BLOCK],
        slices: usize,
        (out, row, slice): (&mut [u16], usize, usize),
    ) {
        debug_assert!(Instructions::Avx512Bf16.is_available());
        assert!(slices == 1 || slices == SLICES, "one slice or three");
        check_target(out, (rows.len(), row), (slices, slice));
        // SAFETY: `Instructions::Avx512Bf16` is chosen only where the processor has it, and the line above holds every slice of every row.
        unsafe {
            if slices == 1 {
                block::<1>(rows, bias, (out, row, slice));
            } else {
                block::<SLICES>(rows, bias, (out, row, slice));
            }
        }
    }

    /// # Safety
    /// AVX-512 F and BF16 must be there; `out` must hold 32 numbers in every slice of every row.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[expect(unsafe_code, reason = "SIMD through raw pointers")]
    unsafe fn block<const N: usize>(
        rows: &[[f32; BLOCK]],
        bias: &[f32; BLOCK],
        (out, row, slice): (&mut [u16], usize, usize),
    ) {
        let bias = halves(bias);
        for (i, sums) in rows.iter().enumerate() {
            let sums = halves(sums);
            let sums = [_mm512_add_ps(sums[0], bias[0]), _mm512_add_ps(sums[1], bias[1])];
            // SAFETY: the caller's promise.
            unsafe { cut::<N>(sums, out.as_mut_ptr().add(i * row), slice) }
        }
    }

    /// 32 numbers as two vectors.
    #[target_feature(enable = "avx512f")]
    #[inline]
    #[expect(unsafe_code, reason = "vector loads")]
    fn halves(x: &[f32; DEPTH]) -> [__m512; 2] {
        // SAFETY: the array is the 128 bytes that are read.
        unsafe { [_mm512_loadu_ps(x.as_ptr()), _mm512_loadu_ps(x.as_ptr().add(SIDE))] }
    }

    #[inline]
    #[expect(unsafe_code, reason = "calls a function compiled for AVX-512 BW")]
    pub(super) fn in_turns(rows: [&[u16; DEPTH]; 2], out: [&mut [u16; DEPTH]; 2]) {
        debug_assert!(Instructions::Avx512Bf16.is_available());
        // SAFETY: `Instructions::Avx512Bf16` is chosen only where AVX-512 BF16 and BW are there.
        unsafe { turn(rows, out) }
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[expect(unsafe_code, reason = "vector loads and stores")]
    fn turn(rows: [&[u16; DEPTH]; 2], out: [&mut [u16; DEPTH]; 2]) {
        // SAFETY: every array is the 64 bytes that are read or written.
        unsafe {
            let [first, second]: [__m512i; 2] = rows.map(|row| _mm512_loadu_si512(row.as_ptr().cast()));
            for (out, turns) in out.into_iter().zip(&TURNS) {
                let turns = _mm512_loadu_si512(turns.as_ptr().cast());
                let line = _mm512_permutex2var_epi16(first, turns, second);
                _mm512_storeu_si512(out.as_mut_ptr().cast(), line);
            }
        }
    }
}
