//! Learning rates over a run.

use crate::{Error, Result};

/// A linear rise from zero, then half a cosine down to a last rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The highest rate.
    pub peak: f64,
    /// The last rate.
    pub last: f64,
    /// Steps of the rise.
    pub warm_up: u64,
    /// All steps.
    pub steps: u64,
}

impl Schedule {
    /// Checks the numbers once.
    ///
    /// # Errors
    /// [`Error::Config`] when a rate is negative or not finite, the last is above the peak, or there is no step.
    pub fn check(&self) -> Result<()> {
        let rates = self.peak.is_finite() && self.peak > 0.0 && self.last >= 0.0 && self.last <= self.peak;
        if !rates {
            let found = format!("{} down to {}", self.peak, self.last);
            return Err(Error::config(
                "learning rate",
                "a positive peak and a last rate of 0 up to it",
                &found,
            ));
        }
        if self.steps == 0 {
            return Err(Error::config("steps", "1 or more", &self.steps));
        }
        Ok(())
    }

    /// The rate of step `step`, counted from 0: `peak step / warm_up`, then
    /// `last + (peak - last) (1 + cos(pi (step - warm_up) / (steps - warm_up))) / 2`.
    ///
    /// # Examples
    /// ```
    /// use aoi_encoder::optimise::Schedule;
    ///
    /// let schedule = Schedule { peak: 1.0, last: 0.0, warm_up: 10, steps: 110 };
    /// assert_eq!((schedule.rate(0), schedule.rate(5), schedule.rate(10)), (0.0, 0.5, 1.0));
    /// assert!((schedule.rate(60) - 0.5).abs() < 1e-12);
    /// ```
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return self.peak * step as f64 / self.warm_up as f64;
        }
        let rest = self.steps.saturating_sub(self.warm_up).max(1) as f64;
        let part = ((step - self.warm_up) as f64 / rest).min(1.0);
        self.last + (self.peak - self.last) * 0.5 * (1.0 + (std::f64::consts::PI * part).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_rise_then_fall_to_the_last_one() {
        let schedule = Schedule { peak: 2.0, last: 0.5, warm_up: 4, steps: 20 };
        let rates: Vec<f64> = (0..=20).map(|s| schedule.rate(s)).collect();
        assert!(rates[..5].windows(2).all(|w| w[0] < w[1]) && rates[4..].windows(2).all(|w| w[0] > w[1]));
        assert_eq!((rates[0], rates[4], rates[20], schedule.rate(99)), (0.0, 2.0, 0.5, 0.5));
    }

    #[test]
    fn a_run_that_is_all_warm_up_never_divides_by_zero() {
        let schedule = Schedule { peak: 1.0, last: 0.0, warm_up: 5, steps: 5 };
        assert!((0..10).all(|s| schedule.rate(s).is_finite()));
        for bad in [
            Schedule { peak: f64::NAN, ..schedule },
            Schedule { last: 2.0, ..schedule },
            Schedule { steps: 0, ..schedule },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
