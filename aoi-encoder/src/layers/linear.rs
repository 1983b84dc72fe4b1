//! A linear layer, packed for the arithmetic at hand.

use crate::kernel::{
    Arithmetic, BLOCK, Epilogue, Packed, Precision, SIDE, Session, TileColumns, TileRows, add_block,
};

/// `x W^T + b`, with what becomes of it.
#[derive(Debug)]
pub(crate) struct Linear {
    inputs: usize,
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
        let form = if arithmetic.precision == Precision::Bf16 {
            let mut padded = vec![[0.0; BLOCK]; outputs.div_ceil(BLOCK)];
            for (o, &b) in bias.iter().enumerate() {
                padded[o / BLOCK][o % BLOCK] = b * scale.get(o).copied().unwrap_or(1.0);
            }
            Form::Tiles(TileColumns::of_weight(weight, inputs, scale), padded)
        } else {
            Form::Panels(Packed::new(weight, bias, inputs, scale))
        };
        Self { inputs, outputs, form }
    }

    /// Number of outputs.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// For `n` rows of `x` and `out`, which lie `stride_x` and `stride_out` apart; `rows` is scratch.
    pub(crate) fn apply(
        &self,
        arithmetic: Arithmetic,
        n: usize,
        (x, stride_x): (&[f32], usize),
        (out, stride_out): (&mut [f32], usize),
        (epilogue, rows): (Epilogue, &mut TileRows),
    ) {
        let instructions = arithmetic.instructions;
        let (tiles, bias) = match &self.form {
            Form::Panels(packed) => {
                return packed.apply(instructions, n, (x, stride_x), (out, stride_out), epilogue);
            }
            Form::Tiles(tiles, bias) => (tiles, bias),
        };
        rows.resize(n, self.inputs);
        rows.fill(instructions, n, (x, stride_x), self.inputs, 1.0);
        let session = Session::new(instructions);
        let mut sums = Block([0.0; BLOCK * BLOCK]);
        for (index, bias) in bias.iter().enumerate() {
            for top in (0..n).step_by(BLOCK) {
                let here = BLOCK.min(n - top);
                let left = (&*rows, top / SIDE, here > SIDE);
                session.multiply(left, (tiles, index * BLOCK / SIDE, top / BLOCK), &mut sums.0, BLOCK);
                let target = &mut out[top * stride_out + index * BLOCK..];
                let sums = (&sums.0[..here * BLOCK], bias);
                add_block(instructions, sums, epilogue, (target, stride_out));
            }
        }
    }
}

/// The sums of a block, each row on its own cache lines.
#[repr(align(64))]
struct Block([f32; BLOCK * BLOCK]);
