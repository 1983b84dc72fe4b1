//! The two-layer network of a block.

#![expect(
    clippy::many_single_char_names,
    reason = "the letters of the formulas: weights p, gradient g, rows x, u, v"
)]

use super::scalar::{fit, vectorised};
use super::{Linear, Scalar};
use crate::config::Feedforward as Kind;
use crate::{Config, Precision, Table};

/// `W2 gelu(W1 x + b1) + b2`, or the gated `W3 (silu(u) * v) + b3` with `(u, v) = W12 x + b12`.
#[derive(Debug, Clone)]
pub(crate) struct Feedforward {
    first: Linear,
    second: Linear,
    kind: Kind,
}

/// Scratch of one thread: the second layer's input and its gradient, the first layer's output gradient.
#[derive(Debug, Default)]
pub(crate) struct FeedforwardScratch<T> {
    active: Vec<T>,
    dactive: Vec<T>,
    dhidden: Vec<T>,
}

impl Feedforward {
    /// The network whose tensors are `name.in` and `name.out`.
    pub(crate) fn new(table: &Table, name: &str, config: &Config) -> Self {
        let linear = |part: &str| Linear::new(table, &format!("{name}.{part}"));
        Self { first: linear("in"), second: linear("out"), kind: config.feedforward }
    }

    /// Makes its products of such numbers.
    pub(crate) fn set_precision(&mut self, precision: Precision) {
        self.first.set_precision(precision);
        self.second.set_precision(precision);
    }

    /// Width of the first layer's output, which is kept.
    pub(crate) fn hidden_rows(&self) -> usize {
        self.first.outputs()
    }

    /// # Shapes
    /// `x` \[n, d\] -> `hidden` \[n, rows of W1\] and `y` \[n, d\].
    pub(crate) fn forward<T: Scalar>(
        &self,
        p: &[T],
        x: &[T],
        (hidden, y): (&mut [T], &mut [T]),
        scratch: &mut FeedforwardScratch<T>,
    ) {
        self.first.forward(p, x, hidden);
        let n = x.len() / self.first.inputs();
        let active = fit(&mut scratch.active, n * self.second.inputs());
        self.activate(hidden, active);
        self.second.forward(p, active, y);
    }

    /// What the second layer reads.
    fn activate<T: Scalar>(&self, hidden: &[T], active: &mut [T]) {
        let h = self.second.inputs();
        vectorised(
            #[inline(always)]
            || match self.kind {
                Kind::Gelu => active.iter_mut().zip(hidden).for_each(|(a, &x)| *a = x * below(x)),
                Kind::SwiGlu => {
                    for (a, row) in active.chunks_exact_mut(h).zip(hidden.chunks_exact(2 * h)) {
                        let (u, v) = row.split_at(h);
                        for (a, (&u, &v)) in a.iter_mut().zip(u.iter().zip(v)) {
                            *a = u * sigmoid(u) * v;
                        }
                    }
                }
            },
        );
    }

    /// The GELU is x F(x) with the normal distribution F and its density f, so its derivative is `F(x) + x f(x)`. The gated layer is
    /// silu(u) v, silu(u) = u s with the sigmoid s: `du = da v s (1 + u (1 - s))` and `dv = da u s`. The two linear layers
    /// around it follow their own rule.
    ///
    /// # Shapes
    /// `x`, `dy` \[n, d\], `hidden` \[n, rows of W1\] -> `dx` \[n, d\], replaced.
    pub(crate) fn backward<T: Scalar>(
        &self,
        p: &[T],
        g: &mut [T],
        (x, hidden): (&[T], &[T]),
        dy: &[T],
        dx: &mut [T],
        scratch: &mut FeedforwardScratch<T>,
    ) {
        let (n, h) = (x.len() / self.first.inputs(), self.second.inputs());
        let active = fit(&mut scratch.active, n * h);
        let dactive = fit(&mut scratch.dactive, n * h);
        let dhidden = fit(&mut scratch.dhidden, hidden.len());
        self.activate(hidden, active);
        self.second.backward(p, g, active, dy, Some(dactive));
        vectorised(
            #[inline(always)]
            || match self.kind {
                Kind::Gelu => {
                    for (dh, (&x, &da)) in dhidden.iter_mut().zip(hidden.iter().zip(&*dactive)) {
                        *dh = da * (below(x) + x * density(x));
                    }
                }
                Kind::SwiGlu => {
                    let rows = hidden.chunks_exact(2 * h).zip(dactive.chunks_exact(h));
                    for (dh, (row, da)) in dhidden.chunks_exact_mut(2 * h).zip(rows) {
                        let ((du, dv), (u, v)) = (dh.split_at_mut(h), row.split_at(h));
                        for ((du, dv), (&da, (&u, &v))) in
                            du.iter_mut().zip(dv).zip(da.iter().zip(u.iter().zip(v)))
                        {
                            let s = sigmoid(u);
                            *du = da * v * s * (T::of(1.0) + u * (T::of(1.0) - s));
                            *dv = da * u * s;
                        }
                    }
                }
            },
        );
        self.first.backward(p, g, x, dhidden, Some(dx));
    }
}

/// The normal distribution, `(1 + erf(x / sqrt 2)) / 2`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the caller's vectors")]
fn below<T: Scalar>(x: T) -> T {
    T::of(0.5) + T::of(0.5) * (x * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf()
}

/// `1 / sqrt(2 pi)`.
const INVERSE_ROOT_TAU: f64 = 0.398_942_280_401_432_7;

/// Its density, `exp(-x^2 / 2) / sqrt(2 pi)`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the caller's vectors")]
fn density<T: Scalar>(x: T) -> T {
    T::of(INVERSE_ROOT_TAU) * (T::of(-0.5) * x * x).exp()
}

/// `1 / (1 + exp(-u))`.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled for the caller's vectors")]
fn sigmoid<T: Scalar>(u: T) -> T {
    T::of(1.0) / (T::of(1.0) + (-u).exp())
}
