//! What a run trains, and how a gradient becomes its next step: numbers, moments, running mean, counters.

use std::path::Path;

use super::checkpoint::{self, State};
use crate::optimise::{AdamW, AdamWOptions, Average, clip};
use crate::{Error, Params, Result};

/// What the configuration says of a step.
pub(crate) struct StepOptions {
    pub(crate) betas: (f64, f64),
    pub(crate) weight_decay: f64,
    /// Largest norm of a gradient; zero for no bound.
    pub(crate) clip: f64,
    /// Decay of the running mean; zero for none.
    pub(crate) average: f64,
}

/// A run between two steps.
pub(crate) struct Learner {
    pub(crate) weights: Params<f32>,
    /// Of the step's loss, filled in before [`Learner::step`].
    pub(crate) gradient: Params<f32>,
    optimiser: AdamW<f32>,
    average: Option<Average>,
    clip: f64,
    pub(crate) state: State,
}

impl Learner {
    /// From `initial` weights before the first step, or from the checkpoint of a run that was started.
    ///
    /// # Errors
    /// [`Error::Config`] for an option out of its range, and as [`checkpoint::read`].
    pub(crate) fn new(
        options: &StepOptions,
        initial: Params<f32>,
        state: State,
        started: Option<&Path>,
    ) -> Result<Self> {
        let table = initial.table().clone();
        let StepOptions { betas, weight_decay, clip, average: decay } = *options;
        let mut optimiser = AdamW::new(&table, AdamWOptions { betas, weight_decay, ..Default::default() })?;
        let (mut weights, mut state) = (initial, state);
        let mut average = (decay > 0.0).then(|| Average::new(&weights, decay)).transpose()?;
        if let Some(path) = started {
            let count = if average.is_some() { 4 } else { 3 };
            let (stored, mut arrays) = checkpoint::read(path, (&table, count), &state.origin)?;
            if average.is_some() {
                average = arrays.pop().map(|mean| Average::new(&mean, decay)).transpose()?;
            }
            let (Some(second), Some(first), Some(own)) = (arrays.pop(), arrays.pop(), arrays.pop()) else {
                unreachable!("three arrays were read")
            };
            optimiser.restore([first, second], stored.step)?;
            weights = own;
            state = State { config: state.config, ..stored };
        }
        Ok(Self { gradient: Params::zeros(table), weights, optimiser, average, clip, state })
    }

    /// One step along the gradient of `loss`; `rate` gives the learning rate of each tensor by its number in the table. Returns the gradient's norm.
    ///
    /// # Errors
    /// [`Error::Diverged`] when loss or norm is no longer a number.
    pub(crate) fn step(&mut self, loss: f64, rate: impl Fn(usize) -> f64) -> Result<f64> {
        let norm = clip(self.gradient.values_mut(), self.clip);
        let step = self.state.step + 1;
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(Error::Diverged { step, loss, norm });
        }
        self.optimiser.step(&mut self.weights, &self.gradient, rate)?;
        if let Some(average) = &mut self.average {
            average.add(&self.weights, step)?;
        }
        self.state.step = step;
        Ok(norm)
    }

    /// The weights that are validated, shown and written.
    pub(crate) fn result(&self) -> &Params<f32> {
        self.average.as_ref().map_or(&self.weights, Average::mean)
    }

    /// Counts a validation; whether its result is to be kept. Without a measure every one is.
    pub(crate) fn is_better(&mut self, measure: Option<f64>) -> bool {
        let better = match (measure, self.state.best) {
            (Some(measure), Some(best)) => measure < best,
            _ => true,
        };
        if better {
            self.state.best = measure.or(self.state.best);
            self.state.since_best = 0;
        } else {
            self.state.since_best = self.state.since_best.saturating_add(1);
        }
        better
    }

    /// Writes the checkpoint.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let [first, second] = self.optimiser.moments();
        let mut arrays = vec![&self.weights, first, second];
        arrays.extend(self.average.as_ref().map(Average::mean));
        checkpoint::write(path, &self.state, &arrays)
    }
}
