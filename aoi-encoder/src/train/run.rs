//! Pre-training between two steps: the loss of a batch, validation, what is written.

use std::path::Path;

use super::Job;
use super::checkpoint::State;
use super::course::{CHECKPOINT, Trainee};
use super::learner::{Learner, StepOptions};
use super::panel::{Shown, reconstruction_png};
use super::plan::Plan;
use crate::chance::{Chance, Purpose};
use crate::gradient::Shards;
use crate::mae::{MaeTape, Mask};
use crate::weights::{NumberType, SaveOptions, save_with};
use crate::whole::write_whole;
use crate::{Error, Result, Workspace, centred};

/// A run between two steps.
pub(super) struct Run<'a> {
    plan: &'a Plan,
    folder: &'a Path,
    threads: usize,
    shards: Shards<f32, MaeTape<f32>>,
    pub(super) learner: Learner,
}

impl<'a> Run<'a> {
    /// From the seed, or from the run's checkpoint.
    pub(super) fn start(plan: &'a Plan, job: &'a Job, started: bool) -> Result<Self> {
        let options = &plan.config.optimiser;
        let options = StepOptions {
            betas: options.betas,
            weight_decay: options.weight_decay,
            clip: options.clip,
            average: options.average,
        };
        let state = State::new(plan.config.to_toml()?, plan.origin.clone());
        let checkpoint = job.run.join(CHECKPOINT);
        let initial = plan.mae.initial(plan.config.seed);
        let recompute = plan.config.run.recompute;
        Ok(Self {
            plan,
            folder: &job.run,
            threads: job.threads,
            shards: Shards::new(job.threads, || MaeTape::new(recompute))?,
            learner: Learner::new(&options, initial, state, started.then_some(&*checkpoint))?,
        })
    }
}

impl Trainee for Run<'_> {
    fn step(&mut self, rate: f64) -> Result<(f64, f64)> {
        let Self { plan, shards, learner, .. } = self;
        let step = learner.state.step;
        let (seed, batch, at_once) = (plan.config.seed, plan.batch, plan.config.run.at_once);
        let epoch = step / plan.steps_per_epoch;
        let order = Chance::new(seed, Purpose::Order, [epoch, 0]).permutation(plan.pictures.training.len());
        #[expect(clippy::cast_possible_truncation, reason = "below the number of pictures")]
        let first = (step % plan.steps_per_epoch) as usize * batch;
        let Learner { weights, gradient, .. } = learner;
        let losses =
            shards.sum(batch.div_ceil(at_once), gradient.values_mut(), |shard, tape, gradient| {
                let places = shard * at_once..batch.min((shard + 1) * at_once);
                let (mut images, mut masks) = (Vec::new(), Vec::new());
                for place in places.clone() {
                    let key = [step, place as u64];
                    let mut chance = Chance::new(seed, Purpose::Augmentation, key);
                    let picture = plan.pictures.training[order[first + place]];
                    images.extend(plan.image(picture, &plan.config.augmentation, &mut chance)?);
                    masks.push(Mask::draw(
                        plan.mae.config().grid.len(),
                        plan.config.masking.ratio,
                        seed,
                        key,
                    )?);
                }
                let share = places.len() as f64 / batch as f64;
                let own = (weights.values(), gradient);
                Ok(share * plan.mae.add_gradient(own, (&images, &masks), share, tape))
            })?;
        let loss: f64 = losses.iter().sum();
        Ok((loss, shards.install(|| learner.step(loss, |_| rate))?))
    }

    fn measure(&mut self) -> Result<Option<f64>> {
        let Self { plan, learner, .. } = self;
        let losses = self.shards.map(plan.pictures.held_out.len(), |place, tape| {
            let (image, mask) = plan.masked(&plan.pictures.held_out, place)?;
            plan.mae.loss(learner.result(), &image.insert_axis(ndarray::Axis(0)), &[mask], tape)
        })?;
        let loss = (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64);
        if loss.is_some_and(|l| !l.is_finite()) {
            return Err(Error::Diverged { step: learner.state.step, loss: f64::NAN, norm: f64::NAN });
        }
        Ok(loss)
    }

    fn keep(&mut self) -> Result<()> {
        let plan = self.plan;
        let mut encoder = plan.mae.encoder(self.learner.result())?;
        if plan.config.run.centred {
            let mut workspace = Workspace::new(self.threads)?;
            encoder = centred(plan.mae.config(), &encoder, &plan.still_crops()?, &mut workspace)?;
        }
        let options = SaveOptions {
            normalisation: Some(plan.normalisation.clone()),
            number_type: if plan.config.run.half { NumberType::F16 } else { NumberType::F32 },
            whitening: None,
        };
        save_with(&self.folder.join("encoder.safetensors"), plan.mae.config(), &encoder, &options)
    }

    fn show(&mut self) -> Result<()> {
        let Self { plan, learner, .. } = self;
        let (pictures, name) = if plan.pictures.held_out.is_empty() {
            (&plan.pictures.training, "reconstruction_training.png")
        } else {
            (&plan.pictures.held_out, "reconstruction.png")
        };
        let count = plan.config.run.pictures.min(pictures.len());
        if count == 0 {
            return Ok(());
        }
        let shown = self.shards.map(count, |place, tape| {
            let (original, mask) = plan.masked(pictures, place)?;
            let filled = plan.mae.reconstruct(learner.result(), &original, &mask, tape)?;
            Ok(Shown { original, filled, mask })
        })?;
        let png = reconstruction_png(&shown, plan.mae.config().patch, &plan.normalisation);
        write_whole(&self.folder.join(name), &png)
    }

    fn learner(&mut self) -> &mut Learner {
        &mut self.learner
    }
}
