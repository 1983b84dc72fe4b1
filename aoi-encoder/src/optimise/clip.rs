//! A bound on the length of a step's gradient.

use rayon::prelude::*;

use super::PIECE;
use crate::gradient::Scalar;

/// Scales the gradient so that its Euclidean norm is at most `most`, and returns what it was; `most` zero only measures.
///
/// The factor is `most / (norm + 1e-6)` where that is below one, as `PyTorch` has it. The sum is taken in f64 in a fixed order.
pub fn clip<T: Scalar>(gradient: &mut [T], most: f64) -> f64 {
    let squares = |piece: &[T]| piece.iter().map(|g| g.to_f64().powi(2)).sum::<f64>();
    let pieces: Vec<f64> = gradient.par_chunks(PIECE).map(squares).collect();
    let norm = pieces.iter().sum::<f64>().sqrt();
    let factor = most / (norm + 1e-6);
    if most > 0.0 && factor < 1.0 {
        let factor = T::of(factor);
        gradient.par_chunks_mut(PIECE).for_each(|piece| piece.iter_mut().for_each(|g| *g *= factor));
    }
    norm
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::assert_close;

    #[test]
    fn long_gradients_are_shortened_and_short_ones_kept() {
        let mut gradient: Vec<f64> = (0..50_000).map(|i| f64::from(i % 7) - 3.0).collect();
        let norm = clip(&mut gradient, 0.0);
        // 50,000 = 7,142 periods of 28 and six more entries, -3 to 2, of 19.
        assert_close(norm, (7_142.0 * 28.0 + 19.0_f64).sqrt(), 0.0, 1e-12);
        assert_close(clip(&mut gradient, 1000.0), norm, 0.0, 0.0);
        clip(&mut gradient, 5.0);
        assert_close(clip(&mut gradient, 0.0), 5.0, 0.0, 1e-8);
        assert!(clip(&mut [f32::NAN], 1.0).is_nan());
    }
}
