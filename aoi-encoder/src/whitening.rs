//! Patch features with mean zero and unit covariance, so that a cosine is not ruled by the few directions in which all patches are long.

use std::path::Path;

use ndarray::{Array2, ArrayRef2, ArrayView1};

use crate::embed::{prepare, read};
use crate::images::{self, Normalisation};
use crate::{EmbedOptions, Encoder, Error, Progress, Result, TiledPass, Workspace, encode_picture};

/// Share of the mean variance that is added to every variance: directions in which features hardly differ hold rounding and noise.
const FLOOR: f64 = 1e-3;

/// A linear map of patch features x, fitted without labels: W (x - m) with W^-1 W^-T the covariance of the features that it was fitted on, m their mean
/// (Jégou and Chum, "Negative evidences and co-occurences in image retrieval: the benefit of PCA and whitening", ECCV 2012; W here is the inverse of a
/// Cholesky factor, whose cosines are those of their principal axes).
///
/// It is fitted on the pictures that the encoder will see, kept in the weights file ([`crate::weights::SaveOptions`]) and applied where patches are
/// compared. Fine-tuning does without it: a linear layer finds its own.
///
/// # Examples
/// ```
/// use aoi_encoder::{Whitening, WhiteningFit, ndarray::array};
///
/// let mut fit = WhiteningFit::new(2);
/// fit.add(&array![[1.0, 10.0], [3.0, 10.5], [1.0, 10.5], [3.0, 10.0]]);
/// let whitening = fit.finish()?;
/// let patches = whitening.apply(&array![[3.0, 10.25], [2.0, 10.5]]);
/// assert!((patches[[0, 0]] - 1.0).abs() < 0.01 && patches[[0, 1]].abs() < 1e-6);
/// assert!((patches[[1, 1]] - 1.0).abs() < 0.01 && patches[[1, 0]].abs() < 1e-6);
/// # Ok::<(), aoi_encoder::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Whitening {
    /// m, \[d\].
    mean: Vec<f32>,
    /// W, \[d, d\].
    matrix: Array2<f32>,
}

impl Whitening {
    /// Puts one together from its numbers.
    ///
    /// # Shapes
    /// `mean` \[d\], `matrix` \[d, d\]
    ///
    /// # Errors
    /// [`Error::Shape`] for others.
    pub fn new(mean: Vec<f32>, matrix: &ArrayRef2<f32>) -> Result<Self> {
        let d = mean.len();
        if matrix.dim() != (d, d) {
            let expected = format!("[{d}, {d}] for a mean of {d} numbers");
            return Err(Error::Shape { what: "whitening.matrix", expected, found: matrix.shape().to_vec() });
        }
        Ok(Self { mean, matrix: matrix.as_standard_layout().into_owned() })
    }

    /// m, \[d\].
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// W, \[d, d\].
    pub fn matrix(&self) -> &ArrayRef2<f32> {
        &self.matrix
    }

    /// The features of some patches, whitened; a row depends on that row alone.
    ///
    /// # Shapes
    /// `patches` \[t, d\] -> \[t, d\]
    ///
    /// # Panics
    /// When the rows have another length.
    #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
    pub fn apply(&self, patches: &ArrayRef2<f32>) -> Array2<f32> {
        assert_eq!(patches.ncols(), self.mean.len(), "numbers of a patch");
        let mean = ArrayView1::from(&self.mean).mapv(f64::from);
        let centred = patches.mapv(f64::from) - mean;
        centred.dot(&self.matrix.t().mapv(f64::from)).mapv(|v| v as f32)
    }
}

/// Collects patch features for a [`Whitening`].
#[derive(Debug, Clone)]
pub struct WhiteningFit {
    count: f64,
    sums: Vec<f64>,
    /// Sums of products, the lower half, row by row.
    products: Vec<f64>,
}

impl WhiteningFit {
    /// For features of `d` numbers.
    pub fn new(d: usize) -> Self {
        Self { count: 0.0, sums: vec![0.0; d], products: vec![0.0; d * d] }
    }

    /// Adds some patches.
    ///
    /// # Shapes
    /// `patches` \[t, d\]
    ///
    /// # Panics
    /// When the rows have another length.
    pub fn add(&mut self, patches: &ArrayRef2<f32>) {
        let d = self.sums.len();
        assert_eq!(patches.ncols(), d, "numbers of a patch");
        let mut values = vec![0.0_f64; d];
        for row in patches.outer_iter() {
            values.iter_mut().zip(row).for_each(|(v, &x)| *v = f64::from(x));
            self.count += 1.0;
            for (i, &x) in values.iter().enumerate() {
                self.sums[i] += x;
                let products = &mut self.products[i * d..=i * d + i];
                products.iter_mut().zip(&values).for_each(|(sum, &y)| *sum += x * y);
            }
        }
    }

    /// The map that makes their mean zero and their covariance, with a thousandth of the mean variance added to every variance, the unit matrix.
    ///
    /// # Errors
    /// [`Error::Config`] when there are fewer than two patches or all are alike.
    pub fn finish(self) -> Result<Whitening> {
        let Self { count, sums, products: mut covariance } = self;
        let d = sums.len();
        let mean: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
        let mut variance = 0.0;
        for i in 0..d {
            for j in 0..=i {
                covariance[i * d + j] = covariance[i * d + j] / count - mean[i] * mean[j];
            }
            variance += covariance[i * d + i] / d as f64;
        }
        if count < 2.0 || variance.is_nan() || variance <= 0.0 {
            let found = format!("{count} patches of mean variance {variance}");
            return Err(Error::config("patches to whiten", "two or more that differ", &found));
        }
        for i in 0..d {
            covariance[i * d + i] += FLOOR * variance;
        }
        Ok(Whitening { mean: narrow(&mean), matrix: inverse_factor(covariance, d) })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "features are f32")]
fn narrow(values: &[f64]) -> Vec<f32> {
    values.iter().map(|&v| v as f32).collect()
}

/// L^-1 of the positive definite matrix L L^T, whose lower half is given.
#[expect(clippy::cast_possible_truncation, reason = "features are f32")]
fn inverse_factor(mut a: Vec<f64>, d: usize) -> Array2<f32> {
    for i in 0..d {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| a[i * d + k] * a[j * d + k]).sum();
            let rest = a[i * d + j] - known;
            a[i * d + j] = if i == j { rest.max(f64::MIN_POSITIVE).sqrt() } else { rest / a[j * d + j] };
        }
    }
    let mut inverse = Array2::<f64>::zeros((d, d));
    for column in 0..d {
        for i in column..d {
            let known: f64 = (column..i).map(|k| a[i * d + k] * inverse[[k, column]]).sum();
            let unit = if i == column { 1.0 } else { 0.0 };
            inverse[[i, column]] = (unit - known) / a[i * d + i];
        }
    }
    inverse.mapv(|v| v as f32)
}

/// Fits a whitening on the pictures of a folder, which may differ in size; masks are not looked at.
///
/// # Errors
/// As [`crate::embed_folder`] and [`WhiteningFit::finish`].
pub fn fit_whitening(
    encoder: &Encoder,
    folder: &Path,
    options: &EmbedOptions,
    progress: &mut Progress<'_>,
) -> Result<Whitening> {
    let config = encoder.config();
    let normalisation = Normalisation::new(config.channels, options.mean.as_deref(), options.std.as_deref())?;
    let stacks = images::list(folder)?;
    let (mut fit, mut workspace) = (WhiteningFit::new(config.width), Workspace::new(options.threads)?);
    for done in 0..=stacks.len() {
        if progress(done, stacks.len()).is_break() {
            return Err(Error::Cancelled { done, total: stacks.len() });
        }
        let Some(stack) = stacks.get(done) else { break };
        let padded = prepare(read(stack, config, options)?, config, &normalisation)?;
        let pass = TiledPass { tiling: options.tiling, batch: options.batch, workspace: &mut workspace };
        fit.add(&encode_picture(encoder, &padded, pass)?.patches);
    }
    fit.finish()
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "numbers made for a test")]
mod tests {
    use aoi_testing::Seeded;
    use ndarray::array;

    use super::*;

    /// Features with a mean, and with directions of very different length.
    fn patches(t: usize) -> Array2<f32> {
        let mut seeded = Seeded::new(3);
        let mixing = Array2::from_shape_simple_fn((6, 6), || seeded.normal());
        let independent = Array2::from_shape_fn((t, 6), |(_, k)| (k + 1) as f64 * seeded.normal());
        independent.dot(&mixing).mapv(|v| v as f32 + 4.0)
    }

    #[test]
    fn whitened_features_have_mean_zero_and_unit_covariance() {
        let patches = patches(4000);
        let mut fit = WhiteningFit::new(6);
        // In two parts, as from two pictures.
        let (first, second) = patches.view().split_at(ndarray::Axis(0), 1500);
        fit.add(&first);
        fit.add(&second);
        let whitened = fit.finish().unwrap().apply(&patches).mapv(f64::from);
        for (i, a) in whitened.columns().into_iter().enumerate() {
            assert!(a.mean().unwrap().abs() < 1e-4);
            for (j, b) in whitened.columns().into_iter().enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                let found = a.dot(&b) / 4000.0;
                // A thousandth of the mean variance is much of the shortest direction.
                assert!((found - expected).abs() < 0.05, "({i}, {j}): {found}");
            }
        }
    }

    #[test]
    fn a_row_is_whitened_alike_alone_and_among_others() {
        let patches = patches(700);
        let mut fit = WhiteningFit::new(6);
        fit.add(&patches);
        let whitening = fit.finish().unwrap();
        let together = whitening.apply(&patches);
        for (i, row) in patches.outer_iter().enumerate() {
            assert_eq!(whitening.apply(&row.insert_axis(ndarray::Axis(0))).row(0), together.row(i), "{i}");
            for (j, &found) in together.row(i).iter().enumerate() {
                let terms = (0..6)
                    .map(|k| f64::from(whitening.matrix[[j, k]]) * f64::from(row[k] - whitening.mean[k]));
                assert!((f64::from(found) - terms.sum::<f64>()).abs() < 1e-5, "{i} {j}");
            }
        }
    }

    #[test]
    fn the_matrix_undoes_the_factor() {
        // L = [[2, 0, 0], [1, 2, 0], [-1, 1, 2]].
        let matrix = inverse_factor(vec![4.0, 0.0, 0.0, 2.0, 5.0, 0.0, -2.0, 1.0, 6.0], 3);
        let product = matrix.dot(&array![[2.0_f32, 0.0, 0.0], [1.0, 2.0, 0.0], [-1.0, 1.0, 2.0]]);
        assert!(product.iter().zip(Array2::<f32>::eye(3).iter()).all(|(a, b)| (a - b).abs() < 1e-6));
    }

    #[test]
    fn patches_that_tell_nothing_are_refused() {
        assert!(WhiteningFit::new(3).finish().is_err());
        let mut alike = WhiteningFit::new(2);
        alike.add(&Array2::zeros((10, 2)));
        assert!(alike.finish().unwrap_err().to_string().contains("two or more that differ"));
        assert!(Whitening::new(vec![0.0; 2], &Array2::zeros((2, 3))).is_err());
    }
}
