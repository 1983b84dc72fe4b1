//! The principal axes of patch descriptions.

use aoi_encoder::ndarray::{Array2, Array3};
use aoi_retrieval::coreset;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use super::{PcaOptions, Shape, standardised};
use crate::{Error, Result};

/// Axes with less than this share of the largest variance are rounding, not pictures.
const NOISE: f64 = 1e-9;
/// Added to every variance, as a share of their mean, before its root is divided by: the weakest axes are not blown up to the full.
const SHRINKAGE: f64 = 0.05;

/// The mean description, and the axes divided by the roots of their variances, the widest first.
#[expect(clippy::cast_possible_truncation, reason = "axes are stored in f32 like the pictures")]
pub(super) fn axes(
    pictures: &[Array3<f32>],
    shape: Shape,
    options: &PcaOptions,
) -> Result<(Vec<f32>, Array2<f32>)> {
    let rows = descriptions(pictures, shape, options)?;
    let m = shape.len();
    let n = rows.len() / m;
    let mut mean = vec![0.0_f64; m];
    for row in rows.chunks_exact(m) {
        mean.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
    }
    for sum in &mut mean {
        *sum /= n as f64;
    }
    let centred: Vec<f64> =
        rows.chunks_exact(m).flat_map(|row| row.iter().zip(&mean).map(|(&x, m)| f64::from(x) - m)).collect();
    let mut covariance = vec![0.0_f64; m * m];
    let x = MatRef::from_row_major_slice(&centred, n, m);
    // One thread: the sums are then the same wherever this runs on the same processor.
    matmul(
        MatMut::from_row_major_slice_mut(&mut covariance, m, m),
        Accum::Replace,
        x.transpose(),
        x,
        1.0 / n as f64,
        Par::Seq,
    );
    let alike =
        || Error::option("pictures", "patches that differ", format!("{n} patches that are all alike"));
    let eigen = MatRef::from_row_major_slice(&covariance, m, m)
        .self_adjoint_eigen(faer::Side::Lower)
        .map_err(|_| alike())?;
    let variances: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
    let largest = variances.iter().copied().fold(0.0, f64::max);
    if largest <= 0.0 {
        return Err(alike());
    }
    let floor = SHRINKAGE * variances.iter().sum::<f64>() / m as f64;
    // Ascending in the decomposition; the widest axes are wanted.
    let kept: Vec<usize> =
        (0..m).rev().filter(|&i| variances[i] > NOISE * largest).take(options.width).collect();
    let mut axes = Array2::zeros((kept.len(), m));
    for (mut axis, &i) in axes.outer_iter_mut().zip(&kept) {
        let vector: Vec<f64> = eigen.U().col(i).iter().copied().collect();
        // An axis has no sign of its own: its largest entry is made positive.
        let top = vector.iter().copied().fold(0.0_f64, |top, v| if v.abs() > top.abs() { v } else { top });
        let factor = top.signum() / (variances[i] + floor).sqrt();
        axis.iter_mut().zip(&vector).for_each(|(a, v)| *a = (v * factor) as f32);
    }
    Ok((mean.iter().map(|&m| m as f32).collect(), axes))
}

/// The descriptions of patches drawn from every picture alike, one after the other.
fn descriptions(pictures: &[Array3<f32>], shape: Shape, options: &PcaOptions) -> Result<Vec<f32>> {
    if pictures.is_empty() {
        return Err(Error::option("pictures", "at least one", 0));
    }
    let share = options.sample.div_ceil(pictures.len());
    let mut rows = Vec::new();
    for (number, picture) in (0_u64..).zip(pictures) {
        if picture.dim().0 != shape.channels {
            let expected = format!("{} channels like the first", shape.channels);
            return Err(Error::option("picture", expected, format!("{:?}", picture.shape())));
        }
        let picture = standardised(picture, shape.channels)?;
        let grid = shape.grid(&picture);
        for index in coreset::random(grid.len(), share.min(grid.len()), options.seed.wrapping_add(number))? {
            let start = rows.len();
            rows.resize(start + shape.len(), 0.0);
            shape.describe(&picture, (index / grid.columns, index % grid.columns), &mut rows[start..]);
        }
    }
    Ok(rows)
}
