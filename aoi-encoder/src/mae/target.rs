//! What the decoder has to say of a masked patch.

use crate::gradient::Scalar;

/// Added to the variance of a patch.
const EPSILON: f64 = 1e-6;

/// Mean and deviation of the pixels of a patch: `sqrt(variance + 1e-6)` with the unbiased variance.
pub(super) fn moments<T: Scalar>(pixels: &[T]) -> (T, T) {
    let n = pixels.len() as f64;
    let mean = pixels.iter().map(|v| v.to_f64()).sum::<f64>() / n;
    let variance = pixels.iter().map(|v| (v.to_f64() - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (T::of(mean), T::of((variance + EPSILON).sqrt()))
}

/// Pixels to targets: `(x - mean) / deviation` of their own patch.
pub(super) fn normalise<T: Scalar>(pixels: &mut [T]) {
    let (mean, deviation) = moments(pixels);
    for v in pixels {
        *v = (*v - mean) / deviation;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::assert_all_close;

    #[test]
    fn the_variance_is_the_unbiased_one() {
        let mut pixels = [1.0, 3.0];
        normalise(&mut pixels);
        // mean 2, variance (1 + 1) / 1.
        let expected = 1.0 / (2.0 + 1e-6_f64).sqrt();
        assert_all_close(&pixels, &[-expected, expected], 1e-15, 0.0);
        let mut flat = [0.25_f32; 5];
        normalise(&mut flat);
        assert_eq!(flat, [0.0; 5]);
    }
}
