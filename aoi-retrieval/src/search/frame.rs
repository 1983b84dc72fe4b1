//! The frame in which scores are approximated: rows normalised (cosine) and centred, every metric an inner product plus a bias.
//!
//! With `x^ = x/|x|` (cosine; zero rows stay zero) or `x`, a fixed vector `m`, `x' = x^ - m` and `q' = q^ - m`:
//!
//! - cosine, inner product: `q^.x^ = q'.x' + m.x' + (q^.m)`
//! - L2: `-|q - x|^2 / 2 = q'.x' - |x'|^2 / 2 - (|q'|^2 / 2)`
//!
//! The bracket is one number per query, so rows rank by `q'.x' + bias(x)`, larger is better. The identities hold for any `m`;
//! the mean of the bank makes `|q'||x'|`, which all error bounds scale with, small.

use super::bound::{TERMS, up};
use crate::Metric;
use crate::metric;
use crate::search::Rows;

/// Rows and queries longer than this would leave the range of f32 products; they are handled by exact scoring alone.
const LONGEST: f64 = 1e15;
/// Covers underflow of f32 products and sums at any accepted width.
const UNDERFLOW: f64 = 1e-30;
/// Widest row for which the f32 bounds are meant: `d 2^-24` must stay small.
pub(super) const WIDEST: usize = 1 << 18;

/// The metric and the centre.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) metric: Metric,
    pub(super) centre: Vec<f64>,
    centre_norm: f64,
}

/// What the bounds need to know about one row.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowFacts {
    /// `|x'|`.
    pub(super) spread: f64,
    /// `(|x^| + |m|)^p`, p = 2 for L2, else 1: what f64 rounding scales with.
    pub(super) slack: f64,
    /// The bias in f32.
    pub(super) bias: f32,
    /// How far the f32 bias may be off, and what the f32 arithmetic around it adds.
    pub(super) bias_error: f64,
}

impl RowFacts {
    /// A row about which nothing can be said in f32: its bin is always kept.
    const WILD: Self = Self { spread: 0.0, slack: 0.0, bias: 0.0, bias_error: f64::INFINITY };
}

impl Frame {
    /// The centre from rows `sample` of the bank.
    pub(super) fn fit(metric: Metric, rows: &Rows<'_>, sample: &[usize]) -> Self {
        let mut sum = vec![0.0_f64; rows.width()];
        let mut count = 0.0;
        for &i in sample {
            let row = rows.row(i);
            let norm = metric::norm(row);
            if norm == 0.0 || (metric != Metric::Cosine && norm > LONGEST) {
                continue;
            }
            let factor = if metric == Metric::Cosine { 1.0 / norm } else { 1.0 };
            sum.iter_mut().zip(row).for_each(|(s, &x)| *s += f64::from(x) * factor);
            count += 1.0;
        }
        let centre: Vec<f64> = sum.iter().map(|s| s / f64::max(count, 1.0)).collect();
        let centre_norm = dot(&centre, &centre).sqrt();
        Self { metric, centre, centre_norm }
    }

    /// Writes `x'` in f64; `norm` is `|x|`. False when the row is out of range, and then `x'` is 0.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
    pub(super) fn centred(&self, row: &[f32], norm: f64, out: &mut [f64]) -> bool {
        let Some(scale) = self.scale(norm) else {
            out.fill(0.0);
            return false;
        };
        for ((out, &x), &m) in out.iter_mut().zip(row).zip(&self.centre) {
            *out = f64::from(x) * scale - m;
        }
        true
    }

    /// What a row of norm `norm` is multiplied by: `x^` is `scale x`. None when the row is out of range.
    #[inline]
    pub(super) fn scale(&self, norm: f64) -> Option<f64> {
        match self.metric {
            Metric::Cosine if norm > 0.0 => Some(1.0 / norm),
            Metric::Cosine => Some(0.0),
            _ if norm > LONGEST => None,
            _ => Some(1.0),
        }
    }

    /// The facts of a row from its `x'`.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
    #[expect(clippy::cast_possible_truncation, reason = "the rounding is measured right after")]
    pub(super) fn facts(&self, norm: f64, centred: &[f64], in_range: bool) -> RowFacts {
        if !in_range {
            return RowFacts::WILD;
        }
        let square = dot(centred, centred);
        let bias = match self.metric {
            Metric::L2 => -square / 2.0,
            _ => dot(centred, &self.centre),
        };
        let rounded = bias as f32;
        RowFacts {
            spread: square.sqrt() * (1.0 + 1e-9),
            slack: self.slack(norm),
            bias: rounded,
            bias_error: (bias - f64::from(rounded)).abs() + bias.abs() * 2.0_f64.powi(-22) + UNDERFLOW,
        }
    }

    /// `(|x^| + |m|)^p`, slightly enlarged.
    fn slack(&self, norm: f64) -> f64 {
        let unit = if self.metric == Metric::Cosine { 1.0 } else { norm };
        let sum = (unit + self.centre_norm) * 1.001;
        if self.metric == Metric::L2 { sum * sum } else { sum }
    }

    /// Coefficients of the terms 4, 6 and 7 for a query of norm `norm`: the rounding of the f64 score that defines the order,
    /// and of the f64 steps before the approximation. None when the query is out of range.
    pub(super) fn coefficients(&self, norm: f64) -> Option<[f64; TERMS]> {
        if self.metric != Metric::Cosine && norm > LONGEST {
            return None;
        }
        let unit = (self.centre.len() + 16) as f64 * 2.0_f64.powi(-50);
        let mut terms = [0.0; TERMS];
        terms[4] = unit;
        terms[6] = 1.0;
        match self.metric {
            Metric::L2 => terms[7] = unit * self.slack(norm),
            _ => terms[4] *= self.slack(norm),
        }
        Some(terms)
    }
}

/// `a.b` in eight lanes, which the compiler can vectorise.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled once per instruction set inside its callers")]
pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        for i in 0..8 {
            lanes[i] += a[i] * b[i];
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane += a * b;
    }
    lanes.iter().sum()
}

/// Terms of a bin in the f32 scan: spread in place 0.
pub(super) fn float_terms(facts: &RowFacts) -> [f32; TERMS] {
    [up(facts.spread), 0.0, 0.0, 0.0, up(facts.slack), 0.0, up(facts.bias_error), 1.0]
}
