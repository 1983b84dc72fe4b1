//! What changes from step to step: trained numbers, moments, counters.

use std::path::Path;

use ndarray::Array3;

use super::panel::prediction_png;
use super::plan::Plan;
use super::result::Tuned;
use super::{FinetuneJob, Head, HeadLayers, NetworkTape, overlap, upernet};
use crate::chance::{Chance, Purpose};
use crate::gradient::Shards;
use crate::optimise::{AdamW, AdamWOptions, clip};
use crate::train::checkpoint::{self, State};
use crate::train::course::{CHECKPOINT, Trainee};
use crate::whole::write_whole;
use crate::{Error, Params, Result, Table, Workspace};

/// A run between two steps.
pub(super) struct Run<'a> {
    plan: &'a Plan<'a>,
    folder: &'a Path,
    threads: usize,
    shards: Shards<f32, NetworkTape<f32>>,
    trained: Params<f32>,
    dtrained: Params<f32>,
    weights: Params<f32>,
    dweights: Params<f32>,
    optimiser: AdamW<f32>,
    pub(super) state: State,
}

impl<'a> Run<'a> {
    /// From the seed, or from the run's checkpoint.
    pub(super) fn start(plan: &'a Plan<'a>, job: &'a FinetuneJob<'a>, started: bool) -> Result<Self> {
        let options = &plan.config.optimiser;
        let table = plan.trained.table();
        let adamw = AdamWOptions {
            betas: options.betas,
            weight_decay: options.weight_decay,
            ..AdamWOptions::default()
        };
        let mut optimiser = AdamW::new(table, adamw)?;
        let mut trained = plan.trained.initial(&plan.base, &plan.odds, plan.config.seed);
        let mut state = State::new(plan.config.to_toml()?, plan.origin.clone());
        if started {
            let (stored, mut arrays) = checkpoint::read(&job.run.join(CHECKPOINT), (table, 3), &plan.origin)?;
            let (Some(second), Some(first), Some(own)) = (arrays.pop(), arrays.pop(), arrays.pop()) else {
                unreachable!("three arrays were read")
            };
            optimiser.restore([first, second], stored.step)?;
            trained = own;
            state = State { config: state.config, ..stored };
        }
        let recompute = plan.config.run.recompute;
        Ok(Self {
            plan,
            folder: &job.run,
            threads: job.threads,
            shards: Shards::new(job.threads, || NetworkTape::new(recompute))?,
            dtrained: Params::zeros(table.clone()),
            trained,
            weights: plan.base.clone(),
            dweights: Params::zeros(plan.base.table().clone()),
            optimiser,
            state,
        })
    }

    /// The network as it is, for prediction.
    fn tuned(&mut self) -> Result<(Params<f32>, Head)> {
        let plan = self.plan;
        plan.trained.expand(plan.base.values(), self.trained.values(), self.weights.values_mut());
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
        let (plan, step) = (self.plan, self.state.step);
        let (seed, batch, crops) = (plan.config.seed, plan.batch, plan.config.run.crops);
        let epoch = step / plan.steps_per_epoch;
        let order = Chance::new(seed, Purpose::Order, [epoch, 0]).permutation(plan.training.len() * crops);
        #[expect(clippy::cast_possible_truncation, reason = "below the number of crops")]
        let first = (step % plan.steps_per_epoch) as usize * batch;
        plan.trained.expand(plan.base.values(), self.trained.values(), self.weights.values_mut());
        let weights = self.weights.values();
        let groups = batch.div_ceil(plan.group);
        let losses = self.shards.sum(groups, self.dweights.values_mut(), |group, tape, gradient| {
            let (mut images, mut truths) = (Vec::new(), Vec::new());
            for place in group * plan.group..batch.min((group + 1) * plan.group) {
                let mut chance = Chance::new(seed, Purpose::Augmentation, [step, place as u64]);
                let (image, truth) = plan.crop(plan.training[order[first + place] / crops], &mut chance)?;
                images.extend(image);
                truths.extend(truth);
            }
            let wanted = (&plan.loss, 1.0 / batch as f64, plan.trained.depth());
            Ok(plan.network.add_gradient((weights, gradient), (&images, &truths), wanted, tape))
        })?;
        let loss: f64 = losses.iter().sum();
        plan.trained.pull(self.trained.values(), self.dweights.values(), self.dtrained.values_mut());
        let gradient = self.dtrained.values_mut();
        let norm = self.shards.install(|| clip(gradient, plan.config.optimiser.clip));
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(Error::Diverged { step: step + 1, loss, norm });
        }
        let Self { shards, optimiser, trained, dtrained, .. } = self;
        shards.install(|| optimiser.step(trained, dtrained, |tensor| rate * plan.rates[tensor]))?;
        self.state.step += 1;
        Ok((loss, norm))
    }

    fn validate(&mut self) -> Result<Option<f64>> {
        let plan = self.plan;
        let masks = self.predictions(usize::MAX)?;
        let truth = plan.held_out.iter().map(|&i| &plan.examples[i].mask);
        let missed = overlap::mean_iou(masks.iter().zip(truth), plan.classes.len()).map(|iou| 1.0 - iou);
        let better = match (missed, self.state.best) {
            (Some(missed), Some(best)) => missed < best,
            _ => true,
        };
        if better {
            self.state.best = missed.or(self.state.best);
            self.state.since_best = 0;
            let (encoder, head) = self.tuned()?;
            let network = (plan.network.config(), &encoder);
            Tuned::write(&self.folder.join("network.safetensors"), network, &plan.normalisation, &head)?;
        } else {
            self.state.since_best = self.state.since_best.saturating_add(1);
        }
        Ok(missed)
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

    fn save(&self, path: &Path) -> Result<()> {
        let [first, second] = self.optimiser.moments();
        checkpoint::write(path, &self.state, &[&self.trained, first, second])
    }

    fn state(&mut self) -> &mut State {
        &mut self.state
    }
}
