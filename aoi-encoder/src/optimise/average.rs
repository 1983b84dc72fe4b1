//! A running mean of the weights.

use rayon::prelude::*;

use super::PIECE;
use crate::gradient::vectorised;
use crate::{Error, Params, Result};

/// `mean += (1 - decay) (weights - mean)` after every step, with a decay that starts low: `min(decay, (1 + t) / (10 + t))` in step t,
/// so that the first weights are soon forgotten.
#[derive(Debug, Clone)]
pub struct Average {
    mean: Params<f32>,
    decay: f64,
}

impl Average {
    /// The mean of `weights` alone.
    ///
    /// # Errors
    /// [`Error::Config`] when the decay is not in 0 to below 1.
    pub fn new(weights: &Params<f32>, decay: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::config("decay of the average", "0 to below 1", &decay));
        }
        Ok(Self { mean: weights.clone(), decay })
    }

    /// Takes in the weights after step `step` (from 1).
    ///
    /// # Errors
    /// [`Error::Shape`] when they are laid out differently.
    #[expect(clippy::cast_possible_truncation, reason = "a factor for f32 weights")]
    pub fn add(&mut self, weights: &Params<f32>, step: u64) -> Result<()> {
        if weights.table() != self.mean.table() {
            let expected = format!("[{}] in the layout of the average", self.mean.values().len());
            return Err(Error::Shape { what: "weights", expected, found: vec![weights.values().len()] });
        }
        let warm = (1.0 + step as f64) / (10.0 + step as f64);
        let news = (1.0 - self.decay.min(warm)) as f32;
        let pieces = self.mean.values_mut().par_chunks_mut(PIECE).zip(weights.values().par_chunks(PIECE));
        pieces.for_each(|(mean, weights)| {
            vectorised(
                #[inline(always)]
                || mean.iter_mut().zip(weights).for_each(|(m, &w)| *m += news * (w - *m)),
            );
        });
        Ok(())
    }

    /// The mean.
    pub fn mean(&self) -> &Params<f32> {
        &self.mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Table};
    use std::sync::Arc;

    #[test]
    fn the_mean_follows_the_weights_at_the_stated_pace() {
        let config = Config { width: 8, heads: 2, hidden: 8, depth: 1, ..Config::paper() };
        let mut weights = Params::<f32>::zeros(Arc::new(Table::new(&config).unwrap()));
        let mut average = Average::new(&weights, 0.5).unwrap();
        weights.values_mut().fill(1.0);
        let mut expected = 0.0_f64;
        for step in 1..20_u32 {
            average.add(&weights, u64::from(step)).unwrap();
            let decay = (f64::from(1 + step) / f64::from(10 + step)).min(0.5);
            expected = decay * expected + (1.0 - decay);
            let mean = average.mean().values();
            assert!(mean.iter().all(|&m| (f64::from(m) - expected).abs() < 1e-6), "step {step}");
        }
        assert!(Average::new(&weights, 1.0).is_err());
    }
}
