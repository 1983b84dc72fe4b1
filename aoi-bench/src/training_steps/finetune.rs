//! Steps of fine-tuning: every weight, a linear head, cross-entropy of every pixel and class.

use std::path::Path;

use aoi_encoder::Params;
use aoi_encoder::finetune::{Depth, Loss, Network, NetworkBatches, Standard};
use aoi_encoder::optimise::{AdamW, AdamWOptions, clip};

use super::inputs::{Inputs, architecture};
use super::{CLIP, RATE, TrainingSteps, Work};
use crate::error::Error;

/// A segmentation network in training.
#[derive(Debug)]
pub struct FinetuneSteps {
    network: Network,
    params: Params<f32>,
    gradient: Params<f32>,
    images: Vec<f32>,
    truth: Vec<u8>,
    loss: Loss,
    batches: NetworkBatches<f32>,
    optimiser: AdamW<f32>,
}

impl FinetuneSteps {
    /// Reads weights by the names of the network's table, `images` \[b, c, h, w\] and `truth` \[b, h, w, classes\] of 0 and 1.
    ///
    /// # Errors
    /// When the file cannot be read, or is not that of the network.
    pub fn read(path: &Path, preset: &str, work: Work) -> Result<Self, Error> {
        let inputs = Inputs::read(path)?;
        let (shape, images) = inputs.tensor("images")?;
        let ([.., classes], truth) = inputs.tensor::<4>("truth")?;
        let config = architecture(preset, shape)?;
        let network = Network::new(&config, classes, Standard::none(config.width))?;
        let network = network.with_precision(work.precision);
        Ok(Self {
            truth: truth.into_iter().map(|t| u8::from(t != 0.0)).collect(),
            // Balance 0: every pixel weighs the same, whatever the shares.
            loss: Loss::new(&vec![0.5; classes], 0.0, 0.0)?,
            batches: NetworkBatches::new(work.threads, work.at_once, false)?,
            optimiser: AdamW::new(network.table(), AdamWOptions::default())?,
            gradient: Params::zeros(network.table().clone()),
            params: inputs.params(network.table())?,
            images,
            network,
        })
    }
}

impl TrainingSteps for FinetuneSteps {
    fn step(&mut self) -> Result<f64, Error> {
        let Self { network, params, gradient, images, truth, loss, batches, optimiser } = self;
        let wanted = (&*loss, Depth::Whole);
        let before = batches.gradient(network, params, (images, truth), wanted, gradient)?;
        batches.install(|| {
            clip(gradient.values_mut(), CLIP);
            optimiser.step(params, gradient, |_| RATE)
        })?;
        Ok(before)
    }
}
