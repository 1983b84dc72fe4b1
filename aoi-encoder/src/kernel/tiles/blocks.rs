//! A product of tiles, block by block.

use super::{BLOCK, SIDE, Session, TileColumns, TileRows};
use crate::kernel::Instructions;

/// Hands out the sums \[rows, 32\] of every block with its first row and the index of its columns; columns turn slowest, so that they stay in the
/// cache. A block is handed out when the next one has been asked for: its last sums need not be waited for.
pub(crate) fn each_block(
    instructions: Instructions,
    (n, rows): (usize, &TileRows),
    tiles: &TileColumns,
    mut take: impl FnMut((usize, usize), &[f32]),
) {
    let session = Session::new(instructions);
    let [mut done, mut sums] = [const { Sums([0.0; BLOCK * BLOCK]) }; 2];
    let (mut done, mut sums) = (&mut done, &mut sums);
    let mut before = None;
    for index in 0..tiles.columns() / BLOCK {
        for top in (0..n).step_by(BLOCK) {
            let here = BLOCK.min(n - top);
            let left = (rows, top / SIDE, here);
            session.multiply(left, (tiles, index * BLOCK / SIDE, top / BLOCK), &mut sums.0, BLOCK);
            if let Some((place, here)) = before.replace(((top, index), here)) {
                take(place, &done.0[..here * BLOCK]);
            }
            std::mem::swap(&mut done, &mut sums);
        }
    }
    if let Some((place, here)) = before {
        take(place, &done.0[..here * BLOCK]);
    }
}

/// The sums of a block, each row on its own cache lines.
#[repr(align(64))]
pub(crate) struct Sums(pub(crate) [f32; BLOCK * BLOCK]);
