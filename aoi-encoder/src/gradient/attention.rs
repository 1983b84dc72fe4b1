//! Multi-head self-attention.

use super::product::{Matrix, Start};
use super::scalar::{fit, lane_sum, vectorised};
use super::{Linear, Scalar};
use crate::{Config, Precision, Table};

/// `softmax(q k^T / sqrt(d / h)) v` for every head, then the output projection.
///
/// The weights of the softmax are not kept but computed again in the backward: t x t numbers a head would be most of the memory, and
/// save one product in seven.
#[derive(Debug, Clone)]
pub(crate) struct Attention {
    pub(crate) qkv: Linear,
    pub(crate) out: Linear,
    heads: usize,
    width: usize,
    precision: Precision,
}

/// Scratch of one thread: weights \[t, t\] and their gradient.
#[derive(Debug, Default)]
pub(crate) struct AttentionScratch<T> {
    weights: Vec<T>,
    dweights: Vec<T>,
}

impl Attention {
    /// The attention whose tensors are `name.qkv` and `name.out`.
    pub(crate) fn new(table: &Table, name: &str, config: &Config) -> Self {
        let linear = |part: &str| Linear::new(table, &format!("{name}.{part}"));
        Self {
            qkv: linear("qkv"),
            out: linear("out"),
            heads: config.heads,
            width: config.width,
            precision: Precision::F32,
        }
    }

    /// Makes its products of such numbers.
    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.qkv.set_precision(precision);
        self.out.set_precision(precision);
        self.precision = precision;
    }

    fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Queries (0), keys (1) or values (2) of one head of an image, \[t, d / h\].
    fn part<'a, T>(&self, qkv: &'a [T], tokens: usize, head: usize, which: usize) -> Matrix<'a, T> {
        let start = which * self.width + head * self.head_width();
        Matrix::part(&qkv[start..], (tokens, self.head_width()), 3 * self.width)
    }

    /// `softmax(q k^T / sqrt(d / h))` of one head, row by row.
    fn weights<T: Scalar>(&self, qkv: &[T], tokens: usize, head: usize, weights: &mut [T]) {
        let part = |which| self.part(qkv, tokens, head, which);
        let scale = T::of(1.0 / (self.head_width() as f64).sqrt());
        T::product(self.precision, (weights, tokens), Start::Zero, part(0).times(part(1).t()).scaled(scale));
        vectorised(
            #[inline(always)]
            || {
                // A function handed over would be compiled without the vectors.
                for row in weights.chunks_exact_mut(tokens) {
                    softmax(row);
                }
            },
        );
    }

    /// The heads' outputs side by side, before the projection.
    ///
    /// # Shapes
    /// `qkv` \[b * t, 3 d\] -> `mixed` \[b * t, d\].
    pub(crate) fn mix<T: Scalar>(
        &self,
        tokens: usize,
        qkv: &[T],
        mixed: &mut [T],
        scratch: &mut AttentionScratch<T>,
    ) {
        let (d, w) = (self.width, self.head_width());
        let weights = fit(&mut scratch.weights, tokens * tokens);
        for (qkv, mixed) in qkv.chunks_exact(tokens * 3 * d).zip(mixed.chunks_exact_mut(tokens * d)) {
            for head in 0..self.heads {
                self.weights(qkv, tokens, head, weights);
                let values = self.part(qkv, tokens, head, 2);
                let target = (&mut mixed[head * w..], d);
                T::product(self.precision, target, Start::Zero, Matrix::new(weights, tokens).times(values));
            }
        }
    }

    /// With `P = softmax(s q k^T)` and `o = P v` for one head: `dv = P^T do` and `dP = do v^T`. A row of a softmax has
    /// `dS_ij = P_ij (dP_ij - sum_l P_il dP_il)`, and that sum is `sum_f do_if o_if`, since `o = P v`.
    /// Then `dq = s dS k` and `dk = s dS^T q`.
    ///
    /// # Shapes
    /// `qkv` \[b * t, 3 d\]; `mixed`, `dmixed` \[b * t, d\] -> `dqkv` \[b * t, 3 d\], replaced.
    pub(crate) fn mix_backward<T: Scalar>(
        &self,
        tokens: usize,
        (qkv, mixed): (&[T], &[T]),
        dmixed: &[T],
        dqkv: &mut [T],
        scratch: &mut AttentionScratch<T>,
    ) {
        let (d, w) = (self.width, self.head_width());
        let scale = T::of(1.0 / (w as f64).sqrt());
        let p = fit(&mut scratch.weights, tokens * tokens);
        let dp = fit(&mut scratch.dweights, tokens * tokens);
        for (image, dqkv) in dqkv.chunks_exact_mut(tokens * 3 * d).enumerate() {
            let qkv = &qkv[image * tokens * 3 * d..][..tokens * 3 * d];
            let rows = |all: &'_ [T]| image * tokens * d..all.len().min((image + 1) * tokens * d);
            let (mixed, dmixed) = (&mixed[rows(mixed)], &dmixed[rows(dmixed)]);
            for head in 0..self.heads {
                let column = head * w;
                let part = |which| self.part(qkv, tokens, head, which);
                let dout = Matrix::part(&dmixed[column..], (tokens, w), d);
                self.weights(qkv, tokens, head, p);
                T::product(
                    self.precision,
                    (&mut dqkv[2 * d + column..], 3 * d),
                    Start::Zero,
                    Matrix::new(p, tokens).t().times(dout),
                );
                T::product(self.precision, (dp, tokens), Start::Zero, dout.times(part(2).t()));
                vectorised(
                    #[inline(always)]
                    || {
                        for (i, (p, dp)) in
                            p.chunks_exact(tokens).zip(dp.chunks_exact_mut(tokens)).enumerate()
                        {
                            let row = i * d + column..i * d + column + w;
                            let lost = lane_sum(&mixed[row.clone()], &dmixed[row], |o, d| o * d);
                            dp.iter_mut().zip(p).for_each(|(dp, &p)| *dp = p * (*dp - lost));
                        }
                    },
                );
                let ds = Matrix::new(&*dp, tokens);
                T::product(
                    self.precision,
                    (&mut dqkv[column..], 3 * d),
                    Start::Zero,
                    ds.times(part(1)).scaled(scale),
                );
                T::product(
                    self.precision,
                    (&mut dqkv[d + column..], 3 * d),
                    Start::Zero,
                    ds.t().times(part(0)).scaled(scale),
                );
            }
        }
    }
}

/// Softmax of one row, in place.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the caller's vectors")]
fn softmax<T: Scalar>(row: &mut [T]) {
    let mut largest = [row[0]; 16];
    for chunk in row.chunks(16) {
        largest.iter_mut().zip(chunk).for_each(|(l, &v)| *l = if v > *l { v } else { *l });
    }
    let largest = largest.into_iter().fold(row[0], |m, v| if v > m { v } else { m });
    for v in &mut *row {
        *v = (*v - largest).exp();
    }
    let inverse = T::of(1.0) / lane_sum(row, row, |v, _| v);
    for v in row {
        *v *= inverse;
    }
}
