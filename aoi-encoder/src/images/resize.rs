//! Pictures of another size, by area-aware linear interpolation.

use ndarray::{Array3, ArrayRef3};

use crate::{Error, Result};

/// Resizes every channel to `height` x `width`: a triangle as wide as two pixels of the coarser of both grids, its weights
/// renormalised at the borders.
///
/// # Shapes
/// \[c, height', width'\] -> \[c, height, width\]
///
/// # Errors
/// [`Error::Shape`] when either size is empty, [`Error::Config`] when a new side is above 65,536.
pub fn resize(picture: &ArrayRef3<f32>, height: usize, width: usize) -> Result<Array3<f32>> {
    let (c, old_height, old_width) = picture.dim();
    if old_height * old_width == 0 || height * width == 0 {
        let expected = format!("at least one pixel on both sides, to become {height} x {width}");
        return Err(Error::Shape { what: "picture", expected, found: picture.shape().to_vec() });
    }
    if height.max(width) > 65_536 {
        return Err(Error::config("image side", "at most 65536", &height.max(width)));
    }
    if (old_height, old_width) == (height, width) {
        return Ok(picture.to_owned());
    }
    let columns = taps(old_width, width);
    let narrow = Array3::from_shape_fn((c, old_height, width), |(c, y, x)| {
        columns[x].iter().map(|&(i, w)| w * picture[[c, y, i]]).sum::<f32>()
    });
    let rows = taps(old_height, height);
    Ok(Array3::from_shape_fn((c, height, width), |(c, y, x)| {
        rows[y].iter().map(|&(i, w)| w * narrow[[c, i, x]]).sum::<f32>()
    }))
}

/// Old places and weights for each of `n` new places on an axis of `m`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places are clamped to the axis; weights are rounded to f32"
)]
fn taps(m: usize, n: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = m as f64 / n as f64;
    let reach = scale.max(1.0);
    let place = |i: usize| {
        let centre = scale * (i as f64 + 0.5) - 0.5;
        let (low, high) = ((centre - reach).ceil().max(0.0) as usize, (centre + reach).floor() as usize);
        let weight = |j: usize| (1.0 - (j as f64 - centre).abs() / reach).max(0.0);
        let sum: f64 = (low..=high.min(m - 1)).map(weight).sum();
        (low..=high.min(m - 1)).map(|j| (j, (weight(j) / sum) as f32)).collect()
    };
    (0..n).map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::assert_all_close;

    #[test]
    fn halving_a_ramp_and_a_constant_keeps_them() {
        let ramp = Array3::from_shape_fn((1, 2, 8), |(_, _, x)| x as f32);
        let half = resize(&ramp, 1, 4).unwrap().into_raw_vec_and_offset().0;
        // Away from the borders the middle of two pixels; at the borders the triangle is cut: (3 * 0 + 3 * 1 + 1 * 2) / 7.
        assert_all_close(&half, &[5.0 / 7.0, 2.5, 4.5, 7.0 - 5.0 / 7.0], 1e-6, 0.0);
        let flat = resize(&Array3::from_elem((2, 5, 7), 3.5), 11, 3).unwrap();
        assert!(flat.iter().all(|v| (v - 3.5).abs() < 1e-6));
    }

    #[test]
    fn doubling_puts_the_new_pixels_a_quarter_off() {
        let step = Array3::from_shape_fn((1, 1, 2), |(_, _, x)| x as f32);
        let twice = resize(&step, 1, 4).unwrap().into_raw_vec_and_offset().0;
        assert_all_close(&twice, &[0.0, 0.25, 0.75, 1.0], 1e-6, 0.0);
    }

    #[test]
    fn the_same_size_changes_nothing_and_no_size_is_refused() {
        let picture = Array3::from_shape_fn((1, 3, 3), |(_, y, x)| (y * 3 + x) as f32);
        assert_eq!(resize(&picture, 3, 3).unwrap(), picture);
        assert!(resize(&picture, 0, 3).is_err());
        assert!(resize(&Array3::zeros((1, 0, 3)), 2, 2).is_err());
        assert!(resize(&picture, 1, 1 << 17).is_err());
    }
}
