//! The patch projection: a convolution whose stride is its size, as a matrix product.

use super::activations::Activations;
use super::linear::Linear;
use crate::kernel::{Arithmetic, Epilogue, stride};
use crate::{Config, Grid, Params};

/// Projects every p x p x c patch to a token.
#[derive(Debug)]
pub(crate) struct PatchProjection {
    linear: Linear,
    patch: usize,
}

impl PatchProjection {
    pub(crate) fn new(arithmetic: Arithmetic, config: &Config, params: &Params<f32>) -> Self {
        let inputs = config.channels * config.patch * config.patch;
        let linear =
            Linear::new(arithmetic, params.get("patch.weight"), params.get("patch.bias"), inputs, &[]);
        Self { linear, patch: config.patch }
    }

    /// The tokens of patches `first..first + n` in reading order.
    ///
    /// # Shapes
    /// `image` \[c, rows * p, columns * p\] -> `out` \[n, d\] at the stride of d; `pixels` is scratch of n rows.
    pub(crate) fn forward(
        &self,
        arithmetic: Arithmetic,
        (image, grid): (&[f32], Grid),
        (first, n): (usize, usize),
        pixels: &mut Activations,
        out: &mut [f32],
    ) {
        let p = self.patch;
        let (width, plane) = (grid.columns * p, grid.len() * p * p);
        for index in first..first + n {
            let corner = index / grid.columns * p * width + index % grid.columns * p;
            pixels.write(arithmetic, index - first, |patch| {
                for (line, target) in patch.chunks_exact_mut(p).enumerate() {
                    let start = line / p * plane + corner + line % p * width;
                    target.copy_from_slice(&image[start..start + p]);
                }
            });
        }
        let target = (out, stride(self.linear.outputs()));
        self.linear.apply(arithmetic, (n, pixels), target, Epilogue::Store);
    }
}
