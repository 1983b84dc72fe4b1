//! The two-layer network of a block.

use super::activations::Activations;
use super::linear::Linear;
use crate::config::Feedforward as Kind;
use crate::kernel::{Arithmetic, Epilogue, stride, swiglu};
use crate::{Config, Params};

/// `W2 gelu(W1 x + b1) + b2`, or the gated `W3 (silu(u) * v) + b3` with `(u, v) = W12 x + b12`.
#[derive(Debug)]
pub(crate) struct Feedforward {
    first: Linear,
    second: Linear,
    gated: bool,
    hidden: usize,
}

impl Feedforward {
    /// The network of block `index`; the second layer is scaled by `scale` where there is one.
    pub(crate) fn new(
        arithmetic: Arithmetic,
        config: &Config,
        params: &Params<f32>,
        index: usize,
        scale: &[f32],
    ) -> Self {
        let get = |name: &str| params.get(&format!("block.{index}.mlp.{name}"));
        Self {
            first: Linear::new(arithmetic, get("in.weight"), get("in.bias"), config.width, &[]),
            second: Linear::new(arithmetic, get("out.weight"), get("out.bias"), config.hidden, scale),
            gated: config.feedforward == Kind::SwiGlu,
            hidden: config.hidden,
        }
    }

    /// `residual += feedforward(x)`.
    ///
    /// # Shapes
    /// `x` and `residual` \[n, d\], the latter at the stride of d; `hidden` is scratch of n rows at the stride of the first layer's outputs.
    pub(crate) fn forward(
        &self,
        arithmetic: Arithmetic,
        n: usize,
        x: &Activations,
        hidden: &mut Activations,
        residual: &mut [f32],
    ) {
        if self.gated {
            let stride = hidden.stride();
            self.first.apply(arithmetic, (n, x), (hidden.floats_mut(), stride), Epilogue::Store);
            for row in hidden.floats_mut().chunks_mut(stride).take(n) {
                let (u, v) = row.split_at_mut(self.hidden);
                swiglu(arithmetic.instructions, u, &v[..self.hidden]);
            }
            hidden.cut(arithmetic, n);
        } else {
            self.first.activate(arithmetic, (n, x), hidden);
        }
        let target = (residual, stride(self.second.outputs()));
        self.second.apply(arithmetic, (n, hidden), target, Epilogue::Add);
    }
}
