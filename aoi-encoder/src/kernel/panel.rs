//! Products with a right-hand side stored in panels of 16 or 32 columns.

use super::compiled::{mul_add, with_avx2};
use super::{Buffer, Instructions, avx512, rows};

/// Columns of a full panel: two 512-bit vectors.
const WIDE: usize = 32;

/// Rows that one tile computes at once on 512-bit vectors: 14 x 2 sums and the two vectors of the panel fill 30 of the 32 registers.
pub(super) const TALL: usize = 14;

/// How a strided matrix lies in its slice: entry (i, k) at `i * row + k * inner`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// Distance from row to row.
    pub(crate) row: usize,
    /// Distance along the inner (summed) axis.
    pub(crate) inner: usize,
}

/// One product of m rows with one panel.
#[derive(Debug)]
pub(crate) struct Tile<'a> {
    /// Rows m and summed entries k.
    pub(crate) size: (usize, usize),
    /// Left-hand side.
    pub(crate) a: &'a [f32],
    /// How it lies.
    pub(crate) layout: Layout,
    /// The panel, \[k, columns\] with columns 16 or 32.
    pub(crate) b: &'a [f32],
    /// Columns of the panel.
    pub(crate) columns: usize,
    /// Added to every row, one number a column; nothing when empty.
    pub(crate) bias: &'a [f32],
    /// Whether the result is added to what the target holds.
    pub(crate) add: bool,
}

/// `c = a b + bias`, or `c += a b + bias`; row i of the target starts at `i * stride`.
///
/// # Panics
/// When a slice is too short for the sizes: a bug of the caller inside this crate.
pub(crate) fn multiply_panel(instructions: Instructions, tile: &Tile<'_>, c: &mut [f32], stride: usize) {
    let (m, k) = tile.size;
    if m == 0 || k == 0 {
        return;
    }
    let Layout { row, inner } = tile.layout;
    assert!(tile.columns == WIDE || tile.columns == WIDE / 2, "a panel has 16 or 32 columns");
    assert!(tile.a.len() > (m - 1) * row + (k - 1) * inner, "left-hand side too short");
    assert!(tile.b.len() >= k * tile.columns, "panel too short");
    assert!(tile.bias.is_empty() || tile.bias.len() >= tile.columns, "bias too short");
    assert!(c.len() >= (m - 1) * stride + tile.columns && stride >= tile.columns, "target too short");
    match instructions {
        Instructions::Portable => portable::<false>(tile, c, stride),
        Instructions::Avx2 => with_avx2(|| portable::<true>(tile, c, stride)),
        Instructions::Avx512 | Instructions::Avx512Bf16 | Instructions::Amx => {
            avx512::multiply_panel(tile, c, stride);
        }
    }
}

/// The same in plain Rust, four rows by sixteen columns at a time; inlined into the function that has AVX2 enabled.
#[inline(always)]
pub(super) fn portable<const FUSED: bool>(tile: &Tile<'_>, out: &mut [f32], stride: usize) {
    const ROWS: usize = 4;
    const COLUMNS: usize = 16;
    let (m, k) = tile.size;
    let Layout { row, inner } = tile.layout;
    for first in (0..tile.columns).step_by(COLUMNS) {
        for top in (0..m).step_by(ROWS) {
            let height = ROWS.min(m - top);
            let mut sums = [[0.0_f32; COLUMNS]; ROWS];
            for (j, b) in tile.b.chunks_exact(tile.columns).take(k).enumerate() {
                let b: &[f32; COLUMNS] = b[first..first + COLUMNS].try_into().expect("sixteen columns");
                for (i, sums) in sums.iter_mut().enumerate() {
                    // Rows past the end repeat the last one; their sums are not stored.
                    let a = tile.a[(top + i.min(height - 1)) * row + j * inner];
                    for (sum, &b) in sums.iter_mut().zip(b) {
                        *sum = mul_add::<FUSED>(a, b, *sum);
                    }
                }
            }
            for (i, sums) in sums.iter().enumerate().take(height) {
                let start = (top + i) * stride + first;
                for (column, (target, &sum)) in out[start..start + COLUMNS].iter_mut().zip(sums).enumerate() {
                    let value = sum + tile.bias.get(first + column).copied().unwrap_or(0.0);
                    *target = if tile.add { *target + value } else { value };
                }
            }
        }
    }
}

/// A linear layer's weight \[out, in\] and bias, stored as panels \[in, 32\] of 32 outputs each; missing outputs are zero.
#[derive(Debug)]
pub(crate) struct Packed {
    inputs: usize,
    panels: Buffer,
    bias: Buffer,
}

impl Packed {
    /// Packs `weight` \[out, in\] and `bias` (\[out\] or empty); output o is multiplied by `scale[o]` where there is one.
    pub(crate) fn new(weight: &[f32], bias: &[f32], inputs: usize, scale: &[f32]) -> Self {
        let outputs = weight.len() / inputs;
        let padded = outputs.next_multiple_of(WIDE);
        let (mut panels, mut padded_bias) = (Buffer::zeros(padded * inputs), Buffer::zeros(padded));
        for (o, row) in weight.chunks_exact(inputs).enumerate() {
            let factor = scale.get(o).copied().unwrap_or(1.0);
            let start = o / WIDE * WIDE * inputs + o % WIDE;
            for (i, &w) in row.iter().enumerate() {
                panels[start + i * WIDE] = w * factor;
            }
            padded_bias[o] = bias.get(o).copied().unwrap_or(0.0) * factor;
        }
        Self { inputs, panels, bias: padded_bias }
    }

    /// `out = x W^T + b` (or `out +=`) for `n` rows; rows of `x` and `out` lie `stride_x` and `stride_out` apart.
    ///
    /// With `gelu` the result goes through the exact GELU, panel by panel while it is in the cache.
    pub(crate) fn apply(
        &self,
        instructions: Instructions,
        n: usize,
        (x, stride_x): (&[f32], usize),
        (out, stride_out): (&mut [f32], usize),
        epilogue: Epilogue,
    ) {
        let panels = self.panels.chunks_exact(self.inputs * WIDE).zip(self.bias.chunks_exact(WIDE));
        for (index, (b, bias)) in panels.enumerate() {
            let tile = Tile {
                size: (n, self.inputs),
                a: x,
                layout: Layout { row: stride_x, inner: 1 },
                b,
                columns: WIDE,
                bias,
                add: epilogue == Epilogue::Add,
            };
            let out = &mut out[index * WIDE..];
            multiply_panel(instructions, &tile, out, stride_out);
            if epilogue == Epilogue::Gelu {
                rows::gelu(instructions, n, (out, stride_out));
            }
        }
    }
}

/// What becomes of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Epilogue {
    /// It replaces the target.
    Store,
    /// It is added to the target (a residual branch).
    Add,
    /// Its GELU replaces the target.
    Gelu,
    /// The same, only as close as bf16 can tell; for tiles.
    RoughGelu,
}
