//! Statistics that the linear head's input is standardised with.

use crate::gradient::Scalar;

/// What the linear head reads: patch tokens after the final norm, every number brought to mean 0 and deviation 1.
///
/// The statistics are taken once, of the training pictures under the encoder that fine-tuning starts from. So a step's gradient is a sum over
/// pictures, whatever the batch, the portions and the threads are, and prediction computes what training did.
#[derive(Debug, Clone, PartialEq)]
pub struct Standard {
    /// Subtracted, \[d\].
    pub mean: Vec<f32>,
    /// Multiplied by, one over the deviation, \[d\].
    pub scale: Vec<f32>,
}

impl Standard {
    /// Nothing is changed.
    pub fn none(d: usize) -> Self {
        Self { mean: vec![0.0; d], scale: vec![1.0; d] }
    }

    /// `(x - mean) scale`, row by row.
    pub(super) fn apply<T: Scalar>(&self, x: &[T], z: &mut [T]) {
        let d = self.mean.len();
        for (x, z) in x.chunks_exact(d).zip(z.chunks_exact_mut(d)) {
            for ((z, &x), (&mean, &scale)) in z.iter_mut().zip(x).zip(self.mean.iter().zip(&self.scale)) {
                *z = (x - T::of(mean.into())) * T::of(scale.into());
            }
        }
    }
}
