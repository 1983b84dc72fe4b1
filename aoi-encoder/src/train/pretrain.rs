//! The loop: steps, validation, files.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::PretrainConfig;
use super::curve::loss_svg;
use super::events::Events;
use super::metrics::{Metrics, Row};
use super::plan::Plan;
use super::run::Run;
use crate::images::Normalisation;
use crate::whole::write_whole;
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
    /// Whether to go on from the run's checkpoint.
    pub resume: bool,
    /// Threads; results do not depend on them.
    pub threads: usize,
}

/// Where a run stands, after every step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Steps taken.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Loss of the step's pictures.
    pub loss: f64,
    /// The last held-out loss.
    pub held_out_loss: Option<f64>,
    /// Pictures a second, of the last steps.
    pub images_per_second: f64,
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// All steps were taken.
    Finished,
    /// The held-out loss got no better for as long as the configuration is patient.
    Early,
    /// The caller asked for it; the run can be resumed.
    Interrupted,
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
    /// Mean and deviation of every channel; embedding needs them too.
    pub normalisation: Normalisation,
}

/// Pre-trains a masked autoencoder.
///
/// `progress` is called after every step; `Break` writes a checkpoint and ends the run, which can be resumed. `clock` gives seconds since 1970 and
/// decides nothing but what is reported.
///
/// # Errors
/// [`Error::Config`], [`Error::Format`], [`Error::Io`] for configuration, pictures and files, [`Error::Diverged`] when loss or gradient
/// is no longer a number; the last checkpoint stays.
///
/// # Panics
/// Never: sizes were checked.
pub fn pretrain(
    job: &Job,
    progress: &mut dyn FnMut(&Report) -> ControlFlow<()>,
    clock: &dyn Fn() -> f64,
) -> Result<Summary> {
    let path = |name: &str| job.run.join(name);
    let started = path("checkpoint.safetensors").exists();
    if started && !job.resume {
        return Err(Error::Format {
            path: job.run.clone(),
            expected: "a folder without a run (or pass --resume)",
            found: "checkpoint.safetensors".to_owned(),
        });
    }
    if !started && job.resume {
        return Err(Error::Format {
            path: job.run.clone(),
            expected: "a run to resume",
            found: "no checkpoint.safetensors".to_owned(),
        });
    }
    let plan = Plan::new(job, started)?;
    std::fs::create_dir_all(&job.run).map_err(Error::io(&job.run))?;
    let mut run = Run::start(&plan, job, started)?;
    if !started {
        // From here on there is something to resume.
        write_whole(&path("config.toml"), run.state.config.as_bytes())?;
        run.save(&path("checkpoint.safetensors"))?;
    }
    let mut metrics = Metrics::open(&path("metrics.csv"), run.state.step)?;
    let mut events = Events::create(&job.run, clock(), run.state.step)?;
    let mut held_out_loss = metrics.rows.iter().rev().find_map(|r| r.held_out_loss);
    let all_taken = run.state.step == plan.schedule.steps;
    let mut ending = match (run.state.ended, all_taken) {
        (false, _) => Ending::Interrupted,
        (true, false) => Ending::Early,
        (true, true) => Ending::Finished,
    };
    let mut before = clock();
    while run.state.step < plan.schedule.steps && !run.state.ended {
        let rate = plan.schedule.rate(run.state.step);
        let (loss, gradient_norm) = run.step(rate)?;
        let step = run.state.step;
        let validate = step.is_multiple_of(plan.config.run.validate_epochs * plan.steps_per_epoch)
            || step == plan.schedule.steps;
        let mut new_loss = None;
        if validate {
            new_loss = run.validate()?;
            held_out_loss = new_loss.or(held_out_loss);
        }
        let now = clock();
        let images_per_second = plan.batch as f64 / (now - before).max(1e-9);
        before = now;
        let epoch = step as f64 / plan.steps_per_epoch as f64;
        metrics.add(Row {
            step,
            epoch,
            rate,
            loss,
            gradient_norm,
            images_per_second,
            held_out_loss: new_loss,
        })?;
        let mut values = vec![("loss/training", loss), ("rate", rate), ("gradient_norm", gradient_norm)];
        values.extend(new_loss.map(|l| ("loss/held_out", l)));
        events.add(now, step, &values)?;
        let asked =
            progress(&Report { step, steps: plan.schedule.steps, loss, held_out_loss, images_per_second });
        if step == plan.schedule.steps {
            (ending, run.state.ended) = (Ending::Finished, true);
        } else if plan.config.run.patience > 0 && run.state.since_best >= plan.config.run.patience {
            (ending, run.state.ended) = (Ending::Early, true);
        }
        if validate || run.state.ended {
            write_whole(&path("loss.svg"), loss_svg(&metrics.rows).as_bytes())?;
            run.show(&path("reconstruction.png"))?;
        }
        if asked.is_break() || run.state.ended || step.is_multiple_of(plan.config.run.checkpoint_steps) {
            run.save(&path("checkpoint.safetensors"))?;
        }
        if asked.is_break() {
            break;
        }
    }
    Ok(Summary {
        ending,
        step: run.state.step,
        loss: metrics.rows.last().map_or(f64::NAN, |r| r.loss),
        best_held_out_loss: run.state.best,
        pictures: (plan.pictures.training.len(), plan.pictures.held_out.len()),
        normalisation: plan.normalisation.clone(),
    })
}
