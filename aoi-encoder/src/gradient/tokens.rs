//! From images to the first tokens: patch projection, class token, registers, positions.

use std::ops::Range;

use super::scalar::fit;
use super::{Linear, Scalar};
use crate::positions::sin_cos;
use crate::{Config, Positions, Precision, Table};

/// The layer before the first block, for images of the grid that the positions are stored for.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    config: Config,
    patch: Linear,
    /// Class token and registers, which follow each other in the table.
    prefix: Range<usize>,
    /// The learned table; empty for fixed positions.
    positions: Range<usize>,
    /// Fixed positions \[grid, d\]; empty for learned ones.
    fixed: Vec<f64>,
}

impl Tokens {
    /// The layer of `config`'s encoder.
    ///
    /// # Panics
    /// When the table lacks its tensors: a bug of the caller inside this crate.
    pub(crate) fn new(table: &Table, config: &Config) -> Self {
        let class = table.get("class_token").expect("every encoder has a class token").range();
        let end = table.get("register_tokens").map_or(class.end, |t| t.range().end);
        let fixed = match config.positions {
            Positions::SinCos => sin_cos(config.grid, config.width),
            Positions::Learned { .. } => Vec::new(),
        };
        Self {
            patch: Linear::new(table, "patch"),
            prefix: class.start..end,
            positions: table.get("positions").map_or(0..0, crate::Tensor::range),
            fixed,
            config: config.clone(),
        }
    }

    /// Makes its products of such numbers.
    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.patch.set_precision(precision);
    }

    /// Copies the pixels of patch `index` of an image, \[c, p, p\].
    pub(crate) fn pixels<T: Scalar>(config: &Config, image: &[T], index: usize, target: &mut [T]) {
        let (p, columns) = (config.patch, config.grid.columns);
        let (width, plane) = (columns * p, config.grid.len() * p * p);
        let corner = index / columns * p * width + index % columns * p;
        for (line, target) in target.chunks_exact_mut(p).enumerate() {
            let start = line / p * plane + corner + line % p * width;
            target.copy_from_slice(&image[start..start + p]);
        }
    }

    /// Tokens of the visible patches of every image, class token and registers first.
    ///
    /// # Shapes
    /// `images` \[b, c, height, width\]; `visible` b lists of v patches -> `pixels` \[b * v, c p p\], kept for the backward, and
    /// `x` \[b * (1 + r + v), d\].
    pub(crate) fn forward<T: Scalar>(
        &self,
        p: &[T],
        images: &[T],
        visible: &[&[usize]],
        (pixels, x): (&mut Vec<T>, &mut Vec<T>),
    ) {
        let (config, d) = (&self.config, self.config.width);
        let area = images.len() / visible.len();
        let shown: usize = visible.iter().map(|v| v.len()).sum();
        let pixels = fit(pixels, shown * self.patch.inputs());
        let all =
            visible.iter().enumerate().flat_map(|(image, v)| v.iter().map(move |&patch| (image, patch)));
        for ((image, patch), target) in all.zip(pixels.chunks_exact_mut(self.patch.inputs())) {
            Self::pixels(config, &images[image * area..(image + 1) * area], patch, target);
        }
        let mut projected = vec![T::default(); shown * d];
        self.patch.forward(p, pixels, &mut projected);
        let mut projected = projected.chunks_exact(d);
        let mut rows = fit(x, (shown + visible.len() * config.prefix()) * d).chunks_exact_mut(d);
        for &visible in visible {
            for (i, token) in p[self.prefix.clone()].chunks_exact(d).enumerate() {
                let row = rows.next().expect("room for every token");
                row.copy_from_slice(token);
                if i < config.position_prefix() {
                    let position = &p[self.positions.clone()][i * d..(i + 1) * d];
                    row.iter_mut().zip(position).for_each(|(x, &p)| *x += p);
                }
            }
            for &patch in visible {
                let row = rows.next().expect("room for every token");
                row.copy_from_slice(projected.next().expect("one row a visible patch"));
                if self.fixed.is_empty() {
                    let start = self.positions.start + (config.position_prefix() + patch) * d;
                    row.iter_mut().zip(&p[start..start + d]).for_each(|(x, &p)| *x += p);
                } else {
                    let position = &self.fixed[patch * d..(patch + 1) * d];
                    row.iter_mut().zip(position).for_each(|(x, &p)| *x += T::of(p));
                }
            }
        }
    }

    /// A token is a sum: its gradient goes unchanged to the class token or register, to its row of learned positions (fixed ones have
    /// none) and, for patches, on to the projection, whose rule is the linear layer's.
    ///
    /// # Shapes
    /// `dx` \[b * (1 + r + v), d\].
    pub(crate) fn backward<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        visible: &[&[usize]],
        pixels: &[T],
        dx: &[T],
    ) {
        let (config, d) = (&self.config, self.config.width);
        let mut dprojected = Vec::with_capacity(dx.len());
        let mut rows = dx.chunks_exact(d);
        let mut add = |start: usize, row: &[T]| {
            g[start..start + d].iter_mut().zip(row).for_each(|(g, &dx)| *g += dx);
        };
        for &visible in visible {
            for (i, row) in rows.by_ref().take(config.prefix()).enumerate() {
                add(self.prefix.start + i * d, row);
                if i < config.position_prefix() {
                    add(self.positions.start + i * d, row);
                }
            }
            for (&patch, row) in visible.iter().zip(rows.by_ref()) {
                if self.fixed.is_empty() {
                    add(self.positions.start + (config.position_prefix() + patch) * d, row);
                }
                dprojected.extend_from_slice(row);
            }
        }
        self.patch.backward(p, g, pixels, &dprojected, None);
    }
}
