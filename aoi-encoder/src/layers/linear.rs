//! A linear layer, packed for the arithmetic at hand.

use super::activations::Activations;
use crate::kernel::{
    Arithmetic, BLOCK, Epilogue, Instructions, Packed, Sums, TileColumns, add_block, cut_block, each_block,
};

/// `x W^T + b`, with what becomes of it.
#[derive(Debug)]
pub(crate) struct Linear {
    outputs: usize,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// f32 panels.
    Panels(Packed),
    /// bf16 tiles, and the bias.
    Tiles(TileColumns, Vec<[f32; BLOCK]>),
}

impl Linear {
    /// Packs `weight` \[out, in\] and `bias` (\[out\] or empty); output o is multiplied by `scale[o]` where there is one.
    pub(crate) fn new(
        arithmetic: Arithmetic,
        weight: &[f32],
        bias: &[f32],
        inputs: usize,
        scale: &[f32],
    ) -> Self {
        let outputs = weight.len() / inputs;
        let form = if let Some(slices) = arithmetic.slices() {
            let mut padded = vec![[0.0; BLOCK]; outputs.div_ceil(BLOCK)];
            for (o, &b) in bias.iter().enumerate() {
                padded[o / BLOCK][o % BLOCK] = b * scale.get(o).copied().unwrap_or(1.0);
            }
            Form::Tiles(TileColumns::of_weight(weight, inputs, scale, slices), padded)
        } else {
            Form::Panels(Packed::new(weight, bias, inputs, scale))
        };
        Self { outputs, form }
    }

    /// Number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Stores the outputs of `n` rows of `x`, or adds them; rows of `out` lie `stride` apart.
    pub(crate) fn apply(
        &self,
        arithmetic: Arithmetic,
        (n, x): (usize, &Activations),
        (out, stride): (&mut [f32], usize),
        epilogue: Epilogue,
    ) {
        let instructions = arithmetic.instructions;
        match &self.form {
            Form::Panels(packed) => {
                packed.apply(instructions, n, (x.floats(), x.stride()), (out, stride), epilogue);
            }
            Form::Tiles(tiles, bias) => {
                each_block(instructions, (n, x.rows()), tiles, |(top, index), sums| {
                    let target = &mut out[top * stride + index * BLOCK..];
                    add_block(instructions, (sums, &bias[index]), epilogue, (target, stride));
                });
            }
        }
    }

    /// Writes the outputs of `n` rows of `x` as slices `slice` apart; rows of `out` lie `row` apart.
    ///
    /// # Panics
    /// Where products are made of f32.
    pub(crate) fn cut(
        &self,
        instructions: Instructions,
        (n, x): (usize, &Activations),
        (out, row, slice): (&mut [u16], usize, usize),
    ) {
        let Form::Tiles(tiles, bias) = &self.form else {
            unreachable!("asked for only where products are of tiles")
        };
        each_block(instructions, (n, x.rows()), tiles, |(top, index), sums| {
            let target = &mut out[top * row + index * BLOCK..];
            cut_block(instructions, (sums, &bias[index]), tiles.slices(), (target, row, slice));
        });
    }

    /// `out = gelu(x W^T + b)` for `n` rows.
    pub(crate) fn activate(
        &self,
        arithmetic: Arithmetic,
        (n, x): (usize, &Activations),
        out: &mut Activations,
    ) {
        let instructions = arithmetic.instructions;
        match &self.form {
            Form::Panels(packed) => {
                let stride = out.stride();
                let (x, target) = ((x.floats(), x.stride()), (out.floats_mut(), stride));
                packed.apply(instructions, n, x, target, Epilogue::Gelu);
            }
            Form::Tiles(tiles, bias) => {
                let epilogue = if tiles.slices() == 1 { Epilogue::RoughGelu } else { Epilogue::Gelu };
                let mut done = Sums([0.0; BLOCK * BLOCK]);
                each_block(instructions, (n, x.rows()), tiles, |(top, index), sums| {
                    let target = &mut done.0[..sums.len()];
                    add_block(instructions, (sums, &bias[index]), epilogue, (target, BLOCK));
                    // The columns of a block are the summed entries of one step of the next product.
                    out.rows_mut().fill_block(instructions, (top, index), target);
                });
            }
        }
    }
}
