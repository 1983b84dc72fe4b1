//! Batch norm and the rectifier behind it.

#![expect(
    clippy::many_single_char_names,
    reason = "the letters of the formulas: weights p, gradient g, rows x, y, z"
)]

use std::ops::Range;

use crate::Table;
use crate::gradient::{Scalar, vectorised};

/// `y = max(0, z w + b)` with `z = (x - mean) / sqrt(variance + epsilon)` column by column: over the rows at hand in training, over statistics
/// that were taken before in prediction.
#[derive(Debug, Clone)]
pub(super) struct BatchNorm {
    weight: Range<usize>,
    bias: Range<usize>,
}

/// Added to the variance; the number that the layer is usually trained with.
const EPSILON: f64 = 1e-5;

/// Mean and variance of every column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) mean: Vec<f64>,
    pub(super) variance: Vec<f64>,
}

impl Moments {
    /// Those of the rows of `x`, \[n, c\], in f64; the variance is the mean square, as the formula wants it.
    fn of<T: Scalar>(x: &[T], c: usize) -> Self {
        let n = (x.len() / c) as f64;
        let (mut mean, mut variance) = (vec![0.0; c], vec![0.0; c]);
        for row in x.chunks_exact(c) {
            mean.iter_mut().zip(row).for_each(|(sum, &v)| *sum += v.to_f64());
        }
        for sum in &mut mean {
            *sum /= n;
        }
        for row in x.chunks_exact(c) {
            for ((sum, &v), mean) in variance.iter_mut().zip(row).zip(&mean) {
                *sum += (v.to_f64() - mean) * (v.to_f64() - mean);
            }
        }
        for sum in &mut variance {
            *sum /= n;
        }
        Self { mean, variance }
    }

    /// `z = x scale + shift`, \[c\] each.
    fn line<T: Scalar>(&self) -> (Vec<T>, Vec<T>) {
        let scale = |&variance: &f64| 1.0 / (variance + EPSILON).sqrt();
        let shift = self.mean.iter().zip(&self.variance).map(|(mean, v)| T::of(-mean * scale(v))).collect();
        (self.variance.iter().map(|v| T::of(scale(v))).collect(), shift)
    }
}

impl BatchNorm {
    /// The norm whose tensors are `name.weight` and `name.bias`.
    ///
    /// # Panics
    /// When the table lacks them: a bug of the caller inside this crate.
    pub(super) fn new(table: &Table, name: &str) -> Self {
        let range =
            |part: &str| table.get(&format!("{name}.{part}")).expect("the table was made for it").range();
        Self { weight: range("weight"), bias: range("bias") }
    }

    /// # Shapes
    /// `x` \[n, c\] -> `y` \[n, c\]; `given` are the statistics to use, and those used come back.
    pub(super) fn forward<T: Scalar>(
        &self,
        p: &[T],
        x: &[T],
        given: Option<&Moments>,
        y: &mut [T],
    ) -> Moments {
        let (w, b) = (&p[self.weight.clone()], &p[self.bias.clone()]);
        let moments = given.map_or_else(|| Moments::of(x, w.len()), Clone::clone);
        let (scale, shift) = moments.line::<T>();
        vectorised(
            #[inline(always)]
            || {
                for (x, y) in x.chunks_exact(w.len()).zip(y.chunks_exact_mut(w.len())) {
                    let line = scale.iter().zip(&shift).zip(w.iter().zip(b));
                    for ((y, &x), ((&scale, &shift), (&w, &b))) in y.iter_mut().zip(x).zip(line) {
                        let v = (x * scale + shift) * w + b;
                        *y = if v > T::default() { v } else { T::default() };
                    }
                }
            },
        );
        moments
    }

    /// The rectifier passes a gradient on where its output is above 0: dv. `v = z w + b` gives `dw += sum_n dv z`, `db += sum_n dv`, `dz = dv w`. A column of
    /// z has mean 0 and mean square 1 (up to epsilon) whatever x is, so the parts of dz along 1 and along z are lost:
    /// `dx = (dz - mean(dz) - z mean(dz z)) / sqrt(variance + epsilon)`, with epsilon too, as for a layer norm, the mean over rows instead of columns.
    ///
    /// # Shapes
    /// `x`, `y` \[n, c\], what the forward read and gave, with the statistics of these rows; `dy` \[n, c\] becomes `dx`.
    pub(super) fn backward<T: Scalar>(
        &self,
        (p, g): (&[T], &mut [T]),
        (x, y, moments): (&[T], &[T], &Moments),
        dy: &mut [T],
    ) {
        let w = &p[self.weight.clone()];
        let c = w.len();
        let (scale, shift) = moments.line::<T>();
        // In f64: the rows are thousands, and the sums decide every entry of dx.
        let (mut dw, mut db) = (vec![0.0; c], vec![0.0; c]);
        for ((x, y), dy) in x.chunks_exact(c).zip(y.chunks_exact(c)).zip(dy.chunks_exact_mut(c)) {
            for (i, dv) in dy.iter_mut().enumerate() {
                if y[i] > T::default() {
                    db[i] += dv.to_f64();
                    dw[i] += (*dv * (x[i] * scale[i] + shift[i])).to_f64();
                } else {
                    *dv = T::default();
                }
            }
        }
        let n = (x.len() / c) as f64;
        let mean = |sum: &[f64]| sum.iter().map(|&s| T::of(s / n)).collect::<Vec<T>>();
        let (along_one, along_z) = (mean(&db), mean(&dw));
        for (x, dx) in x.chunks_exact(c).zip(dy.chunks_exact_mut(c)) {
            for (i, dx) in dx.iter_mut().enumerate() {
                let z = x[i] * scale[i] + shift[i];
                *dx = (*dx - along_one[i] - z * along_z[i]) * w[i] * scale[i];
            }
        }
        for (range, sums) in [(self.weight.clone(), dw), (self.bias.clone(), db)] {
            g[range].iter_mut().zip(sums).for_each(|(g, sum)| *g += T::of(sum));
        }
    }
}
