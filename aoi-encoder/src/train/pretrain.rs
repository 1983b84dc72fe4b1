//! The job: pre-training of a masked autoencoder on a folder.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::course::{Course, started};
use super::plan::Plan;
use super::run::Run;
use super::{Ending, PretrainConfig, Report};
use crate::images::Normalisation;
use crate::{Error, Result};

/// What to do where.
#[derive(Debug, Clone)]
pub struct Job {
    /// Folder of pictures, see [`crate::images::list`].
    pub images: PathBuf,
    /// Folder that everything is written to; made where it is missing.
    pub run: PathBuf,
    /// The configuration; when resuming, none takes that of the run, and one that resolves to another is refused.
    pub config: Option<PretrainConfig>,
    /// Whether to go on from the run's checkpoint; with other pictures, that is refused.
    pub resume: bool,
    /// Threads; results do not depend on them.
    pub threads: usize,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Why it ended.
    pub ending: Ending,
    /// Steps taken, earlier starts included.
    pub step: u64,
    /// Loss of the last step's pictures.
    pub loss: f64,
    /// The lowest held-out loss.
    pub best_held_out_loss: Option<f64>,
    /// Pictures trained on and held out.
    pub pictures: (usize, usize),
    /// Mean and deviation of every channel; the encoder's file says them too.
    pub normalisation: Normalisation,
}

/// Pre-trains a masked autoencoder.
///
/// `progress` is called after every step; `Break` writes a checkpoint and ends the run, which can be resumed. `clock` gives seconds since 1970 and
/// decides nothing but what is reported.
///
/// # Errors
/// [`Error::Config`], [`Error::Format`], [`Error::Io`] for configuration, pictures and files, [`Error::Origin`] for a run that was started with other pictures, [`Error::Diverged`] when loss or gradient
/// is no longer a number; the last checkpoint stays.
///
/// # Panics
/// Never: sizes were checked.
pub fn pretrain(
    job: &Job,
    progress: &mut dyn FnMut(&Report) -> ControlFlow<()>,
    clock: &dyn Fn() -> f64,
) -> Result<Summary> {
    let started = started(&job.run, job.resume)?;
    let plan = Plan::new(job, started)?;
    std::fs::create_dir_all(&job.run).map_err(Error::io(&job.run))?;
    let mut run = Run::start(&plan, job, started)?;
    let course = Course {
        folder: &job.run,
        schedule: plan.schedule,
        batch: plan.batch,
        steps_per_epoch: plan.steps_per_epoch,
        validate_epochs: plan.config.run.validate_epochs,
        checkpoint_steps: plan.config.run.checkpoint_steps,
        patience: plan.config.run.patience,
        held_out: "loss/held_out",
    };
    let (ending, loss) = course.run(&mut run, started, progress, clock)?;
    Ok(Summary {
        ending,
        step: run.learner.state.step,
        loss,
        best_held_out_loss: run.learner.state.best,
        pictures: (plan.pictures.training.len(), plan.pictures.held_out.len()),
        normalisation: plan.normalisation.clone(),
    })
}
