//! The encoders that are compared: trained on unlabelled pictures, drawn at random, read from a file.

use std::path::{Path, PathBuf};
use std::time::Instant;

use aoi_encoder::images::Normalisation;
use aoi_encoder::mae::{Decoder, Mae};
use aoi_encoder::ndarray::{Array4, s};
use aoi_encoder::train::{
    Augmentation, EncoderSection, ImagesSection, Job, MaskingSection, OptimiserSection,
};
use aoi_encoder::train::{PositionKind, PretrainConfig, RunSection, pretrain as train};
use aoi_encoder::weights::{Family, LoadOptions, Weights, load};
use aoi_encoder::{Config, Precision, Workspace, centred};
use aoi_testing::Seeded;

use super::outcome::PreTraining;
use super::pool::{Pool, Split};
use super::{MAE, Options, SCRATCH, operations};
use crate::error::Error;

/// An encoder and what it took.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) weights: Weights,
    /// Operations of its pre-training.
    pub(super) operations: f64,
}

/// A trained one.
#[derive(Debug)]
pub(super) struct Pretrained {
    pub(super) source: Source,
    pub(super) normalisation: Normalisation,
    seconds: f64,
    loss: f64,
    pictures: usize,
}

impl Pretrained {
    /// For the record.
    pub(super) fn cost(&self, seed: u64) -> PreTraining {
        PreTraining {
            seed,
            pictures: self.pictures,
            seconds: self.seconds,
            gflop: self.source.operations / 1e9,
            loss: self.loss,
        }
    }
}

/// How crops are cut: near the pictures' own scale, in which tiles show them later.
pub(super) fn augmentation() -> Augmentation {
    Augmentation {
        zoom: Some((0.8, 1.25)),
        gamma: 0.1,
        contrast: 0.1,
        blur: 0.0,
        noise: 0.0,
        ..Augmentation::default()
    }
}

fn section(options: &Options, channels: usize) -> EncoderSection {
    let [width, depth, heads] = options.encoder;
    EncoderSection {
        channels: Some(channels),
        patch: Some(options.patch),
        width: Some(width),
        depth: Some(depth),
        heads: Some(heads),
        size: Some([options.crop; 2]),
        positions: Some(PositionKind::SinCos),
        ..EncoderSection::default()
    }
}

fn decoder(options: &Options) -> Decoder {
    let [width, depth, heads] = options.decoder;
    Decoder { width, depth, heads }
}

/// Trains a masked autoencoder on the unlabelled pictures of a draw.
pub(super) fn pretrain(
    pool: &Pool,
    split: &Split,
    options: &Options,
    folder: &Path,
    seed: u64,
) -> Result<Pretrained, Error> {
    let images = folder.join("images");
    pool.copy(&split.unlabelled, &images)?;
    let pictures = split.unlabelled.len();
    let batch = options.pretrain_batch.min(pictures);
    let config = PretrainConfig {
        seed,
        encoder: section(options, pool.channels()),
        decoder: Some(decoder(options)),
        masking: MaskingSection { ratio: options.mask_ratio, normalised_targets: options.normalised_targets },
        images: ImagesSection { held_out: 0.0, ..ImagesSection::default() },
        augmentation: augmentation(),
        optimiser: OptimiserSection {
            rate: Some(options.pretrain_rate),
            warm_up_epochs: options.pretrain_epochs.div_ceil(20),
            ..OptimiserSection::default()
        },
        run: RunSection {
            epochs: options.pretrain_epochs,
            batch,
            checkpoint_steps: 1 << 20,
            validate_epochs: options.pretrain_epochs,
            precision: Precision::Bf16,
            ..RunSection::default()
        },
    };
    let run = folder.join("run");
    let threads = options.threads;
    let job = Job { images, run: run.clone(), config: Some(config), resume: false, threads };
    let start = Instant::now();
    let done = train(&job, &mut |_| std::ops::ControlFlow::Continue(()), &|| 0.0)?;
    let seconds = start.elapsed().as_secs_f64();
    let weights = load(&run.join("encoder.safetensors"), &LoadOptions::default())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the patches")]
    let hidden = (weights.config.grid.len() as f64 * options.mask_ratio).round() as usize;
    let visible = weights.config.grid.len() - hidden;
    let each = operations::pretrain_picture(&weights.config, decoder(options), visible);
    let operations = each * done.step as f64 * batch as f64;
    Ok(Pretrained {
        source: Source { name: MAE.to_owned(), weights, operations },
        normalisation: done.normalisation,
        seconds,
        loss: done.loss,
        pictures,
    })
}

/// The same architecture before any training; pictures normalised and features centred alike.
pub(super) fn scratch(
    pool: &Pool,
    split: &Split,
    normalisation: &Normalisation,
    options: &Options,
    seed: u64,
) -> Result<Source, Error> {
    let config: Config = section(options, pool.channels()).architecture(pool.channels())?;
    let mae = Mae::new(&config, decoder(options), options.normalised_targets)?;
    let params = mae.encoder(&mae.initial(seed))?;
    let crops = crops(pool, split, normalisation, options.crop, seed)?;
    let params = centred(&config, &params, &crops, &mut Workspace::new(options.threads)?)?;
    let weights = Weights {
        config,
        params,
        family: Family::Own,
        normalisation: Some(normalisation.clone()),
        whitening: None,
        notes: Vec::new(),
    };
    Ok(Source { name: SCRATCH.to_owned(), weights, operations: 0.0 })
}

/// One crop of each of up to 64 unlabelled pictures, of a picture's own size where that is smaller.
fn crops(
    pool: &Pool,
    split: &Split,
    normalisation: &Normalisation,
    side: usize,
    seed: u64,
) -> Result<Array4<f32>, Error> {
    let mut seeded = Seeded::new(seed);
    let pictures = split.unlabelled.iter().cycle().take(64).map(|&i| &pool.picture(i).picture);
    let mut crops = Array4::zeros((64, pool.channels(), side, side));
    for (mut crop, picture) in crops.outer_iter_mut().zip(pictures) {
        let mut picture = picture.clone();
        normalisation.apply(&mut picture)?;
        let (_, height, width) = picture.dim();
        let (tall, wide) = (side.min(height), side.min(width));
        let (top, left) = (seeded.below(height - tall + 1), seeded.below(width - wide + 1));
        let part = picture.slice(s![.., top..top + tall, left..left + wide]);
        crop.slice_mut(s![.., ..tall, ..wide]).assign(&part);
    }
    Ok(crops)
}

/// An encoder of a file.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Given {
    path: PathBuf,
    /// What was guessed, adapted or left aside.
    notes: Vec<String>,
    #[serde(skip)]
    weights: Weights,
}

impl Given {
    /// Reads a file.
    ///
    /// # Errors
    /// As [`load`].
    pub fn open(path: &Path, options: &LoadOptions) -> Result<Self, Error> {
        let weights = load(path, options)?;
        Ok(Self { path: path.to_owned(), notes: weights.notes.clone(), weights })
    }

    /// What was guessed, adapted or left aside.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Ready to be compared on the pictures of `pool`; what it took is not known and counts nothing.
    ///
    /// # Errors
    /// [`Error::Option`] when the pictures have other channels.
    pub(super) fn source(&self, pool: &Pool) -> Result<Source, Error> {
        let (own, found) = (self.weights.config.channels, pool.channels());
        if found != 1 && found != own {
            return Err(Error::Option {
                what: format!("channels of {}", self.path.display()),
                expected: format!("{found}, as the pictures have (or pass --channels {found})"),
                got: own.to_string(),
            });
        }
        let stem = self.path.file_stem().unwrap_or(self.path.as_os_str());
        let name = stem.to_string_lossy().into_owned();
        Ok(Source { name, weights: self.weights.clone(), operations: 0.0 })
    }
}
