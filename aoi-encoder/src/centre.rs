//! Patch features with mean zero.

use ndarray::{Array4, ArrayRef4};

use crate::{Config, Encoder, Params, Result, Workspace};

/// `params` with the bias of the last norm moved so that the patch features of these images have mean zero.
///
/// What all patches have in common tells none from another, yet it can make most of their cosines: the features of masked autoencoders lean far to one
/// side. Moving the bias takes it away for good, for every reader of the weights and at no cost. A linear layer behind the norm loses nothing, since a
/// bias of its own makes up for it.
///
/// # Shapes
/// `images` \[b, c, height, width\], normalised.
///
/// # Errors
/// As [`Encoder::new`] and [`Encoder::forward`].
///
/// # Examples
/// ```
/// use aoi_encoder::{Config, Grid, Params, Table, Workspace, centred, ndarray::Array4};
///
/// let grid = Grid { rows: 2, columns: 2 };
/// let config = Config { width: 16, depth: 1, heads: 2, hidden: 32, patch: 4, grid, ..Config::paper() };
/// let params = Params::zeros(std::sync::Arc::new(Table::new(&config)?));
/// let images = Array4::from_shape_fn((3, 2, 8, 8), |(b, c, y, x)| ((b + c + y * x) % 7) as f32 / 7.0);
/// let centred = centred(&config, &params, &images, &mut Workspace::new(1)?)?;
/// assert_eq!(centred, params, "zeros have no mean to take away");
/// # Ok::<(), aoi_encoder::Error>(())
/// ```
#[expect(clippy::cast_possible_truncation, reason = "features are f32")]
pub fn centred(
    config: &Config,
    params: &Params<f32>,
    images: &ArrayRef4<f32>,
    workspace: &mut Workspace,
) -> Result<Params<f32>> {
    let encoder = Encoder::new(config, params)?;
    let mut sums = vec![0.0_f64; config.width];
    let mut patches = 0;
    // Image by image: the sums need no memory for a batch.
    for image in images.outer_iter() {
        let image: Array4<f32> = image.to_owned().insert_axis(ndarray::Axis(0));
        let features = encoder.forward(&image, &[], workspace)?.patches;
        for row in features.rows() {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += f64::from(x));
            patches += 1;
        }
    }
    let mut params = params.clone();
    let count = f64::from(patches.max(1));
    params.get_mut("norm.bias").iter_mut().zip(sums).for_each(|(bias, sum)| *bias -= (sum / count) as f32);
    Ok(params)
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "numbers made for a test")]
mod tests {
    use std::sync::Arc;

    use aoi_testing::Seeded;

    use super::*;
    use crate::{Grid, Table};

    #[test]
    fn the_mean_is_gone_and_differences_stay() {
        let grid = Grid { rows: 3, columns: 2 };
        let config = Config { width: 16, depth: 2, heads: 2, hidden: 32, patch: 4, grid, ..Config::paper() };
        let mut params = Params::<f32>::zeros(Arc::new(Table::new(&config).unwrap()));
        let mut seeded = Seeded::new(4);
        params.values_mut().iter_mut().for_each(|v| *v = 0.3 * seeded.normal() as f32);
        let images = Array4::from_shape_simple_fn((5, 2, 12, 8), || seeded.normal() as f32);
        let mut workspace = Workspace::new(2).unwrap();
        let moved = centred(&config, &params, &images, &mut workspace).unwrap();
        let mut features = |params| {
            let encoder = Encoder::new(&config, params).unwrap();
            encoder.forward(&images, &[], &mut workspace).unwrap().patches
        };
        let (before, after) = (features(&params), features(&moved));
        let mean = |a: &ndarray::Array3<f32>, i: usize| a.slice(ndarray::s![.., .., i]).mean().unwrap();
        let largest = |a: &ndarray::Array3<f32>| (0..16).map(|i| mean(a, i).abs()).fold(0.0, f32::max);
        assert!(largest(&before) > 0.05, "{}", largest(&before));
        assert!(largest(&after) < 1e-6, "{}", largest(&after));
        for i in 0..16 {
            let (shift, row) = (mean(&before, i), after[[3, 4, i]]);
            assert!((before[[3, 4, i]] - shift - row).abs() < 1e-5);
        }
    }
}
