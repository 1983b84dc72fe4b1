//! Layer norm.

use super::activations::Activations;
use crate::Params;
use crate::kernel::{Arithmetic, Buffer, Instructions, layer_norm};

/// Layer norm over the width: `(x - mean) / sqrt(variance + epsilon) * weight + bias`.
#[derive(Debug)]
pub(crate) struct Norm {
    weight: Buffer,
    bias: Buffer,
    epsilon: f32,
}

impl Norm {
    /// The norm whose tensors are `name.weight` and `name.bias`.
    #[expect(clippy::cast_possible_truncation, reason = "an epsilon needs no more than f32")]
    pub(crate) fn new(params: &Params<f32>, name: &str, epsilon: f64) -> Self {
        let copy = |part: &str| {
            let values = params.get(&format!("{name}.{part}"));
            let mut buffer = Buffer::zeros(values.len());
            buffer.copy_from_slice(values);
            buffer
        };
        Self { weight: copy("weight"), bias: copy("bias"), epsilon: epsilon as f32 }
    }

    /// For a linear layer.
    ///
    /// # Shapes
    /// `x` \[n, d\] at `stride` -> `out` \[n, d\].
    pub(crate) fn prepare(
        &self,
        arithmetic: Arithmetic,
        (x, stride): (&[f32], usize),
        out: &mut Activations,
    ) {
        let (d, parameters) = (self.weight.len(), (&*self.weight, &*self.bias, self.epsilon));
        out.resize(arithmetic, x.len().div_ceil(stride), (d, crate::kernel::stride(d)));
        for (i, x) in x.chunks(stride).enumerate() {
            out.write(arithmetic, i, |out| layer_norm(arithmetic.instructions, &x[..d], parameters, out));
        }
    }

    /// # Shapes
    /// `x` \[n, d\] at `stride_x` -> `out` \[n, d\] at `stride_out`.
    pub(crate) fn forward(
        &self,
        instructions: Instructions,
        (x, stride_x): (&[f32], usize),
        (out, stride_out): (&mut [f32], usize),
    ) {
        let d = self.weight.len();
        let parameters = (&*self.weight, &*self.bias, self.epsilon);
        for (x, out) in x.chunks(stride_x).zip(out.chunks_mut(stride_out)) {
            layer_norm(instructions, &x[..d], parameters, &mut out[..d]);
        }
    }
}
