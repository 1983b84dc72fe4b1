//! The two-layer network of a block.

use crate::config::Feedforward as Kind;
use crate::kernel::{Epilogue, Instructions, Packed, stride, swiglu};
use crate::{Config, Params};

/// `W2 gelu(W1 x + b1) + b2`, or the gated `W3 (silu(u) * v) + b3` with `(u, v) = W12 x + b12`.
#[derive(Debug)]
pub(crate) struct Feedforward {
    first: Packed,
    second: Packed,
    gated: bool,
    hidden: usize,
}

impl Feedforward {
    /// The network of block `index`; the second layer is scaled by `scale` where there is one.
    pub(crate) fn new(config: &Config, params: &Params<f32>, index: usize, scale: &[f32]) -> Self {
        let get = |name: &str| params.get(&format!("block.{index}.mlp.{name}"));
        Self {
            first: Packed::new(get("in.weight"), get("in.bias"), config.width, &[]),
            second: Packed::new(get("out.weight"), get("out.bias"), config.hidden, scale),
            gated: config.feedforward == Kind::SwiGlu,
            hidden: config.hidden,
        }
    }

    /// `residual += feedforward(x)`.
    ///
    /// # Shapes
    /// `x` and `residual` \[n, d\] at the stride of d; `hidden` is scratch of n rows at the stride of the first layer's outputs.
    pub(crate) fn forward(
        &self,
        instructions: Instructions,
        n: usize,
        x: &[f32],
        hidden: &mut [f32],
        residual: &mut [f32],
    ) {
        let stride_x = stride(self.second.outputs());
        let stride_hidden = stride(self.first.outputs());
        let epilogue = if self.gated { Epilogue::Store } else { Epilogue::Gelu };
        self.first.apply(instructions, n, (x, stride_x), (hidden, stride_hidden), epilogue);
        if self.gated {
            for row in hidden.chunks_mut(stride_hidden).take(n) {
                let (u, v) = row.split_at_mut(self.hidden);
                swiglu(instructions, u, &v[..self.hidden]);
            }
        }
        self.second.apply(instructions, n, (hidden, stride_hidden), (residual, stride_x), Epilogue::Add);
    }
}
