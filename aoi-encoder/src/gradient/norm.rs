//! Layer norm.

#![expect(
    clippy::many_single_char_names,
    reason = "the letters of the formulas: weights p, gradient g, rows x, u, v"
)]

use std::ops::Range;

use super::Scalar;
use super::scalar::{lane_sum, vectorised};
use crate::Table;

/// `y = z w + b` with `z = (x - mean) / sqrt(variance + epsilon)` over the width.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    weight: Range<usize>,
    bias: Range<usize>,
    epsilon: f64,
}

/// Mean and inverse deviation of a row.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the caller's vectors")]
fn moments<T: Scalar>(x: &[T], epsilon: T) -> (T, T) {
    let d = T::of(x.len() as f64);
    let mean = lane_sum(x, x, |v, _| v) / d;
    let variance = lane_sum(x, x, |v, _| (v - mean) * (v - mean)) / d;
    (mean, T::of(1.0) / (variance + epsilon).sqrt())
}

impl Norm {
    /// The norm whose tensors are `name.weight` and `name.bias`.
    ///
    /// # Panics
    /// When the table lacks them: a bug of the caller inside this crate.
    pub(crate) fn new(table: &Table, name: &str, epsilon: f64) -> Self {
        let range =
            |part: &str| table.get(&format!("{name}.{part}")).expect("the table was made for it").range();
        Self { weight: range("weight"), bias: range("bias"), epsilon }
    }

    /// # Shapes
    /// `x` \[n, d\] -> `y` \[n, d\].
    pub(crate) fn forward<T: Scalar>(&self, p: &[T], x: &[T], y: &mut [T]) {
        let (w, b) = (&p[self.weight.clone()], &p[self.bias.clone()]);
        let epsilon = T::of(self.epsilon);
        vectorised(
            #[inline(always)]
            || {
                for (x, y) in x.chunks_exact(w.len()).zip(y.chunks_exact_mut(w.len())) {
                    let (mean, scale) = moments(x, epsilon);
                    for ((y, &x), (&w, &b)) in y.iter_mut().zip(x).zip(w.iter().zip(b)) {
                        *y = (x - mean) * scale * w + b;
                    }
                }
            },
        );
    }

    /// `y = z w + b` gives `dw += sum_n dy z`, `db += sum_n dy` and `dz = dy w`. Since z has mean 0 and mean square 1 (up to epsilon)
    /// whatever x is, the parts of dz along 1 and along z are lost on the way back:
    /// `dx = (dz - mean(dz) - z mean(dz z)) / sqrt(variance + epsilon)`, which holds with epsilon too, by differentiating
    /// `z_i = (x_i - mean) s`, `ds/dx_j = -s^3 (x_j - mean) / d`.
    ///
    /// # Shapes
    /// `x`, `dy` \[n, d\]; `dx` \[n, d\] is added to.
    pub(crate) fn backward<T: Scalar>(&self, p: &[T], g: &mut [T], x: &[T], dy: &[T], dx: &mut [T]) {
        let w = &p[self.weight.clone()];
        let d = w.len();
        let (mut dw, mut db) = (vec![T::default(); d], vec![T::default(); d]);
        let (epsilon, inverse) = (T::of(self.epsilon), T::of(1.0 / d as f64));
        vectorised(
            #[inline(always)]
            || {
                let mut dz = vec![T::default(); d];
                for ((x, dy), dx) in x.chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d)) {
                    let (mean, scale) = moments(x, epsilon);
                    for ((dz, &dy), (&w, (db, (dw, &x)))) in
                        dz.iter_mut().zip(dy).zip(w.iter().zip(db.iter_mut().zip(dw.iter_mut().zip(x))))
                    {
                        *dz = dy * w;
                        *db += dy;
                        *dw += dy * ((x - mean) * scale);
                    }
                    let along_one = lane_sum(&dz, &dz, |dz, _| dz) * inverse;
                    let along_z = lane_sum(&dz, x, |dz, x| dz * ((x - mean) * scale)) * inverse;
                    for ((dx, &dz), &x) in dx.iter_mut().zip(&dz).zip(x) {
                        *dx += (dz - along_one - (x - mean) * scale * along_z) * scale;
                    }
                }
            },
        );
        for (range, sums) in [(self.weight.clone(), dw), (self.bias.clone(), db)] {
            g[range].iter_mut().zip(sums).for_each(|(g, sum)| *g += sum);
        }
    }
}
