//! Fine-tuning between two steps: the loss of a batch, prediction, what is written.

use std::path::Path;

use ndarray::Array3;

use super::panel::prediction_png;
use super::plan::Plan;
use super::result::Tuned;
use super::{FinetuneJob, Head, HeadLayers, NetworkTape, overlap, upernet};
use crate::chance::{Chance, Purpose};
use crate::gradient::Shards;
use crate::train::checkpoint::State;
use crate::train::course::{CHECKPOINT, Trainee};
use crate::train::learner::{Learner, StepOptions};
use crate::whole::write_whole;
use crate::{Params, Result, Table, Workspace};

/// A run between two steps.
pub(super) struct Run<'a> {
    plan: &'a Plan<'a>,
    folder: &'a Path,
    threads: usize,
    shards: Shards<f32, NetworkTape<f32>>,
    /// Of the trained numbers.
    pub(super) learner: Learner,
    weights: Params<f32>,
    dweights: Params<f32>,
}

impl<'a> Run<'a> {
    /// From the seed, or from the run's checkpoint.
    pub(super) fn start(plan: &'a Plan<'a>, job: &'a FinetuneJob<'a>, started: bool) -> Result<Self> {
        let options = &plan.config.optimiser;
        let options = StepOptions {
            betas: options.betas,
            weight_decay: options.weight_decay,
            clip: options.clip,
            average: options.average,
        };
        let state = State::new(plan.config.to_toml()?, plan.origin.clone());
        let checkpoint = job.run.join(CHECKPOINT);
        let initial = plan.trained.initial(&plan.base, &plan.odds, plan.config.seed);
        let recompute = plan.config.run.recompute;
        Ok(Self {
            plan,
            folder: &job.run,
            threads: job.threads,
            shards: Shards::new(job.threads, || NetworkTape::new(recompute))?,
            learner: Learner::new(&options, initial, state, started.then_some(&*checkpoint))?,
            weights: plan.base.clone(),
            dweights: Params::zeros(plan.base.table().clone()),
        })
    }

    /// The network as it is, for prediction.
    fn tuned(&mut self) -> Result<(Params<f32>, Head)> {
        let plan = self.plan;
        let result = self.learner.result().values();
        plan.trained.expand(plan.base.values(), result, self.weights.values_mut());
        let config = plan.network.config();
        let table = std::sync::Arc::new(Table::new(config)?);
        let encoder = Params::new(table.clone(), self.weights.values()[..table.len()].to_vec())?;
        let numbers = |name| self.weights.get(name).to_vec();
        let layers = match (plan.network.standard(), plan.network.upernet_width()) {
            (Some(standard), _) => HeadLayers::Linear {
                standard: standard.clone(),
                weight: numbers("head.weight"),
                bias: numbers("head.bias"),
            },
            (None, width) => HeadLayers::Upernet {
                width: width.unwrap_or_default(),
                values: self.weights.values()[table.len()..].to_vec(),
                statistics: self.statistics()?,
            },
        };
        Ok((encoder, Head { classes: plan.classes.to_vec(), layers }))
    }

    /// Means and variances of the norms under the weights as they are, \[units, 2, c\]: those of all rows of many groups of crops, put together. Taken
    /// anew, not followed through the steps: they belong to these weights, and a checkpoint need not hold them (Wu and Johnson 2021, arXiv 2105.07576).
    fn statistics(&mut self) -> Result<Vec<f32>> {
        const CROPS: usize = 64;
        let Self { plan, weights, shards, .. } = self;
        let groups = CROPS.div_ceil(plan.group);
        let sums = shards.map(groups, |group, tape| {
            let mut images = Vec::new();
            for crop in group * plan.group..(group + 1) * plan.group {
                let mut chance = Chance::new(0, Purpose::Head, [u64::MAX - 1, crop as u64]);
                images.extend(plan.native(plan.training[crop % plan.training.len()], &mut chance)?);
            }
            Ok(plan.network.sums(weights.values(), &images, tape))
        })?;
        Ok(upernet::pooled(&sums, plan.network.upernet_width().unwrap_or(1)))
    }

    /// The masks that the network predicts for the held-out pictures.
    fn predictions(&mut self, count: usize) -> Result<Vec<Array3<u8>>> {
        let plan = self.plan;
        let (encoder, head) = self.tuned()?;
        let tuned = Tuned::new(plan.network.config(), &encoder, plan.normalisation.clone(), head)?;
        let mut workspace = Workspace::new(self.threads)?;
        let examples = plan.held_out.iter().take(count).map(|&i| &plan.examples[i]);
        let masks = examples.map(|example| {
            let probabilities = tuned.probabilities(&example.picture, &mut workspace)?;
            Ok(probabilities.mapv(|p| u8::from(p > 0.5)))
        });
        masks.collect()
    }
}

impl Trainee for Run<'_> {
    fn step(&mut self, rate: f64) -> Result<(f64, f64)> {
        let Self { plan, shards, learner, weights, dweights, .. } = self;
        let step = learner.state.step;
        let (seed, batch, crops) = (plan.config.seed, plan.batch, plan.config.run.crops);
        let epoch = step / plan.steps_per_epoch;
        let order = Chance::new(seed, Purpose::Order, [epoch, 0]).permutation(plan.training.len() * crops);
        #[expect(clippy::cast_possible_truncation, reason = "below the number of crops")]
        let first = (step % plan.steps_per_epoch) as usize * batch;
        let trained = learner.weights.values();
        plan.trained.expand(plan.base.values(), trained, weights.values_mut());
        let groups = batch.div_ceil(plan.group);
        let losses = shards.sum(groups, dweights.values_mut(), |group, tape, gradient| {
            let (mut images, mut truths) = (Vec::new(), Vec::new());
            for place in group * plan.group..batch.min((group + 1) * plan.group) {
                let mut chance = Chance::new(seed, Purpose::Augmentation, [step, place as u64]);
                let (image, truth) = plan.crop(plan.training[order[first + place] / crops], &mut chance)?;
                images.extend(image);
                truths.extend(truth);
            }
            let wanted = (&plan.loss, 1.0 / batch as f64, plan.trained.depth());
            Ok(plan.network.add_gradient((weights.values(), gradient), (&images, &truths), wanted, tape))
        })?;
        let loss: f64 = losses.iter().sum();
        plan.trained.pull(trained, dweights.values(), learner.gradient.values_mut());
        Ok((loss, shards.install(|| learner.step(loss, |tensor| rate * plan.rates[tensor]))?))
    }

    fn measure(&mut self) -> Result<Option<f64>> {
        let plan = self.plan;
        let masks = self.predictions(usize::MAX)?;
        let truth = plan.held_out.iter().map(|&i| &plan.examples[i].mask);
        Ok(overlap::mean_iou(masks.iter().zip(truth), plan.classes.len()).map(|iou| 1.0 - iou))
    }

    fn keep(&mut self) -> Result<()> {
        let plan = self.plan;
        let (encoder, head) = self.tuned()?;
        let network = (plan.network.config(), &encoder);
        Tuned::write(&self.folder.join("network.safetensors"), network, &plan.normalisation, &head)
    }

    fn show(&mut self) -> Result<()> {
        const PICTURES: usize = 4;
        let masks = self.predictions(PICTURES)?;
        if masks.is_empty() {
            return Ok(());
        }
        let examples = self.plan.held_out.iter().map(|&i| &self.plan.examples[i]);
        let png = prediction_png(&examples.zip(&masks).collect::<Vec<_>>());
        write_whole(&self.folder.join("prediction.png"), &png)
    }

    fn learner(&mut self) -> &mut Learner {
        &mut self.learner
    }
}
