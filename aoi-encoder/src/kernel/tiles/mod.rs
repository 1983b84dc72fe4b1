//! Products of bf16 numbers summed in f32, in tiles of 16 rows by 32 summed entries.
//!
//! A number is one bf16, or the sum of three *slices*, each the bf16 nearest to what the ones before leave: 8 of its bits each, so that three
//! hold every f32 from 2^-103 up to 2^127 exactly (what is smaller loses less than 2^-126). A slice is at most 2^-8 of the one before. Of the nine products of
//! slices the six largest are taken; the others come to at most 2^-23 of the product together, as much as two roundings of f32.
//!
//! Every entry of a product is one sum over the same tiles in the same order, so a row's result does not depend on other rows.

mod amx;
mod blocks;
mod columns;
mod dot;
mod halves;
mod interleave;
#[cfg(feature = "training")]
mod product;
mod rows;
mod transpose;

#[cfg(test)]
mod tests;

pub(crate) use amx::is_available as amx_is_available;
pub(crate) use blocks::{Sums, each_block};
pub(crate) use columns::TileColumns;
pub(crate) use halves::{Halves, cut_block};
#[cfg(feature = "training")]
pub(crate) use product::{Lines, ProductScratch, Start};
pub(crate) use rows::TileRows;

use super::Instructions;

/// Rows of a tile on the left, and columns of one on the right.
pub(crate) const SIDE: usize = 16;

/// Summed entries of a tile.
pub(crate) const DEPTH: usize = 32;

/// Numbers in a tile.
const TILE: usize = SIDE * DEPTH;

/// Slices that hold an f32.
pub(crate) const SLICES: usize = 3;

/// Which slices on the left are multiplied with which on the right: the largest product last, and from one to the next only one side changes
/// where that is possible.
fn products(slices: usize) -> &'static [(usize, usize)] {
    if slices == SLICES { &[(0, 2), (0, 1), (1, 1), (1, 0), (2, 0), (0, 0)] } else { &[(0, 0)] }
}

/// Rows and columns of a block: what one call computes.
pub(crate) const BLOCK: usize = 2 * SIDE;

/// The bf16 nearest to `x`, ties to even; NaN stays NaN.
#[inline]
pub(crate) fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    let kept = if x.is_nan() { 0x7fc0 } else { rounded };
    #[expect(clippy::cast_possible_truncation, reason = "sixteen bits are left")]
    let half = kept as u16;
    half
}

/// The f32 of a bf16.
#[inline]
pub(crate) fn widen(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// Holds the tile registers of this thread for products; others may use them again when it is dropped.
#[derive(Debug)]
pub(crate) struct Session {
    instructions: Instructions,
}

impl Session {
    pub(crate) fn new(instructions: Instructions) -> Self {
        if instructions == Instructions::Amx {
            amx::configure();
        }
        Self { instructions }
    }

    /// The product of `rows` rows, at most 32 from tile row `top` on, with the 32 columns from panel `panel` on; row i goes to
    /// `c[i * stride..]`, which holds whole sixteens of rows: what fills them up may be written.
    ///
    /// On the way a quarter of the next 32 columns, number `turn`, is fetched into the cache; others than 0 to 3 fetch nothing.
    ///
    /// # Panics
    /// When a slice is too short for the sizes, or the sides differ in length: a bug of the caller inside this crate.
    pub(crate) fn multiply(
        &self,
        (a, top, rows): (&TileRows, usize, usize),
        (b, panel, turn): (&TileColumns, usize, usize),
        c: &mut [f32],
        stride: usize,
    ) {
        let (steps, slices) = (a.steps(), a.slices());
        assert!((steps, slices) == (b.steps(), b.slices()), "sides of a product differ");
        assert!(slices == 1 || slices == SLICES, "one slice or three");
        assert!((1..=BLOCK).contains(&rows), "one block of rows");
        let (length, held) = (steps * slices * TILE, rows.next_multiple_of(SIDE));
        let pair = [&b.tiles()[panel * length..][..length], &b.tiles()[(panel + 1) * length..][..length]];
        let quarter = ((panel + 2) * length + turn.min(4) * length / 2)
            ..((panel + 2) * length + (turn.min(4) + 1) * length / 2);
        let block = Block {
            a: &a.tiles()[top * length..(top + held / SIDE) * length],
            rows,
            b: pair,
            // What was just read costs nothing to fetch again.
            ahead: if turn < 4 { b.tiles().get(quarter) } else { None }.unwrap_or(pair[0]),
            steps,
            slices,
        };
        assert!(stride >= BLOCK && c.len() >= (held - 1) * stride + BLOCK, "target too short");
        if self.instructions == Instructions::Amx {
            amx::multiply(&block, c, stride);
        } else {
            dot::multiply(self.instructions, &block, c, stride);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.instructions == Instructions::Amx {
            amx::release();
        }
    }
}

/// One or two tile rows on the left, two panels of sixteen columns on the right, `steps` times `slices` tiles each.
#[derive(Debug)]
struct Block<'a> {
    a: &'a [u16],
    /// Rows to compute of those on the left; the others may be.
    rows: usize,
    b: [&'a [u16]; 2],
    /// What to fetch into the cache meanwhile: half as long as a panel, or longer.
    ahead: &'a [u16],
    steps: usize,
    slices: usize,
}
