//! Whitened pixel patches: the encoder without learning that every learned one has to beat.
//!
//! A patch is described by its own pixels and by its surroundings, both lightings side by side, projected on the principal axes of such
//! descriptions and divided by their spread. It knows nothing of what it sees, needs no weights, and is fitted in a second.

mod file;
mod fit;

use aoi_encoder::Grid;
use aoi_encoder::images::{repeat_grey, resize};
use aoi_encoder::ndarray::{Array1, Array2, Array3, ArrayRef3};

use super::{EncodedPicture, PatchEncoder};
use crate::{Error, Result};

/// Side of the reduced picture that serves as the whole-picture vector.
const THUMBNAIL: usize = 8;
/// Smallest standard deviation that a channel is divided by: one step of eight bits. A flat picture stays flat.
const FLAT: f64 = 1.0 / 255.0;

/// How pixel patches are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcaOptions {
    /// Pixels along one side of a patch, p.
    pub patch: usize,
    /// The surroundings are a square of this many patches a side, odd, averaged to p x p cells; 1 for none.
    pub reach: usize,
    /// Principal axes kept, d; fewer when the patches do not span as many.
    pub width: usize,
    /// Patches that the axes are fitted on, at most.
    pub sample: usize,
    /// Which patches those are.
    pub seed: u64,
}

impl Default for PcaOptions {
    /// Patches of 4 pixels in surroundings of 20, 64 axes fitted on 8,192 patches.
    fn default() -> Self {
        Self { patch: 4, reach: 5, width: 64, sample: 8192, seed: 0 }
    }
}

impl PcaOptions {
    fn check(&self) -> Result<()> {
        let within = |option, value: usize, low: usize, high: usize| {
            let fits = (low..=high).contains(&value);
            if fits { Ok(()) } else { Err(Error::option(option, format!("{low} to {high}"), value)) }
        };
        within("patch", self.patch, 1, 64)?;
        within("reach", self.reach, 1, 15)?;
        within("width", self.width, 1, 4096)?;
        within("sample", self.sample, 2, 1 << 20)?;
        if self.reach.is_multiple_of(2) {
            return Err(Error::option("reach", "odd", self.reach));
        }
        Ok(())
    }
}

/// Whitened pixel patches.
///
/// Each channel of a picture is brought to mean 0 and deviation 1 first, so that brighter or dimmer lighting changes nothing; pixels beyond
/// the border repeat it. The vector of a patch is `A (x - m)`: x its pixels and surroundings, m their mean, the rows of A the principal
/// axes over the square roots of their variances. The whole-picture vector is the picture reduced to 8 x 8.
///
/// # Examples
/// ```
/// use aoi::patch_encoder::{PatchEncoder, PcaEncoder, PcaOptions};
/// use aoi_encoder::ndarray::Array3;
///
/// let picture = Array3::from_shape_fn((2, 50, 40), |(c, y, x)| ((x * y + 3 * c) % 11) as f32 / 11.0);
/// let encoder = PcaEncoder::fit(&[picture.clone()], &PcaOptions { patch: 8, width: 10, ..PcaOptions::default() })?;
/// let encoded = encoder.encode(&picture)?;
/// assert_eq!((encoded.grid.rows, encoded.grid.columns), (7, 5));
/// assert_eq!(encoded.patches.dim(), (35, 10));
/// # Ok::<(), aoi::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PcaEncoder {
    patch: usize,
    reach: usize,
    channels: usize,
    /// m, as long as a description.
    mean: Vec<f32>,
    /// A, \[d, m\].
    axes: Array2<f32>,
    identity: String,
}

impl PcaEncoder {
    /// Fits the axes on pictures with values 0 to 1, all with the same channels. The same pictures and options give the same axes.
    ///
    /// # Errors
    /// When an option is impossible, there is no picture, one has other channels or no pixel or a value that is not finite, or all patches
    /// are alike.
    pub fn fit(pictures: &[Array3<f32>], options: &PcaOptions) -> Result<Self> {
        options.check()?;
        let channels = pictures.first().map_or(0, |p| p.dim().0);
        let shape = Shape { patch: options.patch, reach: options.reach, channels };
        let (mean, axes) = fit::axes(pictures, shape, options)?;
        Ok(Self::from_parts(shape, mean, axes))
    }

    fn from_parts(shape: Shape, mean: Vec<f32>, axes: Array2<f32>) -> Self {
        let Shape { patch, reach, channels } = shape;
        let identity = file::identity(shape, &mean, &axes);
        Self { patch, reach, channels, mean, axes, identity }
    }

    fn shape(&self) -> Shape {
        Shape { patch: self.patch, reach: self.reach, channels: self.channels }
    }
}

impl PatchEncoder for PcaEncoder {
    fn patch(&self) -> usize {
        self.patch
    }

    fn width(&self) -> usize {
        self.axes.nrows()
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn encode(&self, picture: &ArrayRef3<f32>) -> Result<EncodedPicture> {
        let shape = self.shape();
        let picture = standardised(picture, self.channels)?;
        let grid = shape.grid(&picture);
        let mut patches = Array2::zeros((grid.len(), self.width()));
        let mut description = vec![0.0; shape.len()];
        for (index, mut row) in patches.outer_iter_mut().enumerate() {
            shape.describe(&picture, (index / grid.columns, index % grid.columns), &mut description);
            description.iter_mut().zip(&self.mean).for_each(|(x, m)| *x -= m);
            for (value, axis) in row.iter_mut().zip(self.axes.outer_iter()) {
                *value = dot(&description, axis.as_slice().expect("our own arrays are contiguous"));
            }
        }
        let small = resize(&picture, THUMBNAIL, THUMBNAIL)?;
        Ok(EncodedPicture { grid, patches, whole: Array1::from_iter(small) })
    }
}

/// What a description is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    patch: usize,
    reach: usize,
    channels: usize,
}

impl Shape {
    /// Numbers of one scale: p x p of every channel.
    fn scale_len(self) -> usize {
        self.channels * self.patch * self.patch
    }

    /// Numbers of a description: own pixels, and surroundings where they are wanted.
    fn len(self) -> usize {
        self.scale_len() * if self.reach > 1 { 2 } else { 1 }
    }

    fn grid(self, picture: &Array3<f32>) -> Grid {
        let (_, height, width) = picture.dim();
        Grid { rows: height.div_ceil(self.patch), columns: width.div_ceil(self.patch) }
    }

    /// Writes the description of the patch at (row, column): its pixels, then its surroundings in cells of `reach` x `reach` pixels.
    fn describe(self, picture: &Array3<f32>, (row, column): (usize, usize), out: &mut [f32]) {
        let (own, around) = out.split_at_mut(self.scale_len());
        self.window(picture, (row, column), 1, own);
        if !around.is_empty() {
            self.window(picture, (row, column), self.reach, around);
        }
    }

    /// The square of `cell * p` pixels a side around a patch, averaged over cells of `cell` x `cell`.
    fn window(self, picture: &Array3<f32>, (row, column): (usize, usize), cell: usize, out: &mut [f32]) {
        let p = self.patch;
        let (_, height, width) = picture.dim();
        let margin = p * (cell - 1) / 2;
        // Places before the border take its first pixel, places after it the last.
        let place = |start: usize, offset: usize, side: usize| {
            (start * p + offset).saturating_sub(margin).min(side - 1)
        };
        let area = (cell * cell) as f32;
        let mut values = out.iter_mut();
        for plane in picture.outer_iter() {
            for y in 0..p {
                for x in 0..p {
                    let mut sum = 0.0;
                    for dy in 0..cell {
                        let y = place(row, y * cell + dy, height);
                        for dx in 0..cell {
                            sum += plane[[y, place(column, x * cell + dx, width)]];
                        }
                    }
                    if let Some(value) = values.next() {
                        *value = sum / area;
                    }
                }
            }
        }
    }
}

/// A picture whose channels have mean 0 and deviation 1.
#[expect(clippy::cast_possible_truncation, reason = "back to the pixels' own f32")]
fn standardised(picture: &ArrayRef3<f32>, channels: usize) -> Result<Array3<f32>> {
    if picture.is_empty() {
        return Err(Error::option("picture", "at least one pixel", format!("{:?}", picture.shape())));
    }
    let mut picture = repeat_grey(picture.to_owned(), channels)?;
    if let Some((entry, &value)) = picture.iter().enumerate().find(|(_, v)| !v.is_finite()) {
        let found = f64::from(value);
        return Err(aoi_encoder::Error::NotFinite { what: "picture".to_owned(), found, entry }.into());
    }
    for mut plane in picture.outer_iter_mut() {
        let n = plane.len() as f64;
        let mean = plane.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let square = plane.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        let spread = square.sqrt().max(FLAT);
        plane.mapv_inplace(|v| ((f64::from(v) - mean) / spread) as f32);
    }
    Ok(picture)
}

/// `a.b` in sixteen lanes, which the compiler can vectorise; the order of the sums is fixed.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            lanes[i] += a[i] * b[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests;
