//! Products of bf16 numbers summed in f32, in tiles of 16 rows by 32 summed entries.
//!
//! Two uses: weights and activations rounded to bf16 (one plane), and f32 numbers split into the sum of three bf16 ones (three planes).
//! A split loses nothing: 3 x 8 significant bits hold the 24 of an f32. Of the nine products of planes the six largest are summed; the other
//! three are below 2^-26 of the product, a quarter of what rounding it to f32 costs.
//!
//! Every entry of a product is one sum over the same tiles in the same order, so a row's result does not depend on other rows.

mod amx;
mod columns;
mod dot;
mod rows;
mod transpose;

#[cfg(test)]
mod tests;

pub(crate) use amx::is_available as amx_is_available;
pub(crate) use columns::TileColumns;
pub(crate) use rows::TileRows;

use super::Instructions;

/// Rows of a tile on the left, and columns of one on the right.
pub(crate) const SIDE: usize = 16;

/// Summed entries of a tile.
pub(crate) const DEPTH: usize = 32;

/// Numbers in a tile.
const TILE: usize = SIDE * DEPTH;

/// Rows and columns of a block: what one call computes.
pub(crate) const BLOCK: usize = 2 * SIDE;

/// The products of planes (left, right) that make an f32 product, in an order that changes one side at a time.
const PAIRS: [(usize, usize); 6] = [(0, 2), (0, 1), (1, 1), (1, 0), (0, 0), (2, 0)];

/// The products that are summed for so many planes.
fn pairs(planes: usize) -> &'static [(usize, usize)] {
    if planes == 1 { &[(0, 0)] } else { &PAIRS }
}

/// The largest bf16 nearest to `x`, ties to even; NaN stays NaN.
#[inline]
pub(crate) fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
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
    tiles: bool,
}

impl Session {
    pub(crate) fn new(instructions: Instructions) -> Self {
        let tiles = instructions == Instructions::Amx;
        if tiles {
            amx::configure();
        }
        Self { tiles }
    }

    /// The product of up to 32 rows, from tile row `top`, with the 32 columns from panel `panel` on; row i goes to `c[i * stride..]`.
    ///
    /// Rows come in sixteens: with `tall` both tile rows are written, otherwise the first sixteen rows.
    ///
    /// # Panics
    /// When a slice is too short for the sizes, or the sides are not split alike: a bug of the caller inside this crate.
    pub(crate) fn multiply(
        &self,
        (a, top, tall): (&TileRows, usize, bool),
        (b, panel): (&TileColumns, usize),
        c: &mut [f32],
        stride: usize,
    ) {
        let (steps, planes) = (a.steps(), a.planes());
        assert!(steps == b.steps() && planes == b.planes(), "sides of a product differ");
        let (length, rows) = (steps * planes * TILE, if tall { BLOCK } else { SIDE });
        let block = Block {
            a: &a.tiles()[top * length..(top + rows / SIDE) * length],
            b: [&b.tiles()[panel * length..][..length], &b.tiles()[(panel + 1) * length..][..length]],
            steps,
            planes,
        };
        assert!(stride >= BLOCK && c.len() >= (rows - 1) * stride + BLOCK, "target too short");
        if self.tiles { amx::multiply(&block, c, stride) } else { dot::multiply(&block, c, stride) }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.tiles {
            amx::release();
        }
    }
}

/// One or two tile rows on the left, two panels of sixteen columns on the right; `steps * planes` tiles each.
#[derive(Debug)]
struct Block<'a> {
    a: &'a [u16],
    b: [&'a [u16]; 2],
    steps: usize,
    planes: usize,
}
