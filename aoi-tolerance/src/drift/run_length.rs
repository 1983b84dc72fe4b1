//! How many points a chart runs on average before it alarms, by its Markov chain.
//!
//! The chart's state is cut into cells; the chances to go from cell to cell, with points normal around a shift, form a matrix Q over the cells that
//! are in control, and the run lengths are the solution of `(I - Q) L = 1`.
//!
//! # Source
//! Brook and Evans, Biometrika 59 (1972) for the CUSUM; Lucas and Saccucci, Technometrics 32 (1990) for the EWMA.

/// Cells a state is cut into. The published figures are met to three digits with it (tests).
const CELLS: usize = 201;

/// Average run of an [`super::Ewma`] with constant limits whose points are normal with mean `shift` and spread 1.
///
/// The chart's own limits widen over its first points, which changes runs of thousands by less than one part in a hundred.
///
/// ```
/// // The published combination for one false alarm in 500 points.
/// let run = aoi_tolerance::drift::run_length::ewma(0.1, 2.814, 0.0);
/// assert!((run - 500.0).abs() < 5.0, "{run}");
/// ```
pub fn ewma(weight: f64, width: f64, shift: f64) -> f64 {
    let limit = width * (weight / (2.0 - weight)).sqrt();
    let half = limit / CELLS as f64;
    let centre = |i: usize| -limit + (2 * i + 1) as f64 * half;
    // From cell i to cell j: weight x must land within half a cell of j's centre less what is left of i.
    let chance = |i: usize, j: usize| {
        let at = |edge: f64| (centre(j) + edge - (1.0 - weight) * centre(i)) / weight - shift;
        normal_cdf(at(half)) - normal_cdf(at(-half))
    };
    solve(CELLS, chance)[CELLS / 2]
}

/// Average run of a two-sided [`super::Cusum`] whose points are normal with mean `shift` and spread 1.
///
/// Both sides are taken as one-sided charts; `1 / run = 1 / run(up) + 1 / run(down)` holds for two-sided charts that start at zero.
///
/// ```
/// let run = aoi_tolerance::drift::run_length::cusum(0.5, 5.0, 0.0);
/// assert!((run - 465.0).abs() < 5.0, "{run}");
/// ```
pub fn cusum(slack: f64, limit: f64, shift: f64) -> f64 {
    let one_sided = |shift: f64| {
        let width = 2.0 * limit / (2 * CELLS - 1) as f64;
        // Cell 0 is the state zero; cell i is centred at i widths.
        let chance = |i: usize, j: usize| {
            let to = |edge: f64| edge - i as f64 * width + slack - shift;
            let upper = normal_cdf(to((j as f64 + 0.5) * width));
            if j == 0 { upper } else { upper - normal_cdf(to((j as f64 - 0.5) * width)) }
        };
        solve(CELLS, chance)[0]
    };
    1.0 / (1.0 / one_sided(shift) + 1.0 / one_sided(-shift))
}

/// The run lengths L of `(I - Q) L = 1`, by elimination; the diagonal dominates, so no pivots are needed.
fn solve(n: usize, chance: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    let mut matrix: Vec<Vec<f64>> = (0..n)
        .map(|i| (0..n).map(|j| f64::from(u8::from(i == j)) - chance(i, j)).chain([1.0]).collect())
        .collect();
    for k in 0..n {
        let (above, below) = matrix.split_at_mut(k + 1);
        let pivot = &above[k];
        for row in below {
            let factor = row[k] / pivot[k];
            for (x, p) in row[k..].iter_mut().zip(&pivot[k..]) {
                *x -= factor * p;
            }
        }
    }
    let mut runs = vec![0.0; n];
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| matrix[k][j] * runs[j]).sum();
        runs[k] = (matrix[k][n] - known) / matrix[k][k];
    }
    runs
}

/// The standard normal distribution function, by its power series near the middle and its continued fraction in the tails; to 1e-13.
pub(crate) fn normal_cdf(x: f64) -> f64 {
    if x.abs() > 3.0 {
        // Mills' ratio as a continued fraction.
        let t = x.abs();
        let fraction = (1..=60).rev().fold(t, |f, k| t + f64::from(k) / f);
        let tail = density(t) / fraction;
        return if x < 0.0 { tail } else { 1.0 - tail };
    }
    let (mut term, mut sum, mut k) = (x, x, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        k += 2.0;
        term *= x * x / k;
        sum += term;
    }
    0.5 + sum * density(x)
}

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / (std::f64::consts::TAU).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::assert_close;

    #[test]
    fn the_normal_distribution_has_its_tabled_values() {
        // To all digits given; Python's erfc.
        for (x, p) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746_068_542_9),
            (-2.0, 0.022_750_131_948_179_21),
            (2.999, 0.998_645_663_466_272_9),
            (3.001, 0.998_654_527_174_915),
            (-6.0, 9.865_876_450_376_946e-10),
        ] {
            assert_close(normal_cdf(x), p, 1e-13, 1e-9);
        }
    }

    #[test]
    fn published_run_lengths_are_met() {
        // Lucas and Saccucci 1990, table 1: weight 0.1, width 2.814; shift 1.
        assert_close(ewma(0.1, 2.814, 1.0), 10.3, 0.0, 0.02);
        assert_close(ewma(0.25, 2.998, 0.0), 500.0, 0.0, 0.01);
        // Hawkins and Olwell 1998: slack 0.5, limits 4 and 5, without and with a shift of 1.
        assert_close(cusum(0.5, 4.0, 0.0), 168.0, 0.0, 0.01);
        assert_close(cusum(0.5, 5.0, 0.0), 465.0, 0.0, 0.01);
        assert_close(cusum(0.5, 5.0, 1.0), 10.4, 0.0, 0.01);
    }

    #[test]
    fn a_shift_is_found_sooner() {
        assert!(ewma(0.1, 3.0, 0.5) < ewma(0.1, 3.0, 0.0) / 10.0);
        assert!(cusum(0.5, 8.0, 1.0) < cusum(0.5, 8.0, 0.0) / 100.0);
    }
}
