//! Encoder and decoder, the loss on masked patches, and its gradient.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array3, ArrayRef3, ArrayRef4};
use serde::{Deserialize, Serialize};

use super::{MaeTape, Mask, initial, target};
use crate::gradient::{Linear, Norm, Scalar, Stack, Tokens};
use crate::positions::sin_cos;
use crate::{Config, Error, Feedforward, Params, Positions, Precision, Result, Role, Table, images_grid};

/// The decoder's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decoder {
    /// Width of a token, a multiple of 4.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads; divides the width.
    pub heads: usize,
}

/// A masked autoencoder; its weights are the caller's.
///
/// The table holds the encoder's tensors first, laid out as in [`Table::new`], then `mask_token` and `decoder.*`.
///
/// # Examples
/// ```
/// use aoi_encoder::mae::{Decoder, Mae, MaeTape, Mask};
/// use aoi_encoder::{Config, Grid, Params, ndarray::Array4};
///
/// let grid = Grid { rows: 4, columns: 4 };
/// let config = Config { width: 16, depth: 1, heads: 2, hidden: 32, patch: 4, grid, ..Config::paper() };
/// let mae = Mae::new(&config, Decoder { width: 8, depth: 1, heads: 1 }, false)?;
/// let params = mae.initial(7);
/// let images = Array4::from_shape_fn((2, 2, 16, 16), |(b, c, y, x)| (b + c + y * x) as f32 / 100.0);
/// let masks = [Mask::draw(16, 0.75, 7, [0, 0])?, Mask::draw(16, 0.75, 7, [0, 1])?];
/// let mut gradient = Params::zeros(mae.table().clone());
/// let loss = mae.gradient(&params, &images, &masks, 1.0, &mut MaeTape::new(false), &mut gradient)?;
/// assert!(loss > 0.0 && gradient.get("mask_token").iter().any(|&g| g != 0.0));
/// # Ok::<(), aoi_encoder::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Mae {
    pub(super) config: Config,
    pub(super) normalised_targets: bool,
    table: Arc<Table>,
    /// Parameters of the encoder, which come first.
    encoder_len: usize,
    pub(super) tokens: Tokens,
    pub(super) encoder: Stack,
    pub(super) norm: Norm,
    pub(super) embed: Linear,
    pub(super) mask_token: Range<usize>,
    /// Of every patch, \[grid, decoder's d\].
    pub(super) positions: Vec<f64>,
    pub(super) decoder: Stack,
    pub(super) decoder_norm: Norm,
    pub(super) predict: Linear,
}

impl Mae {
    /// The autoencoder of an encoder `config`, for images of its grid. With `normalised_targets` every patch is predicted as
    /// `(x - mean) / sqrt(variance + 1e-6)` of its own pixels.
    ///
    /// # Errors
    /// [`Error::Config`] for an impossible encoder or decoder, or normalised targets of patches of a single number.
    pub fn new(config: &Config, decoder: Decoder, normalised_targets: bool) -> Result<Self> {
        let mut table = Table::new(config)?;
        let encoder_len = table.len();
        let inner = Config {
            width: decoder.width,
            depth: decoder.depth,
            heads: decoder.heads,
            hidden: 4 * decoder.width,
            feedforward: Feedforward::Gelu,
            qkv_bias: true,
            layer_scale: false,
            registers: 0,
            positions: Positions::SinCos,
            ..config.clone()
        };
        inner.check().map_err(|e| match e {
            Error::Config { what, expected, found } => {
                Error::Config { what, expected: format!("{expected} in the decoder"), found }
            }
            other => other,
        })?;
        let (d, outputs) = (inner.width, config.channels * config.patch * config.patch);
        if normalised_targets && outputs == 1 {
            return Err(Error::config("normalised targets", "patches of two or more numbers", &outputs));
        }
        table.push(None, Role::Matrix, "decoder.embed.weight", &[d, config.width])?;
        table.push(None, Role::Bias, "decoder.embed.bias", &[d])?;
        table.push(None, Role::Token, "mask_token", &[d])?;
        table.push_blocks("decoder.", &inner)?;
        table.push(None, Role::Norm, "decoder.norm.weight", &[d])?;
        table.push(None, Role::Bias, "decoder.norm.bias", &[d])?;
        table.push(None, Role::Matrix, "decoder.predict.weight", &[outputs, d])?;
        table.push(None, Role::Bias, "decoder.predict.bias", &[outputs])?;
        let mask_token = table.get("mask_token").map_or(0..0, crate::Tensor::range);
        Ok(Self {
            normalised_targets,
            encoder_len,
            tokens: Tokens::new(&table, config),
            encoder: Stack::new(&table, "", config),
            norm: Norm::new(&table, "norm", config.norm_epsilon),
            embed: Linear::new(&table, "decoder.embed"),
            mask_token,
            positions: sin_cos(config.grid, d),
            decoder: Stack::new(&table, "decoder.", &inner),
            decoder_norm: Norm::new(&table, "decoder.norm", config.norm_epsilon),
            predict: Linear::new(&table, "decoder.predict"),
            config: config.clone(),
            table: Arc::new(table),
        })
    }

    /// The same autoencoder with products of such numbers; weights, norms and the loss stay f32.
    #[must_use]
    pub fn with_precision(mut self, precision: Precision) -> Self {
        self.tokens.set_precision(precision);
        self.encoder.set_precision(precision);
        self.embed.set_precision(precision);
        self.decoder.set_precision(precision);
        self.predict.set_precision(precision);
        self
    }

    /// The encoder's architecture.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Names, shapes and places of all parameters.
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// Weights to start from, decided by `seed`: Xavier-uniform matrices, normal tokens of deviation 0.02.
    pub fn initial(&self, seed: u64) -> Params<f32> {
        let mut params = Params::zeros(self.table.clone());
        initial::fill(&mut params, seed);
        params
    }

    /// The encoder's part of `params`, ready for [`crate::Encoder::new`] and [`crate::weights::save`].
    ///
    /// # Errors
    /// [`Error::Shape`] when the parameters are those of another network.
    pub fn encoder<T: Scalar>(&self, params: &Params<T>) -> Result<Params<T>> {
        self.check(params)?;
        Params::new(Arc::new(Table::new(&self.config)?), params.values()[..self.encoder_len].to_vec())
    }

    /// The mean over the images' masked patches of the mean squared error of their pixels.
    ///
    /// # Shapes
    /// `images` \[b, c, height, width\] of the encoder's grid; one mask an image, all showing equally many patches.
    ///
    /// # Errors
    /// [`Error::Shape`] when images, masks or parameters do not fit.
    pub fn loss<T: Scalar>(
        &self,
        params: &Params<T>,
        images: &ArrayRef4<T>,
        masks: &[Mask],
        tape: &mut MaeTape<T>,
    ) -> Result<f64> {
        self.check(params)?;
        let images = self.contiguous(images, masks)?;
        self.forward(params.values(), &images, masks, tape);
        Ok(self.error(&images, masks, tape))
    }

    /// [`Mae::loss`], and `share` times its gradient added to `gradient`: images may come in portions, each with its share of the whole.
    ///
    /// # Errors
    /// As [`Mae::loss`].
    pub fn gradient<T: Scalar>(
        &self,
        params: &Params<T>,
        images: &ArrayRef4<T>,
        masks: &[Mask],
        share: f64,
        tape: &mut MaeTape<T>,
        gradient: &mut Params<T>,
    ) -> Result<f64> {
        self.check(params)?;
        self.check(gradient)?;
        let images = self.contiguous(images, masks)?;
        self.forward(params.values(), &images, masks, tape);
        let loss = self.error(&images, masks, tape);
        self.backward((params.values(), gradient.values_mut()), masks, share, tape);
        Ok(loss)
    }

    /// As [`Mae::gradient`] for images and parameters that were checked.
    pub(crate) fn add_gradient<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        (images, masks): (&[T], &[Mask]),
        share: f64,
        tape: &mut MaeTape<T>,
    ) -> f64 {
        self.forward(p, images, masks, tape);
        let loss = self.error(images, masks, tape);
        self.backward((p, g), masks, share, tape);
        loss
    }

    /// One image with its masked patches filled in.
    ///
    /// # Shapes
    /// `image` \[c, height, width\] -> the same.
    ///
    /// # Errors
    /// As [`Mae::loss`].
    pub fn reconstruct<T: Scalar>(
        &self,
        params: &Params<T>,
        image: &ArrayRef3<T>,
        mask: &Mask,
        tape: &mut MaeTape<T>,
    ) -> Result<Array3<T>> {
        self.check(params)?;
        let masks = std::slice::from_ref(mask);
        let images = self.contiguous(&image.view().insert_axis(ndarray::Axis(0)), masks)?;
        self.forward(params.values(), &images, masks, tape);
        let (p, columns) = (self.config.patch, self.config.grid.columns);
        let mut filled = image.to_owned();
        let mut own = vec![T::default(); self.predict.outputs()];
        for (&patch, predicted) in mask.masked().iter().zip(tape.predicted.chunks_exact(own.len())) {
            Tokens::pixels(&self.config, &images, patch, &mut own);
            let (mean, deviation) =
                if self.normalised_targets { target::moments(&own) } else { (T::of(0.0), T::of(1.0)) };
            let (top, left) = (patch / columns * p, patch % columns * p);
            for (i, &value) in predicted.iter().enumerate() {
                let place = [i / (p * p), top + i / p % p, left + i % p];
                filled[place] = value * deviation + mean;
            }
        }
        Ok(filled)
    }

    pub(super) fn check<T: Scalar>(&self, params: &Params<T>) -> Result<()> {
        if params.values().len() == self.table.len() && **params.table() == *self.table {
            return Ok(());
        }
        let expected = format!("[{}] in the layout of the autoencoder", self.table.len());
        Err(Error::Shape { what: "parameters", expected, found: vec![params.values().len()] })
    }

    /// The images as one slice, after everything about them and their masks was checked.
    pub(super) fn contiguous<T: Scalar>(&self, images: &ArrayRef4<T>, masks: &[Mask]) -> Result<Vec<T>> {
        let grid = images_grid(&self.config, images.shape())?;
        if grid != self.config.grid {
            let (p, own) = (self.config.patch, self.config.grid);
            let expected = format!("[b, {}, {}, {}]", self.config.channels, own.rows * p, own.columns * p);
            return Err(Error::Shape { what: "images", expected, found: images.shape().to_vec() });
        }
        let fits =
            |mask: &Mask| mask.patches() == grid.len() && mask.visible().len() == masks[0].visible().len();
        if masks.len() != images.shape()[0] || !masks.iter().all(fits) {
            let expected = format!("[{}] of {} patches, equally many shown", images.shape()[0], grid.len());
            return Err(Error::Shape { what: "masks", expected, found: vec![masks.len()] });
        }
        Ok(images.iter().copied().collect())
    }
}
