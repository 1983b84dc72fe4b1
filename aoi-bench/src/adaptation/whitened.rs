//! Features brought to mean 0 and unit covariance.

use aoi::patch_encoder::{EncodedPicture, PatchEncoder};
use aoi_encoder::ndarray::{Array2, ArrayRef3};

use super::pool::Pool;
use crate::error::Error;

/// An encoder whose patch vectors are whitened: `L^-1 (x - mean)` with the covariance `L L^T` of the patches of a few pictures (their masks are not looked at), so that
/// cosines are not ruled by the few directions in which all patches are long.
pub(super) struct Whitened<'a> {
    inner: &'a dyn PatchEncoder,
    mean: Vec<f64>,
    /// L, row by row.
    factor: Vec<f64>,
    identity: String,
}

impl<'a> Whitened<'a> {
    /// Fits mean and covariance on pictures of the pool; a thousandth of the mean variance is added to every variance.
    pub(super) fn fit(inner: &'a dyn PatchEncoder, pool: &Pool, pictures: &[usize]) -> Result<Self, Error> {
        let d = inner.width();
        let (mut n, mut mean, mut products) = (0.0, vec![0.0; d], vec![0.0; d * d]);
        for &i in pictures {
            for row in inner.encode(&pool.picture(i).picture)?.patches.outer_iter() {
                let row: Vec<f64> = row.iter().copied().map(f64::from).collect();
                n += 1.0;
                for (i, &x) in row.iter().enumerate() {
                    mean[i] += x;
                    products[i * d..=i * d + i].iter_mut().zip(&row).for_each(|(sum, &y)| *sum += x * y);
                }
            }
        }
        for m in &mut mean {
            *m /= n;
        }
        for i in 0..d {
            for j in 0..=i {
                products[i * d + j] = products[i * d + j] / n - mean[i] * mean[j];
            }
        }
        let trace: f64 = (0..d).map(|i| products[i * d + i]).sum();
        let floor = (1e-3 * trace / d as f64).max(1e-12);
        for i in 0..d {
            products[i * d + i] += floor;
        }
        let identity = format!("{}, whitened", inner.identity());
        Ok(Self { inner, mean, factor: cholesky(products, d), identity })
    }

    /// Solves `L y = x - mean` from the first entry to the last.
    #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
    fn whiten(&self, mut rows: Array2<f32>) -> Array2<f32> {
        let d = self.mean.len();
        let mut y = vec![0.0; d];
        for mut row in rows.outer_iter_mut() {
            for i in 0..d {
                let known: f64 = self.factor[i * d..i * d + i].iter().zip(&y).map(|(l, y)| l * y).sum();
                y[i] = (f64::from(row[i]) - self.mean[i] - known) / self.factor[i * d + i];
            }
            row.iter_mut().zip(&y).for_each(|(x, &y)| *x = y as f32);
        }
        rows
    }
}

/// The factor of a positive definite matrix whose lower half is given.
fn cholesky(mut a: Vec<f64>, d: usize) -> Vec<f64> {
    for i in 0..d {
        for j in 0..=i {
            let (row, other) = (&a[i * d..i * d + j], &a[j * d..j * d + j]);
            let known: f64 = row.iter().zip(other).map(|(x, y)| x * y).sum();
            let rest = a[i * d + j] - known;
            a[i * d + j] = if i == j { rest.max(f64::MIN_POSITIVE).sqrt() } else { rest / a[j * d + j] };
        }
    }
    a
}

impl PatchEncoder for Whitened<'_> {
    fn patch(&self) -> usize {
        self.inner.patch()
    }

    fn width(&self) -> usize {
        self.inner.width()
    }

    fn channels(&self) -> usize {
        self.inner.channels()
    }

    fn identity(&self) -> &str {
        &self.identity
    }

    fn encode(&self, picture: &ArrayRef3<f32>) -> aoi::Result<EncodedPicture> {
        let EncodedPicture { grid, patches, whole } = self.inner.encode(picture)?;
        Ok(EncodedPicture { grid, patches: self.whiten(patches), whole })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_times_its_transpose_is_the_matrix() {
        let factor = cholesky(vec![4.0, 0.0, 0.0, 2.0, 5.0, 0.0, -2.0, 1.0, 6.0], 3);
        assert_eq!(factor[..1], [2.0]);
        let entry = |i: usize, j: usize| -> f64 {
            (0..=i.min(j)).map(|l| factor[i * 3 + l] * factor[j * 3 + l]).sum()
        };
        for (i, j, expected) in
            [(0, 0, 4.0), (1, 0, 2.0), (1, 1, 5.0), (2, 0, -2.0), (2, 1, 1.0), (2, 2, 6.0)]
        {
            assert!((entry(i, j) - expected).abs() < 1e-12, "({i}, {j})");
        }
    }
}
