//! Products of f32 matrices as they lie, cut into tiles on the way.

use std::ops::Range;

use super::rows::round_line;
use super::{BLOCK, DEPTH, SIDE, TILE, TileColumns, TileRows, each_block, interleave, transpose};
use crate::kernel::compiled::with;
use crate::kernel::{Instructions, Layout, fetch};

/// Summed entries that are in tiles at once: a panel of sixteen lines of them stays in the first-level cache.
const DEPTH_AT_ONCE: usize = 512;

/// Rows on the left that are in tiles at once, 0.8 MB of them: they stay in the second-level cache while all columns pass by.
const ROWS_AT_ONCE: usize = 256;

/// The rows on the left of a product, or the columns on the right: entry l of line i lies at `i * row + l * inner`, one of which is 1.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub(crate) data: &'a [f32],
    pub(crate) layout: Layout,
}

impl Lines<'_> {
    /// Without the lines before `line` and the entries before `entry`.
    fn from(self, line: usize, entry: usize) -> Self {
        let Layout { row, inner } = self.layout;
        Self { data: &self.data[line * row + entry * inner..], ..self }
    }
}

/// What a product is added to.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a, T = f32> {
    /// Nothing: the target is replaced.
    Zero,
    /// One number a column; the target is replaced.
    Bias(&'a [T]),
    /// What the target holds.
    Target,
}

/// Memory for the tiles of one product at a time; used again for the next.
#[derive(Debug, Default)]
pub(crate) struct ProductScratch {
    rows: TileRows,
    columns: TileColumns,
}

impl ProductScratch {
    /// `c = start + scale a b`, with the factors cut into so many slices; row i of `c` starts at `i * stride`.
    ///
    /// Summed entries are taken 512 at a time, and the sums added up in f32 in that order.
    ///
    /// # Shapes
    /// m lines `a` and n lines `b` of k entries, none of these zero -> `c` \[m, n\].
    ///
    /// # Panics
    /// When a slice is too short for the sizes: a bug of the caller inside this crate.
    #[expect(clippy::many_single_char_names, reason = "c = a b of m x k and k x n")]
    pub(crate) fn multiply(
        &mut self,
        (instructions, slices): (Instructions, usize),
        (m, n, k): (usize, usize, usize),
        (a, b): (Lines<'_>, Lines<'_>),
        (c, stride): (&mut [f32], usize),
        (scale, start): (f32, Start<'_>),
    ) {
        let Self { rows, columns } = self;
        for first in (0..k).step_by(DEPTH_AT_ONCE) {
            let inner = DEPTH_AT_ONCE.min(k - first);
            columns.resize(n, inner, slices);
            columns.fill(instructions, b.from(0, first), (n, inner));
            for top in (0..m).step_by(ROWS_AT_ONCE) {
                let here = ROWS_AT_ONCE.min(m - top);
                rows.resize(here, inner, slices);
                rows.fill_lines(instructions, a.from(top, first), (here, inner));
                let start = if first == 0 { start } else { Start::Target };
                each_block(instructions, (here, rows), columns, |(row, index), sums| {
                    let (left, width) = (index * BLOCK, BLOCK.min(n - index * BLOCK));
                    let instead = start.instead(left..left + width);
                    let target = (&mut c[(top + row) * stride + left..], stride, width);
                    with(
                        instructions,
                        #[inline(always)]
                        || combine(sums, target, scale, instead.as_ref()),
                    );
                });
            }
        }
    }
}

impl Start<'_> {
    /// What stands for the target's own numbers in some columns, if not these.
    fn instead(self, columns: Range<usize>) -> Option<[f32; BLOCK]> {
        let mut row = [0.0; BLOCK];
        match self {
            Self::Zero => {}
            Self::Bias(bias) => row[..columns.len()].copy_from_slice(&bias[columns]),
            Self::Target => return None,
        }
        Some(row)
    }
}

/// Scaled sums of a block to their place, as many columns as there are, added to what is there or to the row `instead`; what lies where the next
/// block goes is fetched.
#[inline(always)]
#[expect(clippy::inline_always, reason = "inlined into the function that has the instructions enabled")]
fn combine(
    sums: &[f32],
    (c, stride, width): (&mut [f32], usize, usize),
    scale: f32,
    instead: Option<&[f32; BLOCK]>,
) {
    for (i, sums) in sums.as_chunks::<BLOCK>().0.iter().enumerate() {
        if let Some(soon) = c.get((i + BLOCK) * stride..(i + BLOCK) * stride + width) {
            fetch(soon);
        }
        let c = &mut c[i * stride..i * stride + width];
        if let Some(c) = c.first_chunk_mut() {
            *c = add(*instead.unwrap_or(c), sums, scale);
        } else {
            let mut first = [0.0; BLOCK];
            first[..width].copy_from_slice(c);
            c.copy_from_slice(&add(*instead.unwrap_or(&first), sums, scale)[..width]);
        }
    }
}

/// Arrays by value: through references the compiler takes number after number.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as its caller")]
fn add(mut first: [f32; BLOCK], sums: &[f32; BLOCK], scale: f32) -> [f32; BLOCK] {
    first.iter_mut().zip(sums).for_each(|(first, sum)| *first += scale * sum);
    first
}

impl TileColumns {
    /// Fills the first `n` columns of `inner` entries from lines.
    fn fill(&mut self, instructions: Instructions, lines: Lines<'_>, (n, inner): (usize, usize)) {
        let (steps, slices) = (self.steps(), self.slices());
        if lines.layout.inner > 1 {
            let x = (lines.data, lines.layout.inner);
            return interleave::interleave(instructions, x, (inner, n), slices, &mut self.tiles);
        }
        // A panel is cut as rows where it belongs, and turned there tile by tile.
        let panels = self.tiles.chunks_exact_mut(steps * slices * TILE);
        for (panel, left) in panels.zip((0..n).step_by(SIDE)) {
            for line in 0..SIDE.min(n - left) {
                let start = (left + line) * lines.layout.row;
                let x = &lines.data[start..start + inner];
                round_line(instructions, x, 1.0, &mut panel[line * DEPTH..], slices);
            }
            turn(instructions, panel);
        }
    }
}

impl TileRows {
    /// Fills the first `n` rows of `inner` entries from lines.
    fn fill_lines(&mut self, instructions: Instructions, lines: Lines<'_>, (n, inner): (usize, usize)) {
        let Layout { row, inner: stride } = lines.layout;
        if stride == 1 {
            return self.fill(instructions, n, (lines.data, row), inner, 1.0);
        }
        let slices = self.slices();
        interleave::interleave(instructions, (lines.data, stride), (inner, n), slices, &mut self.tiles);
        turn(instructions, &mut self.tiles);
    }
}

/// Turns tiles of rows into tiles of columns, or back, where they are.
fn turn(instructions: Instructions, tiles: &mut [u16]) {
    for tile in tiles.as_chunks_mut::<TILE>().0 {
        let before = *tile;
        transpose::pairs(instructions, &before, tile);
    }
}
