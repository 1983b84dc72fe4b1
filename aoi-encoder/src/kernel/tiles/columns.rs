//! The right-hand side of a tile product: panels of sixteen columns, summed entries in pairs.

use super::{BLOCK, DEPTH, SIDE, TILE, round, widen};
use crate::kernel::Buffer;

/// Columns in tiles \[columns / 16, steps, slices, 16 pairs, 16 columns, 2\]; an even number of panels, filled up with zeros.
#[derive(Debug, Default)]
pub(crate) struct TileColumns {
    pub(super) tiles: Buffer<u16>,
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
