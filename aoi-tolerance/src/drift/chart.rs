//! Two control charts on standardised points: one that averages, one that adds up.

/// Exponentially weighted moving average: `z = weight x + (1 - weight) z`, out of control where `|z| > width sd(z)`.
///
/// Points are standardised (mean 0, spread 1 in control). The spread of z after t points is `sqrt(w / (2 - w) (1 - (1 - w)^2t))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ewma {
    /// Weight of the newest point.
    pub weight: f64,
    /// Control limit in spreads of z.
    pub width: f64,
    z: f64,
    /// (1 - weight)^2t
    fading: f64,
}

impl Ewma {
    /// A chart before its first point.
    pub fn new(weight: f64, width: f64) -> Self {
        Self { weight, width, z: 0.0, fading: 1.0 }
    }

    /// Takes a point; whether the chart is out of control.
    pub fn push(&mut self, x: f64) -> bool {
        self.z = self.weight * x + (1.0 - self.weight) * self.z;
        self.fading *= (1.0 - self.weight) * (1.0 - self.weight);
        self.z.abs() > self.limit()
    }

    /// The average now.
    pub fn value(&self) -> f64 {
        self.z
    }

    /// The control limit now; it widens over the first points.
    pub fn limit(&self) -> f64 {
        self.width * (self.weight / (2.0 - self.weight) * (1.0 - self.fading)).sqrt()
    }

    /// The state, to be stored.
    #[cfg(feature = "store")]
    pub(crate) fn state(&self) -> [f64; 2] {
        [self.z, self.fading]
    }

    /// The chart in a stored state.
    #[cfg(feature = "store")]
    pub(crate) fn with_state(self, [z, fading]: [f64; 2]) -> Self {
        Self { z, fading, ..self }
    }
}

/// Cumulative sums to both sides: `high = max(0, high + x - slack)`, `low = max(0, low - x - slack)`, out of control above `limit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cusum {
    /// Half the shift to be found, in spreads.
    pub slack: f64,
    /// Decision limit, in spreads.
    pub limit: f64,
    high: f64,
    low: f64,
}

impl Cusum {
    /// A chart before its first point.
    pub fn new(slack: f64, limit: f64) -> Self {
        Self { slack, limit, high: 0.0, low: 0.0 }
    }

    /// Takes a point; whether the chart is out of control.
    pub fn push(&mut self, x: f64) -> bool {
        self.high = (self.high + x - self.slack).max(0.0);
        self.low = (self.low - x - self.slack).max(0.0);
        self.high > self.limit || self.low > self.limit
    }

    /// The sums now: upwards, downwards.
    pub fn sums(&self) -> (f64, f64) {
        (self.high, self.low)
    }

    /// The chart with stored sums.
    #[cfg(feature = "store")]
    pub(crate) fn with_sums(self, (high, low): (f64, f64)) -> Self {
        Self { high, low, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::assert_close;

    #[test]
    fn the_ewma_is_the_weighted_sum_of_all_points() {
        let points = [1.0, -2.0, 0.5, 3.0];
        let mut chart = Ewma::new(0.2, 3.0);
        for (t, _) in points.iter().enumerate() {
            chart.push(points[t]);
            let sum: f64 =
                (0..=t).map(|i| 0.2 * 0.8_f64.powi(i32::try_from(t - i).unwrap()) * points[i]).sum();
            assert_close(chart.value(), sum, 1e-15, 1e-14);
            let variance: f64 =
                (0..=t).map(|i| (0.2 * 0.8_f64.powi(i32::try_from(t - i).unwrap())).powi(2)).sum();
            assert_close(chart.limit(), 3.0 * variance.sqrt(), 0.0, 1e-13);
        }
    }

    #[test]
    fn the_published_example_of_the_cusum_is_followed() {
        // Shifts of +1 with slack 0.5 add a half a point; of -1 likewise to the other side.
        let mut chart = Cusum::new(0.5, 1.9);
        let alarms: Vec<bool> = (0..5).map(|_| chart.push(1.0)).collect();
        assert_eq!(alarms, [false, false, false, true, true]);
        assert_eq!(chart.sums(), (2.5, 0.0));
        let mut chart = Cusum::new(0.5, 1.9);
        assert!((0..4).any(|_| chart.push(-1.0)));
    }
}
