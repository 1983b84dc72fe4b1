//! The job: labelled pictures and an encoder in, a run folder out.

use std::ops::ControlFlow;
use std::path::PathBuf;

use ndarray::Array3;

use super::FinetuneConfig;
use super::plan::Plan;
use super::run::Run;
use crate::train::course::{Course, started};
use crate::train::{Ending, Report};
use crate::weights::Weights;
use crate::{Error, Result};

/// A labelled picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// For messages.
    pub name: String,
    /// \[channels, height, width\], 0 to 1.
    pub picture: Array3<f32>,
    /// \[classes, height, width\], 0 or 1.
    pub mask: Array3<u8>,
}

/// What to do where.
#[derive(Debug, Clone)]
pub struct FinetuneJob<'a> {
    /// The labelled pictures; all are held in memory.
    pub examples: &'a [Example],
    /// Names of the classes, in the order of the masks' planes.
    pub classes: &'a [String],
    /// The encoder to start from.
    pub weights: &'a Weights,
    /// Folder that everything is written to; made where it is missing.
    pub run: PathBuf,
    /// The configuration; when resuming, none takes that of the run, and one that resolves to another is refused.
    pub config: Option<FinetuneConfig>,
    /// Whether to go on from the run's checkpoint; with other classes, pictures or masks, that is refused.
    pub resume: bool,
    /// Threads; results do not depend on them.
    pub threads: usize,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct FinetuneSummary {
    /// Why it ended.
    pub ending: Ending,
    /// Steps taken, earlier starts included.
    pub step: u64,
    /// Loss of the last step's crops.
    pub loss: f64,
    /// The best mean `IoU` of the held-out pictures at thresholds of a half: that of the network written.
    pub best_mean_iou: Option<f64>,
    /// Pictures trained on and held out.
    pub pictures: (usize, usize),
    /// Numbers trained.
    pub parameters: usize,
}

/// Fine-tunes an encoder with a head.
///
/// The network with the best held-out mean `IoU` is kept in `network.safetensors`; without held-out pictures, the last one. `progress` is called after
/// every step (its held-out loss is 1 - mean `IoU`); `Break` writes a checkpoint and ends the run, which can be resumed. `clock` gives seconds
/// since 1970 and decides nothing but what is reported.
///
/// # Errors
/// [`Error::Config`], [`Error::Shape`], [`Error::NotFinite`], [`Error::Format`], [`Error::Io`] for configuration, examples and files, [`Error::Origin`] for a run that was started with others, [`Error::Diverged`] when
/// loss or gradient is no longer a number; the last checkpoint stays.
pub fn finetune(
    job: &FinetuneJob<'_>,
    progress: &mut dyn FnMut(&Report) -> ControlFlow<()>,
    clock: &dyn Fn() -> f64,
) -> Result<FinetuneSummary> {
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
        held_out: "held_out/missed_iou",
    };
    let (ending, loss) = course.run(&mut run, started, progress, clock)?;
    Ok(FinetuneSummary {
        ending,
        step: run.learner.state.step,
        loss,
        best_mean_iou: run.learner.state.best.map(|missed| 1.0 - missed),
        pictures: (plan.training.len(), plan.held_out.len()),
        parameters: plan.trained.table().len(),
    })
}
