//! Loss and gradient of a batch of labelled images on several threads.

use super::{Depth, Loss, Network, NetworkTape};
use crate::gradient::{Scalar, Shards};
use crate::{Error, Params, Result};

/// Threads and memory for gradients of batches; made once and used again.
///
/// A batch is worked on `at_once` images a thread at a time, and the parts are added in their order: the result does not depend on the
/// number of threads, and memory not on the batch. The norms of a head over several blocks take their statistics over the images of a part.
///
/// # Examples
/// ```
/// use aoi_encoder::finetune::{Depth, Loss, Network, NetworkBatches, Standard};
/// use aoi_encoder::optimise::{AdamW, AdamWOptions};
/// use aoi_encoder::{Config, Grid, Params};
///
/// let grid = Grid { rows: 2, columns: 2 };
/// let config = Config { width: 16, depth: 1, heads: 2, hidden: 32, patch: 4, channels: 1, grid, ..Config::paper() };
/// let network = Network::new(&config, 1, Standard::none(16))?;
/// let mut params = Params::<f32>::zeros(network.table().clone());
/// let mut gradient = Params::zeros(network.table().clone());
/// let (images, truth) = (vec![0.5; 3 * 8 * 8], vec![1; 3 * 8 * 8]);
/// let wanted = (&Loss::new(&[0.5], 0.0, 0.0)?, Depth::Whole);
/// let mut batches = NetworkBatches::new(2, 2, false)?;
/// let mut optimiser = AdamW::new(network.table(), AdamWOptions::default())?;
/// let first = batches.gradient(&network, &params, (&images, &truth), wanted, &mut gradient)?;
/// batches.install(|| optimiser.step(&mut params, &gradient, |_| 1e-2))?;
/// assert!(batches.gradient(&network, &params, (&images, &truth), wanted, &mut gradient)? < first);
/// # Ok::<(), aoi_encoder::Error>(())
/// ```
#[derive(Debug)]
pub struct NetworkBatches<T> {
    shards: Shards<T, NetworkTape<T>>,
    at_once: usize,
}

impl<T: Scalar> NetworkBatches<T> {
    /// `threads` threads that work on `at_once` images each; see [`NetworkTape::new`] for `recompute`.
    ///
    /// # Errors
    /// [`Error::Config`] when either is zero, or threads cannot be started.
    pub fn new(threads: usize, at_once: usize, recompute: bool) -> Result<Self> {
        if at_once == 0 {
            return Err(Error::config("images at once", "1 or more", &at_once));
        }
        Ok(Self { shards: Shards::new(threads, || NetworkTape::new(recompute))?, at_once })
    }

    /// Runs `work`, such as a step of an optimiser, where parallel loops use these threads.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.shards.install(work)
    }

    /// The mean loss of a batch; `gradient` becomes its gradient.
    ///
    /// # Shapes
    /// `images` \[b, c, height, width\], `truth` \[b, height, width, classes\].
    ///
    /// # Errors
    /// As [`Network::loss`].
    pub fn gradient(
        &mut self,
        network: &Network,
        params: &Params<T>,
        (images, truth): (&[T], &[u8]),
        (loss, depth): (&Loss, Depth),
        gradient: &mut Params<T>,
    ) -> Result<f64> {
        let b = network.check(params, (images.len(), truth.len()))?;
        network.check(gradient, (images.len(), truth.len()))?;
        let (at_once, share) = (self.at_once, 1.0 / b as f64);
        let (pixels, labels) = (images.len() / b * at_once, truth.len() / b * at_once);
        let parts: Vec<_> = images.chunks(pixels).zip(truth.chunks(labels)).collect();
        let losses = self.shards.sum(parts.len(), gradient.values_mut(), |part, tape, gradient| {
            Ok(network.add_gradient((params.values(), gradient), parts[part], (loss, share, depth), tape))
        })?;
        Ok(losses.into_iter().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::Standard;
    use crate::{Config, Grid};
    use aoi_testing::{Seeded, assert_all_close};

    #[test]
    fn a_batch_has_the_gradient_of_its_images_on_any_number_of_threads() {
        let grid = Grid { rows: 2, columns: 3 };
        let config = Config { width: 16, depth: 2, heads: 2, hidden: 24, patch: 4, grid, ..Config::paper() };
        let network = Network::new(&config, 2, Standard::none(16)).unwrap();
        let mut seeded = Seeded::new(1);
        let mut params = Params::<f64>::zeros(network.table().clone());
        params.values_mut().iter_mut().for_each(|p| *p = 0.3 * seeded.normal());
        let pixels = 8 * 12;
        let images: Vec<f64> = (0..5 * 2 * pixels).map(|_| seeded.normal()).collect();
        let truth: Vec<u8> = (0..5 * pixels * 2).map(|_| u8::from(seeded.below(2) == 1)).collect();
        let wanted = (&Loss::new(&[0.3, 0.5], 0.5, 0.5).unwrap(), Depth::Whole);
        let mut expected = Params::zeros(network.table().clone());
        let tape = &mut NetworkTape::new(false);
        let loss = network.gradient(&params, (&images, &truth), wanted, tape, &mut expected).unwrap();
        let mut bits = Vec::new();
        for threads in [1, 2, 3] {
            let mut batches = NetworkBatches::new(threads, 2, false).unwrap();
            let mut found = Params::zeros(network.table().clone());
            // The second time over what the first left behind.
            for _ in 0..2 {
                let here =
                    batches.gradient(&network, &params, (&images, &truth), wanted, &mut found).unwrap();
                assert!((here - loss).abs() < 1e-12 * loss, "{here} {loss}");
            }
            assert_all_close(found.values(), expected.values(), 1e-12, 0.0);
            bits.push(found.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        }
        assert!(bits.iter().all(|other| *other == bits[0]));
        let mut batches = NetworkBatches::new(1, 1, false).unwrap();
        assert!(batches.gradient(&network, &params, (&images, &truth[1..]), wanted, &mut expected).is_err());
        assert!(NetworkBatches::<f64>::new(1, 0, false).is_err());
    }
}
