//! Rows made to mislead an approximate scan, for the tests of every implementation.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "small numbers made for a test"
)]

use aoi_testing::Seeded;
use ndarray::Array2;

/// Kinds of trouble; the last is none.
pub(super) const KINDS: usize = 8;

/// Rows of one kind of trouble.
pub(super) fn trouble(kind: usize, n: usize, d: usize, s: &mut Seeded) -> Array2<f32> {
    let mut rows = Array2::from_shape_fn((n, d), |_| s.normal() as f32);
    for (i, mut row) in rows.outer_iter_mut().enumerate() {
        match kind {
            // Near-ties: one point, moved by a few units in the last place.
            0 => row.iter_mut().enumerate().for_each(|(j, x)| {
                *x = (1.0 + j as f32 / 7.0) * (1.0 + (s.below(5) as f32 - 2.0) * f32::EPSILON);
            }),
            // Ties: few different small-integer rows.
            1 => row.mapv_inplace(|x| x.round().clamp(-1.0, 1.0)),
            // A tight cluster far from the origin.
            2 => row.mapv_inplace(|x| 300.0 + x * 0.01),
            // One coordinate takes all the energy.
            3 => row[i % d.min(2)] = 1e4 * (1.0 + s.unit() as f32),
            // Lengths over many orders of magnitude.
            4 => {
                let scale = 10.0_f32.powi(s.below(30) as i32 - 15);
                row.mapv_inplace(|x| x * scale);
            }
            // Copies of one row, some negated, some zero.
            5 => {
                let factor = [1.0, 1.0, -1.0, 0.0][s.below(4)];
                row.iter_mut().enumerate().for_each(|(j, x)| *x = factor * (j as f32 + 0.3));
            }
            // Ordered so that every bin is better than the last.
            6 => row.mapv_inplace(|x| x * 0.001 + i as f32 / n as f32),
            _ => {}
        }
    }
    rows
}
