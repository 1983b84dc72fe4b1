//! The right-hand side of a tile product: panels of sixteen columns, summed entries in pairs.

use super::{BLOCK, DEPTH, SIDE, TILE, TileRows, round, transpose, widen};
use crate::kernel::rows::with;
use crate::kernel::{Buffer, Instructions, fetch};

/// Columns in tiles \[columns / 16, steps, slices, 16 pairs, 16 columns, 2\]; an even number of panels, filled up with zeros.
#[derive(Debug, Default)]
pub(crate) struct TileColumns {
    tiles: Buffer<u16>,
    steps: usize,
    slices: usize,
    columns: usize,
}

impl TileColumns {
    /// The rows of `weight` \[out, inner\] as columns, each times `scale` of its output where there is one.
    pub(crate) fn of_weight(weight: &[f32], inner: usize, scale: &[f32], slices: usize) -> Self {
        let mut columns = Self::default();
        columns.resize(weight.len() / inner, inner, slices);
        for (o, row) in weight.chunks_exact(inner).enumerate() {
            let factor = scale.get(o).copied().unwrap_or(1.0);
            for (i, &w) in row.iter().enumerate() {
                let mut rest = w * factor;
                for slice in 0..slices {
                    let half = round(rest);
                    *columns.entry(o, i, slice) = half;
                    rest -= widen(half);
                }
            }
        }
        columns
    }

    /// Makes room for so many columns of `inner` entries, all zero where the room is new.
    pub(crate) fn resize(&mut self, columns: usize, inner: usize, slices: usize) {
        (self.steps, self.slices) = (inner.div_ceil(DEPTH), slices);
        self.columns = columns.next_multiple_of(BLOCK);
        self.tiles.resize(self.columns / SIDE * self.steps * slices * TILE);
    }

    /// Entry i of column o in a slice.
    fn entry(&mut self, o: usize, i: usize, slice: usize) -> &mut u16 {
        let tile = (o / SIDE * self.steps + i / DEPTH) * self.slices + slice;
        &mut self.tiles[tile * TILE + i % DEPTH / 2 * 2 * SIDE + o % SIDE * 2 + i % 2]
    }

    /// Makes every row of `rows` a column. (Keys: queries times these are the scores.)
    pub(crate) fn transpose(&mut self, instructions: Instructions, rows: &TileRows) {
        assert!((self.steps, self.slices) == (rows.steps(), rows.slices()), "rows of another length");
        let tiles = self.tiles.as_chunks_mut::<TILE>().0;
        for (tile, rows) in tiles.iter_mut().zip(rows.tiles().as_chunks::<TILE>().0) {
            transpose::pairs(instructions, rows, tile);
        }
    }

    /// The columns of `x` \[n, width\] at a stride, cut into slices, with n summed entries; what fills the last tiles up is zero. (Values.)
    pub(crate) fn interleave(
        &mut self,
        instructions: Instructions,
        (x, stride): (&[f32], usize),
        (n, width): (usize, usize),
    ) {
        assert!(self.steps == n.div_ceil(DEPTH) && self.columns >= width, "columns of another size");
        let (steps, panels) = (self.steps, width.div_ceil(SIDE));
        let tiles = self.tiles.chunks_exact_mut(self.slices * TILE);
        for (at, tiles) in tiles.enumerate().take(panels * steps) {
            let (left, top) = (at / steps * SIDE, at % steps * DEPTH);
            let row = |i: usize| {
                let mut padded = [0.0_f32; SIDE];
                if top + i >= n {
                    return padded;
                }
                let start = (top + i) * stride + left;
                if let Some(whole) = x[start..].first_chunk() {
                    padded = *whole;
                    padded[SIDE.min(width - left)..].fill(0.0);
                } else {
                    let here = SIDE.min(width - left);
                    padded[..here].copy_from_slice(&x[start..start + here]);
                }
                padded
            };
            for line in 0..SIDE {
                // The same rows of the next tile.
                for soon in (0..2).map(|i| (top + DEPTH + 2 * line + i) * stride + left) {
                    fetch(x.get(soon..soon + 1).unwrap_or_default());
                }
                let rows = [row(2 * line), row(2 * line + 1)];
                with(
                    instructions,
                    #[inline(always)]
                    || pair(rows, tiles, line),
                );
            }
        }
    }

    /// Columns, those that fill the last panels up included.
    pub(crate) fn columns(&self) -> usize {
        self.columns
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
}

/// Two rows cut into slices, number by number in turns, on the same line of every tile.
#[inline(always)]
#[expect(clippy::inline_always, reason = "inlined into the function that has the instructions enabled")]
fn pair(mut rows: [[f32; SIDE]; 2], tiles: &mut [u16], line: usize) {
    for tile in tiles.as_chunks_mut::<TILE>().0 {
        let out = tile[line * DEPTH..(line + 1) * DEPTH].as_chunks_mut::<2>().0;
        for (i, out) in out.iter_mut().enumerate() {
            *out = [round(rows[0][i]), round(rows[1][i])];
            rows[0][i] -= widen(out[0]);
            rows[1][i] -= widen(out[1]);
        }
    }
}
