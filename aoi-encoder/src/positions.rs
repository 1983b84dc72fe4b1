//! Positions for any grid: the learned table resampled, or sines and cosines computed.

use crate::config::{Grid, Positions, Resampling};
use crate::{Config, Params, Result};

/// The positions that `config` adds to the tokens of an image of `grid` patches.
#[derive(Debug, Clone, PartialEq)]
pub struct PositionTable {
    /// The grid they are for.
    pub grid: Grid,
    /// Rows for the first prefix tokens, \[n, d\] with n = [`Config::position_prefix`].
    pub prefix: Vec<f64>,
    /// One row a patch, \[rows * columns, d\].
    pub patches: Vec<f64>,
}

impl PositionTable {
    /// Positions for `grid`, from the learned table in `params` or computed.
    ///
    /// # Errors
    /// [`crate::Error::Config`] when the grid is empty or above 4096 a side.
    pub fn new(config: &Config, params: &Params<f64>, grid: Grid) -> Result<Self> {
        Self::from_rows(config, params.get("positions"), grid)
    }

    /// As [`PositionTable::new`], from the rows of the learned table alone.
    pub(crate) fn from_rows(config: &Config, rows: &[f64], grid: Grid) -> Result<Self> {
        Config { grid, ..config.clone() }.check()?;
        let d = config.width;
        let Positions::Learned { resampling, .. } = config.positions else {
            return Ok(Self { grid, prefix: Vec::new(), patches: sin_cos(grid, d) });
        };
        let (prefix, patches) = rows.split_at(config.position_prefix() * d);
        let patches = resample(patches, d, (config.grid, grid), resampling);
        Ok(Self { grid, prefix: prefix.to_vec(), patches })
    }
}

/// Resamples a grid of `d` numbers a place from one size to another, columns first, then rows.
///
/// # Shapes
/// `values` \[from.rows * from.columns, d\] -> \[to.rows * to.columns, d\].
fn resample(values: &[f64], d: usize, (from, to): (Grid, Grid), resampling: Resampling) -> Vec<f64> {
    if from == to {
        return values.to_vec();
    }
    let along_columns = taps(from.columns, to.columns, resampling);
    let mut wide = vec![0.0; from.rows * to.columns * d];
    for (row, target) in wide.chunks_exact_mut(to.columns * d).enumerate() {
        let source = &values[row * from.columns * d..(row + 1) * from.columns * d];
        for (place, taps) in target.chunks_exact_mut(d).zip(&along_columns) {
            for &(column, weight) in taps {
                add_scaled(place, weight, &source[column * d..(column + 1) * d]);
            }
        }
    }
    let stride = to.columns * d;
    let mut out = vec![0.0; to.rows * stride];
    for (target, taps) in out.chunks_exact_mut(stride).zip(taps(from.rows, to.rows, resampling)) {
        for (row, weight) in taps {
            add_scaled(target, weight, &wide[row * stride..(row + 1) * stride]);
        }
    }
    out
}

fn add_scaled(target: &mut [f64], weight: f64, source: &[f64]) {
    for (t, s) in target.iter_mut().zip(source) {
        *t += weight * s;
    }
}

/// The bicubic kernel with parameter `a` (Keys 1981, equation 4 with a free): one at 0, zero at the other integers and from 2 on.
fn cubic(a: f64, x: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        a * (((x - 5.0) * x + 8.0) * x - 4.0)
    } else {
        0.0
    }
}

/// For each of `n` new places, the old places (of `m`) it reads and their weights, which sum to one.
///
/// The centre of new place i lies at `s (i + 1/2) - 1/2` on the old axis, s = m/n, or m/(n + 0.1) with [`Resampling::Offset`].
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "places are below 4096, and clamped to the axis before they become indices"
)]
fn taps(m: usize, n: usize, resampling: Resampling) -> Vec<Vec<(usize, f64)>> {
    let last = m as i64 - 1;
    let (a, scale) = match resampling {
        Resampling::Antialiased => (-0.5, m as f64 / n as f64),
        Resampling::Plain => (-0.75, m as f64 / n as f64),
        Resampling::Offset => (-0.75, m as f64 / (n as f64 + 0.1)),
    };
    let centres = (0..n).map(|i| scale * (i as f64 + 0.5) - 0.5);
    match resampling {
        Resampling::Plain | Resampling::Offset => centres
            .map(|centre| {
                let first = centre.floor() as i64 - 1;
                let tap = |j: i64| (j.clamp(0, last) as usize, cubic(a, centre - j as f64));
                (first..first + 4).map(tap).collect()
            })
            .collect(),
        Resampling::Antialiased => centres
            .map(|centre| {
                let widen = scale.max(1.0);
                let low = ((centre - 2.0 * widen).ceil() as i64).max(0);
                let high = ((centre + 2.0 * widen).floor() as i64).min(last);
                let weight = |j: i64| cubic(a, (centre - j as f64) / widen);
                let sum: f64 = (low..=high).map(weight).sum();
                (low..=high).map(|j| (j as usize, weight(j) / sum)).collect()
            })
            .collect(),
    }
}

/// Fixed positions of the masked autoencoder: with q = d/4 and frequencies f = 10000^(-k/q), k = 0..q, a patch at (row, column)
/// gets `sin(column f), cos(column f), sin(row f), cos(row f)`, q numbers each.
///
/// # Source
/// He et al. 2021 (MAE), the published code's 2-D table.
pub(crate) fn sin_cos(grid: Grid, d: usize) -> Vec<f64> {
    let quarter = d / 4;
    let frequency = |k: usize| 10_000_f64.powf(-(k as f64) / quarter as f64);
    let mut table = Vec::with_capacity(grid.len() * d);
    for row in 0..grid.rows {
        for column in 0..grid.columns {
            for place in [column as f64, row as f64] {
                table.extend((0..quarter).map(|k| (place * frequency(k)).sin()));
                table.extend((0..quarter).map(|k| (place * frequency(k)).cos()));
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use aoi_testing::{assert_all_close, for_each_case};

    const ALL: [(&str, Resampling); 3] = [
        ("antialiased", Resampling::Antialiased),
        ("plain", Resampling::Plain),
        ("offset", Resampling::Offset),
    ];

    #[test]
    fn weights_sum_to_one_for_growing_and_shrinking() {
        for_each_case(ALL, |resampling| {
            for (m, n) in [(1, 1), (1, 7), (7, 1), (6, 8), (37, 16), (16, 37), (5, 5)] {
                for taps in taps(m, n, resampling) {
                    let sum: f64 = taps.iter().map(|t| t.1).sum();
                    assert!((sum - 1.0).abs() < 1e-12, "{m} -> {n}: {sum}");
                    assert!(taps.iter().all(|t| t.0 < m));
                }
            }
        });
    }

    #[test]
    fn the_stored_grid_is_returned_as_it_is() {
        let grid = Grid { rows: 3, columns: 2 };
        let values: Vec<f64> = (0..12).map(f64::from).collect();
        for_each_case(ALL, |r| assert_eq!(resample(&values, 2, (grid, grid), r), values));
    }

    #[test]
    fn rows_and_columns_are_not_swapped() {
        // A table that depends on the column alone stays so when only the rows change.
        let (from, to) = (Grid { rows: 4, columns: 3 }, Grid { rows: 9, columns: 3 });
        let values: Vec<f64> = (0..12).map(|i| f64::from(i % 3)).collect();
        for_each_case([ALL[0], ALL[1]], |r| {
            let expected: Vec<f64> = (0..27).map(|i| f64::from(i % 3)).collect();
            assert_all_close(&resample(&values, 1, (from, to), r), &expected, 1e-12, 0.0);
        });
    }

    #[test]
    fn a_step_is_interpolated_with_the_familys_kernel() {
        // Place 0 of 4 -> 6 lies at -1/6: of the old places only 1 differs from zero, 7/6 away.
        let grids = (Grid { rows: 1, columns: 4 }, Grid { rows: 1, columns: 6 });
        let plain = resample(&[0.0, 1.0, 0.0, 0.0], 1, grids, Resampling::Plain);
        let x = 7.0_f64 / 6.0;
        let keys = |a: f64| a * x.powi(3) - 5.0 * a * x.powi(2) + 8.0 * a * x - 4.0 * a;
        assert!((plain[0] - keys(-0.75)).abs() < 1e-14, "{plain:?}");
        let smooth = resample(&[0.0, 1.0, 0.0, 0.0], 1, grids, Resampling::Antialiased);
        let at_zero = 1.0 - 2.5 / 36.0 + 1.5 / 216.0;
        assert!((smooth[0] - keys(-0.5) / (keys(-0.5) + at_zero)).abs() < 1e-14, "{smooth:?}");
        let offset = resample(&[0.0, 1.0, 0.0, 0.0], 1, grids, Resampling::Offset);
        assert!((offset[0] - cubic(-0.75, 1.5 - 2.0 / 6.1)).abs() < 1e-14, "{offset:?}");
    }

    #[test]
    fn sin_cos_rows_are_what_the_formula_says() {
        let table = sin_cos(Grid { rows: 2, columns: 2 }, 8);
        let (row, column) = (1.0_f64, 0.0_f64);
        let expected = [
            column.sin(),
            (column * 0.01).sin(),
            column.cos(),
            (column * 0.01).cos(),
            row.sin(),
            (row * 0.01).sin(),
            row.cos(),
            (row * 0.01).cos(),
        ];
        assert_all_close(&table[2 * 8..3 * 8], &expected, 1e-15, 0.0);
    }
}
