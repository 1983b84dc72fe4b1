//! Loss and gradient of a batch on several threads.

use ndarray::ArrayRef4;

use super::{Mae, MaeTape, Mask};
use crate::gradient::{Scalar, Shards};
use crate::{Error, Params, Result};

/// Threads and memory for gradients of batches; made once and used again.
///
/// A batch is worked on `at_once` images a thread at a time, and the parts are added in their order: the result does not depend on the
/// number of threads, and memory not on the batch.
///
/// # Examples
/// ```
/// use aoi_encoder::mae::{Decoder, Mae, MaeBatches, Mask};
/// use aoi_encoder::optimise::{AdamW, AdamWOptions, clip};
/// use aoi_encoder::{Config, Grid, Params, ndarray::Array4};
///
/// let grid = Grid { rows: 4, columns: 4 };
/// let config = Config { width: 16, depth: 1, heads: 2, hidden: 32, patch: 4, grid, ..Config::paper() };
/// let mae = Mae::new(&config, Decoder { width: 8, depth: 1, heads: 1 }, false)?;
/// let images = Array4::from_shape_fn((4, 2, 16, 16), |(b, c, y, x)| ((b + c + y * x) % 7) as f32 / 7.0);
/// let masks = (0..4).map(|i| Mask::draw(16, 0.75, 7, [0, i])).collect::<Result<Vec<_>, _>>()?;
/// let (mut params, mut gradient) = (mae.initial(7), Params::zeros(mae.table().clone()));
/// let mut batches = MaeBatches::new(2, 2, false)?;
/// let mut optimiser = AdamW::new(mae.table(), AdamWOptions::default())?;
/// let first = batches.gradient(&mae, &params, &images, &masks, &mut gradient)?;
/// for _ in 0..20 {
///     batches.gradient(&mae, &params, &images, &masks, &mut gradient)?;
///     batches.install(|| {
///         clip(gradient.values_mut(), 5.0);
///         optimiser.step(&mut params, &gradient, |_| 1e-2)
///     })?;
/// }
/// assert!(batches.gradient(&mae, &params, &images, &masks, &mut gradient)? < first);
/// # Ok::<(), aoi_encoder::Error>(())
/// ```
#[derive(Debug)]
pub struct MaeBatches<T> {
    shards: Shards<T, MaeTape<T>>,
    at_once: usize,
}

impl<T: Scalar> MaeBatches<T> {
    /// `threads` threads that work on `at_once` images each; see [`MaeTape::new`] for `recompute`.
    ///
    /// # Errors
    /// [`Error::Config`] when either is zero, or threads cannot be started.
    pub fn new(threads: usize, at_once: usize, recompute: bool) -> Result<Self> {
        if at_once == 0 {
            return Err(Error::config("images at once", "1 or more", &at_once));
        }
        Ok(Self { shards: Shards::new(threads, || MaeTape::new(recompute))?, at_once })
    }

    /// Runs `work`, such as a step of an optimiser, where parallel loops use these threads.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.shards.install(work)
    }

    /// The loss of a batch; `gradient` becomes its gradient.
    ///
    /// # Errors
    /// As [`Mae::loss`].
    pub fn gradient(
        &mut self,
        mae: &Mae,
        params: &Params<T>,
        images: &ArrayRef4<T>,
        masks: &[Mask],
        gradient: &mut Params<T>,
    ) -> Result<f64> {
        mae.check(params)?;
        mae.check(gradient)?;
        let images = mae.contiguous(images, masks)?;
        let (b, area, at_once) = (masks.len(), images.len() / masks.len(), self.at_once);
        let parts =
            self.shards.sum(b.div_ceil(at_once), gradient.values_mut(), |shard, tape, gradient| {
                let part = shard * at_once..b.min((shard + 1) * at_once);
                let images = &images[part.start * area..part.end * area];
                let share = part.len() as f64 / b as f64;
                Ok(share * mae.add_gradient((params.values(), gradient), (images, &masks[part]), share, tape))
            })?;
        Ok(parts.into_iter().sum())
    }
}
