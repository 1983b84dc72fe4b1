//! The loop of every run: steps, validation, files.

use std::ops::ControlFlow;
use std::path::Path;

use super::curve::loss_svg;
use super::events::Events;
use super::learner::Learner;
use super::metrics::{Metrics, Row};
use crate::optimise::Schedule;
use crate::whole::write_whole;
use crate::{Error, Result};

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

/// What a run trains.
pub(crate) trait Trainee {
    /// One step at a learning rate; its loss and the norm of its gradient.
    fn step(&mut self, rate: f64) -> Result<(f64, f64)>;

    /// The measure of the held-out pictures, lower is better, if there are any.
    fn measure(&mut self) -> Result<Option<f64>>;

    /// Writes the result, the best so far.
    fn keep(&mut self) -> Result<()>;

    /// Writes a picture of what was learned.
    fn show(&mut self) -> Result<()>;

    /// What is trained.
    fn learner(&mut self) -> &mut Learner;
}

/// Name of the checkpoint in a run's folder.
pub(crate) const CHECKPOINT: &str = "checkpoint.safetensors";

/// Whether the folder holds a run, which has to be what the caller expects.
///
/// # Errors
/// [`Error::Format`] when it is not.
pub(crate) fn started(folder: &Path, resume: bool) -> Result<bool> {
    let started = folder.join(CHECKPOINT).exists();
    let (expected, found) = match (started, resume) {
        (true, false) => ("a folder without a run (or pass --resume)", CHECKPOINT),
        (false, true) => ("a run to resume", "no checkpoint.safetensors"),
        _ => return Ok(started),
    };
    Err(Error::Format { path: folder.to_owned(), expected, found: found.to_owned() })
}

/// The length of a run, and when what is done.
pub(crate) struct Course<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) schedule: Schedule,
    pub(crate) batch: usize,
    pub(crate) steps_per_epoch: u64,
    pub(crate) validate_epochs: u64,
    pub(crate) checkpoint_steps: u64,
    pub(crate) patience: u64,
    /// What the events file calls the held-out measure.
    pub(crate) held_out: &'static str,
}

impl Course<'_> {
    /// Takes the steps that are left; why it ended, and the last step's loss.
    ///
    /// # Errors
    /// The trainee's, and [`Error::Io`] for files.
    pub(crate) fn run(
        &self,
        run: &mut impl Trainee,
        started: bool,
        progress: &mut dyn FnMut(&Report) -> ControlFlow<()>,
        clock: &dyn Fn() -> f64,
    ) -> Result<(Ending, f64)> {
        let path = |name: &str| self.folder.join(name);
        if !started {
            // From here on there is something to resume.
            write_whole(&path("config.toml"), run.learner().state.config.as_bytes())?;
            run.learner().save(&path(CHECKPOINT))?;
        }
        let steps = self.schedule.steps;
        let mut step = run.learner().state.step;
        let mut metrics = Metrics::open(&path("metrics.csv"), step)?;
        let mut events = Events::create(self.folder, clock(), step)?;
        let mut held_out_loss = metrics.rows.iter().rev().find_map(|r| r.held_out_loss);
        let mut ending = match (run.learner().state.ended, step == steps) {
            (false, _) => Ending::Interrupted,
            (true, false) => Ending::Early,
            (true, true) => Ending::Finished,
        };
        let mut before = clock();
        while step < steps && !run.learner().state.ended {
            let rate = self.schedule.rate(step);
            let (loss, gradient_norm) = run.step(rate)?;
            step = run.learner().state.step;
            let validate = step.is_multiple_of(self.validate_epochs * self.steps_per_epoch) || step == steps;
            let mut new_loss = None;
            if validate {
                new_loss = run.measure()?;
                if run.learner().is_better(new_loss) {
                    run.keep()?;
                }
                held_out_loss = new_loss.or(held_out_loss);
            }
            let now = clock();
            let images_per_second = self.batch as f64 / (now - before).max(1e-9);
            before = now;
            let epoch = step as f64 / self.steps_per_epoch as f64;
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
            values.extend(new_loss.map(|l| (self.held_out, l)));
            events.add(now, step, &values)?;
            let asked = progress(&Report { step, steps, loss, held_out_loss, images_per_second });
            if step == steps {
                (ending, run.learner().state.ended) = (Ending::Finished, true);
            } else if self.patience > 0 && run.learner().state.since_best >= self.patience {
                (ending, run.learner().state.ended) = (Ending::Early, true);
            }
            let ended = run.learner().state.ended;
            if validate || ended {
                write_whole(&path("loss.svg"), loss_svg(&metrics.rows).as_bytes())?;
                run.show()?;
            }
            if asked.is_break() || ended || step.is_multiple_of(self.checkpoint_steps) {
                run.learner().save(&path(CHECKPOINT))?;
            }
            if asked.is_break() {
                break;
            }
        }
        Ok((ending, metrics.rows.last().map_or(f64::NAN, |r| r.loss)))
    }
}
