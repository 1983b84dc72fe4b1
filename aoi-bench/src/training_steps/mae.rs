//! Steps of masked-autoencoder pre-training.

use std::path::Path;

use aoi_encoder::Params;
use aoi_encoder::mae::{Decoder, Mae, MaeBatches, Mask};
use aoi_encoder::ndarray::Array4;
use aoi_encoder::optimise::{AdamW, AdamWOptions, clip};

use super::inputs::{Inputs, architecture};
use super::{CLIP, RATE, TrainingSteps, Work};
use crate::error::Error;

/// A masked autoencoder in training.
#[derive(Debug)]
pub struct MaeSteps {
    mae: Mae,
    params: Params<f32>,
    gradient: Params<f32>,
    images: Array4<f32>,
    masks: Vec<Mask>,
    batches: MaeBatches<f32>,
    optimiser: AdamW<f32>,
}

impl MaeSteps {
    /// Reads weights by the names of the network's table, `images` \[b, c, h, w\] and `visible` \[b, v\].
    ///
    /// # Errors
    /// When the file cannot be read, or is not that of the network.
    pub fn read(path: &Path, preset: &str, decoder: Decoder, work: Work) -> Result<Self, Error> {
        let inputs = Inputs::read(path)?;
        let (shape, pixels) = inputs.tensor("images")?;
        let config = architecture(preset, shape)?;
        let mae = Mae::new(&config, decoder, true)?.with_precision(work.precision);
        let ([_, shown], visible) = inputs.tensor("visible")?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of patches")]
        let visible: Vec<usize> = visible.into_iter().map(|v| v as usize).collect();
        let masks = visible.chunks(shown.max(1)).map(|v| Mask::new(config.grid.len(), v));
        Ok(Self {
            masks: masks.collect::<Result<_, _>>()?,
            batches: MaeBatches::new(work.threads, work.at_once, false)?,
            optimiser: AdamW::new(mae.table(), AdamWOptions::default())?,
            gradient: Params::zeros(mae.table().clone()),
            params: inputs.params(mae.table())?,
            images: Array4::from_shape_vec(shape, pixels)
                .map_err(|e| Error::Record { path: path.to_owned(), reason: e.to_string() })?,
            mae,
        })
    }
}

impl TrainingSteps for MaeSteps {
    fn step(&mut self) -> Result<f64, Error> {
        let Self { mae, params, gradient, images, masks, batches, optimiser } = self;
        let loss = batches.gradient(mae, params, images, masks, gradient)?;
        batches.install(|| {
            clip(gradient.values_mut(), CLIP);
            optimiser.step(params, gradient, |_| RATE)
        })?;
        Ok(loss)
    }
}
