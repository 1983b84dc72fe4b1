//! Adam with decoupled weight decay.

use std::sync::Arc;

use rayon::prelude::*;

use super::PIECE;
use crate::gradient::{Scalar, vectorised};
use crate::{Error, Params, Result, Role, Table};

/// The numbers of [`AdamW`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWOptions {
    /// How slowly both means of the gradient change, 0 to below 1.
    pub betas: (f64, f64),
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Share of a matrix, times the learning rate, taken off in a step; biases, norms, scales, tokens and positions do not decay.
    pub weight_decay: f64,
}

impl Default for AdamWOptions {
    fn default() -> Self {
        Self { betas: (0.9, 0.95), epsilon: 1e-8, weight_decay: 0.05 }
    }
}

/// `m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
/// w -= rate (decay w + (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon))` in step t = 1, 2 ...
///
/// # Source
/// Loshchilov and Hutter 2019, arXiv 1711.05101.
#[derive(Debug, Clone)]
pub struct AdamW<T> {
    options: AdamWOptions,
    /// m and v, laid out like the weights.
    moments: [Params<T>; 2],
    steps: u64,
}

impl<T: Scalar> AdamW<T> {
    /// Moments of zero for the weights of `table`.
    ///
    /// # Errors
    /// [`Error::Config`] when a number is out of its range.
    pub fn new(table: &Arc<Table>, options: AdamWOptions) -> Result<Self> {
        let AdamWOptions { betas, epsilon, weight_decay } = options;
        for (what, value, fits) in [
            ("beta 1", betas.0, (0.0..1.0).contains(&betas.0)),
            ("beta 2", betas.1, (0.0..1.0).contains(&betas.1)),
            ("epsilon", epsilon, epsilon > 0.0 && epsilon < 1.0),
            ("weight decay", weight_decay, (0.0..=1.0).contains(&weight_decay)),
        ] {
            if !fits {
                return Err(Error::config(what, "0 to 1, and betas below 1, epsilon above 0", &value));
            }
        }
        Ok(Self { options, moments: [Params::zeros(table.clone()), Params::zeros(table.clone())], steps: 0 })
    }

    /// Steps taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Both moments, laid out like the weights.
    pub fn moments(&self) -> &[Params<T>; 2] {
        &self.moments
    }

    /// Goes on from these moments after so many steps.
    ///
    /// # Errors
    /// [`Error::Shape`] when they are laid out for other weights.
    pub fn restore(&mut self, moments: [Params<T>; 2], steps: u64) -> Result<()> {
        if moments.iter().any(|m| m.table() != self.moments[0].table()) {
            let expected = format!("[{}] in the layout of the weights", self.moments[0].values().len());
            let found = vec![moments[0].values().len()];
            return Err(Error::Shape { what: "moments", expected, found });
        }
        self.moments = moments;
        self.steps = steps;
        Ok(())
    }

    /// One step; `rate` gives the learning rate of each tensor by its number in the table.
    ///
    /// # Errors
    /// [`Error::Shape`] when weights or gradient are laid out differently.
    pub fn step(
        &mut self,
        weights: &mut Params<T>,
        gradient: &Params<T>,
        rate: impl Fn(usize) -> f64,
    ) -> Result<()> {
        let table = self.moments[0].table().clone();
        if *weights.table() != table || *gradient.table() != table {
            let expected = format!("[{}] in the layout of the moments", table.len());
            return Err(Error::Shape { what: "weights", expected, found: vec![weights.values().len()] });
        }
        self.steps += 1;
        let AdamWOptions { betas, epsilon, weight_decay } = self.options;
        let correction = |beta: f64| 1.0 - beta.powf(self.steps as f64);
        let root = correction(betas.1).sqrt();
        let [first, second] = &mut self.moments;
        for (index, tensor) in table.tensors().iter().enumerate() {
            let rate = rate(index);
            let decay = if tensor.role == Role::Matrix { weight_decay } else { 0.0 };
            let numbers = Numbers {
                keep: T::of(1.0 - rate * decay),
                betas: (T::of(betas.0), T::of(betas.1)),
                news: (T::of(1.0 - betas.0), T::of(1.0 - betas.1)),
                size: T::of(rate / correction(betas.0)),
                root: T::of(root),
                epsilon: T::of(epsilon),
            };
            let range = tensor.range();
            let moments = first.values_mut()[range.clone()]
                .par_chunks_mut(PIECE)
                .zip(second.values_mut()[range.clone()].par_chunks_mut(PIECE));
            weights.values_mut()[range.clone()]
                .par_chunks_mut(PIECE)
                .zip(gradient.values()[range].par_chunks(PIECE))
                .zip(moments)
                .for_each(|((w, g), (m, v))| numbers.apply(w, g, (m, v)));
        }
        Ok(())
    }
}

/// What every entry of a tensor shares in one step.
#[derive(Clone, Copy)]
struct Numbers<T> {
    keep: T,
    betas: (T, T),
    news: (T, T),
    size: T,
    root: T,
    epsilon: T,
}

impl<T: Scalar> Numbers<T> {
    fn apply(self, w: &mut [T], g: &[T], (m, v): (&mut [T], &mut [T])) {
        vectorised(
            #[inline(always)]
            || {
                for ((w, &g), (m, v)) in w.iter_mut().zip(g).zip(m.iter_mut().zip(v)) {
                    *m = self.betas.0 * *m + self.news.0 * g;
                    *v = self.betas.1 * *v + self.news.1 * g * g;
                    *w = self.keep * *w - self.size * *m / ((*v).sqrt() / self.root + self.epsilon);
                }
            },
        );
    }
}
