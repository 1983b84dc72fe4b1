//! What changes from step to step: weights, moments, counters.

use std::path::Path;

use super::Job;
use super::checkpoint::{self, State};
use super::course::Trainee;
use super::panel::{Shown, reconstruction_png};
use super::plan::Plan;
use crate::chance::{Chance, Purpose};
use crate::gradient::Shards;
use crate::mae::{MaeTape, Mask};
use crate::optimise::{AdamW, AdamWOptions, Average, clip};
use crate::weights::{NumberType, SaveOptions, save_with};
use crate::whole::write_whole;
use crate::{Error, Params, Result, Workspace, centred};

/// A run between two steps.
pub(super) struct Run<'a> {
    plan: &'a Plan,
    folder: &'a Path,
    threads: usize,
    shards: Shards<f32, MaeTape<f32>>,
    weights: Params<f32>,
    gradient: Params<f32>,
    optimiser: AdamW<f32>,
    average: Option<Average>,
    pub(super) state: State,
}

impl<'a> Run<'a> {
    /// From the seed, or from the run's checkpoint.
    pub(super) fn start(plan: &'a Plan, job: &'a Job, started: bool) -> Result<Self> {
        let options = &plan.config.optimiser;
        let table = plan.mae.table();
        let adamw = AdamWOptions {
            betas: options.betas,
            weight_decay: options.weight_decay,
            ..AdamWOptions::default()
        };
        let mut optimiser = AdamW::new(table, adamw)?;
        let mut weights = plan.mae.initial(plan.config.seed);
        let averaging = options.average > 0.0;
        let mut average = averaging.then(|| Average::new(&weights, options.average)).transpose()?;
        let mut state = State::new(plan.config.to_toml()?, plan.origin.clone());
        if started {
            let path = job.run.join("checkpoint.safetensors");
            let (stored, mut arrays) =
                checkpoint::read(&path, (table, if averaging { 4 } else { 3 }), &plan.origin)?;
            if averaging {
                average = arrays.pop().map(|mean| Average::new(&mean, options.average)).transpose()?;
            }
            let (Some(second), Some(first), Some(own)) = (arrays.pop(), arrays.pop(), arrays.pop()) else {
                unreachable!("three arrays were read")
            };
            optimiser.restore([first, second], stored.step)?;
            weights = own;
            state = State { config: state.config, ..stored };
        }
        let recompute = plan.config.run.recompute;
        Ok(Self {
            plan,
            folder: &job.run,
            threads: job.threads,
            shards: Shards::new(job.threads, || MaeTape::new(recompute))?,
            gradient: Params::zeros(table.clone()),
            weights,
            optimiser,
            average,
            state,
        })
    }

    /// The weights that are validated and written.
    fn result(&self) -> &Params<f32> {
        self.average.as_ref().map_or(&self.weights, Average::mean)
    }
}

impl Trainee for Run<'_> {
    fn step(&mut self, rate: f64) -> Result<(f64, f64)> {
        let (plan, step) = (self.plan, self.state.step);
        let (seed, batch, at_once) = (plan.config.seed, plan.batch, plan.config.run.at_once);
        let epoch = step / plan.steps_per_epoch;
        let order = Chance::new(seed, Purpose::Order, [epoch, 0]).permutation(plan.pictures.training.len());
        #[expect(clippy::cast_possible_truncation, reason = "below the number of pictures")]
        let first = (step % plan.steps_per_epoch) as usize * batch;
        let weights = self.weights.values();
        let losses = self.shards.sum(
            batch.div_ceil(at_once),
            self.gradient.values_mut(),
            |shard, tape, gradient| {
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
                Ok(share * plan.mae.add_gradient((weights, gradient), (&images, &masks), share, tape))
            },
        )?;
        let loss: f64 = losses.iter().sum();
        let gradient = self.gradient.values_mut();
        let norm = self.shards.install(|| clip(gradient, plan.config.optimiser.clip));
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(Error::Diverged { step: step + 1, loss, norm });
        }
        let Self { shards, optimiser, weights, gradient, average, .. } = self;
        shards.install(|| {
            optimiser.step(weights, gradient, |_| rate)?;
            average.as_mut().map_or(Ok(()), |average| average.add(weights, step + 1))
        })?;
        self.state.step += 1;
        Ok((loss, norm))
    }

    fn validate(&mut self) -> Result<Option<f64>> {
        let plan = self.plan;
        let result = self.average.as_ref().map_or(&self.weights, Average::mean);
        let losses = self.shards.map(plan.pictures.held_out.len(), |place, tape| {
            let (image, mask) = plan.held_out(place)?;
            plan.mae.loss(result, &image.insert_axis(ndarray::Axis(0)), &[mask], tape)
        })?;
        let loss = (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64);
        if loss.is_some_and(|l| !l.is_finite()) {
            return Err(Error::Diverged { step: self.state.step, loss: f64::NAN, norm: f64::NAN });
        }
        let better = match (loss, self.state.best) {
            (Some(loss), Some(best)) => loss < best,
            _ => true,
        };
        if better {
            self.state.best = loss.or(self.state.best);
            self.state.since_best = 0;
            let mut encoder = plan.mae.encoder(self.result())?;
            if plan.config.run.centred {
                let mut workspace = Workspace::new(self.threads)?;
                encoder = centred(plan.mae.config(), &encoder, &plan.still_crops()?, &mut workspace)?;
            }
            let options = SaveOptions {
                normalisation: Some(plan.normalisation.clone()),
                number_type: if plan.config.run.half { NumberType::F16 } else { NumberType::F32 },
            };
            save_with(&self.folder.join("encoder.safetensors"), plan.mae.config(), &encoder, &options)?;
        } else {
            self.state.since_best = self.state.since_best.saturating_add(1);
        }
        Ok(loss)
    }

    fn show(&mut self) -> Result<()> {
        let plan = self.plan;
        let result = self.average.as_ref().map_or(&self.weights, Average::mean);
        let count = plan.config.run.pictures.min(plan.pictures.held_out.len());
        if count == 0 {
            return Ok(());
        }
        let shown = self.shards.map(count, |place, tape| {
            let (original, mask) = plan.held_out(place)?;
            let filled = plan.mae.reconstruct(result, &original, &mask, tape)?;
            Ok(Shown { original, filled, mask })
        })?;
        write_whole(
            &self.folder.join("reconstruction.png"),
            &reconstruction_png(&shown, plan.mae.config().patch, &plan.normalisation),
        )
    }

    fn save(&self, path: &Path) -> Result<()> {
        let [first, second] = self.optimiser.moments();
        let mut arrays = vec![&self.weights, first, second];
        arrays.extend(self.average.as_ref().map(Average::mean));
        checkpoint::write(path, &self.state, &arrays)
    }

    fn state(&mut self) -> &mut State {
        &mut self.state
    }
}
