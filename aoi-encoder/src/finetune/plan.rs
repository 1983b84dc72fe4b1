//! Everything about a fine-tuning run that is settled before its first step.

use std::sync::Arc;

use ndarray::{Array3, Axis};

use super::{Example, FinetuneConfig, FinetuneJob, HeadKind, Loss, Network, NetworkTape, Standard, Trained};
use crate::chance::{Chance, Purpose};
use crate::gradient::Shards;
use crate::images::{self, Normalisation, channels_expected};
use crate::optimise::Schedule;
use crate::train::origin::Origin;
use crate::train::parting::Parting;
use crate::train::{Augmentation, text};
use crate::{Config, Error, Params, Result, Table};

/// What stays the same during a run.
pub(super) struct Plan<'a> {
    pub(super) config: FinetuneConfig,
    /// What the run is made from.
    pub(super) origin: Origin,
    pub(super) examples: &'a [Example],
    pub(super) classes: &'a [String],
    pub(super) normalisation: Normalisation,
    pub(super) network: Network,
    pub(super) trained: Trained,
    /// The network's weights with the encoder that the run starts from.
    pub(super) base: Params<f32>,
    /// How much more frequent than not every class is, weighed as the loss weighs it.
    pub(super) odds: Vec<f64>,
    pub(super) loss: Loss,
    pub(super) rates: Vec<f64>,
    pub(super) schedule: Schedule,
    /// Examples trained on.
    pub(super) training: Vec<usize>,
    /// Examples held out.
    pub(super) held_out: Vec<usize>,
    pub(super) batch: usize,
    /// Crops of a step that one thread works on at once.
    pub(super) group: usize,
    pub(super) steps_per_epoch: u64,
}

impl<'a> Plan<'a> {
    /// Settles what the configuration leaves open.
    ///
    /// # Errors
    /// As [`super::finetune`].
    pub(super) fn new(job: &FinetuneJob<'a>, started: bool) -> Result<Self> {
        let path = job.run.join("config.toml");
        let stored = text::stored(&path, started, FinetuneConfig::parse)?;
        let given = job.config.clone().or_else(|| stored.clone()).unwrap_or_default();
        given.check()?;
        let weights = job.weights;
        let (encoder, d) = (&weights.config, weights.config.width);
        check_examples(job.examples, job.classes.len(), encoder.channels)?;
        let n = job.examples.len();
        let Parting { training, held_out } = Parting::new(n, given.held_out, given.seed);
        if training.is_empty() {
            let expected = "one or more to train on, besides those held out";
            let found = format!("{n}, {} of them held out", held_out.len());
            return Err(Error::config("labelled pictures", expected, &found));
        }
        let normalisation = weights.normalisation(given.mean.as_deref(), given.std.as_deref())?;
        let config = FinetuneConfig {
            mean: Some(normalisation.mean.clone()),
            std: Some(normalisation.std.clone()),
            encoder: Some(digest(&weights.params)),
            ..given
        };
        let crop = Crop { config: encoder, normalisation: &normalisation };
        let (network, group) = match config.head {
            HeadKind::Linear => {
                let plain = Network::new(encoder, job.classes.len(), Standard::none(d))?;
                let base = with_head(&plain, &weights.params);
                let standard = statistics(&plain, &base, job, &training, &crop)?;
                (Network::new(encoder, job.classes.len(), standard)?, 1)
            }
            HeadKind::Upernet => {
                let network = Network::upernet(encoder, job.classes.len(), config.upernet.width)?;
                (network, config.upernet.group)
            }
        };
        let network = network.with_precision(config.run.precision);
        let base = with_head(&network, &weights.params);
        let shares = shares(job.examples, &training, job.classes)?;
        let loss = Loss::new(&shares, config.loss.balance, config.loss.dice)?;
        let odds = shares.iter().zip(loss.weights()).map(|(f, w)| w * f / (1.0 - f)).collect();
        let trained = Trained::new(&network, config.tune)?;
        let rates = trained.rate_factors(encoder.depth, config.optimiser.layer_decay);
        let crops = training.len() * config.run.crops;
        let batch = config.run.batch.min(crops);
        let steps_per_epoch = (crops / batch) as u64;
        let steps = config.run.epochs.saturating_mul(steps_per_epoch);
        let options = &config.optimiser;
        let warm_up = options.warm_up_epochs.saturating_mul(steps_per_epoch).min(steps / 2);
        let schedule = Schedule { peak: options.rate, last: options.last_rate, warm_up, steps };
        schedule.check()?;
        text::check_same(&path, stored.as_ref(), &config)?;
        let examples = job.examples.iter().map(|e| (e.name.as_str(), &e.picture, &e.mask));
        Ok(Self {
            origin: Origin::of_examples(job.classes, examples),
            examples: job.examples,
            classes: job.classes,
            normalisation,
            network,
            trained,
            base,
            odds,
            loss,
            rates,
            schedule,
            training,
            held_out,
            batch,
            group,
            steps_per_epoch,
            config,
        })
    }

    /// A crop of example `index` in its own size, pixels normalised.
    pub(super) fn native(&self, index: usize, chance: &mut Chance) -> Result<Vec<f32>> {
        let crop = Crop { config: self.network.config(), normalisation: &self.normalisation };
        crop.apply(&self.examples[index].picture, &native(), chance)
    }

    /// A varied crop of example `index`: pixels normalised, and truth \[pixels, c\].
    pub(super) fn crop(&self, index: usize, chance: &mut Chance) -> Result<(Vec<f32>, Vec<u8>)> {
        let crop = Crop { config: self.network.config(), normalisation: &self.normalisation };
        let Example { picture, mask, .. } = &self.examples[index];
        // The mask goes through the same draws as the picture.
        let planes =
            self.config.augmentation.place(&mask.mapv(f32::from), crop.size(), &mut chance.clone())?;
        let truth = planes.permuted_axes([1, 2, 0]).iter().map(|&v| u8::from(v >= 0.5)).collect();
        Ok((crop.apply(picture, &self.config.augmentation, chance)?, truth))
    }
}

/// How pictures become what the network reads.
struct Crop<'a> {
    config: &'a Config,
    normalisation: &'a Normalisation,
}

impl Crop<'_> {
    fn size(&self) -> (usize, usize) {
        (self.config.grid.rows * self.config.patch, self.config.grid.columns * self.config.patch)
    }

    fn apply(
        &self,
        picture: &Array3<f32>,
        augmentation: &Augmentation,
        chance: &mut Chance,
    ) -> Result<Vec<f32>> {
        let picture = images::repeat_grey(picture.clone(), self.config.channels)?;
        let mut image = augmentation.apply(&picture, self.size(), chance)?;
        self.normalisation.apply(&mut image)?;
        Ok(image.iter().copied().collect())
    }
}

/// Crops as they are.
fn native() -> Augmentation {
    Augmentation { zoom: Some((1.0, 1.0)), ..Augmentation::none() }
}

/// Refuses examples that nothing can be learned from.
fn check_examples(examples: &[Example], classes: usize, channels: usize) -> Result<()> {
    for Example { name, picture, mask } in examples {
        let (c, height, width) = picture.dim();
        if c != 1 && c != channels {
            let expected = format!("{}, of picture {name}", channels_expected(channels));
            return Err(Error::Shape { what: "picture", expected, found: picture.shape().to_vec() });
        }
        if mask.dim() != (classes, height, width) || picture.is_empty() {
            let expected = format!("[{classes}, {height}, {width}] of one pixel or more, for picture {name}");
            return Err(Error::Shape { what: "mask", expected, found: mask.shape().to_vec() });
        }
        if let Some((entry, v)) = picture.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            return Err(Error::NotFinite { what: format!("picture {name}"), found: (*v).into(), entry });
        }
    }
    Ok(())
}

/// The encoder's weights, laid out for the network, with a head of zeros.
fn with_head(network: &Network, encoder: &Params<f32>) -> Params<f32> {
    let table: &Arc<Table> = network.table();
    let mut base = Params::zeros(table.clone());
    base.values_mut()[..encoder.values().len()].copy_from_slice(encoder.values());
    base
}

/// Mean and deviation of every feature over 16 crops of each training picture.
#[expect(clippy::cast_possible_truncation, reason = "statistics are kept in f32")]
fn statistics(
    network: &Network,
    base: &Params<f32>,
    job: &FinetuneJob<'_>,
    training: &[usize],
    crop: &Crop<'_>,
) -> Result<Standard> {
    const CROPS: usize = 16;
    let native = native();
    let d = network.config().width;
    let mut shards = Shards::<f32, _>::new(job.threads, || NetworkTape::new(true))?;
    let sums = shards.map(training.len() * CROPS, |i, tape| {
        let mut chance = Chance::new(0, Purpose::Head, [u64::MAX, i as u64]);
        let image = crop.apply(&job.examples[training[i / CROPS]].picture, &native, &mut chance)?;
        let mut sums = vec![[0.0_f64; 2]; d];
        let features = network.features(base.values(), &image, tape);
        for row in features.chunks_exact(d) {
            for (sum, &x) in sums.iter_mut().zip(row) {
                sum[0] += f64::from(x);
                sum[1] += f64::from(x) * f64::from(x);
            }
        }
        Ok(sums)
    })?;
    let n = (sums.len() * network.config().grid.len()) as f64;
    let total = |feature: usize, which: usize| sums.iter().map(|s| s[feature][which]).sum::<f64>() / n;
    let mean: Vec<f64> = (0..d).map(|i| total(i, 0)).collect();
    let deviation = |i: usize| (total(i, 1) - mean[i] * mean[i] + 1e-6).max(1e-6).sqrt();
    let scale = (0..d).map(|i| (1.0 / deviation(i)) as f32).collect();
    Ok(Standard { mean: mean.iter().map(|&m| m as f32).collect(), scale })
}

/// The share of the training pixels that has each class.
///
/// # Errors
/// [`Error::Config`] naming a class that nothing can be learned of.
fn shares(examples: &[Example], training: &[usize], classes: &[String]) -> Result<Vec<f64>> {
    let pixels: usize = training.iter().map(|&i| examples[i].mask.len() / classes.len()).sum();
    let share = |(class, name): (usize, &String)| {
        let plane =
            |&i: &usize| examples[i].mask.index_axis(Axis(0), class).iter().filter(|m| **m != 0).count();
        let with: usize = training.iter().map(plane).sum();
        if with == 0 || with == pixels {
            let expected = "pixels with and without every class, on the pictures trained on";
            let found = format!("{name} on {with} of {pixels} pixels of {} pictures", training.len());
            return Err(Error::config("masks", expected, &found));
        }
        Ok(with as f64 / pixels as f64)
    };
    classes.iter().enumerate().map(share).collect()
}

/// Sixteen hexadecimal digits that tell these numbers from others (FNV-1a).
fn digest(params: &Params<f32>) -> String {
    let mix = |hash: u64, v: &f32| (hash ^ u64::from(v.to_bits())).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", params.values().iter().fold(0xcbf2_9ce4_8422_2325, mix))
}
