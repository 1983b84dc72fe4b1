//! Means of a few draws, and how sure they are.

/// A mean with half the width of its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Half the width; infinite for a single draw.
    pub half: f64,
}

/// 97.5 % points of Student's distribution for 1, 2, ... degrees of freedom; beyond, the last one, which is a little too wide.
const STUDENT: [f64; 12] =
    [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179];

impl Interval {
    /// Of independent draws, taken for normal: `mean +- t s / sqrt(n)` with the sample deviation s. A few seeds cannot check the normality; the interval
    /// says how much of a difference the draws could make by themselves.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        if values.len() < 2 {
            return Self { mean, half: f64::INFINITY };
        }
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let t = STUDENT[(values.len() - 2).min(STUDENT.len() - 1)];
        Self { mean, half: t * (variance / n).sqrt() }
    }

    /// The interval's ends.
    pub fn ends(self) -> (f64, f64) {
        (self.mean - self.half, self.mean + self.half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_three_draws_is_students() {
        let found = Interval::of(&[1.0, 2.0, 3.0]);
        assert_eq!(found.mean, 2.0);
        // s = 1, t = 4.303.
        assert!((found.half - 4.303 / 3.0_f64.sqrt()).abs() < 1e-12, "{found:?}");
        assert_eq!(Interval::of(&[4.0; 40]).ends(), (4.0, 4.0));
        assert_eq!(Interval::of(&[0.5]).half, f64::INFINITY);
    }
}
