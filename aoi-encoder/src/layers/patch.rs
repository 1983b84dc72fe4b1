//! The patch projection: a convolution whose stride is its size, as a matrix product.

use super::linear::Linear;
use crate::kernel::{Arithmetic, Epilogue, TileRows, stride};
use crate::{Config, Grid, Params};

/// Projects every p x p x c patch to a token.
#[derive(Debug)]
pub(crate) struct PatchProjection {
    linear: Linear,
    channels: usize,
    patch: usize,
}

impl PatchProjection {
    pub(crate) fn new(arithmetic: Arithmetic, config: &Config, params: &Params<f32>) -> Self {
        let inputs = config.channels * config.patch * config.patch;
        let linear =
            Linear::new(arithmetic, params.get("patch.weight"), params.get("patch.bias"), inputs, &[]);
        Self { linear, channels: config.channels, patch: config.patch }
    }

    /// Numbers of one patch.
    pub(crate) fn inputs(&self) -> usize {
        self.channels * self.patch * self.patch
    }

    /// The tokens of patches `first..first + n` in reading order.
    ///
    /// # Shapes
    /// `image` \[c, rows * p, columns * p\] -> `out` \[n, d\] at the stride of d; `pixels` is scratch of n rows at the stride of c p p.
    pub(crate) fn forward(
        &self,
        arithmetic: Arithmetic,
        (image, grid): (&[f32], Grid),
        (first, n): (usize, usize),
        (pixels, rows): (&mut [f32], &mut TileRows),
        out: &mut [f32],
    ) {
        let (p, stride_pixels) = (self.patch, stride(self.inputs()));
        let (width, plane) = (grid.columns * p, grid.len() * p * p);
        for (index, patch) in (first..first + n).zip(pixels.chunks_mut(stride_pixels)) {
            let corner = index / grid.columns * p * width + index % grid.columns * p;
            for (line, target) in patch[..self.inputs()].chunks_exact_mut(p).enumerate() {
                let start = line / p * plane + corner + line % p * width;
                target.copy_from_slice(&image[start..start + p]);
            }
        }
        let target = (out, stride(self.linear.outputs()));
        self.linear.apply(arithmetic, n, (pixels, stride_pixels), target, (Epilogue::Store, rows));
    }
}
