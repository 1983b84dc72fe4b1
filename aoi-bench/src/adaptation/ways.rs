//! The ways of adapting an encoder: fine-tuning, and retrieval by patches or by whole pictures.

use std::path::Path;
use std::time::Instant;

use aoi::patch_encoder::{EncodedPicture, PatchEncoder};
use aoi::segment::{Segmenter, Settings, WholeImages, decide};
use aoi_encoder::finetune::{
    Example, FinetuneConfig, FinetuneJob, LengthSection, StepSection, Tuned, finetune as train,
};
use aoi_encoder::images::pad;
use aoi_encoder::ndarray::{Array2, Array3};
use aoi_encoder::{Precision, Workspace};
use aoi_retrieval::{Bank, Beta, CompleteLabels, Confusion, Labels, Rule};

use super::encoders::{Source, augmentation};
use super::outcome::Found;
use super::pool::{Pool, Setting};
use super::{Options, SCRATCH, operations};
use crate::error::Error;

/// Names of the ways.
pub(super) const FINETUNING: &str = "fine-tuning";
pub(super) const SIMILARITY: &str = "similarity";
pub(super) const WHITENED: &str = "similarity, whitened features";
pub(super) const ATTENTION: &str = "attention";
pub(super) const WHOLE: &str = "whole image";

/// Neighbours of the ways.
const SIMILAR: usize = 10;
const ATTENDED: usize = 30;
const WHOLE_IMAGES: usize = 3;
const BETA: f64 = 0.02;

/// Crops of every labelled picture in an epoch, and crops a step.
const CROPS: usize = 8;
const BATCH: usize = 4;

/// Fine-tunes with a linear head, all weights, for the budget of the options and `more` operations.
pub(super) fn finetune(
    pool: &Pool,
    setting: &Setting,
    (options, seed, more): (&Options, u64, f64),
    source: &Source,
    run: &Path,
) -> Result<Found, Error> {
    let examples: Vec<Example> = setting
        .labelled
        .iter()
        .map(|&i| {
            let p = pool.picture(i);
            Example { name: p.name.clone(), picture: p.picture.clone(), mask: p.mask.clone() }
        })
        .collect();
    let config = &source.weights.config;
    let each = operations::finetune_crop(config, pool.classes().len());
    let crops = options.finetune_crops as f64 + more / each;
    let of_epoch = examples.len() * CROPS;
    let rates = if source.name == SCRATCH { options.scratch_rates } else { options.trained_rates };
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of epochs")]
    let epochs = (crops / of_epoch as f64).round().max(1.0) as u64;
    let job = FinetuneJob {
        examples: &examples,
        classes: pool.classes(),
        weights: &source.weights,
        run: run.to_owned(),
        config: Some(FinetuneConfig {
            seed,
            held_out: 0.0,
            augmentation: augmentation(),
            optimiser: StepSection {
                rate: rates.head,
                layer_decay: rates.layer_decay,
                warm_up_epochs: epochs.div_ceil(20),
                ..StepSection::default()
            },
            run: LengthSection {
                epochs,
                crops: CROPS,
                batch: BATCH,
                checkpoint_steps: 1 << 20,
                validate_epochs: epochs,
                precision: Precision::Bf16,
                ..LengthSection::default()
            },
            ..FinetuneConfig::default()
        }),
        resume: false,
        threads: options.threads,
    };
    let start = Instant::now();
    let done = train(&job, &mut |_| std::ops::ControlFlow::Continue(()), &|| 0.0)?;
    let adapt_seconds = start.elapsed().as_secs_f64();
    let network = Tuned::load(&run.join("network.safetensors"))?;
    let mut workspace = Workspace::new(options.threads)?;
    let (mut counts, mut work) = (Confusion::default(), 0.0);
    let start = Instant::now();
    for &i in &setting.tested {
        let tested = pool.picture(i);
        let probabilities = network.probabilities(&tested.picture, &mut workspace)?;
        let mask = decide(probabilities.view(), &Settings::default())?;
        counts.merge(&Confusion::of(mask.view(), tested.mask.view())?);
        let (_, height, width) = tested.picture.dim();
        work += operations::picture(config, (height, width));
    }
    let n = setting.tested.len() as f64;
    let taken = (done.step * (BATCH.min(of_epoch)) as u64) as f64;
    Ok(Found {
        counts,
        adapt_seconds,
        image_seconds: start.elapsed().as_secs_f64() / n,
        adapt_operations: each * taken,
        image_operations: work / n,
    })
}

/// The labelled patches, and what making them took.
fn bank(pool: &Pool, labelled: &[usize], encoder: &dyn PatchEncoder) -> Result<(Bank, WholeImages), Error> {
    let mut bank: Option<Bank> = None;
    let mut whole = Vec::new();
    for &i in labelled {
        let taught = pool.picture(i);
        let EncodedPicture { patches, whole: vector, .. } = encoder.encode(&taught.picture)?;
        let padded = pad(&taught.mask.mapv(f32::from), encoder.patch()).mapv(|v| u8::from(v > 0.5));
        let labels = Labels::Complete(CompleteLabels::from_image(padded.view(), encoder.patch())?);
        let bank = if let Some(bank) = &mut bank {
            bank
        } else {
            let empty = labels.select(&[])?;
            bank.insert(Bank::new(encoder.width(), pool.classes().to_vec(), empty)?)
        };
        bank.add_image(&taught.name, unit(patches).view(), &labels)?;
        whole.push((vector, taught.mask.clone()));
    }
    let bank = bank.ok_or_else(|| Error::Option {
        what: "labelled pictures".into(),
        expected: "1 or more".into(),
        got: "0".into(),
    })?;
    Ok((bank, WholeImages::new(whole)?))
}

/// Rows of length one.
fn unit(mut rows: Array2<f32>) -> Array2<f32> {
    for mut row in rows.outer_iter_mut() {
        let length = row.iter().map(|x| x * x).sum::<f32>().sqrt();
        if length > 0.0 {
            row.mapv_inplace(|x| x / length);
        }
    }
    rows
}

/// Segments by patches mixed by similarity (k = 10) and by attention (k = 30, temperature 0.02), and by whole pictures (k = 3), thresholds of a half.
///
/// The seconds of a picture are those of encoding it and of the way's own search and mixing; encoding is measured once for all of them.
pub(super) fn retrieve(
    pool: &Pool,
    setting: &Setting,
    threads: usize,
    (encoder, work): (&dyn PatchEncoder, &dyn Fn((usize, usize)) -> f64),
) -> Result<Vec<(&'static str, Found)>, Error> {
    let start = Instant::now();
    let (bank, whole) = bank(pool, &setting.labelled, encoder)?;
    let segmenter = Segmenter::new(encoder, &bank, Settings::default(), threads)?;
    let adapt_seconds = start.elapsed().as_secs_f64();
    let size = |i: usize| {
        let (_, height, width) = pool.picture(i).picture.dim();
        (height, width)
    };
    let adapt_operations = setting.labelled.iter().map(|&i| work(size(i))).sum();
    let attention = Rule::Attention(Beta::Shared(BETA));
    let mut found = [SIMILARITY, ATTENTION, WHOLE].map(|way| {
        let counts = Confusion::default();
        (way, Found { counts, adapt_seconds, image_seconds: 0.0, adapt_operations, image_operations: 0.0 })
    });
    let n = setting.tested.len() as f64;
    for &i in &setting.tested {
        let tested = pool.picture(i);
        let start = Instant::now();
        let encoded = encoder.encode(&tested.picture)?;
        let encoding = start.elapsed().as_secs_f64();
        for (way, found) in &mut found {
            let start = Instant::now();
            let patches = |k: usize, rule: &Rule| {
                segmenter.look_up(&encoded, k)?.scores(bank.labels(), (k, rule), size(i))
            };
            let scores: Array3<f64> = match *way {
                SIMILARITY => patches(SIMILAR, &Rule::Similarity)?,
                ATTENTION => patches(ATTENDED, &attention)?,
                _ => whole.scores(&encoded.whole, WHOLE_IMAGES, size(i))?,
            };
            let mask = decide(scores.view(), &Settings::default())?;
            found.image_seconds += (encoding + start.elapsed().as_secs_f64()) / n;
            found.counts.merge(&Confusion::of(mask.view(), tested.mask.view())?);
            let rows = if *way == WHOLE { 0 } else { bank.rows() };
            let searched = operations::search(encoded.grid.len(), rows, encoder.width());
            found.image_operations += (work(size(i)) + searched) / n;
        }
    }
    Ok(found.into())
}
