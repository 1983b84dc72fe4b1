//! The right-hand side of a tile product: panels of sixteen columns, summed entries in pairs.

use super::{BLOCK, DEPTH, SIDE, TILE, TileRows, round, transpose};
use crate::kernel::rows::with;
use crate::kernel::{Buffer, Instructions};

/// Columns in tiles \[columns / 16, steps, 16 pairs, 16 columns, 2\]; an even number of panels, filled up with zeros.
#[derive(Debug, Default)]
pub(crate) struct TileColumns {
    tiles: Buffer<u16>,
    steps: usize,
    columns: usize,
}

impl TileColumns {
    /// The rows of `weight` \[out, inner\] as columns, each times `scale` of its output where there is one.
    pub(crate) fn of_weight(weight: &[f32], inner: usize, scale: &[f32]) -> Self {
        let mut columns = Self::default();
        columns.resize(weight.len() / inner, inner);
        for (o, row) in weight.chunks_exact(inner).enumerate() {
            let factor = scale.get(o).copied().unwrap_or(1.0);
            for (i, &w) in row.iter().enumerate() {
                *columns.entry(o, i) = round(w * factor);
            }
        }
        columns
    }

    /// Makes room for so many columns of `inner` entries, all zero where the room is new.
    pub(crate) fn resize(&mut self, columns: usize, inner: usize) {
        self.steps = inner.div_ceil(DEPTH);
        self.columns = columns.next_multiple_of(BLOCK);
        self.tiles.resize(self.columns / SIDE * self.steps * TILE);
    }

    /// Entry i of column o.
    fn entry(&mut self, o: usize, i: usize) -> &mut u16 {
        let tile = o / SIDE * self.steps + i / DEPTH;
        &mut self.tiles[tile * TILE + i % DEPTH / 2 * 2 * SIDE + o % SIDE * 2 + i % 2]
    }

    /// Makes every row of `rows` a column. (Keys: queries times these are the scores.)
    pub(crate) fn transpose(&mut self, instructions: Instructions, rows: &TileRows) {
        assert!(self.steps == rows.steps(), "rows of another length");
        let tiles = self.tiles.as_chunks_mut::<TILE>().0;
        for (tile, rows) in tiles.iter_mut().zip(rows.tiles().as_chunks::<TILE>().0) {
            transpose::pairs(instructions, rows, tile);
        }
    }

    /// The columns of `x` \[n, width\] at a stride, rounded, with n summed entries; what fills the last tiles up is zero. (Values.)
    pub(crate) fn interleave(
        &mut self,
        instructions: Instructions,
        (x, stride): (&[f32], usize),
        (n, width): (usize, usize),
    ) {
        assert!(self.steps == n.div_ceil(DEPTH) && self.columns >= width, "columns of another size");
        let (steps, panels) = (self.steps, width.div_ceil(SIDE));
        for (at, tile) in self.tiles.as_chunks_mut::<TILE>().0.iter_mut().enumerate().take(panels * steps) {
            let (left, top) = (at / steps * SIDE, at % steps * DEPTH);
            let row = |i: usize| {
                let mut padded = [0.0_f32; SIDE];
                if top + i < n {
                    let start = (top + i) * stride + left;
                    let here = SIDE.min(width - left);
                    padded[..here].copy_from_slice(&x[start..start + here]);
                }
                padded
            };
            for (i, out) in tile.as_chunks_mut::<{ 2 * SIDE }>().0.iter_mut().enumerate() {
                let rows = [row(2 * i), row(2 * i + 1)];
                with(
                    instructions,
                    #[inline(always)]
                    || pair(rows, out),
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

    pub(crate) fn tiles(&self) -> &[u16] {
        &self.tiles
    }
}

/// Two rows rounded, number by number in turns.
#[inline(always)]
#[expect(clippy::inline_always, reason = "inlined into the function that has the instructions enabled")]
fn pair(rows: [[f32; SIDE]; 2], out: &mut [u16; 2 * SIDE]) {
    for (i, out) in out.as_chunks_mut::<2>().0.iter_mut().enumerate() {
        *out = [round(rows[0][i]), round(rows[1][i])];
    }
}
